"""A million events labelled, in every way there is."""

from functools import partial
from typing import Any

import numpy as np

from bench.measure import Figure, cpu_seconds
from scalper_ml.labels.barrier import barrier_labels, tape_barrier_labels
from scalper_ml.labels.executable import executable_labels, trade_fills
from scalper_ml.labels.horizon import horizon_labels
from scalper_ml.labels.rule import LabelRule
from scalper_ml.labels.targets import specialist_targets
from scalper_ml.labels.trend import trend_labels
from scalper_ml.labels.weights import uniqueness

__all__ = ["run"]

EVENTS, TRADES, MINUTE = 1_000_000, 5_000_000, 60_000_000


def run() -> list[Figure]:
    """1 M one-minute bars and decisions at horizon 15 (vertical barrier at 30), five trades a decision."""
    rng = np.random.default_rng(1)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 1e-3, EVENTS)))
    first = np.concatenate([[100.0], close[:-1]])
    high = np.maximum(first, close) * np.exp(rng.exponential(3e-4, EVENTS))
    low = np.minimum(first, close) * np.exp(-rng.exponential(3e-4, EVENTS))
    start = MINUTE * np.arange(EVENTS, dtype=np.int64)
    times: dict[str, Any] = {"open_ts_us": start, "ts_us": start + MINUTE}
    stamp = np.sort(rng.integers(0, EVENTS * MINUTE, TRADES))
    price = 100 * np.exp(np.cumsum(rng.normal(0, 4.5e-4, TRADES)))
    rule: dict[str, Any] = {
        "rule": LabelRule(15, MINUTE, k_vol=0.43, kappa=1, max_gap_bars=3),
        "sigma": np.full(EVENTS, 1e-3),
        "cost": 5e-4,
    }
    fixed = horizon_labels(first, **times, **rule)
    tape = partial(trade_fills, ts_us=stamp, price=price, wait_us=4 * MINUTE)
    shape = {"open": first, "high": high, "low": low, **times}
    calls = {
        "fixed horizon": lambda: horizon_labels(first, **times, **rule),
        "fixed horizon, first trade after the latency": lambda: executable_labels(
            start + MINUTE,
            tape,
            latency_us=250_000,
            **rule,
        ),
        "triple barrier on bars": lambda: barrier_labels(**shape, **rule),
        "triple barrier on 5 M trades": lambda: tape_barrier_labels(
            start + MINUTE,
            stamp,
            price,
            latency_us=250_000,
            **rule,
        ),
        "specialists' targets": lambda: specialist_targets(**shape, labels=fixed, interval_us=MINUTE),
        "trend scanning, 5 to 20 bars": lambda: trend_labels(first, **times, interval_us=MINUTE),
        "uniqueness": lambda: uniqueness(fixed.t0, fixed.t1, start + MINUTE),
    }
    seconds = cpu_seconds(calls, repeats=3)
    return [
        Figure(f"1 M events: {name}", value, "CPU s", goal="at most 1 s" if "barrier" in name else "")
        for name, value in seconds.items()
    ]
