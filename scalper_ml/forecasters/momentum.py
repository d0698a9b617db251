"""The specialist of momentum: a support-vector machine on the state of the path, falling, quiet or rising."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from scalper_ml.forecasters.base import Forecaster, ForecasterKind, ForecastParams, Rows, Sample
from scalper_ml.models.arrays import packed, unpacked
from scalper_ml.models.base import FitContext, Floats, Range
from scalper_ml.models.boosting import softmax
from scalper_ml.models.logistic_classifier import multinomial

__all__ = ["FORECASTER", "SVMParams", "SupportVectors"]

_FILE: Final = "model.npz"
_ARRAYS: Final = ("vectors", "coefficients", "intercepts", "gamma", "slopes", "offsets")
_PAIRS: Final = ((0, 1), (0, 2), (1, 2))  # in scikit-learn's order


@dataclass(frozen=True, slots=True)
class SVMParams(ForecastParams):
    """Parameters of the machine.

    Parameters
    ----------
    cost : float
        Price of a row on the wrong side of its margin, *per bar of horizon*: labels of h bars overlap h-fold.
    gamma : float
        Width of the radial kernel in units of one over the number of features: inputs are scaled.
    max_rows : int
        Most rows it is fitted on, evenly spaced: the time of a fit grows with their square.
    """

    cost: float = 0.5
    gamma: float = 0.5
    max_rows: int = 2_000

    def __post_init__(self) -> None:
        self._number("cost", 0.0, 1e6, above=True)
        self._number("gamma", 0.0, 1e3, above=True)
        self._whole("max_rows", 50, 100_000)


class SupportVectors:
    """Three machines, one a pair of classes, and a logistic regression that makes probabilities of what they say.

    Parameters
    ----------
    vectors : (f, v)
        A column each.
    coefficients : (3, v)
        Of each pair of classes; 0 for vectors of the third.
    intercepts : (3,)
    gamma : (1,)
    slopes, offsets : (3, 3), (3,)
        Log-odds of the classes from the three decisions.
    """

    def __init__(self, **arrays: Any) -> None:
        self._arrays = arrays

    @property
    def best_iteration(self) -> None:
        """None: there are no rounds."""
        return None

    @property
    def curve(self) -> tuple[float, ...]:
        """Empty: there are no rounds."""
        return ()

    def decisions(self, X: Floats) -> Floats:
        """What each pair's machine says (m, 3): above 0 for the first of the pair."""
        from scalper_ml.forecasters.kernels.support_vectors import radial_sums

        a = self._arrays
        out = np.zeros((len(X), len(_PAIRS)))
        radial_sums(np.ascontiguousarray(X), a["vectors"], a["coefficients"], float(a["gamma"][0]), out)
        return np.asarray(out + a["intercepts"], dtype=np.float64)

    def predict(self, X: Floats, at: Rows) -> Floats:
        """Probabilities (m, 3)."""
        said = self.decisions(X[at])
        odds = np.column_stack([np.add.reduce(said * row, axis=1) for row in self._arrays["slopes"]])
        return softmax(odds + self._arrays["offsets"])

    def files(self) -> dict[str, bytes]:
        """The arrays."""
        return {_FILE: packed({name: self._arrays[name] for name in _ARRAYS})}

    def importance(self) -> None:
        """None: a radial kernel has no share of a feature; permutations tell."""
        return None

    def contributions(self, X: Floats, seen: Floats) -> None:
        """None: permutations tell."""
        return None


def fit(learn: Sample, stop: Sample, params: SVMParams, context: FitContext, classes: int) -> Forecaster:
    """Fit on evenly spaced rows of one sample; its decisions become probabilities on the other, which it never saw."""
    from sklearn.svm import SVC

    some = learn.at[_even(len(learn.at), params.max_rows)]
    own = _even(len(learn.at), params.max_rows)
    X = np.ascontiguousarray(learn.X[some])
    gamma = params.gamma / X.shape[1]
    machine = SVC(C=params.cost / context.horizon, gamma=gamma, decision_function_shape="ovo", cache_size=200)
    machine.fit(X, learn.y[own].astype(np.int64), sample_weight=learn.weight[own])
    arrays = {
        "vectors": np.ascontiguousarray(machine.support_vectors_.T, dtype=np.float64),
        "coefficients": _by_pair(machine),
        "intercepts": np.asarray(machine.intercept_, dtype=np.float64),
        "gamma": np.array([gamma]),
    }
    fitted = SupportVectors(**arrays)
    slopes, offsets = multinomial(
        fitted.decisions(stop.X[stop.at]),
        stop.y.astype(np.int64),
        stop.weight / context.horizon,
        reg_lambda=1.0,
        max_iter=2_000,
        what="momentum",
    )
    return SupportVectors(**arrays, slopes=slopes, offsets=offsets)


def _even(n: int, most: int) -> Rows:
    return np.arange(n) if n <= most else np.arange(most) * (n - 1) // (most - 1)


def _by_pair(machine: Any) -> Floats:
    """Coefficients (3, v) of all vectors in each pair's decision: libsvm keeps them by class and opponent."""
    begins = np.cumsum([0, *machine.n_support_])
    found = np.zeros((len(_PAIRS), machine.support_vectors_.shape[0]))
    for place, (i, j) in enumerate(_PAIRS):
        for mine, other in ((i, j), (j, i)):
            rows = slice(begins[mine], begins[mine + 1])
            found[place, rows] = machine.dual_coef_[other - (other > mine), rows]
    return found


def load(files: Mapping[str, bytes]) -> Forecaster:
    """The arrays in ``model.npz``.

    Raises
    ------
    BundleError
        The file is missing, or does not hold the arrays.
    """
    return SupportVectors(**unpacked(files, _FILE, _ARRAYS))


FORECASTER = ForecasterKind(
    "momentum",
    SVMParams,
    fit,
    load,
    targets=("momentum",),
    libraries=("sklearn",),
    summary='Momentum by a support-vector machine: {"state": "RISING", "confidence": 0.55, "probabilities": {...}}.',
    space=(Range("cost", 0.05, 20.0, log=True), Range("gamma", 0.05, 5.0, log=True)),
)
