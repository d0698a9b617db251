"""drift/*: what became of a champion since it was scored: its inputs, its predictions, its outcomes."""

import heapq
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, Final

import numpy as np
import pyarrow as pa

from scalper_ml.clock import iso
from scalper_ml.drift.estimate import estimated_accuracy
from scalper_ml.drift.inputs import FeatureMonitor, InputReference, fit_inputs
from scalper_ml.drift.monitor import SUSPENDS, Label, Look, PerformanceMonitor, Trade
from scalper_ml.drift.policy import Watched, state_of
from scalper_ml.drift.reference import Reference, non_overlapping
from scalper_ml.durable import canonical_json, parquet_bytes
from scalper_ml.labels.horizon import label_version
from scalper_ml.layers.base import Keys, Layer, code_digest
from scalper_ml.layers.champion_changes import rollback, suspend
from scalper_ml.layers.champion_record import read_record
from scalper_ml.layers.datasets import dataset_params
from scalper_ml.layers.features import read_features
from scalper_ml.layers.models import bundle_of
from scalper_ml.layers.outcomes import Market, Resolved, market_of, predict, resolve
from scalper_ml.models.bundle import Model
from scalper_ml.project import Project
from scalper_ml.schema import us
from scalper_ml.warehouse import Check, Manifest

__all__ = ["DRIFT_FEATURES", "DRIFT_LAYERS", "DRIFT_PERFORMANCE", "DRIFT_PREDICTIONS", "HISTORY", "watched"]

WINDOW: Final = 1000
HOUR_US: Final = 3_600_000_000
ROLLBACK_US: Final = 72 * HOUR_US
DAY_US: Final = 24 * HOUR_US
LEADING_BEYOND: Final = 0.3

MOVED: Final = pa.schema(
    [
        pa.field("feature", pa.string(), nullable=False),
        pa.field("leading", pa.bool_(), nullable=False),  # among the twenty that matter most to the champion
        pa.field("psi", pa.float64(), nullable=False),
        pa.field("psi_limit", pa.float64(), nullable=False),
        pa.field("ks", pa.float64(), nullable=False),
        pa.field("ks_limit", pa.float64(), nullable=False),
        pa.field("beyond", pa.bool_(), nullable=False),  # of the limit of its PSI
    ]
)
ESTIMATES: Final = pa.schema(
    [
        pa.field("day", pa.string(), nullable=False),
        pa.field("labels", pa.int64(), nullable=False),  # that do not overlap
        pa.field("expected_accuracy", pa.float64(), nullable=False),  # mean of the largest probability
        pa.field("accuracy", pa.float64(), nullable=False),
        pa.field("z", pa.float64(), nullable=False),  # their distance in standard errors
    ]
)
HISTORY: Final = pa.schema(
    [pa.field("bundle_id", pa.string(), nullable=False)]
    + [
        pa.field(name, pa.timestamp("us", tz="UTC") if name == "ts_us" else pa.int64() if kind is int else pa.float64())
        for name, kind in Look.__annotations__.items()
    ]
)
"""A row a look of a monitor, of every champion there was."""
ALARMS: Final = pa.schema(
    [pa.field(name, pa.string()) for name in ("bundle_id", "name", "detail")]
    + [pa.field("ts_us", pa.timestamp("us", tz="UTC"))]
    + [pa.field(name, pa.int64()) for name in ("labels", "trades")]
)


def _champion(project: Project, keys: Keys) -> dict[str, Any] | None:
    """The pointer in force; None where nothing runs."""
    pointer = project.warehouse.require("champions", keys).summary
    return pointer if pointer["bundle_id"] is not None else None


