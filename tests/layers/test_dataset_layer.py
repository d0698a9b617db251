"""Datasets of a project: scaling chosen in the settings, fitted on train, kept with dataset and bundle."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from featureproject import KEYS, build_features, make_feature_project
from scipy.stats import linregress
from tickproject import MS, TickProject

from scalper_ml.datasets import label_audit
from scalper_ml.datasets.causal import EwmaNormaliser
from scalper_ml.datasets.scaling import Scaler
from scalper_ml.errors import SettingsError
from scalper_ml.labels.horizon import Labels
from scalper_ml.layers import layers_of
from scalper_ml.layers.book import BOOK_LAYER
from scalper_ml.layers.datasets import DATASETS_LAYER, dataset_matrix, read_normaliser, read_scaler
from scalper_ml.layers.features import read_features
from scalper_ml.layers.models import bundle_of, model_layers
from scalper_ml.models.live import LiveModel
from scalper_ml.schema import us

ROW = KEYS | {"horizon": 1}
QUICK = ("training.xgb_classifier.max_rounds=10",)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> TickProject:
    """Features of three thousand bars."""
    with pytest.MonkeyPatch.context() as patch:
        place = make_feature_project(tmp_path_factory.mktemp("datasets") / "project", patch)
        build_features(place)
    return place


@pytest.fixture
def place(built: TickProject, monkeypatch: pytest.MonkeyPatch) -> TickProject:
    return dataclasses.replace(built, patch=monkeypatch)


@pytest.mark.parametrize("kind", ["minmax", "robust", "zscore"])
def test_the_chosen_scaler_is_kept_with_the_dataset(place: TickProject, kind: str) -> None:
    """The settings choose kind and winsor share; what is stored is the fit on the train rows of the features."""
    project = place.open(f"splits.scaler={kind}", "splits.winsor=0.01")
    manifest = DATASETS_LAYER.build(project, ROW)
    table = project.warehouse.read_table(manifest)
    X, names = dataset_matrix(project, ROW, us(table["ts_us"]))
    train = np.flatnonzero(np.array(table["role"].to_pylist()) == "train")
    want = Scaler(kind, winsor=0.01).fit(X, names, rows=train)  # type: ignore[arg-type]
    assert read_scaler(project, manifest).to_dict() == want.to_dict()
    params = json.loads(project.warehouse.read_bytes(manifest, "dataset.json"))["params"]
    assert (params["scaler"], params["winsor"]) == (kind, 0.01)
    assert read_normaliser(project, manifest) is None


def test_causal_scaling_ends_where_live_begins(place: TickProject) -> None:
    """With `ewma` the dataset and the bundle keep the state after the last bar; live goes on from it."""
    options = ("splits.scaler=ewma", "splits.ewma_halflife=300", "splits.winsor=0.001", *QUICK)
    project = place.open(*options)
    manifest = DATASETS_LAYER.build(project, ROW)
    _, warm, values, names = read_features(project, project.warehouse.require("features", KEYS))
    at_end = EwmaNormaliser(names, 300)
    rows, settled = at_end.run(values, warm)
    kept = read_normaliser(project, manifest)
    assert kept is not None
    assert kept.to_dict() == at_end.to_dict()
    table = project.warehouse.read_table(manifest)
    assert table.num_rows <= settled.sum()
    stamps = us(table["ts_us"])
    X, _ = dataset_matrix(project, ROW, stamps, normaliser=kept)
    ts = read_features(project, project.warehouse.require("features", KEYS))[0]
    assert X.tobytes() == rows[np.searchsorted(ts, stamps)].tobytes()
    (layer,) = (one for one in model_layers(project.settings) if one.name == "models/xgb_classifier")
    layer.build(project, ROW)
    model = bundle_of(project, "models/xgb_classifier", ROW)
    assert model.normaliser.to_dict() == at_end.to_dict()
    assert model.scaler.to_dict() == read_scaler(project, manifest).to_dict()
    new = values[-1] * 1.01
    want = model.predict_proba(at_end.update(new)[None])[0]
    assert LiveModel(model).predict(new).tobytes() == want.tobytes()


def test_labels_are_audited(place: TickProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each build labels its newest bars again before other futures; a label that knows its end too soon fails it."""
    project = place.open("labels.price=trade")

    def audited() -> dict[str, Any]:
        manifest = DATASETS_LAYER.build(project, ROW)
        return next(check for check in manifest.checks if check["name"] == "labels_no_future")

    found = audited()
    assert found["passed"]
    assert int(found["description"].split()[0].replace(",", "")) > 5_000
    honest = label_audit.label_bars

    def hasty(*given: Any) -> Labels:
        labels = honest(*given)
        return dataclasses.replace(labels, t1=labels.t1 - 60_000_000)

    monkeypatch.setattr(label_audit, "label_bars", hasty)
    found = audited()
    assert not found["passed"]
    assert "labels saw beyond their end, first" in found["description"]


