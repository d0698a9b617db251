"""models/<kind>: one sealed bundle of every kind the settings name, for a symbol x horizon."""

import json
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from scalper_ml.bundle_store import BundleStore
from scalper_ml.durable import canonical_json, parquet_bytes
from scalper_ml.layers.base import Keys, Layer, code_digest
from scalper_ml.layers.datasets import dataset_matrix, read_normaliser, read_scaler
from scalper_ml.models.base import Device, FitContext, Floats, ModelParams
from scalper_ml.models.bundle import Model, golden_rows, load_bundle
from scalper_ml.models.fitting import training_data
from scalper_ml.models.registry import model_kind
from scalper_ml.models.train import TrainedModel, TrainOptions, train_model
from scalper_ml.models.xgb_classifier import pick_device
from scalper_ml.project import Project
from scalper_ml.schema import us
from scalper_ml.selection.choose import Selection, SelectionParams, select_features
from scalper_ml.settings import Settings
from scalper_ml.warehouse import Check, Manifest

__all__ = [
    "CHECKS",
    "CODE",
    "bundle_of",
    "layer_of_kind",
    "lineage_of",
    "model_layer",
    "model_layers",
    "params_of",
    "publish_bundle",
    "row_checks",
    "select_of",
    "selection_params",
    "tuning_of",
]

MAX_CALIBRATION_ERROR = 0.03
MAX_LATENCY_US = 5_000.0
CHECKS = ("skill", "calibrated", "loads", "deterministic", "latency")
CODE = (
    "labels/horizon",
    "models/base",
    "models/boosting",
    "models/bundle",
    "models/calibration",
    "models/calibrators",
    "models/conformal",
    "models/decision",
    "models/exported",
    "models/fitting",
    "models/kernels",
    "models/registry",
    "models/sealing",
    "models/summary",
    "models/train",
    "models/trees",
)


def selection_params(project: Project) -> SelectionParams:
    """How the settings would have features chosen."""
    return SelectionParams(**project.settings.selection.model_dump(exclude={"enabled"}))


def params_of(project: Project, kind: str, keys: Keys) -> ModelParams:
    """Parameters a kind is trained with: those of the settings, the best of its study laid over them."""
    best = tuning_of(project, kind, keys)
    values = project.settings.training.params_of(kind) | (best["params"] if best else {})
    return model_kind(kind).params.parse(values)


def tuning_of(project: Project, kind: str, keys: Keys) -> dict[str, Any] | None:
    """The study whose best parameters a kind is trained with, and how many trials it took to find them."""
    manifest = project.warehouse.manifest(f"tuning/{kind}", keys) if project.settings.training.tuned else None
    if manifest is None:
        return None
    return {name: manifest.summary[name] for name in ("study", "trials", "params", "dataset")}


def _device(project: Project, kind: str) -> Device:
    """Where a kind is fitted: on the GPU those that can, if the settings ask for one."""
    return pick_device(project.settings.device) if "cuda" in model_kind(kind).devices else "cpu"


def _inputs(project: Project, keys: Keys, *, kind: str) -> dict[str, Any]:
    warehouse, settings = project.warehouse, project.settings
    return {
        "code": code_digest(
            *CODE,
            f"models/{kind}",
            "validation",
            "datasets/axis",
            "datasets/splits",
            "datasets/scaling",
            "datasets/causal",
            "schema",
            "selection",
            "layers/datasets",
            "layers/models",
        ),
        "dataset": warehouse.require("datasets", keys).content,
        "features": warehouse.require("features", {"symbol": keys["symbol"]}).content,
        "params": params_of(project, kind, keys).to_dict(),
        "tuning": tuning_of(project, kind, keys),
        "folds": settings.splits.folds,
        "calibration": settings.training.calibration,
        "selection": settings.selection.model_dump(mode="json") if settings.selection.enabled else None,
        "seed": settings.splits.seed,
        "device": _device(project, kind),
    }


def _build(project: Project, keys: Keys, *, kind: str) -> Manifest:
    warehouse, settings = project.warehouse, project.settings
    inputs = _inputs(project, keys, kind=kind)
    dataset = warehouse.require("datasets", keys)
    features = warehouse.require("features", {"symbol": keys["symbol"]})
    table = warehouse.read_table(dataset)
    normaliser = read_normaliser(project, dataset)
    X, names = dataset_matrix(project, keys, us(table["ts_us"]), normaliser=normaliser)
    trained = train_model(
        kind,
        X,
        table,
        read_scaler(project, dataset),
        names,
        features.summary["feature_set_id"],
        params_of(project, kind, keys),
        seed=settings.splits.seed,
        device=_device(project, kind),
        lineage=lineage_of(project, keys) | {"tuning": inputs["tuning"]},
        options=TrainOptions(n_folds=settings.splits.folds, calibration=settings.training.calibration),
        normaliser=normaliser,
        selection=selection_params(project) if settings.selection.enabled else None,
    )
    return publish_bundle(project, f"models/{kind}", keys, trained, inputs, {"tuning": inputs["tuning"]})


def lineage_of(project: Project, keys: Keys) -> dict[str, Any]:
    """What a bundle says of the data it was made from."""
    warehouse = project.warehouse
    dataset, features = warehouse.require("datasets", keys), warehouse.require("features", {"symbol": keys["symbol"]})
    return {
        "symbol": str(keys["symbol"]),
        "horizon": int(keys["horizon"]),
        "label_version": dataset.summary["label_version"],
        "bars": dataset.inputs["bars"],
        "features": features.content,
        "dataset": dataset.content,
        "feature_set": json.loads(warehouse.read_bytes(features, "feature_set.json")),
    }


