"""A second look at 500 days of five symbols: listing, planning and skipping files that were all ingested before."""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from bench.measure import Figure
from scalper_ml.layers.tick_ingest import ingest_files
from scalper_ml.layers.tick_sources import place_of
from scalper_ml.layers.ticks import TICKS_LAYER
from scalper_ml.project import Project, open_project

__all__ = ["run"]

PROJECT = Path(__file__).resolve().parents[1]
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "BNBUSDT", "XRPUSDT")
DAYS = int(os.environ.get("BENCH_PLANNING_DAYS", 500))
REPEATS = 5
DAY_MS, START_MS = 86_400_000, 1_672_531_200_000
TRADES = 48  # a day


def make_project(folder: Path) -> Project:
    """A project with a small file for every day of every symbol; the files are older than their hashes."""
    values = yaml.safe_load((PROJECT / "config" / "settings.yaml").read_text())
    values["profile"] = "planning"
    values["profiles"] = {
        "planning": {
            "symbols": list(SYMBOLS),
            "horizons": [1],
            "bars": {"interval": "1m"},
            "source": {"kind": "ticks", "folder": "ticks"},
            "storage": {"root": "warehouse"},
        }
    }
    (folder / "config").mkdir()
    (folder / "ticks").mkdir()
    (folder / "config" / "settings.yaml").write_text(yaml.safe_dump(values))
    for symbol in SYMBOLS:
        for day in range(DAYS):
            begin, first = START_MS + day * DAY_MS, day * TRADES
            rows = [f"{first + k},{100 + k % 7},1,{begin + k * DAY_MS // TRADES},{k % 2 == 0}" for k in range(TRADES)]
            path = folder / "ticks" / f"{symbol}-trades-{day:04}.csv"
            path.write_text("\n".join(["id,price,qty,time,is_buyer_maker", *rows]) + "\n")
            os.utime(path, (time.time() - 60, time.time() - 60))
    return open_project({}, folder)


def ingest(project: Project) -> int:
    """One pass over all symbols; the number of files that were new."""
    place = place_of(project)
    results = [ingest_files(project, symbol, place.here(symbol)) for symbol in SYMBOLS]
    assert all(result.ok for result in results), [result.refusal or result.failed(blocking=True) for result in results]
    return sum(result.new for result in results)


def medians(call: Callable[[], object], who: int) -> tuple[float, float]:
    """Median wall-clock and CPU seconds of a call; `who` as of `resource.getrusage`."""
    wall, cpu = [], []
    for _ in range(REPEATS):
        before, started = resource.getrusage(who), time.perf_counter()
        call()
        wall.append(time.perf_counter() - started)
        after = resource.getrusage(who)
        cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(wall), statistics.median(cpu)


def run() -> list[Figure]:
    """Second passes: of the library in this process, of a run's question what is fresh, and of the whole command."""
    with tempfile.TemporaryDirectory() as name:
        project = make_project(Path(name))
        assert ingest(project) == DAYS * len(SYMBOLS)
        assert ingest(project) == 0
        environment = {key: value for key, value in os.environ.items() if not key.startswith("SCALPER")}
        command = [str(Path(sys.executable).with_name("scalper")), "ingest", "ticks"]

        def fresh() -> None:
            assert all(TICKS_LAYER.fresh(project, {"symbol": symbol}) for symbol in SYMBOLS)

        def whole() -> None:
            done = subprocess.run(command, cwd=name, env=environment, capture_output=True, text=True, check=True)
            assert "nothing new" in done.stdout

        measured = {
            "listing, planning, skipping": medians(lambda: ingest(project), resource.RUSAGE_SELF),
            "what is fresh": medians(fresh, resource.RUSAGE_SELF),
            "the same by `scalper ingest`": medians(whole, resource.RUSAGE_CHILDREN),
        }
    what = f"{DAYS} days x {len(SYMBOLS)} symbols"
    goals = ("at most 5 s", "at most 5 s", "at most 1 s more")
    return [
        Figure(f"{what}: {name}, {kind}", value, "s", goal=goal if kind == "wall" else "")
        for (name, pair), goal in zip(measured.items(), goals, strict=True)
        for kind, value in zip(("wall", "CPU"), pair, strict=True)
    ]
