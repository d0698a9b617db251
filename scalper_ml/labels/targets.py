"""What the specialists learn: return, price, risk, momentum state and volatility of the time a position is held.

All of them are of the path from the entry to the exit of a label and of nothing before it. Targets measured up to
the signal (a rolling standard deviation, a momentum of the last bars) are known at the decision: predicting them is
copying, and shows an R2 near one.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalper_ml.errors import ContractError, SettingsError
from scalper_ml.labels.checks import check_bars, check_order, check_prices
from scalper_ml.labels.horizon import Labels
from scalper_ml.labels.paths import path_shape

__all__ = ["FALLING", "QUIET", "RISING", "Targets", "excursion_share", "specialist_targets"]

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

FALLING: Final = 0
QUIET: Final = 1
RISING: Final = 2


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """Targets of the labelled rows; every array has shape (m,), rows as in the labels.

    Attributes
    ----------
    ret : log return from entry to exit, gross.
    price : exit price.
    risk : 0 to 100. How far the price went from the entry, to the worse side, as a percentile of what a driftless
        walk of the volatility known at the decision does: 50 is ordinary, 95 happens once in twenty.
    momentum : 0 FALLING, 1 QUIET, 2 RISING: a return beyond the deadband that is at least `momentum_z` of the path's
        own root of summed squares.
    log_rv : log of the realised variance, summed squared log returns of opens from entry to exit.
    log_range : log of Parkinson's variance, from highs and lows of the bars held: less noise, and finite for one bar.
    """

    row: I64
    t0: I64
    t1: I64
    ret: F64
    price: F64
    risk: F64
    momentum: NDArray[np.int8]
    log_rv: F64
    log_range: F64


def specialist_targets(
    open: ArrayLike,
    high: ArrayLike,
    low: ArrayLike,
    open_ts_us: ArrayLike,
    ts_us: ArrayLike,
    labels: Labels,
    *,
    interval_us: int,
    momentum_z: float = 1.0,
    floor: float = 1e-6,
) -> Targets:
    """Targets of every labelled row, from the bars between its entry and its exit.

    Parameters
    ----------
    open, high, low, open_ts_us, ts_us, interval_us
        Bars of one symbol, as in `barrier_labels`.
    labels : Labels
        Made by `horizon_labels` of the same bars.
    momentum_z : float
        See `Targets`, >= 0.
    floor : float
        Least standard deviation of a bar, a fraction > 0: a path that did not move has this variance, not none.

    Returns
    -------
    Targets

    Raises
    ------
    ContractError
        The labels are not of these bars.
    SettingsError
        A parameter is outside its range.

    Notes
    -----
    Row i uses opens of bars i + 1 to the exit bar, and highs and lows of bars i + 1 to the one before the exit bar.
    `sigma` scales the risk; it is known at the decision.

    Examples
    --------
    >>> from scalper_ml.labels.horizon import horizon_labels
    >>> from scalper_ml.labels.rule import LabelRule
    >>> minute = 60_000_000
    >>> start = minute * np.arange(5)
    >>> price = np.array([100.0, 100.0, 101.0, 102.0, 101.0])
    >>> bars = (start, start + minute)
    >>> labels = horizon_labels(price, *bars, rule=LabelRule(2, minute, 0.5, 1.0), sigma=np.full(5, 0.01), cost=0.001)
    >>> targets = specialist_targets(price, price + 0.2, price - 0.2, *bars, labels, interval_us=minute)
    >>> targets.price, targets.momentum, targets.risk.round(1), targets.log_rv.round(2)
    (array([102., 101.]), array([2, 1], dtype=int8), array([67.7, 21.7]), array([-8.54, -8.55]))
    """
    if not (np.isfinite(momentum_z) and momentum_z >= 0):
        raise SettingsError(f"targets: momentum_z is {momentum_z!r}; expected a finite number >= 0")
    if not (np.isfinite(floor) and floor > 0):
        raise SettingsError(f"targets: floor is {floor!r}; expected a finite fraction > 0")
    first, top, bottom = (np.asarray(values, dtype=np.float64) for values in (open, high, low))
    start, close = np.asarray(open_ts_us, dtype=np.int64), np.asarray(ts_us, dtype=np.int64)
    check_bars(first, start, close, interval_us)
    for name, price in (("high", top), ("low", bottom)):
        check_order(f"bars: {name}", start, (price,))
        check_prices(f"bars: {name}", price)
    begin, end = labels.row + 1, np.searchsorted(close, labels.t1)
    _refuse_strangers(first, close, labels, begin, end)
    most, least, squares, _ = path_shape(first, top, bottom, begin, end)
    most, least = np.maximum(most, labels.exit), np.minimum(least, labels.exit)
    bars_held = (end - begin).astype(np.float64)
    worst = np.maximum(np.log(most / labels.entry), np.log(labels.entry / least))
    scale = labels.sigma * np.sqrt(bars_held)
    strength = np.abs(labels.ret) >= momentum_z * np.sqrt(squares) * (1.0 - 1e-12)  # of one bar the two are equal
    return Targets(
        row=labels.row,
        t0=labels.t0,
        t1=labels.t1,
        ret=labels.ret,
        price=labels.exit,
        risk=100.0 * excursion_share(np.divide(worst, scale, out=np.full_like(worst, np.inf), where=scale > 0)),
        momentum=np.select(
            [strength & (labels.ret > labels.deadband), strength & (labels.ret < -labels.deadband)],
            [RISING, FALLING],
            QUIET,
        ).astype(np.int8),
        log_rv=np.log(np.maximum(squares, bars_held * floor**2)),
        log_range=np.log(np.maximum(_parkinson(top, bottom, begin, end), bars_held * floor**2)),
    )


def excursion_share(distance: ArrayLike) -> F64:
    """Probability that a standard Brownian path stays within ``+-distance`` up to time 1; in [0, 1], shape kept.

    ``4/pi * sum (-1)^k / (2k + 1) * exp(-(2k + 1)^2 pi^2 / (8 distance^2))``, and for large distances the sum of
    reflections of the normal, which converges where the first does not.

    Examples
    --------
    >>> excursion_share([0.0, 1.0, 1.1490, 2.2414]).round(3)
    array([0.   , 0.371, 0.5  , 0.95 ])
    """
    from scipy.special import ndtr

    a = np.asarray(distance, dtype=np.float64)
    k = np.arange(5)  # terms beyond are below 1e-15 on either side of 1.5
    sign, odd = (-1.0) ** k, 2.0 * k + 1.0
    near = np.clip(a, 1e-3, 1.5)[..., None]
    series = (4.0 / np.pi * sign / odd * np.exp(-((odd * np.pi) ** 2) / (8.0 * near**2))).sum(axis=-1)
    far = np.clip(a, 1.5, 40.0)[..., None]
    tails = ndtr(-odd * far)
    reflected = 1.0 - 4.0 * (sign * tails).sum(axis=-1)
    return np.asarray(np.clip(np.where(a > 1.5, reflected, np.where(a > 1e-3, series, 0.0)), 0.0, 1.0))


def _parkinson(top: F64, bottom: F64, begin: I64, end: I64) -> F64:
    """Summed ``ln(high / low)^2 / (4 ln 2)`` of the bars held, shape (m,)."""
    each = np.log(top / bottom) ** 2 / (4.0 * np.log(2.0))
    if not begin.size:
        return np.empty(0)
    sums: F64 = np.add.reduceat(np.append(each, 0.0), np.column_stack([begin, end]).ravel())[::2]
    return sums


def _refuse_strangers(first: F64, close: I64, labels: Labels, begin: I64, end: I64) -> None:
    wrong = (end >= close.size) | (begin >= close.size)
    held = np.minimum(end, close.size - 1)
    wrong |= (close[labels.row] != labels.t0) | (close[held] != labels.t1)
    wrong |= (first[np.minimum(begin, close.size - 1)] != labels.entry) | (first[held] != labels.exit)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise ContractError(
            f"targets: {int(wrong.sum())} of {wrong.size} labels are not of these bars, first the one of row "
            f"{labels.row[at]}; expected fixed-horizon labels that enter and leave at opens of these bars"
        )
