"""Read a file of context as what its columns say it is."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from scalper_ml.context.base import ContextFile, Parsed, Request, Source, Values, plain_names
from scalper_ml.context.binance import BinanceFunding, BinanceLiquidations, BinanceMetrics
from scalper_ml.context.feeds import context_table, unique_rows
from scalper_ml.context.freqtrade import FreqtradeCandles
from scalper_ml.context.long import LongTable
from scalper_ml.context.okx import OkxStatistics
from scalper_ml.errors import InputError
from scalper_ml.ingest.archive import open_text
from scalper_ml.ingest.base import Counts
from scalper_ml.ingest.lines import Columns, Fault, fields_of, first_lines, line_texts, text_columns
from scalper_ml.ingest.records import is_record_file, read_records, record_columns, record_texts
from scalper_ml.ingest.trades import quarantine_table

__all__ = ["CONTEXT_SOURCES", "read_context"]

CONTEXT_SOURCES: Final[tuple[Source, ...]] = (
    BinanceFunding(),
    BinanceMetrics(),
    BinanceLiquidations(),
    FreqtradeCandles(),
    OkxStatistics(),
    LongTable(),
)
"""Asked in order; the first that knows the columns reads the file."""

_Texts = Callable[[Sequence[int]], Sequence[str]]


def read_context(path: Path, *, symbol: str, format: str | None = None, delay_us: int | None = None) -> ContextFile:
    """Context of one file: values with event time and known time; rejected values in quarantine.

    Plain, gzipped or zipped CSV with a header, a JSON array of records, Feather or Parquet.

    Parameters
    ----------
    path : Path
    symbol : str
        Whose context this is; a file that names another symbol is refused.
    format : str, optional
        One of the formats of `CONTEXT_SOURCES`; by default told from the columns.
    delay_us : int, optional
        Publication delay to use instead of the source's own, for a file without known times. Not negative.

    Returns
    -------
    ContextFile
        Pass it through `merge_context`, alone or with others, before anything looks at its values.

    Raises
    ------
    InputError
        If the file as a whole cannot be read as context: names the file, the line, what was found and expected.

    Notes
    -----
    Known time is never before event time. Without a known time of its own a value is known at its stamp plus the
    delay that its source states.
    """
    path = Path(path)
    if delay_us is not None and delay_us < 0:
        raise InputError(f"{path}: publication delay {delay_us} us; expected 0 or more: nothing is known in advance")
    chosen = [source for source in CONTEXT_SOURCES if format is None or format in source.formats]
    if not chosen:
        known = [name for source in CONTEXT_SOURCES for name in source.formats]
        raise InputError(f"{path}: format {format!r} is not known; expected one of {known}")
    payload = open_text(path)
    if is_record_file(payload):
        table, faults = read_records(payload, path)
        source, roles = _source(table.column_names, chosen, path)
        columns = record_columns(table, roles, faults, path)
        texts: _Texts = lambda rows: record_texts(table, np.asarray(rows, dtype=np.int64))  # noqa: E731
    else:
        lines = first_lines(payload.data, 2)
        names = fields_of(lines[0][1])
        source, roles = _source(names, chosen, path)
        columns = text_columns(payload.data, lines[0][0], len(names), roles)
        texts = _line_texts(payload.data, columns)
    if not len(columns.lines) and not columns.faults:
        raise InputError(f"{path}: only column names {list(roles)}, no rows; expected at least one row")
    parsed = source.parse(columns, Request(symbol, path, delay_us))
    if format is not None and parsed.format != format:
        raise InputError(f"{path}: holds {parsed.format}, expected {format!r} - leave the format out, or name that one")
    return _file(parsed, columns, texts, path, payload.sha256)


def _source(names: Sequence[str], chosen: Sequence[Source], path: Path) -> tuple[Source, dict[str, int]]:
    for source in chosen:
        roles = source.roles(plain_names(names))
        if roles is not None:
            return source, roles
    formats = [name for source in chosen for name in source.formats]
    raise InputError(
        f"{path}: line 1 {list(names)} names the columns of none of {formats}; expected one of these, or a table of "
        "kind, event_ts, known_ts, value"
    )


def _file(parsed: Parsed, columns: Columns, texts: _Texts, path: Path, sha256: str) -> ContextFile:
    tables = [_table(values, parsed.format) for values in parsed.values]
    given = pa.concat_tables([context_table([]), *tables])
    table = unique_rows(given)
    bad = [(int(row), str(why)) for v in parsed.values for row, why in zip(v.rows, v.fault, strict=True) if why]
    bad.sort()
    raw = texts([row for row, _ in bad]) if bad else []
    faults = [Fault(int(columns.lines[row]), why, text) for (row, why), text in zip(bad, raw, strict=True)]
    faults = sorted([*faults, *columns.faults], key=lambda fault: (fault.line, fault.reason))
    read = sum(len(values.rows) for values in parsed.values) + len(columns.faults)
    counts = Counts(read, table.num_rows, read - len(faults) - table.num_rows, len(faults))
    disordered = int(np.count_nonzero(np.diff(parsed.stamp_us) < 0))
    return ContextFile(table, quarantine_table(path, faults), counts, parsed.format, sha256, disordered)


def _table(values: Values, format: str) -> pa.Table:
    keep = (values.fault == "") & ~values.repeats
    kept = (values.event_us[keep], values.known_us[keep], values.value[keep])
    return context_table([(values.kind, *kept, values.source or format)])


def _line_texts(data: bytes, columns: Columns) -> _Texts:
    def texts(rows: Sequence[int]) -> list[str]:
        numbers = [int(columns.lines[row]) for row in rows]
        found = line_texts(data, sorted(set(numbers)))
        return [found[number] for number in numbers]

    return texts
