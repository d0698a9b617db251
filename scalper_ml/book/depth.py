"""The state of the book at the close of each bar, and what its top did over the bar, as known at the close."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from scalper_ml.errors import ContractError
from scalper_ml.schema import BOOK_BARS, stamps, us

__all__ = ["BOOK_BARS", "QuoteState", "book_bars", "book_bars_schema", "order_flow"]


@dataclass(frozen=True, slots=True)
class QuoteState:
    """The last quote known at the close of the last bar: all that the next bars need of the past."""

    ts_us: int
    bid: float
    bid_qty: float
    ask: float
    ask_qty: float


def book_bars_schema(bands_bps: Sequence[float]) -> pa.Schema:
    """`BOOK_BARS` with ``bid_depth_<b>bps`` and ``ask_depth_<b>bps`` for each band.

    Examples
    --------
    >>> book_bars_schema([10, 2.5]).names[-4:]
    ['bid_depth_10bps', 'ask_depth_10bps', 'bid_depth_2.5bps', 'ask_depth_2.5bps']
    """
    names = [f"{side}_depth_{band:g}bps" for band in bands_bps for side in ("bid", "ask")]
    return pa.schema([*BOOK_BARS, *(pa.field(name, pa.float64()) for name in names)])


def book_bars(
    open_us: np.ndarray,
    close_us: np.ndarray,
    quotes: pa.Table,
    *,
    before: QuoteState | None = None,
    depths: pa.Table | None = None,
    bands_bps: Sequence[float] = (),
    depth_age_us: int = 120_000_000,
) -> tuple[pa.Table, QuoteState | None]:
    """Book columns of some bars, and the state that the next bars start from.

    Parameters
    ----------
    open_us, close_us : ndarray of int64, shape (n,)
        Bars as intervals ``(open, close]`` that rise and do not overlap; time between bars is left out.
    quotes : pyarrow.Table
        Schema `QUOTES`, sorted by known time: those known after the last close before these bars and up to the last
        close of these. Later ones do no harm: no row sees them.
    before : QuoteState, optional
        As returned for the bars before these.
    depths : pyarrow.Table, optional
        Schema `DEPTHS`.
    bands_bps : sequence of float
        Bands of `depths` to add, in the venue's quantity.
    depth_age_us : int
        Oldest depth, by event time at the close, that still counts.

    Returns
    -------
    rows : pyarrow.Table
        Schema ``book_bars_schema(bands_bps)``, a row a bar. Values at the close are null where no quote is known
        yet; means over time start with the first known quote.
    state : QuoteState or None

    Raises
    ------
    ContractError
        If bars overlap or quotes are not sorted.

    Notes
    -----
    No look-ahead: the row of a bar uses the quotes and depths with known time at or before its close. Cutting the
    bars into chunks, with the state handed on, gives the same bytes.

    The imbalance of order flow sums, over the quotes of the bar, each against the one before it,
    ``1{b' >= b} q_b' - 1{b' <= b} q_b - 1{a' <= a} q_a' + 1{a' >= a} q_a``.

    References
    ----------
    Cont, Kukanov, Stoikov (2014), The Price Impact of Order Book Events, J. Financial Econometrics 12(1).
    """
    open_us, close_us = np.asarray(open_us, dtype=np.int64), np.asarray(close_us, dtype=np.int64)
    if np.any(close_us <= open_us) or np.any(open_us[1:] < close_us[:-1]):
        raise ContractError(
            "book bars: bars overlap or close before they open; expected rising intervals (open, close]"
        )
    known = _Quotes.of(quotes, before)
    if np.any(np.diff(known.ts_us) < 0):
        raise ContractError("book bars: quotes are not sorted by known time, or begin before the state; expected both")
    first = np.searchsorted(known.ts_us, open_us, side="right")
    end = np.searchsorted(known.ts_us, close_us, side="right")
    columns = _at_close(known, close_us, end) | _over_bar(known, open_us, close_us, first, end)
    for band in bands_bps:
        bid, ask = _depth_at(depths, float(band), close_us, depth_age_us)
        columns |= {f"bid_depth_{band:g}bps": bid, f"ask_depth_{band:g}bps": ask}
    schema = book_bars_schema(bands_bps)
    columns["ts_us"] = stamps(close_us)
    table = pa.table({name: columns[name] for name in schema.names}, schema=schema)
    return table, known.state(int(end[-1]) - 1) if len(end) else before


def order_flow(bid: np.ndarray, bid_qty: np.ndarray, ask: np.ndarray, ask_qty: np.ndarray) -> np.ndarray:
    """Order flow of each quote against the one before it; 0 for the first. Shape (n,) each.

    Examples
    --------
    >>> up = np.array([100.0, 100.0, 101.0]), np.array([5.0, 8.0, 2.0])  # 3 join the bid, then a better one of 2
    >>> order_flow(*up, np.full(3, 102.0), np.full(3, 4.0)).tolist()
    [0.0, 3.0, 2.0]
    """
    flow = np.zeros(len(bid))
    flow[1:] = np.where(bid[1:] >= bid[:-1], bid_qty[1:], 0.0) - np.where(bid[1:] <= bid[:-1], bid_qty[:-1], 0.0)
    flow[1:] -= np.where(ask[1:] <= ask[:-1], ask_qty[1:], 0.0) - np.where(ask[1:] >= ask[:-1], ask_qty[:-1], 0.0)
    return flow


@dataclass(frozen=True, slots=True)
class _Quotes:
    ts_us: np.ndarray
    bid: np.ndarray
    bid_qty: np.ndarray
    ask: np.ndarray
    ask_qty: np.ndarray

    @classmethod
    def of(cls, quotes: pa.Table, before: QuoteState | None) -> "_Quotes":
        names = ("bid", "bid_qty", "ask", "ask_qty")
        past = [] if before is None else [before]
        columns = [np.append([getattr(state, name) for state in past], quotes[name].to_numpy()) for name in names]
        ts_us = np.append(np.array([state.ts_us for state in past], dtype=np.int64), us(quotes["ts_us"]))
        return cls(ts_us, *columns)

    def state(self, row: int) -> QuoteState | None:
        if row < 0:
            return None
        values = (float(column[row]) for column in (self.bid, self.bid_qty, self.ask, self.ask_qty))
        return QuoteState(int(self.ts_us[row]), *values)


def _at_close(known: _Quotes, close_us: np.ndarray, end: np.ndarray) -> dict[str, pa.Array]:
    seen = end > 0
    row = np.maximum(end - 1, 0)
    if not len(known.ts_us):
        return {name: pa.nulls(len(end), BOOK_BARS.field(name).type) for name in _CLOSE}
    bid, bid_qty, ask, ask_qty = (column[row] for column in (known.bid, known.bid_qty, known.ask, known.ask_qty))
    mid, total = (bid + ask) / 2, bid_qty + ask_qty
    micro = (ask * bid_qty + bid * ask_qty) / total
    values = (mid, (ask - bid) / mid * 1e4, (bid_qty - ask_qty) / total, (micro - mid) / mid * 1e4)
    columns = [*values, close_us - known.ts_us[row]]
    return {name: pa.array(column, mask=~seen) for name, column in zip(_CLOSE, columns, strict=True)}


_CLOSE: Final = ("mid", "spread_bps", "imbalance", "micro_dev_bps", "quote_age_us")


def _over_bar(
    known: _Quotes, open_us: np.ndarray, close_us: np.ndarray, first: np.ndarray, end: np.ndarray
) -> dict[str, pa.Array]:
    flow = order_flow(known.bid, known.bid_qty, known.ask, known.ask_qty)
    updates = end - first
    rows, starts, bars = _rows_of(first, end)
    until = np.append(known.ts_us[rows][1:], 0)
    last = np.append(starts[1:], len(rows)) - 1
    if len(rows):
        until[last] = close_us[bars]
    held_us = until - known.ts_us[rows]  # how long each quote of a bar stood, up to the close
    entry = np.maximum(first - 1, 0)  # the quote that stood at the open
    entry_until = (
        np.where(updates > 0, known.ts_us[np.minimum(first, len(known.ts_us) - 1)], close_us)
        if len(known.ts_us)
        else close_us
    )
    entry_us = np.where(first > 0, entry_until - open_us, 0)
    weight = _sums(held_us.astype(np.float64), starts, bars, len(first)) + entry_us
    means = {}
    for name, values in _levels(known).items():
        held = _sums(values[rows] * held_us, starts, bars, len(first))
        stood = values[entry] * entry_us if len(values) else np.zeros(len(first))
        with np.errstate(invalid="ignore"):
            means[name] = pa.array((held + stood) / np.where(weight > 0, weight, np.nan), mask=weight <= 0)
    seen = pa.array(_sums(flow[rows], starts, bars, len(first)), mask=end == 0)
    return {"quote_updates": pa.array(updates), "ofi_qty": seen, **means}


def _levels(known: _Quotes) -> dict[str, np.ndarray]:
    total = known.bid_qty + known.ask_qty
    return {
        "spread_tw_bps": (known.ask - known.bid) / ((known.ask + known.bid) / 2) * 1e4,
        "imbalance_tw": (known.bid_qty - known.ask_qty) / total,
        "top_qty_tw": total / 2,
    }


def _rows_of(first: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of the bars that have any, end to end; where each such bar starts in them; and which bars these are."""
    bars = np.flatnonzero(end > first)
    sizes = end[bars] - first[bars]
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.int64) if len(bars) else np.array([], np.int64)
    rows = np.arange(int(sizes.sum())) - np.repeat(starts - first[bars], sizes)
    return rows, starts, bars


def _sums(values: np.ndarray, starts: np.ndarray, bars: np.ndarray, n: int) -> np.ndarray:
    """Sum of the values of each bar; a bar's sum depends on its own values only, so chunks do not change it."""
    out = np.zeros(n)
    if len(bars):
        out[bars] = np.add.reduceat(values, starts)
    return out


def _depth_at(depths: pa.Table | None, band: float, close_us: np.ndarray, age_us: int) -> tuple[pa.Array, pa.Array]:
    if depths is None:
        raise ContractError("book bars: bands are asked for without depths; expected a table of schema DEPTHS")
    of_band = depths.filter(pa.compute.equal(depths["band_bps"], band)).sort_by("ts_us")
    known_us = us(of_band["ts_us"])
    row = np.searchsorted(known_us, close_us, side="right") - 1
    fresh = row >= 0
    if len(known_us):
        fresh &= close_us - us(of_band["event_ts_us"])[np.maximum(row, 0)] <= age_us
    places = pa.array(np.maximum(row, 0), mask=~fresh)
    return tuple(of_band[f"{side}_qty"].combine_chunks().take(places) for side in ("bid", "ask"))
