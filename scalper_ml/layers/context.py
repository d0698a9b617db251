"""context: every feed beside the trades of a symbol, with event time, known time and revisions."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scalper_ml.clock import iso
from scalper_ml.context import (
    ContextFile,
    Finding,
    context_findings,
    context_gaps,
    file_findings,
    interval_changes,
    merge_context,
    read_context,
)
from scalper_ml.context.base import plain_names
from scalper_ml.context.quality import RULES
from scalper_ml.context.rows import kinds_in
from scalper_ml.durable import parquet_bytes
from scalper_ml.errors import InputError
from scalper_ml.ingest.archive import open_text
from scalper_ml.ingest.base import Counts
from scalper_ml.ingest.hashes import SourceHash
from scalper_ml.ingest.lines import fields_of, first_lines
from scalper_ml.ingest.records import is_record_file
from scalper_ml.ingest.sniff import read_klines
from scalper_ml.layers.base import Keys, Layer, code_digest
from scalper_ml.layers.feed_files import feed_hashes, spelled_in
from scalper_ml.project import Project
from scalper_ml.schema import CONTEXT, OBSERVATIONS, QUARANTINE, conform, stamps, us
from scalper_ml.warehouse import Check, Manifest

__all__ = ["CONTEXT_LAYER", "observation", "rule_checks"]

_STORED: Final = tuple(name for name in RULES if name != "stale")  # that one needs the bars: see context_bars
CHECKS: Final = ("schema", "accounting", "files_found", *_STORED)

_NONE: Final = ContextFile(CONTEXT.empty_table(), QUARANTINE.empty_table(), Counts(0, 0, 0, 0), "none", "")


def _sources(project: Project, symbol: str) -> list[SourceHash]:
    folder = project.settings.context.folder
    if folder is None:
        raise InputError("context: no folder is configured; set context.folder")
    return feed_hashes(project, "context", folder, symbol)


def _inputs(project: Project, keys: Keys) -> dict[str, Any]:
    settings = project.settings.context
    return {
        "code": code_digest("context", "ingest", "schema", "layers/context", "layers/feed_files"),
        "delay_s": settings.delay_s,
        "severities": settings.severities,
        "files": sorted(one.sha256 for one in _sources(project, str(keys["symbol"]))),
    }


def _build(project: Project, keys: Keys) -> Manifest:
    settings, symbol = project.settings.context, str(keys["symbol"])
    sources, inputs = _sources(project, symbol), _inputs(project, keys)
    read = {one: _read(one.path, spelled_in(one.path.name, symbol) or symbol, settings.delay_s) for one in sources}
    files = {one: file for one, file in read.items() if file is not None}
    merged = merge_context(list(files.values())) if files else _NONE
    table = conform(merged.table, CONTEXT, f"context {symbol}")
    findings = [*file_findings(merged), *context_findings(table)]
    tables = {
        "quarantine": merged.quarantine,
        "observations": pa.Table.from_pylist([_observed(*item) for item in files.items()], schema=OBSERVATIONS),
        "context_gaps": context_gaps(table),
    }
    candles = sorted(one.path.name for one, file in read.items() if file is None)
    return project.warehouse.write(
        "context",
        keys,
        {"data.parquet": parquet_bytes(table)},
        beside={f"{name}.parquet": parquet_bytes(beside) for name, beside in tables.items()},
        inputs=inputs,
        summary=_summary(merged, len(files), candles),
        checks=[
            *_own_checks(project, symbol, merged, len(files), candles),
            *rule_checks(findings, _STORED, settings.severities),
        ],
    )


def _read(path: Path, symbol: str, delay_s: Mapping[str, float]) -> ContextFile | None:
    """Context of a file with the publication delay of the settings; None for candles of trades, which are none."""
    try:
        file = read_context(path, symbol=symbol)
    except InputError:
        if _holds_candles(path):
            return None
        raise
    if file.format not in delay_s:
        return file
    return read_context(path, symbol=symbol, format=file.format, delay_us=round(delay_s[file.format] * 1e6))


def _holds_candles(path: Path) -> bool:
    """Whether a file that is no context holds candles of trades, or their header, as folders of feeds do."""
    payload = open_text(path)
    try:
        klines = read_klines(path)
        return bool(klines.bars.num_rows > klines.counts.read / 2)  # a few volumes in a feed are damage
    except InputError:
        lines = [] if is_record_file(payload) else first_lines(payload.data, 2)
        return len(lines) == 1 and {"open", "high", "low", "close"} <= set(plain_names(fields_of(lines[0][1])))


def _own_checks(project: Project, symbol: str, merged: ContextFile, files: int, candles: Sequence[str]) -> list[Check]:
    counts = merged.counts
    whole = counts.accepted == merged.table.num_rows and counts.quarantined == merged.quarantine.num_rows
    beside = f"; candles of trades, not read: {', '.join(candles)}" if candles else ""
    where = project.path(str(project.settings.context.folder))
    return [
        Check("schema", True, f"{merged.table.num_rows} values with the columns {CONTEXT.names}"),
        Check(
            "accounting",
            whole and counts.accepted + counts.duplicate + counts.quarantined == counts.read,
            f"{counts.accepted} accepted + {counts.duplicate} duplicate + {counts.quarantined} quarantined "
            f"= {counts.read} read",
        ),
        Check(
            "files_found",
            files > 0,
            f"{files} files{beside}" if files else f"no file in {where} whose name spells {symbol}{beside}",
            blocking=False,
            values={"files": files, "candles": len(candles)},
        ),
    ]


def rule_checks(findings: Iterable[Finding], names: Sequence[str], severities: Mapping[str, str]) -> list[Check]:
    """Findings as one check a rule, over all kinds.

    Parameters
    ----------
    findings : iterable of Finding
    names : sequence of str
        Rules to report, in this order; of `RULES`.
    severities : mapping
        From the settings: ``error``, ``warn`` or ``ignore`` by rule.
    """
    found: dict[str, list[Finding]] = {name: [] for name in names}
    for finding in findings:
        rule = finding.name.split(".")[0]
        if rule in found:
            found[rule].append(finding)
    return [_check(name, of_rule, severities.get(name, RULES[name][0])) for name, of_rule in found.items()]


def _check(name: str, findings: Sequence[Finding], severity: str) -> Check:
    if severity == "ignore":
        return Check(name, True, "ignored, as the settings say", blocking=False)
    told = [one for one in findings if one.count and not (one.passed and name == "stale")]
    lines = [
        f"{one.name.partition('.')[2] or 'files'}: {one.count} {one.description}"
        + (f" ({'; '.join(one.examples)})" if one.examples else "")
        for one in told
    ]
    return Check(
        name,
        all(one.passed for one in findings),
        " | ".join(lines) or f"none found: {RULES[name][1]}",
        blocking=severity == "error",
        values={one.name: one.count for one in told},
    )


def _observed(source: SourceHash, file: ContextFile) -> dict[str, Any]:
    return observation(source, file.format, file.counts, us(file.table["event_ts_us"]))


def observation(source: SourceHash, format: str, counts: Counts, ts_us: np.ndarray) -> dict[str, Any]:
    """A row of schema `OBSERVATIONS` of a file with these stamps, shape (n,)."""
    first, last = (stamps(np.array([ts_us.min(), ts_us.max()])) if len(ts_us) else pa.nulls(2)).to_pylist()
    return {
        "file": source.path.name,
        "origin": source.origin,
        "sha256": source.sha256,
        "bytes": source.size,
        "format": format,
        "read": counts.read,
        "quarantined": counts.quarantined,
        "first_ts_us": first,
        "last_ts_us": last,
        "replaced_by": None,
    }


def _summary(merged: ContextFile, files: int, candles: Sequence[str]) -> dict[str, Any]:
    table = merged.table
    return {
        "rows": table.num_rows,
        "files": files,
        "format": merged.format,
        "read": merged.counts.read,
        "duplicate": merged.counts.duplicate,
        "quarantined": merged.counts.quarantined,
        "candles": list(candles),
        "kinds": {kind: _of_kind(table.filter(pc.equal(table["kind"], kind))) for kind in kinds_in(table)},
        "interval_changes": [dataclasses.asdict(change) for change in interval_changes(table)],
    }


def _of_kind(rows: pa.Table) -> dict[str, Any]:
    event, known = us(rows["event_ts_us"]), us(rows["ts_us"])
    return {
        "rows": rows.num_rows,
        "revised": int(np.count_nonzero(rows["revision"].to_numpy())),
        "first": iso(int(event.min())),
        "last": iso(int(event.max())),
        "median_delay_s": float(np.median(known - event)) / 1e6,
        "source": rows["source"][0].as_py(),
    }


CONTEXT_LAYER = Layer("context", "symbol", (), CHECKS, _inputs, _build)
