"""Files of any place into the ticks of a symbol: what an ingest would do, and doing it."""

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
from scalper_ml.warehouse import Manifest

if TYPE_CHECKING:
    from scalper_ml.ingest.store import Progress

__all__ = ["FilePlan", "FileState", "Ingested", "ingest_files", "plan_files", "plan_remote"]

FileState = Literal["new", "known", "replaced", "refused"]


@dataclass(frozen=True, slots=True)
class FilePlan:
    """A file that an ingest would look at.

    Attributes
    ----------
    state : {"new", "known", "replaced", "refused"}
        Never read, read already, in the place of one that was read, or no file of trades.
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
    """What `ingest_files` would do with each file; nothing is written."""
    read, at = _read_before(project, {"symbol": symbol})
    sources = source_hashes(project, symbol, files, remember=False)
    return [_planned(project, symbol, one, read, at) for one in sources]


def plan_remote(project: Project, symbol: str, place: Place) -> list[FilePlan]:
    """As `plan_files` for a remote place: it is listed, nothing is fetched.

    A file counts as known if the listing says of it what it said when it was fetched.

    Raises
    ------
    SourceError
        If the place cannot be listed now.
    """
    try:
        listed = list_location(place.location, symbol, policy=place.policy, options=dict(place.options))
    except InputError as error:
        raise SourceError(str(error)) from error
    read, _ = _read_before(project, {"symbol": symbol})
    return [_listed(symbol, file, Landing(place.folder, file.name), read) for file in listed]


def _listed(symbol: str, file: Published, landing: Landing, read: dict[str, str]) -> FilePlan:
    record = landing.record()
    state: FileState = "new"
    if record is not None and record.sha256 in read:
        state = "known" if file.stamp in (None, record.stamp) else "replaced"
    form = read.get(record.sha256) if record is not None and state == "known" else None
    return FilePlan(symbol, file.name, file.origin, file.version.size, form, state)


def _planned(
    project: Project, symbol: str, one: SourceHash, read: dict[str, str], at: dict[tuple[str, str], str]
) -> FilePlan:
    name, size = one.path.name, one.size
    if one.sha256 in read:
        return FilePlan(symbol, name, one.origin, size, read[one.sha256], "known")
    try:
        form = _sniffed(project, symbol, one.path)
    except InputError as error:
        return FilePlan(symbol, name, one.origin, size, None, "refused", str(error))
    return FilePlan(symbol, name, one.origin, size, form, "replaced" if (one.origin, name) in at else "new")


def _sniffed(project: Project, symbol: str, path: Path) -> str:
    from scalper_ml.ingest.batches import TradeFile
    from scalper_ml.layers.ticks import told_by

    told = told_by(project)
    file = TradeFile(path, symbol=symbol, told=lambda head: told(head, path), hashed=False)
    for _ in file.batches():
        break
    return file.format


def _read_before(project: Project, keys: Keys) -> tuple[dict[str, str], dict[tuple[str, str], str]]:
    """Files that count: format by sha256, and sha256 by place."""
    manifest = project.warehouse.manifest("ticks", keys)
    rows: list[dict[str, Any]] = []
    if manifest is not None:
        rows = project.warehouse.read_table(manifest, "observations.parquet").to_pylist()
    counted = [row for row in rows if row["replaced_by"] is None]
    return (
        {row["sha256"]: row["format"] for row in counted},
        {(row["origin"], row["file"]): row["sha256"] for row in counted},
    )
