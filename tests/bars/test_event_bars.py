"""Event bars: by hand, against a naive loop for every kind, the same for every chunking, and refusals."""

import itertools
import math
import tracemalloc
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from realdata import real_data

from scalper_ml.bars.builder import BarBuilder
from scalper_ml.bars.spec import KINDS, BarKind, BarSpec
from scalper_ml.errors import ContractError
from scalper_ml.ingest import read_ticks
from scalper_ml.schema import BARS, us

MINUTE = 60_000_000
EVENTS = [kind for kind in KINDS if kind != "time"]
SIZES: dict[str, float] = {
    "time": MINUTE, "tick": 4, "volume": 50.0, "dollar": 3_000.0,
    "tick_imbalance": 3, "volume_imbalance": 40.0, "dollar_imbalance": 2_500.0,
}  # fmt: skip
Trade = tuple[int, float, float, int, int]


def naive_event_bars(trades: list[Trade], kind: str, size: float) -> list[dict[str, Any]]:
    """Bars by taking trades into a list until the rule holds for the list; shares nothing with the kernel."""
    bars, inside = [], []
    for trade in trades:
        inside.append(trade)
        worth = {
            "tick": [1.0 for _ in inside],
            "volume": [q for _, _, q, _, _ in inside],
            "dollar": [p * q for _, p, q, _, _ in inside],
            "tick_imbalance": [float(s) for _, _, _, s, _ in inside],
            "volume_imbalance": [s * q for _, _, q, s, _ in inside],
            "dollar_imbalance": [s * (p * q) for _, p, q, s, _ in inside],
        }[kind]
        total = 0.0
        for value in worth:
            total += value
        if abs(total) >= size:
            bars.append(naive_bar(inside))
            inside = []
    return bars


def naive_bar(inside: list[Trade]) -> dict[str, Any]:
    prices = [trade[1] for trade in inside]
    volume = quote = bought = sold = 0.0
    for _, price, qty, side, _ in inside:
        volume += qty
        quote += price * qty
        bought += qty if side == 1 else 0.0
        sold += qty if side == -1 else 0.0
    ids = [None if trade[4] == -1 else trade[4] for trade in inside]
    return {
        "open_ts_us": inside[0][0], "ts_us": inside[-1][0], "open": prices[0], "high": max(prices),
        "low": min(prices), "close": prices[-1], "volume": volume, "quote_volume": quote, "trades": len(inside),
        "buy_trades": sum(trade[3] == 1 for trade in inside), "buy_volume": bought, "sell_volume": sold,
        "vwap": quote / volume, "first_trade_id": ids[0], "last_trade_id": ids[-1], "gap": 0, "revision": 0,
    }  # fmt: skip


def rows(bars: pa.Table) -> list[dict[str, Any]]:
    """Bars as dicts with stamps in integer microseconds."""
    plain = bars.drop(["open_ts_us", "ts_us"]).to_pylist()
    opened, closed = us(bars["open_ts_us"]).tolist(), us(bars["ts_us"]).tolist()
    return [{"open_ts_us": o, "ts_us": c, **row} for o, c, row in zip(opened, closed, plain, strict=True)]


def push(builder: BarBuilder, trades: list[Trade]) -> list[dict[str, Any]]:
    ts_us, price, qty, side, trade_id = zip(*trades, strict=True) if trades else ((), (), (), (), ())
    return rows(
        builder.push(
            np.array(ts_us, np.int64), np.array(price, float), np.array(qty, float), np.array(side, np.int8),
            np.array(trade_id, np.int64),
        )
    )  # fmt: skip


