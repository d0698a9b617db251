"""``scalper run`` and ``scalper init``: the commands that need Dagster."""

import json
import os
import time
from collections.abc import Sequence
from glob import has_magic
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from scalper_assets.driver import Only, Outcome, initialise_home, plan, run_plan
from scalper_assets.project import location_project, open_project
from scalper_ml.commands.gate import thresholds_table
from scalper_ml.commands.networks import BatchSize, Epochs, network_overrides
from scalper_ml.errors import ScalperError, SettingsError
from scalper_ml.layers import layers_of
from scalper_ml.project import Project
from scalper_ml.remote.redaction import redacted_text
from scalper_ml.remote.sources import is_remote

__all__ = ["compile_kernels", "init", "run"]

WIDTH = 100

Choice = Annotated[str | None, typer.Option(help="One stage: ticks, features, train, backtest or thresholds.")]


def init() -> None:
    """Create the Dagster home and compile the feature kernels, each once, before several processes need them."""
    console = Console()
    project = open_project()
    console.print(f"Dagster home: {initialise_home(project.folder)}", soft_wrap=True)
    started = time.perf_counter()
    compile_kernels()
    console.print(f"feature kernels ready after {time.perf_counter() - started:.0f} s")


def compile_kernels() -> None:
    """In as many processes as there are cores: compiled kernels are kept on disk for every later process."""
    from scalper_ml.features.ahead import compile_ahead

    compile_ahead()


def run(
    profile: Annotated[
        str | None, typer.Option(help="A profile of config/settings.yaml; default: the one named there.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="Place of tick or kline files; overrides source.folder.")] = None,
    symbols: Annotated[str | None, typer.Option(help="Comma-separated; default: all configured ones.")] = None,
    symbols_file: Annotated[Path | None, typer.Option(help="A file with one symbol a line.")] = None,
    horizons: Annotated[
        str | None, typer.Option(help="Comma-separated, in bars; default: all configured ones.")
    ] = None,
    only: Choice = None,
    days: Annotated[float | None, typer.Option(help="Length of planted markets; source.days.")] = None,
    timeframe: Annotated[str | None, typer.Option(help="Bars such as 1m or 15m; bars.interval.")] = None,
    top_features: Annotated[
        int | None, typer.Option(help="Keep at most so many features, chosen before each fit; selection.keep.")
    ] = None,
    version: Annotated[str | None, typer.Option(help="Of the thresholds and reports; gate.version.")] = None,
    min_score: Annotated[
        float | None, typer.Option(help="Published scores below it do not trade; gate.min_score.")
    ] = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    workers: Annotated[int | None, typer.Option(help="Processes; default: the setting.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Run what is fresh, too.")] = False,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="section.key=value, any setting; may be repeated.")
    ] = None,
) -> None:
    """Run the whole graph, from raw data to thresholds; what is fresh is not recomputed."""
    console = _console()
    try:
        given = [*_named(days, timeframe, top_features, version, min_score), *(overrides or [])]
        sizes = network_overrides(open_project(profile, given).settings, epochs=epochs, batch_size=batch_size)
        project = _configure(profile, source, [*sizes, *given])
        settings = project.settings
        chosen_symbols = _symbols(symbols, symbols_file, settings.symbols)
        chosen_horizons = settings.horizons if horizons is None else _horizons(horizons)
        if only is not None and only not in Only.__args__:  # type: ignore[attr-defined]
            raise SettingsError(f"--only {only!r}: expected one of {list(Only.__args__)}")  # type: ignore[attr-defined]
        initialise_home(project.folder)
        _introduce(console, project, chosen_symbols, chosen_horizons)
        phases = plan(project, symbols=chosen_symbols, horizons=chosen_horizons, only=only)  # type: ignore[arg-type]
        outcomes = _run_with_progress(console, phases, settings.workers if workers is None else workers, force)
        project.warehouse.refresh_views()
    except ScalperError as error:
        console.print(f"[red]error[/red] {type(error).__name__}: {error}", soft_wrap=True, highlight=False)
        raise typer.Exit(2) from None
    _conclude(console, project, outcomes, only)
    if any(outcome.error for outcome in outcomes):
        raise typer.Exit(1)


def _named(
    days: float | None, timeframe: str | None, top_features: int | None, version: str | None, min_score: float | None
) -> list[str]:
    """Options that are settings, as overrides."""
    values = {"source.days": days, "bars.interval": timeframe, "gate.version": version, "gate.min_score": min_score}
    found = [f"{key}={value}" for key, value in values.items() if value is not None]
    if top_features is not None:
        found += ["selection.enabled=true", f"selection.keep={top_features}", f"selection.least={min(5, top_features)}"]
    return found


def _console() -> Console:
    """A console wide enough for the verdicts where its output goes to a file or a narrow terminal."""
    console = Console()
    return console if console.width >= WIDTH else Console(width=WIDTH)


def _configure(profile: str | None, source: str | None, overrides: list[str]) -> Project:
    """Fix this process's settings, and those of its workers, before the code location is loaded."""
    project = open_project(profile, overrides)  # a wrong override is named as it was given
    if source:
        if project.settings.source.kind == "synthetic":
            raise SettingsError(
                f"--source: profile {project.settings.profile!r} plants its own markets; choose another profile"
            )
        _check_place(project, source, f"--source {redacted_text(source)}: not a folder")
    elif project.settings.source.kind != "synthetic":
        folder = project.settings.source.folder
        if not is_remote(folder):
            folder = str(project.path(folder))
        _check_place(project, folder, f"source.folder {redacted_text(folder)}: not a folder; name one with --source")
    if profile:
        os.environ["SCALPER__PROFILE"] = profile
    if source:
        place = source if is_remote(source) else str(Path(source).resolve())
        os.environ["SCALPER__SOURCE__FOLDER"] = json.dumps(place)
    for item in overrides:
        key, _, value = item.partition("=")
        os.environ["SCALPER__" + key.strip().replace(".", "__")] = value
    return location_project()


