"""The specialist of the price: the network of `nn_regressor` on the way to the exit, answered as a price."""

from functools import partial

from scalper_ml.forecasters.base import ForecasterKind
from scalper_ml.forecasters.nn_regressor import SPACE, LayersParams, fit, load

__all__ = ["FORECASTER"]

FORECASTER = ForecasterKind(
    "price",
    LayersParams,
    partial(fit, "price"),
    load,
    targets=("price",),
    extra="torch",
    summary='The price at the exit by a network: {"price": 101.2, "low": 99.8, "high": 102.4, "state": "UP", '
    '"confidence": 0.56}.',
    space=SPACE,
    devices=("cpu", "cuda"),
)
