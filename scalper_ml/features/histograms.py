"""Reference histograms: what each feature looked like, to measure drift against."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scalper_ml.errors import ContractError

__all__ = ["REFERENCE", "bin_counts", "nan_shares", "reference_histograms"]

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
    rows = []
    for j, name in enumerate(names):
        column = np.ascontiguousarray(values[:, j])
        missing = np.isnan(column)
        used = column[warm & ~missing]
        edges = np.empty(0)
        if used.size:
            edges = np.unique(np.quantile(used, np.arange(1, bins) / bins, method="inverted_cdf"))
            edges = edges[edges < used.max()]  # nothing lies beyond the greatest value
        rows.append(
            {
                "feature": name, "rows": int(used.size), "nan_rows": int(missing.sum()),
                "first_valid": None if missing.all() else int(np.argmin(missing)),
                "mean": float(used.mean()) if used.size else None, "sd": float(used.std()) if used.size else None,
                "min": float(used.min()) if used.size else None, "max": float(used.max()) if used.size else None,
                "edges": edges.tolist(), "counts": bin_counts(edges, used).tolist(),
            }
        )  # fmt: skip
    return pa.Table.from_pylist(rows, schema=REFERENCE)


def nan_shares(values: F64, groups: Sequence[str], *, buckets: int = 60) -> dict[str, list[float]]:
    """Share of NaN by group of columns in consecutive stretches of rows: the NaN map.

    Parameters
    ----------
    values : (n, f)
    groups : sequence of str
        Group of each column, e.g. its family.
    buckets : int
        At most so many stretches, as equal as they can be.
    """
    n = len(values)
    edges = np.unique(np.linspace(0, n, min(buckets, max(n, 1)) + 1).astype(np.int64))
    found = {}
    for group in dict.fromkeys(groups):
        missing = np.isnan(values[:, [j for j, name in enumerate(groups) if name == group]]).mean(axis=1)
        found[group] = [round(float(missing[a:b].mean()), 4) for a, b in pairwise(edges.tolist())]
    return found
