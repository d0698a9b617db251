"""features: one feature set over the bars of a symbol, with the carried state beside it."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from scalper_ml.clock import iso
from scalper_ml.durable import parquet_bytes
from scalper_ml.features.audit import truncation_audit
from scalper_ml.features.feeds import QUOTE_AGE_LIMIT_US, QUOTE_COLUMNS
from scalper_ml.features.histograms import histograms_of
from scalper_ml.features.inputs import fed_groups
from scalper_ml.features.registry import FeatureSet, feature_set
from scalper_ml.layers.base import Keys, Layer, code_digest
from scalper_ml.layers.feature_file import feature_matrix, read_columns, write_rows
from scalper_ml.layers.feature_growth import Growth
from scalper_ml.layers.feature_inputs import EngineInputs, feeds_of
from scalper_ml.layers.feature_parity import Replay, parity_check
from scalper_ml.project import Project
from scalper_ml.schema import InputGroup
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
            "features",
            "kernel",
            "schema",
            "layers/features",
            "layers/feature_growth",
            "layers/feature_inputs",
            "layers/feature_parity",
        ),
        "bars": bars.content,
        "feature_set": fs.id,
    }
    if "market" in fs.groups:
        inputs["market"] = project.warehouse.require("market", {}).content
    for name in feeds_of(fs):
        inputs[name] = project.warehouse.require(name, keys).content
    return inputs


def _build(project: Project, keys: Keys) -> Manifest:
    inputs = _inputs(project, keys)
    warehouse = project.warehouse
    bars = warehouse.require("bars", keys)
    table = warehouse.read_table(bars)
    fs = project_feature_set(project, bars)
    source = EngineInputs(project, table, str(keys["symbol"]), fs)
    growth = Growth(project, keys, fs, source, inputs["code"])
    replay = Replay.drawn(project, keys, bars, fs, len(source.ts_us), growth.kept)
    path = warehouse.scratch("features", keys, "data.parquet")
    written = write_rows(path, fs, growth.rows(mark=replay.begin), len(source.ts_us))
    warm_rows = int(written.warm.sum())
    reference = histograms_of(read_columns(path, fs.names), written.warm)
    checks = [
        _schema_check(path, fs),
        _finite_check(written.bad, warm_rows),
        _future_check(project, fs, source),
        parity_check(project, keys, table, source, fs, replay, growth.state(replay.begin), path),
    ]
    state = growth.state() or b""
    summary = {
        "rows": len(written.warm),
        "warm_rows": warm_rows,
        "features": len(fs.names),
        "feature_set_id": fs.id,
        "groups": list(fs.groups),
        "absent": _available(project, bars)[1],
        "warmup": fs.warmup,
        "state_bytes": len(state),
        "nan_map": written.nan_map,
        "first": iso(int(source.ts_us[0])),
        "last": iso(int(source.ts_us[-1])),
    }
    files = {
        "state.bin": state,
        "feature_set.json": fs.to_json().encode(),
        "reference.parquet": parquet_bytes(reference),
    }
    placed = {"data.parquet": warehouse.place_file("features", keys, "data.parquet", path)}
    return warehouse.write(
        "features", keys, files, inputs=inputs, summary=summary, checks=checks, placed=placed, beside=growth.beside()
    )


def _schema_check(path: Path, fs: FeatureSet) -> Check:
    said = f"{len(fs.names)} columns in the order of feature set {fs.id}"
    return Check("schema", pq.read_schema(path).names[2:] == list(fs.names), said)


def _finite_check(bad: dict[str, int], warm_rows: int) -> Check:
    said = f"features with NaN or infinity after warm-up: {bad}" if bad else f"none in {warm_rows} warm rows"
    return Check("no_nan_after_warmup", not bad, said, values={"warm_rows": warm_rows})


def _future_check(project: Project, fs: FeatureSet, source: EngineInputs) -> Check:
    """A sample of the bars computed anew with altered futures."""
    n, seed = len(source.ts_us), project.settings.splits.seed
    rows = min(n, max(AUDIT_ROWS, 2 * fs.warmup))
    start = int(np.random.default_rng(seed).integers(n - rows + 1))
    audit = truncation_audit(fs, *source.rows(start, start + rows), cuts=AUDIT_CUTS, seed=seed)
    changed = ", ".join(f"{one.feature} row {one.row} ({one.kind})" for one in audit.violations[:5])
    said = f"{audit.values_compared:,} values compared with altered futures; changed: {changed or 'none'}"
    values = {"first_row": start, "rows": rows, "cuts": list(audit.cuts)}
    return Check("no_future", audit.ok, said, values=values)


def read_features(project: Project, manifest: Manifest) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[str, ...]]:
    """Stamps (n,), warm flags (n,), values (n, f) and names of a features partition."""
    return feature_matrix(project.warehouse.read_table(manifest))


FEATURES_LAYER = Layer("features", "symbol", ("bars", "market"), CHECKS, _inputs, _build)
