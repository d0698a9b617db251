"""Platt, beta and isotonic calibration: what they recover, how many rows they ask for, that they are kept exactly."""

import json

import numpy as np
import pytest

from scalper_ml.errors import ContractError, InsufficientDataError
from scalper_ml.models.calibrators import LEAST_ROWS, calibrator_from_dict, fit_calibrator
from scalper_ml.validation.calibration_error import ece, noise_floor
from scalper_ml.validation.metrics import brier, log_loss

PRIOR = (0.25, 0.45, 0.3)
METHODS = tuple(LEAST_ROWS)


def market(n: int, seed: int, *, signal: float = 0.5, factor: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a model says that is `factor` times too sure, the true probabilities, and outcomes drawn from them."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 1)) * signal * np.array([-1.0, 0.0, 1.0])

    def softmax(z: np.ndarray) -> np.ndarray:
        P = PRIOR * np.exp(z)
        return P / P.sum(axis=1, keepdims=True)

    true = softmax(z)
    return softmax(factor * z), true, np.minimum((rng.random((n, 1)) > true.cumsum(axis=1)).sum(axis=1), 2)


@pytest.mark.parametrize("method", METHODS)
def test_overconfidence_is_undone(method: str) -> None:
    """A model three times too sure is calibrated to within its noise floor, with less loss, on rows not seen."""
    raw, _, y = market(20_000, 1, factor=3.0)
    calibrator = fit_calibrator(method, raw, y, PRIOR)  # type: ignore[arg-type]
    raw, true, y = market(20_000, 2, factor=3.0)
    P = calibrator.apply(raw)
    assert log_loss(y, P) < log_loss(y, raw) - 0.05
    assert brier(y, P) - brier(y, true) < 0.002
    top = P.max(axis=1)
    assert ece(top, P.argmax(axis=1) == y) < noise_floor(top, seed=0) + 0.01


@pytest.mark.parametrize("method", METHODS)
def test_results_are_proper_and_kept_exactly(method: str) -> None:
    """Rows are inside (0, 1) and sum to 1 even for certainties; JSON keeps every bit; fitting twice gives the same."""
    raw, _, y = market(12_000, 3)
    calibrator = fit_calibrator(method, raw, y, PRIOR)  # type: ignore[arg-type]
    edge = np.vstack([raw[:50], np.eye(3), [[0.5, 0.5, 0.0]]])
    P = calibrator.apply(edge)
    assert P.min() > 0
    assert P.max() < 1
    np.testing.assert_allclose(P.sum(axis=1), 1, rtol=0, atol=1e-12)
    again = calibrator_from_dict(json.loads(json.dumps(calibrator.to_dict())))
    assert np.array_equal(again.apply(edge), P)
    assert fit_calibrator(method, raw, y, PRIOR) == calibrator  # type: ignore[arg-type]
    assert np.array_equal(P, np.vstack([calibrator.apply(row[None]) for row in edge]))


def test_beta_and_platt_undo_what_a_temperature_cannot() -> None:
    """A model that always favours one side is set right by offsets, which a temperature has not."""
    raw, _, y = market(20_000, 5)
    tilted = raw * [0.5, 1.0, 2.0]
    tilted /= tilted.sum(axis=1, keepdims=True)
    loss = {m: log_loss(y, fit_calibrator(m, tilted, y, PRIOR).apply(tilted)) for m in METHODS}  # type: ignore[arg-type]
    best = log_loss(y, raw)
    assert loss["platt"] < best + 0.001
    assert loss["beta"] < best + 0.002
    assert loss["temperature"] > best + 0.01


def test_isotonic_rises() -> None:
    """A likelier class raw is no less likely calibrated, before classes are made to sum to 1."""
    raw, _, y = market(12_000, 6)
    corners = fit_calibrator("isotonic", raw, y, PRIOR).to_dict()["corners"]
    for p, q in corners:
        assert np.all(np.diff(p) > 0)
        assert np.all(np.diff(q) >= 0)


@pytest.mark.parametrize("method", ["platt", "beta", "isotonic"])
def test_too_few_effective_rows_are_refused(method: str) -> None:
    """Labels of h bars count one in h; below a method's least rows it is refused, naming one they suffice for."""
    least = LEAST_ROWS[method]
    raw, _, y = market(3 * least, 7)
    fit_calibrator(method, raw, y, PRIOR, horizon=3)  # type: ignore[arg-type]
    with pytest.raises(InsufficientDataError, match=rf"calibration {method}: .*at least {least:,} - set training.cal"):
        fit_calibrator(method, raw[:-3], y[:-3], PRIOR, horizon=3)  # type: ignore[arg-type]


def test_unknown_ways_are_refused() -> None:
    """An unknown method or kind lists those there are."""
    with pytest.raises(ContractError, match="temperature"):
        fit_calibrator("magic", np.full((3, 3), 1 / 3), [0, 1, 2], PRIOR)  # type: ignore[arg-type]
    with pytest.raises(ContractError, match="'magic'"):
        calibrator_from_dict({"kind": "magic"})
