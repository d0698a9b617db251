"""Train one model of any kind: out-of-fold predictions, final fit, calibration, sealed bundle.

Everything is fitted on the train role (early stopping on its inner purged tail, a scaler a fold),
the temperature on calibrate; *select* and *score* are only predicted, and *score* is not even
measured here.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa

from scalper_ml.datasets.causal import EwmaNormaliser
from scalper_ml.datasets.scaling import Scaler
from scalper_ml.errors import ContractError
from scalper_ml.models.base import Device, FitContext, Floats, ModelKind, ModelParams
from scalper_ml.models.fitting import Rows, TrainingData, fit_rows, out_of_fold, training_data
from scalper_ml.models.registry import model_kind
from scalper_ml.models.sealing import LINEAGE, Trained, TrainedModel, TrainOptions, seal_trained
from scalper_ml.selection.choose import ChosenSet, Selection, SelectionParams, select_features
from scalper_ml.validation.metrics import base_rates

__all__ = ["TrainOptions", "TrainedModel", "train_model"]


def train_model(
    kind: str,
    X: Floats,
    table: pa.Table,
    scaler: Scaler,
    names: Sequence[str],
    fs_id: str,
    params: ModelParams | None = None,
    *,
    seed: int,
    threads: int = 1,
    device: Device = "cpu",
    lineage: Mapping[str, Any],
    options: TrainOptions | None = None,
    normaliser: EwmaNormaliser | None = None,
    selection: SelectionParams | None = None,
) -> TrainedModel:
    """Train, calibrate, measure and seal one model.

    Parameters
    ----------
    kind : str
        A name of `model_kinds`.
    X : (n, f)
        Unscaled features of the dataset's rows; with a `normaliser`, as it gives them.
    table : pyarrow.Table
        DATASET, n rows in time order.
    scaler : Scaler
        The dataset's, fitted on train; folds fit their own of the same kind.
    names, fs_id
        Feature names in the order of X, and the feature set's id.
    params : ModelParams, optional
        Of the kind; its defaults otherwise.
    seed, threads : int
        The result depends on `seed` and not on `threads`.
    device : {"cpu", "cuda"}
        Where trees are grown; see `xgb_classifier.pick_device`.
    lineage : mapping
        JSON values; must hold ``symbol``, ``horizon`` and ``label_version``. Everything else, e.g. data
        hashes, is kept in the manifest as it is.
    normaliser : EwmaNormaliser, optional
        Of a dataset scaled by ``ewma``, after its last bar; sealed with the model, so that `LiveModel` goes on there.
    selection : SelectionParams, optional
        Choose features before each fit: on the train role for the model, and in each fold on what that fold may know.
        The bundle's feature set is then the chosen one, with its own id.

    Raises
    ------
    InsufficientDataError
        A role is empty, a class does not occur in the rows to fit on, or no fold could be fitted.
    ContractError
        Shapes, columns or lineage are not as described.
    """
    spec, options = model_kind(kind), options or TrainOptions()
    params = params or spec.params()
    _check(spec, params, lineage)
    data = training_data(X, table, names)
    context = FitContext(horizon=int(lineage["horizon"]), seed=seed, threads=threads, device=device)

    folds: list[Selection] = []
    oof = out_of_fold(
        spec,
        data,
        scaler,
        params,
        context,
        n_folds=options.n_folds,
        stop_share=options.stop_share,
        choose=None if selection is None else _chooser(data, names, fs_id, scaler, selection, folds),
    )
    feature_set: dict[str, Any] = {"id": fs_id, "names": list(names)}
    selected: dict[str, Any] | None = None
    if selection is not None:
        final_choice = select_features(data, data.rows("train"), names, fs_id, scaler, context, selection)
        selected = final_choice.to_dict() | _in_folds(final_choice.chosen, folds) | {"params": asdict(selection)}
        chosen = final_choice.chosen.positions(names)
        data = dataclasses.replace(data, X=data.X[:, chosen])
        scaler, normaliser = scaler.take(chosen), None if normaliser is None else normaliser.take(chosen)
        names = final_choice.chosen.names
        feature_set = {"id": final_choice.chosen.id, "names": list(names), "parent": fs_id}
    curve: list[float] = []
    watched = dataclasses.replace(context, watch=lambda number, loss: curve.append(loss))
    weights = fit_rows(spec, data, data.rows("train"), scaler, params, watched, options.stop_share).files()
    trained = Trained(
        kind=kind,
        params=params.to_dict(),
        libraries=spec.libraries,
        classifier=spec.load(weights),  # predict with what is on disk, not with what was in memory
        scaler=scaler,
        normaliser=normaliser,
        feature_set=feature_set,
        oof=oof,
        files=weights,
        manifest={
            "selection": selected,
            "options": asdict(options),
            "learning_curve": [float(f"{loss:.9g}") for loss in curve],  # further digits depend on the threads
        },
    )
    return seal_trained(trained, data, base_rates(data.y[data.rows("train")]), lineage, context, options)


def _chooser(
    data: TrainingData,
    names: Sequence[str],
    fs_id: str,
    scaler: Scaler,
    params: SelectionParams,
    folds: list[Selection],
) -> Callable[[Rows, FitContext], Rows]:
    """A choice of columns by the rows a fold may know; what was chosen is added to `folds`."""

    def choose(rows: Rows, context: FitContext) -> Rows:
        found = select_features(data, rows, names, fs_id, scaler, context, params)
        folds.append(found)
        return found.chosen.positions(names)

    return choose


def _in_folds(chosen: ChosenSet, folds: Sequence[Selection]) -> dict[str, Any]:
    """What the folds chose, and how much of it the final choice shares: Jaccard index, 1 where they agree."""
    mine = set(chosen.names)
    shared = [len(mine & set(one.chosen.names)) / len(mine | set(one.chosen.names)) for one in folds]
    return {
        "in_folds": [{"id": one.chosen.id, "names": list(one.chosen.names)} for one in folds],
        "stability": float(np.mean(shared)) if shared else None,
    }


def _check(kind: ModelKind, params: ModelParams, lineage: Mapping[str, Any]) -> None:
    if not isinstance(params, kind.params):
        raise ContractError(f"training {kind.name}: found {type(params).__name__}; expected {kind.params.__name__}")
    if missing := [name for name in LINEAGE if name not in lineage]:
        raise ContractError(
            f"training {kind.name}: lineage lacks {missing}; found {sorted(lineage)}, expected {LINEAGE}"
        )
