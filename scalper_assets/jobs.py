"""One job a partition shape: a run cannot mix assets of different partitions."""

from dagster import define_asset_job

from scalper_assets.assets.factory import asset_key
from scalper_assets.project import location_project
from scalper_ml.layers import layers_of
from scalper_ml.layers.base import Shape

__all__ = ["JOBS", "JOB_OF_SHAPE"]

JOB_OF_SHAPE: dict[Shape, str] = {"symbol": "symbol_job", "none": "global_job", "symbol_horizon": "symbol_horizon_job"}

JOBS = [
    define_asset_job(
        name,
        selection=[asset_key(layer.name) for layer in layers_of(location_project().settings) if layer.shape == shape],
        description=f"Every asset of shape {shape.replace('_', ' x ')}; `scalper run` drives the whole graph in order.",
    )
    for shape, name in JOB_OF_SHAPE.items()
]
