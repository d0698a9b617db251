"""What was decided and why: one row a bar and horizon, also where nothing was done."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from scalper_ml.schema import US, stamps

__all__ = ["DECISIONS", "Decided", "decisions_table"]

DECISIONS: Final = pa.schema(
    [
        pa.field("ts_us", US, nullable=False),  # close of the bar
        pa.field("symbol", pa.string(), nullable=False),
        pa.field("horizon", pa.int32(), nullable=False),
        pa.field("bundle_id", pa.string()),  # version of the model; null where there is no champion
        pa.field("kind", pa.string()),
        pa.field("feature_set_id", pa.string(), nullable=False),
        pa.field("p_short", pa.float64()),  # null where nothing was predicted; `reason` says why
        pa.field("p_neutral", pa.float64()),
        pa.field("p_long", pa.float64()),
        pa.field("side", pa.int8()),  # +1 LONG, -1 SHORT: the likelier of the two
        pa.field("confidence", pa.float64()),
        pa.field("price", pa.float64(), nullable=False),  # close of the bar
        pa.field("target", pa.float64()),  # price at the end of the horizon if the side is right
        pa.field("min_confidence", pa.float64()),
        pa.field("action", pa.string(), nullable=False),  # of the gate
        pa.field("should_trade", pa.bool_(), nullable=False),  # the gate's verdict
        pa.field("ordered", pa.bool_(), nullable=False),  # on paper
        pa.field("reason", pa.string(), nullable=False),
        pa.field("size_factor", pa.float64(), nullable=False),
        pa.field("source", pa.string(), nullable=False),  # of the trades: replay or the venue
        pa.field("latency_us", pa.int64()),  # from the trade that closed the bar to this row; null in a replay
    ]
)
"""The decision log."""


@dataclass(frozen=True, slots=True, eq=False)
class Decided:
    """Decisions of one symbol x horizon on consecutive bars; arrays (n,), `P` (n, 3), NaN where not predicted."""

    ts_us: np.ndarray
    symbol: str
    horizon: int
    bundle_id: str | None
    kind: str | None
    feature_set_id: str
    P: np.ndarray
    side: np.ndarray
    confidence: np.ndarray
    price: np.ndarray
    target: np.ndarray
    min_confidence: float
    action: str
    should_trade: np.ndarray
    ordered: np.ndarray
    reason: Sequence[str]
    size_factor: float
    source: str
    latency_us: int | None

    def table(self) -> pa.Table:
        """As rows of `DECISIONS`."""
        n, blank = len(self.ts_us), ~np.isfinite(self.confidence)

        def same(value: object) -> pa.Array:
            return pa.nulls(n) if value is None else pa.array([value] * n)

        def known(values: np.ndarray) -> pa.Array:
            return pa.array(values, mask=blank)

        columns = {
            "ts_us": stamps(self.ts_us),
            "reason": pa.array(self.reason, pa.string()),
            "p_short": known(np.ascontiguousarray(self.P[:, 0])),
            "p_neutral": known(np.ascontiguousarray(self.P[:, 1])),
            "p_long": known(np.ascontiguousarray(self.P[:, 2])),
            "should_trade": pa.array(self.should_trade),
            "ordered": pa.array(self.ordered),
            "price": pa.array(self.price),
            **{name: known(getattr(self, name)) for name in ("side", "confidence", "target")},
        }
        cells = (columns.get(one.name) for one in DECISIONS)
        return pa.table(
            [
                (same(getattr(self, one.name)) if cell is None else cell).cast(one.type)
                for one, cell in zip(DECISIONS, cells, strict=True)
            ],
            schema=DECISIONS,
        )


def decisions_table(decided: Sequence[Decided]) -> pa.Table:
    """Decisions of several symbols and horizons, by time, symbol and horizon."""
    if not decided:
        return DECISIONS.empty_table()
    table = pa.concat_tables([one.table() for one in decided])
    return table.sort_by([(name, "ascending") for name in ("ts_us", "symbol", "horizon")]).combine_chunks()
