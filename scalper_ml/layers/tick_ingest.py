"""Files of any place into the ticks of a symbol: what an ingest would do, and doing it."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from scalper_ml.errors import ContractError, InputError, SourceError
from scalper_ml.ingest.hashes import SourceHash
from scalper_ml.layers.base import Keys
from scalper_ml.layers.tick_sources import published_ticks, source_hashes, tick_inputs
from scalper_ml.project import Project
from scalper_ml.remote.files import Published
from scalper_ml.remote.landing import Landing
from scalper_ml.remote.places import Located, Place
from scalper_ml.remote.sources import list_location
from scalper_ml.warehouse import Manifest, settled

if TYPE_CHECKING:
    from scalper_ml.ingest.store import Progress

__all__ = ["FilePlan", "FileState", "Ingested", "ingest_files", "plan_files", "plan_remote"]

FileState = Literal["new", "known", "asked", "replaced", "refused"]


@dataclass(frozen=True, slots=True)
class FilePlan:
    """A file that an ingest would look at.

    Attributes
    ----------
    state : {"new", "known", "asked", "replaced", "refused"}
        Never read, read already, one whose listing does not say whether it is the one that was read (an ingest asks
        for it), in the place of one that was read, or one that the ticks will not take: no file of trades, mostly
        rows that are none, or trades of another source than the others.
    format : str or None
        As sniffed, or as it was read; None of a remote file that is not here.
    refusal : str
        Why it is refused.
    """

    symbol: str
    file: str
    origin: str
    bytes: int | None
    format: str | None
    state: FileState
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of the files of a symbol.

    Attributes
    ----------
    new : int
        Files that had not been read before.
    manifest : Manifest or None
        The partition as it is, or would be if no check had failed; None where a file was refused.
    refusal : str
        Why a file was refused; the partition is blocked until a build passes.
    """

    symbol: str
    new: int
    manifest: Manifest | None
    refusal: str = ""

    def failed(self, *, blocking: bool) -> list[str]:
        """Names of the checks that failed: those that block the partition, or those that only warn."""
        checks = self.manifest.checks if self.manifest else []
        return [check["name"] for check in checks if not check["passed"] and check["blocking"] == blocking]

    @property
    def ok(self) -> bool:
        """Whether the partition can be used."""
        return not self.refusal and not self.failed(blocking=True)


def ingest_files(
    project: Project,
    symbol: str,
    files: Sequence[Located],
    progress: "Callable[[Progress], None] | None" = None,
) -> Ingested:
    """Read what is new of some files into the ticks of a symbol; nothing is done where all of it is known.

    A file that is refused, and a check that fails, block the partition as a run of the asset would.

    Parameters
    ----------
    project : Project
    symbol : str
    files : sequence of Located
    progress : callable, optional
        Told between batches.
    """
    keys, warehouse = {"symbol": symbol}, project.warehouse
    new = 0
    try:
        sources = source_hashes(project, symbol, files)
        published = published_ticks(project, keys)
        new = len({one.sha256 for one in sources} - set(published.inputs["files"] if published else ()))
        if published and warehouse.fresh("ticks", keys, tick_inputs(project, keys, sources)):
            return Ingested(symbol, 0, published)
        from scalper_ml.layers.ticks import build_ticks

        return Ingested(symbol, new, build_ticks(project, keys, sources=sources, progress=progress))
    except (InputError, ContractError) as error:
        warehouse.block("ticks", keys, str(error))
        return Ingested(symbol, new, None, str(error))


def plan_files(project: Project, symbol: str, files: Sequence[Located]) -> list[FilePlan]:
    """What `ingest_files` would do with each file, as far as its first rows tell; nothing is written."""
    read = _read_before(project, {"symbol": symbol})
    sources = source_hashes(project, symbol, files, remember=False)
    here = {(one.origin, one.path.name): one.sha256 for one in sources}
    stay = [row for row in read if here.get((row["origin"], row["file"]), row["sha256"]) == row["sha256"]]
    alike = {(row["format"], row["named"]) for row in stay if row["named"] is not None}
    heads = {
        one: _head_of(project, symbol, one) for one in sources if one.sha256 not in {row["sha256"] for row in read}
    }
    rows = sum(row["read"] for row in stay) + sum(head.rows for head in heads.values())
    rejected = sum(row["quarantined"] for row in stay) + sum(head.rejected for head in heads.values())
    plans = {}
    for one in sorted(sources, key=lambda one: (one in heads, one.path.name)):
        plans[one] = _planned(symbol, one, heads.get(one), read, alike, 2 * rejected > rows)
    return [plans[one] for one in sources]


