"""Partitions: by symbol, and by symbol x horizon. Multi-partition keys read ``horizon|symbol``."""

from dagster import (
    AssetExecutionContext,
    MultiPartitionKey,
    MultiPartitionsDefinition,
    PartitionsDefinition,
    StaticPartitionsDefinition,
)

from scalper_assets.project import location_project
from scalper_ml.layers.base import Shape

__all__ = ["BY_SYMBOL", "BY_SYMBOL_HORIZON", "keys_of_run", "partition_key", "partitions_of"]

_settings = location_project().settings

BY_SYMBOL = StaticPartitionsDefinition(_settings.symbols)
BY_SYMBOL_HORIZON = MultiPartitionsDefinition(
    {"symbol": BY_SYMBOL, "horizon": StaticPartitionsDefinition([str(horizon) for horizon in _settings.horizons])}
)


def partitions_of(shape: Shape) -> PartitionsDefinition | None:
    """The partitions definition of a layer's shape."""
    return {"symbol": BY_SYMBOL, "symbol_horizon": BY_SYMBOL_HORIZON, "none": None}[shape]


def partition_key(keys: dict[str, str | int]) -> str | None:
    """The Dagster partition key of a layer's keys."""
    if not keys:
        return None
    if "horizon" not in keys:
        return str(keys["symbol"])
    return MultiPartitionKey({"symbol": str(keys["symbol"]), "horizon": str(keys["horizon"])})


def keys_of_run(context: AssetExecutionContext, shape: Shape) -> dict[str, str | int]:
    """The layer's keys of the partition a run materialises."""
    if shape == "none":
        return {}
    if shape == "symbol":
        return {"symbol": context.partition_key}
    key = BY_SYMBOL_HORIZON.get_partition_key_from_str(str(context.partition_key))
    return {"symbol": key.keys_by_dimension["symbol"], "horizon": int(key.keys_by_dimension["horizon"])}
