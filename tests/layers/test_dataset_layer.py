"""Datasets of a project: scaling chosen in the settings, fitted on train, kept with dataset and bundle."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from featureproject import KEYS, build_features, make_feature_project
from tickproject import TickProject

from scalper_ml.datasets.causal import EwmaNormaliser
from scalper_ml.datasets.scaling import Scaler
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
