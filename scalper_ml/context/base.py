"""What a source of context gives: values of kinds, with event time, known time and, where rejected, the reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import pyarrow as pa

from scalper_ml.context.kinds import kind_of
from scalper_ml.ingest.base import Counts
from scalper_ml.ingest.lines import Columns
from scalper_ml.ingest.values import decimals

__all__ = [
    "BAD_STAMP",
    "HOUR_US",
    "SNAP_US",
    "ContextFile",
    "Parsed",
    "Request",
    "Source",
    "Values",
    "known_us",
    "plain_names",
    "snapped",
    "values_of",
]

HOUR_US: Final = 3_600_000_000
SNAP_US: Final = 60_000_000
"""A stamp at most this far from its schedule is on schedule."""

BAD_STAMP: Final = "not a stamp of the years 2000 to 2099 in s, ms, us, ns or ISO 8601"


@dataclass(frozen=True, slots=True)
class ContextFile:
    """Context of one file, or of several, merged.

    Attributes
    ----------
    table : pyarrow.Table
        Schema `CONTEXT`, sorted by kind, event time, known time, value. Of one file: equal rows once, and
        `revision` 0, for only `merge_context` can tell revisions and contradictions.
    quarantine : pyarrow.Table
        Schema `QUARANTINE`; an entry a rejected value, so one line of a file may have several.
    counts : Counts
        Of values, not of lines: a line of a metrics dump holds six. A line that cannot be cut into columns is one.
    format : str
        What the file was read as; of a merge, the formats joined by ``+``.
    sha256 : str
        Of the file's bytes on disk; of a merge, over the sorted hashes of its files.
    disordered : int
        Rows stamped before the row above them.
    """

    table: pa.Table
    quarantine: pa.Table
    counts: Counts
    format: str
    sha256: str
    disordered: int = 0


@dataclass(frozen=True, slots=True)
class Values:
    """Values of one kind, arrays of one length.

    Attributes
    ----------
    kind : str
    rows : ndarray of int64
        Position among the file's rows.
    event_us, known_us : ndarray of int64
    value : ndarray of float64
    fault : ndarray of str
        Why a value is rejected; empty where it is not.
    repeats : ndarray of bool
        Values that say again what another value of the file says.
    source : str
        Empty: the format of the file.
    """

    kind: str
    rows: np.ndarray
    event_us: np.ndarray
    known_us: np.ndarray
    value: np.ndarray
    fault: np.ndarray
    repeats: np.ndarray
    source: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """Whose file is read, from where, and the publication delay to use instead of the source's own (us)."""

    symbol: str
    path: Path
    delay_us: int | None = None

    def delay(self, own_us: int) -> int:
        """The publication delay, us."""
        return own_us if self.delay_us is None else self.delay_us


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a source made of a file: format, values by kind, and the stamp of each row where it was readable."""

    format: str
    values: Sequence[Values]
    stamp_us: np.ndarray


class Source(Protocol):
    """A source of context. Adding one is one file with one of these, listed in `scalper_ml.context.read`."""

    formats: tuple[str, ...]

    def roles(self, names: Sequence[str]) -> dict[str, int] | None:
        """Role to position if these are the columns of this source (see `plain_names`), else None."""
        ...

    def parse(self, columns: Columns, request: Request) -> Parsed:
        """The values.

        Raises
        ------
        InputError
            If the file is of this source, and broken.
        """
        ...


def plain_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names in lower case without anything that is no letter or digit.

    Examples
    --------
    >>> plain_names(["calc_time", "fundingRate"])
    ('calctime', 'fundingrate')
    """
    return tuple("".join(letter for letter in name.lower() if letter.isalnum()) for name in names)


def snapped(stamp_us: np.ndarray, step_us: int) -> np.ndarray:
    """Stamps moved to the nearest multiple of `step_us` where that is at most a minute away (`SNAP_US`).

    Parameters
    ----------
    stamp_us : ndarray of int64, shape (n,)
    step_us : int
        Positive.

    Examples
    --------
    >>> snapped(np.array([1_749_830_400_004_000, 1_749_830_399_990_000, 1_749_830_520_000_000]), HOUR_US).tolist()
    [1749830400000000, 1749830400000000, 1749830520000000]
    """
    nearest = (stamp_us + step_us // 2) // step_us * step_us
    return np.asarray(np.where(np.abs(nearest - stamp_us) <= SNAP_US, nearest, stamp_us), dtype=np.int64)


def known_us(stamp_us: np.ndarray, event_us: np.ndarray, delay_us: int) -> np.ndarray:
    """The earliest moment at which a value may be used: its stamp or its event time, the later, and the delay."""
    return np.asarray(np.maximum(stamp_us, event_us) + delay_us, dtype=np.int64)


def values_of(
    kind: str,
    column: tuple[str, pa.Array],
    stamped: np.ndarray,
    event_us: np.ndarray,
    known: np.ndarray,
    *,
    scale: float = 1.0,
    rows: np.ndarray | None = None,
) -> Values:
    """A column as values of a kind, with the fault of each that is none.

    Parameters
    ----------
    kind : str
    column : (str, pyarrow.Array)
        Its name in the file, and the column itself.
    stamped : ndarray of bool
        Where the row's stamp was readable.
    event_us, known : ndarray of int64
    scale : float
        The unit of the column, in units of the kind.
    rows : ndarray of int64, optional
        Positions among the file's rows; by default all.
    """
    name, cells = column
    value, readable = decimals(cells)
    value = value * scale
    with np.errstate(invalid="ignore"):
        finite = np.isfinite(value)
        wrong = {"any": ~finite, "not negative": ~(value >= 0), "positive": ~(value > 0)}[kind_of(kind).allowed]
    tests = (~stamped, ~readable, ~finite, wrong)
    texts = (f"ts: {BAD_STAMP}", f"{name}: not a number", f"{name}: not finite", f"{name}: not {_wanted(kind)}")
    fault = np.select(tests, texts, "")
    places = np.arange(len(value)) if rows is None else rows
    return Values(kind, places, event_us, known, value, fault, np.zeros(len(value), dtype=bool))


def _wanted(kind: str) -> str:
    return {"not negative": "0 or more"}.get(allowed := kind_of(kind).allowed, allowed)
