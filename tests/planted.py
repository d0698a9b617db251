"""Datasets with a signal of known strength: one AR(1) column that drives returns, the others noise."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from scalper_ml.datasets.scaling import Scaler
from scalper_ml.datasets.splits import assign_roles
from scalper_ml.ensembles.registry import ensemble_kinds
from scalper_ml.ensembles.train import train_ensemble
from scalper_ml.models.train import TrainedModel, TrainOptions, train_model
from scalper_ml.schema import DATASET, stamps

MINUTE = 60_000_000
SIGMA = 6e-4
MEMBERS = ("logistic_classifier", "lgb_classifier")


@dataclass(frozen=True)
class Planted:
    """Unscaled features, their dataset, and the column that carries the signal (0)."""

    X: np.ndarray
    table: pa.Table
    names: tuple[str, ...]
    horizon: int

    def rows(self, role: str) -> np.ndarray:
        return np.flatnonzero(np.array(self.table.column("role").to_pylist()) == role)

    def train(self, kind: str = "xgb_classifier", **changes) -> TrainedModel:
        scaler = Scaler("zscore").fit(self.X, self.names, rows=self.rows("train"))
        lineage = {"symbol": "AAAUSDT", "horizon": self.horizon, "label_version": "l1", "features": "f00d"}
        settings = {"seed": 3, "lineage": lineage, "options": TrainOptions(n_folds=2)} | changes
        return train_model(kind, self.X, self.table, scaler, self.names, "fs1", **settings)

    def combine(self, kind: str, members: tuple[str, ...] = MEMBERS, **changes) -> TrainedModel:
        """An ensemble of models trained one by one; `changes` of seed and options are the members', too."""
        shared = {name: value for name, value in changes.items() if name in ("seed", "threads", "options", "lineage")}
        files = {member: self.train(member, **shared).files for member in members}
        lineage = {"symbol": "AAAUSDT", "horizon": self.horizon, "label_version": "l1", "features": "f00d"}
        own = {name: value for name, value in changes.items() if name != "threads"}
        settings = {"seed": 3, "lineage": lineage, "options": TrainOptions(n_folds=2)} | own
        return train_ensemble(kind, files, self.X, self.table, self.names, **settings)

    def train_any(self, kind: str, **changes) -> TrainedModel:
        """A model or an ensemble, whichever is called `kind`."""
        return self.combine(kind, **changes) if kind in ensemble_kinds() else self.train(kind, **changes)


def planted(
    n: int,
    *,
    rho: float = 0.3,
    phi: float = 0.9,
    horizon: int = 3,
    features: int = 4,
    seed: int = 1,
    test_size: float = 0.2,
) -> Planted:
    """``r[t+1] = sigma (rho a[t] + sqrt(1 - rho^2) e)`` with a an AR(1) of unit variance; fixed-horizon labels."""
    rng = np.random.default_rng(seed)
    shocks, noise = rng.normal(size=(2, n + horizon))
    a = np.empty(n + horizon)
    a[0] = shocks[0]
    for i in range(1, a.size):
        a[i] = phi * a[i - 1] + np.sqrt(1 - phi * phi) * shocks[i]
    path = np.concatenate([[0.0], np.cumsum(SIGMA * (rho * a + np.sqrt(1 - rho * rho) * noise))])
    ret = path[horizon : horizon + n] - path[:n]
    band = 0.5 * SIGMA * np.sqrt(horizon)
    y = np.where(ret > band, 2, np.where(ret < -band, 0, 1))
    t0 = np.arange(n, dtype=np.int64) * MINUTE
    t1 = t0 + horizon * MINUTE
    columns = {
        "ts_us": stamps(t0),
        "t0_us": stamps(t0),
        "t1_us": stamps(t1),
        "y": pa.array(y.astype(np.int8)),
        "y_binary": pa.array((ret > 0).astype(np.int8)),
        "ret": pa.array(ret),
        "entry_price": pa.array(np.full(n, 100.0)),
        "exit_price": pa.array(100.0 * np.exp(ret)),
        "deadband": pa.array(np.full(n, band)),
        "cost": pa.array(np.zeros(n)),
        "sigma": pa.array(np.full(n, SIGMA)),
        "weight": pa.array(np.ones(n)),
        "role": pa.array(assign_roles(t0, t1, calibrate_size=0.15, select_size=0.15, test_size=test_size).tolist()),
    }
    X = np.column_stack([a[:n], rng.normal(size=(n, features - 1))])
    X[:, 1] = 50.0 + 3.0 * X[:, 1]  # one column far from unit scale
    return Planted(X, pa.table(columns, schema=DATASET), tuple(f"feature_{j}" for j in range(features)), horizon)
