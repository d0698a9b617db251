"""The specialist of risk: a random forest on how far the price will stray, 0 to 100."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from scalper_ml.forecasters.base import Forecaster, ForecasterKind, ForecastParams, Rows, Sample
from scalper_ml.forecasters.forest_shap import forest_parts
from scalper_ml.models.arrays import packed, unpacked
from scalper_ml.models.base import FitContext, Floats, Range
from scalper_ml.models.exported import forest_trees
from scalper_ml.models.trees import Trees

__all__ = ["FORECASTER", "Forest", "ForestParams"]

_FILE: Final = "model.npz"
_ARRAYS: Final = ("feature", "threshold", "child", "value", "root", "importance")


@dataclass(frozen=True, slots=True)
class ForestParams(ForecastParams):
    """Parameters of the forest.

    Parameters
    ----------
    trees : int
    max_depth : int
    min_leaf : int
        Least rows of a leaf, *per bar of horizon*: labels of h bars overlap h-fold.
    columns : float
        Share of the features tried at a split.
    rows : float
        Share of the rows a tree is grown on.
    """

    trees: int = 100
    max_depth: int = 10
    min_leaf: int = 20
    columns: float = 0.1
    rows: float = 0.5

    def __post_init__(self) -> None:
        self._whole("trees", 1, 5_000)
        self._whole("max_depth", 1, 30)
        self._whole("min_leaf", 1, 100_000)
        self._number("columns", 0.0, 1.0, above=True)
        self._number("rows", 0.0, 1.0, above=True)


class Forest:
    """The mean of trees."""

    def __init__(self, trees: Trees, importance: Floats) -> None:
        self._trees = trees
        self._importance = importance

    @property
    def best_iteration(self) -> None:
        """None: there are no rounds."""
        return None

    @property
    def curve(self) -> tuple[float, ...]:
        """Empty: there are no rounds."""
        return ()

    def predict(self, X: Floats, at: Rows) -> Floats:
        """Numbers (m,)."""
        return np.asarray(self._trees.add(X[at])[:, 0] / self._trees.root.size, dtype=np.float64)

    def files(self) -> dict[str, bytes]:
        """The nodes of all trees as arrays."""
        arrays = {name: getattr(self._trees, name) for name in _ARRAYS[:-1]}
        return {_FILE: packed(arrays | {"importance": self._importance})}

    def importance(self) -> Floats:
        """Share of each feature in the fall of the squared error (f,)."""
        return self._importance

    def contributions(self, X: Floats, seen: Floats) -> Floats:
        """Exact TreeSHAP values (n, f), of the counts of the rows `seen`: scikit-learn has none of its own."""
        return forest_parts(self._trees, X, seen) / self._trees.root.size


def fit(learn: Sample, stop: Sample, params: ForestParams, context: FitContext, classes: int) -> Forecaster:
    """Grow every tree on its share of the rows; there is nothing to stop early."""
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(
        params.trees,
        max_depth=params.max_depth,
        min_samples_leaf=min(params.min_leaf * context.horizon, max(len(learn.at) // 4, 1)),
        max_features=params.columns,
        max_samples=params.rows,
        n_jobs=1,
        random_state=context.seed,
    ).fit(learn.X[learn.at], learn.y, sample_weight=learn.weight)
    return Forest(forest_trees(forest), np.asarray(forest.feature_importances_, dtype=np.float64))


def load(files: Mapping[str, bytes]) -> Forecaster:
    """The trees in ``model.npz``.

    Raises
    ------
    BundleError
        The file is missing, or does not hold the arrays.
    """
    arrays: dict[str, Any] = unpacked(files, _FILE, _ARRAYS)
    importance = arrays.pop("importance")
    group = np.zeros(arrays["root"].size, dtype=np.int32)
    return Forest(Trees(**arrays, group=group, base=np.zeros(1), strict=False, single=True), importance)


FORECASTER = ForecasterKind(
    "risk",
    ForestParams,
    fit,
    load,
    targets=("risk",),
    libraries=("sklearn",),
    summary='Risk by a random forest: {"risk": 63.2, "low": 31.0, "high": 90.5, "state": "HIGH", "confidence": 0.7}.',
    space=(Range("trees", 50, 400), Range("max_depth", 3, 16), Range("min_leaf", 5, 80), Range("columns", 0.05, 0.5)),
)
