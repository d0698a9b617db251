"""What Dagster and the driver add: CPU of `scalper run` on the demo against the same library calls in one process."""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.measure import Figure

__all__ = ["run"]

PROJECT = Path(__file__).resolve().parents[1]
LIBRARY = """
import os
from pathlib import Path
from scalper_ml.layers import layers_of
from scalper_ml.project import open_project
project = open_project(os.environ, Path.cwd())
settings = project.settings
for layer in layers_of(settings):
    for symbol in settings.symbols if layer.shape != "none" else [None]:
        for horizon in settings.horizons if layer.shape == "symbol_horizon" else [None]:
            layer.build(project, {k: v for k, v in (("symbol", symbol), ("horizon", horizon)) if v is not None})
"""


def child_cpu(command: list[str], environment: dict[str, str]) -> float:
    """CPU seconds of a command and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        command, check=True, cwd=PROJECT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def run(repeats: int = 3) -> list[Figure]:
    """The demo through `scalper run` and through bare calls, alternately, each into an empty warehouse."""
    taken: dict[str, list[float]] = {"scalper run": [], "library": []}
    with tempfile.TemporaryDirectory() as shared:
        for repeat in range(repeats + 1):
            for name in taken:
                with tempfile.TemporaryDirectory() as folder:
                    environment = os.environ | {
                        "DAGSTER_HOME": f"{shared}/home",
                        "SCALPER__STORAGE__ROOT": f"{folder}/warehouse",
                        "SCALPER__GATE__FILE": f"{folder}/thresholds.json",
                        "SCALPER__SOURCE__FOLDER": f"{shared}/ticks",
                        "OMP_NUM_THREADS": "1",
                    }
                    scalper = str(Path(sys.executable).with_name("scalper"))
                    command = [scalper, "run"] if name == "scalper run" else [sys.executable, "-c", LIBRARY]
                    seconds = child_cpu(command, environment)
                if repeat:  # the first round writes the ticks, fills caches and creates the Dagster home
                    taken[name].append(seconds)
    ours, bare = (statistics.median(taken[name]) for name in ("scalper run", "library"))
    return [
        Figure("demo through `scalper run`", ours, "CPU s", "the same library calls", bare, ours / bare, "at most 1.15")
    ]
