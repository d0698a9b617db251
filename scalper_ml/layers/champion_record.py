"""What is kept of a partition of champions: what runs, what asks for its place, what ran before."""

import json
import time
from collections.abc import Mapping
from typing import Any

from scalper_ml.champions.record import Record
from scalper_ml.durable import canonical_json
from scalper_ml.errors import WarehouseError
from scalper_ml.layers.base import Keys, code_digest
from scalper_ml.project import Project
from scalper_ml.warehouse import Check, Manifest

__all__ = ["inputs_of", "publish", "read_record", "record_of", "verdict_of"]


def read_record(project: Project, keys: Keys) -> Record:
    """The record of a partition; an empty one before the first build."""
    manifest = project.warehouse.manifest("champions", keys)
    return Record() if manifest is None else record_of(project, manifest)


def record_of(project: Project, manifest: Manifest) -> Record:
    """The record that this version of the partition holds."""
    if "challenger.json" not in manifest.files:  # of a version without challengers: its champion is judged as a new one
        return Record()
    pointer, history, challenger = (
        json.loads(project.warehouse.read_bytes(manifest, f"{name}.json"))
        for name in ("champion", "history", "challenger")
    )
    return Record(pointer, challenger, tuple(history))


def verdict_of(project: Project, keys: Keys) -> dict[str, Any]:
    """What the gate says of the partition in the published thresholds.

    Raises
    ------
    WarehouseError
        They do not know it.
    """
    warehouse = project.warehouse
    thresholds = json.loads(warehouse.read_bytes(warehouse.require("thresholds", {}), "thresholds.json"))
    try:
        verdict: dict[str, Any] = thresholds["coins"][str(keys["symbol"])]["horizons"][str(keys["horizon"])]
    except KeyError:
        raise WarehouseError(
            f"champions {dict(keys)}: thresholds know nothing of it; materialise thresholds again"
        ) from None
    return verdict


def inputs_of(project: Project, keys: Keys, record: Record) -> dict[str, Any]:
    """What a build depends on; while a challenger runs in the shadow also the bars it runs on."""
    inputs: dict[str, Any] = {
        "code": code_digest(
            "layers/champions", "layers/champion_record", "layers/outcomes", "champions", "drift/reference"
        ),
        "candidate": project.warehouse.require("candidates", keys).content,
        "verdict": verdict_of(project, keys),
        "drift": project.settings.fingerprint("drift"),
    }
    if record.challenger is not None and record.challenger["status"] == "shadow":
        inputs["features"] = project.warehouse.require("features", {"symbol": keys["symbol"]}).content
    return inputs


def publish(project: Project, keys: Keys, record: Record, inputs: Mapping[str, Any]) -> Manifest:
    """Write the record as the partition's newest version, with the warning where nothing may trade."""
    pointer = dict(record.pointer or {})
    files = {
        "champion.json": canonical_json(pointer, indent=1),
        "history.json": canonical_json(list(record.history), indent=1),
        "challenger.json": canonical_json(record.challenger, indent=1),
    }
    action, reason = pointer["action"], str(pointer["suspended"] or pointer["reason"])
    checks = [Check("has_champion", action != "NO_TRADE", reason, blocking=False, values={"action": action})]
    challenger = record.challenger and {k: record.challenger[k] for k in ("bundle_id", "status", "reason", "since_us")}
    summary = pointer | {"challenger": challenger, "transitions": len(record.history), "pinned": record.pinned}
    recorded = {"recorded_us": _wall_clock(project, keys, len(record.history))}
    return project.warehouse.write(
        "champions",
        keys,
        files,
        inputs=inputs,
        summary=summary,
        checks=checks,
        beside={"recorded.json": canonical_json(recorded)},
    )


def _wall_clock(project: Project, keys: Keys, transitions: int) -> list[int]:
    """When this machine's clock saw each transition; no part of the record, which is of stream time."""
    manifest = project.warehouse.manifest("champions", keys)
    before: list[int] = []
    if manifest is not None and "recorded.json" in manifest.beside:
        before = json.loads(project.warehouse.read_bytes(manifest, "recorded.json"))["recorded_us"]
    return [*before[:transitions], *[time.time_ns() // 1000] * (transitions - len(before))]
