"""What is the same for forecasters and stacks of them once they are fitted: measure, rank the features, seal."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from scalper_ml.datasets.causal import EwmaNormaliser
from scalper_ml.datasets.scaling import Scaler
from scalper_ml.durable import canonical_json, parquet_bytes
from scalper_ml.errors import InsufficientDataError
from scalper_ml.forecasters.base import Forecaster, Rows
from scalper_ml.forecasters.bundle import ALPHA, Forecast, calibrated, golden_forecasts
from scalper_ml.forecasters.calibration import Residuals, fit_residuals, fit_tempered
from scalper_ml.forecasters.data import ForecastData
from scalper_ml.forecasters.targets import Target
from scalper_ml.forecasters.windows import windows_of
from scalper_ml.models.base import FitContext, Floats
from scalper_ml.models.bundle import GOLDEN_TOLERANCE, seal
from scalper_ml.models.summary import importance_ranking, library_versions, spread
from scalper_ml.schema import stamps
from scalper_ml.validation.regression import regression_metrics
from scalper_ml.validation.states import state_metrics
from scalper_ml.vocabulary import ROLES

__all__ = ["LINEAGE", "OutOfFold", "Trained", "TrainedForecast", "ends_of", "measured", "seal_trained"]

LINEAGE: Final = ("symbol", "horizon", "label_version")
_LEAST_PERMUTED: Final = 16
_LEAST_GOLDEN: Final = 4


@dataclass(frozen=True, slots=True)
class TrainedForecast:
    """A sealed bundle and what it says of itself.

    Parameters
    ----------
    bundle_id : str
    files : dict
        The bundle's files by name; `load_forecast` reads them as they are.
    manifest : dict
        As sealed, without hashes and id.
    """

    bundle_id: str
    files: dict[str, bytes]
    manifest: dict[str, Any]


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """Raw forecasts of train rows by forecasters that saw only earlier ones, and each fold's own baseline."""

    rows: Rows
    fold: Rows
    said: Floats
    baseline: Floats
    skipped: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trained:
    """A fitted forecaster before it is calibrated and sealed.

    Parameters
    ----------
    forecaster : Forecaster
        As read back from its own files: what forecasts is what is on disk.
    files : mapping
        From which it was read.
    center, scale : float
        A forecast of a number is ``center + scale * raw``.
    oof : OutOfFold
    manifest : mapping
        Said beside what is said of every forecaster; must hold ``feature_set``.
    """

    kind: str
    aim: Target
    libraries: tuple[str, ...]
    forecaster: Forecaster
    files: Mapping[str, bytes]
    scaler: Scaler
    normaliser: EwmaNormaliser | None
    center: float
    scale: float
    lookback: int
    oof: OutOfFold
    manifest: Mapping[str, Any]


