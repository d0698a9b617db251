"""How far features have moved from what a model was trained on, against what chance alone does to them.

Features are autocorrelated: limits for independent rows alarm on nearly every window. So each feature's limit is
measured on its own past, by windows of the reference held against the rest of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri, kolmogi

from scalper_ml.errors import ContractError, InsufficientDataError

__all__ = ["FeatureMonitor", "InputReference", "Moved", "fit_inputs", "ks", "psi"]

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

BINS: Final = 10
GRID: Final = 250  # quantiles that the distribution functions are compared at; a multiple of BINS
EPSILON: Final = 1e-4
EFFECT: Final = 0.1  # PSI below which a move is not worth a look
QUANTILE: Final = 0.995
WINDOWS: Final = 500


def psi(p: F64, q: F64) -> F64:
    """Population stability index of bin shares p (..., b) and q (..., b): ``sum (q - p) ln(q / p)``.

    Shares below 1e-4 count as 1e-4.

    Examples
    --------
    >>> round(float(psi(np.array([0.5, 0.5]), np.array([0.6, 0.4]))), 4)
    0.0405
    """
    p, q = np.maximum(p, EPSILON), np.maximum(q, EPSILON)
    return np.asarray(np.sum((q - p) * np.log(q / p), axis=-1))


def ks(p: F64, q: F64) -> F64:
    """Largest distance of two distribution functions at the edges of their bins, from shares (..., b).

    Examples
    --------
    >>> round(float(ks(np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5]))), 4)
    0.3
    """
    return np.asarray(np.abs(np.cumsum(p, axis=-1) - np.cumsum(q, axis=-1)).max(axis=-1))


@dataclass(frozen=True, slots=True)
class InputReference:
    """One feature of the reference: fine inner edges with their counts, which of them bound the ten bins, its limits.

    Parameters
    ----------
    edges : (k,)
        Inner edges, rising; bin j holds ``edges[j - 1] < x <= edges[j]``.
    counts : (k + 1,)
    deciles : (d,)
        Positions in `edges` of the bounds of the PSI bins.
    psi_limit, ks_limit : float
        Beyond them a window has moved.
    """

    name: str
    edges: F64
    counts: I64
    deciles: I64
    psi_limit: float
    ks_limit: float

    def distances(self, counts: I64) -> tuple[float, float]:
        """PSI and KS of a window with these counts (k + 1,)."""
        p, q = (one / max(int(one.sum()), 1) for one in (self.counts, counts))
        starts = np.concatenate(([0], self.deciles + 1))
        return float(psi(np.add.reduceat(p, starts), np.add.reduceat(q, starts))), float(ks(p, q))

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        lists = {name: getattr(self, name).tolist() for name in ("edges", "counts", "deciles")}
        return {"name": self.name, "psi_limit": self.psi_limit, "ks_limit": self.ks_limit, **lists}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "InputReference":
        """From `to_dict`."""
        edges = np.array(values["edges"], dtype=np.float64)
        counts, deciles = (np.array(values[name], dtype=np.int64) for name in ("counts", "deciles"))
        return cls(values["name"], edges, counts, deciles, values["psi_limit"], values["ks_limit"])


@dataclass(frozen=True, slots=True)
class Moved:
    """A feature of a window: its distances beside its limits."""

    name: str
    psi: float
    psi_limit: float
    ks: float
    ks_limit: float

    @property
    def beyond(self) -> bool:
        """Beyond the limit of its PSI."""
        return self.psi > self.psi_limit


def fit_inputs(X: F64, names: Sequence[str], *, window: int, seed: int) -> list[InputReference]:
    """Reference of every feature, with limits calibrated on windows of the reference itself.

    Parameters
    ----------
    X : (n, f)
        Reference rows in time order, finite.
    names : sequence of str
        Of the columns.
    window : int
        Rows of the windows that will be held against it, at most a quarter of the reference.
    seed : int
        Of where the 500 contiguous windows lie.

    Raises
    ------
    InsufficientDataError
        Fewer than four windows of rows.
    ContractError
        A value is not finite.

    Notes
    -----
    A limit is the largest of: the 99.5 % quantile over 500 random windows held against the rest of the reference; the
    99.5 % point of the statistic under its theory, with rows counted as ``n (1 - phi) / (1 + phi)``, where phi is the
    feature's autocorrelation at lag 1; and, for PSI, .1. The second is needed where a reference holds few windows that
    share nothing: their quantile then knows less than 99.5 % of what chance does.
    """
    n, f = X.shape
    if f != len(names) or not np.isfinite(X).all():
        raise ContractError(f"drift of inputs: found {X.shape} for {len(names)} names, or values that are not finite")
    if n < 4 * window:
        raise InsufficientDataError(f"drift of inputs: {n} reference rows; windows of {window} need {4 * window}")
    starts = np.random.default_rng(seed).integers(0, n - window + 1, WINDOWS)
    return [_fit(np.ascontiguousarray(X[:, j]), name, starts, window) for j, name in enumerate(names)]


def _fit(column: F64, name: str, starts: I64, window: int) -> InputReference:
    quantiles = np.quantile(column, np.arange(1, GRID) / GRID, method="inverted_cdf")
    edges = np.unique(quantiles)
    edges = edges[edges < column.max()]
    deciles = np.unique(quantiles[GRID // BINS - 1 :: GRID // BINS])
    deciles = np.searchsorted(edges, deciles[deciles < column.max()])
    codes = np.searchsorted(edges, column, side="left")
    bins = edges.size + 1
    total = np.bincount(codes, minlength=bins)
    rows = codes[starts[:, None] + np.arange(window)] + np.arange(starts.size)[:, None] * bins
    own = np.bincount(rows.ravel(), minlength=starts.size * bins).reshape(starts.size, bins)
    rest = (total - own) / (column.size - window)
    cuts = np.concatenate(([0], deciles + 1))
    q = own / window
    by_chance = psi(np.add.reduceat(rest, cuts, axis=1), np.add.reduceat(q, cuts, axis=1))
    psi_theory, ks_theory = _theory(column, window, cuts.size)
    return InputReference(
        name,
        edges,
        total.astype(np.int64),
        deciles.astype(np.int64),
        float(max(EFFECT, np.quantile(by_chance, QUANTILE), psi_theory)),
        float(max(np.quantile(ks(rest, q), QUANTILE), ks_theory)),
    )


def _theory(column: F64, window: int, bins: int) -> tuple[float, float]:
    """99.5 % points of PSI and KS between samples of one law, by effective rows."""
    centred = column - column.mean()
    power = float(np.dot(centred, centred))
    phi = float(np.dot(centred[1:], centred[:-1])) / power if power > 0 else 0.0
    share = (1.0 - min(max(phi, 0.0), 0.9999)) / (1.0 + min(max(phi, 0.0), 0.9999))
    independent = 1.0 / max(window * share, 1.0) + 1.0 / max(column.size * share, 1.0)
    chance = 1.0 - QUANTILE
    psi_point = float(chdtri(bins - 1, chance)) * independent if bins > 1 else 0.0
    return psi_point, min(1.0, float(kolmogi(chance)) * float(np.sqrt(independent)))


class FeatureMonitor:
    """Counts the newest rows of every feature and holds them against the reference.

    Parameters
    ----------
    references : sequence of InputReference
    window : int
        Rows that count.
    state : (m, f) array, optional
        From `state`.

    Notes
    -----
    A row is kept as the number of its bin, so that what comes out are whole numbers: cutting the stream anywhere gives
    the same bits.
    """

    def __init__(self, references: Sequence[InputReference], window: int, state: NDArray[np.int64] | None = None):
        self.references = list(references)
        self.window = window
        self._rows = np.zeros((0, len(self.references)), np.int64) if state is None else np.asarray(state, np.int64)

    def update(self, X: F64) -> None:
        """Take rows (m, f) in time order, finite."""
        if X.ndim != 2 or X.shape[1] != len(self.references) or not np.isfinite(X).all():
            raise ContractError(
                f"drift of inputs: found rows of shape {X.shape}, or values that are not finite; expected finite ones "
                f"of {len(self.references)} features"
            )
        newest = X[-self.window :]
        codes = [np.searchsorted(one.edges, newest[:, j], side="left") for j, one in enumerate(self.references)]
        coded = np.column_stack(codes).astype(np.int64) if codes else np.zeros((len(newest), 0), np.int64)
        self._rows = np.concatenate([self._rows, coded])[-self.window :]

    @property
    def full(self) -> bool:
        """Whether the window holds all its rows: before that nothing is told."""
        return len(self._rows) == self.window

    def moved(self) -> list[Moved]:
        """Every feature's distances and limits; none before the window is full."""
        if not self.full:
            return []
        found = []
        for j, one in enumerate(self.references):
            distance = one.distances(np.bincount(self._rows[:, j], minlength=one.counts.size))
            found.append(Moved(one.name, distance[0], one.psi_limit, distance[1], one.ks_limit))
        return found

    def state(self) -> NDArray[np.int64]:
        """Rows of bin numbers (m, f), the oldest first."""
        return self._rows.copy()
