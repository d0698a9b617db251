"""candidates: the one model of a symbol x horizon that will be scored, and its threshold, both chosen on select."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from scalper_ml.backtest.rows import of_role
from scalper_ml.gate.thresholds import choose_threshold
from scalper_ml.layers.base import Keys, Layer, code_digest
from scalper_ml.layers.datasets import project_costs
from scalper_ml.layers.models import MODEL_LAYERS
from scalper_ml.models.candidate import choose_candidate
from scalper_ml.project import Project
from scalper_ml.warehouse import Check, Manifest, canonical_json

__all__ = ["CANDIDATES_LAYER"]


def _inputs(project: Project, keys: Keys) -> dict[str, Any]:
    warehouse = project.warehouse
    return {
        "code": code_digest("models/candidate", "gate/thresholds", "backtest", "layers/candidates"),
        "models": {layer.name: warehouse.require(layer.name, keys).content for layer in MODEL_LAYERS},
        "bars": warehouse.require("bars", {"symbol": keys["symbol"]}).content,
        "dataset": warehouse.require("datasets", keys).content,
        "costs": project_costs(project).to_dict(),
    }


def _build(project: Project, keys: Keys) -> Manifest:
    warehouse, settings = project.warehouse, project.settings
    bars = warehouse.read_table(warehouse.require("bars", {"symbol": keys["symbol"]}))
    dataset = warehouse.read_table(warehouse.require("datasets", keys))
    predictions: dict[str, pa.Table] = {}
    bundles: dict[str, str] = {}
    for layer in MODEL_LAYERS:
        manifest = warehouse.require(layer.name, keys)
        kind = layer.name.split("/")[1]
        predictions[kind] = warehouse.read_table(manifest, "predictions.parquet")
        bundles[kind] = manifest.summary["bundle_id"]
    kind, comparison = choose_candidate(predictions, dataset)
    choice = choose_threshold(
        bars,
        dataset,
        of_role(predictions[kind], "select"),
        costs=project_costs(project),
        horizon=int(keys["horizon"]),
        interval_us=settings.interval_us,
        n_score=int(pc.sum(pc.equal(dataset["role"], "score")).as_py()),
    )
    candidate = {
        "symbol": str(keys["symbol"]),
        "horizon": int(keys["horizon"]),
        "kind": kind,
        "bundle_id": bundles[kind],
        "threshold": choice.threshold,
        "threshold_choice": choice.to_dict(),
        "comparison": comparison,
        "chosen_on": "select",
    }
    checks = [Check("on_select_only", True, f"{len(comparison)} kinds and {choice.trials} thresholds compared on select")]
    return warehouse.write(
        "candidates",
        keys,
        {"candidate.json": canonical_json(candidate, indent=1)},
        inputs=_inputs(project, keys),
        summary=candidate,
        checks=checks,
    )


CANDIDATES_LAYER = Layer(
    "candidates",
    "symbol_horizon",
    (*(layer.name for layer in MODEL_LAYERS), "datasets", "bars"),
    ("on_select_only",),
    _inputs,
    _build,
)
