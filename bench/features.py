"""Features: the engine against TA-Lib and pandas, and one bar at a time against an empty compiled call."""

import numpy as np

from bench.measure import Figure, cpu_seconds, latencies_us
from scalper_ml.features.engine import FeatureStream, compute
from scalper_ml.features.registry import INPUT_COLUMNS, feature_set
from scalper_ml.kernel import kernel

__all__ = ["run"]

BARS = 200_000


def market(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (n, k) of a random walk with trades and another coin, and stamps (n,)."""
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


def run() -> list[Figure]:
    """Batch ns a value and online us a row of the full set."""
    X, ts = market(BARS)
    fs = feature_set(["klines", "trades", "market", "calendar"])
    columns = composite(X[:5000])
    seconds = cpu_seconds({"ours": lambda: compute(fs, X, ts), "peer": lambda: composite(X)}, repeats=3)
    ours, peer = seconds["ours"] / BARS / len(fs.names) * 1e9, seconds["peer"] / BARS / columns * 1e9
    stream = FeatureStream(fs, compute(fs, X[:2000], ts[:2000]).state)
    values, warm = np.empty((1, len(fs.names))), np.empty(1, dtype=np.bool_)

    def one(i: int) -> None:
        stream.push(X[2000 + i : 2001 + i], ts[2000 + i : 2001 + i], values, warm)

    online = latencies_us(one, 20_000)
    a = np.zeros(4)
    empty = latencies_us(lambda i: nothing(a, a, a, a, a), 20_000)
    p50, p99, bound = online[len(online) // 2], online[int(len(online) * 0.99)], empty[len(empty) // 2]
    return [
        Figure(
            f"batch, {len(fs.names)} features x {BARS:,} bars", ours, "CPU ns / value",
            f"TA-Lib + bottleneck + pandas, {columns} columns", peer, peer / ours, "2.5x, then 4x",
        ),
        Figure(
            f"one bar online, {len(fs.names)} features, p50", p50, "us",
            "empty compiled call", bound, p50 / bound, "at most 20x",
        ),
        Figure("one bar online, p99", p99, "us", goal="at most 20 us"),
        Figure("carried state", len(stream.state()) / 1000, "kB", goal="at most 200 kB"),
    ]  # fmt: skip
