"""Sets of classes that hold the outcome as often as promised: split conformal, with a level that adapts.

A model's sets are made from its calibrate role: class k is in the set of a row if ``1 - p_k`` is not among the largest
shares ``alpha`` of what ``1 - p_outcome`` was there. Time is not exchangeable, so the level moves while outcomes come
in: too many misses widen the sets, too few narrow them, whatever the market does.
"""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from scalper_ml.errors import ContractError
from scalper_ml.models.base import Floats

__all__ = ["ALPHA", "AdaptiveLevel", "ConformalSets", "LiveSets", "fit_conformal", "followed_coverage"]

ALPHA: Final = 0.2
"""Share of outcomes that sets of direction may miss."""

GAMMA: Final = 0.005
_GRID: Final = 200
_SLACK: Final = 1e-12


@dataclass(frozen=True, slots=True)
class ConformalSets:
    """Quantiles of ``1 - p_outcome`` on the calibrate role.

    Parameters
    ----------
    quantiles : tuple of float
        Ascending, at even shares from 0 to 1: what is kept of `n` scores.
    n : int
        Scores they were taken from.

    Examples
    --------
    >>> sets = fit_conformal(np.tile([0.2, 0.5, 0.3], (100, 1)), np.tile([0, 1, 1, 1, 2], 20))
    >>> sets.of(np.array([[0.1, 0.6, 0.3], [0.34, 0.33, 0.33]]), alpha=0.2).tolist()
    [[False, True, True], [True, True, True]]
    """

    quantiles: tuple[float, ...]
    n: int

    def threshold(self, alpha: float) -> float:
        """Largest ``1 - p`` of a class in a set; infinite where the level asks for more rows than there were."""
        wanted = math.ceil((self.n + 1) * (1.0 - alpha) - 1e-9)
        if alpha >= 1 or wanted > self.n:
            return -math.inf if alpha >= 1 else math.inf
        return self.quantiles[math.ceil(wanted / self.n * _GRID - 1e-9)]

    def of(self, P: Floats, alpha: float = ALPHA) -> npt.NDArray[np.bool_]:
        """Which classes are in the set of each row, (n, 3); a row that surprises in every class has an empty one."""
        return np.asarray(self.threshold(alpha) + _SLACK >= 1.0 - P)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"quantiles": list(self.quantiles), "n": self.n}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ConformalSets":
        """The sets that `to_dict` described."""
        return cls(tuple(values["quantiles"]), int(values["n"]))


def fit_conformal(P: Floats, y: npt.ArrayLike) -> ConformalSets:
    """Sets from calibrated probabilities (n, 3) and class codes (n,) of the calibrate role."""
    codes = np.asarray(y, dtype=np.int64)
    if codes.size == 0:
        raise ContractError("conformal sets: found no rows; expected those of the calibrate role")
    scores = np.sort(1.0 - P[np.arange(codes.size), codes])
    places = np.ceil(np.arange(_GRID + 1) / _GRID * codes.size).astype(np.int64)
    return ConformalSets(tuple(scores[np.maximum(places, 1) - 1].tolist()), int(codes.size))


class AdaptiveLevel:
    """The level of the sets, moved by each outcome when it is known.

    Parameters
    ----------
    alpha : float
        Share of outcomes that may be missed in the long run.
    gamma : float
        Step; 0 keeps the level.
    level : float, optional
        To go on from; `alpha` by default.

    Notes
    -----
    After T outcomes the share missed differs from `alpha` by at most ``(max(alpha, 1 - alpha) + gamma) / (gamma T)``,
    whatever the outcomes are. For that the level may leave 0 to 1: at 0 or less a set holds every class, at 1 or more
    none; cut there, misses would not be made up for. An outcome of a label of h bars is told h bars after its set.

    References
    ----------
    Gibbs, Candes (2021), Adaptive conformal inference under distribution shift.

    Examples
    --------
    >>> level = AdaptiveLevel(0.2, gamma=0.05)
    >>> level.told(hit=False), level.told(hit=True)
    (0.16, 0.17)
    """

    def __init__(self, alpha: float = ALPHA, *, gamma: float = GAMMA, level: float | None = None) -> None:
        if not 0 < alpha < 1 or gamma < 0:
            raise ContractError(
                f"adaptive level: found alpha {alpha} and gamma {gamma}; expected 0 < alpha < 1, gamma >= 0"
            )
        self.alpha = alpha
        self.gamma = gamma
        self.level = alpha if level is None else level

    def told(self, *, hit: bool) -> float:
        """The level after one more outcome: whether it lay in the set made for it."""
        self.level = round(self.level + self.gamma * (self.alpha - (not hit)), 12)
        return self.level

    def state(self) -> dict[str, float]:
        """Plain values to go on from: ``AdaptiveLevel(**state)``."""
        return {"alpha": self.alpha, "gamma": self.gamma, "level": self.level}


class LiveSets:
    """Sets bar by bar, each made at the level that the outcomes known by then have led to.

    Parameters
    ----------
    sets : ConformalSets
        Of the model.
    level : AdaptiveLevel, optional
        To go on from; a new one by default.

    Examples
    --------
    >>> sets = fit_conformal(np.tile([0.2, 0.5, 0.3], (100, 1)), np.tile([0, 1, 1, 1, 2], 20))
    >>> live = LiveSets(sets)
    >>> live.of(np.array([0.1, 0.6, 0.3])).tolist(), round(live.known(0), 4)
    ([False, True, True], 0.196)
    """

    def __init__(self, sets: ConformalSets, level: AdaptiveLevel | None = None) -> None:
        self._sets = sets
        self._waiting: deque[npt.NDArray[np.bool_]] = deque()
        self.level = level or AdaptiveLevel()

    def of(self, P: Floats) -> npt.NDArray[np.bool_]:
        """The set (3,) of one row of calibrated probabilities (3,); it waits for its outcome."""
        self._waiting.append(self._sets.of(P[None], self.level.level)[0])
        return self._waiting[-1]

    def known(self, outcome: int) -> float:
        """The level after the outcome of the oldest set that waits.

        Raises
        ------
        ContractError
            No set waits for an outcome.
        """
        if not self._waiting:
            raise ContractError("conformal sets: an outcome is told, and no set waits for one")
        return self.level.told(hit=bool(self._waiting.popleft()[outcome]))


def followed_coverage(
    sets: ConformalSets, P: Floats, y: npt.ArrayLike, *, horizon: int, alpha: float = ALPHA
) -> dict[str, float]:
    """Coverage and mean size of sets whose level follows the outcomes, each told `horizon` rows after its set.

    Examples
    --------
    >>> sets = fit_conformal(np.tile([0.2, 0.5, 0.3], (100, 1)), np.tile([0, 1, 1, 1, 2], 20))
    >>> found = followed_coverage(sets, np.tile([0.2, 0.5, 0.3], (2000, 1)), np.tile([0, 0, 0, 1, 2], 400), horizon=3)
    >>> abs(found["coverage"] - 0.8) < 0.1
    True
    """
    level, codes = AdaptiveLevel(alpha), np.asarray(y, dtype=np.int64).tolist()
    hits: list[bool] = []
    size = 0
    for row, losses in enumerate((1.0 - P).tolist()):  # as `LiveSets` does, on plain numbers: it is done a bar
        if row >= horizon:
            level.told(hit=hits[row - horizon])
        limit = sets.threshold(level.level) + _SLACK
        members = [loss <= limit for loss in losses]
        hits.append(members[codes[row]])
        size += sum(members)
    return {"coverage": sum(hits) / len(codes), "mean_size": size / len(codes), "level": level.level}
