"""One job a partition shape, for a run cannot mix assets of different partitions; and the jobs that sensors start."""

from typing import Final

from dagster import define_asset_job, in_process_executor

from scalper_assets.assets.factory import asset_key
from scalper_assets.project import location_project
from scalper_ml.layers import layers_of
from scalper_ml.layers.base import Layer, Shape

__all__ = ["JOBS", "JOB_OF_SHAPE", "NEW_DATA_JOB", "RETRAIN_JOB", "WATCH_JOB"]

JOB_OF_SHAPE: dict[Shape, str] = {"symbol": "symbol_job", "none": "global_job", "symbol_horizon": "symbol_horizon_job"}
NEW_DATA_JOB: Final = "new_data_job"
WATCH_JOB: Final = "watch_job"
RETRAIN_JOB: Final = "retrain_job"

_LAYERS = layers_of(location_project().settings)


def _watches(layer: Layer) -> bool:
    return layer.name == "champions" or layer.name.startswith("drift/")


_STARTED: dict[str, tuple[list[Layer], str]] = {
    NEW_DATA_JOB: (
        [layer for layer in _LAYERS if layer.shape == "symbol" or layer.name == "market"],
        "From new files of a symbol to its features: what sensors start when files land.",
    ),
    WATCH_JOB: (
        [layer for layer in _LAYERS if _watches(layer)],
        "Look at a champion and its challenger on the newest bars; retrains nothing.",
    ),
    RETRAIN_JOB: (
        [layer for layer in _LAYERS if layer.shape == "symbol_horizon" or layer.name == "thresholds"],
        "Train a challenger of one symbol x horizon, score it, and let the rule decide whether it takes the place.",
    ),
}

JOBS = [
    *(
        define_asset_job(
            name,
            selection=[asset_key(layer.name) for layer in _LAYERS if layer.shape == shape],
            description=f"Every asset of shape {shape.replace('_', ' x ')}; `scalper run` drives the whole graph.",
        )
        for shape, name in JOB_OF_SHAPE.items()
    ),
    *(
        define_asset_job(
            name,
            selection=[asset_key(layer.name) for layer in layers],
            description=description,
            executor_def=in_process_executor,  # its steps take seconds, a process each would take longer to start
        )
        for name, (layers, description) in _STARTED.items()
    ),
]
