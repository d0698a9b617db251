"""Parameters that all gradient-boosted trees have."""

from dataclasses import dataclass

from scalper_ml.models.base import ModelParams

__all__ = ["BoostingParams"]


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
