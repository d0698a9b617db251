"""Files of trades into the tick store, beside DuckDB reading, de-duplicating and writing Parquet in one statement.

Every run is a process of its own; CPU seconds are those of the process, memory is its greatest resident size.
"""

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from bench.measure import Figure, used_seconds
from bench.projects import scalper, tick_project

__all__ = ["run"]

ROWS = int(os.environ.get("BENCH_INGEST_ROWS", 20_000_000))
DAYS = 10
REPEATS = 3
NAMES = ["id", "price", "qty", "first", "last", "ts", "maker", "best"]

OURS = """
import sys
from pathlib import Path
from scalper_ml.ingest.hashes import FileHashes
from scalper_ml.ingest.sniff import tick_layout
from scalper_ml.ingest.store import TickStore
from scalper_ml.warehouse import Warehouse
warehouse, keys = Warehouse(Path(sys.argv[2])), {"symbol": "BTCUSDT"}
store = TickStore(warehouse, "BTCUSDT", version="1", told=lambda head, path: tick_layout(head, path))
sources = FileHashes(Path(sys.argv[2]) / "hashes.json").of([Path(sys.argv[1])])
state = store.ingest(sources, warehouse.manifest("ticks", keys))
placed = {f"date={day}/data.parquet": one.entry for day, one in state.days.items()}
warehouse.write("ticks", keys, {}, placed=placed, beside={"state.json": state.to_json()}, inputs={})
print(state.rows)
"""
DUCKDB = """
import sys, duckdb
duckdb.sql("SET enable_progress_bar = false")
duckdb.sql(f'''COPY (SELECT ts, price, qty, side, id FROM (
    SELECT make_timestamp(ts * 1000) AS ts, price, qty, CASE WHEN maker THEN -1 ELSE 1 END::TINYINT AS side, id,
           lag(id) OVER (ORDER BY id) AS previous
    FROM read_csv('{sys.argv[1]}', header=false, columns={{'id': 'BIGINT', 'price': 'DOUBLE', 'qty': 'DOUBLE',
        'first': 'BIGINT', 'last': 'BIGINT', 'ts': 'BIGINT', 'maker': 'BOOLEAN', 'best': 'BOOLEAN'}}))
    WHERE previous IS DISTINCT FROM id ORDER BY ts, id)
    TO '{sys.argv[2]}/data.parquet' (FORMAT parquet, COMPRESSION zstd)''')
print(duckdb.sql(f"SELECT count(*) FROM '{sys.argv[2]}/data.parquet'").fetchall()[0][0])
"""
INFLATE = """
import sys, zlib, zipfile
with zipfile.ZipFile(sys.argv[1]) as archive:
    member = archive.infolist()[0]
with open(sys.argv[1], "rb") as file:
    file.seek(member.header_offset + 26)
    file.seek(sum(int.from_bytes(file.read(2), "little") for _ in range(2)), 1)
    inflater = zlib.decompressobj(-15)
    while chunk := file.read(1 << 20):
        inflater.decompress(chunk)
"""
READ = """
import sys
from pathlib import Path
import pyarrow.parquet as pq
for path in sorted(Path(sys.argv[1]).rglob("*.parquet")):
    pq.read_table(path, columns=["ts_us" if "symbol=" in str(path) else "ts", "price", "qty", "side",
                                 "trade_id" if "symbol=" in str(path) else "id"], use_threads=False)
"""
MEASURED = """
import json, resource, subprocess, sys, time
started = time.perf_counter()
child = subprocess.run([sys.executable, "-c", *sys.argv[1:]], check=True, capture_output=True, text=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, time.perf_counter() - started, child.stdout]))
"""


