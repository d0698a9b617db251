"""The report from bars to decision."""

import json
from functools import cache

import pytest
from papermarket import MINUTE, signal_market

from scalper_ml.backtest.costs import Costs
from scalper_ml.backtest.report import Evaluation, build_report, report_bytes
from scalper_ml.gate.decision import decide
from scalper_ml.gate.thresholds import build_thresholds, thresholds_bytes
from scalper_ml.reports.canonical import content_id

B1 = (
    "balanced_accuracy",
    "f1_long",
    "f1_short",
    "confusion_matrix",
    "trades_taken",
    "win_rate",
    "expectancy_r",
    "profit_factor",
    "max_drawdown",
    "coverage",
)


@cache
def evaluate(rho, fee_bps, seed=1, rows=12_000) -> Evaluation:
    market, _ = signal_market(rows, rho=rho, horizon=3, seed=seed, phi=0.8, select=0.3)
    return build_report(
        market.bars,
        market.dataset,
        market.predictions,
        symbol="AAAUSDT",
        timeframe="1m",
        version="v1",
        horizon=3,
        interval_us=MINUTE,
        costs=Costs(fee_bps, 0.0, impact=0.0),
        seed=5,
        draws=300,
        lineage={"bundle_id": "abc"},
    )


def test_an_edge_that_pays_is_published_with_all_metrics():
    """The paying market is accepted; every metric of B1 is there; confidence is at least the chosen threshold."""
    report = evaluate(0.3, 0.5).report
    assert report["decision"]["action"] == "ACTIVE"
    assert report["decision"]["reason"] == "accepted"
    assert all(report["metrics"][name] is not None for name in B1)
    assert report["decision"]["min_confidence"] >= report["threshold"]["threshold"] >= 0.45
    assert report["metrics"]["trades_taken"] >= 100
    ladder = list(report["metrics"]["expectancy_r_at_cost"].values())
    assert ladder == sorted(ladder, reverse=True)
    assert report["metrics"]["expectancy_r_latency_1"] < report["metrics"]["expectancy_r"]


def test_an_edge_eaten_by_costs_reads_expectancy_not_significant():
    """The same edge at 20 bp a fill: plenty of trades, balanced accuracy significant, expectancy the primary reason."""
    report = evaluate(0.3, 20.0).report
    gates = {gate["name"]: gate["passed"] for gate in report["score"]["gates"]}
    assert report["decision"]["reason"] == "expectancy_not_significant"
    assert gates["too_few_trades"]
    assert gates["balanced_accuracy_not_significant"]
    assert (report["decision"]["status"], report["decision"]["quality_tier"]) == ("NO_TRADE", "REJECTED")
    assert report["metrics"]["expectancy_r_at_cost"]["x0"] > 0 > report["metrics"]["expectancy_r"]


def test_a_null_market_is_rejected():
    """No signal, no costs: REJECTED."""
    report = evaluate(0.0, 0.0, seed=3).report
    assert report["decision"]["quality_tier"] == "REJECTED"
    assert report["decision"]["min_confidence"] == 0.99
    assert report["at_min_confidence"]["trades_taken"] == 0
    assert report["at_min_confidence"]["undefined"]["expectancy_r"] == "no trades"


def test_the_report_is_canonical_json_and_bit_identical_on_recomputation():
    """Same inputs, same bytes; the report id is the hash of everything else."""
    first = evaluate(0.3, 0.5).report
    evaluate.cache_clear()
    second = evaluate(0.3, 0.5).report
    assert report_bytes(first) == report_bytes(second)
    parsed = json.loads(report_bytes(first))
    assert content_id({k: v for k, v in parsed.items() if k != "report_id"}) == first["report_id"]


