"""The whole graph in one command: plan what is stale, run it partition by partition through Dagster.

A Dagster run cannot mix assets of different partitions, so the driver loops over the jobs of the
three shapes in the order of the graph, symbols first. What is fresh (equal inputs) is not run.
"""

import fcntl
import gc
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml

from scalper_assets.project import dagster_home
from scalper_ml.errors import ScalperError, SettingsError
from scalper_ml.layers import layers_of
from scalper_ml.layers.base import Layer, keys_of
from scalper_ml.project import Project
from scalper_ml.remote.sources import is_remote

if TYPE_CHECKING:
    from dagster import DagsterInstance

__all__ = ["Only", "Outcome", "Step", "initialise_home", "plan", "run_plan"]

Only = Literal["ticks", "features", "train", "backtest", "thresholds"]
STAGES: dict[Only, tuple[str, ...]] = {
    "ticks": ("ticks", "bars", "event_bars", "context", "context_bars", "book"),
    "features": ("market", "features"),
    "train": ("datasets", "models", "meta_labels", "ensembles", "candidates"),
    "backtest": ("placebo", "backtests"),
    "thresholds": ("thresholds", "champions", "drift"),
}
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

DAGSTER_YAML = """\
telemetry: {enabled: false}
nux: {enabled: false}
python_logs: {python_log_level: INFO}
event_log_storage: {module: scalper_assets.storage, class: EventLog, config: {base_dir: {env: DAGSTER_HOME}}}
run_storage: {module: scalper_assets.storage, class: RunLog, config: {base_dir: {env: DAGSTER_HOME}}}
schedule_storage:
  module: dagster._core.storage.schedules
  class: SqliteScheduleStorage
  config: {base_dir: {env: DAGSTER_HOME}}
"""


