"""A market whose signal turns round half-way, given to a project day by day: champion before, drift after."""

import shutil
import tempfile
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import pyarrow as pa

from scalper_ml.ingest.synthetic import csv_bytes, simulate
from scalper_ml.layers import layers_of
from scalper_ml.project import Project
from scalper_ml.scenarios.play import keys_of_layer
from scalper_ml.scenarios.registry import scenario
from scalper_ml.scenarios.scenario import Case
from scalper_ml.schema import us
from scalper_ml.settings import Settings

SYMBOL = "FLIPUSDT"
KEYS = {"symbol": SYMBOL, "horizon": 1}
DAY_US = 86_400_000_000
DAYS, FLIP = 8.0, 4.0
NEW_DATA = ("ticks", "bars", "market", "features")
TRAINING = ("datasets", "models", "candidates", "backtests", "thresholds")
_CHANGES = {
    "horizons": [1],
    "backtest": {"fee_bps": 0.0, "spread_bps": 0.0, "impact": 0.0},
    "features": {"families": ["flow", "volatility"]},
    "training": {"xgb_classifier": {"max_rounds": 25}},
    "gate": {"draws": 200},
}


@lru_cache(maxsize=2)
def _tape(days: float = DAYS) -> tuple[pa.Table, int]:
    spec = replace(scenario("flip").spec(None, 0), days=days, rho=0.35, flip_at=FLIP / days)
    ticks = simulate(spec).ticks
    return ticks, int(us(ticks["ts_us"])[0])


@dataclass(frozen=True)
class FlipProject:
    """A project of one coin and horizon, its files given in pieces."""

    project: Project

    def put(self, begin: float, end: float, *, of_days: float = DAYS) -> None:
        """The trades of these days as one more file; the tape of a longer market is another one."""
        ticks, start = _tape(of_days)
        stamps = us(ticks["ts_us"]) - start
        mine = pa.array((stamps >= begin * DAY_US) & (stamps < end * DAY_US))
        folder = self.project.path("ticks")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{SYMBOL}-{begin:05.2f}.csv").write_bytes(csv_bytes(ticks.filter(mine)))

    def build(self, *names: str, **changes: object) -> None:
        """Layers of these names, in the order of the graph; all without a name."""
        project = self.with_settings(**changes).project
        for layer in layers_of(project.settings):
            if not names or layer.name.split("/")[0] in names:
                for keys in keys_of_layer(project.settings, layer):
                    layer.build(project, keys)

    def with_settings(self, **changes: object) -> "FlipProject":
        """The same folder under other settings."""
        values = self.project.settings.model_dump(mode="json")
        for name, given in changes.items():
            values[name] = values[name] | given if isinstance(given, dict) else given
        return FlipProject(Project(Settings.model_validate(values), self.project.folder))

    def copy(self, folder: Path) -> "FlipProject":
        """A copy that a test may change."""
        shutil.copytree(self.project.folder, folder)
        return FlipProject(Project(self.project.settings, folder))


@lru_cache(maxsize=2)
def with_champion(of_days: float = DAYS) -> FlipProject:
    """Three and a half days, and the champion of them."""
    folder = Path(tempfile.mkdtemp(prefix="flip-"))
    case = Case(replace(scenario("flip"), settings=_CHANGES), folder, True)
    place = FlipProject(case.open((SYMBOL,), 0)).with_settings(
        source={"kind": "ticks", "folder": "ticks", "markets": {}}
    )
    place.put(0, 3.5, of_days=of_days)
    place.build()
    return place


@lru_cache(maxsize=1)
def with_challenger() -> FlipProject:
    """A champion, and a challenger of the same days from another seed; its settings have that seed."""
    place = with_champion().copy(Path(tempfile.mkdtemp(prefix="challenged-")) / "project")
    place = place.with_settings(splits={"seed": 8})
    place.build(*TRAINING, "champions")
    return place


@lru_cache(maxsize=1)
def after_the_turn() -> FlipProject:
    """The same a day after the turn, looked at."""
    place = with_champion().copy(Path(tempfile.mkdtemp(prefix="turned-")) / "project")
    place.put(3.5, 5.0)
    place.build(*NEW_DATA, "drift")
    return place
