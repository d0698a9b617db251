"""Columns of quotes to a sorted table, with every other row in quarantine or counted as a duplicate."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from scalper_ml.ingest.base import Counts
from scalper_ml.ingest.lines import Fault
from scalper_ml.ingest.trades import quarantine_table
from scalper_ml.schema import QUOTES, stamps

__all__ = ["QuoteColumns", "QuoteFile", "quote_file"]

_SIDES: Final = ("bid", "bid_qty", "ask", "ask_qty")
_REASONS: Final = (
    "",
    "ts: not a stamp of the years 2000 to 2099 in s, ms, us, ns or ISO 8601",
    *(f"{name}: {what}" for name in _SIDES for what in ("not a number", "not positive and finite")),
    "update_id: not a whole number from 0 to below 2^63",
)


@dataclass(frozen=True, slots=True)
class QuoteFile:
    """Quotes of one file.

    Attributes
    ----------
    quotes : pyarrow.Table
        Schema `QUOTES`, sorted by known time, then update id; crossed and locked ones included.
    quarantine : pyarrow.Table
        Schema `QUARANTINE`.
    counts : Counts
    format : str
        What the file was read as; also the `source` of its quotes.
    sha256 : str
        Of the file's bytes on disk.
    """

    quotes: pa.Table
    quarantine: pa.Table
    counts: Counts
    format: str
    sha256: str


@dataclass(frozen=True, slots=True)
class QuoteColumns:
    """Quotes as columns of one length, unchecked.

    Attributes
    ----------
    ts_us, event_ts_us : ndarray of int64, shape (n,)
        Known and event time.
    bid, bid_qty, ask, ask_qty : ndarray of float64, shape (n,)
    update_id : ndarray of int64, shape (n,)
        -1 where there is none.
    lines : ndarray of int64, shape (n,)
    unreadable : ndarray of bool, shape (n, 6), optional
        Which of stamp, bid, bid_qty, ask, ask_qty, update id could not be read; by default all could.
    """

    ts_us: np.ndarray
    event_ts_us: np.ndarray
    bid: np.ndarray
    bid_qty: np.ndarray
    ask: np.ndarray
    ask_qty: np.ndarray
    update_id: np.ndarray
    lines: np.ndarray
    unreadable: np.ndarray | None = None


def quote_file(
    columns: QuoteColumns,
    faults: Sequence[Fault],
    texts: Callable[[np.ndarray], Sequence[str]],
    *,
    path: Path,
    source: str,
    sha256: str,
) -> QuoteFile:
    """Quotes, quarantine and counts of one file.

    Known time is never before event time: the later of both is taken. A row that repeats an earlier one in update id
    and all values is a duplicate (the one known first stays); rows without an id are never duplicates.

    Parameters
    ----------
    columns : QuoteColumns
    faults : sequence of Fault
        Rows that never became columns.
    texts : callable
        Gives the raw text of some rows, by position.
    path : Path
    source : str
    sha256 : str
    """
    reasons = _reasons(columns)
    bad, good = np.flatnonzero(reasons), np.flatnonzero(reasons == 0)
    raw = texts(bad) if len(bad) else []
    found = [Fault(int(columns.lines[row]), _REASONS[reasons[row]], text) for row, text in zip(bad, raw, strict=True)]
    every = sorted([*found, *faults], key=lambda fault: fault.line)
    ts_us = np.maximum(columns.ts_us, columns.event_ts_us)
    order = good[np.lexsort((good, columns.event_ts_us[good], columns.update_id[good], ts_us[good]))]
    rows = order[~_repeated(columns, order)]
    table = pa.table(
        {
            "ts_us": stamps(ts_us[rows]),
            "event_ts_us": stamps(columns.event_ts_us[rows]),
            "bid": columns.bid[rows],
            "bid_qty": columns.bid_qty[rows],
            "ask": columns.ask[rows],
            "ask_qty": columns.ask_qty[rows],
            "update_id": pa.array(columns.update_id[rows], mask=columns.update_id[rows] < 0),
            "source": pa.DictionaryArray.from_arrays(np.zeros(len(rows), dtype=np.int32), pa.array([source])).cast(
                pa.string()
            ),
        },
        schema=QUOTES,
    )
    counts = Counts(len(reasons) + len(faults), len(rows), len(order) - len(rows), len(every))
    return QuoteFile(table, quarantine_table(path, every), counts, source, sha256)


def _reasons(columns: QuoteColumns) -> np.ndarray:
    n = len(columns.lines)
    unreadable = np.zeros((n, 6), dtype=bool) if columns.unreadable is None else columns.unreadable
    tests = [unreadable[:, 0]]
    for i, values in enumerate((columns.bid, columns.bid_qty, columns.ask, columns.ask_qty), 1):
        with np.errstate(invalid="ignore"):
            tests += [unreadable[:, i], ~((values > 0) & np.isfinite(values))]
    tests.append(unreadable[:, 5])
    return np.select(tests, np.arange(1, len(tests) + 1), 0).astype(np.int8)


def _repeated(columns: QuoteColumns, order: np.ndarray) -> np.ndarray:
    """Mask over `order` of the rows with an id that repeat an earlier one of it in everything but the known time."""
    mask = np.zeros(len(order), dtype=bool)
    named = np.flatnonzero(columns.update_id[order] >= 0)
    if np.all(np.diff(columns.update_id[order[named]]) > 0):
        return mask
    values = (columns.update_id, columns.event_ts_us, columns.bid, columns.bid_qty, columns.ask, columns.ask_qty)
    keys = [column[order[named]] for column in values]
    by_key = np.lexsort((named, *reversed(keys)))
    same = np.logical_and.reduce([key[by_key[1:]] == key[by_key[:-1]] for key in keys])
    mask[named[by_key[1:][same]]] = True
    return mask
