"""What a champion showed on score: what its monitors hold live outcomes against."""

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from scalper_ml.backtest.signals import decide
from scalper_ml.errors import ContractError
from scalper_ml.validation.proportions import wilson

__all__ = ["Reference", "drawdown_quantile", "hits", "non_overlapping", "reference_of"]

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

CHANCE: Final = 0.5
_DRAWS: Final = 1000
_BLOCK: Final = 20  # trades that stay together in a draw
_WATCHED: Final = 5000  # trades a draw has at least: drawdowns deepen as a stream goes on
_QUANTILE: Final = 0.95


@dataclass(frozen=True, slots=True)
class Reference:
    """Of one champion on its score role.

    Parameters
    ----------
    accuracy, accuracy_lcb : float
        Share of right sides among labels that do not overlap, and its 95 % lower bound.
    labels : int
        How many those are.
    expectancy_r, expectancy_r_lcb : float
        Mean R of the trades, and its lower bound as the score has it; NaN is not allowed, an unknown bound is None.
    sd_r : float or None
        Standard deviation of R.
    trades : int
    drawdown_r : float or None
        95 % quantile of the deepest drawdown in R, by a bootstrap of blocks of trades.
    base_rates : tuple of float
        Class shares of train.
    """

    accuracy: float
    accuracy_lcb: float
    labels: int
    expectancy_r: float | None
    expectancy_r_lcb: float | None
    sd_r: float | None
    trades: int
    drawdown_r: float | None
    base_rates: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self) | {"base_rates": list(self.base_rates)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Reference":
        """From `to_dict`."""
        return cls(**{**values, "base_rates": tuple(values["base_rates"])})


def non_overlapping(t0: I64, t1: I64) -> I64:
    """Rows whose outcomes follow one another: each begins when the one before is known, or later.

    Examples
    --------
    >>> non_overlapping(np.arange(7), np.arange(7) + 3).tolist()
    [0, 3, 6]
    """
    kept: list[int] = []
    free: int | None = None
    for row, (begin, end) in enumerate(zip(t0.tolist(), t1.tolist(), strict=True)):
        if free is None or begin >= free:
            kept.append(row)
            free = end
    return np.array(kept, dtype=np.int64)


def hits(P: F64, ret: F64) -> NDArray[np.bool_]:
    """Whether the likelier side (n,) was the way the price went; a price that did not move is a miss."""
    return np.asarray(decide(P, 0.5).side * np.sign(ret) > 0)


def drawdown_quantile(r: F64, *, seed: int) -> float:
    """95 % quantile of the deepest drawdown of trades drawn as blocks of 20 that follow one another.

    A draw has as many trades as there are, and 5,000 at least.

    Examples
    --------
    >>> round(drawdown_quantile(np.array([1.0, -1.0] * 50), seed=0), 3)
    2.0
    """
    rng = np.random.default_rng(seed)
    length, trades = min(_BLOCK, r.size), max(r.size, _WATCHED)
    starts = rng.integers(0, r.size - length + 1, size=(_DRAWS, -(-trades // length)))
    rows = (starts[:, :, None] + np.arange(length)).reshape(_DRAWS, -1)[:, :trades]
    path = np.cumsum(r[rows], axis=1)
    peak = np.maximum(np.maximum.accumulate(path, axis=1), 0.0)
    return float(np.quantile((peak - path).max(axis=1), _QUANTILE))


def reference_of(
    P: F64,
    ret: F64,
    t0: I64,
    t1: I64,
    r: F64,
    *,
    expectancy_lcb: float | None,
    base_rates: tuple[float, ...],
    seed: int,
) -> Reference:
    """The reference of a champion from its score rows (n,) and its trades' R (m,).

    Raises
    ------
    ContractError
        There are no rows.
    """
    if not len(P):
        raise ContractError("reference: found no rows of score; expected the role a champion was scored on")
    rows = non_overlapping(t0, t1)
    right = int(hits(P[rows], ret[rows]).sum())
    return Reference(
        accuracy=right / rows.size,
        accuracy_lcb=wilson(right, rows.size),
        labels=int(rows.size),
        expectancy_r=float(r.mean()) if r.size else None,
        expectancy_r_lcb=expectancy_lcb,
        sd_r=float(r.std(ddof=1)) if r.size > 1 else None,
        trades=int(r.size),
        drawdown_r=drawdown_quantile(r, seed=seed) if r.size else None,
        base_rates=base_rates,
    )
