"""A small project with a champion: one coin, a strong planted edge, built once a session."""

import itertools
from pathlib import Path

import numpy as np
import yaml

from scalper_ml.ingest.order import Trades
from scalper_ml.layers.ticks import read_all_ticks
from scalper_ml.live.feed import trades_of
from scalper_ml.project import Project
from scalper_ml.scenarios.play import play
from scalper_ml.settings import Settings

__all__ = ["HORIZONS", "SYMBOL", "build", "cut", "settings_file", "tape"]

SYMBOL = "EDGEUSDT"
HORIZONS = (1, 3)


def build(folder: Path, *, symbols: tuple[str, ...] = (SYMBOL,), days: float = 4.0, **changes: object) -> Project:
    """Every layer up to the champions of coins whose edge pays."""
    market = {"level": "A", "sigma_bps": 25.0, "rho": 0.35, "phi": 0.9, "spread_bps": 1.0}
    values = {
        "profile": "live",
        "symbols": list(symbols),
        "horizons": list(HORIZONS),
        "bars": {"interval": "1m"},
        "source": {
            "kind": "synthetic",
            "folder": "ticks",
            "days": days,
            "trades_per_bar": 12,
            "markets": {symbol: market | {"seed": 11 + place} for place, symbol in enumerate(symbols)},
        },
        "features": {"families": ["momentum", "flow"]},
        "labels": {"k_vol": 0.43, "kappa": 1.0, "max_gap_bars": 3},
        "splits": {
            "min_rows": 500, "test_size": 0.30, "calibrate_size": 0.10, "select_size": 0.15, "folds": 2,
            "scaler": "zscore", "max_class_share": 0.95, "seed": 7,
        },
        "training": {"kinds": ["logistic_classifier"]},
        "backtest": {"fee_bps": 1.0, "spread_bps": 1.0, "impact": 0.5, "notional": 1000.0, "risk_per_trade": 0.005},
        "gate": {"version": "v1", "file": "config/per_coin_thresholds.json", "draws": 300, "seed": 7},
        "drift": {"drift_threshold": 0.1, "max_age_days": 30},
        "storage": {"root": "warehouse"},
        **changes,
    }  # fmt: skip
    project = Project(settings=Settings.model_validate(values), folder=folder)
    play(project)
    return project


def settings_file(project: Project) -> None:
    """Write the settings of a project as its file, for those who open it by its folder."""
    values = project.settings.model_dump(mode="json") | {"profile": "live", "profiles": {"live": {}}}
    (project.folder / "config").mkdir(exist_ok=True)
    (project.folder / "config" / "settings.yaml").write_text(yaml.safe_dump(values))


def tape(project: Project, symbol: str = SYMBOL) -> Trades:
    """Every trade of a coin."""
    return trades_of(read_all_ticks(project, project.warehouse.require("ticks", {"symbol": symbol})))


def cut(trades: Trades, rng: np.random.Generator, pieces: int) -> list[Trades]:
    """The trades in pieces of random lengths, some of them empty."""
    at = np.sort(rng.integers(0, len(trades) + 1, pieces - 1))
    edges = [0, *at.tolist(), len(trades)]
    return [trades.take(slice(a, b)) for a, b in itertools.pairwise(edges)]
