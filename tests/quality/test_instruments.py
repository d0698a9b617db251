"""Listing dates and the universe as of a moment."""

from collections.abc import Callable
from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalper_ml.errors import SettingsError
from scalper_ml.quality import DayFacts, day_facts
from scalper_ml.quality.facts import DAY_US
from scalper_ml.quality.instruments import INSTRUMENTS, Instrument, instruments, instruments_table, universe_at

DAY = 19_723 * DAY_US  # 2024-01-01
Tape = Callable[..., pa.Table]


def days(tape: Tape, *offsets: int) -> dict[str, DayFacts]:
    return {f.day: f for f in (day_facts(tape(10, day=k)) for k in offsets)}


def test_dates_are_observed_where_they_are_not_given(tape: Tape) -> None:
    """Listed on the first day with trades; delisted on the last if the others go on for more than a week."""
    facts = {"LIVE": days(tape, 0, 20), "DEAD": days(tape, 2, 12), "LATE": days(tape, 9, 13)}
    known = instruments(facts)
    assert known["LIVE"] == Instrument("LIVE", date(2024, 1, 1), None, "observed", "unknown")
    assert known["DEAD"] == Instrument("DEAD", date(2024, 1, 3), date(2024, 1, 13), "observed", "observed")
    assert known["LATE"].delisted is None
    assert instruments(facts, silent_days=6)["LATE"].delisted == date(2024, 1, 14)


def test_given_dates_win(tape: Tape) -> None:
    """What the settings say stands against what was seen; what they leave out is still observed."""
    known = instruments({"A": days(tape, 5)}, {"A": {"listed": date(2020, 1, 1)}, "B": {"delisted": "2022-05-13"}})
    assert known["A"] == Instrument("A", date(2020, 1, 1), None, "settings", "unknown")
    assert known["B"] == Instrument("B", None, date(2022, 5, 13), "unknown", "settings")
    table = instruments_table(known)
    assert table.schema.equals(INSTRUMENTS)
    assert table.column("listed_by").to_pylist() == ["settings", "unknown"]


def test_the_universe_holds_what_died_later() -> None:
    """A coin is in the universe from its listing to its last day, whatever became of it."""
    known = {
        "LUNA": Instrument("LUNA", date(2020, 8, 21), date(2022, 5, 13)),
        "APT": Instrument("APT", date(2022, 10, 19)),
        "BTC": Instrument("BTC"),
    }
    moments = ("2020-08-20T23:59:59.999999", "2020-08-21", "2022-05-13T23:59:59.999999", "2022-05-14", "2022-10-19")
    at = [int(np.datetime64(moment, "us").astype(np.int64)) for moment in moments]
    assert [universe_at(known, t) for t in at] == [
        ("BTC",), ("BTC", "LUNA"), ("BTC", "LUNA"), ("BTC",), ("APT", "BTC"),
    ]  # fmt: skip


@given(st.dates(date(2000, 1, 1), date(2090, 1, 1)), st.integers(0, DAY_US - 1))
def test_the_universe_follows_the_utc_day(day: date, offset_us: int) -> None:
    """Any moment of a coin's only day has it, the microseconds before and after have not."""
    start = int(np.datetime64(day, "us").astype(np.int64))
    known = {"X": Instrument("X", day, day)}
    assert universe_at(known, start + offset_us) == ("X",)
    assert universe_at(known, start - 1) == universe_at(known, start + DAY_US) == ()


@pytest.mark.parametrize(
    ("dates", "message"),
    [
        (
            {"listing": date(2024, 1, 1)},
            r"instruments.X: unknown key 'listing'; allowed here: \['listed', 'delisted'\]",
        ),
        ({"listed": "soon"}, "instruments.X.listed: found 'soon'; expected a date such as 2024-01-31"),
        ({"listed": 20240101}, "instruments.X.listed: found 20240101"),
        ({"listed": date(2024, 2, 1), "delisted": "2024-01-31"}, "delisted 2024-01-31 is before listed 2024-02-01"),
    ],
)
def test_dates_that_are_none_are_refused(dates: dict, message: str) -> None:
    """A settings error names the symbol, the key and what was found."""
    with pytest.raises(SettingsError, match=message):
        instruments({}, {"X": dates})