@st.composite
def tapes(draw: st.DrawFn) -> list[Trade]:
    """Up to 80 trades in time order, many at one stamp, a few larger than any bar."""
    stamp, trades = draw(st.integers(-3, 3)) * MINUTE, []
    for i, step in enumerate(draw(st.lists(st.sampled_from([0, 0, 1, 20_000_000, 5 * MINUTE]), max_size=80))):
        stamp += step
        price = draw(st.floats(50.0, 150.0))
        qty = draw(st.one_of(st.floats(0.01, 30.0), st.just(500.0)))
        trades.append((stamp, price, qty, draw(st.sampled_from([-1, 1])), draw(st.sampled_from([i, -1]))))
    return trades


def test_volume_bars_worked_by_hand() -> None:
    """The trade that reaches the size is in the bar it ends, whole; the next bar starts from zero."""
    trades: list[Trade] = [
        (5, 10.0, 1.0, 1, 1), (6, 12.0, 1.5, -1, 2), (6, 11.0, 9.0, 1, 3), (6, 9.0, 1.0, -1, 4), (8, 9.5, 1.0, 1, 5)
    ]  # fmt: skip
    builder = BarBuilder(BarSpec("volume", 2.0))
    first, second, third = push(builder, trades)
    assert first == {
        "open_ts_us": 5, "ts_us": 6, "open": 10.0, "high": 12.0, "low": 10.0, "close": 12.0, "volume": 2.5,
        "quote_volume": 28.0, "trades": 2, "buy_trades": 1, "buy_volume": 1.0, "sell_volume": 1.5, "vwap": 11.2,
        "first_trade_id": 1, "last_trade_id": 2, "gap": 0, "revision": 0,
    }  # fmt: skip
    assert (second["volume"], second["trades"], second["first_trade_id"], second["last_trade_id"]) == (9.0, 1, 3, 3)
    assert (third["volume"], third["open_ts_us"], third["ts_us"]) == (2.0, 6, 8)
    assert builder.finish().num_rows == 0


def test_imbalance_bars_worked_by_hand() -> None:
    """Buys and sells cancel; the bar ends when either side is ahead by the size."""
    sides = [1, -1, 1, 1, -1, -1, -1, 1, 1, 1, -1]
    trades: list[Trade] = [(i, 1.0, 1.0, side, i) for i, side in enumerate(sides)]
    bars = push(BarBuilder(BarSpec("tick_imbalance", 2)), trades)
    assert [(bar["first_trade_id"], bar["last_trade_id"]) for bar in bars] == [(0, 3), (4, 5), (6, 9)]
    assert [bar["buy_trades"] - (bar["trades"] - bar["buy_trades"]) for bar in bars] == [2, -2, 2]


@pytest.mark.parametrize("kind", EVENTS)
@given(trades=tapes())
def test_event_bars_equal_a_naive_loop(kind: BarKind, trades: list[Trade]) -> None:
    """Every column of every bar is what collecting trades until the rule holds gives, to the bit."""
    assert push(BarBuilder(BarSpec(kind, SIZES[kind])), trades) == naive_event_bars(trades, kind, SIZES[kind])


@pytest.mark.parametrize("kind", KINDS)
@given(trades=tapes(), cuts=st.lists(st.integers(0, 80), max_size=6))
def test_every_kind_is_the_same_for_any_chunking(kind: BarKind, trades: list[Trade], cuts: list[int]) -> None:
    """Batch, chunks with the state saved and restored between them, and single trades agree to the bit."""
    spec = BarSpec(kind, SIZES[kind])
    whole = BarBuilder(spec)
    expected = push(whole, trades)
    resumed, state = [], BarBuilder(spec).state()
    for begin, end in itertools.pairwise([0, *sorted(min(cut, len(trades)) for cut in cuts), len(trades)]):
        builder = BarBuilder.from_state(spec, state)
        resumed += push(builder, trades[begin:end])
        state = builder.state()
    single = BarBuilder(spec)
    online = [bar for trade in trades if (bar := single.push_one(*trade)) is not None]
    assert resumed == expected
    assert online == expected
    assert whole.state() == single.state() == state
    assert whole.finish().equals(single.finish())
    assert whole.state() == single.state()


