"""tuning/<kind>: the study of a kind on a dataset, and its best parameters, which training takes from there."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from scalper_ml.durable import canonical_json, parquet_bytes, sha256_of
from scalper_ml.forecasters.data import forecast_data
from scalper_ml.forecasters.registry import forecaster_kind
from scalper_ml.forecasters.targets import target_named
from scalper_ml.layers.base import Keys, code_digest
from scalper_ml.layers.datasets import dataset_matrix, read_normaliser, read_scaler
from scalper_ml.layers.forecasts import FORECAST_CODE, forecast_arrays, target_inputs
from scalper_ml.models.fitting import training_data
from scalper_ml.models.registry import model_kind
from scalper_ml.project import Project
from scalper_ml.schema import us
from scalper_ml.tuning.forecast_objective import forecast_task
from scalper_ml.tuning.objective import Objective, build_task
from scalper_ml.tuning.study import Study, Task, Trial, tune
from scalper_ml.warehouse import Manifest

__all__ = ["TuneOptions", "journal_of", "tune_kind"]


@dataclass(frozen=True, slots=True)
class TuneOptions:
    """How a study is made.

    Parameters
    ----------
    folds : int
        0: trials are scored on one purged hold-out, the last fifth of train; else on so many walk-forward folds.
    objective : {"accuracy", "log_loss"}
        Of classifiers: ``0.7 accuracy + 0.3 directional accuracy``, or the log loss. Forecasters are scored against
        their baseline.
    seed : int
    """

    folds: int = 0
    objective: Objective = "accuracy"
    seed: int = 7


def _inputs(project: Project, kind: str, keys: Keys, options: TuneOptions) -> dict[str, Any]:
    forecaster = kind in project.settings.forecasts.kinds
    spec: Any = forecaster_kind(kind) if forecaster else model_kind(kind)
    chosen: Any = project.settings.forecasts if forecaster else project.settings.training
    searched = {one.name for one in spec.space}
    base = spec.params.parse(chosen.params_of(kind)).to_dict()
    own = FORECAST_CODE if forecaster else (f"models/{kind}",)
    return {
        "code": code_digest("tuning", *own, "models/base", "models/boosting", "datasets/scaling", "datasets/splits"),
        **(target_inputs(project, keys, kind) if forecaster else {}),
        "kind": kind,
        "dataset": project.warehouse.require("datasets", keys).content,
        "features": project.warehouse.require("features", {"symbol": keys["symbol"]}).content,
        "base": {name: value for name, value in base.items() if name not in searched},
        "space": [asdict(one) for one in spec.space],
        "options": asdict(options),
    }


def journal_of(project: Project, kind: str, keys: Keys, options: TuneOptions) -> tuple[str, Path]:
    """The id of the study of today's data, code and settings, and the file it is kept in."""
    study = sha256_of(canonical_json(_inputs(project, kind, keys, options)))[:12]
    name = f"{keys['symbol']}-{keys['horizon']}-{study}.journal"
    return study, project.warehouse.root / "studies" / kind / name


def _task(project: Project, kind: str, keys: Keys, inputs: dict[str, Any], options: TuneOptions) -> Task:
    """What a trial needs of the dataset's train role."""
    dataset = project.warehouse.require("datasets", keys)
    scaler, horizon = read_scaler(project, dataset), int(keys["horizon"])
    if "target" in inputs:
        (X, table, targets, names), more, _ = forecast_arrays(project, keys, inputs["target"])
        data = forecast_data(X, table, targets, names, target_named(inputs["target"]), **more)
        return forecast_task(
            kind,
            inputs["target"],
            inputs["base"],
            data,
            scaler,
            horizon=horizon,
            seed=options.seed,
            folds=options.folds,
        )
    table = project.warehouse.read_table(dataset)
    X, names = dataset_matrix(project, keys, us(table["ts_us"]), normaliser=read_normaliser(project, dataset))
    return build_task(
        kind,
        inputs["base"],
        training_data(X, table, names),
        scaler,
        horizon=horizon,
        seed=options.seed,
        folds=options.folds,
        objective=options.objective,
    )


def tune_kind(
    project: Project,
    kind: str,
    keys: Keys,
    *,
    trials: int,
    workers: int = 1,
    options: TuneOptions | None = None,
    told: Callable[[Trial, float], None] = lambda trial, best: None,
) -> tuple[Study, Manifest]:
    """Run or go on with a study, and publish its best parameters: training takes them while `training.tuned` is on.

    Only the train role of the dataset is looked at.
    """
    options = options or TuneOptions()
    warehouse = project.warehouse
    inputs = _inputs(project, kind, keys, options)
    study_id, journal = journal_of(project, kind, keys, options)
    dataset = warehouse.require("datasets", keys)
    task = _task(project, kind, keys, inputs, options)
    study = tune(task, journal, trials=trials, workers=workers, told=told)
    best = study.best
    summary = {
        "study": study_id,
        "kind": kind,
        "dataset": dataset.content,
        "params": best.params,
        "best": asdict(best),
        "trials": len(study.trials),
        "given_up": study.given_up,
        "options": asdict(options),
    }
    rows = pa.Table.from_pylist(
        [
            {name: value for name, value in asdict(trial).items() if name != "params"}
            | {f"param_{one.name}": float(trial.params[one.name]) for one in task.space}
            for trial in study.trials
        ]
    )
    files = {"best.json": canonical_json(summary, indent=1), "data.parquet": parquet_bytes(rows)}
    return study, warehouse.write(f"tuning/{kind}", keys, files, inputs=inputs | {"trials": trials}, summary=summary)
