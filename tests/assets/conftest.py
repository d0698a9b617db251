"""A project in a folder of its own, and the demo run in it once."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from scalper_ml.project import Project, open_project

CHECKOUT = Path(__file__).resolve().parents[2]
SCALPER = str(Path(sys.executable).with_name("scalper"))
DAGSTER = str(Path(sys.executable).with_name("dagster"))


@dataclass(frozen=True)
class Place:
    """A project folder with commands run in it as a user would."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """The user's environment: the project's own Dagster home, no settings of the calling shell."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SCALPER")}
        return kept | {"DAGSTER_HOME": str(self.folder / ".dagster"), "COLUMNS": "200", "TZ": "UTC"}

    def run(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """A command in the project's folder; its output is captured."""
        return subprocess.run(
            command, cwd=self.folder, env=self.environment | variables, capture_output=True, text=True, timeout=600
        )

    def scalper(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """``scalper ...``."""
        return self.run(SCALPER, *arguments, **variables)

    def materialize(
        self, select: str, partition: str | None = None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """``dagster asset materialize ...``."""
        chosen = ["--partition", partition] if partition else []
        return self.run(
            DAGSTER,
            "asset",
            "materialize",
            "-m",
            "scalper_assets.definitions",
            "--select",
            select,
            *chosen,
            **variables,
        )

    def project(self) -> Project:
        """The project as the library sees it."""
        return open_project({}, self.folder)

    def contents(self) -> dict[str, str]:
        """Content hash of every partition."""
        return {f"{m.layer} {sorted(m.keys.items())}": m.content for m in self.project().warehouse.partitions("")}


def make_place(folder: Path) -> Place:
    """A project folder with the shipped settings."""
    (folder / "config").mkdir(parents=True)
    shutil.copy(CHECKOUT / "config" / "settings.yaml", folder / "config" / "settings.yaml")
    return Place(folder)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, str]:
    """The shipped demo, run once by ``scalper run``; and what it printed. Not to be changed by tests."""
    place = make_place(tmp_path_factory.mktemp("demo") / "project")
    done = place.scalper("run")
    assert done.returncode == 0, done.stdout + done.stderr
    return place, done.stdout


def link_or_copy(source: str, target: str) -> None:
    """Link what is only ever replaced whole; copy Dagster's databases, which are written in place."""
    if "/.dagster/" in source:
        shutil.copy2(source, target)
    else:
        os.link(source, target)


@pytest.fixture
def copy(demo: tuple[Place, str], tmp_path: Path) -> Place:
    """A copy of the demo project that a test may break."""
    folder = tmp_path / "project"
    shutil.copytree(demo[0].folder, folder, copy_function=link_or_copy)
    return Place(folder)
