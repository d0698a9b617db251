"""bars: time bars of a symbol, from its ticks through the one bar builder or straight from klines."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from scalper_ml.bars.builder import BarBuilder
from scalper_ml.bars.days import DayStates, rebuild_days
from scalper_ml.bars.interval import format_interval
from scalper_ml.bars.reconcile import reconcile
from scalper_ml.bars.resample import resample
from scalper_ml.bars.revise import revise
from scalper_ml.bars.spec import BarSpec
from scalper_ml.clock import iso
from scalper_ml.durable import canonical_json, parquet_bytes
from scalper_ml.errors import InputError
from scalper_ml.features.inputs import available_groups
from scalper_ml.ingest import ColumnMapping, Contract, KlineFile, find_sources, read_klines
from scalper_ml.ingest.merge_klines import merge_klines
from scalper_ml.layers.base import Keys, Layer, code_digest
from scalper_ml.layers.ticks import file_hashes
from scalper_ml.project import Project
from scalper_ml.schema import BARS, QUARANTINE, TICKS, conform, us
from scalper_ml.warehouse import Check, Manifest

__all__ = ["BARS_FROM_KLINES", "BARS_FROM_TICKS", "EVENT_BARS_LAYER"]

CHECKS = ("schema", "ordered", "prices", "gaps")


def _code() -> str:
    return code_digest("bars", "schema", "kernel", "features/inputs", "features/series", "layers/bars")


def _tick_inputs(project: Project, keys: Keys) -> dict[str, Any]:
    klines = project.settings.bars.klines
    return {
        "code": _code(),
        "interval": project.settings.bars.interval,
        "ticks": project.warehouse.require("ticks", keys).content,
        **({"klines": _kline_hashes(project, keys, klines)} if klines else {}),
    }


def _from_ticks(project: Project, keys: Keys) -> Manifest:
    inputs = _tick_inputs(project, keys)
    warehouse, ticks = project.warehouse, project.warehouse.require("ticks", keys)
    spec = BarSpec("time", project.settings.interval_us)
    published = warehouse.manifest("bars", keys)
    published = published if published and warehouse.fresh_files(published) else None
    version = {"code": _code(), "kind": spec.kind, "size": spec.size, "market": ticks.inputs.get("market")}
    built = built_days(project, ticks, published, version)
    bars = pa.concat_tables([*built.closed, BarBuilder.from_state(spec, built.state).finish()])
    if published and built.continued:
        bars = _revised(warehouse.read_table(published), bars)
    reconciled = _reconciled(project, keys, bars)
    days = canonical_json(built.record, indent=0)
    return _write(project, keys, bars, {"state.bin": built.state}, inputs, "ticks", [reconciled], {"days.json": days})


def _revised(earlier: pa.Table, bars: pa.Table) -> pa.Table:
    """Bars with the revisions of the published ones; the last of these was open, so that its end is no revision."""
    revised = revise(earlier, bars)
    last = earlier.slice(earlier.num_rows - 1)
    at = np.flatnonzero(us(revised["open_ts_us"]) == us(last["open_ts_us"])[0])
    counts = revised["revision"].to_numpy().copy()
    counts[at] = last["revision"].to_numpy()[0]
    return revised.set_column(BARS.get_field_index("revision"), BARS.field("revision"), pa.array(counts, pa.int32()))


@dataclass(frozen=True, slots=True)
class BuiltDays:
    """Closed bars by day, the state after the last one, and the record by which the next build saves work."""

    closed: list[pa.Table]
    state: bytes
    record: dict[str, Any]
    continued: bool  # whether earlier days were taken over


def built_days(
    project: Project, ticks: Manifest, published: Manifest | None, version: dict[str, Any], name: str = "data"
) -> BuiltDays:
    """Bars of every day of a ticks partition; days that the published bars hold already are not read again.

    Parameters
    ----------
    project : Project
    ticks : Manifest
    published : Manifest or None
        Bars with a record of their days beside them, as this function returns it.
    version : dict
        What the bars are and the code that builds them: with another one nothing is taken over.
    name : str
        Of the file of bars; ``days.json`` stands beside ``data.parquet``.
    """
    warehouse = project.warehouse
    spec = BarSpec(version["kind"], version["size"])
    hashes = {_day_of(name): entry["sha256"] for name, entry in sorted(ticks.files.items())}
    known: dict[str, Any] = {}
    kept: dict[str, pa.Table] = {}
    if published and _record_name(name) in published.beside:
        record = json.loads(warehouse.read_bytes(published, _record_name(name)))
        if record["version"] == version:
            known = record["days"]
            earlier, begin = warehouse.read_table(published, f"{name}.parquet"), 0
            for day, one in known.items():
                kept[day] = earlier.slice(begin, one["bars"])
                begin += one["bars"]
    states = {day: DayStates(bytes.fromhex(one["before"]), bytes.fromhex(one["after"])) for day, one in known.items()}
    changed = {day for day, sha in hashes.items() if day in known and known[day]["ticks"] != sha}
    for built in rebuild_days(hashes, lambda day: _ticks_of(project, ticks, day), spec, states, changed):
        kept[built.day], states[built.day] = built.bars, built.states
    days = {
        day: {
            "ticks": sha,
            "before": states[day].before.hex(),
            "after": states[day].after.hex(),
            "bars": kept[day].num_rows,
        }
        for day, sha in hashes.items()
    }
    last = states[max(hashes)].after
    return BuiltDays([kept[day] for day in hashes], last, {"version": version, "days": days}, bool(known))


def _record_name(name: str) -> str:
    return "days.json" if name == "data" else f"{name}.days.json"


def _day_of(name: str) -> str:
    """``date=2024-01-01/data.parquet`` is the file of 2024-01-01."""
    return name.removeprefix("date=").split("/")[0]


def _ticks_of(project: Project, ticks: Manifest, day: str) -> pa.Table:
    return project.warehouse.read_table(ticks, f"date={day}/data.parquet").cast(TICKS)


def _reconciled(project: Project, keys: Keys, bars: pa.Table) -> Check:
    """Own bars against the venue's klines of the same symbol, where the settings name a folder of them."""
    folder = project.settings.bars.klines
    paths = find_sources(project.path(folder), str(keys["symbol"])) if folder else []
    if not paths:
        return Check("reconciled", True, "no klines to compare with (bars.klines)", blocking=False)
    merged = merge_klines([read_klines(path) for path in paths])
    klines = merged.bars
    if merged.interval_us != project.settings.interval_us:
        klines = resample(klines, merged.interval_us, project.settings.interval_us)
    aggregated = "agg" in str(project.warehouse.require("ticks", keys).summary["format"])
    inner = bars.slice(1, max(bars.num_rows - 2, 0))  # the ticks may begin and end inside a bar
    found = reconcile(inner, klines, skip=("trades", "buy_trades") if aggregated else ())
    differing = {column.column: column.differing for column in found.columns if column.differing}
    return Check(
        "reconciled",
        found.ok,
        f"{found.both} bars in both; {found.only_own} only own, {found.only_klines} only klines; differing {differing}",
        blocking=False,
        values={"both": found.both, "only_own": found.only_own, "only_klines": found.only_klines, **differing},
    )


