"""How much of a label is its own: concurrency and uniqueness of overlapping outcomes."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalper_ml.errors import ContractError

__all__ = ["concurrency", "uniqueness"]


def concurrency(t0: ArrayLike, t1: ArrayLike, ts_us: ArrayLike) -> NDArray[np.int64]:
    """Number of labels in flight during each bar, shape (n,).

    A label is in flight during the bars that close strictly between its `t0` and its `t1`: the signal bar precedes it,
    and of the exit bar only the opening price belongs to it.

    Parameters
    ----------
    t0, t1 : array_like of int, shape (m,)
        When each label was decided and when its outcome was known, microseconds, ``t1 > t0``.
    ts_us : array_like of int, shape (n,)
        Closes of the bars, strictly increasing.

    Examples
    --------
    >>> concurrency([0, 1, 2], [3, 4, 5], [0, 1, 2, 3, 4, 5])
    array([0, 1, 2, 2, 1, 0])
    """
    first, stop = _spans(t0, t1, ts_us)
    return _concurrency(first, stop, np.asarray(ts_us).size)


def uniqueness(t0: ArrayLike, t1: ArrayLike, ts_us: ArrayLike) -> NDArray[np.float64]:
    """Average uniqueness of each label, in (0, 1]; its sum is the effective number of labels.

    Parameters
    ----------
    t0, t1 : array_like of int, shape (m,)
        When each label was decided and when its outcome was known, microseconds, ``t1 > t0``.
    ts_us : array_like of int, shape (n,)
        Closes of the bars, strictly increasing.

    Returns
    -------
    ndarray, shape (m,)
        Mean of ``1 / concurrency`` over the bars of the label; 1 where no bar closes inside it. A label at every bar
        with a fixed horizon h gives 1 / h away from the ends.

    References
    ----------
    Lopez de Prado (2018), Advances in Financial Machine Learning, ch. 4.

    Examples
    --------
    >>> uniqueness([0, 1, 2], [3, 4, 5], [0, 1, 2, 3, 4, 5])
    array([0.75, 0.5 , 0.75])
    """
    first, stop = _spans(t0, t1, ts_us)
    crowd = _concurrency(first, stop, np.asarray(ts_us).size)
    share = np.concatenate(([0.0], np.cumsum(np.where(crowd > 0, 1.0 / np.maximum(crowd, 1), 0.0))))
    length = stop - first
    return np.where(length > 0, (share[stop] - share[first]) / np.maximum(length, 1), 1.0)


def _spans(t0: ArrayLike, t1: ArrayLike, ts_us: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First bar and one past the last bar that close strictly inside (t0, t1)."""
    decided, known, close = (np.asarray(values, dtype=np.int64) for values in (t0, t1, ts_us))
    if decided.shape != known.shape or np.any(known <= decided):
        raise ContractError("labels: every label needs t0 < t1; found one that is known before it is decided")
    if np.any(np.diff(close) <= 0):
        raise ContractError("labels: closes of bars must be strictly increasing; found a repeat or a step back")
    first = np.searchsorted(close, decided, side="right").astype(np.int64)
    return first, np.searchsorted(close, known, side="left").astype(np.int64)


def _concurrency(first: NDArray[np.int64], stop: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    steps = np.bincount(first, minlength=n + 1) - np.bincount(stop, minlength=n + 1)
    return np.cumsum(steps)[:n].astype(np.int64)
