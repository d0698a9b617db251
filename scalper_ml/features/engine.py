"""The engine: one compiled pass over carried state, for a million rows or for one.

Batch, incremental and online are the same call with different numbers of rows. History and kernel
state are plain float64 arrays, so a stream can be put down as bytes and taken up again, bit for bit.
"""

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scalper_ml.errors import ContractError, FeatureSetError
from scalper_ml.features.feeds import HEIGHTS
from scalper_ml.features.fused import AHEAD, AT, BLOCK, KERNELS, LINE, MISSING, ROWS, step
from scalper_ml.features.registry import FeatureSet
from scalper_ml.features.rolling import Rolling
from scalper_ml.features.series import (
    BAR_COLUMNS,
    DERIVED_FROM,
    INPUT_COLUMNS,
    LOOKED_BACK,
    OWN_COLUMNS,
    SERIES,
    SERIES_STATE,
    TS,
    series_read,
)
from scalper_ml.kernel import in_place

__all__ = ["INPUT_COLUMNS", "FeatureBlock", "FeatureStream", "columns_read", "compute"]

_HEADER = struct.Struct("<8s12sq")
_MAGIC = b"SCFEAT05"
_DIGEST = 12  # bytes: the whole head takes a multiple of eight


@dataclass(frozen=True, slots=True)
class FeatureBlock:
    """Features of consecutive bars.

    `values` (n, f) float64, each column in one piece, NaN before its warm-up; `warm` (n,) bool, every column known
    and enough ticks in the bar; `state` carries the stream on.
    """

    values: np.ndarray
    warm: np.ndarray
    state: bytes


def columns_read(fs: FeatureSet) -> tuple[str, ...]:
    """Input columns a stream of a set reads: all where a feature needs a feed, else those before, else bars alone."""
    groups = {spec.group for spec in fs.specs}
    if not groups.isdisjoint(HEIGHTS):
        return INPUT_COLUMNS
    return OWN_COLUMNS if "market" in groups else BAR_COLUMNS


