"""What accuracy would pay: how often a coin's direction has to be known before its costs are earned back."""

import math
from typing import Any, Final

from scipy.special import ndtri

from scalper_ml.errors import ContractError

__all__ = ["break_even_accuracy", "needed_correlation", "what_pays"]

_MEAN_ABS_Z: Final = math.sqrt(2.0 / math.pi)
TRADED_SHARES: Final = (1.0, 0.2, 0.05, 0.01)


def break_even_accuracy(sigma: float, cost: float, horizon: float) -> float | None:
    """Share of right sides at which trading every bar earns its costs; None where not even 1 would do.

    Parameters
    ----------
    sigma : float
        Standard deviation of 1-bar log returns, > 0.
    cost : float
        Of a round trip, a fraction of the notional, >= 0.
    horizon : float
        Bars held, > 0.

    Notes
    -----
    ``1/2 + cost / (2 E|z| sigma sqrt(horizon))``: a normal move of the horizon is ``E|z| = 0.8`` of its standard
    deviation on average, and a right side earns it, a wrong one loses it.

    Examples
    --------
    >>> round(break_even_accuracy(6e-4, 12e-4, 15), 3)
    0.824
    """
    _positive(sigma, cost, horizon)
    share = 0.5 + cost / (2.0 * _MEAN_ABS_Z * sigma * math.sqrt(horizon))
    return share if share <= 1.0 else None


def needed_correlation(sigma: float, cost: float, horizon: float, traded: float) -> float | None:
    """Correlation of forecast and return that pays when only the share `traded` of surest bars is traded.

    None where no correlation below 1 would do. The stronger the forecast, the larger the move it stands for.

    Examples
    --------
    >>> round(needed_correlation(6e-4, 8e-4, 15, 0.05), 3)
    0.147
    """
    _positive(sigma, cost, horizon)
    if not 0.0 < traded <= 1.0:
        raise ContractError(f"what pays: a share of {traded} of the bars is traded; expected a number in (0, 1]")
    z = float(ndtri(1.0 - traded / 2.0))
    mean_abs = 2.0 * math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi) / traded
    rho = cost / (sigma * math.sqrt(horizon) * mean_abs)
    return rho if rho < 1.0 else None


def what_pays(sigma: float, cost: float, horizon: int) -> dict[str, Any]:
    """The table of one coin and horizon: accuracy needed trading every bar, and trading the surest only.

    Returns
    -------
    dict
        ``sigma``, ``cost``, ``break_even_accuracy``, and ``selective``: a row a traded share with the
        correlation and the accuracy over all bars that it takes; None where nothing would pay.
    """
    rows = []
    for traded in TRADED_SHARES:
        rho = needed_correlation(sigma, cost, horizon, traded)
        accuracy = None if rho is None else 0.5 + math.asin(rho) / math.pi
        rows.append({"traded": traded, "correlation": rho, "accuracy_over_all_bars": accuracy})
    return {
        "sigma": sigma,
        "cost": cost,
        "break_even_accuracy": break_even_accuracy(sigma, cost, horizon),
        "selective": rows,
    }


def _positive(sigma: float, cost: float, horizon: float) -> None:
    if not (math.isfinite(sigma) and sigma > 0 and math.isfinite(cost) and cost >= 0 and horizon > 0):
        raise ContractError(f"what pays: sigma {sigma}, cost {cost}, horizon {horizon}; expected > 0, >= 0 and > 0")
