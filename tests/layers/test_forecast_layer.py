"""Forecasters of a project: named by the settings, built as assets, answered as documented."""

import dataclasses
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from featureproject import KEYS, build_features, make_feature_project
from tickproject import MS, TickProject

from scalper_assets.assets.catalogue import CATALOGUE
from scalper_assets.metadata import describe
from scalper_ml import forecasters
from scalper_ml.errors import InsufficientDataError, SettingsError, WarehouseError
from scalper_ml.forecasters.registry import forecaster_kinds
from scalper_ml.layers import layers_of
from scalper_ml.layers.base import Layer
from scalper_ml.layers.context import CONTEXT_LAYER
from scalper_ml.layers.datasets import DATASETS_LAYER
from scalper_ml.layers.evaluation import explain_forecast
from scalper_ml.layers.forecasts import FORECAST_CODE, answer_of, evaluate_forecast, forecast_arrays, forecast_of
from scalper_ml.layers.model_report import write_site
from scalper_ml.project import Project
from scalper_ml.schema import TARGETS, us

ROW = KEYS | {"horizon": 1}
OPTIONS = (
    "labels.targets=true",
    "forecasts.kinds=[xgb_regressor, risk, direction]",
    "forecasts.xgb_regressor.max_rounds=10",
    "forecasts.direction.max_rounds=10",
    "forecasts.risk.trees=10",
    "forecasts.targets.xgb_regressor=risk",
    "forecasts.stack=[xgb_regressor, risk]",
    "splits.folds=2",
)


WHERE = ("--symbol", "BTCUSDT", "--horizon", "1")


def sets(options: tuple[str, ...]) -> list[str]:
    return [word for option in options for word in ("--set", option)]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> TickProject:
    """Features of three thousand bars, and a dataset of them with targets."""
    with pytest.MonkeyPatch.context() as patch:
        place = make_feature_project(tmp_path_factory.mktemp("forecasts") / "project", patch)
        build_features(place)
        DATASETS_LAYER.build(place.open(*OPTIONS), ROW)
    return place


@pytest.fixture
def place(built: TickProject, monkeypatch: pytest.MonkeyPatch) -> TickProject:
    return dataclasses.replace(built, patch=monkeypatch)


def layers(project: Project) -> dict[str, Layer]:
    return {layer.name: layer for layer in layers_of(project.settings)}


def test_settings_name_what_is_forecast(place: TickProject) -> None:
    """A layer a forecaster and one for their stack; what cannot be is refused when the settings are read."""
    found = layers(place.open(*OPTIONS))
    assert {"models/xgb_regressor", "models/risk", "models/direction"} <= set(found)
    members = {"models/xgb_regressor", "models/risk"}
    assert set(found["ensembles/ridge_stack"].upstream) == members | {"datasets", "features"}
    assert not {"models/risk", "ensembles/ridge_stack"} & set(found["candidates"].upstream)
    for override, match in (
        ("labels.targets=false", "set labels.targets to true"),
        ("forecasts.kinds=[oracle]", "'oracle' is unknown; expected one of"),
        ("forecasts.targets.risk=volatility", r"target 'volatility' is none it learns; expected one of \('risk',\)"),
        ("forecasts.stack=[xgb_regressor]", "two members or more"),
        ("forecasts.stack=[xgb_regressor, price]", r"stack \['price'\] are not trained"),
        ("forecasts.risk.trees=0", "trees: found 0"),
    ):
        with pytest.raises(SettingsError, match=match):
            place.open(*OPTIONS, override)


def test_the_code_that_forecasters_are_made_by_is_all_of_it() -> None:
    """Each module of the models that a forecaster's imports name makes its partition stale when it changes."""
    found = set()
    for path in Path(forecasters.__file__).parent.rglob("*.py"):
        found |= set(re.findall(r"^\s*from scalper_ml\.(models\.\w+)", path.read_text(), re.MULTILINE))
    assert {"models.bundle", "models.xgb_classifier"} <= found
    assert {name.replace(".", "/") for name in found} <= set(FORECAST_CODE)


def test_every_forecaster_stands_in_the_catalogue() -> None:
    """Each kind has an entry with its documented answer or purpose and a meaning for every check."""
    for kind in forecaster_kinds():
        entry = CATALOGUE[f"models/{kind}"]
        assert set(entry.checks) == {"skill", "calibrated", "loads", "deterministic", "latency"}
        assert entry.kinds


