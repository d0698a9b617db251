"""A project: a folder with ``config/settings.yaml`` in it, and the warehouse its settings name."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from scalper_ml.errors import SettingsError
from scalper_ml.settings import Settings
from scalper_ml.settings_file import load_settings
from scalper_ml.warehouse import Warehouse

__all__ = ["Project", "open_project", "settings_file"]


@dataclass(frozen=True)
class Project:
    """Settings and the folder that relative paths in them are relative to."""

    settings: Settings
    folder: Path

    @cached_property
    def warehouse(self) -> Warehouse:
        """The warehouse at ``storage.root``."""
        return Warehouse(self.path(self.settings.storage.root))

    def path(self, relative: str) -> Path:
        """A path of the settings: absolute ones as they are, others below the project's folder."""
        return self.folder / relative


def settings_file(environment: Mapping[str, str], start: Path) -> Path:
    """The settings file: the one ``SCALPER_SETTINGS`` names, else the nearest ``config/settings.yaml`` above.

    Where neither is there, the one beside the sources of this package is used, if they are a checkout.

    Raises
    ------
    SettingsError
        None of the places holds one.
    """
    if named := environment.get("SCALPER_SETTINGS"):
        return Path(named).resolve()
    for folder in (start, *start.parents, Path(__file__).resolve().parents[1]):
        if (path := folder / "config" / "settings.yaml").is_file():
            return path
    raise SettingsError(
        f"no config/settings.yaml in {start} or above; go to the project's folder or set SCALPER_SETTINGS"
    )


def open_project(
    environment: Mapping[str, str], start: Path, *, profile: str | None = None, overrides: Iterable[str] = ()
) -> Project:
    """The project at or above `start`, its settings read anew.

    Parameters
    ----------
    environment : mapping
        Where ``SCALPER_SETTINGS`` and ``SCALPER__...`` overrides are looked up; usually ``os.environ``.
    start : Path
        Usually the working folder.
    """
    path = settings_file(environment, start)
    settings = load_settings(path, profile=profile, environment=environment, overrides=overrides)
    return Project(settings=settings, folder=path.parent.parent if path.parent.name == "config" else path.parent)
