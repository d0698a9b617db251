"""Metrics of three-class predictions, each beside what no skill would give.

`P` (n, 3) is ordered SHORT, NEUTRAL, LONG. Base rates are the class shares of the *train* role: a
baseline that was known when the model was fitted. An undefined number is None, never 0.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from scalper_ml.errors import ContractError
from scalper_ml.schema import CLASSES, LONG, NEUTRAL, SHORT
from scalper_ml.validation.bootstrap import (
    block_ids,
    block_sums,
    blocks,
    bootstrap,
    draw_weights,
    lcb,
    p_value,
    ucb,
)
from scalper_ml.validation.calibration_error import ece, noise_floor
from scalper_ml.validation.probabilities import mean_log_loss, mean_square, probability_metrics

__all__ = [
    "accuracy_by_coverage",
    "balanced_accuracy",
    "base_rates",
    "brier",
    "class_scores",
    "classification_metrics",
    "confusion_matrix",
    "directional_accuracy",
    "log_loss",
    "mcc",
]

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

_K = len(CLASSES)
_DRAWS = 1_000
_COVERAGES = (1.0, 0.5, 0.2, 0.1, 0.05)


def base_rates(y: npt.ArrayLike) -> Floats:
    """Share of SHORT, NEUTRAL and LONG in `y` (n,): shape (3,), sums to 1.

    Examples
    --------
    >>> base_rates([0, 1, 1, 2]).tolist()
    [0.25, 0.5, 0.25]
    """
    codes = _codes(y, "labels")
    return np.bincount(codes, minlength=_K) / codes.size


def confusion_matrix(y: npt.ArrayLike, predicted: npt.ArrayLike) -> Codes:
    """Counts (3, 3): row = actual class, column = predicted class.

    Examples
    --------
    >>> confusion_matrix([0, 1, 2, 2], [0, 1, 1, 2]).tolist()
    [[1, 0, 0], [0, 1, 0], [0, 1, 1]]
    """
    actual, guess = _codes(y, "labels"), _codes(predicted, "predictions")
    if actual.size != guess.size:
        raise ContractError(
            f"metrics: found {actual.size} labels and {guess.size} predictions; expected as many of each"
        )
    return np.bincount(actual * _K + guess, minlength=_K * _K).reshape(_K, _K).astype(np.int64)


def balanced_accuracy(confusion: npt.ArrayLike) -> Any:
    """Mean recall over the classes that occur; `confusion` is (..., 3, 3), the result (...).

    No skill gives 1 / (number of classes that occur). NaN where no class occurs.

    Examples
    --------
    >>> round(float(balanced_accuracy([[1, 0, 0], [0, 1, 0], [0, 1, 1]])), 6)
    0.833333
    """
    counts = np.asarray(confusion, dtype=np.float64)
    actual = counts.sum(axis=-1)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    recall = np.divide(hits, actual, out=np.zeros_like(actual), where=actual > 0)
    present = (actual > 0).sum(axis=-1)
    return np.divide(recall.sum(axis=-1), present, out=np.full(present.shape, np.nan), where=present > 0)


def mcc(confusion: npt.ArrayLike) -> float:
    """Matthews correlation for K classes (Gorodkin), -1..1; 0 for a constant prediction, as no skill.

    Examples
    --------
    >>> mcc([[5, 0, 0], [0, 5, 0], [0, 0, 5]])
    1.0
    """
    counts = np.asarray(confusion, dtype=np.float64)
    n, actual, guess = counts.sum(), counts.sum(axis=1), counts.sum(axis=0)
    covariance = np.trace(counts) * n - actual @ guess
    spread = math.sqrt(n * n - actual @ actual) * math.sqrt(n * n - guess @ guess)
    return float(covariance / spread) if spread > 0 else 0.0


def class_scores(confusion: npt.ArrayLike) -> dict[str, dict[str, float | None]]:
    """Precision, recall and F1 of each class, with the F1 of a guess that predicts the class as often.

    Notes
    -----
    ``f1_chance = 2 pi q / (pi + q)`` for a class share pi and a predicted share q.
    Precision of a class never predicted, recall and F1 of one that never occurs, are None.

    Examples
    --------
    >>> class_scores([[1, 1, 0], [0, 2, 0], [0, 0, 0]])["SHORT"]
    {'precision': 1.0, 'recall': 0.5, 'f1': 0.6666666666666666, 'f1_chance': 0.3333333333333333}
    """
    counts = np.asarray(confusion, dtype=np.float64)
    n, scores = counts.sum(), {}
    for code, name in enumerate(CLASSES):
        hits, actual, guess = counts[code, code], counts[code].sum(), counts[:, code].sum()
        scores[name] = {
            "precision": float(hits / guess) if guess else None,
            "recall": float(hits / actual) if actual else None,
            "f1": float(2.0 * hits / (actual + guess)) if actual else None,
            "f1_chance": float(2.0 * actual * guess / (n * (actual + guess))) if actual else None,
        }
    return scores


def log_loss(y: npt.ArrayLike, P: Floats) -> float:
    """Mean negative log probability of what happened, in nats; `P` is (n, 3) or one row for all.

    Examples
    --------
    >>> round(log_loss([0, 2], np.array([[0.5, 0.25, 0.25], [0.25, 0.25, 0.5]])), 6)
    0.693147
    """
    return mean_log_loss(_codes(y, "labels"), np.asarray(P))


def brier(y: npt.ArrayLike, P: Floats) -> float:
    """Mean squared distance of probabilities and outcome summed over the classes, 0..2.

    Examples
    --------
    >>> brier([1], np.array([[0.0, 1.0, 0.0]])), round(brier([1], np.full((1, 3), 1 / 3)), 6)
    (0.0, 0.666667)
    """
    return mean_square(_codes(y, "labels"), np.asarray(P))


def directional_accuracy(predicted: npt.ArrayLike, ret: npt.ArrayLike) -> dict[str, float | int | None]:
    """How often a predicted side earned the sign of the executable return, over predicted != NEUTRAL.

    A flat return counts as wrong. ``chance`` is what guessing each side as often would have hit.

    Examples
    --------
    >>> directional_accuracy([2, 0, 1, 2], [0.1, -0.2, 0.3, 0.0])["da_traded"]
    0.6666666666666666
    """
    guess, moves = _codes(predicted, "predictions"), np.asarray(ret, dtype=np.float64)
    traded = guess != NEUTRAL
    n = int(traded.sum())
    if n == 0:
        return {"da_traded": None, "chance": None, "traded": 0, "traded_share": 0.0}
    side = np.where(guess[traded] == LONG, 1.0, -1.0)
    moved = moves[traded]
    longs = float((side > 0).mean())
    chance = longs * float((moved > 0).mean()) + (1.0 - longs) * float((moved < 0).mean())
    return {
        "da_traded": float((side * moved > 0).mean()),
        "chance": chance,
        "traded": n,
        "traded_share": n / guess.size,
    }


def accuracy_by_coverage(
    P: Floats, ret: npt.ArrayLike, coverages: tuple[float, ...] = _COVERAGES
) -> list[dict[str, float | None]]:
    """Directional accuracy of the larger side over the rows of highest confidence, for shares of all rows.

    Confidence is ``P(side) / (P(LONG) + P(SHORT))``; ties keep time order.
    """
    moves = np.asarray(ret, dtype=np.float64)
    up = P[:, LONG] / (P[:, LONG] + P[:, SHORT])
    confidence = np.maximum(up, 1.0 - up)
    right = np.where(up >= 0.5, moves > 0, moves < 0)
    order = np.argsort(-confidence, kind="stable")
    curve: list[dict[str, float | None]] = []
    for share in coverages:
        top = order[: max(1, round(share * order.size))]
        curve.append({"coverage": share, "min_confidence": float(confidence[top[-1]]), "da": float(right[top].mean())})
    return curve


def classification_metrics(
    y: npt.ArrayLike,
    P: npt.ArrayLike,
    base: npt.ArrayLike,
    *,
    ret: npt.ArrayLike | None = None,
    horizon: int = 1,
    seed: int = 0,
    alpha: float = 0.05,
) -> dict[str, Any]:
    """All metrics of one set of predictions, with baselines; plain JSON values.

    Parameters
    ----------
    y : (n,)
        Class codes, rows in time order.
    P : (n, 3) or (n,)
        Probabilities, or predicted codes; then everything that needs probabilities is left out.
    base : (3,)
        Class shares of the train role.
    ret : (n,), optional
        Executable returns, for directional accuracy.
    horizon : int
        Label length in bars: sets the time blocks of the intervals and the noise floor's effective sample.
    seed : int
        Of the bootstrap and of the noise floor.
    alpha : float
        Intervals cover 1 - `alpha`.

    Returns
    -------
    dict
        ``balanced_accuracy`` with ``chance``, ``ci`` and one-sided ``p``; ``accuracy`` beside ``majority_accuracy``
        (always predicting the largest class of train); ``mcc``, ``classes``, ``confusion``; ``log_loss`` and
        ``brier`` with their ``*_base`` and ``*_skill`` = 1 - value / base; ``brier_side`` (0.25 = coin flip) and
        ``ece_side`` of P(LONG) given a side, over actual sides; ``ece`` of the predicted class with its noise
        floor; ``direction`` and ``coverage`` if `ret` is given.

    Examples
    --------
    >>> y = np.tile([0, 1, 2, 1], 100)
    >>> m = classification_metrics(y, np.tile([0.2, 0.6, 0.2], (400, 1)), [0.25, 0.5, 0.25])
    >>> m["accuracy"], m["majority_accuracy"], m["balanced_accuracy"]["value"] == m["balanced_accuracy"]["chance"]
    (0.5, 0.5, True)
    >>> round(m["log_loss_skill"], 4), m["mcc"]
    (-0.0196, 0.0)
    """
    actual, rates = _codes(y, "labels"), np.asarray(base, dtype=np.float64)
    values = np.asarray(P)
    probabilities = values.ndim == 2
    if rates.shape != (_K,) or not np.isclose(rates.sum(), 1.0) or (rates < 0).any():
        raise ContractError(f"metrics: found base rates {rates.tolist()}; expected three shares that sum to 1")
    if values.shape[0] != actual.size or (probabilities and values.shape[1] != _K):
        raise ContractError(
            f"metrics: found {actual.size} labels and P of shape {values.shape}; expected ({actual.size}, 3)"
        )
    guess = values.argmax(axis=1) if probabilities else _codes(values, "predictions")
    counts = confusion_matrix(actual, guess)
    result: dict[str, Any] = {
        "rows": int(actual.size),
        "n_eff": float(actual.size / horizon),
        "base_rates": rates.tolist(),
        "observed_rates": base_rates(actual).tolist(),
        "accuracy": float(np.trace(counts) / actual.size),
        "majority_accuracy": float((actual == int(rates.argmax())).mean()),
        "balanced_accuracy": _balanced(actual, guess, counts, horizon=horizon, seed=seed, alpha=alpha),
        "mcc": mcc(counts),
        "classes": class_scores(counts),
        "confusion": counts.tolist(),
    }
    if probabilities:
        result |= _probabilistic(actual, values.astype(np.float64), rates, horizon=horizon, seed=seed)
    if ret is not None:
        result["direction"] = directional_accuracy(guess, ret)
        if probabilities:
            result["coverage"] = accuracy_by_coverage(values, ret)
    return result


def _balanced(actual: Codes, guess: Codes, counts: Codes, *, horizon: int, seed: int, alpha: float) -> dict[str, Any]:
    n = blocks(actual.size, horizon)
    cells = np.eye(_K * _K)[actual * _K + guess]
    sums = block_sums(cells, block_ids(actual.size, n), n)
    weights = draw_weights(n, _DRAWS, seed)
    value, draws = bootstrap(
        sums, lambda totals: balanced_accuracy(totals.reshape(*totals.shape[:-1], _K, _K)), weights
    )
    chance = 1.0 / int((counts.sum(axis=1) > 0).sum())
    low, high = lcb(value, draws, alpha / 2, n), ucb(value, draws, alpha / 2, n)
    return {
        "value": value,
        "chance": chance,
        "ci": [low, high] if math.isfinite(low) else None,
        "p": p_value(value, chance, draws, n),
        "blocks": n,
    }


def _probabilistic(actual: Codes, P: Floats, rates: Floats, *, horizon: int, seed: int) -> dict[str, Any]:
    result = probability_metrics(actual, P, rates, horizon=horizon, seed=seed) | {
        "ece_by_class": {name: ece(P[:, code], actual == code) for code, name in enumerate(CLASSES)},
        "sharpness": {name: float(P[:, code].std()) for code, name in enumerate(CLASSES)},
    }
    sided = np.flatnonzero(actual != NEUTRAL)
    if sided.size:
        up = P[sided, LONG] / (P[sided, LONG] + P[sided, SHORT])
        long = (actual[sided] == LONG).astype(np.float64)
        side_error, side_floor = ece(up, long), noise_floor(up, horizon=horizon, seed=seed)
        result |= {
            "brier_side": float(((up - long) ** 2).mean()),
            "ece_side": side_error,
            "ece_side_floor": side_floor,
            "ece_side_excess": side_error - side_floor,
        }
    return result


def _codes(values: npt.ArrayLike, what: str) -> Codes:
    codes = np.asarray(values)
    if codes.ndim != 1 or codes.size == 0:
        raise ContractError(f"metrics: found {what} of shape {codes.shape}; expected at least one, in one dimension")
    if not np.isin(codes, (SHORT, NEUTRAL, LONG)).all():
        raise ContractError(f"metrics: found {what} {np.unique(codes)[:5].tolist()}; expected the codes 0, 1 and 2")
    return codes.astype(np.int64)
