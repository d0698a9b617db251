"""`dagster asset materialize` for every asset; bad input; interrupted runs; several workers."""

import contextlib
import gzip
import json
import os
import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

from scalper_ml.layers.ticks import TICKS_LAYER
from scalper_ml.project import Project
from scalper_ml.settings_file import load_settings

EDGE_3 = "3|EDGEUSDT"


EVERY_ASSET = [
    ("ticks", "EDGEUSDT"),
    ("bars", "EDGEUSDT"),
    ("market", None),
    ("features", "EDGEUSDT"),
    ("placebo", "EDGEUSDT"),
    ("datasets", EDGE_3),
    ("models/xgb_classifier", EDGE_3),
    ("candidates", EDGE_3),
    ("backtests", EDGE_3),
    ("thresholds", None),
    ("champions", EDGE_3),
    ("decisions", "EDGEUSDT"),
    ("drift/features", EDGE_3),
    ("drift/predictions", EDGE_3),
    ("drift/performance", EDGE_3),
]


def test_every_asset_materialises_from_the_command_line(tiny_copy: Any) -> None:
    """`dagster asset materialize` works for every asset and gives the content the whole run gave; each is a run."""
    before = tiny_copy.contents()
    succeeded = runs_that_succeeded(tiny_copy)
    warehouse = tiny_copy.project().warehouse
    for manifest in list(warehouse.partitions("")):
        if manifest.keys.get("symbol") != "NULLUSDT":
            shutil.rmtree(warehouse.folder(manifest.layer, manifest.keys))
    for select, partition in EVERY_ASSET:
        done = tiny_copy.materialize(select, partition)
        assert done.returncode == 0, f"{select}: {done.stderr[-3000:]}"
    assert tiny_copy.contents() == before
    assert runs_that_succeeded(tiny_copy) == succeeded + len(EVERY_ASSET)


