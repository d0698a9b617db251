"""Made-up bars for the feature tests: ordinary ones, and nasty ones."""

import numpy as np

from scalper_ml.features import INPUT_COLUMNS

MINUTE = 60_000_000
START = 1_700_222_400_000_000  # Friday 2023-11-17 12:00, so that a day of minutes reaches the weekend
PRICES = [INPUT_COLUMNS.index(name) for name in ("open", "high", "low", "close", "vwap")]
VOLUMES = [INPUT_COLUMNS.index(name) for name in ("volume", "quote_volume", "buy_volume", "sell_volume")]
GAP = INPUT_COLUMNS.index("gap")


def column(X, name):
    """One input column."""
    return X[:, INPUT_COLUMNS.index(name)]


def stamps_us(n, start=START):
    """Closes of n minutes without gaps."""
    return start + MINUTE * np.arange(1, n + 1, dtype=np.int64)


def ordinary(n, seed=0, price=100.0, sigma=1e-3):
    """Bars of a random walk with fat tails, log-normal volume and random flow."""
    rng = np.random.default_rng(seed)
    close = price * np.exp(np.cumsum(sigma * rng.standard_t(4, n)))
    open_ = np.r_[price, close[:-1]] * np.exp(rng.normal(0, 0.1 * sigma, n))
    high = np.maximum(open_, close) * np.exp(np.abs(rng.normal(0, 0.5 * sigma, n)))
    low = np.minimum(open_, close) * np.exp(-np.abs(rng.normal(0, 0.5 * sigma, n)))
    volume = rng.lognormal(3, 1, n)
    trades = 1.0 + rng.poisson(20, n)
    buy_trades = rng.binomial(trades.astype(int), 0.5).astype(float)
    bought = volume * rng.uniform(0, 1, n)
    vwap = (open_ + high + low + close) / 4
    market = rng.normal(0, sigma, (2, n))
    table = {
        "open": open_, "high": high, "low": low, "close": close, "volume": volume, "quote_volume": volume * vwap,
        "trades": trades, "buy_trades": buy_trades, "buy_volume": bought, "sell_volume": volume - bought,
        "vwap": vwap, "gap": np.zeros(n), "mkt_n": np.full(n, 8.0), "mkt_ret": market[0],
        "mkt_up": rng.integers(0, 9, n) / 8, "mkt_disp": sigma * rng.uniform(0.5, 2, n), "lead_ret": market[1],
    }  # fmt: skip
    return np.column_stack([table[name] for name in INPUT_COLUMNS])


def nasty(n, seed=0, price=100.0):
    """Ordinary bars with stretches of no volume, no range, a constant price, jumps and a coarse price grid."""
    rng = np.random.default_rng(seed)
    X = ordinary(n, seed, price)
    stretches = [slice(s, s + int(rng.integers(1, 300))) for s in rng.integers(0, n, 6)]
    X[np.ix_(range(n)[stretches[0]], VOLUMES)] = 0.0
    X[stretches[0], INPUT_COLUMNS.index("trades")] = 0.0
    X[stretches[0], INPUT_COLUMNS.index("buy_trades")] = 0.0
    X[np.ix_(range(n)[stretches[1]], PRICES)] = column(X, "close")[stretches[1], None]  # no range
    X[np.ix_(range(n)[stretches[2]], PRICES)] = column(X, "close")[stretches[2]][0]  # constant
    X[np.ix_(range(n)[stretches[3]], PRICES)] *= 10.0 ** rng.integers(-4, 5)  # jump there and back
    grid = 1e-3 * price
    coarse = np.ix_(range(n)[stretches[4]], PRICES)
    X[coarse] = np.maximum(np.round(X[coarse] / grid), 1.0) * grid
    for name in ("mkt_ret", "lead_ret", "mkt_disp"):
        X[stretches[5], INPUT_COLUMNS.index(name)] = 0.0
    return X
