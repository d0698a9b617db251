"""How synthetic trades are printed: tick and lot sizes suited to the price, and the columns of a tape."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Printed", "Quotation"]


@dataclass(frozen=True, slots=True)
class Quotation:
    """Tick, lot and spread of a market.

    Attributes
    ----------
    price_scale, qty_scale : float
        Ticks per unit of price and lots per unit of quantity, powers of ten: a printed number is an integer over
        its scale, so it is the decimal it looks like.
    lots : float
        Mean size of a trade in lots.
    half_spread : float
        Fraction of the mid.
    """

    price_scale: float
    qty_scale: float
    lots: float
    half_spread: float

    @classmethod
    def suited(cls, price: float, trade_notional: float, spread_bps: float) -> "Quotation":
        """Six significant digits of price; a mean trade of some ten thousand lots.

        Examples
        --------
        >>> Quotation.suited(100.0, 5_000.0, 2.0)
        Quotation(price_scale=1000.0, qty_scale=1000.0, lots=50000.0, half_spread=0.0001)
        """
        qty = trade_notional / price
        price_scale = 10.0 ** max(0, 5 - int(np.floor(np.log10(price))))
        qty_scale = 10.0 ** max(0, int(np.ceil(4 - np.log10(qty))))
        return cls(price_scale, qty_scale, max(qty * qty_scale, 1.0), spread_bps / 2e4)


@dataclass(frozen=True, slots=True)
class Printed:
    """Trades as printed, in time order; arrays of one length."""

    ts_us: np.ndarray
    price: np.ndarray
    qty: np.ndarray
    side: np.ndarray
