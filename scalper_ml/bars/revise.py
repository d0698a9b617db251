"""How often a published bar was changed."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scalper_ml.errors import ContractError
from scalper_ml.schema import BARS, conform, us

__all__ = ["revise"]


def revise(old_bars: pa.Table, new_bars: pa.Table) -> pa.Table:
    """`new_bars` with ``revision`` counted on from the bars published before.

    A bar that was published with the same values keeps its revision; one that differs in any value has it raised by
    one; one that was not published starts from its own, 0 from the builder. The same two tables always give the same
    result, and revising against the result changes nothing.

    Parameters
    ----------
    old_bars : pyarrow.Table
        As published, schema `BARS`, in time order.
    new_bars : pyarrow.Table
        Built anew, schema `BARS`, in time order.

    Returns
    -------
    pyarrow.Table
        Schema `BARS`: the rows of `new_bars`. A published bar that has vanished has no row, and its count starts anew
        if it comes back.

    Raises
    ------
    ContractError
        If a table breaks its schema or its starts fall.

    Notes
    -----
    Bars are the same by ``open_ts_us``; event bars that start at the same microsecond by their order among these.
    Values are compared exactly, nulls being equal, and ``gap`` is one of them: a late trade in an empty interval also
    revises the bar after it.
    """
    old_bars, new_bars = conform(old_bars, BARS, "published bars"), conform(new_bars, BARS, "bars")
    old_start, new_start = _starts(old_bars, "published bars"), _starts(new_bars, "bars")
    old_keys, new_keys = _keys(old_start, new_start)
    _, old_at, new_at = np.intersect1d(old_keys, new_keys, assume_unique=True, return_indices=True)
    before, now = old_bars.take(pa.array(old_at)), new_bars.take(pa.array(new_at))
    differs = np.zeros(len(old_at), dtype=bool)
    for name in BARS.names:
        if name != "revision":
            differs |= _differs(before.column(name), now.column(name))
    revision = new_bars.column("revision").to_numpy().copy()
    revision[new_at] = before.column("revision").to_numpy() + differs
    at = BARS.get_field_index("revision")
    return new_bars.set_column(at, BARS.field("revision"), pa.array(revision, pa.int32()))


def _starts(bars: pa.Table, what: str) -> np.ndarray:
    start = us(bars.column("open_ts_us"))
    fall = np.flatnonzero(np.diff(start) < 0)
    if fall.size:
        raise ContractError(f"{what}: bar {fall[0] + 1} starts before bar {fall[0]}; expected bars in time order")
    return start


def _keys(*tables: np.ndarray) -> list[np.ndarray]:
    """A number for every bar, the same in all tables where start and order among equal starts are."""
    orders = [np.arange(len(start)) - np.searchsorted(start, start) for start in tables]
    distinct = np.unique(np.concatenate(tables))
    most = 1 + max(int(order.max(initial=0)) for order in orders)
    return [np.searchsorted(distinct, start) * most + order for start, order in zip(tables, orders, strict=True)]


def _differs(one: pa.ChunkedArray, other: pa.ChunkedArray) -> np.ndarray:
    null_one, null_other = one.is_null().to_numpy(), other.is_null().to_numpy()
    values = [pc.fill_null(column, 0).to_numpy() for column in (one, other)]
    return np.asarray((null_one != null_other) | (values[0] != values[1]))
