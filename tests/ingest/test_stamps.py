"""Stamps, sides and numbers as sources spell them."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalper_ml.ingest.values import decimals, flags, identifiers, sides, stamps_us, to_us

NOW = 1_577_836_800_123_456  # 2020-01-01 00:00:00.123456


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1577836800", 1_577_836_800_000_000),
        ("1577836800.123456", NOW),
        ("1577836800123", 1_577_836_800_123_000),
        ("1577836800123.456", NOW),
        ("1577836800123456", NOW),
        ("1577836800123456789", NOW),
        ("2020-01-01T00:00:00.123456Z", NOW),
        ("2020-01-01 00:00:00.123456", NOW),
        ("2020-01-01T00:00:00.123456789Z", NOW),
        ("2020-01-01 01:00:00.123456+01:00", NOW),
        (" 1577836800123456 ", NOW),
    ],
)
def test_a_stamp_of_any_unit_is_the_same_microsecond(text: str, expected: int) -> None:
    """Seconds, milliseconds, microseconds, nanoseconds and ISO 8601 are told apart by each value itself."""
    value, ok = stamps_us(pa.array([text]))
    assert (value[0], ok[0]) == (expected, True)


@pytest.mark.parametrize(
    "text", ["", "abc", "nan", "-1577836800", "0", "20200101", "2020-13-01T00:00:00Z", "2020-01-01", "9" * 20, "9" * 19]
)
def test_what_is_no_stamp_is_not_readable(text: str) -> None:
    """Words, dates without a time, impossible dates, and numbers that no unit puts in this century are rejected."""
    assert not stamps_us(pa.array([text, "1577836800"]))[1][0]


@given(st.lists(st.tuples(st.integers(946_684_800_000_000, 4_102_444_799_999_999), st.sampled_from("smun"))))
def test_mixed_units_are_told_row_by_row(rows: list[tuple[int, str]]) -> None:
    """Whatever units a column mixes, each row comes back to the precision of its unit."""
    size = {"s": 1_000_000, "m": 1_000, "u": 1}
    stamps = np.array([t * 1000 if u == "n" else t // size[u] for t, u in rows], np.int64)
    expected = [t if u == "n" else t // size[u] * size[u] for t, u in rows]
    assert to_us(stamps).tolist() == expected


@given(st.integers(946_684_800_000_000, 4_102_444_799_999_999))
def test_iso_text_and_typed_stamps_agree(us: int) -> None:
    """A microsecond written as ISO 8601 by the standard library, or typed by Arrow, comes back whole."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)
    assert stamps_us(pa.array([moment.isoformat(timespec="microseconds")]))[0][0] == us
    assert stamps_us(pa.array([moment], pa.timestamp("us", "UTC")))[0][0] == us
    assert stamps_us(pa.array([us * 1000]).cast(pa.timestamp("ns")))[0][0] == us


def test_sides_in_every_spelling() -> None:
    """Buyer and seller aggressors in the usual words, letters and numbers; anything else is neither."""
    buyers = ["buy", "BUY", "b", "1", "bid", "Buyer", "taker_buy"]
    sellers = ["sell", "S", "-1", "ask", "SELLER"]
    assert sides(pa.array([*buyers, *sellers, "x", "", None, "0"])).tolist() == [1] * 7 + [-1] * 5 + [0] * 4
    assert sides(pa.array([1, -1, 0], pa.int64())).tolist() == [1, -1, 0]


def test_flags_in_every_spelling() -> None:
    """True and false as words, letters and digits; anything else is neither."""
    assert flags(pa.array(["true", "False", "t", "0", "1", "maybe", ""])).tolist() == [1, 0, 1, 0, 1, -1, -1]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False)))
def test_decimals_are_read_to_the_bit(values: list[float]) -> None:
    """The text of a float comes back as that float."""
    read, ok = decimals(pa.array([repr(value) for value in values], pa.string()))
    assert read.tolist() == values
    assert ok.all()


def test_words_and_holes_are_no_decimals() -> None:
    """NaN and infinity are read as what they say; other words, holes and two numbers in one are not read."""
    read, ok = decimals(pa.array(["nan", "inf", "1e400", "abc", "", "1.2.3", "0x10", "1_000"]))
    assert ok.tolist() == [True, True, True, False, False, False, False, False]
    assert not np.isfinite(read).any()


def test_identifiers_may_be_missing_but_not_wrong() -> None:
    """An empty id is none; a word, a fraction, a negative number and what 63 bits do not hold are not readable."""
    values, present, ok = identifiers(pa.array(["7", "", "null", "x1", "1.5", "-3", "9223372036854775808"]))
    assert values[0] == 7
    assert present.tolist() == [True, False, False, True, True, True, True]
    assert ok.tolist() == [True, True, True, False, False, False, False]