def _table(rows: Sequence[Sequence[float]], width: int) -> list[float]:
    """Rows of different lengths, filled up with zeros and laid end to end."""
    return [value for row in rows for value in (*row, *(0,) * (width - len(row)))]


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
        self._step = step()
        if state is not None:
            self._restore(state)

    def _plan(self, fs: FeatureSet) -> None:
        order = {kernel: code for code, kernel in enumerate(KERNELS)}
        asked = [kind.rolling(*params) for kind, params in fs.entries]
        last_use = {one: e for e, wishes in enumerate(asked) for one in wishes}
        place: dict[Rolling, int] = {}
        free: dict[int, list[int]] = {}
        constants: list[list[float]] = []
        plan: list[int] = []
        answers: list[list[int]] = []
        groups = {spec.group for spec in fs.specs}
        height = max([SERIES, *(HEIGHTS.get(group, 0) for group in groups)])
        kept = [*DERIVED_FROM, *([0] * (height - SERIES))]
        floats, blocks, column = SERIES_STATE, MISSING + 1, 0
        carried: dict[Rolling, int] = {}
        early = [one for one in last_use if one.exponential]  # all before the first kernel, to be computed by fours
        for e, (kind, params) in enumerate(fs.entries):
            first = len(place)
            for one in [*early, *asked[e]] if e == 0 else asked[e]:
                if one not in place:
                    place[one] = free[one.rows].pop() if free.get(one.rows) else blocks
                    blocks = max(blocks, place[one] + one.rows)
                    carried[one] = floats
                    floats += one.state
                    for series in (one.x, one.y):
                        kept[series] = max(kept[series], one.memory)
            for one in dict.fromkeys(asked[e]):
                if last_use[one] == e:
                    free.setdefault(one.rows, []).append(place[one])
            answers.append([place[one] for one in asked[e]])
            constants.append([*map(float, params), *kind.constants])
            size, columns = kind.state(*params), len(kind.columns(params))
            plan += (order[kind.kernel], floats, floats + size, column, column + columns, first, len(place))
            floats += size
            column += columns
            for series in (one for one in LOOKED_BACK if one < height):
                kept[series] = max(kept[series], kind.memory(*params))
        alone: dict[Rolling, int] = {}  # a row by itself: each statistic has its own place, and its like beside it
        places = MISSING + 1
        for one in sorted(place, key=lambda one: (one.code, one.n)):
            alone[one] = places
            places += one.rows
        wanted, wanted_alone = (
            [number for one, at in where.items() for number in one.row(carried[one], at)] for where in (place, alone)
        )
        answers_alone = [[alone[one] for one in ones] for ones in asked]
        memory = max(kept)
        outputs = max((len(kind.columns(params)) for kind, params in fs.entries), default=0)
        longest = [max((len(one) for one in rows), default=0) for rows in (answers, constants)]
        counts = [outputs, len(place), len(fs.entries), *longest, floats, blocks, places, column]
        limits = [(spec.warmup, spec.low, spec.high) for spec in fs.specs]
        history, width = 2 + height * (memory + AHEAD), memory + AHEAD
        read = series_read({series for one in place for series in (one.x, one.y)}, groups)
        head = [memory, 0, memory, height, *counts, *read]
        tables = [*wanted, *plan, *_table(answers, longest[0]), *wanted_alone, *_table(answers_alone, longest[0])]
        self._T = np.array([*head, *tables], dtype=np.int64)
        self._F = np.concatenate(
            [
                [fs.min_ticks, fs.reset_after_gap], np.full(history - 2, np.nan), np.zeros(floats),
                _table(constants, longest[1]),
                np.ravel(limits), np.full(max((blocks + outputs) * (BLOCK + LINE), places + outputs), np.nan),
            ]
        ).astype(np.float64)  # fmt: skip
        self._H = self._F[2:history].reshape(height, width)
        self._S = self._F[history : history + floats]
        self._memory, self._kept = memory, kept

    def reset(self) -> None:
        """Forget everything: the next row is row 0."""
        self._S[:] = 0.0
        self._H[:] = np.nan
        self._T[AT], self._T[ROWS] = self._memory, 0

    def push(self, X: np.ndarray, ts_us: np.ndarray, columns: np.ndarray, warm: np.ndarray) -> None:
        """Compute the next n bars into `columns` (f, n) and `warm` (n,); reset before a bar after a long gap.

        Parameters
        ----------
        X : float64 array (n, len(INPUT_COLUMNS)), C-contiguous
            Or as wide as `columns_read` of the set.
        ts_us : int64 array (n,)
            Close of each bar, increasing, after the last bar pushed.
        columns : float64 array (f, n), C-contiguous
            A column of the set each row: kernels write columns, and files keep them.
        warm : bool array (n,)

        Raises
        ------
        ContractError
            A bar that breaks its contract or the order of time, or an array of another type or order; nothing was
            computed then.
        """
        n, width = len(X), X.shape[-1] if X.shape[-1] == len(INPUT_COLUMNS) else len(columns_read(self.fs))
        for array, dtype, shape in (
            (X, np.float64, (n, width)),
            (ts_us, np.int64, (n,)),
            (columns, np.float64, (len(self.fs.names), n)),
            (warm, np.bool_, (n,)),
        ):
            if array.dtype != dtype or array.shape != shape or not array.flags.c_contiguous:
                raise ContractError(
                    f"feature stream: found an array {array.dtype} {array.shape}, expected {np.dtype(dtype)} {shape} "
                    f"in one piece - copy it with numpy.ascontiguousarray"
                )
        if not (columns.flags.writeable and warm.flags.writeable):
            raise ContractError("feature stream: columns or warm cannot be written to; expected arrays of one's own")
        self.advance(X, ts_us, columns, warm)

    def advance(self, X: np.ndarray, ts_us: np.ndarray, columns: np.ndarray, warm: np.ndarray) -> None:
        """`push` for a caller that has made sure of its arrays, which are taken on trust: a single row feels the check.

        Raises
        ------
        ContractError
            A bar that breaks its contract or the order of time; nothing was computed then.
        """
        bad, late = self._step(X, ts_us, self._F, self._T, columns, warm)
        if bad >= 0:
            row = dict(zip(BAR_COLUMNS, X[bad].tolist(), strict=False))
            raise ContractError(
                f"bar {bad} of {len(X)} closing at {int(ts_us[bad])} us: found {row}; expected 0 < low <= open, close "
                f"<= high, volume >= 0 and gap >= 0, all finite - quarantine the bar before features"
            )
        if late >= 0:
            raise ContractError(
                f"bar {late} of {len(X)}: closes at {int(ts_us[late])} us, not after the bar before; expected bars in "
                f"order of time - sort them"
            )

    @property
    def last_us(self) -> int | None:
        """Close of the last bar, in microseconds; None before the first."""
        return int(self._H[TS, int(self._T[AT]) - 1]) if self._T[ROWS] > 0 else None

    def state(self) -> bytes:
        """The carried state as bytes; equal however the stream was cut."""
        at = int(self._T[AT])
        header = _HEADER.pack(_MAGIC, self.fs.id.encode(), int(self._T[ROWS]))
        history = [self._H[series, at - rows : at].tobytes() for series, rows in enumerate(self._kept)]
        body = b"".join([*history, self._S.tobytes()])
        return b"".join([header, _digest(header, body), body])

    def _restore(self, state: bytes) -> None:
        begin = _HEADER.size + _DIGEST
        head, told, data = state[: _HEADER.size], state[_HEADER.size : begin], state[begin:]
        whole = begin + 8 * (sum(self._kept) + len(self._S))
        magic, fs_id = (head[:8], head[8:20])
        if magic != _MAGIC or fs_id != self.fs.id.encode() or len(state) != whole:
            raise FeatureSetError(
                f"feature state: found {len(state)} bytes of set {fs_id!r}, expected {whole} bytes of set "
                f"{self.fs.id!r}; start without state and replay"
            )
        if told != _digest(head, data):
            raise FeatureSetError("feature state: damaged, not the bytes that were written; start without it, replay")
        self._T[ROWS] = _HEADER.unpack(head)[2]
        body = np.frombuffer(data, dtype=np.float64)
        begin = 0
        for series, rows in enumerate(self._kept):
            self._H[series, self._memory - rows : self._memory] = body[begin : begin + rows]
            begin += rows
        self._S[:] = body[begin:]


