"""Look-ahead audit: cut off, scale, reverse or erase the future; the past must not change by a bit.

Works on any function of bars, so that a leak can be planted to prove that it is caught.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from scalper_ml.errors import AuditError
from scalper_ml.features.engine import compute
from scalper_ml.features.feeds import FEED_COLUMNS
from scalper_ml.features.registry import FeatureSet
from scalper_ml.features.series import INPUT_COLUMNS

__all__ = ["AuditReport", "Violation", "look_ahead_audit", "truncation_audit", "warmup_audit"]

FeatureFunction = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""``f(inputs (n, k), ts_us (n,)) -> values (n, f)``."""

_SCALED = tuple(
    INPUT_COLUMNS.index(name)
    for name in (
        *("open", "high", "low", "close", "volume", "quote_volume", "buy_volume", "sell_volume", "vwap"),
        *FEED_COLUMNS,
    )
)
_GAP = INPUT_COLUMNS.index("gap")


@dataclass(frozen=True, slots=True)
class Violation:
    """A value of `feature` at `row` that changed when rows after it were changed in the way `kind` says."""

    feature: str
    row: int
    kind: str


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What an audit compared and what it found; `violations` has the first row of each feature and kind."""

    violations: tuple[Violation, ...]
    cuts: tuple[int, ...]
    values_compared: int

    @property
    def ok(self) -> bool:
        """Nothing changed."""
        return not self.violations

    def require(self) -> None:
        """Raise AuditError naming what changed, if anything did."""
        if self.violations:
            found = ", ".join(f"{one.feature} row {one.row} ({one.kind})" for one in self.violations[:5])
            raise AuditError(
                f"look-ahead audit: {len(self.violations)} features changed when only the future did: {found}; "
                f"expected none in {self.values_compared} values - a feature reads rows after its own"
            )


def _erased(X: np.ndarray, cut: int) -> np.ndarray:
    changed = X.copy()
    changed[cut:, [j for j in range(X.shape[1]) if j != _GAP]] = np.nan
    return changed


def _scaled(X: np.ndarray, cut: int) -> np.ndarray:
    changed = X.copy()
    changed[cut:, [column for column in _SCALED if column < changed.shape[1]]] *= 1000.0
    return changed


def _reversed(X: np.ndarray, cut: int) -> np.ndarray:
    changed = X.copy()
    changed[cut:] = changed[cut:][::-1]
    return changed


def look_ahead_audit(
    function: FeatureFunction,
    names: Sequence[str],
    inputs: np.ndarray,
    ts_us: np.ndarray,
    *,
    cuts: int = 8,
    seed: int = 0,
    erase: bool = True,
) -> AuditReport:
    """Compare `function` on the whole input with `function` on inputs whose future was cut off or changed.

    Parameters
    ----------
    function : callable
        ``f(inputs, ts_us) -> values (n, f)``.
    names : sequence of str
        Columns of the values.
    inputs : array (n, len(INPUT_COLUMNS))
    ts_us : int64 array (n,)
    cuts : int
        Number of random rows from which on the future is changed.
    seed : int
    erase : bool
        Also replace the future by NaN; off for functions that refuse such bars.

    Returns
    -------
    AuditReport

    Notes
    -----
    Several kinds are needed: a global minimum survives a reversal, a global rank survives scaling of the extremes.
    """
    n = len(inputs)
    rng = np.random.default_rng(seed)
    at = sorted(rng.choice(np.arange(1, n), size=min(cuts, n - 1), replace=False).tolist())
    whole = function(inputs, ts_us)
    changes = {"future scaled x1000": _scaled, "future reversed": _reversed}
    if erase:
        changes["future NaN"] = _erased
    first: dict[tuple[str, str], int] = {}
    compared = 0
    for cut in at:
        tried = {"truncation": function(inputs[:cut], ts_us[:cut])}
        tried |= {kind: function(change(inputs, cut), ts_us)[:cut] for kind, change in changes.items()}
        for kind, values in tried.items():
            compared += values.size
            differs = _differs(values, whole[:cut])
            for j in np.flatnonzero(differs.any(axis=0)).tolist():
                row = int(np.flatnonzero(differs[:, j])[0])
                key = (names[j], kind)
                first[key] = min(row, first.get(key, row))
    violations = tuple(Violation(name, row, kind) for (name, kind), row in first.items())
    return AuditReport(violations, tuple(at), compared)


def _differs(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    different: np.ndarray = (a != b) & ~(np.isnan(a) & np.isnan(b))
    return different


def truncation_audit(
    fs: FeatureSet, inputs: np.ndarray, ts_us: np.ndarray, *, cuts: int = 8, seed: int = 0
) -> AuditReport:
    """Audit a feature set: truncation, future scaled x1000, future reversed, future NaN.

    Parameters
    ----------
    fs : FeatureSet
    inputs, ts_us
        As for `compute`.
    cuts, seed : int
        As for `look_ahead_audit`.

    Notes
    -----
    Bars whose prices are NaN are refused by the engine, so the NaN kind erases all that may be missing:
    trades, flow, market and feed columns.
    """

    def values(X: np.ndarray, ts: np.ndarray) -> np.ndarray:
        required = [INPUT_COLUMNS.index(name) for name in ("open", "high", "low", "close", "volume", "gap")]
        erased = np.isnan(X[:, 0])
        X = X.copy()
        X[np.ix_(erased, required)] = inputs[: len(X)][np.ix_(erased, required)]
        return compute(fs, X, ts).values

    return look_ahead_audit(values, fs.names, inputs, ts_us, cuts=cuts, seed=seed)


def warmup_audit(
    fs: FeatureSet, inputs: np.ndarray, ts_us: np.ndarray, *, starts: int = 4, seed: int = 0, tolerance: float = 1e-4
) -> AuditReport:
    """Check that a stream started late equals the full history once a column's declared warm-up has passed.

    Parameters
    ----------
    fs : FeatureSet
    inputs, ts_us
        As for `compute`; more than ``fs.warmup`` rows, without resets.
    starts : int
        Random late starts.
    tolerance : float
        Largest difference allowed, as a share of the column's standard deviation (recursive features never
        forget entirely).
    """
    rng = np.random.default_rng(seed)
    whole = compute(fs, inputs, ts_us).values
    scale = np.maximum(np.nanstd(whole[fs.warmup :], axis=0), 1e-12)
    at = sorted(rng.integers(1, max(2, len(inputs) - fs.warmup), size=starts).tolist())
    first: dict[str, int] = {}
    compared = 0
    for start in at:
        late = compute(fs, inputs[start:], ts_us[start:]).values
        off = np.abs(late - whole[start:]) > tolerance * scale
        off |= np.isnan(late) & ~np.isnan(whole[start:]) & (np.arange(len(late))[:, None] >= fs.warmups)
        compared += late.size
        for j in np.flatnonzero(off.any(axis=0)).tolist():
            row = start + int(np.flatnonzero(off[:, j])[0])
            first[fs.names[j]] = min(row, first.get(fs.names[j], row))
    violations = tuple(Violation(name, row, "warm-up") for name, row in first.items())
    return AuditReport(violations, tuple(at), compared)
