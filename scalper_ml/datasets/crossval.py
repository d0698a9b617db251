"""Cross-validation in which training rows may follow the test: purged K-fold and combinatorial purged.

For the development of models: many test sets out of one history. What is reported comes from walk-forward, the only
split that does what production does.

A training row is kept for a test block only if its label interval shares no instant with the span from the block's
first decision to its last known outcome, and if it was not decided within the embargo after that span. Blocks are
contiguous in time, so this removes exactly the rows whose interval touches that of some test row, and no other.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise
from math import comb
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalper_ml.datasets.axis import intervals, time_blocks
from scalper_ml.errors import InsufficientDataError, SettingsError

__all__ = ["MAX_SPLITS", "CombinatorialFold", "combinatorial_paths", "combinatorial_purged", "purged_kfold"]

I64 = NDArray[np.int64]
Mask = NDArray[np.bool_]

MAX_SPLITS: Final = 10_000
"""More combinations than this are a mistake in the settings, not a plan."""


@dataclass(frozen=True, slots=True, eq=False)
class CombinatorialFold:
    """One combination: the rows to train on, and the rows of each test block by its number.

    ``train`` (m,) ascending; ``tests`` one ascending array a block, in the order of ``blocks``.
    """

    train: I64
    tests: tuple[I64, ...]
    blocks: tuple[int, ...]

    @property
    def test(self) -> I64:
        """All tested rows, ascending."""
        return np.concatenate(self.tests)


def purged_kfold(t0: ArrayLike, t1: ArrayLike, *, n_folds: int, embargo_us: int = 0) -> Iterator[tuple[I64, I64]]:
    """Chronological K-fold, purged on both sides of the test block: ``(train_idx, test_idx)``.

    Parameters
    ----------
    t0, t1 : array_like of int, shape (n,)
        Label intervals, microseconds; `t0` in time order. Several coins go through `one_time_axis` first.
    n_folds : int
        Number of blocks, >= 2; each is the test once.
    embargo_us : int
        Time after the last outcome of a test block in which no training row is decided, microseconds, >= 0. As long
        as the look-back of the features, or half of it: what follows the test block remembers it.

    Returns
    -------
    iterator of (ndarray, ndarray)
        Row numbers, ascending. Every row is tested exactly once, whatever `n`.

    Raises
    ------
    InsufficientDataError
        Fewer decision times than blocks, or a block whose training rows are all purged. Raised by the call itself.
    SettingsError
        A parameter is outside its range.

    Examples
    --------
    >>> t0 = np.arange(9)
    >>> for train, test in purged_kfold(t0, t0 + 1, n_folds=3, embargo_us=1):
    ...     print(train, test)
    [5 6 7 8] [0 1 2]
    [0 1 8] [3 4 5]
    [0 1 2 3 4] [6 7 8]
    """
    edges, shut = _blocks(t0, t1, n_folds, 1, embargo_us, "purged K-fold")
    _refuse_untrainable(shut, ((block,) for block in range(n_folds)), "purged K-fold")
    return ((np.flatnonzero(~shut[block]), _rows(edges, block)) for block in range(n_folds))


def combinatorial_purged(
    t0: ArrayLike, t1: ArrayLike, *, n_blocks: int = 10, n_test: int = 2, embargo_us: int = 0
) -> Iterator[CombinatorialFold]:
    """Combinatorial purged cross-validation: every choice of `n_test` of `n_blocks` chronological blocks is a test.

    Parameters
    ----------
    t0, t1 : array_like of int, shape (n,)
        Label intervals, microseconds; `t0` in time order. Several coins go through `one_time_axis` first.
    n_blocks : int
        Number of blocks, >= 3.
    n_test : int
        Blocks tested at a time, >= 1 and < `n_blocks`.
    embargo_us : int
        As in `purged_kfold`, after each test block.

    Returns
    -------
    iterator of CombinatorialFold
        ``comb(n_blocks, n_test)`` folds in lexicographic order. Every row is tested in
        ``comb(n_blocks - 1, n_test - 1)`` of them; `combinatorial_paths` joins the blocks into whole histories.
        Each test block is purged on its own: what lies between two of them stays.

    Raises
    ------
    InsufficientDataError
        Fewer decision times than blocks, or a fold whose training rows are all purged. Raised by the call itself.
    SettingsError
        A parameter is outside its range, or there are more than `MAX_SPLITS` combinations.

    References
    ----------
    Lopez de Prado (2018), Advances in Financial Machine Learning, ch. 12.

    Examples
    --------
    >>> t0 = np.arange(12)
    >>> folds = list(combinatorial_purged(t0, t0 + 1, n_blocks=4, n_test=2))
    >>> len(folds), folds[1].blocks, folds[1].train, folds[1].test
    (6, (0, 2), array([ 4, 10, 11]), array([0, 1, 2, 6, 7, 8]))
    """
    what = "combinatorial purged"
    edges, shut = _blocks(t0, t1, n_blocks, n_test, embargo_us, what)
    _refuse_untrainable(shut, combinations(range(n_blocks), n_test), what)
    return (
        CombinatorialFold(np.flatnonzero(~_any(shut, chosen)), tuple(_rows(edges, block) for block in chosen), chosen)
        for chosen in combinations(range(n_blocks), n_test)
    )


def combinatorial_paths(n_blocks: int, n_test: int) -> I64:
    """Which fold tests each block on each path, shape (paths, n_blocks): ``comb(n_blocks - 1, n_test - 1)`` paths.

    A path is one whole tested history: block b of path p comes from fold ``paths[p, b]`` of `combinatorial_purged`.
    No tested block is used twice.

    Examples
    --------
    >>> combinatorial_paths(4, 2)
    array([[0, 0, 1, 2],
           [1, 3, 3, 4],
           [2, 4, 5, 5]])
    """
    _check_combinations(n_blocks, n_test, "combinatorial purged")
    folds_of: list[list[int]] = [[] for _ in range(n_blocks)]
    for fold, chosen in enumerate(combinations(range(n_blocks), n_test)):
        for block in chosen:
            folds_of[block].append(fold)
    return np.array(folds_of, dtype=np.int64).T


def _blocks(
    t0: ArrayLike, t1: ArrayLike, n_blocks: int, n_test: int, embargo_us: int, what: str
) -> tuple[I64, list[Mask]]:
    """Edges of the blocks, and of each block the rows that may not be trained on when it is tested."""
    _check_combinations(n_blocks, n_test, what)
    if embargo_us < 0 or int(embargo_us) != embargo_us:
        raise SettingsError(f"{what}: embargo_us is {embargo_us!r}; expected whole microseconds >= 0")
    start, stop = intervals(t0, t1)
    edges = time_blocks(start, n_blocks, what)
    shut = []
    for begin, end in pairwise(edges):
        closed = np.zeros(start.size, dtype=np.bool_)
        closed[:begin] = stop[:begin] >= start[begin]
        closed[begin : np.searchsorted(start, stop[begin:end].max() + embargo_us, side="right")] = True
        shut.append(closed)
    return edges, shut


def _check_combinations(n_blocks: int, n_test: int, what: str) -> None:
    if int(n_blocks) != n_blocks or int(n_test) != n_test or not 1 <= n_test < n_blocks:
        raise SettingsError(
            f"{what}: {n_test!r} of {n_blocks!r} blocks to test; expected whole numbers, at least one block to test "
            "and one to train on"
        )
    if comb(n_blocks, n_test) > MAX_SPLITS:
        raise SettingsError(
            f"{what}: {n_test} of {n_blocks} blocks are {comb(n_blocks, n_test):,} folds; expected at most "
            f"{MAX_SPLITS:,} - lower n_blocks or n_test"
        )


def _refuse_untrainable(shut: list[Mask], choices: Iterator[tuple[int, ...]], what: str) -> None:
    for chosen in choices:
        if _any(shut, chosen).all():
            raise InsufficientDataError(
                f"{what}: nothing is left to train on when blocks {list(chosen)} of {len(shut)} are tested; the "
                "outcomes of all other rows touch them or fall into the embargo - bring more bars, a shorter horizon, "
                "fewer blocks or a shorter embargo"
            )


def _any(shut: list[Mask], chosen: tuple[int, ...]) -> Mask:
    closed: Mask = np.logical_or.reduce([shut[block] for block in chosen])
    return closed


def _rows(edges: I64, block: int) -> I64:
    return np.arange(edges[block], edges[block + 1])
