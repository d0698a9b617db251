"""As of a moment: against a loop over the definition, and against any change of the future."""

import math

import numpy as np
import pyarrow as pa
import pytest
from contextdata import Row, context
from hypothesis import given
from hypothesis import strategies as st

from scalper_ml.context import as_of, vintage
from scalper_ml.schema import us

KIND = "open_interest"
ROWS = st.lists(
    st.tuples(st.just(KIND), st.integers(0, 8), st.integers(0, 9), st.integers(1, 4).map(float)).map(
        lambda row: (row[0], row[1], row[1] + row[2], row[3])
    ),
    max_size=16,
)
AT = np.arange(-1, 20)


def seen(table: pa.Table, at: int, max_age: int | None) -> tuple[float, float]:
    """The definition, row by row: newest event known by then, in the newest revision known by then."""
    best: tuple[int, int, float] | None = None
    for event, known, value in zip(
        us(table.column("event_ts_us")), us(table.column("ts_us")), table.column("value").to_pylist(), strict=True
    ):
        if known <= at and (best is None or (event, known) > best[:2]):
            best = (event, known, value)
    if best is None:
        return math.nan, math.nan
    age = at - best[0]
    return (math.nan if max_age is not None and age > max_age else best[2]), float(age)


@given(ROWS, st.none() | st.integers(0, 12))
def test_values_and_ages_are_those_of_the_definition(rows: list[Row], max_age: int | None) -> None:
    """At every moment, equal to a loop over all rows, whatever the order in which things became known."""
    table = context(rows)
    values, ages = as_of(table, AT, KIND, max_age_us=max_age)
    naive = [seen(table, int(at), max_age) for at in AT]
    np.testing.assert_array_equal(values, [value for value, _ in naive])
    np.testing.assert_array_equal(ages, [age for _, age in naive])


@given(ROWS, ROWS, st.integers(0, 18))
def test_what_is_known_later_changes_nothing(rows: list[Row], later: list[Row], at: int) -> None:
    """Rows known after a moment, added, removed or altered, change no value up to it and no vintage of it."""
    past = [row for row in rows if row[2] <= at]
    future = [(kind, event, known + at + 1, value) for kind, event, known, value in later]
    one, other = context(rows), context(past + future)
    upto = np.arange(-1, at + 1)
    for left, right in zip(as_of(one, upto, KIND), as_of(other, upto, KIND), strict=True):
        np.testing.assert_array_equal(left, right)
    assert vintage(one, at).equals(vintage(other, at))


@given(ROWS, st.randoms(use_true_random=False))
def test_neither_order_of_rows_nor_of_moments_matters(rows: list[Row], random) -> None:
    """A shuffled table and shuffled moments give the same values, shuffled."""
    table = context(rows)
    shuffled = table.take(pa.array(random.sample(range(table.num_rows), table.num_rows), pa.int64()))
    order = np.array(random.sample(range(len(AT)), len(AT)))
    for straight, other in zip(as_of(table, AT, KIND), as_of(shuffled, AT[order], KIND), strict=True):
        np.testing.assert_array_equal(straight[order], other)


@given(ROWS, st.integers(-1, 20))
def test_a_vintage_holds_each_event_once_as_it_was_known(rows: list[Row], at: int) -> None:
    """Of every event known by then, the value of its newest revision known by then; the newest is `as_of`."""
    table = context(rows)
    newest: dict[int, tuple[int, float]] = {}
    for row in sorted(
        zip(
            us(table.column("event_ts_us")).tolist(),
            us(table.column("ts_us")).tolist(),
            table.column("value").to_pylist(),
            strict=True,
        )
    ):
        if row[1] <= at:
            newest[row[0]] = row[1:]
    then = vintage(table, at)
    assert then.schema.equals(table.schema)
    found = zip(
        us(then.column("event_ts_us")).tolist(),
        us(then.column("ts_us")).tolist(),
        then.column("value").to_pylist(),
        strict=True,
    )
    assert [(event, (known, value)) for event, known, value in found] == sorted(newest.items())
    value = as_of(table, np.array([at]), KIND)[0][0]
    assert value == newest[max(newest)][1] if newest else math.isnan(value)


def test_a_late_revision_of_an_old_event_does_not_displace_a_newer_event() -> None:
    """Event 0 is revised at 9, after event 5 became known at 6: at 9 the value is still that of event 5."""
    table = context([(KIND, 0, 1, 10.0), (KIND, 5, 6, 20.0), (KIND, 0, 9, 11.0)])
    values, ages = as_of(table, np.array([0, 1, 6, 9, 30]), KIND)
    np.testing.assert_array_equal(values, [np.nan, 10.0, 20.0, 20.0, 20.0])
    np.testing.assert_array_equal(ages, [np.nan, 1.0, 1.0, 4.0, 25.0])
    assert vintage(table, 9).column("value").to_pylist() == [11.0, 20.0]


def test_a_revision_is_invisible_before_it_was_made() -> None:
    """The first value until one microsecond before the revision became known, the revision from then on."""
    table = context([(KIND, 0, 100, 1000.0), (KIND, 0, 5000, 900.0)])
    values, _ = as_of(table, np.array([99, 100, 4999, 5000]), KIND)
    np.testing.assert_array_equal(values, [np.nan, 1000.0, 1000.0, 900.0])
    assert vintage(table, 4999).column("value").to_pylist() == [1000.0]
    assert vintage(table, 5000).column("value").to_pylist() == [900.0]


def test_an_event_that_becomes_known_late_counts_from_then() -> None:
    """Event 2 becomes known after event 5, which it never displaces; before event 5 was known nothing newer was."""
    table = context([(KIND, 0, 0, 1.0), (KIND, 5, 6, 3.0), (KIND, 2, 8, 2.0)])
    assert as_of(table, np.array([5, 6, 8]), KIND)[0].tolist() == [1.0, 3.0, 3.0]


def test_a_stale_value_is_no_value_but_has_an_age() -> None:
    """Older than allowed: NaN, and the age says by how much; exactly as old as allowed: the value."""
    table = context([(KIND, 0, 0, 1.0)])
    values, ages = as_of(table, np.array([10, 11]), KIND, max_age_us=10)
    np.testing.assert_array_equal(values, [1.0, np.nan])
    assert ages.tolist() == [10.0, 11.0]


@pytest.mark.parametrize("kind", [KIND, "unheard_of"])
def test_without_rows_nothing_is_known(kind: str) -> None:
    """An empty table, or a kind that is not in it: NaN everywhere, for any number of moments."""
    table = context([("funding_rate", 0, 0, 1.0)])
    assert np.isnan(as_of(table, AT, kind)).all()
    assert as_of(table, AT[:0], kind)[0].shape == (0,)
    assert vintage(context([]), 5).num_rows == 0


def test_every_liquidation_is_in_a_vintage() -> None:
    """Events of their own do not replace one another."""
    rows = [("liquidated_long", 0, 1, 5.0), ("liquidated_long", 0, 1, 6.0), ("liquidated_long", 0, 3, 7.0)]
    assert vintage(context(rows), 2).column("value").to_pylist() == [5.0, 6.0]
