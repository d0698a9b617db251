"""Trades of several files of one source to one set, each once."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from scalper_ml.ingest.base import Duplicates
from scalper_ml.ingest.order import Sorted, Trades, concatenate, sort_trades

__all__ = ["join_trades"]


def join_trades(parts: Sequence[Trades], duplicates: Duplicates = "keep") -> tuple[Sorted, int]:
    """Trades of parts that may overlap, each once, and how many rows repeat another.

    Equal trades without ids cannot be told apart: as many are kept as the part that has most of them holds
    (``"keep"``), or one (``"drop"``). The rows of the answer count through the parts, one after the other.

    Parameters
    ----------
    parts : sequence of Trades
        Of each source file.
    duplicates : {"keep", "drop"}
    """
    every = concatenate(parts)
    if duplicates == "drop" or len(parts) == 1:
        once = sort_trades(every, drop_unnamed=duplicates == "drop")
        return once, once.repeats
    extra = _beyond_the_most(every, np.repeat(np.arange(len(parts)), [len(part) for part in parts]))
    if not extra.any():
        once = sort_trades(every, drop_unnamed=False)
        return once, once.repeats
    rows = np.flatnonzero(~extra)
    once = sort_trades(every.take(rows), drop_unnamed=False)
    kept = rows if once.rows is None else rows[once.rows]
    return Sorted(once.trades, kept, once.repeats, rows[once.conflicts]), once.repeats + int(extra.sum())


def _beyond_the_most(trades: Trades, file: np.ndarray) -> np.ndarray:
    """Mask of trades without id whose k-th copy in their file was already given by an earlier file."""
    repeat = np.zeros(len(trades), dtype=bool)
    bare = np.flatnonzero(trades.trade_id < 0)
    if bare.size == 0:
        return repeat
    keys = [trades.side[bare], trades.qty[bare], trades.price[bare], trades.ts_us[bare]]
    order = bare[np.lexsort((bare, file[bare], *keys))]
    same = np.concatenate(([False], np.logical_and.reduce([_steps(trades, order, name) for name in _KEYS])))
    copy_start = ~same | np.concatenate(([True], np.diff(file[order]) != 0))
    place = np.arange(len(order))
    copy = place - np.maximum.accumulate(np.where(copy_start, place, 0))  # which copy within its file, from 0
    group = np.cumsum(~same)
    again = order[np.lexsort((order, copy, group))]
    sorted_copy, sorted_group = (values[np.lexsort((order, copy, group))] for values in (copy, group))
    repeat[again[1:]] = (np.diff(sorted_group) == 0) & (np.diff(sorted_copy) == 0)
    return repeat


_KEYS: Final = ("ts_us", "price", "qty", "side")


def _steps(trades: Trades, order: np.ndarray, name: str) -> np.ndarray:
    values = getattr(trades, name)[order]
    return np.asarray(values[1:] == values[:-1])
