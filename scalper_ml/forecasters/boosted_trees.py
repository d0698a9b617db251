"""XGBoost and LightGBM on a number, or on the side of one: what the kinds made of them share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from scalper_ml.errors import BundleError
from scalper_ml.forecasters.base import Forecaster, ForecastParams, Rows, Sample
from scalper_ml.models.base import FitContext, Floats
from scalper_ml.models.exported import lightgbm_trees, xgboost_trees
from scalper_ml.models.lgb_classifier import LGBParams
from scalper_ml.models.trees import Trees
from scalper_ml.models.xgb_classifier import XGBParams

__all__ = [
    "BoostedTrees",
    "LGBForecastParams",
    "XGBForecastParams",
    "fit_lgb",
    "fit_xgb",
    "lightgbm_parts",
    "load_lgb",
    "load_xgb",
]

_XGB = "model.ubj"
_LGB = "model.txt"


@dataclass(frozen=True, slots=True)
class XGBForecastParams(XGBParams, ForecastParams):
    """Those of `XGBParams`; ``min_child_weight`` counts rows where a number is learnt, a quarter of rows for a side."""


@dataclass(frozen=True, slots=True)
class LGBForecastParams(LGBParams, ForecastParams):
    """Those of `LGBParams`; ``min_child_weight`` counts rows."""


class BoostedTrees:
    """Trees as arrays beside the library's own file of them.

    Parameters
    ----------
    trees : Trees
    saved : mapping
        The native file.
    gain : (f,)
        Total gain of each feature.
    sided : bool
        Whether sums are log-odds of the second of two classes.
    parts : callable
        The library's own TreeSHAP: rows (n, f) to contributions (n, f).
    curve : tuple of float
        Loss on the rows to stop on, by round.
    """

    def __init__(
        self,
        trees: Trees,
        saved: Mapping[str, bytes],
        gain: Floats,
        parts: Callable[[Floats], Floats],
        *,
        sided: bool,
        curve: tuple[float, ...] = (),
    ) -> None:
        self._trees = trees
        self._saved = dict(saved)
        self._gain = gain
        self._parts = parts
        self._sided = sided
        self.curve = curve

    @property
    def best_iteration(self) -> int:
        """Index of the last round kept."""
        return int(self._trees.root.size) - 1

    def predict(self, X: Floats, at: Rows) -> Floats:
        """Numbers (m,), or probabilities of the two sides (m, 2)."""
        sums = self._trees.add(X[at])[:, 0]
        if not self._sided:
            return sums
        up = 1.0 / (1.0 + np.exp(-sums))
        return np.column_stack([1.0 - up, up])

    def files(self) -> dict[str, bytes]:
        """The library's own format."""
        return dict(self._saved)

    def importance(self) -> Floats:
        """Share of each feature in the total gain of all splits (f,); all 0 for trees without a split."""
        return np.asarray(self._gain / self._gain.sum() if self._gain.sum() > 0 else self._gain, dtype=np.float64)

    def contributions(self, X: Floats, seen: Floats) -> Floats:
        """Exact TreeSHAP values (n, f), of the counts that the trees were grown with."""
        return self._parts(X)


def fit_xgb(learn: Sample, stop: Sample, params: XGBForecastParams, context: FitContext, classes: int) -> Forecaster:
    """Boost on one sample until the loss on the other has not fallen for ``early_stopping_rounds``."""
    import xgboost

    native = params.native(context) | {"objective": "reg:squarederror", "eval_metric": "rmse"}
    if classes:
        native |= {"objective": "binary:logistic", "eval_metric": "logloss"}
    del native["num_class"]
    rows = xgboost.QuantileDMatrix(
        learn.X[learn.at], label=learn.y, weight=learn.weight, max_bin=params.max_bin, nthread=context.threads
    )
    watch = xgboost.QuantileDMatrix(
        stop.X[stop.at], label=stop.y, weight=stop.weight, max_bin=params.max_bin, nthread=context.threads, ref=rows
    )
    seen: dict[str, Any] = {}
    booster = xgboost.train(
        native,
        rows,
        num_boost_round=params.max_rounds,
        evals=[(watch, "stop")],
        evals_result=seen,
        early_stopping_rounds=params.early_stopping_rounds,
        verbose_eval=False,
    )
    curve = tuple(float(loss) for loss in next(iter(seen["stop"].values())))
    return _of_xgb(booster[: booster.best_iteration + 1], sided=bool(classes), curve=curve)


