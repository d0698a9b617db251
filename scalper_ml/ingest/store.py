"""The tick store of one symbol: source files in, one file a day out, whatever came first.

What a day holds is a function of the rows of all files that reach into it, not of their order: rows with an id
are one trade if the id is the same, equal rows without ids as many as the file with most of them holds. So a new
file is joined with the days it touches and nothing else is read again. A day is made anew from its files only
where joining could not tell: a file was replaced, or rows of one id contradict each other.
"""

import heapq
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from scalper_ml.durable import atomic_write, sha256_of
from scalper_ml.errors import InputError
from scalper_ml.ingest.base import Duplicates, Head, Layout
from scalper_ml.ingest.batches import Batch, TradeFile
from scalper_ml.ingest.days import DAY_US, DayBuffer, day_bytes, day_name, day_trades
from scalper_ml.ingest.hashes import SourceHash
from scalper_ml.ingest.merge import join_trades
from scalper_ml.ingest.order import Trades, concatenate, sort_trades
from scalper_ml.ingest.rejects import Rejected, Rejects, RejectWriter, rejected_rows
from scalper_ml.ingest.state import Day, Observation, StoreState
from scalper_ml.ingest.trades import CONFLICT, trade_text
from scalper_ml.warehouse import Manifest, Warehouse

__all__ = ["Day", "Observation", "Progress", "StoreState", "TickStore", "staged_state"]