@pytest.mark.parametrize("kind", KINDS)
def test_long_tapes_outgrow_the_buffers_without_a_change(kind: BarKind) -> None:
    """100,000 trades in one push equal the same in uneven parts, past the blocks and the room for bars."""
    rng = np.random.default_rng(5)
    n = 100_000
    columns = (
        np.sort(rng.integers(0, 20_000 * MINUTE, n)), 100 + rng.random(n), rng.pareto(2.0, n) * 8 + 0.1,
        rng.choice(np.array([-1, 1], np.int8), n), np.arange(n),
    )  # fmt: skip
    whole, parts = BarBuilder(BarSpec(kind, SIZES[kind])), BarBuilder(BarSpec(kind, SIZES[kind]))
    expected = whole.push(*columns)
    assert expected.num_rows > 5_000
    edges = [0, 1, 2_047, 2_048, 2_049, 65_536, 99_999, n]
    pieces = [parts.push(*(column[b:e] for column in columns)) for b, e in itertools.pairwise(edges)]
    assert pa.concat_tables(pieces).equals(expected)
    assert whole.state() == parts.state()
    assert expected.schema.equals(BARS)


@pytest.mark.parametrize("kind", EVENTS)
def test_no_event_bar_changes_when_trades_are_appended(kind: BarKind) -> None:
    """Bars of a prefix are the first bars of the whole tape, each known with the trade that ends it."""
    rng = np.random.default_rng(8)
    trades: list[Trade] = [
        (int(t), 100 + float(u), float(q), int(s), i)
        for i, (t, u, q, s) in enumerate(
            zip(np.sort(rng.integers(0, MINUTE, 300)), rng.random(300), rng.pareto(2.0, 300) * 8 + 0.1,
                rng.choice([-1, 1], 300), strict=True)
        )
    ]  # fmt: skip
    whole = push(BarBuilder(BarSpec(kind, SIZES[kind])), trades)
    assert len(whole) > 10
    for bar in whole:
        until = push(BarBuilder(BarSpec(kind, SIZES[kind])), trades[: bar["last_trade_id"] + 1])
        assert until[-1] == bar


