"""Context as it was known at a moment: no value before its known time, no revision before it was made."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scalper_ml.context.rows import own_events, same_as_above
from scalper_ml.schema import stamps, us

__all__ = ["as_of", "vintage"]


def as_of(
    context: pa.Table, at_us: np.ndarray, kind: str, *, max_age_us: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The newest value of a kind as it was known at each moment, and how old it was then.

    Of the rows known at or before a moment, the one of the latest event time, in its latest revision. What becomes
    known later about an older event does not displace a newer event.

    Parameters
    ----------
    context : pyarrow.Table
        Schema `CONTEXT`, from `merge_context`; in any order.
    at_us : ndarray of int64, shape (n,)
        Moments, us; in any order.
    kind : str
    max_age_us : int, optional
        Oldest event to use, us before the moment; by default any.

    Returns
    -------
    values : ndarray of float64, shape (n,)
        NaN where nothing was known, or only older than `max_age_us`.
    age_us : ndarray of float64, shape (n,)
        Moment minus event time; NaN where nothing was known.

    Notes
    -----
    Value i uses rows with known time <= ``at_us[i]`` and no others.

    Examples
    --------
    >>> from scalper_ml.context.feeds import context_table
    >>> event, known, rate = np.array([0, 0, 8]), np.array([1, 9, 9]), np.array([1.0, 2.0, 3.0])
    >>> table = context_table([("funding_rate", event, known, rate, "demo")])
    >>> as_of(table, np.array([0, 1, 8, 9]), "funding_rate")[0].tolist()
    [nan, 1.0, 1.0, 3.0]
    """
    known, event, value = _newest(context, kind)
    at_us = np.asarray(at_us, dtype=np.int64)
    state = np.searchsorted(known, at_us, side="right") - 1
    some = state >= 0
    out, age = np.full(len(at_us), np.nan), np.full(len(at_us), np.nan)
    age[some] = at_us[some] - event[state[some]]
    out[some] = value[state[some]]
    if max_age_us is not None:
        with np.errstate(invalid="ignore"):
            out[age > max_age_us] = np.nan
    return out, age


def vintage(context: pa.Table, at_us: int) -> pa.Table:
    """The table as it was seen at a moment: every event then known, each in its latest revision then known.

    Parameters
    ----------
    context : pyarrow.Table
        Schema `CONTEXT`, from `merge_context`.
    at_us : int

    Returns
    -------
    pyarrow.Table
        Schema `CONTEXT`, in the order of `context`; at most one row a kind and event time, but every liquidation.

    Notes
    -----
    Uses rows with known time <= `at_us` and no others.
    """
    seen = context.filter(pc.less_equal(context.column("ts_us"), stamps(np.array([at_us]))[0]))
    if seen.num_rows == 0:
        return seen
    order = pc.sort_indices(seen, [(name, "ascending") for name in ("kind", "event_ts_us", "revision")])
    ordered = seen.take(order)
    replaced = np.concatenate((same_as_above(ordered, ("kind", "event_ts_us")), [False])) & ~own_events(ordered)
    return seen.take(np.sort(order.to_numpy()[~replaced]))


def _newest(context: pa.Table, kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Known times of a kind's rows in order; event time and value of the newest event known after each of them."""
    rows = context.filter(pc.equal(context.column("kind"), kind))
    known, event = us(rows.column("ts_us")), us(rows.column("event_ts_us"))
    if known.size == 0:
        return known, event, np.zeros(0)
    order = np.lexsort((rows.column("revision").to_numpy(), event, known))
    known, event, value = known[order], event[order], rows.column("value").to_numpy()[order]
    leads = event == np.maximum.accumulate(event)
    last = np.maximum.accumulate(np.where(leads, np.arange(len(event)), 0))
    return known, event[last], value[last]
