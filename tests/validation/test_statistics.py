"""Sharpe inference, proportions and multiplicity against published numbers and other libraries."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from scalper_ml.errors import ContractError
from scalper_ml.validation import statistics
from scalper_ml.validation.statistics import (
    bh,
    by,
    clopper_pearson,
    dsr,
    effective_trials,
    expected_max_sharpe,
    holm,
    jeffreys,
    min_trl,
    pbo,
    psr,
    sharpe_moments,
    shrunk_expectancy,
    shrunk_rate,
    trades_needed,
    wilson,
)

p_lists = st.lists(st.floats(0, 1), min_size=1, max_size=30)

# Benjamini & Hochberg (1995), thrombolysis trial: BH at 5 % rejects four, Bonferroni-type methods three
BH_1995 = [
    0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0
]  # fmt: skip


@pytest.mark.parametrize(
    ("found", "expected", "digits"),
    [
        (psr(0.1, 500, skew=-0.5, kurtosis=5), 0.9849847652, 10),
        (psr(0.1, 500), 0.9870686445, 10),
        (min_trl(0.1, alpha=0.05, skew=-0.5, kurtosis=5), 287.787606, 6),
        (min_trl(0.1, alpha=0.01, skew=-0.5, kurtosis=5), 574.660810, 6),
        (expected_max_sharpe(10), 1.574598, 6),
        (expected_max_sharpe(50), 2.276303, 6),
        (expected_max_sharpe(128), 2.616269, 6),
        (expected_max_sharpe(1000), 3.255122, 6),
        (expected_max_sharpe(50, 0.002), 0.10179937, 8),
        (dsr(0.1, 500, trials=50, variance=0.002, skew=-0.5, kurtosis=5), 0.4844289698, 10),
        (wilson(55, 100), 0.46792670, 8),
        (wilson(550, 1000), 0.52402261, 8),
        (wilson(60, 100), 0.51780951, 8),
        (jeffreys(55, 100), 0.46786102, 8),
        (jeffreys(550, 1000), 0.52404004, 8),
        (jeffreys(60, 100), 0.51803059, 8),
        (clopper_pearson(55, 100), 0.46288960, 8),
        (clopper_pearson(550, 1000), 0.52353851, 8),
        (clopper_pearson(60, 100), 0.51297582, 8),
        (shrunk_rate(55, 100), 0.531250, 10),
        (trades_needed(0.03, alpha=0.01, power=0.8), 11_152, 0),
        (trades_needed(0.1, alpha=0.05 / 128, power=0.9), 2_154, 0),
    ],
)
def test_published_vectors(found: float, expected: float, digits: int) -> None:
    """Every statistic equals its published test vector to all the digits printed."""
    assert found == pytest.approx(expected, abs=max(1e-9, 0.5 * 10.0**-digits) * 1.01, rel=0)


@given(st.integers(1, 400), st.integers(0, 400), st.sampled_from([0.01, 0.05, 0.1]))
def test_lower_bounds_equal_scipy(n: int, k: int, alpha: float) -> None:
    """Wilson, Jeffreys and Clopper-Pearson bounds equal scipy's interval ends to 1e-9."""
    k = min(k, n)
    exact = stats.binomtest(k, n, alternative="greater")
    assert wilson(k, n, alpha) == pytest.approx(exact.proportion_ci(1 - alpha, "wilson").low, abs=1e-9)
    assert clopper_pearson(k, n, alpha) == pytest.approx(exact.proportion_ci(1 - alpha, "exact").low, abs=1e-9)
    if k:
        assert jeffreys(k, n, alpha) == pytest.approx(stats.beta.ppf(alpha, k + 0.5, n - k + 0.5), abs=1e-9)
    else:
        assert jeffreys(k, n, alpha) == 0.0


@pytest.mark.parametrize("bound", [wilson, jeffreys, clopper_pearson])
def test_impossible_counts_are_refused(bound) -> None:
    """More successes than trials are refused, naming both."""
    with pytest.raises(ContractError, match="found 11 of 10"):
        bound(11, 10)


def test_min_trl_is_where_psr_reaches_its_level() -> None:
    """The minimum track record length is the n at which PSR equals 1 - alpha; infinite below the benchmark."""
    n = min_trl(0.07, alpha=0.02, skew=0.3, kurtosis=4, benchmark=0.01)
    assert psr(0.07, n, skew=0.3, kurtosis=4, benchmark=0.01) == pytest.approx(0.98, abs=1e-12)
    assert min_trl(0.01, benchmark=0.01) == math.inf


