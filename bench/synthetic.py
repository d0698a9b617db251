"""Ticks a second of the synthetic markets, beside writing as many random numbers."""

import numpy as np

from bench.measure import Figure, cpu_seconds
from scalper_ml.ingest.synthetic import SyntheticSpec, simulate
from scalper_ml.ingest.synthetic_spec import Texture

__all__ = ["run"]

COLUMNS = 4  # stamp, price, quantity, side


def run() -> list[Figure]:
    """Some two million ticks of each generator; the bound draws as many columns of uniform random numbers."""
    texture = Texture(vol_sd=0.35, shock_df=8, jumps_per_day=4, season=0.4, burst=0.5)
    specs = {
        "level A": SyntheticSpec(days=23, trades_per_bar=60),
        "null, with texture": SyntheticSpec(level="null", days=23, trades_per_bar=60, texture=texture),
        "level B with its filter, 1 trade a second": SyntheticSpec(level="B", days=23, trades_per_bar=60),
        "level B with its filter, 5 trades a second": SyntheticSpec(level="B", days=5, trades_per_bar=300),
    }
    ticks = {name: simulate(spec).ticks.num_rows for name, spec in specs.items()}
    rng = np.random.default_rng(1)
    calls = {name: lambda spec=spec: simulate(spec) for name, spec in specs.items()}
    bounds = {f"bound {name}": lambda n=n: [rng.random(n) for _ in range(COLUMNS)] for name, n in ticks.items()}
    seconds = cpu_seconds(calls | bounds, repeats=3)  # type: ignore[operator]
    figures = []
    for name, n in ticks.items():
        ours, bound = n / seconds[name] / 1e6, n / seconds[f"bound {name}"] / 1e6
        figures.append(
            Figure(f"synthetic: {name}", ours, "M ticks/s", "4 random columns", bound, ours / bound, "at least 2")
        )
    return figures
