"""ticks: every trade of a symbol, sorted and unique, one file a day; rejected rows in quarantine."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scalper_ml.clock import iso
from scalper_ml.errors import InputError
from scalper_ml.ingest import find_sources, merge_ticks, read_ticks
from scalper_ml.ingest.synthetic import SyntheticSpec, write_synthetic
from scalper_ml.layers.base import Keys, Layer, code_digest
from scalper_ml.project import Project
from scalper_ml.schema import QUARANTINE, TICKS, conform, us
from scalper_ml.warehouse import Check, Manifest, parquet_bytes, sha256_of

__all__ = ["TICKS_LAYER", "read_all_ticks", "synthetic_spec"]

DAY_US = 86_400_000_000


def synthetic_spec(project: Project, symbol: str) -> SyntheticSpec:
    """The planted market of a symbol, from the settings."""
    settings = project.settings
    market = settings.source.markets[symbol]
    start_us = int(np.datetime64(settings.source.start.removesuffix("Z"), "us").astype(np.int64))
    return SyntheticSpec(
        symbol=symbol,
        level=market.level,
        days=settings.source.days,
        interval_us=settings.interval_us,
        trades_per_bar=settings.source.trades_per_bar,
        sigma=market.sigma_bps * 1e-4,
        rho=market.rho,
        phi=market.phi,
        spread_bps=market.spread_bps,
        start_price=market.start_price,
        start_us=start_us,
        seed=market.seed,
        horizons=tuple(settings.horizons),
        deadband_k=settings.labels.k_vol,
    )


def _paths(project: Project, symbol: str) -> list[Path]:
    """Files of a symbol: of a planted market only the one that was written for it."""
    folder = project.path(project.settings.source.folder)
    paths = find_sources(folder, symbol)
    planted = project.settings.source.kind == "synthetic"
    return [path for path in paths if path.name == f"{symbol}_synthetic.csv"] if planted else paths


def _inputs(project: Project, keys: Keys) -> dict[str, Any]:
    settings, symbol = project.settings, str(keys["symbol"])
    inputs: dict[str, Any] = {
        "code": code_digest("ingest", "schema", "layers/ticks"),
        "format": settings.source.format,
        "files": [{"name": path.name, "sha256": sha256_of(path.read_bytes())} for path in _paths(project, symbol)],
    }
    if settings.source.kind == "synthetic":
        inputs["market"] = synthetic_spec(project, symbol).hash
    return inputs


def _build(project: Project, keys: Keys) -> Manifest:
    settings, symbol = project.settings, str(keys["symbol"])
    folder = project.path(settings.source.folder)
    if settings.source.kind == "synthetic":
        write_synthetic(folder, synthetic_spec(project, symbol))
    inputs = _inputs(project, keys)
    paths = _paths(project, symbol)
    if not paths:
        raise InputError(
            f"ticks {symbol}: no file {symbol}*.csv (.csv.gz, .zip, .json.gz, .feather) in {folder}; put one there"
        )
    files = [read_ticks(path, symbol=symbol, format=settings.source.format) for path in paths]
    merged = merge_ticks(files)
    ticks = conform(merged.ticks, TICKS, f"ticks {symbol}")
    counts = merged.counts
    quarantine = conform(merged.quarantine, QUARANTINE, f"quarantine {symbol}")
    project.warehouse.write(
        "quarantine",
        keys,
        {"data.parquet": parquet_bytes(quarantine)},
        inputs=inputs,
        summary={"rows": quarantine.num_rows},
    )
    ts = us(ticks["ts_us"])
    days = ts // DAY_US
    starts = np.flatnonzero(np.diff(days, prepend=days[0] - 1)) if len(ts) else np.empty(0, np.int64)
    bounds = [*starts.tolist(), len(ts)]
    parts = {
        f"date={iso(int(days[a]) * DAY_US)[:10]}/data.parquet": parquet_bytes(ticks.slice(a, b - a))
        for a, b in pairwise(bounds)
    }
    reasons = {r["values"]: r["counts"] for r in pc.value_counts(quarantine["reason"]).to_pylist()}
    checks = [
        Check(
            "schema",
            ticks.num_rows > 0,
            f"{ticks.num_rows} trades with the columns {TICKS.names}",
            values={"rows": ticks.num_rows},
        ),
        Check("sorted", bool(np.all(np.diff(ts) >= 0)), "stamps never decrease"),
        Check(
            "accounting",
            counts.accepted + counts.duplicate + counts.quarantined == counts.read,
            f"{counts.accepted} accepted + {counts.duplicate} duplicate + {counts.quarantined} quarantined "
            f"= {counts.read} read",
        ),
        Check(
            "quarantine_empty",
            counts.quarantined == 0,
            f"{counts.quarantined} rows in quarantine: {reasons}" if reasons else "no row was rejected",
            blocking=False,
            values={str(k): int(v) for k, v in reasons.items()},
        ),
    ]
    summary = {
        "rows": ticks.num_rows,
        "days": len(parts),
        "files": [
            {"name": path.name, "format": file.format, "read": file.counts.read}
            for path, file in zip(paths, files, strict=True)
        ],
        "read": counts.read,
        "duplicate": counts.duplicate,
        "quarantined": counts.quarantined,
        "first": iso(int(ts[0])) if len(ts) else None,
        "last": iso(int(ts[-1])) if len(ts) else None,
        "buyer_share": float(pc.mean(pc.greater(ticks["side"], 0)).as_py()) if len(ts) else None,
    }
    return project.warehouse.write("ticks", keys, parts, inputs=inputs, summary=summary, checks=checks)


def read_all_ticks(project: Project, manifest: Manifest) -> pa.Table:
    """All days of a ticks partition as one table."""
    empty = pa.table({f.name: pa.array([], f.type) for f in TICKS})
    return pa.concat_tables(
        [empty, *(project.warehouse.read_table(manifest, name) for name in sorted(manifest.files))]
    ).cast(TICKS)


TICKS_LAYER = Layer("ticks", "symbol", (), ("schema", "sorted", "accounting", "quarantine_empty"), _inputs, _build)
