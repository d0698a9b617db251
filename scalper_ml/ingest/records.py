"""Tables that are no text: Feather, Parquet, and JSON records or rows as an API returns them."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet

from scalper_ml.errors import InputError
from scalper_ml.ingest.archive import Payload
from scalper_ml.ingest.base import Head
from scalper_ml.ingest.lines import Columns, Fault

__all__ = [
    "is_parquet",
    "is_record_file",
    "parquet_parts",
    "read_records",
    "record_columns",
    "record_head",
    "record_texts",
]

_ARROW: Final = (b"ARROW1", b"FEA1")
_PARQUET: Final = b"PAR1"
_PART_ROWS: Final = 1 << 17
_PLAIN: Final = (
    pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_timestamp,
    pa.types.is_string, pa.types.is_large_string,
)  # fmt: skip


def is_record_file(payload: Payload) -> bool:
    """Whether the bytes are Feather, Parquet or JSON."""
    return payload.data.startswith((*_ARROW, _PARQUET)) or payload.data[:64].lstrip().startswith((b"[", b"{"))


def is_parquet(data: bytes) -> bool:
    """Whether the bytes are the beginning of a Parquet file."""
    return data.startswith(_PARQUET)


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
            return pa.parquet.read_table(io.BytesIO(payload.data)), []
        if payload.data.startswith(_ARROW):
            return pa.feather.read_table(io.BytesIO(payload.data)), []
        return _json_table(_records(json.loads(payload.data), path), path)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path}: no complete JSON array, broken at line {error.lineno} column {error.colno} ({error.msg}); "
            "expected [{...}, ...] or [[...], ...] - download it again"
        ) from error
    except RecursionError as error:
        raise InputError(
            f"{path}: JSON nested too deeply to be read; expected [{{...}}, ...] or [[...], ...], one level of records"
        ) from error
    except (pa.ArrowException, OSError, ValueError) as error:  # also a number of thousands of digits, or half a letter
        raise InputError(f"{path}: truncated or damaged table ({error}); expected a complete file") from error


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


def _records(answer: Any, path: Path) -> list[Any]:
    """The array of records in what an API answered."""
    if isinstance(answer, list):
        return answer
    found = _arrays(answer, depth=2)
    if len(found) != 1:
        raise InputError(
            f"{path}: a JSON object with {len(found)} arrays of records {sorted(found)}; expected exactly one"
        )
    return next(iter(found.values()))


def _arrays(answer: Any, depth: int) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for name, value in answer.items():
        if isinstance(value, list) and any(isinstance(record, dict | list) for record in value):
            found[name] = value
        elif isinstance(value, dict) and depth > 0:
            found |= {f"{name}.{inner}": array for inner, array in _arrays(value, depth - 1).items()}
    return found


def _json_table(records: list[Any], path: Path) -> tuple[pa.Table, list[Fault]]:
    kind = next((type(record) for record in records if isinstance(record, dict | list) and record), None)
    if kind is None:
        raise InputError(
            f"{path}: {len(records)} entries and no record in the JSON array; expected [{{...}}, ...] or [[...], ...]"
        )
    first: Any = next(record for record in records if isinstance(record, kind) and record)
    width = len(first)
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
    return pa.table({name: pa.array(map(_text, column), pa.string()) for name, column in columns.items()}), faults


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
