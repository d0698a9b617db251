"""What a manifest says about a model: calibration, importance, SHAP, intervals, versions, predictions."""

import importlib
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import pyarrow as pa

from scalper_ml.models.base import Classifier, Floats
from scalper_ml.models.calibration import MAX_TEMPERATURE, Temperature, prior_shift
from scalper_ml.models.calibrators import LEAST_ROWS, Calibrator
from scalper_ml.models.conformal import ConformalSets, followed_coverage
from scalper_ml.models.fitting import OutOfFold, Rows, TrainingData
from scalper_ml.schema import CLASSES, PREDICTIONS, ROLES, stamps
from scalper_ml.validation.calibration_error import ece, noise_floor
from scalper_ml.validation.metrics import base_rates, log_loss

__all__ = [
    "calibration_report",
    "calibration_warnings",
    "conformal_report",
    "importance_ranking",
    "library_versions",
    "predictions_table",
    "role_intervals",
    "shap_summary",
    "spread",
]

_TOP = 30
_SHIFT = 3.0  # standard errors


def calibration_report(raw: Floats, y: Rows, calibrator: Calibrator, *, horizon: int, seed: int) -> dict[str, Any]:
    """Log loss and calibration error on the calibrate role before and after, and how far class shares moved."""
    temperature = calibrator.value if isinstance(calibrator, Temperature) else None
    report: dict[str, Any] = {
        "method": calibrator.to_dict()["kind"],
        "temperature": temperature,
        "at_bound": temperature == MAX_TEMPERATURE,
        "n_eff": y.size / horizon,
    }
    for name, P in (("before", raw), ("after", calibrator.apply(raw))):
        top = P.max(axis=1)
        report[name] = {
            "log_loss": log_loss(y, P),
            "ece": ece(top, P.argmax(axis=1) == y),
            "ece_floor": noise_floor(top, horizon=horizon, seed=seed),
        }
    report["base_log_loss"] = log_loss(y, np.asarray(calibrator.prior))
    report["prior_shift"] = prior_shift(calibrator.prior, base_rates(y), y.size / horizon)
    return report


def calibration_warnings(report: Mapping[str, Any]) -> list[str]:
    """What in a calibration report a reader should know before trusting the probabilities."""
    found = []
    if report["at_bound"]:
        found.append(
            "no skill on the calibrate role: the temperature is at its bound, probabilities are about the base rates"
        )
    if report["n_eff"] < LEAST_ROWS["temperature"]:
        found.append(
            f"calibrated on {report['n_eff']:,.0f} effective rows; expected {LEAST_ROWS['temperature']} or more: "
            "the temperature is uncertain"
        )
    if report["prior_shift"]["max_z"] > _SHIFT:
        found.append(
            f"class shares moved by {report['prior_shift']['max_z']:.1f} standard errors from train to calibrate: "
            f"{_percent(report['prior_shift']['train'])} to {_percent(report['prior_shift']['calibrate'])}"
        )
    return found


def conformal_report(sets: ConformalSets, P: Floats, y: Rows, alpha: float, *, horizon: int = 1) -> dict[str, Any]:
    """How often the sets hold the outcome on the rows given, how large they are, how often they name one class.

    ``following``: the same of sets whose level follows the outcomes as they become known.
    """
    members = sets.of(P, alpha)
    size = members.sum(axis=1)
    return {
        "alpha": alpha,
        "threshold": sets.threshold(alpha) if sets.threshold(alpha) < 1 else 1.0,
        "coverage": float(members[np.arange(y.size), y].mean()),
        "mean_size": float(size.mean()),
        "singletons": float((size == 1).mean()),
        "following": followed_coverage(sets, P, y, horizon=horizon, alpha=alpha),
    }


def importance_ranking(names: Sequence[str], gain: Floats) -> dict[str, Any]:
    """Share of total gain by feature: ``top``, at most 30 with any, and ``all`` in the order of the features."""
    order = np.argsort(-gain, kind="stable")[:_TOP]
    return {
        "measure": "share of total gain",
        "top": [{"feature": names[j], "gain": float(gain[j])} for j in order if gain[j] > 0],
        "all": {name: float(value) for name, value in zip(names, gain, strict=True)},
    }


def shap_summary(model: Classifier, X_scaled: Floats, names: Sequence[str]) -> dict[str, Any]:
    """Mean absolute TreeSHAP contribution by feature and class, in log-odds, over the rows given."""
    size = np.abs(model.contributions(X_scaled)).mean(axis=0)
    total = size.sum(axis=0)
    order = np.argsort(-total, kind="stable")[:_TOP]
    return {
        "rows": int(X_scaled.shape[0]),
        "unit": "mean |contribution| to the log-odds",
        "top": [names[j] for j in order if total[j] > 0],
        "all": {
            name: dict(zip(CLASSES, (float(v) for v in column), strict=True))
            for name, column in zip(names, size.T, strict=True)
        },
    }


def role_intervals(data: TrainingData) -> dict[str, dict[str, int]]:
    """Rows, first decision and last known outcome of each role, microseconds."""
    return {
        role: {"rows": int(rows.size), "t0_us": int(data.t0[rows].min()), "t1_us": int(data.t1[rows].max())}
        for role in ROLES
        for rows in (data.every(role),)
    }


def library_versions(libraries: Sequence[str]) -> dict[str, str]:
    """Versions of Python, this package and the libraries that made the numbers."""
    modules = {name: str(importlib.import_module(name).__version__) for name in ("numpy", "scipy", *libraries)}
    return {
        "python": platform.python_version(),
        "scalper-ml": version("scalper-ml"),
        "pyarrow": pa.__version__,
    } | modules


def predictions_table(data: TrainingData, oof: OutOfFold, calibrated: Mapping[str, Floats]) -> pa.Table:
    """PREDICTIONS in time order: raw out-of-fold rows of train, then the final model's calibrated ones."""
    roles = list(calibrated)
    rows = np.concatenate([oof.rows, *(data.every(role) for role in roles)])
    fold = np.concatenate([oof.fold, *(np.full(len(calibrated[role]), -1) for role in roles)])
    P = np.concatenate([oof.P, *calibrated.values()])
    columns = [stamps(data.ts[rows]), pa.array(data.role[rows].tolist()), pa.array(fold.astype(np.int32))]
    return pa.table([*columns, *(pa.array(P[:, code]) for code in range(3))], schema=PREDICTIONS)


def spread(rows: Rows, at_most: int) -> Rows:
    """Up to `at_most` of `rows`, evenly spaced, the first and last among them.

    Examples
    --------
    >>> spread(np.arange(10), 4).tolist()
    [0, 3, 6, 9]
    """
    if rows.size <= at_most:
        return rows
    return rows[np.arange(at_most) * (rows.size - 1) // max(at_most - 1, 1)]


def _percent(shares: Sequence[float]) -> str:
    return "/".join(f"{100 * share:.1f}" for share in shares) + " %"
