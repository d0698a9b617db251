"""Bar intervals as text, as numbers, and on the calendar."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalper_ml.bars.interval import floor_us, format_interval, origin_us, parse_interval
from scalper_ml.errors import SettingsError


@pytest.mark.parametrize(
    ("text", "interval_us"),
    [
        ("5s", 5_000_000),
        ("1m", 60_000_000),
        ("15m", 900_000_000),
        ("1h", 3_600_000_000),
        ("1d", 86_400_000_000),
        ("1w", 604_800_000_000),
    ],
)
def test_interval_text_has_its_length(text: str, interval_us: int) -> None:
    """The usual intervals are as long as their names say, and are written back the same."""
    assert parse_interval(text) == interval_us
    assert format_interval(interval_us) == text


@given(st.integers(1, 100_000))
def test_written_interval_is_read_back(seconds: int) -> None:
    """Any whole number of seconds survives writing and reading."""
    assert parse_interval(format_interval(seconds * 1_000_000)) == seconds * 1_000_000


@pytest.mark.parametrize("text", ["", "m", "0m", "-1m", "1.5m", "1 m", "15min", "1M", "1m1"])
def test_malformed_interval_names_itself_and_the_units(text: str) -> None:
    """A malformed interval is an error that repeats it and says what is allowed."""
    with pytest.raises(SettingsError, match="expected a positive whole number and a unit") as caught:
        parse_interval(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("interval_us", [0, -60_000_000, 1, 1_500_000])
def test_odd_length_has_no_text(interval_us: int) -> None:
    """A length that is no positive whole number of seconds cannot be written."""
    with pytest.raises(SettingsError, match="whole number of seconds"):
        format_interval(interval_us)


SECOND = 1_000_000
YEARS = 100 * 366 * 86_400


@pytest.mark.parametrize(
    ("inside", "day", "week"),
    [
        ("1970-01-01T00:00:00", "1970-01-01", "1969-12-29"),  # the epoch: a Thursday
        ("2024-02-29T23:59:59", "2024-02-29", "2024-02-26"),  # a leap day
        ("2024-12-31T12:00:00", "2024-12-31", "2024-12-30"),  # the week holds two years
        ("2025-01-05T23:59:59", "2025-01-05", "2024-12-30"),  # the last second of a week: Sunday
        ("2025-01-06T00:00:00", "2025-01-06", "2025-01-06"),  # the first one: Monday
        ("2024-03-31T01:30:00", "2024-03-31", "2024-03-25"),  # clocks of Europe jump
    ],
)
def test_days_start_at_midnight_and_weeks_on_monday(inside: str, day: str, week: str) -> None:
    """A stamp lies in the UTC day and the Monday week that a calendar shows for it."""

    def us_of(text: str) -> int:
        return int(dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).timestamp()) * SECOND

    assert floor_us(us_of(inside), parse_interval("1d")) == us_of(day)
    assert floor_us(us_of(inside), parse_interval("1w")) == us_of(week)


@given(st.integers(-YEARS, YEARS))
def test_weeks_are_those_of_the_calendar(seconds: int) -> None:
    """For any second of two centuries the week starts on the Monday that `datetime` finds."""
    moment = dt.datetime(1970, 1, 1) + dt.timedelta(seconds=seconds)
    monday = dt.datetime.combine(moment.date() - dt.timedelta(days=moment.weekday()), dt.time())
    expected = (monday - dt.datetime(1970, 1, 1)) // dt.timedelta(microseconds=1)
    assert floor_us(seconds * SECOND, parse_interval("1w")) == expected


@given(st.integers(1, 100_000), st.integers(-YEARS, YEARS))
def test_a_floor_is_the_last_point_of_the_grid(seconds: int, stamp: int) -> None:
    """The floor is at most one interval below its stamp, and whole intervals away from the origin."""
    interval_us = seconds * SECOND
    floor = floor_us(stamp, interval_us)
    assert 0 <= stamp - floor < interval_us
    assert (floor - origin_us(interval_us)) % interval_us == 0
