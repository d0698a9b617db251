"""Bars by day: the same from any day on, and no more built than what changed."""

import datetime as dt
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalper_ml.bars.builder import BarBuilder
from scalper_ml.bars.days import DayBars, build_days, rebuild_days
from scalper_ml.bars.spec import KINDS, BarKind, BarSpec
from scalper_ml.errors import ContractError
from scalper_ml.schema import BARS, TICKS, stamps

MINUTE = 60_000_000
DAY = 1_440 * MINUTE
FIRST = dt.date(2024, 2, 27)  # the third day is a leap day
SIZES: dict[str, float] = {
    "time": 90 * MINUTE, "tick": 7, "volume": 30.0, "dollar": 3_000.0,
    "tick_imbalance": 3, "volume_imbalance": 20.0, "dollar_imbalance": 2_000.0,
}  # fmt: skip


def day_of(seed: int, day: int, trades: int) -> tuple[str, pa.Table]:
    """Ticks of one day; the same for the same seed."""
    rng = np.random.default_rng([seed, day])
    date = FIRST + dt.timedelta(days=day)
    start = (date - dt.date(1970, 1, 1)).days * DAY
    ts_us = start + np.sort(rng.integers(0, DAY, trades))
    columns = [
        stamps(ts_us), 100 + rng.random(trades), rng.pareto(2.0, trades) * 5 + 0.1,
        rng.choice(np.array([-1, 1], np.int8), trades), np.arange(trades) + day * 1_000, ["x"] * trades,
    ]  # fmt: skip
    return date.isoformat(), pa.table(columns, schema=TICKS)


def days_of(seed: int, counts: list[int]) -> list[tuple[str, pa.Table]]:
    return [day_of(seed, day, trades) for day, trades in enumerate(counts)]


def together(parts: list[DayBars]) -> pa.Table:
    return pa.concat_tables([part.bars for part in parts]) if parts else BARS.empty_table()


def same(one: list[DayBars], other: list[DayBars]) -> bool:
    return [(d.day, d.states) for d in one] == [(d.day, d.states) for d in other] and all(
        a.bars.equals(b.bars) for a, b in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 1_000), counts=st.lists(st.integers(0, 40), min_size=1, max_size=5), start=st.integers(0, 4))
def test_a_run_from_any_day_equals_the_full_run(kind: BarKind, seed: int, counts: list[int], start: int) -> None:
    """Started at any day with the saved state, bars and states are those of the whole run and of one batch."""
    spec, days = BarSpec(kind, SIZES[kind]), days_of(seed, counts)
    full = list(build_days(days, spec))
    start = min(start, len(days) - 1)
    state = full[start - 1].states.after if start else None
    assert same(list(build_days(days[start:], spec, state)), full[start:])
    batch = BarBuilder(spec)
    assert together(full).equals(batch.push_ticks(pa.concat_tables([ticks for _, ticks in days])))
    assert full[-1].states.after == batch.state()


@pytest.mark.parametrize("kind", KINDS)
@given(
    seed=st.integers(0, 1_000), counts=st.lists(st.integers(0, 40), min_size=1, max_size=6),
    changed=st.sets(st.integers(0, 5)),
    new=st.sets(st.integers(0, 5), max_size=2), gone=st.sets(st.integers(0, 5), max_size=2),
)  # fmt: skip
def test_a_rebuild_ends_where_a_full_run_ends(
    kind: BarKind, seed: int, counts: list[int], changed: set[int], new: set[int], gone: set[int]
) -> None:
    """Whatever days change, come or go, saved days and rebuilt ones together are the full run over what is there."""
    spec = BarSpec(kind, SIZES[kind])
    before = [day for i, day in enumerate(days_of(seed, counts)) if i not in new]
    now = [day_of(seed + (i in changed), i, trades) for i, trades in enumerate(counts) if i not in gone]
    held = {part.day: part for part in build_days(before, spec)}
    table = dict(now)
    names = {(FIRST + dt.timedelta(days=i)).isoformat() for i in changed}
    for part in rebuild_days(
        table, table.__getitem__, spec, {day: part.states for day, part in held.items()}, names
    ):  # fmt: skip
        held[part.day] = part
    assert same([held[day] for day in sorted(table)], list(build_days(now, spec)))


def test_a_late_trade_costs_its_day_and_the_next() -> None:
    """Of ten days of time bars, a trade that comes late into the fourth has two days read; no change, none."""
    spec, days = BarSpec("time", 60 * MINUTE), dict(days_of(1, [50] * 10))
    saved = {part.day: part.states for part in build_days(days.items(), spec)}
    read = []

    def load(day: str) -> pa.Table:
        read.append(day)
        return days[day]

    assert list(rebuild_days(days, load, spec, saved, set())) == []
    assert read == []
    fourth = sorted(days)[3]
    days[fourth] = day_of(1, 3, 51)[1]
    assert [part.day for part in rebuild_days(days, load, spec, saved, {fourth})] == sorted(days)[3:5] == read


def test_only_one_day_is_held() -> None:
    """A day is asked for only after the bars of the one before were handed out."""
    asked = []

    def source() -> Iterator[tuple[str, pa.Table]]:
        for day in range(4):
            asked.append(day)
            yield day_of(1, day, 20)

    for done, part in enumerate(build_days(source(), 60 * MINUTE), start=1):
        assert len(asked) == done
        assert part.bars.schema.equals(BARS)


def test_days_must_rise_and_refusals_name_the_day() -> None:
    """A repeated day, a state of other bars and a refused trade are contract errors."""
    day = day_of(1, 0, 5)
    with pytest.raises(ContractError, match="'2024-02-27' after '2024-02-27'"):
        list(build_days([day, day], MINUTE))
    with pytest.raises(ContractError, match="'2024-02-27' after '2024-02-28'"):
        list(rebuild_days(["2024-02-28", "2024-02-27"], lambda _: TICKS.empty_table(), MINUTE, {}, set()))
    with pytest.raises(ContractError, match="expected time bars of 60000000"):
        list(build_days([day], MINUTE, BarBuilder(2 * MINUTE).state()))
    with pytest.raises(ContractError, match=r"bars of 2024-02-28: trade 0 .*older than"):
        list(build_days([("2024-02-27", day_of(1, 1, 5)[1]), ("2024-02-28", day[1])], MINUTE))
