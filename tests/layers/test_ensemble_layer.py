"""Models, ensembles and the candidate of a project: chosen by the settings, refused by name, scored as they are."""

import dataclasses
import json
from pathlib import Path

import pytest
from featureproject import KEYS, build_features, make_feature_project
from tickproject import TickProject

from scalper_assets.metadata import describe
from scalper_ml.errors import SettingsError, WarehouseError
from scalper_ml.layers import layers_of
from scalper_ml.layers.base import Layer
from scalper_ml.layers.datasets import DATASETS_LAYER
from scalper_ml.layers.models import bundle_of, model_layer
from scalper_ml.models.registry import model_kind
from scalper_ml.project import Project

ROW = KEYS | {"horizon": 1}
OPTIONS = (
    "training.kinds=[logistic_classifier, lgb_classifier]",
    "training.lgb_classifier.max_rounds=10",
    "ensembles.kinds=[weighted_average, stacking]",
    "splits.folds=2",
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> TickProject:
    """Features of three thousand bars, and a dataset of them."""
    with pytest.MonkeyPatch.context() as patch:
        place = make_feature_project(tmp_path_factory.mktemp("ensembles") / "project", patch)
        build_features(place)
        DATASETS_LAYER.build(place.open(), ROW)
    return place


@pytest.fixture
def place(built: TickProject, monkeypatch: pytest.MonkeyPatch) -> TickProject:
    return dataclasses.replace(built, patch=monkeypatch)


def layers(project: Project) -> dict[str, Layer]:
    return {layer.name: layer for layer in layers_of(project.settings)}


def test_settings_name_what_is_trained_and_combined(place: TickProject) -> None:
    """One layer a kind and an ensemble the settings name, each downstream of what it is made of; by default XGBoost."""
    assert [name for name in layers(place.open()) if name.startswith(("models/", "ensembles/"))] == [
        "models/xgb_classifier"
    ]
    found = layers(place.open(*OPTIONS))
    made = ["models/logistic_classifier", "models/lgb_classifier", "ensembles/weighted_average", "ensembles/stacking"]
    assert [name for name in found if name.startswith(("models/", "ensembles/"))] == made
    assert set(found["ensembles/stacking"].upstream) == {*made[:2], "datasets", "features"}
    assert set(found["candidates"].upstream) == {*made, "datasets"}


def test_ensembles_need_two_trained_members(place: TickProject) -> None:
    """Members that are not trained, and an ensemble of one, are refused when the settings are read."""
    with pytest.raises(SettingsError, match=r"members \['cat_classifier'\] are not trained"):
        place.open("ensembles.kinds=[stacking]", "ensembles.members=[cat_classifier, xgb_classifier]")
    with pytest.raises(SettingsError, match="need two members or more"):
        place.open("ensembles.kinds=[stacking]")
    with pytest.raises(SettingsError, match="'oracle' is unknown; expected one of majority_vote"):
        place.open(*OPTIONS, "ensembles.kinds=[oracle]")


def test_the_road_from_models_to_the_candidate(place: TickProject) -> None:
    """Missing and stale members are all named; then the candidate is chosen among models and ensembles, on select."""
    project = place.open(*OPTIONS)
    found = layers(project)
    with pytest.raises(WarehouseError, match=r"logistic_classifier is missing.*lgb_classifier is missing"):
        found["ensembles/stacking"].build(project, ROW)
    for name in ("models/logistic_classifier", "models/lgb_classifier", "ensembles/weighted_average"):
        assert found[name].build(project, ROW).summary["bundle_id"]
    with pytest.raises(WarehouseError, match="ensembles/stacking"):  # configured, and not there: not left out silently
        found["candidates"].build(project, ROW)
    manifest = found["ensembles/stacking"].build(project, ROW)
    assert {check["name"]: check["passed"] for check in manifest.checks}["deterministic"]
    assert set(manifest.summary["members"]) == {"logistic_classifier", "lgb_classifier"}
    assert "members" in describe(project, manifest)
    candidate = found["candidates"].build(project, ROW)
    assert describe(project, candidate)["trials"] == 4
    kinds = {"logistic_classifier", "lgb_classifier", "weighted_average", "stacking"}
    assert {row["kind"] for row in candidate.summary["comparison"]} == kinds
    assert candidate.summary["superiority"]["alternatives"] == 5 * len(kinds)
    assert "superiority" in describe(project, candidate)
    chosen = bundle_of(project, candidate.summary["layer"], ROW)
    assert chosen.bundle_id == candidate.summary["bundle_id"]
    assert chosen.manifest["kind"] == candidate.summary["kind"]
    assert all(layer.fresh(project, ROW) for name, layer in found.items() if name in ("candidates", manifest.layer))

    other = place.open(*OPTIONS, "training.lgb_classifier.max_rounds=11")
    with pytest.raises(WarehouseError, match="lgb_classifier is stale") as caught:
        layers(other)["ensembles/stacking"].build(other, ROW)
    assert "logistic_classifier is" not in str(caught.value)


def test_the_best_parameters_feed_training_and_trials_are_counted(place: TickProject) -> None:
    """After `scalper tune` the model is stale and is trained with the best parameters; its trials reach the candidate.

    `training.tuned=false` keeps those of the settings.
    """
    kinds = ("training.kinds=[logistic_classifier]", "splits.folds=2")
    layer, project = model_layer("logistic_classifier"), place.open(*kinds)
    before = layer.build(project, ROW)
    assert before.summary["tuning"] is None
    arguments = ["--kind", "logistic_classifier", "--symbol", "BTCUSDT", "--horizon", "1", "--trials", "5", "--json"]
    done = place.scalper("tune", *arguments, *(part for option in kinds for part in ("--set", option)))
    assert done.code == 0, done.err
    (study,) = json.loads(done.out)
    assert (study["trials"], study["kind"]) == (5, "logistic_classifier")
    assert not layer.fresh(project, ROW)
    after = layer.build(project, ROW)
    model = bundle_of(project, layer.name, ROW)
    assert model.manifest["params"]["reg_lambda"] == study["params"]["reg_lambda"] != 100.0
    assert model.manifest["lineage"]["tuning"]["trials"] == 5
    assert after.summary["bundle_id"] != before.summary["bundle_id"]
    shown = describe(project, after)
    assert shown["study_trials"] == 5
    assert {"study_scores", "study_params", "reliability_select"} <= set(shown)
    assert "study" not in describe(project, before)
    candidate = {one.name: one for one in layers_of(project.settings)}["candidates"].build(project, ROW)
    assert candidate.summary["trials"] == 1 + 5
    plain = place.open(*kinds, "training.tuned=false")
    assert layer.build(plain, ROW).summary["bundle_id"] == before.summary["bundle_id"]
    done = place.scalper("tune", *arguments[:-1], "--objective", "luck")
    assert done.code == 2
    assert "expected accuracy or log_loss" in done.err


def test_code_of_one_kind_makes_no_other_stale() -> None:
    """What a model partition depends on holds the code of its own kind, and not that of others."""
    from scalper_ml.layers.models import CODE

    assert not any(name in part for part in CODE for name in ("xgb_classifier", "lgb_classifier", "ensembles"))
    assert Path(model_kind("lgb_classifier").fit.__code__.co_filename).stem == "lgb_classifier"
