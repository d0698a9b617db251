"""datasets: labels, roles, weights and the train-only scaler of a symbol x horizon."""

import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from scalper_ml.backtest.costs import Costs
from scalper_ml.backtest.engine import quote_volume
from scalper_ml.backtest.execution import VENUE_FEES_BPS
from scalper_ml.datasets.build import SIGMA_COLUMN, Dataset, DatasetParams, build_dataset
from scalper_ml.datasets.causal import EwmaNormaliser
from scalper_ml.datasets.label_audit import audit_labels
from scalper_ml.datasets.labelling import Tape
from scalper_ml.datasets.profile import Profile, profile_dataset
from scalper_ml.datasets.scaling import Scaler
from scalper_ml.datasets.summary import class_balance
from scalper_ml.durable import canonical_json, parquet_bytes, sha256_of
from scalper_ml.errors import InsufficientDataError, WarehouseError
from scalper_ml.features.histograms import reference_histograms
from scalper_ml.labels.horizon import Barriers
from scalper_ml.labels.targets import specialist_targets
from scalper_ml.layers.base import Keys, Layer, code_digest
from scalper_ml.layers.features import read_features
from scalper_ml.layers.ticks import read_all_ticks
from scalper_ml.project import Project
from scalper_ml.schema import TARGETS, conform, stamps, us
from scalper_ml.settings import Settings
from scalper_ml.warehouse import Check, Manifest

__all__ = [
    "DATASETS_LAYER",
    "dataset_matrix",
    "datasets_layer",
    "label_tape",
    "profile_of",
    "project_costs",
    "read_normaliser",
    "read_scaler",
]

_REFERENCE = "dataset_reference.parquet"
_BEFORE = ("dataset_before.parquet", "before.json")
CHECKS = ("min_rows", "class_balance", "no_nan", "roles_disjoint", "labels_no_future")
_AUDITED = 2_000  # newest bars whose labels are audited


def project_costs(project: Project) -> Costs:
    """The cost model of the settings."""
    costs = project.settings.backtest
    fee_bps = costs.fee_bps if costs.venue is None else VENUE_FEES_BPS[costs.venue][1]
    return Costs(fee_bps=fee_bps, spread_bps=costs.spread_bps, impact=costs.impact, notional=costs.notional)


def dataset_params(project: Project, horizon: int) -> DatasetParams:
    """The dataset parameters of the settings for one horizon."""
    settings = project.settings
    costs = project_costs(project)
    return DatasetParams(
        horizon=horizon,
        interval_us=settings.interval_us,
        k_vol=settings.labels.k_vol,
        kappa=settings.labels.kappa,
        max_gap_bars=settings.labels.max_gap_bars,
        min_rows=settings.splits.min_rows,
        calibrate_size=settings.splits.calibrate_size,
        select_size=settings.splits.select_size,
        test_size=settings.splits.test_size,
        scaler=settings.splits.scaler,
        winsor=settings.splits.winsor,
        ewma_halflife=settings.splits.ewma_halflife,
        seed=settings.splits.seed,
        max_class_share=settings.splits.max_class_share,
        cost_schedule=tuple(sorted(costs.to_dict().items())),
        kind=settings.labels.kind,
        price=settings.labels.price,
        latency_us=round(settings.labels.latency_ms * 1000),
        barriers=Barriers(**settings.labels.barriers.model_dump()),
        attribution=settings.labels.attribution,
        decay=settings.labels.decay,
        class_balance=settings.labels.class_balance,
        trend=settings.labels.trend,
    )


def label_tape(project: Project, keys: Keys) -> Tape | None:
    """The trades or the quotes, where labels are made of them."""
    if (source := _tape_layer(project.settings)) is None:
        return None
    manifest = project.warehouse.require(source, {"symbol": keys["symbol"]})
    if source == "book":
        from scalper_ml.layers.book import LABEL_QUOTES  # reads captures: what has no quotes need not wait for it

        quotes = project.warehouse.read_table(manifest, LABEL_QUOTES)
        return Tape(us(quotes["ts_us"]), bid=quotes["bid"].to_numpy(), ask=quotes["ask"].to_numpy())
    table = read_all_ticks(project, manifest)
    stamp = us(table["ts_us"])
    return Tape(stamp, price=table["price"].to_numpy(), side=table["side"].to_numpy())


def _tape_layer(settings: Settings) -> str | None:
    """The layer that holds what labels are made of, where it is not the bars."""
    return {"open": None, "mid": "book"}.get(settings.labels.price, "ticks")


