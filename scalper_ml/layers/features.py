"""features: one feature set over the bars of a symbol, with the carried state beside it."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scalper_ml.clock import iso
from scalper_ml.durable import parquet_bytes
from scalper_ml.features.audit import truncation_audit
from scalper_ml.features.feeds import QUOTE_AGE_LIMIT_US, QUOTE_COLUMNS
from scalper_ml.features.histograms import nan_shares, reference_histograms
from scalper_ml.features.inputs import fed_groups, inputs_from_bars
from scalper_ml.features.registry import FeatureSet, feature_set
from scalper_ml.layers.base import Keys, Layer, code_digest
from scalper_ml.layers.feature_growth import feature_matrix, grown_features
from scalper_ml.layers.feature_parity import parity_check
from scalper_ml.project import Project
from scalper_ml.schema import InputGroup, stamps, us
from scalper_ml.warehouse import Check, Manifest

__all__ = ["FEATURES_LAYER", "project_feature_set", "read_features"]

CHECKS = ("schema", "no_nan_after_warmup", "no_future", "online_parity")
AUDIT_ROWS = 1200
AUDIT_CUTS = 3


def project_feature_set(project: Project, bars: Manifest) -> FeatureSet:
    """The feature set the settings ask for and a symbol can feed: what lacks its inputs is left out by name."""
    settings = project.settings
    groups, absent = _available(project, bars)
    return feature_set(
        groups,
        families=settings.features.families,
        windows=settings.features.windows,
        absent=absent,
        reset_after_gap=settings.features.reset_after_gap,
        min_ticks=settings.features.min_ticks,
    )


def _available(project: Project, bars: Manifest) -> tuple[list[InputGroup], list[str]]:
    """Input groups of a symbol, and columns absent although their group is there."""
    settings = project.settings
    fed, lacking = fed_groups(_known_shares(project, bars.keys), settings.features.feed_share)
    market: tuple[InputGroup, ...] = ("market",) if len(settings.symbols) > 1 else ()
    return [*bars.summary["groups"], *market, *fed], [*bars.summary["absent"], *lacking]


def _feeds(project: Project) -> dict[str, str]:
    """Layers of feeds that are configured and wanted, with where their summaries say what is missing."""
    settings, families = project.settings, project.settings.features.families
    feeds = {}
    if settings.context.folder is not None and (families is None or "derivatives" in families):
        feeds["context_bars"] = "nan_share"
    if settings.book.folder is not None and (families is None or "book" in families):
        feeds["book"] = "null_share"
    return feeds


def _known_shares(project: Project, keys: Keys) -> dict[str, float]:
    """Share of the closes at which each column of the feeds is known; a quote of long ago is not."""
    known: dict[str, float] = {}
    for name, missing in _feeds(project).items():
        manifest = project.warehouse.require(name, keys)
        known |= {column: 1.0 - share for column, share in manifest.summary[missing].items()}
        if name == "book":
            age_us = project.warehouse.read_table(manifest, columns=["quote_age_us"])["quote_age_us"]
            young = pc.sum(pc.less_equal(age_us, QUOTE_AGE_LIMIT_US)).as_py() or 0
            known |= {column: min(known[column], young / len(age_us)) for column in QUOTE_COLUMNS}
    return known


def _inputs(project: Project, keys: Keys) -> dict[str, Any]:
    bars = project.warehouse.require("bars", keys)
    fs = project_feature_set(project, bars)
    inputs: dict[str, Any] = {
        "code": code_digest(
            "features", "kernel", "schema", "layers/features", "layers/feature_growth", "layers/feature_parity"
        ),
        "bars": bars.content,
        "feature_set": fs.id,
    }
    if "market" in fs.groups:
        inputs["market"] = project.warehouse.require("market", {}).content
    for name in _feeds_of(fs):
        inputs[name] = project.warehouse.require(name, keys).content
    return inputs


def _feeds_of(fs: FeatureSet) -> list[str]:
    """Layers of the feeds a set is fed by."""
    layers = {"quotes": "book", "book": "book", "derivatives": "context_bars"}
    return sorted({layers[group] for group in fs.groups if group in layers})


def engine_inputs(project: Project, bars_table: pa.Table, symbol: str, fs: FeatureSet) -> np.ndarray:
    """The engine's input matrix (n, k) of a symbol's bars and, where the set needs them, its market and its feeds."""
    market, warehouse = None, project.warehouse
    if "market" in fs.groups:
        table = warehouse.read_table(warehouse.require("market", {}))
        market = table.filter(pc.equal(table["symbol"], symbol))
    feeds = {name: warehouse.read_table(warehouse.require(name, {"symbol": symbol})) for name in _feeds_of(fs)}
    return inputs_from_bars(bars_table, market, feeds.get("context_bars"), feeds.get("book"))


def _build(project: Project, keys: Keys) -> Manifest:
    inputs = _inputs(project, keys)
    warehouse, symbol = project.warehouse, str(keys["symbol"])
    bars = warehouse.require("bars", keys)
    table = warehouse.read_table(bars)
    fs = project_feature_set(project, bars)
    X, ts = engine_inputs(project, table, symbol, fs), us(table["ts_us"])
    block = grown_features(project, keys, fs, X, ts, inputs["code"])
    warm = block.warm
    bad = {name: int((~np.isfinite(block.values[warm, j])).sum()) for j, name in enumerate(fs.names)}
    bad = {name: count for name, count in bad.items() if count}
    audited = min(len(ts), max(AUDIT_ROWS, 2 * fs.warmup))
    start = int(np.random.default_rng(project.settings.splits.seed).integers(len(ts) - audited + 1))
    sample = slice(start, start + audited)
    audit = truncation_audit(fs, X[sample], ts[sample], cuts=AUDIT_CUTS, seed=project.settings.splits.seed)
    changed = ", ".join(f"{one.feature} row {one.row} ({one.kind})" for one in audit.violations[:5])
    data = pa.table(
        {"ts_us": stamps(ts), "warm": pa.array(warm), **{name: block.values[:, j] for j, name in enumerate(fs.names)}}
    )
    checks = [
        Check(
            "schema",
            data.column_names[2:] == list(fs.names),
            f"{len(fs.names)} columns in the order of feature set {fs.id}",
        ),
        Check(
            "no_nan_after_warmup",
            not bad,
            f"features with NaN or infinity after warm-up: {bad}" if bad else f"none in {int(warm.sum())} warm rows",
            values={"warm_rows": int(warm.sum())},
        ),
        Check(
            "no_future",
            audit.ok,
            f"{audit.values_compared:,} values compared with altered futures; changed: {changed or 'none'}",
            values={"first_row": start, "rows": audited, "cuts": list(audit.cuts)},
        ),
        parity_check(project, keys, bars, table, X, ts, fs, block.values, warm),
    ]
    summary = {
        "rows": len(ts),
        "warm_rows": int(warm.sum()),
        "features": len(fs.names),
        "feature_set_id": fs.id,
        "groups": list(fs.groups),
        "absent": _available(project, bars)[1],
        "warmup": fs.warmup,
        "state_bytes": len(block.state),
        "nan_map": nan_shares(block.values, [spec.family for spec in fs.specs]),
        "first": iso(int(ts[0])),
        "last": iso(int(ts[-1])),
    }
    files = {
        "data.parquet": parquet_bytes(data),
        "state.bin": block.state,
        "feature_set.json": fs.to_json().encode(),
        "reference.parquet": parquet_bytes(reference_histograms(block.values, warm, fs.names)),
    }
    return warehouse.write("features", keys, files, inputs=inputs, summary=summary, checks=checks, beside=block.beside)


def read_features(project: Project, manifest: Manifest) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[str, ...]]:
    """Stamps (n,), warm flags (n,), values (n, f) and names of a features partition."""
    return feature_matrix(project.warehouse.read_table(manifest))


FEATURES_LAYER = Layer("features", "symbol", ("bars", "market"), CHECKS, _inputs, _build)
