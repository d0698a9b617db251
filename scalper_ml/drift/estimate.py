"""Accuracy that calibrated probabilities expect of themselves, beside the accuracy that came (CBPE)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from scalper_ml.errors import ContractError

__all__ = ["ALARM_Z", "Estimated", "estimated_accuracy"]

ALARM_Z: Final = 3.0


@dataclass(frozen=True, slots=True)
class Estimated:
    """Expected and realised accuracy of the arg-max over `n` predictions, and how far apart they are in errors.

    `expected` needs no labels: it is an early sign, valid where only the inputs have moved. It can never fall below
    one over the number of classes, and says nothing where the law itself has changed; that is what `z` is for.
    """

    n: int
    expected: float
    realised: float
    se: float

    @property
    def z(self) -> float:
        """``(realised - expected) / se``."""
        return (self.realised - self.expected) / self.se if self.se > 0 else 0.0

    @property
    def off(self) -> bool:
        """More than three standard errors apart: the law has changed, or the calibration has."""
        return abs(self.z) > ALARM_Z

    @classmethod
    def of(cls, top: Sequence[float], right: int) -> "Estimated":
        """From the largest probability of each prediction, and how many of those classes came."""
        n = len(top)
        return cls(n, math.fsum(top) / n, right / n, math.sqrt(math.fsum(p * (1.0 - p) for p in top)) / n)


def estimated_accuracy(P: Sequence[Sequence[float]], y: Sequence[int]) -> Estimated:
    """Confidence-based estimate of accuracy beside the realised one, of predictions that do not overlap.

    Parameters
    ----------
    P : sequence of rows
        Calibrated probabilities; the arg-max, the first of equal ones, is what is predicted.
    y : sequence of int
        The classes that came.

    Raises
    ------
    ContractError
        There are none, or not one class a row.

    Notes
    -----
    Expected: mean of ``max p``. Under calibrated probabilities a hit has variance ``p (1 - p)``, so that
    ``se = sqrt(sum p (1 - p)) / n``. Sums are exact.

    Examples
    --------
    >>> found = estimated_accuracy([[0.2, 0.2, 0.6]] * 100, [2] * 40 + [0] * 60)
    >>> round(found.expected, 4), found.realised, round(found.se, 4), round(found.z, 2), found.off
    (0.6, 0.4, 0.049, -4.08, True)

    References
    ----------
    NannyML, confidence-based performance estimation.
    """
    if not P or len(P) != len(y):
        raise ContractError(f"estimated accuracy: found {len(P)} predictions and {len(y)} outcomes; expected one each")
    best = [max(row) for row in P]
    right = sum(list(row).index(top) == code for row, top, code in zip(P, best, y, strict=True))
    return Estimated.of(best, right)
