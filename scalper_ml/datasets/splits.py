"""Chronological splits, purged by label intervals.

Every label carries ``[t0, t1]``: decided, outcome known. Two sets of rows are kept apart by these intervals and never
by a number of rows, so gaps, irregular bars and outcomes of varying length are handled alike. Rows of one instant,
such as those of several coins on one time axis, always stay together. There is no shuffled split here.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalper_ml.datasets.axis import intervals, time_blocks
from scalper_ml.errors import InsufficientDataError, SettingsError
from scalper_ml.schema import ROLES

__all__ = ["assign_roles", "inner_tail", "role_counts", "walk_forward", "walk_forward_steps"]

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
        A row whose ``t1`` reaches the first ``t0`` of the next role is ``"purged"``: it is used by nothing. A role
        begins with the first row of its instant.

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
    start, stop = intervals(t0, t1)
    counts = role_counts(start.size, calibrate_size=calibrate_size, select_size=select_size, test_size=test_size)
    _refuse_empty(counts, counts)
    cuts = np.cumsum(list(counts.values()))[:-1]
    first = np.concatenate(([0], np.searchsorted(start, start[cuts]), [start.size]))
    roles = np.repeat(np.array(ROLES), np.diff(first))
    for begin, end in pairwise(first[:-1]):
        roles[begin:end][stop[begin:end] >= start[end]] = "purged"
    _refuse_empty({role: int(np.count_nonzero(roles == role)) for role in ROLES}, counts)
    return roles


def walk_forward(
    t0: ArrayLike, t1: ArrayLike, *, n_folds: int, train_us: int | None = None
) -> Iterator[tuple[I64, I64]]:
    """Walk-forward folds, expanding or rolling: ``(train_idx, test_idx)``, one block tested after the other.

    The rows are cut into ``n_folds + 1`` chronological blocks. Fold j tests block j + 1 and trains on every row whose
    outcome was known before that block's first decision: ``t1 < t0[first of the block]``.

    Parameters
    ----------
    t0, t1 : array_like of int, shape (n,)
        Label intervals, microseconds; `t0` in time order. Pass the rows of the train role; several coins go through
        `one_time_axis` first.
    n_folds : int
        Number of folds, >= 1.
    train_us : int, optional
        Rolling: train only on rows decided within this time before the block's first decision, microseconds, > 0.

    Returns
    -------
    iterator of (ndarray, ndarray)
        Row numbers, ascending. No train interval touches a test interval; every row outside the first block is tested
        exactly once.

    Raises
    ------
    InsufficientDataError
        A block would be empty, or a fold would have nothing to train on. Raised by the call itself.

    Examples
    --------
    >>> t0 = np.arange(9)
    >>> for train, test in walk_forward(t0, t0 + 1, n_folds=2):
    ...     print(train, test)
    [0 1] [3 4 5]
    [0 1 2 3 4] [6 7 8]
    >>> [train.tolist() for train, _ in walk_forward(t0, t0 + 1, n_folds=2, train_us=3)]
    [[0, 1], [3, 4]]
    """
    start, stop = intervals(t0, t1)
    if n_folds < 1:
        raise SettingsError(f"walk-forward: n_folds is {n_folds!r}; expected a whole number >= 1")
    edges = time_blocks(start, n_folds + 1, "walk-forward")
    return _forward(start, stop, edges[1:], None if train_us is None else _length("train_us", train_us))


def walk_forward_steps(
    t0: ArrayLike, t1: ArrayLike, *, train_us: int, step_us: int, rolling: bool = False
) -> Iterator[tuple[I64, I64]]:
    """Walk-forward by the clock: train on what came before, test the next step, go on by a step.

    Parameters
    ----------
    t0, t1 : array_like of int, shape (n,)
        Label intervals, microseconds; `t0` in time order. Several coins go through `one_time_axis` first.
    train_us : int
        Time from the first decision to the first test, microseconds, > 0; with `rolling` the length of every
        training window.
    step_us : int
        Length of a test window, microseconds, > 0: a day, a week.
    rolling : bool
        Drop rows decided before the training window; otherwise it expands.

    Returns
    -------
    iterator of (ndarray, ndarray)
        Row numbers, ascending. Every row decided `train_us` or more after the first one is tested exactly once.
        Windows without a row are passed over.

    Raises
    ------
    InsufficientDataError
        There is nothing to test, or a fold has nothing to train on. Raised by the call itself.

    Examples
    --------
    >>> t0 = np.arange(10)
    >>> for train, test in walk_forward_steps(t0, t0 + 1, train_us=4, step_us=3, rolling=True):
    ...     print(train, test)
    [0 1 2] [4 5 6]
    [3 4 5] [7 8 9]
    """
    start, stop = intervals(t0, t1)
    window, step = _length("train_us", train_us), _length("step_us", step_us)
    if start.size == 0 or start[-1] - start[0] < window:
        span = int(start[-1] - start[0]) if start.size else 0
        raise InsufficientDataError(
            f"walk-forward: {start.size} rows span {span:,} us; expected some decided train_us = {window:,} us or more "
            f"after the first - {_MORE}, or lower train_us"
        )
    begin = np.arange(start[0] + window, start[-1] + 1, step, dtype=np.int64)
    edges = np.unique(np.append(np.searchsorted(start, begin), start.size))
    return _forward(start, stop, edges, window if rolling else None)


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
    start, stop = intervals(t0, t1)
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


def _forward(start: I64, stop: I64, edges: I64, train_us: int | None) -> Iterator[tuple[I64, I64]]:
    """Folds that test the blocks between the edges; refused here, not later, if one has nothing to train on."""
    oldest = np.zeros(edges.size - 1, dtype=np.int64)
    if train_us is not None:
        oldest = np.searchsorted(start, start[edges[:-1]] - train_us)
    for number, (begin, first) in enumerate(zip(edges[:-1], oldest, strict=True)):
        if not np.any(stop[first:begin] < start[begin]):
            held = "" if train_us is None else f" in the {train_us:,} us"
            raise InsufficientDataError(
                f"walk-forward: nothing is left to train fold {number} of {edges.size - 1} on; all {begin - first} rows"
                f"{held} before its test block have outcomes that reach into it - {_MORE}, a longer training window, "
                "or lower n_folds"
            )
        if train_us is None:
            break  # later folds train on a superset of the first fold's rows
    return (
        (first + np.flatnonzero(stop[first:begin] < start[begin]), np.arange(begin, end))
        for (begin, end), first in zip(pairwise(edges), oldest, strict=True)
    )


def _length(name: str, length: int) -> int:
    if int(length) != length or length <= 0:
        raise SettingsError(f"walk-forward: {name} is {length!r}; expected whole microseconds > 0")
    return int(length)


def _refuse_empty(found: dict[str, int], before: dict[str, int]) -> None:
    for role, rows in found.items():
        if rows <= 0:
            raise InsufficientDataError(
                f"splits: role {role!r} would be empty; {sum(before.values())} label rows gave {before} before purging "
                f"and {found} after; expected at least one row in each role - {_MORE}"
            )
