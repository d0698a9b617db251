"""The threshold chosen on select, and the document the gate publishes."""

import json

import numpy as np
import pytest
from papergate import FAMILY, report
from papermarket import MINUTE, Market, bars_of, dataset_of, lean, predictions_of

from scalper_ml.backtest.costs import Costs
from scalper_ml.backtest.rows import of_role
from scalper_ml.errors import ContractError, SettingsError
from scalper_ml.gate.threshold_choice import choose_threshold, threshold_grid
from scalper_ml.gate.thresholds import build_thresholds, diff_thresholds, document_id, thresholds_bytes

FREE = Costs(0.0, 0.0, impact=0.0)


def graded_market(seed, *, rows=4_000, sure=0.8, unsure=0.45, select=0.5, shift=0.0) -> Market:
    """h = 1; a third of the rows is confident (.75 and right with `sure`), the rest not (.55, right with `unsure`)."""
    rng = np.random.default_rng(seed)
    price = 100 * np.exp(np.cumsum(np.abs(rng.normal(1e-3, 1e-4, rows)) * rng.choice([-1, 1], rows)))
    bars = bars_of(price, price)
    dataset = dataset_of(bars, horizon=1, sigma=1e-3, select=select)
    up = dataset["ret"].to_numpy() > 0
    confident = rng.random(up.size) < 1 / 3
    right = rng.random(up.size) < np.where(confident, sure, unsure)
    p = np.where(confident, 0.75, 0.55) + shift
    return Market(bars, dataset, predictions_of(dataset, lean(np.where(right == up, p, 1 - p))), 1)


def choose(market: Market, costs=FREE, predictions=None):
    chosen = of_role(market.predictions, "select") if predictions is None else predictions
    return choose_threshold(market.bars, market.dataset, chosen, costs=costs, horizon=1, interval_us=MINUTE)


def test_the_threshold_that_pays_is_chosen():
    """Where only confident rows pay, the chosen threshold trades those and not the others."""
    choice = choose(graded_market(1))
    assert 0.55 < choice.threshold <= 0.75
    assert choice.rule == "best_lower_bound"
    assert choice.trials == len(choice.table) >= 2
    chosen = next(trial for trial in choice.table if trial.threshold == choice.threshold)
    assert chosen.lower == max(trial.lower for trial in choice.table if trial.eligible)


def test_where_nothing_pays_every_row_is_judged():
    """Costs above every edge: no threshold has a positive lower bound, so the most permissive is taken."""
    choice = choose(graded_market(1), costs=Costs(fee_bps=20.0, spread_bps=0.0, impact=0.0))
    assert (choice.threshold, choice.rule) == (0.45, "nothing_pays")


def test_thresholds_that_leave_too_few_trades_are_not_eligible():
    """130 trades are expected on score: with a short score role no choosy threshold remains."""
    choice = choose(graded_market(1, select=0.97))
    assert choice.rule == "too_few_trades"
    assert choice.threshold == 0.45
    assert not any(trial.eligible for trial in choice.table)


def test_expected_trades_scale_with_the_size_of_score():
    """Expected trades on score are those on select times rows on score over rows on select."""
    market = graded_market(1, select=0.8)
    roles = market.dataset["role"].to_pylist()
    for trial in choose(market).table:
        assert trial.expected_trades_on_score == pytest.approx(
            trial.trades * roles.count("score") / roles.count("select")
        )
        assert trial.long_trades + trial.short_trades == trial.trades


def test_score_rows_do_not_influence_the_choice():
    """Predictions of score may be anything: the choice on select is the same, and giving them is refused."""
    market = graded_market(1)
    flipped = market.predictions.to_pandas()
    score = flipped["role"] == "score"
    flipped.loc[score, ["p_short", "p_long"]] = flipped.loc[score, ["p_long", "p_short"]].to_numpy()
    other = Market(market.bars, market.dataset, market.predictions.from_pandas(flipped, preserve_index=False), 1)
    assert choose(other) == choose(market)
    with pytest.raises(ContractError, match="of_role"):
        choose(market, predictions=market.predictions)


def test_the_grid_trades_different_rows_at_each_threshold():
    """Thresholds that trade the same rows count as one trial; the first trades every row."""
    confidence = np.random.default_rng(0).uniform(0.5, 0.8, 500)
    grid = threshold_grid(confidence)
    traded = [int((confidence >= threshold).sum()) for threshold in grid]
    assert grid[0] == 0.45
    assert grid == sorted(grid)
    assert traded == sorted(set(traded), reverse=True)
    assert traded[0] == 500
    assert traded[-1] > 0


