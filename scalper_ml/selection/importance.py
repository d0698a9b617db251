"""What a model makes of each feature: gain, SHAP values, and the loss when it is permuted, on rows it has not seen."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scalper_ml.models.base import Classifier

__all__ = ["Importance", "fold_importance", "log_loss"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Importance:
    """Of every feature (f,): share of the gain, mean absolute SHAP value, rise of the log loss when permuted."""

    gain: Floats
    shap: Floats
    permutation: Floats


def log_loss(P: Floats, y: Ints) -> float:
    """Mean negative log probability of what happened."""
    return float(-np.log(np.clip(P[np.arange(y.size), y], 1e-12, 1.0)).mean())


def fold_importance(
    model: Classifier, X: Floats, y: Ints, clusters: Ints, rng: np.random.Generator, *, repeats: int, shap_rows: int
) -> Importance:
    """Importance of features to a fitted model, measured on rows it has not seen.

    Parameters
    ----------
    model : Classifier
        Fitted on rows whose outcome was known before the first of these.
    X, y
        Scaled rows (n, f) and their classes.
    clusters : (f,)
        Columns of one cluster are permuted together: a feature whose twin stays in place would look useless. All
        members of a cluster get its value.
    repeats : int
        Permutations averaged.
    shap_rows : int
        At most so many rows, evenly spaced, are explained.
    """
    base = log_loss(model.predict_proba(X), y)
    permutation = np.zeros(X.shape[1])
    gain = model.importance()
    for cluster in range(int(clusters.max()) + 1):
        members = np.flatnonzero(clusters == cluster)
        if not gain[members].any():
            continue  # no split uses them: permuting changes nothing
        rise = 0.0
        for _ in range(repeats):
            changed = X.copy()
            changed[:, members] = X[rng.permutation(len(X))[:, None], members]
            rise += log_loss(model.predict_proba(changed), y) - base
        permutation[members] = rise / repeats
    explained = X[np.unique(np.linspace(0, len(X) - 1, min(shap_rows, len(X))).astype(np.int64))]
    shap = np.abs(model.contributions(explained)).mean(axis=(0, 1))
    return Importance(gain, shap, permutation)
