"""Ways to calibrate beside the temperature: more freedom, for more rows.

Each has a least effective number of rows, ``rows / horizon``, below which it is refused: with fewer it fits luck, and
luck is published as confidence. All of them, like `Temperature`, act on how far a model departs from the base rates.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

from scalper_ml.errors import ContractError, InsufficientDataError
from scalper_ml.models.base import Floats
from scalper_ml.models.calibration import Temperature, fit_temperature, log_prior, shared
from scalper_ml.validation.metrics import log_loss

__all__ = [
    "LEAST_ROWS",
    "Beta",
    "Calibration",
    "Calibrator",
    "Isotonic",
    "Platt",
    "calibrator_from_dict",
    "fit_calibrator",
]

Calibration = Literal["temperature", "platt", "beta", "isotonic"]

LEAST_ROWS: Final[Mapping[str, int]] = {"temperature": 200, "platt": 1_000, "beta": 2_000, "isotonic": 10_000}
"""Least effective rows (METHOD 4.1); with fewer a temperature is a warning and every other way is refused."""

_TINY: Final = 1e-9
_RIDGE: Final = 1e-3  # in units of one row's log loss: decides only what the rows leave open


class Calibrator(Protocol):
    """Makes probabilities of a model's raw ones."""

    @property
    def prior(self) -> tuple[float, float, float]:
        """Class shares of the train role."""

    def apply(self, P: Floats) -> Floats:
        """Calibrated probabilities (n, 3) inside (0, 1), 0 for a class without a share in train; rows sum to 1."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values; JSON keeps every bit of them."""


@dataclass(frozen=True, slots=True)
class Platt:
    """A factor and an offset a class on the log-ratio to the base rates.

    Examples
    --------
    >>> P = np.array([[0.1, 0.2, 0.7]])
    >>> Platt((1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (0.2, 0.5, 0.3)).apply(P).round(6).tolist()
    [[0.1, 0.2, 0.7]]
    """

    scale: tuple[float, float, float]
    offset: tuple[float, float, float]
    prior: tuple[float, float, float]

    def apply(self, P: Floats) -> Floats:
        """Calibrated probabilities (n, 3)."""
        prior = log_prior(self.prior)
        odds = prior + np.array(self.scale) * (np.log(np.maximum(P, _TINY)) - prior) + np.array(self.offset)
        return _normalised(np.exp(np.maximum(odds - odds.max(axis=1, keepdims=True), -700.0)), self.prior)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "kind": "platt",
            "scale": list(self.scale),
            "offset": list(self.offset),
            "prior": list(self.prior),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Platt":
        """The calibrator that `to_dict` described."""
        return cls(_three(values["scale"]), _three(values["offset"]), _three(values["prior"]))


@dataclass(frozen=True, slots=True)
class Beta:
    """Beta calibration a class against the rest, made to sum to 1: ``logit q = a log p - b log(1 - p) + c``, a, b >= 0.

    Examples
    --------
    >>> P = np.array([[0.1, 0.2, 0.7]])
    >>> Beta(((1.0, 1.0, 0.0),) * 3, (0.2, 0.5, 0.3)).apply(P).round(6).tolist()
    [[0.1, 0.2, 0.7]]

    References
    ----------
    Kull, Silva Filho, Flach (2017), Beta calibration.
    """

    abc: tuple[tuple[float, float, float], ...]
    prior: tuple[float, float, float]

    def apply(self, P: Floats) -> Floats:
        """Calibrated probabilities (n, 3)."""
        a, b, c = np.array(self.abc).T
        p = np.clip(P, _TINY, 1.0 - _TINY)
        return _normalised(1.0 / (1.0 + np.exp(-(a * np.log(p) - b * np.log1p(-p) + c))), self.prior)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"kind": "beta", "abc": [list(row) for row in self.abc], "prior": list(self.prior)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Beta":
        """The calibrator that `to_dict` described."""
        return cls(tuple(_three(row) for row in values["abc"]), _three(values["prior"]))


