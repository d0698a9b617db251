"""The warehouse: complete or absent, never half written."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from scalper_ml.bundle_store import BundleStore
from scalper_ml.durable import atomic_write, canonical_json, parquet_bytes
from scalper_ml.errors import ChecksFailedError, ContractError, WarehouseError
from scalper_ml.warehouse import Check, Warehouse

KEYS = {"symbol": "AAAUSDT"}


def table(n: int, start: int = 0) -> bytes:
    return parquet_bytes(pa.table({"x": list(range(start, start + n)), "s": ["a"] * n}))


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "root")


def test_round_trip(warehouse: Warehouse) -> None:
    """What is written is read back, with its manifest."""
    written = warehouse.write("bars", KEYS, {"data.parquet": table(3)}, inputs={"a": 1}, summary={"rows": 3})
    manifest = warehouse.require("bars", KEYS)
    assert manifest == written
    assert warehouse.read_table(manifest).column("x").to_pylist() == [0, 1, 2]


@pytest.mark.parametrize("text", ["", "{}", "null", "[]", '{"layer":'])
def test_what_is_no_manifest_is_named_wherever_it_is_met(warehouse: Warehouse, text: str) -> None:
    """A damaged manifest is named by its path, also where all partitions are gone through."""
    warehouse.write("bars", KEYS, {"data.parquet": table(3)}, inputs={})
    (warehouse.folder("bars", KEYS) / "manifest.json").write_text(text)
    for look in (
        lambda: warehouse.manifest("bars", KEYS),
        lambda: list(warehouse.partitions("")),
        warehouse.refresh_views,
    ):
        with pytest.raises(WarehouseError, match=r"manifest\.json: not a manifest"):
            look()


def test_keys_have_one_order(warehouse: Warehouse) -> None:
    """A partition is found whatever the order in which its keys are given, also through its own manifest."""
    manifest = warehouse.write("datasets", {"horizon": 3, "symbol": "AAAUSDT"}, {"data.parquet": table(2)}, inputs={})
    assert (
        warehouse.folder("datasets", {"symbol": "AAAUSDT", "horizon": 3}).relative_to(warehouse.root).as_posix()
        == "datasets/symbol=AAAUSDT/horizon=3"
    )
    assert warehouse.read_table(warehouse.require("datasets", {"symbol": "AAAUSDT", "horizon": 3})).num_rows == 2
    assert warehouse.read_table(manifest).num_rows == 2


def test_equal_content_has_equal_hash(tmp_path: Path) -> None:
    """The content hash depends on the files' bytes alone."""
    one = Warehouse(tmp_path / "a").write("bars", KEYS, {"data.parquet": table(3)}, inputs={"a": 1})
    two = Warehouse(tmp_path / "b").write("bars", KEYS, {"data.parquet": table(3)}, inputs={"a": 2})
    other = Warehouse(tmp_path / "c").write("bars", KEYS, {"data.parquet": table(4)}, inputs={"a": 1})
    assert one.content == two.content != other.content


def test_replacing_leaves_no_old_file(warehouse: Warehouse) -> None:
    """After a second write only the files of the second are there."""
    warehouse.write("ticks", KEYS, {"date=1/data.parquet": table(3), "date=2/data.parquet": table(2)}, inputs={})
    manifest = warehouse.write("ticks", KEYS, {"date=2/data.parquet": table(5)}, inputs={})
    found = sorted(p.name for p in warehouse.folder("ticks", KEYS).rglob("*") if p.is_file())
    assert found == sorted(["manifest.json", Path(manifest.files["date=2/data.parquet"]["path"]).name])


