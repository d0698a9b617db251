"""Which files the ticks of a symbol come from, and whether they are in the ticks already.

A file that was ingested stays what it gave, wherever it came from and whether or not it is still there. So ticks are
fresh when every file that lies at the configured place was read, with the bytes it has now. A remote place counts
as far as it was brought here: `bring_sources` asks it, at the beginning of a run and in every build.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalper_ml.ingest.hashes import FileHashes, SourceHash
from scalper_ml.layers.base import Keys, code_digest
from scalper_ml.project import Project
from scalper_ml.remote.files import Watch
from scalper_ml.remote.places import Located, Place
from scalper_ml.remote.retry import RetryPolicy
from scalper_ml.remote.sources import is_remote
from scalper_ml.warehouse import Manifest

if TYPE_CHECKING:
    from scalper_ml.ingest.synthetic import SyntheticSpec

__all__ = [
    "bring_sources",
    "file_hashes",
    "place_of",
    "published_ticks",
    "refused_sources",
    "source_hashes",
    "synthetic_spec",
    "tick_inputs",
    "tick_inputs_of",
    "tick_reading",
    "tick_sources",
]


def synthetic_spec(project: Project, symbol: str) -> "SyntheticSpec":
    """The planted market of a symbol, from the settings: of figures given there, or of a named scenario."""
    from scalper_ml.ingest.synthetic import SyntheticSpec

    settings = project.settings
    market = settings.source.markets[symbol]
    if market.scenario is not None:
        from scalper_ml.scenarios.registry import scenario

        planted = scenario(market.scenario).spec(market.part, market.seed)
    else:
        planted = SyntheticSpec(
            level=market.level or "null",
            sigma=(market.sigma_bps or 0.0) * 1e-4,
            rho=market.rho,
            phi=market.phi,
            spread_bps=market.spread_bps,
            start_price=market.start_price,
            seed=market.seed,
        )
    return replace(
        planted,
        symbol=symbol,
        days=settings.source.days,
        interval_us=settings.interval_us,
        trades_per_bar=settings.source.trades_per_bar,
        start_us=_stamp_us(settings.source.start),
        horizons=tuple(settings.horizons),
        deadband_k=settings.labels.k_vol,
    )


def _stamp_us(text: str) -> int:
    return (datetime.fromisoformat(text) - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)


def place_of(project: Project, location: str | None = None) -> Place:
    """A place, by default the one that the settings name; relative ones are relative to the project's folder."""
    source = project.settings.source
    location = source.folder if location is None else location
    if not is_remote(location) and not location.startswith("file://"):
        location = str(project.path(str(Path(location).expanduser())))
    retry = source.retry
    policy = RetryPolicy(attempts=retry.attempts, total_s=retry.total_s, stall_timeout_s=retry.stall_timeout_s)
    return Place(location, project.path("downloads"), policy, source.options)


def file_hashes(project: Project, symbol: str) -> FileHashes:
    """What is remembered of the files of a symbol."""
    return FileHashes(project.warehouse.root / ".hashes" / f"{symbol}.json")


def source_hashes(
    project: Project, symbol: str, files: Iterable[Located], *, remember: bool = True
) -> list[SourceHash]:
    """Files with their hashes, or why they cannot be read; of files that did not change, as remembered."""
    files = list(files)
    origins = {file.path: file.origin for file in files if not file.fault}
    looked = file_hashes(project, symbol).look(list(origins), origins, remember=remember)
    return looked + [SourceHash.faulty(file.path, file.origin, file.fault) for file in files if file.fault]


def tick_sources(project: Project, symbol: str) -> list[SourceHash]:
    """Files of a symbol with their hashes: of a planted market only the one that was written for it."""
    files = place_of(project).here(symbol)
    if project.settings.source.kind == "synthetic":
        files = [file for file in files if file.path.name == f"{symbol}_synthetic.csv"]
    return source_hashes(project, symbol, files)


def refused_sources(project: Project, symbol: str, offered: Sequence[SourceHash]) -> list[SourceHash]:
    """Files that the build before refused, are not offered now, and still lie where they lay: as they are now."""
    from scalper_ml.ingest.store import staged_state

    staged = staged_state(project.warehouse, symbol)
    places = {(one.origin, one.path.name) for one in offered}
    still = [
        Located(Path(file.path), file.origin)
        for file in (staged.refused if staged else ())
        if (file.origin, file.file) not in places and os.path.lexists(file.path)
    ]
    return source_hashes(project, symbol, still)


def bring_sources(project: Project, symbol: str, watch: Watch | None = None) -> None:
    """Fetch what is new or changed at a remote place; nothing where the place is local.

    Raises
    ------
    SourceError
        If the place does not answer.
    """
    place = place_of(project)
    if place.remote:
        place.bring(symbol, watch)


def tick_reading(project: Project) -> dict[str, Any]:
    """What decides how a file is read: the code and the options."""
    source = project.settings.source
    options = source.model_dump(mode="json", include={"format", "columns", "words", "name", "contract", "duplicates"})
    captures = ("book/captures", "book/dialects", "book/events", "book/framing")
    return {"code": code_digest("ingest", "schema", *captures), **options}


def tick_inputs_of(project: Project, keys: Keys, files: Iterable[str]) -> dict[str, Any]:
    """What the ticks of these files, by sha256, depend on."""
    settings = project.settings
    market = {}
    if settings.source.kind == "synthetic":
        market = {"market": synthetic_spec(project, str(keys["symbol"])).hash}
    return {
        "reading": tick_reading(project),
        "judging": {
            "code": code_digest("quality", "layers/rule_checks", "layers/ticks"),
            "settings": settings.fingerprint("quality"),
        },
        "files": sorted(set(files)),
        **market,
    }


def published_ticks(project: Project, keys: Keys) -> Manifest | None:
    """The ticks that a build adds to: a planted market adds to nothing, and nothing is added to one."""
    manifest = project.warehouse.manifest("ticks", keys)
    planted = project.settings.source.kind == "synthetic"
    if manifest is None or ("market" in manifest.inputs) != planted:
        return None
    if planted and manifest.inputs["market"] != synthetic_spec(project, str(keys["symbol"])).hash:
        return None
    return manifest


def tick_inputs(project: Project, keys: Keys, sources: Iterable[SourceHash] | None = None) -> dict[str, Any]:
    """What the ticks would depend on after a build: files that were read stay, those at the place come to them.

    Parameters
    ----------
    sources : iterable of SourceHash, optional
        Instead of the files at the configured place.
    """
    published = published_ticks(project, keys)
    known = set(published.inputs["files"]) if published else set[str]()
    here = tick_sources(project, str(keys["symbol"])) if sources is None else sources
    return tick_inputs_of(project, keys, known | {one.sha256 for one in here})
