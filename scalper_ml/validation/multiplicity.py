"""Many tests at once: Benjamini-Hochberg, Benjamini-Yekutieli, Holm."""

import numpy as np
import numpy.typing as npt

from scalper_ml.errors import ContractError

__all__ = ["bh", "by", "holm"]

Floats = npt.NDArray[np.float64]


def _p_values(p: npt.ArrayLike) -> Floats:
    values = np.asarray(p, dtype=np.float64)
    if values.ndim != 1 or not np.all((values >= 0) & (values <= 1)):
        raise ContractError(f"p-values: found {values.tolist()}; expected one dimension within [0, 1]")
    return values


def bh(p: npt.ArrayLike) -> Floats:
    """Benjamini-Hochberg q-values (m,), in the order of `p`; accept where q <= the false discovery rate allowed.

    Examples
    --------
    >>> bh([0.01, 0.04, 0.03, 0.005]).tolist()
    [0.02, 0.04, 0.04, 0.02]
    """
    values = _p_values(p)
    order = np.argsort(values, kind="stable")[::-1]
    ranks = np.arange(values.size, 0, -1)
    q = np.empty_like(values)
    q[order] = np.minimum(1.0, np.minimum.accumulate(values[order] * values.size / ranks))
    return q


def by(p: npt.ArrayLike) -> Floats:
    """Benjamini-Yekutieli q-values (m,): BH under any dependence, dearer by sum(1/i)."""
    values = _p_values(p)
    return np.minimum(1.0, bh(values) * float((1.0 / np.arange(1, values.size + 1)).sum()))


def holm(p: npt.ArrayLike) -> Floats:
    """Holm-adjusted p-values (m,), in the order of `p`: family-wise error under any dependence.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03, 0.005]).tolist()
    [0.03, 0.06, 0.06, 0.02]
    """
    values = _p_values(p)
    order = np.argsort(values, kind="stable")
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(values[order] * np.arange(values.size, 0, -1)))
    return adjusted
