"""Metrics of forecasts of one of several named states, beside what their shares alone would give."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from scalper_ml.errors import ContractError
from scalper_ml.validation.bootstrap import block_ids, block_sums, blocks, bootstrap, draw_weights, lcb, p_value, ucb
from scalper_ml.validation.calibration_error import ece, noise_floor, reliability

__all__ = ["state_log_loss", "state_metrics"]

_DRAWS = 1_000
_TINY = 1e-15


def state_metrics(
    y: npt.NDArray[np.int64],
    P: npt.NDArray[np.float64],
    base: npt.NDArray[np.float64],
    states: Sequence[str],
    *,
    horizon: int = 1,
    seed: int = 0,
    alpha: float = 0.05,
) -> dict[str, Any]:
    """All metrics of probabilities (n, k) of k states; plain JSON values.

    Parameters
    ----------
    y : (n,)
        State codes, rows in time order.
    base : (k,)
        Shares of the states in train: the forecast that knows nothing else.
    horizon : int
        Label length in bars: sets the time blocks and the noise floor.

    Returns
    -------
    dict
        ``accuracy`` with its block interval, p and ``chance`` (always the commonest state of train);
        ``balanced_accuracy`` beside its ``chance``; ``log_loss`` and ``brier`` with ``*_base`` and ``*_skill``;
        ``ece``, its noise floor and the excess; ``recall`` by state, ``confusion``, ``reliability``.

    Examples
    --------
    >>> y = np.tile([0, 1, 1, 1], 100)
    >>> found = state_metrics(y, np.tile([0.25, 0.75], (400, 1)), np.array([0.25, 0.75]), ("DOWN", "UP"))
    >>> found["accuracy"]["value"], found["accuracy"]["chance"], abs(found["log_loss_skill"]) < 1e-12
    (0.75, 0.75, True)
    """
    k = len(states)
    if P.shape != (y.size, k) or base.shape != (k,) or y.size == 0:
        raise ContractError(f"metrics: found P of shape {P.shape} for {y.size} states; expected ({y.size}, {k})")
    guess, n = P.argmax(axis=1), blocks(y.size, horizon)
    hit = guess == y
    counts = np.bincount(y * k + guess, minlength=k * k).reshape(k, k)
    occurs = counts.sum(axis=1)
    recall = [float(counts[code, code] / occurs[code]) if occurs[code] else None for code in range(k)]
    likely = np.full(y.size, int(base.argmax()))
    sums = block_sums(np.column_stack([hit, np.ones(y.size)]).astype(np.float64), block_ids(y.size, n), n)
    value, draws = bootstrap(sums, lambda total: total[..., 0] / total[..., 1], draw_weights(n, _DRAWS, seed))
    low, high = lcb(value, draws, alpha / 2, n), ucb(value, draws, alpha / 2, n)
    chance = float((likely == y).mean())
    known = math.isfinite(low) and math.isfinite(high)
    loss, loss_base = state_log_loss(y, P), state_log_loss(y, np.broadcast_to(base, P.shape))
    square, square_base = _brier(y, P), _brier(y, np.broadcast_to(base, P.shape))
    top = P.max(axis=1)
    error, floor = ece(top, hit), noise_floor(top, horizon=horizon, seed=seed)
    there = [one for one in recall if one is not None]
    return {
        "rows": int(y.size),
        "n_eff": float(y.size / horizon),
        "accuracy": {
            "value": float(value),
            "chance": chance,
            "ci": [low, high] if known else None,
            "p": p_value(value, chance, draws, n) if known else None,
        },
        "balanced_accuracy": {"value": float(np.mean(there)), "chance": 1.0 / len(there)},
        "recall": dict(zip(states, recall, strict=True)),
        "confusion": counts.tolist(),
        "base_rates": base.tolist(),
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


def state_log_loss(y: npt.NDArray[np.int64], P: npt.NDArray[np.float64]) -> float:
    """Mean negative log probability (n, k) of the states that came (n,), in nats."""
    return float(-np.log(np.maximum(P[np.arange(y.size), y], _TINY)).mean())


def _brier(y: npt.NDArray[np.int64], P: npt.NDArray[np.float64]) -> float:
    """Mean squared distance of probabilities and outcome summed over the states, 0..2."""
    return float(((P - np.eye(P.shape[1])[y]) ** 2).sum(axis=1).mean())
