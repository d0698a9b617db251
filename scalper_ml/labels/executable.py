"""Prices that could have been had: what an order sent at a moment would have been filled at, and labels made of them.

A decision at the close of a bar reaches the venue `latency_us` later. From trades the fill is the first trade at or
after that moment; from quotes it is the mid known at that moment, which is no fill but the value that neither side's
spread has moved. Last prices before the decision are never used: they lie on a random side of the spread, and the
bounce between the sides is then learned as a signal.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalper_ml.errors import ContractError
from scalper_ml.labels.checks import check_decisions, check_order, check_prices, check_scale, spread_out
from scalper_ml.labels.horizon import DROP_REASONS, Labels, classes_of
from scalper_ml.labels.rule import LabelRule

__all__ = ["FILLED", "NOT_YET", "TOO_LATE", "Fills", "executable_labels", "mid_fills", "side_mid_fills", "trade_fills"]

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

FILLED: Final = 0
NOT_YET: Final = 1
TOO_LATE: Final = 2


@dataclass(frozen=True, slots=True, eq=False)
class Fills:
    """What orders were filled at; every array has shape (n,).

    ``price`` and ``known_us``, when the price was known, hold where ``state`` is 0. ``state`` is 1 where the data end
    before, and 2 where the next trade came too late or the quote was too old, crossed or missing.
    """

    price: F64
    known_us: I64
    state: NDArray[np.int8]


def trade_fills(due_us: ArrayLike, ts_us: ArrayLike, price: ArrayLike, *, wait_us: int) -> Fills:
    """First trade at or after each moment.

    Parameters
    ----------
    due_us : array_like of int, shape (n,)
        When each order is at the venue, microseconds.
    ts_us, price : array_like, shape (k,)
        Every trade in time order; prices finite and > 0.
    wait_us : int
        Longest time until that trade, microseconds.

    Examples
    --------
    >>> fills = trade_fills([10, 11, 40], [10, 10, 12, 30], [1.0, 1.1, 1.2, 1.3], wait_us=5)
    >>> fills.price[:2], fills.known_us[:2], fills.state
    (array([1. , 1.2]), array([10, 12]), array([0, 0, 1], dtype=int8))
    """
    due, stamp, paid = _tape("trades", due_us, ts_us, price)
    check_prices("trades: price", paid)
    if not stamp.size:
        return Fills(np.full(due.size, np.nan), due, np.full(due.size, NOT_YET, dtype=np.int8))
    at = np.searchsorted(stamp, due, side="left")
    held = np.minimum(at, stamp.size - 1)
    state = np.select([at >= stamp.size, stamp[held] - due > wait_us], [NOT_YET, TOO_LATE], FILLED)
    return Fills(paid[held], stamp[held], state.astype(np.int8))


def mid_fills(
    due_us: ArrayLike, ts_us: ArrayLike, bid: ArrayLike, ask: ArrayLike, *, max_age_us: int, until_us: int | None = None
) -> Fills:
    """Mid of the quote that was known at each moment.

    Parameters
    ----------
    due_us : array_like of int, shape (n,)
        Moments, microseconds.
    ts_us, bid, ask : array_like, shape (k,)
        Quotes by the time they became known, in time order.
    max_age_us : int
        Oldest quote that still counts, microseconds.
    until_us : int, optional
        End of the recording; the last quote by default. After it nobody knows whether the quote still stood.

    Examples
    --------
    >>> fills = mid_fills([4, 5, 9, 30], [5, 8, 20], [1.0, 1.2, 1.2], [1.2, 1.4, 1.1], max_age_us=10)
    >>> fills.price[1:3].round(2), fills.state
    (array([1.1, 1.3]), array([2, 0, 0, 1], dtype=int8))
    """
    due, stamp, low = _tape("quotes", due_us, ts_us, bid)
    high = np.asarray(ask, dtype=np.float64)
    check_order("quotes: ask", stamp, (high,))
    at = np.searchsorted(stamp, due, side="right") - 1
    end = until_us if until_us is not None else (int(stamp[-1]) if stamp.size else np.iinfo(np.int64).min)
    held = np.maximum(at, 0)
    usable = np.isfinite(low) & np.isfinite(high) & (low > 0) & (low <= high)
    bad = (at < 0) | ~_at(usable, held, False) | (due - _at(stamp, held, 0) > max_age_us)
    state = np.select([due > end, bad], [NOT_YET, TOO_LATE], FILLED).astype(np.int8)
    return Fills(_at(low + (high - low) / 2.0, held, np.nan), due, state)


def side_mid_fills(
    due_us: ArrayLike,
    ts_us: ArrayLike,
    price: ArrayLike,
    side: ArrayLike,
    *,
    max_age_us: int,
    until_us: int | None = None,
) -> Fills:
    """Mid of the quotes that trades give away: the last buyer paid the ask, the last seller was paid the bid.

    Parameters
    ----------
    due_us : array_like of int, shape (n,)
        Moments, microseconds.
    ts_us, price, side : array_like, shape (k,)
        Every trade in time order; side +1 buyer, -1 seller the aggressor.
    max_age_us : int
        Oldest of the two trades that still counts, microseconds.
    until_us : int, optional
        End of the recording; the last trade by default.

    Notes
    -----
    Where the price has moved between the two trades the bid may stand above the ask; the mid is theirs all the same.

    Examples
    --------
    >>> side_mid_fills([2, 3], [1, 2, 3], [10.2, 10.0, 10.4], [1, -1, 1], max_age_us=5).price.round(2)
    array([10.1, 10.2])
    """
    due, stamp, paid = _tape("trades", due_us, ts_us, price)
    check_prices("trades: price", paid)
    sides = np.asarray(side, dtype=np.int64)
    if sides.shape != stamp.shape or not np.isin(sides, (-1, 1)).all():
        raise ContractError("trades: side must be +1 or -1 for every trade; mids need to know the aggressor")
    end = until_us if until_us is not None else (int(stamp[-1]) if stamp.size else np.iinfo(np.int64).min)
    total, bad = np.zeros(due.size), np.zeros(due.size, dtype=np.bool_)
    for sign in (-1, 1):
        mine = sides == sign
        own, at = stamp[mine], np.searchsorted(stamp[mine], due, side="right") - 1
        held = np.maximum(at, 0)
        bad |= (at < 0) | (due - _at(own, held, 0) > max_age_us)
        total += _at(paid[mine], held, np.nan)
    state = np.select([due > end, bad], [NOT_YET, TOO_LATE], FILLED).astype(np.int8)
    return Fills(total / 2.0, due, state)


def executable_labels(
    ts_us: ArrayLike,
    fills: Callable[[I64], Fills],
    *,
    latency_us: int,
    rule: LabelRule,
    sigma: ArrayLike,
    cost: ArrayLike,
) -> Labels:
    """Fixed-horizon labels between two executable prices, a horizon apart.

    Parameters
    ----------
    ts_us : array_like of int, shape (n,)
        Decisions: closes of the bars of one symbol, microseconds, strictly increasing.
    fills : callable
        Prices of orders that are at the venue at these moments, e.g. `trade_fills` with everything else bound.
    latency_us : int
        From the decision to the order at the venue, microseconds, >= 0; entry and exit alike.
    rule, sigma, cost
        As in `horizon_labels`; how late or old a price may be is bound in `fills`.

    Returns
    -------
    Labels
        ``t1`` is when the exit price was known. Rows are dropped as ``no_entry`` and ``no_exit`` where the data end
        before, as ``gap`` where a price came too late or was too old, or where one trade would be entry and exit.

    Raises
    ------
    ContractError, SettingsError
        As in `horizon_labels`.

    Examples
    --------
    >>> from functools import partial
    >>> tape = partial(trade_fills, ts_us=[12, 21, 35], price=[100.0, 102.0, 101.0], wait_us=10)
    >>> labels = executable_labels([10, 20, 30], tape, latency_us=1,
    ...     rule=LabelRule(1, 10, 0.5, 1.0), sigma=np.full(3, 0.01), cost=0.001)
    >>> labels.entry, labels.exit, labels.t1, labels.dropped["no_exit"]
    (array([100., 102.]), array([102., 101.]), array([21, 35]), 1)
    """
    close = np.asarray(ts_us, dtype=np.int64)
    check_decisions(close)
    vol, charge = np.asarray(sigma, dtype=np.float64), spread_out(np.asarray(cost, dtype=np.float64), close.size)
    check_scale("sigma", vol, close.size, np.isnan(vol))
    check_scale("cost", charge, close.size, np.isnan(vol))
    entry, leave = fills(close + latency_us), fills(close + latency_us + rule.horizon_us)
    nothing_held = (entry.state == FILLED) & (leave.state == FILLED) & (leave.known_us <= entry.known_us)
    late = (entry.state == TOO_LATE) | (leave.state == TOO_LATE) | nothing_held
    reason = np.select(
        [np.isnan(vol), entry.state == NOT_YET, leave.state == NOT_YET, late], [0, 1, 2, 3], len(DROP_REASONS)
    )
    row = np.flatnonzero(reason == len(DROP_REASONS))
    ret = np.log(leave.price[row] / entry.price[row])
    deadband = rule.deadband(vol[row], charge[row])
    return Labels(
        row=row,
        t0=close[row],
        t1=leave.known_us[row],
        ret=ret,
        entry=entry.price[row],
        exit=leave.price[row],
        deadband=deadband,
        cost=charge[row],
        sigma=vol[row],
        y=classes_of(ret, deadband),
        y_binary=np.select([ret > 0, ret < 0], [1, 0], -1).astype(np.int8),
        dropped={name: int(np.count_nonzero(reason == code)) for code, name in enumerate(DROP_REASONS)},
    )


def _tape(what: str, due_us: ArrayLike, ts_us: ArrayLike, price: ArrayLike) -> tuple[I64, I64, F64]:
    due, stamp = np.asarray(due_us, dtype=np.int64), np.asarray(ts_us, dtype=np.int64)
    paid = np.asarray(price, dtype=np.float64)
    check_order(what, stamp, (paid,))
    return due, stamp, paid


def _at(values: NDArray[Any], rows: I64, otherwise: float) -> NDArray[Any]:
    """Values at rows, or a number for all of them where there are no values at all."""
    return values[rows] if values.size else np.full(rows.size, otherwise)
