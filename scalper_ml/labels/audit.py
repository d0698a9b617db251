"""Proof that a label depends on nothing after its own outcome: change the future, labels must stay to the last bit."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from scalper_ml.errors import AuditError

__all__ = ["LabelAudit", "LabelViolation", "Labelled", "Stream", "Streams", "label_audit"]

I64 = NDArray[np.int64]


class Labelled(Protocol):
    """What every labeller returns: a dataclass of arrays (m,), the bars labelled and their intervals among them."""

    @property
    def row(self) -> I64:
        """Signal bars, ascending."""

    @property
    def t1(self) -> I64:
        """When each outcome was known, microseconds."""


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """Rows that become known one after the other: bars, trades or quotes.

    ``known_us`` (n,) ascending, microseconds; ``columns`` arrays (n,) by name. Another future changes columns of
    floats and leaves stamps and sides as they are.
    """

    known_us: I64
    columns: Mapping[str, NDArray[Any]]


Streams = Mapping[str, Stream]


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


def label_audit(
    streams: Streams, label: Callable[[Streams, int], Labelled], *, cuts: int = 5, seed: int = 0
) -> LabelAudit:
    """Label again with everything after random cuts removed, scaled, reversed and thinned, and compare.

    Parameters
    ----------
    streams : mapping of str to Stream
        All that the labeller sees, each by the time it became known; ``bars`` is what is labelled.
    label : callable
        ``label(streams, until_us)``: the labels of these streams, recorded until that moment.
    cuts : int
        Number of closes of bars after which the future is changed, drawn without repetition.
    seed : int
        Seed of the draw.

    Returns
    -------
    LabelAudit
        Every label with ``t1 <= cut`` is compared bit by bit in every array it has, in both directions: none may
        change, vanish or appear.

    Examples
    --------
    >>> ts, price = np.arange(10, 60, 10), np.array([1.0, 2.0, 3.0, 2.0, 4.0])
    >>> def next_close(streams, until_us):
    ...     known, close = streams["bars"].known_us, streams["bars"].columns["close"]
    ...     rows = np.arange(known.size - 1)
    ...     return Tiny(rows, known[1:], close[1:])
    >>> @dataclass
    ... class Tiny:
    ...     row: object
    ...     t1: object
    ...     price: object
    >>> bars = {"bars": Stream(ts, {"close": price})}
    >>> label_audit(bars, next_close).ok
    True
    >>> def peeks(streams, until_us):
    ...     labels = next_close(streams, until_us)
    ...     return Tiny(labels.row, labels.t1 - 10, labels.price)
    >>> label_audit(bars, peeks).ok
    False
    """
    close = streams["bars"].known_us
    end_us = max(int(one.known_us[-1]) for one in streams.values() if one.known_us.size)
    base = label(streams, end_us)
    draw = np.random.default_rng(seed).choice(close.size, size=min(cuts, close.size), replace=False)
    compared = 0
    violations: list[LabelViolation] = []
    for cut_us in np.sort(close[draw]).tolist():
        for kind, changed in _futures(streams, cut_us):
            compared += int(np.count_nonzero(base.t1 <= cut_us))
            other = label(changed, cut_us if kind == "truncated" else end_us)
            violations.extend(_differences(kind, cut_us, base, other))
    return LabelAudit(compared, tuple(violations))


def _futures(streams: Streams, cut_us: int) -> Iterator[tuple[str, Streams]]:
    """The same past, followed by nothing, or by another future."""
    past = {name: int(np.searchsorted(one.known_us, cut_us, side="right")) for name, one in streams.items()}

    def keep(rows: Callable[[int, int], I64]) -> Streams:
        kept = {name: rows(past[name], one.known_us.size) for name, one in streams.items()}
        return {
            name: Stream(one.known_us[kept[name]], {key: column[kept[name]] for key, column in one.columns.items()})
            for name, one in streams.items()
        }

    def change(how: Callable[[NDArray[Any]], NDArray[Any]]) -> Streams:
        return {
            name: Stream(one.known_us, {key: _changed(column, past[name], how) for key, column in one.columns.items()})
            for name, one in streams.items()
        }

    yield "truncated", keep(lambda begin, n: np.arange(begin))
    yield "scaled x1000", change(lambda later: later * 1000)
    yield "reversed", change(np.flip)
    yield (
        "every other row missing",
        keep(lambda begin, n: np.concatenate([np.arange(begin), np.arange(begin + 1, n, 2)])),
    )


def _changed(column: NDArray[Any], begin: int, how: Callable[[NDArray[Any]], NDArray[Any]]) -> NDArray[Any]:
    if column.dtype.kind != "f":
        return column
    return np.concatenate([column[:begin], how(column[begin:])])


def _differences(kind: str, cut_us: int, base: Labelled, other: Labelled) -> Iterator[LabelViolation]:
    mine, theirs = np.flatnonzero(base.t1 <= cut_us), np.flatnonzero(other.t1 <= cut_us)
    common = base.row[mine]
    if not np.array_equal(common, other.row[theirs]):
        for row in np.setxor1d(common, other.row[theirs]):
            yield LabelViolation(kind, cut_us, int(row), "row")
        common, left, right = np.intersect1d(common, other.row[theirs], return_indices=True)
        mine, theirs = mine[left], theirs[right]
    for field in fields(base):  # type: ignore[arg-type]
        values, others = getattr(base, field.name), getattr(other, field.name)
        if isinstance(values, np.ndarray):
            for row in common[values[mine] != others[theirs]]:
                yield LabelViolation(kind, cut_us, int(row), field.name)
