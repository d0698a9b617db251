"""Concurrency and uniqueness of overlapping labels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalper_ml.errors import ContractError, SettingsError
from scalper_ml.labels.horizon import horizon_labels
from scalper_ml.labels.rule import LabelRule
from scalper_ml.labels.weights import class_weights, concurrency, effective_size, sample_weights, uniqueness


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
    labels = horizon_labels(
        np.full(600, 1.0), start, start + 1, rule=LabelRule(horizon, 1, 0.0, 0.0), sigma=np.zeros(600), cost=0.0
    )
    own = uniqueness(labels.t0, labels.t1, start + 1)
    np.testing.assert_allclose(own[horizon:-horizon], 1 / horizon, rtol=1e-12)
    assert abs(own.sum() - labels.row.size / horizon) < 2 * np.log(horizon) + 1e-9


def test_a_label_known_before_it_is_decided_is_refused() -> None:
    """t0 < t1, and closes that only go forward."""
    with pytest.raises(ContractError, match="t0 < t1"):
        uniqueness([3], [3], [0, 1])
    with pytest.raises(ContractError, match="strictly increasing"):
        uniqueness([1], [3], [0, 2, 2])


@given(st.integers(1, 40), st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.2, 1.0]), st.integers(0, 1000))
def test_sample_weights_are_uniqueness_size_and_age(n: int, attribution: float, decay: float, seed: int) -> None:
    """Each weight is uniqueness times |ret| to the power times an age that rises with cumulated uniqueness; mean 1."""
    rng = np.random.default_rng(seed)
    own, ret = rng.uniform(0.1, 1, n), rng.normal(0, 1, n)
    expected, passed, last = [], 0.0, own.sum() - own[0]
    for i in range(n):
        passed += own[i] if i else 0.0
        age = decay + (1 - decay) * (passed / last if last > 0 else 0.0)
        expected.append(own[i] * abs(ret[i]) ** attribution * (age if decay < 1 else 1.0))
    weight = sample_weights(own, ret, attribution=attribution, decay=decay)
    np.testing.assert_allclose(weight, np.asarray(expected) / np.mean(expected), rtol=1e-12)


@given(st.lists(st.integers(0, 2), min_size=1, max_size=60), st.sampled_from([0.0, 0.5, 1.0]))
def test_class_weights_balance_classes_and_keep_the_mean(y: list[int], beta: float) -> None:
    """Factors go with (1 / share)^beta, the weighted mean stays 1, and at beta 1 every class has the same mass."""
    own = np.linspace(0.5, 1.5, len(y))
    factors = class_weights(y, own, beta)
    codes = {"SHORT": 0, "NEUTRAL": 1, "LONG": 2}
    mass = {name: sum(w for w, code in zip(own, y, strict=True) if code == codes[name]) for name in codes}
    assert sum(mass[name] * factors[name] for name in codes) == pytest.approx(own.sum())
    present = [name for name in codes if mass[name]]
    for name in codes:
        assert (factors[name] == 0) == (name not in present)
    for one in present:
        assert factors[one] / factors[present[0]] == pytest.approx((mass[present[0]] / mass[one]) ** beta)


def test_the_effective_size_is_that_of_the_mean_with_these_weights() -> None:
    """A weighted mean of noise varies like the mean of so many rows."""
    rng = np.random.default_rng(1)
    weight = rng.exponential(1.0, 50)
    means = (rng.normal(size=(20_000, 50)) * weight).sum(axis=1) / weight.sum()
    assert 1 / means.var() == pytest.approx(effective_size(weight), rel=0.04)
    assert effective_size(np.zeros(3)) == 0.0


def test_impossible_weights_are_refused() -> None:
    """Attribution, decay and balance outside their range, and returns that leave no weight, name themselves."""
    with pytest.raises(SettingsError, match="attribution is -1"):
        sample_weights([1.0], [1.0], attribution=-1)
    with pytest.raises(SettingsError, match=r"decay is 0\.0"):
        sample_weights([1.0], [1.0], decay=0.0)
    with pytest.raises(ContractError, match="leaves no weight"):
        sample_weights([1.0, 1.0], [0.0, 0.0], attribution=1.0)
    with pytest.raises(ContractError, match="one of each a label"):
        sample_weights([1.0, 1.0], [0.0])
    with pytest.raises(SettingsError, match="class balance is 2"):
        class_weights([0], [1.0], 2)
