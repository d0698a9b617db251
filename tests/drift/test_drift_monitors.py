"""Monitors of outcomes: worked sums, exact tests, one path for batch and stream, and when they fire."""

import itertools
import json
import math

import numpy as np
import pytest
from driftstreams import feed, joined, stream, watched
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from scalper_ml.drift.cusum import BernoulliCusum, GaussianCusum
from scalper_ml.drift.edge import block_t, edge_drop
from scalper_ml.drift.estimate import estimated_accuracy
from scalper_ml.drift.monitor import DAY_US, SUSPENDS, Label, PerformanceMonitor, Trade
from scalper_ml.drift.reference import Reference, drawdown_quantile, non_overlapping
from scalper_ml.errors import ContractError

REFERENCE = Reference(0.58, 0.56, 900, 0.15, 0.08, 1.0, 400, 12.0, (0.3, 0.4, 0.3))


@given(st.lists(st.booleans(), max_size=300), st.floats(0.51, 0.9))
def test_the_sum_of_hits_is_the_largest_log_likelihood_ratio_of_a_tail(hits: list[bool], p0: float) -> None:
    """The CUSUM is, after every outcome, the largest log-likelihood ratio over the outcomes since some moment."""
    cusum = BernoulliCusum(p0, 0.5)
    terms = np.where(hits, math.log(0.5 / p0), math.log(0.5 / (1 - p0)))
    for n, hit in enumerate(hits, start=1):
        alarm = cusum.update(hit)
        tails = [0.0, *np.cumsum(terms[:n][::-1])]
        assert cusum.value == pytest.approx(max(tails), abs=1e-9)
        assert alarm == (cusum.value >= 9.0)


@given(st.lists(st.floats(-5, 5), max_size=200))
def test_the_sum_of_r_is_the_largest_log_likelihood_ratio_of_a_tail(outcomes: list[float]) -> None:
    """The Gaussian CUSUM is the largest log ratio of two normal densities over the outcomes since some moment."""
    cusum = GaussianCusum(0.2, 0.0, 1.3)
    terms = stats.norm.logpdf(outcomes, 0.0, 1.3) - stats.norm.logpdf(outcomes, 0.2, 1.3)
    for n, outcome in enumerate(outcomes, start=1):
        cusum.update(outcome)
        assert cusum.value == pytest.approx(max([0.0, *np.cumsum(terms[:n][::-1])]), abs=1e-9)


def test_sums_refuse_what_cannot_be() -> None:
    """Rates and means the wrong way round, and an outcome that is no number, are refused with what was found."""
    with pytest.raises(ContractError, match=r"p0 0.5 and p1 0.58"):
        BernoulliCusum(0.5, 0.58)
    with pytest.raises(ContractError, match=r"means 0.0, 0.1"):
        GaussianCusum(0.0, 0.1, 1.0)
    with pytest.raises(ContractError, match="found nan"):
        GaussianCusum(0.1, 0.0, 1.0).update(float("nan"))


