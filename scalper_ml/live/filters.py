"""When not to trade whatever a model says: nothing moves, the price just jumped, nobody trades."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from scalper_ml.errors import SettingsError
from scalper_ml.models.base import Floats

__all__ = ["BLOCKS", "BlockFilters", "Conditions"]

BLOCKS: Final = ("", "dead_volatility", "price_shock", "inactivity")
"""Reason codes by number; the first that applies is the one reported."""


@dataclass(frozen=True, slots=True, eq=False)
class Conditions:
    """What a filter looks at, of n bars as known at their closes; every array (n,).

    `sigma` is the standard deviation of 1-bar log returns, `cost` the round trip as a fraction, `trades` NaN where the
    source does not count them.
    """

    open: Floats
    close: Floats
    sigma: Floats
    cost: Floats
    trades: Floats


@dataclass(frozen=True, slots=True)
class BlockFilters:
    """Limits; 0 leaves a filter out. All are out by default: a backtest knows none of them.

    Parameters
    ----------
    dead_volatility : float
        Block where the standard deviation over the horizon is below this many round-trip costs.
    price_shock : float
        Block where the bar moved more than this many standard deviations.
    inactivity : float
        Block where the bar has fewer trades.

    Examples
    --------
    >>> bars = Conditions(*np.array([[100.0, 100.0], [100.1, 103.0], [0.001, 0.001], [0.0005, 0.0005], [9.0, 9.0]]))
    >>> [BLOCKS[code] for code in BlockFilters(price_shock=8).blocks(bars, horizon=1)]
    ['', 'price_shock']
    """

    dead_volatility: float = 0.0
    price_shock: float = 0.0
    inactivity: float = 0.0

    def __post_init__(self) -> None:
        for name in ("dead_volatility", "price_shock", "inactivity"):
            if not 0 <= getattr(self, name) < np.inf:
                raise SettingsError(f"live.{name}: found {getattr(self, name)!r}; expected a number from 0 on")

    def blocks(self, bars: Conditions, horizon: int) -> np.ndarray:
        """Place in `BLOCKS` for each bar, int8 (n,); row i uses row i only."""
        if not (self.dead_volatility or self.price_shock or self.inactivity):
            return np.zeros(len(bars.close), dtype=np.int8)
        tests = [
            bars.sigma * np.sqrt(horizon) < self.dead_volatility * bars.cost,
            (np.abs(np.log(bars.close / bars.open)) > self.price_shock * bars.sigma) & (self.price_shock > 0),
            bars.trades < self.inactivity,
        ]
        return np.select(tests, [1, 2, 3], 0).astype(np.int8)
