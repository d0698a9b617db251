"""What probabilities of any number of states are worth, beside what the shares of the states alone would give."""

from typing import Any

import numpy as np
import numpy.typing as npt

from scalper_ml.validation.calibration_error import ece, noise_floor, reliability

__all__ = ["mean_log_loss", "mean_square", "probability_metrics"]

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

_TINY = 1e-15


def mean_log_loss(y: Codes, P: Floats) -> float:
    """Mean negative log probability of what happened, in nats; codes (n,), `P` (n, k) or one row for all.

    Examples
    --------
    >>> round(mean_log_loss(np.array([0, 1]), np.array([[0.5, 0.5], [0.5, 0.5]])), 6)
    0.693147
    """
    rows = np.broadcast_to(P, (y.size, P.shape[-1]))
    return float(-np.log(np.maximum(rows[np.arange(y.size), y], _TINY)).mean())


def mean_square(y: Codes, P: Floats) -> float:
    """Mean squared distance of probabilities and outcome summed over the states, 0..2 (Brier).

    Examples
    --------
    >>> mean_square(np.array([1]), np.array([[0.0, 1.0]])), mean_square(np.array([1]), np.array([0.5, 0.5]))
    (0.0, 0.5)
    """
    outcome = np.eye(P.shape[-1])[y]
    return float(((np.broadcast_to(P, outcome.shape) - outcome) ** 2).sum(axis=1).mean())


def probability_metrics(y: Codes, P: Floats, base: Floats, *, horizon: int, seed: int) -> dict[str, Any]:
    """Losses beside those of `base` (k,) and as skill over it, calibration error beside its noise floor; plain values.

    Parameters
    ----------
    y : (n,)
        State codes.
    P : (n, k)
    base : (k,)
        Shares of the states in train.
    horizon, seed : int
        Of the noise floor.

    Returns
    -------
    dict
        ``log_loss`` and ``brier`` with ``*_base`` and ``*_skill`` = 1 - value / base; ``ece`` of the predicted state,
        ``ece_floor``, ``ece_excess`` and ``reliability``.
    """
    loss, loss_base = mean_log_loss(y, P), mean_log_loss(y, base)
    square, square_base = mean_square(y, P), mean_square(y, base)
    top, hit = P.max(axis=1), P.argmax(axis=1) == y
    error, floor = ece(top, hit), noise_floor(top, horizon=horizon, seed=seed)
    return {
        "log_loss": loss,
        "log_loss_base": loss_base,
        "log_loss_skill": 1.0 - loss / loss_base if loss_base > 0 else None,
        "brier": square,
        "brier_base": square_base,
        "brier_skill": 1.0 - square / square_base if square_base > 0 else None,
        "ece": error,
        "ece_floor": floor,
        "ece_excess": error - floor,
        "reliability": reliability(top, hit),
    }