def _targets(bars: pa.Table, dataset: Dataset, interval_us: int) -> pa.Table:
    """What the specialists learn, a row a label."""
    prices: dict[str, Any] = {name: bars[name].to_numpy() for name in ("open", "high", "low")}
    times: dict[str, Any] = {name: us(bars[name]) for name in ("open_ts_us", "ts_us")}
    found = specialist_targets(**prices, **times, labels=dataset.labels, interval_us=interval_us)
    columns: dict[str, Any] = {name: getattr(found, name) for name in TARGETS.names if not name.endswith("_us")}
    columns |= {"ts_us": stamps(found.t0), "t0_us": stamps(found.t0), "t1_us": stamps(found.t1)}
    return conform(pa.table(columns), TARGETS, "targets")


def _inputs(project: Project, keys: Keys) -> dict[str, Any]:
    symbol, labels, tape = {"symbol": keys["symbol"]}, project.settings.labels, _tape_layer(project.settings)
    return {
        "code": code_digest(
            "datasets", "labels", "backtest/costs", "backtest/engine", "schema", "layers/features", "layers/datasets"
        ),
        "bars": project.warehouse.require("bars", symbol).content,
        "features": project.warehouse.require("features", symbol).content,
        "params": dataset_params(project, int(keys["horizon"])).to_dict(),
        **({tape: project.warehouse.require(tape, symbol).content} if tape else {}),
        **({"targets": True} if labels.targets else {}),
    }


def _build(project: Project, keys: Keys) -> Manifest:
    inputs = _inputs(project, keys)
    warehouse, symbol = project.warehouse, {"symbol": keys["symbol"]}
    features = warehouse.require("features", symbol)
    bars = warehouse.read_table(warehouse.require("bars", symbol))
    _, warm, values, names = read_features(project, features)
    cost = project_costs(project).round_trip(values[:, names.index(SIGMA_COLUMN)], quote_volume(bars))
    params, tape = dataset_params(project, int(keys["horizon"])), label_tape(project, keys)
    try:
        dataset = build_dataset(
            bars, values, warm, names, features.summary["feature_set_id"], params, cost=cost, tape=tape
        )
    except InsufficientDataError as error:
        failed = "class_balance" if "class" in str(error) else "min_rows"
        warehouse.write("datasets", keys, {}, inputs=inputs, checks=[Check(failed, False, str(error))])
        raise
    summary = dataset.summary
    shares = summary["roles"]["train"]["class_shares"]
    largest = max(shares, key=shares.__getitem__)
    table, role = dataset.table, dataset.table["role"].to_numpy(zero_copy_only=False)
    t0, t1 = us(table["t0_us"]), us(table["t1_us"])
    order = ("train", "calibrate", "select", "score")
    disjoint = all(t1[role == a].max() < t0[role == b].min() for a, b in pairwise(order))
    checks = [
        Check(
            "min_rows",
            table.num_rows >= params.min_rows,
            f"{table.num_rows} label rows, at least {params.min_rows} wanted",
        ),
        Check(
            "class_balance",
            shares[largest] <= params.max_class_share,
            f"{largest} holds {shares[largest]:.1%} of train, at most {params.max_class_share:.0%} allowed",
            values={name: float(share) for name, share in shares.items()},
        ),
        Check(
            "no_nan", summary["nan_after_warmup"] == 0, f"{summary['nan_after_warmup']} values missing in labelled rows"
        ),
        Check("roles_disjoint", bool(disjoint), "no label of a role ends at or after the next role begins"),
        _label_check(bars, values[:, names.index(SIGMA_COLUMN)], cost, tape, params),
    ]
    files = {
        "data.parquet": parquet_bytes(table),
        "scaler.json": canonical_json(dataset.scaler.to_dict()),
        "feature_set.json": warehouse.read_bytes(features, "feature_set.json"),
        "dataset.json": canonical_json({**summary, "symbol": str(keys["symbol"]), "lineage": inputs}, indent=1),
    }
    if dataset.normaliser is not None:
        files["normaliser.json"] = canonical_json(dataset.normaliser.to_dict())
    if project.settings.labels.targets:
        files["targets.parquet"] = parquet_bytes(_targets(bars, dataset, params.interval_us))
    reference = reference_histograms(values[dataset.rows], np.ones(table.num_rows, np.bool_), names)
    beside = {_REFERENCE: parquet_bytes(reference), **_version_before(project, keys, files)}
    return warehouse.write("datasets", keys, files, inputs=inputs, summary=summary, checks=checks, beside=beside)


