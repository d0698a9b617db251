"""The features of a project: the live builder on its own ticks and bars, histograms and the NaN map beside them."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from featureproject import KEYS, build_features, make_feature_project, trades
from tickproject import TickProject

from scalper_ml.features.online import FeatureRow, OnlineFeatureBuilder
from scalper_ml.layers import feature_growth, feature_parity
from scalper_ml.layers.bars import BARS_FROM_KLINES
from scalper_ml.layers.features import FEATURES_LAYER, read_features
from scalper_ml.warehouse import Manifest


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> TickProject:
    """Two days and a bit of trades with features."""
    with pytest.MonkeyPatch.context() as patch:
        place = make_feature_project(tmp_path_factory.mktemp("layer") / "project", patch)
        build_features(place)
    return place


@pytest.fixture
def place(built: TickProject, monkeypatch: pytest.MonkeyPatch) -> TickProject:
    return dataclasses.replace(built, patch=monkeypatch)


def check_of(manifest: Manifest, name: str = "online_parity") -> dict[str, Any]:
    """One check's record."""
    return next(one for one in manifest.checks if one["name"] == name)


def test_own_ticks_through_the_live_builder_differ_in_no_bit(place: TickProject) -> None:
    """A day's trades, from the state the bars had before it, give the stored vectors bit for bit."""
    manifest = place.open().warehouse.require("features", KEYS)
    check = check_of(manifest)
    assert check["passed"]
    assert check["blocking"]
    assert check["values"]["source"].startswith("ticks of 2024-01-0")
    assert check["values"]["bars"] > 100
    assert check["values"]["fed"] > 400
    assert check["values"]["first_row"] > 500  # after the warm-up: NaN against NaN would prove nothing
    assert check["values"]["differing_values"] == 0


