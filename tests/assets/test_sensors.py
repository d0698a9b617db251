"""Sensors without daemons: what asks for a run, once, and what waits with its reason."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dagster import (
    DagsterInstance,
    DagsterRunStatus,
    DefaultSensorStatus,
    RunRequest,
    SensorResult,
    SkipReason,
    build_schedule_context,
    build_sensor_context,
)
from flipproject import KEYS, SYMBOL, FlipProject, after_the_turn, with_champion

from scalper_assets.definitions import defs
from scalper_assets.jobs import NEW_DATA_JOB, RETRAIN_JOB, WATCH_JOB
from scalper_assets.metadata import describe
from scalper_assets.resources import ProjectResource
from scalper_assets.sensors import SCHEDULES, SENSORS, daily, drift_retrain, new_ticks, stale_champion
from scalper_ml.layers.champion_record import read_record
from scalper_ml.layers.retraining import retrain_log


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as one:
        yield one


@pytest.fixture
def calm(tmp_path: Path) -> FlipProject:
    """A champion that has been looked at."""
    return with_champion().copy(tmp_path / "project")


@pytest.fixture
def turned(tmp_path: Path) -> FlipProject:
    """The same after its market has turned."""
    return after_the_turn().copy(tmp_path / "project")


def tick(sensor: Any, place: FlipProject, instance: DagsterInstance, cursor: str | None = None) -> Any:
    """One evaluation."""
    resources = {"project": ProjectResource.of(place.project)}
    return sensor(build_sensor_context(instance=instance, resources=resources, cursor=cursor))


def requests(result: Any) -> list[RunRequest]:
    assert isinstance(result, SensorResult), result
    return list(result.run_requests or [])


def run_of(instance: DagsterInstance, request: RunRequest, status: DagsterRunStatus) -> None:
    """The run that the daemon would have made of a request."""
    job = defs.resolve_job_def(RETRAIN_JOB)
    tags = {**request.tags, "dagster/run_key": str(request.run_key)}
    instance.create_run_for_job(job, status=status, tags=tags)


def test_everything_is_off_until_someone_turns_it_on() -> None:
    """Four sensors and a schedule, described, stopped by default, each with a job that exists."""
    assert {one.name for one in SENSORS} == {"drift_retrain", "new_ticks", "stale_champion", "watch_champions"}
    for one in SENSORS:
        assert one.default_status == DefaultSensorStatus.STOPPED
        assert one.description
        assert {target.job_name for target in one.targets} <= {NEW_DATA_JOB, RETRAIN_JOB, WATCH_JOB}
    assert [one.name for one in SCHEDULES] == ["daily"]
    for name in (NEW_DATA_JOB, RETRAIN_JOB, WATCH_JOB):
        assert defs.resolve_job_def(name).description


def test_a_calm_champion_asks_for_nothing(calm: FlipProject, instance: DagsterInstance) -> None:
    """Nothing has drifted and nothing is too old: both sensors skip, and say so."""
    for sensor in (drift_retrain, stale_champion):
        result = tick(sensor, calm, instance)
        assert isinstance(result, SkipReason)
        assert result.skip_message == "no champion asks for a retrain"
    assert retrain_log(calm.project, KEYS) == []


def test_a_drifted_champion_is_retrained_once(turned: FlipProject, instance: DagsterInstance) -> None:
    """Its partition alone, with one run key however often it ticks, until its run has ended."""
    (request,) = requests(tick(drift_retrain, turned, instance))
    assert request.run_key.startswith(f"retrain {SYMBOL} x 1 ")  # type: ignore[union-attr]
    assert request.partition_key == f"1|{SYMBOL}"
    assert "cusum" in request.tags["scalper/why"]
    (again,) = requests(tick(drift_retrain, turned, instance))  # the daemon died before it made the run
    assert again.run_key == request.run_key
    assert isinstance(tick(stale_champion, turned, instance), SkipReason)
    run_of(instance, request, DagsterRunStatus.STARTED)
    (running,) = requests(tick(drift_retrain, turned, instance))
    assert running.run_key == request.run_key
    (row,) = retrain_log(turned.project, KEYS)
    assert (row["outcome"], row["bundle_before"]) == ("requested", read_record(turned.project, KEYS).bundle_id)


def test_a_failed_retrain_is_logged_and_waits(turned: FlipProject, instance: DagsterInstance) -> None:
    """The run of a request failed: the log says so, and the next retrain waits for two days."""
    (request,) = requests(tick(drift_retrain, turned, instance))
    run_of(instance, request, DagsterRunStatus.FAILURE)
    result = tick(drift_retrain, turned, instance)
    assert isinstance(result, SkipReason)
    assert "cooling down: 0.0 h since the last retrain, 48 h asked for" in (result.skip_message or "")
    assert retrain_log(turned.project, KEYS)[-1]["outcome"] == "failed"


def test_at_most_four_retrains_run(turned: FlipProject, instance: DagsterInstance) -> None:
    """Four unfinished retrains of other partitions hold this one back; nothing is logged."""
    for n in range(4):
        run_of(instance, RunRequest(run_key=f"other {n}", tags={}), DagsterRunStatus.STARTING)
    result = tick(drift_retrain, turned, instance)
    assert isinstance(result, SkipReason)
    assert "4 retrains are running; 4 at a time" in (result.skip_message or "")
    assert retrain_log(turned.project, KEYS) == []


def test_an_old_champion_is_retrained_by_its_own_sensor(calm: FlipProject, instance: DagsterInstance) -> None:
    """Older than drift.max_age_days, and otherwise well: only `stale_champion` asks."""
    old = calm.with_settings(drift={"max_age_days": 0.5})
    old.build("thresholds", "champions", "drift")
    assert isinstance(tick(drift_retrain, old, instance), SkipReason)
    (request,) = requests(tick(stale_champion, old, instance))
    assert request.tags["scalper/why"] == "max_age"


def test_files_that_land_are_ingested_once(calm: FlipProject, instance: DagsterInstance) -> None:
    """New, changed: one run each; seen before: none. The cursor keeps what was seen."""
    first = tick(new_ticks, calm, instance)
    (request,) = requests(first)
    assert request.partition_key == SYMBOL
    assert isinstance(tick(new_ticks, calm, instance, first.cursor), SkipReason)
    calm.put(3.5, 3.6)
    second = tick(new_ticks, calm, instance, first.cursor)
    assert requests(second)[0].run_key != request.run_key
    assert json.loads(second.cursor).keys() == {SYMBOL}
    market = {"level": "A", "sigma_bps": 25.0}
    planted = calm.with_settings(source={"kind": "synthetic", "markets": {SYMBOL: market}})
    assert isinstance(tick(new_ticks, planted, instance), SkipReason)


def test_the_daily_run_asks_for_every_symbol() -> None:
    """One run a symbol and day, with a key of the day."""
    from datetime import UTC, datetime

    at = datetime(2026, 1, 2, 0, 10, tzinfo=UTC)
    found = daily(build_schedule_context(scheduled_execution_time=at))
    assert {one.run_key for one in found} >= {"daily EDGEUSDT 2026-01-02"}  # type: ignore[union-attr]


def test_the_ui_shows_what_the_monitors_saw(turned: FlipProject) -> None:
    """Each drift asset, and the champion, is described: state, plots, tables."""
    warehouse = turned.project.warehouse
    shown = {
        name: describe(turned.project, warehouse.require(name, KEYS))
        for name in ("champions", "drift/features", "drift/predictions", "drift/performance")
    }
    assert shown["drift/performance"]["state"] == "SUSPEND"
    for name, plot in (("features", "psi"), ("predictions", "accuracy"), ("performance", "evidence")):
        assert shown[f"drift/{name}"][plot].value.startswith("![")
    assert shown["champions"]["suspended"]
    tables = warehouse.refresh_views()
    assert {"performance_history", "drift_features", "drift_performance_alarms"} <= set(tables)
