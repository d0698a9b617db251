"""Stacking: a logistic regression learns from out-of-fold predictions how far to trust each member."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from scalper_ml.ensembles.base import Combiner, EnsembleKind, Opinions, Past
from scalper_ml.models.base import FitContext, Floats, ModelParams
from scalper_ml.models.logistic_classifier import multinomial

__all__ = ["ENSEMBLE", "StackParams", "Stacking", "lifts"]

_TINY: Final = 1e-9
_LARGEST: Final = 5.0


@dataclass(frozen=True, slots=True)
class StackParams(ModelParams):
    """Parameters of the regression.

    Parameters
    ----------
    reg_lambda : float
        L2 penalty of the coefficients, against the log loss summed over rows that each count as one part in
        ``horizon``. The default is that of coefficients expected to lie within about half of 0.
    max_iter : int
        Most steps of the solver; a fit that needs more is refused.
    """

    reg_lambda: float = 4.0
    max_iter: int = 1_000

    def __post_init__(self) -> None:
        self._number("reg_lambda", 0.0, 1e9, above=True)
        self._whole("max_iter", 1, 1_000_000)


def lifts(P: Floats, prior: Floats) -> Floats:
    """How much more than the base rates members say of each class: log-ratios that sum to 0, (m, n, 3) to (n, 3 m).

    Cut at 5 either way. A class that never occurs in train has none.

    Examples
    --------
    >>> lifts(np.array([[[0.25, 0.5, 0.25]], [[0.5, 0.25, 0.25]]]), np.array([0.25, 0.5, 0.25])).round(3).tolist()
    [[0.0, 0.0, 0.0, 0.693, -0.693, 0.0]]
    """
    known = prior > 0
    ratio = np.where(known, np.log(np.maximum(P, _TINY)) - np.log(np.where(known, prior, 1.0)), 0.0)
    centred = ratio - np.where(known, ratio.sum(axis=2, keepdims=True) / known.sum(), 0.0)
    return np.concatenate(list(np.clip(centred, -_LARGEST, _LARGEST)), axis=1)


@dataclass(frozen=True, slots=True)
class Stacking:
    """A logistic regression over the members' raw lifts."""

    coefficients: tuple[tuple[float, ...], ...]
    intercepts: tuple[float, ...]
    prior: tuple[float, ...]

    def combine(self, opinions: Opinions) -> Floats:
        """Probabilities (n, 3)."""
        inputs = np.ascontiguousarray(lifts(opinions.raw, np.array(self.prior)))
        odds = np.column_stack([np.add.reduce(inputs * np.array(row), axis=1) for row in self.coefficients])
        odds += np.array(self.intercepts)
        weights = np.exp(odds - odds.max(axis=1, keepdims=True))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float64)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "coefficients": [list(row) for row in self.coefficients],
            "intercepts": list(self.intercepts),
            "prior": list(self.prior),
        }

    def shares(self) -> Floats:
        """Sizes of the members' coefficients; even where all are 0."""
        size = np.abs(np.array(self.coefficients)).reshape(3, -1, 3).sum(axis=(0, 2))
        return np.asarray(size / size.sum() if size.sum() > 0 else np.full(size.size, 1.0 / size.size))


def fit(past: Past, members: tuple[str, ...], prior: Floats, params: StackParams, context: FitContext) -> Combiner:
    """Fit on rows that no member had seen when it predicted them."""
    W, b = multinomial(
        lifts(past.raw, prior),
        past.y,
        past.weight / context.horizon,
        reg_lambda=params.reg_lambda,
        max_iter=params.max_iter,
        what="stacking",
    )
    return Stacking(tuple(map(tuple, W.tolist())), tuple(b.tolist()), tuple(prior.tolist()))


def load(values: Mapping[str, Any]) -> Combiner:
    """The combiner that `to_dict` described."""
    return Stacking(tuple(map(tuple, values["coefficients"])), tuple(values["intercepts"]), tuple(values["prior"]))


ENSEMBLE = EnsembleKind(
    "stacking",
    StackParams,
    fit,
    load,
    learns=True,
    summary="A logistic regression over what the members say, fitted on time-ordered out-of-fold predictions.",
)
