"""Gradient-boosted trees by LightGBM's native API: grown by leaves, stopped early, fitted the same way every time."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

from scalper_ml.errors import BundleError
from scalper_ml.models.base import Batch, Classifier, FitContext, Floats, ModelKind, Range, Watch
from scalper_ml.models.boosting import BoostingParams, softmax
from scalper_ml.models.exported import lightgbm_trees
from scalper_ml.models.trees import FEW_ROWS, Trees
from scalper_ml.vocabulary import CLASSES

__all__ = ["MODEL", "LGBClassifier", "LGBParams", "fit", "load"]

_FILE: Final = "model.txt"
_BEGINS: Final = "tree\nversion="


@dataclass(frozen=True, slots=True)
class LGBParams(BoostingParams):
    """Parameters of the trees; the defaults suit a weak signal among overlapping labels.

    Beside those of `BoostingParams`:

    Parameters
    ----------
    num_leaves : int
        Most leaves of a tree.
    min_child_weight : float
        Least weight of a leaf (sum of second derivatives), *per bar of horizon*: labels of h bars overlap h-fold.

    Examples
    --------
    >>> LGBParams(num_leaves=1)
    Traceback (most recent call last):
    ...
    scalper_ml.errors.SettingsError: LGBParams.num_leaves: found 1; expected a whole number from 2 to 1024
    """

    num_leaves: int = 8
    min_child_weight: float = 20.0

    def _shape(self) -> None:
        self._whole("num_leaves", 2, 1024)
        self._number("min_child_weight", 0.0, 1e6)

    def native(self, context: FitContext) -> dict[str, Any]:
        """The same in LightGBM's own words."""
        return {
            "objective": "multiclass",
            "num_class": len(CLASSES),
            "metric": "multi_logloss",
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": context.threads,
            "seed": context.seed,
            "verbosity": -1,
            "learning_rate": self.learning_rate,
            "num_leaves": self.num_leaves,
            "min_data_in_leaf": 1,
            "min_sum_hessian_in_leaf": self.min_child_weight * context.horizon,
            "bagging_fraction": self.subsample,
            "bagging_freq": 1,
            "feature_fraction": self.colsample,
            "lambda_l2": self.reg_lambda,
            "max_bin": self.max_bin,
            "feature_pre_filter": False,
        }


class LGBClassifier:
    """Fitted trees; the rounds after the best one are cut off.

    Parameters
    ----------
    booster : lightgbm.Booster
        A few rows are predicted by its trees as arrays, without LightGBM's preparations, to the same bits.
    """

    def __init__(self, booster: Any) -> None:
        self._booster = booster

    @cached_property
    def _trees(self) -> Trees:
        return lightgbm_trees(self._booster.model_to_string(num_iteration=-1), len(CLASSES))

    @property
    def best_iteration(self) -> int:
        """Index of the last round kept."""
        return int(self._booster.current_iteration()) - 1

    def predict_proba(self, X: Floats) -> Floats:
        """Raw probabilities (n, 3), float64, rows sum to 1."""
        if len(X) <= FEW_ROWS:
            return softmax(self._trees.add(X))
        return softmax(self._booster.predict(np.ascontiguousarray(X), raw_score=True, num_threads=1))

    def files(self) -> dict[str, bytes]:
        """LightGBM's text."""
        return {_FILE: self._booster.model_to_string(num_iteration=-1).encode()}

    def importance(self) -> Floats:
        """Share of each feature in the total gain of all splits (f,); all 0 for trees without a split."""
        gain = np.asarray(self._booster.feature_importance("gain"), dtype=np.float64)
        return gain / gain.sum() if gain.sum() > 0 else gain

    def contributions(self, X: Floats) -> Floats:
        """Exact TreeSHAP values (n, 3, f) in log-odds, without the bias column."""
        values = np.asarray(self._booster.predict(np.ascontiguousarray(X), pred_contrib=True, num_threads=1))
        return values.reshape(X.shape[0], len(CLASSES), -1)[:, :, :-1].astype(np.float64)


def fit(rows: Batch, stop: Batch, params: LGBParams, context: FitContext) -> Classifier:
    """Boost on `rows` until the log loss on `stop` has not fallen for `early_stopping_rounds`."""
    import lightgbm

    native = params.native(context)
    learn = lightgbm.Dataset(rows.X, label=rows.y, weight=rows.weight, params=native)
    watch = lightgbm.Dataset(stop.X, label=stop.y, weight=stop.weight, reference=learn, params=native)
    callbacks: list[Any] = [lightgbm.early_stopping(params.early_stopping_rounds, verbose=False)]
    if context.watch is not None:
        callbacks.insert(0, _watched(context.watch))
    booster = lightgbm.train(
        native,
        learn,
        num_boost_round=params.max_rounds,
        valid_sets=[watch],
        callbacks=callbacks,
    )
    text = booster.model_to_string(num_iteration=booster.best_iteration)
    return _read(text.replace(f"[num_threads: {context.threads}]", "[num_threads: 1]"))


def _watched(watch: Watch) -> Any:
    def told(environment: Any) -> None:
        watch(environment.iteration, float(environment.evaluation_result_list[0][2]))

    return told


def _read(text: str) -> LGBClassifier:
    import lightgbm

    return LGBClassifier(lightgbm.Booster(model_str=text))


def load(files: Mapping[str, bytes]) -> Classifier:
    """The trees in ``model.txt``.

    Raises
    ------
    BundleError
        The file is missing, or is not a model of LightGBM.
    """
    import lightgbm

    if _FILE not in files:
        raise BundleError(
            f"lgb_classifier: no {_FILE} among {sorted(files)}; the bundle is incomplete - train the model again"
        )
    try:
        text = files[_FILE].decode()
        if not text.startswith(_BEGINS):  # LightGBM prints what it cannot read: not asked
            raise BundleError(f"{_FILE}: not a model LightGBM can read (no header of trees); train the model again")
        return _read(text)
    except (UnicodeDecodeError, lightgbm.basic.LightGBMError) as error:
        raise BundleError(f"{_FILE}: not a model LightGBM can read ({error}); train the model again") from error


MODEL = ModelKind(
    "lgb_classifier",
    LGBParams,
    fit,
    load,
    libraries=("lightgbm",),
    summary="Gradient-boosted trees grown leaf by leaf.",
    space=(
        Range("num_leaves", 20, 100),
        Range("learning_rate", 0.01, 0.3, log=True),
        Range("max_rounds", 100, 500),
        Range("min_child_weight", 5.0, 80.0, log=True),
        Range("subsample", 0.5, 1.0),
        Range("colsample", 0.2, 1.0),
        Range("reg_lambda", 1.0, 100.0, log=True),
    ),
)
