"""Lines of a delimited text to columns: typed at once if the text is clean, else line by line with its faults named."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

__all__ = ["Columns", "Fault", "clean_columns", "fields_of", "first_lines", "line_texts", "text_columns"]

_QUOTED: Final = r'^("[^"\r\n]*"|[^",\r\n]*)(,("[^"\r\n]*"|[^",\r\n]*))*\r?\n?$'
_BLOCK_BYTES: Final = 1 << 23


@dataclass(frozen=True, slots=True)
class Fault:
    """A row that is not accepted: line from 1, reason, and the text as it stands in the file."""

    line: int
    reason: str
    raw: str


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns by role, the line of each row, and rows that could not be cut into columns."""

    values: Mapping[str, pa.Array]
    lines: np.ndarray
    faults: Sequence[Fault]


def fields_of(line: str) -> list[str]:
    """Fields of one line, unquoted and trimmed.

    Examples
    --------
    >>> fields_of('"BTC-USD", sell ,25741.02')
    ['BTC-USD', 'sell', '25741.02']
    """
    return [field.strip().strip('"').strip() for field in line.strip("\r\n").split(",")]


def first_lines(data: bytes, count: int) -> list[tuple[int, str]]:
    """The first `count` lines that are not blank, with their numbers from 1."""
    found: list[tuple[int, str]] = []
    begin, number = 0, 0
    while len(found) < count and begin < len(data):
        end = data.find(b"\n", begin)
        end = len(data) if end < 0 else end
        number += 1
        line = data[begin:end].decode("utf-8", errors="replace")
        if line.strip():
            found.append((number, line))
        begin = end + 1
    return found


def clean_columns(data: bytes, skip: int, width: int, types: Mapping[str, tuple[int, pa.DataType]]) -> Columns | None:
    """Columns parsed straight to their types, or None if any row of the text does not fit them.

    Parameters
    ----------
    data : bytes
    skip : int
        Lines before the first row (the header).
    width : int
        Columns of a row.
    types : mapping
        Role to position and type.
    """
    names = [f"f{i}" for i in range(width)]
    wanted = {names[position]: kind for position, kind in types.values()}
    try:
        table = pa.csv.read_csv(
            pa.py_buffer(data),
            pa.csv.ReadOptions(use_threads=False, skip_rows=skip, column_names=names, block_size=_BLOCK_BYTES),
            pa.csv.ParseOptions(newlines_in_values=False),
            pa.csv.ConvertOptions(column_types=wanted, include_columns=list(wanted), strings_can_be_null=False),
        )
    except pa.ArrowInvalid:
        return None
    if table.num_rows != _line_count(data) - skip:  # blank lines, quoted line ends: line numbers would be wrong
        return None
    values = {role: _one_array(table.column(names[position])) for role, (position, _) in types.items()}
    if any(array.null_count for array in values.values()):
        return None
    return Columns(values, np.arange(skip + 1, skip + 1 + table.num_rows), ())


def text_columns(data: bytes, skip: int, width: int, positions: Mapping[str, int]) -> Columns:
    """Columns as text with the line of each row; rows that cannot be cut into `width` columns become faults."""
    lines = _lines(data)
    numbers = np.arange(1, len(lines) + 1)
    rows = numbers > skip
    rows &= ~_mask(pc.match_substring_regex(lines, r"^[\s]*$"))
    lines, numbers = lines.filter(pa.array(rows)), numbers[rows]
    bad: dict[int, str] = {}
    bare = pc.replace_substring_regex(lines, r'"[^"]*"', "")  # a comma inside quotes parts no fields
    commas = pc.count_substring(bare, ",").to_numpy(zero_copy_only=False)
    for i in np.flatnonzero(commas != width - 1):
        bad[int(i)] = f"columns: found {commas[i] + 1}, expected {width}"
    for i in np.flatnonzero(~_mask(pc.match_substring_regex(lines, _QUOTED))):
        bad.setdefault(int(i), "quotes or control characters inside a field; expected plain fields")
    faults = [Fault(int(numbers[i]), reason, lines[i].as_py().rstrip("\r\n")) for i, reason in sorted(bad.items())]
    keep = np.ones(len(lines), dtype=bool)
    keep[list(bad)] = False
    kept = lines.filter(pa.array(keep))
    names = [f"f{i}" for i in range(width)]
    values = {role: pa.array([], pa.string()) for role in positions}
    if len(kept):
        text = kept.buffers()[2]  # the kept lines, end to end
        table = pa.csv.read_csv(
            text,
            pa.csv.ReadOptions(use_threads=False, column_names=names, block_size=_BLOCK_BYTES),
            pa.csv.ParseOptions(ignore_empty_lines=False),
            pa.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
        )
        values = {role: _one_array(table.column(names[position])) for role, position in positions.items()}
    return Columns(values, numbers[keep], faults)


def line_texts(data: bytes, numbers: Sequence[int]) -> dict[int, str]:
    """The text of some lines, by number from 1."""
    lines = _lines(data)
    return {number: lines[number - 1].as_py().rstrip("\r\n") for number in numbers}


def _line_count(data: bytes) -> int:
    return data.count(b"\n") + (not data.endswith(b"\n"))


def _lines(data: bytes) -> pa.Array:
    """Every line as text, its line end included; no copy of valid UTF-8."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        data = data.decode("utf-8", errors="replace").encode()
    ends = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == ord("\n")).astype(np.int64) + 1
    offsets = np.concatenate(([0], ends, [] if data.endswith(b"\n") else [len(data)])).astype(np.int64)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.large_string(), len(offsets) - 1, buffers)


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    whole = (column.unify_dictionaries() if pa.types.is_dictionary(column.type) else column).combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        return whole.chunk(0) if whole.num_chunks else pa.array([], whole.type)
    return whole


def _mask(values: pa.Array) -> np.ndarray:
    return np.array(values.to_numpy(zero_copy_only=False), dtype=bool)
