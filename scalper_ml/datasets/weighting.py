"""How much each row of a dataset counts: uniqueness, size and straightness of the move, age and class."""

from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scalper_ml.errors import InsufficientDataError
from scalper_ml.labels.horizon import LabelParams, Labels
from scalper_ml.labels.trend import trend_labels
from scalper_ml.labels.weights import class_weights, effective_size, sample_weights, uniqueness
from scalper_ml.schema import CLASSES, LONG, NEUTRAL, ROLES, SHORT, us

__all__ = ["row_weights", "straightness", "uniqueness_by_role"]

F64 = NDArray[np.float64]
_SHORTEST_TREND: Final = 5


def uniqueness_by_role(
    t0: NDArray[np.int64], until: NDArray[np.int64], roles: NDArray[np.str_], ts_us: NDArray[np.int64]
) -> F64:
    """Uniqueness among the labels of the same role; 0 for purged rows, which nothing uses."""
    own = np.zeros(t0.size)
    for role in ROLES:
        mine = roles == role
        own[mine] = uniqueness(t0[mine], until[mine], ts_us)
    return own


def straightness(bars: pa.Table, labels: Labels, params: LabelParams) -> F64:
    """``|t|`` of the straightest line within every label (m,), 0 across a hole.

    It ends with the label: a longer line would carry the weight of train rows beyond the outcome they are purged by.
    """
    found = trend_labels(
        bars.column("open").to_numpy(),
        us(bars.column("open_ts_us")),
        us(bars.column("ts_us")),
        interval_us=params.interval_us,
        shortest=min(_SHORTEST_TREND, params.horizon),
        longest=params.horizon,
        max_gap_bars=params.max_gap_bars,
    )
    straight = np.zeros(bars.num_rows)
    straight[found.row] = found.weight
    return straight[labels.row]


def row_weights(
    labels: Labels,
    own: F64,
    trained: NDArray[np.bool_],
    straight: F64 | None,
    *,
    attribution: float,
    decay: float,
    trend: float,
    class_balance: float,
    classes: tuple[int, ...] = (SHORT, NEUTRAL, LONG),
) -> tuple[F64, dict[str, Any]]:
    """Weight of every row, mean 1 over train, and what the summary says of it.

    Parameters
    ----------
    labels : Labels
        m rows.
    own : ndarray, shape (m,)
        Uniqueness of each among those of its role.
    trained : ndarray of bool, shape (m,)
        Rows of train.
    straight : ndarray, shape (m,), or None
        From `straightness`; None: not used.
    attribution, decay, trend, class_balance : float
        As in `DatasetParams`.
    classes : tuple of int
        Codes of the classes that are learned; rows of others have no factor.

    Raises
    ------
    InsufficientDataError
        No row of train has a line without a hole.
    """
    train = np.flatnonzero(trained)
    weight = own / own[train].mean()
    if attribution or decay != 1:
        weight[train] = sample_weights(own[train], labels.ret[train], attribution=attribution, decay=decay)
    told: dict[str, Any] = {}
    if straight is not None:
        told["without_line"] = int(np.count_nonzero(straight[train] == 0))
        weight[train] *= straight[train] ** trend
        if not weight[train].sum() > 0:
            raise InsufficientDataError("dataset: no train label has a line without a hole; set labels.trend to 0")
        weight[train] /= weight[train].mean()
    learned = train[np.isin(labels.y[train], classes)]
    factors, balanced, half = (class_weights(labels.y[learned], weight[learned], b) for b in (class_balance, 1.0, 0.5))
    told |= {"classes": factors, "balanced": balanced, "half_balanced": half}
    if class_balance:
        by_class = np.ones(len(CLASSES))
        by_class[list(classes)] = [factors[CLASSES[code]] for code in classes]
        weight = weight * by_class[labels.y]
    return weight, {**told, "effective_size": effective_size(weight[train])}