@given(st.lists(st.floats(-10, 10), min_size=20, max_size=400), st.floats(-1, 1))
def test_block_t_is_the_t_test_of_block_means(values: list[float], null: float) -> None:
    """The p-value is SciPy's one-sample t-test over the means of twenty consecutive blocks."""
    means = [np.mean(values[k * len(values) // 20 : (k + 1) * len(values) // 20]) for k in range(20)]
    if np.std(means) > 1e-9:
        expected = stats.ttest_1samp(means, null, alternative="less").pvalue
        assert block_t(values, null) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_block_t_of_constant_outcomes_is_certain() -> None:
    """Outcomes all alike are below the null or are not; fewer outcomes than blocks are refused."""
    assert block_t([0.1] * 40, 0.2) == 0.0
    assert block_t([0.1] * 40, 0.1) == 1.0
    with pytest.raises(ContractError, match="3 outcomes for 20 blocks"):
        block_t([0.0] * 3, 0.0)


def test_a_drop_needs_two_hundred_outcomes_and_significance() -> None:
    """199 outcomes tell nothing; an edge of nothing is told at 400; one at the bound itself is not."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=400)
    noise -= noise.mean()
    assert edge_drop(noise[:199].tolist(), 0.3, 0.1) is None
    gone, kept = (edge_drop((noise + mean).tolist(), 0.3, 0.1) for mean in (0.0, 0.27))
    assert gone is not None
    assert gone.dropped
    assert kept is not None
    assert not kept.dropped
    with pytest.raises(ContractError, match=r"reference 0\.0"):
        edge_drop(noise.tolist(), 0.0, 0.1)


def test_expected_accuracy_is_the_mean_of_the_largest_probability() -> None:
    """Outcomes drawn from the probabilities stay within three errors; outcomes of another law do not."""
    rng = np.random.default_rng(3)
    P = rng.dirichlet([2.0, 2.0, 2.0], size=2000)
    drawn = [int(np.searchsorted(np.cumsum(p), rng.random())) for p in P]
    well = estimated_accuracy(P.tolist(), drawn)
    assert well.expected == pytest.approx(P.max(axis=1).mean())
    assert not well.off
    assert estimated_accuracy(P.tolist(), rng.integers(0, 3, 2000).tolist()).off


def test_labels_that_overlap_are_passed_over() -> None:
    """Of labels decided every bar and known five bars later, every fifth counts; of trades the same."""
    monitor = PerformanceMonitor(REFERENCE, drift_threshold=0.1)
    for i in range(100):
        monitor.label(Label(i, i + 5, (0.3, 0.3, 0.4), 2, 1.0))
        monitor.trade(Trade(i, i + 7, 0.1))
    assert (monitor.labels, monitor.trades) == (20, 15)
    assert non_overlapping(np.arange(100), np.arange(100) + 5).size == 20


def test_looks_come_every_fifty_trades_and_every_day() -> None:
    """Forty-nine trades give no look, the fiftieth does; without trades a day of stream time does."""
    monitor = PerformanceMonitor(REFERENCE, drift_threshold=0.1)
    for i in range(1, 50):
        monitor.trade(Trade(i, i + 1, 0.1))
    assert monitor.looks == []
    monitor.trade(Trade(50, 51, 0.1))
    assert [look.trades for look in monitor.looks] == [50]
    monitor.label(Label(DAY_US, DAY_US + 52, (0.3, 0.3, 0.4), 2, 1.0))
    assert [look.labels for look in monitor.looks] == [0, 1]


def test_what_had_no_skill_is_not_monitored_and_says_so() -> None:
    """A champion without accuracy or edge on score has no sum to go on, and both are named."""
    poor = Reference(0.5, 0.48, 900, -0.1, -0.2, 1.0, 400, 12.0, (0.3, 0.4, 0.3))
    monitor = PerformanceMonitor(poor, drift_threshold=0.1)
    assert set(monitor.skipped) == {"cusum_accuracy", "edge"}
    for i in range(300):
        monitor.label(Label(i, i + 1, (0.3, 0.3, 0.4), 0, -1.0))
    assert monitor.alarms == []


def test_the_source_rule_on_levels_is_shown_and_acts_on_nothing() -> None:
    """An accuracy of .58 that reads .50 has dropped by 14 %: it stands in the look, and fires nothing by itself."""
    monitor = PerformanceMonitor(REFERENCE, drift_threshold=0.1)
    for i in range(20):
        hit = i % 2 == 0
        monitor.label(Label(i * DAY_US, i * DAY_US + 1, (0.3, 0.3, 0.4), 2 if hit else 0, 1.0 if hit else -1.0))
    assert monitor.looks[-1].perf_drop_rel == pytest.approx(1 - monitor.looks[-1].accuracy / 0.58)
    assert monitor.looks[-1].perf_drop_rel > 0.1
    assert monitor.alarms == []


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 900), max_size=4), st.integers(0, 3))
def test_cutting_the_stream_changes_no_bit(cuts: list[int], seed: int) -> None:
    """A monitor saved as JSON and restored at any moments has the state of one that was never interrupted."""
    events = list(joined(stream(600, seed), stream(300, seed + 10, rho=-0.25, believed=0.25)).events())
    whole = watched(REFERENCE, events)
    part = PerformanceMonitor(REFERENCE, drift_threshold=0.1)
    edges = sorted({0, len(events), *(cut for cut in cuts if cut < len(events))})
    for begin, end in itertools.pairwise(edges):
        part = PerformanceMonitor(REFERENCE, drift_threshold=0.1, state=json.loads(json.dumps(part.state())))
        feed(part, events[begin:end])
    assert json.dumps(part.state()) == json.dumps(whole.state())
    assert whole.alarms


def test_drawdowns_of_score_are_those_of_reordered_blocks() -> None:
    """Winning trades have no drawdown; the limit of a coin's trades grows with the size of a bet, not its sign."""
    assert drawdown_quantile(np.full(100, 0.5), seed=0) == 0.0
    r = np.random.default_rng(0).choice([-1.0, 1.0], 1000)
    once, twice = (drawdown_quantile(scale * r, seed=0) for scale in (1.0, 2.0))
    assert twice == pytest.approx(2 * once)
    assert drawdown_quantile(r, seed=0) == once


@pytest.mark.parametrize("rho", [0.25, 0.16])
def test_a_stationary_stream_fires_nothing_and_a_turned_one_soon(rho: float) -> None:
    """Miniature of `verify`: three streams of 1,500 labels fire nothing; turned round they fire within 700 labels."""
    for seed in range(3):
        reference = stream(6000, 1000 + seed, rho=rho).reference()
        calm = stream(1500, seed, rho=rho)
        assert watched(reference, calm.events()).alarms == []
        turned = joined(calm, stream(1000, 50 + seed, rho=-rho, believed=rho))
        first = watched(reference, turned.events()).alarms[0]
        assert 1500 < first.labels <= 2200


@pytest.mark.verify
@pytest.mark.parametrize(("rho", "threshold"), [(0.25, 0.6), (0.25, 0.5), (0.16, 0.55)])
def test_operating_characteristics_with_every_gate_on(rho: float, threshold: float) -> None:
    """Of 40 stationary streams of 5,000 labels at least 95 % ask for no retrain; .58 -> .50 is told by 700 labels."""
    calm, late, suspended = 0, [], 0
    for seed in range(40):
        reference = stream(6000, 10_000 + seed, rho=rho, threshold=threshold).reference()
        fired = {
            alarm.name for alarm in watched(reference, stream(5000, seed, rho=rho, threshold=threshold).events()).alarms
        }
        calm += not fired - SUSPENDS
        suspended += bool(fired & SUSPENDS)
        if seed < 20:
            gone = stream(4000, 500 + seed, rho=0.0, believed=rho, threshold=threshold)
            late.append(watched(reference, gone.events()).alarms[0].labels)
    assert calm >= 38
    assert suspended <= 6  # the drawdown limit is a 95 % quantile of its own
    assert np.median(late) <= 700
