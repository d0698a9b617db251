"""What the tick store knows of a symbol: its days, its files, and the files that it refused."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from scalper_ml.durable import canonical_json
from scalper_ml.ingest.days import DAY_US, day_name
from scalper_ml.ingest.rejects import Rejected, Rejects, rejected_rows

__all__ = ["Day", "Observation", "StoreState"]

_LAYOUT: Final = 2  # of the document; in the first one rejected rows stood in it


@dataclass(frozen=True, slots=True)
class Observation:
    """A source file as it was read; fields as the columns of `scalper_ml.schema.OBSERVATIONS`.

    `path` is where it lay, for days that must be made anew from their files; `named` says whether its trades have
    ids, None where it has no trades. `rows_by_day` counts the trades it offers to each day.
    """

    file: str
    origin: str
    sha256: str
    bytes: int
    format: str
    read: int
    quarantined: int
    first_ts_us: int | None
    last_ts_us: int | None
    replaced_by: str | None = None
    refused: str | None = None
    seen_ts_us: int | None = None
    path: str = ""
    named: bool | None = None
    rows_by_day: dict[str, int] = field(default_factory=dict)

    def days(self) -> range:
        """Days since the epoch that its trades reach into, or might."""
        if self.first_ts_us is None or self.last_ts_us is None:
            return range(0)
        return range(self.first_ts_us // DAY_US, self.last_ts_us // DAY_US + 1)

    def day_names(self) -> set[str]:
        """Names of `days`."""
        return {day_name(day * DAY_US) for day in self.days()}


@dataclass(slots=True)
class Day:
    """One stored day: its file, and what became of the rows that were offered for it."""

    entry: dict[str, Any]
    rows: int
    repeats: int
    conflicts: Rejects | None = None
    facts: dict[str, Any] | None = None


@dataclass(slots=True)
class StoreState:
    """Everything the store knows about a symbol.

    Attributes
    ----------
    version : str
        Of the code and the options that read the files.
    days : dict
        By name, such as ``2024-01-01``.
    files : list of Observation
        By sha256: the same bytes under two names are one file.
    replaced : list of Observation
        Files whose place holds other bytes now; what they gave is withdrawn.
    refused : list of Observation
        Files that could not be read, as they lay there when this state was made.
    rejected : dict
        Rows that are no trades by the sha256 of their file; conflicts stand with their day.
    unwithdrawn : list of str
        Days and files that are gone, where another file of the day was replaced, or files are read in another way
        now: rows of the day could not be taken back, or not be read again.
    """

    version: str = ""
    days: dict[str, Day] = field(default_factory=dict)
    files: list[Observation] = field(default_factory=list)
    replaced: list[Observation] = field(default_factory=list)
    refused: list[Observation] = field(default_factory=list)
    rejected: dict[str, Rejects] = field(default_factory=dict)
    unwithdrawn: list[str] = field(default_factory=list)

    def to_json(self) -> bytes:
        """As canonical JSON."""
        plain: dict[str, Any] = _fields(self) | {"layout": _LAYOUT}
        plain["days"] = {name: _fields(day) | {"conflicts": _plain(day.conflicts)} for name, day in self.days.items()}
        plain["rejected"] = {sha: _plain(one) for sha, one in self.rejected.items()}
        plain |= {name: [_fields(file) for file in getattr(self, name)] for name in ("files", "replaced", "refused")}
        return canonical_json(plain)

    @classmethod
    def from_json(cls, data: bytes) -> "StoreState":
        """What `to_json` gave; of an earlier layout without rejected rows, which are read again with their files."""
        found = json.loads(data)
        ours = found.get("layout") == _LAYOUT
        rejected = {sha: Rejects.of(one) for sha, one in found["rejected"].items()} if ours else {}
        return cls(
            version=found["version"] if ours else "",
            days={name: _day(day, ours) for name, day in found["days"].items()},
            files=[Observation(**file) for file in found["files"]],
            replaced=[Observation(**file) for file in found["replaced"]],
            refused=[Observation(**file) for file in found.get("refused", ())],
            rejected={sha: one for sha, one in rejected.items() if one is not None},
            unwithdrawn=found["unwithdrawn"],
        )

    @property
    def read(self) -> int:
        """Rows read of all files."""
        return sum(file.read for file in self.files)

    @property
    def rows(self) -> int:
        """Trades stored."""
        return sum(day.rows for day in self.days.values())

    @property
    def repeats(self) -> int:
        """Rows that repeat a stored trade."""
        return sum(day.repeats for day in self.days.values())

    @property
    def quarantined(self) -> int:
        """Rows in quarantine."""
        return sum(one.rows for one in self.rejects())

    def rejects(self) -> list[Rejects]:
        """The files of rows in quarantine."""
        conflicts = (day.conflicts for day in self.days.values())
        return [*self.rejected.values(), *(one for one in conflicts if one is not None)]

    def reasons(self) -> dict[str, int]:
        """Rows in quarantine by reason."""
        found: dict[str, int] = {}
        for one in self.rejects():
            for reason, rows in one.reasons.items():
                found[reason] = found.get(reason, 0) + rows
        return dict(sorted(found.items()))

    def quarantine(self, folder: Path) -> Iterator[Rejected]:
        """Every row that was rejected, by file and line, out of the partition's folder."""
        return rejected_rows(folder, self.rejects())


def _fields(one: StoreState | Day | Observation) -> dict[str, Any]:
    """As `dataclasses.asdict`, without a copy of all that is below."""
    return {each.name: getattr(one, each.name) for each in fields(one)}


def _plain(one: Rejects | None) -> dict[str, Any] | None:
    return None if one is None else one.to_json()


def _day(plain: dict[str, Any], ours: bool) -> Day:
    return Day(**plain | {"conflicts": Rejects.of(plain["conflicts"]) if ours else None})
