"""Ticks of a place behind the network: the same days as from the folder, new and changed files noticed, once a run."""

import json
from pathlib import Path
from typing import Any

import pytest
from tickproject import TickProject, tape

from scalper_ml.errors import SourceError
from scalper_ml.layers.tick_sources import bring_sources
from scalper_ml.layers.ticks import TICKS_LAYER, build_ticks, read_all_ticks
from scalper_ml.project import Project

KEYS = {"symbol": "BTCUSDT"}
RETRY = {"attempts": 2, "total_s": 5, "stall_timeout_s": 1}


@pytest.fixture
def address(server: Any) -> str:
    """The listing, with credentials in its address."""
    return str(server.url).replace("://", "://me:hidden@") + "/spot/"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> TickProject:
    """A project whose ticks come from the server."""
    source = {"folder": address, "retry": RETRY, "options": {"key": "hidden"}}
    return TickProject.make(tmp_path / "project", monkeypatch, source=source)


def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str]) -> dict[str, str]:
    """Days of the same files in a folder."""
    folder = TickProject.make(tmp_path / "local", monkeypatch)
    for name, text in files.items():
        folder.put(f"ticks/{name}", text)
    build_ticks(folder.open(), KEYS)
    return folder.days()


def stale_after_asking(project: Project) -> bool:
    """What `scalper run` does first: ask the place, then compare."""
    bring_sources(project, "BTCUSDT")
    return not TICKS_LAYER.fresh(project, KEYS)


FILES = {"BTCUSDT-1.csv": tape(0, 2), "BTCUSDT-2.csv": tape(1, 2)}


def test_from_the_network_as_from_the_folder(
    place: TickProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Any
) -> None:
    """The same files give the same days, by the asset's build as by the command; no credential is written or shown."""
    for name, text in FILES.items():
        server.publish(f"/spot/{name}", text.encode())
    server.faults = [("truncate", 1000)]
    project = place.open()
    manifest = build_ticks(project, KEYS)
    assert place.days() == local(tmp_path, monkeypatch, FILES)
    origins = project.warehouse.read_table(manifest, "observations.parquet")["origin"].to_pylist()
    assert origins == [f"{server.url}/spot/{name}" for name in FILES]
    other = TickProject.make(tmp_path / "other", monkeypatch)
    done = other.scalper("ingest", f"{server.url}/spot/")
    assert done.code == 0, done.err
    assert other.days() == place.days()
    shown = place.scalper("settings").out + done.out + done.err
    written = [path for path in place.folder.rglob("*") if path.is_file() and path.name != "settings.yaml"]
    assert written
    assert not any(b"hidden" in path.read_bytes() for path in written)
    assert "hidden" not in shown
    assert not any("hidden" in str(path) for path in written)


def test_looking_does_not_ask_the_network(place: TickProject, server: Any) -> None:
    """Whether ticks are fresh is told from what is here: no request is sent."""
    server.publish("/spot/BTCUSDT-1.csv", FILES["BTCUSDT-1.csv"].encode())
    project = place.open()
    build_ticks(project, KEYS)
    server.asked.clear()
    assert TICKS_LAYER.fresh(project, KEYS)
    assert server.asked == []


def test_a_run_notices_what_is_new_and_what_was_changed(place: TickProject, server: Any) -> None:
    """A run lists the place once: nothing new is nothing to do, a new file and a re-uploaded one are read."""
    server.publish("/spot/BTCUSDT-1.csv", "".join(FILES["BTCUSDT-1.csv"].splitlines(keepends=True)[:101]).encode())
    project = place.open()
    assert build_ticks(project, KEYS).summary["rows"] == 100
    server.asked.clear()
    assert not stale_after_asking(project)
    assert len(server.asked_for("/spot/")) == 1
    server.publish("/spot/BTCUSDT-2.csv", FILES["BTCUSDT-2.csv"].encode())
    assert stale_after_asking(project)
    assert build_ticks(project, KEYS).summary["days"] == 3
    server.publish("/spot/BTCUSDT-1.csv", FILES["BTCUSDT-1.csv"].encode())
    assert stale_after_asking(project)
    manifest = build_ticks(project, KEYS)
    reuploaded = next(check for check in manifest.checks if check["name"] == "reuploaded_files")
    assert not reuploaded["passed"]
    assert manifest.summary["files"] == 2
    assert not stale_after_asking(project)
    assert read_all_ticks(project, manifest)["trade_id"].to_pylist() == list(range(1, 3 * 144 + 1))


