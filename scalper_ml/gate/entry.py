"""Where a loop gets its gate; the one place of the gate that looks at the process's environment and folder."""

import os
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

from scalper_ml.errors import SettingsError
from scalper_ml.gate.champion_bundles import ChampionBundles, no_bundles
from scalper_ml.gate.environment import GateEnvironment, gate_environment
from scalper_ml.gate.quality_gate import Loop, QualityGate
from scalper_ml.project import Project, open_project

__all__ = ["get_quality_gate", "project_gate"]


def get_quality_gate(
    *,
    paper: bool = False,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    profile: str | None = None,
    now_us: Callable[[], int] | None = None,
) -> QualityGate:
    """The gate of the project at or above `folder`: the same object for the same answers to all of this.

    Parameters
    ----------
    paper : bool
        True for loops that trade on paper; coins in WARMUP are for them.
    environment : mapping, optional
        Default: the process's own.
    folder : Path, optional
        Default: the working folder.
    profile : str, optional
        Of the settings; default: the one named there.
    now_us : callable, optional
        The clock; default: the wall's.

    Raises
    ------
    SettingsError
        A variable of the gate has no meaning, or the settings are wrong.
    """
    own = dict(os.environ if environment is None else environment)
    chosen = tuple(sorted((k, v) for k, v in own.items() if k.startswith("SCALPER_")))
    return _gate(
        gate_environment(own), "paper" if paper else "live", folder or Path.cwd(), profile, chosen, now_us or _wall
    )


@lru_cache(maxsize=32)
def _gate(
    environment: GateEnvironment,
    loop: Loop,
    folder: Path,
    profile: str | None,
    chosen: tuple[tuple[str, str], ...],
    now_us: Callable[[], int],
) -> QualityGate:
    try:
        project = open_project(dict(chosen), folder, profile=profile)
    except SettingsError:
        if environment.file is None:
            raise
        return QualityGate(
            folder / environment.file, environment=environment, loop=loop, champions=no_bundles, now_us=now_us
        )
    return project_gate(project, environment, loop, now_us)


def project_gate(project: Project, environment: GateEnvironment, loop: Loop, now_us: Callable[[], int]) -> QualityGate:
    """The gate of an open project."""
    return QualityGate(
        project.path(environment.file or project.settings.gate.file),
        environment=environment,
        loop=loop,
        champions=ChampionBundles(project.warehouse),
        now_us=now_us,
    )


def _wall() -> int:
    return time.time_ns() // 1000
