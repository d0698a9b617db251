"""``scalper ticks status|files|gaps|quarantine``: what the warehouse knows about ticks."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from scalper_ml.commands.console import console, print_json, table_of
from scalper_ml.layers.base import keys_of
from scalper_ml.project import Project, open_project

__all__ = ["ticks"]

ticks = typer.Typer(no_args_is_help=True, help="What is known of the ticks: files, coverage, gaps, rejected rows.")

Symbols = Annotated[list[str] | None, typer.Option("--symbol", help="May be repeated; default: all configured ones.")]
Profile = Annotated[str | None, typer.Option(help="A profile of config/settings.yaml.")]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="section.key=value; may be repeated.")]
Limit = Annotated[int, typer.Option(min=0, help="Most rows to show; 0: all of them.")]
AsJson = Annotated[bool, typer.Option("--json", help="As a JSON array.")]


def _opened(profile: str | None, overrides: list[str] | None, symbols: list[str] | None) -> tuple[Project, list[str]]:
    project = open_project(os.environ, Path.cwd(), profile=profile, overrides=overrides or [])
    chosen = [str(keys_of(project.settings, symbol=name)["symbol"]) for name in symbols or project.settings.symbols]
    return project, chosen


@ticks.command("status")
def status(
    symbols: Symbols = None, profile: Profile = None, overrides: Overrides = None, as_json: AsJson = False
) -> None:
    """Files, rows, days, span and coverage of each symbol, and the checks that failed.

    Exit code 1: a symbol is blocked, its newest build is not published.
    """
    from scalper_ml.layers.tick_tables import status_row

    project, chosen = _opened(profile, overrides, symbols)
    rows = [status_row(project, symbol) for symbol in chosen]
    if as_json:
        print_json(rows)
    else:
        _show_status(rows)
    if any(row["state"] == "blocked" for row in rows):
        raise typer.Exit(1)


def _show_status(rows: Sequence[Mapping[str, Any]]) -> None:
    columns = {"symbol": "left", "state": "left", "files": "right", "rows": "right", "days": "right"}
    columns |= {"first": "left", "last": "left", "coverage": "right", "checks that failed": "left"}
    cells = []
    for row in rows:
        failed = [f"[red]{name}[/red]" for name in row["blocked"]] + [f"{name} (warning)" for name in row["failed"]]
        coverage = None if row["coverage"] is None else f"{row['coverage']:.1%}"
        plain = (row[name] for name in ("symbol", "state", "files", "rows", "days", "first", "last"))
        cells.append((*plain, coverage, ", ".join(failed) or "none"))
    out = console()
    out.print(table_of("Ticks", columns, cells))
    for row in rows:
        for name, description in row["blocked"].items():
            out.print(f"{row['symbol']} is blocked by {name}: {description}", soft_wrap=True, markup=False)


@ticks.command("files")
def files(
    symbols: Symbols = None,
    limit: Limit = 20,
    profile: Profile = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Source files as they were read, replaced or refused: size, hash, rows and span."""
    from scalper_ml.layers.tick_tables import file_rows

    project, chosen = _opened(profile, overrides, symbols)
    rows = file_rows(project, chosen)
    shown = rows[: limit or None]
    if as_json:
        return print_json(shown)
    columns = {"symbol": "left", "file": "left", "bytes": "right", "sha256": "left", "rows": "right", "first": "left"}
    columns |= {"last": "left", "state": "left"}
    plain = ("symbol", "file", "bytes", "sha256", "read", "first", "last", "state")
    _print(
        f"Files ({_of(len(shown), len(rows))})",
        columns,
        [tuple(row[name][:12] if name == "sha256" else row[name] for name in plain) for row in shown],
    )
    for row in shown:
        if row["state"] == "refused":
            console().print(row["why"], soft_wrap=True, highlight=False, markup=False)
    return None


@ticks.command("gaps")
def gaps(
    symbols: Symbols = None,
    limit: Limit = 20,
    profile: Profile = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Where trades are missing, or where there were none for long; the longest first."""
    from scalper_ml.layers.tick_tables import gap_rows

    project, chosen = _opened(profile, overrides, symbols)
    rows = gap_rows(project, chosen)
    shown = rows[: limit or None]
    if as_json:
        return print_json(shown)
    columns = {"symbol": "left", "from": "left", "to": "left", "seconds": "right", "kind": "left", "missing": "right"}
    cells = [
        (row["symbol"], row["from"], row["to"], f"{row['seconds']:,.0f}", row["kind"], row["missing"]) for row in shown
    ]
    _print(f"Gaps ({_of(len(shown), len(rows))})", columns, cells)
    return None


@ticks.command("quarantine")
def quarantine(
    symbols: Symbols = None,
    limit: Limit = 20,
    profile: Profile = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Rows that were rejected, with file, line and reason; where the newest build is blocked, those of that build."""
    from scalper_ml.layers.tick_tables import quarantine_reasons, quarantine_rows

    project, chosen = _opened(profile, overrides, symbols)
    shown = quarantine_rows(project, chosen, limit or None)
    if as_json:
        return print_json(shown)
    reasons = quarantine_reasons(project, chosen)
    columns = {"symbol": "left", "file": "left", "line": "right", "reason": "left", "raw": "left"}
    cells = [tuple(row[name] for name in columns) for row in shown]
    _print(f"Quarantine ({_of(len(shown), sum(reasons.values()))})", columns, cells)
    for reason, count in reasons.items():
        console().print(f"{count:,} x {reason}", soft_wrap=True, highlight=False, markup=False)
    for symbol in chosen:
        if blocked := project.warehouse.blocked("ticks", {"symbol": symbol}):
            _say_blocked(symbol, blocked["failed"], any(row["build"] == "blocked" for row in _first(project, symbol)))
    return None


def _say_blocked(symbol: str, failed: Sequence[Mapping[str, str]], built: bool) -> None:
    why = "; ".join(f"{check['name']}: {check['description']}" for check in failed)
    whose = "that build" if built else "the last good build, if there is one"
    line = f"{symbol} is blocked, its newest build is not published ({why}); rows of {symbol} above are of {whose}"
    console().print(line, soft_wrap=True, highlight=False, markup=False)


def _first(project: Project, symbol: str) -> list[dict[str, Any]]:
    from scalper_ml.layers.tick_tables import quarantine_rows

    return quarantine_rows(project, [symbol], 1)


def _of(shown: int, every: int) -> str:
    return f"{every:,}" if shown == every else f"{shown:,} of {every:,}; --limit 0 shows all"


def _print(title: str, columns: dict[str, str], cells: Sequence[Sequence[object]]) -> None:
    from rich.markup import escape

    safe = [[escape(cell) if isinstance(cell, str) else cell for cell in row] for row in cells]
    console().print(table_of(title, columns, safe))
