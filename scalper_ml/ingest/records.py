"""Tables that are no text: Feather, Parquet, and JSON records or rows as an API returns them."""

import io
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet

from scalper_ml.errors import InputError
from scalper_ml.ingest.archive import Payload
from scalper_ml.ingest.base import Head
from scalper_ml.ingest.json_records import json_records
from scalper_ml.ingest.lines import Columns, Fault

__all__ = [
    "feather_parts",
    "is_feather",
    "is_parquet",
    "is_record_file",
    "is_table",
    "json_parts",
    "parquet_parts",
    "read_records",
    "record_columns",
    "record_head",
    "record_texts",
]

_ARROW: Final = (b"ARROW1", b"FEA1")
_PARQUET: Final = b"PAR1"
_PART_ROWS: Final = 1 << 17
_LEAST_ROWS: Final = 1 << 12
_PART_RECORDS: Final = 1 << 14
_PLAIN: Final = (
    pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_timestamp,
    pa.types.is_string, pa.types.is_large_string,
)  # fmt: skip


def is_record_file(payload: Payload) -> bool:
    """Whether the bytes are Feather, Parquet or JSON."""
    return payload.data.startswith((*_ARROW, _PARQUET)) or payload.data[:64].lstrip().startswith((b"[", b"{"))


def is_table(data: bytes) -> bool:
    """Whether the bytes are the beginning of a Feather or Parquet file."""
    return data.startswith((*_ARROW, _PARQUET))


def is_parquet(data: bytes) -> bool:
    """Whether the bytes are the beginning of a Parquet file."""
    return data.startswith(_PARQUET)


def is_feather(data: bytes) -> bool:
    """Whether the bytes are the beginning of a Feather file that can be read in parts, as all of version 2 can."""
    return data.startswith(_ARROW[0])


def parquet_parts(path: Path) -> Iterator[pa.Table]:
    """A Parquet file in parts of some rows, in order; memory is bounded by its largest row group.

    Raises
    ------
    InputError
        If the file is truncated or damaged.
    """
    try:
        with pa.parquet.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20) as file:
            for batch in file.iter_batches(_PART_ROWS, use_threads=False):
                yield pa.Table.from_batches([batch])
            if file.metadata.num_rows == 0:
                yield file.schema_arrow.empty_table()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"{path}: truncated or damaged table ({error}); expected a complete file") from error


def feather_parts(path: Path) -> Iterator[pa.Table]:
    """A Feather file in parts of some rows, in order; memory is bounded by its largest record batch.

    Raises
    ------
    InputError
        If the file is truncated or damaged.
    """
    try:
        with pa.OSFile(str(path)) as source, pa.ipc.open_file(source) as file:
            held: list[pa.RecordBatch] = []
            for place in range(file.num_record_batches):
                held.append(file.get_batch(place))
                held[-1].validate(full=True)  # flipped bytes that would be read as lengths
                if sum(batch.num_rows for batch in held) >= _LEAST_ROWS:
                    yield pa.Table.from_batches(held)
                    held = []
            if held or file.num_record_batches == 0:
                yield pa.Table.from_batches(held, file.schema)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"{path}: truncated or damaged table ({error}); expected a complete file") from error


def json_parts(read: Callable[[int], bytes], path: Path) -> Iterator[tuple[pa.Table, list[Fault]]]:
    """A JSON file in parts of some records, each with its entries that are no records, by their place in the part.

    Raises
    ------
    InputError
        As `scalper_ml.ingest.json_records.json_records`, or if no entry is a record.
    """
    records = json_records(read, path)
    part = list(itertools.islice(records, _PART_RECORDS))
    first = _first_record(part, path)
    while part:
        yield _json_table(part, first, path)
        part = list(itertools.islice(records, _PART_RECORDS))


def read_records(payload: Payload, path: Path) -> tuple[pa.Table, list[Fault]]:
    """The records as a table, and those that are no records.

    Of JSON, an array of objects, an array of arrays (its columns are then named ``0``, ``1``, ...), or an API's
    answer with one such array in it.

    Raises
    ------
    InputError
        If the file is truncated or not what its first bytes say.
    """
    try:
        if payload.data.startswith(_PARQUET):
            return pa.parquet.read_table(pa.BufferReader(payload.data)), []
        if payload.data.startswith(_ARROW):
            table = pa.feather.read_table(pa.BufferReader(payload.data))
            table.validate(full=True)
            return table, []
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"{path}: truncated or damaged table ({error}); expected a complete file") from error
    records = list(json_records(io.BytesIO(payload.data).read, path))
    return _json_table(records, _first_record(records, path), path)


