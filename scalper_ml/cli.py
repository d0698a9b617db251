"""``scalper``: the command line. Commands that need Dagster are added by the package that has it."""

import json
import os
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated

import click
import typer
from rich.console import Console
from typer.core import TyperGroup

from scalper_ml.commands.console import console
from scalper_ml.commands.dataset import dataset
from scalper_ml.commands.features import features
from scalper_ml.commands.gate import backtest, gate, thresholds
from scalper_ml.commands.ingest import ingest
from scalper_ml.commands.models import compare, evaluate, explain, train
from scalper_ml.commands.ticks import ticks
from scalper_ml.commands.tune import tune
from scalper_ml.commands.verify import verify
from scalper_ml.errors import ScalperError
from scalper_ml.project import open_project
from scalper_ml.remote.redaction import redacted
from scalper_ml.remote.sources import is_remote

__all__ = ["app", "main"]


class Commands(TyperGroup):
    """The commands of this package, and those that others add: these are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names, those of other packages last."""
        return [*super().list_commands(ctx), *sorted(entry.name for entry in entry_points(group="scalper.commands"))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name, or None."""
        if (own := super().get_command(ctx, cmd_name)) is not None:
            return own
        for entry in entry_points(group="scalper.commands", name=cmd_name):
            added = typer.Typer(add_completion=False)
            added.command(cmd_name)(entry.load())
            return typer.main.get_command(added)
        return None


app = typer.Typer(
    cls=Commands, no_args_is_help=True, add_completion=False, help=__doc__.splitlines()[0] if __doc__ else None
)

Profile = Annotated[str | None, typer.Option(help="A profile of config/settings.yaml.")]


@app.command("settings")
def show_settings(
    profile: Profile = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="section.key=value; may be repeated.")] = None,
) -> None:
    """Print the settings in force, as JSON; what may be secret in them is left out."""
    project = open_project(os.environ, Path.cwd(), profile=profile, overrides=overrides or [])
    values = project.settings.model_dump(mode="json")
    if is_remote(values["source"]["folder"]):
        values["source"]["folder"] = redacted(values["source"]["folder"])
    print(json.dumps(values, indent=2))


@app.command("profile")
def show_profile(
    symbol: Annotated[str, typer.Option(help="A configured symbol.")],
    horizon: Annotated[int, typer.Option(help="A configured horizon, in bars.")],
    profile: Profile = None,
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


app.command("ingest")(ingest)
app.command("verify")(verify)
app.command("train")(train)
app.command("tune")(tune)
app.command("evaluate")(evaluate)
app.command("compare")(compare)
app.command("explain")(explain)
app.command("backtest")(backtest)
app.command("thresholds")(thresholds)
app.command("gate")(gate)
app.add_typer(ticks, name="ticks")
app.add_typer(features, name="features")
app.add_typer(dataset, name="dataset")


def main() -> None:
    """Run the command line; errors made for the user are printed without a traceback."""
    try:
        app()
    except ScalperError as error:
        Console(stderr=True).print(f"[red]error[/red] {type(error).__name__}: {error}", soft_wrap=True, highlight=False)
        raise SystemExit(2) from None
