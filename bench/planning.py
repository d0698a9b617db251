"""A second look at 500 days of five symbols: listing, planning and skipping files that were all ingested before."""

import os
import resource
import tempfile
import time
from pathlib import Path

from bench.measure import Figure, used_seconds
from bench.projects import scalper, tick_project
from scalper_ml.layers.tick_ingest import ingest_files
from scalper_ml.layers.tick_sources import place_of
from scalper_ml.layers.ticks import TICKS_LAYER
from scalper_ml.project import Project

__all__ = ["run"]

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "BNBUSDT", "XRPUSDT")
DAYS = int(os.environ.get("BENCH_PLANNING_DAYS", 500))
DAY_MS, START_MS = 86_400_000, 1_672_531_200_000
TRADES = 48  # a day


def make_project(folder: Path) -> Project:
    """A project with a small file for every day of every symbol; the files are older than their hashes."""
    project = tick_project(folder, SYMBOLS)
    for symbol in SYMBOLS:
        for day in range(DAYS):
            begin, first = START_MS + day * DAY_MS, day * TRADES
            rows = [f"{first + k},{100 + k % 7},1,{begin + k * DAY_MS // TRADES},{k % 2 == 0}" for k in range(TRADES)]
            path = folder / "ticks" / f"{symbol}-trades-{day:04}.csv"
            path.write_text("\n".join(["id,price,qty,time,is_buyer_maker", *rows]) + "\n")
            os.utime(path, (time.time() - 60, time.time() - 60))
    return project


def ingest(project: Project) -> int:
    """One pass over all symbols; the number of files that were new."""
    place = place_of(project)
    results = [ingest_files(project, symbol, place.here(symbol)) for symbol in SYMBOLS]
    assert all(result.ok for result in results), [result.refusal or result.failed(blocking=True) for result in results]
    return sum(result.new for result in results)


def run() -> list[Figure]:
    """Second passes: of the library in this process, of a run's question what is fresh, and of the whole command."""
    with tempfile.TemporaryDirectory() as name:
        project = make_project(Path(name))
        assert ingest(project) == DAYS * len(SYMBOLS)
        assert ingest(project) == 0

        def fresh() -> None:
            assert all(TICKS_LAYER.fresh(project, {"symbol": symbol}) for symbol in SYMBOLS)

        def whole() -> None:
            assert "nothing new" in scalper(Path(name), "ingest", "ticks")

        measured = {
            "listing, planning, skipping": used_seconds(lambda: ingest(project), resource.RUSAGE_SELF),
            "what is fresh": used_seconds(fresh, resource.RUSAGE_SELF),
            "the same by `scalper ingest`": used_seconds(whole, resource.RUSAGE_CHILDREN),
        }
    what = f"{DAYS} days x {len(SYMBOLS)} symbols"
    goals = ("at most 5 s", "at most 5 s", "")
    return [
        Figure(f"{what}: {name}, {kind}", value, "s", goal=goal if kind == "wall" else "")
        for (name, pair), goal in zip(measured.items(), goals, strict=True)
        for kind, value in zip(("wall", "CPU"), pair, strict=True)
    ]