def _check_place(project: Project, location: str, refusal: str) -> None:
    """Trades may lie in a folder, a glob, one file, or behind an address; klines lie in a folder."""
    ticks = project.settings.source.kind == "ticks"
    if Path(location).is_dir() or (ticks and (is_remote(location) or Path(location).is_file() or has_magic(location))):
        return
    raise SettingsError(refusal)


def _symbols(symbols: str | None, file: Path | None, configured: list[str]) -> list[str]:
    if symbols is None and file is None:
        return configured
    if symbols is not None and file is not None:
        raise SettingsError("--symbols and --symbols-file: give one of them")
    if file is not None and not file.is_file():
        raise SettingsError(f"--symbols-file {file}: not a file")
    lines = file.read_text().splitlines() if file is not None else (symbols or "").split(",")
    chosen = [name for line in lines if (name := line.split("#")[0].strip())]
    if not chosen:
        raise SettingsError(f"{'--symbols-file' if file else '--symbols'}: names no symbol; configured: {configured}")
    return chosen


def _horizons(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise SettingsError(f"--horizons {text!r}: expected whole numbers of bars, e.g. 1,3") from None


def _introduce(console: Console, project: Project, symbols: Sequence[str], horizons: Sequence[int]) -> None:
    settings = project.settings
    console.print(
        f"profile [bold]{settings.profile}[/bold]: {len(symbols)} symbols x horizons {list(horizons)} "
        f"of {settings.bars.interval} bars"
    )
    if settings.source.kind == "synthetic":
        console.print(
            f"planted markets: {settings.source.days:g} days of about {settings.source.trades_per_bar} trades a bar; "
            f"fees {settings.backtest.fee_bps:g} bp a side, spread {settings.backtest.spread_bps:g} bp"
        )


def _run_with_progress(console: Console, phases: list, workers: int, force: bool) -> list[Outcome]:  # type: ignore[type-arg]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starting", total=sum(len(phase) for phase in phases))

        def report(outcome: Outcome) -> None:
            progress.update(task, advance=1, description=f"{outcome.step.layers[0]} .. {outcome.step.name}")
            if outcome.error and not _waits(outcome):
                progress.console.print(
                    f"[red]failed[/red] {outcome.step.name} ({', '.join(outcome.ran)}): {outcome.error}",
                    soft_wrap=True,
                    highlight=False,
                )

        return run_plan(phases, workers=workers, force=force, report=report)


def _conclude(console: Console, project: Project, outcomes: list[Outcome], only: str | None) -> None:
    ran, built = sum(len(outcome.ran) for outcome in outcomes), sum(outcome.built for outcome in outcomes)
    total = sum(len(outcome.step.layers) for outcome in outcomes)
    failed = sum(outcome.error is not None for outcome in outcomes)
    if ran == 0:
        console.print(f"nothing to recompute: all {total} partitions are fresh")
    else:
        console.print(
            f"{built} of {total} partitions computed, {total - ran} fresh"
            + (f", [red]{failed} runs failed[/red]" if failed else "")
        )
    if waiting := [outcome for outcome in outcomes if _waits(outcome)]:
        first = waiting[0]
        console.print(
            f"[yellow]waiting[/yellow] {len(waiting)} runs read what is not there, {first.step.name} first: "
            f"{first.error}",
            soft_wrap=True,
            highlight=False,
        )
    for name, reason in _blocked(project):
        console.print(
            f"[red]blocked[/red] {name}: {reason}; what was built from it is of its last good build",
            soft_wrap=True,
            highlight=False,
        )
    manifest = project.warehouse.manifest("thresholds", {})
    if manifest and (only in (None, "thresholds")):
        thresholds = json.loads(project.warehouse.read_bytes(manifest, "thresholds.json"))
        console.print(thresholds_table(thresholds))
        summary = thresholds["summary"]
        console.print(
            f"{summary['active_coins']} active, {summary['warmup_coins']} warm-up, "
            f"{summary['no_trade_coins']} no-trade coins; coverage {summary['coverage']:.2f}"
        )
        console.print(f"thresholds   {project.path(project.settings.gate.file)}", soft_wrap=True, highlight=False)
    console.print(
        f"warehouse    {project.warehouse.root} (SQL: duckdb {project.warehouse.root / 'scalper.duckdb'})",
        soft_wrap=True,
        highlight=False,
    )


def _waits(outcome: Outcome) -> bool:
    """Whether it failed for want of what is built before it: that is said once, where it began."""
    return (outcome.error or "").startswith(("ChecksFailedError:", "WarehouseError:"))


def _blocked(project: Project) -> list[tuple[str, str]]:
    """Partitions of the configured symbols whose last build was refused, and why."""
    found = []
    for layer in layers_of(project.settings):
        for symbol in project.settings.symbols if layer.shape == "symbol" else []:
            if blocked := project.warehouse.blocked(layer.name, {"symbol": symbol}):
                first = blocked["failed"][0]
                found.append((f"{layer.name} {symbol}", f"{first['name']}: {first['description']}"))
    return found