def test_a_place_that_does_not_answer_changes_nothing(place: TickProject, server: Any) -> None:
    """While the place is busy, a build and the command fail and say so, without credentials; the ticks stay usable."""
    server.publish("/spot/BTCUSDT-1.csv", FILES["BTCUSDT-1.csv"].encode())
    project = place.open()
    build_ticks(project, KEYS)
    server.publish("/spot/BTCUSDT-2.csv", FILES["BTCUSDT-2.csv"].encode())
    server.faults = [("status", 503)] * 10
    with pytest.raises(SourceError) as caught:
        build_ticks(project, KEYS)
    assert "gave up after 2 attempts" in str(caught.value)
    done = place.scalper("ingest", project.settings.source.folder)
    assert done.code == 1
    assert "hidden" not in done.err + str(caught.value)
    assert project.warehouse.require("ticks", KEYS).summary["days"] == 2
    server.faults = []
    assert build_ticks(project, KEYS).summary["days"] == 3


@pytest.mark.parametrize("by_command", [True, False])
def test_a_file_unlike_its_checksum_is_refused_and_the_others_are_read(
    place: TickProject, server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_command: bool
) -> None:
    """It blocks the ticks by name until it is mended or taken away; the others are read, by run and command."""
    for name, text in FILES.items():
        server.publish(f"/spot/{name}", text.encode())
    server.publish("/spot/BTCUSDT-1.csv.CHECKSUM", b"0" * 64 + b"  BTCUSDT-1.csv")
    project = place.open()

    def build() -> None:
        if by_command:
            place.scalper("ingest", project.settings.source.folder)
        else:
            build_ticks(project, KEYS)

    build()
    status = place.scalper("ticks", "status")
    assert status.code == 1
    assert "files_read" in status.out
    told = place.scalper("ticks", "files", "--json").out
    rows = {row["file"]: row for row in json.loads(told)}
    assert rows["BTCUSDT-1.csv"]["state"] == "refused"
    assert "its checksum file says 000" in rows["BTCUSDT-1.csv"]["why"]
    assert (rows["BTCUSDT-2.csv"]["state"], rows["BTCUSDT-2.csv"]["read"]) == ("read", 2 * 144)
    assert "hidden" not in told
    assert stale_after_asking(project), "a run looks at it again"
    server.publish("/spot/BTCUSDT-1.csv", FILES["BTCUSDT-1.csv"].encode())
    build()
    assert place.days() == local(tmp_path, monkeypatch, FILES)
    assert place.scalper("ticks", "status").code == 0
    assert not stale_after_asking(project)


def test_a_dry_run_over_the_network_fetches_nothing(place: TickProject, server: Any, address: str) -> None:
    """--dry-run tells new files from those that the listing does not tell of, and writes and transfers nothing."""
    server.publish("/spot/BTCUSDT-1.csv", FILES["BTCUSDT-1.csv"].encode())
    assert place.scalper("ingest", address).code == 0
    server.publish("/spot/BTCUSDT-2.csv", FILES["BTCUSDT-2.csv"].encode())
    before = place.tree()
    server.asked.clear()
    done = place.scalper("ingest", address, "--dry-run")
    assert done.code == 0, done.err
    rows = [line.split() for line in done.out.splitlines() if line.startswith("BTCUSDT ")]
    assert [(row[1], row[-1]) for row in rows] == [("BTCUSDT-1.csv", "asked"), ("BTCUSDT-2.csv", "new")]
    assert "hidden" not in done.out
    assert place.tree() == before
    assert not server.asked_for(".csv")


def test_each_place_has_a_folder_of_its_own(place: TickProject, server: Any) -> None:
    """Two places with files of one name do not get in each other's way, and both stay known."""
    server.publish("/spot/BTCUSDT-1.csv", tape(0).encode())
    server.publish("/other/BTCUSDT-1.csv", tape(1).encode())
    for folder in ("spot", "other"):
        assert place.scalper("ingest", f"{server.url}/{folder}/").code == 0
    assert len(place.days()) == 2
    assert len(list((place.folder / "downloads").iterdir())) == 2
    assert "nothing new" in place.scalper("ingest", f"{server.url}/spot/").out


def test_options_are_no_input(place: TickProject) -> None:
    """Options of the store appear neither in the settings as printed nor in a message about them."""
    assert "options" not in json.loads(place.scalper("settings").out)["source"]
    done = place.scalper("settings", "--set", "source.options=hidden")
    assert done.code == 2
    assert "hidden" not in done.err