@dataclass(frozen=True, slots=True)
class Step:
    """Consecutive layers of one partition: one Dagster run."""

    layers: tuple[str, ...]
    keys: tuple[tuple[str, str | int], ...]

    @property
    def name(self) -> str:
        """``EDGEUSDT x 3``, or ``all symbols``."""
        return " x ".join(str(value) for _, value in self.keys) or "all symbols"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step did: the layers that were run, or the error that ended it."""

    step: Step
    ran: tuple[str, ...]
    seconds: float
    built: int = 0
    error: str | None = None


def initialise_home(folder: Path) -> Path:
    """Create the Dagster home and its database, once and serially.

    A fresh SQLite home that several processes open at the same time is corrupted for good.
    """
    home = dagster_home(folder)
    os.environ["DAGSTER_HOME"] = str(home)
    marker = home / ".initialised"
    home.mkdir(parents=True, exist_ok=True)
    with open(home / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not marker.exists():
            _create_home(home)
            marker.touch()
    return home


def _create_home(home: Path) -> None:
    """Write the configuration and let Dagster create its tables."""
    if not (home / "dagster.yaml").exists():
        (home / "dagster.yaml").write_text(DAGSTER_YAML)
    from dagster import DagsterInstance

    with DagsterInstance.get() as instance:
        instance.get_runs(limit=1)
        instance.all_asset_keys()
        instance.schedules_directory()


def plan(
    project: Project, *, symbols: Sequence[str], horizons: Sequence[int], only: Only | None = None
) -> list[list[Step]]:
    """Phases of steps; the steps of one phase do not depend on each other.

    Parameters
    ----------
    symbols, horizons : sequences
        A selection of the configured ones; coins without bars are given some, for the cross-asset layer.
    only : str, optional
        One stage of the road.
    """
    settings = project.settings
    for symbol in symbols:
        keys_of(settings, symbol=symbol)
    for horizon in horizons:
        keys_of(settings, horizon=horizon)
    symbols, horizons = list(dict.fromkeys(symbols)), list(dict.fromkeys(horizons))
    wanted = STAGES[only] if only else None
    layers = [layer for layer in layers_of(settings) if wanted is None or layer.name.split("/")[0] in wanted]
    phases: list[list[Step]] = []
    for group in _consecutive(layers):
        names = tuple(layer.name for layer in group)
        if group[0].shape == "none":
            phases.append([Step(names, ())])
        elif group[0].shape == "symbol":
            coins = list(symbols)
            if "bars" in names and "market" in (layer.name for layer in layers_of(settings)):
                coins += [  # cross-asset features need every coin, on the same bars
                    symbol for symbol in settings.symbols if symbol not in coins and not _has_bars(project, symbol)
                ]
            phases.append([Step(names, (("symbol", symbol),)) for symbol in coins])
        else:
            phases.append([Step(names, (("symbol", s), ("horizon", h))) for s in symbols for h in horizons])
    return phases


def _has_bars(project: Project, symbol: str) -> bool:
    """Whether a coin has bars of the interval that is set."""
    manifest = project.warehouse.manifest("bars", {"symbol": symbol})
    return manifest is not None and manifest.summary["interval"] == project.settings.bars.interval


def _consecutive(layers: Sequence[Layer]) -> Iterator[list[Layer]]:
    group: list[Layer] = []
    for layer in layers:
        if group and group[-1].shape != layer.shape:
            yield group
            group = []
        group.append(layer)
    if group:
        yield group


def stale_layers(project: Project, step: Step, force: bool) -> tuple[str, ...]:
    """The stale layers of a step, and those downstream of them."""
    if force:
        return step.layers
    by_name = {layer.name: layer for layer in layers_of(project.settings)}
    stale: list[str] = []
    for name in step.layers:
        layer = by_name[name]
        try:
            fresh = not set(stale) & set(layer.upstream) and layer.fresh(project, dict(step.keys))
        except ScalperError:  # something upstream is missing or blocked: the run will say so
            fresh = False
        if not fresh:
            stale.append(name)
    return tuple(stale)


@lru_cache(maxsize=1)
def _instance() -> "DagsterInstance":
    """The Dagster instance of this process, opened once: opening costs as much as a small run.

    What is printed goes to the terminal alone, unless the home says where to keep it: for that Dagster starts four
    processes a run. What is loaded by now stays for good, so that collections of garbage need not go through it.
    """
    from dagster import DagsterInstance
    from dagster._core.instance.ref import InstanceRef

    gc.freeze()
    home = os.environ["DAGSTER_HOME"]
    given = yaml.safe_load((Path(home) / "dagster.yaml").read_text()) or {}
    nowhere = {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}
    return DagsterInstance.from_ref(
        InstanceRef.from_dir(home, overrides={} if "compute_logs" in given else {"compute_logs": nowhere})
    )


def _bring(project: Project, step: Step) -> None:
    """Ask a remote place of ticks what it offers, once a run, so that what is new there makes its ticks stale."""
    if "ticks" in step.layers and is_remote(project.settings.source.folder):
        from scalper_ml.layers.tick_sources import bring_sources

        bring_sources(project, str(dict(step.keys)["symbol"]))


def execute(step: Step, force: bool) -> Outcome:
    """Run what is stale of one step as one Dagster run, in this process."""
    from scalper_assets.project import location_project

    project = location_project()
    started = time.perf_counter()
    try:
        _bring(project, step)
    except ScalperError as error:  # what was ingested stays as it is, and nothing can be said about what is new
        return Outcome(step, step.layers[:1], time.perf_counter() - started, error=f"{type(error).__name__}: {error}")
    selected = stale_layers(project, step, force)
    if not selected:
        return Outcome(step, (), time.perf_counter() - started)
    from scalper_assets.assets.factory import asset_key  # Dagster takes two seconds: only for what has to run
    from scalper_assets.definitions import defs
    from scalper_assets.jobs import JOB_OF_SHAPE
    from scalper_assets.partitions import partition_key

    shape = next(layer.shape for layer in layers_of(project.settings) if layer.name == selected[0])
    result = defs.resolve_job_def(JOB_OF_SHAPE[shape]).execute_in_process(
        instance=_instance(),
        partition_key=partition_key(dict(step.keys)),
        asset_selection=[asset_key(name) for name in selected],
        run_config=QUIET,
        raise_on_error=False,
    )
    seconds = time.perf_counter() - started
    if result.success:
        return Outcome(step, selected, seconds, built=len(selected))
    failures = [
        event.step_failure_data.user_failure_data.description
        if event.step_failure_data.user_failure_data
        else str(event.step_failure_data.error)
        for event in result.all_events
        if event.is_step_failure
    ]
    cause = next((text for text in failures if text), "the run failed; see it in the Dagster UI")
    built = sum(event.is_step_success for event in result.all_events)
    return Outcome(step, selected, seconds, built=built, error=cause)


def _die_with_parent() -> None:
    """End this worker when the driver is gone, however it went: a killed driver leaves no process behind."""
    parent = parent_process()

    def watch() -> None:
        if parent is not None:
            wait([parent.sentinel])
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def run_plan(
    phases: Sequence[Sequence[Step]],
    *,
    workers: int = 1,
    force: bool = False,
    report: Callable[[Outcome], Any] = lambda outcome: None,
) -> list[Outcome]:
    """Run all phases in order; within a phase up to `workers` steps at a time, each in its own process.

    A failed step does not stop the others; what depends on it fails with the reason.

    Raises
    ------
    ScalperError
        A worker was killed from outside.
    """
    outcomes: list[Outcome] = []
    if workers < 1:
        raise SettingsError(f"workers is {workers}; expected at least 1")
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _die_with_parent) if workers > 1 else None
    try:
        for phase in phases:
            for outcome in _run_phase(phase, pool, force):
                report(outcome)
                outcomes.append(outcome)
    except BrokenProcessPool:
        raise ScalperError(
            "a worker was killed, perhaps for want of memory; what was published stays - run again with fewer --workers"
        ) from None
    finally:
        if pool:
            pool.shutdown(cancel_futures=True)
    return outcomes


def _run_phase(phase: Sequence[Step], pool: ProcessPoolExecutor | None, force: bool) -> Iterator[Outcome]:
    if pool is None or len(phase) == 1:
        for step in phase:
            yield execute(step, force)
        return
    futures: list[Future[Outcome]] = [pool.submit(execute, step, force) for step in phase]
    for future in as_completed(futures):
        yield future.result()
