"""The specialist of direction: is the exit above or below the entry? Boosted trees on the side alone."""

from functools import partial

from scalper_ml.forecasters.base import ForecasterKind
from scalper_ml.forecasters.boosted_trees import XGBForecastParams, fit_xgb, load_xgb
from scalper_ml.models.xgb_classifier import MODEL

__all__ = ["FORECASTER"]

FORECASTER = ForecasterKind(
    "direction",
    XGBForecastParams,
    fit_xgb,
    partial(load_xgb, sided=True),
    targets=("direction",),
    libraries=("xgboost",),
    summary='Direction by gradient-boosted trees: {"direction": "UP", "confidence": 0.75}.',
    space=MODEL.space,
    devices=("cpu", "cuda"),
)