def test_expected_maximum_by_simulation() -> None:
    """The expected best of 50 skill-less Sharpe ratios agrees with a simulation within 2 %; of one it is 0."""
    best = np.random.default_rng(3).normal(size=(20_000, 50)).max(axis=1).mean()
    assert expected_max_sharpe(50) == pytest.approx(best, rel=0.02)
    assert expected_max_sharpe(1) == 0.0


def test_moments_equal_scipy() -> None:
    """Sharpe ratio, skewness and kurtosis equal scipy's; returns without spread are refused."""
    r = np.random.default_rng(1).standard_t(5, 400) + 0.1
    sr, skew, kurtosis = sharpe_moments(r)
    assert sr == pytest.approx(r.mean() / r.std(ddof=1), abs=1e-12)
    assert skew == pytest.approx(stats.skew(r), abs=1e-12)
    assert kurtosis == pytest.approx(stats.kurtosis(r, fisher=False), abs=1e-12)
    with pytest.raises(ContractError, match="without spread"):
        sharpe_moments([0.1, 0.1, 0.1])


def test_impossible_moments_are_refused() -> None:
    """A skewness and kurtosis that no sample can have are refused."""
    with pytest.raises(ContractError, match="cannot belong to one sample"):
        psr(2.0, 100, skew=3.0, kurtosis=1.0)


def test_bh_and_holm_on_the_1995_example() -> None:
    """On Benjamini and Hochberg's own example BH at 5 % rejects four hypotheses and Holm three."""
    assert (bh(BH_1995) <= 0.05).sum() == 4
    assert (holm(BH_1995) <= 0.05).sum() == 3


@given(p_lists)
def test_bh_and_by_equal_scipy(p: list[float]) -> None:
    """BH and BY q-values equal scipy's false_discovery_control."""
    np.testing.assert_allclose(bh(p), stats.false_discovery_control(p, method="bh"), rtol=0, atol=1e-12)
    np.testing.assert_allclose(by(p), stats.false_discovery_control(p, method="by"), rtol=0, atol=1e-12)


@given(p_lists)
def test_holm_equals_the_definition(p: list[float]) -> None:
    """Holm's adjusted p-values equal the step-down definition, written as a loop."""
    worst, expected = 0.0, {}
    for step, i in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        worst = max(worst, (len(p) - step) * p[i])
        expected[i] = min(1.0, worst)
    np.testing.assert_allclose(holm(p), [expected[i] for i in range(len(p))], rtol=0, atol=1e-12)


def test_p_values_outside_the_unit_interval_are_refused() -> None:
    """A p-value above 1 or NaN is refused rather than ranked."""
    for bad in ([0.1, 1.5], [0.1, math.nan]):
        with pytest.raises(ContractError, match="within"):
            bh(bad)


def test_effective_trials_equal_the_eigenvalue_formula() -> None:
    """The effective number of trials equals (sum of eigenvalues)^2 / sum of squared eigenvalues."""
    correlation = np.corrcoef(np.random.default_rng(2).normal(size=(8, 40)))
    eigenvalues = np.linalg.eigvalsh(correlation)
    assert effective_trials(correlation) == pytest.approx(eigenvalues.sum() ** 2 / (eigenvalues**2).sum(), rel=1e-12)


def test_pbo_is_low_with_skill_and_high_when_the_halves_disagree() -> None:
    """PBO is 0 with one truly skilled column and 1 when what wins in one half always loses in the other."""
    noise = np.random.default_rng(5).normal(size=(800, 10))
    skilled = noise.copy()
    skilled[:, 4] += 0.4
    assert pbo(skilled, 8) == 0.0
    flip = np.tile([[1.0, -1.0]], (400, 1)) * np.repeat([1.0, -1.0], 200)[:, None]
    assert pbo(flip + 0.01 * noise[:400, :2], 2) == 1.0


def test_shrinkage_orders_and_contracts() -> None:
    """Empirical-Bayes expectancies lie between their own value and the mean, and noise alone shrinks to the mean."""
    shrunk = shrunk_expectancy([0.3, 0.0, -0.1], [0.05, 0.05, 0.2])
    assert 0.0 < shrunk[0] < 0.3
    assert -0.1 < shrunk[2] < 0.2 / 3
    np.testing.assert_allclose(shrunk_expectancy([0.1, 0.0], [1.0, 1.0]), 0.05)


def test_public_names_are_exactly_those_exported() -> None:
    """The façade exports every name it imports and nothing else."""
    public = {name for name in vars(statistics) if not name.startswith("_")}
    assert public == set(statistics.__all__)
