"""Bars of our own against klines of the venue: the same bars, or where they part."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from scalper_ml.errors import ContractError
from scalper_ml.schema import BARS, conform, us

__all__ = ["COMPARED", "BarDifference", "ColumnDifference", "Reconciliation", "reconcile"]

EXACT: Final = ("open", "high", "low", "close", "trades", "buy_trades")
SUMS: Final = ("volume", "buy_volume", "sell_volume", "quote_volume", "vwap")
COMPARED: Final = (*EXACT, *SUMS)
"""Columns that are compared; ids are no part of klines, and `gap` follows from which bars there are."""

_ROUNDING: Final = 2.0**-53


@dataclass(frozen=True, slots=True)
class ColumnDifference:
    """One column over the bars in both tables.

    ``compared`` bars have a value on both sides, in ``differing`` of them the values are further apart than allowed.
    ``max_abs`` and ``max_rel`` are the greatest differences of all, allowed ones too; 0 where nothing was compared.
    """

    column: str
    compared: int
    differing: int
    max_abs: float
    max_rel: float


@dataclass(frozen=True, slots=True)
class BarDifference:
    """One value that is not the same: the bar by its start, the column, and both values."""

    open_ts_us: int
    column: str
    own: float
    klines: float


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What `reconcile` found; stamps are starts of bars in microseconds.

    ``both`` bars are in both tables. ``only_own`` and ``only_klines`` are the bars of one table that the other lacks
    although it covers their time; ``outside`` counts the bars before or after the other table, which are not judged.
    ``first_only_own``, ``first_only_klines`` and ``examples`` hold the first few.
    """

    both: int
    only_own: int
    only_klines: int
    outside: int
    columns: tuple[ColumnDifference, ...]
    first_only_own: tuple[int, ...]
    first_only_klines: tuple[int, ...]
    examples: tuple[BarDifference, ...]

    @property
    def ok(self) -> bool:
        """Whether there are bars in both tables, none in one only, and no value differs."""
        differing = sum(column.differing for column in self.columns)
        return self.both > 0 and not (self.only_own or self.only_klines or differing)


def reconcile(
    own: pa.Table, klines: pa.Table, *, skip: Collection[str] = (), quote_step: float = 1e-8, examples: int = 5
) -> Reconciliation:
    """Compare time bars built from trades with the venue's klines of the same interval.

    Parameters
    ----------
    own, klines : pyarrow.Table
        Schema `BARS`, in time order, of one interval.
    skip : collection of str, optional
        Columns of `COMPARED` to leave out: ``trades`` where the ticks are aggregated, since a venue counts every fill.
    quote_step : float, default 1e-8
        The step, in quote units, to which the venue rounds the money of one trade.
    examples : int, default 5
        How many bars and values to name.

    Returns
    -------
    Reconciliation

    Raises
    ------
    ContractError
        A table breaks its schema, repeats or does not sort its bars; bars that start together end apart (another
        interval); or `skip` names no compared column.

    Notes
    -----
    Prices and counts must be equal. Sums may differ by what floating-point addition of n trades can lose,
    ``(n + 4) 2**-53`` of the bar's volume (Higham 2002, section 4.2; the four are the roundings of price, quantity,
    their product and the venue's own figure); n is the greater trade count of the two. Quote volume may differ by
    `quote_step` for each trade besides, and vwap by the relative error of its two sums. Where either side has no
    value, nothing is compared.

    References
    ----------
    N. J. Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd edition, SIAM 2002.

    Examples
    --------
    >>> from scalper_ml.bars.builder import BarBuilder
    >>> builder = BarBuilder(60_000_000)
    >>> builder.push_one(0, 100.0, 1.0, 1)
    >>> bars = builder.finish()
    >>> found = reconcile(bars, bars)
    >>> found.ok, found.both, found.only_klines
    (True, 1, 0)
    """
    if unknown := sorted(set(skip) - set(COMPARED)):
        raise ContractError(f"reconcile: skip names {unknown}; expected columns of {list(COMPARED)}")
    own, klines = conform(own, BARS, "own bars"), conform(klines, BARS, "klines")
    own_start, klines_start = _starts(own, "own bars"), _starts(klines, "klines")
    start, own_at, klines_at = np.intersect1d(own_start, klines_start, assume_unique=True, return_indices=True)
    own_alone, own_outside = _alone(own_start, klines_start)
    klines_alone, klines_outside = _alone(klines_start, own_start)
    one, other = own.take(pa.array(own_at)), klines.take(pa.array(klines_at))
    apart = np.flatnonzero(us(one.column("ts_us")) != us(other.column("ts_us")))
    if apart.size:
        raise ContractError(
            f"reconcile: the bars that start at {start[apart[0]]} us end at {us(one.column('ts_us'))[apart[0]]} us and "
            f"{us(other.column('ts_us'))[apart[0]]} us; expected bars of one interval - resample the shorter ones"
        )
    columns, differences = [], []
    for name in (name for name in COMPARED if name not in skip):
        mine, theirs = _values(one, name), _values(other, name)
        column, differing = _compared(name, mine, theirs, _allowed(name, one, other, quote_step))
        columns.append(column)
        differences += [
            BarDifference(int(start[i]), name, mine[i].item(), theirs[i].item()) for i in differing[:examples]
        ]
    differences.sort(key=lambda difference: difference.open_ts_us)
    return Reconciliation(
        both=len(start),
        only_own=len(own_alone),
        only_klines=len(klines_alone),
        outside=own_outside + klines_outside,
        columns=tuple(columns),
        first_only_own=tuple(own_alone[:examples].tolist()),
        first_only_klines=tuple(klines_alone[:examples].tolist()),
        examples=tuple(differences[:examples]),
    )


