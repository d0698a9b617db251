"""What is in a dataset: class balance, statistics of every feature, features too good to be true, what changed."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scalper_ml.clock import iso
from scalper_ml.datasets.drift import DatasetDrift, dataset_drift
from scalper_ml.datasets.splits import walk_forward
from scalper_ml.datasets.summary import class_balance
from scalper_ml.errors import ContractError
from scalper_ml.labels.weights import uniqueness
from scalper_ml.schema import CLASSES, ROLES, us

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["AUC_LIMIT", "FeatureProfile", "Profile", "RoleProfile", "auc", "profile_dataset"]

F64 = NDArray[np.float64]

AUC_LIMIT: Final = 0.10
"""Distance from 0.5 that one feature does not honestly reach on liquid markets at these horizons."""

_NOISE_MULTIPLE: Final = 3.0
_QUANTILES: Final = (0.01, 0.5, 0.99)


@dataclass(frozen=True, slots=True)
class RoleProfile:
    """Rows and class balance of one role or fold; stamps are ISO 8601, None for a role without rows."""

    role: str
    rows: int
    counts: dict[str, int]
    shares: dict[str, float]
    first_t0: str | None
    last_t1: str | None


@dataclass(frozen=True, slots=True)
class FeatureProfile:
    """Statistics of one feature over its finite values; None where there is none to compute.

    ``auc`` is the probability that the feature is larger on an UP row of train than on a DOWN row; ``auc_noise`` the
    st. dev. it would have on a feature that knows nothing, given how labels overlap.
    """

    name: str
    n: int
    nan: int
    mean: float | None
    sd: float | None
    min: float | None
    q01: float | None
    median: float | None
    q99: float | None
    max: float | None
    constant: bool
    auc: float | None
    auc_noise: float | None
    suspicious: bool


@dataclass(frozen=True, slots=True)
class Profile:
    """Profile of a dataset; `features` has the most suspicious first.

    `folds` are the blocks of train that walk-forward tests, `drift` is None for a first version.
    """

    rows: int
    roles: tuple[RoleProfile, ...]
    features: tuple[FeatureProfile, ...]
    auc_limit: float
    folds: tuple[RoleProfile, ...] = ()
    drift: DatasetDrift | None = None

    @property
    def suspicious(self) -> tuple[str, ...]:
        """Names of the features beyond the plausibility limit."""
        return tuple(feature.name for feature in self.features if feature.suspicious)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "rows": self.rows,
            "auc_limit": self.auc_limit,
            "suspicious": list(self.suspicious),
            "nan": sum(feature.nan for feature in self.features),
            "roles": [asdict(role) for role in self.roles],
            "folds": [asdict(fold) for fold in self.folds],
            "drift": None if self.drift is None else self.drift.to_dict(),
            "features": [asdict(feature) for feature in self.features],
        }

    def tables(self, top: int | None = None) -> "list[Table]":
        """The profile for the terminal: roles and folds, the first `top` features (all by default), what moved."""
        from rich.table import Table

        roles = Table("role", "rows", *CLASSES, "first t0", "last t1", title=f"{self.rows:,} label rows")
        for role in (*self.roles, *self.folds):
            shares = [f"{role.shares[name]:.1%}" for name in CLASSES]
            roles.add_row(role.role, f"{role.rows:,}", *shares, role.first_t0 or "-", role.last_t1 or "-")
        heads = ("feature", "n", "NaN", "mean", "sd", "min", "1%", "median", "99%", "max", "AUC", "")
        features = Table(*heads, title="features, most suspicious first (AUC of UP against DOWN on train)")
        for feature in self.features[:top]:
            numbers = (getattr(feature, key) for key in ("mean", "sd", "min", "q01", "median", "q99", "max"))
            note = "suspicious" if feature.suspicious else "constant" if feature.constant else ""
            cells = [_cell(number) for number in numbers]
            auc_cell = "-" if feature.auc is None else f"{feature.auc:.3f}"
            features.add_row(feature.name, f"{feature.n:,}", f"{feature.nan:,}", *cells, auc_cell, note)
        return [roles, features, *([] if self.drift is None else [_drift_table(self.drift, top)])]


def _drift_table(drift: DatasetDrift, top: int | None) -> "Table":
    from rich.table import Table

    shares = ", ".join(f"{name} {drift.shares_before[name]:.1%}" for name in CLASSES)
    title = (
        f"against the version before, {drift.before[:12]}: {drift.rows_before:,} rows, {shares}; class shares moved by "
        f"{drift.prior_drift:.1%}; {len(drift.added)} features added, {len(drift.removed)} removed"
    )
    table = Table("feature", "PSI", "limit", "mean before", "mean now", "", title=title)
    for one in drift.features[:top]:
        note = "moved" if one.moved else ""
        table.add_row(one.name, f"{one.psi:.4f}", f"{one.limit:.4f}", _cell(one.mean_before), _cell(one.mean), note)
    return table


def auc(up: F64, down: F64) -> float:
    """Probability that a value of `up` exceeds one of `down`, ties counting half; exact.

    Parameters
    ----------
    up, down : ndarray, shapes (p,) and (q,)
        Finite values, p, q >= 1.

    Examples
    --------
    >>> auc(np.array([2.0, 3.0]), np.array([1.0, 2.0]))
    0.875
    """
    low = np.sort(down)
    high = np.sort(up)
    wins = int(np.searchsorted(low, high, side="left").sum()) + int(np.searchsorted(low, high, side="right").sum())
    return wins / (2 * up.size * down.size)


def profile_dataset(
    table: pa.Table,
    X: F64,
    names: Sequence[str],
    *,
    auc_limit: float = AUC_LIMIT,
    n_folds: int | None = None,
    before: tuple[Mapping[str, Any], pa.Table] | None = None,
) -> Profile:
    """Profile the rows of a dataset.

    Parameters
    ----------
    table : pyarrow.Table
        DATASET, m rows.
    X : ndarray, shape (m, f)
        Unscaled features of the same rows.
    names : sequence of str
        Feature names, in the order of the columns.
    auc_limit : float
        Distance of the AUC from 0.5 beyond which a feature is suspicious.
    n_folds : int, optional
        Walk-forward folds inside train whose class balance is given.
    before : (mapping, pyarrow.Table), optional
        What is told of the version before, and its histograms; see `dataset_drift`.

    Returns
    -------
    Profile
        Statistics over all rows; the AUC over train rows only. A feature is `suspicious` if its AUC is further than
        `auc_limit` from 0.5 by more than three st. devs of noise.

    Raises
    ------
    ContractError
        Table, matrix and names do not belong together.
    """
    if X.shape != (table.num_rows, len(names)):
        raise ContractError(
            f"profile: features have shape {X.shape}; expected ({table.num_rows}, {len(names)}) - take the rows of "
            "the dataset out of the features first"
        )
    roles = np.asarray(table.column("role").to_pylist(), dtype=np.str_)
    direction = table.column("y_binary").to_numpy()
    up, down = (np.flatnonzero((roles == "train") & (direction == side)) for side in (1, 0))
    overlap = _overlap(table, roles)
    profiles = [_feature(name, X[:, j], up, down, overlap, auc_limit) for j, name in enumerate(names)]
    profiles.sort(key=lambda p: (-abs(p.auc - 0.5) if p.auc is not None else 1.0, p.name))
    by_role = tuple(_role(role, table, np.flatnonzero(roles == role)) for role in (*ROLES, "purged"))
    folds = _folds(table, np.flatnonzero(roles == "train"), n_folds) if n_folds else ()
    shares = class_balance(table.column("y").to_numpy())[1]
    drift = None if before is None else dataset_drift(*before, X, names, shares, overlap)
    return Profile(table.num_rows, by_role, tuple(profiles), auc_limit, folds, drift)


def _folds(table: pa.Table, train: NDArray[np.int64], n_folds: int) -> tuple[RoleProfile, ...]:
    t0, t1 = (us(table[name])[train] for name in ("t0_us", "t1_us"))
    tested = [test for _, test in walk_forward(t0, t1, n_folds=n_folds)]
    return tuple(_role(f"fold {number}", table, train[test]) for number, test in enumerate(tested))


def _role(role: str, table: pa.Table, mine: NDArray[np.int64]) -> RoleProfile:
    counts, shares = class_balance(table.column("y").to_numpy()[mine])
    known = us(table.column("t1_us"))[mine]
    decided = us(table.column("t0_us"))[mine]
    span = (iso(int(decided[0])), iso(int(known.max()))) if known.size else (None, None)
    return RoleProfile(role, int(known.size), counts, shares, *span)


def _overlap(table: pa.Table, roles: NDArray[np.str_]) -> float:
    """Train rows per independent train row, >= 1."""
    train = roles == "train"
    if not train.any():
        return 1.0
    t0, t1 = us(table.column("t0_us"))[train], us(table.column("t1_us"))[train]
    return float(train.sum() / uniqueness(t0, t1, np.unique(np.concatenate([t0, t1]))).sum())


def _feature(
    name: str, column: F64, up: NDArray[np.int64], down: NDArray[np.int64], overlap: float, limit: float
) -> FeatureProfile:
    values = np.ascontiguousarray(column)
    finite = np.isfinite(values)
    score, noise = _score(values[up][finite[up]], values[down][finite[down]], overlap)
    found = values[finite]
    numbers: dict[str, float | None] = dict.fromkeys(("mean", "sd", "min", "q01", "median", "q99", "max"))
    if found.size:
        q01, median, q99 = np.quantile(found, _QUANTILES)
        raw = (found.mean(), found.std(), found.min(), q01, median, q99, found.max())
        numbers = dict(zip(numbers, (float(number) for number in raw), strict=True))
    return FeatureProfile(
        name=name,
        n=int(found.size),
        nan=int(values.size - found.size),
        constant=bool(found.size and found.min() == found.max()),
        auc=score,
        auc_noise=noise,
        suspicious=score is not None and noise is not None and abs(score - 0.5) > limit + _NOISE_MULTIPLE * noise,
        **numbers,
    )


def _score(up: F64, down: F64, overlap: float) -> tuple[float | None, float | None]:
    """AUC and its st. dev. under no relation, widened by the overlap of labels; None without both sides."""
    if not (up.size and down.size):
        return None, None
    noise = float(np.sqrt((up.size + down.size + 1) / (12 * up.size * down.size) * overlap))
    return auc(up, down), noise


def _cell(number: float | None) -> str:
    return "-" if number is None else f"{number:.4g}"
