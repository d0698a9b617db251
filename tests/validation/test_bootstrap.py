"""The time-block multinomial bootstrap: closed forms, size on the null, degenerate statistics."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from scalper_ml.errors import ContractError
from scalper_ml.validation.bootstrap import (
    block_ids,
    block_sums,
    blocks,
    bootstrap,
    draw_weights,
    lcb,
    p_value,
    standard_error,
    ucb,
)


def mean(totals):
    return totals[..., 0] / totals[..., 1]


@pytest.mark.parametrize(
    ("rows", "horizon", "expected"),
    [(1, 1, 40), (640, 1, 40), (656, 1, 41), (3_840, 1, 240), (10**6, 1, 240), (43_200, 15, 180)],
)
def test_number_of_blocks(rows: int, horizon: int, expected: int) -> None:
    """The number of blocks is rows / (16 h), never below 40 or above 240."""
    assert blocks(rows, horizon) == expected


@given(st.integers(1, 500), st.integers(2, 60))
def test_blocks_partition_the_rows(rows: int, n: int) -> None:
    """Block ids ascend from 0, stay below the number of blocks, and sizes differ by at most one."""
    ids = block_ids(rows, n)
    sizes = np.bincount(ids, minlength=n)
    assert ids[0] == 0
    assert np.all(np.diff(ids) >= 0)
    assert sizes.size == n
    assert sizes.max() - sizes.min() <= 1


@given(st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=50))
def test_block_sums_equal_a_loop(values: list[float]) -> None:
    """Sums per block equal the loop over rows, column by column."""
    rows = np.column_stack([values, np.ones(len(values))])
    ids = block_ids(len(values), 3)
    expected = [[sum(rows[i, j] for i in range(len(values)) if ids[i] == b) for j in (0, 1)] for b in range(3)]
    np.testing.assert_allclose(block_sums(rows, ids, 3), expected, rtol=1e-12, atol=1e-9)


def test_draws_are_multinomial_and_seeded() -> None:
    """Every draw takes as many blocks as there are; one seed gives one set of draws, another a different one."""
    weights = draw_weights(40, 300, seed=9)
    assert weights.shape == (300, 40)
    assert weights.dtype == np.int64
    assert np.all(weights.sum(axis=1) == 40)
    assert np.array_equal(weights, draw_weights(40, 300, seed=9))
    assert not np.array_equal(weights, draw_weights(40, 300, seed=10))


def test_standard_error_of_a_mean_is_the_closed_form() -> None:
    """With equal blocks the bootstrap error of a mean is sd(block means) / sqrt(blocks), up to drawing noise."""
    x = np.random.default_rng(0).normal(size=4_000)
    sums = block_sums(np.c_[x, np.ones_like(x)], block_ids(4_000, 50), 50)
    theta, draws = bootstrap(sums, mean, draw_weights(50, 20_000, seed=1))
    assert theta == pytest.approx(x.mean(), abs=1e-12)
    assert standard_error(draws) == pytest.approx(mean(sums).std() / math.sqrt(50), rel=0.02)


def test_draws_equal_resampling_whole_blocks() -> None:
    """A draw equals the statistic of the rows of the blocks it takes, as often as it takes them."""
    x = np.random.default_rng(4).normal(size=90)
    ids = block_ids(90, 9)
    weights = draw_weights(9, 5, seed=2)
    _, draws = bootstrap(block_sums(np.c_[x, np.ones(90)], ids, 9), mean, weights)
    for draw, weight in zip(draws, weights, strict=True):
        assert draw == pytest.approx(np.repeat(x, weight[ids]).mean(), abs=1e-12)


def test_bounds_and_p_value_are_students_t() -> None:
    """Bounds and p-value are those of Student's t with one degree of freedom fewer than blocks."""
    draws = np.random.default_rng(7).normal(0.2, 0.1, 500)
    se = draws.std(ddof=1)
    assert lcb(0.2, draws, 0.05, 40) == pytest.approx(0.2 - stats.t.ppf(0.95, 39) * se, abs=1e-12)
    assert ucb(0.2, draws, 0.05, 40) == pytest.approx(0.2 + stats.t.ppf(0.95, 39) * se, abs=1e-12)
    assert p_value(0.2, 0.05, draws, 40) == pytest.approx(stats.t.sf(0.15 / se, 39), abs=1e-12)


def test_size_on_dependent_noise() -> None:
    """On noise that depends over 10 rows, a 5 % test of "mean <= 0" rejects in about 5 % of 400 samples."""
    rng = np.random.default_rng(11)
    n_blocks, rejected = 40, 0
    weights = draw_weights(n_blocks, 200, seed=1)
    ids = block_ids(8_000, n_blocks)
    for _ in range(400):
        x = np.repeat(rng.standard_t(5, 800), 10)
        theta, draws = bootstrap(block_sums(np.c_[x, np.ones(8_000)], ids, n_blocks), mean, weights)
        rejected += p_value(theta, 0.0, draws, n_blocks) <= 0.05
    assert 0.03 <= rejected / 400 <= 0.085


def test_undefined_statistics_are_no_evidence() -> None:
    """A statistic that is undefined on the sample or on one draw has bound -inf and p-value 1."""
    for theta, draws in ((math.nan, [0.1, 0.2]), (0.5, [0.4, math.nan]), (0.5, [0.4, math.inf])):
        assert lcb(theta, draws, 0.05, 40) == -math.inf
        assert p_value(theta, 0.0, draws, 40) == 1.0


def test_constant_statistics_are_judged_by_value_not_by_dust() -> None:
    """A statistic without spread, as of a constant prediction, is not significant through rounding dust."""
    dust = 1 / 3 + np.array([0.0, 1e-17, -1e-17])
    assert p_value(1 / 3 + 1e-16, 1 / 3, dust, 40) == 1.0
    assert p_value(1.0, 1 / 3, [1.0, 1.0], 40) == 0.0
    assert lcb(1.0, [1.0, 1.0], 0.05, 40) == 1.0


def test_too_few_blocks_or_rows_are_refused() -> None:
    """A bootstrap of one block, or of no rows, is refused."""
    with pytest.raises(ContractError, match="1 blocks"):
        draw_weights(1, 100, seed=0)
    with pytest.raises(ContractError, match="found 0 rows"):
        blocks(0, 1)
