"""Read a file of trades or klines as what its own bytes say it is."""

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from scalper_ml.errors import InputError
from scalper_ml.ingest.archive import Payload, open_text
from scalper_ml.ingest.base import Adapter, ColumnMapping, Contract, Head, KlineFile, Layout
from scalper_ml.ingest.binance import BinanceCoinKlines, BinanceTrades
from scalper_ml.ingest.bitfinex import BitfinexKlines, BitfinexTrades
from scalper_ml.ingest.bybit import BybitTrades
from scalper_ml.ingest.captures import CaptureTrades
from scalper_ml.ingest.coinbase import CoinbaseTrades
from scalper_ml.ingest.csv import HeaderTrades
from scalper_ml.ingest.derived import base_columns, with_contract
from scalper_ml.ingest.freqtrade import FreqtradeKlines, FreqtradeTrades
from scalper_ml.ingest.headers import is_header
from scalper_ml.ingest.klines import Klines, kline_file
from scalper_ml.ingest.kraken import KrakenKlines, KrakenTrades
from scalper_ml.ingest.lean import LeanKlines
from scalper_ml.ingest.lines import Columns, clean_columns, fields_of, first_lines, line_texts, text_columns
from scalper_ml.ingest.mapped import mapped_layout
from scalper_ml.ingest.names import is_source
from scalper_ml.ingest.nautilus import NautilusTrades
from scalper_ml.ingest.okx import OkxTrades
from scalper_ml.ingest.plain import check_plain
from scalper_ml.ingest.records import is_record_file, read_records, record_columns, record_head, record_texts
from scalper_ml.ingest.tardis import TardisTrades

__all__ = [
    "KLINE_ADAPTERS",
    "TICK_ADAPTERS",
    "find_sources",
    "kline_layout",
    "read_klines",
    "text_columns_of",
    "text_head",
    "tick_layout",
]

TICK_ADAPTERS: Final[tuple[Adapter, ...]] = (
    BinanceTrades(),
    BybitTrades(),
    OkxTrades(),
    KrakenTrades(),
    CoinbaseTrades(),
    BitfinexTrades(),
    TardisTrades(),
    NautilusTrades(),
    FreqtradeTrades(),
    CaptureTrades(),
    HeaderTrades(),
)
"""The first that knows the file reads it; the last takes any header, the others know theirs in whatever order."""
KLINE_ADAPTERS: Final[tuple[Adapter, ...]] = (
    BinanceCoinKlines(),
    BitfinexKlines(),
    KrakenKlines(),
    LeanKlines(),
    FreqtradeKlines(),
    Klines(),
)
"""As `TICK_ADAPTERS`."""

_HEAD_ROWS: Final = 256
_WORD_ROLES: Final = ("side", "maker", "maker_side", "taker", "symbol")
_WORDS: Final = pa.dictionary(pa.int32(), pa.string())

_Texts = Callable[[np.ndarray], Sequence[str]]


def read_klines(
    path: Path,
    *,
    interval_us: int | None = None,
    format: str | None = None,
    columns: ColumnMapping | None = None,
    contract: Contract | None = None,
) -> KlineFile:
    """Bars of one kline file, sorted and unique; rejected rows in quarantine.

    Columns that only trades can fill are null. Intervals without a trade (volume 0) are no bars.

    Parameters
    ----------
    path : Path
    interval_us : int, optional
        Length of a kline; by default told from the close times, else from the commonest step between stamps.
    format : str, optional
        One of the formats of `KLINE_ADAPTERS`.
    columns : ColumnMapping, optional
        Which column plays which role, instead of a format.
    contract : Contract, optional
        What a contract is worth, for sources that count volume in contracts.

    Raises
    ------
    InputError
        If the file as a whole cannot be read as klines, or its interval is another than `interval_us`.
    """
    path = Path(path)
    payload = open_text(path)
    found, texts, layout = _columns(payload, path, lambda head: kline_layout(head, path, format, columns, contract))
    return kline_file(found, texts, path=path, source=layout.format, sha256=payload.sha256, interval_us=interval_us)


def tick_layout(
    head: Head,
    path: Path,
    format: str | None = None,
    columns: ColumnMapping | None = None,
    contract: Contract | None = None,
) -> Layout:
    """The layout of a file of trades, told from its head or by the user.

    Raises
    ------
    InputError
        If no adapter knows it, or it is not what the user says.
    """
    if columns is not None:
        _one_of(format, path)
        return with_contract(mapped_layout(head, columns, path), contract, path)
    return with_contract(_layout(head, path, TICK_ADAPTERS, format), contract, path)


