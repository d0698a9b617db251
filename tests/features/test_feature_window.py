"""The sliding-window primitives against plain loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalper_ml.features import rolling, window
from scalper_ml.features.rolling import Rolling
from scalper_ml.kernel import kernel


@kernel
def roll(H, i0, i1, t0, wanted, S, R):
    rolling.roll(H, i0, i1, t0, wanted, S, R)


@kernel
def slide_pair(x, y, i0, i1, t0, n, S, into):
    window.slide_pair(x, y, 0, i0, i1, t0, n, S, into)


@kernel
def slide_line(x, i0, i1, t0, n, S, into):
    window.slide_line(x, i0, i1, t0, n, S, into)


@kernel
def smooth(mean, x, seen, n, alpha):
    return window.smooth(mean, x, seen, n, alpha)


def driven(one: Rolling, *series, cuts=()):
    """All answers (rows, t) of one statistic over the series, cut into calls; NaN stands before the reset."""
    pad, n = one.memory, len(series[0])
    H = np.full((len(series), pad + n), np.nan)
    H[:, pad:] = series
    wanted = np.array([one.row(0, 0)])
    S, answer = np.zeros(one.state), np.empty((one.rows, n))
    begin = 0
    for end in [*sorted(cuts), n]:
        R = np.empty((one.rows, end - begin))
        roll(H, pad + begin, pad + end, begin, wanted, S, R)
        answer[:, begin:end] = R
        begin = end
    return answer


def windows(x, n):
    return np.lib.stride_tricks.sliding_window_view(x, n)


series = st.integers(0, 10_000).map(lambda seed: 1e3 + np.random.default_rng(seed).standard_t(2, 80))
CODES = [rolling.total, rolling.moments, rolling.powers, rolling.maximum, rolling.minimum, rolling.age_of_max,
         rolling.age_of_min, rolling.ema, rolling.wilder]  # fmt: skip


@given(x=series, n=st.integers(1, 40))
def test_total_equals_a_fresh_sum(x, n):
    """Each window sum equals numpy's, from the first whole window on."""
    got = driven(rolling.total(0, n), x)[0]
    np.testing.assert_allclose(got[n - 1 :], windows(x, n).sum(axis=1), rtol=1e-13)


@given(x=series, y=series, n=st.integers(1, 30), lag=st.integers(0, 5))
def test_product_equals_a_fresh_sum(x, y, n, lag):
    """Each window sum of x times y lagged equals numpy's."""
    got = driven(rolling.product(0, 1, n, lag), x, y)[0]
    want = windows(x[lag:] * y[: len(y) - lag], n).sum(axis=1)
    np.testing.assert_allclose(got[n - 1 + lag :], want, rtol=1e-13)


