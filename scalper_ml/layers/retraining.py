"""retrain_log: every retrain that was asked for, why, and what became of it; and whether another one is due."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

import pyarrow as pa

from scalper_ml.drift.policy import Decision, Watched, decide_retrain
from scalper_ml.durable import parquet_bytes
from scalper_ml.layers.base import Keys
from scalper_ml.layers.champion_record import read_record
from scalper_ml.layers.drift import watched
from scalper_ml.project import Project
from scalper_ml.schema import US, conform
from scalper_ml.warehouse import Manifest

__all__ = ["RETRAIN_LOG", "Request", "consider", "open_request", "request_retrain", "retrain_log", "settle"]

LAYER: Final = "retrain_log"
Request = dict[str, Any]
_OPEN: Final = ("requested", "shadow")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_IN_VAIN: Final = ("refused", "failed")

RETRAIN_LOG: Final = pa.schema(
    [
        pa.field("run_key", pa.string(), nullable=False),
        pa.field("requested_ts_us", US, nullable=False),  # stream time
        pa.field("triggers", pa.string(), nullable=False),
        pa.field("bundle_before", pa.string(), nullable=False),
        pa.field("trades", pa.int64(), nullable=False),  # that its monitor had seen
        pa.field("outcome", pa.string(), nullable=False),  # requested, shadow, promoted, refused, failed
        pa.field("bundle_after", pa.string()),  # the challenger, whether or not it took the place
        pa.field("reason", pa.string(), nullable=False),
    ]
)


def retrain_log(project: Project, keys: Keys) -> list[Request]:
    """The requests of a partition, the oldest first."""
    manifest = project.warehouse.manifest(LAYER, keys)
    if manifest is None:
        return []
    rows: list[Request] = project.warehouse.read_table(manifest).to_pylist()
    return rows


def _write(project: Project, keys: Keys, rows: list[Request]) -> Manifest:
    table = conform(pa.Table.from_pylist(rows, schema=RETRAIN_LOG), RETRAIN_LOG, LAYER)
    summary = {"requests": len(rows), "outcome": rows[-1]["outcome"], "run_key": rows[-1]["run_key"]}
    return project.warehouse.write(LAYER, keys, {"data.parquet": parquet_bytes(table)}, inputs={}, summary=summary)


def _us(stamp: datetime) -> int:
    """Microseconds of a stamp."""
    return (stamp - _EPOCH) // timedelta(microseconds=1)


def consider(project: Project, keys: Keys, running: int = 0) -> tuple[Decision, Watched] | None:
    """Whether a partition is to be retrained now; None where no champion is watched.

    Parameters
    ----------
    running : int
        Retrains of all partitions that have not ended.
    """
    seen = watched(project, keys)
    if seen is None:
        return None
    record, rows = read_record(project, keys), retrain_log(project, keys)
    challenger = record.challenger
    seen = replace(seen, shadow_running=challenger is not None and challenger["status"] == "shadow")
    if rows:
        last = rows[-1]
        same = last["bundle_before"] == record.bundle_id
        tail = next((n for n, row in enumerate(reversed(rows)) if row["outcome"] not in _IN_VAIN), len(rows))
        requested_us, trades_then = _us(last["requested_ts_us"]), last["trades"] if same else 0
        seen = replace(seen, requested_us=requested_us, trades_then=trades_then, failures=tail)
    return decide_retrain(seen, running), seen


def open_request(project: Project, keys: Keys) -> Request | None:
    """The newest request, if its run has not been seen to end."""
    rows = retrain_log(project, keys)
    return rows[-1] if rows and rows[-1]["outcome"] == "requested" else None


def request_retrain(project: Project, keys: Keys, decision: Decision, seen: Watched) -> Request:
    """Write a request down before it is made: asked again, the same one comes back, so that one run answers it."""
    with project.warehouse.building(LAYER, keys):
        rows = retrain_log(project, keys)
        if rows and rows[-1]["outcome"] == "requested":
            return rows[-1]
        row: Request = {
            "run_key": f"retrain {keys['symbol']} x {keys['horizon']} {seen.now_us}",
            "requested_ts_us": _EPOCH + timedelta(microseconds=seen.now_us),
            "triggers": ", ".join(decision.triggers),
            "bundle_before": str(read_record(project, keys).bundle_id),
            "trades": seen.trades,
            "outcome": "requested",
            "bundle_after": None,
            "reason": decision.reason,
        }
        _write(project, keys, [*rows, row])
        return row


def settle(project: Project, keys: Keys, ended: Literal["success", "failure"] | None = None) -> Request | None:
    """Write down what became of the newest request, if that is known by now.

    Parameters
    ----------
    ended : {"success", "failure"}, optional
        How its run ended; None if it has not, or was seen to end before.

    Returns
    -------
    dict or None
        The request as it stands; None where there is none.
    """
    with project.warehouse.building(LAYER, keys):
        rows = retrain_log(project, keys)
        if not rows or rows[-1]["outcome"] not in _OPEN:
            return rows[-1] if rows else None
        after = _outcome(project, keys, rows[-1], ended)
        if after != rows[-1]:
            _write(project, keys, [*rows[:-1], after])
        return after


def _outcome(project: Project, keys: Keys, row: Request, ended: str | None) -> Request:
    if row["outcome"] == "requested" and ended is None:
        return row
    if ended == "failure":
        return row | {"outcome": "failed", "reason": "its run failed; see it in the Dagster UI"}
    record = read_record(project, keys)
    if (challenger := record.challenger) is not None:
        told = {
            "outcome": challenger["status"],
            "bundle_after": challenger["bundle_id"],
            "reason": challenger["reason"],
        }
        return row | told
    if record.bundle_id != row["bundle_before"]:
        reason = next(one["reason"] for one in reversed(record.history) if one["event"] in ("promoted", "rolled_back"))
        return row | {"outcome": "promoted", "bundle_after": record.bundle_id, "reason": reason}
    return row | {"outcome": "refused", "bundle_after": record.bundle_id, "reason": "the same model came out of it"}
