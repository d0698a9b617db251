"""Files of quotes: Tardis, Binance's bookTicker dumps, Parquet of notebooks, Lean's minute quote bars."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from scalper_ml.book.quote_rows import QuoteColumns, QuoteFile, quote_file
from scalper_ml.errors import InputError
from scalper_ml.ingest.archive import Payload, open_text
from scalper_ml.ingest.headers import is_header, roles
from scalper_ml.ingest.lines import Columns, clean_columns, fields_of, first_lines, line_texts, text_columns
from scalper_ml.ingest.records import is_record_file, read_records, record_columns, record_texts
from scalper_ml.ingest.trades import check_symbol
from scalper_ml.ingest.values import decimals, identifiers, stamps_us

__all__ = ["QUOTE_FORMATS", "QuoteFile", "QuoteFormat", "read_quotes"]

_SPELLINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "event": ("timestamp", "transactiontime", "tsevent", "tsus", "ts", "time", "datetime", "date"),
    "known": ("localtimestamp", "tsinit", "tsrecv", "receivedat", "eventtime"),
    "bid": ("bidprice", "bestbidprice", "bid", "bidpx", "b"),
    "bid_qty": ("bidamount", "bestbidqty", "bidsize", "bidqty", "bestbidsize", "bidsz"),
    "ask": ("askprice", "bestaskprice", "ask", "askpx", "a"),
    "ask_qty": ("askamount", "bestaskqty", "asksize", "askqty", "bestasksize", "asksz"),
    "id": ("updateid", "u"),
    "symbol": ("symbol", "pair", "instrument", "instrumentid"),
}
_NEEDED: Final = ("event", "bid", "bid_qty", "ask", "ask_qty")
_NUMBERS: Final = ("bid", "bid_qty", "ask", "ask_qty")
_DAY: Final = re.compile(r"(?<!\d)(20\d{6})(?!\d)")
_MINUTE_US: Final = 60_000_000

_Texts = Callable[[np.ndarray], Sequence[str]]


@dataclass(frozen=True, slots=True)
class QuoteFormat:
    """A layout of quotes.

    Attributes
    ----------
    name : str
        The format, and the `source` of its quotes.
    header : tuple of str
        Column names that only it has, all of them; none for a layout without a header.
    width : int
        Columns of a row without a header; 0 if it always has one.
    columns : dict
        Role to position without a header.
    """

    name: str
    header: tuple[str, ...] = ()
    width: int = 0
    columns: Mapping[str, int] | None = None


_BOOK_TICKER: Final = {"id": 0, "bid": 1, "bid_qty": 2, "ask": 3, "ask_qty": 4, "event": 5, "known": 6}
_LEAN: Final = {"event": 0, "bid": 4, "bid_qty": 5, "ask": 9, "ask_qty": 10}

QUOTE_FORMATS: Final[tuple[QuoteFormat, ...]] = (
    QuoteFormat("tardis-quotes", ("exchange", "local_timestamp", "ask_amount", "bid_amount")),
    QuoteFormat("binance-bookticker", ("update_id", "best_bid_price", "transaction_time"), 7, _BOOK_TICKER),
    QuoteFormat("lean-quote-minute", (), 11, _LEAN),
    QuoteFormat("nautilus-quotes", ("ask_size", "ask", "bid_size", "bid")),
    QuoteFormat("quotes"),
)
"""Asked in order; the last takes any table whose header names a stamp, bid, ask and their quantities."""


def read_quotes(path: Path, symbol: str, format: str | None = None) -> QuoteFile:
    """Quotes of one file, sorted by known time; rows with a value that is no price or quantity in quarantine.

    Known time is the local stamp where the file has one (Tardis), the stamp of sending where it has that (Binance's
    ``event_time``), else event time; never before event time. Lean's bars give the last quote of each minute, known
    when the minute ends.

    Parameters
    ----------
    path : Path
        CSV (plain, gz, zip), Parquet, Feather or a JSON array.
    symbol : str
        Whose quotes these are; a file that names another symbol is refused.
    format : str, optional
        One of the names of `QUOTE_FORMATS`; by default told from the file.

    Returns
    -------
    QuoteFile

    Raises
    ------
    InputError
        If the file as a whole cannot be read as quotes: names the file, what was found and expected.
    """
    path = Path(path)
    known = [layout.name for layout in QUOTE_FORMATS]
    if format is not None and format not in known:
        raise InputError(f"{path}: format {format!r} is not known; expected one of {known}")
    payload = open_text(path)
    columns, texts, name = _columns(payload, path, format)
    if "symbol" in columns.values:
        check_symbol(columns, symbol, path)
    event = columns.values["event"]
    lean = name == "lean-quote-minute"
    quotes = _parsed(columns, _minute_ends(event, payload, path) if lean else stamps_us(event))
    return quote_file(quotes, columns.faults, texts, path=path, source=name, sha256=payload.sha256)


def _columns(payload: Payload, path: Path, format: str | None) -> tuple[Columns, _Texts, str]:
    if is_record_file(payload):
        table, faults = read_records(payload, path)
        name, positions = _by_header(table.column_names, path, format)
        return record_columns(table, positions, faults, path), lambda rows: record_texts(table, rows), name
    lines = first_lines(payload.data, 2)
    first = fields_of(lines[0][1])
    headed = is_header(first)
    name, positions = _by_header(first, path, format) if headed else _by_shape(first, path, format)
    skip = lines[0][0] if headed else lines[0][0] - 1
    if headed and len(lines) < 2:
        raise InputError(f"{path}: only a header {first}, no rows; expected at least one row")
    types = {role: (at, _type(role)) for role, at in positions.items()}
    columns = clean_columns(payload.data, skip, len(first), types)
    if columns is None:
        columns = text_columns(payload.data, skip, len(first), positions)
    return columns, _row_texts(payload.data, columns.lines), name


def _type(role: str) -> pa.DataType:
    kinds = {"event": pa.int64(), "known": pa.int64(), "id": pa.int64(), "symbol": pa.string()}
    return kinds.get(role, pa.float64())


def _by_header(names: Sequence[str], path: Path, format: str | None) -> tuple[str, dict[str, int]]:
    found = roles(list(names), _SPELLINGS)
    missing = [role for role in _NEEDED if role not in found]
    if missing:
        known = "; ".join(f"{role} as one of {list(_SPELLINGS[role])}" for role in missing)
        raise InputError(f"{path}: no column for {missing}; found {list(names)}, expected {known}")
    headed = [layout for layout in QUOTE_FORMATS if layout.header or not layout.columns]
    fits = [layout.name for layout in headed if set(layout.header) <= set(names)]
    if format is not None and format not in fits:
        raise InputError(f"{path}: columns {list(names)} are not of format {format!r}; they fit {fits}")
    return format or fits[0], found


def _by_shape(fields: Sequence[str], path: Path, format: str | None) -> tuple[str, dict[str, int]]:
    for layout in QUOTE_FORMATS:
        at = layout.columns or {}
        if layout.width == len(fields) and format in (None, layout.name) and fields[at["event"]].isdigit():
            return layout.name, dict(at)
    raise InputError(
        f"{path}: line 1 {list(fields)} is no header, and {len(fields)} columns without one are no quotes"
        f"{'' if format is None else f' of format {format!r}'}; expected a header, 7 columns (Binance) or 11 (Lean)"
    )


def _row_texts(data: bytes, lines: np.ndarray) -> _Texts:
    def texts(rows: np.ndarray) -> list[str]:
        numbers = lines[rows].tolist()
        found = line_texts(data, numbers)
        return [found[number] for number in numbers]

    return texts


def _parsed(columns: Columns, event: tuple[np.ndarray, np.ndarray]) -> QuoteColumns:
    values, n = columns.values, len(columns.lines)
    event_us, stamped = event
    known_us = event_us
    if "known" in values:
        known_us, known_stamped = stamps_us(values["known"])
        stamped = stamped & known_stamped
    numbers, readable = zip(*(decimals(values[role]) for role in _NUMBERS), strict=True)
    bid, bid_qty, ask, ask_qty = numbers
    update_id, id_read = np.full(n, -1, dtype=np.int64), np.ones(n, dtype=bool)
    if "id" in values:
        found, present, id_read = identifiers(values["id"])
        update_id = np.where(present & id_read, found, -1)
    unreadable = ~np.column_stack([stamped, *readable, id_read])
    return QuoteColumns(known_us, event_us, bid, bid_qty, ask, ask_qty, update_id, columns.lines, unreadable)


def _minute_ends(column: pa.Array, payload: Payload, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Ends of Lean's minutes: its stamps are milliseconds from the midnight in the file's name to their starts."""
    day = _DAY.search(payload.name) or _DAY.search(path.name)
    if day is None:
        raise InputError(f"{path}: no day in the name {payload.name!r}; Lean's stamps need one such as 20221213")
    midnight = datetime.strptime(day.group(1), "%Y%m%d").replace(tzinfo=UTC)
    since, present, readable = identifiers(column)
    ends = int(midnight.timestamp()) * 1_000_000 + since * 1000 + _MINUTE_US
    return ends, present & readable & (since < 86_400_000)
