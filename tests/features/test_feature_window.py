"""The sliding-window primitives against plain loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalper_ml.features import window


def driven(step, x, n, size, pad):
    """All outputs of a primitive over x; `pad` NaN rows stand for what was before the reset."""
    padded = np.r_[np.full(pad, np.nan), x]
    S = np.zeros(size)
    return [step(padded, pad + t, t, n, S) for t in range(len(x))]


series = st.integers(0, 10_000).map(lambda seed: 1e3 + np.random.default_rng(seed).standard_t(2, 80))


@given(x=series, n=st.integers(1, 40))
def test_slide_sum_equals_a_fresh_sum(x, n):
    """Each window sum equals numpy's, and rows before the first full window are NaN."""
    got = np.array(driven(lambda x, i, t, n, S: window.slide_sum(x, i, t % n, n, S), x, n, window.sum_size(n), n))
    want = [x[t - n + 1 : t + 1].sum() if t >= n - 1 else np.nan for t in range(len(x))]
    np.testing.assert_allclose(got, want, rtol=1e-13)


@given(x=series, n=st.integers(2, 40))
def test_slide_moments_equals_two_passes(x, n):
    """Mean and variance are as exact as computed in two passes, at any distance from zero."""
    got = driven(lambda x, i, t, n, S: window.slide_moments(x, i, t % n, n, S), x, n, window.moments_size(n), n)
    for t in range(n - 1, len(x)):
        w = x[t - n + 1 : t + 1]
        np.testing.assert_allclose(got[t], [w.mean(), ((w - w.mean()) ** 2).sum()], rtol=1e-10)


@given(x=series, n=st.integers(1, 40))
def test_extremes_and_ages_equal_a_search(x, n):
    """Largest and smallest with their ages equal a search of the window; the newest of equals wins."""
    x = np.round(x)
    tops = driven(lambda x, i, t, n, S: window.highest(x, i, t % n, n, S), x, n, window.sum_size(n), n)
    lows = driven(lambda x, i, t, n, S: window.lowest(x, i, t % n, n, S), x, n, window.sum_size(n), n)
    top_ages = driven(lambda x, i, t, n, S: window.age_of_highest(x, i, t, t % n, n, S), x, n, window.age_size(n), n)
    low_ages = driven(lambda x, i, t, n, S: window.age_of_lowest(x, i, t, t % n, n, S), x, n, window.age_size(n), n)
    for t in range(n - 1, len(x)):
        w = x[t - n + 1 : t + 1]
        assert (tops[t], top_ages[t]) == (w.max(), w[::-1].argmax())
        assert (lows[t], low_ages[t]) == (w.min(), w[::-1].argmin())


def test_huge_value_leaves_no_residue():
    """Once 1e18 has left the window, a constant window has the exact sum and no variance."""
    x = np.r_[np.full(30, 0.1), 1e18, np.full(30, 0.1)]
    sums = driven(lambda x, i, t, n, S: window.slide_sum(x, i, t % n, n, S), x, 10, window.sum_size(10), 10)
    moments = driven(lambda x, i, t, n, S: window.slide_moments(x, i, t % n, n, S), x, 10, window.moments_size(10), 10)
    assert sums[45] == pytest.approx(1.0, rel=1e-15)
    assert moments[45] == (0.1, 0.0)


def test_nan_disturbs_only_windows_that_hold_it():
    """A NaN makes exactly the n windows NaN that contain it."""
    x = np.ones(60)
    x[25] = np.nan
    got = np.array(driven(lambda x, i, t, n, S: window.slide_sum(x, i, t % n, n, S), x, 10, window.sum_size(10), 10))
    assert np.flatnonzero(np.isnan(got[9:])).tolist() == list(range(16, 26))


def test_smooth_starts_with_the_plain_mean():
    """Wilder's mean of 3: 1, 2, 6 average to 3; then 3 + (9 - 3) / 3 = 5."""
    value = 0.0
    for seen, x in enumerate([1.0, 2.0, 6.0, 9.0]):
        value = window.smooth(value, x, seen, 3, 1 / 3)
    assert value == pytest.approx(5.0, rel=1e-15)
