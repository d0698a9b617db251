"""Depth near the mid as rows: from the rebuilt book at chosen moments, or from Binance's bookDepth dumps."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from scalper_ml.book.events import DepthDiff, Event, Snapshot
from scalper_ml.book.rebuild import OrderBook
from scalper_ml.errors import ContractError, InputError
from scalper_ml.ingest.archive import open_text
from scalper_ml.ingest.base import Counts
from scalper_ml.ingest.lines import Columns, Fault, fields_of, first_lines, line_texts, text_columns
from scalper_ml.ingest.trades import quarantine_table
from scalper_ml.ingest.values import decimals, stamps_us
from scalper_ml.schema import US, stamps

__all__ = ["DEPTHS", "DepthFile", "book_depths", "read_book_depth"]

DEPTHS: Final = pa.schema(
    [
        pa.field("ts_us", US, nullable=False),  # known time
        pa.field("event_ts_us", US, nullable=False),
        pa.field("band_bps", pa.float64(), nullable=False),  # distance from the mid
        pa.field("bid_qty", pa.float64()),  # resting within the band, the venue's units; null where not known
        pa.field("bid_notional", pa.float64()),  # sum of price x quantity
        pa.field("ask_qty", pa.float64()),
        pa.field("ask_notional", pa.float64()),
        pa.field("source", pa.string(), nullable=False),
    ]
)
"""Cumulative depth around the mid, a row a moment and band."""

_HEADER: Final = ("timestamp", "percentage", "depth", "notional")
_CONFLICT: Final = "repeats a moment and percentage with other values than its first row"
_FORMAT: Final = "binance-bookdepth"
_SECOND_US: Final = 1_000_000
_REASONS: Final = (
    "",
    "timestamp: not a stamp of the years 2000 to 2099",
    "percentage: not a number other than 0, from -100 to 100",
    "depth: not a number of at least 0",
    "notional: not a number of at least 0",
)


@dataclass(frozen=True, slots=True)
class DepthFile:
    """Depths of one file; attributes as `scalper_ml.book.quote_rows.QuoteFile`.

    A row of `depths` joins a row of bids with one of asks: `counts` are rows of the file, and one that repeats a
    moment and percentage is a duplicate.
    """

    depths: pa.Table
    quarantine: pa.Table
    counts: Counts
    format: str
    sha256: str


def book_depths(
    events: Iterable[Event], at_us: np.ndarray, bands_bps: Sequence[float], *, source: str | None = None
) -> pa.Table:
    """Depth of the rebuilt book at chosen moments, as known then.

    Parameters
    ----------
    events : iterable of Event
        Of one symbol, in the order of their arrival.
    at_us : ndarray of int64, shape (n,)
        Moments, strictly rising, such as the closes of bars.
    bands_bps : sequence of float
        Distances from the mid in basis points.
    source : str, optional
        Only this source's depth.

    Returns
    -------
    pyarrow.Table
        Schema `DEPTHS`; none for a moment at which the book is not in sync or has an empty side. A side is null in a
        band that goes beyond the levels the book knows (see `OrderBook.reach`).

    Notes
    -----
    No look-ahead: the row of moment `t` holds the events known at `t` or before.
    """
    at_us = np.asarray(at_us, dtype=np.int64)
    if np.any(np.diff(at_us) <= 0):
        raise ContractError("depths: moments do not rise strictly; expected sorted, unique stamps")
    book, rows, place = OrderBook(), _Samples(bands_bps), 0
    for event in events:
        if not isinstance(event, Snapshot | DepthDiff) or (source not in (None, event.source) and event.symbol):
            continue
        while place < len(at_us) and event.known_us > at_us[place]:
            rows.add(int(at_us[place]), book)
            place += 1
        if place == len(at_us):
            break
        book.apply(event)
        rows.source = rows.source or event.source
    for at in at_us[place:].tolist():
        rows.add(at, book)
    return rows.table()


class _Samples:
    """Rows of schema `DEPTHS` in the making."""

    def __init__(self, bands_bps: Sequence[float]) -> None:
        self.bands_bps = tuple(float(band) for band in bands_bps)
        self.source = ""
        self._rows: list[tuple[int, int, float, float | None, float | None, float | None, float | None]] = []

    def add(self, at_us: int, book: OrderBook) -> None:
        if not book.synced:
            return
        top = book.top()
        if not (top.bid_qty and top.ask_qty):
            return
        mid, (lowest, highest) = (top.bid + top.ask) / 2, book.reach()
        for band in self.bands_bps:
            below, above = mid * (1 - band / 1e4), mid * (1 + band / 1e4)
            bids = book.bids.within(below) if below >= lowest else (None, None)
            asks = book.asks.within(above) if above <= highest else (None, None)
            self._rows.append((at_us, book.event_us, band, *bids, *asks))

    def table(self) -> pa.Table:
        columns: list[Sequence[float | None]] = list(zip(*self._rows, strict=True)) or [()] * 7
        ts_us, event_us = (stamps(np.array(column, dtype=np.int64)) for column in columns[:2])
        floats = [pa.array(column, pa.float64()) for column in columns[2:]]
        return pa.table([ts_us, event_us, *floats, pa.array([self.source] * len(self._rows), pa.string())], DEPTHS)


def read_book_depth(path: Path) -> DepthFile:
    """Depths of one of Binance's bookDepth dumps: ``timestamp,percentage,depth,notional``.

    A negative percentage is the bids down to so far below the mid, a positive one the asks. The stamps are whole
    seconds: the book may be of any moment of its second, so it is known when the second is over.

    Raises
    ------
    InputError
        If the file as a whole is no such dump.

    Notes
    -----
    The venue's own dumps of 2025-04 and 2025-05 have rows whose notional / depth is far from the price of the time
    (reported to the venue as an error of the dump): compare with the mid before use.
    """
    path = Path(path)
    payload = open_text(path)
    head = fields_of(first_lines(payload.data, 1)[0][1])
    if tuple(head) != _HEADER:
        raise InputError(f"{path}: line 1 {head}; expected the header {list(_HEADER)}")
    columns = text_columns(payload.data, 1, len(_HEADER), {name: i for i, name in enumerate(_HEADER)})
    rows, reasons = _parsed(columns)
    bad, good = np.flatnonzero(reasons), np.flatnonzero(reasons == 0)
    kept = good[np.sort(np.unique(rows[good, :2], axis=0, return_index=True)[1])]
    raw = line_texts(payload.data, columns.lines[bad].tolist()) if len(bad) else {}
    lines = columns.lines[bad].tolist()
    faults = [Fault(line, _REASONS[reasons[row]], raw[line]) for line, row in zip(lines, bad, strict=True)]
    faults += _conflicts(rows, good, kept, columns, payload.data)
    every = sorted([*faults, *columns.faults], key=lambda fault: fault.line)
    read = len(reasons) + len(columns.faults)
    counts = Counts(read, len(kept), read - len(kept) - len(every), len(every))
    return DepthFile(_paired(rows[kept]), quarantine_table(path, every), counts, _FORMAT, payload.sha256)


def _parsed(columns: Columns) -> tuple[np.ndarray, np.ndarray]:
    """Stamp (us), percentage, depth, notional as float64, shape (n, 4), and reasons; microseconds fit 53 bits."""
    ts_us, stamped = stamps_us(columns.values["timestamp"])
    numbers, readable = zip(*(decimals(columns.values[name]) for name in _HEADER[1:]), strict=True)
    percentage, depth, notional = numbers
    with np.errstate(invalid="ignore"):
        tests = (
            ~stamped,
            ~(readable[0] & (np.abs(percentage) <= 100) & (percentage != 0)),
            ~(readable[1] & (depth >= 0) & np.isfinite(depth)),
            ~(readable[2] & (notional >= 0) & np.isfinite(notional)),
        )
    return np.column_stack([ts_us, *numbers]), np.select(tests, np.arange(1, 5), 0).astype(np.int8)


def _conflicts(rows: np.ndarray, good: np.ndarray, kept: np.ndarray, columns: Columns, data: bytes) -> list[Fault]:
    first = {tuple(rows[row, :2]): row for row in kept}
    again = np.setdiff1d(good, kept)
    wrong = [int(row) for row in again if np.any(rows[row] != rows[first[tuple(rows[row, :2])]])]
    lines = columns.lines[wrong].tolist()
    raw = line_texts(data, lines) if wrong else {}
    return [Fault(line, _CONFLICT, raw[line]) for line in lines]


def _paired(rows: np.ndarray) -> pa.Table:
    """Bids and asks of a moment and band side by side, sorted."""
    keys, place = np.unique(np.column_stack([rows[:, 0], np.abs(rows[:, 1])]), axis=0, return_inverse=True)
    sides = np.full((len(keys), 4), np.nan)
    bids = rows[:, 1] < 0
    place = place.ravel()
    sides[place[bids], :2], sides[place[~bids], 2:] = rows[bids, 2:], rows[~bids, 2:]
    event_us = keys[:, 0].astype(np.int64)
    values = [pa.array(column, from_pandas=True) for column in sides.T]
    source = pa.array([_FORMAT] * len(keys), pa.string())
    return pa.table(
        [stamps(event_us + _SECOND_US), stamps(event_us), pa.array(keys[:, 1] * 100), *values, source], DEPTHS
    )
