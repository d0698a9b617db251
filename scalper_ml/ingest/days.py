"""Trades by UTC day: a buffer that lets days go as they fill, and the file that a day is stored as."""

import io
from collections.abc import Iterator
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scalper_ml.clock import iso
from scalper_ml.ingest.batches import Batch
from scalper_ml.ingest.order import Trades
from scalper_ml.schema import TICKS, stamps

__all__ = ["DAY_US", "DayBuffer", "day_bytes", "day_name", "day_trades"]

DAY_US: Final = 86_400_000_000
_ROW_GROUP: Final = 1 << 20
_KINDS: Final = (np.int64, np.float64, np.float64, np.int8, np.int64, np.int64)


def day_name(ts_us: int) -> str:
    """The UTC day of a stamp.

    Examples
    --------
    >>> day_name(1_704_067_200_000_000)
    '2024-01-01'
    """
    return iso(ts_us)[:10]


class DayBuffer:
    """Rows of one file until their day is complete, as far as a file in time order tells.

    Parameters
    ----------
    rows : int
        How many to hold before full days are let go; a single longer day is held whole.
    """

    def __init__(self, rows: int) -> None:
        self._limit = rows
        self._columns = tuple(np.empty(rows, dtype=kind) for kind in _KINDS)
        self._size = 0

    @property
    def full(self) -> bool:
        """Whether days should be taken out."""
        return self._size >= self._limit

    def append(self, batch: Batch) -> None:
        """Add the rows of a batch."""
        trades = batch.trades
        end = self._size + len(trades)
        if end > len(self._columns[0]):
            self._columns = tuple(_grown(column, self._size, end * 2) for column in self._columns)
        new = (trades.ts_us, trades.price, trades.qty, trades.side, trades.trade_id, batch.lines)
        for column, values in zip(self._columns, new, strict=True):
            column[self._size : end] = values
        self._size = end

    def take(self, *, everything: bool) -> Iterator[tuple[str, Trades, np.ndarray]]:
        """Take out the days before the newest one, or all: the name, the rows and their lines.

        The arrays are valid until the next `append`.
        """
        if self._size == 0:
            return
        held = [column[: self._size] for column in self._columns]
        days: np.ndarray = held[0] // DAY_US
        oldest, newest = int(days.min()), int(days.max())
        stay = np.flatnonzero(days == newest) if not everything else np.empty(0, dtype=np.int64)
        if len(stay) == self._size:
            self._limit = max(self._limit, 2 * self._size)
            return
        rising = bool(np.all(days[1:] >= days[:-1]))
        names = range(oldest, newest + 1) if rising else np.unique(days).tolist()
        for day in names:
            if day == newest and not everything:
                continue
            if rising:
                begin, end = (int(np.searchsorted(days, edge)) for edge in (day, day + 1))
                if begin == end:
                    continue
                rows: slice | np.ndarray = slice(begin, end)
            else:
                rows = np.flatnonzero(days == day)
            yield day_name(day * DAY_US), Trades(*(column[rows] for column in held[:5])), held[5][rows]
        for column in held:
            column[: len(stay)] = column[stay]
        self._size = len(stay)


def _grown(column: np.ndarray, size: int, rows: int) -> np.ndarray:
    larger = np.empty(rows, dtype=column.dtype)
    larger[:size] = column[:size]
    return larger


def day_bytes(trades: Trades, source: str) -> bytes:
    """Trades of a day as Parquet of schema `TICKS`: equal trades give equal bytes.

    Stamps and ids are stored as differences, prices and quantities through a dictionary: for real trades
    smaller than compression alone, and faster to read.
    """
    n = len(trades)
    names = pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, dtype=np.int8)), pa.array([source]))
    ids = pa.array(trades.trade_id, mask=trades.trade_id < 0)
    columns = [stamps(trades.ts_us), trades.price, trades.qty, trades.side, ids, names]
    table = pa.table(dict(zip(TICKS.names, columns, strict=True)))
    sink = io.BytesIO()
    pq.write_table(
        table,
        sink,
        compression="zstd",
        compression_level=1,
        use_dictionary=["price", "qty", "side", "source"],
        column_encoding={"ts_us": "DELTA_BINARY_PACKED", "trade_id": "DELTA_BINARY_PACKED"},
        store_schema=False,
        row_group_size=_ROW_GROUP,
        dictionary_pagesize_limit=1 << 22,
    )
    return sink.getvalue()


def day_trades(data: bytes) -> Trades:
    """What `day_bytes` stored."""
    table = pq.read_table(pa.BufferReader(data), columns=["ts_us", "price", "qty", "side", "trade_id"])
    ids = table.column("trade_id").fill_null(-1).to_numpy()
    side = table.column("side").cast(pa.int8()).to_numpy()
    ts_us = table.column("ts_us").cast(pa.int64()).to_numpy()
    return Trades(ts_us, table.column("price").to_numpy(), table.column("qty").to_numpy(), side, ids)
