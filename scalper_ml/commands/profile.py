"""``scalper profile``: what is in a dataset, and what is suspicious about it."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from scalper_ml.commands.console import console
from scalper_ml.project import open_project

__all__ = ["show_profile"]


def show_profile(
    symbol: Annotated[str, typer.Option(help="A configured symbol.")],
    horizon: Annotated[int, typer.Option(help="A configured horizon, in bars.")],
    profile: Annotated[str | None, typer.Option(help="A profile of config/settings.yaml.")] = None,
    top: Annotated[int, typer.Option(help="Features to list, the most suspicious first.")] = 20,
    html: Annotated[Path | None, typer.Option(help="Write everything as a page of its own, too.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
) -> None:
    """Class balance by role and fold, statistics, NaN counts, leakage and drift of a dataset."""
    from scalper_ml.layers.base import keys_of
    from scalper_ml.layers.datasets import profile_of

    project = open_project(os.environ, Path.cwd(), profile=profile)
    result = profile_of(project, keys_of(project.settings, symbol=symbol, horizon=horizon))
    if html is not None:
        from scalper_ml.durable import atomic_write
        from scalper_ml.reports.profile_page import profile_page

        atomic_write(html, profile_page(result, f"{symbol}, horizon {horizon}").encode())
    if as_json:
        print(json.dumps(result.to_dict(), indent=2))
        return
    out = console()
    for table in result.tables(top):
        out.print(table)
