"""Trades of a file in batches: memory does not grow with the file, and no row is lost on the way."""

import io
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from scalper_ml.book.capture_rows import raw_lines
from scalper_ml.book.framing import is_capture
from scalper_ml.errors import InputError
from scalper_ml.ingest.archive import Payload
from scalper_ml.ingest.base import ColumnMapping, Contract, Counts, Duplicates, Head, Layout, TickFile
from scalper_ml.ingest.captures import captured_trades
from scalper_ml.ingest.derived import base_columns, with_contract
from scalper_ml.ingest.lines import Columns, Fault, first_lines, line_texts, text_columns
from scalper_ml.ingest.order import Trades, concatenate, sort_trades
from scalper_ml.ingest.parse import FAST_ROLES, LineParser
from scalper_ml.ingest.plain import check_plain
from scalper_ml.ingest.records import (
    feather_parts,
    is_feather,
    is_parquet,
    is_record_file,
    is_table,
    json_parts,
    parquet_parts,
    read_records,
    record_columns,
    record_head,
    record_texts,
)
from scalper_ml.ingest.sniff import text_columns_of, text_head, tick_layout
from scalper_ml.ingest.trades import (
    CONFLICT,
    REASONS,
    check_symbol,
    parse_trades,
    plain_symbol,
    quarantine_table,
    ticks_table,
    trade_text,
)
from scalper_ml.ingest.unpack import Unpacked, UnpackedStream

__all__ = ["Batch", "TradeFile", "read_ticks"]

