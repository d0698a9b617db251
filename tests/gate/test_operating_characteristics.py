"""How often the score accepts noise, and how often it sees an edge (METHOD 3.8)."""

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.special import ndtr

from scalper_ml.backtest.robustness import deflated
from scalper_ml.gate.estimates import Sample
from scalper_ml.gate.score import quality_score
from scalper_ml.validation.multiplicity import bh

HORIZON = 15
THIRTY_DAYS = 24_000  # rows; 1,600 trades of 15 bars


def market(seed, *, rho=0.0, drift=0.0, cost_r=0.0, rows=THIRTY_DAYS, phi=0.97, always_long=False) -> Sample:
    """Decide every bar by the sign of a persistent signal, trade without overlap, on fat-tailed clustered returns.

    Next return ``sigma_t (drift + rho s_t + sqrt(1 - rho^2) t5)``, log sigma AR(.98, .12), s AR(phi);
    labels with a deadband of half a standard deviation; R after `cost_r`.
    """
    rng = np.random.default_rng(seed)
    burn = 500
    n = rows + HORIZON + burn
    s = lfilter([np.sqrt(1 - phi**2)], [1, -phi], rng.standard_normal(n))[burn:]
    vol = np.exp(lfilter([0.12], [1, -0.98], rng.standard_normal(n)))[burn:]
    shock = rng.standard_t(5, rows + HORIZON) / np.sqrt(5 / 3)
    step = vol * (drift + rho * s + np.sqrt(1 - rho**2) * shock)  # return after the bar, decided at its close
    total = np.concatenate([[0.0], np.cumsum(step)])
    move = (total[HORIZON:] - total[:-HORIZON])[:rows] / (vol[:rows] * np.sqrt(HORIZON))
    side = np.ones(rows, int) if always_long else np.where(s[:rows] >= 0, 1, -1)
    y = np.where(move > 0.5, 2, np.where(move < -0.5, 0, 1)).astype(np.int8)
    y_pred = np.where(side > 0, 2, 0).astype(np.int8)
    taken = np.arange(0, rows, HORIZON)
    r = side[taken] * move[taken] - cost_r
    known = (drift * HORIZON + (0 if always_long else rho) * s[:rows] * (1 - phi**HORIZON) / (1 - phi)) / np.sqrt(
        HORIZON
    )
    long, short = ndtr(known - 0.5), ndtr(-known - 0.5)
    return Sample(y, y_pred, taken, side[taken], r, r * vol[taken] * 1e-3, HORIZON, long / (long + short))


def verdicts(seeds, **kind) -> list:
    return [quality_score(market(seed, **kind), seed=seed) for seed in seeds]


def families_with_an_acceptance(scores, families: int, seed: int = 0) -> float:
    """Share of families of 128, drawn from these scores, in which any member is accepted, in the family as well."""
    accepted = np.array([score.accepted for score in scores])
    p_value = np.array([score.p_value for score in scores])
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(scores), size=(families, 128))
    return float(np.mean([(accepted[own] & (bh(p_value[own]) <= 0.05)).any() for own in drawn]))


def test_noise_is_accepted_at_most_once_in_sixty():
    """60 coin flips over 1,600 trades each: at most one passes, and no family of 128 of them has one that does."""
    scores = verdicts(range(60))
    assert sum(score.accepted for score in scores) <= 1
    assert families_with_an_acceptance(scores, 200) == 0.0


def test_an_edge_of_a_fifth_of_the_risk_is_mostly_high():
    """E = +0.2 R over 1,600 trades: at least 22 of 24 are HIGH."""
    found = verdicts(range(24), rho=0.072)
    expectancy = np.mean([score.components[0].value for score in found])
    assert 0.17 < expectancy < 0.22
    assert sum(score.score_0_100 >= 75 for score in found) >= 22


def test_always_long_in_a_drifting_market_is_rejected_by_balanced_accuracy():
    """A rising market pays every long: expectancy is significant, balanced accuracy is 1/3, none is accepted."""
    for score in verdicts(range(12), drift=0.045, always_long=True):
        gates = {gate.name: gate.passed for gate in score.gates}
        assert gates["expectancy_not_significant"]
        assert score.reason == "balanced_accuracy_not_significant"
        assert score.score_0_100 <= 49.9


def test_an_edge_eaten_by_costs_reads_expectancy_not_significant():
    """Real direction, costs of 0.3 R: balanced accuracy is significant, the primary reason is the expectancy."""
    for score in verdicts(range(12), rho=0.072, cost_r=0.3):
        gates = {gate.name: gate.passed for gate in score.gates}
        assert gates["balanced_accuracy_not_significant"]
        assert score.reason == "expectancy_not_significant"


@pytest.mark.verify
@pytest.mark.parametrize("rows", [12_000, THIRTY_DAYS])
def test_verify_false_acceptance_is_at_most_one_percent(rows):
    """400 null markets: at most 4 accepted."""
    assert sum(score.accepted for score in verdicts(range(1_000, 1_400), rows=rows)) <= 4


@pytest.mark.verify
def test_verify_a_family_of_128_is_accepted_from_in_five_percent_at_most():
    """2,000 families of 128 null markets out of 600: at most 5 % have a member that is accepted."""
    assert families_with_an_acceptance(verdicts(range(6_000, 6_600), rows=12_000), 2_000) <= 0.05


@pytest.mark.verify
def test_verify_drift_is_never_accepted():
    """400 always-long models in drifting markets: none accepted."""
    assert not any(score.accepted for score in verdicts(range(2_000, 2_400), drift=0.045, always_long=True))


@pytest.mark.verify
def test_verify_power_is_at_least_95_percent():
    """400 models of E = +0.2 R over 1,600 trades: at least 380 HIGH, deflated for 50 trials and alone among 128."""
    high = 0
    for seed in range(3_000, 3_400):
        sample = market(seed, rho=0.072)
        score = quality_score(sample, seed=seed)
        enough = deflated(sample.r, 50)["dsr"] >= 0.95 and 128 * score.p_value <= 0.05
        high += score.score_0_100 >= 75 and enough
    assert high >= 380


@pytest.mark.verify
def test_verify_direction_without_earnings_is_rejected():
    """400 models whose costs equal their edge (E = 0): at least 97 % rejected."""
    rejected = sum(score.score_0_100 < 50 for score in verdicts(range(4_000, 4_400), rho=0.072, cost_r=0.191))
    assert rejected >= 388
