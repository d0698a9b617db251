"""sha256 of source files, remembered by size, stamps and inode: unchanged files are not read again."""

import hashlib
import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from scalper_ml.durable import atomic_write, canonical_json
from scalper_ml.errors import InputError

__all__ = ["FileHashes", "SourceHash"]

_CHUNK: Final = 1 << 22
_SHA256: Final = re.compile(r"[0-9a-f]{64}\Z")
_NONE: Final[Mapping[Path, str]] = MappingProxyType({})
_SETTLED_NS: Final = 2_000_000_000  # a file younger than this when hashed may change without a new stamp


@dataclass(frozen=True, slots=True)
class SourceHash:
    """A file and what it was when it was looked at; `origin` is where it came from, of a local file its folder.

    The stamp of the last change of the inode tells what a kept modification time hides (``cp -p``, ``tar``).
    `fault` says why it could not be looked at; it has no hash then.
    """

    path: Path
    sha256: str
    size: int
    modified_ns: int
    changed_ns: int
    inode: int
    origin: str
    fault: str = ""

    @classmethod
    def faulty(cls, path: Path, origin: str, fault: str) -> "SourceHash":
        """A file that could not be looked at."""
        return cls(path, "", 0, 0, 0, 0, origin, fault)

    def unchanged(self) -> bool:
        """Whether the file on disk has the size, stamps and inode it had."""
        try:
            now = self.path.stat()
        except FileNotFoundError:
            return False
        return _identity(now) == (self.size, self.modified_ns, self.changed_ns, self.inode)


class FileHashes:
    """Hashes of files, kept in one small JSON file.

    Parameters
    ----------
    memory : Path
        Where they are remembered; a damaged one is forgotten, which costs time and nothing else.
    """

    def __init__(self, memory: Path) -> None:
        self._memory = memory
        self._known: dict[str, list[int | str]] = {}
        try:
            found = json.loads(memory.read_bytes())
        except (OSError, ValueError, RecursionError):
            return
        if isinstance(found, dict):
            self._known = {name: entry for name, entry in found.items() if _is_entry(entry)}

    def of(
        self, paths: Sequence[Path], origins: Mapping[Path, str] = _NONE, *, remember: bool = True
    ) -> list[SourceHash]:
        """The hash of each file; only new and changed ones are read.

        Raises
        ------
        InputError
            If a file cannot be read.
        """
        found = self.look(paths, origins, remember=remember)
        for one in found:
            if one.fault:
                raise InputError(one.fault)
        return found

    def look(
        self, paths: Sequence[Path], origins: Mapping[Path, str] = _NONE, *, remember: bool = True
    ) -> list[SourceHash]:
        """As `of`, with the fault of a file that cannot be read in place of its hash.

        Parameters
        ----------
        paths : sequence of Path
        origins : mapping
            Where files came from; those that are not in it came from their folder.
        remember : bool
            Whether what was hashed is written down for the next time.
        """
        resolved = {folder: folder.resolve() for folder in {path.parent for path in paths}}
        names = [os.path.join(resolved[path.parent], path.name) for path in paths]
        found = [self._one(path, name, origins.get(path)) for path, name in zip(paths, names, strict=True)]
        known: dict[str, list[int | str]] = {
            name: [one.size, one.modified_ns, one.changed_ns, one.inode, one.sha256]
            for name, one in zip(names, found, strict=True)
            if _settled(one) and not one.fault
        }
        merged = {**self._known, **known}
        if remember and merged != self._known:
            self._known = merged
            atomic_write(self._memory, canonical_json(merged))
        return found

    def _one(self, path: Path, name: str, origin: str | None) -> SourceHash:
        origin = str(path.parent) if origin is None else origin
        try:
            state = path.stat()
            known = self._known.get(name)
            if known and tuple(known[:-1]) == _identity(state):
                return SourceHash(path, str(known[-1]), *_identity(state), origin)
            digest = hashlib.sha256()
            with open(path, "rb", buffering=0) as file:
                while chunk := file.read(_CHUNK):
                    digest.update(chunk)
        except OSError as error:
            fault = f"{path}: cannot be read - {error.strerror}; expected a readable file"
            return SourceHash.faulty(path, origin, fault)
        return SourceHash(path, digest.hexdigest(), *_identity(state), origin)


def _identity(state: os.stat_result) -> tuple[int, int, int, int]:
    return state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino


def _is_entry(entry: object) -> bool:
    """Whether a remembered entry is a size, two stamps, an inode and a sha256."""
    if not isinstance(entry, list) or len(entry) != 5:
        return False
    *numbers, sha256 = entry
    return all(type(number) is int for number in numbers) and isinstance(sha256, str) and bool(_SHA256.match(sha256))


def _settled(one: SourceHash) -> bool:
    return time.time_ns() - one.modified_ns > _SETTLED_NS