def publish_bundle(
    project: Project,
    layer: str,
    keys: Keys,
    trained: TrainedModel,
    inputs: Mapping[str, Any],
    extra: Mapping[str, Any] | None = None,
) -> Manifest:
    """Keep a sealed bundle, verify it as it lies on disk, and publish the partition that points at it."""
    warehouse = project.warehouse
    store = BundleStore(warehouse.folder(layer, keys))
    folder = store.put(trained.bundle_id, trained.files)
    loaded = load_bundle(folder, names=trained.feature_set["names"], fs_id=trained.feature_set["id"])
    golden, select = golden_rows(trained.files), trained.metrics["select"]
    accuracy = select["balanced_accuracy"]
    checks = [
        Check(
            "skill",
            select["log_loss_skill"] > 0,
            f"log-loss skill on select {select['log_loss_skill']:+.4f}, "
            f"balanced accuracy {accuracy['value']:.4f} (chance {accuracy['chance']:.4f})",
            blocking=False,
        ),
        Check(
            "calibrated",
            select["ece_excess"] <= MAX_CALIBRATION_ERROR,
            f"ECE {select['ece']:.4f} against a noise floor of {select['ece_floor']:.4f}",
            blocking=False,
        ),
        Check(
            "loads",
            True,
            f"bundle {trained.bundle_id[:12]} verified: {len(trained.files)} files, golden batch reproduced",
        ),
        *row_checks(loaded.predict_proba(golden), lambda i: loaded.predict_proba(golden[i : i + 1])[0]),
    ]
    pointer = {"bundle_id": trained.bundle_id, "kind": trained.kind}
    summary = {
        "bundle_id": trained.bundle_id,
        "best_iteration": trained.best_iteration,
        "metrics": trained.metrics,
        "calibration": trained.calibration,
        "importance": trained.importance["all"],
        "feature_set": trained.feature_set,
        "selection": trained.manifest["selection"],
        "warnings": list(trained.warnings),
        **(extra or {}),
    }
    files = {"bundle.json": canonical_json(pointer), "predictions.parquet": parquet_bytes(trained.predictions)}
    manifest = warehouse.write(layer, keys, files, inputs=inputs, summary=summary, checks=checks)
    champion = warehouse.manifest("champions", keys)
    pinned = champion.summary.get("pinned", []) if champion else []
    store.prune([trained.bundle_id, *pinned])
    return manifest


def row_checks(together: Floats, alone: Callable[[int], Floats]) -> list[Check]:
    """Whether rows predicted one by one, as live, have the bits they have together, and how long one takes.

    Parameters
    ----------
    together : (n, ...)
    alone : callable
        ``alone(i)`` predicts row i by itself.
    """
    taken, equal = [], True
    for i, row in enumerate(together):
        started = time.perf_counter_ns()
        own = alone(i)
        taken.append((time.perf_counter_ns() - started) / 1000)
        equal &= bool(np.array_equal(own, row))
    middle, worst = (float(np.percentile(taken, q)) for q in (50, 99))
    return [
        Check("deterministic", equal, f"{len(taken)} rows one by one and together: no bit differs"),
        Check(
            "latency",
            middle <= MAX_LATENCY_US,
            f"one row takes {middle:,.0f} us (median of {len(taken)}; 99th percentile {worst:,.0f} us), at most "
            f"{MAX_LATENCY_US:,.0f} us wanted",
            blocking=False,
            values={"median_us": middle, "p99_us": worst},
        ),
    ]


def select_of(project: Project, keys: Keys, params: SelectionParams) -> Selection:
    """Choose features on the train role of a dataset, as training would for its final fit."""
    dataset = project.warehouse.require("datasets", keys)
    table = project.warehouse.read_table(dataset)
    normaliser = read_normaliser(project, dataset)
    X, names = dataset_matrix(project, keys, us(table["ts_us"]), normaliser=normaliser)
    data = training_data(X, table, names)
    context = FitContext(horizon=int(keys["horizon"]), seed=project.settings.splits.seed)
    return select_features(
        data,
        data.rows("train"),
        names,
        dataset.summary["feature_set_id"],
        read_scaler(project, dataset),
        context,
        params,
    )


def bundle_of(project: Project, layer: str, keys: Keys, bundle_id: str | None = None) -> Model:
    """The loaded, verified bundle of a partition of a layer: the current one, or an older one by id."""
    chosen = bundle_id or project.warehouse.require(layer, keys).summary["bundle_id"]
    return load_bundle(project.warehouse.folder(layer, keys) / "bundles" / chosen, bundle_id=chosen)


def layer_of_kind(kind: str, inputs: Callable[..., dict[str, Any]], build: Callable[..., Manifest]) -> Layer:
    """The layer ``models/<kind>``; both functions take the project, the keys and ``kind``."""
    return Layer(
        f"models/{kind}",
        "symbol_horizon",
        ("datasets", "features"),
        CHECKS,
        partial(inputs, kind=kind),
        partial(build, kind=kind),
    )


def model_layer(kind: str) -> Layer:
    """The layer of a kind, whether or not the settings name it."""
    return layer_of_kind(kind, _inputs, _build)


def model_layers(settings: Settings) -> tuple[Layer, ...]:
    """A layer a kind the settings name, in their order."""
    return tuple(model_layer(kind) for kind in settings.training.kinds)
