"""Made-up bars for the feature tests: ordinary ones, and nasty ones."""

import numpy as np

from scalper_ml.features import INPUT_COLUMNS
from scalper_ml.features.feeds import BOOK_COLUMNS, DERIVATIVE_COLUMNS, FEED_COLUMNS, QUOTE_COLUMNS
from scalper_ml.features.series import MARKET_COLUMNS

MINUTE = 60_000_000
START = 1_700_222_400_000_000  # Friday 2023-11-17 12:00, so that a day of minutes reaches the weekend
PRICES = [INPUT_COLUMNS.index(name) for name in ("open", "high", "low", "close", "vwap")]
QUOTED = ("quote_volume", "open_interest_value", "liquidated_long", "liquidated_short")
IN_BASE = ("volume", "buy_volume", "sell_volume", "ofi_qty", "top_qty_tw", *BOOK_COLUMNS, "open_interest")
VOLUMES = [INPUT_COLUMNS.index(name) for name in (*IN_BASE, *QUOTED)]
PRICED = [*PRICES, *(INPUT_COLUMNS.index(name) for name in ("mark_price", "index_price", *QUOTED))]
"""Columns that change with the unit of price."""
GAP = INPUT_COLUMNS.index("gap")
COLUMNS_OF_GROUP = {
    "trades": ("trades", "buy_trades", "buy_volume", "sell_volume", "vwap"),
    "market": MARKET_COLUMNS,
    "quotes": QUOTE_COLUMNS,
    "book": BOOK_COLUMNS,
    "derivatives": DERIVATIVE_COLUMNS,
}


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
    table |= feeds(n, seed, close, volume)
    return np.column_stack([table[name] for name in INPUT_COLUMNS])


def held(values, n, rows):
    """Each value for so many rows, as of a feed that is slower than the bars."""
    return np.repeat(values, rows)[:n]


def feeds(n, seed, close, volume):
    """Quotes and depth of every bar, derivatives every 5 bars, funding every 8 hours of minutes."""
    rng = np.random.default_rng([seed, 1])
    spread, imbalance, top = rng.lognormal(0.5, 0.5, n), rng.uniform(-1, 1, n), rng.lognormal(1, 0.5, n)
    depth = np.cumsum(rng.lognormal(2, 0.5, (3, 2, n)), axis=0)
    settled = n // 480 + 1
    interval = held(rng.choice([4.0, 8.0], settled), n, 480)
    slow = np.exp(np.cumsum(rng.normal(0, 0.01, (6, n // 5 + 1)), axis=1))
    interest, accounts, top_accounts, positions, taker = (held(one, n, 5) for one in slow[:5])
    mark = close * np.exp(1e-4 * rng.standard_normal(n))
    liquidated = rng.lognormal(-4, 1, (2, n)) * (rng.uniform(size=(2, n)) < 0.2) * volume * close
    return {
        "spread_bps": spread, "spread_tw_bps": spread * rng.lognormal(0, 0.2, n), "imbalance": imbalance,
        "imbalance_tw": rng.uniform(-1, 1, n), "micro_dev_bps": imbalance * spread / 2,
        "quote_age_us": rng.integers(0, 30_000_000, n).astype(float), "quote_updates": rng.poisson(50, n).astype(float),
        "ofi_qty": top * rng.standard_normal(n), "top_qty_tw": top,
        **{name: depth[k // 2, k % 2] for k, name in enumerate(BOOK_COLUMNS)},
        "funding_rate": held(rng.normal(1e-4, 1e-4, settled), n, 480), "funding_interval_h": interval,
        "hours_to_funding": interval * (1 - np.arange(n) % 480 / 480),
        "funding_24h": held(rng.normal(3e-4, 1e-4, settled), n, 480),
        "funding_mean_30": held(rng.normal(1e-4, 1e-5, settled), n, 480),
        "funding_sd_30": held(rng.uniform(5e-5, 1e-4, settled), n, 480),
        "mark_price": mark, "index_price": mark * np.exp(-1e-4 * rng.standard_normal(n)),
        "open_interest": 1e4 * interest, "open_interest_value": 1e4 * interest * mark, "long_short_ratio": accounts,
        "top_long_short_accounts": top_accounts, "top_long_short_positions": positions, "taker_buy_sell_ratio": taker,
        "liquidated_long": liquidated[0], "liquidated_short": liquidated[1],
    }  # fmt: skip


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
    unnatural(X, seed)
    return X


def unnatural(X, seed):
    """Stretches in which a feed stands still, is locked or crossed, or has nothing but zeros."""
    rng = np.random.default_rng([seed, 2])
    n = len(X)

    def stretch(names, value):
        start = int(rng.integers(0, n))
        for name in names:
            column(X, name)[start : start + int(rng.integers(1, 300))] = value

    stretch(["spread_bps", "spread_tw_bps", "micro_dev_bps"], 0.0)
    stretch(["spread_bps", "spread_tw_bps"], -1.5)
    stretch(["quote_updates", "ofi_qty"], 0.0)
    stretch(BOOK_COLUMNS[:2], 0.0)
    stretch(BOOK_COLUMNS, 0.0)
    stretch(["funding_sd_30"], 0.0)
    stretch(["open_interest", "open_interest_value"], 7.0)
    stretch(["open_interest"], 0.0)
    stretch(["taker_buy_sell_ratio", "long_short_ratio"], 0.0)
    stretch(["liquidated_long"], 0.0)
    stretch(["liquidated_long", "liquidated_short"], 0.0)


def patchy(n, seed=0, price=100.0):
    """Nasty bars some stretches of which lack the inputs of a group, or one column, or have quotes of long ago."""
    rng = np.random.default_rng([seed, 3])
    X = nasty(n, seed, price)

    def stretch():
        start = int(rng.integers(0, n))
        return slice(start, start + int(rng.integers(1, 60)))

    for names in COLUMNS_OF_GROUP.values():
        rows = stretch()
        for name in names:
            column(X, name)[rows] = np.nan
    for name in rng.choice(FEED_COLUMNS, 6, replace=False):
        column(X, name)[stretch()] = np.nan
    column(X, "quote_age_us")[stretch()] = 3_600_000_000
    column(X, "open_interest")[: int(rng.integers(0, 30))] = np.nan  # not known at first
    return X
