"""Coins that look at each other: the loop's features are those of one call over everything, for any cut by time."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from scalper_ml.backtest.costs import Costs
from scalper_ml.bars.builder import BarBuilder
from scalper_ml.bars.market import market_table
from scalper_ml.features import compute, feature_set, inputs_from_bars
from scalper_ml.ingest.order import Trades
from scalper_ml.live.feed import Message, TapeFeed
from scalper_ml.live.gate import OpenGate
from scalper_ml.live.lane import Lane, LaneRules, NoChampion
from scalper_ml.live.loop import Loop
from scalper_ml.schema import us

MINUTE = 60_000_000
COINS = ("AUSDT", "BUSDT", "CUSDT")
FS = feature_set(["klines", "trades", "market"], families=["cross"])


def walk(seed: int, *, holes: bool) -> Trades:
    """Four hours of trades, one every ten seconds on average; with holes some minutes have none."""
    rng = np.random.default_rng(seed)
    ts = np.sort(rng.integers(0, 240 * MINUTE, 1500))
    if holes:
        ts = ts[(ts // MINUTE) % 7 != 3]
    n = len(ts)
    price = 100 * np.exp(np.cumsum(2e-4 * rng.normal(size=n)))
    side = np.where(rng.random(n) < 0.5, 1, -1).astype(np.int8)
    return Trades(ts, price, rng.lognormal(size=n), side, np.arange(n, dtype=np.int64))


@pytest.fixture(scope="module")
def tapes() -> dict[str, Trades]:
    return {coin: walk(place, holes=place == 1) for place, coin in enumerate(COINS)}


def fresh() -> Loop:
    rules = LaneRules(MINUTE, Costs(fee_bps=1.0, spread_bps=1.0), OpenGate(0.5))
    loop = Loop({coin: Lane(coin, FS, {1: NoChampion("none")}, rules) for coin in COINS}, lead="AUSDT")
    loop.keeps_rows = True
    return loop


def expected(tapes: dict[str, Trades]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Stamps and features of each coin, from all bars at once."""
    bars = {}
    for coin, trades in tapes.items():
        builder = BarBuilder(MINUTE)
        closed = builder.push(trades.ts_us, trades.price, trades.qty, trades.side, trades.trade_id)
        bars[coin] = pa.concat_tables([closed, builder.finish()])
    market = market_table(bars, MINUTE, "AUSDT")
    found = {}
    for coin, table in bars.items():
        ts = us(table["ts_us"])
        own = market.filter(pc.equal(market["symbol"], coin))
        found[coin] = ts, compute(FS, inputs_from_bars(table, own), ts).values
    return found


@pytest.mark.parametrize("slice_us", [7 * MINUTE // 4, 600 * MINUTE])
def test_features_of_others_are_those_of_the_batch(tapes: dict[str, Trades], slice_us: int) -> None:
    """However the time is cut, each coin's features with the market's are those of one call over all bars."""
    loop = fresh()
    for message in TapeFeed(tapes, slice_us=slice_us):
        loop.push(message)
    loop.finish()
    assert loop.counts.late == {}
    rows = loop.take().rows
    for coin, (ts, values) in expected(tapes).items():
        mine = [one for symbol, one in rows if symbol == coin]
        assert np.concatenate([one.ts_us for one in mine]).tolist() == ts.tolist()
        found = np.concatenate([one.values for one in mine])
        assert found.tobytes() == np.ascontiguousarray(values).tobytes()
        assert np.isfinite(found[-1]).sum() > 10


def test_a_bar_waits_for_the_others(tapes: dict[str, Trades]) -> None:
    """A coin's bar is decided on when every coin has come past its close, by a trade or by the clock."""
    loop = fresh()
    first = {coin: trades.take(trades.ts_us < 2 * MINUTE) for coin, trades in tapes.items()}
    for coin in COINS[:2]:
        loop.push(Message(coin, first[coin]))
    assert loop.take().decided == []
    loop.push(Message(COINS[2], first[COINS[2]]))
    assert [one.symbol for one in loop.take().decided] == list(COINS)
    loop.push(Message(COINS[0], tapes[COINS[0]].take(slice(len(first[COINS[0]]), len(first[COINS[0]]) + 30))))
    assert loop.take().decided == []
    loop.push(Message("", None, 2 * MINUTE))
    decided = loop.take().decided
    assert {one.symbol for one in decided} == set(COINS)
    assert {int(ts) for one in decided for ts in one.ts_us} == {2 * MINUTE}
