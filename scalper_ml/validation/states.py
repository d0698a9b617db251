"""Metrics of forecasts of one of several named states, beside what their shares alone would give."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from scalper_ml.errors import ContractError
from scalper_ml.validation.bootstrap import block_ids, block_sums, blocks, bootstrap, draw_weights, lcb, p_value, ucb
from scalper_ml.validation.probabilities import probability_metrics

__all__ = ["state_metrics"]

_DRAWS = 1_000


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
        **probability_metrics(y, P, base, horizon=horizon, seed=seed),
    }