def test_the_feature_set_lies_beside_the_labels(place: TickProject) -> None:
    """A dataset keeps the set its rows were made of, whatever becomes of the features later."""
    project = place.open()
    manifest = DATASETS_LAYER.build(project, ROW)
    features = project.warehouse.require("features", KEYS)
    assert project.warehouse.read_bytes(manifest, "feature_set.json") == project.warehouse.read_bytes(
        features, "feature_set.json"
    )


def test_selection_is_switched_on_in_the_settings(place: TickProject) -> None:
    """Off by default; on, the bundle of the partition has the chosen set and its id, and the summary says why."""
    project = place.open(*QUICK)
    DATASETS_LAYER.build(project, ROW)
    (layer,) = (one for one in model_layers(project.settings) if one.name == "models/xgb_classifier")
    plain = layer.build(project, ROW)
    assert plain.summary["selection"] is None
    assert plain.summary["feature_set"]["id"] == project.warehouse.require("features", KEYS).summary["feature_set_id"]
    options = ("selection.enabled=true", "selection.keep=7", "selection.folds=2", "selection.rows=300")
    project = place.open(*QUICK, *options)
    assert not layer.fresh(project, ROW)
    manifest = layer.build(project, ROW)
    said = manifest.summary["selection"]
    model = bundle_of(project, "models/xgb_classifier", ROW)
    assert list(model.names) == said["names"]
    assert 1 <= len(model.names) <= 7
    assert manifest.summary["feature_set"] == model.manifest["feature_set"]
    assert manifest.summary["feature_set"]["parent"] == plain.summary["feature_set"]["id"]
    done = place.scalper("features", "select", "--symbol", "BTCUSDT", "--horizon", "1", "--json",
                         *(part for option in options for part in ("--set", option)))  # fmt: skip
    assert done.code == 0, done.err
    shown = json.loads(done.out)
    assert shown["id"] == said["id"]  # the command shows what training does
    assert shown["scores"] == said["scores"]
    text = place.scalper("features", "select", "--symbol", "BTCUSDT", "--horizon", "1", "--limit", "3",
                         *(part for option in options for part in ("--set", option))).out  # fmt: skip
    assert said["id"] in text
    assert "clusters chosen on" in text


