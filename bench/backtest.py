"""The event loop on bars and on trades, and the gate over a whole family; vectorbt runs in `bench.peers`."""

import time

import numpy as np
import pyarrow as pa

from bench.measure import Figure, cpu_seconds
from scalper_ml.backtest.costs import Costs
from scalper_ml.backtest.events import Orders, Tape, walk
from scalper_ml.backtest.report import build_report
from scalper_ml.gate.thresholds import build_thresholds
from scalper_ml.schema import BARS, DATASET, PREDICTIONS, conform, stamps

__all__ = ["orders_every", "random_bars", "run"]

BARS_WALKED = 1_000_000
TICKS_WALKED = 50_000_000
HALF_A_YEAR = 17_568  # bars of 15 minutes
COINS, HORIZONS = 32, (1, 3, 5, 15)
QUARTER = 15 * 60_000_000


def random_bars(n: int, seed: int = 1) -> Tape:
    """Bars of a random walk, a minute each."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0, 1e-3, n)))
    open_ = np.concatenate([[100.0], close[:-1]])
    wide = np.abs(rng.normal(0, 5e-4, (2, n)))
    high, low = np.maximum(open_, close) * (1 + wide[0]), np.minimum(open_, close) * (1 - wide[1])
    start = np.arange(n, dtype=np.int64) * 60_000_000
    return Tape(start, start + 60_000_000, open_, high, low, close)


def orders_every(tape: Tape, every: int, hold: int, seed: int = 2) -> Orders:
    """An order at every so many events, of a random side, with a stop and a target of 1 %."""
    at = np.arange(every, tape.start.size - hold, every)
    side = np.random.default_rng(seed).choice([-1.0, 1.0], at.size)
    decided = tape.end[at]
    return Orders.takers(decided, decided, tape.end[at + hold], side, stop=0.01, target=0.01)


def run() -> list[Figure]:
    """Bars/s and ticks/s of the loop, and the CPU seconds of 128 reports and their thresholds."""
    bars = random_bars(BARS_WALKED)
    orders = orders_every(bars, 30, 20)
    ts = np.arange(TICKS_WALKED, dtype=np.int64) * 100_000
    rng = np.random.default_rng(3)
    price = 100.0 * np.exp(np.cumsum(rng.normal(0, 5e-5, TICKS_WALKED)))
    ticks = Tape.of_trades(ts, price)
    wanted = orders_every(ticks, 2_000, 1_500)
    seconds = cpu_seconds({"bars": lambda: walk(bars, orders), "ticks": lambda: walk(ticks, wanted)}, repeats=5)
    started = time.process_time()
    document = _family()
    family = time.process_time() - started
    tiers = document["summary"]["no_trade_coins"]
    return [
        Figure("event loop with stops and targets, bars", BARS_WALKED / seconds["bars"] / 1e6, "M bars / CPU s"),
        Figure(
            "event loop with stops and targets, trades", TICKS_WALKED / seconds["ticks"] / 1e6, "M trades / CPU s",
            goal="at least 50",
        ),
        Figure(
            f"{COINS} coins x {len(HORIZONS)} horizons, half a year of 15m bars: thresholds tried, scored, published "
            f"({tiers} of {COINS} random coins NO_TRADE)", family, "CPU s", goal="at most 60 s on 2 cores",
        ),
    ]  # fmt: skip


def _family() -> dict:  # type: ignore[type-arg]
    """Reports and thresholds of random predictions on random coins."""
    reports = []
    for coin in range(COINS):
        bars = _bar_table(coin)
        for horizon in HORIZONS:
            dataset, predictions = _rows(bars, horizon, coin)
            evaluation = build_report(
                bars, dataset, predictions, symbol=f"COIN{coin:02d}", timeframe="15m", version="bench",
                horizon=horizon, interval_us=QUARTER, costs=Costs(5.0, 2.0, impact=0.5), seed=7,
            )  # fmt: skip
            reports.append(evaluation.report)
    symbols = [f"COIN{coin:02d}" for coin in range(COINS)]
    return build_thresholds(reports, symbols=symbols, horizons=list(HORIZONS), version="bench", timeframe="15m")


def _bar_table(seed: int) -> pa.Table:
    tape = random_bars(HALF_A_YEAR, seed)
    n = tape.start.size
    start = np.arange(n, dtype=np.int64) * QUARTER
    columns = {
        "open_ts_us": stamps(start),
        "ts_us": stamps(start + QUARTER),
        "open": tape.open,
        "high": tape.high,
        "low": tape.low,
        "close": tape.close,
        "volume": np.full(n, 1e5),
        "quote_volume": np.full(n, 1e7),
        "gap": np.zeros(n, np.int32),
        "revision": np.zeros(n, np.int32),
    }
    null = pa.nulls(n)
    return conform(pa.table({name: columns.get(name, null) for name in BARS.names}), BARS, "bars")


def _rows(bars: pa.Table, horizon: int, seed: int) -> tuple[pa.Table, pa.Table]:
    """Select and score rows of every bar with an exit, and random predictions; shares as in the settings."""
    rng = np.random.default_rng([seed, horizon])
    open_, ts = bars["open"].to_numpy(), bars["ts_us"].cast(pa.int64()).to_numpy()
    first = int(0.55 * ts.size)
    row = np.arange(first, ts.size - horizon - 1)
    entry, leave = open_[row + 1], open_[row + 1 + horizon]
    ret, sigma = np.log(leave / entry), np.full(row.size, 1e-3)
    band = 0.43 * sigma * np.sqrt(horizon)
    role = np.where(row < int(0.70 * ts.size), "select", "score")
    columns = {
        "ts_us": stamps(ts[row]),
        "t0_us": stamps(ts[row]),
        "t1_us": stamps(ts[row + 1 + horizon]),
        "y": np.select([ret > band, ret < -band], [2, 0], 1).astype(np.int8),
        "y_binary": np.sign(ret).astype(np.int8),
        "ret": ret,
        "entry_price": entry,
        "exit_price": leave,
        "deadband": band,
        "cost": np.full(row.size, 12e-4),
        "sigma": sigma,
        "weight": np.ones(row.size),
        "role": role.tolist(),
    }
    dataset = conform(pa.table(columns), DATASET, "dataset")
    p = 0.35 * (1 + 0.2 * rng.standard_normal(row.size)).clip(0.2, 1.8)
    P = [p, np.full(row.size, 0.3), 0.7 - p]
    table = [dataset["ts_us"], dataset["role"], np.full(row.size, -1, np.int32), *P]
    return dataset, conform(pa.table(dict(zip(PREDICTIONS.names, table, strict=True))), PREDICTIONS, "predictions")
