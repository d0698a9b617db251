"""Train one forecaster of any kind: out-of-fold forecasts, final fit, calibration, sealed bundle.

Everything is fitted on the train role (early stopping on its inner purged tail, a scaler and a baseline a fold),
residuals or temperature on calibrate; *select* is only forecast, and *score* is forecast but not measured here.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from scalper_ml.datasets.causal import EwmaNormaliser
from scalper_ml.datasets.scaling import Scaler
from scalper_ml.datasets.splits import inner_tail, walk_forward
from scalper_ml.errors import ContractError, InsufficientDataError
from scalper_ml.forecasters.base import Forecaster, ForecasterKind, ForecastParams, Rows, Sample
from scalper_ml.forecasters.data import ForecastData, forecast_data
from scalper_ml.forecasters.registry import forecaster_kind
from scalper_ml.forecasters.sealing import LINEAGE, OutOfFold, Trained, TrainedForecast, ends_of, seal_trained
from scalper_ml.forecasters.targets import Target, target_named
from scalper_ml.models.base import Device, FitContext, Floats

__all__ = ["Fitted", "ForecastOptions", "TrainedForecast", "fit_on", "train_forecaster"]


@dataclass(frozen=True, slots=True)
class ForecastOptions:
    """How a forecaster of any kind is trained.

    Parameters
    ----------
    n_folds : int
        Walk-forward folds inside train; 0: none, where fits are long and nothing is stacked on them.
    stop_share : float
        Share of the rows to fit on that is kept for early stopping.
    golden_rows : int
        Most rows of the golden batch, divided by the lookback.
    permuted_rows : int
        Most rows of select on which kinds without a share of features are permuted, divided by the lookback.
    """

    n_folds: int = 4
    stop_share: float = 0.1
    golden_rows: int = 64
    permuted_rows: int = 150


@dataclass(frozen=True, slots=True)
class Fitted:
    """A forecaster, and the units it was fitted in."""

    forecaster: Forecaster
    center: float
    scale: float

    def raw(self, X: Floats, at: Rows) -> Floats:
        """Numbers in units of the target (m,), or raw probabilities (m, k), of scaled rows."""
        found = self.forecaster.predict(X, at)
        return found if found.ndim == 2 else np.asarray(self.center + self.scale * found, dtype=np.float64)


def train_forecaster(
    kind: str,
    X: Floats,
    table: pa.Table,
    targets: pa.Table,
    scaler: Scaler,
    names: Sequence[str],
    fs_id: str,
    params: ForecastParams | None = None,
    *,
    seed: int,
    interval_us: int,
    target: str | None = None,
    past: Floats | None = None,
    threads: int = 1,
    device: Device = "cpu",
    lineage: Mapping[str, Any],
    options: ForecastOptions | None = None,
    normaliser: EwmaNormaliser | None = None,
) -> TrainedForecast:
    """Train, calibrate, measure and seal one forecaster.

    Parameters
    ----------
    kind : str
        A name of `forecaster_kinds`.
    X : (n, f)
        Unscaled features of the dataset's rows; with a `normaliser`, as it gives them.
    table, targets : pyarrow.Table
        DATASET and TARGETS, n rows each in time order.
    scaler : Scaler
        The dataset's, fitted on train; folds fit their own of the same kind.
    seed, threads : int
        The result depends on `seed` and not on `threads`.
    interval_us : int
        From one bar to the next: no window reaches over a gap.
    target : str, optional
        What is learnt; the kind's first by default.
    past : (n, 3), optional
        `past_volatility` at the rows; needed where the baseline is HAR.
    lineage : mapping
        JSON values; must hold ``symbol``, ``horizon`` and ``label_version``.

    Raises
    ------
    InsufficientDataError
        A role is empty or shorter than a window, a class does not occur, or no fold could be fitted.
    ContractError
        Shapes, columns, parameters or lineage are not as described.
    SettingsError
        The target is none the kind learns.
    """
    spec, options = forecaster_kind(kind), options or ForecastOptions()
    params = params or spec.params()
    _check(spec, params, lineage)
    aim = target_named(spec.target(target))
    data = forecast_data(X, table, targets, names, aim, interval_us=interval_us, past=past)
    context = FitContext(horizon=int(lineage["horizon"]), seed=seed, threads=threads, device=device)
    oof = _out_of_fold(spec, aim, data, scaler, params, context, options)
    train = data.rows("train")
    fitted = fit_on(spec, aim, data, train, scaler, params, context, options.stop_share)
    files = fitted.forecaster.files()
    trained = Trained(
        kind=kind,
        aim=aim,
        libraries=spec.libraries,
        forecaster=spec.load(files),  # forecast with what is on disk
        files=files,
        scaler=scaler,
        normaliser=normaliser,
        center=fitted.center,
        scale=fitted.scale,
        lookback=params.lookback,
        oof=oof,
        manifest={
            "params": params.to_dict(),
            "options": asdict(options),
            "feature_set": {"id": fs_id, "names": list(names)},
            "best_iteration": fitted.forecaster.best_iteration,
            "learning_curve": [float(f"{loss:.9g}") for loss in fitted.forecaster.curve],  # more depend on threads
        },
    )
    return seal_trained(
        trained, data, lineage, context, golden_rows=options.golden_rows, permuted_rows=options.permuted_rows
    )


def _out_of_fold(
    spec: ForecasterKind,
    aim: Target,
    data: ForecastData,
    scaler: Scaler,
    params: ForecastParams,
    context: FitContext,
    options: ForecastOptions,
) -> OutOfFold:
    train, wide = data.rows("train"), (0, aim.classes) if aim.classes else (0,)
    found: list[tuple[Rows, Rows, Floats, Floats]] = []
    skipped: list[str] = []
    folds = walk_forward(data.t0[train], data.t1[train], n_folds=options.n_folds) if options.n_folds else ()
    for number, (seen, unseen) in enumerate(folds):
        own = dataclasses.replace(context, seed=context.seed + 1 + number)
        try:
            scaling = scaler.unfitted().fit(data.X, scaler.names, rows=train[seen])
            at = ends_of(data, train[unseen], params.lookback, f"fold {number}")
            fitted = fit_on(spec, aim, data, train[seen], scaling, params, own, options.stop_share)
        except InsufficientDataError as error:
            skipped.append(f"fold {number} left out: {error}")
            continue
        said = fitted.raw(scaling.transform(data.X), at)
        found.append((at, np.full(at.size, number), said, data.baseline(aim, train[seen])[at]))
    if options.n_folds and not found:
        raise InsufficientDataError(
            f"training {spec.name}: none of {options.n_folds} folds could be fitted - {'; '.join(skipped)}"
        )
    if not found:
        none = np.empty(0, dtype=np.int64)
        return OutOfFold(none, none, np.empty(wide), np.empty(wide), ())
    rows, fold, said, base = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return OutOfFold(rows, fold, said, base, tuple(skipped))


def fit_on(
    spec: ForecasterKind,
    aim: Target,
    data: ForecastData,
    rows: Rows,
    scaler: Scaler,
    params: ForecastParams,
    context: FitContext,
    stop_share: float,
) -> Fitted:
    """Fit on `rows`, stopping early on their inner purged tail, which no window of the rows before reaches into."""
    learn, stop = (rows[part] for part in inner_tail(data.t0[rows], data.t1[rows], stop_share))
    center = float(np.average(data.y[learn], weights=data.weight[learn])) if aim.number else 0.0
    scale = float(data.y[learn].std()) if aim.number else 1.0
    if not scale > 0:
        raise InsufficientDataError(f"training {spec.name}: the {aim.name} of {learn.size} rows never changes")
    if aim.classes:
        counts = np.bincount(data.y[learn].astype(np.int64), minlength=aim.classes)
        if missing := [name for name, count in zip(aim.states, counts, strict=True) if count == 0]:
            raise InsufficientDataError(
                f"training {spec.name}: {' and '.join(missing)} does not occur in the {learn.size} rows to fit on "
                f"({dict(zip(aim.states, counts.tolist(), strict=True))}); expected all of them - bring more bars"
            )
    scaled = scaler.transform(data.X)

    def sample(part: Rows, what: str) -> Sample:
        at = ends_of(data, part, params.lookback, what)
        return Sample(scaled, at, (data.y[at] - center) / scale, data.weight[at])

    fitted = spec.fit(sample(learn, "rows to fit on"), sample(stop, "rows to stop on"), params, context, aim.classes)
    return Fitted(fitted, center, scale)


def _check(spec: ForecasterKind, params: ForecastParams, lineage: Mapping[str, Any]) -> None:
    if not isinstance(params, spec.params):
        raise ContractError(f"training {spec.name}: found {type(params).__name__}; expected {spec.params.__name__}")
    if missing := [name for name in LINEAGE if name not in lineage]:
        raise ContractError(
            f"training {spec.name}: lineage lacks {missing}; found {sorted(lineage)}, expected {LINEAGE}"
        )
