"""Changing by hand what the bot runs: promoted, rolled back, suspended, resumed.

Every change goes through the lock of its partition and may name the champion it was decided against, so that two
retrains, or a promotion during a rollback, end as if one had come after the other.
"""

from collections.abc import Callable, Mapping
from typing import Any

from scalper_ml.champions.record import Record, begun
from scalper_ml.durable import canonical_json, sha256_of
from scalper_ml.errors import SupersededError, WarehouseError
from scalper_ml.layers.base import Keys
from scalper_ml.layers.champion_record import inputs_of, publish, record_of
from scalper_ml.layers.models import bundle_of
from scalper_ml.project import Project
from scalper_ml.schema import us

__all__ = ["promote", "resume", "rollback", "suspend"]


def _change(
    project: Project, keys: Keys, expected: str | None, change: Callable[[Record, Mapping[str, Any]], Record]
) -> Record:
    """Swap the pointer if `expected` still runs (None: whatever does), keeping what the partition was built from.

    Raises
    ------
    SupersededError
        Another champion runs by now.
    WarehouseError
        Nothing was built there.
    """
    with project.warehouse.building("champions", keys):
        manifest = project.warehouse.require("champions", keys)
        record = record_of(project, manifest)
        if expected is not None and record.bundle_id != expected:
            raise SupersededError(
                f"champions {dict(keys)}: found {(record.bundle_id or 'none')[:12]}, decided against {expected[:12]}; "
                "another change came first - look again"
            )
        bars = project.warehouse.read_table(
            project.warehouse.require("bars", {"symbol": keys["symbol"]}), columns=["ts_us"]
        )
        at = {"at_us": int(us(bars["ts_us"])[-1]), "inputs": sha256_of(canonical_json(record.pointer))[:16]}
        after = change(record, at)
        if after is not record:
            inputs = manifest.inputs if after.challenger == record.challenger else inputs_of(project, keys, after)
            publish(project, keys, after, inputs)
        return after


def promote(project: Project, keys: Keys, bundle_id: str, reason: str, *, expected: str | None = None) -> Record:
    """Put the challenger, or a champion of the past, in place by hand; its bundle is verified first.

    Parameters
    ----------
    bundle_id : str
        The beginning of it is enough.
    expected : str, optional
        The champion this was decided against.

    Raises
    ------
    WarehouseError
        No or several bundles begin so, it is the champion, the gate does not let it trade, or it was suspended.
    """

    def change(record: Record, at: Mapping[str, Any]) -> Record:
        runs, asks = record.bundle_id, record.challenger
        chosen = begun(bundle_id, record.others if runs is None else [runs, *record.others])
        if chosen == runs:
            raise WarehouseError(f"promote {bundle_id[:12]}: it is the champion already; nothing was changed")
        pointer = dict(record.others[chosen]) | {"since_us": at["at_us"]}
        left = None if asks is not None and asks["bundle_id"] == chosen else asks
        if pointer["suspended"]:
            raise WarehouseError(
                f"promote {bundle_id[:12]}: it was suspended ({pointer['suspended']}); roll back to it, then resume it"
            )
        if pointer["action"] == "NO_TRADE":
            raise WarehouseError(
                f"promote {bundle_id[:12]}: the gate does not let it trade ({pointer['reason']}); nobody overrules it"
            )
        bundle_of(project, pointer["layer"], keys, pointer["bundle_id"])
        after = record.with_pointer("promoted", pointer, reason=reason, **at)
        return Record(after.pointer, left, after.history)

    return _change(project, keys, expected, change)


def rollback(
    project: Project, keys: Keys, reason: str, *, to: str | None = None, expected: str | None = None
) -> Record:
    """Return to the champion before, or to the one called `to`; its bundle is verified first.

    One that was suspended comes back suspended, until it is resumed.
    """

    def change(record: Record, at: Mapping[str, Any]) -> Record:
        pointer = dict(record.before(to)) | {"since_us": at["at_us"]}
        bundle_of(project, pointer["layer"], keys, pointer["bundle_id"])
        return record.with_pointer("rolled_back", pointer, reason=reason, **at)

    return _change(project, keys, expected, change)


def suspend(project: Project, keys: Keys, reason: str, *, expected: str | None = None) -> Record:
    """Stop the champion from trading; it goes on in the shadow until it is resumed or replaced.

    Raises
    ------
    WarehouseError
        The reason is empty: it is what marks a champion as suspended, and what the gate answers.
    """
    if not reason.strip():
        raise WarehouseError(f"suspend {keys['symbol']} x {keys['horizon']}: found no reason; expected a word or more")

    def change(record: Record, at: Mapping[str, Any]) -> Record:
        if record.pointer is None or record.bundle_id is None or record.pointer["suspended"]:
            return record
        pointer = dict(record.pointer) | {"suspended": reason, "action": "NO_TRADE"}
        return record.with_pointer("suspended", pointer, reason=reason, **at)

    return _change(project, keys, expected, change)


def resume(project: Project, keys: Keys, reason: str, *, expected: str | None = None) -> Record:
    """Let a suspended champion trade again, as it did before."""

    def change(record: Record, at: Mapping[str, Any]) -> Record:
        if record.pointer is None or not record.pointer["suspended"]:
            return record
        allowed = [one["pointer"] for one in record.history if one["pointer"] and one["bundle_id"] == record.bundle_id]
        action = next(one["action"] for one in reversed(allowed) if not one["suspended"])
        pointer = dict(record.pointer) | {"suspended": None, "action": action}
        return record.with_pointer("resumed", pointer, reason=reason, **at)

    return _change(project, keys, expected, change)