_BLOCK: Final = 8 << 20
_LEAST_BLOCK: Final = 1 << 18
_USUAL_PACKING: Final = 8  # text is packed to an eighth at best, usually: small files need no large buffer
_BOM: Final = b"\xef\xbb\xbf"
_HEAD_ROWS: Final = 256
_TOO_MANY_LEFT: Final = 0.2  # share of rows left by the fast parser that says: not made for this text


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of a file: the trades, the line of each, and the rows that are no trades.

    The arrays may be overwritten when the next batch is asked for.
    """

    trades: Trades
    lines: np.ndarray
    faults: Sequence[Fault]

    @property
    def read(self) -> int:
        """Rows of the file in this batch."""
        return len(self.trades) + len(self.faults)


class TradeFile:
    """A file of trades, read in batches.

    Parameters
    ----------
    path : Path
        Delimited text, a raw capture, a JSON array, Feather or Parquet; plain, gzipped, zipped or as Zstandard.
    symbol : str
        Whose trades these are; a file that names another symbol is refused.
    told : callable
        Gives the layout for a head: `scalper_ml.ingest.sniff.tick_layout` with the user's wishes.
    hashed : bool
        Whether the sha256 is wanted.

    Attributes
    ----------
    format : str
        After the first batch.
    sha256 : str
        Of the bytes on disk, after the last batch.
    bytes_read, bytes_packed : int
        Of the file on disk, for progress.

    Raises
    ------
    InputError
        From `batches`: if the file as a whole cannot be read as trades.
    """

    def __init__(self, path: Path, *, symbol: str, told: Callable[[Head], Layout], hashed: bool = True) -> None:
        self.path = path
        self._hashed = hashed
        self.sha256 = ""
        self.symbol = symbol
        self.format = ""
        self.bytes_read = 0
        self.bytes_packed = 0
        self._told = told
        self._layout = Layout("", {}, False)
        self._parser: LineParser | None = None
        self._sample: Sequence[str] = ()
        self._width = 0
        self._named = False  # whether ids are known to be numbers

    def batches(self) -> Iterator[Batch]:
        """The rows of the file, in the order of the file as far as that matters: a line stands beside each."""
        with Unpacked(self.path, hashed=self._hashed) as file:
            self.bytes_packed = file.packed_bytes
            buffer = bytearray(min(_BLOCK, max(_LEAST_BLOCK, _USUAL_PACKING * file.packed_bytes)))
            size = file.read_into(memoryview(buffer))
            begin = len(_BOM) if buffer.startswith(_BOM) else 0
            if is_capture(bytes(buffer[begin : begin + 64])):
                yield from self._messages(bytes(buffer[begin:size]), file)
            elif is_record_file(Payload(bytes(buffer[begin : begin + 64]), file.name, "")):
                yield from self._parts(self._tables(bytes(buffer[:size]), file), file)
            else:
                yield from self._text(file, buffer, begin, size)
            self.sha256 = file.sha256() if self._hashed else ""

    def _tables(self, begin: bytes, file: Unpacked) -> Iterator[tuple[pa.Table, list[Fault]]]:
        """The file in parts, each with its entries that are no records; packed tables can only be read whole."""
        if is_parquet(begin) and not file.packed:
            yield from ((table, []) for table in parquet_parts(self.path))
        elif is_feather(begin) and not file.packed:
            yield from ((table, []) for table in feather_parts(self.path))
        elif is_table(begin):
            yield read_records(Payload(begin + file.read_all(), file.name, ""), self.path)
        else:
            yield from json_parts(_Stream(begin, file).read, self.path)

    def _parts(self, parts: Iterator[tuple[pa.Table, list[Fault]]], file: Unpacked) -> Iterator[Batch]:
        before = 0
        for table, faults in parts:
            if not self.format:
                self._begin_table(table, Payload(b"", file.name, ""))
            found = record_columns(table, self._layout.columns, faults, self.path)
            told = [replace(fault, line=fault.line + before) for fault in faults]
            columns = base_columns(replace(found, lines=found.lines + before, faults=told), self._layout)

            def texts(rows: np.ndarray, table: pa.Table = table) -> Sequence[str]:
                return record_texts(table, rows)

            yield self._batch(columns, texts)
            before += table.num_rows + len(faults)
            self.bytes_read = file.position
        self.bytes_read = self.bytes_packed

    def _begin_table(self, table: pa.Table, payload: Payload) -> None:
        if table.num_rows == 0:
            raise InputError(f"{self.path}: no rows, only columns {table.column_names}; expected at least one row")
        self._layout = self._told(record_head(table, payload, _HEAD_ROWS))
        self.format = self._layout.format

    def _messages(self, data: bytes, file: Unpacked) -> Iterator[Batch]:
        layout = self._told(text_head(data, file.name))
        if not layout.messages:
            raise InputError(f"{self.path}: a raw capture, not rows of {layout.format}; expected no column mapping")
        for found in captured_trades(self.path, self.symbol, None if layout.format == "capture" else layout.format):
            worth = replace(layout, format=found.format, units=found.units, contract=found.contract)
            told = worth if layout.contract is None else replace(worth, contract=None)
            self._layout = with_contract(told, layout.contract, self.path)
            self.format = found.format
            lines = found.columns.lines

            def texts(rows: np.ndarray, lines: np.ndarray = lines) -> list[str]:
                return raw_lines(self.path, lines[rows])

            yield self._batch(base_columns(found.columns, self._layout), texts)
        self.bytes_read = self.bytes_packed

    def _text(self, file: Unpacked, buffer: bytearray, begin: int, size: int) -> Iterator[Batch]:
        view = memoryview(buffer)
        line, begun = 1, False
        while True:
            last = size < len(buffer)
            if last and size and buffer[size - 1] != 10:
                buffer[size] = 10
                size += 1
            end = buffer.rfind(b"\n", begin, size) + 1
            if end == 0 and size > begin:
                raise InputError(f"{self.path}: line {line} is longer than {len(buffer)} bytes; expected a row a line")
            if not begun and end > begin:
                skipped, line = self._begin(bytes(view[begin:end]), file.name, last)
                begin += skipped
                begun = True
            while end > begin:
                batch, lines, begin = self._block(buffer, begin, end, line)
                line += lines
                self.bytes_read = file.position
                yield batch
            if last:
                break
            rest = size - max(end, begin)
            view[:rest] = bytes(view[size - rest : size])
            begin, size = 0, rest + file.read_into(view[rest:])
        if not begun:
            raise InputError(f"{self.path}: no rows in it; expected rows of trades")

    def _begin(self, data: bytes, name: str, whole: bool) -> tuple[int, int]:
        """Tell the layout; return the bytes and the line to begin at, behind a header."""
        check_plain(data, self.path)
        lines = first_lines(data, 2)
        if not lines:
            raise InputError(f"{self.path}: no rows in it; expected rows of trades")
        head = text_head(data, name)
        layout = self._told(head)
        if layout.has_header and not head.second and whole:
            raise InputError(f"{self.path}: only a header {list(head.first)}, no rows; expected at least one row")
        self._layout, self.format = layout, layout.format
        self._width = _width_of(head, layout, self.path)
        self._sample = head.second if layout.has_header else head.first
        at = layout.columns.get("symbol")
        named = self._sample[at] if at is not None and at < len(self._sample) else ""
        fitting = at is None or (named and plain_symbol(named) == plain_symbol(self.symbol))
        if layout.plain and set(layout.columns) <= set(FAST_ROLES) and fitting:
            self._parser = LineParser(layout.columns, self._width, named.encode())
        before = lines[0][0] if layout.has_header else lines[0][0] - 1
        skipped = 0
        for _ in range(before):
            skipped = data.index(b"\n", skipped) + 1
        return skipped, before + 1

    def _block(self, buffer: bytearray, begin: int, end: int, line: int) -> tuple[Batch, int, int]:
        """The rows of some lines, how many lines these are, and where the next begins."""
        if self._parser is not None:
            parsed, lines, after = self._parser.parse(buffer, line, begin, end)
            left = parsed.left
            trades = Trades(parsed.ts_us, parsed.price, parsed.qty, parsed.side, parsed.trade_id)
            if len(left) <= _TOO_MANY_LEFT * (len(left) + len(trades)):
                self._named |= bool("id" in self._layout.columns and len(trades))
                if len(left) == 0:
                    return Batch(trades, parsed.lines, ()), lines, after
                few = self._careful(b"".join(bytes(buffer[a:b]) for a, b, _ in left.tolist()), left[:, 2])
                every = np.concatenate([parsed.lines, few.lines])
                return Batch(concatenate([trades, few.trades]), every, few.faults), lines, after
            self._parser = None
        lines = buffer.count(b"\n", begin, end)
        return self._careful(bytes(buffer[begin:end]), np.arange(line, line + lines)), lines, end

    def _careful(self, data: bytes, lines: np.ndarray) -> Batch:
        """Rows of a text whose line numbers are known, one after the other, with their faults named."""
        if len(lines) > 1:
            columns = text_columns_of(data, 0, self._width, self._sample, self._layout.columns)
        else:
            columns = text_columns(data, 0, self._width, self._layout.columns)
        own = columns.lines
        faults = [Fault(int(lines[fault.line - 1]), fault.reason, fault.raw) for fault in columns.faults]
        columns = base_columns(Columns(columns.values, lines[own - 1], faults), self._layout)

        def texts(rows: np.ndarray) -> list[str]:
            found = line_texts(data, own[rows].tolist())
            return [found[number] for number in own[rows].tolist()]

        return self._batch(columns, texts)

    def _batch(self, columns: Columns, texts: Callable[[np.ndarray], Sequence[str]]) -> Batch:
        if "symbol" in columns.values:
            check_symbol(columns, self.symbol, self.path)
        trades, reasons = parse_trades(columns.values, named=self._named)
        self._named |= bool(np.any(trades.trade_id >= 0))
        bad = np.flatnonzero(reasons)
        raw = texts(bad) if len(bad) else []
        faults = [
            Fault(int(columns.lines[row]), REASONS[reasons[row]], text) for row, text in zip(bad, raw, strict=True)
        ]
        good = reasons == 0
        return Batch(
            trades.take(good), columns.lines[good], sorted([*faults, *columns.faults], key=lambda fault: fault.line)
        )


def _width_of(head: Head, layout: Layout, path: Path) -> int:
    """Columns of a row: of a header, else of most of the first rows, for one of them may be torn or a remark."""
    width = len(head.first) if layout.has_header else Counter(map(len, head.rows)).most_common(1)[0][0]
    if (last := max(layout.columns.values())) >= width:
        raise InputError(f"{path}: rows of {width} columns; {layout.format} has at least {last + 1} - is it complete?")
    return width


class _Stream:
    """Unpacked bytes of which the first were read already."""

    def __init__(self, first: bytes, file: Unpacked) -> None:
        self._first = first
        self._rest = io.BufferedReader(UnpackedStream(file), _LEAST_BLOCK)

    def read(self, size: int) -> bytes:
        """The next bytes, at most `size`; empty at the end."""
        part, self._first = self._first[:size], self._first[size:]
        return part or self._rest.read(size)


def read_ticks(
    path: Path,
    *,
    symbol: str,
    format: str | None = None,
    duplicates: Duplicates = "keep",
    columns: ColumnMapping | None = None,
    contract: Contract | None = None,
) -> TickFile:
    """Trades of one file, sorted and unique; rejected rows in quarantine.

    Plain, gzipped or zipped CSV, JSON, Feather or Parquet. Stamps may mix units: each row's is told by
    its magnitude. Rows with an id that was there before are duplicates; equal rows without ids are different
    trades unless `duplicates` is ``"drop"``; a stamp alone never makes a duplicate.

    Parameters
    ----------
    path : Path
    symbol : str
        Whose trades these are; a file that names another symbol is refused.
    format : str, optional
        One of the formats of `TICK_ADAPTERS`; by default told from the file.
    duplicates : {"keep", "drop"}
    columns : ColumnMapping, optional
        Which column plays which role, instead of a format.
    contract : Contract, optional
        What a contract is worth, for sources that count contracts.

    Returns
    -------
    TickFile

    Raises
    ------
    InputError
        If the file as a whole cannot be read as trades: names the file, the line, what was found and expected.
    """
    path = Path(path)
    file = TradeFile(path, symbol=symbol, told=lambda head: tick_layout(head, path, format, columns, contract))
    parts: list[Trades] = []
    lines: list[np.ndarray] = []
    faults: list[Fault] = []
    for batch in file.batches():
        parts.append(batch.trades.copy())
        lines.append(batch.lines.copy())
        faults += batch.faults
    trades, numbers = concatenate(parts), np.concatenate(lines)
    once = sort_trades(trades, drop_unnamed=duplicates == "drop")
    read = len(trades) + len(faults)
    faults += [Fault(int(numbers[row]), CONFLICT, trade_text(trades, row)) for row in once.conflicts.tolist()]
    faults.sort(key=lambda fault: fault.line)
    counts = Counts(read, len(once.trades), once.repeats, len(faults))
    quarantine = quarantine_table(path, faults)
    return TickFile(ticks_table(once.trades, file.format), quarantine, counts, file.format, file.sha256)
