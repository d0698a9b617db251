"""What every labeller is told: how far ahead, on which grid, and which moves count."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scalper_ml.errors import SettingsError

__all__ = ["LabelRule"]

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LabelRule:
    """How far ahead a label looks, and the deadband within which a move is none.

    Parameters
    ----------
    horizon : int
        Bars between the signal and the exit, >= 1.
    interval_us : int
        Length of a bar, microseconds, >= 1.
    k_vol : float
        Deadband in units of the horizon's volatility, >= 0 (.43 makes thirds under normality).
    kappa : float
        Deadband in units of the round-trip cost, >= 0.
    max_gap_bars : int
        Intervals by which a bar may come late before it counts as missing, >= 0.

    Raises
    ------
    SettingsError
        A value is outside its range.

    Examples
    --------
    >>> rule = LabelRule(4, 60_000_000, k_vol=0.5, kappa=1.0)
    >>> rule.horizon_us, rule.deadband(np.array([0.01, 0.001]), np.array([0.002, 0.002])).tolist()
    (240000000, [0.01, 0.002])
    """

    horizon: int
    interval_us: int
    k_vol: float
    kappa: float
    max_gap_bars: int = 0

    def __post_init__(self) -> None:
        for name, least in (("horizon", 1), ("interval_us", 1), ("max_gap_bars", 0)):
            value = getattr(self, name)
            if not np.isfinite(value) or int(value) != value or value < least:
                raise SettingsError(f"labels: {name} is {value!r}; expected a whole number >= {least}")
        for name in ("k_vol", "kappa"):
            weight = getattr(self, name)
            if not (np.isfinite(weight) and weight >= 0):
                raise SettingsError(f"labels: {name} is {weight!r}; expected a finite number >= 0")

    @property
    def horizon_us(self) -> int:
        """Time from the decision to the exit, microseconds."""
        return self.horizon * self.interval_us

    @property
    def late_us(self) -> int:
        """How late a bar may come, microseconds."""
        return self.max_gap_bars * self.interval_us

    def spread_of(self, sigma: F64) -> F64:
        """Standard deviation (m,) of the return over the horizon, of 1-bar ones (m,)."""
        return np.asarray(sigma * np.sqrt(self.horizon))

    def deadband(self, sigma: F64, cost: F64) -> F64:
        """Half-width (m,) in log return: ``max(k_vol * sigma * sqrt(horizon), kappa * cost)``."""
        return np.asarray(np.maximum(self.k_vol * sigma * np.sqrt(self.horizon), self.kappa * cost))
