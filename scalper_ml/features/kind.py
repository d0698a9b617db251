"""What a feature is: one kernel and one entry that says everything about it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scalper_ml.features.rolling import Rolling
from scalper_ml.schema import InputGroup

__all__ = ["ATR_WARMUP", "SIGMA_WARMUP", "Kind", "Span", "ema_warmup", "wilder_warmup"]

Span = tuple[float, float]

ATR_WARMUP = 280
"""Rows before the shared Wilder ATR(14) has forgotten its start: 20 x 14."""

SIGMA_WARMUP = 60
"""Rows before the shared 60-bar volatility is known."""


def ema_warmup(n: int) -> int:
    """Rows before an EMA of n has forgotten its start: 10 n, a weight below 3e-9.

    Examples
    --------
    >>> ema_warmup(21)
    210
    """
    return 10 * n


def wilder_warmup(n: int) -> int:
    """Rows before Wilder's mean of n has forgotten its start: 20 n, a weight below 3e-9.

    Examples
    --------
    >>> wilder_warmup(14)
    280
    """
    return 20 * n


def _none(*params: int) -> int:
    return 0


def _nothing(*params: int) -> tuple[Rolling, ...]:
    return ()


def _longest(*params: int) -> int:
    return max(params, default=0) + 1


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of feature: a kernel, its parameter sets and all that is to be known about it.

    Parameters
    ----------
    name : str
        What settings call it. Columns are ``output + "_" + "_".join(params)``.
    family : str
    kernel : compiled function
        ``kernel(H, i0, i1, t0, P, S, R, w, out)`` computes rows ``i0 <= i < i1`` of the series in `H`
        (rows named in `scalper_ml.features.series`; ``H[c, i - lag]`` reaches back `memory` rows, NaN
        before the last reset) and writes ``out[output, i - i0]``. Row i is number ``t0 + i - i0``
        since the reset; `S` is the carried state, zeros at row 0; `P` holds parameters, then constants;
        ``R[w[k], i - i0]`` is the k-th of `rolling`, and ``R[0]`` to ``R[3]`` are scratch.
    params : tuple of tuple of int
        Parameter sets of the default feature set.
    definition, unit, source : str
    inputs : tuple of str
        Input columns it needs; a source without one of them does not have the feature.
    group : InputGroup
    span : (low, high), or one such pair an output, or a function of the parameters
        Values are clipped to it.
    warmup : function of the parameters
        Number of the first row, counted since the reset, that has a value.
    rolling : function of the parameters
        The rolling statistics the kernel reads, in order.
    state, memory : functions of the parameters
        Floats the kernel itself carries; rows of the series `LOOKED_BACK` it may read, its own included.
    outputs : tuple of str, optional
        Column stems, `name` alone by default.
    constants : tuple of float, optional
        Passed to the kernel after the parameters; not part of the name.
    smallest, largest : int, optional
        What a parameter may be.
    version : int
        Raised when the numbers change.
    """

    name: str
    family: str
    kernel: Any
    params: tuple[tuple[int, ...], ...]
    definition: str
    inputs: tuple[str, ...]
    span: Span | tuple[Span, ...] | Callable[..., Span]
    warmup: Callable[..., int]
    unit: str = "ratio"
    source: str = ""
    group: InputGroup = "klines"
    rolling: Callable[..., tuple[Rolling, ...]] = _nothing
    state: Callable[..., int] = _none
    memory: Callable[..., int] = _longest
    outputs: tuple[str, ...] = ()
    constants: tuple[float, ...] = ()
    smallest: int = 1
    largest: int = 2000
    version: int = 1

    def columns(self, params: tuple[int, ...]) -> tuple[str, ...]:
        """Column names for one parameter set."""
        return tuple("_".join([stem, *map(str, params)]) for stem in self.outputs or (self.name,))

    def spans(self, params: tuple[int, ...]) -> tuple[Span, ...]:
        """Clip range of each column for one parameter set."""
        span = self.span(*params) if callable(self.span) else self.span
        if isinstance(span[0], tuple):
            return span
        return (span,) * len(self.outputs or (self.name,))