def test_one_different_bit_live_is_found(place: TickProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """A live builder that is off by the last bit in one column of one bar blocks the partition and names the column."""
    count = iter(range(10_000))
    honest = OnlineFeatureBuilder.push_bar

    def off(self: OnlineFeatureBuilder, *arguments: Any, **more: Any) -> FeatureRow:
        row = honest(self, *arguments, **more)
        if next(count) == 37:
            j = self.names.index("rsi_14")
            row.values[j] = np.nextafter(row.values[j], 1)
        return row

    monkeypatch.setattr(OnlineFeatureBuilder, "push_bar", off)
    project = place.open()
    manifest = FEATURES_LAYER.build(project, KEYS)
    check = check_of(manifest)
    assert not check["passed"]
    assert "differing: rsi_14 (1)" in check["description"]
    assert check["values"]["differing_values"] == 1
    assert project.warehouse.blocked("features", KEYS) is not None
    monkeypatch.setattr(OnlineFeatureBuilder, "push_bar", honest)
    assert check_of(FEATURES_LAYER.build(project, KEYS))["passed"]


def test_no_more_ticks_are_replayed_than_needed(place: TickProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy day is cut short: the check costs the same on any history."""
    monkeypatch.setattr(feature_parity, "MOST_TICKS", 60)
    check = check_of(FEATURES_LAYER.build(place.open(), KEYS))
    assert check["passed"]
    assert check["values"]["fed"] == 60
    assert 5 < check["values"]["bars"] < 20


def test_klines_are_replayed_as_bars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project of klines has no ticks: its bars go through the live builder, and no bit differs."""
    place = make_feature_project(tmp_path / "project", monkeypatch, minutes=10)
    rng = np.random.default_rng(3)
    close = 50 * np.exp(np.cumsum(1e-3 * rng.standard_normal(1500)))
    rows = ["timestamp,open,high,low,close,volume"]
    for i, price in enumerate(close.tolist()):
        before = close[i - 1] if i else price
        high, low = max(before, price) * 1.001, min(before, price) * 0.999
        rows.append(f"{1_704_067_200_000 + 60_000 * i},{before!r},{high!r},{low!r},{price!r},{1 + i % 7}")
    rows = [row.replace("np.float64(", "").replace(")", "") for row in rows]
    place.put("klines/BTCUSDT.csv", "\n".join(rows) + "\n")
    project = place.open("source.kind=klines", "source.folder=klines")
    BARS_FROM_KLINES.build(project, KEYS)
    check = check_of(FEATURES_LAYER.build(project, KEYS))
    assert check["passed"], check
    assert check["values"]["source"] == "bars"
    assert check["values"]["bars"] == feature_parity.MOST_BARS
    assert check["values"]["first_row"] >= 500


def test_histograms_and_nan_map_lie_beside_the_features(place: TickProject) -> None:
    """Each feature has its quantile edges and counts over the warm rows; NaN rows are those before its warm-up."""
    project = place.open()
    manifest = project.warehouse.require("features", KEYS)
    _, warm, values, names = read_features(project, manifest)
    reference = project.warehouse.read_table(manifest, "reference.parquet")
    assert reference["feature"].to_pylist() == list(names)
    assert set(reference["rows"].to_pylist()) == {int(warm.sum())}
    assert reference["nan_rows"].to_pylist() == np.isnan(values).sum(axis=0).tolist()
    said = json.loads(project.warehouse.read_bytes(manifest, "feature_set.json"))
    assert reference["first_valid"].to_pylist() == [said["columns"][name]["warmup"] for name in names]
    j = names.index("rsi_14")
    assert reference["counts"].to_pylist()[j] == pytest.approx([warm.sum() / 10] * 10, abs=1)
    nan_map = manifest.summary["nan_map"]
    assert set(nan_map) == {column["family"] for column in said["columns"].values()}
    assert nan_map["trend"][0] > 0.5
    assert nan_map["trend"][-1] == 0


def test_features_describe_themselves_in_the_ui(place: TickProject) -> None:
    """Metadata: schema with descriptions, the NaN map as a picture, the size of the state, where histograms lie."""
    from scalper_assets.metadata import describe

    project = place.open()
    manifest = project.warehouse.require("features", KEYS)
    metadata = describe(project, manifest)
    columns = {one.name: one.description for one in metadata["dagster/column_schema"].columns}
    assert "Wilder RSI" in columns["rsi_14"]
    assert "from row 280 on" in columns["rsi_14"]
    assert all(columns.values())
    assert metadata["state_bytes"] == manifest.summary["state_bytes"] > 0
    assert "data:image/svg+xml" in metadata["nan_map"].value
    assert "reference.parquet" in metadata["reference_histograms"]


def test_a_new_day_computes_the_last_day_and_the_new_one_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trades of a day and a half more: earlier rows are kept, and every file has the bytes of a build from nothing."""
    whole = trades(5000)
    short = "".join(line for i, line in enumerate(whole.splitlines(keepends=True)) if i <= 3000 * 4)
    grown = make_feature_project(tmp_path / "grown", monkeypatch)
    grown.put("ticks/BTCUSDT.csv", short)
    build_features(grown)
    grown.put("ticks/BTCUSDT.csv", whole)
    computed: list[int] = []
    honest = feature_growth.compute

    def counted(fs: Any, X: Any, ts: Any, state: Any = None) -> Any:
        computed.append(len(ts))
        return honest(fs, X, ts, state)

    monkeypatch.setattr(feature_growth, "compute", counted)
    build_features(grown)
    rows = grown.open().warehouse.require("features", KEYS).summary["rows"]
    assert sum(computed) < rows - 2000
    fresh = make_feature_project(tmp_path / "fresh", monkeypatch)
    fresh.put("ticks/BTCUSDT.csv", whole)
    build_features(fresh)
    mine, theirs = (place.open().warehouse.require("features", KEYS) for place in (grown, fresh))
    assert mine.content == theirs.content


def test_a_changed_past_computes_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trade of the first day that came late changes its bar: nothing published is kept."""
    whole = trades(3000)
    first = whole.splitlines(keepends=True)
    place = make_feature_project(tmp_path / "late", monkeypatch)
    place.put("ticks/BTCUSDT.csv", "".join(first[:500] + first[501:]))
    build_features(place)
    place.put("ticks/BTCUSDT.csv", whole)
    build_features(place)
    fresh = make_feature_project(tmp_path / "whole", monkeypatch)
    build_features(fresh)
    mine, theirs = (one.open().warehouse.require("features", KEYS) for one in (place, fresh))
    assert mine.files["data.parquet"]["sha256"] == theirs.files["data.parquet"]["sha256"]
