"""Multinomial logistic regression: fitted by scikit-learn, kept as plain arrays, predicted by numpy."""

import io
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from scalper_ml.errors import BundleError, ContractError
from scalper_ml.models.base import Batch, Classifier, FitContext, Floats, ModelKind, ModelParams, Range
from scalper_ml.vocabulary import CLASSES

__all__ = ["MODEL", "LogisticClassifier", "LogisticParams", "fit", "load", "multinomial"]

_FILE: Final = "model.npz"
_ARRAYS: Final = ("coefficients", "intercepts", "means", "lows", "highs")
_ROWS: Final = 4096  # a block of rows of 160 features takes 15 MB on its way
_NEVER: Final = -25.0  # log-odds of a class that did not occur, below the least of the others


@dataclass(frozen=True, slots=True)
class LogisticParams(ModelParams):
    """Parameters of the fit.

    Parameters
    ----------
    reg_lambda : float
        L2 penalty of the coefficients, against the log loss summed over rows that each count as one part in
        ``horizon``: labels of h bars overlap h-fold.
    max_iter : int
        Most steps of the solver; a fit that needs more is refused.
    """

    reg_lambda: float = 100.0
    max_iter: int = 2_000

    def __post_init__(self) -> None:
        self._number("reg_lambda", 0.0, 1e9, above=True)
        self._whole("max_iter", 1, 1_000_000)


class LogisticClassifier:
    """Log-odds ``X @ coefficients.T + intercepts``, as probabilities.

    Parameters
    ----------
    coefficients : (3, f)
    intercepts : (3,)
    means : (f,)
        Of the inputs it was fitted on: what contributions are measured from.
    lows, highs : (f,)
        Their range: an input beyond it counts as its edge, since a line drawn further is a guess.
    """

    def __init__(self, coefficients: Floats, intercepts: Floats, means: Floats, lows: Floats, highs: Floats) -> None:
        self._coefficients = coefficients
        self._intercepts = intercepts
        self._means = means
        self._lows = lows
        self._highs = highs

    @property
    def best_iteration(self) -> None:
        """None: there are no rounds."""
        return None

    def predict_proba(self, X: Floats) -> Floats:
        """Raw probabilities (n, 3), float64, rows sum to 1.

        Sums run along each row alone and in one order: a row alone has the bits it has among others, which a matrix
        product does not promise.
        """
        P = np.empty((X.shape[0], len(CLASSES)))
        for at in range(0, X.shape[0], _ROWS):
            block = np.ascontiguousarray(np.clip(X[at : at + _ROWS], self._lows, self._highs))
            odds = np.column_stack([np.add.reduce(block * row, axis=1) for row in self._coefficients])
            odds += self._intercepts
            weights = np.exp(odds - odds.max(axis=1, keepdims=True))
            P[at : at + _ROWS] = weights / weights.sum(axis=1, keepdims=True)
        return P

    def files(self) -> dict[str, bytes]:
        """The arrays, as ``.npz`` without time stamps: equal arrays give equal bytes."""
        sink = io.BytesIO()
        with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
            for name in _ARRAYS:
                inner = io.BytesIO()
                np.save(inner, getattr(self, f"_{name}").astype("<f8"), allow_pickle=False)
                archive.writestr(zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), inner.getvalue())
        return {_FILE: sink.getvalue()}

    def importance(self) -> Floats:
        """Share of each feature in the sizes of all coefficients (f,): inputs are scaled, so sizes compare."""
        size = np.abs(self._coefficients - self._coefficients.mean(axis=0)).sum(axis=0)
        return np.asarray(size / size.sum() if size.sum() > 0 else size, dtype=np.float64)

    def contributions(self, X: Floats) -> Floats:
        """Exact SHAP values of a linear model of independent features: coefficient x (value - mean), (n, 3, f)."""
        inputs = np.clip(X, self._lows, self._highs) - self._means
        return np.asarray(inputs[:, None, :] * self._coefficients, dtype=np.float64)


def multinomial(
    X: Floats, y: np.ndarray, weight: Floats, *, reg_lambda: float, max_iter: int, what: str
) -> tuple[Floats, Floats]:
    """Coefficients (3, f) and intercepts (3,) of least ``sum(weight x log loss) + reg_lambda / 2 x |coefficients|^2``.

    One thread, so that sums have one order. A class that does not occur gets next to no probability.

    Raises
    ------
    ContractError
        The solver did not come to an end.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    model = LogisticRegression(C=1.0 / reg_lambda, max_iter=max_iter, tol=1e-5)
    try:
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            model.fit(X, y, sample_weight=weight)
    except ConvergenceWarning as error:
        raise ContractError(
            f"{what}: not fitted after {max_iter} steps; expected inputs of about unit size - scale them, raise "
            "max_iter or reg_lambda"
        ) from error
    coefficients, intercepts = np.zeros((len(CLASSES), X.shape[1])), np.zeros(len(CLASSES))
    found = np.asarray(model.classes_, dtype=np.int64)
    if found.size == 2:  # scikit-learn then gives the log-odds of the second class alone
        coefficients[found[1]], intercepts[found[1]] = model.coef_[0], model.intercept_[0]
    else:
        coefficients[found], intercepts[found] = model.coef_, model.intercept_
    absent = np.setdiff1d(np.arange(len(CLASSES)), found)
    intercepts[absent] = intercepts[found].min() + _NEVER
    return coefficients, intercepts


def fit(rows: Batch, stop: Batch, params: LogisticParams, context: FitContext) -> Classifier:
    """Fit on `rows`; there is nothing to stop early, so `stop` is not looked at."""
    coefficients, intercepts = multinomial(
        rows.X,
        rows.y,
        rows.weight / context.horizon,
        reg_lambda=params.reg_lambda,
        max_iter=params.max_iter,
        what="logistic_classifier",
    )
    means = (rows.X * rows.weight[:, None]).sum(axis=0) / rows.weight.sum()
    return LogisticClassifier(coefficients, intercepts, means, rows.X.min(axis=0), rows.X.max(axis=0))


def load(files: Mapping[str, bytes]) -> Classifier:
    """The arrays in ``model.npz``.

    Raises
    ------
    BundleError
        The file is missing, or does not hold the arrays.
    """
    if _FILE not in files:
        raise BundleError(
            f"logistic_classifier: no {_FILE} among {sorted(files)}; the bundle is incomplete - train the model again"
        )
    try:
        with np.load(io.BytesIO(files[_FILE]), allow_pickle=False) as archive:
            arrays = [archive[name] for name in _ARRAYS]
    except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise BundleError(f"{_FILE}: does not hold {list(_ARRAYS)} ({error}); train the model again") from error
    return LogisticClassifier(*arrays)


MODEL = ModelKind(
    "logistic_classifier",
    LogisticParams,
    fit,
    load,
    libraries=("sklearn",),
    summary="Multinomial logistic regression with an L2 penalty.",
    space=(Range("reg_lambda", 1.0, 10_000.0, log=True),),
    complexity=0,
)
