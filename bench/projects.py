"""Projects that benchmarks use as a user would: a folder with settings, and the installed command."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from scalper_ml.project import Project, open_project

__all__ = ["scalper", "tick_project"]

PROJECT = Path(__file__).resolve().parents[1]


def tick_project(folder: Path, symbols: Sequence[str]) -> Project:
    """A project that reads files of trades from its folder ``ticks``, which is there and empty."""
    values = yaml.safe_load((PROJECT / "config" / "settings.yaml").read_text())
    values["profile"] = "bench"
    values["profiles"] = {
        "bench": {
            "symbols": list(symbols),
            "horizons": [1],
            "bars": {"interval": "1m"},
            "source": {"kind": "ticks", "folder": "ticks"},
            "storage": {"root": "warehouse"},
        }
    }
    (folder / "config").mkdir(parents=True)
    (folder / "ticks").mkdir()
    (folder / "config" / "settings.yaml").write_text(yaml.safe_dump(values))
    return open_project({}, folder)


def scalper(folder: Path, *arguments: str) -> str:
    """What ``scalper ...`` prints in a project's folder, with the environment of a user.

    A package that was installed has its byte code beside it; this one may write its own, whatever is set here.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SCALPER")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [str(Path(sys.executable).with_name("scalper")), *arguments]
    return subprocess.run(command, cwd=folder, env=kept, capture_output=True, text=True, check=True).stdout
