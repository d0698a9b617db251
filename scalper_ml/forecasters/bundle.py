"""Sealed forecasters: bundles as models', with residuals or a temperature in place of a three-class calibrator."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from scalper_ml.datasets.causal import EwmaNormaliser
from scalper_ml.datasets.scaling import Scaler
from scalper_ml.errors import BundleError, ContractError, FeatureSetError
from scalper_ml.forecasters.base import Forecaster, Rows
from scalper_ml.forecasters.calibration import Residuals, Tempered
from scalper_ml.forecasters.registry import forecaster_kinds
from scalper_ml.forecasters.targets import Target, target_named
from scalper_ml.models.base import Floats
from scalper_ml.models.bundle import GOLDEN_TOLERANCE, check_features, open_bundle

__all__ = ["ALPHA", "Forecast", "golden_forecasts", "load_forecast"]

ALPHA: Final = 0.2
"""Share of outcomes that the bounds of an answer may miss."""

_GOLDEN: Final = "golden.npy"


@dataclass(frozen=True, slots=True)
class Forecast:
    """A verified bundle, ready to forecast.

    Parameters
    ----------
    bundle_id : str
    manifest : mapping
        As sealed.
    names : tuple of str
        Feature names, in the order of the columns of X.
    target : Target
    calibrator : Residuals or Tempered
    center, scale : float
        Of a number on the rows it was fitted on; a forecast is ``center + scale * raw``.
    """

    bundle_id: str
    manifest: Mapping[str, Any]
    names: tuple[str, ...]
    target: Target
    scaler: Scaler
    forecaster: Forecaster
    calibrator: Residuals | Tempered
    center: float
    scale: float
    normaliser: EwmaNormaliser | None = None

    @property
    def lookback(self) -> int:
        """Rows that one forecast sees."""
        return int(self.manifest["lookback"])

    def predict(self, X: Floats, at: Rows | None = None) -> Floats:
        """Numbers (m,) in units of the target, or calibrated probabilities (m, k), of *unscaled* features X (n, f).

        Parameters
        ----------
        at : (m,), optional
            Rows to forecast from, each with `lookback` - 1 rows of the same run of bars before it; by default every
            row that has them.

        Raises
        ------
        FeatureSetError
            X has another number of columns.
        ContractError
            A feature is not finite, or a row has too few before it.
        """
        rows = np.asarray(X, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != len(self.names):
            raise FeatureSetError(
                f"forecast {self.bundle_id[:12]}: found X of shape {rows.shape}; expected (n, {len(self.names)})"
            )
        ends = np.arange(self.lookback - 1, len(rows)) if at is None else np.asarray(at, dtype=np.int64)
        if ends.size == 0 or ends.min() < self.lookback - 1:
            raise ContractError(
                f"forecast {self.bundle_id[:12]}: found {len(rows)} rows; expected {self.lookback} for each forecast"
            )
        return calibrated(self, self.forecaster.predict(self.scaler.transform(rows), ends))

    def answer(self, window: Floats, *, price: float | None = None) -> dict[str, Any]:
        """The documented answer on the last of these rows of unscaled features (lookback, f); see `Target.answer`."""
        return self.answers(window, price=None if price is None else np.array([price]))[0]

    def answers(self, X: Floats, at: Rows | None = None, *, price: Floats | None = None) -> list[dict[str, Any]]:
        """The documented answer of every row of `at`; `price` (m,) is that of the moment."""
        found = self.predict(X, at)
        if isinstance(self.calibrator, Tempered):
            return [self.target.answer({"probabilities": P}, price=None) for P in found]
        low, high = self.calibrator.interval(found, ALPHA)
        above = self.calibrator.above(found, self.manifest["middle"])
        rows = zip(found.tolist(), low.tolist(), high.tolist(), above.tolist(), strict=True)
        prices = [None] * found.size if price is None else np.asarray(price, dtype=np.float64).tolist()
        return [
            self.target.answer(dict(zip(("value", "low", "high", "above"), row, strict=True)), price=now)
            for row, now in zip(rows, prices, strict=True)
        ]


def calibrated(forecast: Forecast, raw: Floats) -> Floats:
    """What a fitted forecaster says, in units of the target or as calibrated probabilities."""
    if isinstance(forecast.calibrator, Tempered):
        return forecast.calibrator.apply(raw)
    return np.asarray(forecast.center + forecast.scale * raw, dtype=np.float64)


def golden_forecasts(windows: Floats, said: Floats) -> bytes:
    """Windows of unscaled features (m, lookback, f) beside what they must give (m,) or (m, k), as one array of rows."""
    sink = io.BytesIO()
    flat = np.column_stack([windows.reshape(len(windows), -1), said])
    np.save(sink, flat.astype("<f8"), allow_pickle=False)
    return sink.getvalue()


def load_forecast(
    source: Path | Mapping[str, bytes],
    *,
    names: Sequence[str] | None = None,
    fs_id: str | None = None,
    bundle_id: str | None = None,
) -> Forecast:
    """Read and verify a bundle of a forecaster; parameters and errors as for `models.bundle.load_bundle`."""
    files, manifest = open_bundle(source, bundle_id)
    if "target" not in manifest:
        raise BundleError(f"manifest.json: {manifest.get('kind')!r} is a classifier's bundle; open it with load_bundle")
    check_features(manifest["feature_set"], names=names, fs_id=fs_id)
    forecast = _assemble(files, manifest)
    _check_golden(forecast, files[_GOLDEN])
    return forecast


def _assemble(files: Mapping[str, bytes], manifest: Mapping[str, Any]) -> Forecast:
    said = json.loads(files["calibrator.json"])
    causal = files.get("normaliser.json")
    return Forecast(
        bundle_id=manifest["bundle_id"],
        manifest=manifest,
        names=tuple(manifest["feature_set"]["names"]),
        target=target_named(manifest["target"]),
        scaler=Scaler.from_dict(json.loads(files["scaler.json"])),
        forecaster=_forecaster(files, manifest),
        calibrator=Tempered.from_dict(said) if said["kind"] == "tempered" else Residuals.from_dict(said),
        center=float(manifest["center"]),
        scale=float(manifest["scale"]),
        normaliser=None if causal is None else EwmaNormaliser.from_dict(json.loads(causal)),
    )


def _forecaster(files: Mapping[str, bytes], manifest: Mapping[str, Any]) -> Forecaster:
    if "members" in manifest:
        from scalper_ml.forecasters.stack import load_stack  # it loads bundles in turn

        return load_stack(files, manifest)
    kinds = forecaster_kinds()
    if manifest["kind"] not in kinds:
        raise BundleError(
            f"manifest.json: forecaster kind {manifest['kind']!r} is unknown; this version has {', '.join(kinds)}"
        )
    return kinds[manifest["kind"]].load(files)


def _check_golden(forecast: Forecast, data: bytes) -> None:
    golden = np.load(io.BytesIO(data), allow_pickle=False)
    wide = forecast.lookback * len(forecast.names)
    expected = golden[:, wide:]
    for row, wanted in zip(golden[:, :wide], expected, strict=True):
        try:
            said = forecast.predict(row.reshape(forecast.lookback, -1))[0]
        except (ContractError, FeatureSetError) as error:
            raise BundleError(f"{_GOLDEN}: cannot be forecast ({error}); train the model again") from error
        worst = float(np.abs(said - wanted).max() / forecast.scale)
        if not worst <= GOLDEN_TOLERANCE:
            raise BundleError(
                f"{_GOLDEN}: forecasts differ by {worst:.2g} from those sealed; expected at most {GOLDEN_TOLERANCE:g} "
                f"- this machine's {forecast.manifest['kind']} computes differently, train it again"
            )