def _inputs(project: Project, keys: Keys) -> dict[str, Any]:
    pointer = _champion(project, keys)
    inputs: dict[str, Any] = {
        "code": code_digest("drift", "layers/drift", "layers/outcomes", "backtest", "labels", "schema"),
        "bundle_id": None if pointer is None else pointer["bundle_id"],
    }
    if pointer is not None:
        symbol = {"symbol": keys["symbol"]}
        inputs |= {name: project.warehouse.require(name, symbol).content for name in ("features", "bars")}
        inputs |= {name: pointer[name] for name in ("fitted_through_us", "scored_through_us", "min_confidence")}
        inputs["drift"] = project.settings.drift.model_dump()
        inputs["params"] = dataset_params(project, int(keys["horizon"])).to_dict()
    return inputs


def _inputs_performance(project: Project, keys: Keys) -> dict[str, Any]:
    """What its state says also rests on the other two."""
    others = (project.warehouse.manifest(name, keys) for name in ("drift/features", "drift/predictions"))
    return _inputs(project, keys) | {"beside": [None if one is None else one.content for one in others]}


def _without_champion(project: Project, layer: str, keys: Keys, check: str) -> Manifest:
    reason = "there is no champion to watch"
    checks = [Check(check, True, reason, blocking=False)]
    summary = {"state": "NO_CHAMPION", "reason": reason}
    inputs = (_inputs_performance if layer == "drift/performance" else _inputs)(project, keys)
    return project.warehouse.write(
        layer, keys, {"drift.json": canonical_json(summary)}, inputs=inputs, summary=summary, checks=checks
    )


def _model(project: Project, keys: Keys, pointer: Mapping[str, Any]) -> Model:
    return bundle_of(project, str(pointer["layer"]), keys, str(pointer["bundle_id"]))


