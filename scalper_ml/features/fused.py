"""The engine's one compiled function: rows of inputs in, rows of all features of a set out, over carried state.

It is kept apart from what drives it, because an edit of this file compiles it anew.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from scalper_ml.features.registry import KINDS
from scalper_ml.features.rolling import COLUMNS as WANTED_COLUMNS
from scalper_ml.features.rolling import roll, roll_row
from scalper_ml.features.series import GAP as GAP_COLUMN
from scalper_ml.features.series import OF_MARKET, TRADES, TS, derive, inspect, load, publish
from scalper_ml.kernel import direct, lean_kernel, spliced

__all__ = ["AHEAD", "AT", "BLOCK", "KERNELS", "LINE", "MISSING", "ROWS", "SCRATCH", "step"]

BLOCK = 512
"""Rows computed at a time: what one core's second-level cache holds."""

AHEAD = 4 * BLOCK
"""Rows a stream can go on before its history is moved back to the front of its memory."""

LINE = 8
"""Floats in one line of the cache."""

SCRATCH = 4
"""Blocks of rows a kernel may use as it likes."""

MISSING = SCRATCH
"""The block after them, NaN in rows that lack a value."""

def _fuse(kernels: Sequence[Any]) -> Any:
    """One compiled function that runs `kernels` over a block of rows, each as often as the set has it.

    Written out as text because a loop over different functions cannot be compiled; this way one call
    from Python costs the same for one feature as for two hundred.
    """
    lines = [
        "def run(H, i0, i1, t0, P, S, R, wanted, plan, answers, limits, out, values, done):",
        "    for e in range(plan.shape[0]):",
        "        code, first, last = plan[e, 0], plan[e, 3], plan[e, 4]",
        "        if i1 - i0 > 1 and plan[e, 6] > plan[e, 5]:",
        "            roll(H, i0, i1, t0, wanted[plan[e, 5]:plan[e, 6]], S, R)",
        "        params, w, state = P[e], answers[e], S[plan[e, 1]:plan[e, 2]]",
    ]
    for code in range(len(kernels)):
        lines.append(f"        {'elif' if code else 'if'} code == {code}:")
        lines.append(f"            kernel_{code}(H, i0, i1, t0, params, state, R, w, out)")
    lines += [
        "        publish(out, first, last, t0, limits, done, i1 - i0, values, R[MISSING])",
    ]
    given = {"roll": roll, "publish": publish, "MISSING": MISSING, "__name__": __name__}
    names = {f"kernel_{code}": one for code, one in enumerate(kernels)} | given
    exec(compile("\n".join(lines), __file__, "exec"), names)
    return spliced(names["run"])


KERNELS = tuple(dict.fromkeys(kind.kernel for kind in KINDS))
_run = _fuse(KERNELS)

AT, ROWS, MEMORY, HEIGHT, OUTPUTS, WANTED, PLAN, ANSWERS, PARAMETERS, STATE, BLOCKS, PLACES, COLUMNS, READ = range(14)
"""Head of the table a stream is driven by: place and number of the next row, sizes, then five flags of what is read."""

MIN_TICKS, RESET_GAP = range(2)


@lean_kernel
def _push(X, ts_us, F, T, values, warm):  # type: ignore[no-untyped-def]
    """Compute the next rows; the first bad row and the first row out of order, -1 if none; nothing is done if any.

    All arrays of a stream lie in `F` and all tables in `T`, because every array handed over takes time, which a single
    row feels.
    """
    width = T[MEMORY] + AHEAD
    a, b = 2, 2 + T[HEIGHT] * width
    H = F[a:b].reshape(T[HEIGHT], width)
    a, b = b, b + T[STATE]
    S = F[a:b]
    a, b = b, b + T[PLAN] * T[PARAMETERS]
    P = F[a:b].reshape(T[PLAN], T[PARAMETERS])
    a, b = b, b + T[COLUMNS] * 3
    limits = F[a:b].reshape(T[COLUMNS], 3)
    scratch = F[b:]
    a, b = READ + 5, READ + 5 + T[WANTED] * WANTED_COLUMNS
    wanted = T[a:b].reshape(T[WANTED], WANTED_COLUMNS)
    a, b = b, b + T[PLAN] * 7
    plan = T[a:b].reshape(T[PLAN], 7)
    a, b = b, b + T[PLAN] * T[ANSWERS]
    answers = T[a:b].reshape(T[PLAN], T[ANSWERS])
    a, b = b, b + T[WANTED] * WANTED_COLUMNS
    wanted_alone = T[a:b].reshape(T[WANTED], WANTED_COLUMNS)
    answers_alone = T[b : b + T[PLAN] * T[ANSWERS]].reshape(T[PLAN], T[ANSWERS])
    at, rows = T[AT], T[ROWS]
    bad, late = inspect(X, ts_us, int(H[TS, at - 1]) if rows > 0 else -1)
    if bad >= 0 or late >= 0:
        return bad, late
    done, n = 0, X.shape[0]
    while done < n:
        if X[done, GAP_COLUMN] >= F[RESET_GAP]:
            H[:] = np.nan
            S[:] = 0.0
            at, rows = T[MEMORY], 0
        if at == width:
            for c in range(T[HEIGHT]):
                front, back = H[c, : T[MEMORY]], H[c, AHEAD:]
                for j in range(front.shape[0]):
                    front[j] = back[j]
            at = T[MEMORY]
        end = min(n, done + BLOCK, done + width - at)
        for i in range(done + 1, end):
            if X[i, GAP_COLUMN] >= F[RESET_GAP]:
                end = i
                break
        i1, m = at + end - done, end - done
        wide = m if m < LINE else m + LINE  # not a power of two, or all blocks would share the same lines of the cache
        blocks = T[BLOCKS] if m > 1 else T[PLACES]
        R = scratch[: blocks * wide].reshape(blocks, wide)
        out = scratch[blocks * wide : (blocks + T[OUTPUTS]) * wide].reshape(T[OUTPUTS], wide)
        load(X[done:end], ts_us[done:end], H, at, T[READ + OF_MARKET] > 0)
        derive(H, at, i1, rows, S, R, T[READ:])
        R[MISSING] = 0.0
        if m == 1:
            roll_row(H, at, rows, wanted_alone, S, R)
        _run(H, at, i1, rows, P, S, R, wanted, plan, answers if m > 1 else answers_alone, limits, out, values, done)
        for r in range(m):
            warm[done + r] = R[MISSING, r] == R[MISSING, r] and not H[TRADES, at + r] < F[MIN_TICKS]
        at, rows, done = i1, rows + end - done, end
    T[AT], T[ROWS] = at, rows
    return bad, late


@cache
def step() -> Callable[..., tuple[int, int]]:
    """The compiled step of a stream: see `_push`."""
    line, numbers, matrix = np.empty(1), np.empty(1, dtype=np.int64), np.empty((1, 1))
    return direct(_push, matrix, numbers, line, numbers, matrix, np.empty(1, dtype=np.bool_))
