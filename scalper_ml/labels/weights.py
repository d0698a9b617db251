"""How much of a label is its own, and how much it should count: overlap, size of the move, age and class."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalper_ml.errors import ContractError, SettingsError
from scalper_ml.schema import CLASSES

__all__ = ["class_weights", "concurrency", "effective_size", "sample_weights", "uniqueness"]

F64 = NDArray[np.float64]


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


def sample_weights(uniqueness: ArrayLike, ret: ArrayLike, *, attribution: float = 0.0, decay: float = 1.0) -> F64:
    """Uniqueness, times the size of the move, times a fading with age; shape (m,), mean 1.

    Parameters
    ----------
    uniqueness : array_like, shape (m,)
        Of labels in time order, > 0.
    ret : array_like, shape (m,)
        Log returns of the labels.
    attribution : float
        Power of ``|ret|``, >= 0: 0 counts every move alike, 1 each by its size.
    decay : float
        Factor of the oldest label, in (0, 1]; the newest has 1, between them it rises linearly with cumulated
        uniqueness, so that time in which little happened ages nobody.

    Raises
    ------
    SettingsError
        A parameter is outside its range.
    ContractError
        No weight is left: all returns are 0.

    References
    ----------
    Lopez de Prado (2018), Advances in Financial Machine Learning, ch. 4.

    Examples
    --------
    >>> sample_weights([0.5, 0.5, 1.0], [0.01, -0.02, 0.01])
    array([0.75, 0.75, 1.5 ])
    >>> sample_weights([1.0, 1.0, 1.0], [0.0, -0.02, 0.01], attribution=1.0)
    array([0., 2., 1.])
    >>> sample_weights([1.0, 1.0, 1.0], [0.1, 0.1, 0.1], decay=0.5).round(2)
    array([0.67, 1.  , 1.33])
    """
    if not (np.isfinite(attribution) and attribution >= 0):
        raise SettingsError(f"weights: attribution is {attribution!r}; expected a finite number >= 0")
    if not 0 < decay <= 1:
        raise SettingsError(f"weights: decay is {decay!r}; expected a factor above 0 and at most 1")
    own, moved = np.asarray(uniqueness, dtype=np.float64), np.abs(np.asarray(ret, dtype=np.float64))
    if own.shape != moved.shape or own.ndim != 1 or own.size == 0:
        raise ContractError(f"weights: uniqueness {own.shape} and ret {moved.shape}; expected one of each a label")
    weight = own * moved**attribution if attribution else own
    if decay < 1:
        age = np.cumsum(own)
        weight = weight * (decay + (1.0 - decay) * (age - age[0]) / max(age[-1] - age[0], np.finfo(float).tiny))
    if not weight.sum() > 0:
        raise ContractError(f"weights: all {own.size} returns are 0, so attribution leaves no weight; lower it to 0")
    share: F64 = weight / weight.mean()
    return share


def class_weights(y: ArrayLike, weight: ArrayLike, beta: float) -> dict[str, float]:
    """Factor of each class, ``(1 / share)^beta``, scaled so that the weighted mean stays what it was.

    Parameters
    ----------
    y : array_like of int, shape (m,)
        0 SHORT, 1 NEUTRAL, 2 LONG; of the train rows.
    weight : array_like, shape (m,)
        Their weights; shares are of weight, not of rows.
    beta : float
        0 changes nothing, 1 makes all classes count alike, 0.5 lies between; in [0, 1].

    Returns
    -------
    dict of str to float
        A class that does not occur has 0.

    Notes
    -----
    Weighted classes shift the probabilities: what is fitted must be calibrated on rows that are not weighted so.

    Examples
    --------
    >>> weights = class_weights([0, 1, 1, 1, 1, 1, 1, 2, 2], np.ones(9), 1.0)
    >>> {name: round(weight, 3) for name, weight in weights.items()}
    {'SHORT': 3.0, 'NEUTRAL': 0.5, 'LONG': 1.5}
    """
    if not 0 <= beta <= 1:
        raise SettingsError(f"weights: class balance is {beta!r}; expected a number from 0 to 1")
    mass = np.bincount(np.asarray(y, dtype=np.int64), weights=np.asarray(weight, dtype=np.float64), minlength=3)
    share = mass / mass.sum()
    factor = np.where(share > 0, np.maximum(share, np.finfo(float).tiny) ** -beta, 0.0)
    factor = factor / (share * factor).sum()
    return dict(zip(CLASSES, factor.tolist(), strict=True))


def effective_size(weight: ArrayLike) -> float:
    """Rows of equal weight that would say as much: ``(sum w)^2 / sum w^2`` (Kish); 0 without any weight.

    Of overlapping labels the sum of their uniqueness is the count; this is what unequal weights leave of a count.

    Examples
    --------
    >>> effective_size([1.0, 1.0, 1.0, 1.0]), effective_size([1.0, 0.0, 0.0]), effective_size([3.0, 1.0])
    (4.0, 1.0, 1.6)
    """
    values = np.asarray(weight, dtype=np.float64)
    squares = float((values * values).sum())
    return float(values.sum()) ** 2 / squares if squares > 0 else 0.0


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
