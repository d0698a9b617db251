"""Train one model of any kind: out-of-fold predictions, final fit, calibration, sealed bundle.

Everything is fitted on the train role (early stopping on its inner purged tail, a scaler a fold),
the temperature on calibrate; *select* and *score* are only predicted, and *score* is not even
measured here.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from scalper_ml.datasets.causal import EwmaNormaliser
from scalper_ml.datasets.scaling import Scaler
from scalper_ml.errors import ContractError
from scalper_ml.models.base import Device, FitContext, Floats, ModelKind, ModelParams
from scalper_ml.models.bundle import GOLDEN_TOLERANCE, golden_bytes, seal
from scalper_ml.models.calibration import fit_temperature
from scalper_ml.models.fitting import Rows, TrainingData, fit_rows, out_of_fold, training_data
from scalper_ml.models.registry import model_kind
from scalper_ml.models.summary import (
    calibration_report,
    calibration_warnings,
    importance_ranking,
    library_versions,
    predictions_table,
    role_intervals,
    shap_summary,
    spread,
)
from scalper_ml.schema import ROLES
from scalper_ml.selection.choose import ChosenSet, Selection, SelectionParams, select_features
from scalper_ml.validation.metrics import base_rates, classification_metrics
from scalper_ml.warehouse import canonical_json, parquet_bytes

__all__ = ["TrainOptions", "TrainedModel", "train_model"]

_LINEAGE = ("symbol", "horizon", "label_version")


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """How a model of any kind is trained.

    Parameters
    ----------
    n_folds : int
        Walk-forward folds inside train.
    stop_share : float
        Share of the rows to fit on that is kept for early stopping.
    shap_rows, golden_rows : int
        At most so many rows, evenly spaced, for the SHAP summary (select) and the golden batch (all roles).
    """

    n_folds: int = 4
    stop_share: float = 0.1
    shap_rows: int = 500
    golden_rows: int = 64


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A sealed bundle and a view of what it says.

    Parameters
    ----------
    bundle_id : str
        Hash of the contents.
    files : dict
        The bundle's files by name; `load_bundle` reads them as they are.
    manifest : dict
        As sealed, without hashes and id.
    predictions : pyarrow.Table
        PREDICTIONS: fold >= 0 are raw out-of-fold rows of train, fold -1 the final calibrated model on calibrate,
        select and score.
    """

    bundle_id: str
    files: dict[str, bytes]
    manifest: dict[str, Any]
    predictions: pa.Table

    @property
    def kind(self) -> str:
        """Name of the model kind."""
        return str(self.manifest["kind"])

    @property
    def metrics(self) -> dict[str, Any]:
        """``oof`` and ``select``, each as `classification_metrics` returns them."""
        return dict(self.manifest["metrics"])

    @property
    def calibration(self) -> dict[str, Any]:
        """Temperature, log loss and calibration error before and after, prior shift; on the calibrate role."""
        return dict(self.manifest["calibration"])

    @property
    def importance(self) -> dict[str, Any]:
        """Share of total gain: ``top`` and ``all``."""
        return dict(self.manifest["importance"])

    @property
    def shap(self) -> dict[str, Any]:
        """Mean absolute contributions on select rows: ``top`` and ``all`` by class."""
        return dict(self.manifest["shap"])

    @property
    def best_iteration(self) -> int | None:
        """Index of the last round kept by early stopping."""
        best = self.manifest["best_iteration"]
        return None if best is None else int(best)

    @property
    def feature_set(self) -> dict[str, Any]:
        """``id`` and ``names`` of the features the model takes, ``parent`` where they were chosen from a set."""
        return dict(self.manifest["feature_set"])

    @property
    def warnings(self) -> tuple[str, ...]:
        """Folds left out, no skill, moved class shares."""
        return tuple(self.manifest["warnings"])


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
    fitted = fit_rows(spec, data, data.rows("train"), scaler, params, context, options.stop_share)
    weights = fitted.files()
    final = spec.load(weights)  # predict with what is on disk, not with what was in memory
    raw = {role: final.predict_proba(scaler.transform(data.X[data.rows(role)])) for role in ROLES[1:]}

    prior = base_rates(data.y[data.rows("train")])
    known = data.y[data.rows("calibrate")]
    calibrator = fit_temperature(raw["calibrate"], known, prior)
    calibration = calibration_report(raw["calibrate"], known, calibrator, horizon=context.horizon, seed=seed)
    calibrated = {role: calibrator.apply(P) for role, P in raw.items()}
    metrics = {
        "oof": _measure(data, oof.rows, oof.P, prior, context),
        "select": _measure(data, data.rows("select"), calibrated["select"], prior, context),
    }

    predictions = predictions_table(data, oof, calibrated)
    golden = spread(np.arange(data.y.size), options.golden_rows)
    expected = calibrator.apply(final.predict_proba(scaler.transform(data.X[golden])))
    explained = scaler.transform(data.X[spread(data.rows("select"), options.shap_rows)])
    manifest = {
        "kind": kind,
        **{name: lineage[name] for name in _LINEAGE},
        "feature_set": feature_set,
        "selection": selected,
        "lineage": {name: value for name, value in lineage.items() if name not in _LINEAGE},
        "params": params.to_dict(),
        "options": asdict(options),
        "seed": seed,
        "versions": library_versions(spec),
        "roles": role_intervals(data),
        "base_rates": prior.tolist(),
        "best_iteration": final.best_iteration,
        "calibrator": calibrator.to_dict(),
        "calibration": calibration,
        "metrics": metrics,
        "importance": importance_ranking(names, final.importance()),
        "shap": shap_summary(final, explained, names),
        "golden": {"rows": int(golden.size), "tolerance": GOLDEN_TOLERANCE},
        "warnings": [*oof.skipped, *calibration_warnings(calibration)],
    }
    causal = {} if normaliser is None else {"normaliser.json": canonical_json(normaliser.to_dict())}
    bundle_id, files = seal(
        weights
        | causal
        | {
            "scaler.json": canonical_json(scaler.to_dict()),
            "calibrator.json": canonical_json(calibrator.to_dict()),
            "predictions.parquet": parquet_bytes(predictions),
            "golden.npy": golden_bytes(data.X[golden], expected),
        },
        manifest,
    )
    return TrainedModel(bundle_id=bundle_id, files=files, manifest=manifest, predictions=predictions)


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
    if missing := [name for name in _LINEAGE if name not in lineage]:
        raise ContractError(
            f"training {kind.name}: lineage lacks {missing}; found {sorted(lineage)}, expected {_LINEAGE}"
        )


def _measure(data: TrainingData, rows: Rows, P: Floats, prior: Floats, context: FitContext) -> dict[str, Any]:
    return classification_metrics(
        data.y[rows], P, prior, ret=data.ret[rows], horizon=context.horizon, seed=context.seed
    )
