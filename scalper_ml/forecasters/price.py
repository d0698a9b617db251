"""The specialist of the price: the network of `nn_regressor` on the way to the exit, answered as a price."""

from scalper_ml.forecasters.nn_regressor import SPACE, LayersParams, build, export
from scalper_ml.forecasters.torch_training import network_kind

__all__ = ["FORECASTER"]

FORECASTER = network_kind(
    "price",
    LayersParams,
    build,
    export,
    targets=("price",),
    summary='The price at the exit by a network: {"price": 101.2, "low": 99.8, "high": 102.4, "state": "UP", '
    '"confidence": 0.56}.',
    space=SPACE,
)