def plan_remote(project: Project, symbol: str, place: Place) -> list[FilePlan]:
    """As `plan_files` for a remote place: it is listed, nothing is fetched.

    A file counts as known if the listing says of it what it said when it was fetched, and as asked if it says nothing.

    Raises
    ------
    SourceError
        If the place cannot be listed now.
    """
    try:
        listed = list_location(place.location, symbol, policy=place.policy, options=dict(place.options))
    except InputError as error:
        raise SourceError(str(error)) from error
    read = {row["sha256"]: row["format"] for row in _read_before(project, {"symbol": symbol})}
    return [_listed(symbol, file, Landing(place.folder, file.name), read) for file in listed]


def _listed(symbol: str, file: Published, landing: Landing, read: dict[str, str]) -> FilePlan:
    record = landing.record()
    state: FileState = "new"
    if record is not None and record.sha256 in read:
        state = "asked" if file.stamp is None else "known" if file.stamp == record.stamp else "replaced"
    form = read.get(record.sha256) if record is not None and state in ("known", "asked") else None
    return FilePlan(symbol, file.name, file.origin, file.version.size, form, state)


@dataclass(frozen=True, slots=True)
class _Head:
    """What the first rows of a file tell: whether trades have ids (None: there is none), and how many rows are none."""

    format: str | None = None
    named: bool | None = None
    rows: int = 0
    rejected: int = 0
    reason: str = ""
    refusal: str = ""


def _head_of(project: Project, symbol: str, one: SourceHash) -> _Head:
    from scalper_ml.ingest.batches import TradeFile
    from scalper_ml.layers.ticks import told_by

    told = told_by(project)
    file = TradeFile(one.path, symbol=symbol, told=lambda head: told(head, one.path), hashed=False)
    try:
        batch = next(file.batches())
    except InputError as error:
        return _Head(refusal=str(error))
    named = bool((batch.trades.trade_id >= 0).any()) if len(batch.trades) else None
    reason = f"the first at line {batch.faults[0].line} - {batch.faults[0].reason}" if batch.faults else ""
    return _Head(file.format, named, batch.read, len(batch.faults), reason)


def _planned(
    symbol: str,
    one: SourceHash,
    head: _Head | None,
    read: list[dict[str, Any]],
    alike: set[tuple[str, bool]],
    unreadable: bool,
) -> FilePlan:
    """The plan of a file; what it is is added to what the files are so far."""
    name, size = one.path.name, one.size
    if head is None:
        form = next(row["format"] for row in read if row["sha256"] == one.sha256)
        return FilePlan(symbol, name, one.origin, size, form, "known")
    refusal = head.refusal or _other(one.path, head, alike)
    if not refusal and unreadable and 2 * head.rejected > head.rows:
        refusal = (
            f"{one.path}: {head.rejected} of its first {head.rows} rows would be rejected, {head.reason}; the check "
            "`readable` would block the ticks - is it the right format, or mapping?"
        )
    if refusal:
        return FilePlan(symbol, name, one.origin, size, head.format, "refused", refusal)
    if head.format is not None and head.named is not None:
        alike.add((head.format, head.named))
    places = {(row["origin"], row["file"]) for row in read}
    return FilePlan(symbol, name, one.origin, size, head.format, "replaced" if (one.origin, name) in places else "new")


def _other(path: Path, head: _Head, alike: set[tuple[str, bool]]) -> str:
    """Why a file cannot stand beside the others, empty where it can."""
    if head.named is None:
        return ""
    if others := sorted({other for other, _ in alike} - {head.format}):
        return f"{path}: {head.format} trades, but those of the other files are {others}; expected files of one source"
    if {named for _, named in alike} - {head.named}:
        have, others_have = ("ids", "none") if head.named else ("no ids", "ids")
        return f"{path}: its trades have {have}, those of other files have {others_have}; expected files that are alike"
    return ""


def _read_before(project: Project, keys: Keys) -> list[dict[str, Any]]:
    """Files that count: ``file``, ``origin``, ``sha256``, ``format`` and ``named``, as the store keeps them."""

    def read() -> list[dict[str, Any]]:
        manifest = project.warehouse.manifest("ticks", keys)
        if manifest is None or "state.json" not in manifest.beside:
            return []
        found: list[dict[str, Any]] = json.loads(project.warehouse.read_bytes(manifest, "state.json"))["files"]
        return found

    return settled(read)
