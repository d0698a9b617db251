"""Compiling ahead, in several processes: a kernel can be compiled without any other, and only the step joins them."""

import multiprocessing
import os
from typing import Any

import numpy as np

from scalper_ml.features.fused import KERNELS, step
from scalper_ml.features.rolling import roll
from scalper_ml.features.series import derive, inspect, load, publish
from scalper_ml.kernel import compile_for

__all__ = ["compile_ahead"]

_row, _rows = np.zeros(1), np.zeros((1, 1))
_numbers, _table = _row.astype(np.int64), _rows.astype(np.int64)
_span = (_rows, 0, 0, 0)

_PARTS: tuple[tuple[Any, tuple[Any, ...]], ...] = (
    (derive, (*_span, _row, _rows, _numbers)),
    (roll, (*_span, _table, _row, _rows)),
    (load, (_rows, _numbers, _rows, 0, True)),
    (inspect, (_rows, _numbers, 0)),
    (publish, (_rows, 0, 0, 0, _rows, 0, 0, _rows, _row)),
    *((kernel, (*_span, _row, _row, _rows, _numbers, _rows)) for kernel in KERNELS),
)
"""What the step consists of, with arguments of the types it is called with; the two that take longest first."""


def compile_ahead(processes: int | None = None) -> None:
    """Compile the step of the engine, or find it compiled; its parts in so many processes, one a core by default.

    Kernels lie in the cache afterwards, for every later process.
    """
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes or os.cpu_count()) as pool:
        pool.map(_compile, range(len(_PARTS)), chunksize=1)
    step()


def _compile(place: int) -> None:
    kernel, examples = _PARTS[place]
    compile_for(kernel, *examples)
