"""A hundred trials of XGBoost on 20,000 rows of 160 features with two workers."""

import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.measure import Figure
from scalper_ml.datasets.scaling import Scaler
from scalper_ml.datasets.splits import assign_roles
from scalper_ml.models.fitting import TrainingData
from scalper_ml.tuning.objective import build_task
from scalper_ml.tuning.study import tune

__all__ = ["run"]

ROWS, FEATURES, TRIALS, WORKERS = 20_000, 160, 100, 2
MINUTE = 60_000_000


def market(rows: int = ROWS, features: int = FEATURES, *, rho: float = 0.15, seed: int = 1) -> TrainingData:
    """An AR(1) signal in the first column moves the next bar; the others are noise. Train takes 45 %, as by default."""
    rng = np.random.default_rng(seed)
    shocks, noise = rng.normal(size=(2, rows))
    signal = np.empty(rows)
    signal[0] = shocks[0]
    for i in range(1, rows):
        signal[i] = 0.9 * signal[i - 1] + np.sqrt(1 - 0.81) * shocks[i]
    ret = 6e-4 * (rho * signal + np.sqrt(1 - rho * rho) * noise)
    y = np.where(ret > 2.6e-4, 2, np.where(ret < -2.6e-4, 0, 1)).astype(np.int64)
    t0 = MINUTE * np.arange(rows, dtype=np.int64)
    X = np.column_stack([signal, rng.normal(size=(rows, features - 1))])
    role = assign_roles(t0, t0 + MINUTE, calibrate_size=0.1, select_size=0.15, test_size=0.3)
    return TrainingData(X, y, np.ones(rows), ret, t0, t0, t0 + MINUTE, role, (0, 1, 2))


def _children() -> float:
    """CPU seconds of the worker processes that have ended."""
    found = resource.getrusage(resource.RUSAGE_CHILDREN)
    return found.ru_utime + found.ru_stime


def run() -> list[Figure]:
    """The study on one purged hold-out: on the train role of such a dataset, and with all rows as its train role."""
    figures = []
    for what, whole in (("train role of 20,000 rows", False), ("20,000 rows of train", True)):
        data = market()
        if whole:
            data.role[:] = "train"
        names = tuple(f"feature_{j}" for j in range(FEATURES))
        scaler = Scaler("zscore").fit(data.X, names, rows=data.rows("train"))
        base = {"max_bin": 64, "early_stopping_rounds": 40}
        task = build_task("xgb_classifier", base, data, scaler, horizon=1, seed=7)
        with tempfile.TemporaryDirectory() as folder:
            started, used = time.perf_counter(), _children()
            study = tune(task, Path(folder) / "study.journal", trials=TRIALS, workers=WORKERS)
            taken, used = time.perf_counter() - started, _children() - used
        title = f"{TRIALS} trials of XGBoost, {what} x {FEATURES}, {WORKERS} workers, {study.given_up} given up"
        figures.append(Figure(title, taken, "s", goal="at most 240 s"))
        figures.append(Figure("  of which each worker computed", used / WORKERS, "CPU s"))
    return figures
