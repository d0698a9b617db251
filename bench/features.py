"""Features: the engine against TA-Lib and pandas, and one bar at a time against an empty compiled call."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from bench.measure import (
    IMPORT_NUMBA,
    NUMBA_S,
    Figure,
    cpu_seconds,
    each_us,
    in_fresh_python,
    seconds_a_call,
)
from scalper_ml.features.engine import FeatureStream, columns_read, compute
from scalper_ml.features.inputs import inputs_from_bars
from scalper_ml.features.online import OnlineFeatureBuilder
from scalper_ml.features.registry import INPUT_COLUMNS, FeatureSet, feature_set
from scalper_ml.features.series import OWN_COLUMNS
from scalper_ml.kernel import kernel
from scalper_ml.layers.feature_file import ROW_GROUP, Rows, write_rows
from scalper_ml.schema import BARS, MARKET, InputGroup, us

__all__ = ["run"]

BARS_IN_ALL = int(os.environ.get("BENCH_FEATURES_BARS", 1_000_000))
CHUNK = 4096
"""Rows computed at a time into the same memory: what the cache holds."""

EMPTY_US = 0.27
"""What an empty compiled call with five arrays took on the machine on which the goals in seconds were set."""

GROUPS: tuple[InputGroup, ...] = ("klines", "trades", "market", "calendar")


def columns_of_market(n: int) -> dict[str, np.ndarray]:
    """Columns (n,) of a random walk with trades and of other coins, without feeds, and stamps."""
    rng = np.random.default_rng(2)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 1e-3, n)))
    opened = np.concatenate([[100.0], close[:-1]])
    high = np.maximum(opened, close) * (1 + np.abs(rng.normal(0, 3e-4, n)))
    low = np.minimum(opened, close) * (1 - np.abs(rng.normal(0, 3e-4, n)))
    volume, share = rng.lognormal(3, 1, n), rng.uniform(0.2, 0.8, n)
    trades = rng.integers(10, 200, n).astype(float)
    return {
        "ts_us": 60_000_000 * np.arange(1, n + 1),
        "open": opened, "high": high, "low": low, "close": close, "volume": volume, "quote_volume": volume * close,
        "trades": trades, "buy_trades": np.floor(trades * share), "buy_volume": volume * share,
        "sell_volume": volume * (1 - share), "vwap": (high + low) / 2, "gap": np.zeros(n),
        "mkt_n": np.full(n, 9.0), "mkt_ret": rng.normal(0, 8e-4, n), "mkt_up": rng.uniform(0, 1, n),
        "mkt_disp": rng.uniform(1e-4, 2e-3, n), "lead_ret": rng.normal(0, 8e-4, n),
    }  # fmt: skip


def market(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (n, k) of the engine without feeds, and stamps (n,)."""
    columns = columns_of_market(n)
    return np.column_stack([columns[name] for name in OWN_COLUMNS]), columns["ts_us"]


def tables(n: int) -> tuple[pa.Table, pa.Table]:
    """The same as the tables that the layers hold: bars, and the market beside them."""
    columns = columns_of_market(n)
    columns |= {name: columns["ts_us"] for name in ("open_ts_us", "first_trade_id", "last_trade_id")}
    columns |= {"revision": np.zeros(n), "symbol": np.full(n, "A")}

    def table(schema: pa.Schema) -> pa.Table:
        return pa.table([pa.array(columns[one.name]).cast(one.type) for one in schema], schema=schema)

    return table(BARS), table(MARKET)


def write_million(path: Path) -> float:
    """Write the features of a million bars to a file, as the layer does; seconds that took."""
    bars, beside = tables(BARS_IN_ALL)
    fs = feature_set(GROUPS)
    ts_us = us(bars["ts_us"])

    def groups() -> Iterator[Rows]:
        state = None
        for begin in range(0, len(ts_us), ROW_GROUP):
            rows = bars.slice(begin, ROW_GROUP), beside.slice(begin, ROW_GROUP)
            X = inputs_from_bars(*rows, columns=columns_read(fs))
            block = compute(fs, X, ts_us[begin : begin + ROW_GROUP], state)
            yield Rows(ts_us[begin : begin + ROW_GROUP], block.warm, block.values)
            state = block.state

    begun = time.perf_counter()
    write_rows(path, fs, groups(), len(ts_us))
    return time.perf_counter() - begun


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
    talib.STOCH(h, low, c, fastk_period=14, slowk_period=3, slowd_period=3)
    talib.CMO(c, 14)
    talib.MACD(c, 12, 26, 9)
    talib.PPO(c, 12, 26, 1)  # type: ignore[arg-type]
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
    """A call that computes all rows from the start, some at a time into the same memory."""
    stream = FeatureStream(fs)
    columns, warm = np.empty((len(fs.names), CHUNK)), np.empty(CHUNK, dtype=np.bool_)

    def call() -> None:
        stream.reset()
        for begin in range(0, len(X), CHUNK):
            rows = min(CHUNK, len(X) - begin)
            into = columns if rows == CHUNK else np.empty((len(fs.names), rows))
            stream.push(X[begin : begin + rows], ts[begin : begin + rows], into, warm[:rows])

    return call


