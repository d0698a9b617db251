"""Distances to support vectors, row by row: a row has the same bits alone and among others."""

import numpy as np
import numpy.typing as npt

from scalper_ml.kernel import kernel

__all__ = ["radial_sums"]

_BLOCK = 256  # vectors at a time, so that they stay near while all rows pass


@kernel
def radial_sums(
    X: npt.NDArray[np.float64],
    vectors: npt.NDArray[np.float64],
    coefficients: npt.NDArray[np.float64],
    gamma: float,
    out: npt.NDArray[np.float64],
) -> None:
    """Add ``coefficients[k, v] * exp(-gamma * |x - vectors[:, v]|^2)`` over all v to ``out[:, k]``.

    `vectors` is (f, v), a column a vector: distances to many of them grow side by side.
    """
    distance = np.empty(_BLOCK)
    for first in range(0, vectors.shape[1], _BLOCK):
        last = min(first + _BLOCK, vectors.shape[1])
        for i in range(X.shape[0]):
            distance[:] = 0.0
            for j in range(vectors.shape[0]):
                x, row = X[i, j], vectors[j, first:last]
                for v in range(row.shape[0]):
                    away = x - row[v]
                    distance[v] += away * away
            for v in range(last - first):
                near = np.exp(-gamma * distance[v])
                for k in range(coefficients.shape[0]):
                    out[i, k] += coefficients[k, first + v] * near
