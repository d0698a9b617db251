"""Meta-labels: was the side that a primary model took worth taking, after all costs?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalper_ml.errors import ContractError
from scalper_ml.labels.horizon import Labels

__all__ = ["MetaLabels", "meta_labels"]

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class MetaLabels:
    """Rows on which the primary took a side, in time order; every array has shape (m,).

    ``at`` is the position among the labels, ``row`` the signal bar; ``side`` +1 LONG, -1 SHORT; ``net`` the side's
    return less the round-trip cost, a fraction of the entry; ``y`` 1 if ``net > 0``, else 0.
    """

    at: I64
    row: I64
    t0: I64
    t1: I64
    side: NDArray[np.int8]
    net: F64
    y: NDArray[np.int8]


def meta_labels(labels: Labels, side: ArrayLike, fold: ArrayLike) -> MetaLabels:
    """Label the sides of a primary model by whether they paid.

    Parameters
    ----------
    labels : Labels
        n labelled rows; of a triple barrier made with the same sides, so that an exit is the side's own.
    side : array_like of int, shape (n,)
        +1, -1, or 0 where the primary took none; those rows have no meta-label.
    fold : array_like of int, shape (n,)
        Fold of the primary's prediction, as in PREDICTIONS: >= 0 out of fold. Anything else is refused where a side
        was taken: sides a model took on rows it was fitted on are right more often than it will ever be again.

    Raises
    ------
    ContractError
        Shapes differ, a side is none of -1, 0, 1, or a side is not out of fold.

    Examples
    --------
    >>> from scalper_ml.labels.horizon import horizon_labels
    >>> from scalper_ml.labels.rule import LabelRule
    >>> start = 60_000_000 * np.arange(5)
    >>> labels = horizon_labels([100.0, 100.0, 101.0, 100.0, 100.05], start, start + 60_000_000,
    ...     rule=LabelRule(1, 60_000_000, 0.5, 1.0), sigma=np.full(5, 0.01), cost=0.001)
    >>> meta = meta_labels(labels, [1, 0, 1], [0, -1, 1])
    >>> meta.at, meta.y, meta.net.round(4)
    (array([0, 2]), array([1, 0], dtype=int8), array([ 0.009 , -0.0005]))
    """
    sides, folds = np.asarray(side, dtype=np.int64), np.asarray(fold, dtype=np.int64)
    n = labels.row.size
    if sides.shape != (n,) or folds.shape != (n,):
        raise ContractError(
            f"meta-labels: side {sides.shape} and fold {folds.shape} for {n} labels; expected one of each a label"
        )
    if not np.isin(sides, (-1, 0, 1)).all():
        raise ContractError(f"meta-labels: sides {np.unique(sides).tolist()[:5]} found; expected -1, 0 and +1")
    at = np.flatnonzero(sides)
    if inside := int(np.count_nonzero(folds[at] < 0)):
        raise ContractError(
            f"meta-labels: {inside} of {at.size} sides are not out of fold; expected fold >= 0 - predict the rows by "
            "models fitted on what was known before them (walk-forward)"
        )
    net = sides[at] * (labels.exit[at] / labels.entry[at] - 1.0) - labels.cost[at]
    return MetaLabels(
        at=at,
        row=labels.row[at],
        t0=labels.t0[at],
        t1=labels.t1[at],
        side=sides[at].astype(np.int8),
        net=net,
        y=(net > 0).astype(np.int8),
    )
