"""What the best possible forecaster reaches on a transparent-alpha market, in closed form."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from scalper_ml.errors import ContractError

__all__ = ["Optimum", "level_a_optimum"]


@dataclass(frozen=True, slots=True)
class Optimum:
    """Best attainable figures for one horizon.

    Attributes
    ----------
    horizon : int
        Bars.
    da : float
        Directional accuracy of the sign of the signal.
    r2 : float
        Share of the variance of the h-bar return that the signal explains.
    sd : float
        Standard deviation of the h-bar log return, in units of the 1-bar one.
    accuracy3, ba3 : float
        Accuracy and balanced accuracy of the best 3-class rule of each.
    prior_neutral : float
        Share of moves inside the deadband.
    """

    horizon: int
    da: float
    r2: float
    sd: float
    accuracy3: float
    ba3: float
    prior_neutral: float


def level_a_optimum(rho: float, phi: float, horizon: int, *, deadband_k: float = 0.5) -> Optimum:
    """The optimum for ``r[t+1] = sigma (rho a[t] + sqrt(1 - rho^2) eps)`` with `a` an AR(1) of unit variance.

    Parameters
    ----------
    rho : float
        Correlation of the signal with the next return, in (-1, 1).
    phi : float
        Autocorrelation of the signal, in (-1, 1).
    horizon : int
        Bars, at least 1.
    deadband_k : float
        Half-width of the neutral class in standard deviations of the h-bar return.

    Returns
    -------
    Optimum

    Notes
    -----
    With ``A = (1 - phi^h) / (1 - phi)`` and ``V = h (1 - rho^2) + rho^2 sum_ij (phi^|i-j| - phi^(i+j))`` the h-bar
    return given `a` is normal with mean ``rho A a`` and variance `V`. The expectations over `a` are trapezoid sums
    over +-9 standard deviations: the integrand has kinks, where Gauss-Hermite nodes converge slowly.

    Examples
    --------
    >>> best = level_a_optimum(0.10, 0.90, 1)
    >>> round(best.da, 4), round(best.r2, 4), round(best.ba3, 4)
    (0.5319, 0.01, 0.3638)
    """
    if not (-1 < rho < 1 and -1 < phi < 1 and horizon >= 1 and deadband_k >= 0):
        raise ContractError(
            f"optimum: rho {rho}, phi {phi}, horizon {horizon}, deadband {deadband_k}; "
            "expected |rho| < 1, |phi| < 1, horizon >= 1, deadband >= 0"
        )
    gain = rho * (1 - phi**horizon) / (1 - phi)
    i = np.arange(horizon)
    variance = horizon * (1 - rho**2) + rho**2 * float(np.sum(phi ** np.abs(i[:, None] - i) - phi ** (i[:, None] + i)))
    total = float(np.sqrt(gain**2 + variance))
    a = np.linspace(-9.0, 9.0, 36_001)
    weight = np.exp(-(a**2) / 2) / np.sqrt(2 * np.pi) * (a[1] - a[0])
    deadband, sd = deadband_k * total, np.sqrt(variance)
    p_long = 1 - ndtr((deadband - gain * a) / sd)
    p_short = ndtr((-deadband - gain * a) / sd)
    P = np.stack((p_short, 1 - p_long - p_short, p_long))
    prior = P @ weight
    with np.errstate(invalid="ignore", divide="ignore"):
        balanced = np.where(prior[:, None] > 0, P / prior[:, None], 0.0)
    return Optimum(
        horizon=horizon,
        da=float(0.5 + np.arctan(abs(gain) / sd) / np.pi),
        r2=float(gain**2 / total**2),
        sd=total,
        accuracy3=float(P.max(axis=0) @ weight),
        ba3=float(balanced.max(axis=0) @ weight / np.count_nonzero(prior > 0)),
        prior_neutral=float(prior[1]),
    )