@dataclass(frozen=True, slots=True)
class Isotonic:
    """A rising curve a class against the rest, linear between its corners, made to sum to 1.

    Parameters
    ----------
    corners : tuple of (p, q)
        A class each: raw and calibrated probabilities, both ascending.

    Examples
    --------
    >>> line = ((0.0, 1.0), (0.0, 1.0))
    >>> Isotonic((line, line, line), (0.2, 0.5, 0.3)).apply(np.array([[0.1, 0.2, 0.7]])).round(6).tolist()
    [[0.1, 0.2, 0.7]]
    """

    corners: tuple[tuple[tuple[float, ...], tuple[float, ...]], ...]
    prior: tuple[float, float, float]

    def apply(self, P: Floats) -> Floats:
        """Calibrated probabilities (n, 3)."""
        return _normalised(np.column_stack([np.interp(P[:, k], *self.corners[k]) for k in range(3)]), self.prior)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        corners = [[list(p), list(q)] for p, q in self.corners]
        return {"kind": "isotonic", "corners": corners, "prior": list(self.prior)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Isotonic":
        """The calibrator that `to_dict` described."""
        return cls(tuple((tuple(p), tuple(q)) for p, q in values["corners"]), _three(values["prior"]))


def fit_calibrator(
    method: Calibration, P: Floats, y: npt.ArrayLike, prior: npt.ArrayLike, *, horizon: int = 1
) -> Calibrator:
    """Calibrate on the rows given, which must be those of the calibrate role.

    Parameters
    ----------
    method : {"temperature", "platt", "beta", "isotonic"}
    P : (n, 3)
        Raw probabilities.
    y : (n,)
        Class codes.
    prior : (3,)
        Class shares of the train role.
    horizon : int
        Label length in rows: n rows are worth n / horizon.

    Raises
    ------
    InsufficientDataError
        Fewer effective rows than the method needs; says how many there are and which method they suffice for.
    """
    if method not in get_args(Calibration):
        raise ContractError(f"calibration {method!r} is unknown; expected one of {list(get_args(Calibration))}")
    codes = np.asarray(y, dtype=np.int64)
    if method == "temperature":
        return fit_temperature(P, codes, prior)
    n_eff = codes.size / horizon
    if n_eff < LEAST_ROWS[method]:
        enough = [name for name, least in LEAST_ROWS.items() if n_eff >= least] or ["temperature"]
        raise InsufficientDataError(
            f"calibration {method}: found {n_eff:,.0f} effective rows ({codes.size:,} of horizon {horizon}); "
            f"expected at least {LEAST_ROWS[method]:,} - set training.calibration to {enough[-1]}, or bring more bars"
        )
    return _FITS[method](P, codes, _three(np.asarray(prior, dtype=np.float64).tolist()))


def _fit_platt(P: Floats, y: npt.NDArray[np.int64], prior: tuple[float, float, float]) -> Calibrator:
    from scipy.optimize import minimize

    start = np.concatenate([np.ones(3), np.zeros(3)])

    def made(x: Floats) -> Platt:
        return Platt(_three(x[:3].tolist()), _three(x[3:].tolist()), prior)

    def loss(x: Floats) -> float:
        return log_loss(y, made(x).apply(P)) + _RIDGE / y.size * float(((x - start) ** 2).sum())

    return made(minimize(loss, start, method="L-BFGS-B", options={"maxiter": 500}).x)


def _fit_beta(P: Floats, y: npt.NDArray[np.int64], prior: tuple[float, float, float]) -> Calibrator:
    from scipy.optimize import minimize

    p, start = np.clip(P, _TINY, 1.0 - _TINY), np.array([1.0, 1.0, 0.0])
    found = []
    for k in range(3):
        low, high, hit = np.log(p[:, k]), -np.log1p(-p[:, k]), y == k

        def loss(x: Floats, low: Floats = low, high: Floats = high, hit: npt.NDArray[np.bool_] = hit) -> float:
            odds = x[0] * low + x[1] * high + x[2]
            return float(np.logaddexp(0.0, np.where(hit, -odds, odds)).mean()) + _RIDGE / hit.size * float(
                ((x - start) ** 2).sum()
            )

        bounds = [(0.0, None), (0.0, None), (None, None)]
        found.append(
            _three(minimize(loss, start, method="L-BFGS-B", bounds=bounds, options={"maxiter": 500}).x.tolist())
        )
    return Beta(tuple(found), prior)


def _fit_isotonic(P: Floats, y: npt.NDArray[np.int64], prior: tuple[float, float, float]) -> Calibrator:
    from scipy.optimize import isotonic_regression

    corners = []
    for k in range(3):
        p, place, rows = np.unique(P[:, k], return_inverse=True, return_counts=True)
        share = np.bincount(place, weights=(y == k).astype(np.float64)) / rows
        q = np.clip(isotonic_regression(share, weights=rows).x, 0.5 / y.size, 1.0 - 0.5 / y.size)
        bends = np.concatenate([[True], np.diff(q) > 0]) | np.concatenate([np.diff(q) > 0, [True]])  # ends of each step
        corners.append((tuple(p[bends].tolist()), tuple(q[bends].tolist())))
    return Isotonic(tuple(corners), prior)


_FITS: Final[dict[str, Callable[[Floats, npt.NDArray[np.int64], tuple[float, float, float]], Calibrator]]] = {
    "platt": _fit_platt,
    "beta": _fit_beta,
    "isotonic": _fit_isotonic,
}


def calibrator_from_dict(values: Mapping[str, Any]) -> Calibrator:
    """The calibrator that some `to_dict` described.

    Raises
    ------
    ContractError
        Its kind is unknown.
    """
    kinds: dict[str, Callable[[Mapping[str, Any]], Calibrator]] = {
        "temperature_to_prior": Temperature.from_dict,
        "platt": Platt.from_dict,
        "beta": Beta.from_dict,
        "isotonic": Isotonic.from_dict,
    }
    if values.get("kind") not in kinds:
        raise ContractError(f"calibrator: found kind {values.get('kind')!r}; expected one of {list(kinds)}")
    return kinds[values["kind"]](values)


def _three(values: Any) -> tuple[float, float, float]:
    short, neutral, long = values
    return float(short), float(neutral), float(long)


def _normalised(weights: Floats, prior: tuple[float, float, float]) -> Floats:
    """Rows that sum to 1, 0 only for a class without a share in train."""
    return shared(np.maximum(weights, _TINY), prior)
