"""What a model makes of each feature: gain, SHAP values, and the loss when it is permuted, on rows it has not seen."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from scalper_ml.models.base import Classifier

__all__ = ["Importance", "fold_importance", "log_loss"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_BLOCKS: Final = 20


@dataclass(frozen=True, slots=True)
class Importance:
    """Of every feature (f,): share of the gain, mean absolute SHAP value, rise of the log loss when permuted.

    `error` is the standard error of that rise, from blocks of rows in time order; 0 where no split uses a feature.
    """

    gain: Floats
    shap: Floats
    permutation: Floats
    error: Floats


def log_loss(P: Floats, y: Ints) -> float:
    """Mean negative log probability of what happened."""
    return float(_losses(P, y).mean())


def _losses(P: Floats, y: Ints) -> Floats:
    return np.asarray(-np.log(np.clip(P[np.arange(y.size), y], 1e-12, 1.0)))


def _error_of_mean(values: Floats) -> float:
    """Standard error of a mean over rows in time order, neighbours of which may share their outcomes."""
    blocks = [block.mean() for block in np.array_split(values, min(_BLOCKS, values.size))]
    return float(np.std(blocks, ddof=1) / np.sqrt(len(blocks))) if len(blocks) > 1 else float("inf")


def fold_importance(
    model: Classifier, X: Floats, y: Ints, clusters: Ints, rng: np.random.Generator, *, repeats: int, shap_rows: int
) -> Importance:
    """Importance of features to a fitted model, measured on rows it has not seen.

    Parameters
    ----------
    model : Classifier
        Fitted on rows whose outcome was known before the first of these.
    X, y
        Scaled rows (n, f) in time order and their classes.
    clusters : (f,)
        Columns of one cluster are permuted together: a feature whose twin stays in place would look useless. All
        members of a cluster get its value.
    repeats : int
        Permutations averaged.
    shap_rows : int
        At most so many rows, evenly spaced, are explained.
    """
    base = _losses(model.predict_proba(X), y)
    permutation, error = np.zeros((2, X.shape[1]))
    gain = model.importance()
    for cluster in range(int(clusters.max()) + 1):
        members = np.flatnonzero(clusters == cluster)
        if not gain[members].any():
            continue  # no split uses them: permuting changes nothing
        rise = np.zeros(y.size)
        for _ in range(repeats):
            changed = X.copy()
            changed[:, members] = X[rng.permutation(len(X))[:, None], members]
            rise += _losses(model.predict_proba(changed), y) - base
        permutation[members] = rise.mean() / repeats
        error[members] = _error_of_mean(rise / repeats)
    explained = X[np.unique(np.linspace(0, len(X) - 1, min(shap_rows, len(X))).astype(np.int64))]
    shap = np.abs(model.contributions(explained)).mean(axis=(0, 1))
    return Importance(gain, shap, permutation, error)