def test_settings_out_of_range_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A winsor share above a quarter, a half-life below one bar and an unknown scaler are refused by name."""
    place = make_feature_project(tmp_path / "project", monkeypatch, minutes=10)
    for option in ("splits.winsor=0.4", "splits.ewma_halflife=0", "splits.scaler=log", "selection.keep=0"):
        done = place.scalper("ticks", "status", "--set", option)
        assert done.code == 2
        assert option.partition("=")[0] in done.err


def test_the_version_before_is_kept(place: TickProject, tmp_path: Path) -> None:
    """A changed dataset is told against the one it replaced; a build that changes nothing keeps that; HTML has it."""
    first = DATASETS_LAYER.build(place.open("labels.k_vol=0.30"), ROW)
    changed = DATASETS_LAYER.build(place.open("labels.k_vol=0.45"), ROW)
    again = DATASETS_LAYER.build(place.open("labels.k_vol=0.45"), ROW)
    assert again.content == changed.content != first.content
    page = tmp_path / "profile.html"
    done = place.scalper("profile", "--symbol", "BTCUSDT", "--horizon", "1", "--json", "--html", str(page))
    assert done.code == 0, done.err
    drift = json.loads(done.out)["drift"]
    assert drift["before"] == first.content
    assert drift["rows_before"] == first.summary["label_rows"]
    assert drift["prior_drift"] > 0.01  # another deadband
    assert drift["moved"] == []  # the same features
    assert first.content[:12] in page.read_text()
    assert "against the version before" in place.scalper("profile", "--symbol", "BTCUSDT", "--horizon", "1").out


@pytest.mark.parametrize(
    "options",
    [
        ("labels.price=side_mid",),
        ("labels.price=trade", "labels.latency_ms=500"),
        ("labels.kind=triple_barrier", "labels.price=trade"),
    ],
)
def test_every_price_runs_to_the_backtest(place: TickProject, options: tuple[str, ...]) -> None:
    """Labels on executable prices go through dataset, model, candidate and backtest, which fills where they do."""
    project = place.open(*options, *QUICK)
    for layer in layers_of(project.settings):
        if layer.shape == "symbol_horizon" and layer.name != "champions" and not layer.name.startswith("drift/"):
            manifest = layer.build(project, ROW)
            assert not project.warehouse.blocked(layer.name, ROW), layer.name
    table = project.warehouse.read_table(project.warehouse.require("datasets", ROW))
    trades = project.warehouse.read_table(project.warehouse.require("backtests", ROW), "trades.parquet")
    assert manifest.layer == "backtests"
    rows = dict(zip(us(table["t0_us"]).tolist(), table["entry_price"].to_pylist(), strict=True))
    assert [rows[at] for at in us(trades["signal_ts_us"]).tolist()] == trades["entry_price"].to_pylist()


def quotes(minutes: int) -> str:
    """A dump of quotes, one every seven seconds or so: bid and ask around a price that wanders."""
    rng = np.random.default_rng(6)
    at = np.cumsum(rng.integers(3_000, 11_000, minutes * 9))
    at = at[at < minutes * 60_000]
    mid = 100 * np.exp(np.cumsum(3e-4 * rng.normal(size=at.size)))
    rows = "".join(
        f"{i},{m - 0.01:.4f},2,{m + 0.01:.4f},1,{MS + t},{MS + t}\n"
        for i, (t, m) in enumerate(zip(at.tolist(), mid.tolist(), strict=True))
    )
    return "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time\n" + rows


def test_mids_of_quotes_run_to_the_backtest(place: TickProject) -> None:
    """With labels.price=mid a label's prices are the mids known after the latency, and trades are filled there."""
    text = quotes(3000)
    place.put("quotes/BTCUSDT-bookTicker-2024-01.csv", text)
    with pytest.raises(SettingsError, match=r"'mid' needs quotes; set book\.folder"):
        place.open("labels.price=mid")
    options = ("labels.price=mid", "labels.latency_ms=400", "book.folder=quotes", "book.bands_bps=[]")
    project = place.open(*options, *QUICK)
    BOOK_LAYER.build(project, KEYS)
    for layer in layers_of(project.settings):
        if layer.shape == "symbol_horizon" and layer.name != "champions" and not layer.name.startswith("drift/"):
            layer.build(project, ROW)
    table = project.warehouse.read_table(project.warehouse.require("datasets", ROW))
    lines = [line.split(",") for line in text.splitlines()[1:]]
    known = np.array([int(line[6]) for line in lines])
    mid = [(float(line[1]) + float(line[3])) / 2 for line in lines]
    for row in table.slice(0, 50).to_pylist() + table.slice(table.num_rows - 50).to_pylist():
        ordered_ms = int(row["t0_us"].timestamp() * 1000 + 0.5) + 400
        at, later = (int(np.flatnonzero(known <= moment)[-1]) for moment in (ordered_ms, ordered_ms + 60_000))
        assert (row["entry_price"], row["exit_price"]) == pytest.approx((mid[at], mid[later]), rel=1e-12)
    trades = project.warehouse.read_table(project.warehouse.require("backtests", ROW), "trades.parquet")
    rows = dict(zip(us(table["t0_us"]).tolist(), table["entry_price"].to_pylist(), strict=True))
    assert [rows[at] for at in us(trades["signal_ts_us"]).tolist()] == trades["entry_price"].to_pylist()
    (dataset,) = (layer for layer in layers_of(project.settings) if layer.name == "datasets")
    assert "book" in dataset.upstream
    assert dataset.fresh(project, ROW)
    later = place.open(*options, "labels.latency_ms=500", *QUICK)
    assert not BOOK_LAYER.fresh(later, KEYS)
    assert not dataset.fresh(later, ROW)