@pytest.mark.parametrize("fatal_call", range(1, 8))
def test_death_at_any_rename_keeps_the_last_good_partition(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, fatal_call: int
) -> None:
    """A process that dies at any step of a write leaves the old partition or the new one, whole; a re-run completes."""
    warehouse.write("ticks", KEYS, {"date=1/data.parquet": table(3), "date=2/data.parquet": table(2)}, inputs={"v": 1})
    new = {"date=1/data.parquet": table(3), "date=2/data.parquet": table(7), "state.bin": b"s"}
    calls = {"n": 0}
    real = {name: getattr(os, name) for name in ("replace", "fsync")}

    def dying(name: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            calls["n"] += 1
            if calls["n"] == fatal_call:
                raise SystemExit("killed")
            return real[name](*args, **kwargs)

        return call

    for name in real:
        monkeypatch.setattr(os, name, dying(name))
    with contextlib.suppress(SystemExit):
        warehouse.write("ticks", KEYS, new, inputs={"v": 2})
    monkeypatch.undo()
    manifest = warehouse.require("ticks", KEYS)
    rows = sum(warehouse.read_table(manifest, name).num_rows for name in manifest.files if name.endswith(".parquet"))
    assert rows == {1: 5, 2: 10}[manifest.inputs["v"]]
    again = warehouse.write("ticks", KEYS, new, inputs={"v": 2})
    files = sorted(
        p.relative_to(warehouse.folder("ticks", KEYS)).as_posix()
        for p in warehouse.folder("ticks", KEYS).rglob("*")
        if p.is_file()
    )
    assert files == sorted([e["path"] for e in again.files.values()] + ["manifest.json"])


def test_failed_check_blocks_and_keeps_the_last_good(warehouse: Warehouse) -> None:
    """A build whose blocking check failed is not published, and readers refuse the partition until one passes."""
    good = warehouse.write("bars", KEYS, {"data.parquet": table(3)}, inputs={"v": 1})
    warehouse.write(
        "bars",
        KEYS,
        {"data.parquet": table(9)},
        inputs={"v": 2},
        checks=[Check("prices", False, "2 bars break low <= high")],
    )
    assert warehouse.manifest("bars", KEYS) == good
    with pytest.raises(ChecksFailedError, match="prices: 2 bars break"):
        warehouse.require("bars", KEYS)
    assert not warehouse.fresh("bars", KEYS, {"v": 1})
    warehouse.write("bars", KEYS, {"data.parquet": table(4)}, inputs={"v": 3}, checks=[Check("prices", True)])
    assert warehouse.read_table(warehouse.require("bars", KEYS)).num_rows == 4


def test_warning_does_not_block(warehouse: Warehouse) -> None:
    """A failed check that does not block is recorded and the partition is published."""
    warehouse.write(
        "bars", KEYS, {"data.parquet": table(1)}, inputs={}, checks=[Check("gaps", False, "1 gap", blocking=False)]
    )
    assert warehouse.require("bars", KEYS).checks[0]["passed"] is False


def test_fresh_means_equal_inputs(warehouse: Warehouse) -> None:
    """A partition is fresh exactly when it was built from equal inputs."""
    assert not warehouse.fresh("bars", KEYS, {"a": 1})
    warehouse.write("bars", KEYS, {"data.parquet": table(1)}, inputs={"a": 1, "b": [1, 2]})
    assert warehouse.fresh("bars", KEYS, {"b": [1, 2], "a": 1})
    assert not warehouse.fresh("bars", KEYS, {"a": 1, "b": [2, 1]})


def test_altered_file_is_refused(warehouse: Warehouse) -> None:
    """A file whose bytes changed after it was written is refused by name."""
    manifest = warehouse.write("bars", KEYS, {"data.parquet": table(3)}, inputs={})
    path = warehouse.folder("bars", KEYS) / manifest.files["data.parquet"]["path"]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(WarehouseError, match="differs from the manifest"):
        warehouse.read_table(manifest)


def test_missing_partition_says_what_to_do(warehouse: Warehouse) -> None:
    """Asking for what was never materialised names the layer, its keys and the way out."""
    with pytest.raises(WarehouseError, match=r"bars symbol=AAAUSDT.*materialise bars first"):
        warehouse.require("bars", KEYS)


def test_views_see_current_files_only(warehouse: Warehouse) -> None:
    """The DuckDB views read exactly the current files, also after a later write and beside a leftover."""
    warehouse.write("bars", KEYS, {"data.parquet": table(3)}, inputs={})
    warehouse.write("bars", {"symbol": "BBBUSDT"}, {"data.parquet": table(2)}, inputs={})
    warehouse.write("ticks", KEYS, {"date=1/data.parquet": table(3), "date=2/data.parquet": table(2)}, inputs={})
    assert warehouse.refresh_views() == ["bars", "ticks"]
    warehouse.write("bars", KEYS, {"data.parquet": table(6, start=100)}, inputs={})
    (warehouse.folder("bars", KEYS) / "data-000000000000.parquet").write_bytes(table(50))
    with duckdb.connect(str(warehouse.root / "scalper.duckdb"), read_only=True) as connection:
        rows = connection.sql("SELECT symbol, count(*) FROM bars GROUP BY 1 ORDER BY 1").fetchall()
        days = connection.sql("SELECT count(DISTINCT date), count(*) FROM ticks").fetchall()
    assert rows == [("AAAUSDT", 6), ("BBBUSDT", 2)]
    assert days == [(2, 5)]


def test_object_store_is_refused_clearly() -> None:
    """A URL as storage root is refused until object stores are supported."""
    with pytest.raises(WarehouseError, match="only local folders"):
        Warehouse("s3://bucket/x")  # type: ignore[arg-type]


def test_bundle_is_written_once_and_old_ones_are_pruned(tmp_path: Path) -> None:
    """A bundle appears complete under its id; only the newest and the pinned ones are kept."""
    store = BundleStore(tmp_path, keep=2)
    for number, name in enumerate(["a", "b", "c", "d"]):
        folder = store.put(name, {"model.ubj": name.encode(), "manifest.json": b"{}"})
        os.utime(folder, ns=(number, number))
    assert store.prune(pinned=["a"]) == ["b"]
    assert sorted(p.name for p in (tmp_path / "bundles").iterdir()) == ["a", "c", "d"]


def test_partition_write_leaves_bundles_alone(warehouse: Warehouse) -> None:
    """Publishing the pointer of a model does not sweep its bundles away."""
    keys = {"symbol": "AAAUSDT", "horizon": 1}
    store = BundleStore(warehouse.folder("models/xgb_classifier", keys))
    folder = store.put("abc", {"model.ubj": b"m", "manifest.json": b"{}"})
    warehouse.write("models/xgb_classifier", keys, {"bundle.json": b"{}"}, inputs={})
    assert sorted(p.name for p in folder.iterdir()) == ["manifest.json", "model.ubj"]
    assert [m.layer for m in warehouse.partitions("")] == ["models/xgb_classifier"]


def test_atomic_write_replaces_whole_files(tmp_path: Path) -> None:
    """An atomic write replaces the content and leaves no temporary file."""
    path = tmp_path / "deep" / "x.json"
    atomic_write(path, b"1")
    atomic_write(path, b"2")
    assert path.read_bytes() == b"2"
    assert [p.name for p in path.parent.iterdir()] == ["x.json"]


def test_canonical_json_refuses_nan() -> None:
    """Equal values give equal bytes, and NaN is refused."""
    assert canonical_json({"b": 1, "a": [1.5]}) == b'{"a":[1.5],"b":1}'
    with pytest.raises(ContractError, match="Out of range float"):
        canonical_json({"a": float("nan")})
    assert json.loads(canonical_json({"a": 1}, indent=1)) == {"a": 1}


def test_damaged_and_lost_files_are_not_fresh_and_heal(warehouse: Warehouse) -> None:
    """A file that is lost is not fresh; one of the same size but other bytes is written anew by the next build."""
    manifest = warehouse.write("bars", KEYS, {"data.parquet": table(3)}, inputs={"v": 1})
    path = warehouse.folder("bars", KEYS) / manifest.files["data.parquet"]["path"]
    path.write_bytes(b"x" * path.stat().st_size)
    warehouse.write("bars", KEYS, {"data.parquet": table(3)}, inputs={"v": 1})
    assert warehouse.read_table(warehouse.require("bars", KEYS)).num_rows == 3
    path.unlink()
    assert not warehouse.fresh("bars", KEYS, {"v": 1})


def test_damaged_bundle_is_replaced(tmp_path: Path) -> None:
    """Putting a bundle whose copy on disk is damaged writes it anew."""
    store = BundleStore(tmp_path)
    folder = store.put("a", {"model.ubj": b"right"})
    (folder / "model.ubj").write_bytes(b"wrong")
    assert (store.put("a", {"model.ubj": b"right"}) / "model.ubj").read_bytes() == b"right"


def test_writers_of_one_partition_take_turns(warehouse: Warehouse) -> None:
    """Many writers at once leave one whole partition, whichever was last."""
    from concurrent.futures import ThreadPoolExecutor

    def write(n: int) -> None:
        warehouse.write("bars", KEYS, {"data.parquet": table(n), "extra.parquet": table(n)}, inputs={"n": n})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(1, 40)))
    manifest = warehouse.require("bars", KEYS)
    sizes = {warehouse.read_table(manifest, name).num_rows for name in manifest.files}
    assert sizes == {manifest.inputs["n"]}


def test_failed_build_blocks_readers(warehouse: Warehouse) -> None:
    """A build that could not read its input blocks the partition with the reason; the last good files stay."""
    good = warehouse.write("ticks", KEYS, {"data.parquet": table(3)}, inputs={"v": 1})
    warehouse.block("ticks", KEYS, "AAAUSDT.zip: truncated")
    with pytest.raises(ChecksFailedError, match=r"build: AAAUSDT\.zip: truncated"):
        warehouse.require("ticks", KEYS)
    assert warehouse.manifest("ticks", KEYS) == good
