"""Tables that are no text: Feather, Parquet, and JSON arrays of records as an API returns them."""

import io
import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet

from scalper_ml.errors import InputError
from scalper_ml.ingest.archive import Payload
from scalper_ml.ingest.lines import Columns, Fault

__all__ = ["is_record_file", "read_records", "record_columns", "record_texts"]

_ARROW: Final = (b"ARROW1", b"FEA1")
_PARQUET: Final = b"PAR1"


def is_record_file(payload: Payload) -> bool:
    """Whether the bytes are Feather, Parquet or a JSON array."""
    return payload.data.startswith((*_ARROW, _PARQUET)) or payload.data[:64].lstrip().startswith(b"[")


def read_records(payload: Payload, path: Path) -> tuple[pa.Table, list[Fault]]:
    """The records as a table, and those that are no records.

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
        return _json_table(json.loads(payload.data), path)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path}: no complete JSON array, broken at line {error.lineno} column {error.colno} ({error.msg}); "
            "expected [{...}, ...] - download it again"
        ) from error
    except (pa.ArrowInvalid, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: truncated or damaged table ({error}); expected a complete file") from error


def record_columns(table: pa.Table, positions: dict[str, int], faults: list[Fault]) -> Columns:
    """Columns by role; the line of a record is its place in the file, from 1."""
    values = {role: _plain(table.column(position)) for role, position in positions.items()}
    places = np.delete(np.arange(1, table.num_rows + len(faults) + 1), [fault.line - 1 for fault in faults])
    return Columns(values, places, faults)


def record_texts(table: pa.Table, rows: np.ndarray) -> list[str]:
    """Some records as JSON text."""
    return [json.dumps(record, default=str) for record in table.take(pa.array(rows)).to_pylist()]


def _json_table(records: Any, path: Path) -> tuple[pa.Table, list[Fault]]:
    good = [record for record in records if isinstance(record, dict)]
    if not good:
        raise InputError(f"{path}: {len(records)} entries and no record in the JSON array; expected [{{...}}, ...]")
    faults = [
        Fault(place, "not a record", json.dumps(record))
        for place, record in enumerate(records, 1)
        if not isinstance(record, dict)
    ]
    names = [name for name, value in good[0].items() if not isinstance(value, dict | list)]
    columns = {name: pa.array([_text(record.get(name)) for record in good], pa.string()) for name in names}
    return pa.table(columns), faults


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _plain(column: pa.ChunkedArray) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_boolean(column.type) or pa.types.is_null(column.type):
        column = column.cast(pa.string())
    whole = column.combine_chunks()
    return pa.concat_arrays(whole.chunks) if isinstance(whole, pa.ChunkedArray) else whole
