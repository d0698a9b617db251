"""The look-ahead audit of what lies in the warehouse: every feature and every label of one symbol."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from scalper_ml.backtest.engine import quote_volume
from scalper_ml.datasets.build import SIGMA_COLUMN
from scalper_ml.datasets.label_audit import audit_labels
from scalper_ml.features.audit import AuditReport, truncation_audit, warmup_audit
from scalper_ml.features.engine import compute
from scalper_ml.features.registry import FeatureSet
from scalper_ml.features.series import INPUT_COLUMNS
from scalper_ml.labels.audit import LabelAudit
from scalper_ml.layers.base import keys_of
from scalper_ml.layers.datasets import dataset_params, label_tape, project_costs
from scalper_ml.layers.feature_inputs import engine_inputs
from scalper_ml.layers.feature_sets import partition_set
from scalper_ml.layers.features import read_features
from scalper_ml.project import Project
from scalper_ml.schema import us

__all__ = ["SymbolAudit", "audit_symbol"]

Audits = dict[int, LabelAudit]

_GAP = INPUT_COLUMNS.index("gap")


@dataclass(frozen=True, slots=True)
class SymbolAudit:
    """What the audit of a symbol compared and found.

    `features` are the truncation and the three altered futures, `warmup` the late starts (None where no stretch of
    bars is long enough for one), `labels` by horizon, and `stored` the columns whose stored values differ from those
    computed anew, with the number of rows.
    """

    symbol: str
    feature_set: str
    columns: int
    rows: int
    first_row: int
    features: AuditReport
    warmup: AuditReport | None
    labels: dict[int, LabelAudit]
    stored: dict[str, int]

    @property
    def ok(self) -> bool:
        """Nothing changed that may not change."""
        late = self.warmup is None or self.warmup.ok
        return self.features.ok and late and not self.stored and all(one.ok for one in self.labels.values())

    def findings(self) -> list[dict[str, Any]]:
        """What saw the future, its first row in the partition, and how it was found out."""
        found = [
            {"what": one.feature, "row": self.first_row + one.row, "kind": one.kind}
            for report in (self.features, self.warmup)
            if report is not None
            for one in report.violations
        ]
        for horizon, labels in self.labels.items():
            first: dict[tuple[str, str], int] = {}
            for one in labels.violations:
                key = (one.field, one.kind)
                first[key] = min(one.row, first.get(key, one.row))
            found += [
                {"what": f"label {field} (horizon {horizon})", "row": self.first_row + row, "kind": kind}
                for (field, kind), row in first.items()
            ]
        return found + [
            {"what": name, "row": None, "kind": f"stored values differ from computed ones in {count:,} rows"}
            for name, count in self.stored.items()
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "symbol": self.symbol,
            "feature_set": self.feature_set,
            "ok": self.ok,
            "columns": self.columns,
            "rows": self.rows,
            "first_row": self.first_row,
            "cuts": list(self.features.cuts),
            "values_compared": self.features.values_compared,
            "warmup_values_compared": None if self.warmup is None else self.warmup.values_compared,
            "labels_compared": {str(horizon): one.compared for horizon, one in self.labels.items()},
            "findings": self.findings(),
        }


def audit_symbol(project: Project, symbol: str, *, rows: int = 5000, cuts: int = 8, seed: int = 0) -> SymbolAudit:
    """Audit a symbol's features partition and the labels of every horizon.

    Parameters
    ----------
    rows : int
        Newest bars audited; 0 for all of them. Twice the warm-up is audited at least, where there is so much.
    cuts : int
        Random rows from which on the future is removed, scaled, reversed and erased.
    seed : int

    Notes
    -----
    The values stored are compared bit by bit with those computed anew from all bars: a partition that was written by
    other code is found, too.
    """
    keys = keys_of(project.settings, symbol=symbol)
    bars = project.warehouse.read_table(project.warehouse.require("bars", keys))
    fs = partition_set(project, symbol)
    X, ts = engine_inputs(project, bars, symbol, fs), us(bars["ts_us"])
    stored_ts, _, stored, _ = read_features(project, project.warehouse.require("features", keys))
    whole = compute(fs, X, ts).values
    wanted = len(ts) if rows <= 0 else min(len(ts), max(rows, 2 * fs.warmup))
    sample = slice(len(ts) - wanted, len(ts))
    report = truncation_audit(fs, X[sample], ts[sample], cuts=cuts, seed=seed)
    return SymbolAudit(
        symbol,
        fs.id,
        len(fs.names),
        wanted,
        sample.start,
        report,
        _late_starts(fs, X[sample], ts[sample], seed),
        _labels(project, symbol, bars[sample], whole[sample, fs.index(SIGMA_COLUMN)], cuts, seed),
        _stored(fs, stored_ts, stored, ts, whole),
    )


def _late_starts(fs: FeatureSet, X: np.ndarray, ts: np.ndarray, seed: int) -> AuditReport | None:
    """The warm-up audit on the longest stretch of bars without a reset, if that is long enough."""
    starts = np.flatnonzero(X[:, _GAP] >= fs.reset_after_gap)
    edges = np.r_[0, starts, len(X)]
    longest = int(np.argmax(np.diff(edges)))
    stretch = slice(int(edges[longest]), int(edges[longest + 1]))
    if stretch.stop - stretch.start < 2 * fs.warmup + 10:
        return None
    stretch_X = X[stretch].copy()
    stretch_X[0, _GAP] = 0.0
    return warmup_audit(fs, stretch_X, ts[stretch], seed=seed)


def _labels(project: Project, symbol: str, bars: pa.Table, sigma: np.ndarray, cuts: int, seed: int) -> Audits:
    """Each horizon's labels of the kind and on the prices that the settings name, with the costs of the project."""
    cost = project_costs(project).round_trip(sigma, quote_volume(bars))
    tape = label_tape(project, keys_of(project.settings, symbol=symbol))
    return {
        horizon: audit_labels(bars, sigma, cost, tape, dataset_params(project, horizon).labels, cuts=cuts, seed=seed)
        for horizon in project.settings.horizons
    }


def _stored(
    fs: FeatureSet, stored_ts: np.ndarray, stored: np.ndarray, ts: np.ndarray, whole: np.ndarray
) -> dict[str, int]:
    if not np.array_equal(stored_ts, ts) or stored.shape != whole.shape:
        return dict.fromkeys(fs.names, abs(len(ts) - len(stored_ts)) or len(ts))
    differs = (stored != whole) & ~(np.isnan(stored) & np.isnan(whole))
    counts = np.count_nonzero(differs, axis=0)
    return {name: int(count) for name, count in zip(fs.names, counts.tolist(), strict=True) if count}
