"""meta_labels: was each side that a primary model took out of fold worth taking, after all costs?"""

from typing import Any

import numpy as np
import pyarrow as pa

from scalper_ml.datasets.labelling import in_flight_until
from scalper_ml.durable import parquet_bytes
from scalper_ml.labels.horizon import Labels
from scalper_ml.labels.meta import meta_labels
from scalper_ml.labels.weights import uniqueness
from scalper_ml.layers.base import Keys, Layer, code_digest
from scalper_ml.project import Project
from scalper_ml.schema import LONG, META_LABELS, SHORT, conform, stamps, us
from scalper_ml.warehouse import Check, Manifest

__all__ = ["meta_labels_layer"]

CHECKS = ("out_of_fold", "both_outcomes")


def _inputs(project: Project, keys: Keys) -> dict[str, Any]:
    warehouse, kind = project.warehouse, project.settings.labels.meta
    return {
        "code": code_digest("labels", "schema", "layers/meta_labels"),
        "dataset": warehouse.require("datasets", keys).content,
        "model": warehouse.require(f"models/{kind}", keys).content,
        "kind": kind,
    }


def _labels(table: pa.Table, close: np.ndarray) -> Labels:
    """The labels of a dataset's rows, back from its table."""
    columns: dict[str, Any] = {name: table[name].to_numpy() for name in ("ret", "deadband", "cost", "sigma")}
    columns |= {"entry": table["entry_price"].to_numpy(), "exit": table["exit_price"].to_numpy()}
    t0, t1 = us(table["t0_us"]), us(table["t1_us"])
    y, binary = table["y"].to_numpy(), table["y_binary"].to_numpy()
    return Labels(row=np.searchsorted(close, t0), t0=t0, t1=t1, y=y, y_binary=binary, dropped={}, **columns)


def _build(project: Project, keys: Keys) -> Manifest:
    inputs = _inputs(project, keys)
    warehouse, kind = project.warehouse, inputs["kind"]
    table = warehouse.read_table(warehouse.require("datasets", keys))
    bars = warehouse.read_table(warehouse.require("bars", {"symbol": keys["symbol"]}), columns=["ts_us"])
    predictions = warehouse.read_table(warehouse.require(f"models/{kind}", keys), "predictions.parquet")
    close, decided = us(bars["ts_us"]), us(table["ts_us"])
    at = np.searchsorted(decided, us(predictions["ts_us"]))
    fold = np.full(table.num_rows, -1, dtype=np.int64)
    side, confidence = np.zeros(table.num_rows, dtype=np.int64), np.zeros(table.num_rows)
    P = np.column_stack([predictions[name].to_numpy() for name in ("p_short", "p_neutral", "p_long")])
    out = predictions["fold"].to_numpy() >= 0
    guess = P.argmax(axis=1)
    fold[at[out]] = predictions["fold"].to_numpy()[out]
    side[at[out]] = np.select([guess == LONG, guess == SHORT], [1, -1], 0)[out]
    confidence[at[out]] = (P[:, [SHORT, LONG]].max(axis=1) / P[:, [SHORT, LONG]].sum(axis=1))[out]
    labels = _labels(table, close)
    meta = meta_labels(labels, side, fold)
    until = in_flight_until(labels, project.settings.labels.price)[meta.at]
    own = uniqueness(meta.t0, until, close)
    rows = pa.table(
        {
            "ts_us": stamps(meta.t0),
            "t0_us": stamps(meta.t0),
            "t1_us": stamps(meta.t1),
            "fold": pa.array(fold[meta.at].astype(np.int32)),
            "side": meta.side,
            "confidence": confidence[meta.at],
            "net": meta.net,
            "y": meta.y,
            "weight": own / own.mean() if own.size else own,
        }
    )
    rows = conform(rows, META_LABELS, f"meta_labels {keys['symbol']}")
    paid = int(meta.y.sum())
    checks = [
        Check("out_of_fold", True, f"{meta.at.size} sides of {int(out.sum())} out-of-fold predictions of {kind}"),
        Check(
            "both_outcomes",
            0 < paid < meta.y.size,
            f"{paid} of {meta.y.size} sides were worth taking",
            blocking=False,
            values={"sides": int(meta.y.size), "paid": paid},
        ),
    ]
    summary = {
        "rows": rows.num_rows,
        "kind": kind,
        "predicted": int(out.sum()),
        "share_paid": paid / meta.y.size if meta.y.size else None,
        "mean_net": float(meta.net.mean()) if meta.net.size else None,
        "effective_rows": float(own.sum()),
    }
    files = {"data.parquet": parquet_bytes(rows)}
    return warehouse.write("meta_labels", keys, files, inputs=inputs, summary=summary, checks=checks)


def meta_labels_layer(kind: str) -> Layer:
    """The layer over one primary model."""
    return Layer("meta_labels", "symbol_horizon", (f"models/{kind}", "datasets", "bars"), CHECKS, _inputs, _build)
