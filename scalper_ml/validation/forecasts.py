"""Does one forecast lose less than another, or the best of many less than none? Diebold-Mariano and Hansen's test."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr

from scalper_ml.errors import ContractError

__all__ = [
    "DieboldMariano",
    "SuperiorAbility",
    "diebold_mariano",
    "long_run_variance",
    "stationary_indices",
    "superior_ability",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_AT_ONCE = 32  # bootstrap samples held in memory


@dataclass(frozen=True, slots=True)
class DieboldMariano:
    """Mean loss difference, its statistic, and the one-sided p-value of "the first loses no less than the second"."""

    mean_difference: float
    statistic: float
    p_value: float
    lags: int


def long_run_variance(x: npt.ArrayLike, lags: int) -> float:
    """Variance of ``sqrt(n) * mean(x)`` with Bartlett weights over `lags` autocovariances (Newey-West), >= 0.

    Examples
    --------
    >>> long_run_variance([1.0, -1.0, 1.0, -1.0], 0), long_run_variance([1.0, -1.0, 1.0, -1.0], 1)
    (1.0, 0.25)
    """
    values = np.asarray(x, dtype=np.float64)
    if values.ndim != 1 or not 0 <= lags < values.size:
        raise ContractError(
            f"long-run variance: {values.shape} values and {lags} lags; expected (n,) and 0 <= lags < n"
        )
    centred = values - values.mean()
    total = float(centred @ centred)
    for lag in range(1, lags + 1):
        total += 2.0 * (1.0 - lag / (lags + 1.0)) * float(centred[lag:] @ centred[:-lag])
    return total / values.size


def diebold_mariano(
    loss: npt.ArrayLike, other: npt.ArrayLike, *, horizon: int = 1, lags: int | None = None
) -> DieboldMariano:
    """Test H0: the first forecast loses no less than the second, against that it loses less.

    Parameters
    ----------
    loss, other : array_like, shape (n,)
        Losses of two forecasts of the same outcomes, in time order.
    horizon : int
        Steps ahead, >= 1: outcomes of neighbouring rows overlap by ``horizon - 1``.
    lags : int, optional
        Autocovariances in the variance. Default: the larger of ``horizon - 1`` and the cube root of n.

    Returns
    -------
    DieboldMariano
        Statistic with the small-sample correction of Harvey, Leybourne and Newbold, p by Student's t with n - 1
        degrees of freedom. Losses that never differ give statistic 0 and p 1/2.

    Raises
    ------
    ContractError
        Shapes differ, a loss is not finite, or there are no more rows than lags.

    References
    ----------
    Diebold & Mariano (1995), Comparing predictive accuracy. Harvey, Leybourne & Newbold (1997).

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> truth = rng.normal(size=500)
    >>> better, worse = (truth - 0.3 * truth) ** 2, truth**2
    >>> diebold_mariano(better, worse).p_value < 0.001 < 0.999 < diebold_mariano(worse, better).p_value
    True
    """
    one, two = np.asarray(loss, dtype=np.float64), np.asarray(other, dtype=np.float64)
    if one.ndim != 1 or one.shape != two.shape or not (np.isfinite(one).all() and np.isfinite(two).all()):
        raise ContractError(
            f"Diebold-Mariano: losses of shapes {one.shape} and {two.shape}; expected equal (n,), all finite"
        )
    n = one.size
    taken = max(horizon - 1, math.floor(n ** (1 / 3))) if lags is None else lags
    if horizon < 1 or n <= max(taken, horizon, 2):
        raise ContractError(f"Diebold-Mariano: {n} losses at horizon {horizon} with {taken} lags; expected more rows")
    difference = one - two
    mean = float(difference.mean())
    variance = long_run_variance(difference, taken) / n
    if variance <= (1e-14 * max(1.0, float(np.abs(difference).max()))) ** 2:
        statistic = 0.0 if abs(mean) <= 1e-14 else math.copysign(math.inf, mean)
    else:
        corrected = (n + 1.0 - 2.0 * horizon + horizon * (horizon - 1.0) / n) / n
        statistic = mean / math.sqrt(variance) * math.sqrt(corrected)
    p = float(stdtr(n - 1, statistic)) if math.isfinite(statistic) else float(statistic > 0)
    return DieboldMariano(mean, statistic, p, taken)


def stationary_indices(n: int, mean_block: float, B: int, seed: int | list[int]) -> Ints:
    """Rows of `B` stationary bootstrap samples, shape (B, n): blocks of geometric length that wrap around the end.

    Parameters
    ----------
    n : int
        Rows of the series, >= 1.
    mean_block : float
        Mean length of a block, >= 1; at least the horizon, and the memory of what is resampled.
    B : int
    seed : int or list of int

    References
    ----------
    Politis & Romano (1994), The stationary bootstrap.

    Examples
    --------
    >>> stationary_indices(6, 3.0, 2, seed=4)
    array([[5, 0, 1, 4, 5, 0],
           [5, 2, 3, 4, 5, 0]])
    """
    if n < 1 or B < 1 or not mean_block >= 1:
        raise ContractError(f"bootstrap: {n} rows, blocks of {mean_block}, {B} draws; expected at least 1 of each")
    rng = np.random.default_rng(seed)
    fresh = rng.random((B, n)) < 1.0 / mean_block
    fresh[:, 0] = True
    begins = rng.integers(0, n, (B, n))
    steps = np.arange(n)
    last = np.maximum.accumulate(np.where(fresh, steps, 0), axis=1)
    rows: Ints = (np.take_along_axis(begins, last, axis=1) + steps - last) % n
    return rows


@dataclass(frozen=True, slots=True, eq=False)
class SuperiorAbility:
    """P-value of "none of them gains", and the studentised mean gain (k,) of each, NaN where gains do not vary."""

    p_value: float
    statistics: Floats


def superior_ability(gains: npt.ArrayLike, *, mean_block: float, B: int = 1_000, seed: int = 0) -> SuperiorAbility:
    """Hansen's test for superior predictive ability, with the consistent p-value.

    Parameters
    ----------
    gains : array_like, shape (n, k)
        By how much each of k alternatives does better than the benchmark, row by row in time order.
    mean_block : float
        Of the stationary bootstrap, >= 1.
    B, seed : int

    Returns
    -------
    SuperiorAbility
        Of H0: no alternative has a positive expected gain. p is 1 where the best mean gain is not positive.

    Notes
    -----
    The statistic is ``max(0, max_k sqrt(n) mean_k / w_k)``, with ``w_k`` from the bootstrap; it is drawn again with
    the gains centred, but for alternatives so poor, ``mean_k < -w_k sqrt(2 ln ln n / n)``, that they cannot be the
    best: those keep their mean. Many bad alternatives then do not hide a good one, as they do in White's test.

    References
    ----------
    Hansen (2005), A test for superior predictive ability.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> nothing = rng.normal(size=(1000, 10))
    >>> superior_ability(nothing, mean_block=10).p_value > 0.2
    True
    >>> superior_ability(nothing + np.r_[0.15, np.full(9, -2.0)], mean_block=10).p_value < 0.01
    True
    """
    rows = np.asarray(gains, dtype=np.float64)
    if rows.ndim != 2 or len(rows) < 3 or rows.shape[1] < 1 or not np.isfinite(rows).all():
        raise ContractError(f"superior ability: gains of shape {rows.shape}; expected (n >= 3, k >= 1), all finite")
    n = len(rows)
    mean = rows.mean(axis=0)
    drawn = np.empty((B, rows.shape[1]))
    for begin in range(0, B, _AT_ONCE):
        part = stationary_indices(n, mean_block, min(_AT_ONCE, B - begin), [seed, begin])
        counts = np.array([np.bincount(one, minlength=n) for one in part], dtype=np.float64)
        drawn[begin : begin + len(part)] = np.einsum("bn,nk->bk", counts, rows) / n
    spread = np.sqrt(n * ((drawn - mean) ** 2).mean(axis=0))
    varies = spread > 1e-12 * np.maximum(np.abs(rows).max(axis=0), np.finfo(np.float64).tiny)
    statistics = np.full(rows.shape[1], np.nan)
    statistics[varies] = math.sqrt(n) * mean[varies] / spread[varies]
    observed = max(0.0, float(statistics[varies].max(initial=0.0)))
    near = mean >= -spread * math.sqrt(2.0 * math.log(math.log(n)) / n)
    centred = drawn - np.where(near, mean, 0.0)
    again = (math.sqrt(n) * centred[:, varies] / spread[varies]).max(axis=1, initial=0.0)
    return SuperiorAbility(float((again >= observed).mean()), statistics)
