"""Sharpe ratio inference per trade: probabilistic, deflated, minimum track record, trades needed."""

import math
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from scalper_ml.errors import ContractError

__all__ = ["dsr", "effective_trials", "expected_max_sharpe", "min_trl", "pbo", "psr", "sharpe_moments", "trades_needed"]

_EULER = 0.5772156649015329


def sharpe_moments(r: npt.ArrayLike) -> tuple[float, float, float]:
    """Sharpe ratio per trade (sd with n - 1), skewness and kurtosis (normal = 3) of returns `r` (n,).

    Raises
    ------
    ContractError
        With fewer than 3 values, or without any spread.

    Examples
    --------
    >>> [round(x, 4) for x in sharpe_moments([1.0, -1.0, 2.0, 0.0, 1.0])]
    [0.5262, -0.2715, 1.9556]
    """
    x = np.asarray(r, dtype=np.float64)
    # rounding alone gives constant values a spread of some 1e-16 of their size
    if x.size < 3 or not (spread := float(x.std(ddof=1))) > 1e-12 * float(np.abs(x).max()):
        raise ContractError(f"Sharpe ratio: found {x.size} returns without spread; expected at least 3 that differ")
    z = (x - x.mean()) / x.std()
    return float(x.mean()) / spread, float((z**3).mean()), float((z**4).mean())


def _sharpe_variance(sr: float, skew: float, kurtosis: float) -> float:
    variance = 1.0 - skew * sr + (kurtosis - 1.0) / 4.0 * sr * sr
    if not variance > 0:
        raise ContractError(
            f"Sharpe ratio {sr}: skew {skew} and kurtosis {kurtosis} cannot belong to one sample; "
            "expected kurtosis >= 1 + skew^2 (a normal has 0 and 3)"
        )
    return variance


def psr(sr: float, n: float, *, skew: float = 0.0, kurtosis: float = 3.0, benchmark: float = 0.0) -> float:
    """Probabilistic Sharpe ratio: P(true Sharpe > `benchmark`) given the one observed on `n` trades.

    Parameters
    ----------
    sr, benchmark : float
        Sharpe ratios *per trade*, not annualised.
    n : float
        Non-overlapping trades, or their effective number; > 1.
    skew, kurtosis : float
        Of the returns per trade; kurtosis of a normal is 3.

    References
    ----------
    Bailey & López de Prado (2012), The Sharpe ratio efficient frontier.

    Examples
    --------
    >>> round(psr(0.1, 500, skew=-0.5, kurtosis=5), 10)
    0.9849847652
    """
    if not n > 1:
        raise ContractError(f"probabilistic Sharpe ratio: found n = {n} trades; expected more than 1")
    return float(ndtr((sr - benchmark) * math.sqrt(n - 1.0) / math.sqrt(_sharpe_variance(sr, skew, kurtosis))))


def min_trl(
    sr: float, *, alpha: float = 0.05, skew: float = 0.0, kurtosis: float = 3.0, benchmark: float = 0.0
) -> float:
    """Trades needed before PSR reaches 1 - `alpha`; infinite when `sr` does not exceed `benchmark`.

    Examples
    --------
    >>> round(min_trl(0.1, skew=-0.5, kurtosis=5), 6)
    287.787606
    """
    if sr <= benchmark:
        return math.inf
    return 1.0 + _sharpe_variance(sr, skew, kurtosis) * (float(ndtri(1.0 - alpha)) / (sr - benchmark)) ** 2


def expected_max_sharpe(trials: float, variance: float = 1.0) -> float:
    """Expected best Sharpe ratio of `trials` independent skill-less tries whose Sharpe ratios vary by `variance`.

    One trial expects 0. `trials` counts everything tried, or its effective number, >= 1.

    Examples
    --------
    >>> round(expected_max_sharpe(10), 6)
    1.574598
    """
    if not trials >= 1 or not variance >= 0:
        raise ContractError(
            f"expected maximum Sharpe: found {trials} trials with variance {variance}; expected >= 1 and >= 0"
        )
    if trials == 1:
        return 0.0
    tail = (1.0 - _EULER) * float(ndtri(1.0 - 1.0 / trials)) + _EULER * float(ndtri(1.0 - 1.0 / (trials * math.e)))
    return math.sqrt(variance) * tail


