"""Dagster's SQLite storages with one engine kept open: theirs make a new one for every statement.

A new engine parses and compiles its statements anew and opens the file again, and the event log keeps a database for
every run, each migrated from the first revision; a run of one partition writes some forty events. Tables and statements
are Dagster's own; ``dagster.yaml`` names these classes.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any

from dagster._core.storage.event_log.polling_event_watcher import SqlPollingEventWatcher
from dagster._core.storage.event_log.sqlite.consolidated_sqlite_event_log import ConsolidatedSqliteEventLogStorage
from dagster._core.storage.runs.sqlite.sqlite_run_storage import SqliteRunStorage
from sqlalchemy import Engine, create_engine, event, inspect

__all__ = ["EventLog", "RunLog"]

BUSY_S = 60  # how long a writer waits for other processes


def _engine_of(url: str) -> Engine:
    """An engine whose commits do not wait for the disk.

    A killed process loses nothing; a power cut may lose the last events, never the file. What was built is told by
    the warehouse's own manifests, which are synced.
    """
    engine = create_engine(url, connect_args={"timeout": BUSY_S})

    @event.listens_for(engine, "connect")
    def _set(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA synchronous=NORMAL")

    return engine


class EventLog(ConsolidatedSqliteEventLogStorage):
    """The events of all runs, in one file."""

    @cached_property
    def _engine(self) -> Engine:
        return _engine_of(self._conn_string)

    @cached_property
    def _tables(self) -> set[str]:
        return set(inspect(self._engine).get_table_names())

    def _connect(self) -> Any:
        return self._engine.begin()

    def has_table(self, table_name: str) -> bool:
        return table_name in self._tables

    @cached_property
    def _watcher(self) -> SqlPollingEventWatcher:
        """Polls: the file's own stamp changes long after the events in its write-ahead log."""
        return SqlPollingEventWatcher(self)

    def watch(self, run_id: str, cursor: str | None, callback: Callable[..., None]) -> None:
        self._watcher.watch_run(run_id, cursor, callback)

    def end_watch(self, run_id: str, handler: Callable[..., None]) -> None:
        self._watcher.unwatch_run(run_id, handler)

    def dispose(self) -> None:
        self._watcher.close()


class RunLog(SqliteRunStorage):
    """The runs."""

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> "RunLog":
        return cls.from_local(inst_data=inst_data, **config_value)

    @cached_property
    def _engine(self) -> Engine:
        return _engine_of(self._conn_string)

    def connect(self) -> Any:
        return self._engine.begin()
