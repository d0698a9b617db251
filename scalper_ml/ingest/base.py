"""What an ingested file is: accepted rows, rejected rows with their reasons, and counts that add up."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import pyarrow as pa

__all__ = ["Adapter", "Counts", "Duplicates", "Head", "KlineFile", "Layout", "TickFile"]

Duplicates = Literal["keep", "drop"]
"""What to do with equal rows that carry no trade id: equal trades are normal, so they are kept by default."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows of a source: ``accepted + duplicate + quarantined == read``, always.

    Examples
    --------
    >>> Counts(read=5, accepted=3, duplicate=1, quarantined=1) + Counts(1, 1, 0, 0)
    Counts(read=6, accepted=4, duplicate=1, quarantined=1)
    """

    read: int
    accepted: int
    duplicate: int
    quarantined: int

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.read + other.read,
            self.accepted + other.accepted,
            self.duplicate + other.duplicate,
            self.quarantined + other.quarantined,
        )


@dataclass(frozen=True, slots=True)
class TickFile:
    """Trades of one file (or of several, merged).

    Attributes
    ----------
    ticks : pyarrow.Table
        Schema `TICKS`, sorted by stamp then id, unique.
    quarantine : pyarrow.Table
        Schema `QUARANTINE`; `line` counts from 1 (line of a text file, record of any other; 0 if found on merging).
    counts : Counts
    format : str
        What the file was read as; also the `source` of its ticks.
    sha256 : str
        Of the file's bytes on disk.
    """

    ticks: pa.Table
    quarantine: pa.Table
    counts: Counts
    format: str
    sha256: str


@dataclass(frozen=True, slots=True)
class KlineFile:
    """Bars of one kline file; attributes as `TickFile`, with bars of schema `BARS` and their length."""

    bars: pa.Table
    quarantine: pa.Table
    counts: Counts
    format: str
    sha256: str
    interval_us: int


@dataclass(frozen=True, slots=True)
class Head:
    """The first two lines of a text file as fields, or the column names of a table file."""

    first: Sequence[str]
    second: Sequence[str] = ()
    typed: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the columns of a source are.

    Attributes
    ----------
    format : str
        Name of the format: venue, market and kind where known.
    columns : dict
        Role (``ts``, ``price``, ``qty``, ``side``, ``maker``, ``id``, ``symbol``; for klines ``open`` ...) to position.
    has_header : bool
    """

    format: str
    columns: dict[str, int]
    has_header: bool
    names: tuple[str, ...] = field(default=())


class Adapter(Protocol):
    """A source of trades or klines: knows its own layouts, nothing else.

    Adding a source is one file with one of these, listed in `scalper_ml.ingest.sniff`.
    """

    formats: tuple[str, ...]

    def layout(self, head: Head, path: Path) -> Layout | None:
        """The layout if this file is of this source, else None.

        Raises
        ------
        InputError
            If it is of this source, and broken.
        """
        ...
