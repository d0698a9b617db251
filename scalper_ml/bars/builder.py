"""Trades to bars: kernels over carried state, driven by batches, by single trades, or resumed."""

import struct
from collections.abc import Callable
from functools import cache, partial
from typing import Any, Final

import numpy as np
import pyarrow as pa

from scalper_ml.bars.fold import BAR_FLOATS, BAR_INTS, STATE_FLOATS, STATE_INTS, add_within, fold_events, fold_time
from scalper_ml.bars.interval import origin_us
from scalper_ml.bars.spec import KINDS, BarSpec
from scalper_ml.bars.table import BarBuffer, ClosedBars, bar_dict
from scalper_ml.errors import ContractError
from scalper_ml.kernel import direct, in_place
from scalper_ml.schema import TICKS, conform, us

__all__ = ["BarBuilder", "build_bars"]

_HEADER: Final = struct.Struct("<8sqd")
_MAGIC: Final = b"BARSv2\0\0"
_UNITS: Final = {"tick": 0, "volume": 1, "dollar": 2}
_DTYPES: Final = (np.int64, np.float64, np.float64, np.int8, np.int64)


class BarBuilder:
    """Bars from trades, the same to the last bit for any chunking of the stream.

    A time bar covers ``[start, start + interval)``, on the UTC grid of `interval.origin_us`: days start at midnight,
    weeks on Monday. An interval without a trade has no bar; the next bar counts it in ``gap``.

    An event bar (see `BarSpec`) covers whole trades: ``open_ts_us`` is the stamp of its first, ``ts_us`` the stamp of
    its last, at which it became known. Bars that end within one microsecond share a stamp, and row order is their
    order. ``gap`` is 0.

    Sums run in trade order.

    Parameters
    ----------
    spec : BarSpec or int
        What ends a bar; a number is the length of a time bar in microseconds.

    Raises
    ------
    ContractError
        See `BarSpec`.

    Notes
    -----
    No look-ahead. A time bar is returned once a trade of a later interval has been seen (or `finish` was called), and
    holds only trades stamped before its close. An event bar is returned with the trade that ends it.

    Within a time bar trades may come in any order, and are added as they come. Event bars refuse a trade older than
    the one before.

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
    >>> builder = BarBuilder(BarSpec("volume", 2.5))
    >>> builder.push_one(0, 100.0, 1.0, 1)
    >>> bar = builder.push_one(7, 101.0, 2.0, -1)
    >>> bar["open_ts_us"], bar["ts_us"], bar["volume"]
    (0, 7, 3.0)
    """

    __slots__ = ("_add", "_carried", "_floats", "_ints", "_kernel", "_one", "_one_out", "_rule", "spec")

    def __init__(self, spec: BarSpec | int) -> None:
        self.spec = spec if isinstance(spec, BarSpec) else BarSpec("time", spec)
        kind, size = self.spec.kind, self.spec.size
        self._kernel: Any = fold_time if kind == "time" else fold_events
        self._rule = (
            (int(size), origin_us(int(size)))
            if kind == "time"
            else (size, _UNITS[kind.removesuffix("_imbalance")], kind.endswith("_imbalance"))
        )
        self._carried = np.zeros(STATE_INTS + STATE_FLOATS + 1, dtype=np.int64)
        self._carried[-1] = int(size) if kind == "time" else 0
        self._ints, self._floats = self._carried[:STATE_INTS], self._carried[STATE_INTS:-1].view(np.float64)
        self._add: Callable[..., bool] | None = None
        self._one = tuple(np.zeros(1, dtype=dtype) for dtype in _DTYPES)
        self._one_out = np.zeros((BAR_INTS, 1), dtype=np.int64), np.zeros((BAR_FLOATS, 1), dtype=np.float64)

    def push(
        self,
        ts_us: np.ndarray,
        price: np.ndarray,
        qty: np.ndarray,
        side: np.ndarray,
        trade_id: np.ndarray | None = None,
    ) -> pa.Table:
        """Add trades in time order; return the bars they closed.

        Contiguous arrays of the types below are read in place, others are converted once.

        Parameters
        ----------
        ts_us : ndarray of int64, shape (n,)
            Stamps in microseconds; none older than the start of the open time bar, or than the trade before.
        price, qty : ndarray of float64, shape (n,)
            Positive and finite; quote per base, and base units.
        side : ndarray of int8, shape (n,)
            +1 buyer aggressor, -1 seller aggressor.
        trade_id : ndarray of int64, shape (n,), optional
            -1 where a trade has none.

        Returns
        -------
        pyarrow.Table
            Schema `BARS`, possibly empty. A bar that has not ended stays open.

        Raises
        ------
        ContractError
            Names the first refused trade and why; the builder is then as it was before the call.
        """
        return self.add(ts_us, price, qty, side, trade_id).table()

    def add(
        self,
        ts_us: np.ndarray,
        price: np.ndarray,
        qty: np.ndarray,
        side: np.ndarray,
        trade_id: np.ndarray | None = None,
    ) -> ClosedBars:
        """`push`, without a table: for those who close a bar at a time and feel the millisecond it costs."""
        n = len(ts_us)
        trade_id = np.full(n, -1, dtype=np.int64) if trade_id is None else trade_id
        given = (ts_us, price, qty, side, trade_id)
        lengths = [len(column) for column in given]
        if len(set(lengths)) != 1:
            raise ContractError(f"trades: columns of {lengths} rows; expected one length for ts, price, qty, side, id")
        columns = tuple(in_place(column, dtype) for column, dtype in zip(given, _DTYPES, strict=True))
        saved = self._ints.copy(), self._floats.copy()
        buffer = BarBuffer(self._room(columns[0]))
        row = 0
        while row < n:
            buffer.bars, row = self._fold(columns, row, buffer.grown(), buffer.bars)
            if row < n and not buffer.full():
                self._ints[:], self._floats[:] = saved
                raise ContractError(self._refusal(row, columns))
        return buffer.closed()

    def push_ticks(self, ticks: pa.Table) -> pa.Table:
        """`push` for a table of schema `TICKS`.

        Raises
        ------
        ContractError
            If `ticks` breaks its schema, or as `push`.
        """
        ticks = conform(ticks, TICKS, "ticks")
        price, qty, side = (ticks.column(name).to_numpy() for name in ("price", "qty", "side"))
        return self.push(us(ticks.column("ts_us")), price, qty, side, ticks.column("trade_id").fill_null(-1).to_numpy())

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
        add = self._add or self.adder()
        if add(ts_us, price, qty, side, trade_id):
            return None
        stamp, price_, qty_, side_, id_ = self._one
        stamp[0], price_[0], qty_[0], side_[0], id_[0] = ts_us, price, qty, side, trade_id
        closed, row = self._fold(self._one, 0, self._one_out, 0)
        if row < 1:
            raise ContractError(self._refusal(0, self._one))
        return bar_dict(self._one_out[0][:, 0], self._one_out[1][:, 0]) if closed else None

    def adder(self) -> Callable[[int, float, float, int, int], bool]:
        """`push_one` for the trades that neither open nor end a bar, nearly all there are, at a fraction of its time.

        Returns
        -------
        callable
            ``(ts_us, price, qty, side, trade_id)`` gives True where it has added the trade. Where it gives False it has
            done nothing, and the trade is one for `push_one`: it ends a bar, or is refused, or bars do not go by time.
        """
        self._add = partial(_add_within(), self._carried)
        return self._add

    def finish(self) -> pa.Table:
        """Close the open bar and return it; an empty table if no bar is open.

        An event bar closed so is short of its size. Later trades must belong to a later time bar.
        """
        return self.end().table()

    def end(self) -> ClosedBars:
        """`finish`, without a table."""
        is_open, start, trades, buys, first_id, last_id, has_prev, prev = self._ints.tolist()
        if not is_open:
            return ClosedBars.none()
        end, gap = prev, 0
        if self.spec.kind == "time":
            interval = int(self.spec.size)
            end, gap = start + interval, (start - prev) // interval - 1 if has_prev else 0
            prev = start
        bar = ClosedBars(
            np.array([[start], [end], [trades], [buys], [first_id], [last_id], [gap]]),
            self._floats[:BAR_FLOATS, None].copy(),
        )
        self._ints[:] = (0, 0, 0, 0, 0, 0, 1, prev)
        self._floats[:] = 0.0
        return bar

    def state(self) -> bytes:
        """The carried state: a fixed 160 bytes, little-endian, the same for the same trades."""
        head = _HEADER.pack(_MAGIC, KINDS.index(self.spec.kind), self.spec.size)
        return head + self._ints.astype("<i8").tobytes() + self._floats.astype("<f8").tobytes()

    @classmethod
    def after(cls, interval_us: int, close_us: int | None) -> "BarBuilder":
        """A builder of time bars after the one that closed then: the first counts those that are missing in ``gap``.

        None: there was none before.
        """
        builder = cls(interval_us)
        if close_us is not None:
            builder._ints[:] = (0, 0, 0, 0, 0, 0, 1, close_us - interval_us)
        return builder

    @classmethod
    def from_state(cls, spec: BarSpec | int, state: bytes) -> "BarBuilder":
        """A builder that goes on where the one that gave `state` stopped.

        Raises
        ------
        ContractError
            If `state` is not a bar state, or one of other bars.
        """
        builder = cls(spec)
        size = _HEADER.size + 8 * (STATE_INTS + STATE_FLOATS)
        if len(state) != size or not state.startswith(_MAGIC):
            raise ContractError(f"bar state: {len(state)} bytes from {state[:8]!r}; expected {size} from {_MAGIC!r}")
        kind, found = _HEADER.unpack_from(state)[1:]
        if (kind, found) != (KINDS.index(builder.spec.kind), builder.spec.size):
            name = KINDS[kind] if 0 <= kind < len(KINDS) else kind
            raise ContractError(
                f"bar state: of {name} bars of {found:.16g}, expected {builder.spec.kind} bars of "
                f"{builder.spec.size:.16g} - rebuild from ticks"
            )
        builder._ints[:] = np.frombuffer(state, dtype="<i8", count=STATE_INTS, offset=_HEADER.size)
        builder._floats[:] = np.frombuffer(state, dtype="<f8", offset=_HEADER.size + 8 * STATE_INTS)
        return builder

    def _fold(
        self, columns: tuple[np.ndarray, ...], row: int, out: tuple[np.ndarray, np.ndarray], bars: int
    ) -> tuple[int, int]:
        """Bars in `out`, and the first row not taken: there is no room, or it is refused."""
        bars, row = self._kernel(*columns, row, *self._rule, self._ints, self._floats, *out, bars)
        return int(bars), int(row)

    def _room(self, ts_us: np.ndarray) -> int:
        """A guess at the bars of a push; too small a one costs copies, too large a one address space."""
        n = len(ts_us)
        if self.spec.kind == "tick":
            return n // int(self.spec.size) + 1
        if self.spec.kind != "time" or n == 0:
            return n // 64
        first = self._ints[1] if self._ints[0] else ts_us[0]
        return min(n, max(0, int(ts_us[-1] - first)) // int(self.spec.size) + 2)

    def _refusal(self, row: int, columns: tuple[np.ndarray, ...]) -> str:
        ts_us, price, qty, side, trade_id = (column[row].item() for column in columns)
        trade = f"trade {row} (id {trade_id}, ts_us {ts_us})"
        if not (0.0 < price < np.inf and 0.0 < qty < np.inf):
            return f"{trade}: price {price}, qty {qty}; expected both positive and finite - read it through ingest"
        if side not in (1, -1):
            return f"{trade}: side {side}; expected +1 (buyer aggressor) or -1 (seller aggressor)"
        floor = "the start of the open bar" if self._ints[0] else "the end of the last closed bar"
        floor = floor if self.spec.kind == "time" else "the trade before"
        return f"{trade}: older than {floor}; expected trades in time order - sort them, or read them through ingest"


@cache
def _add_within() -> Callable[..., bool]:
    """`add_within`, compiled. Event bars, whose interval is 0, leave it to `fold_events`."""
    return direct(add_within, np.zeros(1, dtype=np.int64), 0, 0.0, 0.0, 0, 0)


def build_bars(ticks: pa.Table, spec: BarSpec | int, state: bytes | None = None) -> tuple[pa.Table, bytes]:
    """Bars closed by `ticks`, and the state that holds the still open one.

    Parameters
    ----------
    ticks : pyarrow.Table
        Schema `TICKS`, in time order.
    spec : BarSpec or int
        What ends a bar; a number is the length of a time bar in microseconds.
    state : bytes, optional
        What an earlier call returned: the stream goes on from there.

    Returns
    -------
    bars : pyarrow.Table
        Schema `BARS`.
    state : bytes
        Give it to the next call, or ``BarBuilder.from_state(spec, state).finish()`` for the last bar.

    Raises
    ------
    ContractError
        If `ticks` breaks its schema, or a trade is refused (see `BarBuilder.push`).
    """
    builder = BarBuilder(spec) if state is None else BarBuilder.from_state(spec, state)
    return builder.push_ticks(ticks), builder.state()
