"""book: top of the book and depth at the close of each bar, from captures and dumps."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from scalper_ml.book.clock_skew import clock_skew
from scalper_ml.book.depth import book_bars_schema
from scalper_ml.book.depth_rows import DEPTHS
from scalper_ml.book.files import BookFile, BookReading, read_book_file
from scalper_ml.book.quote_quality import RULES, QuoteFinding
from scalper_ml.book.sequence import (
    BarsOfFiles,
    QuoteSpool,
    bars_of_quotes,
    quotes_in_order,
    sorted_depths,
    standing_quotes,
)
from scalper_ml.clock import iso
from scalper_ml.durable import parquet_bytes
from scalper_ml.errors import InputError
from scalper_ml.ingest.base import Counts
from scalper_ml.ingest.hashes import SourceHash
from scalper_ml.layers.base import Keys, Layer, code_digest
from scalper_ml.layers.context import observation
from scalper_ml.layers.feed_files import feed_hashes, spelled_in
from scalper_ml.layers.rule_checks import finding_checks
from scalper_ml.project import Project
from scalper_ml.quality import QUOTE_RULES, Finding, judge_quotes
from scalper_ml.schema import OBSERVATIONS, QUARANTINE, conform, us
from scalper_ml.warehouse import Check, Manifest

__all__ = ["BOOK_LAYER", "LABEL_QUOTES"]

LABEL_QUOTES: Final = "label_quotes.parquet"
"""The quotes that stand when orders of labels are at the venue; there where labels are made of mids."""

CHECKS: Final = ("schema", "accounting", "files_found", "rejected", "no_future", *QUOTE_RULES, *RULES)

_AUDITED: Final = 24
_EXAMPLES: Final = 5


def _sources(project: Project, symbol: str) -> list[SourceHash]:
    folder = project.settings.book.folder
    if folder is None:
        raise InputError("book: no folder is configured; set book.folder")
    return feed_hashes(project, "book", folder, symbol)


def _inputs(project: Project, keys: Keys) -> dict[str, Any]:
    return {
        "code": code_digest("book", "ingest", "schema", "layers/book", "layers/feed_files", "layers/rule_checks"),
        "rules": {"code": code_digest("quality"), "severities": _severities(project)},
        "settings": project.settings.book.model_dump(mode="json", exclude={"folder"}),
        "bars": project.warehouse.require("bars", keys).content,
        "files": sorted(one.sha256 for one in _sources(project, str(keys["symbol"]))),
        **_of_labels(project),
    }


def _of_labels(project: Project) -> dict[str, Any]:
    """What decides which quotes are kept for labels; nothing where they are made of other prices."""
    if project.settings.labels.price != "mid":
        return {}
    return {"latency_ms": project.settings.labels.latency_ms, "longest": max(project.settings.horizons)}


def _label_moments(project: Project, close_us: np.ndarray) -> np.ndarray:
    """When orders of labels are at the venue: the latency after every close, of bars that are missing too."""
    interval_us, latency_us = project.settings.interval_us, round(project.settings.labels.latency_ms * 1000)
    end_us = int(close_us[-1]) + max(project.settings.horizons) * interval_us
    return np.arange(int(close_us[0]), end_us + 1, interval_us, dtype=np.int64) + latency_us


def _severities(project: Project) -> dict[str, str]:
    """Those of the rules about quotes, from the settings."""
    return {name: one for name, one in project.settings.quality.severities.items() if name in QUOTE_RULES}


@dataclass(slots=True)
class _Gathered:
    """What the files of a symbol say, but for the quotes themselves: these are put aside, file by file."""

    spools: list[QuoteSpool] = field(default_factory=list)
    formats: dict[str, list[str]] = field(default_factory=dict)
    depths: list[pa.Table] = field(default_factory=lambda: [DEPTHS.empty_table()])
    quarantine: list[pa.Table] = field(default_factory=lambda: [QUARANTINE.empty_table()])
    counts: Counts = field(default_factory=lambda: Counts(0, 0, 0, 0))
    findings: list[QuoteFinding] = field(default_factory=list)
    observed: list[dict[str, Any]] = field(default_factory=list)
    skews: list[dict[str, Any]] = field(default_factory=list)
    quotes: int = 0
    kept: int = 0

    def add(self, source: SourceHash, file: BookFile, spool: Path) -> None:
        known = file.depths if file.kind == "depth" else file.quotes
        self.observed.append(observation(source, file.format, file.counts, us(known["event_ts_us"])))
        self.depths.append(file.depths)
        self.quarantine.append(file.quarantine)
        self.counts += file.counts
        self.kept += file.counts.accepted if file.kind == "depth" else file.quotes.num_rows
        self.findings += file.findings
        if file.quotes.num_rows:
            self.quotes += file.quotes.num_rows
            self.formats.setdefault(file.format, []).append(source.path.name)
            self.spools.append(QuoteSpool.put(file.quotes, spool / f"{source.sha256}.parquet", source.sha256))
        if file.kind == "capture":
            self.skews.append(_skew(source.path))

    def check_formats(self) -> None:
        """Refuse quotes of several formats: they can be of several markets."""
        if len(self.formats) > 1:
            found = {name: files[:3] for name, files in sorted(self.formats.items())}
            raise InputError(
                f"book: quotes of {len(found)} formats, {found}; expected one - leave the files of the others out"
            )


def _skew(path: Path) -> dict[str, Any]:
    try:
        skew = clock_skew(path)
    except InputError:  # the capture was read: it only has no message with a stamp of the venue
        return {"file": path.name, "messages": 0, "min_ms": None, "median_ms": None, "max_ms": None, "behind": None}
    return {
        "file": path.name,
        "messages": skew.messages,
        "min_ms": skew.min_us / 1e3,
        "median_ms": skew.median_us / 1e3,
        "max_ms": skew.max_us / 1e3,
        "behind": skew.is_behind,
    }


def _build(project: Project, keys: Keys) -> Manifest:
    symbol, warehouse, settings = str(keys["symbol"]), project.warehouse, project.settings.book
    sources, inputs = _sources(project, symbol), _inputs(project, keys)
    bars = warehouse.read_table(warehouse.require("bars", keys), columns=["open_ts_us", "ts_us"])
    open_us, close_us = us(bars["open_ts_us"]), us(bars["ts_us"])
    reading = _reading(project, symbol, close_us)
    spool = warehouse.folder("book", keys) / ".spool"
    with warehouse.building("book", keys):
        shutil.rmtree(spool, ignore_errors=True)
        spool.mkdir(parents=True)
        try:
            gathered = _Gathered()
            for source in sources:
                spelled = replace(reading, symbol=spelled_in(source.path.name, symbol) or symbol)
                gathered.add(source, read_book_file(source.path, spelled), spool)
            gathered.check_formats()
            built = bars_of_quotes(
                open_us,
                close_us,
                quotes_in_order(gathered.spools),
                sorted_depths(gathered.depths),
                bands_bps=settings.bands_bps,
                depth_age_us=reading.depth_age_us,
                audited=_audited(gathered.spools, close_us, project.settings.splits.seed),
            )
            files = {}
            if _of_labels(project):
                standing = standing_quotes(quotes_in_order(gathered.spools), _label_moments(project, close_us))
                files[LABEL_QUOTES] = parquet_bytes(standing)
        finally:
            shutil.rmtree(spool, ignore_errors=True)
    rows = conform(built.rows, book_bars_schema(settings.bands_bps), f"book {symbol}")
    tables = {
        "quarantine": pa.concat_tables(gathered.quarantine).sort_by([(n, "ascending") for n in QUARANTINE.names]),
        "observations": pa.Table.from_pylist(gathered.observed, schema=OBSERVATIONS),
    }
    return warehouse.write(
        "book",
        keys,
        {"data.parquet": parquet_bytes(rows), **files},
        beside={f"{name}.parquet": parquet_bytes(table) for name, table in tables.items()},
        inputs=inputs,
        summary=_summary(rows, gathered),
        checks=_checks(project, symbol, gathered, built),
    )


def _reading(project: Project, symbol: str, close_us: np.ndarray) -> BookReading:
    settings = project.settings.book
    return BookReading(
        symbol,
        close_us,
        project.settings.interval_us,
        settings.bands_bps,
        settings.format,
        depth_age_us=round(settings.depth_age_s * 1e6),
        stale_us=round(settings.stale_quote_s * 1e6),
        late_us=round(settings.late_quote_s * 1e6),
        clock_offset_us=round(settings.clock_offset_ms * 1e3),
    )


def _audited(spools: Sequence[QuoteSpool], close_us: np.ndarray, seed: int) -> np.ndarray:
    """Bars to build twice: drawn from those that close while there are quotes."""
    seen = np.zeros(len(close_us), dtype=bool)
    for spool in spools:
        first, end = np.searchsorted(close_us, [spool.first_us, spool.last_us + 1])
        seen[first : min(end + 1, len(seen))] = True
    places = np.flatnonzero(seen)
    drawn = np.random.default_rng(seed).permutation(places)[:_AUDITED]
    return np.sort(drawn).astype(np.int64)


def _checks(project: Project, symbol: str, gathered: _Gathered, built: BarsOfFiles) -> list[Check]:
    counts, rejected = gathered.counts, sum(table.num_rows for table in gathered.quarantine)
    whole = gathered.kept == counts.accepted and rejected == counts.quarantined
    files = len(gathered.observed)
    where = project.path(str(project.settings.book.folder))
    differing = [iso(at) for at in built.changed[:_EXAMPLES]]
    return [
        Check("schema", True, f"{built.rows.num_rows} rows; {built.rows.num_columns - 1} columns"),
        Check(
            "accounting",
            whole and counts.accepted + counts.duplicate + counts.quarantined == counts.read,
            f"{counts.accepted} accepted + {counts.duplicate} duplicate + {counts.quarantined} quarantined "
            f"= {counts.read} read",
        ),
        Check(
            "files_found",
            files > 0,
            f"{files} files" if files else f"no file in {where} whose name spells {symbol}",
            blocking=False,
            values={"files": files},
        ),
        Check("rejected", rejected == 0, f"{rejected} rows in quarantine", blocking=False, values={"rows": rejected}),
        Check(
            "no_future",
            not built.changed,
            f"{built.audited} rows built again from what was known at their closes; differing: {differing or 'none'}",
            values={"rows": built.audited},
        ),
        *finding_checks(_judged(gathered, _severities(project)), QUOTE_RULES),
        *_rule_checks(gathered.findings, project.settings.book.severities),
    ]


def _judged(gathered: _Gathered, severities: Mapping[str, str]) -> list[Finding]:
    """What the rules about quotes say: counts and first places of all files."""
    counts = {"rows": gathered.quotes} if gathered.quotes else {}
    examples: dict[str, tuple[str, ...]] = {}
    for one in gathered.findings if counts else ():
        counts[one.rule] = counts.get(one.rule, 0) + one.count
        examples[one.rule] = (*examples.get(one.rule, ()), *one.examples)[:_EXAMPLES]
    return judge_quotes(counts, examples, severities)


def _rule_checks(findings: Sequence[QuoteFinding], severities: Mapping[str, str]) -> list[Check]:
    checks = []
    for name, (own, text) in RULES.items():
        severity = severities.get(name, own)
        if severity == "ignore":
            checks.append(Check(name, True, "ignored, as the settings say", blocking=False))
            continue
        of_rule = [one for one in findings if one.rule == name]
        count, checked = sum(one.count for one in of_rule), sum(one.checked for one in of_rule)
        examples = [text for one in of_rule for text in one.examples][:_EXAMPLES]
        told = f"{count} of {checked}" + (f": {'; '.join(examples)}" if examples else f" break it: {text}")
        values = {"count": count, "checked": checked}
        checks.append(Check(name, count == 0, told, blocking=severity == "error", values=values))
    return checks


def _summary(rows: pa.Table, gathered: _Gathered) -> dict[str, Any]:
    ts, counts = us(rows["ts_us"]), gathered.counts
    formats = sorted({row["format"] for row in gathered.observed})
    return {
        "rows": rows.num_rows,
        "first": iso(int(ts[0])),
        "last": iso(int(ts[-1])),
        "files": len(gathered.observed),
        "format": "+".join(formats) or "none",
        "quotes": gathered.quotes,
        "read": counts.read,
        "duplicate": counts.duplicate,
        "quarantined": counts.quarantined,
        "null_share": {name: round(rows[name].null_count / rows.num_rows, 6) for name in rows.column_names[1:]},
        "clock_skew": gathered.skews,
    }


BOOK_LAYER = Layer("book", "symbol", ("bars",), CHECKS, _inputs, _build)
