"""Proof that a label depends on nothing after its own outcome: change the future, labels must stay to the last bit."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalper_ml.errors import AuditError
from scalper_ml.labels.horizon import Labels, horizon_labels

__all__ = ["LabelAudit", "LabelViolation", "label_truncation_audit"]

_FIELDS = ("t0", "t1", "ret", "entry", "exit", "deadband", "cost", "sigma", "y", "y_binary")
_Bars = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class LabelViolation:
    """A label known by `cut_us` whose `field` changed when only later bars changed (``row``: gained or lost it)."""

    kind: str
    cut_us: int
    row: int
    field: str


@dataclass(frozen=True, slots=True)
class LabelAudit:
    """Outcome of an audit: number of labels compared, and what changed."""

    compared: int
    violations: tuple[LabelViolation, ...]

    @property
    def ok(self) -> bool:
        """True if no label changed."""
        return not self.violations

    def require(self) -> None:
        """Raise AuditError, naming the first violation, unless the audit is ok."""
        if self.violations:
            first = self.violations[0]
            raise AuditError(
                f"labels: {len(self.violations)} values changed when only the future changed; first: {first.field!r} "
                f"of row {first.row} under {first.kind!r} after {first.cut_us} - the label looks beyond its own t1"
            )


def label_truncation_audit(
    open: ArrayLike,
    open_ts_us: ArrayLike,
    ts_us: ArrayLike,
    *,
    sigma: ArrayLike,
    cost: ArrayLike,
    cuts: int = 5,
    seed: int = 0,
    label: Callable[..., Labels] = horizon_labels,
    **params: Any,
) -> LabelAudit:
    """Label again with the bars after random cuts removed, scaled, reversed and thinned, and compare.

    Parameters
    ----------
    open, open_ts_us, ts_us, sigma, cost
        As in `horizon_labels`.
    cuts : int
        Number of bars after which the future is changed, drawn without repetition.
    seed : int
        Seed of the draw.
    label : callable
        The labeller under audit, called like `horizon_labels`.
    **params
        The other keywords of the labeller.

    Returns
    -------
    LabelAudit
        Every label with ``t1 <= cut`` is compared bit by bit, in both directions: none may change, vanish or appear.
    """
    close = np.asarray(ts_us, dtype=np.int64)
    bars: _Bars = (
        np.asarray(open, dtype=np.float64),
        np.asarray(open_ts_us, dtype=np.int64),
        close,
        np.asarray(sigma, dtype=np.float64),
        np.broadcast_to(np.asarray(cost, dtype=np.float64), close.shape),
    )

    def labelled(bars: _Bars) -> Labels:
        price, start, stop, vol, charge = bars
        return label(price, start, stop, sigma=vol, cost=charge, **params)

    base = labelled(bars)
    draw = np.random.default_rng(seed).choice(close.size, size=min(cuts, close.size), replace=False)
    compared = 0
    violations: list[LabelViolation] = []
    for last in np.sort(draw):
        cut_us = int(close[last])
        for kind, changed in _futures(bars, int(last) + 1):
            compared += int(np.count_nonzero(base.t1 <= cut_us))
            violations.extend(_differences(kind, cut_us, base, labelled(changed)))
    return LabelAudit(compared, tuple(violations))


def _futures(bars: _Bars, past: int) -> Iterator[tuple[str, _Bars]]:
    """The same `past` bars, followed by nothing, or by another future."""
    price, start, close, vol, charge = bars
    yield "truncated", (price[:past], start[:past], close[:past], vol[:past], charge[:past])

    def after(values: NDArray[np.float64], change: Callable[[NDArray[np.float64]], Any]) -> NDArray[np.float64]:
        return np.concatenate([values[:past], change(values[past:])])

    yield (
        "scaled x1000",
        (
            after(price, lambda v: v * 1000),
            start,
            close,
            after(vol, lambda v: v * 1000),
            after(charge, lambda v: v * 1000),
        ),
    )
    yield "reversed", (after(price, np.flip), start, close, after(vol, np.flip), after(charge, np.flip))
    keep = np.concatenate([np.arange(past), np.arange(past + 1, close.size, 2)])
    yield "every other bar missing", (price[keep], start[keep], close[keep], vol[keep], charge[keep])


def _differences(kind: str, cut_us: int, base: Labels, other: Labels) -> Iterator[LabelViolation]:
    mine, theirs = np.flatnonzero(base.t1 <= cut_us), np.flatnonzero(other.t1 <= cut_us)
    common = base.row[mine]
    if not np.array_equal(common, other.row[theirs]):
        for row in np.setxor1d(common, other.row[theirs]):
            yield LabelViolation(kind, cut_us, int(row), "row")
        common, left, right = np.intersect1d(common, other.row[theirs], return_indices=True)
        mine, theirs = mine[left], theirs[right]
    for field in _FIELDS:
        for row in common[getattr(base, field)[mine] != getattr(other, field)[theirs]]:
            yield LabelViolation(kind, cut_us, int(row), field)
