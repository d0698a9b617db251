"""One file of a symbol's book, whichever it is: a raw capture, a dump of quotes or a dump of depth."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scalper_ml.book.captures import capture_events, read_capture_quotes
from scalper_ml.book.depth_rows import DEPTHS, book_depths, read_book_depth
from scalper_ml.book.events import Event, Trade
from scalper_ml.book.framing import is_capture
from scalper_ml.book.quote_quality import QuoteFinding, quote_quality
from scalper_ml.book.quotes import read_quotes
from scalper_ml.ingest.base import Counts
from scalper_ml.ingest.unpack import Unpacked
from scalper_ml.schema import QUOTES, us

__all__ = ["BookFile", "BookReading", "book_file_kind", "read_book_file"]

BookFileKind = Literal["capture", "depth", "quotes"]

_HEAD: Final = 4096
_DEPTH: Final = re.compile(rb"(\xef\xbb\xbf)?timestamp,percentage,depth,notional\s")


@dataclass(frozen=True, slots=True)
class BookReading:
    """How the files of a symbol are read, and the bars they are read for.

    Attributes
    ----------
    symbol : str
    close_us : ndarray of int64, shape (n,)
        Closes of its bars, rising: the moments at which depth is wanted.
    bar_us : int
    bands_bps : sequence of float
    format : str or None
        Of the quotes.
    depth_age_us, stale_us, late_us, clock_offset_us : int
    """

    symbol: str
    close_us: np.ndarray
    bar_us: int
    bands_bps: Sequence[float] = ()
    format: str | None = None
    depth_age_us: int = 120_000_000
    stale_us: int = 5_000_000
    late_us: int = 1_000_000
    clock_offset_us: int = 0


@dataclass(frozen=True, slots=True)
class BookFile:
    """What a file says of the book.

    Attributes
    ----------
    kind : {"capture", "depth", "quotes"}
    format : str
    quotes : pyarrow.Table
        Schema `QUOTES`, sorted by known time; none of a dump of depth.
    depths : pyarrow.Table
        Schema `DEPTHS`: of each band the last row known at each close of a bar; none of a dump of quotes.
    quarantine : pyarrow.Table
    counts : Counts
        Of the rows of a dump, or of a capture's quotes.
    findings : list of QuoteFinding
        None of a dump of depth.
    """

    kind: BookFileKind
    format: str
    quotes: pa.Table
    depths: pa.Table
    quarantine: pa.Table
    counts: Counts
    findings: list[QuoteFinding]


def book_file_kind(path: Path) -> BookFileKind:
    """What a file holds, told from its first bytes.

    Raises
    ------
    InputError
        If the file is missing, empty, or its packing is damaged.
    """
    with Unpacked(path, hashed=False) as file:
        buffer = bytearray(_HEAD)
        head = bytes(buffer[: file.read_into(memoryview(buffer))])
    if is_capture(head) or head.lstrip().startswith(b"{"):
        return "capture"
    return "depth" if _DEPTH.match(head) else "quotes"


def read_book_file(path: Path, reading: BookReading) -> BookFile:
    """Quotes, depth at the closes of bars, and findings of one file.

    A top is stale if trades went on meanwhile: in a capture its own trades tell, elsewhere the bars do - a whole bar
    after the limit, for a bar there is has a trade.

    Raises
    ------
    InputError
        If the file as a whole cannot be read as what it is.
    """
    kind = book_file_kind(path)
    if kind == "capture":
        return _capture(path, reading)
    if kind == "depth":
        dump = read_book_depth(path)
        depths = _at_closes(dump.depths, reading)
        return BookFile(kind, dump.format, QUOTES.empty_table(), depths, dump.quarantine, dump.counts, [])
    file = read_quotes(path, reading.symbol, reading.format)
    known_us = us(file.quotes["ts_us"])
    traded = _within(reading.close_us, known_us, 0)
    findings = quote_quality(file.quotes, traded, stale_us=reading.stale_us + reading.bar_us, late_us=reading.late_us)
    return BookFile(kind, file.format, file.quotes, DEPTHS.empty_table(), file.quarantine, file.counts, findings)


def _capture(path: Path, reading: BookReading) -> BookFile:
    offset_us = reading.clock_offset_us
    file = read_capture_quotes(path, reading.symbol, format=reading.format, clock_offset_us=offset_us)
    closes = _within(reading.close_us, us(file.quotes["ts_us"]), reading.depth_age_us)
    traded: list[int] = []
    events = _noting(capture_events(path, reading.symbol, clock_offset_us=offset_us), traded)
    depths = book_depths(events, closes, reading.bands_bps, source=file.format.removesuffix("-book"))
    for _ in events:  # the depth needs no more of them
        pass
    trades_us = np.sort(np.array(traded, dtype=np.int64))
    findings = quote_quality(file.quotes, trades_us, stale_us=reading.stale_us, late_us=reading.late_us)
    return BookFile("capture", file.format, file.quotes, depths, file.quarantine, file.counts, findings)


def _noting(events: Iterable[Event], traded: list[int]) -> Iterator[Event]:
    """The events, with the known times of their trades put into a list."""
    for event in events:
        if isinstance(event, Trade):
            traded.append(event.known_us)
        yield event


def _within(close_us: np.ndarray, known_us: np.ndarray, after_us: int) -> np.ndarray:
    """Closes from the first known time to the last, and so much later."""
    if not len(known_us):
        return close_us[:0]
    first, end = np.searchsorted(close_us, [known_us[0], known_us[-1] + after_us + 1])
    return close_us[first:end]


def _at_closes(depths: pa.Table, reading: BookReading) -> pa.Table:
    """Of the bands asked for, the rows that are the last known at some close: as many as bars, at most."""
    kept = [DEPTHS.empty_table()]
    for band in dict.fromkeys(float(band) for band in reading.bands_bps):
        rows = depths.filter(pc.equal(depths["band_bps"], band)).sort_by("ts_us")
        last = np.searchsorted(us(rows["ts_us"]), reading.close_us, side="right") - 1
        kept.append(rows.take(pa.array(np.unique(last[last >= 0]))))
    return pa.concat_tables(kept)
