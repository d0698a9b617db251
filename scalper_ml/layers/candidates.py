"""candidates: the one model of a symbol x horizon that will be scored, chosen on select."""

from typing import Any

import pyarrow as pa

from scalper_ml.layers.base import Keys, Layer, code_digest
from scalper_ml.layers.models import model_layers
from scalper_ml.models.candidate import choose_candidate
from scalper_ml.project import Project
from scalper_ml.settings import Settings
from scalper_ml.warehouse import Check, Manifest, canonical_json

__all__ = ["candidates_layer"]


def _inputs(project: Project, keys: Keys) -> dict[str, Any]:
    warehouse = project.warehouse
    return {
        "code": code_digest("models/candidate", "validation", "schema", "layers/candidates"),
        "models": {layer.name: warehouse.require(layer.name, keys).content for layer in model_layers(project.settings)},
        "dataset": warehouse.require("datasets", keys).content,
    }


def _build(project: Project, keys: Keys) -> Manifest:
    inputs = _inputs(project, keys)
    warehouse = project.warehouse
    dataset = warehouse.read_table(warehouse.require("datasets", keys))
    predictions: dict[str, pa.Table] = {}
    bundles: dict[str, str] = {}
    for layer in model_layers(project.settings):
        manifest = warehouse.require(layer.name, keys)
        kind = layer.name.split("/")[1]
        predictions[kind] = warehouse.read_table(manifest, "predictions.parquet")
        bundles[kind] = manifest.summary["bundle_id"]
    kind, comparison = choose_candidate(predictions, dataset)
    candidate = {
        "symbol": str(keys["symbol"]),
        "horizon": int(keys["horizon"]),
        "kind": kind,
        "bundle_id": bundles[kind],
        "comparison": comparison,
        "chosen_on": "select",
    }
    checks = [Check("on_select_only", True, f"{len(comparison)} kinds compared on select; {kind} chosen")]
    return warehouse.write(
        "candidates",
        keys,
        {"candidate.json": canonical_json(candidate, indent=1)},
        inputs=inputs,
        summary=candidate,
        checks=checks,
    )


def candidates_layer(settings: Settings) -> Layer:
    """The layer, downstream of every kind the settings name."""
    upstream = (*(layer.name for layer in model_layers(settings)), "datasets")
    return Layer("candidates", "symbol_horizon", upstream, ("on_select_only",), _inputs, _build)
