"""Book columns of all bars from quotes of many files, one file in memory at a time."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scalper_ml.book.depth import book_bars, book_bars_schema
from scalper_ml.schema import QUOTES, us

__all__ = ["BarsOfFiles", "QuoteSpool", "bars_of_quotes", "quotes_in_order", "sorted_depths", "standing_quotes"]

_VALUES: Final = ("bid", "bid_qty", "ask", "ask_qty")


@dataclass(frozen=True, slots=True)
class QuoteSpool:
    """Quotes of one source file, put aside as Parquet: where, whose, and which known times they span (us)."""

    path: Path
    sha256: str
    first_us: int
    last_us: int

    @classmethod
    def put(cls, quotes: pa.Table, path: Path, sha256: str) -> "QuoteSpool":
        """Write quotes of schema `QUOTES`, sorted by known time; at least one."""
        pq.write_table(quotes, path, compression="zstd", compression_level=1)
        known_us = us(quotes["ts_us"])
        return cls(path, sha256, int(known_us[0]), int(known_us[-1]))


def quotes_in_order(spools: Sequence[QuoteSpool]) -> Iterator[tuple[pa.Table, int | None]]:
    """Quotes of all files in order of known time, in pieces.

    Files may overlap: what is known after the next file begins waits for that file. A quote with an update id that
    repeats another in id and values counts once, when it was first known: two recorders have two known times, and
    for a quote that the venue does not stamp two event times.

    Yields
    ------
    quotes : pyarrow.Table
        Schema `QUOTES`.
    until_us : int or None
        Every quote known before this moment has been given; None: every quote.

    Notes
    -----
    The order of `spools` and the names of their files change nothing. In memory are one file and what overlaps it.
    """
    ordered = sorted(spools, key=lambda spool: (spool.first_us, spool.sha256))
    waiting = QUOTES.empty_table()
    if not ordered:
        yield waiting, None
    for spool, after in zip_longest(ordered, ordered[1:]):
        held = pq.read_table(spool.path).cast(QUOTES)
        held = _ordered(pa.concat_tables([waiting, held])) if waiting.num_rows else held
        if after is None:
            yield held, None
        else:
            cut = int(np.searchsorted(us(held["ts_us"]), after.first_us))
            waiting = held.slice(cut)
            yield held.slice(0, cut), after.first_us


def _ordered(quotes: pa.Table) -> pa.Table:
    """Sorted by known time, update id and event time, else as they are; repeats are left out."""
    ids = quotes["update_id"].fill_null(-1).to_numpy()
    order = np.lexsort((us(quotes["event_ts_us"]), ids, us(quotes["ts_us"])))
    named = order[ids[order] >= 0]
    if len(np.unique(ids[named])) == len(named):
        return quotes.take(pa.array(order))
    keys = [ids[named], *(quotes[name].to_numpy()[named] for name in _VALUES)]
    by_key = np.lexsort((np.arange(len(named)), *reversed(keys)))
    same = np.logical_and.reduce([key[by_key[1:]] == key[by_key[:-1]] for key in keys])
    again = np.zeros(quotes.num_rows, dtype=bool)
    again[named[by_key[1:][same]]] = True
    return quotes.take(pa.array(order[~again[order]]))


def sorted_depths(depths: Iterable[pa.Table]) -> pa.Table:
    """Depths of several files in order of known time, whatever the order of the files."""
    table = pa.concat_tables(list(depths))
    return table.sort_by([(name, "ascending") for name in ("ts_us", "event_ts_us", *table.column_names[2:])])


@dataclass(frozen=True, slots=True)
class BarsOfFiles:
    """Book columns of all bars; how many rows were built again from what was known at their close, and which differ."""

    rows: pa.Table
    audited: int
    changed: list[int]


def bars_of_quotes(
    open_us: np.ndarray,
    close_us: np.ndarray,
    quotes: Iterable[tuple[pa.Table, int | None]],
    depths: pa.Table,
    *,
    bands_bps: Sequence[float],
    depth_age_us: int,
    audited: np.ndarray,
) -> BarsOfFiles:
    """Book columns of bars from quotes in pieces, some of them built twice.

    Parameters
    ----------
    open_us, close_us : ndarray of int64, shape (n,)
        See `scalper_ml.book.depth.book_bars`.
    quotes : iterable
        From `quotes_in_order`.
    depths : pyarrow.Table
        From `sorted_depths`.
    bands_bps, depth_age_us
        As of `book_bars`.
    audited : ndarray of int64
        Bars to build again, each alone, from quotes and depths without anything known after its close.

    Returns
    -------
    BarsOfFiles
        `changed` are closes (us) of the audited bars whose two rows differ in any bit.
    """
    done, held = 0, QUOTES.empty_table()
    tables, changed = [book_bars_schema(bands_bps).empty_table()], []
    depth_us = us(depths["ts_us"])

    def rows_of(bars: slice, quotes: pa.Table, depths: pa.Table) -> pa.Table:
        return book_bars(
            open_us[bars], close_us[bars], quotes, depths=depths, bands_bps=bands_bps, depth_age_us=depth_age_us
        )[0]

    for piece, until_us in quotes:
        held = pa.concat_tables([held, piece])
        end = len(close_us) if until_us is None else int(np.searchsorted(close_us, until_us))
        if end > done:
            near = _between(depths, depth_us, int(close_us[done]) - depth_age_us, int(close_us[end - 1]))
            rows = rows_of(slice(done, end), held, near)
            tables.append(rows)
            for place in audited[(audited >= done) & (audited < end)].tolist():
                alone = rows_of(slice(place, place + 1), *(_known_at(one, close_us[place]) for one in (held, near)))
                changed += [] if alone.equals(rows.slice(place - done, 1)) else [int(close_us[place])]
            done = end
        if done == len(close_us):
            break
        held = _still_needed(held, int(open_us[done]))
    return BarsOfFiles(pa.concat_tables(tables).combine_chunks(), len(audited), changed)


def standing_quotes(quotes: Iterable[tuple[pa.Table, int | None]], moments_us: np.ndarray) -> pa.Table:
    """The quotes that stand at some moments, and the last of all: a row or two a moment out of any number.

    Parameters
    ----------
    quotes : iterable
        From `quotes_in_order`.
    moments_us : ndarray of int64
        Ascending.

    Returns
    -------
    pyarrow.Table
        Schema `QUOTES`, in order of known time. Whoever asks what stood at one of the moments, and when the recording
        ends, is told the same by these as by all.
    """
    kept = [QUOTES.empty_table()]
    for piece, _ in quotes:
        if piece.num_rows:
            stand = np.searchsorted(us(piece["ts_us"]), moments_us, side="right") - 1
            rows = np.unique(np.append(stand, piece.num_rows - 1))
            kept.append(piece.take(pa.array(rows[rows >= 0])))
    return pa.concat_tables(kept).combine_chunks()


def _known_at(table: pa.Table, at_us: int) -> pa.Table:
    return table.filter(pa.array(us(table["ts_us"]) <= at_us))


def _between(depths: pa.Table, known_us: np.ndarray, first_us: int, last_us: int) -> pa.Table:
    first, end = np.searchsorted(known_us, [first_us, last_us + 1])
    return depths.slice(int(first), int(end - first))


def _still_needed(quotes: pa.Table, open_us: int) -> pa.Table:
    """From the quote that stands at the next open on."""
    first = int(np.searchsorted(us(quotes["ts_us"]), open_us, side="right")) - 1
    return quotes.slice(max(first, 0)).combine_chunks()
