"""A running loop follows the champion pointers."""

import json
import shutil
from pathlib import Path

import pytest
from liveproject import SYMBOL, tape

from scalper_ml.ingest.order import Trades
from scalper_ml.live.champions import ChampionWatch
from scalper_ml.live.decisions import decisions_table
from scalper_ml.live.feed import TapeFeed
from scalper_ml.live.loop import Loop
from scalper_ml.live.replay import gate_of
from scalper_ml.live.run import drive
from scalper_ml.live.start import lane_rules, open_loop
from scalper_ml.project import Project


@pytest.fixture
def mine(project: Project, tmp_path: Path) -> Project:
    """The project in a folder that may be changed."""
    shutil.copytree(project.folder, tmp_path / "mine")
    return Project(project.settings, tmp_path / "mine")


def point(project: Project, bundle_id: str | None, reason: str = "rolled back") -> None:
    """Write another champion pointer, as the champions layer does."""
    keys = {"symbol": SYMBOL, "horizon": 3}
    before = project.warehouse.require("champions", keys)
    pointer = before.summary | {"bundle_id": bundle_id, "reason": reason}
    files = {"champion.json": json.dumps(pointer).encode()}
    project.warehouse.write("champions", keys, files, inputs=before.inputs | {"again": reason}, summary=pointer)


def started(project: Project) -> tuple[Loop, Trades]:
    trades = tape(project)
    loop = open_loop(project, [SYMBOL], lane_rules(project, gate_of(project), "replay"), warm=False)
    return loop, trades.take(slice(0, 6000))


def test_new_champions_decide_from_the_next_bar_on(mine: Project) -> None:
    """A pointer that moves between two messages changes who decides from then on, and nothing before."""
    loop, trades = started(mine)
    old = mine.warehouse.require("champions", {"symbol": SYMBOL, "horizon": 3}).summary["bundle_id"]
    watch = ChampionWatch(mine, loop, every_s=0.0)
    moves = iter([lambda: None, lambda: point(mine, None), lambda: point(mine, old, "back again")])

    def between() -> None:
        next(moves)()
        watch()

    ran = drive(loop, TapeFeed({SYMBOL: trades}, chunk=2000), between=between)
    table = decisions_table([one for one in ran.decided if one.horizon == 3])
    owners = table["bundle_id"].to_pylist()
    runs = [owner for place, owner in enumerate(owners) if place == 0 or owner != owners[place - 1]]
    assert runs == [old, None, old]
    assert "no_champion: NO_TRADE" not in set(table["reason"].to_pylist())
    action = mine.warehouse.require("champions", {"symbol": SYMBOL, "horizon": 3}).summary["action"]
    changes = [(change.before, change.after) for change in watch.changes]
    assert changes == [(old, f"{action}, rolled back"), (f"{action}, rolled back", old)]


def test_a_pointer_to_nothing_trades_nothing(mine: Project) -> None:
    """A pointer to a bundle that is not there takes the old champion away and says what is missing."""
    loop, trades = started(mine)
    watch = ChampionWatch(mine, loop, every_s=0.0)
    point(mine, "f" * 64)
    watch()
    ran = drive(loop, TapeFeed({SYMBOL: trades}))
    reasons = {reason for one in ran.decided if one.horizon == 3 for reason in one.reason}
    (reason,) = reasons
    assert "BundleError" in reason
    assert "no such folder" in reason
