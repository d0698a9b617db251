"""A project of one coin with three days of random-walk trades, its layers built in this process."""

from pathlib import Path

import numpy as np
import pytest
from tickproject import MS, TickProject

__all__ = ["KEYS", "build_features", "make_feature_project", "trades"]

KEYS = {"symbol": "BTCUSDT"}


def trades(minutes: int, *, seed: int = 5, per_minute: int = 4) -> str:
    """A tick file: a random walk with trades at random moments, ids without holes."""
    rng = np.random.default_rng(seed)
    n = minutes * per_minute
    at = np.sort(rng.integers(0, minutes * 60_000, n))
    price = 100 * np.exp(np.cumsum(4e-4 * rng.standard_t(4, n)))
    side = np.where(rng.random(n) < 0.5, "buy", "sell")
    qty = rng.lognormal(0, 1, n)
    rows = zip(at.tolist(), price.tolist(), qty.tolist(), side.tolist(), range(1, n + 1), strict=True)
    return "ts,price,qty,side,id\n" + "".join(f"{MS + t},{p:.4f},{q:.4f},{s},{i}\n" for t, p, q, s, i in rows)


def make_feature_project(folder: Path, patch: pytest.MonkeyPatch, *, minutes: int = 3000) -> TickProject:
    """The project with its tick file, nothing built yet."""
    place = TickProject.make(folder, patch)
    settings = (folder / "config" / "settings.yaml").read_text()
    settings = settings.replace("symbols:\n    - BTCUSDT\n    - ETHUSDT", "symbols:\n    - BTCUSDT")
    settings = settings.replace("min_rows: 2000", "min_rows: 500").replace("kappa: 1.0", "kappa: 0.1")
    (folder / "config" / "settings.yaml").write_text(settings)
    assert place.open().settings.symbols == ["BTCUSDT"]
    place.put("ticks/BTCUSDT.csv", trades(minutes))
    return place


def build_features(place: TickProject, *overrides: str, datasets: bool = False) -> None:
    """Ticks, bars, features and, if asked for, datasets of every horizon."""
    from scalper_ml.layers.bars import BARS_FROM_TICKS
    from scalper_ml.layers.datasets import DATASETS_LAYER
    from scalper_ml.layers.features import FEATURES_LAYER
    from scalper_ml.layers.ticks import TICKS_LAYER

    project = place.open(*overrides)
    for layer in (TICKS_LAYER, BARS_FROM_TICKS, FEATURES_LAYER):
        layer.build(project, KEYS)
    for horizon in project.settings.horizons if datasets else []:
        DATASETS_LAYER.build(project, KEYS | {"horizon": horizon})
