"""Positions on paper: one at a time for a symbol x horizon, filled at trades that come after the decision."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa

from scalper_ml.bars.interval import floor_us
from scalper_ml.schema import TRADES, US

__all__ = ["PAPER_TRADES", "Holding", "PaperBroker", "paper_trades"]

PAPER_TRADES: Final = pa.schema(
    [
        pa.field("symbol", pa.string(), nullable=False),
        pa.field("horizon", pa.int32(), nullable=False),
        pa.field("bundle_id", pa.string(), nullable=False),  # whose signal it was
        pa.field("size_factor", pa.float64(), nullable=False),  # of the gate
        *TRADES,
    ]
)
"""`TRADES` of every symbol x horizon; entries and exits carry the stamps of the trades they were filled at."""


@dataclass(frozen=True, slots=True)
class Holding:
    """An order on its way, or the position it became.

    Parameters
    ----------
    signal_ts_us : int
        Close of the bar it was decided on.
    side : int
        +1 LONG, -1 SHORT.
    fees, spread, slippage : float
        Round-trip legs, fractions of notional.
    risk : float
        Fraction of the entry price.
    qty : float
        Base units, before the gate's size factor.
    entry_ts_us : int
        Stamp of the trade it was filled at; -1 while it is an order.
    """

    signal_ts_us: int
    side: int
    confidence: float
    fees: float
    spread: float
    slippage: float
    risk: float
    qty: float
    bundle_id: str
    size_factor: float = 1.0
    entry_ts_us: int = -1
    entry_price: float = 0.0


_FIELDS: Final = tuple(field.name for field in fields(Holding))


def _plain(held: Holding) -> dict[str, Any]:
    return {name: getattr(held, name) for name in _FIELDS}


class PaperBroker:
    """Fills orders as the backtest of opens and of trades does.

    An order is at the venue `latency_us` after its bar closed and is filled at the first trade from then on; the
    position leaves at the first trade from `horizon` intervals later. An order that finds its first trade only after
    `max_late_us`, or when its time to leave has come, is dropped. What is decided while an order or a position is open
    is passed over.

    Parameters
    ----------
    symbol : str
    horizon : int
        Intervals held.
    interval_us : int
    latency_us : int
        From the close to the venue, entry and exit alike; 0 fills at the open of the next bar.
    max_late_us : int
        Of the interval an entry falls into, after the close.

    Notes
    -----
    No order leaves this process. A fill at stamp t depends on trades up to t alone. Funding is not charged.
    """

    def __init__(self, symbol: str, horizon: int, interval_us: int, *, latency_us: int, max_late_us: int) -> None:
        self.symbol, self.horizon = symbol, horizon
        self._interval_us, self._latency_us, self._max_late_us = interval_us, latency_us, max_late_us
        self._held: Holding | None = None
        self._done: list[dict[str, Any]] = []
        self.expired = 0

    @property
    def held(self) -> Holding | None:
        """The order or position that is open."""
        return self._held

    def offer(self, holding: Holding) -> bool:
        """Take an order, unless one is open; everything before its close must have been settled."""
        if self._held is not None:
            return False
        self._held = holding
        return True

    def settle(self, ts_us: np.ndarray, price: np.ndarray, before_us: int | None = None) -> None:
        """Fill what is due at trades (n,) in time order, those before a stamp only.

        Trades may be given again: a fill is looked for from the moment it is due.
        """
        end = len(ts_us) if before_us is None else int(np.searchsorted(ts_us, before_us))
        while (held := self._held) is not None:
            due = held.signal_ts_us + self._latency_us
            leave = due + self.horizon * self._interval_us
            at = int(np.searchsorted(ts_us[:end], due if held.entry_ts_us < 0 else leave))
            if at == end:
                return
            stamp, paid = int(ts_us[at]), float(price[at])
            if held.entry_ts_us >= 0:
                self._close(held, stamp, paid)
            elif stamp >= leave or floor_us(stamp, self._interval_us) - held.signal_ts_us > self._max_late_us:
                self._held, self.expired = None, self.expired + 1
            else:
                self._held = replace(held, entry_ts_us=stamp, entry_price=paid)

    def _close(self, held: Holding, stamp: int, paid: float) -> None:
        gross = held.side * (paid / held.entry_price - 1.0)
        net = gross - held.fees - held.spread - held.slippage
        own = {"symbol": self.symbol, "horizon": self.horizon, "exit_ts_us": stamp, "exit_price": paid,
               "funding": 0.0, "exit_reason": "time"}  # fmt: skip
        self._done.append(_plain(held) | own | {"gross": gross, "net": net, "r": net / held.risk})
        self._held = None

    def take_done(self) -> list[dict[str, Any]]:
        """Trades finished since the last call, in order."""
        done, self._done = self._done, []
        return done

    def state(self) -> dict[str, Any]:
        """Plain values to go on from; JSON keeps every bit of them."""
        return {"held": None if self._held is None else _plain(self._held), "expired": self.expired}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        self._held = None if state["held"] is None else Holding(**state["held"])
        self.expired = int(state["expired"])


def paper_trades(done: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Finished trades as a table of `PAPER_TRADES`."""
    columns = []
    for one in PAPER_TRADES:
        values = pa.array([row[one.name] for row in done], pa.int64() if one.type == US else one.type)
        columns.append(values.cast(one.type))
    return pa.table(columns, schema=PAPER_TRADES)
