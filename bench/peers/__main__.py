"""``python -m bench.peers PYTHON VECTORBT``: ours and the peers of two environments in turn, on the same files.

Each run is a process of its own; a figure is the median CPU seconds of three, of the part that its text names.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from rich.console import Console

from bench.backtest import orders_every, random_bars
from bench.features import market
from bench.ingest import write_trades
from bench.measure import Figure, table_of
from bench.peers import programs
from scalper_ml.features.registry import INPUT_COLUMNS

ROWS = 1_000_000
BARS = 50_000
EVERY, HOLD = 30, 20  # bars between signals, bars held
REPEATS = 3
Parts = dict[str, float]


def parts_of(python: str, program: str, place: Path) -> Parts:
    """What one run of a program took."""
    done = subprocess.run([python, "-c", program, str(place)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"code {done.returncode}")
    parts: Parts = json.loads(done.stdout.strip().splitlines()[-1])
    return parts


def in_turn(python: str, ours: str, peers: dict[str, str], place: Path) -> tuple[dict[str, Parts], dict[str, str]]:
    """Median of each part of ours and of the peers that run; why the others do not."""
    taken: dict[str, list[Parts]] = {}
    missing: dict[str, str] = {}
    for _ in range(REPEATS):
        taken.setdefault("ours", []).append(parts_of(sys.executable, ours, place))
        for name, program in peers.items():
            if name not in missing:
                try:
                    taken.setdefault(name, []).append(parts_of(python, program, place))
                except (RuntimeError, OSError) as error:
                    missing[name] = str(error)
    found = {
        name: {part: statistics.median(run[part] for run in runs) for part in runs[0]}
        for name, runs in taken.items()
        if name not in missing
    }
    return found, missing


def bars(python: str, folder: Path) -> tuple[list[Figure], dict[str, str]]:
    """Trades into bars."""
    path = folder / "BTCUSDT-aggTrades.csv"
    write_trades(path, ROWS)
    peers = {
        "freqtrade trades_to_ohlcv": programs.FREQTRADE,
        "nautilus_trader TickBarAggregator, a call a trade": programs.NAUTILUS,
    }
    found, missing = in_turn(python, programs.OURS_BARS, peers, path)
    texts = {
        "file to minutes": "CSV of {} M trades, read, unique, sorted, to 1 m bars",
        "minutes": "{} M trades in memory to 1 m bars",
        "ticks": "{} M trades in memory to bars of 1,000 trades",
    }
    figures = []
    for name in found.keys() - {"ours"}:
        for part, took in found[name].items():
            mine = found["ours"][part]
            figures.append(Figure(texts[part].format(f"{ROWS / 1e6:g}"), mine, "CPU s", name, took, took / mine))
    return sorted(figures, key=lambda one: one.what), missing


def features(python: str, folder: Path) -> tuple[list[Figure], dict[str, str]]:
    """Features of the same bars, by the value: the sets differ, so that only the cost of a value compares."""
    X, _ = market(BARS)
    for name in ("open", "high", "low", "close", "volume", "vwap"):
        np.save(folder / f"{name}.npy", X[:, INPUT_COLUMNS.index(name)])
    peers = {"Qlib Alpha158": programs.QLIB, "FreqAI's example, two of three columns shifted copies": programs.FREQAI}
    found, missing = in_turn(python, programs.OURS_FEATURES, peers, folder)
    cost = {name: parts["features"] / parts["values"] * 1e9 for name, parts in found.items()}
    what = f"{found['ours']['columns']:g} features of {BARS:,} bars in memory, a value"
    return [
        Figure(what, cost["ours"], "CPU ns", f"{name}, {found[name]['columns']:g} columns", took, took / cost["ours"])
        for name, took in cost.items()
        if name != "ours"
    ], missing


def backtest(python: str, folder: Path) -> tuple[list[Figure], dict[str, str]]:
    """A million bars with stops and targets, the same signals; trades compared one by one."""
    tape = random_bars(ROWS)
    orders = orders_every(tape, EVERY, HOLD)
    at = np.searchsorted(tape.end, orders.decided)
    columns = {name: getattr(tape, name) for name in ("open", "high", "low", "close")}
    np.savez(folder / "backtest.npz", **columns, at=at, side=orders.side, hold=HOLD, fee=5e-4)
    found, missing = in_turn(python, programs.OURS_BACKTEST, {"vectorbt from_signals": programs.VECTORBT}, folder)
    if missing:
        return [], missing
    ours, theirs = (dict(np.load(folder / f"{name}.npz")) for name in ("ours", "vectorbt"))
    left = np.where(ours["timed"], ours["exit"] - 1, ours["exit"])  # the next open is the close they leave at
    same = ours["entry"].size == theirs["entry"].size and bool(
        (ours["entry"] == theirs["entry"]).all() and (left == theirs["exit"]).all()
        and np.allclose(ours["price"], theirs["price"], rtol=1e-12)
        and np.allclose(ours["pnl"], theirs["pnl"], rtol=1e-9, atol=1e-9)
    )  # fmt: skip
    agree = f"{ours['entry'].size:,} trades, " + ("all equal" if same else "NOT equal")
    mine, took = found["ours"]["backtest"], found["vectorbt from_signals"]["backtest"]
    what = f"{ROWS / 1e6:g} M bars, stops and targets ({agree})"
    return [
        Figure(what, mine * 1e3, "CPU ms", "vectorbt from_signals", took * 1e3, took / mine, "at least 10")
    ], missing


def main(python: str, vectorbt: str) -> None:
    """Print the table, keep it in ``bench/results/peers.json``, and say what was skipped and why."""
    figures: list[Figure] = []
    missing: dict[str, str] = {}
    for benchmark, own in ((bars, python), (features, python), (backtest, vectorbt)):
        with tempfile.TemporaryDirectory() as folder:
            some, others = benchmark(own, Path(folder))
        figures += some
        missing |= others
    Console().print(table_of(figures, "peers in an environment of their own"))
    for name, reason in missing.items():
        print(f"skipped {name}: {reason}")
    results = Path(__file__).parents[1] / "results" / "peers.json"
    results.parent.mkdir(exist_ok=True)
    results.write_text(json.dumps([figure.to_dict() for figure in figures], indent=1))


main(*sys.argv[1:])
