"""A small project of klines with feeds beside them, for tests of the layers that read feeds."""

from pathlib import Path

import numpy as np

from scalper_ml.layers.bars import BARS_FROM_KLINES
from scalper_ml.project import Project
from scalper_ml.settings_file import load_settings

SETTINGS = Path(__file__).resolve().parents[1] / "config" / "settings.yaml"
MINUTE = 60_000_000
HOUR = 60 * MINUTE


def feed_project(folder: Path, symbol: str, *overrides: str, interval: str = "1m") -> Project:
    """A project of one symbol that reads klines from its folder `klines`, and feeds from where `overrides` say."""
    (folder / "klines").mkdir(parents=True, exist_ok=True)
    options = [
        "source.kind=klines",
        f"source.folder={folder / 'klines'}",
        f"storage.root={folder / 'warehouse'}",
        f"symbols=[{symbol}]",
        f"bars.interval={interval}",
    ]
    return Project(load_settings(SETTINGS, profile="majors32", overrides=[*options, *overrides]), folder)


def build_flat_bars(project: Project, first_open_us: int, count: int) -> np.ndarray:
    """Bars of one price, one after the other; their closes."""
    symbol, step = project.settings.symbols[0], project.settings.interval_us
    opens = first_open_us + step * np.arange(count)
    rows = "".join(f"{at // 1000},100,100,100,100,1\n" for at in opens.tolist())
    path = project.path(project.settings.source.folder) / f"{symbol}.csv"
    path.write_text("timestamp,open,high,low,close,volume\n" + rows)
    BARS_FROM_KLINES.build(project, {"symbol": symbol})
    return opens + step
