"""Kernels that walk from an entry into the future: first touch, extremes and length of the path, best trend."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from scalper_ml.kernel import kernel

__all__ = ["BOTH", "LOWER", "UPPER", "VERTICAL", "first_touch", "next_pause", "path_shape", "skip_table", "trend_scan"]

BLOCK: Final = 64
"""Rows of one entry of the skip table; a power of two."""

VERTICAL: Final = 0
UPPER: Final = 1
LOWER: Final = -1
BOTH: Final = 2
"""Which barrier was touched first; `BOTH` where both lie within one bar and no tick tells which came first."""


def skip_table(high: np.ndarray, low: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Highest high and lowest low of every whole or broken block of `BLOCK` rows: ``(blocks,)`` each."""
    begins = np.arange(0, high.size, BLOCK)
    if high.size == 0:
        return np.empty(0), np.empty(0)
    return np.maximum.reduceat(high, begins), np.minimum.reduceat(low, begins)


def next_pause(ts_from: NDArray[np.int64], ts_to: NDArray[np.int64], longest_us: int) -> NDArray[np.int64]:
    """For each row the first row at or after it that begins more than `longest_us` after its predecessor ended.

    ``ts_from`` (n,) is when a row begins, ``ts_to`` (n,) when it ends; n where there is none. Row 0 has no predecessor.
    """
    n = ts_from.size
    late = np.zeros(n, dtype=np.bool_)
    late[1:] = ts_from[1:] - ts_to[:-1] > longest_us
    where = np.where(late, np.arange(n), n)
    return np.minimum.accumulate(where[::-1])[::-1].astype(np.int64)


@kernel
def first_touch(
    high: np.ndarray,
    low: np.ndarray,
    top: np.ndarray,
    bottom: np.ndarray,
    begin: np.ndarray,
    end: np.ndarray,
    upper: np.ndarray,
    lower: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Row (m,) and barrier (m,) of the first touch within ``begin <= row < end``; row -1 and `VERTICAL` for none.

    `top` and `bottom` are the skip table: blocks that reach neither barrier are passed over.
    """
    m = begin.size
    at = np.full(m, -1, np.int64)
    which = np.zeros(m, np.int8)
    for e in range(m):
        j, stop, up, down = begin[e], end[e], upper[e], lower[e]
        while j < stop:
            if j & (BLOCK - 1) == 0 and j + BLOCK <= stop and top[j // BLOCK] < up and bottom[j // BLOCK] > down:
                j += BLOCK
                continue
            above, below = high[j] >= up, low[j] <= down
            if above or below:
                at[e] = j
                which[e] = BOTH if above and below else (UPPER if above else LOWER)
                break
            j += 1
    return at, which


@kernel
def path_shape(
    open_: np.ndarray, high: np.ndarray, low: np.ndarray, begin: np.ndarray, end: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Highest high, lowest low, sum of squared and of absolute log returns of opens, each (m,).

    Highs and lows are of the rows ``begin <= row < end``, returns go from the open of `begin` to the open of `end`.
    """
    m = begin.size
    most, least, squares, length = np.empty(m), np.empty(m), np.empty(m), np.empty(m)
    for e in range(m):
        top, bottom, total, walked = -np.inf, np.inf, 0.0, 0.0
        for j in range(begin[e], end[e]):
            top, bottom = max(top, high[j]), min(bottom, low[j])
            step = np.log(open_[j + 1] / open_[j])
            total += step * step
            walked += abs(step)
        most[e], least[e], squares[e], length[e] = top, bottom, total, walked
    return most, least, squares, length


@kernel
def trend_scan(
    price: np.ndarray, begin: np.ndarray, shortest: int, longest: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Length l, slope a row and t-value of the line through ``price[begin : begin + l + 1]`` with the largest |t|.

    Each (m,). The squared error is taken as at least 1e-12 of the variation, so that a perfect line has a finite t;
    a path that does not move has slope and t of 0. Of equal |t| the shortest length wins.
    """
    m = begin.size
    best_l, best_slope, best_t = np.zeros(m, np.int64), np.zeros(m), np.zeros(m)
    for e in range(m):
        origin = price[begin[e]]
        sum_y, sum_yy, sum_jy = 0.0, 0.0, 0.0
        most = -1.0
        for j in range(1, longest + 1):
            y = price[begin[e] + j] - origin
            sum_y += y
            sum_yy += y * y
            sum_jy += j * y
            if j < shortest:
                continue
            n = j + 1.0
            s_xx = n * (n * n - 1.0) / 12.0
            s_xy = sum_jy - 0.5 * j * sum_y
            s_yy = max(sum_yy - sum_y * sum_y / n, 0.0)
            slope, t = 0.0, 0.0
            if s_yy > 0.0:
                slope = s_xy / s_xx
                error = max(s_yy - slope * s_xy, 1e-12 * s_yy)
                t = slope / np.sqrt(error / (n - 2.0) / s_xx)
            if abs(t) > most:
                most = abs(t)
                best_l[e], best_slope[e], best_t[e] = j, slope, t
    return best_l, best_slope, best_t
