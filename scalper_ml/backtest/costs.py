"""What a round trip costs, per side and as a fraction of entry notional."""

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from scalper_ml.errors import SettingsError

__all__ = ["CostLegs", "Costs"]

SIDES: Final = 2  # every trade is filled twice
BPS: Final = 1e-4


@dataclass(frozen=True, slots=True)
class CostLegs:
    """Round-trip costs of each trade by source, fractions of entry notional, each shape (n,)."""

    fees: np.ndarray
    spread: np.ndarray
    slippage: np.ndarray

    @property
    def total(self) -> np.ndarray:
        """Fees + spread + slippage, shape (n,)."""
        return np.asarray(self.fees + self.spread + self.slippage)


@dataclass(frozen=True, slots=True)
class Costs:
    """The cost model of one venue and order size.

    Each of the two fills pays ``fee + spread/2 + slippage`` with
    ``slippage = spread_slip*spread + impact*sigma*sqrt(notional/quote_volume)`` (square-root law).
    All are fractions of the notional at entry; the exit's notional is taken as the entry's.

    Parameters
    ----------
    fee_bps : float
        Fee of one fill, basis points, >= 0.
    spread_bps : float
        Full quoted spread, basis points, >= 0.
    impact : float
        Factor Y of the square-root law, >= 0; about 0.5 to 1 for liquid coins.
    notional : float
        Order size in quote units, >= 0.
    spread_slip : float
        Share of the spread lost per fill beyond the half spread, >= 0.

    Raises
    ------
    SettingsError
        A parameter is negative or not finite.

    Examples
    --------
    >>> costs = Costs(fee_bps=5.0, spread_bps=1.0, impact=1.0, notional=10_000.0)
    >>> float(costs.round_trip(sigma=0.001, quote_volume=1e6).round(6))
    0.00132
    >>> float(costs.round_trip(sigma=0.001).round(6))  # without impact
    0.00112
    """

    fee_bps: float
    spread_bps: float
    impact: float = 1.0
    notional: float = 1_000.0
    spread_slip: float = 0.1

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not (np.isfinite(value) and value >= 0):
                raise SettingsError(f"costs: {name} is {value!r}; expected a finite number >= 0")

    def legs(self, sigma: np.ndarray, quote_volume: np.ndarray) -> CostLegs:
        """Round-trip costs of trades signalled on bars with these volatilities and volumes.

        Parameters
        ----------
        sigma : ndarray (n,)
            Standard deviation of 1-bar log returns known at the signal bar's close, fraction.
        quote_volume : ndarray (n,)
            Quote volume of the signal bar, > 0; ``inf`` leaves the impact out.
        """
        spread = self.spread_bps * BPS
        impact = self.impact * sigma * np.sqrt(self.notional / quote_volume)
        return CostLegs(
            fees=np.full(sigma.shape, SIDES * self.fee_bps * BPS),
            spread=np.full(sigma.shape, SIDES * 0.5 * spread),
            slippage=SIDES * (self.spread_slip * spread + impact),
        )

    def round_trip(self, sigma: float | np.ndarray, quote_volume: float | np.ndarray = np.inf) -> Any:
        """Total round-trip cost as a fraction of notional, of the shape of `sigma`.

        Without `quote_volume` the impact term is left out: the floor every trade pays.
        """
        sigma_row, volume_row = np.broadcast_arrays(np.asarray(sigma, float), np.asarray(quote_volume, float))
        return self.legs(sigma_row, volume_row).total

    def to_dict(self) -> dict[str, float]:
        """The parameters by name, for reports and manifests."""
        return asdict(self)
