"""Trend scanning against least squares by numpy and scipy over every length."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from scalper_ml.errors import SettingsError
from scalper_ml.labels.trend import noise_quantile, trend_labels

MINUTE = 60_000_000


@given(st.integers(0, 10_000), st.integers(2, 5), st.integers(0, 6))
@settings(max_examples=20)
def test_the_line_is_the_one_with_the_largest_t_of_all_lengths(seed: int, shortest: int, more: int) -> None:
    """Slope, t and length of every row equal scipy's regression of log opens, tried for every length."""
    rng = np.random.default_rng(seed)
    price = 100 * np.exp(np.cumsum(rng.normal(0, 1e-3, 30)))
    start = MINUTE * np.arange(30)
    longest = shortest + more
    labels = trend_labels(price, start, start + MINUTE, interval_us=MINUTE, shortest=shortest, longest=longest)
    assert labels.row.tolist() == list(range(30 - longest - 1))
    for at, row in enumerate(labels.row):
        fits = {}
        for length in range(shortest, longest + 1):
            line = stats.linregress(np.arange(length + 1), np.log(price[row + 1 : row + length + 2]))
            fits[length] = (line.slope / line.stderr, line.slope)
        best = max(fits, key=lambda length: abs(fits[length][0]))
        assert labels.t[at] == pytest.approx(fits[best][0], rel=1e-6)
        assert labels.slope[at] == pytest.approx(fits[best][1], rel=1e-6)
        assert labels.length[at] == best
        assert labels.y[at] == (2 if fits[best][1] > 0 else 0)
    assert labels.weight.tolist() == np.abs(labels.t).tolist()
    assert labels.row.size + sum(labels.dropped.values()) == 30


def test_t1_is_the_last_bar_looked_at_and_not_the_end_of_the_line() -> None:
    """A short line won, but the choice needed all bars: purging by its length would be a leak (mlfinlab issue 288)."""
    price = 100 * np.exp([0, 0, 0.01, 0.02, 0.03, -0.2, 0.1, -0.3, 0.2, 0])
    start = MINUTE * np.arange(10)
    labels = trend_labels(price, start, start + MINUTE, interval_us=MINUTE, shortest=3, longest=8)
    assert labels.length.tolist() == [3]
    assert labels.t1.tolist() == [(8 + 1 + 1) * MINUTE]


def test_perfect_and_flat_lines_have_finite_weights() -> None:
    """A straight line has a large finite t, a price that does not move is NEUTRAL with no weight."""
    start = MINUTE * np.arange(12)
    up = trend_labels(100 * np.exp(0.01 * np.arange(12)), start, start + MINUTE, interval_us=MINUTE, longest=6)
    assert np.isfinite(up.t).all()
    assert (up.t > 1e5).all()
    flat = trend_labels(np.full(12, 100.0), start, start + MINUTE, interval_us=MINUTE, longest=6)
    assert (flat.y.tolist(), flat.weight.tolist()) == ([1] * 5, [0.0] * 5)


def test_noise_reaches_far_more_than_two() -> None:
    """Of random walks of 20 bars most pass |t| = 2; at the simulated 95 % quantile about one in twenty is labelled."""
    bound = noise_quantile(5, 20)
    rng = np.random.default_rng(9)
    n = 40_000
    price, start = 100 * np.exp(np.cumsum(rng.normal(0, 1e-3, n))), MINUTE * np.arange(n)
    labels = trend_labels(price, start, start + MINUTE, interval_us=MINUTE, longest=20, least_t=bound)
    assert (labels.weight > 2).mean() > 0.9
    assert (labels.y != 1).mean() == pytest.approx(0.05, abs=0.01)


def test_holes_and_the_end_are_counted_and_bad_lengths_refused() -> None:
    """A hole among the bars looked at is a gap; impossible lengths and thresholds name themselves."""
    start = MINUTE * np.array([0, 1, 2, 3, 4, 9, 10, 11, 12, 13, 14, 15, 16])
    labels = trend_labels(np.full(13, 1.0), start, start + MINUTE, interval_us=MINUTE, shortest=2, longest=3)
    assert labels.row.tolist() == [0, 5, 6, 7, 8]
    assert labels.dropped == {"no_exit": 4, "gap": 4}
    wide = {"interval_us": MINUTE, "max_gap_bars": 4}
    assert trend_labels(np.full(13, 1.0), start, start + MINUTE, shortest=2, longest=3, **wide).dropped["gap"] == 0
    with pytest.raises(SettingsError, match="shortest is 1"):
        trend_labels([1.0], [0], [MINUTE], interval_us=MINUTE, shortest=1)
    with pytest.raises(SettingsError, match="longest is 4"):
        trend_labels([1.0], [0], [MINUTE], interval_us=MINUTE, longest=4)
    with pytest.raises(SettingsError, match="least_t is nan"):
        trend_labels([1.0], [0], [MINUTE], interval_us=MINUTE, least_t=math.nan)