def test_a_tier_that_keeps_too_few_trades_at_its_confidence_does_not_trade():
    """LOW trades only above .65: where fewer than 100 trades remain there, the action is NO_TRADE."""
    market, _ = signal_market(16_000, rho=0.05, horizon=3, seed=2, phi=0.8, select=0.3)
    evaluation = build_report(
        market.bars,
        market.dataset,
        market.predictions,
        symbol="AAAUSDT",
        timeframe="1m",
        version="v1",
        horizon=3,
        interval_us=MINUTE,
        costs=Costs(0.0, 0.0, impact=0.0),
        seed=5,
        draws=300,
    )
    decision, there = evaluation.report["decision"], evaluation.report["at_min_confidence"]
    assert (decision["quality_tier"], decision["min_confidence"]) == ("LOW", 0.65)
    assert there["trades_taken"] < 100 <= evaluation.report["metrics"]["trades_taken"]
    assert decision["reasons"] == ["too_few_trades_at_min_confidence"]
    assert (decision["action"], decision["status"], decision["size_factor"]) == ("NO_TRADE", "NO_TRADE", 0.0)


@pytest.mark.parametrize(
    ("there", "action", "reason"),
    [
        ({"trades_taken": 99, "expectancy_r": 0.5}, "NO_TRADE", "too_few_trades_at_min_confidence"),
        ({"trades_taken": 0, "expectancy_r": None}, "NO_TRADE", "too_few_trades_at_min_confidence"),
        ({"trades_taken": 100, "expectancy_r": 0.0}, "NO_TRADE", "expectancy_not_positive_at_min_confidence"),
        ({"trades_taken": 100, "expectancy_r": 0.1}, "ACTIVE", "accepted"),
    ],
)
def test_the_trades_at_the_published_confidence_can_only_stop(there, action, reason):
    """An accepted score trades only if at least 100 trades remain at its confidence, and earn."""
    report = evaluate(0.3, 0.5).report
    floors = report["at_tier_floors"] | {"HIGH": {"min_confidence": 0.6, **there}}
    decision = decide({**report, "at_tier_floors": floors})
    assert (decision["action"], decision["reason"]) == (action, reason)
    assert decision["quality_tier"] == "HIGH"


def test_reports_become_thresholds():
    """Reports of one coin at three horizons are published; the accepted one speaks for the coin."""
    reports = [{**evaluate(0.3, fee).report, "horizon": h} for h, fee in ((1, 20.0), (3, 0.5))]
    document = build_thresholds(reports, symbols=["AAAUSDT"], horizons=[1, 3, 5], version="v1", timeframe="1m")
    coin = document["coins"]["AAAUSDT"]
    assert (coin["horizon"], coin["status"]) == (3, "ACTIVE")
    assert coin["horizons"]["1"]["reason"] == "expectancy_not_significant"
    assert coin["horizons"]["5"]["reason"] == "not_scored"
    assert thresholds_bytes(document) == thresholds_bytes(json.loads(thresholds_bytes(document)))


def test_every_trade_lies_in_the_score_role():
    """Every signal traded is a row of the score role, and every row of score was decided."""
    market, _ = signal_market(12_000, rho=0.3, horizon=3, seed=1, phi=0.8, select=0.3)
    rows = dict(zip(market.dataset["ts_us"].to_pylist(), market.dataset["role"].to_pylist(), strict=True))
    run = evaluate(0.3, 0.5).run
    assert {rows[ts] for ts in run.trades["signal_ts_us"].to_pylist()} == {"score"}
    assert run.signals["ts_us"].to_pylist() == [ts for ts, role in rows.items() if role == "score"]
    assert run.signals["ts_us"].take(run.trade_rows).to_pylist() == run.trades["signal_ts_us"].to_pylist()


@pytest.mark.parametrize("name", B1)
def test_no_metric_is_a_placeholder(name):
    """Every metric differs between a paying, a cost-eaten and a null market."""
    values = [json.dumps(evaluate(*key).report["metrics"][name]) for key in ((0.3, 0.5), (0.3, 20.0), (0.0, 0.0, 3))]
    assert len(set(values)) > 1
