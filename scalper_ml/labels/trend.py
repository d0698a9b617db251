"""Trend scanning: the sign and significance of the straightest line ahead, as a target and weight for training.

It is no outcome anybody trades: the length of the line is chosen with hindsight. What it gives is the side of moves
that are lines rather than noise, and by ``|t|`` how much each should count.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalper_ml.errors import SettingsError
from scalper_ml.labels.checks import check_bars
from scalper_ml.labels.paths import next_pause, trend_scan
from scalper_ml.schema import LONG, NEUTRAL, SHORT

__all__ = ["TrendLabels", "noise_quantile", "trend_labels"]

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class TrendLabels:
    """Rows in time order; every array has shape (m,).

    ``row`` is the signal bar, ``t0`` its close, ``t1`` the close of the *last bar looked at*; ``length`` the bars of
    the chosen line, ``slope`` its log return a bar, ``t`` its t-value and ``weight`` ``|t|``; ``y`` 0 SHORT,
    1 NEUTRAL, 2 LONG. ``dropped`` counts the other bars as ``no_exit`` and ``gap``.
    """

    row: I64
    t0: I64
    t1: I64
    length: I64
    slope: F64
    t: F64
    weight: F64
    y: NDArray[np.int8]
    dropped: dict[str, int]


def trend_labels(
    open: ArrayLike,
    open_ts_us: ArrayLike,
    ts_us: ArrayLike,
    *,
    interval_us: int,
    shortest: int = 5,
    longest: int = 20,
    max_gap_bars: int = 0,
    least_t: float = 0.0,
) -> TrendLabels:
    """Label every bar by the line through the opens after it that has the largest ``|t|``.

    Parameters
    ----------
    open, open_ts_us, ts_us, interval_us
        Bars, as in `horizon_labels`.
    shortest, longest : int
        Lengths tried, in bars, 2 <= shortest <= longest.
    max_gap_bars : int
        A hole of more intervals than this among the bars looked at drops the row.
    least_t : float
        Below it a row is NEUTRAL, >= 0; `noise_quantile` says what noise reaches.

    Returns
    -------
    TrendLabels

    Raises
    ------
    ContractError, SettingsError
        Bars or parameters are not as described.

    Notes
    -----
    Of row i the line starts at the open of bar i + 1; ordinary least squares of log price on 0, 1, ..., l. The label
    depends on all `longest` bars, whichever length won, so ``t1`` is the close of the last of them: purging by the
    length that won would leave in training what was chosen by looking into the test.

    References
    ----------
    Lopez de Prado (2020), Machine Learning for Asset Managers, ch. 5.

    Examples
    --------
    >>> minute = 60_000_000
    >>> start = minute * np.arange(9)
    >>> price = 100 * np.exp([0, 0, 0.01, 0.02, 0.03, 0.05, 0.01, 0.01, 0.01])
    >>> labels = trend_labels(price, start, start + minute, interval_us=minute, shortest=3, longest=5)
    >>> labels.y, labels.length, labels.dropped
    (array([2, 2, 0], dtype=int8), array([3, 3, 5]), {'no_exit': 6, 'gap': 0})
    """
    for name, value, least in (("shortest", shortest, 2), ("longest", longest, shortest)):
        if int(value) != value or value < least:
            raise SettingsError(f"trend labels: {name} is {value!r}; expected a whole number >= {least}")
    if not (np.isfinite(least_t) and least_t >= 0):
        raise SettingsError(f"trend labels: least_t is {least_t!r}; expected a finite number >= 0")
    price = np.asarray(open, dtype=np.float64)
    start, close = np.asarray(open_ts_us, dtype=np.int64), np.asarray(ts_us, dtype=np.int64)
    check_bars(price, start, close, interval_us)
    n = close.size
    last = np.arange(n) + 1 + longest
    pauses = next_pause(start, close, max_gap_bars * interval_us)
    enough = last < n
    whole = np.append(pauses, n)[np.minimum(np.arange(n) + 1, n)] > last  # the step to the entry may not be late either
    row = np.flatnonzero(enough & whole)
    length, slope, t = trend_scan(np.log(price), row + 1, shortest, longest)
    clear = np.abs(t) >= least_t
    return TrendLabels(
        row=row,
        t0=close[row],
        t1=close[last[row]],
        length=length,
        slope=slope,
        t=t,
        weight=np.abs(t),
        y=np.select([clear & (slope > 0), clear & (slope < 0)], [LONG, SHORT], NEUTRAL).astype(np.int8),
        dropped={"no_exit": int(np.count_nonzero(~enough)), "gap": int(np.count_nonzero(enough & ~whole))},
    )


@cache
def noise_quantile(
    shortest: int = 5, longest: int = 20, *, level: float = 0.95, paths: int = 20_000, seed: int = 0
) -> float:
    """What the largest ``|t|`` of a driftless random walk stays below with probability `level`, by simulation.

    A t-value of 2 means nothing here: prices are no independent observations and the largest of many is taken.

    Examples
    --------
    >>> 10 < noise_quantile(5, 20) < 20
    True
    """
    steps = np.random.default_rng(seed).normal(size=(paths, longest + 1))
    steps[:, 0] = 0.0
    walks = np.cumsum(steps, axis=1).ravel()
    _, _, t = trend_scan(walks, np.arange(paths) * (longest + 1), shortest, longest)
    return float(np.quantile(np.abs(t), level))
