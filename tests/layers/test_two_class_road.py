"""Labels without a deadband all the way: dataset, models, ensemble, candidate, backtest, thresholds."""

import json
from pathlib import Path

from scalper_ml.scenarios.play import play
from scalper_ml.scenarios.registry import scenario
from scalper_ml.scenarios.scenario import Case
from scalper_ml.scenarios.scored import partition

KEYS = partition("THINUSDT", 15)


def test_binary_labels_go_all_the_way(tmp_path: Path) -> None:
    """A market with a strong edge is learned from ups and downs, traded, scored against one half, and published."""
    project = Case(scenario("thin"), tmp_path, fast=True).open(
        ("THINUSDT",),
        labels={"kind": "binary"},
        training={"kinds": ["logistic_classifier", "xgb_classifier"], "xgb_classifier": {"max_rounds": 30}},
        ensembles={"kinds": ["weighted_average"]},
    )
    play(project)
    warehouse = project.warehouse
    dataset = warehouse.require("datasets", KEYS)
    assert dataset.summary["classes"] == ["SHORT", "LONG"]
    y = warehouse.read_table(dataset)["y"].to_numpy()
    assert dataset.summary["flat"] == int((y == 1).sum())
    for layer in ("models/logistic_classifier", "models/xgb_classifier", "ensembles/weighted_average"):
        found = warehouse.require(layer, KEYS).summary["metrics"]["select"]
        assert found["balanced_accuracy"]["chance"] == 0.5
    report = json.loads(warehouse.read_bytes(warehouse.require("backtests", KEYS), "report.json"))
    assert report["metrics"]["chance_balanced_accuracy"] == 0.5
    assert report["metrics"]["balanced_accuracy"] > 0.55
    assert report["metrics"]["trades_taken"] > 20
    published = json.loads(warehouse.read_bytes(warehouse.require("thresholds", {}), "thresholds.json"))
    assert "THINUSDT" in json.dumps(published)
