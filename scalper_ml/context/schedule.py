"""When values of a kind should have come: changes of the funding interval, and periods and days that are missing."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scalper_ml.context.base import HOUR_US
from scalper_ml.context.kinds import kind_of
from scalper_ml.context.rows import kinds_in
from scalper_ml.schema import CONTEXT_GAPS, stamps, us

__all__ = [
    "CONTEXT_GAPS",
    "DAY_US",
    "IntervalChange",
    "context_gaps",
    "event_times",
    "interval_changes",
    "missing_days",
]

DAY_US: Final = 24 * HOUR_US
_INTERVALS_H: Final = (1, 2, 4, 6, 8, 12, 24)
"""Funding intervals that venues use; any other step between settlements is a hole."""


@dataclass(frozen=True, slots=True)
class IntervalChange:
    """The first settlement at another distance from the one before it than was usual."""

    event_ts_us: int
    before_h: int
    after_h: int


def event_times(context: pa.Table, kind: str) -> np.ndarray:
    """Event times of a kind in order, each once; int64 us, shape (n,)."""
    return np.unique(us(context.filter(pc.equal(context.column("kind"), kind)).column("event_ts_us")))


def interval_changes(context: pa.Table) -> tuple[IntervalChange, ...]:
    """Changes of the funding interval, in order.

    A shorter step than usual is a change, for nothing that is missing makes a step shorter. A longer step is one if
    the next step is as long; a single long step is a hole (see `context_gaps`), and so is a step of a length that
    no venue settles at.

    Parameters
    ----------
    context : pyarrow.Table
        Schema `CONTEXT`.

    Notes
    -----
    Judges stored data and looks ahead by one settlement; it is no feature.

    Examples
    --------
    >>> from scalper_ml.context.feeds import context_table
    >>> event = np.array([0, 8, 16, 24, 28, 32, 33, 34]) * HOUR_US
    >>> table = context_table([("funding_rate", event, event, np.zeros(8), "demo")])
    >>> [(change.before_h, change.after_h) for change in interval_changes(table)]
    [(8, 4), (4, 1)]
    """
    event = event_times(context, "funding_rate")
    period = _funding_periods(event)
    at = np.flatnonzero(np.diff(period)) + 1
    return tuple(
        IntervalChange(int(event[i + 1]), int(period[i - 1] // HOUR_US), int(period[i] // HOUR_US)) for i in at
    )


def context_gaps(context: pa.Table) -> pa.Table:
    """Missing events of every scheduled kind, in order of kind and time.

    The period of funding is its interval then (see `interval_changes`); that of another kind is its commonest step.

    Parameters
    ----------
    context : pyarrow.Table
        Schema `CONTEXT`.

    Returns
    -------
    pyarrow.Table
        Schema `CONTEXT_GAPS`; no row for a kind with fewer than three events, which show no schedule.
    """
    found = [_gaps(kind, event_times(context, kind)) for kind in kinds_in(context) if kind_of(kind).scheduled]
    return pa.concat_tables([CONTEXT_GAPS.empty_table(), *found])


def missing_days(context: pa.Table, kind: str) -> np.ndarray:
    """Starts of the UTC days without any event of a kind, between its first and its last; int64 us, shape (n,)."""
    days = np.unique(event_times(context, kind) // DAY_US)
    if days.size == 0:
        return days
    return np.asarray(np.setdiff1d(np.arange(days[0], days[-1] + 1), days) * DAY_US, dtype=np.int64)


def _gaps(kind: str, event: np.ndarray) -> pa.Table:
    step = np.diff(event)
    if step.size < 2:
        return CONTEXT_GAPS.empty_table()
    period = _funding_periods(event) if kind.startswith("funding_") else np.full(step.size, _commonest(step))
    missing = np.rint(step / period).astype(np.int64) - 1
    at = np.flatnonzero(missing > 0)
    columns = [
        pa.repeat(kind, len(at)),
        stamps(event[at]),
        stamps(event[at + 1]),
        pa.array(period[at]),
        pa.array(missing[at]),
    ]
    return pa.table(dict(zip(CONTEXT_GAPS.names, columns, strict=True)), schema=CONTEXT_GAPS)


def _funding_periods(event: np.ndarray) -> np.ndarray:
    """The settlement interval that each step between events belongs to, us, shape (n - 1,)."""
    step = np.diff(event)
    usual = np.rint(step / HOUR_US).astype(np.int64)
    regular = np.isin(usual, _INTERVALS_H) & (np.abs(step - usual * HOUR_US) < HOUR_US // 4)
    period = np.zeros(len(step), dtype=np.int64)
    first = usual[:2][regular[:2]]
    now = int(first.min()) if first.size else int(usual[regular].min(initial=8))
    for i, hours in enumerate(usual.tolist()):
        repeated = i + 1 < len(usual) and usual[i + 1] == hours
        if regular[i] and (hours < now or (hours > now and repeated)):
            now = hours
        period[i] = now * HOUR_US
    return period


def _commonest(step: np.ndarray) -> int:
    found, times = np.unique(step, return_counts=True)
    return int(found[np.argmax(times)])