def test_the_document_worked_by_hand():
    """Best accepted horizon per coin, missing ones not_scored, LOW counts as active, coverage = 1 - no_trade/coins."""
    reports = [
        report("BTCUSDT", 1, 80.0, floors={"HIGH": {"min_confidence": 0.6, "trades_taken": 99, "expectancy_r": 0.2}}),
        report("BTCUSDT", 3, 55.0),
        report("ETHUSDT", 1, 65.0),
        report("ETHUSDT", 3, 49.9, reason="expectancy_not_significant"),
        report("SOLUSDT", 3, 12.0, reason="too_few_trades"),
        report("DOGEUSDT", 1, 99.0),
    ]
    document = build_thresholds(reports, **FAMILY)
    coins = document["coins"]
    assert list(coins) == FAMILY["symbols"]
    assert (coins["BTCUSDT"]["horizon"], coins["BTCUSDT"]["status"], coins["BTCUSDT"]["action"]) == (3, "ACTIVE", "LOW")
    assert (coins["ETHUSDT"]["horizon"], coins["ETHUSDT"]["status"]) == (1, "WARMUP")
    assert (coins["SOLUSDT"]["horizon"], coins["SOLUSDT"]["reason"]) == (3, "too_few_trades")
    assert coins["SOLUSDT"]["horizons"]["1"]["reason"] == "not_scored"
    assert (coins["XRPUSDT"]["status"], coins["XRPUSDT"]["reason"]) == ("NO_TRADE", "not_scored")
    assert (coins["XRPUSDT"]["horizon"], coins["XRPUSDT"]["score_0_100"]) == (None, None)
    assert document["summary"] == {
        "coins": 4,
        "active_coins": 1,
        "warmup_coins": 1,
        "no_trade_coins": 2,
        "coverage": 0.5,
    }
    entry = coins["ETHUSDT"]["horizons"]["1"]
    assert (entry["report_id"], entry["trades_taken"], entry["expectancy_r"]) == ("ETHUSDT1", 200, 0.1)
    assert entry["at_min_confidence"]["trades_taken"] == 150


def test_equal_scores_take_the_shorter_horizon():
    """Ties between accepted horizons go to the shorter one, whatever the order of the reports."""
    pair = [report("BTCUSDT", 3, 70.0), report("BTCUSDT", 1, 70.0)]
    assert build_thresholds(pair, **FAMILY)["coins"]["BTCUSDT"]["horizon"] == 1


@pytest.mark.parametrize("min_score", [0.0, 40.0, 55.0, 70.0, 100.0])
def test_min_score_only_tightens(min_score):
    """With a min_score no coin trades that did not trade without it, and what it stops says so."""
    reports = [
        report("BTCUSDT", 1, 80.0),
        report("ETHUSDT", 1, 55.0),
        report("SOLUSDT", 1, 30.0, reason="too_few_trades"),
    ]
    free, tight = build_thresholds(reports, **FAMILY), build_thresholds(reports, **FAMILY, min_score=min_score)
    for symbol, coin in tight["coins"].items():
        before = free["coins"][symbol]
        if coin["action"] != before["action"]:
            assert (coin["action"], coin["reason"], coin["size_factor"]) == ("NO_TRADE", "score_below_min_score", 0.0)
            assert before["score_0_100"] < min_score
        assert coin["action"] == "NO_TRADE" or coin["score_0_100"] >= min_score
    assert tight["coins"]["SOLUSDT"]["reason"] == "too_few_trades"


def test_the_bytes_do_not_depend_on_the_order_of_reports():
    """Same reports, same bytes, valid JSON with sorted keys; NaN is refused."""
    reports = [report("BTCUSDT", 1, 80.0), report("ETHUSDT", 3, 55.0), report("SOLUSDT", 1, 30.0)]
    data = thresholds_bytes(build_thresholds(reports, **FAMILY))
    assert data == thresholds_bytes(build_thresholds(reversed(reports), **FAMILY))
    assert json.loads(data)["coins"]["BTCUSDT"]["quality_tier"] == "HIGH"
    broken = report("BTCUSDT", 1, 80.0)
    broken["metrics"]["expectancy_r"] = float("nan")
    with pytest.raises(ContractError, match="JSON"):
        thresholds_bytes(build_thresholds([broken], **FAMILY))


