"""Context as columns beside the bars: at each close, what was known then."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scalper_ml.context.asof import as_of
from scalper_ml.context.base import HOUR_US
from scalper_ml.context.funding import funding_states, next_settlement_us
from scalper_ml.context.kinds import LIQUIDATIONS
from scalper_ml.context.schedule import DAY_US
from scalper_ml.errors import ContractError
from scalper_ml.schema import CONTEXT_BARS, stamps, us

__all__ = ["CONTEXT_BARS", "MAX_AGE_US", "context_bars", "open_interest_change"]

MAX_AGE_US: Final[Mapping[str, int]] = MappingProxyType(
    {
        "funding_rate": DAY_US + HOUR_US,  # the longest interval, and an hour
        "funding_interval_h": 30 * DAY_US,  # a setting of the venue, said again at every settlement
        "mark_price": 9 * HOUR_US,  # candles of 8 h
        "index_price": 9 * HOUR_US,
        "liquidations": DAY_US,  # of either side: a feed silent for longer is taken for dead
    }
)
"""Oldest event that still counts, by kind; of kinds that are not named, `_OTHERWISE_US`."""
_OTHERWISE_US: Final = 3 * HOUR_US  # two hourly values missed

_LEVELS: Final = (
    "mark_price",
    "index_price",
    "open_interest",
    "open_interest_value",
    "long_short_ratio",
    "top_long_short_accounts",
    "top_long_short_positions",
    "taker_buy_volume",
    "taker_sell_volume",
)


def context_bars(
    context: pa.Table,
    bar_close_us: np.ndarray,
    *,
    bar_us: int,
    kinds: Sequence[str] = (),
    max_age_us: Mapping[str, int] = MAX_AGE_US,
) -> pa.Table:
    """What was known of a symbol's context at the close of each of its bars.

    Parameters
    ----------
    context : pyarrow.Table
        Schema `CONTEXT`, from `merge_context`; of one symbol.
    bar_close_us : ndarray of int64, shape (n,)
        Closes of bars; strictly increasing.
    bar_us : int
        Length of a bar: liquidations that became known in ``(close - bar_us, close]`` are the bar's.
    kinds : sequence of str
        Further kinds, such as ``dvol`` of a long table: each becomes a column of its own name.
    max_age_us : mapping
        Oldest event that still counts, by kind.

    Returns
    -------
    pyarrow.Table
        `CONTEXT_BARS`, and a column for each of `kinds`. NaN where the kind was not known at the close, or its
        newest event was older than allowed. A sum of liquidations is 0 where the feed was alive and none came.

    Raises
    ------
    ContractError
        If closes do not increase, or `kinds` names a column that is there anyway.

    Notes
    -----
    Row i uses context with known time <= ``bar_close_us[i]``, and no other bar's close: whether other rows are
    asked for changes nothing.
    """
    at_us = np.ascontiguousarray(bar_close_us, dtype=np.int64)
    if np.any(np.diff(at_us) <= 0):
        row = int(np.flatnonzero(np.diff(at_us) <= 0)[0]) + 1
        raise ContractError(f"context of bars: close {row} is {at_us[row]} us, after {at_us[row - 1]}; must increase")
    twice = [name for name in kinds if name in CONTEXT_BARS.names]
    if twice:
        raise ContractError(f"context of bars: kinds {twice} are columns anyway; name only further kinds")

    def level(kind: str) -> np.ndarray:
        return as_of(context, at_us, kind, max_age_us=max_age_us.get(kind, _OTHERWISE_US))[0]

    columns = {name: level(name) for name in _LEVELS}
    columns |= _funding(context, at_us, max_age_us)
    columns |= _open_interest(context, at_us, columns, max_age_us)
    bought, sold = columns["taker_buy_volume"], columns["taker_sell_volume"]
    with np.errstate(divide="ignore", invalid="ignore"):
        own = np.where(sold > 0, bought / sold, np.nan)
    stated = level("taker_buy_sell_ratio")
    columns["taker_buy_sell_ratio"] = np.where(np.isnan(stated), own, stated)
    columns |= _liquidations(context, at_us, bar_us, max_age_us.get("liquidations", _OTHERWISE_US))
    table = pa.table({"ts_us": stamps(at_us), **columns}).select(CONTEXT_BARS.names).cast(CONTEXT_BARS)
    for name in kinds:
        table = table.append_column(pa.field(name, pa.float64(), nullable=False), pa.array(level(name)))
    return table


def _funding(context: pa.Table, at_us: np.ndarray, max_age_us: Mapping[str, int]) -> dict[str, np.ndarray]:
    states = funding_states(context)
    rate, age = as_of(context, at_us, "funding_rate", max_age_us=max_age_us.get("funding_rate", _OTHERWISE_US))
    gone = np.isnan(rate)
    stated = as_of(context, at_us, "funding_interval_h", max_age_us=max_age_us.get("funding_interval_h"))[0]
    interval = np.where(np.isnan(stated), states.at(at_us, states.interval_h), stated)
    event = at_us - np.where(np.isnan(age), 0.0, age).astype(np.int64)
    hours = (next_settlement_us(at_us, event, interval) - at_us) / HOUR_US
    columns = {
        "funding_rate": rate,
        "funding_age_h": age / HOUR_US,
        "funding_interval_h": interval,
        "hours_to_funding": hours,
        "funding_24h": states.at(at_us, states.sum_24h),
        "funding_mean_30": states.at(at_us, states.mean_30),
        "funding_sd_30": states.at(at_us, states.sd_30),
    }
    return {name: np.where(gone, np.nan, values) for name, values in columns.items()}


def _open_interest(
    context: pa.Table, at_us: np.ndarray, levels: Mapping[str, np.ndarray], max_age_us: Mapping[str, int]
) -> dict[str, np.ndarray]:
    """Age and change over an hour, of base units where there are any, else of quote units."""
    age = np.full(len(at_us), np.nan)
    for kind in ("open_interest_value", "open_interest"):
        since = as_of(context, at_us, kind)[1]
        age = np.where(np.isnan(levels[kind]), age, since / HOUR_US)
    change = open_interest_change(context, at_us - HOUR_US, at_us, max_age_us=max_age_us)
    return {"open_interest_age_h": age, "open_interest_change_1h": change}


def open_interest_change(
    context: pa.Table, from_us: np.ndarray, to_us: np.ndarray, *, max_age_us: Mapping[str, int] = MAX_AGE_US
) -> np.ndarray:
    """Log of the open interest known at one moment over that known at another.

    Parameters
    ----------
    context : pyarrow.Table
        Schema `CONTEXT`, from `merge_context`; of one symbol.
    from_us, to_us : ndarray of int64, shape (n,)
        Moments, us; in any order.
    max_age_us : mapping
        Oldest event that still counts at either moment, by kind.

    Returns
    -------
    ndarray of float64, shape (n,)
        Of base units where they are known at both moments, else of quote units; NaN where neither is, or is 0.

    Notes
    -----
    Value i uses rows with known time <= ``max(from_us[i], to_us[i])`` and no others.

    Examples
    --------
    >>> from scalper_ml.context.feeds import context_table
    >>> event, known = np.array([0, 5]), np.array([1, 7])
    >>> table = context_table([("open_interest", event, known, np.array([1.0, np.e]), "demo")])
    >>> open_interest_change(table, np.array([0, 1, 1]), np.array([7, 6, 7])).tolist()
    [nan, 0.0, 1.0]
    """
    change = np.full(len(from_us), np.nan)
    for kind in ("open_interest_value", "open_interest"):
        limit = max_age_us.get(kind, _OTHERWISE_US)
        before, after = (as_of(context, moments, kind, max_age_us=limit)[0] for moments in (from_us, to_us))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.log(after) - np.log(before)
        change = np.where(np.isfinite(ratio), ratio, change)
    return change


def _liquidations(context: pa.Table, at_us: np.ndarray, bar_us: int, max_age_us: int) -> dict[str, np.ndarray]:
    ages = np.stack([as_of(context, at_us, kind)[1] for kind in LIQUIDATIONS])
    with np.errstate(invalid="ignore"):
        alive = np.any(ages <= max_age_us, axis=0)
    return {kind: np.where(alive, _sums(context, at_us, kind, bar_us), np.nan) for kind in LIQUIDATIONS}


def _sums(context: pa.Table, at_us: np.ndarray, kind: str, bar_us: int) -> np.ndarray:
    """Sums of values that became known in ``(at - bar_us, at]``; added up row by row, so that no other row matters."""
    rows = context.filter(pc.equal(context.column("kind"), kind))
    known, value = us(rows.column("ts_us")), rows.column("value").to_numpy()
    order = np.lexsort((value, known))
    known, value = known[order], value[order]
    low, high = np.searchsorted(known, at_us - bar_us, side="right"), np.searchsorted(known, at_us, side="right")
    some = np.flatnonzero(high > low)
    out = np.zeros(len(at_us))
    if some.size:
        edges = np.stack([low[some], high[some]], axis=1).ravel()
        out[some] = np.add.reduceat(np.append(value, 0.0), edges)[::2]
    return out
