"""The warehouse: partitions of Parquet and other files, replaced atomically, read through DuckDB.

A partition is a folder ``<layer>/symbol=S/horizon=H``. Its files carry a piece of their content's
hash in their names and are never edited; ``manifest.json``, replaced last by one rename, says which
of them are current. A process killed at any moment leaves the last complete partition in place.

A build whose blocking checks failed does not replace the partition: it leaves ``blocked.json``
beside it, and readers refuse the partition until a build passes.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from scalper_ml.durable import atomic_write, canonical_json, locked, sha256_of, sync_names
from scalper_ml.errors import ChecksFailedError, SupersededError, WarehouseError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "Check",
    "Manifest",
    "Warehouse",
    "settled",
]

Keys = Mapping[str, str | int]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Check:
    """The outcome of one check on one partition.

    `values` are shown in the UI; `blocking` checks that fail keep the build from being published.
    """

    name: str
    passed: bool
    description: str = ""
    blocking: bool = True
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a complete partition consists of.

    `files` maps a logical name (``data.parquet``) to its path below the partition, its sha256 and size;
    `content` is the hash over the logical names and sha256s; `inputs` is what the build depended on.
    `beside` holds files that tell about the partition and are no part of its content.
    """

    layer: str
    keys: dict[str, str]
    files: dict[str, dict[str, Any]]
    content: str
    inputs: dict[str, Any]
    checks: list[dict[str, Any]]
    summary: dict[str, Any]
    beside: dict[str, dict[str, Any]] = field(default_factory=dict)


def settled(read: Callable[[], T], tries: int = 3) -> T:
    """What `read` gives, once no newer build is published under its hands.

    `read` begins with the manifests, so that each try is about one state of every partition.

    Parameters
    ----------
    read : callable
        Free of effects that a second try would repeat.
    tries : int
        At most.

    Raises
    ------
    SupersededError
        If each try was overtaken.
    """
    for _ in range(tries - 1):
        with contextlib.suppress(SupersededError):
            return read()
    try:
        return read()
    except SupersededError as error:
        told = f"{error} - it was overtaken {tries} times; wait until the other ingest is done"
        raise SupersededError(told) from error


def _name(layer: str, keys: Keys) -> str:
    return " ".join([layer, *_parts(keys)])


def _parts(keys: Keys) -> list[str]:
    """``symbol=S``, ``horizon=H``: in this order, whatever the order of the mapping."""
    return [f"{name}={keys[name]}" for name in sorted(keys, reverse=True)]


def _entry(name: str, data: bytes) -> dict[str, Any]:
    digest, path = sha256_of(data), Path(name)
    placed = path.with_name(f"{path.stem}-{digest[:12]}{path.suffix}")
    return {"path": placed.as_posix(), "sha256": digest, "bytes": len(data)}


def _put(target: Path, data: bytes) -> None:
    if not (target.exists() and target.read_bytes() == data):
        atomic_write(target, data)


