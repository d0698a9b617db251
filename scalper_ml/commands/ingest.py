"""``scalper ingest``: files of trades at any place into the ticks of the configured symbols."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scalper_ml.clock import stamp_us
from scalper_ml.commands.console import Watcher, console, table_of, watcher
from scalper_ml.errors import InputError, SettingsError, SourceError
from scalper_ml.ingest.names import KNOWN_NAMES, is_source
from scalper_ml.layers.base import keys_of
from scalper_ml.layers.tick_sources import place_of
from scalper_ml.project import Project, open_project
from scalper_ml.remote.places import Located, Place, market_of

if TYPE_CHECKING:
    from scalper_ml.layers.tick_ingest import FilePlan, Ingested

__all__ = ["ingest"]

_REST = "ccxt:"


def ingest(
    place: Annotated[str, typer.Argument(help="A file, folder, glob, http(s) listing, s3://..., or ccxt:EXCHANGE.")],
    symbols: Annotated[
        list[str] | None, typer.Option("--symbol", help="May be repeated; default: all that have a file there.")
    ] = None,
    format: Annotated[str | None, typer.Option(help="Read files as this format, instead of sniffing.")] = None,
    duplicates: Annotated[str | None, typer.Option(help="Equal rows without trade ids: keep or drop.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be read; write nothing.")] = False,
    since: Annotated[str | None, typer.Option(help="Of ccxt: first moment, as 2024-01-01 or ...T12:00:00Z.")] = None,
    until: Annotated[str | None, typer.Option(help="Of ccxt: the moment after the last, in the past.")] = None,
    profile: Annotated[str | None, typer.Option(help="A profile of config/settings.yaml.")] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="section.key=value; may be repeated.")] = None,
) -> None:
    """Ingest files of trades: what is known is skipped, what is new is read, nothing is lost.

    Exit code 1: a file was refused, or a check that blocks failed; the last good ticks stay. 2: wrong usage.
    """
    given = [*(overrides or [])]
    given += [f"source.format={format}"] if format else []
    given += [f"source.duplicates={duplicates}"] if duplicates else []
    project = open_project(os.environ, Path.cwd(), profile=profile, overrides=given)
    _check_kind(project)
    chosen = [str(keys_of(project.settings, symbol=name)["symbol"]) for name in symbols or []]
    with watcher(console(stderr=True)) as watch:
        try:
            if place.startswith(_REST):
                files = _from_rest(project, place, chosen, since, until, dry_run)
            else:
                if since or until:
                    raise SettingsError("--since and --until are for ccxt:EXCHANGE; a folder or listing is read whole")
                found = _place(project, place)
                if dry_run:
                    raise typer.Exit(_show_plan(_plan(project, found, chosen), found.shown))
                files = _files(project, found, chosen, watch)
        except SourceError as error:
            _complain(str(error))
            raise typer.Exit(1) from None
        results = _ingest(project, files, watch)
    _show_results(results)
    if format or duplicates:
        _say_if_other(project, profile, overrides or [])
    if not all(result.ok for result in results):
        raise typer.Exit(1)


def _check_kind(project: Project) -> None:
    settings = project.settings
    if settings.source.kind == "synthetic":
        raise SettingsError(
            f"profile {settings.profile!r} plants its own markets (source.kind is synthetic), and a planted market is "
            "no place for real trades; expected source.kind ticks - choose another with --profile"
        )
    if settings.source.kind == "klines":
        raise SettingsError(
            f"profile {settings.profile!r} makes bars of klines and has no ticks; expected source.kind ticks - choose "
            "another with --profile"
        )


def _place(project: Project, location: str) -> Place:
    """A place named on the command line: relative to the working folder."""
    place = place_of(project, location)
    if place.remote or location.startswith("file://"):
        return place
    return replace(place, location=os.path.abspath(Path(location).expanduser()))


def _plan(project: Project, place: Place, chosen: Sequence[str]) -> "list[FilePlan]":
    from scalper_ml.layers.tick_ingest import plan_files, plan_remote

    if place.remote:
        plans = {symbol: plan_remote(project, symbol, place) for symbol in chosen or project.settings.symbols}
    else:
        found = _local(project, place, chosen)
        plans = {symbol: plan_files(project, symbol, files) for symbol, files in found.items()}
    _require(place, {symbol: len(plan) for symbol, plan in plans.items()}, project, chosen)
    return [file for plan in plans.values() for file in plan]


def _files(project: Project, place: Place, chosen: Sequence[str], watch: Watcher) -> dict[str, list[Located]]:
    """Files of each symbol, after fetching."""
    if place.remote:
        symbols = chosen or project.settings.symbols
        found = {symbol: place.bring(symbol, watch.fetching) for symbol in symbols}
    else:
        found = _local(project, place, chosen)
    _require(place, {symbol: len(files) for symbol, files in found.items()}, project, chosen)
    return {symbol: files for symbol, files in found.items() if files}


def _local(project: Project, place: Place, chosen: Sequence[str]) -> dict[str, list[Located]]:
    path = Path(place.location)
    if len(chosen) == 1 and path.is_file() and not is_source(path.name, chosen[0]):
        return {chosen[0]: [Located(path, str(path.parent))]}  # named by the user, whatever it is called
    return {symbol: place.here(symbol) for symbol in chosen or project.settings.symbols}


def _require(place: Place, found: dict[str, int], project: Project, chosen: Sequence[str]) -> None:
    missing = [symbol for symbol, count in found.items() if not count]
    if chosen and missing:
        names = KNOWN_NAMES.format(symbol=missing[0])
        raise SettingsError(f"{place.shown}: no file of {missing}; expected names such as {names}")
    if not any(found.values()):
        symbols, names = project.settings.symbols, KNOWN_NAMES.format(symbol=project.settings.symbols[0])
        raise SettingsError(
            f"{place.shown}: no file of a configured symbol {symbols}; expected names such as {names} - "
            f"add the symbol to profile {project.settings.profile!r}, or say with --symbol whose "
            "trades a single file holds"
        )


def _from_rest(
    project: Project, place: str, chosen: Sequence[str], since: str | None, until: str | None, dry_run: bool
) -> dict[str, list[Located]]:
    """Trades of an exchange, a file a day; days that are here are not asked for again."""
    exchange, _, market = place.removeprefix(_REST).partition("/")
    if since is None or until is None or dry_run or not exchange:
        raise SettingsError(f"{place}: expected ccxt:EXCHANGE with --since and --until, and without --dry-run")
    if market and len(chosen) != 1:
        raise SettingsError(f"{place}: names one market; expected one --symbol with it")
    from scalper_ml.remote.rest import fetch_trades

    folder, policy = project.path("downloads") / f"ccxt-{exchange}", place_of(project).policy
    window = stamp_us(since, "--since"), stamp_us(until, "--until")
    found = {}
    for symbol in chosen or project.settings.symbols:
        name = market or market_of(symbol)
        below = folder / "".join(letter if letter.isalnum() else "-" for letter in name)
        try:
            files = fetch_trades(exchange, name, *window, folder=below, symbol=symbol, policy=policy)
        except InputError as error:
            raise SourceError(str(error)) from error
        found[symbol] = [Located(file.path, file.origin) for file in files]
    return found


def _ingest(project: Project, files: dict[str, list[Located]], watch: Watcher) -> "list[Ingested]":
    from scalper_ml.layers.tick_ingest import ingest_files

    return [ingest_files(project, symbol, found, watch.reading(symbol)) for symbol, found in files.items()]


def _show_plan(plans: "Sequence[FilePlan]", where: str) -> int:
    """Print what would be done; the exit code."""
    columns = {"symbol": "left", "file": "left", "bytes": "right", "format": "left", "state": "left"}
    rows = [(plan.symbol, plan.file, plan.bytes, plan.format, plan.state) for plan in plans]
    console().print(table_of(f"{where}: nothing is written", columns, rows), soft_wrap=True)
    refused = [plan for plan in plans if plan.state == "refused"]
    for plan in refused:
        _complain(plan.refusal)
    return 1 if refused else 0


def _show_results(results: "Sequence[Ingested]") -> None:
    columns = {"symbol": "left", "new": "right", "files": "right", "rows read": "right", "accepted": "right"}
    columns |= {"duplicate": "right", "quarantined": "right", "days": "right", "checks that failed": "left"}
    fields = ("files", "read", "rows", "duplicate", "quarantined", "days")
    rows: list[Sequence[object]] = []
    for result in results:
        summary = result.manifest.summary if result.manifest else {}
        failed = [f"[red]{name}[/red]" for name in result.failed(blocking=True)]
        failed += [f"{name} (warning)" for name in result.failed(blocking=False)]
        failed += ["[red]a file was refused[/red]"] if result.refusal else []
        rows.append((result.symbol, result.new, *(summary.get(name) for name in fields), ", ".join(failed) or "none"))
    if all(result.ok and not result.new for result in results):
        console().print("nothing new: every file there was read before")
    console().print(table_of("Ticks", columns, rows))
    for result in results:
        if result.refusal:
            _complain(f"{result.symbol}: {result.refusal}")
        for check in result.manifest.checks if result.manifest else []:
            if check["blocking"] and not check["passed"]:
                _complain(f"{result.symbol} {check['name']}: {check['description']}; the last good ticks stay")


def _say_if_other(project: Project, profile: str | None, overrides: Sequence[str]) -> None:
    """Options of the command line that the settings do not know are undone by the next run: say so."""
    source = open_project(os.environ, Path.cwd(), profile=profile, overrides=overrides).settings.source
    used = project.settings.source
    for name in ("format", "duplicates"):
        if getattr(source, name) != getattr(used, name):
            _complain(
                f"source.{name} is {getattr(source, name)!r} in the settings and was {getattr(used, name)!r} here; "
                "`scalper run` would read these files again as the settings say - set it there",
                "note",
            )


def _complain(message: str, kind: str = "error") -> None:
    colour = "red" if kind == "error" else "yellow"
    console(stderr=True).print(f"[{colour}]{kind}[/{colour}] ", end="")
    console(stderr=True).print(message, soft_wrap=True, highlight=False, markup=False)
