"""Bar intervals as text and as numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalper_ml.bars.interval import format_interval, parse_interval
from scalper_ml.errors import SettingsError


@pytest.mark.parametrize(
    ("text", "interval_us"),
    [("5s", 5_000_000), ("1m", 60_000_000), ("15m", 900_000_000), ("1h", 3_600_000_000), ("1d", 86_400_000_000)],
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
