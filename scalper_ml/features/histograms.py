"""Reference histograms: what each feature looked like, to measure drift against."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scalper_ml.errors import ContractError

__all__ = ["REFERENCE", "NanMap", "bin_counts", "histograms_of", "nan_shares", "reference_histograms"]

F64 = NDArray[np.float64]

REFERENCE: Final = pa.schema(
    [
        pa.field("feature", pa.string(), nullable=False),
        pa.field("rows", pa.int64(), nullable=False),
        pa.field("nan_rows", pa.int64(), nullable=False),
        pa.field("first_valid", pa.int64()),
        pa.field("mean", pa.float64()),
        pa.field("sd", pa.float64()),
        pa.field("min", pa.float64()),
        pa.field("max", pa.float64()),
        pa.field("edges", pa.list_(pa.float64()), nullable=False),
        pa.field("counts", pa.list_(pa.int64()), nullable=False),
    ]
)
"""One row a feature: warm rows counted, NaN rows of all, first row with a value (null if none), then statistics.

``edges`` are inner edges, rising: bin k holds ``edges[k - 1] < x <= edges[k]``, the outer bins reach to infinity, so
that there is one count more than there are edges.
"""


def bin_counts(edges: Sequence[float] | F64, values: F64) -> NDArray[np.int64]:
    """Values in each bin, ``len(edges) + 1`` counts; NaN is in none.

    Examples
    --------
    >>> bin_counts([0.0, 1.0], np.array([-5.0, 0.0, 0.5, 1.0, 9.0, np.nan])).tolist()
    [2, 2, 1]
    """
    inner = np.asarray(edges, dtype=np.float64)
    known = values[~np.isnan(values)]
    return np.bincount(np.searchsorted(inner, known, side="left"), minlength=inner.size + 1).astype(np.int64)


def reference_histograms(values: F64, warm: NDArray[np.bool_], names: Sequence[str], *, bins: int = 10) -> pa.Table:
    """Histograms of every feature over its warm rows, schema `REFERENCE`.

    Parameters
    ----------
    values : (n, f)
    warm : bool (n,)
        Rows that count for the histogram and the statistics; `nan_rows` and `first_valid` are of all rows.
    names : sequence of str
    bins : int
        Bins by quantile. A feature of few values has fewer, each edge once.

    Raises
    ------
    ContractError
        Shapes differ or there are fewer than two bins.
    """
    if values.shape != (len(warm), len(names)) or bins < 2:
        raise ContractError(
            f"reference histograms: found values {values.shape}, {len(warm)} rows, {len(names)} names, {bins} bins; "
            f"expected ({len(warm)}, {len(names)}) and 2 or more bins"
        )
    columns = ((name, np.ascontiguousarray(values[:, j])) for j, name in enumerate(names))
    return histograms_of(columns, warm, bins=bins)


def histograms_of(
    columns: Iterable[tuple[str, F64]], warm: NDArray[np.bool_], *, bins: int = 10
) -> pa.Table:
    """`reference_histograms` of columns that come one by one, so that no more than one need be in memory.

    Parameters
    ----------
    columns : iterable of name and values (n,)
    """
    return pa.Table.from_pylist([_histogram(name, column, warm, bins) for name, column in columns], schema=REFERENCE)


def _histogram(name: str, column: F64, warm: NDArray[np.bool_], bins: int) -> dict[str, Any]:
    missing = np.isnan(column)
    used = column[warm & ~missing]
    edges = np.empty(0)
    if used.size:
        edges = np.unique(np.quantile(used, np.arange(1, bins) / bins, method="inverted_cdf"))
        edges = edges[edges < used.max()]  # nothing lies beyond the greatest value
    return {
        "feature": name, "rows": int(used.size), "nan_rows": int(missing.sum()),
        "first_valid": None if missing.all() else int(np.argmin(missing)),
        "mean": float(used.mean()) if used.size else None, "sd": float(used.std()) if used.size else None,
        "min": float(used.min()) if used.size else None, "max": float(used.max()) if used.size else None,
        "edges": edges.tolist(), "counts": bin_counts(edges, used).tolist(),
    }  # fmt: skip


class NanMap:
    """Share of NaN by group of columns in consecutive stretches of rows, which come some at a time.

    Parameters
    ----------
    groups : sequence of str
        Group of each column, e.g. its family.
    rows : int
        How many will come.
    buckets : int
        At most so many stretches, as equal as they can be.
    """

    def __init__(self, groups: Sequence[str], rows: int, *, buckets: int = 60) -> None:
        self._edges = np.unique(np.linspace(0, rows, min(buckets, max(rows, 1)) + 1).astype(np.int64))
        self._columns = {one: [j for j, group in enumerate(groups) if group == one] for one in dict.fromkeys(groups)}
        self._lacking = {group: np.zeros(len(self._edges) - 1, dtype=np.int64) for group in self._columns}
        self._seen = 0

    def add(self, values: F64) -> None:
        """The next rows, (n, f)."""
        bucket = np.searchsorted(self._edges, np.arange(self._seen, self._seen + len(values)), side="right") - 1
        for group, columns in self._columns.items():
            lacking = sum((np.isnan(values[:, j]).astype(np.int64) for j in columns), np.zeros(len(values), np.int64))
            self._lacking[group] += np.bincount(bucket, lacking, len(self._edges) - 1).astype(np.int64)
        self._seen += len(values)

    def shares(self) -> dict[str, list[float]]:
        """By group, a share for each stretch."""
        sizes = np.diff(self._edges)
        return {
            group: [round(float(x), 4) for x in lacking / (sizes * len(self._columns[group]))]
            for group, lacking in self._lacking.items()
        }


def nan_shares(values: F64, groups: Sequence[str], *, buckets: int = 60) -> dict[str, list[float]]:
    """Share of NaN by group of columns in consecutive stretches of rows: the NaN map of values (n, f)."""
    found = NanMap(groups, len(values), buckets=buckets)
    found.add(values)
    return found.shares()
