"""Diebold-Mariano and the stationary bootstrap against definitions, closed forms and their size on noise."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from scalper_ml.errors import ContractError
from scalper_ml.validation.forecasts import (
    diebold_mariano,
    long_run_variance,
    stationary_indices,
    superior_ability,
)


@given(st.lists(st.floats(-5, 5), min_size=4, max_size=30), st.integers(0, 3))
def test_the_long_run_variance_is_the_weighted_sum_of_autocovariances(x: list[float], lags: int) -> None:
    """gamma_0 + 2 sum (1 - k / (L + 1)) gamma_k, each a plain sum over pairs."""
    mean, n = sum(x) / len(x), len(x)
    gamma = [sum((x[i] - mean) * (x[i - k] - mean) for i in range(k, n)) / n for k in range(lags + 1)]
    expected = gamma[0] + 2 * sum((1 - k / (lags + 1)) * gamma[k] for k in range(1, lags + 1))
    assert long_run_variance(x, lags) == pytest.approx(expected, abs=1e-9)


def test_without_lags_it_is_the_paired_t_test() -> None:
    """One step ahead with no lags, statistic and p equal scipy's paired t-test to 1e-9."""
    rng = np.random.default_rng(3)
    one, two = rng.exponential(1, 200), rng.exponential(1.1, 200)
    found, known = diebold_mariano(one, two, lags=0), stats.ttest_rel(one, two, alternative="less")
    assert found.statistic == pytest.approx(known.statistic, abs=1e-9)
    assert found.p_value == pytest.approx(known.pvalue, abs=1e-9)
    assert found.mean_difference == pytest.approx((one - two).mean())


def test_overlapping_outcomes_are_not_taken_for_evidence() -> None:
    """On equal forecasts of outcomes five steps long a 5 % test rejects about that often; without lags far more."""
    rng = np.random.default_rng(7)
    rejected = {"lags": 0, "none": 0}
    for _ in range(600):
        noise = rng.normal(size=304)
        difference = np.convolve(noise, np.ones(5), "valid")
        rejected["lags"] += diebold_mariano(difference, np.zeros(300), horizon=5, lags=12).p_value < 0.05
        rejected["none"] += diebold_mariano(difference, np.zeros(300), lags=0).p_value < 0.05
    assert rejected["lags"] / 600 < 0.10
    assert rejected["none"] / 600 > 0.17


def test_equal_losses_say_nothing_and_a_constant_gain_everything() -> None:
    """No difference gives p 1/2; the same difference on every row has no variance and decides."""
    assert (diebold_mariano(np.ones(20), np.ones(20)).statistic, diebold_mariano(np.ones(20), np.ones(20)).p_value) == (
        0,
        0.5,
    )
    assert diebold_mariano(np.zeros(20), np.ones(20)).p_value == 0.0
    assert diebold_mariano(np.ones(20), np.zeros(20)).p_value == 1.0


def test_losses_that_cannot_be_compared_are_refused() -> None:
    """Different shapes, NaN and too few rows name themselves."""
    with pytest.raises(ContractError, match=r"shapes \(3,\) and \(2,\)"):
        diebold_mariano([1, 2, 3], [1, 2])
    with pytest.raises(ContractError, match="all finite"):
        diebold_mariano([1, 2, math.nan], [1, 2, 3])
    with pytest.raises(ContractError, match="expected more rows"):
        diebold_mariano(np.ones(5), np.zeros(5), horizon=8)
    with pytest.raises(ContractError, match="lags"):
        long_run_variance([1.0], 1)


@given(st.integers(1, 40), st.floats(1, 20), st.integers(0, 100))
def test_samples_are_blocks_that_wrap_around(n: int, mean_block: float, seed: int) -> None:
    """Every row is there in range; what does not begin a block follows its predecessor, the first after the last."""
    rows = stationary_indices(n, mean_block, 5, seed)
    assert rows.shape == (5, n)
    assert ((rows >= 0) & (rows < n)).all()
    assert stationary_indices(n, 1e12, 3, seed).tolist() == [
        [(first + k) % n for k in range(n)] for first in stationary_indices(n, 1e12, 3, seed)[:, 0].tolist()
    ]


def test_blocks_have_their_mean_length_and_keep_the_dependence() -> None:
    """Breaks come once in mean_block rows, and the spread of the mean of an AR(1) is that of its long-run variance."""
    rows = stationary_indices(1000, 8.0, 400, seed=1)
    breaks = ((rows[:, 1:] - rows[:, :-1]) % 1000 != 1).mean()
    assert breaks == pytest.approx(1 / 8, rel=0.05)
    rng = np.random.default_rng(2)
    x = np.empty(4000)
    x[0] = 0.0
    noise = rng.normal(size=4000)
    for i in range(1, 4000):
        x[i] = 0.7 * x[i - 1] + noise[i]
    spread = x[stationary_indices(4000, 60.0, 800, seed=3)].mean(axis=1).std() * math.sqrt(4000)
    assert spread == pytest.approx(1 / (1 - 0.7), rel=0.2)
    plain = x[stationary_indices(4000, 1.0, 800, seed=3)].mean(axis=1).std() * math.sqrt(4000)
    assert plain < 0.6 / (1 - 0.7)


def test_the_best_of_many_that_know_nothing_is_seldom_taken_for_one_that_does() -> None:
    """Of 150 families of ten independent nothings at most one in ten has p < .05; single tests would say 40 %."""
    rng = np.random.default_rng(8)
    p = [superior_ability(rng.normal(size=(250, 10)), mean_block=5, B=200, seed=k).p_value for k in range(150)]
    assert np.mean(np.array(p) < 0.05) < 0.10
    assert 0.3 < np.mean(p) < 0.8


def test_bad_alternatives_do_not_hide_a_good_one() -> None:
    """Ninety alternatives far below the benchmark leave the p of a good one about what it is alone."""
    rng = np.random.default_rng(9)
    good = rng.normal(0.12, 1.0, (500, 1))
    bad = rng.normal(-3.0, 1.0, (500, 90))
    alone = superior_ability(good, mean_block=10, seed=1).p_value
    among = superior_ability(np.hstack([good, bad]), mean_block=10, seed=1)
    assert among.p_value == pytest.approx(alone, abs=0.001)
    assert int(np.nanargmax(among.statistics)) == 0


def test_where_nothing_gains_there_is_no_evidence() -> None:
    """Losses only, and gains that never vary because nothing is done, have p 1; what cannot be judged is refused."""
    rng = np.random.default_rng(10)
    assert superior_ability(rng.normal(-1.0, 1.0, (100, 3)), mean_block=5).p_value == 1.0
    idle = superior_ability(np.zeros((100, 2)), mean_block=5)
    assert idle.p_value == 1.0
    assert np.isnan(idle.statistics).all()
    with pytest.raises(ContractError, match="expected"):
        superior_ability(np.zeros((2, 1)), mean_block=5)
    with pytest.raises(ContractError, match="all finite"):
        superior_ability(np.full((9, 1), np.nan), mean_block=5)
