"""``scalper``: the command line. Commands that need Dagster are added by the package that has it."""

import json
import os
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from scalper_ml.errors import ScalperError
from scalper_ml.project import open_project

__all__ = ["app", "main"]

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__.splitlines()[0] if __doc__ else None)

Profile = Annotated[str | None, typer.Option(help="A profile of config/settings.yaml.")]


@app.command("settings")
def show_settings(
    profile: Profile = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="section.key=value; may be repeated.")] = None,
) -> None:
    """Print the settings in force, as JSON."""
    project = open_project(os.environ, Path.cwd(), profile=profile, overrides=overrides or [])
    print(json.dumps(project.settings.model_dump(mode="json"), indent=2))


@app.command("profile")
def show_profile(
    symbol: Annotated[str, typer.Option(help="A configured symbol.")],
    horizon: Annotated[int, typer.Option(help="A configured horizon, in bars.")],
    profile: Profile = None,
    top: Annotated[int, typer.Option(help="Features to list, the most suspicious first.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
) -> None:
    """Class balance, per-feature statistics and NaN counts of a dataset."""
    from scalper_ml.layers.base import keys_of
    from scalper_ml.layers.datasets import profile_of

    project = open_project(os.environ, Path.cwd(), profile=profile)
    result = profile_of(project, keys_of(project.settings, symbol=symbol, horizon=horizon))
    if as_json:
        print(json.dumps(result.to_dict(), indent=2))
        return
    console = Console()
    for table in result.tables(top):
        console.print(table)


@app.command("features")
def show_features() -> None:
    """Print the reference of every feature as Markdown: definition, inputs, warm-up, unit, range and source."""
    from scalper_ml.features.reference import reference_page

    print(reference_page(), end="")


for _command in sorted(entry_points(group="scalper.commands"), key=lambda entry: entry.name):
    app.command(_command.name)(_command.load())


def main() -> None:
    """Run the command line; errors made for the user are printed without a traceback."""
    try:
        app()
    except ScalperError as error:
        Console(stderr=True).print(f"[red]error[/red] {type(error).__name__}: {error}", soft_wrap=True, highlight=False)
        raise SystemExit(2) from None
