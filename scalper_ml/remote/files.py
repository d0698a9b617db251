"""What a place offers, and what lies in the local folder after fetching it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from scalper_ml.errors import InputError

__all__ = [
    "CHECKSUM",
    "UNKNOWN",
    "Earlier",
    "Outcome",
    "Published",
    "SourceFile",
    "Version",
    "Watch",
    "safe_name",
]

CHECKSUM: Final = ".CHECKSUM"
"""Ending of the companion that holds ``<sha256>  <name>``."""

Outcome = Literal["local", "unchanged", "downloaded", "replaced"]
"""What fetching did: used where it lies, kept, fetched for the first time, or fetched over an earlier version."""

Watch = Callable[[str, int, int | None], None]
"""Told of progress: name, bytes so far, bytes in all (None where unknown)."""


@dataclass(frozen=True, slots=True)
class Version:
    """How a server tells one version of a file from the next; None where it does not say.

    Attributes
    ----------
    size : int or None
        Bytes.
    etag : str or None
        As it travels, quotes included.
    last_modified : str or None
        As the server writes it.
    """

    size: int | None = None
    etag: str | None = None
    last_modified: str | None = None

    @property
    def decides(self) -> bool:
        """Whether two equal ones mean the same bytes."""
        return self.size is not None and (self.etag is not None or self.last_modified is not None)


UNKNOWN: Final = Version()


@dataclass(frozen=True, slots=True)
class Published:
    """A file that a place offers.

    Attributes
    ----------
    name : str
        File name, without folders.
    origin : str
        Where it is, without credentials: fit for records and messages.
    url : str
        Where it is, as it must be asked for; never shown.
    version : Version
        What the listing says of it.
    checksum : str or None
        Where its companion is; `checksum_version` is what the listing says of that.
    probe : bool
        The companion may or may not be there (no listing was read).
    """

    name: str
    origin: str
    url: str = field(repr=False)
    version: Version = UNKNOWN
    checksum: str | None = field(default=None, repr=False)
    checksum_version: Version = UNKNOWN
    probe: bool = False

    @property
    def stamp(self) -> list[object] | None:
        """What the listing says of file and companion, if that is enough to tell versions apart."""
        parts = [self.version] if self.checksum is None else [self.version, self.checksum_version]
        if self.probe or not all(part.decides for part in parts):
            return None
        return [value for part in parts for value in (part.size, part.etag, part.last_modified)]


@dataclass(frozen=True, slots=True)
class Earlier:
    """The version that a fetch replaced."""

    sha256: str
    size: int
    etag: str | None
    last_modified: str | None


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A local file, complete, and where it came from.

    Attributes
    ----------
    name : str
    path : Path
    origin : str
        Without credentials; of a local file its path.
    size : int
        Bytes on disk.
    etag, last_modified : str or None
        As the server gave them; None for local files and where unknown.
    sha256 : str or None
        Of the bytes; None for a local file, which nobody has hashed yet.
    published : bool
        Whether `sha256` was also published by the origin, and equal.
    outcome : {"local", "unchanged", "downloaded", "replaced"}
    replaced : Earlier or None
        The version that was there before, if the origin changed it.
    """

    name: str
    path: Path
    origin: str
    size: int
    etag: str | None = None
    last_modified: str | None = None
    sha256: str | None = None
    published: bool = False
    outcome: Outcome = "local"
    replaced: Earlier | None = None


def safe_name(name: str, origin: str) -> str:
    """The name, if it is one that stays in its folder.

    Raises
    ------
    InputError
        If it holds a path separator or a control character, or is longer than 200 bytes.
    """
    if "/" in name or "\\" in name or not name.isprintable() or len(name.encode()) > 200:
        raise InputError(
            f"{origin}: offers a file named {name[:80]!r}; expected a plain name without path separators or control "
            "characters, of at most 200 bytes - do not trust this listing"
        )
    return name
