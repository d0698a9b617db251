"""A live builder over a hundred days of trades: what the process holds at the end of each day."""

import gc
import os
from pathlib import Path

import numpy as np

from bench.measure import Figure
from scalper_ml.features.online import OnlineFeatureBuilder
from scalper_ml.features.registry import feature_set

__all__ = ["run"]

DAYS = int(os.environ.get("BENCH_MEMORY_DAYS", 100))
SETTLED = 10  # days after which nothing should grow
A_DAY, MINUTE = 86_400_000_000, 60_000_000
TRADES = 10  # a minute
PLOT = Path(__file__).resolve().parents[1] / "docs" / "img" / "memory.svg"


def resident_mb() -> float:
    """Resident memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def live_days(days: int) -> list[float]:
    """Resident MB after each day of trades pushed one by one through one builder with every feature of its source."""
    builder = OnlineFeatureBuilder(feature_set(["klines", "trades", "calendar"]), MINUTE)
    rng = np.random.default_rng(1)
    price, trade, held = 100.0, 0, []
    for day in range(days):
        n = 1440 * TRADES
        at = day * A_DAY + np.sort(rng.integers(0, A_DAY, n))
        prices = price * np.exp(np.cumsum(2e-4 * rng.standard_t(4, n)))
        rows = zip(
            at.tolist(), prices.tolist(), rng.lognormal(0, 1, n).tolist(), (rng.random(n) < 0.5).tolist(), strict=True
        )
        for ts, p, qty, bought in rows:
            builder.push_tick(ts, p, qty, 1 if bought else -1, trade)
            trade += 1
        price = 100.0
        del at, prices, rows
        gc.collect()
        held.append(resident_mb())
    return held


def draw(held: list[float]) -> None:
    """The plot in the documentation."""
    from matplotlib.figure import Figure as Plot

    plot = Plot(figsize=(7, 2.4), layout="constrained")
    axes = plot.subplots()
    axes.plot(range(1, len(held) + 1), held, color="#2563eb")
    axes.set(xlabel="days of trades", ylabel="resident MB", ylim=(0, 1.25 * max(held)), xlim=(1, len(held)))
    axes.grid(alpha=0.3)
    plot.savefig(PLOT, metadata={"Date": None})


def run() -> list[Figure]:
    """Growth of the process over the days after the first ten; draws ``docs/img/memory.svg``."""
    held = live_days(DAYS)
    draw(held)
    settled = held[min(SETTLED, len(held)) - 1]
    return [
        Figure(
            f"live builder, memory after {DAYS} days of {1440 * TRADES:,} trades", held[-1], "MB",
            f"after {min(SETTLED, DAYS)} days", settled, held[-1] / settled, "at most 1.02x",
        )
    ]  # fmt: skip
