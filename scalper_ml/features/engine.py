"""The engine: one compiled pass over carried state, for a million rows or for one.

Batch, incremental and online are the same call with different numbers of rows. History and kernel
state are plain float64 arrays, so a stream can be put down as bytes and taken up again, bit for bit.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scalper_ml.errors import ContractError, FeatureSetError
from scalper_ml.features.registry import KINDS, FeatureSet
from scalper_ml.features.series import GAP as GAP_COLUMN
from scalper_ml.features.series import (
    INPUT_COLUMNS,
    SERIES,
    SERIES_MEMORY,
    SERIES_STATE,
    TS,
    derive,
    inspect,
    load,
    publish,
)
from scalper_ml.kernel import kernel
from scalper_ml.schema import InputGroup, us

__all__ = ["INPUT_COLUMNS", "FeatureBlock", "FeatureStream", "available_groups", "compute", "inputs_from_bars"]

BLOCK = 256
"""Rows computed at a time: what one core's second-level cache holds."""

_HEADER = struct.Struct("<8s12sqqq")
_MAGIC = b"SCFEAT01"
_MARKET_COLUMNS = ("mkt_n", "mkt_ret", "mkt_up", "mkt_disp", "lead_ret")
_TRADE_COLUMNS = ("trades", "buy_volume", "sell_volume")


@dataclass(frozen=True, slots=True)
class FeatureBlock:
    """Features of consecutive bars.

    `values` (n, f) float64, NaN before a column's warm-up; `warm` (n,) bool, every column known and
    enough ticks in the bar; `state` carries the stream on.
    """

    values: np.ndarray
    warm: np.ndarray
    state: bytes


def _fuse(kernels: Sequence[Any]) -> Any:
    """One compiled function that runs `kernels` over a block of rows, each as often as the set has it.

    Written out as text because a loop over different functions cannot be compiled; this way one call
    from Python costs the same for one feature as for two hundred.
    """
    lines = [
        "def run(X, ts_us, H, i0, t0, S, P, plan, out, limits, min_ticks, values, warm):",
        "    i1 = i0 + X.shape[0]",
        "    load(X, ts_us, H, i0)",
        "    derive(H, i0, i1, t0, S)",
        "    for e in range(plan.shape[0]):",
        "        code = plan[e, 0]",
        "        params, state, column = P[plan[e, 1]:], S[plan[e, 2]:plan[e, 3]], out[plan[e, 4]:]",
    ]
    for code in range(len(kernels)):
        lines.append(f"        {'elif' if code else 'if'} code == {code}:")
        lines.append(f"            kernel_{code}(H, i0, i1, t0, params, state, column)")
    lines.append("    publish(H, i0, i1, t0, out, limits, min_ticks, values, warm)")
    names = {f"kernel_{code}": one for code, one in enumerate(kernels)}
    names |= {"load": load, "derive": derive, "publish": publish, "__name__": __name__}
    exec(compile("\n".join(lines), __file__, "exec"), names)
    return kernel(names["run"])


_KERNELS = tuple(dict.fromkeys(kind.kernel for kind in KINDS))
_run = _fuse(_KERNELS)


