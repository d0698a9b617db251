"""Temperature towards base rates: limits, recovery of a planted over-confidence, never worse than raw."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalper_ml.errors import ContractError
from scalper_ml.models.calibration import MAX_TEMPERATURE, Temperature, fit_temperature, prior_shift
from scalper_ml.validation.calibration_error import ece
from scalper_ml.validation.metrics import log_loss

PRIOR = (0.25, 0.45, 0.3)


def softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def market(n: int, seed: int, *, signal: float = 0.18) -> tuple[np.ndarray, np.ndarray]:
    """True class log-odds relative to the prior, and labels drawn from them."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 1)) * signal * np.array([-1.0, 0.0, 1.0])
    P = softmax(np.log(PRIOR) + z)
    return z, np.minimum((rng.random((n, 1)) > P.cumsum(axis=1)).sum(axis=1), 2)


probabilities = st.lists(st.floats(0.001, 1), min_size=3, max_size=3).map(lambda p: np.array([p]) / sum(p))


@given(probabilities, st.floats(0.1, 100))
def test_result_is_a_probability_between_prior_and_raw(P: np.ndarray, T: float) -> None:
    """Calibrated rows are proper, T = 1 is the identity, T > 1 moves log-odds straight towards the prior."""
    out = Temperature(T, PRIOR).apply(P)
    assert out.min() > 0
    assert out.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(Temperature(1.0, PRIOR).apply(P), P, rtol=1e-12)
    lift, raw = (np.log(p / PRIOR) for p in (out, P))
    np.testing.assert_allclose(lift - lift[:, :1], (raw - raw[:, :1]) / T, atol=1e-9)


def test_infinite_temperature_is_the_base_rates() -> None:
    """Without skill nothing but the base rates remains, not a third each."""
    np.testing.assert_allclose(Temperature(1e12, PRIOR).apply(np.array([[0.9, 0.05, 0.05]])), [PRIOR], rtol=1e-9)


@pytest.mark.parametrize("factor", [0.5, 1.0, 5.0])
def test_planted_overconfidence_is_recovered(factor: float) -> None:
    """A model whose log-odds are `factor` times the truth gets T = factor within 20 %, with less loss and ECE."""
    z, y = market(30_000, seed=2, signal=0.5)
    raw = softmax(np.log(PRIOR) + factor * z)
    fitted = fit_temperature(raw, y, PRIOR)
    assert fitted.value == pytest.approx(factor, rel=0.2)
    out = fitted.apply(raw)
    assert log_loss(y, out) <= log_loss(y, raw) + 1e-12
    if factor == 5.0:
        before, after = (ece(P.max(axis=1), P.argmax(axis=1) == y) for P in (raw, out))
        assert after < before / 5


def test_weak_signal_few_rows_is_not_made_confident() -> None:
    """On 1,000 rows of a weak signal and a model five times over-confident, calibrated ECE is far below raw's."""
    after, before = [], []
    for seed in range(10):
        z, y = market(1_000, seed=seed)
        fitted = fit_temperature(softmax(np.log(PRIOR) + 5 * z), y, PRIOR)
        z, y = market(50_000, seed=100 + seed)
        raw = softmax(np.log(PRIOR) + 5 * z)
        for errors, P in ((before, raw), (after, fitted.apply(raw))):
            errors.append(ece(P.max(axis=1), P.argmax(axis=1) == y))
    assert np.mean(after) < 0.25 * np.mean(before)
    assert np.mean(after) < 0.03


def test_useless_and_inverted_models_hit_the_bound() -> None:
    """A model that points the wrong way gets the largest temperature: the base rates, for all purposes."""
    z, y = market(5_000, seed=1, signal=0.5)
    fitted = fit_temperature(softmax(np.log(PRIOR) - z), y, PRIOR)
    assert fitted.value == MAX_TEMPERATURE
    assert fitted.apply(softmax(np.log(PRIOR) - z)).std(axis=0).max() < 0.005


@given(st.integers(0, 1000))
def test_fit_is_the_minimum_and_repeats(seed: int) -> None:
    """No temperature of a grid has less loss than the fitted one, and fitting twice gives the same bits."""
    z, y = market(400, seed=seed, signal=0.4)
    raw = softmax(np.log(PRIOR) + 2 * z)
    fitted = fit_temperature(raw, y, PRIOR)
    grid = min(log_loss(y, Temperature(T, PRIOR).apply(raw)) for T in np.geomspace(0.1, 100, 50))
    assert log_loss(y, fitted.apply(raw)) <= grid + 1e-9
    assert fit_temperature(raw, y, PRIOR) == fitted


def test_dict_round_trip_is_exact_and_checked() -> None:
    """A calibrator survives its dict bit for bit; another kind or an impossible prior is refused."""
    fitted = Temperature(1.2345678901234567, (0.1, 0.7000000000000001, 0.2))
    assert Temperature.from_dict(fitted.to_dict()) == fitted
    with pytest.raises(ContractError, match="'platt'"):
        Temperature.from_dict({"kind": "platt"})
    with pytest.raises(ContractError, match="sum to 1"):
        Temperature(1.0, (0.5, 0.5, 0.5))


def test_prior_shift_counts_standard_errors() -> None:
    """A share of .5 seen as .6 on 100 effective labels is two standard errors away."""
    assert prior_shift([0.25, 0.5, 0.25], [0.2, 0.6, 0.2], 100)["z"] == [-1.155, 2.0, -1.155]
