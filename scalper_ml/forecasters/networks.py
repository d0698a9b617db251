"""Fitted networks as plain arrays: layers of sums, and memories over windows."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from scalper_ml.errors import BundleError
from scalper_ml.forecasters.base import Forecaster, Rows
from scalper_ml.models.arrays import packed, unpacked
from scalper_ml.models.base import Floats
from scalper_ml.models.boosting import softmax

__all__ = ["Network", "load_network"]

_FILE: Final = "model.npz"
_SOME: Final = ("shape", "head_0_W", "head_0_b")


class Network:
    """Optional convolution, optional memory, then layers of sums; rectified between.

    Parameters
    ----------
    arrays : mapping
        ``shape`` = (lookback, pool, classes, epoch kept); ``conv_W`` (width, f, k), ``conv_b``; ``memory_W_x``,
        ``memory_W_h``, ``memory_b`` by layer; ``head_0_W``, ``head_0_b``, ...
    curve : tuple of float
        Loss on the rows to stop on, by epoch.
    """

    def __init__(self, arrays: Mapping[str, Any], curve: tuple[float, ...] = ()) -> None:
        self._arrays = {name: np.ascontiguousarray(values) for name, values in arrays.items()}
        self.lookback, self.pool, self.classes, self._epoch = (int(one) for one in self._arrays["shape"])
        self.curve = curve

    @property
    def best_iteration(self) -> int:
        """Index of the epoch kept."""
        return self._epoch

    def predict(self, X: Floats, at: Rows) -> Floats:
        """Numbers (m,), or probabilities (m, classes)."""
        said = self._head(self._states(np.ascontiguousarray(X), np.asarray(at, dtype=np.int64)))
        return softmax(said) if self.classes else said[:, 0]

    def _states(self, X: Floats, at: Rows) -> Floats:
        from scalper_ml.forecasters.kernels.networks import convolve, last_states

        if "memory_W_h" not in self._arrays:
            return np.ascontiguousarray(X[at])
        steps = self.lookback
        if "conv_W" in self._arrays:
            W = self._arrays["conv_W"]
            folded = np.empty((len(X), W.shape[2]))
            convolve(X, W, self._arrays["conv_b"], folded)
            X, steps = folded, steps - W.shape[0] + 1
        W_h = self._arrays["memory_W_h"]
        out = np.empty((at.size, W_h.shape[1]))
        last_states(X, at, steps, self.pool, self._arrays["memory_W_x"], W_h, self._arrays["memory_b"], out)
        return out

    def _head(self, states: Floats) -> Floats:
        from scalper_ml.forecasters.kernels.networks import affine

        depth = sum(name.startswith("head_") and name.endswith("_W") for name in self._arrays)
        for place in range(depth):
            W, b = self._arrays[f"head_{place}_W"], self._arrays[f"head_{place}_b"]
            out = np.empty((len(states), W.shape[1]))
            affine(states, W, b, place < depth - 1, out)
            states = out
        return states

    def files(self) -> dict[str, bytes]:
        """The arrays."""
        return {_FILE: packed(self._arrays)}

    def importance(self) -> None:
        """None: permutations tell."""
        return None

    def contributions(self, X: Floats, seen: Floats) -> None:
        """None: permutations tell."""
        return None


def load_network(files: Mapping[str, bytes]) -> Forecaster:
    """The network in ``model.npz``.

    Raises
    ------
    BundleError
        The file is missing, or does not hold a network's arrays.
    """
    arrays = unpacked(files, _FILE, _SOME)
    if np.shape(arrays["shape"]) != (4,):
        raise BundleError(f"{_FILE}: shape is {arrays['shape']}; expected four numbers - train the model again")
    return Network(arrays)
