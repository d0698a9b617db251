"""A champion as the loop uses it: verified, matched to the features that are streamed, fed bar by bar."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from scalper_ml.datasets.causal import EwmaNormaliser
from scalper_ml.errors import BundleError, FeatureSetError
from scalper_ml.features.registry import FeatureSet
from scalper_ml.models.base import Floats
from scalper_ml.models.bundle import Model, check_features, load_bundle

__all__ = ["SignalModel"]


class SignalModel:
    """Calibrated probabilities of one symbol x horizon, for rows of one feature set in order of time.

    Parameters
    ----------
    model : Model
        A verified bundle.
    fs : FeatureSet
        What is streamed: the set the model was trained with, or the one its features were chosen from.
    normaliser : EwmaNormaliser, optional
        Of a model that scales causally: as it stood after the row before the first one to come, over the model's
        columns; by default the one that has seen nothing.

    Raises
    ------
    FeatureSetError
        The model takes features of another set; says which, and the first that differs.

    Notes
    -----
    Row i uses rows <= i only. Rows given in one call or one by one give the same bits.
    """

    def __init__(self, model: Model, fs: FeatureSet, normaliser: EwmaNormaliser | None = None) -> None:
        own = model.manifest["feature_set"]
        if own.get("parent", own["id"]) != fs.id:
            check_features(own, names=None if set(own["names"]) <= set(fs.names) else fs.names, fs_id=fs.id)
        if lacking := [name for name in model.names if name not in fs.names]:
            raise FeatureSetError(
                f"model {model.bundle_id[:12]}: takes {lacking[:5]}, which feature set {fs.id} does not have; "
                "stream the features it was trained with, or train it again"
            )
        self.model = model
        self.horizon = int(model.manifest["horizon"])
        self.symbol = str(model.manifest["symbol"])
        self._columns = np.array([fs.names.index(name) for name in model.names], dtype=np.int64)
        self._normaliser: EwmaNormaliser | None = None
        if model.normaliser is not None:
            self._normaliser = normaliser or EwmaNormaliser(model.names, model.normaliser.halflife)

    @classmethod
    def load(
        cls, folder: Path, fs: FeatureSet, *, bundle_id: str, symbol: str, horizon: int, **state: Any
    ) -> "SignalModel":
        """The champion in a bundle's folder.

        Raises
        ------
        BundleError
            The bundle is not the one the pointer names, is damaged, or is of another symbol or horizon.
        FeatureSetError
            It takes other features.
        """
        model = load_bundle(folder, bundle_id=bundle_id)
        found = str(model.manifest["symbol"]), int(model.manifest["horizon"])
        if found != (symbol, horizon):
            raise BundleError(
                f"bundle {bundle_id[:12]}: found a model of {found[0]} x {found[1]}, expected {symbol} x {horizon}; "
                "the pointer leads astray - materialise champions again"
            )
        return cls(model, fs, **state)

    @property
    def bundle_id(self) -> str:
        """Version of the model."""
        return self.model.bundle_id

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The sealed manifest: kind, lineage, roles, metrics, calibration."""
        return self.model.manifest

    @property
    def calibration(self) -> Mapping[str, Any]:
        """How well the probabilities were calibrated, on the calibrate role."""
        found: Mapping[str, Any] = self.model.manifest["calibration"]
        return found

    def predict(self, values: Floats, warm: np.ndarray) -> Floats:
        """Probabilities (n, 3), SHORT NEUTRAL LONG, of rows of features (n, f) of the set; NaN where not warm.

        Raises
        ------
        ContractError
            A value of a warm row is not finite; the feature is named.
        """
        P = np.full((len(values), 3), np.nan)
        rows = np.flatnonzero(warm)
        if rows.size:
            X = np.ascontiguousarray(values[rows][:, self._columns])
            if self._normaliser is not None:
                X = np.stack([self._normaliser.update(row) for row in X])
            P[rows] = self.model.predict_proba(X)
        return P

    def follow(self, values: Floats, warm: np.ndarray) -> None:
        """Take in rows that are not to be predicted: what a causal scaler must have seen."""
        if self._normaliser is not None:
            for row in values[np.flatnonzero(warm)][:, self._columns]:
                self._normaliser.update(row)

    def state(self) -> dict[str, Any] | None:
        """What the scaler carries; None for a model that carries nothing."""
        return None if self._normaliser is None else self._normaliser.to_dict()

    def restore(self, state: Mapping[str, Any] | None) -> None:
        """Go on from `state`.

        Raises
        ------
        FeatureSetError
            It is of a model of another kind or of other features.
        """
        found = None if state is None else EwmaNormaliser.from_dict(state)
        if (found is None) != (self._normaliser is None) or (found and found.names != self.model.names):
            raise FeatureSetError(f"model {self.bundle_id[:12]}: the saved state is of other features; start anew")
        self._normaliser = found
