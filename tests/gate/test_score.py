"""The quality score against a slow version, its gates, and its regression tests."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import f1_score, recall_score

from scalper_ml.errors import ContractError
from scalper_ml.gate.estimates import Sample, estimate
from scalper_ml.gate.score import REASONS, publish, quality_score
from scalper_ml.reports.canonical import published_json
from scalper_ml.validation.statistics import block_ids, blocks, draw_weights


def sample(*, rows=4_000, trades=400, edge=0.0, skill=0.0, horizon=3, seed=0, long_share=0.5) -> Sample:
    """Random labels; decisions right with extra probability `skill`; trades with mean R `edge` and sd 1."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, rows).astype(np.int8)
    y_pred = np.where(rng.random(rows) < skill, y, rng.integers(0, 3, rows)).astype(np.int8)
    trade_rows = np.sort(rng.choice(rows, trades, replace=False))
    side = np.where(rng.random(trades) < long_share, 1, -1)
    r = edge + rng.standard_normal(trades)
    return Sample(y, y_pred, trade_rows, side, r, r * rng.uniform(5e-4, 2e-3, trades), horizon, np.full(rows, 0.5))


GOOD = {"edge": 0.35, "skill": 0.15}


def slow_metrics(y, y_pred, r, net) -> dict[str, float]:
    """The six metrics from rows, by scikit-learn and their definitions."""
    recall = recall_score(y, y_pred, labels=[0, 1, 2], average=None)
    excess = {}
    for label, name in ((2, "f1_long_excess"), (0, "f1_short_excess")):
        share, decided = (y == label).mean(), (y_pred == label).mean()
        chance = 2 * share * decided / (share + decided)
        excess[name] = f1_score(y == label, y_pred == label) - chance
    mean_win, mean_loss = r[r > 0].mean(), -r[r <= 0].mean()
    return {
        "expectancy_r": r.mean(),
        "balanced_accuracy": recall.mean(),
        "log_profit_factor": math.log(net[net > 0].sum() / -net[net < 0].sum()),
        "win_rate_edge": (r > 0).mean() - mean_loss / (mean_win + mean_loss),
        **excess,
    }


def test_estimates_and_draws_equal_a_version_that_repeats_rows():
    """Every metric on the sample and on every draw equals scikit-learn on rows repeated block by block."""
    one = sample(rows=700, trades=300, edge=0.1, skill=0.1, seed=4)
    ours = estimate(one, seed=11, draws=25)
    n_blocks = blocks(700, 3)
    ids = block_ids(700, n_blocks)
    for k, weights in enumerate([np.ones(n_blocks, int), *draw_weights(n_blocks, 25, 11)]):
        rows = np.repeat(np.arange(700), weights[ids])
        taken = np.repeat(np.arange(300), weights[ids[one.trade_rows]])
        slow = slow_metrics(one.y[rows], one.y_pred[rows], one.r[taken], one.net[taken])
        for name, value in slow.items():
            metric = getattr(ours, name)
            assert (metric.value if k == 0 else metric.draws[k - 1]) == pytest.approx(value, abs=1e-12), name


WEAK = [  # each term is strictly between none and all of its points in at least one of these
    {"rows": 4_000, "edge": 0.14, "skill": 0.12, "seed": 5},
    {"rows": 20_000, "edge": 0.14, "skill": 0.05, "seed": 6},
    {"rows": 40_000, "edge": 0.13, "skill": 0.06, "seed": 7},
]


def test_the_weak_samples_leave_every_term_inside_its_range():
    """The samples of the next test exercise each term away from 0 and from its most."""
    inside = set()
    for kind in WEAK:
        for component in quality_score(sample(**kind), seed=3).components:
            if 0.05 < component.points / (100 * component.weight) < 0.95:
                inside.add(component.name)
    assert len(inside) == 7, inside


