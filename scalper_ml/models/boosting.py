"""What all gradient-boosted trees have: their parameters, and how sums of leaves become probabilities."""

from dataclasses import dataclass

import numpy as np

from scalper_ml.models.base import Floats, ModelParams

__all__ = ["BoostingParams", "softmax"]


@dataclass(frozen=True, slots=True)
class BoostingParams(ModelParams):
    """Rounds, shrinkage, sampling and penalty of boosted trees; a kind adds the shape of its trees.

    Parameters
    ----------
    max_rounds : int
        Most boosting rounds.
    early_stopping_rounds : int
        Stop after this many rounds without a lower log loss on the inner tail of train.
    learning_rate : float
    subsample, colsample : float
        Share of rows a tree; of columns a tree, or a split.
    reg_lambda : float
        L2 penalty of leaf values.
    max_bin : int
        Histogram bins a feature.
    """

    max_rounds: int = 400
    early_stopping_rounds: int = 40
    learning_rate: float = 0.04
    subsample: float = 0.7
    colsample: float = 0.5
    reg_lambda: float = 10.0
    max_bin: int = 63

    def __post_init__(self) -> None:
        self._whole("max_rounds", 1, 10_000)
        self._whole("early_stopping_rounds", 1, 10_000)
        self._number("learning_rate", 0.0, 1.0, above=True)
        self._number("subsample", 0.0, 1.0, above=True)
        self._number("colsample", 0.0, 1.0, above=True)
        self._number("reg_lambda", 0.0, 1e6)
        self._whole("max_bin", 2, 1024)
        self._shape()

    def _shape(self) -> None:
        """Refuse trees of an impossible shape."""


def softmax(margins: Floats) -> Floats:
    """Probabilities (n, k) of sums of leaves (n, k); rows sum to 1.

    Examples
    --------
    >>> softmax(np.array([[0.0, 0.0, np.log(2.0)]])).round(6).tolist()
    [[0.25, 0.25, 0.5]]
    """
    weights = np.exp(margins - margins.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float64)