def _of_xgb(booster: Any, *, sided: bool, curve: tuple[float, ...] = ()) -> BoostedTrees:
    gain = np.zeros(int(booster.num_features()))
    for name, value in booster.get_score(importance_type="total_gain").items():
        gain[int(name[1:])] = value
    saved = {_XGB: bytes(booster.save_raw("ubj"))}
    return BoostedTrees(xgboost_trees(booster), saved, gain, partial(_xgb_parts, booster), sided=sided, curve=curve)


def _xgb_parts(booster: Any, X: Floats) -> Floats:
    import xgboost

    values = booster.predict(xgboost.DMatrix(X, nthread=1), pred_contribs=True, strict_shape=True)
    return np.asarray(values[:, 0, :-1], dtype=np.float64)


def load_xgb(files: Mapping[str, bytes], *, sided: bool = False) -> Forecaster:
    """The trees in ``model.ubj``.

    Raises
    ------
    BundleError
        The file is missing, or XGBoost cannot read it.
    """
    import xgboost

    if _XGB not in files:
        raise BundleError(f"{_XGB}: missing among {sorted(files)}; the bundle is incomplete - train the model again")
    try:
        booster = xgboost.Booster(params={"nthread": 1, "verbosity": 0}, model_file=bytearray(files[_XGB]))
    except xgboost.core.XGBoostError as error:
        first = str(error).splitlines()[0]
        raise BundleError(f"{_XGB}: not a model XGBoost can read ({first}); train the model again") from error
    return _of_xgb(booster, sided=sided)


def fit_lgb(learn: Sample, stop: Sample, params: LGBForecastParams, context: FitContext, classes: int) -> Forecaster:
    """Boost a number on one sample until the squared loss on the other has not fallen for long enough."""
    import lightgbm

    native = params.native(context) | {"objective": "regression", "metric": "l2"}
    native["boost_from_average"] = False  # the target is centred, and the average's last bits depend on the threads
    del native["num_class"]
    rows = lightgbm.Dataset(learn.X[learn.at], label=learn.y, weight=learn.weight, params=native)
    watch = lightgbm.Dataset(stop.X[stop.at], label=stop.y, weight=stop.weight, reference=rows, params=native)
    seen: dict[str, Any] = {}
    booster = lightgbm.train(
        native,
        rows,
        num_boost_round=params.max_rounds,
        valid_sets=[watch],
        callbacks=[
            lightgbm.early_stopping(params.early_stopping_rounds, verbose=False),
            lightgbm.record_evaluation(seen),
        ],
    )
    text = booster.model_to_string(num_iteration=booster.best_iteration)
    text = text.replace(f"[num_threads: {context.threads}]", "[num_threads: 1]")
    curve = tuple(float(loss) for loss in next(iter(seen["valid_0"].values())))
    return _of_lgb(text, curve)


def _of_lgb(text: str, curve: tuple[float, ...] = ()) -> BoostedTrees:
    import lightgbm

    booster = lightgbm.Booster(model_str=text)
    gain = np.asarray(booster.feature_importance("gain"), dtype=np.float64)
    parts = partial(lightgbm_parts, booster)
    return BoostedTrees(lightgbm_trees(text, 1), {_LGB: text.encode()}, gain, parts, sided=False, curve=curve)


def lightgbm_parts(booster: Any, X: Floats) -> Floats:
    """TreeSHAP values (n, f) of a booster of one number, without the constant."""
    values = np.asarray(booster.predict(np.ascontiguousarray(X), pred_contrib=True, num_threads=1))
    return values[:, :-1].astype(np.float64)


def load_lgb(files: Mapping[str, bytes]) -> Forecaster:
    """The trees in ``model.txt``.

    Raises
    ------
    BundleError
        The file is missing, or is not a model of LightGBM.
    """
    import lightgbm

    if _LGB not in files:
        raise BundleError(f"{_LGB}: missing among {sorted(files)}; the bundle is incomplete - train the model again")
    try:
        text = files[_LGB].decode()
        if not text.startswith("tree\nversion="):  # LightGBM prints what it cannot read: not asked
            raise BundleError(f"{_LGB}: not a model LightGBM can read (no header of trees); train the model again")
        return _of_lgb(text)
    except (UnicodeDecodeError, lightgbm.basic.LightGBMError) as error:
        raise BundleError(f"{_LGB}: not a model LightGBM can read ({error}); train the model again") from error
