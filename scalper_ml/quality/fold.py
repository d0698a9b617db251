"""One day's table of ticks to its facts, in one pass of numpy."""

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scalper_ml.clock import iso
from scalper_ml.errors import ContractError
from scalper_ml.quality.facts import DAY_US, DayFacts, FlowSums, Print
from scalper_ml.quality.gaps import id_facts, silences
from scalper_ml.quality.judge import judge
from scalper_ml.quality.prints import big_quantities, off_market
from scalper_ml.schema import us

__all__ = ["day_facts", "judge", "silence_limit"]

_EXAMPLES: Final = 5
_LEVEL: Final = 25  # prices whose median is the level at an end of the day
_SILENCE_US: Final = 60_000_000
_TIMES: Final = 10  # the pause a random moment falls into
_HALTS: Final = 3  # longest pauses that say nothing of what is usual
_SECOND_US: Final = 1_000_000
_MINUTE_US: Final = 60_000_000
_HOUR_US: Final = 3_600_000_000


def day_facts(
    table: pa.Table,
    *,
    silence_s: float | None = None,
    off_market_k: float = 12.0,
    off_market_least: float = 0.005,
    qty_times: float = 100.0,
) -> DayFacts:
    """Facts of one day of ticks.

    Parameters
    ----------
    table : pyarrow.Table
        Schema `TICKS`, sorted by stamp, then id. At least one row. Rows of one stamp without ids have no order: the
        facts do not depend on how they stand.
    silence_s : float, optional
        A pause longer than this many seconds (at least 10) is a gap; by default derived from the day, see
        `silence_limit`.
    off_market_k, off_market_least : float
        See `scalper_ml.quality.prints.off_market`.
    qty_times : float
        A quantity beyond this many times the day's 99 % quantile is an outlier.

    Raises
    ------
    ContractError
        If there are no rows, stamps decrease, or `silence_s` is below 10.

    Notes
    -----
    Depends on this day's rows only. Looks ahead within the day: it describes stored data and is no feature.
    """
    ts_us = us(table.column("ts_us"))
    if ts_us.size == 0:
        raise ContractError("ticks of a day: no rows; expected at least one - a day without trades has no file")
    step = np.diff(ts_us)
    if step.size and step.min() < 0:
        at = int(np.argmin(step)) + 1
        raise ContractError(f"ticks of a day: row {at} ({iso(int(ts_us[at]))}) is stamped before the row above; sort")
    price, qty = table.column("price").to_numpy(), table.column("qty").to_numpy()
    side = table.column("side").to_numpy()
    sources = _sources(table.column("source"))
    ids, named = _ids(table, sources)
    if not named.all():
        price, qty, side = _ties_in_order(ts_us, step, price, qty, side)
    limit_us = silence_limit(step) if silence_s is None else _given(silence_s)
    found = id_facts(ts_us, ids) if named.all() else id_facts(ts_us[named], ids[named])
    gaps = silences(ts_us, step, limit_us, ids if named.all() else None, found)
    off = off_market(price, k=off_market_k, least=off_market_least)
    big, usual = big_quantities(qty, times=qty_times)
    middle = int(ts_us[ts_us.size // 2]) // DAY_US * DAY_US
    hours, minutes = (np.diff(np.searchsorted(ts_us, np.arange(middle, middle + DAY_US + 1, unit_us)))
                      for unit_us in (_HOUR_US, _MINUTE_US))  # fmt: skip
    starts = np.flatnonzero(np.concatenate(([True], step > 0)))  # first row of each stamp
    return DayFacts(
        day=iso(middle)[:10],
        rows=ts_us.size,
        outside_day=ts_us.size - int(hours.sum()),
        sources=sources,
        first_ts_us=int(ts_us[0]),
        last_ts_us=int(ts_us[-1]),
        min_id=found.min_id,
        max_id=found.max_id,
        without_id=ts_us.size - int(named.sum()),
        missing_ids=found.missing,
        id_holes=found.holes,
        late_ids=found.late,
        late_ids_us=found.late_us,
        late_ids_ts_us=found.late_ts_us,
        silence_limit_us=limit_us,
        gaps=gaps,
        price_low=float(price.min()),
        price_high=float(price.max()),
        open_level=float(np.median(price[:_LEVEL])),
        close_level=float(np.median(price[-_LEVEL:])),
        off_market=off.rows.size,
        slips=off.slips.size,
        level_shifts=off.shifts.size,
        off_market_prints=_prints(ts_us, price, off.rows, off.level),
        slip_prints=_prints(ts_us, price, off.slips, off.slip_level),
        qty_outliers=big.size,
        qty_prints=_prints(ts_us, qty, big, np.full(big.size, usual)),
        flow=_flow(ts_us, starts, price, qty, side),
        **_stamp_fields(ts_us, starts),
        minutes=int(np.count_nonzero(minutes)),
        rows_per_hour=tuple(hours.tolist()),
    )


def silence_limit(step: np.ndarray) -> int:
    """The longest pause, in microseconds, that is usual in a day: 10 times the one a random moment falls into.

    Half of the day's time lies in pauses up to that one (the median of pauses weighted by their length), so a thin
    market has long ones. Of at least 50 pauses the three longest are left out of it: a halt is no measure of what is
    usual, however short the rest of the day. At least 60 s.

    Parameters
    ----------
    step : ndarray of int64, shape (n - 1,)
        Differences of the stamps.

    Examples
    --------
    >>> silence_limit(np.full(1000, 250_000)) // 1_000_000
    60
    >>> silence_limit(np.concatenate((np.full(100, 20_000_000), [7_200_000_000]))) // 1_000_000
    200
    """
    long = np.sort(step[step > _SILENCE_US // _TIMES])
    total, halts = int(step.sum()), _HALTS if step.size >= 50 else 0
    usual = long[: max(long.size - halts, 0)]
    total -= int(long[usual.size :].sum())
    short = total - int(usual.sum())
    if 2 * short >= total:
        return _SILENCE_US
    at = int(np.searchsorted(2 * (short + np.cumsum(usual)), total))
    return max(_SILENCE_US, _TIMES * int(usual[at]))


def _given(silence_s: float) -> int:
    if not silence_s >= 10:
        raise ContractError(f"silence_s is {silence_s}; expected at least 10 seconds")
    return round(silence_s * 1e6)


def _sources(column: pa.ChunkedArray) -> tuple[str, ...]:
    """Distinct sources, sorted; comparing with the first is faster than hashing."""
    if pc.all(pc.equal(column, column[0])).as_py():
        return (str(column[0].as_py()),)
    return tuple(sorted(str(name) for name in pc.unique(column).to_pylist()))


def _ids(table: pa.Table, sources: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Ids and the mask of rows that have one; none where sources mix, as ids of two sources do not compare."""
    column = table.column("trade_id")
    if len(sources) > 1 or column.null_count == len(column):
        return np.zeros(len(column), dtype=np.int64), np.zeros(len(column), dtype=bool)
    if column.null_count == 0:
        return column.to_numpy(), np.ones(len(column), dtype=bool)
    return column.fill_null(-1).to_numpy(), column.is_valid().to_numpy()


def _ties_in_order(ts_us: np.ndarray, step: np.ndarray, *columns: np.ndarray) -> tuple[np.ndarray, ...]:
    """Columns with the rows of each stamp ordered by their values: without ids they have no other order."""
    same = step == 0
    tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
    order = tied[np.lexsort((*(column[tied] for column in reversed(columns)), ts_us[tied]))]
    out = tuple(column.copy() for column in columns)
    for ordered, column in zip(out, columns, strict=True):
        ordered[tied] = column[order]
    return out


def _stamp_fields(ts_us: np.ndarray, starts: np.ndarray) -> dict[str, int]:
    """Distinct stamps, their resolution, and the most rows of one stamp."""
    sizes = np.diff(starts, append=ts_us.size)
    most = int(np.argmax(sizes))
    distinct = ts_us[starts]
    unsigned = distinct.view(np.uint64)  # divides in half the time of signed numbers
    whole = unsigned // np.uint64(1000) * np.uint64(1000) == unsigned
    fine = np.flatnonzero(~whole)
    run, at = int(whole.sum()), 0
    if fine.size:
        runs = np.diff(fine, prepend=-1, append=distinct.size) - 1
        at = int(np.argmax(runs))
        run, at = int(runs[at]), (int(fine[at - 1]) + 1 if at else 0)
    return {
        "stamps": distinct.size,
        "whole_ms": int(whole.sum()),
        "whole_ms_run": run,
        "whole_ms_ts_us": int(distinct[min(at, distinct.size - 1)]),
        "stuck_rows": int(sizes[most]),
        "stuck_ts_us": int(distinct[most]),
    }


def _prints(ts_us: np.ndarray, values: np.ndarray, rows: np.ndarray, level: np.ndarray) -> tuple[Print, ...]:
    return tuple(
        Print(int(ts_us[row]), float(values[row]), float(usual))
        for row, usual in zip(rows[:_EXAMPLES], level[:_EXAMPLES], strict=True)
    )


def _flow(ts_us: np.ndarray, starts: np.ndarray, price: np.ndarray, qty: np.ndarray, side: np.ndarray) -> FlowSums:
    """Signed volume over volume of each second with trades, against its log return since the second before it.

    A second closes at the mean price of its last stamp, so rows of one stamp may stand in any order.
    """
    second = ts_us[starts].view(np.uint64) // np.uint64(_SECOND_US)
    last = np.flatnonzero(np.append(second[1:] != second[:-1], True))  # last stamp of each second
    if last.size < 3:
        return FlowSums()
    ends = np.append(starts[last[:-1] + 1], ts_us.size)  # row after each second
    opens = np.append(0, ends[:-1])
    imbalance = np.add.reduceat(side * qty, opens) / np.add.reduceat(qty, opens)
    spans = np.stack((starts[last], ends), axis=1).ravel()  # each second's last stamp, and what lies up to the next
    close = np.add.reduceat(np.append(price, 0.0), spans)[::2] / (ends - starts[last])
    move = np.diff(np.log(close))
    move[np.abs(move) < 1e-12] = 0.0  # what rounding makes of equal prices
    moved = np.abs(move[move != 0])
    if moved.size == 0:
        return FlowSums()
    x, y = imbalance[1:], np.clip(move / np.median(moved), -5, 5)
    return FlowSums(x.size, float(x.sum()), float(y.sum()), float(x @ x), float(y @ y), float(x @ y))
