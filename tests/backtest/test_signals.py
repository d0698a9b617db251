"""Probabilities into decisions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from scalper_ml.backtest.signals import decide
from scalper_ml.errors import ContractError

weights = arrays(np.float64, st.tuples(st.integers(1, 20), st.just(3)), elements=st.floats(0.01, 1.0))


def test_neutral_probability_does_not_decide():
    """A row that is 90 % NEUTRAL is traded when its side is sure enough: confidence is between the sides only."""
    signals = decide(np.array([[0.01, 0.90, 0.09]]), threshold=0.85)
    assert signals.confidence[0] == pytest.approx(0.9)
    assert (signals.side[0], signals.y_pred[0]) == (1, 2)


def test_a_coin_flip_has_confidence_one_half_and_is_long():
    """P(LONG) = P(SHORT) is confidence 0.5, traded at 0.45 and at 0.5, not at 0.51."""
    P = np.array([[0.3, 0.4, 0.3]])
    assert [int(decide(P, t).y_pred[0]) for t in (0.45, 0.5, 0.51)] == [2, 2, 1]


@given(weights, st.floats(0.45, 1.0))
def test_mirrored_probabilities_mirror_the_decision(raw, threshold):
    """Swapping P(SHORT) and P(LONG) swaps the side and keeps confidence and what is traded."""
    P = raw / raw.sum(axis=1, keepdims=True)
    P = P[P[:, 0] != P[:, 2]]
    here, mirror = decide(P, threshold), decide(P[:, ::-1], threshold)
    assert (mirror.side == -here.side).all()
    assert (mirror.confidence == here.confidence).all()
    assert (mirror.y_pred == 2 - here.y_pred).all()


@given(weights, st.floats(0.45, 1.0), st.floats(0.45, 1.0))
def test_a_higher_threshold_only_removes_trades(raw, a, b):
    """What is traded at the higher threshold is traded at the lower one, on the same side."""
    low, high = decide(raw, min(a, b)), decide(raw, max(a, b))
    assert (low.traded | ~high.traded).all()
    assert (high.y_pred[high.traded] == low.y_pred[high.traded]).all()


@pytest.mark.parametrize(
    "P", [np.ones((2, 2)), np.array([[0.2, np.nan, 0.8]]), np.array([[-0.1, 0.5, 0.6]]), np.array([[0.0, 1.0, 0.0]])]
)
def test_what_is_no_probability_is_refused(P):
    """Wrong shape, NaN, negative and no mass on a side are contract errors."""
    with pytest.raises(ContractError, match="probabilities"):
        decide(P, 0.5)
