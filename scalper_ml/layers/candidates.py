"""candidates: the one model or ensemble of a symbol x horizon that will be scored, chosen on select."""

from collections.abc import Sequence
from typing import Any

from scalper_ml.backtest.labelled import AsLabelled
from scalper_ml.durable import canonical_json
from scalper_ml.gate.superiority import superiority
from scalper_ml.layers.base import Keys, Layer, code_digest
from scalper_ml.layers.datasets import dataset_params
from scalper_ml.layers.ensembles import ensemble_layers
from scalper_ml.layers.models import model_layers
from scalper_ml.models.candidate import choose_candidate
from scalper_ml.models.registry import model_kind
from scalper_ml.project import Project
from scalper_ml.settings import Settings
from scalper_ml.warehouse import Check, Manifest

__all__ = ["candidates_layer", "complexities", "contenders"]


def contenders(settings: Settings) -> tuple[Layer, ...]:
    """Every model and ensemble that may be chosen."""
    return (*model_layers(settings), *ensemble_layers(settings))


def complexities(settings: Settings) -> dict[str, int]:
    """How far from simple each contender is: what its kind says; an ensemble is a step beyond all of its members."""
    own = {kind: model_kind(kind).complexity for kind in settings.training.kinds}
    beyond = 1 + max((own[member] for member in settings.members), default=0)
    return own | dict.fromkeys(settings.ensembles.kinds, beyond)


def tried(partitions: Sequence[Manifest]) -> int:
    """What was tried to find the candidate: every model and ensemble compared, and every trial of their studies."""
    tuned = (manifest.summary.get("tuning") or {"trials": 0} for manifest in partitions)
    return len(partitions) + sum(int(one["trials"]) for one in tuned)


def _inputs(project: Project, keys: Keys) -> dict[str, Any]:
    warehouse = project.warehouse
    return {
        "code": code_digest(
            "models/candidate",
            "labels/horizon",
            "validation",
            "schema",
            "layers/candidates",
            "gate/superiority",
            "backtest/labelled",
            "backtest/rows",
            "backtest/signals",
        ),
        "models": {layer.name: warehouse.require(layer.name, keys).content for layer in contenders(project.settings)},
        "dataset": warehouse.require("datasets", keys).content,
        "complexity": complexities(project.settings),
    }


def _build(project: Project, keys: Keys) -> Manifest:
    inputs = _inputs(project, keys)
    warehouse = project.warehouse
    dataset = warehouse.read_table(warehouse.require("datasets", keys))
    partitions = {
        layer.name.split("/")[1]: warehouse.require(layer.name, keys) for layer in contenders(project.settings)
    }
    predictions = {kind: warehouse.read_table(one, "predictions.parquet") for kind, one in partitions.items()}
    kind, comparison = choose_candidate(
        predictions, dataset, horizon=int(keys["horizon"]), complexity=complexities(project.settings)
    )
    candidate = {
        "symbol": str(keys["symbol"]),
        "horizon": int(keys["horizon"]),
        "kind": kind,
        "layer": partitions[kind].layer,
        "bundle_id": partitions[kind].summary["bundle_id"],
        "comparison": comparison,
        "superiority": superiority(
            predictions,
            dataset,
            horizon=int(keys["horizon"]),
            rule=AsLabelled.of(dataset_params(project, int(keys["horizon"])).labels),
        ),
        "trials": tried(list(partitions.values())),
        "chosen_on": "select",
    }
    checks = [
        Check("on_select_only", True, f"{len(comparison)} models and ensembles compared on select; {kind} chosen")
    ]
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
    upstream = (*(layer.name for layer in contenders(settings)), "datasets")
    return Layer("candidates", "symbol_horizon", upstream, ("on_select_only",), _inputs, _build)