@pytest.mark.parametrize("kind", WEAK)
def test_the_score_is_the_formula_worked_from_its_bounds(kind):
    """Weights, units and indicator terms of METHOD 3.8, from bounds computed here with Student's t."""
    one = sample(**kind)
    found = estimate(one, seed=3, draws=1000)

    def bound(name: str) -> float:
        metric = getattr(found, name)
        return metric.value - stats.t.ppf(0.95, metric.n_blocks - 1) * np.std(metric.draws, ddof=1)

    def u(x: float) -> float:
        return float(np.clip(x, 0, 1))

    path = np.concatenate([[0], np.cumsum(one.r)])
    drawdown = (np.maximum.accumulate(path) - path).max()
    earns = bound("expectancy_r") > 0
    expected = 100 * (
        0.30 * u(bound("expectancy_r") / 0.10)
        + 0.15 * u((bound("balanced_accuracy") - 1 / 3) / 0.04)
        + 0.15 * u((math.exp(bound("log_profit_factor")) - 1) / 0.25)
        + 0.10 * u(bound("win_rate_edge") / 0.04)
        + 0.15 * u(min(bound("f1_long_excess"), bound("f1_short_excess")) / 0.06)
        + 0.10 * u(1 - drawdown / 25) * earns
        + 0.05 * u(one.r.size * 4 / one.y.size / 0.05) * earns
    )
    score = quality_score(one, seed=3)
    assert earns
    assert score.raw_score == pytest.approx(expected, abs=1e-9)
    assert sum(component.weight for component in score.components) == pytest.approx(1.0)
    ids = np.arange(one.y.size) * found.n_blocks // one.y.size
    traded = np.unique(ids[one.trade_rows]).size
    assert (found.expectancy_r.n_blocks, found.balanced_accuracy.n_blocks) == (traded, found.n_blocks)
    p_value = float(stats.t.sf(found.expectancy_r.value / np.std(found.expectancy_r.draws, ddof=1), traded - 1))
    observed = {gate.name: gate.observed for gate in score.gates}
    assert observed["expectancy_not_significant"] == pytest.approx(p_value, rel=1e-9)


def test_an_edge_with_skill_is_accepted():
    """400 trades of +0.35 R whose decisions are right beyond chance pass every gate."""
    score = quality_score(sample(**GOOD), seed=1)
    assert score.accepted
    assert score.reasons == ("accepted",)
    assert score.score_0_100 >= 60


def test_a_coin_flip_is_rejected():
    """Decisions and results independent of the market: both significance gates say no (not 50 points for BA 50 %)."""
    score = quality_score(sample(trades=1_000, seed=2), seed=1)
    assert score.score_0_100 < 50
    assert score.reason == "expectancy_not_significant"
    assert "balanced_accuracy_not_significant" in score.reasons


def test_a_failed_gate_publishes_at_most_49_9_beside_the_raw_score():
    """A model that earns but does not know direction keeps its raw score and publishes 49.9."""
    one = sample(edge=0.5, skill=0.0, seed=3)
    lucky = Sample(one.y, one.y, one.trade_rows, np.ones(one.side.size), one.r, one.net, one.horizon, one.p_long)
    score = quality_score(lucky, seed=1)
    assert score.raw_score > 70
    assert score.score_0_100 == 49.9
    assert score.reasons == ("one_sided",)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"trades": 99}, "too_few_trades"),
        ({"rows": 300, "trades": 150, "horizon": 3}, "too_few_blocks"),
        ({"edge": -0.1}, "expectancy_not_significant"),
        ({"skill": 0.0}, "balanced_accuracy_not_significant"),
        ({"long_share": 0.02}, "one_sided"),
    ],
)
def test_each_gate_names_itself_first(change, reason):
    """A sample good but for one thing has that thing as its primary reason."""
    score = quality_score(sample(**{**GOOD, **change}), seed=1)
    assert score.reason == reason
    assert score.score_0_100 <= 49.9