def test_doubtful_reports_are_refused():
    """Two reports of one member, another timeframe and an impossible min_score are errors."""
    with pytest.raises(ContractError, match="two reports for BTCUSDT horizon 1"):
        build_thresholds([report("BTCUSDT", 1, 80.0)] * 2, **FAMILY)
    with pytest.raises(ContractError, match="timeframe '1m'"):
        build_thresholds([report("BTCUSDT", 1, 80.0, timeframe="1m")], **FAMILY)
    with pytest.raises(SettingsError, match="min_score"):
        build_thresholds([], **FAMILY, min_score=101.0)


def test_the_family_decides_what_chance_may_have_picked():
    """One p-value of .02 among eight is no discovery: 49.9, refused; among two it is, but not enough for HIGH."""
    lucky = [report("BTCUSDT", 1, 80.0, p=0.02)]
    entry = build_thresholds(lucky, **FAMILY)["coins"]["BTCUSDT"]["horizons"]["1"]
    assert (entry["reason"], entry["score_0_100"], entry["raw_score"]) == ("family_not_significant", 49.9, 75.0)
    assert entry["q_value"] == pytest.approx(0.16)
    assert entry["action"] == "NO_TRADE"
    two = {**FAMILY, "symbols": ["BTCUSDT"], "horizons": [1, 3]}
    pair = [report("BTCUSDT", 1, 80.0, p=0.03), report("BTCUSDT", 3, 80.0, p=0.04)]
    entry = build_thresholds(pair, **two)["coins"]["BTCUSDT"]["horizons"]["1"]
    assert (entry["quality_tier"], entry["score_0_100"], entry["min_confidence"]) == ("MEDIUM", 74.9, 0.6)
    assert entry["notes"] == ["not_significant_enough_for_high"]


def test_high_needs_a_deflated_sharpe_ratio():
    """A score of 80 whose deflated Sharpe ratio is below .95, or unknown, is MEDIUM and says so."""
    for dsr in (0.94, None):
        coin = build_thresholds([report("BTCUSDT", 1, 80.0, dsr=dsr)], **FAMILY)["coins"]["BTCUSDT"]
        assert (coin["quality_tier"], coin["action"], coin["score_0_100"]) == ("MEDIUM", "WARMUP", 74.9)
        assert coin["horizons"]["1"]["notes"] == ["deflated_sharpe_below_0.95"]


def test_a_coin_that_loses_in_wild_bars_trades_on_paper():
    """The volatility guard takes ACTIVE and LOW to paper and refuses nobody."""
    for score in (80.0, 55.0):
        coin = build_thresholds([report("BTCUSDT", 1, score, guard=True)], **FAMILY)["coins"]["BTCUSDT"]
        assert (coin["action"], coin["status"], coin["reason"]) == ("WARMUP", "WARMUP", "accepted")
        assert coin["horizons"]["1"]["notes"] == ["volatility_guard"]


def test_what_is_too_good_and_gone_a_bar_later_does_not_trade():
    """A suspicious result trades only if it survives a bar of latency."""
    doubtful = report("BTCUSDT", 1, 80.0) | {"suspicious": ["profit_factor_above_2"]}
    assert build_thresholds([doubtful], **FAMILY)["coins"]["BTCUSDT"]["action"] == "ACTIVE"
    doubtful["metrics"]["expectancy_r_latency_1"] = -0.01
    coin = build_thresholds([doubtful], **FAMILY)["coins"]["BTCUSDT"]
    assert (coin["action"], coin["reason"]) == ("NO_TRADE", "suspicious_and_gone_a_bar_later")


def test_the_document_names_itself_and_what_changed():
    """The id covers everything else; the diff lists the members whose verdict moved, and nothing else."""
    one = build_thresholds([report("BTCUSDT", 1, 80.0), report("ETHUSDT", 1, 65.0)], **FAMILY)
    two = build_thresholds([report("BTCUSDT", 1, 80.0), report("ETHUSDT", 1, 55.0)], **FAMILY)
    assert document_id(one) == one["document_id"] != two["document_id"]
    assert diff_thresholds(one, one) == []
    (moved,) = diff_thresholds(one, two)
    assert (moved["symbol"], moved["horizon"]) == ("ETHUSDT", "1")
    assert (moved["before"]["action"], moved["after"]["action"]) == ("WARMUP", "LOW")
    assert len(diff_thresholds(None, one)) == 8