def _kline_hashes(project: Project, keys: Keys, folder: str) -> list[str]:
    paths = find_sources(project.path(folder), str(keys["symbol"]))
    return sorted(one.sha256 for one in file_hashes(project, str(keys["symbol"])).of(paths))


def _kline_inputs(project: Project, keys: Keys) -> dict[str, Any]:
    source = project.settings.source
    options = source.model_dump(mode="json", include={"format", "columns", "name", "contract"})
    return {
        "code": code_digest("bars", "ingest", "schema", "kernel", "features/inputs", "features/series", "layers/bars"),
        "interval": project.settings.bars.interval,
        "reading": options,
        "files": _kline_hashes(project, keys, source.folder),
    }


def _from_klines(project: Project, keys: Keys) -> Manifest:
    inputs = _kline_inputs(project, keys)
    settings, symbol = project.settings, str(keys["symbol"])
    folder = project.path(settings.source.folder)
    paths = find_sources(folder, symbol)
    if not paths:
        raise InputError(
            f"bars {symbol}: no kline file {symbol}*.csv (.csv.gz, .zip) in {folder}; name the folder with --source"
        )
    source = settings.source
    mapping = ColumnMapping(source.columns, source.words, source.name) if source.columns else None
    contract = Contract(source.contract.size, source.contract.inverse) if source.contract else None
    files: list[KlineFile] = [
        read_klines(path, format=settings.source.format, columns=mapping, contract=contract) for path in paths
    ]
    merged = merge_klines(files)
    quarantine = conform(merged.quarantine, QUARANTINE, f"quarantine {symbol}")
    bars = merged.bars
    if merged.interval_us != settings.interval_us:
        bars = resample(bars, merged.interval_us, settings.interval_us)
    origin = f"klines of {format_interval(merged.interval_us)}"
    rejected = quarantine.num_rows
    check = Check("quarantine_empty", rejected == 0, f"{rejected} kline rows in quarantine", blocking=False)
    return _write(project, keys, bars, {}, inputs, origin, [check], {"quarantine.parquet": parquet_bytes(quarantine)})


