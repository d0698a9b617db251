"""Rows in quarantine, on disk as they come: memory does not grow with how many there are."""

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pyarrow as pa
import pyarrow.parquet as pq

from scalper_ml.schema import QUARANTINE
from scalper_ml.warehouse import Warehouse

__all__ = ["RejectWriter", "Rejected", "Rejects", "rejected_rows", "rejected_table", "write_quarantine"]

Rejected = tuple[str, int, str, str]
"""File, line, reason and text of a row in quarantine."""

_BATCH: Final = 1 << 12
_LAYER: Final = "ticks"
_PACKED: Final = pa.ipc.IpcWriteOptions(compression="zstd")


@dataclass(frozen=True, slots=True)
class Rejects:
    """Rows in quarantine as a file of the partition, by file and line: where it is, how many, and why.

    Attributes
    ----------
    entry : mapping
        As `scalper_ml.warehouse.Warehouse.place` gives it: ``path``, ``sha256`` and ``bytes``.
    rows : int
    reasons : mapping of str to int
        Rows by reason.
    """

    entry: Mapping[str, Any]
    rows: int
    reasons: Mapping[str, int]

    @classmethod
    def of(cls, plain: Mapping[str, Any] | None) -> "Rejects | None":
        """What `to_json` gave."""
        return None if plain is None else cls(plain["entry"], plain["rows"], plain["reasons"])

    def to_json(self) -> dict[str, Any]:
        """A document of numbers and text."""
        return asdict(self)

    def there(self, folder: Path) -> bool:
        """Whether its file lies in the partition's folder with the size it had."""
        path, size = folder / str(self.entry["path"]), int(self.entry["bytes"])
        return path.is_file() and path.stat().st_size == size


class RejectWriter:
    """Rejected rows into one file of the ticks of a symbol; no file where there are none.

    Parameters
    ----------
    warehouse : Warehouse
    symbol : str
    name : str
        Of the file, without its ending.
    """

    def __init__(self, warehouse: Warehouse, symbol: str, name: str) -> None:
        self._warehouse = warehouse
        self._keys = {"symbol": symbol}
        self._name = f"rejected/{name}.arrow"
        self._part = warehouse.scratch(_LAYER, self._keys, f"{name}.rejected")
        self._sink: Any = None
        self._held: list[Rejected] = []
        self._reasons: dict[str, int] = {}
        self.rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._sink is not None:
            self._sink.close()
        self._part.unlink(missing_ok=True)

    def add(self, rows: Iterable[Rejected]) -> None:
        """Rows by file and line, after those that were added before."""
        for row in rows:
            self._held.append(row)
            self._reasons[row[2]] = self._reasons.get(row[2], 0) + 1
            self.rows += 1
            if len(self._held) == _BATCH:
                self._write()

    def finish(self) -> Rejects | None:
        """Put the file in place; None if there was no row."""
        if self.rows == 0:
            return None
        self._write()
        self._sink.close()
        self._sink = None
        entry = self._warehouse.place_file(_LAYER, self._keys, self._name, self._part)
        return Rejects(entry, self.rows, dict(sorted(self._reasons.items())))

    def _write(self) -> None:
        if self._sink is None:
            self._part.parent.mkdir(parents=True, exist_ok=True)
            self._sink = pa.ipc.new_file(pa.OSFile(str(self._part), "wb"), QUARANTINE, options=_PACKED)
        if self._held:
            self._sink.write_batch(rejected_table(self._held).to_batches()[0])
            self._held = []


def rejected_table(rows: Sequence[Rejected]) -> pa.Table:
    """Rows as a table of schema `QUARANTINE`, in one batch."""
    columns: list[Any] = list(zip(*rows, strict=True)) if rows else [[], [], [], []]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, QUARANTINE, strict=True)]
    return pa.table(arrays, schema=QUARANTINE)


def rejected_rows(folder: Path, rejects: Iterable[Rejects]) -> Iterator[Rejected]:
    """Rows of several files of a partition by file, line, reason and text; a few of each are held at a time."""
    yield from heapq.merge(*(_rows_of(folder / one.entry["path"]) for one in rejects))


def write_quarantine(warehouse: Warehouse, symbol: str, rejects: Sequence[Rejects]) -> dict[str, Any]:
    """All rejected rows as ``quarantine.parquet`` of the ticks, not published yet: its entry."""
    keys = {"symbol": symbol}
    part = warehouse.scratch(_LAYER, keys, "quarantine")
    part.parent.mkdir(parents=True, exist_ok=True)
    try:
        with pq.ParquetWriter(part, QUARANTINE, compression="zstd", use_dictionary=["file", "reason"]) as sink:
            held: list[Rejected] = []
            for row in rejected_rows(warehouse.folder(_LAYER, keys), rejects):
                held.append(row)
                if len(held) == _BATCH << 4:
                    sink.write_table(rejected_table(held))
                    held = []
            sink.write_table(rejected_table(held))
        return warehouse.place_file(_LAYER, keys, "quarantine.parquet", part)
    finally:
        part.unlink(missing_ok=True)


def _rows_of(path: Path) -> Iterator[Rejected]:
    with pa.ipc.open_file(pa.OSFile(str(path))) as file:
        for place in range(file.num_record_batches):
            columns = [column.to_pylist() for column in file.get_batch(place).columns]
            yield from zip(*columns, strict=True)
