"""A reader that is overtaken by a publication reads the newer state, or says so; it never mixes two."""

from pathlib import Path

import pytest
from tickproject import TickProject, tape

from scalper_ml.errors import SupersededError, WarehouseError
from scalper_ml.layers.bars import BARS_FROM_TICKS
from scalper_ml.layers.tick_tables import gap_rows, quarantine_rows, status_row
from scalper_ml.layers.ticks import build_ticks, read_all_ticks
from scalper_ml.project import Project
from scalper_ml.warehouse import Manifest, Warehouse, settled

KEYS = {"symbol": "BTCUSDT"}


def overtaken(place: TickProject, patch: pytest.MonkeyPatch, times: int) -> list[str]:
    """From here on, before each of the first `times` reads, another ingest publishes: it replaces the file of ticks.

    Returns the names of what was read, in order.
    """
    asked: list[str] = []
    read_bytes = Warehouse.read_bytes

    def read(self: Warehouse, manifest: Manifest, file: str) -> bytes:
        if manifest.layer == "ticks" and not busy:
            asked.append(file)
            if len(asked) <= times:
                busy.append(file)
                place.put("ticks/BTCUSDT-1.csv", tape(0, 2 + len(asked), symbol_seed=len(asked)))
                build_ticks(place.open(), KEYS)
                busy.clear()
        return read_bytes(self, manifest, file)

    busy: list[str] = []
    patch.setattr(Warehouse, "read_bytes", read)
    return asked


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TickProject:
    """A project with two days of ticks."""
    place = TickProject.make(tmp_path / "project", monkeypatch)
    place.put("ticks/BTCUSDT-1.csv", tape(0, 2))
    build_ticks(place.open(), KEYS)
    return place


def bars_of(project: Project) -> Manifest:
    """The bars of the ticks as they lie there now."""
    return BARS_FROM_TICKS.run(project, KEYS)


@pytest.mark.parametrize("times", [1, 2])
def test_a_build_that_is_overtaken_is_made_of_the_newer_ticks(
    place: TickProject, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """Ticks replaced between the manifest and a day's file: the bars are those of the newer ticks, whole."""
    project = place.open()
    with monkeypatch.context() as patch:
        asked = overtaken(place, patch, times)
        manifest = bars_of(project)
    assert len(asked) > times
    assert manifest.inputs["ticks"] == project.warehouse.require("ticks", KEYS).content
    bars = project.warehouse.read_table(manifest)
    ticks = read_all_ticks(project, project.warehouse.require("ticks", KEYS))
    assert bars["close"].to_pylist()[0] == ticks["price"].to_pylist()[0]  # one trade a bar
    assert bars["trades"].to_pylist() == [1] * ticks.num_rows


def test_a_build_that_is_always_overtaken_says_so(place: TickProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """After three tries a build gives up, names the partition and what to do, and publishes nothing."""
    project = place.open()
    with monkeypatch.context() as patch:
        overtaken(place, patch, 100)
        with pytest.raises(SupersededError, match=r"ticks symbol=BTCUSDT was published .* overtaken 3 times"):
            bars_of(project)
    assert project.warehouse.manifest("bars", KEYS) is None
    assert bars_of(project).summary["rows"] > 0


def test_tables_about_ticks_are_of_one_state(place: TickProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """`scalper ticks ...` overtaken between manifest and table answers with the newer state."""
    project = place.open()
    with monkeypatch.context() as patch:
        asked = overtaken(place, patch, 1)
        row = status_row(project, "BTCUSDT")
        assert (row["state"], row["rows"], len(asked)) == ("ok", 432, 2)
    assert gap_rows(project, ["BTCUSDT"]) == []
    assert quarantine_rows(project, ["BTCUSDT"]) == []


def test_a_file_that_is_lost_is_no_newer_state(place: TickProject) -> None:
    """A file that a manifest names and nobody replaced is damage: it is said at once, and nothing is tried again."""
    warehouse = place.open().warehouse
    manifest = warehouse.require("ticks", KEYS)
    name, entry = next(iter(manifest.files.items()))
    (warehouse.folder("ticks", KEYS) / entry["path"]).unlink()
    tries: list[int] = []

    def read() -> bytes:
        tries.append(1)
        return warehouse.read_bytes(warehouse.require("ticks", KEYS), name)

    with pytest.raises(WarehouseError, match="missing, although the manifest names it"):
        settled(read)
    assert len(tries) == 1
