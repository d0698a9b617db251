"""Projects in folders of their own: the demo and a tiny one, each run once by ``scalper run``."""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from commandserver import Command, CommandServer

from scalper_ml.project import Project, open_project

CHECKOUT = Path(__file__).resolve().parents[2]
SCRIPTS = Path(sys.executable).parent
IN_PROCESS = '{"execution": {"config": {"in_process": {}}}}'


@dataclass(frozen=True)
class Place:
    """A project folder with commands run in it as a user would."""

    folder: Path
    commands: CommandServer

    @property
    def environment(self) -> dict[str, str]:
        """The user's environment: the project's own Dagster home, no settings of the calling shell."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SCALPER")}
        return kept | {"DAGSTER_HOME": str(self.folder / ".dagster"), "COLUMNS": "200", "TZ": "UTC"}

    def shell(self, command: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """A command started as a shell starts it: a new interpreter, the script of the installed package."""
        return subprocess.run(
            [str(SCRIPTS / command), *arguments],
            cwd=self.folder,
            env=self.environment | variables,
            capture_output=True,
            text=True,
            timeout=600,
        )

    def start(self, command: str, *arguments: str, **variables: str) -> Command:
        """The same script in a process forked from one that has imported the libraries: quick to start."""
        return self.commands.start([str(SCRIPTS / command), *arguments], self.folder, self.environment | variables)

    def scalper(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """``scalper ...``."""
        return self.start("scalper", *arguments, **variables).wait()

    def materialize(
        self, select: str, partition: str | None = None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """``dagster asset materialize ...``, its steps in the process of the command."""
        chosen = ["--partition", partition] if partition else []
        asset = ("asset", "materialize", "-m", "scalper_assets.definitions", "--select", select)
        return self.start("dagster", *asset, *chosen, "--config-json", IN_PROCESS, **variables).wait()

    def project(self) -> Project:
        """The project as the library sees it."""
        return open_project({}, self.folder)

    def contents(self) -> dict[str, str]:
        """Content hash of every partition."""
        return {f"{m.layer} {sorted(m.keys.items())}": m.content for m in self.project().warehouse.partitions("")}


def make_place(folder: Path, commands: CommandServer) -> Place:
    """A project folder with the shipped settings."""
    (folder / "config").mkdir(parents=True)
    shutil.copy(CHECKOUT / "config" / "settings.yaml", folder / "config" / "settings.yaml")
    return Place(folder, commands)


class Running:
    """What the tests of a session share: the command server, and the demo that runs while other tests do."""

    def __init__(self, with_demo: bool) -> None:
        self.commands = CommandServer()
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.demo = make_place(Path(self._folder.name) / "project", self.commands)
        self.demo_run = self.demo.start("scalper", "run") if with_demo else None

    def close(self) -> None:
        """End every process."""
        if self.demo_run:
            self.demo_run.kill()
        self.commands.close()
        self._folder.cleanup()


RUNNING = pytest.StashKey[Running]()


def needs(item: pytest.Item, fixture: str) -> bool:
    """Whether a test uses a fixture, by itself or through another."""
    return fixture in getattr(item, "fixturenames", ())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of commands come last, those of the demo at the very end: it runs on another core meanwhile."""
    items.sort(key=lambda item: (needs(item, "demo"), needs(item, "commands")))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Start the command server, and the demo, where a test will need it."""
    if not session.config.option.collectonly and any(needs(item, "commands") for item in session.items):
        with_demo = any(needs(item, "demo") for item in session.items)
        session.config.stash[RUNNING] = Running(with_demo)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """No process outlives the tests."""
    if RUNNING in session.config.stash:
        session.config.stash[RUNNING].close()


@pytest.fixture(scope="session")
def commands(request: pytest.FixtureRequest) -> CommandServer:
    """The command server."""
    return request.config.stash[RUNNING].commands


@pytest.fixture(scope="session")
def demo(commands: CommandServer, request: pytest.FixtureRequest) -> tuple[Place, str]:
    """The shipped demo, run once by ``scalper run``; and what it printed. Not to be changed by tests."""
    running = request.config.stash[RUNNING]
    assert running.demo_run
    done = running.demo_run.wait()
    assert done.returncode == 0, done.stdout + done.stderr
    return running.demo, done.stdout


@pytest.fixture(scope="session")
def tiny(commands: CommandServer, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Every layer in a few seconds: the demo with two coins, one horizon and two days. Not to be changed by tests."""
    place = make_place(tmp_path_factory.mktemp("tiny") / "project", commands)
    file = place.folder / "config" / "settings.yaml"
    settings = yaml.safe_load(file.read_text())
    profile = settings["profiles"]["demo"]
    del profile["source"]["markets"]["COSTUSDT"]
    profile["source"]["days"] = 2
    profile |= {"symbols": ["EDGEUSDT", "NULLUSDT"], "horizons": [3]}
    settings["splits"]["min_rows"] = 200
    settings["training"]["xgb_classifier"]["max_rounds"] = 10
    settings["gate"]["draws"] = 200
    file.write_text(yaml.safe_dump(settings))
    done = place.scalper("run")
    assert done.returncode == 0, done.stdout + done.stderr
    return place


def link_or_copy(source: str, target: str) -> None:
    """Link what is only ever replaced whole; copy Dagster's databases, which are written in place."""
    if "/.dagster/" in source:
        shutil.copy2(source, target)
    else:
        os.link(source, target)


def copy_of(place: Place, folder: Path) -> Place:
    """A copy of a project that a test may break."""
    shutil.copytree(place.folder, folder, copy_function=link_or_copy)
    return Place(folder, place.commands)


@pytest.fixture
def demo_copy(demo: tuple[Place, str], tmp_path: Path) -> Place:
    """A copy of the demo."""
    return copy_of(demo[0], tmp_path / "project")


@pytest.fixture
def tiny_copy(tiny: Place, tmp_path: Path) -> Place:
    """A copy of the tiny project."""
    return copy_of(tiny, tmp_path / "project")
