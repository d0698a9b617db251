"""Trades to bars: by hand, against a naive loop, and the same for every chunking."""

import itertools
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalper_ml.bars.builder import BarBuilder, build_bars
from scalper_ml.errors import ContractError
from scalper_ml.schema import BARS, TICKS, stamps, us

MINUTE = 60_000_000
Trade = tuple[int, float, float, int, int]


def naive_bars(trades: list[Trade], interval_us: int) -> list[dict[str, Any]]:
    """Bars by collecting each interval's trades and looking at them; shares nothing with the kernel."""
    buckets: dict[int, list[Trade]] = {}
    for trade in trades:
        buckets.setdefault(trade[0] - trade[0] % interval_us, []).append(trade)
    bars = []
    previous = None
    for start in sorted(buckets):
        inside = buckets[start]
        prices = [trade[1] for trade in inside]
        volume = quote = bought = sold = 0.0
        for _, price, qty, side, _ in inside:
            volume += qty
            quote += price * qty
            bought += qty if side == 1 else 0.0
            sold += qty if side == -1 else 0.0
        ids = [None if trade[4] == -1 else trade[4] for trade in inside]
        bars.append({
            "open_ts_us": start, "ts_us": start + interval_us, "open": prices[0], "high": max(prices),
            "low": min(prices), "close": prices[-1], "volume": volume, "quote_volume": quote, "trades": len(inside),
            "buy_trades": sum(trade[3] == 1 for trade in inside), "buy_volume": bought, "sell_volume": sold,
            "vwap": quote / volume, "first_trade_id": ids[0], "last_trade_id": ids[-1],
            "gap": 0 if previous is None else (start - previous) // interval_us - 1, "revision": 0,
        })  # fmt: skip
        previous = start
    return bars


def rows(bars: pa.Table) -> list[dict[str, Any]]:
    """Bars as dicts with stamps in integer microseconds."""
    plain = bars.drop(["open_ts_us", "ts_us"]).to_pylist()
    opened, closed = us(bars["open_ts_us"]).tolist(), us(bars["ts_us"]).tolist()
    return [{"open_ts_us": o, "ts_us": c, **row} for o, c, row in zip(opened, closed, plain, strict=True)]


def arrays(trades: list[Trade]) -> tuple[np.ndarray, ...]:
    ts_us, price, qty, side, trade_id = zip(*trades, strict=True) if trades else ((), (), (), (), ())
    return (
        np.array(ts_us, np.int64), np.array(price, float), np.array(qty, float), np.array(side, np.int8),
        np.array(trade_id, np.int64),
    )  # fmt: skip


def push(builder: BarBuilder, trades: list[Trade]) -> list[dict[str, Any]]:
    return rows(builder.push(*arrays(trades)))


@st.composite
def tapes(draw: st.DrawFn) -> list[Trade]:
    """Up to 80 trades in time order, with equal stamps, jumps over whole intervals, and trades on the boundary."""
    start = draw(st.integers(-3, 3)) * MINUTE
    steps = draw(st.lists(st.sampled_from([0, 0, 1, 999_999, 20_000_000, MINUTE, 5 * MINUTE + 1]), max_size=80))
    stamp = start
    trades = []
    for i, step in enumerate(steps):
        stamp += step
        price = draw(st.floats(0.01, 1e6, allow_subnormal=False))
        qty = draw(st.floats(1e-6, 1e6, allow_subnormal=False))
        trades.append((stamp, price, qty, draw(st.sampled_from([-1, 1])), draw(st.sampled_from([i, -1]))))
    return trades


def test_bars_worked_by_hand() -> None:
    """Four trades, two of the same stamp and one on the boundary, give two bars with an empty minute between."""
    trades: list[Trade] = [
        (10, 100.0, 1.0, 1, 7), (10, 98.0, 2.0, -1, 8), (MINUTE - 1, 99.0, 1.0, 1, 9), (2 * MINUTE, 101.0, 0.5, -1, 10)
    ]  # fmt: skip
    builder = BarBuilder(MINUTE)
    first = push(builder, trades)
    assert first == [{
        "open_ts_us": 0, "ts_us": MINUTE, "open": 100.0, "high": 100.0, "low": 98.0, "close": 99.0, "volume": 4.0,
        "quote_volume": 395.0, "trades": 3, "buy_trades": 2, "buy_volume": 2.0, "sell_volume": 2.0, "vwap": 98.75,
        "first_trade_id": 7, "last_trade_id": 9, "gap": 0, "revision": 0,
    }]  # fmt: skip
    (last,) = rows(builder.finish())
    assert (last["open_ts_us"], last["gap"], last["trades"], last["close"]) == (2 * MINUTE, 1, 1, 101.0)


