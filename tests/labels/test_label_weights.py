"""Concurrency and uniqueness of overlapping labels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalper_ml.errors import ContractError
from scalper_ml.labels.horizon import horizon_labels
from scalper_ml.labels.weights import concurrency, uniqueness


@st.composite
def overlapping(draw: st.DrawFn) -> tuple[list[int], list[int], list[int]]:
    closes = sorted(draw(st.sets(st.integers(0, 60), min_size=1, max_size=30)))
    n = draw(st.integers(1, 20))
    t0 = draw(st.lists(st.integers(0, 60), min_size=n, max_size=n))
    length = draw(st.lists(st.integers(1, 25), min_size=n, max_size=n))
    return t0, [a + b for a, b in zip(t0, length, strict=True)], closes


@given(overlapping())
def test_uniqueness_equals_counting_bar_by_bar(case: tuple[list[int], list[int], list[int]]) -> None:
    """On any intervals concurrency is the number in flight, uniqueness the mean of its inverse over the label."""
    t0, t1, closes = case
    labels = list(zip(t0, t1, strict=True))
    crowd = {c: sum(a < c < b for a, b in labels) for c in closes}
    assert concurrency(t0, t1, closes).tolist() == list(crowd.values())
    expected = []
    for a, b in labels:
        shares = [1 / crowd[c] for c in closes if a < c < b]
        expected.append(sum(shares) / len(shares) if shares else 1.0)
    np.testing.assert_allclose(uniqueness(t0, t1, closes), expected, rtol=1e-12)


@pytest.mark.parametrize("horizon", [1, 3, 15])
def test_a_label_at_every_bar_is_unique_by_one_over_h(horizon: int) -> None:
    """With a fixed horizon h the effective number of labels is n / h: labels of one bar do not overlap at all."""
    start = np.arange(600, dtype=np.int64)
    labels = horizon_labels(np.full(600, 1.0), start, start + 1, horizon=horizon, interval_us=1, sigma=np.zeros(600),
                            cost=0.0, k_vol=0.0, kappa=0.0, max_gap_bars=0)  # fmt: skip
    own = uniqueness(labels.t0, labels.t1, start + 1)
    np.testing.assert_allclose(own[horizon:-horizon], 1 / horizon, rtol=1e-12)
    assert abs(own.sum() - labels.row.size / horizon) < 2 * np.log(horizon) + 1e-9


def test_a_label_known_before_it_is_decided_is_refused() -> None:
    """t0 < t1, and closes that only go forward."""
    with pytest.raises(ContractError, match="t0 < t1"):
        uniqueness([3], [3], [0, 1])
    with pytest.raises(ContractError, match="strictly increasing"):
        uniqueness([1], [3], [0, 2, 2])
