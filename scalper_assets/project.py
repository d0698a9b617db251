"""Which project this process works on: its folder, its settings, its Dagster home."""

import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from scalper_ml import project as library
from scalper_ml.project import Project

__all__ = ["dagster_home", "location_project", "open_project"]


def open_project(profile: str | None = None, overrides: Iterable[str] = ()) -> Project:
    """The project of the working folder and the environment, its settings read anew."""
    return library.open_project(os.environ, Path.cwd(), profile=profile, overrides=overrides)


@lru_cache(maxsize=1)
def location_project() -> Project:
    """The project the code location was loaded with: its partitions are fixed at load."""
    return open_project()


def dagster_home(folder: Path) -> Path:
    """``DAGSTER_HOME`` if set, else ``.dagster`` below the project's folder."""
    return Path(os.environ.get("DAGSTER_HOME") or folder / ".dagster").resolve()