def test_the_road_from_a_dataset_to_an_answer(place: TickProject) -> None:
    """Forecasters and their stack are built, checked, described and answer; stale and missing members are named."""
    project = place.open(*OPTIONS)
    found = layers(project)
    with pytest.raises(WarehouseError, match=r"xgb_regressor is missing.*risk is missing"):
        found["ensembles/ridge_stack"].build(project, ROW)
    for name in ("models/xgb_regressor", "models/risk", "models/direction", "ensembles/ridge_stack"):
        manifest = found[name].build(project, ROW)
        checks = {check["name"]: check["passed"] for check in manifest.checks}
        assert set(checks) == {"skill", "calibrated", "loads", "deterministic", "latency"}
        assert checks["loads"]
        assert checks["deterministic"]
        assert found[name].fresh(project, ROW)
        shown = describe(project, manifest)
        assert {"target", "baseline", "select", "importance", "bundle_id"} <= set(shown)
    assert "members" in shown
    assert forecast_of(project, "models/risk", ROW).target.name == "risk"
    answer = answer_of(project, ROW, "direction")
    assert answer["direction"] in ("UP", "DOWN")
    assert 0.5 <= answer["confidence"] < 1
    assert set(answer_of(project, ROW, "ridge_stack")) >= {"risk", "low", "high", "state", "confidence"}
    said = evaluate_forecast(project, ROW, "risk")
    told = project.warehouse.require("models/risk", ROW).summary["metrics"]["select"]
    assert said["r2"] == told["r2"]
    assert evaluate_forecast(project, ROW, "direction", "score")["rows"] > 0
    other = place.open(*OPTIONS, "forecasts.risk.trees=11")
    with pytest.raises(WarehouseError, match="risk is stale") as caught:
        layers(other)["ensembles/ridge_stack"].build(other, ROW)
    assert "xgb_regressor is" not in str(caught.value)
    with pytest.raises(SettingsError, match="no forecaster of this project"):
        answer_of(project, ROW, "momentum")


def test_forecasters_are_explained(place: TickProject) -> None:
    """Trees by contributions, of which a single forecast is the sum; others, and on demand all, by permutation."""
    options = (
        *OPTIONS,
        "forecasts.kinds=[xgb_regressor, risk, direction, momentum]",
        "forecasts.momentum.max_rows=100",
    )
    project = place.open(*options)
    X, table = forecast_arrays(project, ROW, "risk")[0][:2]
    stamp = int(us(table["ts_us"])[-5])
    at = f"{np.datetime64(stamp, 'us').astype('datetime64[s]')}Z"
    for kind, what in (
        ("risk", "risk (0 to 100)"),
        ("xgb_regressor", "risk (0 to 100)"),
        ("direction", "log-odds of UP"),
    ):
        layers(project)[f"models/{kind}"].build(project, ROW)
        found = explain_forecast(project, ROW, kind, rows=40, at=at)
        assert (found.method, found.rows, len(found.effects)) == (f"contributions to {what}", 40, X.shape[1])
        assert found.row is not None
        said = forecast_of(project, f"models/{kind}", ROW).predict(X, np.array([len(X) - 5]))[0]
        total = found.row.base + sum(part for _, _, part in found.row.contributions)
        assert total == pytest.approx(found.row.odds, rel=1e-9)
        if kind == "direction":
            assert (found.row.states, found.row.probabilities) == (("DOWN", "UP"), tuple(said.tolist()))
        else:
            assert (found.row.odds, found.row.probabilities) == (float(said), ())
    layers(project)["models/momentum"].build(project, ROW)
    found = explain_forecast(project, ROW, "momentum", rows=20)
    assert (found.method, found.rows) == ("rise of the log loss when permuted", 20)
    assert explain_forecast(project, ROW, "risk", rows=20, permute=True).method == (
        "rise of the mean squared error when permuted"
    )
    with pytest.raises(SettingsError, match="momentum: its single predictions cannot be taken apart"):
        explain_forecast(project, ROW, "momentum", rows=20, at=at)
    done = place.scalper("explain", "--kind", "direction", "--at", at, *WHERE, *sets(options))
    assert done.code == 0, done.err
    assert "log-odds of UP" in done.out
    assert "DOWN/UP" in done.out
    done = place.scalper("explain", "--kind", "risk", "--json", *WHERE, *sets(options))
    assert json.loads(done.out)[0]["method"] == "contributions to risk (0 to 100)"


def test_the_site_shows_what_is_built_and_names_what_is_not(place: TickProject, tmp_path: Path) -> None:
    """Pages need nothing else, hold every model built with its honest table, and name what is missing; CSV beside."""
    project = place.open(*OPTIONS, "training.xgb_classifier.max_rounds=10")
    with pytest.raises(WarehouseError, match="no model is built"):
        write_site(project, tmp_path, [KEYS | {"horizon": 2}])
    layers(project)["models/xgb_classifier"].build(project, ROW)
    layers(project)["models/risk"].build(project, ROW)
    written = write_site(project, tmp_path / "site", [ROW])
    assert {path.name for path in written} == {"index.html", "BTCUSDT_1.html", "comparison.csv", "targets.csv"}
    page = (tmp_path / "site" / "BTCUSDT_1.html").read_text()
    for text in (
        "xgb_classifier",
        "risk: risk",
        "asked elsewhere",
        "verdict",
        "taken apart",
        "<svg",
        "Sets of classes",
    ):
        assert text in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "<script" not in page
    assert "BTCUSDT_1.html" in (tmp_path / "site" / "index.html").read_text()
    lines = (tmp_path / "site" / "targets.csv").read_text().splitlines()
    assert lines[0].startswith("symbol,horizon,kind,metric,value")
    assert len({line.split(",")[2] for line in lines[1:]}) >= 2


