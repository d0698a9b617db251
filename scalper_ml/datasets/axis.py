"""The one time axis that rows of any number of coins are split on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalper_ml.errors import ContractError, InsufficientDataError, SettingsError

__all__ = ["TimeAxis", "intervals", "one_time_axis", "time_blocks"]

I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class TimeAxis:
    """Label rows of several coins in one order of time; every array has shape (n,), n the rows of all coins.

    ``t0`` and ``t1`` are the label intervals, microseconds, `t0` ascending; ``part`` says which coin a row belongs to
    and ``row`` which of that coin's rows it is. Rows of one instant stand in the order of the coins.
    """

    t0: I64
    t1: I64
    part: NDArray[np.int32]
    row: I64

    def rows_of(self, part: int, chosen: I64) -> I64:
        """Rows of one coin among `chosen` rows of the axis, in that coin's own numbering."""
        mine: I64 = self.row[chosen[self.part[chosen] == part]]
        return mine


def one_time_axis(parts: Sequence[tuple[ArrayLike, ArrayLike]]) -> TimeAxis:
    """Put the label intervals of several coins on one axis, so that a split cuts all of them at the same moments.

    Coins move together: split one by one, the future of one coin would be trained on for the test of another.

    Parameters
    ----------
    parts : sequence of (t0, t1)
        Label intervals of each coin, microseconds, each coin's in its time order.

    Examples
    --------
    >>> axis = one_time_axis([([0, 2, 4], [1, 3, 5]), ([1, 2], [2, 3])])
    >>> axis.t0, axis.part
    (array([0, 1, 2, 2, 4]), array([0, 1, 0, 1, 0], dtype=int32))
    >>> axis.rows_of(1, np.array([2, 3, 4]))
    array([1])
    """
    checked = [intervals(t0, t1) for t0, t1 in parts]
    if not checked:
        raise ContractError("time axis: found no coins; expected the label intervals of at least one")
    sizes = [t0.size for t0, _ in checked]
    start = np.concatenate([t0 for t0, _ in checked])
    order = np.argsort(start, kind="stable")
    part = np.repeat(np.arange(len(checked), dtype=np.int32), sizes)
    row = np.concatenate([np.arange(size, dtype=np.int64) for size in sizes])
    stop = np.concatenate([t1 for _, t1 in checked])
    return TimeAxis(start[order], stop[order], part[order], row[order])


def intervals(t0: ArrayLike, t1: ArrayLike) -> tuple[I64, I64]:
    """Label intervals as int64, refused unless ``t0 <= t1`` and `t0` is in time order.

    Raises
    ------
    ContractError
        Names the first row that is not as it must be.
    """
    start, stop = np.asarray(t0, dtype=np.int64), np.asarray(t1, dtype=np.int64)
    if start.ndim != 1 or start.shape != stop.shape:
        raise ContractError(f"splits: t0 and t1 have shapes {start.shape} and {stop.shape}; expected (n,) for both")
    if np.any(stop < start):
        row = int(np.argmax(stop < start))
        raise ContractError(f"splits: row {row} is known ({stop[row]}) before it is decided ({start[row]})")
    if np.any(start[1:] < start[:-1]):
        row = int(np.argmax(start[1:] < start[:-1])) + 1
        raise ContractError(
            f"splits: t0 of row {row} ({start[row]}) is before that of row {row - 1} ({start[row - 1]}); "
            "expected rows in time order - sort by t0 first"
        )
    return start, stop


def time_blocks(t0: I64, n_blocks: int, what: str) -> I64:
    """Edges (n_blocks + 1,) of chronological blocks: block b is rows ``edges[b]`` to ``edges[b + 1] - 1``.

    Blocks hold the same number of decision times, give or take one, and rows of one instant are never parted; where
    every row has a time of its own, blocks hold the same number of rows. No block is empty and none is left over.

    Parameters
    ----------
    t0 : ndarray of int64, shape (n,)
        Decision times in time order.
    n_blocks : int
        At least 1.
    what : str
        Name of the split in messages.

    Raises
    ------
    InsufficientDataError
        Fewer decision times than blocks.
    SettingsError
        Fewer than one block.

    Examples
    --------
    >>> time_blocks(np.arange(19), 10, "folds")
    array([ 0,  1,  3,  5,  7,  9, 11, 13, 15, 17, 19])
    >>> time_blocks(np.array([0, 0, 0, 1, 2, 2]), 3, "folds")
    array([0, 3, 4, 6])
    """
    if n_blocks < 1 or int(n_blocks) != n_blocks:
        raise SettingsError(f"{what}: {n_blocks!r} blocks asked for; expected a whole number >= 1")
    first = np.flatnonzero(np.concatenate(([True], t0[1:] != t0[:-1]))) if t0.size else np.empty(0, dtype=np.int64)
    if first.size < n_blocks:
        same = "" if first.size == t0.size else f" of {first.size} decision times"
        raise InsufficientDataError(
            f"{what}: {t0.size} rows{same} cannot be cut into {n_blocks} blocks; expected a row in each - "
            "bring more bars or lower n_folds"
        )
    edges = np.append(first, t0.size)
    return edges[np.arange(n_blocks + 1) * first.size // n_blocks].astype(np.int64)
