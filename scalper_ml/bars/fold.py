"""Kernels that add trades to the open bar: one for the clock, one for what was traded.

Rows are counted unsigned: numba then needs no test for negative indices, which doubles the speed.
The order of additions is the order of trades, everywhere: results do not depend on how a stream is cut.
"""

from typing import Any, Final

import numpy as np

from scalper_ml.kernel import brief_kernel, kernel

__all__ = ["BAR_FLOATS", "BAR_INTS", "STATE_FLOATS", "STATE_INTS", "add_within", "fold_events", "fold_time"]

# A bar, integers: start, end, trades, buys, first id, last id, gap.
BAR_INTS: Final = 7
# A bar, floats: open, high, low, close, volume, quote volume, buy volume, sell volume.
BAR_FLOATS: Final = 8
# Carried, integers: is a bar open; its start; trades; buys; first and last id; has there been one before;
# start of the last closed bar (time) or stamp of the last trade (events).
STATE_INTS: Final = 8
# Carried, floats: as in a bar, then what has been traded towards the size of the bar (events).
STATE_FLOATS: Final = 9

_CHUNK = np.uint64(2048)  # trades validated at once, few enough to be still in the cache when they are added
_GREATEST = np.int64(0x7FEFFFFFFFFFFFFF)  # bits of the greatest finite float; those of positive ones start at 1


@kernel
def _sound_until(price_bits: Any, qty_bits: Any, side: Any, begin: Any, end: Any) -> Any:
    """Row of the first trade whose price, quantity or side none can have; `end` if there is none."""
    wrong = np.int64(0)
    for i in range(begin, end):
        p, q = price_bits[i], qty_bits[i]
        wrong |= (p - 1) | (_GREATEST - p) | (q - 1) | (_GREATEST - q)
    strange = np.uint8(0)
    for i in range(begin, end):
        strange |= np.uint8(side[i] + 1) & np.uint8(0xFD)
    if wrong >= 0 and strange == 0:
        return end
    row = begin
    while row < end:
        p, q = price_bits[row], qty_bits[row]
        if ((p - 1) | (_GREATEST - p) | (q - 1) | (_GREATEST - q)) < 0 or side[row] * side[row] != 1:
            return row
        row += np.uint64(1)
    return end


@kernel
def _fetch_ids(trade_id: Any, out_ints: Any, begin: Any, end: Any, first_id: Any, last_id: Any) -> Any:
    """Replace the rows of first and last trades by their ids, the carried ones where a row is -1.

    All at once: in the loop over trades, each would be a cache miss to wait for.
    """
    for k in range(begin, end):
        first, last = out_ints[4, k], out_ints[5, k]
        out_ints[4, k] = trade_id[np.uint64(first)] if first >= 0 else first_id
        out_ints[5, k] = trade_id[np.uint64(last)] if last >= 0 else last_id


@kernel
def fold_time(
    ts_us: Any,
    price: Any,
    qty: Any,
    side: Any,
    trade_id: Any,
    row: Any,
    interval: Any,
    origin: Any,
    ints: Any,
    floats: Any,
    out_ints: Any,
    out_floats: Any,
    bars: Any,
) -> Any:
    """Add trades from `row` on; return (bars in `out_*`, row of the first trade that was not added).

    `bars` columns of `out_*` are taken already. It stops when they are full, else at a trade it refuses, else at the
    end; what it then carries is where the next call goes on, with the same result as one call.
    """
    is_open, start, trades, buys = ints[0], ints[1], ints[2], ints[3]
    first_id, last_id, has_prev, prev = ints[4], ints[5], ints[6], ints[7]
    open_, high, low, close = floats[0], floats[1], floats[2], floats[3]
    volume, quote, bought, sold = floats[4], floats[5], floats[6], floats[7]
    price_bits, qty_bits = price.view(np.int64), qty.view(np.int64)
    length, one = np.uint64(interval), np.uint64(1)
    n, room = np.uint64(ts_us.shape[0]), np.uint64(out_ints.shape[1])
    i = checked = np.uint64(row)
    closed = np.uint64(bars)
    first_row, net = np.int64(-1), 2 * buys - trades  # bought less sold: adding the side needs no comparison
    while i < n:
        if i == checked:
            checked = min(i + _CHUNK, n)
            n_sound = _sound_until(price_bits, qty_bits, side, i, checked)
            if n_sound < checked:
                n = checked = n_sound
                continue
        t = ts_us[i]
        if is_open == 0 or np.uint64(t - start) >= length:
            floor = start if is_open else prev + interval
            if t < floor and (is_open or has_prev):
                break
            if is_open:
                if closed == room:
                    break
                gap = 0
                if has_prev and start - prev != interval:
                    gap = (start - prev) // interval - 1
                out_ints[0, closed], out_ints[1, closed] = start, start + interval
                out_ints[2, closed], out_ints[3, closed] = trades, (trades + net) >> 1
                out_ints[4, closed], out_ints[5, closed], out_ints[6, closed] = first_row, np.int64(i) - 1, gap
                out_floats[0, closed], out_floats[1, closed] = open_, high
                out_floats[2, closed], out_floats[3, closed] = low, close
                out_floats[4, closed], out_floats[5, closed] = volume, quote
                out_floats[6, closed], out_floats[7, closed] = bought, sold
                closed += one
                has_prev, prev = 1, start
            if is_open and np.uint64(t - start - interval) < length:
                start += interval  # the usual case, without a division
            else:
                start = (t - origin) // interval * interval + origin
            is_open, trades, net, first_row = 1, 0, 0, np.int64(i)
            open_ = high = low = price[i]
            volume, quote, bought, sold = 0.0, 0.0, 0.0, 0.0
        begin = i
        while i < checked and np.uint64(ts_us[i] - start) < length:
            p, q, s = price[i], qty[i], side[i]
            high = p if p > high else high
            low = p if p < low else low
            part = q if s > 0 else 0.0  # a selection, not a branch that is wrong half the time
            volume += q
            quote += p * q
            bought += part
            sold += q - part
            net += s
            i += one
        trades += np.int64(i - begin)
        close = price[i - one]
    _fetch_ids(trade_id, out_ints, np.uint64(bars), closed, first_id, last_id)
    first_id = first_id if first_row < 0 else trade_id[np.uint64(first_row)]
    last_id = trade_id[i - one] if i > 0 else last_id
    ints[0], ints[1], ints[2], ints[3] = is_open, start, trades, (trades + net) >> 1
    ints[4], ints[5], ints[6], ints[7] = first_id, last_id, has_prev, prev
    floats[0], floats[1], floats[2], floats[3] = open_, high, low, close
    floats[4], floats[5], floats[6], floats[7] = volume, quote, bought, sold
    return closed, i


