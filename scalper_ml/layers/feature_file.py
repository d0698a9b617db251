"""The file of a symbol's features: written in row groups, read a column or some rows at a time."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scalper_ml.durable import parquet_writer, writing
from scalper_ml.features.histograms import NanMap
from scalper_ml.features.registry import FeatureSet
from scalper_ml.schema import US, stamps, us

__all__ = ["ROW_GROUP", "Rows", "Written", "feature_matrix", "read_columns", "read_rows", "write_rows"]

ROW_GROUP = 32_768
"""Rows of a group: 64 MB of 250 features."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Features of consecutive bars: stamps (n,), warm flags (n,) and `values` (n, f), each column in one piece."""

    ts_us: np.ndarray
    warm: np.ndarray
    values: np.ndarray


@dataclass(frozen=True, slots=True)
class Written:
    """What was seen while writing.

    `warm` flags (n,); `bad`, by feature, how many warm rows are NaN or infinite; `nan_map`, see `NanMap`.
    """

    warm: np.ndarray
    bad: dict[str, int]
    nan_map: dict[str, list[float]]


def feature_matrix(table: pa.Table) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[str, ...]]:
    """Stamps (n,), warm flags (n,), values (n, f) and names of a table of features."""
    names = tuple(table.column_names[2:])
    values = np.empty((table.num_rows, len(names)))
    for j, name in enumerate(names):
        values[:, j] = table[name].to_numpy()
    return us(table["ts_us"]), table["warm"].to_numpy(), values, names


def write_rows(path: Path, fs: FeatureSet, groups: Iterable[Rows], rows: int) -> Written:
    """Write `rows` rows that come in groups of `ROW_GROUP`, the last one shorter.

    Raises
    ------
    WarehouseError
        The file cannot be written.
    """
    names = [pa.field(name, pa.float64()) for name in fs.names]
    schema = pa.schema([pa.field("ts_us", US), pa.field("warm", pa.bool_()), *names])
    bad, missing, warm = np.zeros(len(fs.names), dtype=np.int64), NanMap([spec.family for spec in fs.specs], rows), []
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with parquet_writer(path, schema) as sink:
            for group in groups:
                columns = [stamps(group.ts_us), pa.array(group.warm), *(pa.array(column) for column in group.values.T)]
                sink.write_table(pa.table(columns, schema=schema), row_group_size=ROW_GROUP)
                bad += [int(np.count_nonzero(~np.isfinite(column[group.warm]))) for column in group.values.T]
                missing.add(group.values)
                warm.append(group.warm)
    found = {name: count for name, count in zip(fs.names, bad.tolist(), strict=True) if count}
    return Written(np.concatenate(warm), found, missing.shares())


def read_columns(path: Path, names: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Each column of a file, (n,), one after the other."""
    with pq.ParquetFile(path) as file:
        for name in names:
            yield name, file.read([name])[name].to_numpy()


def read_rows(path: Path, begin: int, rows: int) -> Rows:
    """Some rows of a file, from the row groups they lie in."""
    first, last = begin // ROW_GROUP, (begin + max(rows, 1) - 1) // ROW_GROUP
    with pq.ParquetFile(path) as file:
        table = file.read_row_groups(list(range(first, min(last + 1, file.num_row_groups))))
    ts_us, warm, values, _ = feature_matrix(table.slice(begin - first * ROW_GROUP, rows))
    return Rows(ts_us, warm, values)
