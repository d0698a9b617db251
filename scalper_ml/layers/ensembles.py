"""ensembles/<kind>: one sealed bundle of every ensemble the settings name, for a symbol x horizon."""

from functools import partial
from typing import Any

from scalper_ml.ensembles.registry import ensemble_kind
from scalper_ml.ensembles.train import train_ensemble
from scalper_ml.layers.base import Keys, Layer, code_digest
from scalper_ml.layers.datasets import dataset_matrix, read_normaliser
from scalper_ml.layers.members import member_bundles, members_of
from scalper_ml.layers.models import CHECKS, CODE, lineage_of, model_layer, publish_bundle
from scalper_ml.models.base import ModelParams
from scalper_ml.models.sealing import TrainOptions
from scalper_ml.project import Project
from scalper_ml.schema import us
from scalper_ml.settings import Settings
from scalper_ml.warehouse import Manifest

__all__ = ["ENSEMBLE_CODE", "ensemble_layers"]

ENSEMBLE_CODE = (*CODE, "models/logistic_classifier", "ensembles", "layers/ensembles")


def _params(project: Project, kind: str) -> ModelParams:
    return ensemble_kind(kind).params.parse(project.settings.ensembles.params_of(kind))


def _members(project: Project, keys: Keys) -> dict[str, Manifest]:
    layers = [model_layer(kind) for kind in project.settings.members]
    return members_of(project, keys, layers, ensemble="ensembles", setting="ensembles.members")


def _inputs(project: Project, keys: Keys, *, kind: str) -> dict[str, Any]:
    warehouse = project.warehouse
    return {
        "code": code_digest(*ENSEMBLE_CODE, "validation", "datasets/scaling", "schema"),
        "dataset": warehouse.require("datasets", keys).content,
        "features": warehouse.require("features", {"symbol": keys["symbol"]}).content,
        "members": {member: manifest.content for member, manifest in _members(project, keys).items()},
        "params": _params(project, kind).to_dict(),
        "folds": project.settings.splits.folds,
        "calibration": project.settings.training.calibration,
        "seed": project.settings.splits.seed,
    }


def _build(project: Project, keys: Keys, *, kind: str) -> Manifest:
    inputs = _inputs(project, keys, kind=kind)
    warehouse, settings = project.warehouse, project.settings
    dataset = warehouse.require("datasets", keys)
    table = warehouse.read_table(dataset)
    X, names = dataset_matrix(project, keys, us(table["ts_us"]), normaliser=read_normaliser(project, dataset))
    trained = train_ensemble(
        kind,
        member_bundles(project, keys, _members(project, keys)),
        X,
        table,
        names,
        _params(project, kind),
        seed=settings.splits.seed,
        lineage=lineage_of(project, keys),
        options=TrainOptions(n_folds=settings.splits.folds, calibration=settings.training.calibration),
    )
    extra = {"members": dict(trained.manifest["members"]), "shares": dict(trained.manifest["shares"])}
    return publish_bundle(project, f"ensembles/{kind}", keys, trained, inputs, extra)


def ensemble_layers(settings: Settings) -> tuple[Layer, ...]:
    """A layer an ensemble the settings name, in their order."""
    upstream = (*(f"models/{kind}" for kind in settings.members), "datasets", "features")
    return tuple(
        Layer(
            f"ensembles/{kind}",
            "symbol_horizon",
            upstream,
            CHECKS,
            partial(_inputs, kind=kind),
            partial(_build, kind=kind),
        )
        for kind in settings.ensembles.kinds
    )