def _build_features(project: Project, keys: Keys) -> Manifest:
    layer, pointer, warehouse = "drift/features", _champion(project, keys), project.warehouse
    if pointer is None:
        return _without_champion(project, layer, keys, "inputs_stable")
    inputs, model = _inputs(project, keys), _model(project, keys, pointer)
    ts, warm, values, names = read_features(project, warehouse.require("features", {"symbol": keys["symbol"]}))
    missing = [name for name in model.names if name not in names]
    columns = [names.index(name) for name in model.names if name not in missing]
    unseen = ts > int(pointer["fitted_through_us"])
    past, now = values[warm & ~unseen][:, columns], values[warm & unseen][:, columns]
    window = min(WINDOW, len(past) // 4)
    kept = _kept_reference(project, keys, pointer, window)
    watched = [names[j] for j in columns]
    references = kept or fit_inputs(past, watched, window=window, seed=project.settings.splits.seed)
    monitor = FeatureMonitor(references, window)
    monitor.update(now)
    leading = set(pointer["importance"])
    rows = [asdict(one) | {"beyond": one.beyond, "leading": one.name in leading} for one in monitor.moved()]
    rows.sort(key=lambda row: (row["psi_limit"] - row["psi"], row["name"]))
    table = pa.Table.from_pylist([{"feature": row.pop("name"), **row} for row in rows], schema=MOVED)
    beyond = [row["feature"] for row in table.to_pylist() if row["beyond"]]
    share = sum(name in leading for name in beyond) / max(len(leading), 1)
    said = f"{len(beyond)} of {len(watched)} features beyond their limits, {share:.0%} of the leading ones"
    if not monitor.full:
        said = f"{len(now)} rows since training; a window has {window}"
    checks = [Check("inputs_stable", share < LEADING_BEYOND, said, blocking=False, values={"leading_beyond": share})]
    summary = {
        "state": "WATCH" if share >= LEADING_BEYOND else "OK",
        "reason": said,
        "bundle_id": pointer["bundle_id"],
        "window": window,
        "rows_since": len(now),
        "leading_beyond": share,
        "beyond": beyond,
        "missing": missing,
    }
    reference = {"bundle_id": pointer["bundle_id"], "window": window, "features": [one.to_dict() for one in references]}
    files = {"data.parquet": parquet_bytes(table)}
    beside = {"reference.json": canonical_json(reference)}
    return warehouse.write(layer, keys, files, inputs=inputs, summary=summary, checks=checks, beside=beside)


def _kept_reference(
    project: Project, keys: Keys, pointer: Mapping[str, Any], window: int
) -> list[InputReference] | None:
    """The reference of the same champion, made when it was first watched."""
    before = project.warehouse.manifest("drift/features", keys)
    if (
        before is None
        or "reference.json" not in before.beside
        or before.inputs["code"] != _inputs(project, keys)["code"]
    ):
        return None
    kept = json.loads(project.warehouse.read_bytes(before, "reference.json"))
    if kept["bundle_id"] != pointer["bundle_id"] or kept["window"] != window:
        return None
    return [InputReference.from_dict(one) for one in kept["features"]]


def _build_predictions(project: Project, keys: Keys) -> Manifest:
    layer, pointer = "drift/predictions", _champion(project, keys)
    if pointer is None:
        return _without_champion(project, layer, keys, "as_expected")
    inputs, model = _inputs(project, keys), _model(project, keys, pointer)
    scored = int(pointer["scored_through_us"])
    market = market_of(project, keys)
    on_score = _spaced(market.since(int(pointer["fitted_through_us"])), until=scored)
    now = _spaced(market.since(scored))
    before = [float(top) for top in predict(on_score, model).max(axis=1)]
    P, y = predict(now, model), now.labels["y"].to_numpy()
    rows, day = [], us(now.labels["t1_us"]) // DAY_US
    for one in np.unique(day):
        mine = day == one
        found = estimated_accuracy(P[mine].tolist(), y[mine].tolist())
        rows.append(
            {"day": iso(int(one) * DAY_US)[:10], "labels": found.n, "expected_accuracy": found.expected,
             "accuracy": found.realised, "z": found.z}
        )  # fmt: skip
    summary: dict[str, Any] = {"bundle_id": pointer["bundle_id"], "labels": len(P), "state": "OK"}
    passed, said = True, f"{len(P)} labels since score; 200 asked for"
    if len(P) >= 200 and before:
        last = estimated_accuracy(P[-WINDOW:].tolist(), y[-WINDOW:].tolist())
        drop_z = (last.expected - float(np.mean(before))) / last.se if last.se > 0 else 0.0
        passed = not last.off
        said = (
            f"accuracy {last.realised:.4f}, {last.expected:.4f} expected of the newest {last.n} labels: z {last.z:+.2f}"
            f"; expected on score {float(np.mean(before)):.4f}: z {drop_z:+.2f}"
        )
        summary |= {"expected": last.expected, "realised": last.realised, "z": last.z, "estimate_z": drop_z}
        summary["state"] = "OK" if passed and drop_z > -3 else "WATCH"
    summary["reason"] = said
    checks = [Check("as_expected", passed, said, blocking=False)]
    files = {"data.parquet": parquet_bytes(pa.Table.from_pylist(rows, schema=ESTIMATES))}
    return project.warehouse.write(layer, keys, files, inputs=inputs, summary=summary, checks=checks)


def _spaced(market: Market, until: int | None = None) -> Market:
    """Labels that follow one another, up to a moment."""
    t0, t1 = us(market.labels["t0_us"]), us(market.labels["t1_us"])
    rows = non_overlapping(t0, t1)
    rows = rows if until is None else rows[t1[rows] <= until]
    return Market(
        market.keys, market.bars, market.names, market.values, market.warm, market.row[rows], market.labels.take(rows)
    )


def events_of(project: Project, found: Resolved, labels_after: int, trades_after: int) -> Iterator[Label | Trade]:
    """Outcomes in the order in which they became known, after what was taken before."""
    labels, trades = found.labels, found.trades
    open_price = project.settings.labels.kind != "triple_barrier" and project.settings.labels.price == "open"
    late = project.settings.interval_us if open_price else 0  # a trade that leaves at an open is known at that close
    lists = (us(labels["t0_us"]).tolist(), us(labels["t1_us"]).tolist(), found.P.tolist(), labels["y"].to_pylist(),
             labels["ret"].to_pylist())  # fmt: skip
    one = (
        Label(t0, t1, (p[0], p[1], p[2]), y, ret) for t0, t1, p, y, ret in zip(*lists, strict=True) if t1 > labels_after
    )
    stamps = (us(trades[name]).tolist() for name in ("signal_ts_us", "exit_ts_us"))
    other = (
        Trade(t0, t1 + late, r) for t0, t1, r in zip(*stamps, found.r.tolist(), strict=True) if t1 + late > trades_after
    )
    return heapq.merge(one, other, key=lambda event: event.t1_us)


def _build_performance(project: Project, keys: Keys) -> Manifest:
    layer, pointer, warehouse = "drift/performance", _champion(project, keys), project.warehouse
    if pointer is None:
        return _without_champion(project, layer, keys, "edge_holds")
    inputs, model = _inputs_performance(project, keys), _model(project, keys, pointer)
    before = _state_before(project, keys, inputs)
    monitor = PerformanceMonitor(
        Reference.from_dict(dict(pointer["reference"])),
        drift_threshold=project.settings.drift.drift_threshold,
        state=None if before is None else before["monitor"],
    )
    market = market_of(project, keys)
    missing = [name for name in model.names if name not in market.names]
    through = dict(before["through"]) if before else {"labels": 0, "trades": 0}
    if not missing:
        found = resolve(
            project, market.since(int(pointer["scored_through_us"])), model, float(pointer["min_confidence"])
        )
        for event in events_of(project, found, through["labels"], through["trades"]):
            if isinstance(event, Label):
                monitor.label(event)
                through["labels"] = event.t1_us
            else:
                monitor.trade(event)
                through["trades"] = event.t1_us
    state = {"monitor": monitor.state(), "through": through}
    seen = _watched(project, keys, pointer, model, monitor, market, bool(missing))
    standing = state_of(seen, suspends=sorted(SUSPENDS))
    said = "; ".join(f"{one.name}: {one.detail}" for one in monitor.alarms) or (
        f"{monitor.labels} labels and {monitor.trades} trades since score: nothing has fired"
    )
    summary = {
        "state": standing,
        "reason": said,
        "bundle_id": pointer["bundle_id"],
        "labels": monitor.labels,
        "trades": monitor.trades,
        "alarms": [asdict(one) for one in monitor.alarms],
        "skipped": monitor.skipped,
        "total_r": monitor.total_r,
        "drawdown_r": monitor.drawdown_r,
        "watched": asdict(seen),
        "last_look": asdict(monitor.looks[-1]) if monitor.looks else None,
    }
    checks = [Check("edge_holds", not monitor.alarms, said, blocking=False, values={"state": standing})]
    history, alarms = _grown(project, keys, pointer, monitor)
    files = {"state.json": canonical_json(state), "alarms.parquet": parquet_bytes(alarms)}
    beside = {"performance_history.parquet": parquet_bytes(history)}
    manifest = warehouse.write(layer, keys, files, inputs=inputs, summary=summary, checks=checks, beside=beside)
    _act(project, keys, pointer, monitor, market.now_us)
    return manifest


def _state_before(project: Project, keys: Keys, inputs: Mapping[str, Any]) -> dict[str, Any] | None:
    """The saved state of the same champion's monitor, if nothing but the bars has grown."""
    before = project.warehouse.manifest("drift/performance", keys)
    grows = ("bars", "features", "beside")
    if before is None or "state.json" not in before.files:
        return None
    if {k: v for k, v in before.inputs.items() if k not in grows} != {
        k: v for k, v in inputs.items() if k not in grows
    }:
        return None
    state: dict[str, Any] = json.loads(project.warehouse.read_bytes(before, "state.json"))
    return state


def _watched(
    project: Project, keys: Keys, pointer: Mapping[str, Any], model: Model, monitor: PerformanceMonitor, market: Market,
    missing: bool,
) -> Watched:  # fmt: skip
    """What the retrain policy has to know of the champion itself."""
    inputs, estimate = (project.warehouse.manifest(f"drift/{name}", keys) for name in ("features", "predictions"))
    own = [
        one.summary if one and one.summary.get("bundle_id") == pointer["bundle_id"] else {}
        for one in (inputs, estimate)
    ]
    version = label_version(dataset_params(project, int(keys["horizon"])).labels)
    return Watched(
        now_us=market.now_us,
        alarms=tuple(one.name for one in monitor.alarms),
        trades=monitor.trades,
        age_us=market.now_us - int(pointer["fitted_through_us"]),
        max_age_us=int(project.settings.drift.max_age_days * DAY_US),
        inputs_moved=float(own[0].get("leading_beyond", 0.0)),
        estimate_dropped=float(own[1].get("estimate_z", 0.0)) <= -3.0,
        version_changed=missing or model.manifest["label_version"] != version,
    )


def _grown(
    project: Project, keys: Keys, pointer: Mapping[str, Any], monitor: PerformanceMonitor
) -> tuple[pa.Table, pa.Table]:
    """Looks and alarms of this champion after those of the champions before it."""
    mine = str(pointer["bundle_id"])
    looks = pa.Table.from_pylist([{"bundle_id": mine, **asdict(one)} for one in monitor.looks], schema=HISTORY)
    alarms = pa.Table.from_pylist([{"bundle_id": mine, **asdict(one)} for one in monitor.alarms], schema=ALARMS)
    before = project.warehouse.manifest("drift/performance", keys)
    if before is None or "performance_history.parquet" not in before.beside:
        return looks, alarms
    tables = []
    for name, own in (("performance_history.parquet", looks), ("alarms.parquet", alarms)):
        past = project.warehouse.read_table(before, name)
        others = np.array([one != mine for one in past["bundle_id"].to_pylist()], dtype=bool)
        tables.append(pa.concat_tables([past.filter(pa.array(others)).cast(own.schema), own]))
    return tables[0], tables[1]


def _act(project: Project, keys: Keys, pointer: Mapping[str, Any], monitor: PerformanceMonitor, now_us: int) -> None:
    """What cannot wait for a retrain: undo a promotion that fails at once, stop trading."""
    mine = str(pointer["bundle_id"])
    sums = [one for one in monitor.alarms if one.name.startswith("cusum_")]
    record = read_record(project, keys)
    young = any(one.ts_us - int(pointer["since_us"]) <= ROLLBACK_US for one in sums)
    replaced = record.history and any(one.get("replaced") and one["bundle_id"] == mine for one in record.history)
    if sums and young and replaced and not record.withdrawn(mine):
        rollback(project, keys, f"{sums[0].name} within 72 h of its promotion", expected=mine)
    elif stops := [one for one in monitor.alarms if one.name in SUSPENDS]:
        suspend(project, keys, f"{stops[0].name}: {stops[0].detail}", expected=mine)


def watched(project: Project, keys: Keys) -> Watched | None:
    """What `drift/performance` knows of the champion in force; None where nothing runs, or it was not looked at yet."""
    manifest, pointer = project.warehouse.manifest("drift/performance", keys), read_record(project, keys).pointer
    if manifest is None or pointer is None or manifest.summary.get("bundle_id") != pointer["bundle_id"]:
        return None
    if manifest.summary["state"] == "NO_CHAMPION":
        return None
    values = manifest.summary["watched"]
    return Watched(**{**values, "alarms": tuple(values["alarms"])})


DRIFT_FEATURES = Layer(
    "drift/features", "symbol_horizon", ("champions", "features"), ("inputs_stable",), _inputs, _build_features
)
DRIFT_PREDICTIONS = Layer(
    "drift/predictions",
    "symbol_horizon",
    ("champions", "features", "bars"),
    ("as_expected",),
    _inputs,
    _build_predictions,
)
DRIFT_PERFORMANCE = Layer(
    "drift/performance",
    "symbol_horizon",
    ("champions", "features", "bars", "drift/features", "drift/predictions"),
    ("edge_holds",),
    _inputs_performance,
    _build_performance,
)
DRIFT_LAYERS: Final = (DRIFT_FEATURES, DRIFT_PREDICTIONS, DRIFT_PERFORMANCE)
