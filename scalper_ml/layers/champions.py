"""champions: the only writer of what the bot runs; no champion means no trade.

Every change goes through one lock a partition and names the champion it was decided against, so that two retrains, or a
promotion during a rollback, end as if one had come after the other.
"""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from scalper_ml.champions.challenge import Comparison, Shadow, Verdict, compare_trades, e_value, replaces
from scalper_ml.champions.record import Record, begun
from scalper_ml.drift.reference import reference_of
from scalper_ml.durable import canonical_json, sha256_of
from scalper_ml.errors import SupersededError, WarehouseError
from scalper_ml.layers.base import Keys, Layer, code_digest
from scalper_ml.layers.models import bundle_of
from scalper_ml.layers.outcomes import Market, market_of, resolve, row_by_row
from scalper_ml.project import Project
from scalper_ml.schema import us
from scalper_ml.warehouse import Check, Manifest

__all__ = ["CHAMPIONS_LAYER", "compare_bundles", "promote", "read_record", "resume", "rollback", "suspend"]

DAY_US = 86_400_000_000
Pointer = dict[str, Any]


def read_record(project: Project, keys: Keys) -> Record:
    """The record of a partition; an empty one before the first build."""
    manifest = project.warehouse.manifest("champions", keys)
    return Record() if manifest is None else _record_of(project, manifest)


def _record_of(project: Project, manifest: Manifest) -> Record:
    if "challenger.json" not in manifest.files:  # of a version without challengers: its champion is judged as a new one
        return Record()
    pointer, history, challenger = (
        json.loads(project.warehouse.read_bytes(manifest, f"{name}.json"))
        for name in ("champion", "history", "challenger")
    )
    return Record(pointer, challenger, tuple(history))


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
    return _inputs_of(project, keys, read_record(project, keys))


def _inputs_of(project: Project, keys: Keys, record: Record) -> dict[str, Any]:
    """What a build depends on; while a challenger runs in the shadow also the bars it runs on."""
    inputs: dict[str, Any] = {
        "code": code_digest("layers/champions", "layers/outcomes", "champions", "drift/reference"),
        "candidate": project.warehouse.require("candidates", keys).content,
        "verdict": _verdict(project, keys),
        "drift": project.settings.fingerprint("drift"),
    }
    if record.challenger is not None and record.challenger["status"] == "shadow":
        inputs["features"] = project.warehouse.require("features", {"symbol": keys["symbol"]}).content
    return inputs


def _candidate_pointer(project: Project, keys: Keys, market: Market) -> Pointer:
    """What the bot would follow if the candidate ran: the bundle, what the gate allows it, and what it showed."""
    warehouse = project.warehouse
    candidate = json.loads(warehouse.read_bytes(warehouse.require("candidates", keys), "candidate.json"))
    tested = warehouse.require("backtests", keys)
    backtest = json.loads(warehouse.read_bytes(tested, "report.json"))
    verdict = _verdict(project, keys)
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
        return _publish(project, keys, record, _inputs_of(project, keys, record))


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


def _publish(project: Project, keys: Keys, record: Record, inputs: Mapping[str, Any]) -> Manifest:
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
        record = _record_of(project, manifest)
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
            inputs = manifest.inputs if after.challenger == record.challenger else _inputs_of(project, keys, after)
            _publish(project, keys, after, inputs)
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
        No or several bundles begin so, the gate does not let it trade, or it was suspended.
    """

    def change(record: Record, at: Mapping[str, Any]) -> Record:
        chosen, asks = begun(bundle_id, record.others), record.challenger
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


CHAMPIONS_LAYER = Layer(
    "champions", "symbol_horizon", ("thresholds", "candidates", "backtests"), ("has_champion",), _inputs, _build
)
