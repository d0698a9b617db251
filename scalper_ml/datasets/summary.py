"""What a dataset's checks and metadata need to know, as plain values."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scalper_ml.clock import iso
from scalper_ml.labels.horizon import Labels
from scalper_ml.schema import CLASSES, ROLES

__all__ = ["class_balance", "summarise"]


def class_balance(y: NDArray[np.int8]) -> tuple[dict[str, int], dict[str, float]]:
    """Counts and shares of SHORT, NEUTRAL and LONG; the shares of no rows are 0.

    Examples
    --------
    >>> class_balance(np.array([0, 1, 1, 2], dtype=np.int8))[1]
    {'SHORT': 0.25, 'NEUTRAL': 0.5, 'LONG': 0.25}
    """
    counts = {name: int(np.count_nonzero(y == code)) for code, name in enumerate(CLASSES)}
    return counts, {name: count / max(1, y.size) for name, count in counts.items()}


def summarise(
    labels: Labels, roles: NDArray[np.str_], uniqueness: NDArray[np.float64], before: dict[str, int]
) -> dict[str, Any]:
    """Roles, purged rows and class balance of a dataset.

    Parameters
    ----------
    labels : Labels
        m labelled rows.
    roles : ndarray of str, shape (m,)
    uniqueness : ndarray, shape (m,)
        Uniqueness of each label within its role; its sum over a role is the effective number of rows there.
    before : dict of str to int
        Rows of each role before purging.

    Returns
    -------
    dict
        ``roles[role]``: rows, n_eff, class_counts, class_shares, missing_classes, prior_drift (total variation
        distance of the class shares from train's, 0 to 1), first_t0, last_t0, last_t1. ``purged``: number of rows
        taken from the end of each role. ``largest_class_share``: in train.
    """
    by_role: dict[str, Any] = {}
    for role in ROLES:
        mine = np.flatnonzero(roles == role)
        counts, shares = class_balance(labels.y[mine])
        prior = by_role["train"]["class_shares"] if by_role else shares
        by_role[role] = {
            "rows": int(mine.size),
            "n_eff": float(uniqueness[mine].sum()),
            "class_counts": counts,
            "class_shares": shares,
            "missing_classes": [name for name, count in counts.items() if count == 0],
            "prior_drift": sum(abs(shares[name] - prior[name]) for name in CLASSES) / 2,
            "first_t0": iso(int(labels.t0[mine[0]])),
            "last_t0": iso(int(labels.t0[mine[-1]])),
            "last_t1": iso(int(labels.t1[mine].max())),
        }
    return {
        "roles": by_role,
        "purged": {role: before[role] - by_role[role]["rows"] for role in ROLES},
        "largest_class_share": max(by_role["train"]["class_shares"].values()),
    }