def test_real_trades_in_tick_and_volume_bars() -> None:
    """XRP/ETH: tick bars are the rows of the file in groups, as polars groups them; volume bars lose no trade."""
    ticks = read_ticks(real_data("ticks/binance_spot_XRPETH_2019-10-11/XRP_OLD-trades.json.gz"), symbol="XRPETH").ticks
    bars = BarBuilder(BarSpec("tick", 100)).push_ticks(ticks)
    frame = pl.DataFrame({name: ticks[name].to_numpy() for name in ("price", "qty", "trade_id")}).with_row_index()
    expected = (
        frame.group_by(pl.col("index") // 100, maintain_order=True)
        .agg(
            pl.col("price").first().alias("open"), pl.col("price").max().alias("high"),
            pl.col("price").min().alias("low"), pl.col("price").last().alias("close"),
            pl.col("trade_id").last(), pl.col("qty").sum(), pl.len(),
        )
        .filter(pl.col("len") == 100)
    )  # fmt: skip
    assert bars.num_rows == len(expected) == 12_477 // 100
    for name in ("open", "high", "low", "close"):
        assert bars[name].to_pylist() == expected[name].to_list(), name
    assert bars["last_trade_id"].to_pylist() == expected["trade_id"].to_list()
    assert np.allclose(bars["volume"].to_numpy(), expected["qty"].to_numpy(), rtol=1e-14, atol=0)

    builder = BarBuilder(BarSpec("volume", 10_000.0))
    volumes = pa.concat_tables([builder.push_ticks(ticks), builder.finish()])
    assert sum(volumes["trades"].to_pylist()) == 12_477
    assert math.isclose(sum(volumes["volume"].to_pylist()), math.fsum(ticks["qty"].to_pylist()), rel_tol=1e-12)
    assert min(volumes["volume"].to_pylist()[:-1]) >= 10_000.0


@pytest.mark.parametrize("kind", ["minute", "second", "week"])
def test_time_bars_are_those_of_polars(kind: str) -> None:
    """Starts, OHLC, counts and volumes of time bars are those of polars' own grouping, weeks on Mondays."""
    interval_us, every = {"minute": (MINUTE, "1m"), "second": (1_000_000, "1s"), "week": (10_080 * MINUTE, "1w")}[kind]
    rng = np.random.default_rng(9)
    n = 30_000
    span = {"minute": 2_000 * MINUTE, "second": 20_000 * 1_000_000, "week": 300 * 1_440 * MINUTE}[kind]
    ts_us = 1_703_980_800_000_000 + np.sort(rng.integers(0, span, n))
    price, qty = 100 + rng.random(n), rng.integers(1, 100, n) / 8
    side = rng.choice(np.array([-1, 1], np.int8), n)
    builder = BarBuilder(interval_us)
    bars = pa.concat_tables([builder.push(ts_us, price, qty, side), builder.finish()])
    frame = pl.DataFrame({"ts": ts_us, "price": price, "qty": qty, "side": side}).with_columns(
        pl.col("ts").cast(pl.Datetime("us"))
    )
    found = frame.group_by_dynamic("ts", every=every).agg(
        pl.col("price").first().alias("open"), pl.col("price").max().alias("high"), pl.col("price").min().alias("low"),
        pl.col("price").last().alias("close"), pl.col("qty").sum().alias("volume"), pl.len().alias("trades"),
        (pl.col("side") == 1).sum().alias("buy_trades"),
        pl.col("qty").filter(pl.col("side") == 1).sum().alias("buy_volume"),
    )  # fmt: skip
    assert us(bars["open_ts_us"]).tolist() == found["ts"].cast(pl.Int64).to_list()
    for name in ("open", "high", "low", "close", "volume", "trades", "buy_trades", "buy_volume"):
        assert bars[name].to_pylist() == found[name].to_list(), name  # eighths: sums are exact in any order


def test_an_older_trade_ends_no_event_bar() -> None:
    """A trade older than the one before is refused by name, and the push is undone."""
    builder = BarBuilder(BarSpec("tick", 2))
    builder.push_one(5, 1.0, 1.0, 1)
    before = builder.state()
    with pytest.raises(ContractError, match=r"trade 2 \(id 9, ts_us 6\): older than the trade before"):
        push(builder, [(6, 1.0, 1.0, 1, 7), (7, 1.0, 1.0, 1, 8), (6, 1.0, 1.0, 1, 9)])
    assert builder.state() == before
    with pytest.raises(ContractError, match="older than the trade before"):
        builder.push_one(4, 1.0, 1.0, 1)
    builder.finish()
    with pytest.raises(ContractError, match="older than the trade before"):
        builder.push_one(4, 1.0, 1.0, 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wrong", [math.nan, -math.nan, math.inf, -math.inf, 0.0, -0.0, -5e-324])
def test_no_value_that_no_trade_has_gets_in(kind: BarKind, wrong: float) -> None:
    """Whatever the row and the kind, a wrong price or quantity is refused by row; so is a side that is neither."""
    n = 3_000
    good = (np.arange(n), np.full(n, 2.0), np.full(n, 3.0), np.ones(n, np.int8), np.arange(n))
    wrongs = ((1, wrong, "price"), (2, wrong, "qty"), (3, 0, "side 0"), (3, -128, "side -128"))
    for row, (column, value, said) in itertools.product((0, 2_047, 2_048, n - 1), wrongs):
        columns = [values.copy() for values in good]
        columns[column][row] = value
        builder = BarBuilder(BarSpec(kind, SIZES[kind]))
        with pytest.raises(ContractError, match=rf"trade {row} \(id {row}, ts_us {row}\): .*{said}"):
            builder.push(*columns)
        assert builder.state() == BarBuilder(BarSpec(kind, SIZES[kind])).state()


def test_the_smallest_and_greatest_floats_are_prices() -> None:
    """Subnormal and huge prices are positive and finite: they make bars."""
    (bar,) = push(BarBuilder(BarSpec("tick", 2)), [(0, 5e-324, 1.0, 1, -1), (0, 1.7976931348623157e308, 1.0, -1, -1)])
    assert (bar["low"], bar["high"]) == (5e-324, 1.7976931348623157e308)


def test_columns_may_be_read_only_strided_or_of_other_types() -> None:
    """Read-only, strided and narrower columns give the bars of plain ones, and are not changed."""
    n = 500
    rng = np.random.default_rng(3)
    plain = (
        np.arange(n) * 1_000_000, 100 + rng.integers(0, 64, n) / 8, rng.integers(1, 9, n) / 2,
        rng.choice(np.array([-1, 1], np.int8), n), np.arange(n),
    )  # fmt: skip
    expected = BarBuilder(MINUTE).push(*plain)
    frozen = [column.copy() for column in plain]
    for column in frozen:
        column.flags.writeable = False
    strided = [np.repeat(column, 2)[::2] for column in plain]
    narrow = [plain[0], plain[1].astype(np.float32), plain[2].astype(np.float32), plain[3].astype(np.int64), plain[4]]
    for columns in (frozen, strided, narrow):
        assert BarBuilder(MINUTE).push(*columns).equals(expected)
    assert all(column.flags.writeable for column in plain)
    unknown = BarBuilder(MINUTE).push(*plain[:4])
    assert unknown["first_trade_id"].null_count == unknown.num_rows
    assert unknown.drop(["first_trade_id", "last_trade_id"]).equals(expected.drop(["first_trade_id", "last_trade_id"]))


def test_columns_of_the_right_type_are_not_copied() -> None:
    """A push of 17 MB of read-only columns allocates less than one of them: bars and nothing else."""
    n = 500_000
    columns = (np.arange(n) * 1_000_000, np.full(n, 2.0), np.full(n, 3.0), np.ones(n, np.int8), np.arange(n))
    for column in columns:
        column.flags.writeable = False
    builder = BarBuilder(60 * MINUTE)
    builder.push(*(column[:1] for column in columns))
    tracemalloc.start()
    builder.push(*(column[1:] for column in columns))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 250_000


@pytest.mark.parametrize(
    ("kind", "size", "said"),
    [
        ("tick", 0, "whole number of trades"), ("tick", 2.5, "whole number of trades"),
        ("time", 0.5, "whole number of microseconds"), ("time", -1, "whole number of microseconds"),
        ("volume", 0.0, "positive, finite"), ("dollar", math.nan, "positive, finite"),
        ("volume_imbalance", math.inf, "positive, finite"), ("runs", 1, "no such kind; expected one of"),
    ],
)  # fmt: skip
def test_a_rule_that_makes_no_bars_is_refused(kind: Any, size: float, said: str) -> None:
    """Unknown kinds and sizes that are not positive, finite or, where it counts, whole."""
    with pytest.raises(ContractError, match=said):
        BarSpec(kind, size)


def test_a_state_belongs_to_one_rule() -> None:
    """A state of another kind or size, or one that names no kind at all, is refused with both sides."""
    state = BarBuilder(BarSpec("volume", 2.5)).state()
    assert len(state) == 160
    with pytest.raises(ContractError, match=r"of volume bars of 2\.5, expected dollar bars of 2\.5"):
        BarBuilder.from_state(BarSpec("dollar", 2.5), state)
    with pytest.raises(ContractError, match=r"of volume bars of 2\.5, expected volume bars of 3"):
        BarBuilder.from_state(BarSpec("volume", 3), state)
    with pytest.raises(ContractError, match="of 77 bars"):
        BarBuilder.from_state(BarSpec("volume", 2.5), state[:8] + (77).to_bytes(8, "little") + state[16:])