def _digest(head: bytes, body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_DIGEST, key=head).digest()


def compute(fs: FeatureSet, inputs: np.ndarray, ts_us: np.ndarray, state: bytes | None = None) -> FeatureBlock:
    """Features of n bars, going on from `state`.

    Parameters
    ----------
    fs : FeatureSet
    inputs : array (n, len(INPUT_COLUMNS))
        From `scalper_ml.features.inputs.inputs_from_bars`; or as wide as `columns_read` of the set.
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
    if ts_us.dtype.kind not in "iu" and ts_us.dtype != np.dtype("datetime64[us]"):
        raise ContractError(f"feature inputs: found stamps of type {ts_us.dtype}; expected int64, microseconds")
    X = in_place(inputs, np.float64)
    ts = in_place(ts_us, np.int64)
    widths = sorted({len(columns_read(fs)), len(INPUT_COLUMNS)})
    if X.ndim != 2 or X.shape[1] not in widths or ts.shape != X.shape[:1]:
        raise ContractError(
            f"feature inputs: found shapes {X.shape} and {ts.shape}, expected (n, {len(INPUT_COLUMNS)}) and (n,)"
        )
    stream = FeatureStream(fs, state)
    columns = np.empty((len(fs.names), len(X)))
    warm = np.empty(len(X), dtype=np.bool_)
    stream.push(X, ts, columns, warm)
    return FeatureBlock(columns.T, warm, stream.state())
