"""What happened to every order, a row an event, from which the trades can be made again."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from scalper_ml.backtest.costs import CostLegs
from scalper_ml.errors import ContractError
from scalper_ml.schema import TRADES, US, conform, stamps, us

__all__ = ["LOG", "Entries", "order_log", "trades_of"]

LOG: Final = pa.schema(
    [
        pa.field("ts_us", US, nullable=False),
        pa.field("order", pa.int64(), nullable=False),  # number of the order, in the order of decisions
        pa.field("event", pa.string(), nullable=False),  # decided, filled, left, missed
        pa.field("side", pa.int8(), nullable=False),
        pa.field("qty", pa.float64(), nullable=False),  # base units
        pa.field("price", pa.float64()),  # null where nothing was filled
        pa.field("fees", pa.float64()),  # of this fill, fractions of the entry's notional
        pa.field("spread", pa.float64()),
        pa.field("slippage", pa.float64()),
        pa.field("funding", pa.float64()),  # of the time held, with the event that ends it
        pa.field("confidence", pa.float64(), nullable=False),
        pa.field("risk", pa.float64(), nullable=False),
        pa.field("reason", pa.string()),  # why a position was left
    ]
)


@dataclass(frozen=True, slots=True, eq=False)
class Entries:
    """What the log is made of: a row for each order that was filled and left, in the order of decisions."""

    decided: np.ndarray
    entry_ts: np.ndarray
    exit_ts: np.ndarray
    side: np.ndarray
    confidence: np.ndarray
    entry_price: np.ndarray
    exit_price: np.ndarray
    paid_in: CostLegs
    paid_out: CostLegs
    funding: np.ndarray
    risk: np.ndarray
    qty: np.ndarray
    reason: np.ndarray

    def trades(self) -> pa.Table:
        """TRADES, by the arithmetic of the engine."""
        return _trades(
            self.decided, self.entry_ts, self.exit_ts, self.side, self.confidence, self.entry_price, self.exit_price,
            self.paid_in, self.paid_out, self.funding, self.risk, self.qty, self.reason,
        )  # fmt: skip


def order_log(entries: Entries) -> pa.Table:
    """Every event of the orders that became trades, by time, then by order."""
    n = entries.decided.size
    none = np.full(n, np.nan)

    def rows(event: str, ts: np.ndarray, price: np.ndarray, legs: CostLegs | None, last: bool) -> pa.Table:
        paid = [none] * 3 if legs is None else [legs.fees, legs.spread, legs.slippage]
        return pa.table(
            [
                stamps(ts), pa.array(np.arange(n)), pa.array([event] * n, pa.string()),
                pa.array(entries.side.astype(np.int8)), pa.array(entries.qty),
                *(pa.array(one, from_pandas=True) for one in (price, *paid)),
                pa.array(entries.funding if last else none, from_pandas=True),
                pa.array(entries.confidence), pa.array(entries.risk),
                pa.array(entries.reason.tolist() if last else [None] * n, pa.string()),
            ],
            schema=LOG,
        )  # fmt: skip

    events = pa.concat_tables(
        [
            rows("decided", entries.decided, none, None, False),
            rows("filled", entries.entry_ts, entries.entry_price, entries.paid_in, False),
            rows("left", entries.exit_ts, entries.exit_price, entries.paid_out, True),
        ]
    )
    ts, order = us(events["ts_us"]), events["order"].to_numpy()
    return events.take(pa.array(np.lexsort((np.repeat([0, 1, 2], n), order, ts))))


def trades_of(log: pa.Table) -> pa.Table:
    """The trades again, from their events alone: the same bytes.

    Raises
    ------
    ContractError
        An order is not decided, filled and left exactly once each.
    """
    event, order = log["event"].to_numpy(zero_copy_only=False), log["order"].to_numpy()
    part = {}
    for name in ("decided", "filled", "left"):
        mine = np.flatnonzero(event == name)
        part[name] = log.take(pa.array(mine[np.argsort(order[mine], kind="stable")]))
    numbers = [one["order"].to_pylist() for one in part.values()]
    if log.num_rows != 3 * len(numbers[0]) or numbers[0] != numbers[1] or numbers[0] != numbers[2]:
        raise ContractError(
            f"order log: {log.num_rows} events of {len(set(order.tolist()))} orders; expected each decided, filled and "
            "left once"
        )

    def column(name: str, which: str) -> np.ndarray:
        return np.asarray(part[which][name].to_numpy(zero_copy_only=False))

    def legs(which: str) -> CostLegs:
        return CostLegs(column("fees", which), column("spread", which), column("slippage", which))

    return _trades(
        us(part["decided"]["ts_us"]), us(part["filled"]["ts_us"]), us(part["left"]["ts_us"]),
        column("side", "decided"), column("confidence", "decided"), column("price", "filled"), column("price", "left"),
        legs("filled"), legs("left"), column("funding", "left"), column("risk", "decided"), column("qty", "decided"),
        column("reason", "left"),
    )  # fmt: skip


def _trades(
    decided: np.ndarray,
    entry_ts: np.ndarray,
    exit_ts: np.ndarray,
    side: np.ndarray,
    confidence: np.ndarray,
    entry: np.ndarray,
    leave: np.ndarray,
    paid_in: CostLegs,
    paid_out: CostLegs,
    funding: np.ndarray,
    risk: np.ndarray,
    qty: np.ndarray,
    reason: np.ndarray,
) -> pa.Table:
    gross = side * (leave / entry - 1.0)
    fees, spread = paid_in.fees + paid_out.fees, paid_in.spread + paid_out.spread
    slippage = paid_in.slippage + paid_out.slippage
    net = gross - fees - spread - slippage - funding
    columns = {
        "signal_ts_us": stamps(decided),
        "entry_ts_us": stamps(entry_ts),
        "exit_ts_us": stamps(exit_ts),
        "side": np.asarray(side).astype(np.int8),
        "confidence": confidence,
        "entry_price": entry,
        "exit_price": leave,
        "gross": gross,
        "fees": fees,
        "spread": spread,
        "slippage": slippage,
        "funding": funding,
        "net": net,
        "risk": risk,
        "r": net / risk,
        "qty": qty,
        "exit_reason": pa.array(reason.tolist(), pa.string()),
    }
    return conform(pa.table(columns), TRADES, "trades")
