"""``python -m bench [NAME ...]``: run the benchmarks, print a table, keep it in ``bench/results/latest.json``."""

import json
import sys
from pathlib import Path

from rich.console import Console

from bench import (
    backtest,
    bars,
    compiling,
    dirty,
    driver,
    features,
    forecasters,
    ingest,
    labels,
    live,
    memory,
    models,
    planning,
    splits,
    synthetic,
    tuning,
)
from bench.measure import Figure, table_of

BENCHMARKS = {
    "ingest": ingest.run,
    "planning": planning.run,
    "dirty": dirty.run,
    "bars": bars.run,
    "features": features.run,
    "compiling": compiling.run,
    "labels": labels.run,
    "memory": memory.run,
    "splits": splits.run,
    "synthetic": synthetic.run,
    "models": models.run,
    "forecasters": forecasters.run,
    "tuning": tuning.run,
    "backtest": backtest.run,
    "driver": driver.run,
    "live": live.run,
}


def main(names: list[str]) -> None:
    """Run the named benchmarks, or all of them."""
    if unknown := sorted(set(names) - set(BENCHMARKS)):
        raise SystemExit(f"unknown benchmarks {unknown}; there are {sorted(BENCHMARKS)}")
    figures: list[Figure] = [figure for name in names or BENCHMARKS for figure in BENCHMARKS[name]()]
    Console().print(table_of(figures))
    results = Path(__file__).parent / "results" / "latest.json"
    results.parent.mkdir(exist_ok=True)
    results.write_text(json.dumps([figure.to_dict() for figure in figures], indent=1))


if __name__ == "__main__":  # worker processes import this module anew
    main(sys.argv[1:])
