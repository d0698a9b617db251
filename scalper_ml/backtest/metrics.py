"""What a run of trades earned: every number finite, or null with its reason."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from scalper_ml.backtest.engine import Backtest
from scalper_ml.backtest.rows import floats
from scalper_ml.schema import us
from scalper_ml.validation.statistics import psr, sharpe_moments

__all__ = ["COST_LADDER", "TradeMetrics", "breakeven_win_rate", "max_drawdown", "trade_metrics"]

COST_LADDER: Final = (0.0, 1.0, 1.5, 2.0)
"""Multiples of the modelled costs at which expectancy is repeated; 0 is a diagnostic."""

_OF_TRADES: Final = (
    "win_rate",
    "win_rate_gross",
    "expectancy_r",
    "profit_factor",
    "max_drawdown",
    "avg_win_r",
    "avg_loss_r",
    "breakeven_win_rate",
    "expectancy_r_at_cost",
    "avg_cost_r",
    "psr",
)


@dataclass(frozen=True, slots=True)
class TradeMetrics:
    """Metrics by name, and the reason of each that is null."""

    values: Mapping[str, Any]
    undefined: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """``{**values, "undefined": {name: reason}}``."""
        return {**self.values, "undefined": dict(self.undefined)}


def max_drawdown(path: np.ndarray, start: float = 0.0) -> float:
    """Deepest fall of `path` (n,) below its running maximum, counting from `start`; 0 if it never falls.

    Examples
    --------
    >>> max_drawdown(np.array([1.0, 3.0, 0.5, 2.0]))
    2.5
    >>> max_drawdown(np.array([-1.0, 0.0]))
    1.0
    """
    path = np.concatenate([[start], path])
    return float((np.maximum.accumulate(path) - path).max())


def breakeven_win_rate(r: np.ndarray) -> float | None:
    """Win rate at which trades with these average wins and losses earn nothing: ``L/(W + L)``.

    A win is r > 0; everything else counts as a loss, so that ``E = rate*W - (1 - rate)*L``. None
    without a win or without a loss.

    Examples
    --------
    >>> breakeven_win_rate(np.array([2.0, -1.0, 2.0]))
    0.3333333333333333
    """
    win = r > 0
    if win.all() or not win.any():
        return None
    mean_win, mean_loss = float(r[win].mean()), -float(r[~win].mean())
    return mean_loss / (mean_win + mean_loss)


def trade_metrics(run: Backtest, horizon: int) -> TradeMetrics:
    """Metrics of the trades of one run.

    Parameters
    ----------
    run : Backtest
    horizon : int
        Bars held.

    Returns
    -------
    TradeMetrics
        ``profit_factor`` is money: gross profit over gross loss of net trades. ``max_drawdown`` has
        ``r`` (closed trades, fixed size: the one the score uses), ``r_marked`` (every bar) and
        ``pct`` (compounded equity, every bar). ``coverage`` is the share of
        time in a trade, ``trades*(h + 1)/rows``. ``win_rate_gross`` counts trades whose
        direction was right, costs aside. ``expectancy_r_at_cost`` repeats expectancy at multiples of the costs.
    """
    r, net = floats(run.trades, "r"), floats(run.trades, "net")
    gross, risk = floats(run.trades, "gross"), floats(run.trades, "risk")
    side = run.trades.column("side").to_numpy()
    rows, n = run.signals.num_rows, r.size
    known: dict[str, Any] = {
        "rows": rows,
        "trades_taken": n,
        "long_trades": int((side > 0).sum()),
        "short_trades": int((side < 0).sum()),
        "unfillable_signals": run.unfillable,
        "coverage": n * (horizon + 1) / rows,
        "total_r": math.fsum(r),
        "by_month": _by_month(run.trades),
    }
    if n == 0:
        return TradeMetrics({**known, **dict.fromkeys(_OF_TRADES)}, dict.fromkeys(_OF_TRADES, "no trades"))
    win = r > 0
    profit, loss = math.fsum(net[net > 0]), -math.fsum(net[net <= 0])
    measured: dict[str, tuple[Any, str]] = {
        "win_rate": (float(win.mean()), ""),
        "win_rate_gross": (float((gross > 0).mean()), ""),
        "expectancy_r": (float(r.mean()), ""),
        "profit_factor": (profit / loss if loss > 0 else None, "no losing trade"),
        "max_drawdown": (_drawdowns(run, r), ""),
        "avg_win_r": (float(r[win].mean()) if win.any() else None, "no winning trade"),
        "avg_loss_r": (float(r[~win].mean()) if not win.all() else None, "no losing trade"),
        "breakeven_win_rate": (breakeven_win_rate(r), "needs a winning and a losing trade"),
        "expectancy_r_at_cost": (
            {f"x{k:g}": float(((gross - k * (gross - net)) / risk).mean()) for k in COST_LADDER},
            "",
        ),
        "avg_cost_r": (float(((gross - net) / risk).mean()), ""),
        "psr": _psr(r),
    }
    return _merge(known, measured.items())


def _merge(known: dict[str, Any], measured: Iterable[tuple[str, tuple[Any, str]]]) -> TradeMetrics:
    values, undefined = dict(known), {}
    for name, (value, reason) in measured:
        values[name] = value
        if value is None:
            undefined[name] = reason
    return TradeMetrics(values, undefined)


def _psr(r: np.ndarray) -> tuple[float | None, str]:
    """P(true Sharpe per trade > 0)."""
    if r.size < 3 or not r.std() > 0:
        return None, "needs at least 3 trades that differ"
    sharpe, skew, kurtosis = sharpe_moments(r)
    return psr(sharpe, r.size, skew=skew, kurtosis=kurtosis), ""


def _drawdowns(run: Backtest, r: np.ndarray) -> dict[str, float]:
    marked, equity = floats(run.equity, "r_cum"), floats(run.equity, "equity")
    peak = np.maximum.accumulate(np.concatenate([[1.0], equity]))[1:]
    return {
        "r": max_drawdown(np.cumsum(r)),
        "r_marked": max_drawdown(marked),
        "pct": 100.0 * float((1.0 - equity / peak).max()),
    }


def _by_month(trades: pa.Table) -> list[dict[str, Any]]:
    """Trades, win rate, expectancy and total R by calendar month (UTC) of the signal, in order."""
    months = us(trades.column("signal_ts_us")).astype("datetime64[us]").astype("datetime64[M]")
    r = floats(trades, "r")
    table = []
    for month in np.unique(months):
        inside = r[months == month]
        table.append(
            {
                "month": str(month),
                "trades": int(inside.size),
                "win_rate": float((inside > 0).mean()),
                "expectancy_r": float(inside.mean()),
                "total_r": math.fsum(inside),
            }
        )
    return table
