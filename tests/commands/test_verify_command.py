"""``scalper verify``: a table of what was planted and what was found, and an exit code that says whether it holds."""

import dataclasses
import json
from pathlib import Path

import pytest
from tickproject import TickProject

from scalper_ml.scenarios.registry import SCENARIOS, scenario
from scalper_ml.scenarios.scenario import Must


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TickProject:
    return TickProject.make(tmp_path / "project", monkeypatch)


def test_what_holds_ends_well(place: TickProject) -> None:
    """Lines that hold, and scenarios that wait for something, end with code 0; JSON has every figure."""
    waiting = dataclasses.replace(scenario("flip"), must=(), measure=None, waits_for="there is no monitor of it yet")
    place.patch.setitem(SCENARIOS, "flip", waiting)
    done = place.scalper("verify", "--fast", "--scenario", "texture", "--scenario", "flip")
    assert done.code == 0, done.err
    assert "1 of 1 lines hold" in done.out
    assert "not yet supported" in done.out
    assert "there is no monitor of it yet" in done.out
    assert "texture: holds" in done.err
    rows = json.loads(place.scalper("verify", "--fast", "--scenario", "texture", "--json").out)
    assert [(row["scenario"], row["holds"], row["expected"]) for row in rows] == [("texture", True, ">= 9")]


def test_what_does_not_hold_ends_with_code_1(place: TickProject) -> None:
    """A line that does not hold is marked, says what it was made of, and ends the command with code 1."""
    wrong = dataclasses.replace(scenario("texture"), must=(Must("facts", "all of them, and one more", low=12.0),))
    place.patch.setitem(SCENARIOS, "texture", wrong)
    done = place.scalper("verify", "--fast", "--scenario", "texture")
    assert done.code == 1
    assert "0 of 1 lines hold" in done.out
    assert "NO" in done.out
    assert "flow_return_correlation" in done.out
    assert "1 of 1 lines do not hold" in done.err


def test_the_projects_can_be_kept(place: TickProject) -> None:
    """With --keep the played projects stay in a new folder, truth beside the tape; a folder in use is refused."""
    kept = place.folder / "kept"
    done = place.scalper("verify", "--fast", "--scenario", "thin", "--keep", str(kept))
    assert done.code == 0, done.out + done.err
    (truth,) = kept.glob("thin/*/ticks/THINUSDT_synthetic.truth.json")
    told = json.loads(truth.read_text())
    assert told["optimum"]["15"]["da"] > 0.6
    assert set(told["facts"]["kurtosis"]) == {"name", "value", "low", "high", "holds"}
    assert list(kept.glob("thin/*/warehouse/backtests"))
    assert place.scalper("verify", "--scenario", "thin", "--keep", str(kept)).code == 2


def test_every_scenario_is_listed(place: TickProject) -> None:
    """--list names all of them; an unknown name is refused with a near one."""
    done = place.scalper("verify", "--list")
    assert all(name in done.out for name in SCENARIOS)
    refused = place.scalper("verify", "--scenario", "boune")
    assert refused.code == 2
    assert "bounce" in refused.err