FED = (
    "labels.targets=true",
    "context.folder=feeds",
    "forecasts.kinds=[lstm_forecaster]",
    "forecasts.targets.lstm_forecaster=open_interest",
    "forecasts.lstm_forecaster={epochs: 1, window: 6, hidden: 4}",
    "forecasts.folds=0",
)


def put_feed(place: TickProject, kind: str) -> list[tuple[int, float]]:
    """Values of a kind five minutes apart, but for six hours, as (known, value): each becomes known 90 s late."""
    rng = np.random.default_rng(8)
    at = 1000 * MS + 300_000_000 * np.concatenate([np.arange(100), np.arange(172, 600)])
    rows = list(zip((at + 90_000_000).tolist(), np.exp(rng.normal(9, 0.1, at.size)).tolist(), strict=True))
    lines = "".join(f"{kind},{known - 90_000_000},{known},{value!r},demo\n" for known, value in rows)
    place.put("feeds/BTCUSDT_long.csv", "kind,event_ts,known_ts,value,source\n" + lines)
    CONTEXT_LAYER.build(place.open(*FED), KEYS)
    return rows


def test_open_interest_is_learnt_where_a_feed_tells_it(place: TickProject) -> None:
    """The target is that of a walk over the feed, unknown where it pauses; a project without the feed is told so."""
    with pytest.raises(SettingsError, match=r"lstm_forecaster.*open_interest.*no such feed; set\s+context\.folder"):
        place.open(*FED, "context.folder=null")
    put_feed(place, "long_short_ratio")
    project = place.open(*FED)
    with pytest.raises(InsufficientDataError, match=r"the context has \['long_short_ratio'\], expected open_interest"):
        forecast_arrays(project, ROW, "open_interest")
    rows = put_feed(place, "open_interest")
    (_, table, targets, _), _, _ = forecast_arrays(project, ROW, "open_interest")
    known, value = (np.array(column) for column in zip(*rows, strict=True))
    minute, old = 60_000_000, 3 * 3_600_000_000
    for t0, t1, found in zip(
        *(us(table[name]).tolist() for name in ("t0_us", "t1_us")), targets["open_interest"].to_pylist(), strict=True
    ):
        assert t0 + minute <= t1
        ends = []
        for moment in (t0, t0 + minute):
            last = int(np.sum(known <= moment)) - 1
            told = last >= 0 and moment - (known[last] - 90_000_000) <= old
            ends.append(math.log(value[last]) if told else math.nan)
        assert found == pytest.approx(ends[1] - ends[0], abs=1e-12, nan_ok=True)
    changes = targets["open_interest"].to_numpy()
    assert 0 < np.isnan(changes).sum() < len(changes)
    assert (changes != 0).sum() > 100
    assert forecast_arrays(project, ROW, "price")[0][2].column_names == TARGETS.names


def test_a_forecaster_of_open_interest_depends_on_its_feed(place: TickProject) -> None:
    """It is built downstream of the context, says where its target is from, answers with a change, and goes stale."""
    pytest.importorskip("torch")
    put_feed(place, "open_interest")
    project = place.open(*FED)
    layer = layers(project)["models/lstm_forecaster"]
    assert layer.upstream == ("datasets", "features", "context")
    manifest = layer.build(project, ROW)
    assert manifest.summary["target"] == "open_interest"
    assert forecast_of(project, layer.name, ROW).manifest["lineage"]["context"] == manifest.inputs["context"]
    answer = answer_of(project, ROW, "lstm_forecaster")
    assert answer["low"] < answer["high"]
    assert abs(answer["open_interest_change"]) < 1
    assert answer["state"] in ("FALLING", "RISING")
    assert evaluate_forecast(project, ROW, "lstm_forecaster")["target"] == "open_interest"
    explained = explain_forecast(project, ROW, "lstm_forecaster", rows=60)
    assert (explained.method, explained.rows) == ("rise of the mean squared error when permuted", 20)
    assert layer.fresh(project, ROW)
    place.put("feeds/BTCUSDT_long.csv", "kind,event_ts,known_ts,value,source\nopen_interest,1,1,1.0,demo\n")
    CONTEXT_LAYER.build(project, KEYS)
    assert not layer.fresh(project, ROW)


def test_a_dataset_without_targets_is_refused_by_name(place: TickProject, tmp_path: Path) -> None:
    """A dataset made before targets were asked for stops a forecaster and says what to set."""
    DATASETS_LAYER.build(place.open("horizons=[1, 2]"), KEYS | {"horizon": 2})
    project = place.open(*OPTIONS, "horizons=[1, 2]")
    with pytest.raises(WarehouseError, match=r"no targets in it; set labels\.targets"):
        layers(project)["models/risk"].build(project, KEYS | {"horizon": 2})
