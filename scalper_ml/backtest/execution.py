"""How orders are sent and what they are charged: latency, makers and takers, grids, size, funding."""

from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from scalper_ml.backtest.costs import BPS, CostLegs, Costs
from scalper_ml.backtest.events import NEVER, Orders
from scalper_ml.errors import SettingsError

__all__ = ["VENUE_FEES_BPS", "Execution", "Funding", "charges", "floor_to", "orders_of", "sizes"]

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

VENUE_FEES_BPS: Final = {
    "binance_usdm": (2.0, 5.0),
    "binance_usdm_bnb": (1.8, 4.5),
    "binance_spot": (10.0, 10.0),
    "binance_spot_bnb": (7.5, 7.5),
}
"""Maker and taker fee of the lowest tier, basis points; schedules change: look at the venue's."""


@dataclass(frozen=True, slots=True, eq=False)
class Funding:
    """Settlements: moments in order (k,), microseconds, and rates (k,), fractions a LONG pays and a SHORT is paid."""

    ts_us: I64
    rate: F64

    def of(self, entry_ts: I64, exit_ts: I64, side: F64) -> F64:
        """What positions pay, fractions of the entry's notional: settlements from the entry on, before the exit."""
        paid = np.concatenate([[0.0], np.cumsum(self.rate)])
        first, last = np.searchsorted(self.ts_us, entry_ts), np.searchsorted(self.ts_us, exit_ts)
        return np.asarray(side * (paid[last] - paid[first]))


@dataclass(frozen=True, slots=True)
class Execution:
    """The way of an order to its fills.

    Parameters
    ----------
    latency_us : int
        From the close of the signal bar to the venue, where fills are made of trades; with bars the fill is at the
        next open, which is later than that.
    entry : {"taker", "maker"}
        A maker waits at the signal bar's close, less half the spread, for the market to trade through it.
    wait_us : int
        How long a maker order waits before it is taken back.
    maker_bps : float
        Fee of a maker's fill, basis points; may be negative.
    stop, target : float or None
        Distances from the entry in units of the risk, sigma * sqrt(horizon); None: none.
    opposite : bool
        Leave when the other side is signalled.
    tick, lot : float
        Grid of prices and of quantities, quote and base units; 0: none. Limits are rounded away from the market,
        quantities down.
    min_notional : float
        Smaller orders are not sent, quote units.
    volume_share : float
        Largest share of the signal bar's quote volume that an order may be, in (0, 1].

    Raises
    ------
    SettingsError
        A value outside its range.
    """

    latency_us: int = 250_000
    entry: Literal["taker", "maker"] = "taker"
    wait_us: int = 60_000_000
    maker_bps: float = 0.0
    stop: float | None = None
    target: float | None = None
    opposite: bool = False
    tick: float = 0.0
    lot: float = 0.0
    min_notional: float = 0.0
    volume_share: float = 0.1

    def __post_init__(self) -> None:
        least = {"latency_us": 0, "wait_us": 1, "tick": 0, "lot": 0, "min_notional": 0}
        wrong = [name for name, low in least.items() if not getattr(self, name) >= low]
        wrong += [name for name in ("stop", "target") if (value := getattr(self, name)) is not None and not value > 0]
        if not 0 < self.volume_share <= 1:
            wrong.append("volume_share")
        if wrong:
            found = {name: getattr(self, name) for name in wrong}
            raise SettingsError(
                f"execution: {found}; expected distances > 0, a volume_share in (0, 1] and nothing negative"
            )

    @property
    def as_labels(self) -> bool:
        """Whether, on bars, every fill is a label's: takers that leave when their time is up."""
        return self.entry == "taker" and self.stop is None and self.target is None and not self.opposite

    def to_dict(self) -> dict[str, Any]:
        """The parameters by name, for reports."""
        return asdict(self)


def floor_to(value: F64, step: float) -> F64:
    """Values rounded down to multiples of `step`; as they are where it is 0.

    Examples
    --------
    >>> floor_to(np.array([0.3, 1.29]), 0.1).round(9).tolist()
    [0.3, 1.2]
    """
    if step == 0:
        return value
    steps = value / step
    near = np.round(steps)  # 0.3 / 0.1 is 2.9999999999999996
    return np.asarray(np.where(np.abs(steps - near) < 1e-9 * np.maximum(near, 1.0), near, np.floor(steps)) * step)


def sizes(execution: Execution, notional: float, price: F64, quote_volume: F64) -> tuple[F64, F64]:
    """Base quantity and notional of each order (n,), by the signal bar's close and volume; 0 where none is sent.

    Examples
    --------
    >>> qty, notional = sizes(Execution(lot=0.5, volume_share=0.1), 1_000.0, np.full(2, 300.0), np.array([1e6, 2e3]))
    >>> qty.tolist(), notional.tolist()
    ([3.0, 0.5], [900.0, 150.0])
    """
    wanted = np.minimum(notional, execution.volume_share * quote_volume)
    qty = floor_to(wanted / price, execution.lot)
    worth = qty * price if execution.lot else wanted
    sent = (qty > 0) & (worth >= execution.min_notional)
    return np.where(sent, qty, 0.0), np.where(sent, worth, 0.0)


def orders_of(
    execution: Execution, *, decided: I64, late_us: int, hold_us: int, side: F64, risk: F64, close: F64, spread: float
) -> Orders:
    """The orders of decisions taken at these closes.

    Parameters
    ----------
    late_us : int
        Latency to the venue, of entries and of exits that are due by time.
    hold_us : int
        From the decision to enter to the decision to leave.
    spread : float
        Full, a fraction.
    """
    arrives = decided + late_us
    distance = [np.full(side.size, np.inf) if d is None else d * risk for d in (execution.stop, execution.target)]
    limit, expires = np.full(side.size, np.nan), np.full(side.size, NEVER)
    if execution.entry == "maker":
        limit = close * (1.0 - side * 0.5 * spread)
        if execution.tick:
            down = floor_to(limit, execution.tick)
            up = np.where(np.isclose(down, limit, rtol=1e-12, atol=0), down, down + execution.tick)
            limit = np.where(side > 0, down, up)
        expires = arrives + execution.wait_us
    return Orders(decided, arrives, arrives + hold_us, side, limit, expires, *distance)


def charges(
    costs: Costs, execution: Execution, maker: NDArray[np.bool_], sigma: F64, quote_volume: F64, notional: F64
) -> CostLegs:
    """What one side of each order paid, by source; every array of shape (n,).

    A maker pays its own fee, no spread and no slippage. Impact is of the order's own notional.
    """
    spread = costs.spread_bps * BPS
    impact = costs.impact * sigma * np.sqrt(notional / quote_volume)
    return CostLegs(
        fees=np.where(maker, execution.maker_bps * BPS, costs.fee_bps * BPS),
        spread=np.where(maker, 0.0, 0.5 * spread),
        slippage=np.where(maker, 0.0, costs.spread_slip * spread + impact),
    )