def seal_trained(
    trained: Trained,
    data: ForecastData,
    lineage: Mapping[str, Any],
    context: FitContext,
    *,
    golden_rows: int,
    permuted_rows: int,
) -> TrainedForecast:
    """Calibrate on calibrate, measure out of fold and on select, rank the features, and seal."""
    aim, scaler, oof, back = trained.aim, trained.scaler, trained.oof, trained.lookback
    at = {role: ends_of(data, data.rows(role), back, role) for role in ROLES[1:]}
    scaled, train = scaler.transform(data.X), data.rows("train")
    raw = {role: trained.forecaster.predict(scaled, rows) for role, rows in at.items()}
    baseline, known = data.baseline(aim, train), data.y[at["calibrate"]]
    calibrator = (
        fit_residuals(trained.center + trained.scale * raw["calibrate"], known)
        if aim.number
        else fit_tempered(raw["calibrate"], known.astype(np.int64), baseline[0])
    )
    names = list(trained.manifest["feature_set"]["names"])
    manifest: dict[str, Any] = {
        "kind": trained.kind,
        "target": aim.name,
        "unit": aim.unit,
        **{name: lineage[name] for name in LINEAGE},
        "lineage": {name: value for name, value in lineage.items() if name not in LINEAGE},
        "lookback": back,
        "seed": context.seed,
        "center": trained.center,
        "scale": trained.scale,
        "middle": float(np.median(data.y[train])) if aim.middle == "median" else 0.0,
        "baseline": aim.baseline,
        "versions": library_versions(trained.libraries),
        "roles": role_intervals(data),
        "calibrator": calibrator.to_dict(),
        "warnings": list(oof.skipped),
        **trained.manifest,
    }
    forecast = Forecast(
        "", manifest, tuple(names), aim, scaler, trained.forecaster, calibrator, trained.center, trained.scale
    )
    said = {role: calibrated(forecast, found) for role, found in raw.items()}
    select = at["select"]
    manifest["metrics"] = {
        "oof": measured(aim, data, oof.rows, oof.said, oof.baseline, context) if oof.rows.size else None,
        "select": measured(aim, data, select, said["select"], baseline[select], context),
    }
    manifest["interval"] = held(forecast, said["select"], data.y[select])
    manifest["importance"] = importance_of(forecast, data, select, max(permuted_rows // back, _LEAST_PERMUTED), context)
    golden = spread(np.concatenate(list(at.values())), max(golden_rows // back, _LEAST_GOLDEN))
    windows = windows_of(data.X, back)[golden - back + 1]
    expected = np.array([forecast.predict(window)[0] for window in windows])
    manifest["golden"] = {"rows": int(golden.size), "tolerance": GOLDEN_TOLERANCE}
    causal = trained.normaliser
    files = {
        "scaler.json": canonical_json(scaler.to_dict()),
        "calibrator.json": canonical_json(calibrator.to_dict()),
        "predictions.parquet": parquet_bytes(said_table(data, oof, at, said)),
        "golden.npy": golden_forecasts(windows, expected),
        **({} if causal is None else {"normaliser.json": canonical_json(causal.to_dict())}),
        **trained.files,
    }
    bundle_id, sealed = seal(files, manifest)
    return TrainedForecast(bundle_id, sealed, manifest)


def ends_of(data: ForecastData, rows: Rows, lookback: int, what: str) -> Rows:
    """Those of `rows` that have a whole window before them.

    Raises
    ------
    InsufficientDataError
        None has; `what` names the rows.
    """
    found = data.ends(rows, lookback)
    if found.size == 0:
        raise InsufficientDataError(
            f"forecasts: {what} has {rows.size} rows and no window of {lookback} consecutive bars; bring more bars or "
            "look back less"
        )
    return found


def measured(
    aim: Target, data: ForecastData, rows: Rows, said: Floats, baseline: Floats, context: FitContext
) -> dict[str, Any]:
    """Metrics of forecasts of some rows, beside the baseline's."""
    y = data.y[rows]
    if not aim.number:
        return state_metrics(
            y.astype(np.int64), said, baseline.mean(axis=0), aim.states, horizon=context.horizon, seed=context.seed
        )
    return regression_metrics(
        y,
        said,
        baseline,
        horizon=context.horizon,
        seed=context.seed,
        signed=aim.column == "ret",
        log_variance=aim.name == "volatility",
    )


def held(forecast: Forecast, said: Floats, outcome: Floats) -> dict[str, Any] | None:
    """How often the bounds of answers held the outcome, and how wide they are; None for states."""
    if not isinstance(forecast.calibrator, Residuals):
        return None
    low, high = forecast.calibrator.interval(said, ALPHA)
    return {
        "alpha": ALPHA,
        "coverage": float(((outcome >= low) & (outcome <= high)).mean()),
        "width": float((high - low).mean()),
    }


def importance_of(forecast: Forecast, data: ForecastData, rows: Rows, most: int, context: FitContext) -> dict[str, Any]:
    """Share of each feature: the kind's own, or of the rise of the squared error of what it says when permuted.

    Permutations are told apart by what they change, not by whether the change was for the worse: what a forecaster
    listens to is asked, whether it should is asked by its metrics.
    """
    own = forecast.forecaster.importance()
    if own is not None:
        return importance_ranking(list(forecast.names), own)
    some = spread(rows, most)
    windows = windows_of(data.X, forecast.lookback)[some - forecast.lookback + 1].copy()
    before = said_of(forecast, windows)
    order = np.random.default_rng(context.seed).permutation(some.size)
    change = np.zeros(len(forecast.names))
    for j in range(change.size):
        mixed = windows.copy()
        mixed[:, :, j] = windows[order][:, :, j]
        change[j] = float(((said_of(forecast, mixed) - before) ** 2).sum())
    share = change / change.sum() if change.sum() > 0 else change
    return importance_ranking(list(forecast.names), share) | {"measure": "share of what permutations change"}


def said_of(forecast: Forecast, windows: Floats) -> Floats:
    """What is forecast from windows of unscaled features (m, lookback, f), each by itself: (m,) or (m, k)."""
    flat = windows.reshape(-1, windows.shape[2])
    return forecast.predict(flat, np.arange(len(windows)) * forecast.lookback + forecast.lookback - 1)


def role_intervals(data: ForecastData) -> dict[str, dict[str, int]]:
    """Rows with a target, first decision and last known outcome of each role, microseconds."""
    return {
        role: {"rows": int(rows.size), "t0_us": int(data.t0[rows].min()), "t1_us": int(data.t1[rows].max())}
        for role in ROLES
        for rows in (data.rows(role),)
    }


def said_table(data: ForecastData, oof: OutOfFold, at: Mapping[str, Rows], said: Mapping[str, Floats]) -> pa.Table:
    """What was forecast, in time order: out-of-fold rows of train (fold 0, 1, ...), then the final fit's (fold -1).

    Columns ``ts_us, role, fold, y`` and ``forecast``, or ``p_0, p_1, ...`` of classes.
    """
    rows = np.concatenate([oof.rows, *at.values()])
    fold = np.concatenate([oof.fold, *(np.full(of.size, -1) for of in at.values())])
    values = np.concatenate([oof.said, *said.values()])
    names = ["forecast"] if values.ndim == 1 else [f"p_{k}" for k in range(values.shape[1])]
    columns = {"ts_us": stamps(data.ts[rows]), "role": pa.array(data.role[rows].tolist())}
    columns |= {"fold": pa.array(fold.astype(np.int32)), "y": pa.array(data.y[rows])}
    flat = values.reshape(rows.size, -1)
    return pa.table(columns | {name: pa.array(flat[:, k]) for k, name in enumerate(names)})
