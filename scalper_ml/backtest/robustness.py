"""What a result rests on: how lucky, how late, how wild it may be before it is gone. Reported beside the score."""

import math
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pyarrow as pa

from scalper_ml.backtest.engine import Backtest
from scalper_ml.backtest.metrics import max_drawdown
from scalper_ml.backtest.rows import floats
from scalper_ml.errors import ContractError
from scalper_ml.schema import us
from scalper_ml.validation.sharpe import dsr, min_trl, sharpe_moments
from scalper_ml.validation.statistics import block_ids, blocks

__all__ = ["correlation_with", "deflated", "robustness"]

DAY_US: Final = 86_400_000_000
HOUR_US: Final = 3_600_000_000
DRAWDOWN_DRAWS: Final = 200
GUARDED_TRADES: Final = 30  # fewer trades in wild bars say nothing


def robustness(run: Backtest, horizon: int, *, trials: int, seed: int) -> dict[str, Any]:
    """The block of figures that question a run, by name; None where undefined.

    Parameters
    ----------
    run : Backtest
        Of the score role.
    horizon : int
    trials : int
        Everything tried to get here: models, trials of their studies, thresholds.
    seed : int
        Of the drawdown's bootstrap.

    Returns
    -------
    dict
        ``deflated``: the deflated Sharpe ratio and its trials. ``min_trl_95``: trades before the probabilistic Sharpe
        ratio reaches .95. ``leave_best_day_out``: expectancy without the best day (UTC). ``drawdown``: longest time
        under water, ulcer index of the compounded equity, 95 % quantile of the drawdown when time blocks come in
        another order. ``volatility_guard``: the third of the trades taken in the wildest bars, and whether it loses.
        ``held_over_gaps``: trades during which bars are missing, the most intervals missing in one, and their
        expectancy.
    """
    r = floats(run.trades, "r")
    return {
        "deflated": deflated(r, trials),
        "min_trl_95": _min_trl(r),
        "leave_best_day_out": _without_best_day(run.trades, r),
        "drawdown": _drawdown(run, r, horizon, seed),
        "volatility_guard": _guard(run.trades, r),
        "held_over_gaps": _over_gaps(run.gaps, r),
    }


def deflated(r: np.ndarray, trials: int) -> dict[str, Any]:
    """Deflated Sharpe ratio of trades in R against the best of so many skill-less tries on as many trades.

    Their Sharpe ratios vary by one part in the number of trades. None where trades are too few or all alike.
    """
    try:
        sr, skew, kurtosis = sharpe_moments(r)
        value = dsr(sr, r.size, trials=trials, variance=1.0 / r.size, skew=skew, kurtosis=kurtosis)
    except ContractError as error:
        return {"trials": trials, "dsr": None, "undefined": str(error)}
    return {"trials": trials, "dsr": value, "sharpe_per_trade": sr}


def correlation_with(run: Backtest, bars: pa.Table) -> float | None:
    """Correlation of the run's R, marked every bar, with the log returns of other bars, hour by hour.

    Parameters
    ----------
    bars : pyarrow.Table of BARS
        Usually of BTC.

    Returns
    -------
    float or None
        None where fewer than 24 hours are in both, or either stands still.
    """
    own = _by_hour(us(run.equity["ts_us"]), floats(run.equity, "r_cum"))
    other = _by_hour(us(bars["ts_us"]), np.log(floats(bars, "close")))
    common = sorted(own.keys() & other.keys())
    pairs = [(own[b] - own[a], other[b] - other[a]) for a, b in pairwise(common) if b == a + 1]
    x, y = np.array(pairs, dtype=float).reshape(-1, 2).T
    if x.size < 24 or not (x.std() > 0 and y.std() > 0):
        return None
    return float(np.corrcoef(x, y)[0, 1])


def _by_hour(ts_us: np.ndarray, values: np.ndarray) -> dict[int, float]:
    """The last value of each hour."""
    hour = (ts_us - 1) // HOUR_US
    last = np.flatnonzero(np.append(np.diff(hour) != 0, True)) if hour.size else np.zeros(0, int)
    return dict(zip(hour[last].tolist(), values[last].tolist(), strict=True))


def _min_trl(r: np.ndarray) -> float | None:
    try:
        sr, skew, kurtosis = sharpe_moments(r)
    except ContractError:
        return None
    trades = min_trl(sr, skew=skew, kurtosis=kurtosis)
    return trades if math.isfinite(trades) else None


def _without_best_day(trades: pa.Table, r: np.ndarray) -> dict[str, Any] | None:
    day = us(trades["signal_ts_us"]) // DAY_US
    days, place = np.unique(day, return_inverse=True)
    if days.size < 2:
        return None
    totals = np.bincount(place, weights=r)
    best = int(totals.argmax())
    return {
        "day": str(np.datetime64(int(days[best]), "D")),
        "total_r": float(totals[best]),
        "expectancy_r": float(r[place != best].mean()),
    }


def _drawdown(run: Backtest, r: np.ndarray, horizon: int, seed: int) -> dict[str, Any] | None:
    if r.size == 0:
        return None
    ts, marked, equity = us(run.equity["ts_us"]), floats(run.equity, "r_cum"), floats(run.equity, "equity")
    peak = np.maximum.accumulate(np.maximum(marked, 0.0))
    reached = np.maximum.accumulate(np.where(marked >= peak, ts, ts[0]))
    fall = 1.0 - equity / np.maximum.accumulate(np.maximum(equity, 1.0))
    rows = run.signals.num_rows
    ids = block_ids(rows, blocks(rows, horizon))[run.trade_rows]
    in_blocks = np.split(r, np.flatnonzero(np.diff(ids)) + 1)
    rng = np.random.default_rng(seed)
    n = len(in_blocks)
    drawn = [
        max_drawdown(np.cumsum(np.concatenate([in_blocks[k] for k in rng.integers(n, size=n)])))
        for _ in range(DRAWDOWN_DRAWS)
    ]
    return {
        "longest_days": float((ts - reached).max() / DAY_US),
        "ulcer_index_pct": 100.0 * float(np.sqrt(np.mean(fall**2))),
        "r_95": float(np.quantile(drawn, 0.95)),
    }


def _guard(trades: pa.Table, r: np.ndarray) -> dict[str, Any]:
    """Expectancy of the third of the trades with the largest risk unit, which is volatility known at the signal."""
    risk = floats(trades, "risk")
    wild = risk >= np.quantile(risk, 2 / 3) if risk.size else np.zeros(0, bool)
    n = int(wild.sum())
    expectancy = float(r[wild].mean()) if n else None
    triggered = n >= GUARDED_TRADES and expectancy is not None and expectancy <= 0
    return {"triggered": triggered, "trades": n, "expectancy_r": expectancy}


def _over_gaps(gaps: np.ndarray, r: np.ndarray) -> dict[str, Any]:
    held = gaps > 0
    return {
        "trades": int(held.sum()),
        "longest": int(gaps.max(initial=0)),
        "expectancy_r": float(r[held].mean()) if held.any() else None,
    }
