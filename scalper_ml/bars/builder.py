"""Trades to time bars: one kernel over carried state, driven by batches, by single trades, or resumed."""

import struct
from typing import Any, Final

import numpy as np
import pyarrow as pa

from scalper_ml.errors import ContractError
from scalper_ml.kernel import kernel
from scalper_ml.schema import BARS, TICKS, conform, stamps, us

__all__ = ["BarBuilder", "bars_table", "build_bars"]

_BLOCK: Final = 1 << 16
_HEADER: Final = struct.Struct("<8sq")
_MAGIC: Final = b"BARSv1\0\0"

# Carried state, integers: is a bar open; its start; trades; buys; first and last id; has a bar closed; its start.
_STATE_INTS: Final = 8
# Carried state, floats: open, high, low, close, volume, quote volume, buy volume, sell volume.
_STATE_FLOATS: Final = 8
# A closed bar, integers: start, trades, buys, first id, last id, gap; floats as in the state.
_BAR_INTS: Final = 6


@kernel
def _fold(
    ts_us: Any,
    price: Any,
    qty: Any,
    side: Any,
    trade_id: Any,
    interval: int,
    ints: Any,
    floats: Any,
    out_ints: Any,
    out_floats: Any,
) -> Any:
    """Add trades to the open bar; return (bars closed, row of the first refused trade or -1)."""
    is_open, start = ints[0], ints[1]
    trades, buys, first_id, last_id = ints[2], ints[3], ints[4], ints[5]
    has_prev, prev = ints[6], ints[7]
    open_, high, low, close = floats[0], floats[1], floats[2], floats[3]
    volume, quote, buy_volume, sell_volume = floats[4], floats[5], floats[6], floats[7]
    end = start + interval
    closed = 0
    n = ts_us.shape[0]
    i = 0
    while i < n:
        t = ts_us[i]
        if is_open == 0 or t < start or t >= end:
            floor = start if is_open else prev + interval
            if t < floor and (is_open or has_prev):
                return closed, i
            if is_open:
                out_ints[closed, 0], out_ints[closed, 1], out_ints[closed, 2] = start, trades, buys
                out_ints[closed, 3], out_ints[closed, 4] = first_id, last_id
                out_ints[closed, 5] = (start - prev) // interval - 1 if has_prev else 0
                out_floats[closed, 0], out_floats[closed, 1] = open_, high
                out_floats[closed, 2], out_floats[closed, 3] = low, close
                out_floats[closed, 4], out_floats[closed, 5] = volume, quote
                out_floats[closed, 6], out_floats[closed, 7] = buy_volume, sell_volume
                closed += 1
                has_prev, prev = 1, start
            is_open, start = 1, t // interval * interval
            end = start + interval
            open_, high, low = price[i], price[i], price[i]
            volume, quote, buy_volume, sell_volume = 0.0, 0.0, 0.0, 0.0
            trades, buys, first_id = 0, 0, trade_id[i]
        begin = i
        while i < n and start <= ts_us[i] < end:
            p, q, s = price[i], qty[i], side[i]
            if not (0.0 < p < np.inf and 0.0 < q < np.inf and s * s == 1):
                return closed, i
            high = p if p > high else high
            low = p if p < low else low
            bought = q * (s == 1)  # q or 0, without a branch that guesses the side wrong half the time
            volume += q
            quote += p * q
            buy_volume += bought
            sell_volume += q - bought
            buys += s == 1
            i += 1
        trades += i - begin
        close, last_id = price[i - 1], trade_id[i - 1]
    ints[0], ints[1] = is_open, start
    ints[2], ints[3], ints[4], ints[5] = trades, buys, first_id, last_id
    ints[6], ints[7] = has_prev, prev
    floats[0], floats[1], floats[2], floats[3] = open_, high, low, close
    floats[4], floats[5], floats[6], floats[7] = volume, quote, buy_volume, sell_volume
    return closed, -1


