"""What the kernels write, as tables of schema `BARS` and as single bars."""

from typing import Any, Final

import numpy as np
import pyarrow as pa

from scalper_ml.bars.fold import BAR_FLOATS, BAR_INTS
from scalper_ml.schema import BARS, stamps

__all__ = ["BarBuffer", "bar_dict", "bars_table"]

_FLOATS: Final = ("open", "high", "low", "close", "volume", "quote_volume", "buy_volume", "sell_volume")


class BarBuffer:
    """Room for closed bars, a row a column, doubled when it is full."""

    __slots__ = ("_floats", "_ints", "bars")

    def __init__(self, room: int) -> None:
        self.bars = 0
        self._ints = np.empty((BAR_INTS, room), dtype=np.int64)
        self._floats = np.empty((BAR_FLOATS, room), dtype=np.float64)

    def grown(self) -> tuple[np.ndarray, np.ndarray]:
        """The buffers, (7, room) and (8, room), with room for at least one bar after the first `bars`."""
        if self.full():
            self._ints, self._floats = _doubled(self._ints), _doubled(self._floats)
        return self._ints, self._floats

    def full(self) -> bool:
        """Whether no bar fits in any more."""
        return self.bars == self._ints.shape[1]

    def table(self) -> pa.Table:
        """The bars written so far; without a copy where they fill most of the buffer."""
        ints, floats = self._ints[:, : self.bars], self._floats[:, : self.bars]
        if 2 * self.bars < self._ints.shape[1]:
            ints, floats = ints.copy(), floats.copy()
        return bars_table(ints, floats)


def bars_table(ints: np.ndarray, floats: np.ndarray) -> pa.Table:
    """Kernel output, (7, n) and (8, n), as a table of schema `BARS`; ids of -1 become null."""
    start, end, trades, buys, first_id, last_id, gap = ints
    values = dict(zip(_FLOATS, floats, strict=True))
    columns = {
        "open_ts_us": stamps(start),
        "ts_us": stamps(end),
        **values,
        "trades": trades,
        "buy_trades": buys,
        "vwap": values["quote_volume"] / values["volume"],
        "first_trade_id": _ids(first_id),
        "last_trade_id": _ids(last_id),
        "gap": gap.astype(np.int32),
        "revision": np.zeros(len(start), dtype=np.int32),
    }
    return pa.table({name: columns[name] for name in BARS.names}, schema=BARS)


def bar_dict(ints: np.ndarray, floats: np.ndarray) -> dict[str, Any]:
    """One bar of the kernel output, (7,) and (8,), by the column names of `BARS`; stamps as int microseconds."""
    start, end, trades, buys, first_id, last_id, gap = ints.tolist()
    open_, high, low, close, volume, quote, bought, sold = floats.tolist()
    return {
        "open_ts_us": start,
        "ts_us": end,
        "open": open_,
        "high": high,
        "low": low,
        "close": close,
        "volume": volume,
        "quote_volume": quote,
        "trades": trades,
        "buy_trades": buys,
        "buy_volume": bought,
        "sell_volume": sold,
        "vwap": quote / volume,
        "first_trade_id": None if first_id == -1 else first_id,
        "last_trade_id": None if last_id == -1 else last_id,
        "gap": gap,
        "revision": 0,
    }


def _doubled(buffer: np.ndarray) -> np.ndarray:
    rows, room = buffer.shape
    wider = np.empty((rows, max(64, 2 * room)), dtype=buffer.dtype)
    wider[:, :room] = buffer
    return wider


def _ids(values: np.ndarray) -> pa.Array:
    unknown = values == -1
    return pa.array(values, mask=unknown) if unknown.any() else pa.array(values)
