"""Rows of a context table beside the row above them."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from scalper_ml.context.kinds import kind_of
from scalper_ml.schema import us

__all__ = ["kinds_in", "own_events", "same_as_above"]


def kinds_in(table: pa.Table) -> list[str]:
    """Kinds of a context table, by name."""
    return sorted(table.column("kind").unique().to_pylist())


def own_events(table: pa.Table) -> np.ndarray:
    """Mask of the rows that are events of their own (`Kind.each`), shape (n,)."""
    codes, names = _coded(table.column("kind"))
    return np.asarray(np.array([kind_of(name).each for name in names], dtype=bool)[codes], dtype=bool)


def same_as_above(table: pa.Table, names: Sequence[str]) -> np.ndarray:
    """For every row but the first, whether it equals the row above in these columns; shape (n - 1,)."""
    equal = np.ones(max(table.num_rows - 1, 0), dtype=bool)
    for name in names:
        column = table.column(name)
        if pa.types.is_timestamp(column.type):
            values = us(column)
        elif pa.types.is_string(column.type):
            values = _coded(column)[0]
        else:
            values = column.to_numpy()
        equal &= values[1:] == values[:-1]
    return equal


def _coded(column: pa.ChunkedArray) -> tuple[np.ndarray, list[str]]:
    coded = pa.chunked_array([column.cast(pa.string()).combine_chunks()]).dictionary_encode().chunk(0)
    return coded.indices.to_numpy(zero_copy_only=False), coded.dictionary.to_pylist()
