"""Bars to longer bars, exactly as the trades themselves would give them."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scalper_ml.bars.interval import origin_us
from scalper_ml.errors import ContractError
from scalper_ml.kernel import kernel
from scalper_ml.schema import BARS, conform, stamps, us

__all__ = ["resample"]


@kernel
def _sums(values, first, out):  # type: ignore[no-untyped-def]
    """Sum runs of `values` in row order: the order a bar builder adds them in."""
    for k in range(first.shape[0] - 1):
        total = 0.0
        for i in range(first[k], first[k + 1]):
            total += values[i]
        out[k] = total


def resample(bars: pa.Table, from_us: int, to_us: int) -> pa.Table:
    """Bars of `to_us` from bars of `from_us`.

    Open is the first bar's, close the last one's, high and low the extremes; volumes and counts are summed in
    bar order; ids are the first and the last; ``vwap`` is quote volume over volume; ``gap`` is counted anew in
    the new interval; ``revision`` is the highest.

    Parameters
    ----------
    bars : pyarrow.Table
        Schema `BARS`, in time order, one length, on the grid of `from_us`.
    from_us, to_us : int
        Interval lengths in microseconds; `to_us` a multiple of `from_us`. Days are UTC days and weeks start on
        Monday 00:00 UTC (see `interval.origin_us`).

    Returns
    -------
    pyarrow.Table
        Schema `BARS`. A bucket without bars has none. The last bucket is dropped unless its last `from_us`
        interval is there: until then nobody knows that it is complete. A first bucket that starts late is kept,
        as it would be from trades. A value is null where any of its parts is.

    Raises
    ------
    ContractError
        If the intervals or their grids do not fit, or bars are unsorted, repeated or off the grid.

    Notes
    -----
    No look-ahead: a bucket uses only bars closed at or before its own close.
    """
    if from_us <= 0 or to_us < from_us or to_us % from_us:
        raise ContractError(f"resample: from {from_us} us to {to_us} us; expected a whole multiple")
    if (origin_us(to_us) - origin_us(from_us)) % from_us:
        raise ContractError(
            f"resample: weeks start on Monday, inside a bar of {from_us} us; expected bars that end there, such as 1h"
        )
    bars = conform(bars, BARS, "bars").combine_chunks()
    if bars.num_rows == 0:
        return bars
    start = _checked_starts(bars, from_us)
    origin = origin_us(to_us)
    bucket = (start - origin) // to_us
    first = np.concatenate(([0], np.flatnonzero(np.diff(bucket)) + 1, [len(start)]))
    if start[-1] + from_us != (bucket[-1] + 1) * to_us + origin:
        first = first[:-1]
    begin, last = first[:-1], first[1:] - 1
    opens = bucket[begin] * to_us + origin
    volume, quote = _summed(bars, "volume", first), _summed(bars, "quote_volume", first)
    columns = {
        "open_ts_us": stamps(opens),
        "ts_us": stamps(opens + to_us),
        "open": bars.column("open").take(begin),
        "high": _reduced(np.maximum, bars, "high", first),
        "low": _reduced(np.minimum, bars, "low", first),
        "close": bars.column("close").take(last),
        "volume": volume,
        "quote_volume": quote,
        "trades": _summed(bars, "trades", first),
        "buy_trades": _summed(bars, "buy_trades", first),
        "buy_volume": _summed(bars, "buy_volume", first),
        "sell_volume": _summed(bars, "sell_volume", first),
        "vwap": pc.divide(quote, volume),
        "first_trade_id": bars.column("first_trade_id").take(begin),
        "last_trade_id": bars.column("last_trade_id").take(last),
        "gap": np.diff(bucket[begin], prepend=bucket[:1] - 1).astype(np.int32) - 1,
        "revision": _reduced(np.maximum, bars, "revision", first),
    }
    return pa.table({name: columns[name] for name in BARS.names}).cast(BARS)


def _checked_starts(bars: pa.Table, from_us: int) -> np.ndarray:
    start = us(bars.column("open_ts_us"))
    off = np.flatnonzero(((start - origin_us(from_us)) % from_us != 0) | (us(bars.column("ts_us")) != start + from_us))
    if off.size:
        raise ContractError(
            f"resample: bar {off[0]}, open at {start[off[0]]} us, is no bar of {from_us} us; expected all on that grid"
        )
    back = np.flatnonzero(np.diff(start) <= 0)
    if back.size:
        raise ContractError(f"resample: bar {back[0] + 1} does not follow bar {back[0]}; expected rising unique stamps")
    return start


def _reduced(function: np.ufunc, bars: pa.Table, name: str, first: np.ndarray) -> np.ndarray:
    values = bars.column(name).to_numpy()
    return function.reduceat(values[: first[-1]], first[:-1]) if len(first) > 1 else values[:0]


def _summed(bars: pa.Table, name: str, first: np.ndarray) -> pa.Array:
    column = bars.column(name)
    nulls = column.is_null().to_numpy()
    lost = np.diff(np.concatenate(([0], np.cumsum(nulls)))[first]) > 0
    if pa.types.is_integer(column.type):
        total = np.concatenate(([0], np.cumsum(column.fill_null(0).to_numpy())))
        return pa.array(np.diff(total[first]), mask=lost)
    out = np.empty(len(first) - 1, dtype=np.float64)
    _sums(np.array(column.fill_null(0.0).to_numpy()), first, out)
    return pa.array(out, mask=lost)
