"""What the readers of captures share: columns that grow, raw lines again, and the file's hash."""

import hashlib
from array import array
from pathlib import Path
from typing import Any

import numpy as np

from scalper_ml.book.framing import capture_lines

__all__ = ["Rows", "file_sha256", "raw_lines"]


def raw_lines(path: Path, lines: np.ndarray) -> list[str]:
    """The text of some lines of a capture, in the order asked, by number from 1."""
    wanted = set(lines.tolist())
    found = {
        line: text.rstrip(b"\r\n").decode("utf-8", errors="replace")
        for line, text in capture_lines(path)
        if line in wanted
    }
    return [found[line] for line in lines.tolist()]


def file_sha256(path: Path) -> str:
    """Of the bytes on disk, packed if packed."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Rows:
    """Columns that grow by a row at a time, as compact as arrays; `codes` are those of the `array` module."""

    def __init__(self, **codes: str) -> None:
        self._columns: dict[str, array[Any]] = {name: array(code) for name, code in codes.items()}

    def add(self, *values: float) -> None:
        """One value a column, in the order of the columns."""
        for column, value in zip(self._columns.values(), values, strict=True):
            column.append(value)

    def __len__(self) -> int:
        return len(next(iter(self._columns.values())))

    def __getitem__(self, name: str) -> np.ndarray:
        column = self._columns[name]
        return np.array(column, dtype=column.typecode)
