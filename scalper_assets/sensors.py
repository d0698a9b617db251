"""Sensors: files that land, champions to look at, champions to retrain. They read manifests and start runs.

All are off until someone turns them on. Time is that of the data, so that a replayed month behaves as a lived one.
"""

import hashlib
import json
from collections.abc import Iterator
from typing import Any, Final, Literal

from dagster import (
    DagsterInstance,
    DagsterRunStatus,
    DefaultScheduleStatus,
    DefaultSensorStatus,
    RunRequest,
    RunsFilter,
    RunStatusSensorContext,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    run_status_sensor,
    schedule,
    sensor,
)

from scalper_assets.jobs import JOBS, NEW_DATA_JOB, RETRAIN_JOB, WATCH_JOB
from scalper_assets.partitions import partition_key
from scalper_assets.project import location_project
from scalper_assets.resources import ProjectResource
from scalper_ml.layers.base import Keys
from scalper_ml.layers.retraining import consider, open_request, request_retrain, settle
from scalper_ml.project import Project
from scalper_ml.remote.sources import is_remote

__all__ = ["SCHEDULES", "SENSORS"]

RUN_KEY: Final = "dagster/run_key"
UNFINISHED: Final = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]
_JOBS: Final = {job.name: job for job in JOBS}


def _partitions(project: Project) -> Iterator[dict[str, str | int]]:
    for symbol in project.settings.symbols:
        for horizon in project.settings.horizons:
            yield {"symbol": symbol, "horizon": horizon}


def _ended(instance: DagsterInstance, run_key: str) -> Literal["success", "failure"] | None:
    """How the run of a request ended; None if it has not, or was not started yet."""
    runs = instance.get_runs(RunsFilter(job_name=RETRAIN_JOB, tags={RUN_KEY: run_key}), limit=1)
    if not runs or runs[0].status in UNFINISHED:
        return None
    return "success" if runs[0].status == DagsterRunStatus.SUCCESS else "failure"


def _run_of(keys: Keys, run_key: str, why: str) -> RunRequest:
    tags = {"scalper/symbol": str(keys["symbol"]), "scalper/horizon": str(keys["horizon"]), "scalper/why": why}
    return RunRequest(run_key=run_key, partition_key=partition_key(dict(keys)), tags=tags)


def _retrains(
    context: SensorEvaluationContext, project: Project, only: Literal["age", "drift"]
) -> SensorResult | SkipReason:
    """Requests of every partition whose champion is to be retrained, for its age or for anything else."""
    running = context.instance.get_runs_count(RunsFilter(job_name=RETRAIN_JOB, statuses=UNFINISHED))
    requests, waiting = [], []
    for keys in _partitions(project):
        name = f"{keys['symbol']} x {keys['horizon']}"
        if before := open_request(project, keys):
            ended = _ended(context.instance, before["run_key"])
            if ended is None:  # asked again: a request that was lost is made now, one that was not is ignored
                if (before["triggers"] == "max_age") == (only == "age"):
                    requests.append(_run_of(keys, before["run_key"], before["triggers"]))
                continue
            settle(project, keys, ended)
        else:
            settle(project, keys)
        found = consider(project, keys, running + len(requests))
        if found is None or not found[0].triggers or (found[0].triggers == ("max_age",)) != (only == "age"):
            continue
        decision, seen = found
        if not decision.retrain:
            waiting.append(f"{name}: {', '.join(decision.triggers)}, but {decision.reason}")
            continue
        row = request_retrain(project, keys, decision, seen)
        requests.append(_run_of(keys, row["run_key"], row["triggers"]))
    if requests:
        return SensorResult(run_requests=requests)
    return SkipReason("; ".join(waiting) or "no champion asks for a retrain")


def _retraining(name: str, only: Literal["age", "drift"], *, every_s: int, says: str) -> SensorDefinition:
    """A sensor of the retrain job that asks for one reason alone."""

    @sensor(
        name=name,
        job=_JOBS[RETRAIN_JOB],
        minimum_interval_seconds=every_s,
        default_status=DefaultSensorStatus.STOPPED,
        description=says,
    )
    def ask(context: SensorEvaluationContext, project: ProjectResource) -> SensorResult | SkipReason:
        return _retrains(context, project.open(), only)

    return ask


drift_retrain: Final = _retraining(
    "drift_retrain",
    "drift",
    every_s=60,
    says="Retrains a symbol x horizon whose champion has drifted, after its cool-down, four at a time at most.",
)
stale_champion: Final = _retraining(
    "stale_champion",
    "age",
    every_s=3600,
    says="Retrains a symbol x horizon whose champion is older than drift.max_age_days, and fires nothing else.",
)


def _seen(project: Project, symbol: str) -> str:
    """A hash of the names, sizes and stamps of a symbol's files: what `scalper ingest` would read."""
    source = project.settings.source
    files = sorted(project.path(source.folder).glob(f"{symbol}*"))
    told = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files if path.is_file()]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16] if told else ""


@sensor(
    job=_JOBS[NEW_DATA_JOB],
    minimum_interval_seconds=30,
    default_status=DefaultSensorStatus.STOPPED,
    description="Brings a symbol up to its features when files of it land in the source's folder, or change there.",
)
def new_ticks(context: SensorEvaluationContext, project: ProjectResource) -> SensorResult | SkipReason:
    """Ingest what has landed."""
    opened = project.open()
    folder = opened.settings.source.folder
    if opened.settings.source.kind == "synthetic" or is_remote(folder):
        return SkipReason("watches a local folder of files; the daily schedule asks other sources")
    if not opened.path(folder).is_dir():
        return SkipReason(f"{folder} is no folder")
    before: dict[str, str] = json.loads(context.cursor or "{}")
    now = {symbol: _seen(opened, symbol) for symbol in opened.settings.symbols}
    requests = [
        RunRequest(run_key=f"files {symbol} {mark}", partition_key=symbol)
        for symbol, mark in now.items()
        if mark and mark != before.get(symbol)
    ]
    return SensorResult(run_requests=requests, cursor=json.dumps(now)) if requests else SkipReason("no new files")


@run_status_sensor(
    run_status=DagsterRunStatus.SUCCESS,
    monitored_jobs=[_JOBS[NEW_DATA_JOB]],
    request_job=_JOBS[WATCH_JOB],
    default_status=DefaultSensorStatus.STOPPED,
    description="Looks at a symbol's champions when its features have grown.",
)
def watch_champions(context: RunStatusSensorContext) -> Iterator[RunRequest]:
    """Look at every horizon of a symbol that has new bars."""
    symbol = context.dagster_run.tags["dagster/partition"]
    for horizon in location_project().settings.horizons:
        keys: dict[str, str | int] = {"symbol": symbol, "horizon": horizon}
        yield RunRequest(run_key=f"{context.dagster_run.run_id} {horizon}", partition_key=partition_key(keys))


@schedule(
    cron_schedule="10 0 * * *",
    job=_JOBS[NEW_DATA_JOB],
    execution_timezone="UTC",
    default_status=DefaultScheduleStatus.STOPPED,
    description="Once a day every symbol is brought up to its features; its champions are looked at after that.",
)
def daily(context: ScheduleEvaluationContext) -> list[RunRequest]:
    """All symbols, one run each a day."""
    day = f"{context.scheduled_execution_time:%Y-%m-%d}"
    return [
        RunRequest(run_key=f"daily {symbol} {day}", partition_key=symbol)
        for symbol in location_project().settings.symbols
    ]


SENSORS: list[Any] = [drift_retrain, new_ticks, stale_champion, watch_champions]
SCHEDULES: list[ScheduleDefinition] = [daily]
