"""The event and run logs of the project's Dagster home: Dagster's own tables, one engine kept open."""

import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import dagster as dg
import pytest
import yaml

from scalper_assets.driver import DAGSTER_YAML
from scalper_assets.storage import EventLog, RunLog

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
CHECKS = [dg.AssetCheckSpec(name, asset="coin") for name in ("rows", "schema")]


@dg.multi_asset(
    specs=[dg.AssetSpec("coin")], check_specs=CHECKS, partitions_def=dg.StaticPartitionsDefinition(["A", "B"])
)
def coin():
    yield dg.MaterializeResult(
        metadata={"rows": 3}, check_results=[dg.AssetCheckResult(passed=True, check_name=c.name) for c in CHECKS]
    )


JOB = dg.Definitions([coin], jobs=[dg.define_asset_job("job")]).resolve_job_def("job")
WRITE = """
import os, sys
sys.path.insert(0, {folder!r})
from dagster import DagsterInstance
from test_storage import JOB, QUIET
with DagsterInstance.get() as instance:
    for _ in range(4):
        assert JOB.execute_in_process(instance=instance, partition_key={key!r}, run_config=QUIET).success
"""


def run(instance: dg.DagsterInstance, partition: str = "A") -> dg.ExecuteInProcessResult:
    return JOB.execute_in_process(instance=instance, partition_key=partition, run_config=QUIET)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Dagster home as `scalper init` makes it."""
    (tmp_path / "dagster.yaml").write_text(DAGSTER_YAML)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    return tmp_path


def test_the_home_uses_the_open_engines(home: Path) -> None:
    """The file `scalper init` writes names both logs, and nothing of the machine."""
    assert not any(isinstance(part, str) and "/" in part for part in yaml.safe_load(DAGSTER_YAML).values())
    with dg.DagsterInstance.get() as instance:
        assert isinstance(instance.event_log_storage, EventLog)
        assert isinstance(instance.run_storage, RunLog)
        engines = {id(instance.event_log_storage._engine) for _ in range(3) if run(instance).success}
    assert len(engines) == 1


def test_a_run_leaves_the_events_dagsters_own_log_has(home: Path) -> None:
    """Same types in the same number, same materialisation, same check results, same status of the run."""
    told = []
    with dg.DagsterInstance.get() as ours, dg.DagsterInstance.local_temp() as theirs:
        for instance in (ours, theirs):
            done = run(instance)
            events = instance.all_logs(done.run_id)
            latest = instance.get_latest_materialization_event(dg.AssetKey("coin"))
            told.append(
                (
                    Counter(event.dagster_event_type for event in events),
                    latest.asset_materialization.metadata["rows"].value,
                    latest.asset_materialization.partition,
                    instance.get_run_by_id(done.run_id).status,
                    instance.event_log_storage.get_materialized_partitions(dg.AssetKey("coin")),
                )
            )
    assert told[0] == told[1]
    assert sum(told[0][0].values()) > 10


def test_two_processes_write_at_the_same_time(home: Path) -> None:
    """Every run of both ends in SUCCESS and none of its events is missing."""
    with dg.DagsterInstance.get() as instance:
        expected = len(instance.all_logs(run(instance).run_id))
        code = [WRITE.format(folder=str(Path(__file__).parent), key=key) for key in "AB"]
        writers = [subprocess.Popen([sys.executable, "-c", one], stderr=subprocess.PIPE, text=True) for one in code]
        errors = [writer.communicate()[1] for writer in writers]
        assert [writer.returncode for writer in writers] == [0, 0], errors
        runs = instance.get_runs()
        assert len(runs) == 9
        assert {one.status for one in runs} == {dg.DagsterRunStatus.SUCCESS}
        assert {len(instance.all_logs(one.run_id)) for one in runs} == {expected}


def test_a_watcher_sees_the_events_of_a_run(home: Path) -> None:
    """The page of a run is told of events as they are written."""
    with dg.DagsterInstance.get() as instance:
        done = run(instance)
        seen, ended = [], threading.Event()

        def tell(event: dg.EventLogEntry, cursor: str) -> None:
            seen.append(event.dagster_event_type)
            if event.dagster_event_type == dg.DagsterEventType.RUN_SUCCESS:
                ended.set()

        instance.watch_event_logs(done.run_id, None, tell)
        assert ended.wait(20)
        instance.end_watch_event_logs(done.run_id, tell)
        assert Counter(seen) == Counter(event.dagster_event_type for event in instance.all_logs(done.run_id))
