"""``scalper``: the command line. Commands that need Dagster are added by the package that has it."""

from importlib import import_module
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any

import click
import typer
from rich.console import Console
from typer.core import TyperGroup

from scalper_ml.errors import ScalperError

__all__ = ["app", "main"]

_COMMANDS = MappingProxyType(
    {
        "settings": "scalper_ml.commands.settings:show_settings",
        "ingest": "scalper_ml.commands.ingest:ingest",
        "ticks": "scalper_ml.commands.ticks:ticks",
        "features": "scalper_ml.commands.features:features",
        "dataset": "scalper_ml.commands.dataset:dataset",
        "profile": "scalper_ml.commands.profile:show_profile",
        "train": "scalper_ml.commands.models:train",
        "tune": "scalper_ml.commands.tune:tune",
        "evaluate": "scalper_ml.commands.models:evaluate",
        "compare": "scalper_ml.commands.models:compare",
        "explain": "scalper_ml.commands.models:explain",
        "forecast": "scalper_ml.commands.report:forecast",
        "report": "scalper_ml.commands.report:report",
        "backtest": "scalper_ml.commands.gate:backtest",
        "thresholds": "scalper_ml.commands.gate:thresholds",
        "gate": "scalper_ml.commands.gate:gate",
        "models": "scalper_ml.commands.registry:models",
        "verify": "scalper_ml.commands.verify:verify",
    }
)  # where each is: a function, or a `typer.Typer` of its own


class Commands(TyperGroup):
    """The commands of this package, and those that others add; each is imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names, those of other packages last."""
        return [*_COMMANDS, *sorted(entry.name for entry in entry_points(group="scalper.commands"))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name, or None."""
        if where := _COMMANDS.get(cmd_name):
            module, _, attribute = where.partition(":")
            return _command(cmd_name, getattr(import_module(module), attribute))
        for entry in entry_points(group="scalper.commands", name=cmd_name):
            return _command(cmd_name, entry.load())
        return None


def _command(name: str, found: Any) -> click.Command:
    """A function, or the commands below a name, as click knows them."""
    added = typer.Typer(add_completion=False)
    if isinstance(found, typer.Typer):
        added.add_typer(found, name=name)
        group = typer.main.get_group(added)
        return group.commands[name]
    added.command(name)(found)
    return typer.main.get_command(added)


app = typer.Typer(
    cls=Commands, no_args_is_help=True, add_completion=False, help=__doc__.splitlines()[0] if __doc__ else None
)


@app.callback()
def _app() -> None:
    """The group itself has no options."""


def main() -> None:
    """Run the command line; errors made for the user are printed without a traceback."""
    try:
        app()
    except ScalperError as error:
        Console(stderr=True).print(f"[red]error[/red] {type(error).__name__}: {error}", soft_wrap=True, highlight=False)
        raise SystemExit(2) from None
