"""The code location: its graph, its jobs and what each asset says of itself."""

import pytest
from dagster import AssetKey, Definitions, MultiPartitionsDefinition

from scalper_assets.assets.catalogue import CATALOGUE
from scalper_assets.definitions import defs
from scalper_assets.project import location_project
from scalper_assets.resources import ProjectResource
from scalper_ml.ensembles.registry import ensemble_kinds
from scalper_ml.forecasters.registry import forecaster_kinds
from scalper_ml.layers import layers_of
from scalper_ml.layers.base import code_digest
from scalper_ml.models.registry import model_kinds
from scalper_ml.project import open_project

GRAPH = {
    "ticks": set(),
    "bars": {"ticks"},
    "market": {"bars"},
    "features": {"bars", "market"},
    "datasets": {"bars", "features"},
    "models/xgb_classifier": {"datasets", "features"},
    "candidates": {"datasets", "models/xgb_classifier"},
    "placebo": {"bars"},
    "backtests": {"bars", "candidates", "datasets", "ticks"},
    "thresholds": {"backtests"},
    "champions": {"backtests", "candidates", "thresholds"},
    "decisions": set(),
    "drift/features": {"champions", "features"},
    "drift/predictions": {"bars", "champions", "features"},
    "drift/performance": {"bars", "champions", "features", "drift/features", "drift/predictions"},
}


def test_location_loads() -> None:
    """The whole code location loads: no job mixes partitions, no dependency is missing."""
    Definitions.validate_loadable(defs)


def test_asset_graph() -> None:
    """The asset graph is the documented one."""
    graph = defs.resolve_asset_graph()
    found = {
        key.to_user_string(): {parent.to_user_string() for parent in graph.get(key).parent_keys}
        for key in graph.get_all_asset_keys()
    }
    assert found == GRAPH


@pytest.mark.parametrize("name", GRAPH)
def test_asset_describes_itself(name: str) -> None:
    """Every asset has a group, kinds, a description, an owner, a code version and described, partitioned checks."""
    graph = defs.resolve_asset_graph()
    node = graph.get(AssetKey(name.split("/")))
    assert node.group_name in ("market_data", "features", "learning", "decisions", "drift")
    assert node.kinds
    assert node.owners
    assert len(node.description or "") > 60
    assert node.code_version
    checks = graph.get_check_keys_for_assets({node.key})
    layer = next(layer for layer in layers_of(location_project().settings) if layer.name == name)
    assert {key.name for key in checks} == set(layer.checks)
    for key in checks:
        assert graph.get(key).partitions_def == node.partitions_def


def test_partition_dimensions() -> None:
    """Multi-partitioned assets have the dimensions symbol and horizon, from the settings."""
    node = defs.resolve_asset_graph().get(AssetKey("datasets"))
    assert isinstance(node.partitions_def, MultiPartitionsDefinition)
    settings = location_project().settings
    keys = node.partitions_def.get_partition_keys()
    assert len(keys) == len(settings.symbols) * len(settings.horizons)
    assert f"{settings.horizons[0]}|{settings.symbols[0]}" in keys


def test_catalogue_matches_layers() -> None:
    """The catalogue describes every layer that any project can have, each of its checks, and sources that exist."""
    options = ["bars.events=[{kind: tick, size: 100}]", "context.folder=feeds", "book.folder=feeds"]
    options += ["labels.meta=xgb_classifier", "labels.targets=true"]
    options += [f"forecasts.kinds=[{', '.join(forecaster_kinds())}]", "forecasts.stack=[risk, xgb_regressor]"]
    options += [f"training.kinds=[{', '.join(model_kinds())}]", f"ensembles.kinds=[{', '.join(ensemble_kinds())}]"]
    folder = location_project().folder
    projects = [open_project({}, folder, overrides=options), open_project({}, folder, profile="majors32")]
    checks: dict[str, set[str]] = {}
    for layer in (layer for project in projects for layer in layers_of(project.settings)):
        checks[layer.name] = checks.get(layer.name, set()) | set(layer.checks)
    assert {name: set(entry.checks) for name, entry in CATALOGUE.items()} == checks
    for entry in CATALOGUE.values():
        assert len(code_digest(*entry.code)) == 12


def test_kline_profiles_enter_at_the_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile of klines has no ticks layer, and its bars depend on nothing upstream."""
    project = open_project({}, location_project().folder, profile="majors32")
    layers = {layer.name: layer for layer in layers_of(project.settings)}
    assert "ticks" not in layers
    assert layers["bars"].upstream == ()


def test_the_project_survives_its_resource() -> None:
    """What an asset opens is the project as it was, also with a market that is a named scenario."""
    named = "source.markets.EDGEUSDT={scenario: bounce}"
    project = open_project({}, location_project().folder, profile="demo", overrides=[named])
    assert ProjectResource.of(project).open() == project