@given(tapes())
def test_bars_equal_a_naive_loop(trades: list[Trade]) -> None:
    """Every column of every bar is what collecting the interval's trades by hand gives, to the bit."""
    builder = BarBuilder(MINUTE)
    assert push(builder, trades) + rows(builder.finish()) == naive_bars(trades, MINUTE)


@given(tapes(), st.lists(st.integers(0, 80), max_size=6))
def test_any_chunking_and_restart_gives_the_same_bits(trades: list[Trade], cuts: list[int]) -> None:
    """Batch, any chunks with the state saved and restored between them, and single trades agree to the bit."""
    whole = BarBuilder(MINUTE)
    expected = push(whole, trades)

    resumed, state = [], BarBuilder(MINUTE).state()
    edges = [0, *sorted(min(cut, len(trades)) for cut in cuts), len(trades)]
    for begin, end in itertools.pairwise(edges):
        builder = BarBuilder.from_state(MINUTE, state)
        resumed += push(builder, trades[begin:end])
        state = builder.state()

    single = BarBuilder(MINUTE)
    online = [bar for trade in trades if (bar := single.push_one(*trade)) is not None]

    assert resumed == expected
    assert online == expected
    assert whole.state() == single.state() == state
    assert whole.finish().equals(single.finish())


def test_large_batches_cross_the_internal_block() -> None:
    """200,000 trades in one push equal the same trades pushed in uneven parts, sums included."""
    rng = np.random.default_rng(1)
    n = 200_000
    ts_us = np.sort(rng.integers(0, 3_000 * MINUTE, n))
    columns = (ts_us, 100 + rng.random(n), rng.pareto(2.0, n) + 0.1, rng.choice(np.array([-1, 1], np.int8), n))
    whole, parts = BarBuilder(MINUTE), BarBuilder(MINUTE)
    expected = whole.push(*columns)
    edges = [0, 1, 65_535, 65_536, 65_537, 131_072, 199_999, n]
    pieces = [parts.push(*(c[b:e] for c in columns)) for b, e in itertools.pairwise(edges)]
    assert pa.concat_tables(pieces).equals(expected)
    assert whole.state() == parts.state()


def test_a_bar_never_changes_when_trades_are_appended() -> None:
    """Bars closed by a prefix of the tape are the first bars of the whole tape: no bar looks ahead."""
    rng = np.random.default_rng(2)
    trades: list[Trade] = [
        (int(t), float(p), 1.0, 1, -1)
        for t, p in zip(np.sort(rng.integers(0, 50 * MINUTE, 400)), 100 + rng.random(400), strict=True)
    ]
    whole = push(BarBuilder(MINUTE), trades)
    for cut in range(0, 400, 37):
        part = push(BarBuilder(MINUTE), trades[:cut])
        assert part == whole[: len(part)]


def test_build_bars_drives_the_same_kernel_over_a_table() -> None:
    """`build_bars` over two tables with the state carried equals a naive loop over all trades."""
    trades: list[Trade] = [(i * 7_000_000, 100.0 + i % 5, 1.5, 1 if i % 3 else -1, i) for i in range(100)]

    def table(part: list[Trade]) -> pa.Table:
        ts_us, price, qty, side, trade_id = arrays(part)
        return pa.table([stamps(ts_us), price, qty, side, trade_id, ["x"] * len(part)], schema=TICKS)

    one, state = build_bars(table(trades[:33]), MINUTE)
    two, state = build_bars(table(trades[33:]), MINUTE, state)
    last = BarBuilder.from_state(MINUTE, state).finish()
    assert rows(pa.concat_tables([one, two, last])) == naive_bars(trades, MINUTE)
    assert one.schema.equals(BARS)


def test_no_trades_no_bars() -> None:
    """An empty push and the finish of an unused builder give empty tables of the bars schema."""
    builder = BarBuilder(MINUTE)
    assert push(builder, []) == []
    assert builder.finish().equals(BARS.empty_table())
    assert build_bars(TICKS.empty_table(), MINUTE)[0].schema.equals(BARS)


