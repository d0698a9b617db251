"""``scalper train``, ``evaluate``, ``compare`` and ``explain`` on a small project."""

import dataclasses
import json

import numpy as np
import pytest
from featureproject import KEYS, build_features, make_feature_project
from tickproject import Done, TickProject

from scalper_ml.layers.datasets import DATASETS_LAYER
from scalper_ml.layers.evaluation import stale_below
from scalper_ml.layers.models import bundle_of
from scalper_ml.schema import us

ROW = KEYS | {"horizon": 1}
OPTIONS = (
    "symbols=[BTCUSDT]",
    "training.kinds=[logistic_classifier, lgb_classifier]",
    "training.lgb_classifier.max_rounds=10",
    "ensembles.kinds=[weighted_average]",
    "splits.folds=2",
)
SET = [part for option in OPTIONS for part in ("--set", option)]
WHERE = ["--symbol", "BTCUSDT", "--horizon", "1", *SET]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[TickProject, Done]:
    """Features and a dataset of three thousand bars, and what `scalper train` said."""
    with pytest.MonkeyPatch.context() as patch:
        place = make_feature_project(tmp_path_factory.mktemp("commands") / "project", patch)
        build_features(place)
        DATASETS_LAYER.build(place.open(*OPTIONS), ROW)
        done = place.scalper("train", "--json", *SET)
    assert done.code == 0, done.err
    return place, done


@pytest.fixture
def place(trained: tuple[TickProject, Done], monkeypatch: pytest.MonkeyPatch) -> TickProject:
    return dataclasses.replace(trained[0], patch=monkeypatch)


def test_train_builds_what_is_stale_and_nothing_else(trained: tuple[TickProject, Done], place: TickProject) -> None:
    """Models, then ensembles, then the candidate; a second time everything is fresh; --kind and --force rebuild one."""
    made = ["models/logistic_classifier", "models/lgb_classifier", "ensembles/weighted_average", "candidates"]
    first = json.loads(trained[1].out)
    assert [(row["layer"], row["built"]) for row in first] == [(name, True) for name in made]
    again = json.loads(place.scalper("train", "--json", *SET).out)
    assert [(row["layer"], row["built"]) for row in again] == [(name, False) for name in made]
    forced = json.loads(place.scalper("train", "--json", "--force", "--kind", "lgb_classifier", *SET).out)
    assert [(row["layer"], row["built"]) for row in forced] == [("models/lgb_classifier", True)]
    assert forced[0]["bundle_id"] == first[1]["bundle_id"]
    done = place.scalper("train", "--kind", "oracle", *SET)
    assert done.code == 2
    assert "'oracle' is not trained in this project" in done.err
    assert "weighted_average" in place.scalper("train", *SET).out


def test_train_says_where_what_it_reads_is_of_other_settings(place: TickProject) -> None:
    """What is asked for and not in what is there is no silent "fresh": the first layer to be made again is named."""
    project, other = place.open(*OPTIONS), place.open(*OPTIONS, "bars.interval=5m")
    assert stale_below(project, ROW) == "market"  # it was made of two coins, and one of them is asked for
    assert stale_below(other, ROW) == "bars"
    done = place.scalper("train", *SET)
    assert "BTCUSDT x 1: market is of other settings or files" in " ".join(done.err.split())
    assert "fresh" in done.out


def test_evaluate_measures_the_saved_bundle_anew(place: TickProject) -> None:
    """On select the metrics are those sealed with the bundle; AUC by class is beside them; train is refused."""
    done = place.scalper("evaluate", "--kind", "lgb_classifier", "--json", *WHERE)
    assert done.code == 0, done.err
    (found,) = json.loads(done.out)
    manifest = place.open(*OPTIONS).warehouse.require("models/lgb_classifier", ROW)
    sealed = manifest.summary["metrics"]["select"]
    assert {name: found[name] for name in sealed} == sealed
    assert set(found["auc"]) == {"SHORT", "NEUTRAL", "LONG"}
    asked = {row["metric"]: row for row in found["verdicts"]}
    assert asked["balanced accuracy"]["no_skill"] == "0.3333"
    assert asked["accuracy"]["asked"] == "0.55"
    shown = place.scalper("evaluate", "--role", "score", *WHERE)
    assert shown.code == 0, shown.err
    assert "on score of BTCUSDT x 1" in shown.out
    refused = place.scalper("evaluate", "--role", "train", *WHERE)
    assert refused.code == 2
    assert "train rows were fitted on" in refused.err


