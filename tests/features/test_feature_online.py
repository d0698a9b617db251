"""Ticks in, vectors out: the same bits as the batch."""

import featuredata
import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from realdata import real_data

from scalper_ml.bars.builder import BarBuilder
from scalper_ml.errors import ContractError, FeatureSetError
from scalper_ml.features import INPUT_COLUMNS, OnlineFeatureBuilder, compute, feature_set, inputs_from_bars
from scalper_ml.features.feeds import FEED_COLUMNS
from scalper_ml.schema import INPUT_GROUPS, us

MINUTE = 60_000_000
FS = feature_set(["klines", "trades", "calendar"], reset_after_gap=30)


def trades(n, seed):
    """Trades of about 10 a minute with equal stamps, and a pause that resets the features."""
    rng = np.random.default_rng(seed)
    step = rng.choice([0, 1, 5_000_000, 20_000_000], n)
    step[3 * n // 10] = 45 * MINUTE
    ts = featuredata.START + np.cumsum(step)
    price = np.round(100 * np.exp(np.cumsum(rng.normal(0, 2e-4, n))), 2)
    return ts.astype(np.int64), price, rng.lognormal(0, 1, n), rng.choice([-1, 1], n).astype(np.int8)


def batch(columns, fs=FS):
    builder = BarBuilder(MINUTE)
    bars = pa.concat_tables([builder.push(*columns, np.full(len(columns[0]), -1)), builder.finish()])
    ts = us(bars.column("ts_us"))
    return bars, ts, compute(fs, inputs_from_bars(bars), ts)


def online(columns, restart_at=(), fs=FS):
    builder = OnlineFeatureBuilder(fs, MINUTE)
    rows = []
    for i, (ts, price, qty, side) in enumerate(zip(*(c.tolist() for c in columns), strict=True)):
        if i in restart_at:
            bar_state, feature_state = builder.state()
            builder = OnlineFeatureBuilder(fs, MINUTE, bar_state=bar_state, feature_state=feature_state)
        row = builder.push_tick(ts, price, qty, side)
        if row is not None:
            rows.append(row)
    return [*rows, builder.finish()]


@settings(max_examples=3)
@given(seed=st.integers(0, 100), restart_at=st.sets(st.integers(1, 9_999), max_size=6))
def test_online_equals_batch_bit_for_bit(seed, restart_at):
    """Each vector from ticks, across restarts from bytes and resets, has the bits of the batch row."""
    columns = trades(10_000, seed)
    _, ts, block = batch(columns)
    rows = online(columns, restart_at)
    assert [row.ts_us for row in rows] == ts.tolist()
    assert np.array_equal(np.stack([row.values for row in rows]).view(np.int64), block.values.view(np.int64))
    assert [row.warm for row in rows] == block.warm.tolist()
    assert block.warm.any()


def test_a_feature_state_alone_knows_how_long_ago_it_was():
    """Started from the features of a batch without its bars, the first bar counts those missing since then."""
    columns = trades(12_000, 3)
    for pause in (0, 3 * MINUTE, 100 * MINUTE):
        ts = columns[0].copy()
        ts[9_000:] += pause
        later = [ts, *columns[1:]]
        bars, closes, whole = batch(later)
        at = int(np.searchsorted(closes, ts[9_000], side="right"))
        X = inputs_from_bars(bars)
        builder = OnlineFeatureBuilder(FS, MINUTE, feature_state=compute(FS, X[:at], closes[:at]).state)
        first = int(np.searchsorted(ts, closes[at - 1], side="left"))
        pushed = [builder.push_tick(*(c[i].item() for c in later)) for i in range(first, len(ts))]
        rows = [*(row for row in pushed if row is not None), builder.finish()]
        assert [row.ts_us for row in rows] == closes[at:].tolist()
        assert np.array_equal(
            np.stack([row.values for row in rows]).view(np.int64), whole.values[at:].view(np.int64)
        )
        assert [row.warm for row in rows] == whole.warm[at:].tolist()


def test_a_damaged_feature_state_is_refused():
    """One changed bit anywhere in a state is named; nothing is computed from it."""
    _, _, block = batch(trades(6_000, 3))
    rng = np.random.default_rng(1)
    for place in (*range(0, 40, 3), *rng.integers(40, len(block.state), 20)):
        data = bytearray(block.state)
        data[place] ^= 1 << int(rng.integers(8))
        with pytest.raises(FeatureSetError, match=r"feature state: (damaged|found)"):
            OnlineFeatureBuilder(FS, MINUTE, feature_state=bytes(data))


def test_batch_state_starts_the_live_builder_warm():
    """A builder started from the states of a batch goes on where the batch stopped."""
    columns = trades(12_000, 3)
    _, _, whole = batch(columns)
    history = [c[:9_000] for c in columns]
    builder = BarBuilder(MINUTE)
    bars = builder.push(*history, np.full(9_000, -1))
    state = compute(FS, inputs_from_bars(bars), us(bars.column("ts_us"))).state
    live = OnlineFeatureBuilder(FS, MINUTE, bar_state=builder.state(), feature_state=state)
    pushed = (live.push_tick(*tick) for tick in zip(*(c[9_000:].tolist() for c in columns), strict=True))
    rows = [*(row for row in pushed if row is not None), live.finish()]
    expected = whole.values[bars.num_rows :]
    assert np.array_equal(np.stack([row.values for row in rows]).view(np.int64), expected.view(np.int64))


def test_bars_with_market_context_equal_the_batch():
    """Bars as mappings with the market beside them give the batch rows; names are the order of the vector."""
    fs = feature_set(["klines", "trades", "market", "calendar"], min_ticks=18)
    X, ts = featuredata.ordinary(600, 4), featuredata.stamps_us(600)
    block = compute(fs, X, ts)
    builder = OnlineFeatureBuilder(fs, MINUTE)
    assert builder.names == fs.names
    for i in range(600):
        row = dict(zip(INPUT_COLUMNS, X[i].tolist(), strict=True))
        market = {name: row.pop(name) for name in INPUT_COLUMNS[12:17]}
        got = builder.push_bar(row | {"ts_us": int(ts[i])}, market)
        assert np.array_equal(got.values.view(np.int64), block.values[i].view(np.int64))
        assert got.warm == block.warm[i]


def test_bars_with_feeds_beside_them_equal_the_batch():
    """Bars with what was known of market, book and derivatives at their closes give the batch rows, holes and all."""
    fs = feature_set(INPUT_GROUPS)
    X, ts = featuredata.patchy(600, 4), featuredata.stamps_us(600)
    block = compute(fs, X, ts)
    builder = OnlineFeatureBuilder(fs, MINUTE)
    for i in range(600):
        row = dict(zip(INPUT_COLUMNS, X[i].tolist(), strict=True))
        market = {name: row.pop(name) for name in INPUT_COLUMNS[12:17]}
        context = {name: None if np.isnan(row[name]) else row[name] for name in FEED_COLUMNS}
        bar = {name: row[name] for name in INPUT_COLUMNS[:12]}
        got = builder.push_bar(bar | {"ts_us": int(ts[i])}, market, context)
        assert np.array_equal(got.values.view(np.int64), block.values[i].view(np.int64))
        assert got.warm == block.warm[i]


def test_ticks_take_what_was_known_at_the_close_they_end():
    """The context given with a trade belongs to the bar it ends; that of other trades is not looked at."""
    fs = feature_set(["klines", "quotes", "derivatives"])
    builder = OnlineFeatureBuilder(fs, MINUTE)
    start = featuredata.START
    seen = {"imbalance": 0.25, "quote_age_us": 5.0, "long_short_ratio": 1.0}
    assert builder.push_tick(start, 100.0, 1.0, 1, context={"imbalance": 0.9, "quote_age_us": 5.0}) is None
    row = builder.push_tick(start + MINUTE, 101.0, 1.0, 1, context=seen)
    assert row is not None
    values = dict(zip(fs.names, row.values.tolist(), strict=True))
    assert (values["obi1"], values["ls_ratio"]) == (0.25, 0.0)
    last = builder.finish(context={"imbalance": -0.5, "quote_age_us": 700_000_000.0})
    assert last is not None
    assert np.isnan(last.values[fs.index("obi1")])


def test_late_trade_and_late_bar_are_refused():
    """A trade older than the open bar, and a bar not after the last one, are refused and change nothing."""
    builder = OnlineFeatureBuilder(FS, MINUTE)
    start = featuredata.START
    builder.push_tick(start + MINUTE, 100.0, 1.0, 1)
    with pytest.raises(ContractError, match="older than"):
        builder.push_tick(start, 100.0, 1.0, 1)
    row = builder.push_tick(start + 2 * MINUTE, 101.0, 1.0, 1)
    assert row is not None
    bar = {"open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0, "volume": 1.0, "gap": 0, "ts_us": row.ts_us}
    with pytest.raises(ContractError, match="not after the bar before"):
        builder.push_bar(bar)


NAN = float("nan")


@pytest.mark.parametrize("change", [{"close": NAN}, {"low": -1.0}, {"high": 0.5}, {"volume": None}, {"gap": None}])
def test_bad_bar_is_refused(change):
    """A bar with a NaN, negative or unordered price, or without volume, is refused with its values."""
    bar = {"open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0, "volume": 1.0, "gap": 0, "ts_us": MINUTE}
    with pytest.raises(ContractError, match="bar 0 of 1 closing at 60000000 us: found"):
        OnlineFeatureBuilder(FS, MINUTE).push_bar(bar | change)


def test_state_of_another_set_is_refused():
    """A state belongs to one feature set; another set's, or half of one, is refused naming both."""
    other = feature_set(["klines"])
    X, ts = featuredata.ordinary(5), featuredata.stamps_us(5)
    state = compute(other, X, ts).state
    with pytest.raises(FeatureSetError, match=f"{other.id}.*{FS.id}"):
        OnlineFeatureBuilder(FS, MINUTE, feature_state=state)
    with pytest.raises(FeatureSetError, match="bytes"):
        compute(other, X, ts, state[:-8])


def test_real_trades_online_equal_batch():
    """Real XRP/ETH trades of two and a half days: every online vector has the bits of the batch row."""
    raw = feather.read_table(real_data("ticks/binance_spot_XRPETH_2019-10-11/XRP_ETH-trades.feather"))
    raw = raw.sort_by("timestamp")
    side = np.where(np.array(raw.column("side")) == "buy", 1, -1).astype(np.int8)
    price, qty = (raw.column(name).to_numpy() for name in ("price", "amount"))
    columns = (1000 * raw.column("timestamp").to_numpy(), price, qty, side)
    _, stamps, block = batch(columns)
    rows = online(columns)
    assert [row.ts_us for row in rows] == stamps.tolist()
    assert np.array_equal(np.stack([row.values for row in rows]).view(np.int64), block.values.view(np.int64))
