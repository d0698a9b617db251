"""Where a file lands: a part beside it while it comes, a record of its version once it is whole.

``NAME`` appears by one rename when complete and verified. Beside it ``NAME.part`` holds what has come so far, and
the hidden folder ``.origin`` a record of each file (``NAME.json``) and of each part (``NAME.part.json``). The record
is written before the rename: if a process is killed between the two, the record does not fit the file on disk, and
the next run finds the whole part and renames it.
"""

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar

from scalper_ml.durable import atomic_write, canonical_json
from scalper_ml.errors import InputError
from scalper_ml.remote.files import Version

__all__ = ["Landing", "Part", "Record", "Refusal", "refused_names", "sha256_of_file"]

_FOLDER: Final = ".origin"
_REFUSED: Final = ".refused.json"
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a file in the folder; `stamp` is what the listing said of it."""

    origin: str
    size: int
    etag: str | None
    last_modified: str | None
    sha256: str
    published: bool
    mtime_ns: int
    stamp: list[object] | None

    @property
    def version(self) -> Version:
        """How the server told this version from others."""
        return Version(self.size, self.etag, self.last_modified)


@dataclass(frozen=True, slots=True)
class Part:
    """Which version of which file a part belongs to; `resumable` if the server can tell versions apart."""

    origin: str
    size: int | None
    etag: str | None
    last_modified: str | None
    resumable: bool

    @property
    def version(self) -> Version:
        """How the server told this version from others."""
        return Version(self.size, self.etag, self.last_modified)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the file that a place publishes now was not taken."""

    origin: str
    reason: str


@dataclass(frozen=True, slots=True)
class Landing:
    """The place of one file in a folder."""

    folder: Path
    name: str

    @property
    def path(self) -> Path:
        """The file, once whole."""
        return self.folder / self.name

    @property
    def part_path(self) -> Path:
        """The file while it comes."""
        return self.folder / f"{self.name}.part"

    @property
    def _record_path(self) -> Path:
        return self.folder / _FOLDER / f"{self.name}.json"

    @property
    def _part_record_path(self) -> Path:
        return self.folder / _FOLDER / f"{self.name}.part.json"

    @property
    def _refusal_path(self) -> Path:
        return self.folder / _FOLDER / f"{self.name}{_REFUSED}"

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """One fetch of this file at a time, also between processes; a killed one lets go."""
        (self.folder / _FOLDER).mkdir(parents=True, exist_ok=True)
        with open(self.folder / _FOLDER / f"{self.name}.lock", "w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def record(self) -> Record | None:
        """The record, whether or not it still fits the file.

        Raises
        ------
        InputError
            If it is damaged.
        """
        fields = _read_json(self._record_path)
        return None if fields is None else _of(Record, fields, self._record_path)

    def fits(self, record: Record) -> bool:
        """Whether the file on disk is the recorded one; hashed only if it was touched since."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return False
        if status.st_size != record.size:
            return False
        return status.st_mtime_ns == record.mtime_ns or sha256_of_file(self.path) == record.sha256

    def write_record(self, record: Record) -> None:
        """Write the record, atomically."""
        atomic_write(self._record_path, canonical_json(asdict(record)))

    def refusal(self) -> Refusal | None:
        """Why the file that is published now was not taken; None if it was."""
        fields = _read_json(self._refusal_path)
        return None if fields is None else _of(Refusal, fields, self._refusal_path)

    def refuse(self, refusal: Refusal) -> None:
        """Remember that the file was not taken."""
        atomic_write(self._refusal_path, canonical_json(asdict(refusal)))

    def forgive(self) -> None:
        """Forget a refusal: the file came, or is not published any more."""
        self._refusal_path.unlink(missing_ok=True)

    def part(self) -> tuple[int, Part] | None:
        """Bytes that have come and what they belong to, or None; a part without its record is deleted."""
        fields = _read_json(self._part_record_path)
        if fields is None or not self.part_path.exists():
            self.discard_part()
            return None
        return self.part_path.stat().st_size, _of(Part, fields, self._part_record_path)

    def begin_part(self, part: Part) -> None:
        """Forget an older part, then note what the new one belongs to: never bytes under a wrong note."""
        self.part_path.unlink(missing_ok=True)
        atomic_write(self._part_record_path, canonical_json(asdict(part)))

    def open_part(self) -> BinaryIO:
        """The part, to append to."""
        return open(self.part_path, "ab")

    def discard_part(self) -> None:
        """Delete the part and its record."""
        self.part_path.unlink(missing_ok=True)
        self._part_record_path.unlink(missing_ok=True)

    def publish(self, record: Record) -> None:
        """Record the whole, flushed part and rename it into place."""
        self.write_record(record)
        os.replace(self.part_path, self.path)
        _flush_folder(self.folder)
        self.discard_part()


def refused_names(folder: Path) -> list[str]:
    """Names of the files whose published version was not taken, sorted."""
    found = (folder / _FOLDER).glob(f"*{_REFUSED}")
    return sorted(path.name.removesuffix(_REFUSED) for path in found)


def sha256_of_file(path: Path) -> str:
    """Hex sha256 of a file, in constant memory."""
    with open(path, "rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        fields = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise InputError(f"{path}: damaged record ({error}); expected JSON - delete this one file") from error
    if not isinstance(fields, dict):
        raise InputError(f"{path}: found {fields!r}, expected a record - delete this one file")
    return fields


def _of(kind: type[R], fields: dict[str, Any], path: Path) -> R:
    try:
        return kind(**fields)
    except TypeError as error:
        raise InputError(f"{path}: not a record of this version ({error}) - delete this one file") from error
