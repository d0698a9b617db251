"""Compiling ahead, in several processes: a kernel can be compiled without any other, and only the step joins them."""

import multiprocessing
import os
from typing import Any

import numba

from scalper_ml.features.fused import KERNELS, step
from scalper_ml.features.rolling import roll
from scalper_ml.features.series import derive, inspect, load, publish

__all__ = ["compile_ahead"]

_float, _int = numba.float64, numba.int64
_row, _rows, _numbers, _table = _float[::1], _float[:, ::1], _int[::1], _int[:, ::1]
_span = (_rows, _int, _int, _int)
_KERNEL = (*_span, _row, _row, _rows, _numbers, _rows)

_PARTS: tuple[tuple[Any, tuple[Any, ...]], ...] = (
    (derive, (*_span, _row, _rows, _int, _int)),
    (roll, (*_span, _table, _row, _rows)),
    (load, (_rows, _numbers, _rows, _int)),
    (inspect, (_rows, _numbers, _int)),
    (publish, (_rows, _int, _int, _int, _rows, _int, _int, _rows, _row)),
    *((kernel, _KERNEL) for kernel in KERNELS),
)
"""What the step consists of, with the types it is called with; the two that take longest first."""


def compile_ahead(processes: int | None = None) -> None:
    """Compile the step of the engine, or find it compiled; its parts in so many processes, one a core by default.

    Kernels lie in the cache afterwards, for every later process.
    """
    workers = processes or os.cpu_count() or 1
    shares = [list(range(first, len(_PARTS), workers)) for first in range(workers)]
    context = multiprocessing.get_context("spawn")
    with context.Pool(len(shares)) as pool:
        pool.map(_compile, shares, chunksize=1)
    step()


def _compile(share: list[int]) -> None:
    for place in share:
        kernel, types = _PARTS[place]
        kernel.compile(types)
