"""Compiling the feature engine from nothing, once at set-up: what `scalper init` takes."""

import os
import subprocess
import sys
import time
from tempfile import TemporaryDirectory

from bench.measure import IMPORT_NUMBA, NUMBA_S, Figure, in_fresh_python

__all__ = ["run"]

COMPILE = "from scalper_ml.features.ahead import compile_ahead; compile_ahead()"


def run() -> list[Figure]:
    """Wall seconds of set-up into an empty cache beside numba's import, its CPU seconds, and with all kernels there."""
    with TemporaryDirectory() as folder:
        taken = [_taken(folder) for _ in range(2)]
    (cold, cpu), (warm, _) = taken
    numba = sorted(in_fresh_python(IMPORT_NUMBA)[0] for _ in range(5))[2]
    return [
        Figure(
            f"kernels compiled from nothing, {os.cpu_count()} processes", cold, "s",
            "import numba", numba, cold / numba, f"30 s: {30 / NUMBA_S:.0f}x",
        ),
        Figure("CPU seconds of all these processes", cpu, "s"),
        Figure("kernels found compiled", warm, "s"),
    ]  # fmt: skip


def _taken(folder: str) -> tuple[float, float]:
    """Wall and CPU seconds of a fresh process and those it starts."""
    before, begun = os.times(), time.perf_counter()
    subprocess.run([sys.executable, "-c", COMPILE], check=True, env=os.environ | {"NUMBA_CACHE_DIR": folder})
    wall, after = time.perf_counter() - begun, os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, spent