def _manifest_in(path: Path) -> Manifest | None:
    """The manifest in a file, or None where there is no file."""
    try:
        return Manifest(**json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise WarehouseError(f"{path}: cannot be read - {error.strerror}; expected a readable file") from error
    except (ValueError, TypeError) as error:
        raise WarehouseError(f"{path}: not a manifest ({error}); delete the folder and materialise it again") from None


class Warehouse:
    """Partitions below one root folder.

    Parameters
    ----------
    root : Path
        A local folder; created at the first write.
    """

    def __init__(self, root: Path) -> None:
        if "://" in str(root):
            raise WarehouseError(f"storage root {str(root)!r}: only local folders can be used yet; give a path")
        self.root = Path(root)

    def folder(self, layer: str, keys: Keys) -> Path:
        """Folder of a partition, whether or not it exists."""
        return self.root.joinpath(*layer.split("/"), *_parts(keys))

    def manifest(self, layer: str, keys: Keys) -> Manifest | None:
        """The current manifest, or None where nothing complete has been written."""
        return _manifest_in(self.folder(layer, keys) / "manifest.json")

    def blocked(self, layer: str, keys: Keys) -> dict[str, Any] | None:
        """The failed checks of the newest build, or None if it passed."""
        try:
            record: dict[str, Any] = json.loads((self.folder(layer, keys) / "blocked.json").read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None
        return record

    def require(self, layer: str, keys: Keys) -> Manifest:
        """The manifest of a partition that is complete and whose newest build passed its checks.

        Raises
        ------
        WarehouseError
            Nothing has been materialised there.
        ChecksFailedError
            The newest build failed a blocking check.
        """
        name = _name(layer, keys)
        if blocked := self.blocked(layer, keys):
            failed = "; ".join(f"{c['name']}: {c['description']}" for c in blocked["failed"])
            raise ChecksFailedError(
                f"{name}: its newest build failed blocking checks ({failed}); fix the input and materialise it again"
            )
        manifest = self.manifest(layer, keys)
        if manifest is None:
            raise WarehouseError(
                f"{name}: nothing materialised at {self.folder(layer, keys)}; materialise {layer} first"
            )
        return manifest

    def read_bytes(self, manifest: Manifest, file: str) -> bytes:
        """One file of a partition, verified against its hash."""
        entry = manifest.files.get(file) or manifest.beside.get(file)
        if entry is None:
            held = sorted({**manifest.files, **manifest.beside})
            raise WarehouseError(f"{_name(manifest.layer, manifest.keys)}: no file {file!r}; it holds {held}")
        path = self.folder(manifest.layer, manifest.keys) / entry["path"]
        try:
            data: bytes = path.read_bytes()
        except FileNotFoundError:
            raise self._missing(manifest, path) from None
        if sha256_of(data) != entry["sha256"]:
            raise WarehouseError(
                f"{path}: content differs from the manifest's sha256 {entry['sha256'][:12]}; materialise it again"
            )
        return data

    def read_table(
        self, manifest: Manifest, file: str = "data.parquet", columns: Sequence[str] | None = None
    ) -> "pa.Table":
        """One Parquet file of a partition as a table, verified against its hash."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        data = self.read_bytes(manifest, file)  # not as a file of Python: Arrow's threads may outlive those who ask one
        return pq.read_table(pa.BufferReader(data), columns=list(columns) if columns else None)

    def read_batches(self, manifest: Manifest, file: str, rows: int = 1 << 12) -> "Iterator[pa.RecordBatch]":
        """A Parquet file of a partition some rows at a time: for tables of any size, and not held against its hash."""
        import pyarrow.parquet as pq

        entry = manifest.files.get(file) or manifest.beside[file]
        path = self.folder(manifest.layer, manifest.keys) / entry["path"]
        try:
            opened = pq.ParquetFile(path)
        except FileNotFoundError:
            raise self._missing(manifest, path) from None
        with opened:
            yield from opened.iter_batches(rows)

    def read_schema(self, manifest: Manifest, file: str = "data.parquet") -> "pa.Schema":
        """The schema of one Parquet file of a partition."""
        import pyarrow.parquet as pq

        path = self.folder(manifest.layer, manifest.keys) / manifest.files[file]["path"]
        try:
            return pq.read_schema(path)
        except FileNotFoundError:
            raise self._missing(manifest, path) from None

    def _missing(self, manifest: Manifest, path: Path) -> WarehouseError:
        """Why a file that a manifest names is not there."""
        if self.manifest(manifest.layer, manifest.keys) == manifest:
            return WarehouseError(f"{path}: missing, although the manifest names it; materialise the partition again")
        return SupersededError(
            f"{path}: gone, for another build of {_name(manifest.layer, manifest.keys)} was published while this one "
            "was read; read it again"
        )

    def write(
        self,
        layer: str,
        keys: Keys,
        files: Mapping[str, bytes],
        *,
        inputs: Mapping[str, Any],
        summary: Mapping[str, Any] | None = None,
        checks: Sequence[Check] = (),
        placed: Mapping[str, Mapping[str, Any]] | None = None,
        beside: Mapping[str, bytes] | None = None,
        placed_beside: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Manifest:
        """Publish a partition, or block it if one of its blocking checks failed.

        Parameters
        ----------
        files : mapping of logical name to bytes
            Names may hold folders (``date=2026-01-01/data.parquet``).
        inputs : mapping
            What the build depended on; equal inputs mean that nothing has to be recomputed.
        placed : mapping of logical name to entry
            Files that are there already: what `place` returned, or entries of an earlier manifest.
        beside : mapping of logical name to bytes
            Files that tell about the partition and are no part of its content.
        placed_beside : mapping of logical name to entry
            Such files that are there already.

        Returns
        -------
        Manifest
            The manifest as published, or as it would have been if the checks had passed.
        """
        folder = self.folder(layer, keys)
        entries = {name: dict(entry) for name, entry in (placed or {}).items()}
        entries |= {name: _entry(name, data) for name, data in files.items()}
        notes = {name: dict(entry) for name, entry in (placed_beside or {}).items()}
        notes |= {name: _entry(name, data) for name, data in (beside or {}).items()}
        content = sha256_of(canonical_json({name: entry["sha256"] for name, entry in entries.items()}))
        recorded = [{**asdict(check), "values": dict(check.values)} for check in checks]
        manifest = Manifest(
            layer=layer,
            keys={name: str(value) for name, value in keys.items()},
            files=entries,
            content=content,
            inputs=dict(inputs),
            checks=recorded,
            summary=dict(summary or {}),
            beside=notes,
        )
        failed = [check for check in recorded if check["blocking"] and not check["passed"]]
        if failed:
            atomic_write(
                folder / "blocked.json", canonical_json({"failed": failed, "inputs": manifest.inputs}, indent=1)
            )
            return manifest
        with locked(folder):
            for name, data in [*files.items(), *(beside or {}).items()]:
                _put(folder / (entries | notes)[name]["path"], data)
            named = [entry["path"] for entry in [*entries.values(), *notes.values()]]
            if lost := [path for path in named if not (folder / path).is_file()]:
                raise WarehouseError(f"{folder}: {lost[:3]} were placed and are gone; materialise it again")
            atomic_write(folder / "manifest.json", canonical_json(asdict(manifest), indent=1))
            (folder / "blocked.json").unlink(missing_ok=True)
            self._sweep(folder, set(named))
        return manifest

    def building(self, layer: str, keys: Keys) -> contextlib.AbstractContextManager[None]:
        """One build of a partition at a time: for builds that place files before they publish."""
        return locked(self.folder(layer, keys), ".building")

    def place(self, layer: str, keys: Keys, name: str, data: bytes) -> dict[str, Any]:
        """Put one file of a partition in place before it is published; give the entry to `write`."""
        entry = _entry(name, data)
        _put(self.folder(layer, keys) / entry["path"], data)
        return entry

    def scratch(self, layer: str, keys: Keys, name: str) -> Path:
        """Where a file of a partition can be written before `place_file` takes it; swept if it is left behind."""
        return self.folder(layer, keys) / f".{name}.{os.getpid()}.tmp"

    def place_file(self, layer: str, keys: Keys, name: str, source: Path) -> dict[str, Any]:
        """As `place`, of a file that was written piece by piece beside the partition: it is moved, not copied."""
        with open(source, "rb") as file:
            os.fsync(file.fileno())
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        path = Path(name)
        entry = {
            "path": path.with_name(f"{path.stem}-{digest[:12]}{path.suffix}").as_posix(),
            "sha256": digest,
            "bytes": source.stat().st_size,
        }
        target = self.folder(layer, keys) / str(entry["path"])
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(source, target)
        sync_names(target.parent)
        return entry

    def block(self, layer: str, keys: Keys, reason: str) -> None:
        """Record that the newest build of a partition failed: readers refuse it until a build passes."""
        failed = [asdict(Check("build", False, reason)) | {"values": {}}]
        atomic_write(
            self.folder(layer, keys) / "blocked.json", canonical_json({"failed": failed, "inputs": {}}, indent=1)
        )

    def fresh(self, layer: str, keys: Keys, inputs: Mapping[str, Any]) -> bool:
        """Whether the partition is complete, unblocked and was built from equal `inputs`."""
        if self.blocked(layer, keys):
            return False
        manifest = self.manifest(layer, keys)
        if manifest is None or canonical_json(manifest.inputs) != canonical_json(dict(inputs)):
            return False
        return self.fresh_files(manifest)

    def fresh_files(self, manifest: Manifest) -> bool:
        """Whether every file that a manifest names is there with the size it had."""
        folder = self.folder(manifest.layer, manifest.keys)
        entries = [*manifest.files.values(), *manifest.beside.values()]
        paths = {folder / str(entry["path"]): entry["bytes"] for entry in entries}
        return all(path.is_file() and path.stat().st_size == size for path, size in paths.items())

    def partitions(self, layer: str) -> Iterator[Manifest]:
        """Manifests of all complete partitions of a layer, in the order of their paths."""
        for path in sorted((self.root / layer).rglob("manifest.json")):
            bundle = "bundles" in path.relative_to(self.root).parts  # which has a manifest of its own kind
            if not bundle and (manifest := _manifest_in(path)) is not None:
                yield manifest

    def refresh_views(self) -> list[str]:
        """Write ``scalper.duckdb`` anew: one view a layer over the current Parquet files, and nothing else.

        Returns
        -------
        list of str
            The names of the views.
        """
        import duckdb

        views: dict[str, set[tuple[str, str, str]]] = {}
        for manifest in self.partitions(""):
            for held, name in [*(("files", n) for n in manifest.files), *(("beside", n) for n in manifest.beside)]:
                if name.endswith(".parquet"):
                    stem, depth = Path(name).stem, len(manifest.keys) + len(Path(name).parts) - 1
                    layer = manifest.layer.replace("/", "_")
                    view = stem if held == "beside" else layer if stem == "data" else f"{layer}_{stem}"
                    pattern = "/".join([manifest.layer, *["*"] * depth, f"{stem}-*.parquet"])
                    pointers = "/".join([manifest.layer, *["*"] * len(manifest.keys), "manifest.json"])
                    views.setdefault(view, set()).add((pattern, pointers, held))
        self.root.mkdir(parents=True, exist_ok=True)
        temporary = self.root / f".scalper.duckdb.{os.getpid()}"
        temporary.unlink(missing_ok=True)
        with duckdb.connect(str(temporary)) as connection:
            for view, sources in sorted(views.items()):
                connection.execute(
                    f'CREATE VIEW "{view}" AS {" UNION ALL BY NAME ".join(map(self._current, sorted(sources)))}'
                )
        os.replace(temporary, self.root / "scalper.duckdb")
        return sorted(views)

    def _current(self, source: tuple[str, str, str]) -> str:
        """SQL over the files a manifest names; files of interrupted builds are left out."""
        pattern, pointers = (f"{self.root.resolve()}/{part}".replace("'", "''") for part in source[:2])
        held = source[2]
        return (
            f"SELECT * EXCLUDE (filename) FROM read_parquet('{pattern}', "
            "hive_partitioning=true, union_by_name=true, filename=true) "
            f"WHERE parse_filename(filename) IN (SELECT parse_filename(unnest(map_values({held})).path) FROM "
            f"read_json('{pointers}', columns={{{held}: 'MAP(VARCHAR, STRUCT(path VARCHAR))'}}))"
        )

    def _sweep(self, folder: Path, current: set[str]) -> None:
        """Remove what earlier or interrupted builds left behind; nested partitions are not touched."""
        for path in sorted(folder.rglob("*"), reverse=True):
            relative = path.relative_to(folder)
            nested = any(
                (folder / Path(*relative.parts[:n]) / "manifest.json").exists() for n in range(1, len(relative.parts))
            )
            if (
                nested
                or relative.as_posix() in current
                or path.name in ("manifest.json", "blocked.json", ".lock", ".building")
            ):
                continue
            if path.is_file():
                path.unlink(missing_ok=True)
            elif not any(path.iterdir()):
                with contextlib.suppress(OSError):
                    path.rmdir()