@brief_kernel
def add_within(carried: Any, ts_us: Any, price: Any, qty: Any, side: Any, trade_id: Any) -> Any:
    """Add one trade to the open time bar, as `fold_time` would; False, and nothing done, if there is more to do.

    What a live stream does most, and most of its time is the handing over of arguments: the carried integers, the
    carried floats and the interval are one array.
    """
    ints, floats, interval = carried[:STATE_INTS], carried[STATE_INTS:-1].view(np.float64), carried[-1]
    sound = 0.0 < price < np.inf and 0.0 < qty < np.inf and side * side == 1
    if not (sound and ints[0] == 1 and 0 <= ts_us - ints[1] < interval):
        return False
    part = qty if side > 0 else 0.0
    floats[1] = price if price > floats[1] else floats[1]
    floats[2] = price if price < floats[2] else floats[2]
    floats[3] = price
    floats[4] += qty
    floats[5] += price * qty
    floats[6] += part
    floats[7] += qty - part
    ints[2] += 1
    ints[3] += side > 0
    ints[5] = trade_id
    return True


@kernel
def fold_events(
    ts_us: Any,
    price: Any,
    qty: Any,
    side: Any,
    trade_id: Any,
    row: Any,
    size: Any,
    unit: Any,
    signed: Any,
    ints: Any,
    floats: Any,
    out_ints: Any,
    out_floats: Any,
    bars: Any,
) -> Any:
    """As `fold_time`, for bars that end when trades of `unit` (0 each one, 1 base, 2 quote) add up to `size`.

    Where `signed`, sales count against purchases and the absolute sum decides.
    """
    is_open, start, trades, buys = ints[0], ints[1], ints[2], ints[3]
    first_id, last_id, has_prev, prev = ints[4], ints[5], ints[6], ints[7]
    open_, high, low, close = floats[0], floats[1], floats[2], floats[3]
    volume, quote, bought, sold, reached = floats[4], floats[5], floats[6], floats[7], floats[8]
    price_bits, qty_bits = price.view(np.int64), qty.view(np.int64)
    one = np.uint64(1)
    n, room = np.uint64(ts_us.shape[0]), np.uint64(out_ints.shape[1])
    i = checked = np.uint64(row)
    closed = np.uint64(bars)
    first_row, net = np.int64(-1), 2 * buys - trades  # bought less sold: adding the side needs no comparison
    while i < n and closed < room:
        if i == checked:
            checked = min(i + _CHUNK, n)
            n_sound = _sound_until(price_bits, qty_bits, side, i, checked)
            if n_sound < checked:
                n = checked = n_sound
                continue
        if has_prev and ts_us[i] < prev:
            break
        if is_open == 0:
            is_open, start, trades, net, first_row = 1, ts_us[i], 0, 0, np.int64(i)
            has_prev, prev = 1, start
            open_ = high = low = price[i]
            volume, quote, bought, sold, reached = 0.0, 0.0, 0.0, 0.0, 0.0
        begin = i
        while i < checked and abs(reached) < size and ts_us[i] >= prev:
            p, q, s = price[i], qty[i], side[i]
            high = p if p > high else high
            low = p if p < low else low
            part, money = q if s > 0 else 0.0, p * q
            volume += q
            quote += money
            bought += part
            sold += q - part
            net += s
            weight = 1.0 if unit == 0 else q if unit == 1 else money
            reached += weight * s if signed else weight
            prev = ts_us[i]
            i += one
        trades += np.int64(i - begin)
        close = price[i - one]
        if abs(reached) >= size:
            out_ints[0, closed], out_ints[1, closed] = start, prev
            out_ints[2, closed], out_ints[3, closed] = trades, (trades + net) >> 1
            out_ints[4, closed], out_ints[5, closed], out_ints[6, closed] = first_row, np.int64(i) - 1, 0
            out_floats[0, closed], out_floats[1, closed] = open_, high
            out_floats[2, closed], out_floats[3, closed] = low, close
            out_floats[4, closed], out_floats[5, closed] = volume, quote
            out_floats[6, closed], out_floats[7, closed] = bought, sold
            closed += one
            is_open = 0
    _fetch_ids(trade_id, out_ints, np.uint64(bars), closed, first_id, last_id)
    first_id = first_id if first_row < 0 else trade_id[np.uint64(first_row)]
    last_id = trade_id[i - one] if i > 0 else last_id
    ints[0], ints[1], ints[2], ints[3] = is_open, start, trades, (trades + net) >> 1
    ints[4], ints[5], ints[6], ints[7] = first_id, last_id, has_prev, prev
    floats[0], floats[1], floats[2], floats[3] = open_, high, low, close
    floats[4], floats[5], floats[6], floats[7], floats[8] = volume, quote, bought, sold, reached
    return closed, i