class FeatureStream:
    """The carried state of one feature set over one stream of bars.

    Parameters
    ----------
    fs : FeatureSet
    state : bytes, optional
        From `state()`; the stream goes on where that one stopped.

    Raises
    ------
    FeatureSetError
        The state belongs to another feature set or is damaged.
    """

    def __init__(self, fs: FeatureSet, state: bytes | None = None) -> None:
        self.fs = fs
        self._plan(fs)
        if state is not None:
            self._restore(state)

    def _plan(self, fs: FeatureSet) -> None:
        order = {kernel: code for code, kernel in enumerate(_KERNELS)}
        constants: list[float] = []
        plan, floats, column = [], SERIES_STATE, 0
        self._memory = SERIES_MEMORY
        for kind, params in fs.entries:
            size = kind.state(*params)
            plan.append((order[kind.kernel], len(constants), floats, floats + size, column))
            constants += [*map(float, params), *kind.constants]
            floats += size
            column += len(kind.columns(params))
            self._memory = max(self._memory, kind.memory(*params))
        self._entries = np.array(plan, dtype=np.int64).reshape(-1, 5)
        self._P = np.array([*constants, 0.0])
        self._limits = np.array([[s.warmup, s.low, s.high] for s in fs.specs], dtype=np.float64).reshape(-1, 3).T.copy()
        self._S = np.zeros(floats)
        self._H = np.full((SERIES, self._memory + BLOCK), np.nan)
        self._out = np.full((column, BLOCK), np.nan)
        self._at = self._memory
        self._rows = 0

    def reset(self) -> None:
        """Forget everything: the next row is row 0."""
        self._S[:] = 0.0
        self._H[:] = np.nan
        self._at = self._memory
        self._rows = 0

    def _rows_without_reset(self, X: np.ndarray, ts_us: np.ndarray, values: np.ndarray, warm: np.ndarray) -> None:
        done, n = 0, len(X)
        while done < n:
            if self._at == self._H.shape[1]:
                self._H[:, : self._memory] = self._H[:, -self._memory :]
                self._at = self._memory
            end = min(n, done + self._H.shape[1] - self._at)
            whole = end - done == n  # a slice costs a microsecond, a row not much more
            _run(
                X if whole else X[done:end], ts_us if whole else ts_us[done:end], self._H, self._at, self._rows,
                self._S, self._P, self._entries, self._out, self._limits, self.fs.min_ticks,
                values if whole else values[done:end], warm if whole else warm[done:end],
            )
            self._at += end - done
            self._rows += end - done
            done = end

    def push(self, X: np.ndarray, ts_us: np.ndarray, values: np.ndarray, warm: np.ndarray) -> None:
        """Compute the next n bars into `values` (n, f) and `warm` (n,); reset before a bar after a long gap.

        Parameters
        ----------
        X : float64 array (n, len(INPUT_COLUMNS)), C-contiguous
        ts_us : int64 array (n,)
            Close of each bar, increasing, after the last bar pushed.

        Raises
        ------
        ContractError
            A bar that breaks its contract or the order of time; nothing was computed then.
        """
        before = int(self._H[TS, self._at - 1]) if self._rows else -1
        bad, late, reset = inspect(X, ts_us, before, self.fs.reset_after_gap)
        if bad >= 0:
            row = dict(zip(INPUT_COLUMNS, X[bad].tolist(), strict=True))
            raise ContractError(
                f"bar {bad} of {len(X)} closing at {int(ts_us[bad])} us: found {row}; expected 0 < low <= open, close "
                f"<= high, volume >= 0 and gap >= 0, all finite - quarantine the bar before features"
            )
        if late >= 0:
            raise ContractError(
                f"bar {late} of {len(X)}: closes at {int(ts_us[late])} us, not after the bar before; expected bars in "
                f"order of time - sort them"
            )
        if reset < 0:
            self._rows_without_reset(X, ts_us, values, warm)
            return
        begin = 0
        for start in np.flatnonzero(X[:, GAP_COLUMN] > self.fs.reset_after_gap).tolist():
            self._rows_without_reset(X[begin:start], ts_us[begin:start], values[begin:start], warm[begin:start])
            self.reset()
            begin = start
        self._rows_without_reset(X[begin:], ts_us[begin:], values[begin:], warm[begin:])

    def state(self) -> bytes:
        """The carried state as bytes; equal however the stream was cut."""
        header = _HEADER.pack(_MAGIC, self.fs.id.encode(), self._rows, self._memory, len(self._S))
        return header + self._H[:, self._at - self._memory : self._at].tobytes() + self._S.tobytes()

    def _restore(self, state: bytes) -> None:
        head = state[: _HEADER.size]
        whole = _HEADER.size + 8 * (SERIES * self._memory + len(self._S))
        magic, fs_id = (head[:8], head[8:20])
        if magic != _MAGIC or fs_id != self.fs.id.encode() or len(state) != whole:
            raise FeatureSetError(
                f"feature state: found {len(state)} bytes of set {fs_id!r}, expected {whole} bytes of set "
                f"{self.fs.id!r}; start without state and replay"
            )
        self._rows = _HEADER.unpack(head)[2]
        body = np.frombuffer(state, dtype=np.float64, offset=_HEADER.size)
        self._H[:, : self._memory] = body[: SERIES * self._memory].reshape(SERIES, self._memory)
        self._S[:] = body[SERIES * self._memory :]


