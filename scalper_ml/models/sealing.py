"""What is the same for models and ensembles once they are fitted: calibrate, measure, explain, seal."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from scalper_ml.datasets.causal import EwmaNormaliser
from scalper_ml.datasets.scaling import Scaler
from scalper_ml.durable import canonical_json, parquet_bytes
from scalper_ml.models.base import Classifier, FitContext, Floats
from scalper_ml.models.bundle import GOLDEN_TOLERANCE, golden_bytes, seal
from scalper_ml.models.calibrators import Calibration, fit_calibrator
from scalper_ml.models.conformal import ALPHA, fit_conformal
from scalper_ml.models.fitting import OutOfFold, Rows, TrainingData
from scalper_ml.models.summary import (
    calibration_report,
    calibration_warnings,
    conformal_report,
    importance_ranking,
    library_versions,
    predictions_table,
    role_intervals,
    shap_summary,
    spread,
)
from scalper_ml.schema import CLASSES, ROLES
from scalper_ml.validation.metrics import classification_metrics

__all__ = ["LINEAGE", "TrainOptions", "Trained", "TrainedModel", "seal_trained"]

LINEAGE = ("symbol", "horizon", "label_version")


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
    calibration : {"temperature", "platt", "beta", "isotonic"}
        How raw probabilities are calibrated on the calibrate role.
    """

    n_folds: int = 4
    stop_share: float = 0.1
    shap_rows: int = 200
    golden_rows: int = 64
    calibration: Calibration = "temperature"


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


@dataclass(frozen=True, slots=True)
class Trained:
    """A fitted model before it is calibrated and sealed.

    Parameters
    ----------
    classifier : Classifier
        As read back from its own files: what predicts is what is on disk.
    scaler, normaliser, feature_set
        Sealed with it.
    oof : OutOfFold
        Its predictions of train rows it had not seen.
    files : mapping
        The classifier's files, from which it was read.
    manifest : mapping
        Said in the manifest beside what is said of every model.
    warnings : tuple of str
    """

    kind: str
    params: Mapping[str, Any]
    libraries: tuple[str, ...]
    classifier: Classifier
    scaler: Scaler
    normaliser: EwmaNormaliser | None
    feature_set: Mapping[str, Any]
    oof: OutOfFold
    files: Mapping[str, bytes]
    manifest: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def seal_trained(
    trained: Trained,
    data: TrainingData,
    prior: Floats,
    lineage: Mapping[str, Any],
    context: FitContext,
    options: TrainOptions,
) -> TrainedModel:
    """Calibrate on calibrate, measure out of fold and on select, explain, and seal.

    Parameters
    ----------
    data : TrainingData
        X in the order of the trained feature set.
    prior : (3,)
        Class shares of train.
    """
    final, scaler = trained.classifier, trained.scaler
    names = list(trained.feature_set["names"])
    golden = spread(np.arange(data.y.size), options.golden_rows)
    asked = {role: data.every(role) for role in ROLES[1:]} | {"golden": golden}
    answers = final.predict_proba(scaler.transform(data.X[np.concatenate(list(asked.values()))]))
    raw = dict(zip(asked, np.split(answers, np.cumsum([rows.size for rows in asked.values()])[:-1]), strict=True))
    expected = raw.pop("golden")
    has = {role: np.isin(data.y[data.every(role)], data.classes) for role in raw}
    known, told = data.y[data.rows("calibrate")], raw["calibrate"][has["calibrate"]]
    calibrator = fit_calibrator(options.calibration, told, known, prior, horizon=context.horizon)
    calibration = calibration_report(told, known, calibrator, horizon=context.horizon, seed=context.seed)
    calibrated = {role: calibrator.apply(P) for role, P in raw.items()}
    sets = fit_conformal(calibrated["calibrate"][has["calibrate"]], known)
    chosen = calibrated["select"][has["select"]]
    out = np.isin(data.y[trained.oof.rows], data.classes)
    predictions = predictions_table(data, trained.oof, calibrated)
    moves = [float(data.ret[rows].mean()) if rows.size else 0.0 for rows in _classes(data)]
    explained = scaler.transform(data.X[spread(data.rows("select"), options.shap_rows)])
    manifest = {
        "kind": trained.kind,
        **{name: lineage[name] for name in LINEAGE},
        "feature_set": dict(trained.feature_set),
        "lineage": {name: value for name, value in lineage.items() if name not in LINEAGE},
        "params": dict(trained.params),
        "seed": context.seed,
        "versions": library_versions(trained.libraries),
        "roles": role_intervals(data),
        "classes": [CLASSES[code] for code in data.classes],
        "base_rates": prior.tolist(),
        "moves": moves,
        "best_iteration": final.best_iteration,
        "calibrator": calibrator.to_dict(),
        "calibration": calibration,
        "conformal": conformal_report(sets, chosen, data.y[data.rows("select")], ALPHA, horizon=context.horizon),
        "metrics": {
            "oof": _measure(data, trained.oof.rows[out], trained.oof.P[out], prior, context),
            "select": _measure(data, data.rows("select"), chosen, prior, context),
        },
        "importance": importance_ranking(names, final.importance()),
        "shap": shap_summary(final, explained, names),
        "golden": {"rows": int(golden.size), "tolerance": GOLDEN_TOLERANCE},
        "warnings": [*trained.oof.skipped, *trained.warnings, *calibration_warnings(calibration)],
        **trained.manifest,
    }
    causal = {} if trained.normaliser is None else {"normaliser.json": canonical_json(trained.normaliser.to_dict())}
    bundle_id, files = seal(
        dict(trained.files)
        | causal
        | {
            "scaler.json": canonical_json(scaler.to_dict()),
            "calibrator.json": canonical_json(calibrator.to_dict()),
            "conformal.json": canonical_json(sets.to_dict()),
            "predictions.parquet": parquet_bytes(predictions),
            "golden.npy": golden_bytes(data.X[golden], calibrator.apply(expected)),
        },
        manifest,
    )
    return TrainedModel(bundle_id=bundle_id, files=files, manifest=manifest, predictions=predictions)


def _classes(data: TrainingData) -> list[Rows]:
    """The train rows of each class."""
    train = data.rows("train")
    return [train[data.y[train] == code] for code in range(len(CLASSES))]


def _measure(data: TrainingData, rows: Rows, P: Floats, prior: Floats, context: FitContext) -> dict[str, Any]:
    return classification_metrics(
        data.y[rows], P, prior, ret=data.ret[rows], horizon=context.horizon, seed=context.seed
    )
