"""Features: the engine against TA-Lib and pandas, and one bar at a time against an empty compiled call."""

import subprocess
import sys
from collections.abc import Callable

import numpy as np

from bench.measure import Figure, cpu_seconds, latencies_us
from scalper_ml.features.engine import FeatureStream, compute
from scalper_ml.features.feeds import FEED_COLUMNS
from scalper_ml.features.online import OnlineFeatureBuilder
from scalper_ml.features.registry import INPUT_COLUMNS, FeatureSet, feature_set
from scalper_ml.kernel import kernel

__all__ = ["run"]

BARS = 1_000_000
GROUP = 16_384


def market(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (n, k) of a random walk with trades and another coin, without feeds, and stamps (n,)."""
    rng = np.random.default_rng(2)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 1e-3, n)))
    opened = np.concatenate([[100.0], close[:-1]])
    high = np.maximum(opened, close) * (1 + np.abs(rng.normal(0, 3e-4, n)))
    low = np.minimum(opened, close) * (1 - np.abs(rng.normal(0, 3e-4, n)))
    volume, share = rng.lognormal(3, 1, n), rng.uniform(0.2, 0.8, n)
    trades = rng.integers(10, 200, n).astype(float)
    columns = {
        "open": opened, "high": high, "low": low, "close": close, "volume": volume, "quote_volume": volume * close,
        "trades": trades, "buy_trades": np.floor(trades * share), "buy_volume": volume * share,
        "sell_volume": volume * (1 - share), "vwap": (high + low) / 2, "gap": np.zeros(n),
        "mkt_n": np.full(n, 9.0), "mkt_ret": rng.normal(0, 8e-4, n), "mkt_up": rng.uniform(0, 1, n),
        "mkt_disp": rng.uniform(1e-4, 2e-3, n), "lead_ret": rng.normal(0, 8e-4, n),
        **dict.fromkeys(FEED_COLUMNS, np.full(n, np.nan)),
    }  # fmt: skip
    missing = [name for name in INPUT_COLUMNS if name not in columns]
    assert not missing, f"the benchmark market lacks {missing}"
    return np.column_stack([columns[name] for name in INPUT_COLUMNS]), 60_000_000 * np.arange(1, n + 1)


@kernel
def nothing(a, b, c, d, e):  # type: ignore[no-untyped-def]
    return 0


def composite(X: np.ndarray) -> int:
    """Indicators the set has, by the fastest known library of each; returns the number of columns."""
    import bottleneck as bn
    import pandas as pd
    import talib

    h, low, c, v = (np.ascontiguousarray(X[:, INPUT_COLUMNS.index(n)]) for n in ("high", "low", "close", "volume"))
    r = pd.Series(np.diff(np.log(c), prepend=np.log(c[0])))
    out = [
        *(talib.RSI(c, n) for n in (6, 14, 28)),
        *(talib.EMA(c, n) for n in (9, 21, 50, 100, 200)),
        *(talib.NATR(h, low, c, n) for n in (7, 14, 60)),
        *(talib.LINEARREG_SLOPE(c, n) for n in (15, 30, 60)),
        *(talib.MAX(h, n) for n in (20, 60, 240)),
        *(talib.MIN(low, n) for n in (20, 60, 240)),
        *(bn.move_std(r.to_numpy(), n) for n in (5, 15, 30, 60, 240)),
        *(bn.move_mean(v, n) for n in (20, 60, 240)),
        *talib.MACD(c),
        *talib.AROON(h, low, 25),
        *talib.STOCH(h, low, c),
        *talib.BBANDS(c, 20),
        talib.CMO(c, 14),
        talib.PPO(c),
        talib.TRIX(c, 15),
        talib.ULTOSC(h, low, c),
        talib.ADX(h, low, c),
        talib.PLUS_DI(h, low, c),
        talib.MINUS_DI(h, low, c),
        talib.CCI(h, low, c, 20),
        talib.MFI(h, low, c, v),
        talib.OBV(c, v),
        talib.ADOSC(h, low, c, v),
        r.rolling(60).skew(),
        r.rolling(240).skew(),
        r.rolling(60).kurt(),
        r.rolling(240).kurt(),
        r.rolling(60).corr(r.abs()),
        bn.move_rank(r.to_numpy(), 60),
    ]
    return len(out)


SHARED = (
    "rsi", "stoch", "cmo", "macd", "ppo", "trix", "ultosc", "dmi", "aroon_osc", "regress", "donchian_pos", "cci",
    "natr", "bb", "obv_slope", "mfi", "adosc_n", "ema_dist",
)  # fmt: skip
"""Kinds whose indicator TA-Lib has, too; `talib_shared` computes the same windows."""


def talib_shared(X: np.ndarray) -> None:
    """The indicators of `SHARED` by TA-Lib."""
    import talib

    h, low, c, v = (np.ascontiguousarray(X[:, INPUT_COLUMNS.index(n)]) for n in ("high", "low", "close", "volume"))
    for n in (6, 14, 21):
        talib.RSI(c, n)
    talib.STOCH(h, low, c, 14, 3, 0, 3, 0)
    talib.CMO(c, 14)
    talib.MACD(c, 12, 26, 9)
    talib.PPO(c, 12, 26, 1)
    talib.TRIX(c, 15)
    talib.ULTOSC(h, low, c, 7, 14, 28)
    talib.ADX(h, low, c, 14)
    talib.PLUS_DI(h, low, c, 14)
    talib.MINUS_DI(h, low, c, 14)
    talib.AROONOSC(h, low, 25)
    for n in (15, 30, 60):
        talib.LINEARREG_SLOPE(c, n)
    for n in (20, 60, 240):
        talib.WILLR(h, low, c, n)
    talib.CCI(h, low, c, 20)
    for n in (7, 14):
        talib.NATR(h, low, c, n)
    talib.BBANDS(c, 20)
    talib.OBV(c, v)
    talib.MFI(h, low, c, v, 14)
    talib.ADOSC(h, low, c, v, 3, 10)
    for n in (9, 21, 50):
        talib.EMA(c, n)
    talib.ATR(h, low, c, 14)


def streamed(fs: FeatureSet, X: np.ndarray, ts: np.ndarray) -> Callable[[], None]:
    """A call that computes all rows from the start, a row group at a time into the same memory."""
    stream = FeatureStream(fs)
    values, warm = np.empty((GROUP, len(fs.names))), np.empty(GROUP, dtype=np.bool_)

    def call() -> None:
        stream.reset()
        for begin in range(0, len(X), GROUP):
            rows = min(GROUP, len(X) - begin)
            stream.push(X[begin : begin + rows], ts[begin : begin + rows], values[:rows], warm[:rows])

    return call


def _child(code: str) -> tuple[float, float]:
    """Wall seconds a fresh Python needs for `code`, which prints them, and the peak resident MB of that process."""
    report = "import resource; print(took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{report}"], check=True, capture_output=True, text=True)
    took, peak = map(float, done.stdout.split())
    return took, peak


START = """
import time
begun = time.perf_counter()
import numpy as np
from scalper_ml.features.engine import FeatureStream
from scalper_ml.features.online import OnlineFeatureBuilder
from scalper_ml.features.registry import INPUT_COLUMNS, FeatureSet, feature_set
fs = feature_set(["klines", "trades", "market", "calendar"])
stream = FeatureStream(fs)
X = np.ones((1, len(INPUT_COLUMNS)))
X[0, INPUT_COLUMNS.index("gap")] = 0.0
stream.push(X, np.array([60_000_000]), np.empty((1, len(fs.names))), np.empty(1, dtype=np.bool_))
took = time.perf_counter() - begun
import sys
assert not {"torch", "sklearn", "shap", "xgboost", "pandas"} & set(sys.modules)
"""

MILLION = """
import time
from bench.features import BARS, market, streamed
from scalper_ml.features.registry import feature_set
X, ts = market(BARS)
call = streamed(feature_set(["klines", "trades", "market", "calendar"]), X, ts)
begun = time.perf_counter()
call()
took = time.perf_counter() - begun
"""


def run() -> list[Figure]:
    """Batch ns a value, online us a row and a tick, start-up and memory of the full set."""
    X, ts = market(BARS)
    fs = feature_set(["klines", "trades", "market", "calendar"])
    columns = composite(X[:5000])
    seconds = cpu_seconds({"ours": streamed(fs, X, ts), "peer": lambda: composite(X)}, repeats=3)
    ours, peer = seconds["ours"] / BARS / len(fs.names) * 1e9, seconds["peer"] / BARS / columns * 1e9
    both = FeatureSet(tuple(entry for entry in fs.entries if entry[0].name in SHARED), fs.groups)
    shared = cpu_seconds({"ours": streamed(both, X, ts), "peer": lambda: talib_shared(X)}, repeats=3)
    _, peak = _child(MILLION)
    stream = FeatureStream(fs, compute(fs, X[:2000], ts[:2000]).state)
    values, warm = np.empty((1, len(fs.names))), np.empty(1, dtype=np.bool_)

    def one(i: int) -> None:
        stream.push(X[2000 + i : 2001 + i], ts[2000 + i : 2001 + i], values, warm)

    online = latencies_us(one, 20_000)
    a = np.zeros(4)
    empty = latencies_us(lambda i: nothing(a, a, a, a, a), 20_000)
    builder = OnlineFeatureBuilder(fs, 60_000_000)
    ticks = latencies_us(lambda i: builder.push_tick(60_000_000 + i, 100.0, 1.0, 1, i), 20_000)
    p50, p99, bound = online[len(online) // 2], online[int(len(online) * 0.99)], empty[len(empty) // 2]
    started = sorted(_child(START)[0] for _ in range(5))[2]
    return [
        Figure(
            f"batch, {len(fs.names)} features x {BARS:,} bars", ours, "CPU ns / value",
            f"TA-Lib + bottleneck + pandas, {columns} columns", peer, peer / ours, "2.5x, then 4x",
        ),
        Figure(
            f"batch, the {len(both.names)} columns TA-Lib has, too", shared["ours"] / BARS * 1e9, "CPU ns / bar",
            "TA-Lib", shared["peer"] / BARS * 1e9, shared["peer"] / shared["ours"], "at least 1x",
        ),
        Figure(f"peak of the process over {BARS:,} bars, inputs included", peak, "MB", goal="at most 1000 MB"),
        Figure(
            f"one bar online, {len(fs.names)} features, p50", p50, "us",
            "empty compiled call", bound, p50 / bound, "at most 20x, then 10x",
        ),
        Figure("one bar online, p99", p99, "us", goal="at most 20 us"),
        Figure("one tick between bars, p50", ticks[len(ticks) // 2], "us", goal="at most 1 us"),
        Figure("import and first bar, kernels compiled", started, "s", goal="at most 1 s"),
        Figure("carried state", len(stream.state()) / 1000, "kB", goal="at most 200 kB"),
    ]  # fmt: skip
