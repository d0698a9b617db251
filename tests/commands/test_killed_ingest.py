"""``kill -9`` of an ingest, anywhere: the next one gives the bytes of an undisturbed one."""

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tickproject import TickProject, tape

from scalper_ml.layers.ticks import build_ticks
from scalper_ml.warehouse import Manifest

KEYS = {"symbol": "BTCUSDT"}
FILES = 8
CHILD = """
import os, signal, sys
from pathlib import Path
from scalper_ml import warehouse
from scalper_ml.layers.ticks import build_ticks
from scalper_ml.project import open_project

folder, what, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
left = [count]

def tick(kind):
    if kind == what:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

replace = os.replace

def replaced(source, target):
    tick("before a rename")
    replace(source, target)
    tick("after a rename")

os.replace = replaced
build_ticks(open_project({}, folder), {"symbol": "BTCUSDT"}, progress=lambda _: tick("batch"), save_every_s=0.0)
print(count - left[0])
"""


def source_files(place: TickProject) -> None:
    """Eight files over seven days, each sharing a day with the next, one with a row that is no trade."""
    for k in range(FILES):
        text = tape(k, 2 if k < FILES - 1 else 1, step_s=1800)
        place.put(f"ticks/BTCUSDT-{k}.csv", text + ("not,a,trade,at,9\n" if k == 3 else ""))


def undisturbed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Manifest:
    place = TickProject.make(tmp_path / "whole", monkeypatch)
    source_files(place)
    return build_ticks(place.open(), KEYS)


def told(place: TickProject, manifest: Manifest, name: str) -> list[dict[str, object]]:
    """Rows of a table beside the ticks, without where the files lie and when they were first seen."""
    rows: list[dict[str, object]] = place.open().warehouse.read_table(manifest, name).to_pylist()
    return [{column: value for column, value in row.items() if column not in ("origin", "seen_ts_us")} for row in rows]


def killed(place: TickProject, what: str, count: int) -> int | None:
    """Run an ingest that kills itself; how often it came by if it was not hit, None if it was."""
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(place.folder), what, str(count)], capture_output=True, text=True
    )
    if child.returncode == -signal.SIGKILL:
        return None
    assert child.returncode == 0, child.stderr
    return int(child.stdout)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.verify) for seed in range(1, 21))])
def test_a_killed_ingest_is_taken_up(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between batches, before or after any rename, once or more often: same days, same tables, nothing else."""
    expected = undisturbed(tmp_path, monkeypatch)
    place = TickProject.make(tmp_path / "killed", monkeypatch)
    source_files(place)
    chance = random.Random(seed)
    hits = 0
    for _ in range(1 if seed == 0 else chance.randint(1, 3)):
        what = chance.choice(["batch", "before a rename", "after a rename"])
        hits += killed(place, what, chance.randint(2, FILES - 1 if what == "batch" else 16)) is None
    assert hits or seed, "the fixed seed must hit"
    folder = place.open().warehouse.folder("ticks", KEYS)
    if hits == 1 and seed == 0:
        assert (folder / ".staging.json").exists(), "killed in the middle: some files were read, not all"
        assert not (folder / "manifest.json").exists()
    manifest = build_ticks(place.open(), KEYS)
    assert manifest.files == expected.files
    assert manifest.summary == expected.summary
    whole = TickProject(tmp_path / "whole", monkeypatch)
    for name in ("quarantine.parquet", "gaps.parquet", "coverage.parquet", "observations.parquet"):
        assert told(place, manifest, name) == told(whole, expected, name)
    left = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    named = {entry["path"] for entry in [*manifest.files.values(), *manifest.beside.values()]}
    assert left - named == {"manifest.json"}
