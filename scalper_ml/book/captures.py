"""Raw websocket captures: their events one by one, and their quotes as tables.

Their trades are ticks (`scalper_ml.ingest.captures`), their measures context (`scalper_ml.book.capture_context`).

Known time is arrival time, made safe: the latest of the recorder's stamp, the stamps inside the message and the known
time of the message before it on the same connection (`scalper_ml.book.dialects.base.Arrivals`). `clock_skew` says how
far the recorder's clock is off; a known offset can be passed to the readers and is added to the recorder's stamps.
"""

from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Final

import msgspec

from scalper_ml.book.capture_rows import Rows, file_sha256, raw_lines
from scalper_ml.book.dialects import DIALECTS, Dialect
from scalper_ml.book.dialects.base import Arrivals, damage
from scalper_ml.book.events import BookTicker, Damage, DamageKind, Event, Snapshot
from scalper_ml.book.framing import Frame, capture_lines, cryptofeed_frames, exchange_of, is_envelope, plain_frames
from scalper_ml.book.quote_rows import QuoteColumns, QuoteFile, quote_file
from scalper_ml.book.rebuild import rebuilt, top_changes
from scalper_ml.errors import InputError
from scalper_ml.ingest.lines import Fault
from scalper_ml.ingest.trades import plain_symbol

__all__ = ["capture_events", "capture_frames", "read_capture_quotes", "read_events"]

_HEADERLESS: Final = "BINANCE"
_CALIBRATED: Final = 1_000


def capture_frames(path: Path, exchange: str | None = None) -> Iterator[tuple[Frame | Damage, str]]:
    """Messages of a capture as they arrived, unread, each with the name of the exchange that speaks.

    Parameters
    ----------
    path : Path
        Lines ``<local ns> {json}``, or cryptofeed's JSON envelopes; plain, gzip or Zstandard.
    exchange : str, optional
        One of `DIALECTS`; by default the one that the header names, Binance where there is no header.

    Raises
    ------
    InputError
        If the file is missing, empty, truncated, or of an exchange without a dialect.
    """
    lines = capture_lines(path)
    first = next(lines)
    enveloped = is_envelope(first[1])
    said = exchange or (exchange_of(first[1]) if enveloped else _HEADERLESS)
    if said not in DIALECTS:
        raise InputError(f"{path}: line 1 names exchange {said!r}; expected one of {sorted(DIALECTS)} - or name one")
    for frame in (cryptofeed_frames if enveloped else plain_frames)(chain([first], lines)):
        yield frame, said


def capture_events(
    path: Path, symbol: str | None = None, *, exchange: str | None = None, clock_offset_us: int = 0
) -> Iterator[Event]:
    """Events of a capture, in the order of its lines, in bounded memory.

    Parameters
    ----------
    path : Path
    symbol : str, optional
        Only events of this one; separators and case do not count. Damage that names no symbol is always given.
    exchange : str, optional
    clock_offset_us : int
        Microseconds added to every stamp of the recorder, where its clock is known to be off.

    Yields
    ------
    Event
        A message that cannot be read is a `Damage`, and the next one goes on.
    """
    wanted = None if symbol is None else plain_symbol(symbol)
    belongs: dict[str, bool] = {"": True}
    dialect: Dialect | None = None
    for frame, said in capture_frames(path, exchange):
        if isinstance(frame, Damage):
            yield frame
            continue
        if dialect is None:
            dialect = DIALECTS[said](Arrivals(clock_offset_us, _ahead_us(path, exchange, clock_offset_us)))
        for event in read_events(dialect, frame):
            if event.symbol not in belongs:
                belongs[event.symbol] = wanted is None or plain_symbol(event.symbol) == wanted
            if isinstance(event, Snapshot) and not event.symbol and len(belongs) > 2:
                names = sorted(belongs)[1:4]
                yield damage(frame, "depth", "", f"snapshot without a symbol in a capture of several, such as {names}")
            elif belongs[event.symbol]:
                yield event


def _ahead_us(path: Path, exchange: str | None, offset_us: int) -> int:
    """The most that a stamp of the first messages is ahead of the recorder; it only makes known times later."""
    arrivals = Arrivals(offset_us)
    dialect: Dialect | None = None
    for frame, said in islice(capture_frames(path, exchange), _CALIBRATED):
        if isinstance(frame, Frame):
            dialect = dialect or DIALECTS[said](arrivals)
            read_events(dialect, frame)
    return arrivals.ahead_us


