"""From tables of bars and market to the input matrix."""

import numpy as np
import pyarrow as pa
import pytest

from scalper_ml.errors import ContractError
from scalper_ml.features import INPUT_COLUMNS, available_groups, compute, feature_set, inputs_from_bars
from scalper_ml.schema import BARS, BOOK_BARS, CONTEXT_BARS, MARKET, stamps

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


def feed_table(schema, at, **columns):
    """A table of context or of the book with some columns; the others are null or NaN."""
    n = len(at)
    fields = {field.name: np.full(n, np.nan) for field in schema if field.type == "double"}
    fields |= {field.name: pa.array(np.zeros(n), mask=np.ones(n, bool)) for field in schema if field.name != "ts_us"}
    fields |= {name: np.array(values, dtype=float) for name, values in columns.items()}
    return pa.table({"ts_us": stamps(MINUTE * np.array(at))} | fields)


def test_feeds_are_joined_on_the_close_and_never_filled():
    """A bar gets the context and the depth of its own close; a column or row a table lacks is NaN."""
    context = feed_table(CONTEXT_BARS, [3, 1, 7], funding_rate=[0.3, 0.1, 0.7])
    book = feed_table(BOOK_BARS, [2, 4], imbalance=[0.5, np.nan], bid_depth_10bps=[9, 8], bid_depth_12bps=[1, 1])
    X = inputs_from_bars(bars_table(4), context=context, book=book)

    def column(name):
        return X[:, INPUT_COLUMNS.index(name)].tolist()

    assert column("funding_rate") == pytest.approx([0.1, np.nan, 0.3, np.nan], nan_ok=True)
    assert column("imbalance") == pytest.approx([np.nan, 0.5, np.nan, np.nan], nan_ok=True)
    assert column("bid_depth_10bps") == pytest.approx([np.nan, 9, np.nan, 8], nan_ok=True)
    assert np.isnan(column("ask_depth_10bps") + column("mkt_ret") + column("mark_price")).all()
    with pytest.raises(ContractError, match="book: two rows for the close 120000000 us"):
        inputs_from_bars(bars_table(3), book=feed_table(BOOK_BARS, [1, 2, 2]))


def test_groups_of_feeds_follow_what_is_known():
    """A group is there with the columns known at enough closes; the number of quotes, always known, makes no quotes."""
    bars = bars_table(4)
    known = {"funding_rate": [1, 1, 1, np.nan], "open_interest": [1, np.nan, np.nan, 2]}
    context = feed_table(CONTEXT_BARS, range(1, 5), **known)
    book = feed_table(BOOK_BARS, range(1, 5), quote_updates=[0, 0, 0, 0], bid_depth_5bps=[1, 1, 1, 1])
    groups, absent = available_groups(bars, None, context, book)
    assert groups == ("klines", "trades", "calendar", "book", "derivatives")
    assert not {"funding_rate", "open_interest", "bid_depth_5bps"} & set(absent)
    assert {"mark_price", "ask_depth_5bps", "bid_depth_10bps"} <= set(absent)
    assert "open_interest" in available_groups(bars, None, context, book, least=0.6)[1]
    fs = feature_set(groups, absent=absent)
    assert {spec.kind for spec in fs.specs if spec.family == "book"} == set()
    assert {spec.kind for spec in fs.specs if spec.family == "derivatives"} == {"oi_chg", "oi_price_q", "oi_z"}
    assert available_groups(bars, None, CONTEXT_BARS.empty_table())[0] == ("klines", "trades", "calendar")
