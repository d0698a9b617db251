"""Files that are written whole or not at all, one writer at a time, with equal bytes for equal content."""

import contextlib
import fcntl
import hashlib
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from scalper_ml.errors import ContractError, WarehouseError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

__all__ = ["atomic_write", "canonical_json", "locked", "parquet_bytes", "sha256_of", "sync_names", "writing"]


def canonical_json(value: Any, *, indent: int | None = None, escape: bool = True) -> bytes:
    """JSON with sorted keys and no NaN: equal values give equal bytes.

    Parameters
    ----------
    escape : bool
        Whether characters beyond ASCII are written as ``\\u....``; otherwise as UTF-8.

    Raises
    ------
    ContractError
        It holds NaN or an infinity, or something JSON has no word for.
    """
    separators = (",", ":") if indent is None else (",", ": ")
    try:
        text = json.dumps(
            value, sort_keys=True, indent=indent, allow_nan=False, separators=separators, ensure_ascii=escape
        )
    except (TypeError, ValueError) as error:
        raise ContractError(f"JSON document: {error}; expected finite numbers, text, lists, maps and null") from error
    return text.encode()


def sha256_of(data: bytes) -> str:
    """Hex sha256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def parquet_bytes(table: "pa.Table") -> bytes:
    """`table` as Parquet (zstd, no dictionary for floats): equal tables give equal bytes."""

    sink = io.BytesIO()
    with parquet_writer(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def parquet_writer(sink: io.BytesIO | Path, schema: "pa.Schema") -> "pq.ParquetWriter":
    """A writer of such files for tables that come in pieces; each piece is a row group, or several."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = [f.name for f in schema if pa.types.is_string(f.type)]
    return pq.ParquetWriter(
        sink, schema, compression="zstd", compression_level=1, use_dictionary=text, write_statistics=True
    )


def atomic_write(path: Path, data: bytes) -> None:
    """Write `data` beside `path`, flush it to disk and rename it into place.

    Raises
    ------
    WarehouseError
        If it cannot be written: the folder is read-only, or the disk is full.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(temporary, "wb") as sink:
                sink.write(data)
                sink.flush()
                os.fsync(sink.fileno())
            os.replace(temporary, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()
        sync_names(path.parent)


def sync_names(folder: Path) -> None:
    """Flush the names in a folder to disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(folder: Path, name: str = ".lock") -> Iterator[None]:
    """One writer of a folder at a time, also between processes; a killed one lets go.

    Whoever is done takes the lock's file away; one that a killed writer left goes with the next that is done.
    """
    path = folder / name
    while True:
        with writing(path):
            folder.mkdir(parents=True, exist_ok=True)
            handle = open(path, "w")  # noqa: SIM115 - closed below
        with handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if not _is_at(handle, path):
                continue  # taken away by the writer before: the next one would lock another file
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def _is_at(handle: IO[str], path: Path) -> bool:
    """Whether a path still leads to the open file."""
    try:
        return os.path.samestat(os.fstat(handle.fileno()), path.stat())
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say what cannot be written, and why."""
    try:
        yield
    except OSError as error:
        raise WarehouseError(
            f"{path}: cannot be written - {error.strerror}; expected a folder that may be written to, with space left"
        ) from error
