"""Gradient-boosted trees on a number: return, price, risk or volatility."""

from scalper_ml.forecasters.base import ForecasterKind
from scalper_ml.forecasters.boosted_trees import XGBForecastParams, fit_xgb, load_xgb
from scalper_ml.models.xgb_classifier import MODEL

__all__ = ["FORECASTER"]

FORECASTER = ForecasterKind(
    "xgb_regressor",
    XGBForecastParams,
    fit_xgb,
    load_xgb,
    targets=("return", "price", "risk", "volatility"),
    libraries=("xgboost",),
    summary="Gradient-boosted trees on a number.",
    space=MODEL.space,
    devices=("cpu", "cuda"),
)
