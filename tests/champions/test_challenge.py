"""The rule by which a challenger replaces a champion, and the record that transitions leave."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from scalper_ml.champions.challenge import SHADOW_US, Comparison, Shadow, compare_trades, e_value, replaces
from scalper_ml.champions.record import KEPT, Record, begun, live_at, standing
from scalper_ml.drift.policy import AT_ONCE, COOL_DOWN_US, DAY_US, Watched, decide_retrain, state_of
from scalper_ml.errors import WarehouseError

BETTER = Comparison(2000, 125, 300, 300, 0.02, 0.06, 0.04, 0.01, 0.99)
LONG = Shadow(SHADOW_US, 2880, 80, 1.4, 0.0)
CASES = [
    ({}, "promoted", "better in 99.0% of draws"),
    ({"accepted": False, "gate_reason": "one_sided"}, "refused", "does not pass the gate: one_sided"),
    ({"shadow": replace(LONG, for_us=SHADOW_US - 1)}, "shadow", "48 h asked for"),
    ({"shadow": replace(LONG, parity=1e-6)}, "refused", "bar by bar it says something else"),
    ({"shadow": replace(LONG, trades=49, e_value=0.19)}, "refused", "speaks against it"),
    ({"shadow": replace(LONG, trades=49, e_value=0.2)}, "promoted", "better in"),
    ({"shadow": replace(LONG, trades=50, e_value=0.1)}, "promoted", "better in"),
    ({"compared": replace(BETTER, better=0.94)}, "refused", "95% asked for"),
    ({"compared": replace(BETTER, better=0.5, delta=-0.004), "champion_out": True}, "promoted", "the champion is out"),
    ({"compared": replace(BETTER, better=0.3, delta=-0.006), "champion_out": True}, "refused", "95% asked for"),
    ({"compared": replace(BETTER, better=math.nan)}, "shadow", "that neither was made from"),
    ({"withdrawn": True}, "refused", "promote it by hand"),
]


@pytest.mark.parametrize(("changes", "status", "reason"), CASES)
def test_each_condition_decides_by_itself(changes: dict, status: str, reason: str) -> None:
    """Gates, a shadow of 48 h, parity, trades or e-value, and better in 95 % of draws: each alone can refuse."""
    given_all = {"accepted": True, "gate_reason": "", "compared": BETTER, "shadow": LONG, "champion_out": False}
    verdict = replaces(**(given_all | {"withdrawn": False} | changes))
    assert verdict.status == status
    assert reason in verdict.reason


@given(st.lists(st.floats(-3, 3), max_size=60), st.floats(0.01, 0.5), st.floats(0.3, 3))
def test_the_e_value_is_a_likelihood_ratio(r: list[float], edge: float, sd: float) -> None:
    """It is the ratio of two normal densities over the trades."""
    ratio = stats.norm.logpdf(r, edge, sd).sum() - stats.norm.logpdf(r, 0.0, sd).sum()
    assert math.log(e_value(r, edge, sd)) == pytest.approx(ratio, abs=1e-9)


def test_equal_models_are_promoted_in_one_of_twenty() -> None:
    """Two models without any difference: P(delta > 0) >= .95 in at most 6 of 40 comparisons, 2 expected."""
    ts, rng = np.arange(3000), np.random.default_rng(0)
    wins = 0
    for seed in range(40):
        both = [(ts[::5], rng.normal(0.05, 1.0, 600)) for _ in range(2)]
        wins += compare_trades(ts, both[0], both[1], horizon=1, seed=seed).better >= 0.95
    assert wins <= 6


def test_a_model_without_trades_earns_nothing() -> None:
    """No trades are an expectancy of 0, and fewer rows than blocks tell nothing."""
    ts, none = np.arange(1000), (np.empty(0, np.int64), np.empty(0))
    found = compare_trades(ts, (ts[::4], np.full(250, -0.1)), none, horizon=1, seed=0)
    assert (found.challenger_r, found.better) == (0.0, 1.0)
    few = compare_trades(ts[:30], none, none, horizon=1, seed=0)
    assert math.isnan(few.better)
    assert few.to_dict()["better"] is None


def pointer(bundle: str | None, **changes: object) -> dict:
    return {"bundle_id": bundle, "action": "ACTIVE", "suspended": None, **changes}


@given(st.lists(st.tuples(st.integers(0, 50), st.sampled_from("abcdefgh")), max_size=40))
def test_history_answers_every_moment(moves: list[tuple[int, str]]) -> None:
    """At every moment the live bundle is the last one promoted by then; at most five of the past stay pinned."""
    record, expected = Record(), []
    for at_us, bundle in sorted(moves, key=lambda one: one[0]):
        record = record.with_pointer("promoted", pointer(bundle), at_us=at_us, reason="r", inputs="i")
        expected.append((at_us, bundle))
    for ts in range(51):
        past = [bundle for at_us, bundle in expected if at_us <= ts]
        found = live_at(record.history, ts)
        assert (found and found["bundle_id"]) == (past[-1] if past else None)
    assert len(record.pinned) <= KEPT + 1
    assert record.bundle_id is None or record.bundle_id in record.pinned


def test_a_rollback_returns_to_the_newest_other_champion() -> None:
    """Of three champions the second is returned to, the first by name; a withdrawn one is known as such."""
    record = Record()
    for at_us, bundle in enumerate(["aaaa", "bbbb", "cccc"]):
        record = record.with_pointer("promoted", pointer(bundle), at_us=at_us, reason="r", inputs="i")
    assert record.before()["bundle_id"] == "bbbb"
    assert record.before("aaaa")["bundle_id"] == "aaaa"
    with pytest.raises(WarehouseError, match=r"none kept here begin so; .*\['aaaa', 'bbbb'\]"):
        record.before("cccc")
    back = record.with_pointer("rolled_back", record.before(), at_us=9, reason="r", inputs="i")
    assert (back.bundle_id, back.withdrawn("cccc"), back.withdrawn("bbbb")) == ("bbbb", True, False)
    again = back.with_pointer("promoted", pointer("cccc"), at_us=10, reason="by hand", inputs="i")
    assert not again.withdrawn("cccc")
    assert (standing(Record()), standing(again)) == ("none", "live")


@given(st.integers(0, 5), st.integers(0, 100 * DAY_US), st.integers(0, 600), st.integers(0, 6), st.booleans())
def test_a_retrain_waits_for_the_day_the_trades_and_its_turn(
    failures: int, waited: int, trades: int, running: int, shadow: bool
) -> None:
    """After one: a day doubled by each in vain, 200 trades, under four running, no shadow; else never."""
    seen = Watched(waited, alarms=("cusum_r",), trades=trades, requested_us=0, failures=failures, shadow_running=shadow)
    free = waited >= COOL_DOWN_US * 2**failures and trades >= 200 and running < AT_ONCE and not shadow
    assert decide_retrain(seen, running).retrain == free
    assert not decide_retrain(replace(seen, alarms=()), running).retrain


def test_moved_inputs_are_watched_and_retrain_nothing() -> None:
    """Inputs alone, and the estimate alone, are watched; both together, age, and a new version ask for a retrain."""
    calm = Watched(0)
    states = [
        (calm, "OK"),
        (replace(calm, inputs_moved=0.5), "WATCH"),
        (replace(calm, estimate_dropped=True), "WATCH"),
        (replace(calm, inputs_moved=0.3, estimate_dropped=True), "DRIFT"),
        (replace(calm, age_us=31 * DAY_US), "DRIFT"),
        (replace(calm, version_changed=True), "DRIFT"),
        (replace(calm, alarms=("edge_negative",)), "SUSPEND"),
    ]
    for seen, state in states:
        assert state_of(seen, suspends=["edge_negative"]) == state
        assert decide_retrain(seen).retrain == (state in ("DRIFT", "SUSPEND"))


@pytest.mark.parametrize("beginning", ["", "ab", "abc", "abcd", "feed"])
def test_the_beginning_of_an_id_names_one_bundle_or_none(beginning: str) -> None:
    """Too short, of two bundles or of none: refused, and the bundles there are named."""
    assert begun("abcd1", ["abcd1", "abcd2"]) == "abcd1"
    with pytest.raises(WarehouseError, match=r"expected 4 digits or more of one of \['abcd1', 'abcd2'\]"):
        begun(beginning, ["abcd1", "abcd2"])
