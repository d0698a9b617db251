"""Context made by hand for tests: rows of (kind, event, known, value), files of them, and bars of hours."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from scalper_ml.context import ContextFile, merge_context
from scalper_ml.context.feeds import context_table, unique_rows
from scalper_ml.ingest.base import Counts
from scalper_ml.schema import QUARANTINE

Row = tuple[str, int, int, float]
HOUR = 3_600_000_000
DAY_0 = 1_709_251_200_000_000  # 2024-03-01
FIXTURES = Path(__file__).parent / "fixtures" / "context"


def rows_table(rows: Sequence[Row], source: str = "demo") -> pa.Table:
    """Rows as they came: not merged, every revision 0."""
    ints = np.array([row[1:3] for row in rows], dtype=np.int64).reshape(-1, 2)
    columns = [
        (kind, ints[i : i + 1, 0], ints[i : i + 1, 1], np.array([value]), source)
        for i, (kind, _, _, value) in enumerate(rows)
    ]
    return context_table(columns)


def file_of(rows: Sequence[Row], source: str = "demo") -> ContextFile:
    """A file with these rows, as `read_context` would give it."""
    table = unique_rows(rows_table(rows, source))
    counts = Counts(len(rows), table.num_rows, len(rows) - table.num_rows, 0)
    digest = hashlib.sha256(repr(list(rows)).encode()).hexdigest()
    return ContextFile(table, QUARANTINE.empty_table(), counts, source, digest)


def context(rows: Iterable[Row]) -> pa.Table:
    """The bitemporal table of some rows."""
    return merge_context([file_of(list(rows))]).table


def level(kind: str, values: Sequence[float], *, step: int = HOUR, delay: int = 0, start: int = DAY_0) -> list[Row]:
    """Values one step apart, each known `delay` after its event."""
    return [(kind, start + i * step, start + i * step + delay, value) for i, value in enumerate(values)]