def test_compare_shows_what_candidates_compared(place: TickProject) -> None:
    """The same rows in the same order as the candidate's, the best first; the chosen one is as good, or simpler."""
    rows = json.loads(place.scalper("compare", "--json", *WHERE).out)
    candidate = place.open(*OPTIONS).warehouse.require("candidates", ROW).summary
    assert rows == candidate["comparison"]
    assert [row["kind"] for row in rows if row["chosen"]] == [candidate["kind"]]
    assert rows[0]["behind"] == 0
    assert all(row["behind"] >= 0 for row in rows)
    assert candidate["kind"] in place.scalper("compare", *WHERE).out


@pytest.mark.parametrize("kind", ["logistic_classifier", "lgb_classifier"])
def test_a_single_prediction_is_taken_apart_exactly(place: TickProject, kind: str) -> None:
    """Base and contributions add up to the log-odds of LONG against SHORT of that very bar."""
    project = place.open(*OPTIONS)
    stamp = us(project.warehouse.read_table(project.warehouse.require("datasets", ROW))["ts_us"])[-1]
    at = f"{np.datetime64(int(stamp), 'us').astype('datetime64[s]')}Z"
    done = place.scalper("explain", "--kind", kind, "--at", at, "--json", "--rows", "50", *WHERE)
    assert done.code == 0, done.err
    (found,) = json.loads(done.out)
    row = found["row"]
    total = row["base"] + sum(part["contribution"] for part in row["contributions"])
    assert total == pytest.approx(row["odds"], abs=1e-6)
    assert len(row["contributions"]) == len(bundle_of(project, f"models/{kind}", ROW).names)
    effects = [one["effect"] for one in found["effects"]]
    assert effects == sorted(effects, reverse=True)
    shown = place.scalper("explain", "--kind", kind, "--at", at, "--rows", "20", "--top", "3", *WHERE)
    assert "log-odds of LONG against SHORT" in shown.out


def test_ensembles_are_explained_by_permutation(place: TickProject) -> None:
    """An ensemble's features are ranked by permutation, and its single predictions are referred to its members."""
    done = place.scalper("explain", "--kind", "weighted_average", "--json", "--rows", "40", *WHERE)
    assert done.code == 0, done.err
    (found,) = json.loads(done.out)
    assert found["method"] == "rise of the log loss when permuted"
    refused = place.scalper(
        "explain", "--kind", "weighted_average", "--at", "2024-01-01T00:00:00Z", "--rows", "20", *WHERE
    )
    assert refused.code == 2
    assert "explain one of ['lgb_classifier', 'logistic_classifier']" in refused.err
    for at, message in {"soon": "expected a moment", "1999-01-01T00:00:00Z": "no labelled bar closed then"}.items():
        done = place.scalper("explain", "--kind", "lgb_classifier", "--at", at, "--rows", "20", *WHERE)
        assert message in done.err


def test_forecasters_that_are_not_there_are_named(place: TickProject) -> None:
    """Without forecasters `forecast` ends with 1 and says where they are named; `explain` lists those there are."""
    for more in ([], ["--json"]):
        done = place.scalper("forecast", *WHERE, *more)
        assert done.code == 1
        assert "forecasts.kinds" in done.err
        assert "answer" not in done.out
    named = ["--set", "labels.targets=true", "--set", "forecasts.kinds=[cnn_lstm]"]
    done = place.scalper("explain", "--kind", "oracle", *WHERE, *named)
    assert done.code == 2
    assert "forecasts.kinds ['cnn_lstm']" in done.err
