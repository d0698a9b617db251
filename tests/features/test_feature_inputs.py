"""From tables of bars and market to the input matrix."""

import numpy as np
import pyarrow as pa
import pytest

from scalper_ml.errors import ContractError
from scalper_ml.features import INPUT_COLUMNS, available_groups, compute, feature_set, inputs_from_bars
from scalper_ml.schema import BARS, MARKET, stamps

MINUTE = 60_000_000


def bars_table(n, without=()):
    ts = MINUTE * np.arange(1, n + 1)
    columns = {"open_ts_us": stamps(ts - MINUTE), "ts_us": stamps(ts), "gap": np.zeros(n), "revision": np.zeros(n)}
    for j, name in enumerate(("open", "high", "low", "close")):
        columns[name] = np.full(n, [2.0, 3.0, 1.0, 2.5][j])
    for name in BARS.names:
        if name not in columns:
            columns[name] = pa.nulls(n) if name in without else np.arange(1.0, n + 1)
    return pa.table({name: pa.array(columns[name]).cast(BARS.field(name).type) for name in BARS.names}, schema=BARS)


def market_table(at):
    ts = MINUTE * np.array(at)
    return pa.table(
        {"ts_us": stamps(ts), "symbol": ["X"] * len(at)} | {n: np.array(at, dtype=float) for n in MARKET.names[2:]},
        schema=MARKET,
    )


def test_columns_arrive_in_order_with_nan_for_null():
    """Each input column is the bar's column; nulls, and the market that was not given, are NaN."""
    X = inputs_from_bars(bars_table(3, without=["vwap", "buy_trades"]))
    assert X.shape == (3, len(INPUT_COLUMNS))
    row = dict(zip(INPUT_COLUMNS, X[1], strict=True))
    assert (row["open"], row["close"], row["volume"], row["gap"]) == (2.0, 2.5, 2.0, 0.0)
    assert all(np.isnan(row[name]) for name in ("vwap", "buy_trades", "mkt_ret", "lead_ret"))


def test_market_is_joined_on_the_close():
    """A bar gets the market row of its own close, in any order of rows; one without gets NaN, never a neighbour's."""
    X = inputs_from_bars(bars_table(4), market_table([4, 9, 2, 1]))
    assert X[:, INPUT_COLUMNS.index("mkt_ret")].tolist() == pytest.approx([1.0, 2.0, np.nan, 4.0], nan_ok=True)


def test_two_market_rows_for_a_close_are_refused():
    """A market table of several symbols is refused, naming the close."""
    with pytest.raises(ContractError, match="two rows for the close 120000000 us"):
        inputs_from_bars(bars_table(3), market_table([1, 2, 2]))


def test_groups_follow_what_the_source_has():
    """Ticks give trades, klines with a trade count lack buy_trades, plain OHLCV has klines and the clock only."""
    assert available_groups(bars_table(3), market_table([1])) == (("klines", "trades", "market", "calendar"), ())
    assert available_groups(bars_table(3, ["buy_trades"])) == (("klines", "trades", "calendar"), ("buy_trades",))
    plain = bars_table(3, ["trades", "buy_trades", "buy_volume", "sell_volume", "quote_volume", "vwap"])
    assert available_groups(plain)[0] == ("klines", "calendar")


def test_wrong_shapes_and_order_are_refused():
    """Inputs of another width, and bars that go back in time, are refused with what was found."""
    fs, X = feature_set(["klines"]), inputs_from_bars(bars_table(3))
    with pytest.raises(ContractError, match=r"found shapes \(3, 5\)"):
        compute(fs, X[:, :5], np.arange(3))
    with pytest.raises(ContractError, match="bar 2 of 3: closes at 1 us, not after"):
        compute(fs, X, np.array([1, 2, 1]))


def test_no_bars_give_no_rows_and_keep_the_state():
    """An empty batch has no rows and hands on the state it was given."""
    fs, X = feature_set(["klines"]), inputs_from_bars(bars_table(3))
    state = compute(fs, X, np.arange(3)).state
    block = compute(fs, X[:0], np.arange(0), state)
    assert block.values.shape == (0, len(fs.names))
    assert block.state == state
