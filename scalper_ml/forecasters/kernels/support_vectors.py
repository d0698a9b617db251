"""Distances to support vectors, row by row: a row has the same bits alone and among others."""

import numpy as np
import numpy.typing as npt

from scalper_ml.kernel import kernel

__all__ = ["radial_sums"]


@kernel
def radial_sums(
    X: npt.NDArray[np.float64],
    vectors: npt.NDArray[np.float64],
    coefficients: npt.NDArray[np.float64],
    gamma: float,
    out: npt.NDArray[np.float64],
) -> None:
    """Add ``coefficients[k, v] * exp(-gamma * |x - vectors[v]|^2)`` over all v to ``out[:, k]``."""
    for i in range(X.shape[0]):
        for v in range(vectors.shape[0]):
            distance = 0.0
            for j in range(vectors.shape[1]):
                away = X[i, j] - vectors[v, j]
                distance += away * away
            near = np.exp(-gamma * distance)
            for k in range(coefficients.shape[0]):
                out[i, k] += coefficients[k, v] * near
