"""What a bundle said on bars, and what came: of any stretch of time, whether or not its dataset knows it."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scalper_ml.backtest.engine import quote_volume, run_backtest
from scalper_ml.backtest.labelled import AsLabelled
from scalper_ml.datasets.build import SIGMA_COLUMN
from scalper_ml.datasets.causal import EwmaNormaliser
from scalper_ml.datasets.labelling import label_bars
from scalper_ml.errors import FeatureSetError
from scalper_ml.layers.base import Keys
from scalper_ml.layers.datasets import dataset_params, label_tape, project_costs
from scalper_ml.layers.features import read_features
from scalper_ml.models.bundle import Model
from scalper_ml.models.live import LiveModel
from scalper_ml.project import Project
from scalper_ml.schema import DATASET, PREDICTIONS, TRADES, conform, stamps, us

__all__ = ["Market", "Resolved", "market_of", "predict", "resolve", "row_by_row"]

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Market:
    """A symbol's bars, features and labels as they stand now: every labelled row is of role score."""

    keys: Keys
    bars: pa.Table
    names: tuple[str, ...]
    values: F64
    warm: NDArray[np.bool_]
    row: I64
    labels: pa.Table

    @property
    def now_us(self) -> int:
        """Stream time: the newest close."""
        return int(us(self.bars["ts_us"])[-1])

    def since(self, ts_us: int) -> "Market":
        """Only labels decided after a moment."""
        later = us(self.labels["t0_us"]) > ts_us
        return Market(
            self.keys,
            self.bars,
            self.names,
            self.values,
            self.warm,
            self.row[later],
            self.labels.filter(pa.array(later)),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Resolved:
    """Predictions (n, 3) whose outcomes are known, with their labels (n rows) and completed trades."""

    P: F64
    labels: pa.Table
    trades: pa.Table

    @property
    def r(self) -> F64:
        """R of the trades."""
        return np.asarray(self.trades["r"].to_numpy(), dtype=np.float64)


def market_of(project: Project, keys: Keys) -> Market:
    """Label every warm bar of a symbol by the rule of the settings."""
    warehouse, symbol = project.warehouse, {"symbol": keys["symbol"]}
    bars = warehouse.read_table(warehouse.require("bars", symbol))
    _, warm, values, names = read_features(project, warehouse.require("features", symbol))
    params = dataset_params(project, int(keys["horizon"]))
    sigma = np.where(warm, values[:, names.index(SIGMA_COLUMN)], np.nan)
    cost = project_costs(project).round_trip(values[:, names.index(SIGMA_COLUMN)], quote_volume(bars))
    found = label_bars(bars, sigma, cost, params.labels, label_tape(project, keys))
    n = found.row.size
    columns = {
        "ts_us": stamps(found.t0), "t0_us": stamps(found.t0), "t1_us": stamps(found.t1), "y": found.y,
        "y_binary": found.y_binary, "ret": found.ret, "entry_price": found.entry, "exit_price": found.exit,
        "deadband": found.deadband, "cost": found.cost, "sigma": found.sigma, "weight": np.ones(n),
        "role": pa.array(["score"] * n, type=pa.string()),
    }  # fmt: skip
    return Market(keys, bars, names, values, warm, found.row, conform(pa.table(columns), DATASET, "outcomes"))


def _columns(market: Market, model: Model) -> list[int]:
    """Where the features of a model stand among those of the market.

    Raises
    ------
    FeatureSetError
        Some are not there.
    """
    at = {name: place for place, name in enumerate(market.names)}
    if missing := [name for name in model.names if name not in at]:
        raise FeatureSetError(
            f"bundle {model.bundle_id[:12]} was made with features that are not computed any more: {missing[:5]}; "
            "train it again"
        )
    return [at[name] for name in model.names]


def predict(market: Market, model: Model) -> F64:
    """Calibrated probabilities (n, 3) of the labelled rows, as training would have scaled them."""
    values = market.values[:, _columns(market, model)]
    if model.normaliser is not None:
        values, _ = EwmaNormaliser(model.names, model.normaliser.halflife).run(values, market.warm)
    rows = values[market.row]
    return model.predict_proba(rows) if len(rows) else np.empty((0, 3))


def resolve(project: Project, market: Market, model: Model, min_confidence: float) -> Resolved:
    """Predict the labelled rows and trade them at a confidence, costs as a backtest pays them."""
    P = predict(market, model)
    n = len(P)
    if n == 0:
        return Resolved(P, market.labels, TRADES.empty_table())
    said = [market.labels["ts_us"], market.labels["role"], np.full(n, -1, np.int32), *P.T]
    predictions = conform(pa.table(dict(zip(PREDICTIONS.names, said, strict=True))), PREDICTIONS, "predictions")
    horizon = int(market.keys["horizon"])
    run = run_backtest(
        market.bars,
        market.labels,
        predictions,
        role="score",
        threshold=min_confidence,
        costs=project_costs(project),
        horizon=horizon,
        interval_us=project.settings.interval_us,
        rule=AsLabelled.of(dataset_params(project, horizon).labels),
    )
    return Resolved(P, market.labels, run.trades)


def row_by_row(market: Market, model: Model, most: int = 200) -> float:
    """Largest difference between probabilities bar by bar, as live, and in a batch, over the newest rows."""
    values, newest = market.values[:, _columns(market, model)], market.row[-most:]
    if not newest.size:
        return 0.0
    batch = predict(market, model)[-most:]
    if model.normaliser is None:
        live, rows = LiveModel(model), newest
    else:
        live = LiveModel(model, EwmaNormaliser(model.names, model.normaliser.halflife).to_dict())
        rows = np.flatnonzero(market.warm)
    alone = {int(row): live.predict(values[row]) for row in rows if row <= newest[-1]}
    return float(max(np.abs(alone[int(row)] - P).max() for row, P in zip(newest, batch, strict=True)))
