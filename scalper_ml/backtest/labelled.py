"""Trades that enter and leave where their labels do: barriers, and prices between the bars."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from scalper_ml.backtest.rows import Rows
from scalper_ml.errors import ContractError
from scalper_ml.kernel import kernel
from scalper_ml.labels.horizon import Barriers, LabelKind, LabelParams, PriceRule
from scalper_ml.schema import NEUTRAL

__all__ = ["AsLabelled", "LabelledFills", "exits_of", "labelled_fills", "one_at_a_time"]

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

_TOLERANCE = 1e-9  # relative; prices at barriers are computed


@dataclass(frozen=True, slots=True)
class AsLabelled:
    """How the labels of a dataset were made, as far as a trade needs to know; see `LabelParams`."""

    kind: LabelKind
    price: PriceRule
    kappa: float
    barriers: Barriers = field(default_factory=Barriers)

    @classmethod
    def of(cls, params: LabelParams) -> "AsLabelled | None":
        """None for a hold of fixed length between opens, which needs nothing but bars."""
        if params.kind != "triple_barrier" and params.price == "open":
            return None
        return cls(params.kind, params.price, params.kappa, params.barriers)


@dataclass(frozen=True, slots=True, eq=False)
class LabelledFills:
    """Where each order enters and leaves; every array has shape (orders,), bars are row numbers."""

    entry_bar: I64
    exit_bar: I64
    entry_price: F64
    exit_price: F64


def labelled_fills(
    rows: Rows,
    orders: I64,
    side: F64,
    rule: AsLabelled,
    *,
    open_: F64,
    high: F64,
    low: F64,
    close_ts: I64,
    horizon: int,
    latency_bars: int,
) -> LabelledFills:
    """Entry and exit of each order, from its dataset row.

    `latency_bars` delays the entry to a later open; exits, which rest at the venue, stay.

    Raises
    ------
    ContractError
        An exit is not within the bar in which the dataset has it: the bars are not those that were labelled.
    """
    entry_bar, exit_price = rows.bar[orders] + 1 + latency_bars, rows.exit_price[orders]
    exit_bar = np.searchsorted(close_ts, rows.t1[orders], side="left" if rule.price == "open" else "right")
    held = np.minimum(exit_bar, close_ts.size - 1)
    outside = (exit_price > high[held] * (1 + _TOLERANCE)) | (exit_price < low[held] * (1 - _TOLERANCE))
    if rule.price != "side_mid" and rule.price != "mid" and outside.any():
        at = int(np.argmax(outside))
        raise ContractError(
            f"backtest: {int(outside.sum())} of {orders.size} exits are not within their bars, first {exit_price[at]} "
            f"at {rows.t1[orders][at]} us, bar {low[held[at]]} to {high[held[at]]} - rebuild the dataset from the bars"
        )
    entry_price = open_[np.minimum(entry_bar, open_.size - 1)] if latency_bars else rows.entry_price[orders]
    return LabelledFills(entry_bar, held, entry_price, exits_of(rows, orders, side, rule, horizon))


def exits_of(rows: Rows, orders: I64, side: F64, rule: AsLabelled | None, horizon: int) -> F64:
    """Price at which each order leaves by the label of its row.

    Where both barriers lay within one bar a row of the dataset has the exit of a LONG; a SHORT leaves at its own
    stop, the upper barrier.
    """
    exit_price, entry_price = rows.exit_price[orders].copy(), rows.entry_price[orders]
    if rule is not None and rule.kind == "triple_barrier":
        unknown = (rows.y[orders] == NEUTRAL) & (rows.y_binary[orders] == -1) & (exit_price != entry_price)
        width = np.maximum(rule.barriers.upper * rows.sigma[orders] * np.sqrt(horizon), rule.kappa * rows.cost[orders])
        stop = unknown & (side < 0)
        exit_price[stop] = (entry_price * np.exp(width))[stop]
    return exit_price


@kernel
def one_at_a_time(entry_bar: np.ndarray, exit_bar: np.ndarray) -> np.ndarray:
    """Which orders are taken, in the order of their entries, when one position is held at a time.

    Within a bar the entry comes before the exit; whoever leaves in a bar is flat at its close and can take what is
    decided there. Orders whose exit lies before their entry are passed over.
    """
    taken = np.zeros(entry_bar.size, np.bool_)
    left = -1
    for k in range(entry_bar.size):
        if left < entry_bar[k] <= exit_bar[k]:
            taken[k] = True
            left = exit_bar[k]
    return taken
