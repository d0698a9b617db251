"""``scalper verify``: markets whose answer is known, and what the pipeline found in them."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scalper_ml.commands.console import console, print_json, table_of
from scalper_ml.errors import SettingsError

if TYPE_CHECKING:
    from scalper_ml.scenarios.scenario import Finding

__all__ = ["verify"]

_COLUMNS = {"scenario": "left", "what": "left", "expected": "right", "found": "right", "holds": "left"}


def verify(
    names: Annotated[list[str] | None, typer.Option("--scenario", help="May be repeated; default: all.")] = None,
    fast: Annotated[bool, typer.Option("--fast", help="Miniatures: shorter markets, one replicate.")] = False,
    show: Annotated[bool, typer.Option("--list", help="List the scenarios and play none.")] = False,
    keep: Annotated[Path | None, typer.Option(help="A new folder in which the projects stay to be looked at.")] = None,
    details: Annotated[bool, typer.Option("--details", help="Print what each figure was made of.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As a JSON array.")] = False,
) -> None:
    """Play planted markets through the pipeline and compare; ends with code 1 if a line does not hold."""
    from scalper_ml.scenarios.registry import SCENARIOS, scenario
    from scalper_ml.scenarios.verify import findings_of

    chosen = [scenario(name) for name in names or SCENARIOS]
    if show:
        rows = [(one.name, one.title, ", ".join(one.markets), one.waits_for or "yes") for one in chosen]
        columns = {"scenario": "left", "planted": "left", "markets": "left", "supported": "left"}
        console().print(table_of(f"{len(rows)} scenarios", columns, rows))
        return
    found: list[Finding] = []
    told = console(stderr=True)
    with _folder(keep) as folder:
        for one in chosen:
            started = time.perf_counter()
            lines = findings_of(one, folder, fast=fast)
            found += lines
            bad = sum(line.holds is False for line in lines)
            said = (
                f"{bad} of {len(lines)} lines do not hold" if bad else "holds" if one.measure else "not yet supported"
            )
            told.print(f"{one.name}: {said}, {time.perf_counter() - started:.0f} s", highlight=False)
    if as_json:
        print_json([asdict(line) for line in found])
    else:
        _print(found, details)
    if any(line.holds is False for line in found):
        raise typer.Exit(1)


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """Where the projects are made: a folder that goes away, or a new one that stays."""
    if keep is not None:
        if keep.exists() and not (keep.is_dir() and not any(keep.iterdir())):
            raise SettingsError(f"--keep {keep}: is there and not an empty folder; expected a new one")
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="scalper-verify-") as folder:
        yield Path(folder)


def _print(found: "list[Finding]", details: bool) -> None:
    word = {True: "yes", False: "[red]NO[/red]", None: "not yet supported"}
    cells = [(line.scenario, line.text, line.expected, line.found, word[line.holds]) for line in found]
    played = [line for line in found if line.holds is not None]
    title = f"{sum(line.holds is True for line in played)} of {len(played)} lines hold"
    out = console()
    out.print(table_of(title, _COLUMNS, cells))
    for line in found:
        if line.detail and (details or not line.holds):
            out.print(f"{line.scenario}, {line.text}: {line.detail}", soft_wrap=True, markup=False, highlight=False)