def read_events(dialect: Dialect, frame: Frame) -> tuple[Event, ...]:
    """The events of one message, or the damage that it is."""
    try:
        return tuple(dialect.events(frame))
    except (msgspec.DecodeError, ValueError) as error:
        return (damage(frame, "line", "", f"message: {error}"),)


def read_capture_quotes(
    path: Path, symbol: str, *, format: str | None = None, exchange: str | None = None, clock_offset_us: int = 0
) -> QuoteFile:
    """Top of book of one symbol in a capture: as the venue sends it, or as the rebuilt book has it.

    Parameters
    ----------
    path : Path
    symbol : str
    format : str, optional
        As the quotes' `source`, such as ``binance-usdm-capture``; with ``-book`` after it, the top of the book rebuilt
        from snapshot and diffs. By default the venue's own top of book, and the rebuilt one where it sends none.
        Needed where a capture has the symbol in several markets.
    exchange : str, optional
    clock_offset_us : int
        Microseconds added to every stamp of the recorder.

    Returns
    -------
    QuoteFile
        `ts_us` is known time, `event_ts_us` the venue's (the known time where the venue sends none).

    Raises
    ------
    InputError
        If the capture never mentions the symbol, or has it in several markets and none is chosen.
    """
    path = Path(path)
    rows: dict[str, Rows] = {}
    faults: list[Fault] = []
    sources: set[str] = set()
    damaged = False
    for event in capture_events(path, symbol, exchange=exchange, clock_offset_us=clock_offset_us):
        if isinstance(event, Damage):
            _add_fault(faults, event, "quote")
            damaged = damaged or event.kind == "quote"
            continue
        sources |= {event.source.removesuffix("-agg")} if event.symbol else set()
        if isinstance(event, BookTicker):
            _add_quote(rows, event.source, event)
    _check_seen(path, symbol, sources, faults)
    market = _one_format(path, symbol, sorted(sources), format.removesuffix("-book") if format else None)
    if (market not in rows and not damaged) or (format or "").endswith("-book"):
        return _book_quotes(path, symbol, market, exchange, clock_offset_us)
    return _quote_file(path, rows.get(market) or _quote_rows(), faults, market)


def _book_quotes(path: Path, symbol: str, market: str, exchange: str | None, offset_us: int) -> QuoteFile:
    rows = _quote_rows()
    faults: list[Fault] = []
    books = rebuilt(capture_events(path, symbol, exchange=exchange, clock_offset_us=offset_us), market)
    for event in top_changes(books):
        if isinstance(event, Damage):
            _add_fault(faults, event, "depth")
        else:
            _add_quote({market: rows}, market, event)
    return _quote_file(path, rows, faults, f"{market}-book")


def _quote_file(path: Path, rows: Rows, faults: list[Fault], source: str) -> QuoteFile:
    names = ("ts", "event", "bid", "bid_qty", "ask", "ask_qty", "id", "line")
    columns = QuoteColumns(*(rows[name] for name in names))
    lines = columns.lines
    return quote_file(
        columns, faults, lambda bad: raw_lines(path, lines[bad]), path=path, source=source, sha256=file_sha256(path)
    )


def _quote_rows() -> Rows:
    return Rows(ts="q", event="q", bid="d", bid_qty="d", ask="d", ask_qty="d", id="q", line="q")


def _add_quote(rows: dict[str, Rows], source: str, event: BookTicker) -> None:
    if source not in rows:
        rows[source] = _quote_rows()
    rows[source].add(
        event.known_us, event.event_us, event.bid, event.bid_qty, event.ask, event.ask_qty, event.update_id, event.line
    )


def _add_fault(faults: list[Fault], damaged: Damage, kind: DamageKind) -> None:
    if damaged.kind in ("line", kind):
        faults.append(Fault(damaged.line, damaged.reason, damaged.raw))


def _check_seen(path: Path, symbol: str, sources: set[str], faults: list[Fault]) -> None:
    if not sources:
        first = f"; line {faults[0].line} cannot be read - {faults[0].reason}" if faults else ""
        raise InputError(f"{path}: nothing of symbol {symbol!r} in it; expected its events{first}")


def _one_format(path: Path, symbol: str, found: list[str], format: str | None) -> str:
    if format is not None and format not in found:
        raise InputError(f"{path}: no {symbol} of format {format!r} in it; found {found} - choose one of them")
    if format is None and len(found) > 1:
        raise InputError(f"{path}: {symbol} in {len(found)} formats {found}; expected one - choose by format=")
    return format or found[0]