def test_one_lucky_block_is_not_an_edge():
    """When one time block brings more than half of the total, its gate fails."""
    one = sample(edge=0.0, skill=0.2, seed=8)
    r = np.where(one.trade_rows < 50, 30.0, one.r * 0.01)
    score = quality_score(Sample(one.y, one.y_pred, one.trade_rows, one.side, r, r * 1e-3, 3, one.p_long), seed=1)
    assert "single_block_dominates" in score.reasons
    assert "pnl_not_positive" not in score.reasons


def test_a_losing_total_fails_its_gate():
    """Total R below zero is pnl_not_positive, after the significance of expectancy."""
    assert quality_score(sample(edge=-0.2, skill=0.3), seed=1).reasons[:2] == (
        "expectancy_not_significant",
        "pnl_not_positive",
    )


def test_reasons_are_reported_in_their_published_order():
    """Whatever fails, reasons come in the order of REASONS."""
    for seed in range(5):
        reasons = quality_score(sample(trades=40, edge=-1.0, seed=seed, long_share=0.0), seed=1).reasons
        assert list(reasons) == sorted(reasons, key=REASONS.index)
        assert reasons[0] == "too_few_trades"


def without(one: Sample, **fields) -> Sample:
    names = ("y", "y_pred", "trade_rows", "side", "r", "net", "horizon", "p_long")
    return Sample(**{name: fields.get(name, getattr(one, name)) for name in names})


