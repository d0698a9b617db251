"""context_bars: at the close of each bar, what was known of a symbol's context then."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scalper_ml.clock import iso
from scalper_ml.context import context_bars, context_findings, interval_changes, vintage
from scalper_ml.context.per_bar import MAX_AGE_US
from scalper_ml.durable import parquet_bytes
from scalper_ml.layers.base import Keys, Layer, code_digest
from scalper_ml.layers.context import rule_checks
from scalper_ml.project import Project
from scalper_ml.schema import CONTEXT_BARS, us
from scalper_ml.warehouse import Check, Manifest

__all__ = ["CONTEXT_BARS_LAYER", "changed_by_vintage", "max_ages_us"]

CHECKS: Final = ("schema", "no_future", "filled", "stale")

_HOUR_US: Final = 3_600_000_000
_CHANGE: Final = "open_interest_change_1h"
_SAMPLED_ROWS: Final = 2_000_000  # rows of context that may be sorted again for `no_future`
_SAMPLES: Final = (8, 32)


def _inputs(project: Project, keys: Keys) -> dict[str, Any]:
    settings = project.settings.context
    return {
        "code": code_digest("context", "schema", "layers/context", "layers/context_bars"),
        "interval": project.settings.bars.interval,
        "bars": project.warehouse.require("bars", keys).content,
        "context": project.warehouse.require("context", keys).content,
        **settings.model_dump(mode="json", include={"max_age_h", "kinds", "severities"}),
    }


def max_ages_us(project: Project) -> dict[str, int]:
    """Oldest event of the context that still counts at a moment, by kind, as the settings have it."""
    own = project.settings.context.max_age_h
    return {**MAX_AGE_US, **{kind: round(hours * _HOUR_US) for kind, hours in own.items()}}


def _build(project: Project, keys: Keys) -> Manifest:
    settings, inputs, warehouse = project.settings.context, _inputs(project, keys), project.warehouse
    context = warehouse.read_table(warehouse.require("context", keys))
    close_us = us(warehouse.read_table(warehouse.require("bars", keys), columns=["ts_us"])["ts_us"])
    max_age_us, bar_us = max_ages_us(project), project.settings.interval_us
    table = context_bars(context, close_us, bar_us=bar_us, kinds=settings.kinds, max_age_us=max_age_us)
    places = _sampled(context, close_us, project.settings.splits.seed)
    changed = changed_by_vintage(table, context, places, bar_us, settings.kinds, max_age_us)
    shares = {name: _nan_share(table[name].to_numpy()) for name in table.column_names[1:]}
    checks = [
        Check("schema", True, f"{table.num_rows} rows; {len(shares)} columns"),
        Check(
            "no_future",
            not changed,
            f"{len(places)} rows built again from what was known at their closes; differing: {changed[:5] or 'none'}",
            values={"rows": len(places), "values": len(places) * len(shares)},
        ),
        _filled(shares),
        *rule_checks(context_findings(context, until_us=int(close_us[-1])), ("stale",), settings.severities),
    ]
    return warehouse.write(
        "context_bars",
        keys,
        {"data.parquet": parquet_bytes(table)},
        inputs=inputs,
        summary=_summary(table, context, shares),
        checks=checks,
    )


def changed_by_vintage(
    table: pa.Table,
    context: pa.Table,
    places: np.ndarray,
    bar_us: int,
    kinds: Sequence[str],
    max_age_us: Mapping[str, int],
) -> list[str]:
    """Values of some rows that differ from those of the context as it was seen at their closes.

    Parameters
    ----------
    table : pyarrow.Table
        What `scalper_ml.context.context_bars` gave.
    context : pyarrow.Table
        Schema `CONTEXT`, with all its revisions.
    places : ndarray of int64
        Rows to look at.
    bar_us, kinds, max_age_us
        As `context_bars` had them.

    Returns
    -------
    list of str
        Column and close of each differing bit pattern (NaN equals NaN); none where nothing of the future is used.

    Notes
    -----
    A vintage holds one revision an event, so the change of open interest over an hour takes two: that of the close,
    and that of an hour before.
    """
    close_us = us(table["ts_us"])

    def seen(at_us: int) -> dict[str, float]:
        row = context_bars(
            vintage(context, at_us), np.array([at_us]), bar_us=bar_us, kinds=kinds, max_age_us=max_age_us
        )
        return {name: row[name].to_numpy()[0] for name in row.column_names[1:]}

    found = []
    for place in places.tolist():
        at_us = int(close_us[place])
        row = seen(at_us)
        row[_CHANGE] = _change(row, seen(at_us - _HOUR_US))
        for name, value in row.items():
            if not np.array_equal(table[name].to_numpy()[place], value, equal_nan=True):
                found.append(f"{name} at {iso(at_us)}")
    return found


def _change(now: Mapping[str, float], before: Mapping[str, float]) -> float:
    """Of base units where both moments have them, else of quote units."""
    change = np.nan
    for kind in ("open_interest_value", "open_interest"):
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.log(now[kind]) - np.log(before[kind])
        change = ratio if np.isfinite(ratio) else change
    return float(change)


def _sampled(context: pa.Table, close_us: np.ndarray, seed: int) -> np.ndarray:
    """Rows to build again: the closes around which revisions became known, and others drawn."""
    wanted = int(np.clip(_SAMPLED_ROWS // max(context.num_rows, 1), *_SAMPLES))
    revised = us(context.filter(pc.greater(context["revision"], 0))["ts_us"])
    draw = np.random.default_rng(seed)
    after = np.searchsorted(close_us, np.unique(revised))
    around = np.unique(np.concatenate([after - 1, after]))
    around = around[(around >= 0) & (around < len(close_us))]
    some = draw.permutation(around)[: wanted // 2]
    others = draw.choice(len(close_us), size=min(wanted - len(some), len(close_us)), replace=False)
    return np.unique(np.concatenate([some, others])).astype(np.int64)


def _nan_share(values: np.ndarray) -> float:
    return float(np.isnan(values).mean()) if len(values) else 1.0


def _filled(shares: Mapping[str, float]) -> Check:
    empty = [name for name, share in shares.items() if share == 1]
    return Check(
        "filled",
        len(empty) < len(shares),
        f"columns without any value, for want of a feed: {', '.join(empty) or 'none'}",
        blocking=False,
        values={"columns": len(shares), "empty": len(empty)},
    )


def _summary(table: pa.Table, context: pa.Table, shares: Mapping[str, float]) -> dict[str, Any]:
    ts = us(table["ts_us"])
    changes = [f"{iso(one.event_ts_us)}: {one.before_h} h to {one.after_h} h" for one in interval_changes(context)]
    return {
        "rows": table.num_rows,
        "first": iso(int(ts[0])),
        "last": iso(int(ts[-1])),
        "nan_share": {name: round(share, 6) for name, share in shares.items()},
        "ages_h": {name: _ages(table[name].to_numpy()) for name in CONTEXT_BARS.names if name.endswith("_age_h")},
        "interval_changes": changes,
    }


def _ages(hours: np.ndarray) -> dict[str, float] | None:
    known = hours[~np.isnan(hours)]
    return {"median": float(np.median(known)), "max": float(known.max())} if len(known) else None


CONTEXT_BARS_LAYER = Layer("context_bars", "symbol", ("bars", "context"), CHECKS, _inputs, _build)