def measured(code: str, *arguments: str) -> tuple[float, float, float, str]:
    """CPU seconds, peak MB, wall seconds and output of a process that runs `code`."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, code, *arguments], check=True, capture_output=True, text=True
    )
    cpu, peak, wall, said = json.loads(done.stdout)
    return cpu, peak, wall, said


def write_trades(path: Path, rows: int, days: int = DAYS) -> int:
    """A dump of aggregate trades over some days: .1 % repeated, some out of order by a few rows; distinct rows."""
    import polars as pl

    rng = np.random.default_rng(5)
    ts = 1_704_067_200_000 + np.sort(rng.integers(0, days * 86_400_000, rows))
    price = np.round(40_000 + np.cumsum(rng.normal(0, 0.05, rows)), 2)
    qty = np.round(rng.lognormal(-4, 1.6, rows) + 1e-5, 5)
    ids = np.arange(rows, dtype=np.int64) + 2_800_000_000
    late = np.where(rng.random(rows) < 0.002, rng.integers(1, 400, rows), 0)
    order = np.argsort(np.arange(rows) + late, kind="stable")
    again = np.sort(rng.choice(rows, rows // 1000, replace=False))
    order = np.insert(order, again, order[again])
    maker = rng.random(rows) < 0.5
    frame = pl.DataFrame(
        {"id": ids, "price": price, "qty": qty, "first": ids * 2, "last": ids * 2 + 1, "ts": ts, "maker": maker}
    ).with_columns(best=pl.lit(True))
    frame[order].write_csv(path, include_header=False, float_precision=8)
    return rows


def run() -> list[Figure]:
    """Twenty million rows (BENCH_INGEST_ROWS): CSV, zip, a second pass, size, reading back; half as many rows."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        csv = root / "BTCUSDT-aggTrades.csv"
        expected = write_trades(csv, ROWS)
        taken: dict[str, list[tuple[float, float, float, str]]] = {"ours": [], "duckdb": []}
        for _ in range(REPEATS):
            for name, code in (("ours", OURS), ("duckdb", DUCKDB)):
                shutil.rmtree(root / name, ignore_errors=True)
                (root / name).mkdir()
                taken[name].append(measured(code, str(csv), str(root / name)))
                assert int(taken[name][-1][3]) == expected, (name, taken[name][-1][3])
        cpu = {name: statistics.median(one[0] for one in values) for name, values in taken.items()}
        peak = {name: max(one[1] for one in values) for name, values in taken.items()}
        size = {name: sum(p.stat().st_size for p in (root / name).rglob("*.parquet")) / 1e6 for name in taken}
        back = {name: statistics.median(measured(READ, str(root / name))[0] for _ in range(REPEATS)) for name in taken}
        project = root / "project"
        tick_project(project, ["BTCUSDT"])
        os.link(csv, project / "ticks" / csv.name)
        assert f"{expected:,}" in scalper(project, "ingest", "ticks")
        second, second_cpu = used_seconds(lambda: scalper(project, "ingest", "ticks"), resource.RUSAGE_CHILDREN)
        assert "nothing new" in scalper(project, "ingest", "ticks")
        half = root / "BTCUSDT-half.csv"
        write_trades(half, ROWS // 2, DAYS // 2)
        half_peak = measured(OURS, str(half), str(root / "half"))[1]
        packed = root / "BTCUSDT-aggTrades.zip"
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
            archive.write(csv, csv.name)
        inflate = statistics.median(measured(INFLATE, str(packed))[0] for _ in range(REPEATS))
        zipped = []
        for _ in range(REPEATS):
            shutil.rmtree(root / "zip", ignore_errors=True)
            zipped.append(measured(OURS, str(packed), str(root / "zip"))[0])
        zip_cpu = statistics.median(zipped)
    millions = ROWS / 1e6
    return [
        Figure(f"{millions:g} M aggTrades, CSV to stored days", cpu["ours"], "CPU s", "DuckDB, one statement",
               cpu["duckdb"], cpu["duckdb"] / cpu["ours"], "1.5x, then 2.5x"),
        Figure("... peak memory", peak["ours"], "MB", "DuckDB", peak["duckdb"], peak["ours"] / peak["duckdb"],
               "at most 768 MB"),
        Figure("... peak memory of half the rows", half_peak, "MB", "of all rows", peak["ours"],
               peak["ours"] / half_peak, "constant"),
        Figure("... size", size["ours"], "MB", "DuckDB, zstd", size["duckdb"], size["ours"] / size["duckdb"],
               "at most .75"),
        Figure("... read back whole", back["ours"], "CPU s", "DuckDB's file", back["duckdb"],
               back["duckdb"] / back["ours"], "at least 1.5x"),
        Figure("... from the zip", zip_cpu, "CPU s", "inflating it with zlib", inflate, zip_cpu / inflate,
               "at most 2.5"),
        Figure("... `scalper ingest` over it again, nothing new, wall", second, "s", goal="at most 1 s"),
        Figure("... `scalper ingest` over it again, nothing new, CPU", second_cpu, "s"),
    ]  # fmt: skip
