"""ticks: every trade of a symbol, sorted and unique, one file a day; rejected rows in quarantine."""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from scalper_ml.clock import iso
from scalper_ml.durable import canonical_json, parquet_bytes, sha256_of
from scalper_ml.errors import InputError
from scalper_ml.ingest.base import ColumnMapping, Contract, Head, Layout
from scalper_ml.ingest.hashes import SourceHash
from scalper_ml.ingest.rejects import write_quarantine
from scalper_ml.ingest.sniff import tick_layout
from scalper_ml.ingest.state import Observation, StoreState
from scalper_ml.ingest.store import Progress, TickStore
from scalper_ml.ingest.synthetic import write_synthetic
from scalper_ml.layers.base import Keys, Layer, code_digest
from scalper_ml.layers.rule_checks import finding_checks
from scalper_ml.layers.tick_sources import (
    bring_sources,
    file_hashes,
    place_of,
    published_ticks,
    refused_sources,
    synthetic_spec,
    tick_inputs,
    tick_inputs_of,
    tick_reading,
    tick_sources,
)
from scalper_ml.project import Project
from scalper_ml.quality import TRADE_RULES, DayFacts, day_facts, gaps_table, judge
from scalper_ml.quality.coverage import coverage_table
from scalper_ml.quality.instruments import Instrument
from scalper_ml.remote.files import Watch
from scalper_ml.schema import OBSERVATIONS, TICKS
from scalper_ml.warehouse import Check, Manifest

__all__ = [
    "TICKS_LAYER",
    "build_ticks",
    "file_hashes",
    "read_all_ticks",
    "synthetic_spec",
    "tick_days",
    "tick_sources",
    "told_by",
]

CHECKS = ("files_read", "schema", "accounting", "readable", "quarantine_empty", "withdrawn", *TRADE_RULES)
_SHOWN = 5  # refused files named in the words of a check; all stand in its values


def told_by(project: Project) -> Callable[[Head, Path], Layout]:
    """How the settings say that files are to be read."""
    source = project.settings.source
    mapping = ColumnMapping(source.columns, source.words, source.name) if source.columns else None
    contract = Contract(source.contract.size, source.contract.inverse) if source.contract else None
    return lambda head, path: tick_layout(head, path, source.format, mapping, contract)


def build_ticks(
    project: Project,
    keys: Keys,
    *,
    progress: Callable[[Progress], None] | None = None,
    sources: Sequence[SourceHash] | None = None,
    watch: Watch | None = None,
    save_every_s: float = 5.0,
) -> Manifest:
    """Ingest what is new of a symbol and publish the partition.

    A remote place is listed, and what is new or changed there is fetched first.

    Parameters
    ----------
    project : Project
    keys : mapping
        ``symbol``.
    progress : callable, optional
        Told between batches.
    sources : sequence of SourceHash, optional
        Files to read instead of those at the configured place; what was read before stays.
    watch : callable, optional
        Told how far a fetch has come.
    save_every_s : float
        How often a long ingest writes down how far it has come.

    A file that is refused fails the check `files_read`, in this build and in those that follow, whichever files they
    are about, until it is repaired, replaced or removed.

    Raises
    ------
    InputError
        If there is no file.
    SourceError
        If the place cannot be asked now.
    """
    settings, symbol, warehouse = project.settings, str(keys["symbol"]), project.warehouse
    if sources is None:
        if settings.source.kind == "synthetic":
            write_synthetic(project.path(settings.source.folder), synthetic_spec(project, symbol))
        bring_sources(project, symbol, watch)
        sources = tick_sources(project, symbol)
    if not sources:
        raise InputError(
            f"ticks {symbol}: no file {symbol}*.csv (.csv.gz, .zip, .json.gz, .feather, .parquet) in "
            f"{place_of(project).shown}; put one there"
        )
    with warehouse.building("ticks", keys):
        store = TickStore(
            warehouse,
            symbol,
            version=sha256_of(canonical_json(tick_reading(project)))[:16],
            told=told_by(project),
            duplicates=settings.source.duplicates,
            progress=progress,
            elsewhere=lambda files: _unmoved(project, symbol, files),
            save_every_s=save_every_s,
        )
        if settings.source.kind != "synthetic":
            sources = [*sources, *refused_sources(project, symbol, sources)]
        state = store.ingest(sources, published_ticks(project, keys))
        inputs = tick_inputs_of(project, keys, (file.sha256 for file in state.files))
        manifest = _publish(project, keys, state, inputs)
        if warehouse.blocked("ticks", keys):
            store.stage()
        return manifest


def _unmoved(project: Project, symbol: str, files: Sequence[Observation]) -> list[SourceHash]:
    """Those of the files that still lie where they lay, with the bytes they had."""
    origins = {Path(file.path): file.origin for file in files if file.path and Path(file.path).is_file()}
    known = {file.sha256 for file in files}
    return [one for one in file_hashes(project, symbol).of(list(origins), origins) if one.sha256 in known]


