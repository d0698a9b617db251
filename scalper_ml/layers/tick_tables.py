"""What the warehouse knows about ticks, as plain rows: for a look from outside, none of it is recomputed."""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from scalper_ml.clock import iso
from scalper_ml.project import Project
from scalper_ml.schema import QUARANTINE, us
from scalper_ml.warehouse import Manifest, settled

if TYPE_CHECKING:
    from scalper_ml.ingest.state import StoreState

__all__ = ["file_rows", "gap_rows", "quarantine_reasons", "quarantine_rows", "status_row"]


def status_row(project: Project, symbol: str) -> dict[str, Any]:
    """One symbol: files, rows, days, first and last trade, coverage, and what failed.

    Returns
    -------
    dict
        `state` is ``none`` (nothing was ingested), ``blocked`` (the newest build failed) or ``ok``; `coverage` is the
        share of minutes with a trade over all days on which the symbol was listed, None where there are none;
        `refused` names the files that the newest build could not read, with size, sha256 and why.
    """
    return settled(lambda: _status_row(project, symbol))


def _status_row(project: Project, symbol: str) -> dict[str, Any]:
    keys = {"symbol": symbol}
    manifest, blocked = project.warehouse.manifest("ticks", keys), project.warehouse.blocked("ticks", keys)
    summary: dict[str, Any] = manifest.summary if manifest else {}
    failed = [check for check in manifest.checks if not check["passed"]] if manifest else []
    return {
        "symbol": symbol,
        "state": "blocked" if blocked else "ok" if manifest else "none",
        "files": summary.get("files", 0),
        "rows": summary.get("rows", 0),
        "days": summary.get("days", 0),
        "first": summary.get("first"),
        "last": summary.get("last"),
        "coverage": _coverage(project, manifest) if manifest else None,
        "failed": {check["name"]: check["description"] for check in failed},
        "blocked": {check["name"]: check["description"] for check in blocked["failed"]} if blocked else {},
        "refused": [one for check in (blocked or {}).get("failed", ()) for one in check["values"].get("refused", ())],
    }


def gap_rows(project: Project, symbols: Sequence[str]) -> list[dict[str, Any]]:
    """Gaps of some symbols, the longest first: stamps as text, length in seconds."""
    return settled(lambda: _gap_rows(project, symbols))


def _gap_rows(project: Project, symbols: Sequence[str]) -> list[dict[str, Any]]:
    rows = []
    for symbol in symbols:
        manifest = project.warehouse.manifest("ticks", {"symbol": symbol})
        if manifest is None:
            continue
        table = project.warehouse.read_table(manifest, "gaps.parquet")
        starts, ends = us(table["from_ts_us"]).tolist(), us(table["to_ts_us"]).tolist()
        others = table.select(["kind", "missing", "last_id", "first_id"]).to_pylist()
        for start, end, row in zip(starts, ends, others, strict=True):
            rows.append({"symbol": symbol, "from": iso(start), "to": iso(end), "seconds": (end - start) / 1e6, **row})
    return sorted(rows, key=lambda row: (-row["seconds"], row["symbol"], row["from"]))


def file_rows(project: Project, symbols: Sequence[str]) -> list[dict[str, Any]]:
    """Source files of some symbols as they were read, by name: stamps as text.

    Returns
    -------
    list of dict
        `state` is ``read``, ``replaced`` (its place holds other bytes now) or ``refused``, and `why` says of the latter
        why it could not be read. Where the newest build is blocked, the files are those of that build.
    """
    return settled(lambda: [row for symbol in symbols for row in _file_rows(project, symbol)])


def _file_rows(project: Project, symbol: str) -> list[dict[str, Any]]:
    from scalper_ml.ingest.store import staged_state

    keys = {"symbol": symbol}
    staged = staged_state(project.warehouse, symbol) if project.warehouse.blocked("ticks", keys) else None
    if staged is not None:
        found = [asdict(file) for file in [*staged.files, *staged.replaced, *staged.refused]]
    elif (manifest := project.warehouse.manifest("ticks", keys)) is not None:
        table = project.warehouse.read_table(manifest, "observations.parquet")
        spans = {name: table[name].cast(pa.int64()) for name in ("first_ts_us", "last_ts_us")}
        found = table.drop(list(spans)).append_column("first_ts_us", spans["first_ts_us"]).append_column(
            "last_ts_us", spans["last_ts_us"]
        ).to_pylist()  # fmt: skip
    else:
        found = []
    names = ("file", "origin", "bytes", "sha256", "format", "read", "quarantined")
    rows = [
        {
            "symbol": symbol,
            **{name: file[name] for name in names},
            "first": None if file["first_ts_us"] is None else iso(file["first_ts_us"]),
            "last": None if file["last_ts_us"] is None else iso(file["last_ts_us"]),
            "state": "replaced" if file["replaced_by"] else "refused" if file["refused"] else "read",
            "why": file["refused"],
        }
        for file in found
    ]
    return sorted(rows, key=lambda row: (row["file"], row["origin"], row["sha256"]))


def quarantine_rows(project: Project, symbols: Sequence[str], limit: int | None = None) -> list[dict[str, Any]]:
    """Rejected rows of some symbols, by symbol, file and line; at most `limit` are read.

    Returns
    -------
    list of dict
        `build` is ``published``, or ``blocked`` where the newest build failed: the rows are then those that it
        rejected, as far as it came.
    """

    def read() -> list[dict[str, Any]]:
        every = itertools.chain.from_iterable(_rejected_of(project, symbol) for symbol in symbols)
        return list(itertools.islice(every, limit))

    return settled(read)


def quarantine_reasons(project: Project, symbols: Sequence[str]) -> dict[str, int]:
    """How many rows of some symbols were rejected for each reason, the commonest first."""
    found: Counter[str] = Counter()
    for symbol in symbols:
        if (state := _blocked_state(project, symbol)) is not None:
            found.update(state.reasons())
        elif (manifest := project.warehouse.manifest("ticks", {"symbol": symbol})) is not None:
            found.update(next(check["values"] for check in manifest.checks if check["name"] == "quarantine_empty"))
    return dict(found.most_common())


def _rejected_of(project: Project, symbol: str) -> Iterator[dict[str, Any]]:
    keys = {"symbol": symbol}
    if (state := _blocked_state(project, symbol)) is not None:
        for row in state.quarantine(project.warehouse.folder("ticks", keys)):
            yield {"symbol": symbol, **dict(zip(QUARANTINE.names, row, strict=True)), "build": "blocked"}
    elif (manifest := project.warehouse.manifest("ticks", keys)) is not None:
        for batch in project.warehouse.read_batches(manifest, "quarantine.parquet"):
            yield from ({"symbol": symbol, **row, "build": "published"} for row in batch.to_pylist())


def _blocked_state(project: Project, symbol: str) -> "StoreState | None":
    """What the build that was blocked came to; None where it is not blocked, or read no file."""
    from scalper_ml.ingest.store import staged_state

    if not project.warehouse.blocked("ticks", {"symbol": symbol}):
        return None
    state = staged_state(project.warehouse, symbol)
    return state if state is not None and state.files else None


def _coverage(project: Project, manifest: Manifest) -> float | None:
    if "coverage.parquet" not in manifest.beside:
        return None  # written by an earlier version
    table = project.warehouse.read_table(manifest, "coverage.parquet", columns=["state", "share"])
    states, shares = table["state"].to_pylist(), table["share"].to_pylist()
    listed = [share for state, share in zip(states, shares, strict=True) if state != "not_listed"]
    return sum(listed) / len(listed) if listed else None