def dsr(sr: float, n: float, *, trials: float, variance: float, skew: float = 0.0, kurtosis: float = 3.0) -> float:
    """Deflated Sharpe ratio: PSR against the best that `trials` skill-less tries would have shown.

    Examples
    --------
    >>> round(dsr(0.1, 500, trials=50, variance=0.002, skew=-0.5, kurtosis=5), 10)
    0.4844289698

    References
    ----------
    Bailey & López de Prado (2014), The deflated Sharpe ratio.
    """
    return psr(sr, n, skew=skew, kurtosis=kurtosis, benchmark=expected_max_sharpe(trials, variance))


def trades_needed(sr: float, *, alpha: float, power: float) -> int:
    """Trades for a one-sided test of size `alpha` to find a true Sharpe `sr` per trade with probability `power`.

    Examples
    --------
    >>> trades_needed(0.1, alpha=0.01, power=0.8)
    1004
    """
    if not sr > 0:
        raise ContractError(f"trades needed: found a Sharpe ratio of {sr}; expected a positive one")
    return math.ceil(((float(ndtri(1.0 - alpha)) + float(ndtri(power))) / sr) ** 2)


def effective_trials(correlation: npt.ArrayLike) -> float:
    """Effective number of independent trials of a correlation matrix (N, N): (sum of eigenvalues)^2 / sum of squares.

    Examples
    --------
    >>> effective_trials(np.eye(4)), effective_trials(np.ones((4, 4)))
    (4.0, 1.0)
    """
    matrix = np.asarray(correlation, dtype=np.float64)
    return float(np.trace(matrix) ** 2 / (matrix * matrix).sum())  # eigenvalue sums without the eigenvalues


def pbo(performance: npt.ArrayLike, n_blocks: int = 10) -> float:
    """Probability of backtest overfitting by combinatorially symmetric cross-validation.

    Parameters
    ----------
    performance : (T, N)
        PnL per period of the N >= 2 configurations tried.
    n_blocks : int
        Even number of time blocks; C(n_blocks, n_blocks / 2) splits are evaluated.

    Returns
    -------
    float
        Share of splits in which the configuration best in one half ranks in the lower half of the other.

    Notes
    -----
    A research diagnostic: on pure noise it scatters over .3 to .96, so a single low value proves nothing.

    References
    ----------
    Bailey, Borwein, López de Prado & Zhu (2015), The probability of backtest overfitting.

    Examples
    --------
    >>> noise = np.random.default_rng(1).normal(size=(400, 20))
    >>> noise[:, 3] += 0.5  # one truly skilled configuration
    >>> pbo(noise)
    0.0
    """
    M = np.asarray(performance, dtype=np.float64)
    if M.ndim != 2 or M.shape[1] < 2 or n_blocks < 2 or n_blocks % 2 or M.shape[0] < 2 * n_blocks:
        raise ContractError(
            f"pbo: found performance of shape {M.shape} and {n_blocks} blocks; "
            "expected at least two configurations, an even number of blocks and two rows a block"
        )
    parts = np.array_split(M, n_blocks)
    moments = np.stack(
        [[part.sum(axis=0), (part * part).sum(axis=0), np.full(M.shape[1], len(part))] for part in parts]
    )
    total = moments.sum(axis=0)
    below = 0
    splits = list(combinations(range(n_blocks), n_blocks // 2))
    for chosen in splits:
        inside = moments[list(chosen)].sum(axis=0)
        best = int(np.argmax(_sharpe_of(inside)))
        outside = _sharpe_of(total - inside)
        rank = 1 + int((outside < outside[best]).sum())
        below += rank / (M.shape[1] + 1) <= 0.5
    return below / len(splits)


def _sharpe_of(moments: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    mean = moments[0] / moments[2]
    spread = np.sqrt(np.maximum(moments[1] / moments[2] - mean * mean, 0.0))
    sharpe: npt.NDArray[np.float64] = np.divide(mean, spread, out=np.zeros_like(mean), where=spread > 0)
    return sharpe
