"""A small market whose features, labels and specialist targets belong together, with two signals that can be found."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa

from scalper_ml.datasets.scaling import Scaler
from scalper_ml.datasets.splits import assign_roles
from scalper_ml.forecasters.har import past_volatility
from scalper_ml.forecasters.training import ForecastOptions, TrainedForecast, train_forecaster
from scalper_ml.labels.horizon import horizon_labels
from scalper_ml.labels.rule import LabelRule
from scalper_ml.labels.targets import specialist_targets
from scalper_ml.schema import DATASET, TARGETS, stamps

MINUTE = 60_000_000
NAMES = ("direction", "volatility", "noise_0", "noise_1")


@dataclass(frozen=True)
class Market:
    """Unscaled features (n, 4): a signal of the next return, the log volatility of the next bars, two of noise."""

    X: np.ndarray
    table: pa.Table
    targets: pa.Table
    past: np.ndarray
    horizon: int
    interval_us: int = MINUTE

    @property
    def names(self) -> tuple[str, ...]:
        return NAMES

    def rows(self, role: str) -> np.ndarray:
        return np.flatnonzero(self.table["role"].to_numpy(zero_copy_only=False) == role)

    def train(self, kind: str, params=None, **changes) -> TrainedForecast:
        scaler = Scaler("zscore").fit(self.X, NAMES, rows=self.rows("train"))
        lineage = {"symbol": "AAAUSDT", "horizon": self.horizon, "label_version": "l1", "features": "f00d"}
        settings = {"seed": 3, "lineage": lineage, "options": ForecastOptions(n_folds=2), "past": self.past}
        settings |= {"interval_us": self.interval_us} | changes
        return train_forecaster(kind, self.X, self.table, self.targets, scaler, NAMES, "fs1", params, **settings)


@cache
def market(n: int = 2_000, *, rho: float = 0.4, horizon: int = 3, seed: int = 1, hole: int = 0) -> Market:
    """``r[t+1] = sigma_t (rho a[t] + e)``; log sigma an AR(1) of half-life 35 bars; `hole` bars are missing midway."""
    rng = np.random.default_rng(seed)
    size = n + horizon + 200
    shocks, noise, wild = rng.normal(size=(3, size))
    a, v = np.empty(size), np.empty(size)
    a[0], v[0] = shocks[0], 0.0
    for i in range(1, size):
        a[i] = 0.9 * a[i - 1] + np.sqrt(1 - 0.81) * shocks[i]
        v[i] = 0.98 * v[i - 1] + 0.12 * wild[i]
    sigma = 6e-4 * np.exp(v)
    step = np.concatenate([[0.0], sigma[:-1] * (rho * a[:-1] + np.sqrt(1 - rho * rho) * noise[:-1])])
    open_ = 100.0 * np.exp(np.cumsum(step))  # the return into bar i + 1's open is known in part at bar i's close
    high, low = open_ * np.exp(0.4 * sigma), open_ * np.exp(-0.4 * sigma)
    slot = np.arange(size)
    slot = np.where(slot >= size // 2, slot + hole, slot)
    start = MINUTE * slot
    rule = LabelRule(horizon, MINUTE, 0.43, 1.0, 0)
    labels = horizon_labels(open_, start, start + MINUTE, rule=rule, sigma=np.full(size, 6e-4), cost=1e-5)
    found = specialist_targets(open_, high, low, start, start + MINUTE, labels, interval_us=MINUTE)
    keep = labels.row >= 150
    row = labels.row[keep]
    t0, t1 = labels.t0[keep], labels.t1[keep]
    ones = np.ones(row.size)
    role = assign_roles(t0, t1, calibrate_size=0.15, select_size=0.2, test_size=0.2)
    columns = {
        "ts_us": stamps(t0), "t0_us": stamps(t0), "t1_us": stamps(t1), "y": labels.y[keep].astype(np.int8),
        "y_binary": (labels.ret[keep] > 0).astype(np.int8), "ret": labels.ret[keep], "entry_price": labels.entry[keep],
        "exit_price": labels.exit[keep], "deadband": labels.deadband[keep], "cost": 0 * ones, "sigma": 6e-4 * ones,
        "weight": ones, "role": role.tolist(),
    }  # fmt: skip
    said = {name: getattr(found, name)[keep] for name in TARGETS.names if not name.endswith("_us")}
    said |= {"ts_us": stamps(t0), "t0_us": stamps(t0), "t1_us": stamps(t1)}
    X = np.column_stack([a, v + 0.2 * rng.normal(size=size), rng.normal(size=(size, 2))])[row]
    past = past_volatility(open_, horizon)[row]
    return Market(X, pa.table(columns, schema=DATASET), pa.table({n: said[n] for n in TARGETS.names}, schema=TARGETS),
                  past, horizon)  # fmt: skip
