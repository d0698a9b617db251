"""Prints away from the market: prices and quantities that do not belong to their neighbours."""

from dataclasses import dataclass
from typing import Final

import numpy as np

__all__ = ["OffMarket", "big_quantities", "level_shift", "off_market"]

_SIDE: Final = 25  # neighbours on each side
_RUN: Final = 12  # rows after a jump that may belong to the same burst; below half of the window
_SLIP: Final = 0.06  # a power of ten, in log10: within 15 %
_BIGGER: Final = 3  # times the usual move
_LEAST: Final = 3  # neighbours a print needs on each side before it can be said to return
_MARKET: Final = 0.5  # before and after agree within this share of the distance


@dataclass(frozen=True, slots=True)
class OffMarket:
    """Rows off the market, by position in time.

    `rows` deviate and return; `slips` do so by a power of ten; `level` is the local price of each;
    `shifts` are rows from which on the price is another by a power of ten.
    """

    rows: np.ndarray
    level: np.ndarray
    slips: np.ndarray
    slip_level: np.ndarray
    shifts: np.ndarray


def off_market(price: np.ndarray, *, k: float, least: float) -> OffMarket:
    """Prints that are away from the median of their neighbours, and that the price returns from.

    A row is off the market if its log distance from the median of the 25 rows before and 25 after exceeds `k` robust
    standard deviations of these neighbours around their median, and `least`, while the medians of the rows before
    and after agree within half of that distance: a price that moves and stays is a move. `least` is raised to 3 times
    the day's 99 % move (at most to 1), so that a wide spread is no fault. Only rows within 12 of a jump beyond it
    are looked at, so a day costs one pass. A print away by a factor of 10, 100, ... (within 15 %) is a slip of the
    decimal point, also at the ends of a day where there is no return to be seen.

    Parameters
    ----------
    price : ndarray of float64, shape (n,)
        In the order of time; positive.
    k : float
        Robust standard deviations (1.4826 times the median absolute deviation).
    least : float
        Least log distance, a fraction.

    Notes
    -----
    Looks ahead on purpose: it judges stored data, it is no feature.

    Examples
    --------
    >>> price = np.full(1000, 20.0)
    >>> price[[40, 41, 70]] = 22.0, 22.0, 2.0
    >>> found = off_market(price, k=10, least=0.005)
    >>> found.rows.tolist(), found.slips.tolist(), found.shifts.tolist()
    ([40, 41], [70], [])
    """
    none = np.empty(0, dtype=np.int64)
    nothing = OffMarket(none, none.astype(float), none, none.astype(float), none)
    if price.size < 2 * _LEAST:
        return nothing
    move = np.abs(price[1:] / price[:-1] - 1)
    if float(move.max()) <= least / 2:
        return nothing
    least = max(least, min(_BIGGER * _usual(move), 1.0))
    jumps = np.flatnonzero(move > -np.expm1(-least)) + 1
    rows = _around(jumps, price.size)
    if rows.size == 0:
        return nothing
    before, after, both, spread = _neighbours(np.log(price), rows)
    distance = np.log(price[rows]) - both
    away = np.abs(distance) > np.maximum(k * spread, least)
    slip = away & _power_of_ten(distance)
    returns = np.abs(after - before) < _MARKET * np.abs(distance)
    off = away & ~slip & returns
    slip &= returns | np.isnan(after - before)
    moved = np.isin(rows, jumps) & _power_of_ten(np.nan_to_num(after - before))
    level = np.exp(both)
    return OffMarket(rows[off], level[off], rows[slip], level[slip], rows[moved])


def level_shift(before: float, after: float) -> bool:
    """Whether two price levels differ by a factor of 10, 100, ... within 15 %.

    Examples
    --------
    >>> level_shift(0.0123, 12.1), level_shift(100.0, 130.0)
    (True, False)
    """
    return bool(_power_of_ten(np.log(np.array([after / before])))[0])


def big_quantities(qty: np.ndarray, *, times: float) -> tuple[np.ndarray, float]:
    """Positions of quantities beyond `times` the 99 % quantile, and that quantile; none in fewer than 500 rows.

    Examples
    --------
    >>> qty = np.ones(1000)
    >>> qty[7] = 1e8
    >>> big_quantities(qty, times=100)[0].tolist()
    [7]
    """
    if qty.size < 500:
        return np.empty(0, dtype=np.int64), 0.0
    at = int(0.99 * qty.size)
    level = float(np.partition(qty, at)[at])
    return np.flatnonzero(qty > times * level), level


def _usual(move: np.ndarray) -> float:
    """The 99 % quantile of the moves, and not one of the four largest."""
    at = min(int(0.99 * move.size), max(move.size - 5, 0))
    return float(np.partition(move, at)[at])


def _around(jumps: np.ndarray, n: int) -> np.ndarray:
    """Rows within a burst's length of a jump, sorted and once each."""
    if jumps.size == 0:
        return jumps
    steps = np.zeros(n + 1, dtype=np.int32)
    np.add.at(steps, np.maximum(jumps - _RUN, 0), 1)
    np.add.at(steps, np.minimum(jumps + _RUN, n), -1)
    return np.flatnonzero(np.cumsum(steps[:-1]) > 0)


def _neighbours(log_price: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Median before, after and of both, and robust spread of the neighbours of each row, shape (rows,).

    NaN before or after where there are fewer than three.
    """
    padded = np.concatenate((np.full(_SIDE, np.nan), log_price, np.full(_SIDE, np.nan)))
    out = [np.empty(rows.size) for _ in range(4)]
    for start in range(0, rows.size, 20_000):  # bounded memory, whatever the number of jumps
        part = rows[start : start + 20_000]
        window = padded[part[:, None] + np.arange(2 * _SIDE + 1)]
        window[:, _SIDE] = np.nan
        found = _medians(window[:, :_SIDE]), _medians(window[:, _SIDE + 1 :]), _median(window)
        spread = 1.4826 * _median(np.abs(window - found[2][:, None]))
        for values, column in zip(out, (*found, spread), strict=True):
            values[start : start + 20_000] = column
    return out[0], out[1], out[2], out[3]


def _medians(window: np.ndarray) -> np.ndarray:
    enough = np.count_nonzero(~np.isnan(window), axis=1) >= _LEAST
    return np.where(enough, _median(window), np.nan)


def _median(window: np.ndarray) -> np.ndarray:
    """Median of each row without its NaN; NaN where there is nothing else."""
    ordered = np.sort(window, axis=1)  # NaN last
    count = np.count_nonzero(~np.isnan(ordered), axis=1)
    rows = np.arange(len(ordered))
    low, high = np.maximum((count - 1) // 2, 0), np.minimum(count // 2, window.shape[1] - 1)
    return np.asarray(0.5 * (ordered[rows, low] + ordered[rows, high]))


def _power_of_ten(distance: np.ndarray) -> np.ndarray:
    decades = np.abs(distance) / np.log(10)
    whole = np.rint(decades)
    return np.asarray((whole >= 1) & (np.abs(decades - whole) < _SLIP))
