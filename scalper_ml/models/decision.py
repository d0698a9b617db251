"""From the probabilities of one row to what is done: signal, confidence, target."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from scalper_ml.backtest.signals import decide
from scalper_ml.errors import ContractError
from scalper_ml.models.base import Floats
from scalper_ml.schema import CLASSES

__all__ = ["Decision", "decision_of"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What a model or an ensemble would do on one bar.

    Parameters
    ----------
    signal : {"LONG", "SHORT", "NEUTRAL"}
        The likelier side, or NEUTRAL where its confidence does not reach what is asked.
    confidence : float
        Calibrated ``P(side) / (P(LONG) + P(SHORT))`` of the likelier side, 0.5 to 1: a coin flip is 0.5.
    target : float
        Price at the end of the horizon if the signal is right: now, moved by the mean move of such labels in train.
    expected_return : float
        Mean log return the probabilities stand for.
    probabilities : tuple of float
        SHORT, NEUTRAL, LONG.
    """

    signal: Literal["LONG", "SHORT", "NEUTRAL"]
    confidence: float
    target: float
    expected_return: float
    probabilities: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self) | {"probabilities": dict(zip(CLASSES, self.probabilities, strict=True))}


def decision_of(P: Floats, *, price: float, moves: Sequence[float], min_confidence: float = 0.5) -> Decision:
    """The decision of one row; the side and its confidence are those a backtest takes (`backtest.signals.decide`).

    Parameters
    ----------
    P : (3,)
        Calibrated probabilities, SHORT NEUTRAL LONG.
    price : float
        Now, > 0.
    moves : (3,)
        Mean log return of train labels of each class: ``manifest["moves"]``.
    min_confidence : float
        Least confidence that gives a side.

    Raises
    ------
    ContractError
        The price is not positive, or `P` are not probabilities.

    Examples
    --------
    >>> found = decision_of(np.array([0.25, 0.25, 0.5]), price=100.0, moves=(-0.01, 0.0, 0.01), min_confidence=0.6)
    >>> found.signal, round(found.confidence, 4), round(found.target, 3)
    ('LONG', 0.6667, 101.005)
    """
    if not price > 0:
        raise ContractError(f"decision: found price {price}; expected one above 0")
    taken = decide(np.asarray(P, dtype=np.float64)[None], min_confidence)
    code = int(taken.y_pred[0])
    signal: Literal["LONG", "SHORT", "NEUTRAL"] = ("SHORT", "NEUTRAL", "LONG")[code]
    return Decision(
        signal=signal,
        confidence=float(taken.confidence[0]),
        target=float(price * np.exp(moves[code] if signal != "NEUTRAL" else 0.0)),
        expected_return=float(np.dot(P, moves)),
        probabilities=tuple(np.asarray(P, dtype=np.float64).tolist()),
    )
