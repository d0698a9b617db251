"""Lower bounds and shrinkage of win rates and expectancies."""

import math

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv, ndtri

from scalper_ml.errors import ContractError

__all__ = ["clopper_pearson", "jeffreys", "shrunk_expectancy", "shrunk_rate", "wilson"]

Floats = npt.NDArray[np.float64]


def _counts(successes: float, n: float, alpha: float) -> None:
    if not (n > 0 and 0 <= successes <= n and 0 < alpha < 1):
        raise ContractError(
            f"proportion: found {successes} of {n} at alpha {alpha}; expected 0 <= successes <= n, n > 0, 0 < alpha < 1"
        )


def wilson(successes: float, n: float, alpha: float = 0.05) -> float:
    """One-sided lower Wilson bound of a rate at level 1 - `alpha`; the upper one is ``1 - wilson(n - k, n)``.

    Examples
    --------
    >>> round(wilson(55, 100), 8)
    0.4679267
    """
    _counts(successes, n, alpha)
    z = float(ndtri(1.0 - alpha))
    rate = successes / n
    centre = rate + z * z / (2.0 * n)
    half = z * math.sqrt(rate * (1.0 - rate) / n + z * z / (4.0 * n * n))
    return max(0.0, (centre - half) / (1.0 + z * z / n))


def jeffreys(successes: float, n: float, alpha: float = 0.05) -> float:
    """One-sided lower Jeffreys bound, the `alpha` quantile of Beta(k + 1/2, n - k + 1/2); 0 without a success.

    Examples
    --------
    >>> round(jeffreys(55, 100), 8)
    0.46786102
    """
    _counts(successes, n, alpha)
    return 0.0 if successes == 0 else float(betaincinv(successes + 0.5, n - successes + 0.5, alpha))


def clopper_pearson(successes: float, n: float, alpha: float = 0.05) -> float:
    """One-sided lower Clopper-Pearson (exact, conservative) bound; 0 without a success.

    Examples
    --------
    >>> round(clopper_pearson(55, 100), 8)
    0.4628896
    """
    _counts(successes, n, alpha)
    return 0.0 if successes == 0 else float(betaincinv(successes, n - successes + 1.0, alpha))


def shrunk_rate(successes: float, n: float, strength: float = 30.0) -> float:
    """Posterior mean win rate under the no-skill prior Beta(a, a), a = `strength`: for display and ranking only.

    Examples
    --------
    >>> shrunk_rate(55, 100)
    0.53125
    """
    return (successes + strength) / (n + 2.0 * strength)


def shrunk_expectancy(expectancy: npt.ArrayLike, se: npt.ArrayLike) -> Floats:
    """Empirical-Bayes expectancies of a family (m,), pulled towards their mean by their uncertainty.

    Mean and between-member variance come from the method of moments; with no variance beyond noise
    all members get the mean. For ranking, never for the gate.

    Examples
    --------
    >>> shrunk_expectancy([0.0, 0.4], [0.1, 0.1]).round(3).tolist()
    [0.025, 0.375]
    """
    e = np.asarray(expectancy, dtype=np.float64)
    s2 = np.asarray(se, dtype=np.float64) ** 2
    if e.size < 2:
        return e.copy()
    mean = float(e.mean())
    between = max(0.0, float(e.var(ddof=1) - s2.mean()))
    return (between * e + s2 * mean) / (between + s2) if between > 0 else np.full_like(e, mean)
