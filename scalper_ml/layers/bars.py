"""bars: time bars of a symbol, from its ticks through the one bar builder or straight from klines."""

from typing import Any

import numpy as np
import pyarrow as pa

from scalper_ml.bars.builder import BarBuilder
from scalper_ml.bars.interval import format_interval
from scalper_ml.bars.resample import resample
from scalper_ml.clock import iso
from scalper_ml.errors import InputError
from scalper_ml.features.engine import available_groups
from scalper_ml.ingest import KlineFile, find_sources, read_klines
from scalper_ml.ingest.merge_klines import merge_klines
from scalper_ml.layers.base import Keys, Layer, code_digest
from scalper_ml.project import Project
from scalper_ml.schema import BARS, QUARANTINE, conform, us
from scalper_ml.warehouse import Check, Manifest, parquet_bytes, sha256_of

__all__ = ["BARS_FROM_KLINES", "BARS_FROM_TICKS"]

CHECKS = ("schema", "ordered", "prices", "gaps", "quarantine_empty")


def _code() -> str:
    return code_digest("bars", "schema", "kernel", "features/engine", "features/registry", "layers/bars")


def _tick_inputs(project: Project, keys: Keys) -> dict[str, Any]:
    return {
        "code": _code(),
        "interval": project.settings.bars.interval,
        "ticks": project.warehouse.require("ticks", keys).content,
    }


def _from_ticks(project: Project, keys: Keys) -> Manifest:
    inputs = _tick_inputs(project, keys)
    warehouse, manifest = project.warehouse, project.warehouse.require("ticks", keys)
    builder = BarBuilder(project.settings.interval_us)
    closed = []
    for name in sorted(manifest.files):
        day = warehouse.read_table(manifest, name)
        closed.append(
            builder.push(
                us(day["ts_us"]),
                day["price"].to_numpy(),
                day["qty"].to_numpy(),
                day["side"].to_numpy(),
                day["trade_id"].fill_null(-1).to_numpy(),
            )
        )
    state = builder.state()
    bars = pa.concat_tables([*closed, builder.finish()])
    return _write(project, keys, bars, {"state.bin": state}, inputs, "ticks", 0)


def _kline_inputs(project: Project, keys: Keys) -> dict[str, Any]:
    source = project.settings.source
    paths = find_sources(project.path(source.folder), str(keys["symbol"]))
    return {
        "code": code_digest(
            "bars", "ingest", "schema", "kernel", "features/engine", "features/registry", "layers/bars"
        ),
        "interval": project.settings.bars.interval,
        "format": source.format,
        "files": [{"name": path.name, "sha256": sha256_of(path.read_bytes())} for path in paths],
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
    files: list[KlineFile] = [read_klines(path, format=settings.source.format) for path in paths]
    merged = merge_klines(files)
    quarantine = conform(merged.quarantine, QUARANTINE, f"quarantine {symbol}")
    project.warehouse.write(
        "quarantine",
        keys,
        {"data.parquet": parquet_bytes(quarantine)},
        inputs=inputs,
        summary={"rows": quarantine.num_rows},
    )
    bars = merged.bars
    if merged.interval_us != settings.interval_us:
        bars = resample(bars, merged.interval_us, settings.interval_us)
    origin = f"klines of {format_interval(merged.interval_us)}"
    return _write(project, keys, bars, {}, inputs, origin, quarantine.num_rows)


def _write(
    project: Project,
    keys: Keys,
    bars: pa.Table,
    extra: dict[str, bytes],
    inputs: dict[str, Any],
    origin: str,
    quarantined: int,
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
        Check("quarantine_empty", quarantined == 0, f"{quarantined} kline rows in quarantine", blocking=False),
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
    return project.warehouse.write("bars", keys, files, inputs=inputs, summary=summary, checks=checks)


BARS_FROM_TICKS = Layer("bars", "symbol", ("ticks",), CHECKS, _tick_inputs, _from_ticks)
BARS_FROM_KLINES = Layer("bars", "symbol", (), CHECKS, _kline_inputs, _from_klines)
