"""Drift of inputs: exact statistics, limits that autocorrelation does not break, one path for batch and stream."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from scalper_ml.drift.inputs import FeatureMonitor, InputReference, fit_inputs, ks, psi
from scalper_ml.errors import ContractError, InsufficientDataError


def autoregressive(n: int, phi: float, rng: np.random.Generator, columns: int = 1) -> np.ndarray:
    """Columns of unit variance."""
    out, shocks = np.empty((n, columns)), rng.normal(size=(n, columns))
    out[0] = shocks[0]
    for i in range(1, n):
        out[i] = phi * out[i - 1] + np.sqrt(1 - phi * phi) * shocks[i]
    return out


def test_psi_is_the_sum_over_ten_bins_of_reference_quantiles() -> None:
    """On continuous values the statistic is the textbook sum over the deciles of the reference."""
    rng = np.random.default_rng(0)
    before, now = rng.normal(size=8000), rng.normal(0.5, 1.2, size=1000)
    monitor = FeatureMonitor(fit_inputs(before[:, None], ["x"], window=1000, seed=1), 1000)
    monitor.update(now[:, None])
    edges = np.quantile(before, np.arange(1, 10) / 10, method="inverted_cdf")
    p, q = (np.histogram(x, np.concatenate([[-np.inf], edges, [np.inf]]))[0] / x.size for x in (before, now))
    (found,) = monitor.moved()
    assert found.psi == pytest.approx(np.sum((q - p) * np.log(q / p)), rel=0.02)
    assert found.beyond


def test_ks_is_the_distance_of_the_distribution_functions() -> None:
    """The distance at 249 quantiles is at most SciPy's and at most .004 less."""
    rng = np.random.default_rng(1)
    before, now = rng.normal(size=8000), rng.standard_t(3, size=1000) + 0.1
    monitor = FeatureMonitor(fit_inputs(before[:, None], ["x"], window=1000, seed=1), 1000)
    monitor.update(now[:, None])
    exact = stats.ks_2samp(before, now).statistic
    assert exact - 0.004 - 1e-9 <= monitor.moved()[0].ks <= exact + 1e-12


@given(st.lists(st.integers(0, 50), min_size=2, max_size=12))
def test_equal_shares_are_no_distance(counts: list[int]) -> None:
    """Both distances of a histogram to itself are 0, and PSI does not ask which of two is the reference."""
    share = np.array(counts) / max(sum(counts), 1)
    other = share[::-1]
    assert psi(share, share) == ks(share, share) == 0.0
    assert float(psi(share, other)) == pytest.approx(float(psi(other, share)))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 900), max_size=4))
def test_rows_in_any_pieces_leave_one_state(cuts: list[int]) -> None:
    """A monitor saved and restored between any pieces has the bits of one that took all rows at once."""
    rng = np.random.default_rng(2)
    references = fit_inputs(rng.normal(size=(2000, 3)), ["a", "b", "c"], window=400, seed=0)
    X = rng.normal(size=(900, 3))
    whole = FeatureMonitor(references, 400)
    whole.update(X)
    part = FeatureMonitor(references, 400)
    edges = sorted({0, 900, *cuts})
    for begin, end in itertools.pairwise(edges):
        kept = [InputReference.from_dict(one.to_dict()) for one in part.references]
        part = FeatureMonitor(kept, 400, state=part.state())
        part.update(X[begin:end])
    assert np.array_equal(part.state(), whole.state())
    assert part.moved() == whole.moved()


def test_features_of_few_values_have_few_bins() -> None:
    """A constant has one bin and never moves; a flag has two, and moves when its share does."""
    rng = np.random.default_rng(4)
    X = np.column_stack([np.ones(4000), rng.random(4000) < 0.5]).astype(float)
    monitor = FeatureMonitor(fit_inputs(X, ["one", "flag"], window=500, seed=0), 500)
    assert monitor.moved() == []
    monitor.update(np.column_stack([np.ones(500), rng.random(500) < 0.9]).astype(float))
    one, flag = monitor.moved()
    assert (one.psi, one.ks, one.beyond) == (0.0, 0.0, False)
    assert flag.beyond


def test_what_cannot_be_measured_is_refused() -> None:
    """A reference shorter than four windows, and rows with a NaN, are refused with what was found."""
    with pytest.raises(InsufficientDataError, match="100 reference rows"):
        fit_inputs(np.zeros((100, 1)), ["x"], window=50, seed=0)
    monitor = FeatureMonitor(fit_inputs(np.random.default_rng(0).normal(size=(400, 1)), ["x"], window=50, seed=0), 50)
    with pytest.raises(ContractError, match="not finite"):
        monitor.update(np.array([[np.nan]]))


def alarms(phi: float, columns: int, *, window: int = 1000, seed: int = 0) -> tuple[float, float]:
    """Share of undrifted features beyond the limits of PSI and of KS."""
    rng = np.random.default_rng(seed)
    X = autoregressive(21_000 + 5 * window, phi, rng, columns)
    names = [str(j) for j in range(columns)]
    monitor = FeatureMonitor(fit_inputs(X[:20_000], names, window=window, seed=seed), window)
    monitor.update(X[-window:])
    moved = monitor.moved()
    return float(np.mean([one.beyond for one in moved])), float(np.mean([one.ks > one.ks_limit for one in moved]))


def test_a_feature_that_remembers_does_not_alarm_by_itself() -> None:
    """Miniature of `verify`: 40 features of AR(.98) without drift, at most one beyond either limit."""
    assert max(alarms(0.98, 40)) <= 1 / 40


@pytest.mark.verify
@pytest.mark.parametrize("phi", [0.0, 0.9, 0.98])
def test_false_alarms_of_inputs_are_at_most_one_in_a_hundred(phi: float) -> None:
    """1,000 features without drift, reference 20,000 rows and windows of 1,000: at most 1 % beyond either limit."""
    found = np.mean([alarms(phi, 100, seed=seed) for seed in range(10)], axis=0)
    assert (found <= 0.01).all(), found