def _publish(project: Project, keys: Keys, state: StoreState, inputs: dict[str, Any]) -> Manifest:
    symbol = str(keys["symbol"])
    facts = _facts(project, keys, state)
    observations = pa.Table.from_pylist(
        [_observation(file) for file in [*state.files, *state.replaced, *state.refused]], schema=OBSERVATIONS
    )
    rejected, reasons = state.quarantined, state.reasons()
    listing = project.settings.quality.instruments.get(symbol)
    instrument = Instrument(symbol, listing.listed, listing.delisted) if listing else Instrument(symbol)
    findings = judge(
        facts,
        reasons,
        observations,
        project.settings.quality.severities,
        instrument=instrument,
        now_us=time.time_ns() // 1000,
    )
    first = min((one.first_ts_us for one in facts.values()), default=None)
    last = max((one.last_ts_us for one in facts.values()), default=None)
    summary = {
        "rows": state.rows,
        "days": len(state.days),
        "files": len(state.files),
        "format": state.files[0].format if state.files else None,
        "read": state.read,
        "duplicate": state.repeats,
        "quarantined": rejected,
        "first": None if first is None else iso(first),
        "last": None if last is None else iso(last),
        "listed": instrument.listed.isoformat() if instrument.listed else None,
        "delisted": instrument.delisted.isoformat() if instrument.delisted else None,
    }
    tables = {
        "observations": observations,
        "gaps": gaps_table(facts),
        "coverage": coverage_table({symbol: facts}, {symbol: instrument}),
    }
    return project.warehouse.write(
        "ticks",
        keys,
        {},
        placed={f"date={day}/data.parquet": one.entry for day, one in state.days.items()},
        beside={
            **{f"{name}.parquet": parquet_bytes(table) for name, table in tables.items()},
            "state.json": state.to_json(),
        },
        placed_beside={
            "quarantine.parquet": write_quarantine(project.warehouse, symbol, state.rejects()),
            **{one.entry["path"]: one.entry for one in state.rejects()},
        },
        inputs=inputs,
        summary=summary,
        checks=[*_own_checks(state, rejected, reasons), *finding_checks(findings, TRADE_RULES)],
    )


def _facts(project: Project, keys: Keys, state: StoreState) -> dict[str, DayFacts]:
    """Facts of every day; of days that have not changed as they were."""
    folder, silence_s = project.warehouse.folder("ticks", keys), project.settings.quality.silence_s
    version = f"{code_digest('quality')} {silence_s}"
    out = {}
    for name, day in state.days.items():
        if day.facts is None or day.facts["version"] != version:
            table = pa.parquet.read_table(folder / day.entry["path"]).cast(TICKS)
            day.facts = {"version": version, "facts": day_facts(table, silence_s=silence_s).to_json()}
        out[name] = DayFacts.from_json(day.facts["facts"])
    return out


def _own_checks(state: StoreState, rejected: int, reasons: dict[str, int]) -> list[Check]:
    stored = sum(one["rows"] for one in (day.facts["facts"] for day in state.days.values() if day.facts))
    told = stored + state.repeats + rejected
    return [
        _files_read(state),
        Check("schema", stored > 0, f"{stored} trades with the columns {TICKS.names}", values={"rows": stored}),
        Check(
            "accounting",
            told == state.read or (told > state.read and bool(state.unwithdrawn)),
            f"{stored} accepted + {state.repeats} duplicate + {rejected} quarantined = {state.read} read",
        ),
        Check(
            "readable",
            2 * rejected <= state.read,
            f"{rejected} of {state.read} rows rejected; at most half may be - is it the right format, or mapping?",
            values={"rejected": rejected},
        ),
        Check(
            "quarantine_empty",
            rejected == 0,
            f"{rejected} rows in quarantine: {reasons}" if reasons else "no row was rejected",
            blocking=False,
            values=reasons,
        ),
        Check(
            "withdrawn",
            not state.unwithdrawn,
            f"days with rows that could not be taken back or read again, for want of the file: {state.unwithdrawn}"
            if state.unwithdrawn
            else "no replaced file left rows behind",
            blocking=False,
            values={"days": len(state.unwithdrawn)},
        ),
    ]


def _files_read(state: StoreState) -> Check:
    refused = [
        {"file": file.file, "origin": file.origin, "bytes": file.bytes, "sha256": file.sha256, "why": file.refused}
        for file in state.refused
    ]
    if not refused:
        return Check("files_read", True, f"{len(state.files)} files were read")
    shown = "; ".join(str(file.refused) for file in state.refused[:_SHOWN])
    rest = f"; and {len(refused) - _SHOWN} more" if len(refused) > _SHOWN else ""
    text = f"{len(refused)} of {len(state.files) + len(refused)} files were refused - {shown}{rest}"
    return Check("files_read", False, text, values={"refused": refused})


def _observation(file: Any) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(file, name) for name in OBSERVATIONS.names}
    return row


def tick_days(
    project: Project, manifest: Manifest, first_us: int | None = None, last_us: int | None = None
) -> Iterator[tuple[str, pa.Table]]:
    """Days of a ticks partition in order, name and trades; with moments those that lie between them."""
    first, last = ("" if moment is None else iso(moment)[:10] for moment in (first_us, last_us))
    for name in sorted(manifest.files):
        day = name.removeprefix("date=").removesuffix("/data.parquet")
        if first <= day and (not last or day <= last):
            yield day, project.warehouse.read_table(manifest, name).cast(TICKS)


def read_all_ticks(project: Project, manifest: Manifest) -> pa.Table:
    """All days of a ticks partition as one table."""
    return pa.concat_tables([TICKS.empty_table(), *(table for _, table in tick_days(project, manifest))])


TICKS_LAYER = Layer("ticks", "symbol", (), CHECKS, tick_inputs, build_ticks)
