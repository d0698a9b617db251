"""Temperature scaling towards the base rates.

Plain temperature scaling flattens probabilities to 1/3 each, which is wrong for a model without
skill: the best guess is then the base rates. Here the temperature acts on what the model adds to
the train base rates pi::

    calibrated logits = log pi + (raw logits - log pi) / T

T = 1 changes nothing, T > 1 tempers an over-confident model, T -> infinity gives pi. The loss is
convex in 1/T, so the bounded search has one answer. A class that has no share in train gets no probability.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from scalper_ml.errors import ContractError
from scalper_ml.models.base import Floats
from scalper_ml.validation.metrics import log_loss

__all__ = ["MAX_TEMPERATURE", "MIN_TEMPERATURE", "Temperature", "fit_temperature", "log_prior", "prior_shift", "shared"]

MIN_TEMPERATURE = 0.1
MAX_TEMPERATURE = 100.0
_TINY = 1e-9


def log_prior(prior: npt.ArrayLike) -> Floats:
    """Logarithm of class shares (3,), finite also where a share is 0."""
    return np.asarray(np.log(np.maximum(prior, _TINY)))


_logs_of = lru_cache(maxsize=256)(log_prior)  # of the few priors whose models predict row by row


def shared(weights: Floats, prior: npt.ArrayLike) -> Floats:
    """Weights (n, 3) as probabilities: rows that sum to 1, nothing for a class whose share of train is 0."""
    kept = np.where(np.asarray(prior) > 0, weights, 0.0)
    return np.asarray(kept / kept.sum(axis=1, keepdims=True), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Temperature:
    """A fitted calibrator.

    Parameters
    ----------
    value : float
        T, within ``MIN_TEMPERATURE .. MAX_TEMPERATURE``; at the upper bound the model showed no skill.
    prior : tuple of float
        Class shares of the train role.

    Examples
    --------
    >>> P = np.array([[0.1, 0.2, 0.7]])
    >>> Temperature(1.0, (0.2, 0.5, 0.3)).apply(P).round(6).tolist()
    [[0.1, 0.2, 0.7]]
    >>> Temperature(1e9, (0.2, 0.5, 0.3)).apply(P).round(6).tolist()
    [[0.2, 0.5, 0.3]]
    """

    value: float
    prior: tuple[float, float, float]

    def __post_init__(self) -> None:
        shares = len(self.prior) == 3 and min(self.prior) >= 0 and sum(share > 0 for share in self.prior) > 1
        if not self.value > 0 or not shares or abs(sum(self.prior) - 1.0) > 1e-9:
            raise ContractError(
                f"temperature: found T = {self.value} and prior {self.prior}; "
                "expected T > 0 and three shares that sum to 1, two of them above 0"
            )

    def apply(self, P: Floats) -> Floats:
        """Calibrated probabilities (n, 3) inside (0, 1), 0 for a class without a share; rows sum to 1."""
        prior = _logs_of(self.prior)
        logits = prior + (np.log(np.maximum(P, _TINY)) - prior) / self.value
        return shared(np.exp(logits - logits.max(axis=1, keepdims=True)), self.prior)

    def to_dict(self) -> dict[str, Any]:
        """Plain values; JSON keeps every bit of them."""
        return {"kind": "temperature_to_prior", "temperature": self.value, "prior": list(self.prior)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Temperature":
        """The calibrator that `to_dict` described."""
        if values.get("kind") != "temperature_to_prior":
            raise ContractError(f"calibrator: found kind {values.get('kind')!r}; expected 'temperature_to_prior'")
        short, neutral, long = values["prior"]
        return cls(values["temperature"], (short, neutral, long))


def fit_temperature(P: Floats, y: npt.ArrayLike, prior: npt.ArrayLike) -> Temperature:
    """The temperature of least log loss on the rows given, which must be those of the calibrate role.

    Parameters
    ----------
    P : (n, 3)
        Raw probabilities.
    y : (n,)
        Class codes.
    prior : (3,)
        Class shares of the train role.

    Examples
    --------
    >>> P = np.tile([[0.9, 0.05, 0.05], [0.05, 0.05, 0.9]], (50, 1))  # claims 90 %, is right in 60 %
    >>> y = np.tile([0, 2, 0, 2, 0, 2, 2, 0, 1, 1], 10)
    >>> round(fit_temperature(P, y, [0.4, 0.2, 0.4]).value, 3)
    3.065
    """
    from scipy.optimize import minimize_scalar

    short, neutral, long = (float(share) for share in np.asarray(prior, dtype=np.float64))
    codes = np.asarray(y)

    def loss(inverse: float) -> float:
        return log_loss(codes, Temperature(1.0 / inverse, (short, neutral, long)).apply(P))

    low, high = 1.0 / MAX_TEMPERATURE, 1.0 / MIN_TEMPERATURE
    inner = float(minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-6}).x)
    best = min((low, inner, high), key=loss)  # the search never tries the bounds themselves
    value = {low: MAX_TEMPERATURE, high: MIN_TEMPERATURE}.get(best, 1.0 / best)
    return Temperature(value, (short, neutral, long))


def prior_shift(prior: npt.ArrayLike, observed: npt.ArrayLike, n_eff: float) -> dict[str, Any]:
    """How far the class shares moved from train to the calibrate role, in standard errors of `n_eff` labels.

    Examples
    --------
    >>> prior_shift([0.25, 0.5, 0.25], [0.25, 0.4, 0.35], 100)["max_z"]
    2.309
    """
    before, after = np.asarray(prior, dtype=np.float64), np.asarray(observed, dtype=np.float64)
    error = np.sqrt(before * (1.0 - before) / n_eff)
    z = np.divide(after - before, error, out=np.zeros(before.size), where=error > 0)
    return {
        "train": before.tolist(),
        "calibrate": after.tolist(),
        "z": [round(float(value), 3) for value in z],
        "max_z": round(float(np.abs(z).max()), 3),
    }
