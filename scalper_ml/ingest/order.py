"""The one order of trades, and which of them repeat or contradict another.

Trades are ordered by stamp, then id, then price, quantity and side. The last three decide only among trades
without ids in one microsecond: a stated convention, so that any order of the same rows gives the same table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from scalper_ml.kernel import kernel

__all__ = ["Sorted", "Trades", "canonical_order", "concatenate", "sort_trades"]

_COLUMNS: Final = ("ts_us", "price", "qty", "side", "trade_id")


@kernel
def _disorder(ts_us: Any, trade_id: Any, price: Any, qty: Any, side: Any, tied: Any) -> Any:
    """Mark rows of equal stamps; return (stamps never decrease, and no tie is out of order)."""
    stamps, ties = True, True
    for i in range(1, ts_us.shape[0]):
        if ts_us[i] > ts_us[i - 1]:
            continue
        if ts_us[i] < ts_us[i - 1]:
            stamps = False
            continue
        tied[i - 1], tied[i] = True, True
        later = trade_id[i] > trade_id[i - 1]
        if trade_id[i] == trade_id[i - 1]:
            later = price[i] > price[i - 1]
            if price[i] == price[i - 1]:
                later = qty[i] > qty[i - 1] or (qty[i] == qty[i - 1] and side[i] >= side[i - 1])
        ties &= later
    return stamps, ties


@kernel
def _equal_to_previous(ts_us: Any, trade_id: Any, price: Any, qty: Any, side: Any, unnamed: Any, repeat: Any) -> Any:
    """Mark rows equal to the one before; return (how many, and whether ids never decrease).

    Equal rows without an id are repeats only if `unnamed`.
    """
    count, rising, last = 0, True, -1
    for i in range(ts_us.shape[0]):
        same = (
            i > 0
            and ts_us[i] == ts_us[i - 1]
            and trade_id[i] == trade_id[i - 1]
            and price[i] == price[i - 1]
            and qty[i] == qty[i - 1]
            and side[i] == side[i - 1]
            and (trade_id[i] >= 0 or unnamed)
        )
        repeat[i] = same
        count += same
        if trade_id[i] >= 0 and not same:
            rising &= trade_id[i] > last
            last = trade_id[i]
    return count, rising


@kernel
def _within_ids(
    by_id: Any, ts_us: Any, trade_id: Any, price: Any, qty: Any, side: Any, coarse: Any, conflict: Any
) -> Any:
    """Mark, among rows of one id, the coarser stamps of the same trade and the rows that contradict the first."""
    first = by_id[0]
    for k in range(1, by_id.shape[0]):
        row = by_id[k]
        if trade_id[row] != trade_id[first]:
            first = row
            continue
        deal = price[row] == price[first] and qty[row] == qty[first] and side[row] == side[first]
        if deal and ts_us[row] // 1000 == ts_us[first] // 1000:
            coarse[first] = True
            first = row
        else:
            conflict[row] = True


@dataclass(frozen=True, slots=True)
class Trades:
    """Trades as columns of one length; `trade_id` is -1 where there is none."""

    ts_us: np.ndarray
    price: np.ndarray
    qty: np.ndarray
    side: np.ndarray
    trade_id: np.ndarray

    def take(self, rows: np.ndarray | slice) -> "Trades":
        """Some of the trades, by position, mask or slice."""
        return Trades(*(getattr(self, name)[rows] for name in _COLUMNS))

    def copy(self) -> "Trades":
        """The same trades in memory of their own."""
        return Trades(*(getattr(self, name).copy() for name in _COLUMNS))

    def __len__(self) -> int:
        return len(self.ts_us)


def concatenate(parts: Sequence[Trades]) -> Trades:
    """Trades of several parts, one after the other."""
    return Trades(*(np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS))


@dataclass(frozen=True, slots=True)
class Sorted:
    """Trades in order, each once.

    Attributes
    ----------
    trades : Trades
    rows : ndarray of int64 or None
        Where each of them stood before; None if all stand as they stood.
    repeats : int
        Rows left out because they repeat another.
    conflicts : ndarray of int64
        Rows left out because their id has other values in a row that is kept, as they stood before.
    """

    trades: Trades
    rows: np.ndarray | None
    repeats: int
    conflicts: np.ndarray


def canonical_order(trades: Trades) -> np.ndarray | None:
    """Positions in the one order of trades; None if they stand in it already."""
    tied = np.zeros(len(trades), dtype=np.bool_)
    stamps, ties = _disorder(trades.ts_us, trades.trade_id, trades.price, trades.qty, trades.side, tied)
    if stamps and ties:
        return None
    order = np.arange(len(trades))
    if not stamps:
        order = np.argsort(trades.ts_us, kind="stable")  # fast on rows that are nearly in order
        moved = trades.take(order)
        tied[:] = False
        _, ties = _disorder(moved.ts_us, moved.trade_id, moved.price, moved.qty, moved.side, tied)
    if not ties:
        places = np.flatnonzero(tied)
        few = trades.take(order[places])
        order[places] = order[places][np.lexsort((few.side, few.qty, few.price, few.trade_id, few.ts_us))]
    return order


def sort_trades(trades: Trades, *, drop_unnamed: bool) -> Sorted:
    """Trades in their one order, without the rows that repeat or contradict another of the same id.

    Of rows with one id the first in order is kept. One that differs only by a stamp of the same millisecond
    is the same trade with a coarser stamp: the finer stamp, the later of the two, is kept.

    Parameters
    ----------
    trades : Trades
    drop_unnamed : bool
        Whether equal rows without an id are one trade.
    """
    rows = canonical_order(trades)
    ordered = trades if rows is None else trades.take(rows)
    repeat = np.empty(len(trades), dtype=np.bool_)
    count, rising = _equal_to_previous(
        ordered.ts_us, ordered.trade_id, ordered.price, ordered.qty, ordered.side, drop_unnamed, repeat
    )
    conflict = np.zeros(0, dtype=np.int64)
    if not rising:
        coarse, conflict = _same_id(ordered, ~repeat)
        repeat[coarse] = True
        count += len(coarse)
    if count == 0 and len(conflict) == 0:
        return Sorted(ordered, rows, 0, conflict)
    keep = ~repeat
    keep[conflict] = False
    before = np.arange(len(trades)) if rows is None else rows
    return Sorted(ordered.take(keep), before[keep], int(count), before[conflict])


def _same_id(trades: Trades, candidate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions of rows that are another's coarser self, and of rows that contradict another."""
    named = np.flatnonzero(candidate & (trades.trade_id >= 0))
    by_id = named[np.argsort(trades.trade_id[named], kind="stable")]  # of one id: in order
    coarse, conflict = np.zeros(len(trades), dtype=np.bool_), np.zeros(len(trades), dtype=np.bool_)
    _within_ids(by_id, trades.ts_us, trades.trade_id, trades.price, trades.qty, trades.side, coarse, conflict)
    return np.flatnonzero(coarse), np.flatnonzero(conflict)