def record_columns(table: pa.Table, positions: dict[str, int], faults: list[Fault], path: Path) -> Columns:
    """Columns by role; the line of a record is its place in the file, from 1.

    Raises
    ------
    InputError
        If a column holds lists, structs, or bytes that are no text.
    """
    values: dict[str, pa.Array] = {}
    for role, position in positions.items():
        try:
            values[role] = _plain(table.column(position))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise InputError(
                f"{path}: column {table.column_names[position]!r}, read as {role}: found type "
                f"{table.column(position).type} ({error}); expected numbers, text or stamps, one value a row"
            ) from error
    places = np.delete(np.arange(1, table.num_rows + len(faults) + 1), [fault.line - 1 for fault in faults])
    return Columns(values, places, faults)


def record_texts(table: pa.Table, rows: np.ndarray) -> list[str]:
    """Some records as JSON text."""
    return [json.dumps(record, default=str) for record in _rows(table.take(pa.array(rows)))]


def record_head(table: pa.Table, payload: Payload, count: int) -> Head:
    """The head of a table: its names and first rows; arrays without names are as lines without a header."""
    some = _rows(table.slice(0, count))
    rows = [[_text(value) for value in record.values()] for record in some]
    whole = table.num_rows <= count
    if table.column_names == [str(at) for at in range(table.num_columns)]:
        return Head(rows[0], rows[1] if len(rows) > 1 else (), rows=rows, name=payload.name, whole=whole)
    return Head(table.column_names, typed=True, rows=rows, name=payload.name, whole=whole)


def _first_record(records: Sequence[Any], path: Path) -> Any:
    """The first entry that has something in it: what it is, the others should be."""
    first = next((record for record in records if isinstance(record, dict | list) and record), None)
    if first is None:
        raise InputError(
            f"{path}: {len(records)} entries and no record in the JSON array; expected [{{...}}, ...] or [[...], ...]"
        )
    return first


def _json_table(records: Sequence[Any], first: Any, path: Path) -> tuple[pa.Table, list[Fault]]:
    kind, width = (dict if isinstance(first, dict) else list), len(first)
    good: list[Any] = []
    faults: list[Fault] = []
    for place, record in enumerate(records, 1):
        if not isinstance(record, kind):
            faults.append(Fault(place, "not a record", json.dumps(record)))
        elif kind is list and len(record) != width:
            faults.append(Fault(place, f"columns: found {len(record)}, expected {width}", json.dumps(record)))
        else:
            good.append(record)
    if kind is list:
        columns = {str(at): [row[at] for row in good] for at in range(width)}
    else:
        names = [name for name, value in first.items() if not isinstance(value, dict | list)]
        columns = {name: [record.get(name) for record in good] for name in names}
    try:
        return pa.table({name: pa.array(map(_text, column), pa.string()) for name, column in columns.items()}), faults
    except ValueError as error:  # half a letter, a number of thousands of digits
        raise InputError(f"{path}: truncated or damaged table ({error}); expected a complete file") from error


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _rows(table: pa.Table) -> list[dict[str, Any]]:
    """Rows as Python values; where some are no dates or no text, as integers and bytes."""
    try:
        return list(table.to_pylist())
    except (OverflowError, ValueError, KeyError):
        plain = [column.cast(_bare(column.type)) for column in table.itercolumns()]
        return list(pa.table(plain, names=table.column_names).to_pylist())


def _bare(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(kind):
        return pa.int64()
    return pa.binary() if pa.types.is_string(kind) else kind


def _plain(column: pa.ChunkedArray) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not any(is_plain(column.type) for is_plain in _PLAIN):
        column = column.cast(pa.string())  # flags, days, bytes; of what is nested Arrow refuses it
    whole = column.combine_chunks()
    whole = pa.concat_arrays(whole.chunks) if isinstance(whole, pa.ChunkedArray) else whole
    whole.validate(full=True)  # text of a Parquet file may be no UTF-8
    return whole