class BarBuilder:
    """Bars of fixed length from trades, the same to the last bit for any chunking of the stream.

    A bar covers ``[start, start + interval)`` with `start` a multiple of the interval since the epoch.
    An interval without a trade has no bar; the next bar counts it in ``gap``. Sums run in trade order.

    Parameters
    ----------
    interval_us : int
        Length of a bar in microseconds, positive.

    Notes
    -----
    No look-ahead: a bar is returned only once a trade of a later interval has been seen
    (or `finish` was called), and holds only trades stamped before its close.

    Examples
    --------
    >>> builder = BarBuilder(60_000_000)
    >>> builder.push_one(0, 100.0, 1.0, 1)
    >>> builder.push_one(30_000_000, 101.0, 2.0, -1)
    >>> bar = builder.push_one(180_000_000, 99.0, 1.0, 1)
    >>> bar["ts_us"], bar["high"], bar["volume"], bar["buy_volume"]
    (60000000, 101.0, 3.0, 1.0)
    >>> builder.finish().column("gap").to_pylist()
    [2]
    """

    __slots__ = ("_floats", "_id", "_ints", "_one_floats", "_one_ints", "_price", "_qty", "_side", "_ts", "interval_us")

    def __init__(self, interval_us: int) -> None:
        if interval_us <= 0:
            raise ContractError(f"bar interval: found {interval_us} us, expected a positive number of microseconds")
        self.interval_us = int(interval_us)
        self._ints = np.zeros(_STATE_INTS, dtype=np.int64)
        self._floats = np.zeros(_STATE_FLOATS, dtype=np.float64)
        self._one_ints = np.zeros((1, _BAR_INTS), dtype=np.int64)
        self._one_floats = np.zeros((1, _STATE_FLOATS), dtype=np.float64)
        self._ts = np.zeros(1, dtype=np.int64)
        self._price = np.zeros(1, dtype=np.float64)
        self._qty = np.zeros(1, dtype=np.float64)
        self._side = np.zeros(1, dtype=np.int8)
        self._id = np.zeros(1, dtype=np.int64)

    def push(
        self,
        ts_us: np.ndarray,
        price: np.ndarray,
        qty: np.ndarray,
        side: np.ndarray,
        trade_id: np.ndarray | None = None,
    ) -> pa.Table:
        """Add trades in time order; return the bars they closed.

        Parameters
        ----------
        ts_us : ndarray of int64, shape (n,)
            Stamps in microseconds; none older than the start of the bar then open.
        price, qty : ndarray of float64, shape (n,)
            Positive and finite; quote per base, and base units.
        side : ndarray of int8, shape (n,)
            +1 buyer aggressor, -1 seller aggressor.
        trade_id : ndarray of int64, shape (n,), optional
            -1 where a trade has none.

        Returns
        -------
        pyarrow.Table
            Schema `BARS`, possibly empty. The last bar stays open.

        Raises
        ------
        ContractError
            Names the first refused trade and why; the builder is then as it was before the call.
        """
        n = len(ts_us)
        trade_id = np.full(n, -1, dtype=np.int64) if trade_id is None else trade_id
        lengths = [len(column) for column in (ts_us, price, qty, side, trade_id)]
        if len(set(lengths)) != 1:
            raise ContractError(f"trades: columns of {lengths} rows; expected one length for ts, price, qty, side, id")
        saved = self._ints.copy(), self._floats.copy()
        ints: list[np.ndarray] = []
        floats: list[np.ndarray] = []
        for begin in range(0, n, _BLOCK):
            block = slice(begin, min(begin + _BLOCK, n))
            # copies: one writable, contiguous layout means one compiled kernel
            columns = (
                np.array(ts_us[block], dtype=np.int64),
                np.array(price[block], dtype=np.float64),
                np.array(qty[block], dtype=np.float64),
                np.array(side[block], dtype=np.int8),
                np.array(trade_id[block], dtype=np.int64),
            )
            out_ints, out_floats = self._room(columns[0])
            closed, fault = _fold(*columns, self.interval_us, self._ints, self._floats, out_ints, out_floats)
            if fault >= 0:
                self._ints, self._floats = saved
                values = [column[fault].item() for column in columns]
                raise ContractError(self._refusal(begin + fault, *values))
            ints.append(out_ints[:closed])
            floats.append(out_floats[:closed])
        if not ints:
            return BARS.empty_table()
        return bars_table(np.concatenate(ints), np.concatenate(floats), self.interval_us)

    def push_one(self, ts_us: int, price: float, qty: float, side: int, trade_id: int = -1) -> dict[str, Any] | None:
        """Add one trade; return the bar it closed, or None.

        Returns
        -------
        dict or None
            Keys as the columns of `BARS`; stamps as int microseconds, None where a column is null.

        Raises
        ------
        ContractError
            As `push`.
        """
        self._ts[0], self._price[0], self._qty[0], self._side[0], self._id[0] = ts_us, price, qty, side, trade_id
        closed, fault = _fold(
            self._ts, self._price, self._qty, self._side, self._id, self.interval_us,
            self._ints, self._floats, self._one_ints, self._one_floats,
        )  # fmt: skip
        if fault >= 0:
            raise ContractError(self._refusal(0, ts_us, price, qty, side, trade_id))
        return _bar_dict(self._one_ints[0], self._one_floats[0], self.interval_us) if closed else None

    def finish(self) -> pa.Table:
        """Close the open bar and return it; an empty table if no bar is open.

        Later trades must belong to a later interval.
        """
        ints, floats = self._ints, self._floats
        if not ints[0]:
            return BARS.empty_table()
        gap = (ints[1] - ints[7]) // self.interval_us - 1 if ints[6] else 0
        bar = np.array([[ints[1], ints[2], ints[3], ints[4], ints[5], gap]], dtype=np.int64)
        ints[0], ints[6], ints[7] = 0, 1, ints[1]
        return bars_table(bar, floats[None, :].copy(), self.interval_us)

    def state(self) -> bytes:
        """The carried state: a fixed 144 bytes, little-endian, the same for the same trades."""
        ints, floats = self._ints.astype("<i8"), self._floats.astype("<f8")
        return _HEADER.pack(_MAGIC, self.interval_us) + ints.tobytes() + floats.tobytes()

    @classmethod
    def from_state(cls, interval_us: int, state: bytes) -> "BarBuilder":
        """A builder that goes on where the one that gave `state` stopped.

        Raises
        ------
        ContractError
            If `state` is not a bar state, or one of another interval.
        """
        size = _HEADER.size + 8 * (_STATE_INTS + _STATE_FLOATS)
        if len(state) != size or not state.startswith(_MAGIC):
            raise ContractError(f"bar state: {len(state)} bytes from {state[:8]!r}; expected {size} from {_MAGIC!r}")
        found = _HEADER.unpack_from(state)[1]
        if found != interval_us:
            raise ContractError(f"bar state: of bars of {found} us, expected {interval_us} us - rebuild from ticks")
        builder = cls(interval_us)
        builder._ints[:] = np.frombuffer(state, dtype="<i8", count=_STATE_INTS, offset=_HEADER.size)
        builder._floats[:] = np.frombuffer(state, dtype="<f8", offset=_HEADER.size + 8 * _STATE_INTS)
        return builder

    def _room(self, ts_us: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        first = min(int(ts_us.min()), int(self._ints[1])) if self._ints[0] else int(ts_us.min())
        bars = min(len(ts_us), (int(ts_us.max()) - first) // self.interval_us + 1)
        return np.empty((bars, _BAR_INTS), dtype=np.int64), np.empty((bars, _STATE_FLOATS), dtype=np.float64)

    def _refusal(self, row: int, ts_us: int, price: float, qty: float, side: int, trade_id: int) -> str:
        trade = f"trade {row} (id {trade_id}, ts_us {ts_us})"
        if not (0.0 < price < np.inf and 0.0 < qty < np.inf):
            return f"{trade}: price {price}, qty {qty}; expected both positive and finite - read it through ingest"
        if side not in (1, -1):
            return f"{trade}: side {side}; expected +1 (buyer aggressor) or -1 (seller aggressor)"
        floor = "the start of the open bar" if self._ints[0] else "the end of the last closed bar"
        return f"{trade}: older than {floor}; expected trades in time order - sort them, or read them through ingest"


def build_bars(ticks: pa.Table, interval_us: int, state: bytes | None = None) -> tuple[pa.Table, bytes]:
    """Bars closed by `ticks`, and the state that holds the still open one.

    Parameters
    ----------
    ticks : pyarrow.Table
        Schema `TICKS`, in time order.
    interval_us : int
        Length of a bar in microseconds.
    state : bytes, optional
        What an earlier call returned: the stream goes on from there.

    Returns
    -------
    bars : pyarrow.Table
        Schema `BARS`.
    state : bytes
        Give it to the next call, or ``BarBuilder.from_state(interval_us, state).finish()`` for the last bar.

    Raises
    ------
    ContractError
        If `ticks` breaks its schema, or a trade is refused (see `BarBuilder.push`).
    """
    ticks = conform(ticks, TICKS, "ticks")
    builder = BarBuilder(interval_us) if state is None else BarBuilder.from_state(interval_us, state)
    price, qty, side = (ticks.column(name).to_numpy() for name in ("price", "qty", "side"))
    trade_id = ticks.column("trade_id").fill_null(-1).to_numpy()
    bars = builder.push(us(ticks.column("ts_us")), price, qty, side, trade_id)
    return bars, builder.state()


def bars_table(ints: np.ndarray, floats: np.ndarray, interval_us: int) -> pa.Table:
    """Kernel output as a table of schema `BARS`; ids of -1 become null."""
    start, trades, buys, first_id, last_id, gap = (np.ascontiguousarray(column) for column in ints.T)
    names = ("open", "high", "low", "close", "volume", "quote_volume", "buy_volume", "sell_volume")
    values = {name: np.ascontiguousarray(column) for name, column in zip(names, floats.T, strict=True)}
    columns = {
        "open_ts_us": stamps(start),
        "ts_us": stamps(start + interval_us),
        **values,
        "trades": trades,
        "buy_trades": buys,
        "vwap": values["quote_volume"] / values["volume"],
        "first_trade_id": pa.array(first_id, mask=first_id == -1),
        "last_trade_id": pa.array(last_id, mask=last_id == -1),
        "gap": gap.astype(np.int32),
        "revision": np.zeros(len(start), dtype=np.int32),
    }
    return pa.table({name: columns[name] for name in BARS.names}, schema=BARS)


def _bar_dict(ints: np.ndarray, floats: np.ndarray, interval_us: int) -> dict[str, Any]:
    start, trades, buys, first_id, last_id, gap = ints.tolist()
    open_, high, low, close, volume, quote, buy_volume, sell_volume = floats.tolist()
    return {
        "open_ts_us": start,
        "ts_us": start + interval_us,
        "open": open_,
        "high": high,
        "low": low,
        "close": close,
        "volume": volume,
        "quote_volume": quote,
        "trades": trades,
        "buy_trades": buys,
        "buy_volume": buy_volume,
        "sell_volume": sell_volume,
        "vwap": quote / volume,
        "first_trade_id": None if first_id == -1 else first_id,
        "last_trade_id": None if last_id == -1 else last_id,
        "gap": gap,
        "revision": 0,
    }
