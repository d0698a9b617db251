"""Forecasters: the five specialists on 1,000 rows, every kind on 20,000 rows of 160 features, one-row answers."""

import dataclasses
import importlib.util
import time
from typing import Any

import numpy as np
import pyarrow as pa

from bench.measure import Figure, latencies_us
from bench.models import LINEAGE, NAMES, table_of_market
from bench.tuning import market
from scalper_ml.datasets.scaling import Scaler
from scalper_ml.forecasters.bundle import load_forecast
from scalper_ml.forecasters.har import past_volatility
from scalper_ml.forecasters.registry import forecaster_kinds
from scalper_ml.forecasters.training import ForecastOptions, TrainedForecast, train_forecaster
from scalper_ml.schema import TARGETS, stamps

__all__ = ["run"]

SPECIALISTS = ("direction", "risk", "price", "momentum", "volatility")
MINUTE = 60_000_000
ANSWERS = 300
EPOCHS = {"lstm_forecaster": 2, "cnn_lstm": 2}  # of the sequence models; the others train to their end
COIN = 17_400  # 15-minute bars of half a year


@dataclasses.dataclass(frozen=True)
class Ready:
    """A market with its dataset, targets and past volatility."""

    X: Any
    table: pa.Table
    targets: pa.Table
    past: Any
    scaler: Scaler


def ready(rows: int, features: int = 160) -> Ready:
    """The market of the bench of tuning, with targets that follow from its returns."""
    data = market(rows, features)
    rng = np.random.default_rng(2)
    wide = np.abs(data.ret) + 2e-4 * np.abs(rng.normal(size=rows))
    columns = {
        "ts_us": stamps(data.ts), "t0_us": stamps(data.t0), "t1_us": stamps(data.t1), "ret": data.ret,
        "price": 100 * np.exp(data.ret), "risk": 100 * (1 - np.exp(-wide / 6e-4)), "momentum": data.y.astype(np.int8),
        "log_rv": np.log(wide**2), "log_range": np.log(wide**2),
    }  # fmt: skip
    names = NAMES[:features]
    past = past_volatility(100 * np.exp(np.cumsum(data.ret)), 1)
    scaler = Scaler("zscore").fit(data.X, names, rows=data.rows("train"))
    return Ready(data.X, table_of_market(data), pa.table(columns, schema=TARGETS), past, scaler)


def fitted(kind: str, on: Ready, **how: Any) -> TrainedForecast:
    """One forecaster, from arrays to a sealed bundle."""
    return train_forecaster(
        kind, on.X, on.table, on.targets, on.scaler, on.scaler.names, "fs", seed=7, interval_us=MINUTE, past=on.past,
        lineage=LINEAGE, **how,
    )  # fmt: skip


def run() -> list[Figure]:
    """Training and one-row answers of every forecaster that can be fitted here."""
    torch = importlib.util.find_spec("torch") is not None
    kinds = [name for name, kind in forecaster_kinds().items() if torch or kind.extra != "torch"]
    small, large = ready(1_000), ready(20_000)
    for kind in kinds:
        fitted(kind, ready(2_000, 8), options=ForecastOptions(n_folds=0))  # imports, kernels
    figures, total, left = [], 0.0, [kind for kind in SPECIALISTS if kind not in kinds]
    for kind in SPECIALISTS:
        if kind in kinds:
            started = time.process_time()
            fitted(kind, small)
            total += time.process_time() - started
    without = f", without {', '.join(left)} (no torch)" if left else ""
    figures.append(Figure(f"five specialists on 1,000 rows x 160{without}", total, "CPU s", goal="at most 20 s"))
    for kind in kinds:
        started = time.process_time()
        params = forecaster_kinds()[kind].params.parse({"epochs": EPOCHS[kind]} if kind in EPOCHS else {})
        one = fitted(kind, large, params=params, options=ForecastOptions(n_folds=0))
        taken = time.process_time() - started
        epochs = len(one.manifest["learning_curve"])
        note = f", {epochs} rounds or epochs" if epochs else ""
        figures.append(Figure(f"{kind}: 20,000 rows x 160, one fit, sealed{note}", taken, "CPU s"))
        forecast = load_forecast(one.files)
        back = forecast.lookback

        def answer(i: int, forecast: Any = forecast, back: int = back) -> None:
            forecast.answer(large.X[i : i + back], price=100.0)

        took = latencies_us(answer, ANSWERS)
        figures.append(Figure(f"  its answer on one row, p99 of {ANSWERS}", took[int(0.99 * len(took))], "us"))
    if "cnn_lstm" in kinds:
        figures += _coins()
    return figures


def _coins() -> list[Figure]:
    """One coin's CNN-LSTM, 50 epochs, and what 32 of them make with two workers."""
    started = time.process_time()
    one = fitted("cnn_lstm", ready(COIN), options=ForecastOptions(n_folds=0))
    taken = time.process_time() - started
    epochs = len(one.manifest["learning_curve"])
    return [
        Figure(f"cnn_lstm: one coin, {COIN:,} rows x 160, {epochs} epochs, sealed", taken, "CPU s"),
        Figure("  32 such coins on two workers, by arithmetic", 32 * taken / 2 / 60, "min", goal="at most 25 min"),
    ]
