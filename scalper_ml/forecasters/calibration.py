"""Forecasts made honest on the calibrate role: intervals and confidence of numbers, probabilities of classes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from scalper_ml.errors import ContractError
from scalper_ml.models.base import Floats

__all__ = ["Residuals", "Tempered", "fit_residuals", "fit_tempered"]

_GRID: Final = 200
_TINY: Final = 1e-9
_MIN, _MAX = 0.1, 100.0


@dataclass(frozen=True, slots=True)
class Residuals:
    """What outcomes were beyond their forecasts on the calibrate role: split conformal prediction of a number.

    Parameters
    ----------
    quantiles : tuple of float
        Outcome minus forecast, ascending, at even shares from 0 to 1.
    n : int
        Rows they were taken from.

    Examples
    --------
    >>> residuals = fit_residuals(np.zeros(1000), np.linspace(-1.0, 1.0, 1000))
    >>> low, high = residuals.interval(np.array([10.0]), alpha=0.2)
    >>> low.round(1).tolist(), high.round(1).tolist(), residuals.above(np.array([0.5]), 0.0).round(2).tolist()
    ([9.2], [10.8], [0.75])
    """

    quantiles: tuple[float, ...]
    n: int

    def interval(self, value: Floats, alpha: float) -> tuple[Floats, Floats]:
        """Bounds (n,) that hold the outcome in all but a share `alpha` of rows, half of the misses on each side."""
        edge = min(math.ceil((self.n + 1) * (1.0 - alpha / 2.0) - 1e-9) / self.n, 1.0)
        low, high = np.interp([1.0 - edge, edge], np.linspace(0.0, 1.0, _GRID + 1), self.quantiles)
        return value + low, value + high

    def above(self, value: Floats, middle: float) -> Floats:
        """Probability (n,), inside (0, 1), that the outcome lies beyond `middle`."""
        below = np.interp(middle - value, self.quantiles, np.linspace(0.0, 1.0, _GRID + 1))
        return np.asarray(1.0 - (below * self.n + 0.5) / (self.n + 1.0), dtype=np.float64)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"kind": "residuals", "quantiles": list(self.quantiles), "n": self.n}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Residuals":
        """The residuals that `to_dict` described."""
        return cls(tuple(values["quantiles"]), int(values["n"]))


def fit_residuals(forecast: Floats, outcome: Floats) -> Residuals:
    """Residuals of the calibrate role's rows."""
    if forecast.size == 0 or forecast.shape != outcome.shape:
        raise ContractError(
            f"residuals: found {forecast.size} forecasts and {outcome.size} outcomes; expected one of each a row"
        )
    found = np.quantile(outcome - forecast, np.linspace(0.0, 1.0, _GRID + 1))
    return Residuals(tuple(found.tolist()), int(forecast.size))


@dataclass(frozen=True, slots=True)
class Tempered:
    """Temperature scaling towards the class shares of train, for any number of classes (`models.calibration`).

    Examples
    --------
    >>> Tempered(2.0, (0.5, 0.5)).apply(np.array([[0.2, 0.8]])).round(4).tolist()
    [[0.3333, 0.6667]]
    """

    value: float
    prior: tuple[float, ...]

    def apply(self, P: Floats) -> Floats:
        """Calibrated probabilities (n, k): every one inside (0, 1), rows sum to 1."""
        prior = np.log(self.prior)
        logits = prior + (np.log(np.maximum(P, _TINY)) - prior) / self.value
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float64)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"kind": "tempered", "temperature": self.value, "prior": list(self.prior)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Tempered":
        """The calibrator that `to_dict` described."""
        return cls(float(values["temperature"]), tuple(values["prior"]))


def fit_tempered(P: Floats, codes: npt.NDArray[np.int64], prior: Floats) -> Tempered:
    """The temperature of least log loss on the calibrate role's rows."""
    from scipy.optimize import minimize_scalar

    shares = tuple(float(share) for share in prior)

    def loss(inverse: float) -> float:
        said = Tempered(1.0 / inverse, shares).apply(P)
        return float(-np.log(said[np.arange(codes.size), codes]).mean())

    bounds = (1.0 / _MAX, 1.0 / _MIN)
    inner = float(minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6}).x)
    best = min((bounds[0], inner, bounds[1]), key=loss)  # the search never tries the bounds themselves
    return Tempered({bounds[0]: _MAX, bounds[1]: _MIN}.get(best, 1.0 / best), shares)
