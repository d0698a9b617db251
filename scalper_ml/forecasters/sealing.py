"""What is the same for forecasters and stacks of them once they are fitted: measure, rank the features, seal."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from scalper_ml.forecasters.base import Rows
from scalper_ml.forecasters.bundle import ALPHA, Forecast
from scalper_ml.forecasters.calibration import Residuals
from scalper_ml.forecasters.data import ForecastData
from scalper_ml.forecasters.targets import Target
from scalper_ml.forecasters.windows import windows_of
from scalper_ml.models.base import FitContext, Floats
from scalper_ml.models.bundle import seal
from scalper_ml.models.summary import importance_ranking, spread
from scalper_ml.schema import stamps
from scalper_ml.validation.regression import regression_metrics
from scalper_ml.validation.states import state_metrics
from scalper_ml.vocabulary import ROLES

__all__ = [
    "TrainedForecast",
    "held",
    "importance_of",
    "measured",
    "role_intervals",
    "said_table",
    "seal_forecast",
]


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


class Said(Protocol):
    """Out-of-fold forecasts."""

    @property
    def rows(self) -> Rows: ...

    @property
    def fold(self) -> Rows: ...

    @property
    def said(self) -> Floats: ...


def measured(
    aim: Target, data: ForecastData, rows: Rows, said: Floats, baseline: Floats, context: FitContext
) -> dict[str, Any]:
    """Metrics of forecasts of some rows, beside the baseline's."""
    y = data.y[rows]
    if not aim.number:
        return state_metrics(
            y.astype(np.int64), said, baseline[0], aim.states, horizon=context.horizon, seed=context.seed
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
    before = _said(forecast, windows)
    order = np.random.default_rng(context.seed).permutation(some.size)
    change = np.zeros(len(forecast.names))
    for j in range(change.size):
        mixed = windows.copy()
        mixed[:, :, j] = windows[order][:, :, j]
        change[j] = float(((_said(forecast, mixed) - before) ** 2).sum())
    share = change / change.sum() if change.sum() > 0 else change
    return importance_ranking(list(forecast.names), share) | {"measure": "share of what permutations change"}


def _said(forecast: Forecast, windows: Floats) -> Floats:
    flat = windows.reshape(-1, windows.shape[2])
    return forecast.predict(flat, np.arange(len(windows)) * forecast.lookback + forecast.lookback - 1)


def role_intervals(data: ForecastData) -> dict[str, dict[str, int]]:
    """Rows with a target, first decision and last known outcome of each role, microseconds."""
    return {
        role: {"rows": int(rows.size), "t0_us": int(data.t0[rows].min()), "t1_us": int(data.t1[rows].max())}
        for role in ROLES
        for rows in (data.rows(role),)
    }


def said_table(data: ForecastData, oof: Said, at: Mapping[str, Rows], said: Mapping[str, Floats]) -> pa.Table:
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


def seal_forecast(files: Mapping[str, bytes], manifest: Mapping[str, Any]) -> TrainedForecast:
    """The sealed bundle."""
    bundle_id, sealed = seal(files, manifest)
    return TrainedForecast(bundle_id, sealed, dict(manifest))
