"""The bars of a symbol: a new or changed day costs that day, and the result is that of all days at once."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from realdata import real_data

from scalper_ml.layers import bars as layer
from scalper_ml.layers.bars import BARS_FROM_TICKS, EVENT_BARS_LAYER
from scalper_ml.layers.ticks import TICKS_LAYER
from scalper_ml.project import Project
from scalper_ml.settings_file import load_settings

SETTINGS = Path(__file__).resolve().parents[2] / "config" / "settings.yaml"
KEYS = {"symbol": "EDGEUSDT"}
MS, DAY_MS = 1_704_067_200_000, 86_400_000


def project_of(folder: Path, *overrides: str) -> Project:
    """A project that reads tick files of EDGEUSDT from its folder `raw`."""
    (folder / "raw").mkdir(parents=True, exist_ok=True)
    options = ["source.kind=ticks", f"source.folder={folder / 'raw'}", f"storage.root={folder / 'warehouse'}"]
    return Project(load_settings(SETTINGS, overrides=[*options, *overrides]), folder)


def write_day(folder: Path, day: int, *, late: bool = False) -> None:
    """A tick file of one day, with a trade a little before midnight; the late version has one trade more."""
    rows = [(day * DAY_MS + 40_000 * i, 100 + i % 7, 1 + i % 3, "buy" if i % 2 else "sell", 2 * i) for i in range(2160)]
    if late:
        rows.append((day * DAY_MS + 41_000, 200, 1, "buy", 3))
    text = "".join(f"{MS + at},{price},{qty},{side},{day * 10_000 + n}\n" for at, price, qty, side, n in rows)
    (folder / "raw" / f"EDGEUSDT-{day}{'-late' if late else ''}.csv").write_text("ts,price,qty,side,id\n" + text)


def build(project: Project) -> pa.Table:
    """Ticks and bars built; the bars."""
    TICKS_LAYER.build(project, KEYS)
    return project.warehouse.read_table(BARS_FROM_TICKS.build(project, KEYS))


def test_a_new_day_extends_bars_and_equals_all_days_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Days added one by one give the bytes of all days at once, and only the new day's ticks are read."""
    grown = project_of(tmp_path / "grown")
    for day in range(4):
        write_day(grown.folder, day)
        read: list[str] = []
        original = layer._ticks_of
        monkeypatch.setattr(layer, "_ticks_of", lambda p, t, d, o=original, r=read: (r.append(d), o(p, t, d))[1])
        bars = build(grown)
        monkeypatch.setattr(layer, "_ticks_of", original)
        assert read == [f"2024-01-0{day + 1}"]
    once = project_of(tmp_path / "once")
    shutil.copytree(grown.folder / "raw", once.folder / "raw", dirs_exist_ok=True)
    assert build(once).equals(bars)
    contents = [project.warehouse.require("bars", KEYS).content for project in (grown, once)]
    assert contents[0] == contents[1]


def test_a_late_trade_revises_its_own_bars_alone(tmp_path: Path) -> None:
    """A late trade changes the bar it belongs to, which then says that it was revised; nothing else changes."""
    project = project_of(tmp_path)
    for day in range(3):
        write_day(project.folder, day)
    before = build(project).to_pylist()
    write_day(project.folder, 1, late=True)
    after = build(project).to_pylist()
    changed = [row for row, old in zip(after, before, strict=True) if row != old]
    assert [(row["high"], row["revision"]) for row in changed] == [(200.0, 1)]
    assert sum(row["revision"] for row in after) == 1


def test_bars_built_again_from_the_same_ticks_are_the_same(tmp_path: Path) -> None:
    """Revisions are kept where nothing changed, that of the last bar, too: building twice changes no byte."""
    project = project_of(tmp_path)
    for day in range(2):
        write_day(project.folder, day)
    build(project)
    write_day(project.folder, 1, late=True)
    first = build(project)
    contents = project.warehouse.require("bars", KEYS).content
    assert build(project).equals(first)
    assert project.warehouse.require("bars", KEYS).content == contents


def test_event_bars_stand_beside_time_bars(tmp_path: Path) -> None:
    """The settings name event bars: each is a file, grown by days, as one build of all days would give it."""
    options = "bars.events=[{kind: tick, size: 100}, {kind: dollar, size: 50000}, {kind: volume, size: 1234567.5}]"
    grown, once = project_of(tmp_path / "grown", options), project_of(tmp_path / "once", options)
    for day in range(3):
        write_day(grown.folder, day)
        TICKS_LAYER.build(grown, KEYS)
        manifest = EVENT_BARS_LAYER.build(grown, KEYS)
    shutil.copytree(grown.folder / "raw", once.folder / "raw", dirs_exist_ok=True)
    TICKS_LAYER.build(once, KEYS)
    assert EVENT_BARS_LAYER.build(once, KEYS).content == manifest.content
    ticks = grown.warehouse.read_table(manifest, "tick_100.parquet")
    assert set(ticks["trades"].to_pylist()) == {100}
    assert ticks.num_rows == 3 * 2160 // 100
    dollars = grown.warehouse.read_table(manifest, "dollar_50000.parquet")
    assert min(dollars["quote_volume"].to_pylist()) >= 50_000
    assert "volume_1234567.5.parquet" in manifest.files, "sizes that differ have names that differ"
    assert EVENT_BARS_LAYER.fresh(grown, KEYS)


def test_klines_of_the_venue_reconcile_with_own_bars(tmp_path: Path) -> None:
    """Real trades against the klines of the same time: the check passes, and fails if one kline is altered."""
    folder = "ticks/binance_spot_XRPETH_2019-10-11"
    project = project_of(tmp_path, f"bars.klines={tmp_path / 'klines'}", "source.markets={}")
    shutil.copy(real_data(f"{folder}/XRP_ETH-trades.feather"), tmp_path / "raw" / "EDGEUSDT.feather")
    klines = tmp_path / "klines" / "EDGEUSDT.parquet"
    klines.parent.mkdir()
    frame = pa.feather.read_table(real_data(f"{folder}/XRP_ETH-1m.feather"))
    pq.write_table(frame, klines)
    TICKS_LAYER.build(project, KEYS)
    manifest = BARS_FROM_TICKS.build(project, KEYS)
    check = next(one for one in manifest.checks if one["name"] == "reconciled")
    assert check["passed"], check["description"]
    assert check["values"]["both"] > 2000
    highs = frame["high"].to_pylist()
    highs[500] *= 1.01
    pq.write_table(frame.set_column(frame.schema.get_field_index("high"), "high", pa.array(highs)), klines)
    assert not BARS_FROM_TICKS.fresh(project, KEYS)
    manifest = BARS_FROM_TICKS.build(project, KEYS)
    check = next(one for one in manifest.checks if one["name"] == "reconciled")
    assert not check["passed"]
    assert not check["blocking"]


def test_a_file_of_mostly_rejected_rows_is_not_published(tmp_path: Path) -> None:
    """A wrong mapping that rejects nearly every row blocks the ticks instead of publishing the few it could read."""
    project = project_of(tmp_path)
    rows = [f"{MS + i},{'x' if i % 10 else 1},1,buy,{i}" for i in range(100)]
    (tmp_path / "raw" / "EDGEUSDT.csv").write_text("\n".join(["ts,price,qty,side,id", *rows]) + "\n")
    TICKS_LAYER.build(project, KEYS)
    assert project.warehouse.manifest("ticks", KEYS) is None
    blocked = project.warehouse.blocked("ticks", KEYS)
    assert blocked is not None
    assert "readable" in [check["name"] for check in blocked["failed"]]
