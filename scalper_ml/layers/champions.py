"""champions: the only writer of what the bot runs; no champion means no trade."""

import json
from typing import Any

from scalper_ml.durable import canonical_json
from scalper_ml.errors import WarehouseError
from scalper_ml.layers.base import Keys, Layer, code_digest
from scalper_ml.project import Project
from scalper_ml.warehouse import Check, Manifest

__all__ = ["CHAMPIONS_LAYER"]


def _verdict(project: Project, keys: Keys) -> dict[str, Any]:
    warehouse = project.warehouse
    thresholds = json.loads(warehouse.read_bytes(warehouse.require("thresholds", {}), "thresholds.json"))
    try:
        verdict: dict[str, Any] = thresholds["coins"][str(keys["symbol"])]["horizons"][str(keys["horizon"])]
    except KeyError:
        raise WarehouseError(
            f"champions {dict(keys)}: thresholds know nothing of it; materialise thresholds again"
        ) from None
    return verdict


def _inputs(project: Project, keys: Keys) -> dict[str, Any]:
    return {
        "code": code_digest("layers/champions"),
        "candidate": project.warehouse.require("candidates", keys).content,
        "verdict": _verdict(project, keys),
        "drift": project.settings.fingerprint("drift"),
    }


def _build(project: Project, keys: Keys) -> Manifest:
    inputs = _inputs(project, keys)
    warehouse = project.warehouse
    candidate = json.loads(warehouse.read_bytes(warehouse.require("candidates", keys), "candidate.json"))
    backtest = json.loads(warehouse.read_bytes(warehouse.require("backtests", keys), "report.json"))
    verdict = _verdict(project, keys)
    scored = backtest["lineage"]["bundle_id"]
    published = verdict["report_id"]  # None: not scored, so there is no champion
    if published is not None and (scored != candidate["bundle_id"] or published != backtest["report_id"]):
        raise WarehouseError(
            f"champions {dict(keys)}: the candidate is bundle {candidate['bundle_id'][:12]}, the backtest scored "
            f"{scored[:12]}; thresholds publish report {verdict['report_id']}, the backtest wrote "
            f"{backtest['report_id']}; materialise backtests and thresholds again"
        )
    accepted = verdict["action"] != "NO_TRADE"
    pointer = {
        "symbol": str(keys["symbol"]),
        "horizon": int(keys["horizon"]),
        "bundle_id": candidate["bundle_id"] if accepted else None,
        "kind": candidate["kind"] if accepted else None,
        "layer": candidate["layer"] if accepted else None,
        "action": verdict["action"],
        "quality_tier": verdict["quality_tier"],
        "score_0_100": verdict["score_0_100"],
        "min_confidence": verdict["min_confidence"],
        "reason": verdict["reason"],
        "drift": project.settings.drift.model_dump(),
    }
    previous = warehouse.manifest("champions", keys)
    history = json.loads(warehouse.read_bytes(previous, "history.json")) if previous else []
    if not history or history[-1] != pointer:
        history = [*history, pointer]
    files = {"champion.json": canonical_json(pointer, indent=1), "history.json": canonical_json(history, indent=1)}
    checks = [Check("has_champion", accepted, pointer["reason"], blocking=False, values={"action": pointer["action"]})]
    return warehouse.write("champions", keys, files, inputs=inputs, summary=pointer, checks=checks)


CHAMPIONS_LAYER = Layer(
    "champions", "symbol_horizon", ("thresholds", "candidates", "backtests"), ("has_champion",), _inputs, _build
)