DEGENERATE = {
    "no trades": lambda s: without(s, trade_rows=np.zeros(0, int), side=np.zeros(0), r=np.zeros(0), net=np.zeros(0)),
    "one trade": lambda s: without(s, trade_rows=np.array([5]), side=np.ones(1), r=np.ones(1), net=np.full(1, 1e-3)),
    "no losing trade": lambda s: without(s, r=np.abs(s.r), net=np.abs(s.net)),
    "no winning trade": lambda s: without(s, r=-np.abs(s.r), net=-np.abs(s.net)),
    "all results zero": lambda s: without(s, r=np.zeros(s.r.size), net=np.zeros(s.r.size)),
    "never decided": lambda s: without(s, y_pred=np.ones(s.y.size, np.int8)),
    "one class of labels": lambda s: without(s, y=np.full(s.y.size, 2, np.int8)),
    "a class of one row": lambda s: without(s, y=np.where(np.arange(s.y.size) == 9, 0, 1 + s.y // 2).astype(np.int8)),
    "few rows": lambda s: without(
        s,
        y=s.y[:7],
        y_pred=s.y_pred[:7],
        trade_rows=np.arange(4),
        side=s.side[:4],
        r=s.r[:4],
        net=s.net[:4],
        p_long=s.p_long[:7],
    ),
}


@pytest.mark.parametrize("what", DEGENERATE)
def test_degenerate_samples_score_finite_numbers_or_null(what):
    """No trades, no losers, a missing class ...: every number is finite or null, and JSON takes it."""
    score = quality_score(DEGENERATE[what](sample()), seed=1, draws=200)
    assert 0 <= score.raw_score <= 100
    published_json(score.to_dict())


def test_no_losing_trade_scores_full_profit_factor_and_no_trade_scores_none():
    """A missing loss is half an average trade, not infinity; no trades are no evidence, not zero."""
    perfect = quality_score(DEGENERATE["no losing trade"](sample(skill=0.2)), seed=1)
    points = {component.name: component.points for component in perfect.components}
    assert points["log_profit_factor"] == pytest.approx(15.0)
    empty = quality_score(DEGENERATE["no trades"](sample()), seed=1)
    assert {c.name: c.value for c in empty.components}["expectancy_r"] is None
    assert empty.reason == "too_few_trades"


@given(st.floats(0, 100), st.floats(0, 100))
def test_publication_keeps_the_order(a, b):
    """The published score rises with the raw one and never passes 49.9 when a gate failed."""
    low, high = sorted((a, b))
    assert publish(low, True) <= publish(high, True)
    assert publish(high, False) <= 49.9


@pytest.mark.parametrize(("raw", "published"), [(0, 0), (20, 25), (40, 50), (47.5, 55), (55, 60), (70, 75), (100, 100)])
def test_raw_edges_are_published_as_tier_edges(raw, published):
    """40/55/70 are published as 50/60/75, linear in between."""
    assert publish(raw, True) == published


def test_recomputation_is_bit_identical_and_the_seed_is_stored():
    """The same sample and seed give the same score to the last bit; another sample has another hash."""
    one = sample(**GOOD)
    first, second = quality_score(one, seed=7), quality_score(one, seed=7)
    assert published_json(first.to_dict()) == published_json(second.to_dict())
    other = without(one, r=np.nextafter(one.r, 1.0))
    assert quality_score(other, seed=7).inputs_hash != first.inputs_hash
    assert (first.seed, first.draws, first.version) == (7, 1000, "3")


@pytest.mark.parametrize(
    "fields",
    [
        {"y": np.zeros(0, np.int8), "y_pred": np.zeros(0, np.int8), "p_long": np.zeros(0)},
        {"p_long": np.full(4_000, 1.1)},
        {"p_long": np.full(3, 0.5)},
        {"y": np.full(4_000, 3, np.int8)},
        {"r": np.full(400, np.nan)},
        {"side": np.zeros(400)},
        {"trade_rows": np.full(400, 4_000)},
        {"net": np.zeros(3)},
    ],
)
def test_a_broken_sample_is_refused(fields):
    """Empty rows, unknown codes, NaN results, flat sides, rows out of range and unequal sizes are contract errors."""
    with pytest.raises(ContractError, match="score:"):
        without(sample(), **fields)


def test_timing_volatility_with_a_drift_is_not_direction() -> None:
    """Trading wild bars with sides that know nothing but a drift beats 1/3 and earns: it is not direction."""
    rng = np.random.default_rng(5)
    n, horizon = 8_640, 3
    wild = np.repeat(rng.random(n // 30) < 0.4, 30)
    r = rng.normal(0.25, 1.0, n)
    y = np.where(wild & (r > 0.3), 2, np.where(wild & (r < -0.3), 0, 1)).astype(np.int8)
    side = np.where(rng.random(n) < 0.9, 1, -1)
    y_pred = np.where(wild, 1 + side, 1).astype(np.int8)
    rows = np.flatnonzero(wild)[:: horizon + 1]
    result = side[rows] * r[rows]
    one = Sample(
        y=y,
        y_pred=y_pred,
        trade_rows=rows,
        side=side[rows].astype(np.int8),
        r=result,
        net=result * 1e-3,
        horizon=horizon,
        p_long=np.full(n, np.mean(y[y != 1] == 2)),
    )
    score = quality_score(one, seed=1)
    assert estimate(one, seed=1, draws=1000).balanced_accuracy.value > 0.45
    assert score.reasons == ("direction_not_significant",)
    assert score.score_0_100 <= 49.9
    assert score.raw_score > 55


def test_trades_in_a_handful_of_blocks_are_no_evidence() -> None:
    """Plenty of good trades crowded into ten blocks count as ten blocks."""
    rng = np.random.default_rng(6)
    n = 9_600
    rows = np.arange(0, 400, 2)
    y = rng.integers(0, 3, n).astype(np.int8)
    y_pred = np.ones(n, np.int8)
    y_pred[rows] = y[rows]
    side = np.where(y[rows] == 0, -1, 1).astype(np.int8)
    one = Sample(
        y=y,
        y_pred=y_pred,
        trade_rows=rows,
        side=side,
        r=np.full(rows.size, 0.5),
        net=np.full(rows.size, 5e-4),
        horizon=1,
        p_long=np.full(n, 0.5),
    )
    assert quality_score(one, seed=1).reason == "too_few_blocks"


def test_rounding_never_lifts_a_score_over_an_edge() -> None:
    """A raw score a hair below an edge is published below it."""
    for raw, edge in ((40.0, 50.0), (55.0, 60.0), (70.0, 75.0)):
        assert publish(raw, gates_passed=True) == edge
        assert publish(np.nextafter(raw, 0.0), gates_passed=True) < edge