def test_targets_lie_beside_the_labels(place: TickProject) -> None:
    """With labels.targets a row a label: the labels' own return, and a variance that a loop over opens gives."""
    project = place.open("labels.targets=true", "horizons=[5]")
    keys = KEYS | {"horizon": 5}
    manifest = DATASETS_LAYER.build(project, keys)
    table, targets = (project.warehouse.read_table(manifest, name) for name in ("data.parquet", "targets.parquet"))
    assert targets["t0_us"].equals(table["t0_us"])
    assert targets["t1_us"].equals(table["t1_us"])
    assert targets["ret"].to_pylist() == table["ret"].to_pylist()
    bars = project.warehouse.read_table(project.warehouse.require("bars", KEYS))
    close, opened = us(bars["ts_us"]), np.log(bars["open"].to_numpy())
    for place_of_row in (0, 500, targets.num_rows - 1):
        entry = int(np.searchsorted(close, us(table["t0_us"])[place_of_row])) + 1
        leave = int(np.searchsorted(close, us(table["t1_us"])[place_of_row]))
        square = sum((opened[i + 1] - opened[i]) ** 2 for i in range(entry, leave))
        assert targets["log_rv"][place_of_row].as_py() == pytest.approx(np.log(square))


def test_straight_moves_count_more(place: TickProject) -> None:
    """With labels.trend the weight of a train row is uniqueness times |t| of a loop's best line, mean 1."""
    options = ("horizons=[6]", "splits.min_rows=500")
    keys = KEYS | {"horizon": 6}
    plain, bent = (
        place.open(*options, f"labels.trend={power}").warehouse.read_table(
            DATASETS_LAYER.build(place.open(*options, f"labels.trend={power}"), keys)
        )
        for power in (0, 1)
    )
    train = plain["role"].to_numpy(zero_copy_only=False) == "train"
    before, after = (table["weight"].to_numpy() for table in (plain, bent))
    assert np.array_equal(before[~train], after[~train])
    assert after[train].mean() == pytest.approx(1)
    bars = place.open().warehouse.read_table(place.open().warehouse.require("bars", KEYS))
    close, opened = us(bars["ts_us"]), np.log(bars["open"].to_numpy())
    rows = np.flatnonzero(train)[[3, 400, 900]]
    lines = []
    for row in rows:
        entry = int(np.searchsorted(close, us(plain["t0_us"])[row])) + 1
        fits = [linregress(np.arange(n + 1), opened[entry : entry + n + 1]) for n in (5, 6)]
        lines.append(max(abs(fit.slope / fit.stderr) for fit in fits))
    ratio = after[rows] / before[rows] / np.array(lines)
    assert ratio == pytest.approx(np.full(3, ratio[0]), rel=1e-6)
    done = place.scalper("settings", "--set", "labels.trend=1")
    assert done.code == 2
    assert "horizons of at least 2 bars" in done.err


def test_meta_labels_of_a_model(place: TickProject) -> None:
    """With labels.meta a layer says of each out-of-fold side what it earned after costs and whether it paid."""
    project = place.open(*QUICK, "labels.meta=xgb_classifier", "labels.kappa=0.02", "labels.k_vol=0.1")
    layers = {layer.name: layer for layer in layers_of(project.settings)}
    for name in ("datasets", "models/xgb_classifier", "meta_labels"):
        manifest = layers[name].build(project, ROW)
    assert layers["meta_labels"].fresh(project, ROW)
    meta = project.warehouse.read_table(manifest).to_pandas()
    model = project.warehouse.require("models/xgb_classifier", ROW)
    predicted = project.warehouse.read_table(model, "predictions.parquet").to_pandas()
    predicted = predicted[predicted["fold"] >= 0]
    sides = predicted[predicted[["p_short", "p_long"]].max(axis=1) > predicted["p_neutral"]]
    assert len(meta) == len(sides) > 100
    data = project.warehouse.read_table(project.warehouse.require("datasets", ROW)).to_pandas()
    joined = meta.merge(data, on="ts_us", suffixes=("", "_label"))
    assert set(joined["role"]) == {"train"}
    net = joined["side"] * (joined["exit_price"] / joined["entry_price"] - 1) - joined["cost"]
    assert meta["net"].to_numpy() == pytest.approx(net.to_numpy())
    assert (meta["y"] == (meta["net"] > 0)).all()
    assert meta["weight"].mean() == pytest.approx(1)
    assert "meta_labels" not in {layer.name for layer in layers_of(place.open().settings)}
    refused = place.scalper("settings", "--set", "labels.meta=oracle")
    assert refused.code == 2
    assert "labels.meta 'oracle' is not trained" in refused.err
