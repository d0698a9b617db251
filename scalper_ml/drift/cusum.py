"""Cumulative sums of evidence that outcomes have become as poor as no skill: one update an outcome."""

import math
from dataclasses import dataclass
from typing import Final

from scalper_ml.errors import ContractError

__all__ = ["LIMIT", "BernoulliCusum", "GaussianCusum"]

LIMIT: Final = 9.0
"""Log-likelihood ratio that alarms: outcomes ``e^9`` times likelier without skill than with it."""


@dataclass(slots=True)
class BernoulliCusum:
    """Cumulative log-likelihood ratio of hits: `p1` against `p0`, never below 0.

    Parameters
    ----------
    p0 : float
        Rate of hits while all is well: the lower bound measured on score.
    p1 : float
        Rate without skill, below `p0`.
    limit : float
        Alarms at or above it.
    value : float
        Where it stands; the state to go on from.

    Raises
    ------
    ContractError
        Not ``0 < p1 < p0 < 1``.

    Notes
    -----
    ``S_t = max(0, S_{t-1} + ln[p1^x (1 - p1)^(1 - x) / (p0^x (1 - p0)^(1 - x))])``. It takes outcomes that do not
    overlap: overlapping ones are autocorrelated, and alarm by themselves.

    Examples
    --------
    >>> cusum = BernoulliCusum(p0=0.58, p1=0.50)
    >>> for hit in (True, False, False, True, False, False):
    ...     alarm = cusum.update(hit)
    ...     print(round(cusum.value, 3), alarm)
    0.0 False
    0.174 False
    0.349 False
    0.2 False
    0.375 False
    0.549 False

    References
    ----------
    Page (1954), Continuous inspection schemes.
    """

    p0: float
    p1: float
    limit: float = LIMIT
    value: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 < self.p1 < self.p0 < 1.0:
            raise ContractError(f"CUSUM of hits: found p0 {self.p0} and p1 {self.p1}; expected 0 < p1 < p0 < 1")

    def update(self, hit: bool) -> bool:
        """Take one outcome; whether the sum is at or above its limit."""
        ratio = self.p1 / self.p0 if hit else (1.0 - self.p1) / (1.0 - self.p0)
        self.value = max(0.0, self.value + math.log(ratio))
        return self.value >= self.limit


@dataclass(slots=True)
class GaussianCusum:
    """Cumulative log-likelihood ratio of outcomes with mean `mean1` against `mean0`, never below 0.

    Parameters
    ----------
    mean0 : float
        Mean while all is well: the lower bound measured on score.
    mean1 : float
        Mean without skill, below `mean0`.
    sd : float
        Standard deviation of an outcome, > 0.
    limit, value
        As in `BernoulliCusum`.

    Notes
    -----
    ``S_t = max(0, S_{t-1} + (mean1 - mean0) / sd^2 * (x - (mean0 + mean1) / 2))``.

    Examples
    --------
    >>> cusum = GaussianCusum(mean0=0.2, mean1=0.0, sd=1.0)
    >>> [cusum.update(r) or round(cusum.value, 3) for r in (-1.0, -1.0, 1.1, -0.4)]
    [0.22, 0.44, 0.24, 0.34]
    """

    mean0: float
    mean1: float
    sd: float
    limit: float = LIMIT
    value: float = 0.0

    def __post_init__(self) -> None:
        if not (self.mean1 < self.mean0 and self.sd > 0.0 and math.isfinite(self.mean0 + self.sd)):
            raise ContractError(
                f"CUSUM of outcomes: found means {self.mean0}, {self.mean1} and sd {self.sd}; expected mean1 < mean0 "
                "and sd > 0"
            )

    def update(self, outcome: float) -> bool:
        """Take one outcome; whether the sum is at or above its limit."""
        if not math.isfinite(outcome):
            raise ContractError(f"CUSUM of outcomes: found {outcome}; expected a finite number")
        weight = (self.mean1 - self.mean0) / (self.sd * self.sd)
        self.value = max(0.0, self.value + weight * (outcome - 0.5 * (self.mean0 + self.mean1)))
        return self.value >= self.limit
