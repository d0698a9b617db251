"""A market that turns round: how soon its champion's monitors say so, and whether they keep quiet where it does not."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa

from scalper_ml.drift.monitor import SUSPENDS, Alarm, Label, PerformanceMonitor
from scalper_ml.drift.reference import Reference
from scalper_ml.ingest.synthetic import csv_bytes, simulate
from scalper_ml.layers.champion_record import read_record
from scalper_ml.layers.drift import events_of
from scalper_ml.layers.models import bundle_of
from scalper_ml.layers.outcomes import market_of, resolve
from scalper_ml.project import Project
from scalper_ml.scenarios.play import play
from scalper_ml.scenarios.scenario import Case, Found
from scalper_ml.scenarios.scored import partition
from scalper_ml.schema import us
from scalper_ml.settings import Settings

__all__ = ["measure_flip"]

DAY_US: Final = 86_400_000_000
WATCHED_BEFORE: Final = 0.5  # days that are watched before the turn
WATCHED_AFTER: Final = 2.5
CALM_LABELS: Final = 5000  # of a stream that does not turn
CALM_DAYS: Final = 7.2
CALM_STREAMS: Final = 40  # that have a champion: not every market gives one


@dataclass(frozen=True, slots=True)
class Watch:
    """What the monitor of a champion said over a stream: alarms, and R and labels at the turn."""

    alarms: tuple[Alarm, ...]
    labels_at_turn: int
    r_at_turn: float
    r_at: dict[str, float]

    def first(self, *, suspends: bool) -> Alarm | None:
        """The first alarm that stops trading, or that asks for a retrain."""
        mine = [one for one in self.alarms if (one.name in SUSPENDS) == suspends]
        return min(mine, key=lambda one: one.labels, default=None)


def measure_flip(case: Case) -> Mapping[str, Found]:
    """Labels from the turn to the first alarm, R earned until trading is stopped, and how quiet calm streams are."""
    delays, told, earned = [], [], []
    for seed in case.seeds:
        seen = _watched(case, seed, turns=True)
        if seen is None:
            told.append("no champion")
            continue
        alarm, stop = seen.first(suspends=False), seen.first(suspends=True)
        delays.append(np.inf if alarm is None else float(alarm.labels - seen.labels_at_turn))
        told.append(f"{delays[-1]:.0f} ({alarm.name if alarm else 'nothing fired'})")
        if stop is not None:
            earned.append(seen.r_at[stop.name] - seen.r_at_turn)
    every = (_watched(case, seed, turns=False) for seed in range(2 * CALM_STREAMS))
    calm = list(itertools.islice((one for one in every if one is not None), 1 if case.fast else CALM_STREAMS))
    quiet = [one.first(suspends=False) is None for one in calm]
    stopped = sum(one.first(suspends=True) is not None for one in calm)
    return {
        "delay": Found(float(np.median(delays)) if delays else np.nan, ", ".join(told)),
        "earned": Found(
            float(np.median(earned)) if earned else np.nan,
            ", ".join(f"{one:+.1f}" for one in earned) or "never stopped",
        ),
        "quiet": Found(
            float(np.mean(quiet)) if quiet else np.nan,
            f"{sum(quiet)} of {len(calm)} ask for no retrain; {stopped} were stopped by the limit of the drawdown",
        ),
    }


def _watched(case: Case, seed: int, *, turns: bool) -> Watch | None:
    """Train on the days before, then watch the days after; None where the gate lets no champion in."""
    (symbol,) = case.scenario.markets
    train = case.scenario.fast_days if case.fast else case.scenario.days
    turn = train + WATCHED_BEFORE
    days = turn + WATCHED_AFTER if turns else train + CALM_DAYS
    spec = replace(case.scenario.spec(symbol, seed), days=days, flip_at=turn / days if turns else 0.0)
    ticks = simulate(spec).ticks
    stamps = us(ticks["ts_us"])
    begin = int(stamps[0])
    project = _of_files(replace(case, folder=case.folder / ("turns" if turns else "calm")).open((symbol,), seed))
    keys = partition(symbol, project.settings.horizons[0])
    known = stamps < begin + train * DAY_US
    _put(project, f"{symbol}-1.csv", ticks.filter(pa.array(known)))
    play(project)
    pointer = read_record(project, keys).pointer or {}
    if pointer.get("bundle_id") is None:
        return None
    _put(project, f"{symbol}-2.csv", ticks.filter(pa.array(~known)))
    play(project, until="features")
    return _follow(project, keys, pointer, int(begin + turn * DAY_US), None if turns else CALM_LABELS)


def _of_files(project: Project) -> Project:
    """The same project with files for its source: what it has today is less than what it will have."""
    values = project.settings.model_dump(mode="json")
    values["source"] = {"kind": "ticks", "folder": "ticks"}
    return Project(Settings.model_validate(values), project.folder)


def _put(project: Project, name: str, ticks: pa.Table) -> None:
    folder = project.path("ticks")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(csv_bytes(ticks))


def _follow(project: Project, keys: Any, pointer: Mapping[str, Any], turn_us: int, most: int | None) -> Watch:
    """Feed the monitor every outcome since score, as `drift/performance` does, and note where it stands."""
    model = bundle_of(project, str(pointer["layer"]), keys, str(pointer["bundle_id"]))
    market = market_of(project, keys).since(int(pointer["scored_through_us"]))
    found = resolve(project, market, model, float(pointer["min_confidence"]))
    reference = Reference.from_dict(dict(pointer["reference"]))
    monitor = PerformanceMonitor(reference, drift_threshold=project.settings.drift.drift_threshold)
    labels_at_turn, r_at_turn = 0, 0.0
    r_at: dict[str, float] = {}
    for event in events_of(project, found, 0, 0):
        if isinstance(event, Label):
            monitor.label(event)
        else:
            monitor.trade(event)
        if event.t1_us <= turn_us:
            labels_at_turn, r_at_turn = monitor.labels, monitor.total_r
        for alarm in monitor.alarms:
            r_at.setdefault(alarm.name, monitor.total_r)
        if monitor.labels == most:
            break
    return Watch(tuple(monitor.alarms), labels_at_turn, r_at_turn, r_at)