def compute(fs: FeatureSet, inputs: np.ndarray, ts_us: np.ndarray, state: bytes | None = None) -> FeatureBlock:
    """Features of n bars, going on from `state`.

    Parameters
    ----------
    fs : FeatureSet
    inputs : array (n, len(INPUT_COLUMNS))
        From `inputs_from_bars`.
    ts_us : int64 array (n,)
        Close of each bar, increasing.
    state : bytes, optional
        `FeatureBlock.state` of the rows just before.

    Returns
    -------
    FeatureBlock
        `values` are NaN before a column's warm-up and where a group's inputs are missing within a column's window.

    Raises
    ------
    ContractError
        Shapes, stamps or bars that break the contract.
    FeatureSetError
        A state of another feature set.

    Notes
    -----
    Row i uses rows <= i only. Any cut of the stream into calls gives the same bits.
    """
    X = np.ascontiguousarray(inputs, dtype=np.float64)
    ts = np.ascontiguousarray(ts_us, dtype=np.int64)
    if X.ndim != 2 or X.shape[1] != len(INPUT_COLUMNS) or ts.shape != X.shape[:1]:
        raise ContractError(
            f"feature inputs: found shapes {X.shape} and {ts.shape}, expected (n, {len(INPUT_COLUMNS)}) and (n,)"
        )
    stream = FeatureStream(fs, state)
    values = np.empty((len(X), len(fs.names)))
    warm = np.empty(len(X), dtype=np.bool_)
    stream.push(X, ts, values, warm)
    return FeatureBlock(values, warm, stream.state())


def _floats(column: pa.ChunkedArray) -> np.ndarray:
    values: np.ndarray = pc.fill_null(column.cast(pa.float64()), np.nan).to_numpy()
    return values


def inputs_from_bars(bars: pa.Table, market: pa.Table | None = None) -> np.ndarray:
    """The input matrix of a table of bars, float64 (n, len(INPUT_COLUMNS)), NaN where null.

    Parameters
    ----------
    bars : pyarrow.Table
        Schema BARS.
    market : pyarrow.Table, optional
        Schema MARKET, rows of this symbol; joined on the close, a bar without one gets NaN.

    Raises
    ------
    ContractError
        `market` has two rows for one close.
    """
    X = np.full((bars.num_rows, len(INPUT_COLUMNS)), np.nan)
    for j, name in enumerate(INPUT_COLUMNS):
        if name not in _MARKET_COLUMNS:
            X[:, j] = _floats(bars.column(name))
    if market is None or market.num_rows == 0:
        return X
    known = us(market.column("ts_us"))
    order = np.argsort(known, kind="stable")
    known = known[order]
    if (np.diff(known) == 0).any():
        twice = int(known[1:][np.diff(known) == 0][0])
        raise ContractError(f"market: two rows for the close {twice} us; expected one - pass the rows of one symbol")
    ts = us(bars.column("ts_us"))
    at = np.minimum(np.searchsorted(known, ts), len(known) - 1)
    found = known[at] == ts
    for name in _MARKET_COLUMNS:
        X[found, INPUT_COLUMNS.index(name)] = _floats(market.column(name))[order][at[found]]
    return X


def available_groups(bars: pa.Table, market: pa.Table | None = None) -> tuple[tuple[InputGroup, ...], tuple[str, ...]]:
    """What a source can feed: its input groups, and the columns absent although their group is there.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from scalper_ml.schema import BARS
    >>> available_groups(BARS.empty_table())
    (('klines', 'calendar'), ())
    """
    groups: list[InputGroup] = ["klines"]

    def empty(name: str) -> bool:
        return bool(bars.column(name).null_count == bars.num_rows)

    absent = tuple(name for name in ("quote_volume", "buy_trades", "vwap") if empty(name) and bars.num_rows)
    if not any(empty(name) for name in _TRADE_COLUMNS):
        groups.append("trades")
    if market is not None and market.num_rows:
        groups.append("market")
    return (*groups, "calendar"), absent
