"""Fitted networks walked row by row: a row has the same bits alone and among others; no network library is needed."""

import numpy as np
import numpy.typing as npt

from scalper_ml.kernel import kernel

__all__ = ["affine", "convolve", "last_states"]

F64 = npt.NDArray[np.float64]


@kernel
def affine(X: F64, W: F64, b: F64, rectify: bool, out: F64) -> None:
    """``out = X @ W + b`` for X (n, f) and W (f, k), negative values cut to 0 if asked; sums run along f."""
    for i in range(X.shape[0]):
        row = out[i]
        row[:] = b
        for j in range(W.shape[0]):
            x = X[i, j]
            for k in range(W.shape[1]):
                row[k] += x * W[j, k]
        if rectify:
            for k in range(W.shape[1]):
                row[k] = max(row[k], 0.0)


@kernel
def convolve(X: F64, W: F64, b: F64, out: F64) -> None:
    """Rectified sums over ``X[t - width + 1 .. t]`` with W (width, f, k); the first ``width - 1`` rows are 0."""
    width = W.shape[0]
    for t in range(X.shape[0]):
        row = out[t]
        row[:] = 0.0
        if t < width - 1:
            continue
        row[:] = b
        for w in range(width):
            for j in range(W.shape[1]):
                x = X[t - width + 1 + w, j]
                for k in range(W.shape[2]):
                    row[k] += x * W[w, j, k]
        for k in range(W.shape[2]):
            row[k] = max(row[k], 0.0)


@kernel
def _step(given: F64, W: F64, h: F64, c: F64, gates: F64) -> None:
    """One step of a long short-term memory: `given` is ``x @ W_x + b`` (4 h), in the order input, forget, cell, out."""
    size = h.shape[0]
    gates[:] = given
    for j in range(size):
        x = h[j]
        for k in range(4 * size):
            gates[k] += x * W[j, k]
    for k in range(size):
        enter = 1.0 / (1.0 + np.exp(-gates[k]))
        forget = 1.0 / (1.0 + np.exp(-gates[size + k]))
        leave = 1.0 / (1.0 + np.exp(-gates[3 * size + k]))
        c[k] = forget * c[k] + enter * np.tanh(gates[2 * size + k])
        h[k] = leave * np.tanh(c[k])


@kernel
def last_states(
    inputs: F64, at: npt.NDArray[np.int64], steps: int, pool: int, W_x: F64, W_h: F64, b: F64, out: F64
) -> None:
    """The last hidden state (m, h) of a stack of layers over the `steps` pooled inputs that end at each row of `at`.

    Parameters
    ----------
    inputs : (n, f)
    pool : int
        So many rows in a row become one by their largest values; `steps` counts rows before.
    W_x : (layers, max(f, h), 4 h)
        Of the first layer the first f rows, of the others the first h.
    W_h, b : (layers, h, 4 h), (layers, 4 h)
    """
    layers, size = W_h.shape[0], W_h.shape[1]
    f = inputs.shape[1]
    h, c = np.zeros((layers, size)), np.zeros((layers, size))
    gates, given, x = np.empty(4 * size), np.empty(4 * size), np.empty(f)
    for i in range(at.shape[0]):
        h[:] = 0.0
        c[:] = 0.0
        first = at[i] - steps + 1
        for step in range(steps // pool):
            x[:] = inputs[first + step * pool]
            for p in range(1, pool):
                for j in range(f):
                    x[j] = max(x[j], inputs[first + step * pool + p, j])
            for layer in range(layers):
                given[:] = b[layer]
                wide = f if layer == 0 else size
                for j in range(wide):
                    one = x[j] if layer == 0 else h[layer - 1, j]
                    for k in range(4 * size):
                        given[k] += one * W_x[layer, j, k]
                _step(given, W_h[layer], h[layer], c[layer], gates)
        out[i] = h[layers - 1]