def runs_that_succeeded(place: Any) -> int:
    """Runs in the project's Dagster instance with status SUCCESS."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", place.environment["DAGSTER_HOME"])
        with DagsterInstance.get() as instance:
            return instance.get_runs_count(RunsFilter(statuses=[DagsterRunStatus.SUCCESS]))


def test_multi_partition_key_from_the_shell(demo: Any) -> None:
    """The command of the README, in a shell of its own, with a key of two dimensions."""
    command = ("asset", "materialize", "-m", "scalper_assets.definitions", "--select", "datasets")
    done = demo[0].shell("dagster", *command, "--partition", "1|NULLUSDT")
    assert done.returncode == 0, done.stderr[-3000:]


def test_unknown_symbol_is_refused(tiny: Any) -> None:
    """A symbol that is not configured is refused by both command lines, with the ones that are."""
    done = tiny.scalper("run", "--symbols", "FOOUSDT")
    assert done.returncode == 2
    assert "'FOOUSDT' is not configured" in done.stdout
    assert "EDGEUSDT" in done.stdout
    done = tiny.materialize("bars", "FOOUSDT")
    assert done.returncode != 0
    assert "FOOUSDT" in done.stderr + done.stdout


def ticks_place(tiny_copy: Any, data: bytes, name: str = "EDGEUSDT_trades.csv") -> Any:
    """The copied project reading tick files instead of planted markets: one file of EDGEUSDT."""
    folder = tiny_copy.folder / "mine"
    folder.mkdir()
    (folder / name).write_bytes(data)
    return {"SCALPER__SOURCE__KIND": "ticks", "SCALPER__SOURCE__FOLDER": json.dumps(str(folder))}


GOOD = "\n".join(
    [
        "ts,price,qty,side",
        *(
            f"{1_767_225_600_000_000 + 7_000_000 * i},{100 + (i % 7) / 100:.2f},1.5,{'buy' if i % 3 else 'sell'}"
            for i in range(500)
        ),
    ]
)


BROKEN = [
    (b"", "EDGEUSDT.csv", ["EDGEUSDT.csv", "empty"]),
    (b"ts,price,qty,side\n", "EDGEUSDT.csv", ["EDGEUSDT.csv"]),
    (b"when,cost\n1,2\n", "EDGEUSDT.csv", ["EDGEUSDT.csv", "price"]),
    (GOOD.replace("side", "sidex").encode(), "EDGEUSDT.csv", ["EDGEUSDT.csv", "side"]),
    (gzip.compress(GOOD.encode())[:-40], "EDGEUSDT.csv.gz", ["EDGEUSDT.csv.gz", "truncated"]),
    (b"PK\x03\x04 not a zip", "EDGEUSDT.zip", ["EDGEUSDT.zip"]),
]


@pytest.mark.parametrize(("data", "name", "parts"), BROKEN)
def test_broken_file_is_refused_by_name(tmp_path: Path, data: bytes, name: str, parts: list[str]) -> None:
    """A file that cannot be read fails a blocking check that names it, and nothing is published."""
    (tmp_path / name).write_bytes(data)
    shipped = Path(__file__).resolve().parents[2] / "config" / "settings.yaml"
    overrides = ["source.kind=ticks", f"source.folder={tmp_path}", f"storage.root={tmp_path / 'warehouse'}"]
    project = Project(load_settings(shipped, overrides=overrides), tmp_path)
    manifest = TICKS_LAYER.build(project, {"symbol": "EDGEUSDT"})
    (read,) = (check for check in manifest.checks if check["name"] == "files_read")
    for part in parts:
        assert part in read["description"]
    assert (read["passed"], read["blocking"]) == (False, True)
    assert project.warehouse.blocked("ticks", {"symbol": "EDGEUSDT"}) is not None
    assert list(project.warehouse.partitions("")) == []


def test_broken_file_fails_the_run_and_keeps_the_last_good(tiny_copy: Any) -> None:
    """A broken file fails its run with the error; the last good partition stays."""
    before = tiny_copy.contents()
    data, name, parts = BROKEN[4]
    done = tiny_copy.materialize("ticks", "EDGEUSDT", **ticks_place(tiny_copy, data, name))
    assert done.returncode != 0
    for part in ("files_read", *parts):
        assert part in done.stderr
    assert tiny_copy.contents() == before
    refused = tiny_copy.materialize("bars", "EDGEUSDT")
    assert refused.returncode != 0
    assert "failed blocking checks" in refused.stderr


def test_bad_rows_are_quarantined_and_counted(tiny_copy: Any) -> None:
    """Rows with NaN, negative or zero values are set aside with file, line and reason, and a check shows it."""
    lines = GOOD.split("\n")
    lines[10], lines[20], lines[30] = lines[10].replace(",1.5,", ",nan,"), "1767225800000000,-5,1,buy", "what is this"
    variables = ticks_place(tiny_copy, "\n".join(lines).encode())
    done = tiny_copy.materialize("ticks", "EDGEUSDT", **variables)
    assert done.returncode == 0, done.stderr[-2000:]
    warehouse = tiny_copy.project().warehouse
    manifest = warehouse.require("ticks", {"symbol": "EDGEUSDT"})
    assert (manifest.summary["read"], manifest.summary["rows"], manifest.summary["quarantined"]) == (500, 497, 3)
    check = next(c for c in manifest.checks if c["name"] == "quarantine_empty")
    assert (check["passed"], check["blocking"]) == (False, False)
    rows = warehouse.read_table(manifest, "quarantine.parquet").to_pylist()
    assert [(row["file"].endswith("EDGEUSDT_trades.csv"), row["line"]) for row in rows] == [
        (True, 11),
        (True, 21),
        (True, 31),
    ]
    assert all(row["reason"] for row in rows)


def test_unsorted_mixed_units_and_split_files_give_the_same_bars(tiny_copy: Any) -> None:
    """Shuffled rows, a mixture of ms and us, and one file cut in two give the bars of the clean file."""
    lines = GOOD.split("\n")
    head, rows = lines[0], lines[1:]
    variables = ticks_place(tiny_copy, GOOD.encode())
    folder = Path(json.loads(variables["SCALPER__SOURCE__FOLDER"]))
    for select in ("ticks", "bars"):
        done = tiny_copy.materialize(select, "EDGEUSDT", **variables)
        assert done.returncode == 0, done.stderr[-2000:]
    clean = tiny_copy.project().warehouse.require("bars", {"symbol": "EDGEUSDT"})
    random.Random(3).shuffle(rows)
    mixed = [row.replace("000,", ",", 1) if i % 2 else row for i, row in enumerate(rows)]
    (folder / "EDGEUSDT_trades.csv").write_text("\n".join([head, *mixed[:200]]))
    (folder / "EDGEUSDT_more.csv").write_text("\n".join([head, *mixed[200:]]))
    for select in ("ticks", "bars"):
        done = tiny_copy.materialize(select, "EDGEUSDT", **variables)
        assert done.returncode == 0, done.stderr[-2000:]
    again = tiny_copy.project().warehouse.require("bars", {"symbol": "EDGEUSDT"})
    assert again.files["data.parquet"]["sha256"] == clean.files["data.parquet"]["sha256"]


def test_too_few_rows_block_the_dataset_and_whatever_reads_it(tiny_copy: Any) -> None:
    """Too few rows fail the run with a failed check; downstream refuses to read until a build passes."""
    done = tiny_copy.materialize("datasets", EDGE_3, SCALPER__SPLITS__MIN_ROWS="1000000")
    assert done.returncode != 0
    assert "min_rows" in done.stderr
    assert "InsufficientDataError" in done.stderr
    done = tiny_copy.materialize("models/xgb_classifier", EDGE_3)
    assert done.returncode != 0
    assert "failed blocking checks" in done.stderr
    assert tiny_copy.materialize("datasets", EDGE_3).returncode == 0
    assert tiny_copy.materialize("models/xgb_classifier", EDGE_3).returncode == 0


def test_one_class_labels_are_refused(tiny_copy: Any) -> None:
    """A deadband that leaves one class fails the run and says what to change."""
    done = tiny_copy.materialize("datasets", EDGE_3, SCALPER__LABELS__K_VOL="50")
    assert done.returncode != 0
    assert "one class" in done.stderr
    assert "k_vol" in done.stderr


def test_kill_9_leaves_whole_partitions(tiny: Any, tiny_copy: Any) -> None:
    """`kill -9` at a random moment of a run leaves only whole partitions, and a re-run gives the same content."""
    shutil.rmtree(tiny_copy.folder / "warehouse")
    killed_and_repaired(tiny_copy, tiny.contents(), seed=0)


@pytest.mark.verify
@pytest.mark.parametrize("seed", range(1, 20))
def test_kill_9_of_the_demo_leaves_whole_partitions(demo: Any, demo_copy: Any, seed: int) -> None:
    """`kill -9` at a random moment of the demo leaves only whole partitions, and a re-run gives the same content."""
    shutil.rmtree(demo_copy.folder / "warehouse" / "demo" / "features")
    shutil.rmtree(demo_copy.folder / "warehouse" / "demo" / "bars")
    killed_and_repaired(demo_copy, demo[0].contents(), seed)


def killed_and_repaired(place: Any, wanted: dict[str, str], seed: int) -> None:
    """Kill a run while it writes its n-th partition, n drawn; what is there must be whole; run again."""
    draw = random.Random(seed)
    warehouse = place.project().warehouse
    there = len(list(warehouse.partitions("")))
    enough = there + draw.randrange(len(wanted) - there)
    run = place.start("scalper", "run")
    deadline = time.monotonic() + 300
    while len(list(warehouse.partitions(""))) < enough and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(draw.uniform(0, 0.5))
    run.kill()
    assert run.wait().returncode == -signal.SIGKILL
    for manifest in warehouse.partitions(""):
        for name in manifest.files:
            warehouse.read_bytes(manifest, name)  # refuses what is missing or altered
    done = place.scalper("run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert place.contents() == wanted


def test_two_workers_give_the_same_content(tiny: Any, tiny_copy: Any) -> None:
    """Two processes give the content one gives, from the same seed and the same input."""
    built_by_two_workers(tiny_copy, tiny.contents())


@pytest.mark.verify
def test_two_workers_give_the_content_of_the_demo(demo: Any, demo_copy: Any) -> None:
    """Two processes give the demo one gives."""
    built_by_two_workers(demo_copy, demo[0].contents())


def built_by_two_workers(place: Any, wanted: dict[str, str]) -> None:
    """Build everything anew with two workers and compare."""
    shutil.rmtree(place.folder / "warehouse")
    done = place.scalper("run", "--workers", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert place.contents() == wanted


def test_killed_driver_leaves_no_worker(tiny_copy: Any) -> None:
    """When the driver is killed its workers end, too."""
    killed_while_two_work(tiny_copy)


@pytest.mark.verify
def test_killed_driver_of_the_demo_leaves_no_worker(demo_copy: Any) -> None:
    """When the driver is killed amid the demo its workers end, too."""
    killed_while_two_work(demo_copy)


def killed_while_two_work(place: Any) -> None:
    """Kill the driver, and only it, as soon as it has two workers; they have to end."""
    run = place.start("scalper", "run", "--workers", "2", "--force", "--only", "features")
    children: list[int] = []
    deadline = time.monotonic() + 60
    while len(children) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
        children = workers_of(run.pid)
    assert len(children) == 2
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in children) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]


def workers_of(pid: int) -> list[int]:
    """Process ids of the workers a driver has spawned; not that of Python's resource tracker."""
    spawned = []
    for child in children_of(pid):
        with contextlib.suppress(OSError):
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                spawned.append(child)
    return spawned


