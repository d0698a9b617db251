"""Chronological splits, purged by label intervals.

Every label carries ``[t0, t1]``: decided, outcome known. Two sets of rows are kept apart by these intervals and never
by a number of rows, so gaps, irregular bars and outcomes of varying length are handled alike. There is no shuffled
split here.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalper_ml.errors import ContractError, InsufficientDataError, SettingsError
from scalper_ml.schema import ROLES

__all__ = ["assign_roles", "inner_tail", "role_counts", "walk_forward"]

I64 = NDArray[np.int64]
_MORE = "bring more bars, a shorter horizon or other shares"


def role_counts(n: int, *, calibrate_size: float, select_size: float, test_size: float) -> dict[str, int]:
    """Rows of each role before purging, in time order; train takes what the shares leave.

    Raises
    ------
    SettingsError
        A share is not inside (0, 1), or nothing is left for train.

    Examples
    --------
    >>> role_counts(1000, calibrate_size=0.1, select_size=0.15, test_size=0.2)
    {'train': 550, 'calibrate': 100, 'select': 150, 'score': 200}
    """
    shares = {"calibrate_size": calibrate_size, "select_size": select_size, "test_size": test_size}
    for name, share in shares.items():
        if not 0 < share < 1:
            raise SettingsError(f"splits: {name} is {share!r}; expected a share between 0 and 1, both excluded")
    if sum(shares.values()) >= 1:
        raise SettingsError(f"splits: {shares} leave nothing for train; expected shares that add up to less than 1")
    later = [int(np.floor(n * share + 0.5)) for share in shares.values()]
    return dict(zip(ROLES, [n - sum(later), *later], strict=True))


def assign_roles(
    t0: ArrayLike, t1: ArrayLike, *, calibrate_size: float, select_size: float, test_size: float
) -> NDArray[np.str_]:
    """The role of every row: train, calibrate, select, score in time order, or purged between them.

    Parameters
    ----------
    t0, t1 : array_like of int, shape (n,)
        When each label was decided and when its outcome was known, microseconds; `t0` in time order.
    calibrate_size, select_size, test_size : float
        Shares of the rows, each inside (0, 1); `test_size` is the share of the score role.

    Returns
    -------
    ndarray of str, shape (n,)
        A row whose ``t1`` reaches the first ``t0`` of the next role is ``"purged"``: it is used by nothing.

    Raises
    ------
    InsufficientDataError
        A role would be empty.
    SettingsError
        The shares are impossible.
    ContractError
        The intervals are not in time order.

    Examples
    --------
    >>> t0 = np.arange(10)
    >>> assign_roles(t0, t0 + 1, calibrate_size=0.2, select_size=0.2, test_size=0.2).tolist()
    ['train', 'train', 'train', 'purged', 'calibrate', 'purged', 'select', 'purged', 'score', 'score']
    """
    start, stop = _intervals(t0, t1)
    counts = role_counts(start.size, calibrate_size=calibrate_size, select_size=select_size, test_size=test_size)
    _refuse_empty(counts, counts)
    roles = np.repeat(np.array(ROLES), list(counts.values()))
    first = np.cumsum([0, *counts.values()])
    for begin, end in pairwise(first[:-1]):
        roles[begin:end][stop[begin:end] >= start[end]] = "purged"
    _refuse_empty({role: int(np.count_nonzero(roles == role)) for role in ROLES}, counts)
    return roles


def walk_forward(t0: ArrayLike, t1: ArrayLike, *, n_folds: int) -> Iterator[tuple[I64, I64]]:
    """Expanding walk-forward folds: ``(train_idx, test_idx)``, one block tested after the other.

    The rows are cut into ``n_folds + 1`` chronological blocks. Fold j tests block j + 1 and trains on every row whose
    outcome was known before that block's first decision: ``t1 < t0[first of the block]``.

    Parameters
    ----------
    t0, t1 : array_like of int, shape (n,)
        Label intervals, microseconds; `t0` in time order. Pass the rows of the train role.
    n_folds : int
        Number of folds, >= 1.

    Returns
    -------
    iterator of (ndarray, ndarray)
        Row numbers, ascending. No train interval touches a test interval; every row outside the first block is tested
        exactly once.

    Raises
    ------
    InsufficientDataError
        A block would be empty, or the first fold would have nothing to train on. Raised by the call itself.

    Examples
    --------
    >>> t0 = np.arange(9)
    >>> for train, test in walk_forward(t0, t0 + 1, n_folds=2):
    ...     print(train, test)
    [0 1] [3 4 5]
    [0 1 2 3 4] [6 7 8]
    """
    start, stop = _intervals(t0, t1)
    if n_folds < 1:
        raise SettingsError(f"walk-forward: n_folds is {n_folds!r}; expected a whole number >= 1")
    if start.size <= n_folds:
        raise InsufficientDataError(
            f"walk-forward: {start.size} rows cannot be cut into {n_folds + 1} blocks; expected a row in each - "
            "bring more bars or lower n_folds"
        )
    edges = np.arange(n_folds + 2) * start.size // (n_folds + 1)
    # later folds train on a superset of the first fold's rows, so only the first can be empty
    if not np.any(stop[: edges[1]] < start[edges[1]]):
        raise InsufficientDataError(
            f"walk-forward: nothing is left to train the first of {n_folds} folds on; all {edges[1]} rows before its "
            f"test block have outcomes that reach into it - {_MORE}, or lower n_folds"
        )
    return _folds(start, stop, edges)


def inner_tail(t0: ArrayLike, t1: ArrayLike, share: float) -> tuple[I64, I64]:
    """Split rows for early stopping: ``(fit_idx, stop_idx)``, the tail being the last `share` of the rows.

    Parameters
    ----------
    t0, t1 : array_like of int, shape (n,)
        Label intervals, microseconds; `t0` in time order.
    share : float
        Share of the rows in the tail, inside (0, 1); at least one row.

    Returns
    -------
    fit_idx, stop_idx : ndarray of int64
        Rows known before the tail's first decision, and the tail. Rows in between belong to neither.

    Raises
    ------
    InsufficientDataError
        One of the two would be empty.

    Examples
    --------
    >>> inner_tail(np.arange(10), np.arange(10) + 2, 0.3)
    (array([0, 1, 2, 3, 4]), array([7, 8, 9]))
    """
    start, stop = _intervals(t0, t1)
    if not 0 < share < 1:
        raise SettingsError(f"inner tail: share is {share!r}; expected a share between 0 and 1, both excluded")
    n = start.size
    first = n - max(1, int(np.floor(n * share + 0.5)))
    fit = np.flatnonzero(stop[: max(first, 0)] < start[first]) if n else np.empty(0, dtype=np.int64)
    if fit.size == 0:
        raise InsufficientDataError(
            f"inner tail: of {n} rows none is left to fit on before a tail of {n - first} rows; expected at least "
            f"one whose outcome is known before the tail begins - {_MORE}"
        )
    return fit, np.arange(first, n)


def _folds(start: I64, stop: I64, edges: I64) -> Iterator[tuple[I64, I64]]:
    for begin, end in pairwise(edges[1:]):
        yield np.flatnonzero(stop[:begin] < start[begin]), np.arange(begin, end)


def _intervals(t0: ArrayLike, t1: ArrayLike) -> tuple[I64, I64]:
    start, stop = np.asarray(t0, dtype=np.int64), np.asarray(t1, dtype=np.int64)
    if start.ndim != 1 or start.shape != stop.shape:
        raise ContractError(f"splits: t0 and t1 have shapes {start.shape} and {stop.shape}; expected (n,) for both")
    if np.any(stop < start):
        row = int(np.argmax(stop < start))
        raise ContractError(f"splits: row {row} is known ({stop[row]}) before it is decided ({start[row]})")
    if np.any(np.diff(start) < 0):
        row = int(np.argmax(np.diff(start) < 0)) + 1
        raise ContractError(
            f"splits: t0 of row {row} ({start[row]}) is before that of row {row - 1} ({start[row - 1]}); "
            "expected rows in time order - sort by t0 first"
        )
    return start, stop


def _refuse_empty(found: dict[str, int], before: dict[str, int]) -> None:
    for role, rows in found.items():
        if rows <= 0:
            raise InsufficientDataError(
                f"splits: role {role!r} would be empty; {sum(before.values())} label rows gave {before} before purging "
                f"and {found} after; expected at least one row in each role - {_MORE}"
            )
