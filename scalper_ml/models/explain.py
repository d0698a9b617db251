"""Why a model says what it says: exact contributions where its kind has them, permutations for the rest."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scalper_ml.models.base import Floats
from scalper_ml.models.bundle import Model
from scalper_ml.models.fitting import Rows
from scalper_ml.schema import CLASSES, LONG, SHORT
from scalper_ml.validation.metrics import log_loss

__all__ = [
    "FeatureEffect",
    "RowExplanation",
    "exact",
    "explain_row",
    "permuted_effects",
    "permuted_rises",
    "ranked",
    "shap_effects",
    "taken_apart",
]


@dataclass(frozen=True, slots=True)
class FeatureEffect:
    """What one feature does over some rows.

    Parameters
    ----------
    effect : float
        Mean absolute contribution to the log-odds, summed over the classes; or the rise of the log loss when permuted.
    spread : float
        Standard deviation over repeats of the permutation; 0 for contributions.
    """

    name: str
    effect: float
    spread: float = 0.0


@dataclass(frozen=True, slots=True)
class RowExplanation:
    """One prediction taken apart.

    Parameters
    ----------
    base : float
        `odds` before any feature has spoken.
    contributions : tuple of (name, value of the feature, contribution)
        The largest first; `base` and all contributions add up to `odds`.
    odds : float
        Raw log-odds of LONG against SHORT, or what `what` says; calibration acts afterwards.
    probabilities : tuple of float
        Calibrated, by state; empty of a number.
    what : str
        What is taken apart.
    states : tuple of str
        Whose the probabilities are.
    """

    base: float
    contributions: tuple[tuple[str, float, float], ...]
    odds: float
    probabilities: tuple[float, ...]
    what: str = "log-odds of LONG against SHORT"
    states: tuple[str, ...] = CLASSES

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        rows = [{"feature": name, "value": value, "contribution": part} for name, value, part in self.contributions]
        return {
            "what": self.what,
            "base": self.base,
            "odds": self.odds,
            "probabilities": list(self.probabilities),
            "contributions": rows,
        }


def exact(model: Model) -> bool:
    """Whether contributions add up to what the model says: not for ensembles, which combine probabilities."""
    return "members" not in model.manifest


def shap_effects(model: Model, X: Floats) -> list[FeatureEffect]:
    """Mean absolute contribution of every feature over rows of unscaled features (n, f), the largest first."""
    size = np.abs(model.classifier.contributions(model.scaler.transform(X))).mean(axis=0).sum(axis=0)
    return ranked(model.names, size, np.zeros_like(size))


def permuted_effects(
    model: Model, X: Floats, y: Rows, *, horizon: int = 1, repeats: int = 5, seed: int = 0
) -> list[FeatureEffect]:
    """Rise of the log loss when a feature is taken from other rows, as `permuted_rises`."""

    def loss(mixed: Floats) -> float:
        return log_loss(y, model.predict_proba(mixed))

    return permuted_rises(model.names, X, loss, horizon=horizon, repeats=repeats, seed=seed)


def permuted_rises(
    names: Sequence[str],
    X: Floats,
    loss: Callable[[Floats], float],
    *,
    horizon: int = 1,
    repeats: int = 5,
    seed: int = 0,
) -> list[FeatureEffect]:
    """Rise of a loss when a feature of X (n, ..., f) is taken from other rows, every one alone, the largest first.

    Rows keep to runs of `horizon`, since rows that close share their outcome. A feature that another one repeats shows
    little: the other one is still there.
    """
    rng = np.random.default_rng(seed)
    base = loss(X)
    effect = np.zeros((repeats, len(names)))
    runs = np.array_split(np.arange(len(X)), max(len(X) // horizon, 1))
    for repeat in range(repeats):
        shuffled = X[np.concatenate([runs[i] for i in rng.permutation(len(runs))])]
        for j in range(len(names)):
            mixed = X.copy()
            mixed[..., j] = shuffled[..., j]
            effect[repeat, j] = loss(mixed) - base
    return ranked(names, effect.mean(axis=0), effect.std(axis=0))


def explain_row(model: Model, row: Floats) -> RowExplanation:
    """One row of unscaled features (f,): what each feature adds to the log-odds of LONG against SHORT.

    Notes
    -----
    Meant for models whose contributions are `exact`.
    """
    X = np.asarray(row, dtype=np.float64)[None]
    scaled = model.scaler.transform(X)
    raw, parts = model.classifier.predict_proba(scaled)[0], model.classifier.contributions(scaled)[0]
    sided = parts[LONG] - parts[SHORT]
    odds = float(np.log(raw[LONG] / raw[SHORT]))
    return taken_apart(model.names, X[0], sided, odds, probabilities=tuple(model.predict_proba(X)[0].tolist()))


def taken_apart(names: Sequence[str], row: Floats, parts: Floats, odds: float, **said: Any) -> RowExplanation:
    """A row of unscaled features (f,) and what each adds to `odds`; `said` is the rest of the explanation."""
    order = np.argsort(-np.abs(parts), kind="stable")
    told = tuple((names[j], float(row[j]), float(parts[j])) for j in order)
    return RowExplanation(odds - float(parts.sum()), told, odds, **said)


def ranked(names: Sequence[str], effect: Floats, spread: Floats) -> list[FeatureEffect]:
    """Effects by feature, the largest first."""
    order = np.argsort(-effect, kind="stable")
    return [FeatureEffect(names[j], float(effect[j]), float(spread[j])) for j in order]
