"""Peak memory of an ingest of what is not clean text - rejected rows, JSON, Feather - of one size and four times it.

Every ingest is a process of its own; memory is its greatest resident size. Days are equally long at both sizes, so that
what is held of a day is the same. An ingest gathers 2**20 trades before it writes days: below that many a larger file
still takes somewhat more.
"""

import json
import os
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather

from bench.ingest import OURS, measured
from bench.measure import Figure

__all__ = ["run"]

ROWS = int(os.environ.get("BENCH_DIRTY_ROWS", 500_000))
A_DAY = 100_000  # rows
MS = 1_704_067_200_000
STEP_MS = 86_400_000 // A_DAY


def rejected(path: Path, rows: int) -> None:
    """Text of which four rows in five are no trades."""
    with path.open("w") as file:
        file.write("ts,price,qty,side,id\n")
        for i in range(0, rows, 5):
            file.write(f"{MS + i * STEP_MS},100.5,1,buy,{i}\n" + "this,row,is,no,trade\n" * 4)


def records(path: Path, rows: int) -> None:
    """An array of objects as ccxt and freqtrade write them."""
    with path.open("w") as file:
        for i in range(rows):
            trade = {"timestamp": MS + i * STEP_MS, "id": str(i), "side": "buy", "price": 100.5, "amount": 1.0}
            file.write(("," if i else "[") + json.dumps(trade))
        file.write("]")


def feather(path: Path, rows: int) -> None:
    """A table of freqtrade's columns in batches of 65,536 rows."""
    columns = {
        "timestamp": MS + np.arange(rows, dtype=np.int64) * STEP_MS, "id": np.arange(rows).astype(str),
        "type": pa.nulls(rows, pa.string()), "side": np.repeat("buy", rows), "price": np.full(rows, 100.5),
        "amount": np.ones(rows), "cost": np.full(rows, 100.5),
    }  # fmt: skip
    pa.feather.write_feather(pa.table(columns), path, chunksize=1 << 16)


KINDS = {
    "text, 80 % of the rows rejected": ("BTCUSDT.csv", rejected),
    "JSON array": ("BTCUSDT.json", records),
    "Feather": ("BTCUSDT.feather", feather),
}


def run() -> list[Figure]:
    """Half a million rows (BENCH_DIRTY_ROWS) and four times as many of each kind."""
    figures = []
    for kind, (name, write) in KINDS.items():
        peaks = []
        for times in (1, 4):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / name
                write(path, times * ROWS)
                peaks.append(measured(OURS, str(path), str(Path(folder) / "ours"))[1])
        what = f"{4 * ROWS / 1e6:g} M rows of {kind}: peak memory"
        figures.append(Figure(what, peaks[1], "MB", "of a quarter", peaks[0], peaks[1] / peaks[0], "bounded"))
    return figures
