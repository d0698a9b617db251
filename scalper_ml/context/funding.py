"""What the settled funding rates said at each moment a rate became known: interval, last day, last thirty."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scalper_ml.context.base import HOUR_US
from scalper_ml.schema import us

__all__ = ["FundingStates", "funding_states", "next_settlement_us"]

_DAY_US: Final = 24 * HOUR_US
_LAST: Final = 30


@dataclass(frozen=True, slots=True)
class FundingStates:
    """Statistics of the funding rates then known, a state each time one became known; arrays of one length.

    Attributes
    ----------
    known_us : ndarray of int64
        When the state began, in order; of several at one time the last counts.
    interval_h : ndarray of float64
        Hours between settlements: the shorter of the two last steps, so that one settlement that is missing does not
        look like a longer interval; NaN with one settlement.
    sum_24h : ndarray of float64
        Sum of the rates settled in the 24 h that end with the last settlement.
    mean_30, sd_30 : ndarray of float64
        Mean and population standard deviation of the last 30 rates; NaN with fewer.
    """

    known_us: np.ndarray
    interval_h: np.ndarray
    sum_24h: np.ndarray
    mean_30: np.ndarray
    sd_30: np.ndarray

    def at(self, at_us: np.ndarray, values: np.ndarray) -> np.ndarray:
        """One of the statistics as it was at each moment; NaN before the first state, shape (n,)."""
        place = np.searchsorted(self.known_us, at_us, side="right") - 1
        padded = np.append(values, np.nan)
        return np.asarray(padded[place], dtype=np.float64)  # -1 is the NaN at the end


def funding_states(context: pa.Table) -> FundingStates:
    """The states of a symbol's funding, from its settled rates in the order in which they became known.

    Parameters
    ----------
    context : pyarrow.Table
        Schema `CONTEXT`, from `merge_context`.

    Notes
    -----
    A state uses rows with known time up to its own, in the revision then known.
    """
    rows = context.filter(pc.equal(context.column("kind"), "funding_rate"))
    known, event = us(rows.column("ts_us")), us(rows.column("event_ts_us"))
    order = np.lexsort((rows.column("revision").to_numpy(), event, known))
    found = list(_states(known[order], event[order], rows.column("value").to_numpy()[order]))
    table = np.array([state[1:] for state in found], dtype=np.float64).reshape(-1, 4)
    began = np.array([state[0] for state in found], dtype=np.int64)
    return FundingStates(began, *(np.ascontiguousarray(column) for column in table.T))


def next_settlement_us(at_us: np.ndarray, event_us: np.ndarray, interval_h: np.ndarray) -> np.ndarray:
    """The next settlement after the last one, repeated by the interval until it is not past; float64, shape (n,).

    NaN where the interval is.

    Examples
    --------
    >>> hours = np.array([1, 8, 9]) * HOUR_US
    >>> (next_settlement_us(hours, np.zeros(3), np.full(3, 8.0)) / HOUR_US).tolist()
    [8.0, 8.0, 16.0]
    """
    step = interval_h * HOUR_US
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(event_us + np.maximum(np.ceil((at_us - event_us) / step), 1.0) * step, dtype=np.float64)


def _states(known: np.ndarray, event: np.ndarray, value: np.ndarray) -> Iterator[tuple[float, ...]]:
    events: list[int] = []
    rates: list[float] = []
    for now, when, rate in zip(known.tolist(), event.tolist(), value.tolist(), strict=True):
        place = bisect_left(events, when)
        if place < len(events) and events[place] == when:
            rates[place] = rate
        else:
            events.insert(place, when)
            rates.insert(place, rate)
        day = rates[bisect_right(events, events[-1] - _DAY_US) :]
        last = np.array(rates[-_LAST:])
        steps = [later - former for former, later in pairwise(events[-3:])]
        interval = min(steps) / HOUR_US if steps else np.nan
        full = len(last) == _LAST
        mean, sd = (float(last.mean()), float(last.std())) if full else (np.nan, np.nan)
        yield now, interval, float(sum(day)), mean, sd