def _starts(bars: pa.Table, what: str) -> np.ndarray:
    start = us(bars.column("open_ts_us"))
    back = np.flatnonzero(np.diff(start) <= 0)
    if back.size:
        raise ContractError(f"{what}: bar {back[0] + 1} does not follow bar {back[0]}; expected rising unique starts")
    return start


def _alone(start: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, int]:
    """Starts that only the first table has within the span of the second, and how many lie outside of it."""
    if len(others) == 0:
        return start[:0], len(start)
    inside = start[(start >= others[0]) & (start <= others[-1])]
    return np.setdiff1d(inside, others, assume_unique=True), len(start) - len(inside)


def _values(bars: pa.Table, name: str) -> np.ndarray:
    """A column as floats, NaN where it is null."""
    return np.asarray(bars.column(name).cast(pa.float64(), safe=False).fill_null(np.nan).to_numpy())


def _compared(
    name: str, mine: np.ndarray, theirs: np.ndarray, allowed: np.ndarray
) -> tuple[ColumnDifference, np.ndarray]:
    """The column's figures, and the rows that differ by more than is allowed."""
    gap = np.abs(mine - theirs)
    known = ~np.isnan(gap)
    differing = np.flatnonzero(known & (gap > allowed))
    scale = np.maximum(np.maximum(np.abs(mine), np.abs(theirs)), np.finfo(np.float64).tiny)
    found = ColumnDifference(
        name,
        compared=int(known.sum()),
        differing=len(differing),
        max_abs=gap[known].max(initial=0.0).item(),
        max_rel=(gap / scale)[known].max(initial=0.0).item(),
    )
    return found, differing


def _allowed(name: str, own: pa.Table, klines: pa.Table, quote_step: float) -> np.ndarray:
    """How far apart two values of a bar may be, (n,)."""
    if name in EXACT:
        return np.zeros(own.num_rows)
    n = np.fmax(np.fmax(_values(own, "trades"), _values(klines, "trades")), 1.0)
    lost = (n + 4) * _ROUNDING
    volume, quote, vwap = (_values(own, column) for column in ("volume", "quote_volume", "vwap"))
    allowed: np.ndarray = lost * volume
    if name == "quote_volume":
        allowed = lost * quote + n * quote_step
    if name == "vwap":
        allowed = 2 * lost * vwap + n * quote_step / volume
    return allowed
