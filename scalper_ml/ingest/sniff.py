"""Read a file of trades or klines as what its own bytes say it is."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from scalper_ml.errors import InputError
from scalper_ml.ingest.archive import Payload, open_text
from scalper_ml.ingest.base import Adapter, Duplicates, Head, KlineFile, Layout, TickFile
from scalper_ml.ingest.binance import BinanceTrades
from scalper_ml.ingest.csv import HeaderTrades
from scalper_ml.ingest.klines import Klines, kline_file
from scalper_ml.ingest.lines import Columns, clean_columns, fields_of, first_lines, line_texts, text_columns
from scalper_ml.ingest.records import is_record_file, read_records, record_columns, record_texts
from scalper_ml.ingest.trades import tick_file

__all__ = ["KLINE_ADAPTERS", "TICK_ADAPTERS", "find_sources", "read_klines", "read_ticks"]

TICK_ADAPTERS: Final[tuple[Adapter, ...]] = (BinanceTrades(), HeaderTrades())
"""Asked in order; the first that knows the file reads it."""
KLINE_ADAPTERS: Final[tuple[Adapter, ...]] = (Klines(),)

_SUFFIXES: Final = (".csv", ".csv.gz", ".zip", ".feather", ".parquet", ".json", ".json.gz")
_TRUTH: Final = (".truth.json", ".truth.json.gz")
_WORDS: Final = pa.dictionary(pa.int32(), pa.string())

_Texts = Callable[[np.ndarray], Sequence[str]]


def read_ticks(path: Path, *, symbol: str, format: str | None = None, duplicates: Duplicates = "keep") -> TickFile:
    """Trades of one file, sorted and unique; rejected rows in quarantine.

    Plain, gzipped or zipped CSV, a JSON array, Feather or Parquet. Stamps may mix units: each row's is told by
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

    Returns
    -------
    TickFile

    Raises
    ------
    InputError
        If the file as a whole cannot be read as trades: names the file, the line, what was found and expected.
    """
    path = Path(path)
    payload = open_text(path)
    columns, texts, layout = _columns(payload, path, _chosen(TICK_ADAPTERS, format, path), format)
    return tick_file(
        columns, texts, path=path, symbol=symbol, source=layout.format, sha256=payload.sha256, duplicates=duplicates
    )


def read_klines(path: Path, *, interval_us: int | None = None, format: str | None = None) -> KlineFile:
    """Bars of one kline file, sorted and unique; rejected rows in quarantine.

    Columns that only trades can fill are null. Intervals without a trade (volume 0) are no bars.

    Parameters
    ----------
    path : Path
    interval_us : int, optional
        Length of a kline; by default told from the close times, else from the commonest step between stamps.
    format : str, optional
        One of the formats of `KLINE_ADAPTERS`.

    Raises
    ------
    InputError
        If the file as a whole cannot be read as klines, or its interval is another than `interval_us`.
    """
    path = Path(path)
    payload = open_text(path)
    columns, texts, layout = _columns(payload, path, _chosen(KLINE_ADAPTERS, format, path), format)
    return kline_file(columns, texts, path=path, source=layout.format, sha256=payload.sha256, interval_us=interval_us)


def find_sources(folder: Path, symbol: str) -> list[Path]:
    """Files of a symbol in a folder, by name: the symbol, then anything that is no letter or digit.

    Returns
    -------
    list of Path
        Sorted by name; ``BTCUSDT.csv`` and ``BTCUSDT-trades-2024-01-01.zip`` are files of BTCUSDT,
        ``BTCUSDTPERP.csv`` is not.

    Raises
    ------
    InputError
        If `folder` is no folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected one with files such as {symbol}.csv")
    return sorted(path for path in folder.iterdir() if path.is_file() and _is_source(path.name, symbol))


def _is_source(name: str, symbol: str) -> bool:
    rest = name.removeprefix(symbol)
    fits = name.startswith(symbol) and rest.endswith(_SUFFIXES) and not rest.endswith(_TRUTH)
    return fits and not rest[:1].isalnum()


def _chosen(adapters: Sequence[Adapter], format: str | None, path: Path) -> Sequence[Adapter]:
    chosen = [adapter for adapter in adapters if format is None or format in adapter.formats]
    if not chosen:
        known = [name for adapter in adapters for name in adapter.formats]
        raise InputError(f"{path}: format {format!r} is not known; expected one of {known}")
    return chosen


def _columns(
    payload: Payload, path: Path, adapters: Sequence[Adapter], format: str | None
) -> tuple[Columns, _Texts, Layout]:
    if is_record_file(payload):
        table, faults = read_records(payload, path)
        layout = _layout(Head(table.column_names, typed=True), path, adapters, format)
        if table.num_rows == 0:
            raise InputError(f"{path}: no rows, only columns {table.column_names}; expected at least one row")
        return record_columns(table, layout.columns, faults), lambda rows: record_texts(table, rows), layout
    lines = first_lines(payload.data, 2)
    first, second = fields_of(lines[0][1]), fields_of(lines[1][1]) if len(lines) > 1 else []
    layout = _layout(Head(first, second), path, adapters, format)
    if layout.has_header and not second:
        raise InputError(f"{path}: only a header {first}, no rows; expected at least one row")
    skip = lines[0][0] if layout.has_header else lines[0][0] - 1
    sample = second if layout.has_header else first
    columns = _text_columns(payload.data, skip, len(first), sample, layout.columns)
    return columns, _row_texts(payload.data, columns.lines), layout


def _layout(head: Head, path: Path, adapters: Sequence[Adapter], format: str | None) -> Layout:
    for adapter in adapters:
        layout = adapter.layout(head, path)
        if layout is not None and (format is None or layout.format == format):
            return layout
    raise InputError(f"{path}: line 1 {list(head.first)} is not of format {format!r}; expected its columns")


def _text_columns(data: bytes, skip: int, width: int, sample: Sequence[str], positions: Mapping[str, int]) -> Columns:
    """Typed at once if the whole text fits the types of its first row, else as text."""
    if len(sample) == width:
        types = {role: (at, _type(role, sample[at])) for role, at in positions.items()}
        if (columns := clean_columns(data, skip, width, types)) is not None:
            return columns
    return text_columns(data, skip, width, positions)


def _type(role: str, value: str) -> pa.DataType:
    if role in ("side", "maker", "symbol"):
        return _WORDS
    if role == "id":
        return pa.int64() if value.isdigit() else pa.string()
    if role not in ("ts", "close_time"):
        return pa.float64()
    if value.isdigit():
        return pa.int64()
    if "-" in value[1:] and ":" in value:
        return pa.timestamp("ns", "UTC") if value.endswith("Z") or "+" in value else pa.timestamp("ns")
    return pa.float64()


def _row_texts(data: bytes, lines: np.ndarray) -> _Texts:
    def texts(rows: np.ndarray) -> list[str]:
        numbers = lines[rows].tolist()
        found = line_texts(data, numbers)
        return [found[number] for number in numbers]

    return texts