@given(x=series, n=st.integers(2, 40))
def test_moments_equal_two_passes(x, n):
    """Mean and squared deviations are as exact as computed in two passes, at any distance from zero."""
    mean, squares = driven(rolling.moments(0, n), x)[:, n - 1 :]
    w = windows(x, n)
    np.testing.assert_allclose(mean, w.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(squares, ((w - w.mean(axis=1)[:, None]) ** 2).sum(axis=1), rtol=1e-9)


@given(x=series, n=st.integers(4, 40))
def test_powers_equal_two_passes(x, n):
    """Central moments two to four equal those computed in two passes."""
    got = driven(rolling.powers(0, n), x)[:, n - 1 :]
    d = windows(x, n) - windows(x, n).mean(axis=1)[:, None]
    for row, p in ((1, 2), (2, 3), (3, 4)):
        scale = (np.abs(d) ** p).mean(axis=1)
        assert (np.abs(got[row] - (d**p).mean(axis=1)) <= 1e-9 * np.maximum(scale, scale.max())).all()


@given(x=series, y=series, n=st.integers(3, 40), lag=st.integers(0, 5))
def test_pair_equals_two_passes(x, y, n, lag):
    """Centred sums of a pair equal numpy's covariance times n."""
    got = driven(rolling.pair(0, 1, n, lag), x, y)[:, n - 1 + lag :]
    a, b = windows(x[lag:], n), windows(y[: len(y) - lag], n)
    a, b = a - a.mean(axis=1)[:, None], b - b.mean(axis=1)[:, None]
    for row, want in enumerate([(a * a).sum(axis=1), (b * b).sum(axis=1), (a * b).sum(axis=1)]):
        np.testing.assert_allclose(got[row], want, rtol=1e-8, atol=1e-8 * np.sqrt((a * a).sum() * (b * b).sum()))


@given(x=series, n=st.integers(2, 40), phase=st.integers(0, 39), cut=st.integers(0, 80))
def test_a_line_is_a_pair_with_the_row_number(x, n, phase, cut):
    """Over whole windows the sums of x and its row numbers are those of a pair, whatever the cut."""
    rows = len(x)
    values, numbers = np.full((2, n + rows), np.nan)
    values[n:], numbers[n:] = x, np.arange(rows)
    found = []
    for one in (lambda *at: slide_pair(values, numbers, *at), lambda *at: slide_line(values, *at)):
        S, into = np.zeros(5 * (n + 1) + 2), np.empty((3, rows))
        for begin, end in ((0, cut), (cut, rows)):
            if end > begin:
                one(n + begin, n + end, begin + phase, n, S, into[:, begin:end])
        found.append(into[:, n - 1 :])
    assert np.isfinite(found[0]).all()
    rounding = 1e-13 * n * n * (np.ptp(x) + n)
    np.testing.assert_allclose(found[1], found[0], rtol=1e-12, atol=rounding * (np.ptp(x) + 1))


@given(x=series, n=st.integers(1, 40))
def test_extremes_and_ages_equal_a_search(x, n):
    """Largest and smallest with their ages equal a search of the window; the newest of equals wins."""
    x = np.round(x)
    w = windows(x, n)
    assert np.array_equal(driven(rolling.maximum(0, n), x)[0, n - 1 :], w.max(axis=1))
    assert np.array_equal(driven(rolling.minimum(0, n), x)[0, n - 1 :], w.min(axis=1))
    assert np.array_equal(driven(rolling.age_of_max(0, n), x)[0, n - 1 :], w[:, ::-1].argmax(axis=1))
    assert np.array_equal(driven(rolling.age_of_min(0, n), x)[0, n - 1 :], w[:, ::-1].argmin(axis=1))


@pytest.mark.parametrize("make", CODES, ids=lambda make: make.__name__)
@given(x=series, n=st.integers(1, 30), cuts=st.sets(st.integers(0, 80), max_size=6))
def test_cuts_change_no_bit(make, x, n, cuts):
    """Any cut of the rows into calls gives the same bits, whichever row the sums start anew at."""
    for place in (0, 1):
        one = make(place, n)
        whole, pieces = driven(one, x, x), driven(one, x, x, cuts=cuts)
        assert np.array_equal(whole.view(np.int64), pieces.view(np.int64))


def test_huge_value_leaves_no_residue():
    """Once 1e18 has left the window, a constant window has the exact sum and no variance."""
    x = np.r_[np.full(30, 0.1), 1e18, np.full(30, 0.1)]
    assert driven(rolling.total(0, 10), x)[0, 50] == pytest.approx(1.0, rel=1e-15)
    assert driven(rolling.moments(0, 10), x)[:, 50].tolist() == [0.1, 0.0]


def test_nan_disturbs_only_windows_that_hold_it():
    """A NaN makes exactly the n windows NaN that contain it."""
    x = np.ones(60)
    x[25] = np.nan
    got = driven(rolling.total(0, 10), x)[0]
    assert (np.flatnonzero(np.isnan(got[9:])) + 9).tolist() == list(range(25, 35))


def test_smooth_starts_with_the_plain_mean():
    """Wilder's mean of 3: 1, 2, 6 average to 3; then 3 + (9 - 3) / 3 = 5. The block form gives the same bits."""
    value, values = 0.0, []
    for seen, x in enumerate([1.0, 2.0, 6.0, 9.0]):
        value = smooth(value, x, seen, 3, 1 / 3)
        values.append(value)
    assert value == pytest.approx(5.0, rel=1e-15)
    assert driven(rolling.wilder(0, 3, start=0), np.array([1.0, 2.0, 6.0, 9.0]))[0].tolist() == values
    assert driven(rolling.wilder(0, 3, start=1), np.array([7.0, 1.0, 2.0, 6.0, 9.0]))[0].tolist() == [0.0, *values]
