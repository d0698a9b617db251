"""Ticks of several files of one source to one sorted, unique table."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from scalper_ml.errors import InputError
from scalper_ml.ingest.base import Counts, Duplicates, TickFile
from scalper_ml.ingest.lines import Fault
from scalper_ml.ingest.order import Sorted, Trades, concatenate, sort_trades
from scalper_ml.ingest.trades import CONFLICT, quarantine_table, ticks_table
from scalper_ml.schema import us

__all__ = ["join_trades", "merge_ticks", "trade_text", "trades_of"]


def merge_ticks(files: Sequence[TickFile]) -> TickFile:
    """Ticks of files that may overlap, each trade once.

    Trades with an id are one trade if the id is the same. Equal trades without ids cannot be told apart: as many
    are kept as the file that has most of them holds, so overlapping files do not double them and no file loses any.

    Parameters
    ----------
    files : sequence of TickFile
        At least one; all of one source.

    Returns
    -------
    TickFile
        Sorted, unique; counts summed, with the rows repeated across files as duplicates; `sha256` over the
        files' hashes in order.

    Raises
    ------
    InputError
        If there is no file, or files of several sources: trades and aggregate trades of a venue would count twice.
    """
    if not files:
        raise InputError("merge of ticks: no files; expected at least one")
    sources = sorted({file.format for file in files})
    if len(sources) > 1:
        raise InputError(f"merge of ticks: files of {len(sources)} sources {sources}; expected one - name it")
    if len(files) == 1:
        return files[0]
    parts = [trades_of(file.ticks) for file in files]
    once, repeats = join_trades(parts)
    every = concatenate(parts)
    faults = [Fault(0, CONFLICT, trade_text(every, int(row))) for row in once.conflicts]
    counts = files[0].counts
    for file in files[1:]:
        counts += file.counts
    counts = Counts(counts.read, len(once.trades), counts.duplicate + repeats, counts.quarantined + len(faults))
    ticks = ticks_table(once.trades, sources[0])
    quarantine = pa.concat_tables([*(file.quarantine for file in files), quarantine_table(Path("merged"), faults)])
    digest = hashlib.sha256("".join(file.sha256 for file in files).encode()).hexdigest()
    return TickFile(ticks, quarantine, counts, sources[0], digest)


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


def trades_of(ticks: pa.Table) -> Trades:
    """A table of schema `TICKS` as columns."""
    price, qty, side = (ticks.column(name).to_numpy() for name in ("price", "qty", "side"))
    return Trades(us(ticks.column("ts_us")), price, qty, side, ticks.column("trade_id").fill_null(-1).to_numpy())


def trade_text(trades: Trades, row: int) -> str:
    """One trade as text: stamp, price, quantity, side and id."""
    columns = (trades.ts_us, trades.price, trades.qty, trades.side, trades.trade_id)
    return ",".join(str(column[row]) for column in columns)
