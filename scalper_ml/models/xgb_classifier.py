"""Gradient-boosted trees by XGBoost's native API: shallow, slow, stopped early."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, Final

import numpy as np

from scalper_ml.errors import BundleError, SettingsError
from scalper_ml.models.base import Batch, Classifier, Device, FitContext, Floats, ModelKind, Range, Watch
from scalper_ml.models.boosting import BoostingParams, softmax
from scalper_ml.models.exported import xgboost_trees
from scalper_ml.models.trees import FEW_ROWS, Trees
from scalper_ml.vocabulary import CLASSES

__all__ = ["MODEL", "XGBClassifier", "XGBParams", "fit", "load", "pick_device"]

_FILE = "model.ubj"
_NVIDIA: Final = Path("/proc/driver/nvidia")  # there where a driver found a card


@dataclass(frozen=True, slots=True)
class XGBParams(BoostingParams):
    """Parameters of the trees; the defaults suit a weak signal among overlapping labels.

    Beside those of `BoostingParams`:

    Parameters
    ----------
    max_depth : int
    min_child_weight : float
        Least weight of a leaf, *per bar of horizon*: labels of h bars overlap h-fold. A row weighs about
        0.44 (2 p (1 - p) of three even classes), so 20 at horizon 1 asks for some 45 rows.

    Examples
    --------
    >>> XGBParams(max_depth=0)
    Traceback (most recent call last):
    ...
    scalper_ml.errors.SettingsError: XGBParams.max_depth: found 0; expected a whole number from 1 to 12
    """

    max_bin: int = 64
    max_depth: int = 3
    min_child_weight: float = 20.0

    def _shape(self) -> None:
        self._whole("max_depth", 1, 12)
        self._number("min_child_weight", 0.0, 1e6)

    def native(self, context: FitContext) -> dict[str, Any]:
        """The same in XGBoost's own words."""
        return {
            "objective": "multi:softprob",
            "num_class": len(CLASSES),
            "eval_metric": "mlogloss",
            "tree_method": "hist",
            "device": context.device,
            "nthread": context.threads,
            "seed": context.seed,
            "verbosity": 0,
            "learning_rate": self.learning_rate,
            "max_depth": self.max_depth,
            "min_child_weight": self.min_child_weight * context.horizon,
            "subsample": self.subsample,
            "colsample_bytree": self.colsample,
            "reg_lambda": self.reg_lambda,
            "max_bin": self.max_bin,
        }


def pick_device(wanted: str) -> Device:
    """``cuda`` or ``cpu``: ``auto`` takes the GPU where there is one and the installed XGBoost was built for it.

    Raises
    ------
    SettingsError
        ``cuda`` is asked for and the installed XGBoost cannot.
    """
    if wanted == "cpu":
        return "cpu"
    able = _built_for_cuda()
    if wanted == "cuda" and not able:
        raise SettingsError(
            "device: cuda, but the installed XGBoost is a CPU build; install xgboost instead of xgboost-cpu"
        )
    return "cuda" if able and (wanted == "cuda" or _NVIDIA.exists()) else "cpu"


@cache
def _built_for_cuda() -> bool:
    """By the name of the installed distribution where that says it: importing XGBoost takes seconds."""
    if any(True for _ in distributions(name="xgboost-cpu")):
        return False
    import xgboost

    return bool(xgboost.build_info().get("USE_CUDA"))