_BUFFER_ROWS: Final = 1 << 20
_STAGING: Final = ".staging.json"
_LAYER: Final = "ticks"
_STORED: Final = "(stored)"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an ingest has come."""

    file: str
    rows: int
    bytes_read: int
    bytes_total: int


@dataclass(frozen=True, slots=True)
class _Part:
    """Rows of one file in one day."""

    file: str
    trades: Trades
    lines: np.ndarray


def staged_state(warehouse: Warehouse, symbol: str) -> StoreState | None:
    """What the newest build had read when it was blocked or killed; None where it came to its end."""
    path = warehouse.folder(_LAYER, {"symbol": symbol}) / _STAGING
    return StoreState.from_json(path.read_bytes()) if path.is_file() else None


class TickStore:
    """Ingest of one symbol.

    Parameters
    ----------
    warehouse : Warehouse
    symbol : str
    version : str
        Of the code and the options; another one than the stored means that files are read again.
    told : callable
        Gives the layout of a file: its head and its path.
    duplicates : {"keep", "drop"}
        What equal rows without ids are.
    progress : callable, optional
        Called between batches.
    elsewhere : callable, optional
        Which of the files that were read before, and are not offered now, still lie where they lay, unchanged;
        asked only where days must be made anew.
    save_every_s : float
        How often what has been read so far is written down, between files.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        symbol: str,
        *,
        version: str,
        told: Callable[[Head, Path], Layout],
        duplicates: Duplicates = "keep",
        progress: Callable[[Progress], None] | None = None,
        elsewhere: Callable[[Sequence[Observation]], Sequence[SourceHash]] | None = None,
        save_every_s: float = 5.0,
    ) -> None:
        self._warehouse = warehouse
        self._symbol = symbol
        self._keys = {"symbol": symbol}
        self._version = version
        self._told = told
        self._duplicates = duplicates
        self._progress = progress or (lambda _: None)
        self._save_every_s = save_every_s
        self._elsewhere = elsewhere or (lambda _: ())
        self._staging = warehouse.folder(_LAYER, self._keys) / _STAGING
        self._folder = warehouse.folder(_LAYER, self._keys)
        self._state = StoreState(version=version)
        self._seen: dict[str, int] = {}
        self._refused_before: list[Observation] = []
        self._total = self._before = self._rows = 0

    def ingest(self, sources: Sequence[SourceHash], published: Manifest | None) -> StoreState:
        """The state after reading what is new in `sources`; days are put in place, nothing is published.

        A file that is known by its hash is not read again. A file whose place now holds other bytes is replaced:
        what it gave is withdrawn. A file that is gone stays what it gave. A file that cannot be read as trades, is of
        another source than the others, or changes while it is read gives nothing and stands in `StoreState.refused`;
        it is read again each time it is offered.

        Parameters
        ----------
        sources : sequence of SourceHash
        published : Manifest or None
            The partition as it is.

        Raises
        ------
        InputError
            If a stored day is damaged, and a file it came from is gone.
        """
        sources = sorted(sources, key=lambda one: (one.path.name, str(one.path)))
        there = {one.sha256: one for one in reversed(sources) if not one.fault}
        withdrawn = self._load(published, there) | self._withdraw(sources)
        again = withdrawn | self._returned(there) | self._damaged()
        self._state.files = [_moved(file, there.get(file.sha256)) for file in self._state.files]
        known = {file.sha256 for file in self._state.files}
        new = sorted((one for sha, one in there.items() if sha not in known), key=lambda one: one.path.name)
        self._total = sum(one.size for one in new)
        saved = time.monotonic()
        for one in new:
            again |= self._taken(one, again)
            if time.monotonic() - saved > self._save_every_s and not again:
                self._stage_midway()
                saved = time.monotonic()
        self._state.files.sort(key=lambda file: (file.file, file.sha256))
        if again:
            self._rebuild(sorted(again), self._reach(there, self._state.files), withdrawn)
        self._state.days = dict(sorted(self._state.days.items()))
        self._state.refused += [self._refusal(one, one.fault) for one in sources if one.fault]
        self._state.refused.sort(key=lambda file: (file.file, file.origin))
        self._state.replaced += self._repaired(sources)
        return self._state

    def _taken(self, one: SourceHash, again: set[str]) -> set[str]:
        """Read a file as `_read` does, or refuse it and leave the days as they were."""
        before, done = dict(self._state.days), self._before
        try:
            return self._read(one, again)
        except InputError as error:
            self._state.days = before
            self._before = done + one.size
            self._state.refused.append(self._refusal(one, str(error)))
            return set()

    def _repaired(self, sources: Sequence[SourceHash]) -> list[Observation]:
        """Files refused before in whose place others were read now."""
        read = {file.sha256 for file in self._state.files}
        now = {(one.origin, one.path.name): one.sha256 for one in sources if one.sha256 in read}
        found = [(file, now.get((file.origin, file.file))) for file in self._refused_before if file.sha256]
        return [replace(file, replaced_by=sha) for file, sha in found if sha not in (None, file.sha256)]

    def _refusal(self, one: SourceHash, reason: str) -> Observation:
        seen = self._seen.setdefault(one.sha256, _now_us())
        return Observation(
            one.path.name, one.origin, one.sha256, one.size, "", 0, 0, None, None,
            refused=reason, seen_ts_us=seen, path=str(one.path),
        )  # fmt: skip

    def stage(self) -> None:
        """Keep what has been read although it is not published: the next ingest of these files goes on from here."""
        atomic_write(self._staging, self._state.to_json())

    def _stage_midway(self) -> None:
        """As `stage`, with what was refused before: some of it may not have been looked at again yet."""
        now = self._state.refused
        looked_at = {(file.origin, file.file) for file in now}
        before = [file for file in self._refused_before if (file.origin, file.file) not in looked_at]
        self._state.refused = [*now, *before]
        self.stage()
        self._state.refused = now

    def _reach(self, there: dict[str, SourceHash], files: Sequence[Observation]) -> dict[str, SourceHash]:
        """`there`, and what else still lies where it was read."""
        others = self._elsewhere([file for file in files if file.sha256 not in there])
        return {**{one.sha256: one for one in others}, **there}

    def _load(self, published: Manifest | None, there: dict[str, SourceHash]) -> set[str]:
        """Start from what was published, or from where a killed ingest had come; return days to make anew."""
        if published is None or "state.json" not in published.beside:
            stored = StoreState(version=self._version)
        else:
            stored = StoreState.from_json(self._warehouse.read_bytes(published, "state.json"))
        if self._staging.exists():
            staged = StoreState.from_json(self._staging.read_bytes())
            self._remember(staged)
            self._refused_before = staged.refused
            old, new = ({file.sha256 for file in state.files} for state in (stored, staged))
            if staged.version == self._version and old <= new and new - old <= set(there):
                stored = staged
        self._remember(stored)
        self._state = stored
        stored.refused = []  # those that still lie there are offered, and looked at again
        if stored.version == self._version:
            return set()
        there.update(self._reach(there, stored.files))
        if {file.sha256 for file in stored.files} <= set(there):
            self._state = StoreState(version=self._version)
            return set()
        stored.version = self._version
        self._forget([file for file in stored.files if file.sha256 in there])
        return set(stored.days)

    def _remember(self, state: StoreState) -> None:
        """When its files were first seen: a file is no younger for being read again."""
        for file in [*state.files, *state.replaced, *state.refused]:
            if file.seen_ts_us is not None:
                self._seen[file.sha256] = min(file.seen_ts_us, self._seen.get(file.sha256, file.seen_ts_us))

    def _withdraw(self, sources: Sequence[SourceHash]) -> set[str]:
        """Forget files whose place holds other bytes now; return the days they reached into."""
        here = {(one.origin, one.path.name): one.sha256 for one in sources if not one.fault}
        moved = self._moved_folders({one.sha256: one.origin for one in sources if not one.fault})
        offered = set(here.values())
        gone: list[Observation] = []
        for file in self._state.files:
            now = here.get((file.origin, file.file))
            if now is None and file.origin in moved and not Path(file.path).exists():
                now = here.get((moved[file.origin], file.file))
            if now is not None and now != file.sha256 and file.sha256 not in offered:
                gone.append(file)
                self._state.replaced.append(replace(file, replaced_by=now))
        self._forget(gone)
        return {day for file in gone for day in file.day_names()} & self._state.days.keys()

    def _moved_folders(self, origins: dict[str, str]) -> dict[str, str]:
        """Folders of files that are gone there, by where files of them lie now with the bytes they had."""
        return {
            file.origin: origins[file.sha256]
            for file in self._state.files
            if origins.get(file.sha256, file.origin) != file.origin and not Path(file.path).exists()
        }

    def _returned(self, there: dict[str, SourceHash]) -> set[str]:
        """Days that could not be made anew for want of a file that is here again."""
        names = {one.path.name for one in there.values()}
        back = [entry for entry in self._state.unwithdrawn if entry.split(" ", 1)[1] in names]
        self._state.unwithdrawn = [entry for entry in self._state.unwithdrawn if entry not in back]
        return {entry.split(" ", 1)[0] for entry in back}

    def _damaged(self) -> set[str]:
        """Days whose stored file, or one of rejected rows, is missing or cut; files without theirs are forgotten."""
        lost = [file for file in self._state.files if not self._there(self._state.rejected.get(file.sha256))]
        self._forget(lost)
        paths = {name: (self._folder / day.entry["path"], day.entry["bytes"]) for name, day in self._state.days.items()}
        cut = {name for name, (path, size) in paths.items() if not (path.is_file() and path.stat().st_size == size)}
        torn = {name for name, day in self._state.days.items() if not self._there(day.conflicts)}
        return cut | torn | ({day for file in lost for day in file.day_names()} & self._state.days.keys())

    def _there(self, rejects: Rejects | None) -> bool:
        return rejects is None or rejects.there(self._folder)

    def _forget(self, files: Sequence[Observation]) -> None:
        gone = {file.sha256 for file in files}
        self._state.files = [file for file in self._state.files if file.sha256 not in gone]
        self._state.rejected = {sha: rows for sha, rows in self._state.rejected.items() if sha not in gone}

    def _read(self, one: SourceHash, again: set[str]) -> set[str]:
        """Read a file into the days it reaches into; return the days that must be made anew."""
        with RejectWriter(self._warehouse, self._symbol, one.sha256[:12]) as rejects:
            observed, doubtful = self._read_rows(one, again, rejects)
            self._unchanged(one)
            if observed.named is not None:
                self._ids_alike(observed.named, one.path)
            self._state.files.append(observed)
            if (found := rejects.finish()) is not None:
                self._state.rejected[one.sha256] = found
        return doubtful

    def _read_rows(self, one: SourceHash, again: set[str], rejects: RejectWriter) -> tuple[Observation, set[str]]:
        file = TradeFile(one.path, symbol=self._symbol, told=lambda head: self._told(head, one.path), hashed=False)
        buffer = DayBuffer(_BUFFER_ROWS)
        doubtful: set[str] = set()
        offered: dict[str, int] = {}
        read, named = 0, False
        first, last = np.iinfo(np.int64).max, np.iinfo(np.int64).min

        def store(everything: bool) -> None:
            for day, trades, lines in buffer.take(everything=everything):
                late = day in offered
                if day not in again and not self._join(day, trades, lines, one.path.name, file.format, late):
                    doubtful.add(day)
                offered[day] = offered.get(day, 0) + len(trades)

        for batch in file.batches():
            read += batch.read
            rejects.add((one.path.name, fault.line, fault.reason, fault.raw) for fault in batch.faults)
            if len(batch.trades):
                self._one_source(file.format, one.path)
                first = min(first, int(batch.trades.ts_us.min()))
                last = max(last, int(batch.trades.ts_us.max()))
                named = named or bool((batch.trades.trade_id >= 0).any())
            buffer.append(batch)
            if buffer.full:
                store(everything=False)
            self._progress(Progress(one.path.name, self._rows + read, self._before + file.bytes_read, self._total))
        store(everything=True)
        self._rows += read
        self._before += one.size
        some = read > rejects.rows
        observed = Observation(
            one.path.name, one.origin, one.sha256, one.size, file.format, read, rejects.rows,
            first if some else None, last if some else None, path=str(one.path), named=named if some else None,
            rows_by_day=offered, seen_ts_us=self._seen.setdefault(one.sha256, _now_us()),
        )  # fmt: skip
        return observed, doubtful

    def _one_source(self, format: str, path: Path) -> None:
        others = sorted(set(self._formats()) - {format})
        if others:
            raise InputError(
                f"{path}: {format} trades, but those of {self._symbol} are {others} so far; expected files of one "
                "source - trades and aggregate trades of a venue would count twice; keep one of them in the folder"
            )

    def _formats(self) -> list[str]:
        """Of the files with trades: one without any, such as a quiet minute of a capture, is of no source."""
        return [file.format for file in self._state.files if file.named is not None]

    def _ids_alike(self, named: bool, path: Path) -> None:
        other = next((file.file for file in self._state.files if file.named is not None and file.named != named), None)
        if other:
            raise InputError(
                f"{path}: its trades have {'ids' if named else 'no ids'}, those of {other} have "
                f"{'none' if named else 'ids'}; expected files that are alike - a trade of both would count twice"
            )

    def _join(self, day: str, trades: Trades, lines: np.ndarray, name: str, format: str, late: bool) -> bool:
        """Join rows of one file with a stored day; False if the day must be made anew from its files."""
        once = sort_trades(trades, drop_unnamed=self._duplicates == "drop")
        conflicts = len(once.conflicts) > 0
        stored = self._state.days.get(day)
        if stored is None:
            rows = once.conflicts[np.argsort(lines[once.conflicts], kind="stable")].tolist()
            texts = ((name, int(lines[row]), CONFLICT, trade_text(trades, row)) for row in rows)
            self._put(day, once.trades, once.repeats, texts, format)
            return True
        unnamed = late and self._duplicates == "keep" and bool(np.any(trades.trade_id < 0))
        if conflicts or stored.conflicts or unnamed:
            return False
        before = self._stored_trades(stored)
        if before is None:
            return False
        parts = [before, once.trades]
        joined, repeats = join_trades(parts, self._duplicates)
        if len(joined.conflicts):
            return False
        self._put(day, joined.trades, stored.repeats + once.repeats + repeats, (), format)
        return True

    def _rebuild(self, days: Sequence[str], there: dict[str, SourceHash], withdrawn: Collection[str]) -> None:
        """Make days anew from all files that reach into them, a few days at a time.

        Where one of these is gone, what is stored of the day stands for it: rows, and rows in quarantine.
        """
        for some in self._groups(days):
            parts: dict[str, list[_Part]] = {day: [] for day in some}
            for file in self._state.files:
                reached = parts.keys() & file.rows_by_day.keys()
                if file.sha256 in there and reached:
                    self._collect(there[file.sha256], parts)
                for day in reached if file.sha256 not in there else ():
                    if day in withdrawn:
                        self._state.unwithdrawn = sorted({*self._state.unwithdrawn, f"{day} {file.file}"})
                    if day in self._state.days and not any(part.file == _STORED for part in parts[day]):
                        parts[day].append(self._stand_in(day, file.file))
            for day, found in parts.items():
                stored = self._state.days.pop(day, None)
                if found:
                    self._make(day, found, stored)

    def _groups(self, days: Sequence[str]) -> list[list[str]]:
        """Days in groups whose rows fit into memory."""
        groups: list[list[str]] = []
        rows = _BUFFER_ROWS
        for day in days:
            more = self._state.days[day].rows if day in self._state.days else _BUFFER_ROWS
            if rows + more > _BUFFER_ROWS:
                groups.append([])
                rows = 0
            groups[-1].append(day)
            rows += more
        return groups

    def _collect(self, one: SourceHash, parts: dict[str, list["_Part"]]) -> None:
        """Add the rows of a file to the days that are made anew."""
        file = TradeFile(one.path, symbol=self._symbol, told=lambda head: self._told(head, one.path), hashed=False)
        buffer = DayBuffer(_BUFFER_ROWS)
        for batch in file.batches():
            days = batch.trades.ts_us // DAY_US
            wanted = np.isin(days, [day for day in np.unique(days).tolist() if day_name(day * DAY_US) in parts])
            buffer.append(Batch(batch.trades.take(wanted), batch.lines[wanted], ()))
        for day, trades, lines in buffer.take(everything=True):
            parts[day].append(_Part(one.path.name, trades.copy(), lines.copy()))
        self._unchanged(one)

    def _stand_in(self, day: str, gone: str) -> "_Part":
        """What is stored of a day, for a file that is gone."""
        trades = self._stored_trades(self._state.days[day])
        if trades is None:
            path = self._warehouse.folder(_LAYER, self._keys) / self._state.days[day].entry["path"]
            raise InputError(
                f"ticks {self._symbol} {day}: {path} is damaged, and {gone}, which its trades came from, is gone; "
                "expected one of them - put the file back"
            )
        return _Part(_STORED, trades, np.zeros(len(trades), dtype=np.int64))

    def _make(self, day: str, parts: Sequence["_Part"], stored: Day | None) -> None:
        every = concatenate([part.trades for part in parts])
        owner = np.repeat(np.arange(len(parts)), [len(part.trades) for part in parts])
        lines = np.concatenate([part.lines for part in parts])
        joined, repeats = join_trades([part.trades for part in parts], self._duplicates)
        names = np.unique([part.file for part in parts], return_inverse=True)[1][owner[joined.conflicts]]
        rows = joined.conflicts[np.lexsort((lines[joined.conflicts], names))].tolist()
        conflicts: Iterator[Rejected] = (
            (parts[owner[row]].file, int(lines[row]), CONFLICT, trade_text(every, row)) for row in rows
        )
        if stored and any(part.file == _STORED for part in parts):
            read = {part.file for part in parts}
            older = rejected_rows(self._folder, [stored.conflicts] if stored.conflicts else [])
            conflicts = heapq.merge(conflicts, (row for row in older if row[0] not in read))
        self._put(day, joined.trades, repeats, conflicts, self._formats()[0])
        if stored and any(part.file == _STORED for part in parts):
            offered = sum(file.rows_by_day.get(day, 0) for file in self._state.files)
            made = self._state.days[day]
            kept = made.rows + (made.conflicts.rows if made.conflicts else 0)
            made.repeats = max(offered - kept, 0)  # those of a file that is gone, too

    def _unchanged(self, one: SourceHash) -> None:
        if not one.unchanged():
            raise InputError(f"{one.path}: changed while it was read; expected a file that is complete - run it again")

    def _put(self, day: str, trades: Trades, repeats: int, conflicts: Iterable[Rejected], format: str) -> None:
        entry = self._warehouse.place(_LAYER, self._keys, f"date={day}/data.parquet", day_bytes(trades, format))
        with RejectWriter(self._warehouse, self._symbol, day) as rejects:
            rejects.add(conflicts)
            self._state.days[day] = Day(entry, len(trades), repeats, rejects.finish())

    def _stored_trades(self, day: Day) -> Trades | None:
        """Trades of a stored day; None if its file is not what was stored."""
        path = self._warehouse.folder(_LAYER, self._keys) / day.entry["path"]
        data = path.read_bytes() if path.is_file() else b""
        return day_trades(data) if sha256_of(data) == day.entry["sha256"] else None


def _moved(file: Observation, now: SourceHash | None) -> Observation:
    """The observation with the place where its bytes lie now."""
    return file if now is None else replace(file, file=now.path.name, origin=now.origin, path=str(now.path))


def _now_us() -> int:
    return time.time_ns() // 1000
