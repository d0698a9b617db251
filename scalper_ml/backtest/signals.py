"""From probabilities to the decision taken on every bar."""

from dataclasses import dataclass

import numpy as np

from scalper_ml.errors import ContractError
from scalper_ml.schema import CLASSES, LONG, NEUTRAL, SHORT

__all__ = ["Signals", "decide"]


@dataclass(frozen=True, slots=True)
class Signals:
    """One decision a row, each field of shape (n,).

    Attributes
    ----------
    side : ndarray of int8
        +1 LONG or -1 SHORT: the likelier of the two, whether traded or not.
    confidence : ndarray of float64
        Calibrated ``P(side) / (P(LONG) + P(SHORT))`` in [0.5, 1]; a coin flip is 0.5.
    traded : ndarray of bool
        Confidence reaches the threshold.
    y_pred : ndarray of int8
        The decision as a class: the side if traded, else NEUTRAL.
    """

    side: np.ndarray
    confidence: np.ndarray
    traded: np.ndarray
    y_pred: np.ndarray


def decide(P: np.ndarray, threshold: float) -> Signals:
    """The decision of every row: its side, its confidence, and whether it is traded.

    A row is traded if ``confidence >= threshold``, and nothing else decides: P(NEUTRAL) does not
    enter, because confidence is defined everywhere as ``P(side)/(P(LONG)+P(SHORT))``. `y_pred` is
    what the platform does on that bar (side, or NEUTRAL for staying out), so the confusion matrix,
    balanced accuracy and F1 made from it describe exactly the decisions offered on every bar, not
    the arg-max of `P`.

    Parameters
    ----------
    P : ndarray (n, 3)
        Probabilities in the order SHORT, NEUTRAL, LONG; rows sum to 1.
    threshold : float
        Least confidence that is traded; at or below 0.5 every row is traded.

    Returns
    -------
    Signals
        Fields of shape (n,). A row with P(LONG) = P(SHORT) is LONG with confidence 0.5.

    Raises
    ------
    ContractError
        `P` is not (n, 3), not finite, negative, or a row has no probability on either side.

    Notes
    -----
    Row i uses row i only.

    Examples
    --------
    >>> signals = decide(np.array([[0.2, 0.4, 0.4], [0.5, 0.4, 0.1], [0.3, 0.4, 0.3]]), threshold=0.7)
    >>> signals.side.tolist(), signals.confidence.round(4).tolist(), signals.y_pred.tolist()
    ([1, -1, 1], [0.6667, 0.8333, 0.5], [1, 0, 1])
    """
    if P.ndim != 2 or P.shape[1] != len(CLASSES):
        raise ContractError(
            f"probabilities: shape {P.shape}; expected (n, {len(CLASSES)}) ordered {', '.join(CLASSES)}"
        )
    directional = P[:, SHORT] + P[:, LONG]
    bad = ~(np.isfinite(P).all(axis=1) & (P >= 0).all(axis=1) & (directional > 0))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise ContractError(
            f"probabilities: {int(bad.sum())} of {len(P)} rows are not probabilities with mass on a side, "
            f"first row {row} = {P[row].tolist()}; expected finite, >= 0 and P(SHORT) + P(LONG) > 0"
        )
    is_long = P[:, LONG] >= P[:, SHORT]
    confidence = np.where(is_long, P[:, LONG], P[:, SHORT]) / directional
    traded = confidence >= threshold
    side = np.where(is_long, 1, -1).astype(np.int8)
    y_pred = np.where(traded, np.where(is_long, LONG, SHORT), NEUTRAL).astype(np.int8)
    return Signals(side, confidence, traded, y_pred)
