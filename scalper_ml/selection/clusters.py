"""Clusters of features that say much the same."""

import numpy as np
import numpy.typing as npt

__all__ = ["correlation_clusters", "rank_correlation"]

Floats = npt.NDArray[np.float64]


def rank_correlation(X: Floats) -> Floats:
    """Spearman's correlation of every pair of columns, (f, f); 0 with a constant column, 1 on the diagonal."""
    from scipy.stats import rankdata

    ranks = rankdata(X, axis=0)
    ranks -= ranks.mean(axis=0)
    length = np.sqrt((ranks**2).sum(axis=0))
    unit = ranks / np.where(length > 0, length, 1.0)
    found = np.clip(unit.T @ unit, -1.0, 1.0)
    np.fill_diagonal(found, 1.0)
    return np.asarray(found, dtype=np.float64)


def correlation_clusters(X: Floats, max_correlation: float) -> npt.NDArray[np.int64]:
    """Cluster of every column (f,), numbered by first appearance.

    Columns are joined by average linkage of ``1 - |rank correlation|`` until clusters are further apart than
    ``1 - max_correlation``. With 1 every column stands alone, equal ones apart from each other, too.

    Examples
    --------
    >>> x = np.arange(6.0)
    >>> correlation_clusters(np.column_stack([x, [3, 1, 4, 1, 5, 9], -x**3]), 0.95).tolist()
    [0, 1, 0]
    """
    f = X.shape[1]
    if max_correlation >= 1 or f < 2:
        return np.arange(f, dtype=np.int64)
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    distance = 1.0 - np.abs(rank_correlation(X))
    np.fill_diagonal(distance, 0.0)
    joined = linkage(squareform((distance + distance.T) / 2, checks=False), method="average")
    labels = fcluster(joined, 1.0 - max_correlation, criterion="distance")
    order = {label: number for number, label in enumerate(dict.fromkeys(labels.tolist()))}
    return np.array([order[label] for label in labels.tolist()], dtype=np.int64)
