"""Reference histograms and the NaN map, against numpy by hand."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalper_ml.errors import ContractError
from scalper_ml.features.histograms import REFERENCE, bin_counts, nan_shares, reference_histograms


@given(st.integers(0, 1000), st.integers(1, 9), st.integers(2, 12))
def test_every_warm_value_is_in_one_bin(seed: int, digits: int, bins: int) -> None:
    """Counts add up to the warm values, edges rise, and each bin holds what lies between its edges."""
    rng = np.random.default_rng(seed)
    X = np.round(rng.normal(size=(200, 3)) * digits) / digits
    X[:20, 1] = np.nan
    X[:, 2] = 1.0
    warm = rng.random(200) < 0.7
    table = reference_histograms(X, warm, ["a", "b", "c"], bins=bins)
    assert table.schema == REFERENCE
    for j, row in enumerate(table.to_pylist()):
        used = X[warm & ~np.isnan(X[:, j]), j]
        edges, counts = row["edges"], row["counts"]
        assert sum(counts) == row["rows"] == used.size
        assert len(counts) == len(edges) + 1 <= bins
        assert all(a < b for a, b in pairwise(edges))
        outer = [-np.inf, *edges, np.inf]
        assert counts == [int(((used > a) & (used <= b)).sum()) for a, b in pairwise(outer)]
        assert min(counts) > 0
        assert (row["min"], row["max"]) == (used.min(), used.max())
        assert (row["mean"], row["sd"]) == pytest.approx((used.mean(), used.std()))
    assert table["nan_rows"].to_pylist() == [0, 20, 0]
    assert table["first_valid"].to_pylist() == [0, 20, 0]
    assert table["edges"].to_pylist()[2] == []


def test_continuous_values_fill_the_bins_alike() -> None:
    """Of a continuous feature every bin holds a tenth: what later data is compared with."""
    X = np.random.default_rng(0).normal(size=(1000, 1))
    (row,) = reference_histograms(X, np.ones(1000, dtype=bool), ["a"]).to_pylist()
    assert row["counts"] == [100] * 10
    moved = bin_counts(row["edges"], X[:, 0] + 3)
    assert moved[-1] > 800


def test_a_feature_without_values_says_so() -> None:
    """All NaN, or no warm row: no statistics, no edges, one empty bin."""
    X = np.full((10, 2), np.nan)
    X[:, 1] = 1.0
    never, cold = reference_histograms(X, np.zeros(10, dtype=bool), ["never", "cold"]).to_pylist()
    assert (never["nan_rows"], never["first_valid"], never["mean"], never["counts"]) == (10, None, None, [0])
    assert (cold["nan_rows"], cold["first_valid"], cold["rows"]) == (0, 0, 0)
    with pytest.raises(ContractError, match="expected"):
        reference_histograms(X, np.zeros(9, dtype=bool), ["a", "b"])


def test_the_nan_map_is_shares_by_family_and_time() -> None:
    """Stretch by stretch the share of NaN among a family's values; short tables have a stretch a row."""
    X = np.zeros((100, 3))
    X[:25, 0] = np.nan
    X[:, 2] = np.nan
    found = nan_shares(X, ["trend", "trend", "flow"], buckets=4)
    assert found == {"trend": [0.5, 0.0, 0.0, 0.0], "flow": [1.0] * 4}
    assert len(nan_shares(X[:3], ["a", "a", "b"])["a"]) == 3
