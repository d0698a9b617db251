"""``scalper dataset export|import|show``: a dataset as one file."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scalper_ml.commands.console import console, table_of
from scalper_ml.project import open_project

if TYPE_CHECKING:
    from scalper_ml.layers.dataset_artifacts import Travelled

__all__ = ["dataset"]

dataset = typer.Typer(no_args_is_help=True, help="A dataset, its features and its bars as one file with hashes.")

Profile = Annotated[str | None, typer.Option(help="A profile of config/settings.yaml.")]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="section.key=value; may be repeated.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]
File = Annotated[Path, typer.Argument(help="What `scalper dataset export` wrote.")]


@dataset.command("export")
def export(
    symbol: Annotated[str, typer.Option(help="A configured symbol.")],
    horizon: Annotated[int, typer.Option(help="A configured horizon, in bars.")],
    to: Annotated[Path, typer.Option(help="A file, or a folder that is there.")] = Path(),
    profile: Profile = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Write a dataset with its features, bars, scaler, parameters and sources as one file."""
    from scalper_ml.layers.base import keys_of
    from scalper_ml.layers.dataset_artifacts import export_dataset

    project = open_project(os.environ, Path.cwd(), profile=profile, overrides=overrides or [])
    _tell("exported", export_dataset(project, keys_of(project.settings, symbol=symbol, horizon=horizon), to), as_json)


@dataset.command("import")
def take_in(
    file: File,
    replace: Annotated[bool, typer.Option("--replace", help="Also over other partitions of the same keys.")] = False,
    profile: Profile = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Take a dataset in; refused, with the member named, if anything in the file was altered."""
    from scalper_ml.layers.dataset_artifacts import import_dataset

    project = open_project(os.environ, Path.cwd(), profile=profile, overrides=overrides or [])
    _tell("imported", import_dataset(project, file, replace=replace), as_json)


@dataset.command("show")
def show(file: File, as_json: AsJson = False) -> None:
    """Verify a file and print what it says of itself."""
    from scalper_ml.layers.dataset_artifacts import Travelled, read_artifact

    found = read_artifact(file)
    told = Travelled(file, found.content, found.told, len(found.members), file.stat().st_size)
    _tell("verified", told, as_json)


def _tell(done: str, what: "Travelled", as_json: bool) -> None:
    if as_json:
        print(json.dumps({"file": str(what.path), "content": what.content, "members": what.members, **what.told}))
        return
    names = ("symbol", "horizon", "interval", "rows", "label_version", "feature_set_id")
    rows = [("file", str(what.path)), ("content", what.content), *((name, str(what.told[name])) for name in names)]
    rows += [(f"{layer}", content) for layer, content in what.told["partitions"].items()]
    title = f"{done}: {what.members} members, {what.bytes / 1e6:.1f} MB"
    console().print(table_of(title, {"": "left", " ": "left"}, rows), markup=False)
