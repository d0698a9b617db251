"""Revisions: counted where a published bar changed, and nowhere else."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalper_ml.bars.builder import BarBuilder
from scalper_ml.bars.revise import revise
from scalper_ml.bars.spec import BarSpec
from scalper_ml.errors import ContractError
from scalper_ml.schema import BARS

MINUTE = 60_000_000
Trade = tuple[int, float, float, int, int]


def bars_of(trades: list[Trade], spec: BarSpec | int = MINUTE) -> pa.Table:
    builder = BarBuilder(spec)
    closed = [
        builder.push(
            np.array([t for t, *_ in trades], np.int64), np.array([t[1] for t in trades], float),
            np.array([t[2] for t in trades], float), np.array([t[3] for t in trades], np.int8),
            np.array([t[4] for t in trades], np.int64),
        )
    ]  # fmt: skip
    return pa.concat_tables([*closed, builder.finish()])


def tape(minutes: list[int]) -> list[Trade]:
    return [(minute * MINUTE + 5, 100.0 + minute, 1.0, 1, minute) for minute in minutes]


def test_a_late_trade_revises_its_bar_alone() -> None:
    """Of three published bars, the one that a late trade falls into is revised once; a second late trade, twice."""
    first = bars_of(tape([0, 1, 2]))
    late: list[Trade] = sorted([*tape([0, 1, 2]), (MINUTE + 9, 101.0, 2.0, -1, 7)])
    second = revise(first, bars_of(late))
    assert second["revision"].to_pylist() == [0, 1, 0]
    assert second.drop(["revision"]).equals(bars_of(late).drop(["revision"]))
    later: list[Trade] = sorted([*late, (MINUTE + 11, 102.0, 2.0, -1, 8), (2 * MINUTE + 11, 1.0, 1.0, 1, 9)])
    assert revise(second, bars_of(later))["revision"].to_pylist() == [0, 2, 1]


def test_a_late_trade_in_an_empty_minute_revises_the_gap_after_it() -> None:
    """A bar that appears is new, revision 0; the bar after it had a gap that is gone: revised."""
    found = revise(bars_of(tape([0, 3, 4])), bars_of(tape([0, 1, 3, 4])))
    assert found["gap"].to_pylist() == [0, 0, 1, 0]
    assert found["revision"].to_pylist() == [0, 0, 1, 0]


def test_a_value_that_becomes_known_is_a_revision() -> None:
    """Null to value and value to null are changes, null to null is none."""
    known = bars_of(tape([0, 1]))
    unknown = bars_of([(t, p, q, s, -1) for t, p, q, s, _ in tape([0, 1])])
    assert unknown["first_trade_id"].null_count == 2
    assert revise(unknown, known)["revision"].to_pylist() == [1, 1]
    assert revise(known, unknown)["revision"].to_pylist() == [1, 1]
    assert revise(unknown, unknown)["revision"].to_pylist() == [0, 0]


@pytest.mark.parametrize("column", [name for name in BARS.names if name not in ("open_ts_us", "revision")])
def test_every_column_counts(column: str) -> None:
    """A change of any one value of a bar is a revision."""
    bars = bars_of(tape([0, 1, 2]))
    values = bars[column].to_pylist()
    values[1] += dt.timedelta(microseconds=1) if column == "ts_us" else 1
    at = BARS.get_field_index(column)
    changed = bars.set_column(at, BARS.field(column), pa.array(values, BARS.field(column).type))
    assert revise(bars, changed)["revision"].to_pylist() == [0, 1, 0]


def test_event_bars_of_one_microsecond_are_told_apart_by_order() -> None:
    """Three bars of one stamp: the second one changed, the others did not."""
    spec = BarSpec("tick", 2)
    trades: list[Trade] = [(5, 10.0 + i, 1.0, 1, i) for i in range(6)]
    other = [*trades[:3], (5, 99.0, 1.0, 1, 3), *trades[4:]]
    assert revise(bars_of(trades, spec), bars_of(other, spec))["revision"].to_pylist() == [0, 1, 0]
    assert revise(bars_of(trades[:4], spec), bars_of(trades, spec))["revision"].to_pylist() == [0, 0, 0]


@given(st.lists(st.tuples(st.sets(st.integers(0, 12)), st.integers(0, 3)), min_size=1, max_size=6))
def test_revisions_count_changes_between_publications(history: list[tuple[set[int], int]]) -> None:
    """Over any history a revision is the number of changes since the bar appeared; publishing again adds none."""
    published = BARS.empty_table()
    counts: dict[int, int] = {}
    values: dict[int, dict] = {}
    for minutes, seed in history:
        bars = bars_of([(t, p + (t // MINUTE * seed) % 3, q, s, i) for t, p, q, s, i in tape(sorted(minutes))])
        published = revise(published, bars)
        plain = {row["open_ts_us"]: row for row in bars.drop(["revision"]).to_pylist()}
        counts = {start: counts[start] + (values[start] != row) if start in counts else 0
                  for start, row in plain.items()}  # fmt: skip
        values = plain
        assert published["revision"].to_pylist() == list(counts.values())
        assert revise(published, bars).equals(published)


def test_tables_out_of_order_are_refused() -> None:
    """Falling starts and a table that is no bars table are contract errors."""
    bars = bars_of(tape([0, 1]))
    with pytest.raises(ContractError, match="published bars: bar 1 starts before bar 0"):
        revise(bars.take([1, 0]), bars)
    with pytest.raises(ContractError, match="bars: columns differ"):
        revise(bars, bars.drop(["gap"]))
