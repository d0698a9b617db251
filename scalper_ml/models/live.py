"""A model fed row by row: what scales causally carries its state from bar to bar."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from scalper_ml.datasets.causal import EwmaNormaliser
from scalper_ml.errors import FeatureSetError
from scalper_ml.models.base import Floats
from scalper_ml.models.bundle import Model

__all__ = ["LiveModel"]


class LiveModel:
    """Probabilities of one warm feature row after the other, each given exactly once and in order.

    Parameters
    ----------
    model : Model
        A verified bundle.
    state : mapping, optional
        From `state`; by default the one sealed with the model, after the last bar it was made from.

    Notes
    -----
    For a model without causal scaling this is `Model.predict_proba` of a row. With it, rows since the dataset's last
    bar have to be given in order, none left out: the result is then what training would have seen, bit for bit.
    """

    def __init__(self, model: Model, state: Mapping[str, Any] | None = None) -> None:
        self.model = model
        self._normaliser: EwmaNormaliser | None = None
        if model.normaliser is not None:
            self._normaliser = model.normaliser.copy() if state is None else EwmaNormaliser.from_dict(state)
            if self._normaliser.names != model.names:
                raise FeatureSetError(f"live model {model.bundle_id[:12]}: the state is of other features; start anew")

    def predict(self, values: Floats) -> Floats:
        """Calibrated probabilities (3,), SHORT NEUTRAL LONG, of one unscaled row (f,)."""
        row = values if self._normaliser is None else self._normaliser.update(values)
        return np.asarray(self.model.predict_proba(row[None])[0])

    def state(self) -> dict[str, Any] | None:
        """State to go on from; None for a model that carries none."""
        return None if self._normaliser is None else self._normaliser.to_dict()
