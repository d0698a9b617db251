"""What the kernels write, as columns, as tables of schema `BARS` and as single bars."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from scalper_ml.bars.fold import BAR_FLOATS, BAR_INTS
from scalper_ml.schema import BARS, stamps

__all__ = ["BarBuffer", "ClosedBars", "bar_dict"]

_INTS: Final = ("open_ts_us", "ts_us", "trades", "buy_trades", "first_trade_id", "last_trade_id", "gap")
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

    def closed(self) -> "ClosedBars":
        """The bars written so far; without a copy where they fill most of the buffer."""
        ints, floats = self._ints[:, : self.bars], self._floats[:, : self.bars]
        if 2 * self.bars < self._ints.shape[1]:
            ints, floats = ints.copy(), floats.copy()
        return ClosedBars(ints, floats)


@dataclass(frozen=True, slots=True, eq=False)
class ClosedBars:
    """Bars as the kernels write them: a few of them cost microseconds, where an Arrow table costs a millisecond.

    Parameters
    ----------
    ints : ndarray of int64, shape (7, n)
        Stamps in microseconds, counts, ids (-1: none), gap.
    floats : ndarray of float64, shape (8, n)
    """

    ints: np.ndarray
    floats: np.ndarray

    @classmethod
    def none(cls) -> "ClosedBars":
        """No bars."""
        return cls(np.zeros((BAR_INTS, 0), dtype=np.int64), np.zeros((BAR_FLOATS, 0)))

    @classmethod
    def joined(cls, parts: "Sequence[ClosedBars]") -> "ClosedBars":
        """Bars of several parts, one after the other."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts], axis=1) for name in cls.__slots__))

    @classmethod
    def from_bytes(cls, data: bytes) -> "ClosedBars":
        """The bars that gave `to_bytes`."""
        n = len(data) // (8 * (BAR_INTS + BAR_FLOATS))
        ints = np.frombuffer(data, dtype="<i8", count=BAR_INTS * n).reshape(BAR_INTS, n)
        floats = np.frombuffer(data, dtype="<f8", offset=8 * BAR_INTS * n).reshape(BAR_FLOATS, n)
        return cls(ints, floats)

    def to_bytes(self) -> bytes:
        """Every bit of the bars, little-endian."""
        return self.ints.astype("<i8").tobytes() + self.floats.astype("<f8").tobytes()

    def __len__(self) -> int:
        return int(self.ints.shape[1])

    def column(self, name: str) -> np.ndarray:
        """A column of `BARS` but ``revision``, shape (n,): stamps in microseconds, ids -1 where a trade has none."""
        if name == "vwap":
            return np.asarray(self.column("quote_volume") / self.column("volume"))
        rows = self.ints[_INTS.index(name)] if name in _INTS else self.floats[_FLOATS.index(name)]
        return np.asarray(rows)

    def slice(self, start: int, end: int | None = None) -> "ClosedBars":
        """Bars by place."""
        return ClosedBars(self.ints[:, start:end], self.floats[:, start:end])

    def table(self) -> pa.Table:
        """As a table of schema `BARS`; ids of -1 become null."""
        own = {
            "open_ts_us": stamps(self.column("open_ts_us")),
            "ts_us": stamps(self.column("ts_us")),
            "first_trade_id": _ids(self.column("first_trade_id")),
            "last_trade_id": _ids(self.column("last_trade_id")),
            "gap": self.column("gap").astype(np.int32),
            "revision": np.zeros(len(self), dtype=np.int32),
        }
        return pa.table({name: own[name] if name in own else self.column(name) for name in BARS.names}, schema=BARS)


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
