"""The specialist of volatility: gradient boosting on the log of the realised variance, against HAR."""

from scalper_ml.forecasters.base import ForecasterKind
from scalper_ml.forecasters.boosted_trees import LGBForecastParams, fit_lgb, load_lgb
from scalper_ml.models.lgb_classifier import MODEL

__all__ = ["FORECASTER"]

FORECASTER = ForecasterKind(
    "volatility",
    LGBForecastParams,
    fit_lgb,
    load_lgb,
    targets=("volatility",),
    libraries=("lightgbm",),
    summary='Volatility by gradient boosting, against HAR: {"volatility_bps": 12.5, "low": 8.1, "high": 19.4, '
    '"state": "HIGH", "confidence": 0.8}.',
    space=MODEL.space,
)
