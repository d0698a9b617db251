"""champions: what the bot runs, judged whenever there is a candidate; no champion means no trade.

A partition is built and changed by hand (`champion_changes`) under one lock.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from scalper_ml.champions.challenge import Comparison, Shadow, Verdict, compare_trades, e_value, replaces
from scalper_ml.champions.record import Record
from scalper_ml.drift.reference import reference_of
from scalper_ml.durable import canonical_json, sha256_of
from scalper_ml.errors import WarehouseError
from scalper_ml.layers.base import Keys, Layer
from scalper_ml.layers.champion_record import inputs_of, publish, read_record, verdict_of
from scalper_ml.layers.models import bundle_of
from scalper_ml.layers.outcomes import Market, market_of, resolve, row_by_row
from scalper_ml.project import Project
from scalper_ml.schema import us
from scalper_ml.warehouse import Manifest

__all__ = ["CHAMPIONS_LAYER", "compare_bundles"]

DAY_US = 86_400_000_000
Pointer = dict[str, Any]


def _inputs(project: Project, keys: Keys) -> dict[str, Any]:
    return inputs_of(project, keys, read_record(project, keys))


def _candidate_pointer(project: Project, keys: Keys, market: Market) -> Pointer:
    """What the bot would follow if the candidate ran: the bundle, what the gate allows it, and what it showed."""
    warehouse = project.warehouse
    candidate = json.loads(warehouse.read_bytes(warehouse.require("candidates", keys), "candidate.json"))
    tested = warehouse.require("backtests", keys)
    backtest = json.loads(warehouse.read_bytes(tested, "report.json"))
    verdict = verdict_of(project, keys)
    scored = backtest["lineage"]["bundle_id"]
    published = verdict["report_id"]  # None: not scored, so there is no champion
    if published is not None and (scored != candidate["bundle_id"] or published != backtest["report_id"]):
        raise WarehouseError(
            f"champions {dict(keys)}: the candidate is bundle {candidate['bundle_id'][:12]}, the backtest scored "
            f"{scored[:12]}; thresholds publish report {verdict['report_id']}, the backtest wrote "
            f"{backtest['report_id']}; materialise backtests and thresholds again"
        )
    pointer: Pointer = {
        "symbol": str(keys["symbol"]),
        "horizon": int(keys["horizon"]),
        **{name: candidate[name] for name in ("bundle_id", "kind", "layer")},
        **{name: verdict[name] for name in ("action", "quality_tier", "score_0_100", "min_confidence", "reason")},
        "drift": project.settings.drift.model_dump(),
        "suspended": None,
    }
    return pointer | (_evidence(project, keys, pointer, backtest, market) if published is not None else {})


def _evidence(project: Project, keys: Keys, pointer: Pointer, backtest: Mapping[str, Any], market: Market) -> Pointer:
    """Until when the bundle has seen data, and its reference on score."""
    warehouse = project.warehouse
    dataset = warehouse.read_table(warehouse.require("datasets", keys))
    role = dataset["role"].to_numpy(zero_copy_only=False)
    t1, score = us(dataset["t1_us"]), role == "score"
    predictions = warehouse.read_table(warehouse.require(pointer["layer"], keys), "predictions.parquet")
    own = predictions["role"].to_numpy(zero_copy_only=False) == "score"
    P = np.column_stack([predictions[name].to_numpy()[own] for name in ("p_short", "p_neutral", "p_long")])
    trades = warehouse.read_table(warehouse.require("backtests", keys), "trades.parquet")
    model = bundle_of(project, pointer["layer"], keys, pointer["bundle_id"])
    components = {one["name"]: one for one in backtest["score"]["components"]}
    reference = reference_of(
        P,
        dataset["ret"].to_numpy()[score],
        us(dataset["t0_us"])[score],
        t1[score],
        trades["r"].to_numpy(),
        expectancy_lcb=components["expectancy_r"]["lcb"],
        base_rates=tuple(model.manifest["base_rates"]),
        seed=project.settings.gate.seed,
    )
    return {
        "fitted_through_us": int(t1[np.isin(role, ("train", "calibrate", "select"))].max()),
        "scored_through_us": int(t1[score].max()),
        "since_us": market.now_us,
        "threshold": backtest["threshold"]["threshold"],
        "importance": _leading(model.manifest["importance"]),
        "reference": reference.to_dict(),
    }


def _leading(importance: Mapping[str, Any]) -> list[str]:
    """Names of the twenty features that matter most."""
    ranked = importance.get("all", importance)
    return [name for name, _ in sorted(ranked.items(), key=lambda item: (-item[1], item[0]))][:20]


def _nothing(candidate: Pointer, reason: str) -> Pointer:
    """The pointer of a partition in which nothing may run."""
    empty = dict.fromkeys(("bundle_id", "kind", "layer"))
    shown = ("symbol", "horizon", "quality_tier", "score_0_100", "min_confidence", "drift")
    return (
        {name: candidate[name] for name in shown} | empty | {"action": "NO_TRADE", "reason": reason, "suspended": None}
    )


def _build(project: Project, keys: Keys) -> Manifest:
    with project.warehouse.building("champions", keys):
        market = market_of(project, keys)
        candidate = _candidate_pointer(project, keys, market)
        record = _decided(project, keys, market, candidate)
        return publish(project, keys, record, inputs_of(project, keys, record))


def _decided(project: Project, keys: Keys, market: Market, candidate: Pointer) -> Record:
    """The record after the candidate has been judged."""
    record = read_record(project, keys)
    at: dict[str, Any] = {"at_us": market.now_us, "inputs": sha256_of(canonical_json(candidate))[:16]}
    accepted, own = candidate["action"] != "NO_TRADE", record.bundle_id == candidate["bundle_id"]
    if own and "reference" not in candidate:  # not scored as things are today: no verdict on what runs
        return record
    if record.bundle_id is None or own:
        if not accepted:
            nothing = _nothing(candidate, candidate["reason"])
            return record.with_pointer("retired" if own else "none", nothing, reason=candidate["reason"], **at)
        if own:
            running = dict(record.pointer or {})
            kept = {name: running[name] for name in ("since_us", "suspended")}
            kept |= {"action": "NO_TRADE"} if running["suspended"] else {}
            return record.with_pointer("verdict", candidate | kept, reason="the gate judged it anew", **at)
        if not record.withdrawn(candidate["bundle_id"]):
            return record.with_pointer("promoted", candidate, reason="nothing else runs here", **at)
        return record
    if "reference" not in candidate:  # nothing has scored it
        return record
    return _challenged(project, keys, market, record, candidate, at)


def _challenged(
    project: Project, keys: Keys, market: Market, record: Record, candidate: Pointer, at: Mapping[str, Any]
) -> Record:
    """The record after the candidate has asked for the place of another bundle."""
    before = record.challenger
    known = before is not None and before["bundle_id"] == candidate["bundle_id"]
    since_us = int(before["since_us"]) if known and before is not None else market.now_us
    champion = dict(record.pointer or {})
    compared = compare_bundles(project, keys, champion, candidate, market)
    shadow = _shadow(project, keys, candidate, market, since_us)
    verdict = replaces(
        accepted=candidate["action"] != "NO_TRADE",
        gate_reason=str(candidate["reason"]),
        compared=compared,
        shadow=shadow,
        champion_out=bool(champion.get("suspended")) or _expired(project, champion, market.now_us),
        withdrawn=record.withdrawn(candidate["bundle_id"]),
    )
    if verdict.promoted:
        promoted = record.with_pointer("promoted", candidate, reason=verdict.reason, **at)
        return Record(promoted.pointer, None, promoted.history)
    return record.with_challenger(_challenger(candidate, since_us, verdict, compared, shadow), **at)


def _challenger(
    pointer: Pointer, since_us: int, verdict: Verdict, compared: Comparison, shadow: Shadow
) -> dict[str, Any]:
    return {
        "bundle_id": pointer["bundle_id"],
        "kind": pointer["kind"],
        "since_us": since_us,
        "status": verdict.status,
        "reason": verdict.reason,
        "compared": compared.to_dict(),
        "shadow": shadow.to_dict(),
        "pointer": pointer,
    }


def _expired(project: Project, champion: Mapping[str, Any], now_us: int) -> bool:
    """Whether the champion has run for longer than it may without being made anew."""
    return now_us - int(champion["fitted_through_us"]) > project.settings.drift.max_age_days * DAY_US


def compare_bundles(
    project: Project, keys: Keys, first: Mapping[str, Any], second: Mapping[str, Any], market: Market | None = None
) -> Comparison:
    """Two pointers on the rows that neither bundle was made from, each at its own confidence."""
    market = market_of(project, keys) if market is None else market
    common = market.since(max(int(first["fitted_through_us"]), int(second["fitted_through_us"])))
    taken = []
    for one in (first, second):
        model = bundle_of(project, str(one["layer"]), keys, str(one["bundle_id"]))
        trades = resolve(project, common, model, float(one["min_confidence"])).trades
        taken.append((us(trades["signal_ts_us"]), np.asarray(trades["r"].to_numpy(), dtype=np.float64)))
    stamps = us(common.labels["ts_us"])
    seed = project.settings.gate.seed
    return compare_trades(stamps, taken[0], taken[1], horizon=int(keys["horizon"]), seed=seed)


def _shadow(project: Project, keys: Keys, pointer: Pointer, market: Market, since_us: int) -> Shadow:
    """What the challenger did on bars that closed after it was made."""
    ran = market.since(since_us)
    model = bundle_of(project, pointer["layer"], keys, pointer["bundle_id"])
    r = resolve(project, ran, model, float(pointer["min_confidence"])).r
    reference = pointer.get("reference") or {}
    edge, sd = reference.get("expectancy_r_lcb") or 0.0, reference.get("sd_r") or 0.0
    evidence = e_value(r, edge, sd)
    return Shadow(market.now_us - since_us, ran.labels.num_rows, int(r.size), evidence, row_by_row(ran, model))


CHAMPIONS_LAYER = Layer(
    "champions", "symbol_horizon", ("thresholds", "candidates", "backtests"), ("has_champion",), _inputs, _build
)
