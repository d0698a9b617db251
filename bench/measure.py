"""Timing: CPU seconds of this process (and its children), medians over alternating runs."""

import gc
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

__all__ = [
    "IMPORT_NUMBA",
    "NUMBA_S",
    "Figure",
    "cpu_seconds",
    "each_us",
    "in_fresh_python",
    "latencies_us",
    "seconds_a_call",
    "table_of",
    "used_seconds",
]

IMPORT_NUMBA = """
import time
begun = time.perf_counter()
import numba
took = time.perf_counter() - begun
"""
"""For `in_fresh_python`: what start-up and compiling are measured in; a machine slow at one is slow at the others."""

NUMBA_S = 0.17
"""What that took on the machine on which the goals in seconds were set."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the report. `ratio` is ours over the peer's in the sense the text states."""

    what: str
    value: float
    unit: str
    peer: str = ""
    peer_value: float | None = None
    ratio: float | None = None
    goal: str = ""

    def row(self) -> tuple[str, ...]:
        """Cells of the printed table."""
        return (
            self.what,
            f"{self.value:,.4g} {self.unit}",
            self.peer,
            "" if self.peer_value is None else f"{self.peer_value:,.4g} {self.unit}",
            "" if self.ratio is None else f"{self.ratio:.2f}",
            self.goal,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def table_of(figures: Sequence[Figure], note: str = "") -> Table:
    """The report as it is printed."""
    where = f"{platform.machine()}, Python {platform.python_version()}"
    table = Table(title=f"{where}; CPU time, medians{'; ' if note else ''}{note}", title_justify="left")
    for name in ("what", "figure", "peer or bound", "its figure", "ratio", "goal"):
        table.add_column(name, overflow="fold")
    for figure in figures:
        table.add_row(*figure.row())
    return table


def cpu_seconds(calls: Mapping[str, Callable[[], Any]], repeats: int = 5) -> dict[str, float]:
    """Median CPU seconds of each call, run in turn so that a drift of the machine meets all alike; one warm-up each."""
    for call in calls.values():
        call()
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            gc.collect()
            started = time.process_time()
            call()
            taken[name].append(time.process_time() - started)
    return {name: statistics.median(values) for name, values in taken.items()}


def latencies_us(call: Callable[[int], Any], n: int) -> list[float]:
    """Sorted wall-clock microseconds of `call(i)` for i < n, after a tenth as warm-up."""
    for i in range(n // 10):
        call(i)
    return sorted(each_us(call, n, n // 10))


def each_us(call: Callable[[int], Any], n: int, first: int = 0) -> list[float]:
    """Wall-clock microseconds of `call(i)` for first <= i < n, in their order."""
    taken = []
    for i in range(first, n):
        started = time.perf_counter_ns()
        call(i)
        taken.append((time.perf_counter_ns() - started) / 1000)
    return taken


def seconds_a_call(call: Callable[[int], Any], n: int = 20_000, repeats: int = 9) -> float:
    """Wall-clock seconds of `call(i)` as one of n in a row, without those of the loop and of a call that does nothing.

    The median of `repeats`; for calls so short that reading the clock before and after would be most of it.
    """

    def row(one: Callable[[int], Any]) -> float:
        started = time.perf_counter()
        for i in range(n):
            one(i)
        return time.perf_counter() - started

    return sorted(row(call) - row(lambda i: None) for _ in range(repeats))[repeats // 2] / n


def in_fresh_python(code: str) -> tuple[float, float]:
    """Wall seconds a fresh Python needs for `code`, which leaves them in `took`, and the peak resident MB of it."""
    report = "import resource; print(took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{report}"], check=True, capture_output=True, text=True)
    took, peak = map(float, done.stdout.split())
    return took, peak


def used_seconds(call: Callable[[], object], who: int, repeats: int = 5) -> tuple[float, float]:
    """Median wall-clock and CPU seconds of a call; `who` as of `resource.getrusage`."""
    wall, cpu = [], []
    for _ in range(repeats):
        before, started = resource.getrusage(who), time.perf_counter()
        call()
        wall.append(time.perf_counter() - started)
        after = resource.getrusage(who)
        cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(wall), statistics.median(cpu)