def kline_layout(
    head: Head,
    path: Path,
    format: str | None = None,
    columns: ColumnMapping | None = None,
    contract: Contract | None = None,
) -> Layout:
    """As `tick_layout`, for klines."""
    if columns is not None:
        _one_of(format, path)
        return with_contract(mapped_layout(head, columns, path, klines=True), contract, path)
    return with_contract(_layout(head, path, KLINE_ADAPTERS, format), contract, path)


def text_head(data: bytes, name: str = "") -> Head:
    """The head of a delimited text, for `tick_layout` and `kline_layout`.

    Parameters
    ----------
    data : bytes
        The file, or its beginning.
    name : str
        Of the file inside an archive, else of the file.
    """
    found = [fields_of(line) for _, line in first_lines(data, _HEAD_ROWS + 2)]
    rows = found[1:] if is_header(found[0]) else found
    return Head(
        found[0], found[1] if len(found) > 1 else (), rows=rows[:_HEAD_ROWS], name=name, whole=len(rows) <= _HEAD_ROWS
    )


def text_columns_of(data: bytes, skip: int, width: int, sample: Sequence[str], positions: Mapping[str, int]) -> Columns:
    """Columns of a text by role: typed at once if all of it fits the types of its first row, else as text.

    Parameters
    ----------
    data : bytes
    skip : int
        Lines before the first row.
    width : int
        Columns of a row.
    sample : sequence of str
        The first row.
    positions : mapping
        Role to position.
    """
    if len(sample) == width:
        types = {role: (at, _type(role, sample[at])) for role, at in positions.items()}
        if (columns := clean_columns(data, skip, width, types)) is not None:
            return columns
    return text_columns(data, skip, width, positions)


def find_sources(folder: Path, symbol: str) -> list[Path]:
    """Files of a symbol in a folder, by name: see `scalper_ml.ingest.names.is_source`.

    Returns
    -------
    list of Path
        Sorted by name.

    Raises
    ------
    InputError
        If `folder` is no folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected one with files such as {symbol}.csv")
    return sorted(path for path in folder.iterdir() if is_source(path.name, symbol) and path.is_file())


def _one_of(format: str | None, path: Path) -> None:
    if format is not None:
        raise InputError(f"{path}: both format {format!r} and a column mapping; expected one of them")


def _layout(head: Head, path: Path, adapters: Sequence[Adapter], format: str | None) -> Layout:
    known = [name for adapter in adapters for name in adapter.formats]
    if format is not None and not any(fnmatchcase(format, name) for name in known):
        raise InputError(f"{path}: format {format!r} is not known; expected one of {known}")
    for adapter in adapters:
        if format is None or any(fnmatchcase(format, name) for name in adapter.formats):
            layout = adapter.layout(head, path, format)
            if layout is not None and format in (None, layout.format):
                return layout
    columns = next(
        text for adapter in adapters for name, text in adapter.formats.items() if fnmatchcase(format or "", name)
    )
    raise InputError(f"{path}: line 1 {list(head.first)} is not of format {format!r}; expected columns {columns}")


def _columns(payload: Payload, path: Path, told: Callable[[Head], Layout]) -> tuple[Columns, _Texts, Layout]:
    if is_record_file(payload):
        table, faults = read_records(payload, path)
        if table.num_rows == 0:
            raise InputError(f"{path}: no rows, only columns {table.column_names}; expected at least one row")
        layout = told(record_head(table, payload, _HEAD_ROWS))
        columns = base_columns(record_columns(table, layout.columns, faults, path), layout)
        return columns, lambda rows: record_texts(table, rows), layout
    check_plain(payload.data, path)
    lines = first_lines(payload.data, 2)
    head = text_head(payload.data, payload.name)
    layout = told(head)
    if layout.has_header and not head.second:
        raise InputError(f"{path}: only a header {list(head.first)}, no rows; expected at least one row")
    skip = lines[0][0] if layout.has_header else lines[0][0] - 1
    sample = head.second if layout.has_header else head.first
    columns = text_columns_of(payload.data, skip, len(head.first), sample, layout.columns)
    return base_columns(columns, layout), _row_texts(payload.data, columns.lines), layout


def _type(role: str, value: str) -> pa.DataType:
    if role in _WORD_ROLES:
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