def test_an_older_trade_is_refused_and_changes_nothing() -> None:
    """A trade older than the open bar is a ContractError that names it; the whole push is undone."""
    builder = BarBuilder(MINUTE)
    builder.push_one(5 * MINUTE, 100.0, 1.0, 1)
    before = builder.state()
    late: list[Trade] = [(5 * MINUTE + 1, 1.0, 1.0, 1, 3), (7 * MINUTE, 1.0, 1.0, 1, 4), (6 * MINUTE, 1.0, 1.0, 1, 5)]
    with pytest.raises(ContractError, match=r"trade 2 \(id 5, ts_us 360000000\): older than"):
        push(builder, late)
    assert builder.state() == before
    with pytest.raises(ContractError, match="older than the start of the open bar"):
        builder.push_one(5 * MINUTE - 1, 100.0, 1.0, 1)
    assert builder.state() == before


def test_a_finished_bar_is_not_opened_again() -> None:
    """After `finish`, a trade of the finished interval is refused and one of the next is counted without a gap."""
    builder = BarBuilder(MINUTE)
    builder.push_one(10, 100.0, 1.0, 1)
    builder.finish()
    with pytest.raises(ContractError, match="end of the last closed bar"):
        builder.push_one(20, 100.0, 1.0, 1)
    builder.push_one(MINUTE, 100.0, 1.0, 1)
    assert builder.finish()["gap"].to_pylist() == [0]


def test_a_finished_builder_carries_nothing_of_its_last_bar() -> None:
    """After `finish` the state depends on when the last bar was, not on what was traded in it."""
    one, other = BarBuilder(MINUTE), BarBuilder(MINUTE)
    push(one, [(10, 100.0, 1.0, 1, 7), (MINUTE, 98.0, 2.0, -1, 8)])
    push(other, [(MINUTE + 5, 3.0, 4.0, 1, -1)])
    assert one.state() != other.state()
    one.finish(), other.finish()
    assert one.state() == other.state()


@pytest.mark.parametrize(
    ("price", "qty", "side", "found"),
    [
        (float("nan"), 1.0, 1, "price nan"), (0.0, 1.0, 1, "price 0.0"), (-1.0, 1.0, 1, "price -1.0"),
        (float("inf"), 1.0, 1, "price inf"), (1.0, 0.0, 1, "qty 0.0"), (1.0, float("nan"), 1, "qty nan"),
        (1.0, 1.0, 0, "side 0"), (1.0, 1.0, 2, "side 2"),
    ],
)  # fmt: skip
def test_a_value_no_trade_has_is_refused(price: float, qty: float, side: int, found: str) -> None:
    """NaN, zero, negative and infinite prices and quantities and unknown sides never reach a bar."""
    with pytest.raises(ContractError, match=found):
        BarBuilder(MINUTE).push_one(0, price, qty, side)
    with pytest.raises(ContractError, match=f"trade 1 .*{found}"):
        push(BarBuilder(MINUTE), [(0, 1.0, 1.0, 1, -1), (1, price, qty, side, -1)])


def test_a_state_of_another_kind_is_refused() -> None:
    """States of another interval, cut short or of other bytes are refused, naming both sides."""
    state = BarBuilder(MINUTE).state()
    with pytest.raises(ContractError, match="of time bars of 60000000, expected time bars of 300000000"):
        BarBuilder.from_state(5 * MINUTE, state)
    with pytest.raises(ContractError, match=f"{len(state) - 1} bytes"):
        BarBuilder.from_state(MINUTE, state[:-1])
    with pytest.raises(ContractError, match="bar state"):
        BarBuilder.from_state(MINUTE, bytes(len(state)))


def test_columns_of_unequal_length_and_bad_intervals_are_refused() -> None:
    """A push of unequal columns and a builder without a positive interval are contract errors."""
    ts_us, price, qty, side, trade_id = arrays([(0, 1.0, 1.0, 1, -1)])
    with pytest.raises(ContractError, match=r"columns of \[1, 1, 0, 1, 1\] rows"):
        BarBuilder(MINUTE).push(ts_us, price, qty[:0], side, trade_id)
    with pytest.raises(ContractError, match="size 0; expected a positive whole number of microseconds"):
        BarBuilder(0)