def _label_check(
    bars: pa.Table, sigma: np.ndarray, cost: np.ndarray, tape: Tape | None, params: DatasetParams
) -> Check:
    """Whether a label changes when what comes after its end is removed, scaled, reversed or thinned."""
    newest = slice(max(bars.num_rows - _AUDITED, 0), None)
    found = audit_labels(bars[newest], sigma[newest], cost[newest], tape, params.labels, seed=params.seed)
    said = f"{found.compared:,} labels whose end was known were the same for every future after it"
    if not found.ok:
        first = found.violations[0]
        saw = f"first {first.field} of row {first.row} ({first.kind})"
        said = f"{len(found.violations):,} labels saw beyond their end, {saw}"
    return Check("labels_no_future", found.ok, said)


def _version_before(project: Project, keys: Keys, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """What is kept of the version that these files replace: histograms, and what it was.

    A build that changes nothing keeps what the published one kept.
    """
    warehouse = project.warehouse
    published = warehouse.manifest("datasets", keys)
    if published is None or _REFERENCE not in published.beside or not warehouse.fresh_files(published):
        return {}
    if {name: entry["sha256"] for name, entry in published.files.items()} == {
        name: sha256_of(data) for name, data in files.items()
    }:
        return {name: warehouse.read_bytes(published, name) for name in _BEFORE if name in published.beside}
    y = warehouse.read_table(published, columns=["y"])["y"].to_numpy()
    told = {
        "content": published.content,
        "rows": published.summary["label_rows"],
        "class_shares": class_balance(y)[1],
        "label_version": published.summary["label_version"],
        "feature_set_id": published.summary["feature_set_id"],
    }
    return dict(zip(_BEFORE, (warehouse.read_bytes(published, _REFERENCE), canonical_json(told)), strict=True))


def read_scaler(project: Project, manifest: Manifest) -> Scaler:
    """The scaler of a datasets partition, fitted on its train rows."""
    return Scaler.from_dict(json.loads(project.warehouse.read_bytes(manifest, "scaler.json")))


def read_normaliser(project: Project, manifest: Manifest) -> EwmaNormaliser | None:
    """The causal normaliser of a datasets partition as it stood after the last warm bar; None for other scalers."""
    if "normaliser.json" not in manifest.files:
        return None
    return EwmaNormaliser.from_dict(json.loads(project.warehouse.read_bytes(manifest, "normaliser.json")))


def profile_of(project: Project, keys: Keys) -> Profile:
    """The profile of a dataset partition: class balance by role and fold, every feature, and what changed."""
    warehouse = project.warehouse
    dataset = warehouse.require("datasets", keys)
    table = warehouse.read_table(dataset)
    X, names = dataset_matrix(project, keys, us(table["ts_us"]))
    before = None
    if all(name in dataset.beside for name in _BEFORE):
        before = json.loads(warehouse.read_bytes(dataset, _BEFORE[1])), warehouse.read_table(dataset, _BEFORE[0])
    return profile_dataset(table, X, names, n_folds=project.settings.splits.folds, before=before)


def dataset_matrix(
    project: Project, keys: Keys, ts_us: np.ndarray, *, normaliser: EwmaNormaliser | None = None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Unscaled features (n, f) of the rows at these stamps, and their names.

    With a `normaliser` the rows are as one of its kind gives them that has seen every warm bar of the partition.
    """
    features = project.warehouse.require("features", {"symbol": keys["symbol"]})
    ts, warm, values, names = read_features(project, features)
    position = np.searchsorted(ts, ts_us)
    if not np.array_equal(ts[np.minimum(position, len(ts) - 1)], ts_us):
        raise WarehouseError(
            f"datasets {dict(keys)}: rows without features; features changed, materialise datasets again"
        )
    if normaliser is not None:
        values, _ = EwmaNormaliser(names, normaliser.halflife).run(values, warm)
    return values[position], names


DATASETS_LAYER = Layer("datasets", "symbol_horizon", ("features", "bars"), CHECKS, _inputs, _build)
"""Downstream of what labels are made of as well, where that is not the bars: see `datasets_layer`."""


def datasets_layer(settings: Settings) -> Layer:
    """The layer as the settings have labels made: of bars alone, or of trades or quotes beside them."""
    tape = _tape_layer(settings)
    return replace(DATASETS_LAYER, upstream=(*DATASETS_LAYER.upstream, *((tape,) if tape else ())))
