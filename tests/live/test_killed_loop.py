"""``kill -9`` of a running loop, anywhere: started again, it ends with the tables of an undisturbed one."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from liveproject import SYMBOL, settings_file

from scalper_ml.live.journal import parts_of
from scalper_ml.live.replay import Request, replay_file
from scalper_ml.project import Project, open_project

CHILD = """
import os, random, signal, sys
from pathlib import Path
from scalper_ml.live.loop import Loop
from scalper_ml.live.replay import Request, replay_file
from scalper_ml.project import open_project

folder, out, seed = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
left = [random.Random(seed).randint(1, 60)]

def tick():
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)

replace, push = os.replace, Loop.push

def replaced(source, target):
    tick()
    replace(source, target)
    tick()

def pushed(loop, message):
    push(loop, message)
    tick()

os.replace, Loop.push = replaced, pushed
project = open_project({}, folder)
(file,) = (folder / "ticks").glob("*.csv")
replay_file(project, Request(ticks=file, symbol=sys.argv[4], out=out, every=2000))
"""


def child(project: Project, out: Path, seed: int) -> int:
    arguments = [str(project.folder), str(out), str(seed), SYMBOL]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *arguments], capture_output=True, text=True, env=os.environ | {"TZ": "UTC"}
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.verify) for seed in range(1, 21))])
def test_a_killed_loop_is_taken_up(project: Project, seed: int, tmp_path: Path) -> None:
    """Killed between messages, before or after a rename, once or more often: the same decisions and trades."""
    settings_file(project)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    (file,) = (project.folder / "ticks").glob("*.csv")
    replay_file(open_project({}, project.folder), Request(ticks=file, symbol=SYMBOL, out=whole, every=2000))
    hits = 0
    for again in range(1 if seed == 0 else random.Random(seed).randint(1, 4)):
        hits += child(project, killed, 100 * seed + again) == -signal.SIGKILL
    assert hits
    replay_file(open_project({}, project.folder), Request(ticks=file, symbol=SYMBOL, out=killed, every=2000))
    for mine, theirs in zip(parts_of(killed), parts_of(whole), strict=True):
        assert mine.equals(theirs)
        assert mine.num_rows > 50
