"""Quotes in the loop: the features of one call over all of them, for any cut, restart and order of messages."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from scalper_ml.backtest.costs import Costs
from scalper_ml.bars.builder import BarBuilder
from scalper_ml.book.depth import book_bars
from scalper_ml.book.events import BookTicker
from scalper_ml.features import compute, feature_set, inputs_from_bars
from scalper_ml.ingest.order import Trades
from scalper_ml.live.beside import LiveQuotes, Recorded
from scalper_ml.live.feed import Message
from scalper_ml.live.gate import OpenGate
from scalper_ml.live.lane import Lane, LaneRules, NoChampion
from scalper_ml.live.loop import Loop
from scalper_ml.schema import stamps, us

MINUTE = 60_000_000
COIN = "AUSDT"
FS = feature_set(["klines", "trades", "quotes"], families=["book"])


def tape(n: int = 1200) -> Trades:
    """Four hours of trades; every seventh minute has none."""
    rng = np.random.default_rng(1)
    ts = np.sort(rng.integers(0, 240 * MINUTE, n))
    ts = ts[(ts // MINUTE) % 7 != 3]
    price = 100 * np.exp(np.cumsum(2e-4 * rng.normal(size=len(ts))))
    side = np.where(rng.random(len(ts)) < 0.5, 1, -1).astype(np.int8)
    return Trades(ts, price, rng.lognormal(size=len(ts)), side, np.arange(len(ts), dtype=np.int64))


def ticker(known_us: int, number: int, rng: np.random.Generator) -> BookTicker:
    mid = 100 + rng.normal()
    return BookTicker(
        0, "test", COIN, known_us, known_us, mid - 0.01, rng.lognormal(), mid + 0.01, rng.lognormal(), number
    )


def tickers(n: int = 3000) -> list[BookTicker]:
    """Quotes from the fifth minute on, some of them at one moment, some at a close."""
    rng = np.random.default_rng(2)
    known = np.sort(rng.integers(5 * MINUTE, 240 * MINUTE, n))
    known[::50] = known[::50] // MINUTE * MINUTE
    return [ticker(int(ts), number, rng) for number, ts in enumerate(np.sort(known))]


def fresh(recorded: Recorded | None = None) -> Loop:
    rules = LaneRules(MINUTE, Costs(fee_bps=1.0, spread_bps=1.0), OpenGate(0.5))
    loop = Loop({COIN: Lane(COIN, FS, {1: NoChampion("none")}, rules, recorded=recorded)})
    loop.keeps_rows = True
    return loop


def bars_of(trades: Trades) -> pa.Table:
    builder = BarBuilder(MINUTE)
    closed = builder.push(trades.ts_us, trades.price, trades.qty, trades.side, trades.trade_id)
    return pa.concat_tables([closed, builder.finish()])


def book_of(bars: pa.Table, quotes: list[BookTicker]) -> pa.Table:
    names = ("bid", "bid_qty", "ask", "ask_qty")
    table = pa.table(
        {"ts_us": stamps(np.array([one.known_us for one in quotes])),
         **{name: np.array([getattr(one, name) for one in quotes]) for name in names}}
    )  # fmt: skip
    return book_bars(us(bars["open_ts_us"]), us(bars["ts_us"]), table)[0]


@pytest.fixture(scope="module")
def expected() -> np.ndarray:
    """Features of all bars at once, from all quotes at once."""
    bars = bars_of(tape())
    X = inputs_from_bars(bars, book=book_of(bars, tickers()))
    return np.ascontiguousarray(compute(FS, X, us(bars["ts_us"])).values)


def messages(seed: int) -> list[Message]:
    """Trades in random pieces, each with the quotes known since the piece before, as a feed sends them."""
    rng, trades, quotes = np.random.default_rng(seed), tape(), tickers()
    edges = np.unique(np.append(rng.integers(1, len(trades), 300), [0, len(trades)]))
    known, begin, found = np.array([one.known_us for one in quotes]), 0, []
    for first, end in itertools.pairwise(edges.tolist()):
        last = int(trades.ts_us[end]) if end < len(trades) else np.iinfo(np.int64).max
        upto = int(np.searchsorted(known, last))
        found.append(Message(COIN, trades.take(slice(first, end)), quotes={COIN: quotes[begin:upto]}))
        begin = upto
    return found


def values_of(loop: Loop) -> np.ndarray:
    return np.concatenate([rows.values for _, rows in loop.take().rows])


@pytest.mark.parametrize("seed", [3, 4])
def test_features_of_quotes_are_those_of_the_batch(expected: np.ndarray, seed: int) -> None:
    """However trades and quotes are cut, and with a restart from a checkpoint in between, no bit differs."""
    loop, found = fresh(), []
    for place, message in enumerate(messages(seed)):
        if place % 40 == 17:
            state = json.loads(json.dumps(loop.state()))
            found.append(values_of(loop))
            loop = fresh()
            loop.restore(state)
        loop.push(message)
    loop.finish()
    found.append(values_of(loop))
    assert np.concatenate(found).tobytes() == expected.tobytes()
    assert np.isfinite(expected[100:]).mean() > 0.8


def test_quotes_of_a_coin_without_trades_do_not_pile_up(expected: np.ndarray) -> None:
    """With the clock in every message, two minutes of quotes wait at most, and no bit differs."""
    trades, quotes = tape(), tickers()
    loop, first, waited = fresh(), 0, 0
    for end_us in range(15_000_000, 241 * MINUTE, 15_000_000):
        known = [one for one in quotes[first:] if one.known_us <= end_us]
        mine = trades.take((trades.ts_us >= end_us - 15_000_000) & (trades.ts_us < end_us))
        loop.push(Message(COIN, mine, quotes={COIN: known}, until_us=end_us))
        first, waited = first + len(known), max(waited, len(loop.lanes[COIN].quotes.state()["quotes"][0]))
    loop.finish()
    assert values_of(loop).tobytes() == expected.tobytes()
    assert waited < 60  # thirteen a minute


def test_recorded_books_are_those_of_the_batch(expected: np.ndarray) -> None:
    """A replay takes the book from what was recorded, whatever quotes come."""
    trades = tape()
    loop = fresh(Recorded(book=book_of(bars_of(trades), tickers())))
    assert loop.lanes[COIN].quotes is None
    for message in messages(5):
        loop.push(replace(message, quotes={}))
    loop.finish()
    assert values_of(loop).tobytes() == expected.tobytes()


def test_a_quote_that_comes_too_late_is_counted_and_counts_from_the_close_on() -> None:
    """A quote known before a close that was decided on changes nothing of that bar; the next begins with it."""
    rng = np.random.default_rng(6)
    bars = BarBuilder(MINUTE)
    at = np.array([1, 61, 121]) * 1_000_000
    ones = np.ones(3)
    bars_in = bars.add(at, 100 * ones, ones, ones.astype(np.int8))
    quotes = LiveQuotes()
    quotes.add([ticker(30_000_000, 1, rng)])
    first = quotes.rows(bars_in.slice(0, 1))
    late = ticker(40_000_000, 2, rng)
    quotes.add([late])
    second = quotes.rows(bars_in.slice(1, 2))
    assert quotes.late == 1
    assert first["quote_updates"].to_pylist() == [1]
    assert second["quote_updates"].to_pylist() == [0]
    assert second["mid"].to_pylist() == [(late.bid + late.ask) / 2]


def test_depth_that_is_not_fed_is_refused() -> None:
    """Bands of depth come from no feed: a set with them is refused, unless they are recorded."""
    from scalper_ml.errors import FeatureSetError

    rules = fresh().lanes[COIN].rules
    deep = feature_set(["klines", "quotes", "book"], families=["book"])
    with pytest.raises(FeatureSetError, match=r"needs \['book'\], which are neither fed live nor recorded"):
        Lane(COIN, deep, {}, rules)
    recorded = Recorded(book=book_of(bars_of(tape()), tickers()))
    assert Lane(COIN, deep, {}, rules, recorded=recorded).quotes is None
