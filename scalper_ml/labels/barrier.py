"""Triple-barrier labels: which comes first, a gain, a loss of a set size, or the end of the time.

The barriers stand ``max(distance * sigma * sqrt(horizon), kappa * cost)`` in log price above and below the entry, and
``hold`` horizons after the decision. Where there are trades, the first one at or beyond a barrier decides and is the
exit. Where there are bars only, an exit is at the barrier, or at the open of a bar that opens beyond it; if both
barriers lie within one bar, nobody knows which came first, and the outcome is the worse one: the stop of a given side,
and NEUTRAL where no side is given, because a LONG and a SHORT would both have to be counted as stopped.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalper_ml.errors import ContractError
from scalper_ml.labels.checks import check_bars, check_decisions, check_order, check_prices, check_scale, spread_out
from scalper_ml.labels.horizon import DROP_REASONS, Barriers, Labels, classes_of
from scalper_ml.labels.paths import BOTH, LOWER, UPPER, VERTICAL, first_touch, next_pause, skip_table
from scalper_ml.labels.rule import LabelRule
from scalper_ml.schema import LONG, NEUTRAL, SHORT

__all__ = ["NO_SIDE", "BarrierLabels", "barrier_labels", "tape_barrier_labels"]

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
I8 = NDArray[np.int8]

NO_SIDE = "no_side"
"""Drop reason of a row for which a side was asked and none was given."""


@dataclass(frozen=True, slots=True, eq=False)
class BarrierLabels(Labels):
    """Labels with what decided them; every array has shape (m,).

    ``touch`` is 1 at the upper barrier, -1 at the lower, 0 at the vertical, 2 where both lay within one bar;
    ``upper`` and ``lower`` are their prices. ``touch`` and ``y`` are about the price, not about a side: for a SHORT
    the upper barrier is the stop. ``exit`` of a row with ``touch`` 2 is that of the given side, else of a LONG.
    """

    touch: I8
    upper: F64
    lower: F64


def barrier_labels(
    open: ArrayLike,
    high: ArrayLike,
    low: ArrayLike,
    open_ts_us: ArrayLike,
    ts_us: ArrayLike,
    *,
    rule: LabelRule,
    sigma: ArrayLike,
    cost: ArrayLike,
    barriers: Barriers = Barriers(),  # noqa: B008 - frozen
    side: ArrayLike | None = None,
) -> BarrierLabels:
    """Label every bar by the first barrier that the bars after it touch.

    Parameters
    ----------
    open, high, low : array_like of float, shape (n,)
        Prices of the bars of one symbol, finite and > 0.
    open_ts_us, ts_us, rule, sigma, cost
        As in `horizon_labels`.
    barriers : Barriers
    side : array_like of int, shape (n,), optional
        +1 or -1 for the bars on which a primary model takes a side, 0 for the others, which are dropped as
        ``no_side``. `upper` is then the distance of the side's gain and `lower` that of its loss.

    Returns
    -------
    BarrierLabels
        Entry at the open of the next bar. ``t1`` is the close of the bar of the touch, or of the bar at whose open
        time was up. ``y`` is LONG at the upper barrier, SHORT at the lower, and at the vertical one the class of the
        return by the deadband of `horizon_labels`.

    Raises
    ------
    ContractError, SettingsError
        As in `horizon_labels`.

    Notes
    -----
    A label looks ahead to ``t1`` and no further: a touch before the data end is a label although the time is not up.
    A hole of more than ``rule.max_gap_bars`` intervals on the way to the exit drops the row as ``gap``.

    References
    ----------
    Lopez de Prado (2018), Advances in Financial Machine Learning, ch. 3.

    Examples
    --------
    >>> minute, bars = 60_000_000, 6
    >>> start = minute * np.arange(bars)
    >>> labels = barrier_labels([100.0, 100.0, 100.5, 99.9, 99.0, 99.0], [100.2, 100.6, 101.2, 100.0, 99.1, 99.0],
    ...     [99.9, 99.9, 99.9, 98.9, 98.9, 99.0], start, start + minute,
    ...     rule=LabelRule(1, minute, 0.5, 1.0), sigma=np.full(bars, 0.01), cost=0.0, barriers=Barriers(hold=3))
    >>> labels.touch, labels.exit.round(2), labels.y
    (array([ 1, -1, -1], dtype=int8), array([101.01,  99.5 ,  98.91]), array([2, 0, 0], dtype=int8))
    """
    first, top, bottom = (np.asarray(values, dtype=np.float64) for values in (open, high, low))
    start, close = np.asarray(open_ts_us, dtype=np.int64), np.asarray(ts_us, dtype=np.int64)
    check_bars(first, start, close, rule.interval_us)
    for name, price in (("high", top), ("low", bottom)):
        check_order(f"bars: {name}", start, (price,))
        check_prices(f"bars: {name}", price)
    if np.any((bottom > first) | (top < first)):
        row = int(np.argmax((bottom > first) | (top < first)))
        raise ContractError(f"bars: open of row {row} ({first[row]}) is not within its low and high")
    n = close.size
    entry = np.arange(1, n + 1, dtype=np.int64)
    due = close + barriers.hold * rule.horizon_us
    events = _events(sigma, cost, side, n)
    stop = np.searchsorted(start, due, side="left").astype(np.int64)
    path = _Path(first, top, bottom, start, close, gap_fill=True)
    entry_late = start[np.minimum(entry, n - 1)] - close > rule.late_us
    return _label(path, close, entry, entry, stop, entry_late, rule.late_us, events, rule, barriers)


def tape_barrier_labels(
    ts_us: ArrayLike,
    trade_ts_us: ArrayLike,
    trade_price: ArrayLike,
    *,
    latency_us: int,
    rule: LabelRule,
    sigma: ArrayLike,
    cost: ArrayLike,
    barriers: Barriers = Barriers(),  # noqa: B008 - frozen
    side: ArrayLike | None = None,
) -> BarrierLabels:
    """Label every decision by the first barrier that the trades after it touch.

    Parameters
    ----------
    ts_us : array_like of int, shape (n,)
        Decisions: closes of the bars of one symbol, microseconds, strictly increasing.
    trade_ts_us, trade_price : array_like, shape (k,)
        Every trade in time order; prices finite and > 0.
    latency_us : int
        From the decision to the order at the venue, microseconds, >= 0.
    rule, sigma, cost, barriers, side
        As in `barrier_labels`; a pause between trades of more than ``rule.max_gap_bars + 1`` intervals on the way to
        the exit is a gap.

    Returns
    -------
    BarrierLabels
        Entry at the first trade at or after ``ts_us + latency_us``. Exit and ``t1`` are price and time of the first
        later trade at or beyond a barrier, so that a jump through a stop costs the whole jump, or of the first trade
        at or after the vertical barrier. ``touch`` is never 2.

    Raises
    ------
    ContractError, SettingsError
        As in `horizon_labels`.

    Examples
    --------
    >>> second = 1_000_000
    >>> labels = tape_barrier_labels([second], second * np.array([1, 2, 3, 4]), [100.0, 100.4, 98.7, 102.0],
    ...     latency_us=0, rule=LabelRule(1, 10 * second, 0.5, 1.0), sigma=[0.01], cost=0.0)
    >>> labels.touch, labels.exit, labels.t1
    (array([-1], dtype=int8), array([98.7]), array([3000000]))
    """
    close, stamp = np.asarray(ts_us, dtype=np.int64), np.asarray(trade_ts_us, dtype=np.int64)
    price = np.asarray(trade_price, dtype=np.float64)
    check_decisions(close)
    check_order("trades", stamp, (price,))
    check_prices("trades: price", price)
    pause = rule.late_us + rule.interval_us
    events = _events(sigma, cost, side, close.size)
    ordered = close + latency_us
    entry = np.searchsorted(stamp, ordered, side="left").astype(np.int64)
    stop = np.searchsorted(stamp, ordered + barriers.hold * rule.horizon_us, side="left").astype(np.int64)
    entry_late = stamp[np.minimum(entry, stamp.size - 1)] - ordered > pause if stamp.size else np.ones(close.size, bool)
    path = _Path(price, price, price, stamp, stamp, gap_fill=False)
    return _label(path, close, entry, entry + 1, stop, entry_late, pause, events, rule, barriers)


@dataclass(frozen=True, slots=True, eq=False)
class _Path:
    """What is walked: bars, or trades as bars of one price. ``known`` is when a row is over."""

    first: F64
    high: F64
    low: F64
    begins: I64
    known: I64
    gap_fill: bool  # exits are at barriers unless a row opens beyond; otherwise at the row's price


@dataclass(frozen=True, slots=True, eq=False)
class _Events:
    """Volatility, cost and side of every row; sides are +1 where none are asked for."""

    sigma: F64
    cost: F64
    side: NDArray[np.int64]
    sided: bool


def _events(sigma: ArrayLike, cost: ArrayLike, side: ArrayLike | None, n: int) -> _Events:
    vol, charge = np.asarray(sigma, dtype=np.float64), spread_out(np.asarray(cost, dtype=np.float64), n)
    check_scale("sigma", vol, n, np.isnan(vol))
    check_scale("cost", charge, n, np.isnan(vol))
    sides = np.ones(n, dtype=np.int64) if side is None else np.asarray(side, dtype=np.int64)
    if sides.shape != (n,) or not np.isin(sides, (-1, 0, 1)).all():
        raise ContractError(
            f"labels: side has shape {sides.shape} and values {np.unique(sides).tolist()[:5]}; expected ({n},) of "
            "-1, 0 and +1"
        )
    return _Events(vol, charge, sides, side is not None)


def _label(
    path: _Path,
    close: I64,
    entry: I64,
    begin: I64,
    stop: I64,
    entry_late: NDArray[np.bool_],
    longest_us: int,
    events: _Events,
    rule: LabelRule,
    barriers: Barriers,
) -> BarrierLabels:
    """Walk from each entry; rows of the path are bars or trades, rows of everything else are decisions."""
    n, rows = close.size, path.first.size
    warm = ~np.isnan(events.sigma) & (events.side != 0)
    tried = np.flatnonzero(warm & (entry < rows) & ~entry_late & (entry < stop))
    price, scale = path.first[entry[tried]], rule.spread_of(events.sigma[tried])
    floor, side = rule.kappa * events.cost[tried], events.side[tried]
    gain, loss = _width(barriers.upper, scale, floor), _width(barriers.lower, scale, floor)
    upper = price * np.exp(np.where(side > 0, gain, loss))
    lower = price * np.exp(-np.where(side > 0, loss, gain))
    ends = np.minimum(stop[tried], rows)
    at, touch = first_touch(path.high, path.low, *skip_table(path.high, path.low), begin[tried], ends, upper, lower)
    leave = np.where(touch == VERTICAL, stop[tried], at)
    pauses = np.append(next_pause(path.begins, path.known, longest_us), rows)
    known = leave < rows
    held = np.minimum(leave, rows - 1)
    gap = pauses[np.minimum(entry[tried] + 1, rows)] <= held
    good = known & ~gap

    reason = np.full(n, DROP_REASONS.index("gap"), dtype=np.int64)
    reason[tried[~known]] = DROP_REASONS.index("no_exit")
    reason[tried[good]] = len(DROP_REASONS)
    reason[(entry < rows) & (entry >= stop) & (stop >= rows)] = DROP_REASONS.index("no_exit")
    reason[entry >= rows] = DROP_REASONS.index("no_entry")
    reason[events.side == 0] = len(DROP_REASONS) + 1
    reason[np.isnan(events.sigma)] = DROP_REASONS.index("not_warm")
    dropped = {name: int(np.count_nonzero(reason == code)) for code, name in enumerate(DROP_REASONS)}
    if events.sided:
        dropped[NO_SIDE] = int(np.count_nonzero(reason == len(DROP_REASONS) + 1))

    row, price, upper, lower = tried[good], price[good], upper[good], lower[good]
    touch, held, side = touch[good], held[good], side[good]
    opened = path.first[held]
    touch = np.select([(touch == BOTH) & (opened >= upper), (touch == BOTH) & (opened <= lower)], [UPPER, LOWER], touch)
    touch = touch.astype(np.int8)  # a bar that opens beyond a barrier has touched that one first
    exit_price = _exits(path, touch, held, upper, lower, side)
    ret = np.log(exit_price / price)
    deadband = rule.deadband(events.sigma[row], events.cost[row])
    unknown = (touch == BOTH) & (not events.sided)
    stopped = np.where(side > 0, SHORT, LONG)
    y = np.select(
        [touch == UPPER, touch == LOWER, unknown, touch == BOTH],
        [LONG, SHORT, NEUTRAL, stopped],
        classes_of(ret, deadband),
    )
    up = np.select([unknown, exit_price > price, exit_price < price], [-1, 1, 0], -1)
    return BarrierLabels(
        row=row,
        t0=close[row],
        t1=path.known[held],
        ret=ret,
        entry=price,
        exit=exit_price,
        deadband=deadband,
        cost=events.cost[row],
        sigma=events.sigma[row],
        y=y.astype(np.int8),
        y_binary=up.astype(np.int8),
        dropped=dropped,
        touch=touch,
        upper=upper,
        lower=lower,
    )


def _width(distance: float, scale: F64, floor: F64) -> F64:
    """Log distance of a barrier from the entry; none stands at infinity, whatever the volatility."""
    width: F64 = np.full_like(scale, np.inf) if np.isinf(distance) else np.maximum(distance * scale, floor)
    return width


def _exits(path: _Path, touch: I8, held: I64, upper: F64, lower: F64, side: NDArray[np.int64]) -> F64:
    """Price of each exit: the row's first price at the vertical barrier and beyond others, else the barrier."""
    first = path.first[held]
    if not path.gap_fill:
        return first
    low_first = (touch == LOWER) | ((touch == BOTH) & (side > 0))
    high_first = (touch == UPPER) | ((touch == BOTH) & (side < 0))
    exits: F64 = np.select([low_first, high_first], [np.minimum(first, lower), np.maximum(first, upper)], first)
    return exits
