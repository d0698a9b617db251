"""One asset a layer, all made the same way: run the layer's build, report its checks, describe what it wrote."""

import warnings
from collections.abc import Iterator
from typing import Any

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetExecutionContext,
    AssetIn,
    AssetKey,
    AssetOut,
    AssetsDefinition,
    DataVersion,
    Failure,
    MaterializeResult,
    Nothing,
    PreviewWarning,
    multi_asset,
)

from scalper_assets.assets.catalogue import CATALOGUE, warnings_of
from scalper_assets.metadata import describe, plain
from scalper_assets.partitions import keys_of_run, partitions_of
from scalper_assets.project import location_project
from scalper_assets.resources import ProjectResource
from scalper_ml.errors import ContractError, InputError, InsufficientDataError, ScalperError, SupersededError
from scalper_ml.layers import layers_of
from scalper_ml.layers.base import Layer, code_digest

__all__ = ["ALL_ASSETS", "asset_key", "make_asset"]


def asset_key(layer: str) -> AssetKey:
    """``models/xgb_classifier`` is the key ``["models", "xgb_classifier"]``."""
    return AssetKey(layer.split("/"))


def _check(layer: Layer, record: dict[str, Any]) -> AssetCheckResult:
    return AssetCheckResult(
        asset_key=asset_key(layer.name),
        check_name=record["name"],
        passed=bool(record["passed"]),
        severity=AssetCheckSeverity.ERROR if record["blocking"] else AssetCheckSeverity.WARN,
        description=record["description"] or None,
        metadata=plain(record["values"]),
    )


def make_asset(layer: Layer) -> AssetsDefinition:
    """The asset of a layer.

    A build whose blocking checks fail fails its step after reporting them: the last good partition
    stays in the warehouse, and whatever is downstream refuses to read it until a build passes.
    """
    entry = CATALOGUE[layer.name]
    key = asset_key(layer.name)
    partitions = partitions_of(layer.shape)
    warns = warnings_of(layer.name, location_project().settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PreviewWarning)  # check results that carry the partition are new in Dagster
        specs = [
            AssetCheckSpec(
                name, asset=key, partitions_def=partitions, description=entry.checks[name], blocking=name not in warns
            )
            for name in layer.checks
        ]

    @multi_asset(  # of one: an asset's key would name its op and inputs, and Dagster reserves "context"
        name=f"build_{key.to_python_identifier()}",
        outs={
            "partition": AssetOut(
                key=key,
                dagster_type=Nothing,
                group_name=entry.group,
                kinds=set(entry.kinds),
                description=entry.description,
                owners=["team:research"],
                code_version=code_digest("layers/base", *entry.code),
            )
        },
        partitions_def=partitions,
        ins={
            f"upstream_{place}": AssetIn(key=asset_key(name), dagster_type=Nothing)
            for place, name in enumerate(layer.upstream)
        },
        check_specs=specs,
    )
    def build(context: AssetExecutionContext, project: ProjectResource) -> Iterator[Any]:
        opened = project.open()
        keys = keys_of_run(context, layer.shape)
        try:
            manifest = layer.run(opened, keys)
        except ScalperError as error:
            if isinstance(error, InsufficientDataError):  # the layer recorded which of its checks failed
                records = (opened.warehouse.blocked(layer.name, keys) or {}).get("failed", [])
                yield from (_check(layer, record) for record in records if record["name"] in layer.checks)
            elif isinstance(error, InputError | ContractError):
                opened.warehouse.block(layer.name, keys, str(error))
            raise Failure(description=f"{type(error).__name__}: {error}", allow_retries=False) from error
        results = [_check(layer, record) for record in manifest.checks]
        if opened.warehouse.blocked(layer.name, keys):
            yield from results
            failed = "; ".join(
                f"{r.check_name}: {r.description}"
                for r in results
                if not r.passed and r.severity == AssetCheckSeverity.ERROR
            )
            raise Failure(
                description=f"{layer.name} {dict(keys)}: blocking checks failed ({failed}); "
                "the last good partition stays",
                allow_retries=False,
            )
        failure: Exception | None = None
        try:
            metadata = describe(opened, manifest)
        except SupersededError as error:  # the next build is there already, and describes itself
            metadata = {"superseded": str(error)}
        except Exception as error:  # the partition is published: Dagster must know it before the step fails
            metadata, failure = {"description_failed": f"{type(error).__name__}: {error}"}, error
        yield MaterializeResult(
            metadata=metadata, check_results=results, data_version=DataVersion(manifest.content[:16])
        )
        if failure:
            raise Failure(
                description=f"{layer.name} {dict(keys)}: written, but its metadata failed", allow_retries=False
            ) from failure

    return build


ALL_ASSETS = [make_asset(layer) for layer in layers_of(location_project().settings)]
