"""Decisions: the side, the confidence and the target of one row, the same as a backtest would take."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted import planted

from scalper_ml.backtest.signals import decide
from scalper_ml.errors import ContractError
from scalper_ml.models.bundle import load_bundle
from scalper_ml.models.decision import decision_of

MOVES = (-0.02, 0.001, 0.01)


def test_by_hand() -> None:
    """P(LONG) .3 against .1 is a confidence of .75; the target is the price moved by the mean LONG label."""
    found = decision_of(np.array([0.1, 0.6, 0.3]), price=200.0, moves=MOVES, min_confidence=0.7)
    assert (found.signal, found.confidence) == ("LONG", pytest.approx(0.75))
    assert found.target == pytest.approx(200 * np.exp(0.01))
    assert found.expected_return == pytest.approx(-0.002 + 0.0006 + 0.003)
    held = decision_of(np.array([0.1, 0.6, 0.3]), price=200.0, moves=MOVES, min_confidence=0.8)
    assert (held.signal, held.confidence, held.target) == ("NEUTRAL", pytest.approx(0.75), 200.0)
    assert held.to_dict()["probabilities"] == {"SHORT": 0.1, "NEUTRAL": 0.6, "LONG": 0.3}


@given(st.lists(st.floats(0.01, 1), min_size=3, max_size=3), st.floats(0.4, 1))
def test_a_decision_is_what_the_backtest_takes(weights: list[float], threshold: float) -> None:
    """Side and confidence equal those of the backtest's rule on the same row."""
    P = np.array(weights) / sum(weights)
    found, taken = decision_of(P, price=1.0, moves=MOVES, min_confidence=threshold), decide(P[None], threshold)
    assert found.confidence == taken.confidence[0]
    assert ("SHORT", "NEUTRAL", "LONG")[taken.y_pred[0]] == found.signal
    assert 0.5 <= found.confidence <= 1


@pytest.mark.parametrize("kind", ["logistic_classifier", "stacking"])
def test_a_bundle_decides(kind: str) -> None:
    """A model or an ensemble answers signal, confidence and target from one row of features and the price."""
    data = planted(1_500)
    model = load_bundle(data.train_any(kind).files)
    table, train = data.table, data.rows("train")
    y, ret = table["y"].to_numpy()[train], table["ret"].to_numpy()[train]
    assert model.manifest["moves"] == pytest.approx([ret[y == code].mean() for code in range(3)])
    row = data.X[data.rows("score")[0]]
    found = model.decide(row, price=100.0)
    P = model.predict_proba(row[None])[0]
    assert found.probabilities == tuple(P)
    assert found.signal == ("LONG" if P[2] >= P[0] else "SHORT")
    assert (found.target > 100) == (found.signal == "LONG")


def test_impossible_prices_are_refused() -> None:
    """A price that is not positive is refused."""
    with pytest.raises(ContractError, match="found price 0"):
        decision_of(np.array([0.2, 0.3, 0.5]), price=0.0, moves=MOVES)