class XGBClassifier:
    """Fitted trees; the rounds after the best one are cut off.

    Parameters
    ----------
    booster : xgboost.Booster
        A few rows are predicted by its trees as arrays, without XGBoost's preparations, to the same bits.
    """

    def __init__(self, booster: Any) -> None:
        self._booster = booster

    @cached_property
    def _trees(self) -> Trees:
        return xgboost_trees(self._booster)

    @property
    def best_iteration(self) -> int:
        """Index of the last round kept."""
        return int(self._booster.num_boosted_rounds()) - 1

    def predict_proba(self, X: Floats) -> Floats:
        """Raw probabilities (n, 3), float64, rows sum to 1."""
        if len(X) <= FEW_ROWS:
            return softmax(self._trees.add(X))
        margins = self._booster.inplace_predict(X, predict_type="margin", validate_features=False)
        return softmax(margins.astype(np.float64))

    def files(self) -> dict[str, bytes]:
        """XGBoost's UBJSON."""
        return {_FILE: bytes(self._booster.save_raw("ubj"))}

    def importance(self) -> Floats:
        """Share of each feature in the total gain of all splits (f,); all 0 for trees without a split."""
        gain = np.zeros(int(self._booster.num_features()))
        for name, value in self._booster.get_score(importance_type="total_gain").items():
            gain[int(name[1:])] = value
        return gain / gain.sum() if gain.sum() > 0 else gain

    def contributions(self, X: Floats) -> Floats:
        """Exact TreeSHAP values (n, 3, f) in log-odds, without the bias column."""
        import xgboost

        rows = xgboost.DMatrix(X, nthread=1)
        values = self._booster.predict(rows, pred_contribs=True, strict_shape=True)
        return np.asarray(values[:, :, :-1], dtype=np.float64)


def fit(rows: Batch, stop: Batch, params: XGBParams, context: FitContext) -> Classifier:
    """Boost on `rows` until the log loss on `stop` has not fallen for `early_stopping_rounds`.

    The trees start from the class shares of `rows`, so a model that stops at once predicts about those.
    """
    import xgboost

    learn = xgboost.QuantileDMatrix(
        rows.X, label=rows.y, weight=rows.weight, max_bin=params.max_bin, nthread=context.threads
    )
    watch = xgboost.QuantileDMatrix(
        stop.X, label=stop.y, weight=stop.weight, max_bin=params.max_bin, nthread=context.threads, ref=learn
    )
    booster = xgboost.train(
        params.native(context),
        learn,
        num_boost_round=params.max_rounds,
        evals=[(watch, "stop")],
        early_stopping_rounds=params.early_stopping_rounds,
        callbacks=[] if context.watch is None else [_watched(context.watch)],
        verbose_eval=False,
    )
    return XGBClassifier(booster[: booster.best_iteration + 1])


def _watched(watch: Watch) -> Any:
    from xgboost.callback import TrainingCallback

    class Watched(TrainingCallback):
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            watch(epoch, float(evals_log["stop"]["mlogloss"][-1]))
            return False

    return Watched()


def load(files: Mapping[str, bytes]) -> Classifier:
    """The trees in ``model.ubj``.

    Raises
    ------
    BundleError
        The file is missing, or XGBoost cannot read it.
    """
    import xgboost

    if _FILE not in files:
        raise BundleError(
            f"xgb_classifier: no {_FILE} among {sorted(files)}; the bundle is incomplete - train the model again"
        )
    try:
        booster = xgboost.Booster(params={"nthread": 1, "verbosity": 0}, model_file=bytearray(files[_FILE]))
    except xgboost.core.XGBoostError as error:
        first = str(error).splitlines()[0]
        raise BundleError(f"{_FILE}: not a model XGBoost can read ({first}); train the model again") from error
    return XGBClassifier(booster)


MODEL = ModelKind(
    "xgb_classifier",
    XGBParams,
    fit,
    load,
    libraries=("xgboost",),
    summary="Gradient-boosted trees, shallow and slow.",
    space=(
        Range("max_depth", 3, 10),
        Range("learning_rate", 0.01, 0.3, log=True),
        Range("max_rounds", 100, 500),
        Range("min_child_weight", 5.0, 80.0, log=True),
        Range("subsample", 0.5, 1.0),
        Range("colsample", 0.2, 1.0),
        Range("reg_lambda", 1.0, 100.0, log=True),
    ),
    devices=("cpu", "cuda"),
)
