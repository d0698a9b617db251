"""``scalper settings``: the settings in force."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from scalper_ml.project import open_project
from scalper_ml.remote.redaction import redacted
from scalper_ml.remote.sources import is_remote

__all__ = ["show_settings"]


def show_settings(
    profile: Annotated[str | None, typer.Option(help="A profile of config/settings.yaml.")] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="section.key=value; may be repeated.")] = None,
) -> None:
    """Print the settings in force, as JSON; what may be secret in them is left out."""
    project = open_project(os.environ, Path.cwd(), profile=profile, overrides=overrides or [])
    values = project.settings.model_dump(mode="json")
    if is_remote(values["source"]["folder"]):
        values["source"]["folder"] = redacted(values["source"]["folder"])
    print(json.dumps(values, indent=2))