def _write(
    project: Project,
    keys: Keys,
    bars: pa.Table,
    extra: dict[str, bytes],
    inputs: dict[str, Any],
    origin: str,
    more_checks: list[Check],
    beside: dict[str, bytes],
) -> Manifest:
    what = f"bars {keys['symbol']}"
    bars = conform(bars, BARS, what)
    if bars.num_rows == 0:
        raise InputError(f"{what}: the source gave no bar of {project.settings.bars.interval}; expected at least one")
    ts, opened = us(bars["ts_us"]), us(bars["open_ts_us"])
    o, h, low, c = (bars[name].to_numpy() for name in ("open", "high", "low", "close"))
    sane = (low > 0) & (low <= np.minimum(o, c)) & (h >= np.maximum(o, c)) & np.isfinite(h)
    gap = bars["gap"].to_numpy()
    holes = np.flatnonzero(gap > 0)
    empty = [name for name in BARS.names if bars[name].null_count == bars.num_rows]
    groups, absent = available_groups(bars)
    checks = [
        Check("schema", True, f"{bars.num_rows} bars; columns this source cannot fill: {empty or 'none'}"),
        Check(
            "ordered",
            bool(np.all(np.diff(ts) > 0) and np.all(ts - opened == project.settings.interval_us)),
            f"closes increase and every bar is {project.settings.bars.interval} long",
        ),
        Check("prices", bool(sane.all()), f"{int((~sane).sum())} bars break 0 < low <= open, close <= high"),
        Check(
            "gaps",
            len(holes) == 0,
            f"{int(gap.sum())} intervals without a bar in {len(holes)} holes, the longest {int(gap.max())}",
            blocking=False,
            values={"missing": int(gap.sum()), "holes": len(holes), "longest": int(gap.max())},
        ),
        *more_checks,
    ]
    summary = {
        "rows": bars.num_rows,
        "interval": project.settings.bars.interval,
        "origin": origin,
        "first": iso(int(ts[0])),
        "last": iso(int(ts[-1])),
        "null_columns": empty,
        "groups": list(groups),
        "absent": list(absent),
        "missing_intervals": int(gap.sum()),
    }
    files = {"data.parquet": parquet_bytes(bars), **extra}
    return project.warehouse.write("bars", keys, files, inputs=inputs, summary=summary, checks=checks, beside=beside)


BARS_FROM_TICKS = Layer("bars", "symbol", ("ticks",), (*CHECKS, "reconciled"), _tick_inputs, _from_ticks)
BARS_FROM_KLINES = Layer("bars", "symbol", (), (*CHECKS, "quarantine_empty"), _kline_inputs, _from_klines)


def _event_inputs(project: Project, keys: Keys) -> dict[str, Any]:
    return {
        "code": _code(),
        "events": [one.model_dump(mode="json") for one in project.settings.bars.events],
        "ticks": project.warehouse.require("ticks", keys).content,
    }


def _plain(size: float) -> str:
    """A size as short as it is exact: other sizes have other names."""
    short = f"{size:g}"
    return short if float(short) == size else repr(size)


def _build_events(project: Project, keys: Keys) -> Manifest:
    inputs = _event_inputs(project, keys)
    warehouse, ticks = project.warehouse, project.warehouse.require("ticks", keys)
    published = warehouse.manifest("event_bars", keys)
    published = published if published and warehouse.fresh_files(published) else None
    files: dict[str, bytes] = {}
    beside: dict[str, bytes] = {}
    unordered: list[str] = []
    counts: dict[str, int] = {}
    for event in project.settings.bars.events:
        name = f"{event.kind}_{_plain(event.size)}"
        version = {"code": _code(), "kind": event.kind, "size": event.size}
        built = built_days(project, ticks, published, version, name)
        bars = conform(pa.concat_tables(built.closed), BARS, f"event_bars {keys['symbol']} {name}")
        files[f"{name}.parquet"] = parquet_bytes(bars)
        beside[_record_name(name)] = canonical_json(built.record, indent=0)
        counts[name] = bars.num_rows
        if np.any(np.diff(us(bars["ts_us"])) < 0):
            unordered.append(name)
    checks = [
        Check("any", min(counts.values()) > 0, f"bars by kind: {counts}", blocking=False, values=counts),
        Check("ordered", not unordered, f"bars end in time order, but for {unordered or 'none'}"),
    ]
    summary = {"rows": sum(counts.values()), **counts}
    return warehouse.write("event_bars", keys, files, inputs=inputs, summary=summary, checks=checks, beside=beside)


EVENT_BARS_LAYER = Layer("event_bars", "symbol", ("ticks",), ("any", "ordered"), _event_inputs, _build_events)
"""Bars that end with a trade (tick, volume, dollar, imbalance); the one still open is not among them."""
