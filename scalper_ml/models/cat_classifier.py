"""Gradient-boosted oblivious trees by CatBoost's native API: stopped early, saved without time stamps."""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from scalper_ml.errors import BundleError
from scalper_ml.models.base import Batch, Classifier, FitContext, Floats, ModelKind, Range, Watch
from scalper_ml.models.boosting import BoostingParams
from scalper_ml.models.exported import catboost_trees
from scalper_ml.models.trees import ObliviousTrees
from scalper_ml.vocabulary import CLASSES

__all__ = ["MODEL", "CatClassifier", "CatParams", "fit", "load"]

_FILE: Final = "model.cbm"
_ABSENT: Final = 1e-9  # probability of a class that did not occur

_VOLATILE: Final = {  # metadata with times, ids and thread counts: no part of the trees; those that are read are JSON
    "train_finish_time": "",
    "model_guid": "",
    "catboost_version_info": "",
    "training": "{}",
    "output_options": "{}",
    "params": '{"loss_function":{"type":"MultiClass","params":{}}}',  # without it CatBoost prints that it guesses
}


@dataclass(frozen=True, slots=True)
class CatParams(BoostingParams):
    """Parameters of the trees; the defaults suit a weak signal among overlapping labels.

    Beside those of `BoostingParams`:

    Parameters
    ----------
    depth : int
        Every path of an oblivious tree has this length.
    reg_lambda : float
        L2 penalty of leaf values, *per bar of horizon*: labels of h bars overlap h-fold.

    Examples
    --------
    >>> CatParams(depth=0)
    Traceback (most recent call last):
    ...
    scalper_ml.errors.SettingsError: CatParams.depth: found 0; expected a whole number from 1 to 12
    """

    learning_rate: float = 0.05
    depth: int = 4

    def _shape(self) -> None:
        self._whole("depth", 1, 12)

    def native(self, context: FitContext) -> dict[str, Any]:
        """The same in CatBoost's own words."""
        return {
            "loss_function": "MultiClass",
            "iterations": self.max_rounds,
            "od_type": "Iter",
            "od_wait": self.early_stopping_rounds,
            "use_best_model": True,
            "learning_rate": self.learning_rate,
            "depth": self.depth,
            "bootstrap_type": "Bernoulli",
            "subsample": self.subsample,
            "rsm": self.colsample,
            "l2_leaf_reg": self.reg_lambda * context.horizon,
            "border_count": self.max_bin,
            "leaf_estimation_iterations": 1,
            "random_seed": context.seed,
            "thread_count": context.threads,
            "allow_writing_files": False,
            "logging_level": "Silent",
        }


class CatClassifier:
    """Fitted trees; the rounds after the best one are cut off.

    Parameters
    ----------
    model : catboost.CatBoost
    trees : ObliviousTrees, optional
        The same as arrays: what is read back predicts a row without CatBoost's preparations, to the same bits.
    """

    def __init__(self, model: Any, trees: ObliviousTrees | None = None) -> None:
        self._model = model
        self._trees = trees
        self._found = np.asarray(model.classes_, dtype=np.int64)  # CatBoost leaves out classes that do not occur

    @property
    def best_iteration(self) -> int:
        """Index of the last round kept."""
        return int(self._model.tree_count_) - 1

    def predict_proba(self, X: Floats) -> Floats:
        """Raw probabilities (n, 3), float64, rows sum to 1."""
        if self._trees is not None:
            margins = self._trees.add(X)
        else:
            margins = self._model.predict(np.ascontiguousarray(X), prediction_type="RawFormulaVal", thread_count=1)
        weights = np.full((X.shape[0], len(CLASSES)), _ABSENT)
        weights[:, self._found] = np.exp(margins - margins.max(axis=1, keepdims=True))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float64)

    def files(self) -> dict[str, bytes]:
        """CatBoost's binary format, its volatile metadata emptied."""
        metadata = self._model.get_metadata()
        for name, value in _VOLATILE.items():
            metadata[name] = value
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, _FILE)
            self._model.save_model(path, format="cbm")
            with open(path, "rb") as source:
                return {_FILE: source.read()}

    def importance(self) -> Floats:
        """Share of each feature in the change of predictions (f,); all 0 for trees without a split."""
        change = np.asarray(self._model.get_feature_importance(type="PredictionValuesChange"), dtype=np.float64)
        return change / change.sum() if change.sum() > 0 else change

    def contributions(self, X: Floats) -> Floats:
        """Exact TreeSHAP values (n, 3, f) in log-odds, without the bias column."""
        import catboost

        pool = catboost.Pool(np.ascontiguousarray(X))
        values = np.zeros((X.shape[0], len(CLASSES), X.shape[1]))
        found = self._model.get_feature_importance(pool, type="ShapValues", thread_count=1)
        values[:, self._found] = found[:, :, :-1]
        return values


def fit(rows: Batch, stop: Batch, params: CatParams, context: FitContext) -> Classifier:
    """Boost on `rows` until the log loss on `stop` has not fallen for `early_stopping_rounds`.

    The trees start from the class shares of `rows`, so a model that stops at once predicts about those.
    """
    import catboost

    counts = np.bincount(rows.y, weights=rows.weight)
    start = np.log(counts[counts > 0] / counts.sum())
    learn, watch = (
        catboost.Pool(part.X, label=part.y, weight=part.weight, baseline=np.tile(start, (part.y.size, 1)))
        for part in (rows, stop)
    )
    model = catboost.CatBoost(params.native(context))
    watched = None if context.watch is None else _Watched(context.watch)
    model.fit(learn, eval_set=watch, callbacks=[watched] if watched else None)
    if watched and watched.ended_by:
        raise watched.ended_by
    model.set_scale_and_bias(1.0, start.tolist())
    return CatClassifier(model)


class _Watched:
    """CatBoost swallows what its callbacks raise: it is kept, the fit ended, and raised afterwards."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self.ended_by: Exception | None = None

    def after_iteration(self, info: Any) -> bool:
        try:
            self._watch(info.iteration - 1, float(info.metrics["validation"]["MultiClass"][-1]))
        except Exception as error:  # raised again by `fit`
            self.ended_by = error
            return False
        return True


def load(files: Mapping[str, bytes]) -> Classifier:
    """The trees in ``model.cbm``.

    Raises
    ------
    BundleError
        The file is missing, or CatBoost cannot read it.
    """
    import catboost

    if _FILE not in files:
        raise BundleError(
            f"cat_classifier: no {_FILE} among {sorted(files)}; the bundle is incomplete - train the model again"
        )
    model = catboost.CatBoost()
    try:
        model.load_model(blob=files[_FILE])
    except catboost.CatBoostError as error:
        raise BundleError(f"{_FILE}: not a model CatBoost can read ({error}); train the model again") from error
    return CatClassifier(model, catboost_trees(model))


MODEL = ModelKind(
    "cat_classifier",
    CatParams,
    fit,
    load,
    libraries=("catboost",),
    summary="Gradient-boosted oblivious trees.",
    space=(
        Range("depth", 4, 10),
        Range("max_rounds", 100, 500),
        Range("learning_rate", 0.01, 0.3, log=True),
        Range("subsample", 0.5, 1.0),
        Range("colsample", 0.2, 1.0),
        Range("reg_lambda", 1.0, 100.0, log=True),
    ),
)
