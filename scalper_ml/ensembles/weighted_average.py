"""The mean of what the members say, each counting as the settings would have it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scalper_ml.ensembles.base import Combiner, EnsembleKind, Opinions, Past
from scalper_ml.errors import SettingsError
from scalper_ml.models.base import FitContext, Floats, ModelParams

__all__ = ["ENSEMBLE", "AverageParams", "WeightedAverage"]


@dataclass(frozen=True, slots=True)
class AverageParams(ModelParams):
    """Parameters of the mean.

    Parameters
    ----------
    weights : mapping
        Member to weight, > 0; those not named count 1. Only their ratios matter.

    Examples
    --------
    >>> AverageParams({"xgb_classifier": 0})
    Traceback (most recent call last):
    ...
    scalper_ml.errors.SettingsError: AverageParams.weights: found 0 of 'xgb_classifier'; expected a number above 0
    """

    weights: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.weights, Mapping):
            raise SettingsError(f"AverageParams.weights: found {self.weights!r}; expected weights by member")
        for member, weight in self.weights.items():
            if not isinstance(weight, int | float) or isinstance(weight, bool) or not 0 < weight < float("inf"):
                raise SettingsError(f"AverageParams.weights: found {weight!r} of {member!r}; expected a number above 0")


@dataclass(frozen=True, slots=True)
class WeightedAverage:
    """The weighted mean of the members' calibrated probabilities.

    Examples
    --------
    >>> P = np.array([[[0.2, 0.3, 0.5]], [[0.4, 0.3, 0.3]]])
    >>> WeightedAverage((0.75, 0.25)).combine(Opinions(P, P)).round(6).tolist()
    [[0.25, 0.3, 0.45]]
    """

    weights: tuple[float, ...]

    def combine(self, opinions: Opinions) -> Floats:
        """Probabilities (n, 3)."""
        total = np.zeros(opinions.calibrated.shape[1:])
        for weight, P in zip(self.weights, opinions.calibrated, strict=True):
            total += weight * P
        return np.asarray(total / total.sum(axis=1, keepdims=True), dtype=np.float64)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"weights": list(self.weights)}

    def shares(self) -> Floats:
        """The weights."""
        return np.array(self.weights)


def fit(past: Past, members: tuple[str, ...], prior: Floats, params: AverageParams, context: FitContext) -> Combiner:
    """The weights of the settings; the past is not looked at.

    Raises
    ------
    SettingsError
        A weight is of no member.
    """
    if unknown := sorted(set(params.weights) - set(members)):
        raise SettingsError(f"weighted_average: weights of {unknown}, who are no members; members: {list(members)}")
    weights = np.array([float(params.weights.get(member, 1.0)) for member in members])
    return WeightedAverage(tuple((weights / weights.sum()).tolist()))


def load(values: Mapping[str, Any]) -> Combiner:
    """The combiner that `to_dict` described."""
    return WeightedAverage(tuple(values["weights"]))


ENSEMBLE = EnsembleKind(
    "weighted_average",
    AverageParams,
    fit,
    load,
    summary="The mean of the members' calibrated probabilities, weighted as the settings say.",
)