START = """
import time
begun = time.perf_counter()
import numpy as np
from scalper_ml.features.engine import FeatureStream
from scalper_ml.features.inputs import inputs_from_bars
from scalper_ml.features.online import OnlineFeatureBuilder
from scalper_ml.features.registry import INPUT_COLUMNS, FeatureSet, feature_set
fs = feature_set(["klines", "trades", "market", "calendar"])
stream = FeatureStream(fs)
X = np.ones((1, len(INPUT_COLUMNS)))
X[0, INPUT_COLUMNS.index("gap")] = 0.0
stream.advance(X, np.array([60_000_000]), np.empty((len(fs.names), 1)), np.empty(1, dtype=np.bool_))
took = time.perf_counter() - begun
import sys
assert not {"torch", "sklearn", "shap", "xgboost", "pandas"} & set(sys.modules)
"""

MILLION = """
from pathlib import Path
from tempfile import TemporaryDirectory
from bench.features import write_million
with TemporaryDirectory() as folder:
    took = write_million(Path(folder) / "features.parquet")
"""


def run() -> list[Figure]:
    """Batch ns a value, online us a row and a tick, start-up and memory of the full set."""
    X, ts = market(BARS_IN_ALL)
    fs = feature_set(GROUPS)
    n_peer = composite(X[:5000])
    seconds = cpu_seconds({"ours": streamed(fs, X, ts), "peer": lambda: composite(X)}, repeats=3)
    ours, peer = seconds["ours"] / BARS_IN_ALL / len(fs.names) * 1e9, seconds["peer"] / BARS_IN_ALL / n_peer * 1e9
    both = FeatureSet(tuple(entry for entry in fs.entries if entry[0].name in SHARED), fs.groups)
    own = np.ascontiguousarray(X[:, : len(columns_read(both))])
    shared = cpu_seconds({"ours": streamed(both, own, ts), "peer": lambda: talib_shared(own)}, repeats=5)
    _, peak = in_fresh_python(MILLION)
    begun = compute(fs, X[:2000], ts[:2000]).state
    columns, warm = np.empty((len(fs.names), 1)), np.empty(1, dtype=np.bool_)

    rows = [(X[i : i + 1], ts[i : i + 1]) for i in range(2000, 22_000)]
    passes = []
    for _ in range(5):
        stream = FeatureStream(fs, begun)
        passes.append(each_us(lambda i, to=stream: to.advance(*rows[i], columns, warm), len(rows)))  # type: ignore[misc]
    online, least = sorted(passes[-1]), sorted(map(min, zip(*passes, strict=True)))
    p50, p99, undisturbed = online[len(online) // 2], online[len(online) * 99 // 100], least[len(least) * 99 // 100]
    a = np.zeros(4)
    bound = seconds_a_call(lambda i: nothing(a, a, a, a, a)) * 1e6
    builder = OnlineFeatureBuilder(fs, 60_000_000)
    tick = seconds_a_call(lambda i: builder.push_tick(60_000_000 + i, 100.0, 1.0, 1, i)) * 1e6
    started, numba = (sorted(in_fresh_python(code)[0] for _ in range(5))[2] for code in (START, IMPORT_NUMBA))
    return [
        Figure(
            f"batch, {len(fs.names)} features x {BARS_IN_ALL:,} bars", ours, "CPU ns / value",
            f"TA-Lib + bottleneck + pandas, {n_peer} columns", peer, peer / ours, "2.5x, then 4x",
        ),
        Figure(
            f"batch, the {len(both.names)} columns TA-Lib has, too", shared["ours"] / BARS_IN_ALL * 1e9, "CPU ns / bar",
            "TA-Lib", shared["peer"] / BARS_IN_ALL * 1e9, shared["peer"] / shared["ours"], "at least 1x",
        ),
        Figure(
            f"peak of the process that writes {BARS_IN_ALL:,} bars to Parquet, inputs included", peak, "MB",
            goal="at most 1000 MB",
        ),
        Figure(
            f"one bar online, {len(fs.names)} features, p50", p50, "us",
            "empty call with five arrays", bound, p50 / bound, "at most 20x, then 10x",
        ),
        Figure(
            "one bar online, p99", p99, "us", "empty call with five arrays", bound, p99 / bound,
            f"20 us: {20 / EMPTY_US:.0f}x",
        ),
        Figure("the same bars, each in the least of five passes, p99", undisturbed, "us", goal="20 us"),
        Figure(
            "one tick between bars", tick, "us", "empty call with five arrays", bound, tick / bound,
            f"1 us: {1 / EMPTY_US:.1f}x",
        ),
        Figure(
            "import and first bar, kernels compiled", started, "s", "import numba", numba, started / numba,
            f"1 s: {1 / NUMBA_S:.1f}x",
        ),
        Figure("carried state", len(stream.state()) / 1000, "kB", goal="at most 200 kB"),
    ]  # fmt: skip