def children_of(pid: int) -> list[int]:
    """Process ids whose parent is `pid`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(path.read_text().rsplit(")", 1)[1].split()[1]) == pid:
                found.append(int(path.parent.name))
    return found


def test_a_score_of_other_settings_is_no_score(tiny_copy: Any) -> None:
    """Thresholds published under other costs than the backtests' say not_scored and NO_TRADE for all of them."""
    done = tiny_copy.scalper("run", "--only", "thresholds", "--set", "backtest.fee_bps=200")
    assert done.returncode == 0 or "failed" in done.stdout
    published = json.loads((tiny_copy.folder / "config" / "per_coin_thresholds.json").read_text())
    assert {coin["reason"] for coin in published["coins"].values()} == {"not_scored"}
    assert published["summary"]["no_trade_coins"] == 2


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--symbols", ","], "names no symbol"),
        (["--source", "."], "plants its own markets"),
        (["--profile", "majors32"], "name one with --source"),
    ],
)
def test_wrong_option_is_refused(tiny: Any, arguments: list[str], part: str) -> None:
    """A wrong option ends with code 2 and says what is allowed."""
    done = tiny.scalper("run", *arguments)
    assert done.returncode == 2
    assert part in done.stdout


def test_only_one_stage(tiny_copy: Any) -> None:
    """`--only backtest` scores the models that are there without training; an unknown stage is refused."""
    for manifest in list(tiny_copy.project().warehouse.partitions("backtests")):
        shutil.rmtree(tiny_copy.project().warehouse.folder("backtests", manifest.keys))
    done = tiny_copy.scalper("run", "--only", "backtest", "--symbols", "EDGEUSDT", "--horizons", "3")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [m.keys for m in tiny_copy.project().warehouse.partitions("backtests")] == [
        {"symbol": "EDGEUSDT", "horizon": "3"}
    ]
