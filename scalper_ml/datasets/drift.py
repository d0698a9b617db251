"""What changed from one version of a dataset to the next: class shares, and how far each feature has moved."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import chdtri

from scalper_ml.features.histograms import bin_counts
from scalper_ml.schema import CLASSES

__all__ = ["PSI_LIMIT", "DatasetDrift", "FeatureDrift", "dataset_drift", "psi"]

F64 = NDArray[np.float64]

PSI_LIMIT: Final = 0.1
"""Population stability index below which a move is not worth a look, however many rows show it."""

_NULL: Final = 0.01
_LEAST_SHARE: Final = 1e-4


@dataclass(frozen=True, slots=True)
class FeatureDrift:
    """How far a feature has moved: `psi` over the bins of the version before, and what chance alone reaches."""

    name: str
    psi: float
    limit: float
    mean_before: float | None
    mean: float | None

    @property
    def moved(self) -> bool:
        """Whether it moved further than chance, and far enough to matter."""
        return self.psi > self.limit


@dataclass(frozen=True, slots=True)
class DatasetDrift:
    """A dataset beside its version before; `features` has what moved furthest first."""

    before: str
    rows_before: int
    shares_before: dict[str, float]
    prior_drift: float
    features: tuple[FeatureDrift, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]

    @property
    def moved(self) -> tuple[str, ...]:
        """Names of the features that moved."""
        return tuple(feature.name for feature in self.features if feature.moved)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "moved": list(self.moved)}


def psi(before: Sequence[int] | NDArray[np.int64], now: Sequence[int] | NDArray[np.int64]) -> float:
    """Population stability index of two histograms over the same bins: ``sum (q - p) ln(q / p)``.

    Shares below 1e-4 count as 1e-4. It is 0 for equal shares and has no upper end.

    Examples
    --------
    >>> psi([50, 50], [500, 500]), round(psi([50, 50], [60, 40]), 4)
    (0.0, 0.0405)
    """
    p, q = (np.maximum(np.asarray(counts) / max(np.sum(counts), 1), _LEAST_SHARE) for counts in (before, now))
    return float(np.sum((q - p) * np.log(q / p)))


def dataset_drift(
    told: Mapping[str, Any], reference: pa.Table, X: F64, names: Sequence[str], shares: Mapping[str, float],
    overlap: float,
) -> DatasetDrift:  # fmt: skip
    """Compare a dataset with its version before.

    Parameters
    ----------
    told : mapping
        ``content``, ``rows`` and ``class_shares`` of the version before.
    reference : pyarrow.Table
        Its `scalper_ml.features.histograms.REFERENCE`.
    X : ndarray, shape (m, f)
        Unscaled features now.
    names : sequence of str
        Of the columns.
    shares : mapping
        Class shares now.
    overlap : float
        Label rows per independent one, >= 1: chance is judged by so many fewer rows.

    Notes
    -----
    The limit is the larger of `PSI_LIMIT` and the 99 % quantile of PSI between samples of one law,
    ``(1/n + 1/m) chi2(bins - 1)`` with independent rows n and m. Features that remember longer than labels overlap move
    further by chance than that: a move is a question, not a verdict.
    """
    known = {row["feature"]: row for row in reference.to_pylist()}
    moved = []
    for j, name in enumerate(names):
        if name in known and known[name]["rows"]:
            moved.append(_feature(known[name], np.ascontiguousarray(X[:, j]), name, overlap))
    moved.sort(key=lambda one: (one.limit - one.psi, one.name))
    before = {name: float(told["class_shares"][name]) for name in CLASSES}
    return DatasetDrift(
        before=str(told["content"]),
        rows_before=int(told["rows"]),
        shares_before=before,
        prior_drift=sum(abs(shares[name] - before[name]) for name in CLASSES) / 2,
        features=tuple(moved),
        added=tuple(name for name in names if name not in known),
        removed=tuple(name for name in known if name not in set(names)),
    )


def _feature(then: Mapping[str, Any], column: F64, name: str, overlap: float) -> FeatureDrift:
    found = column[np.isfinite(column)]
    counts = bin_counts(then["edges"], found)
    bins = len(counts)
    independent = 1 / max(then["rows"] / overlap, 1) + 1 / max(found.size / overlap, 1)
    chance = float(chdtri(bins - 1, _NULL)) * independent if bins > 1 else 0.0
    mean = float(found.mean()) if found.size else None
    return FeatureDrift(name, psi(then["counts"], counts), max(PSI_LIMIT, chance), then["mean"], mean)
