"""Logarithm, sine and cosine over a block of rows.

The C library's versions are called row by row, which no compiler turns into vector instructions, and
differ in the last bit between machines. These are loops of additions and multiplications, with the same
bits everywhere.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs
# (numba infers the types of kernels)

import math

import numpy as np

from scalper_ml.kernel import inlined, view_kernel

__all__ = ["ln", "turn"]

_ROOT_HALF = np.float64(math.sqrt(0.5)).view(np.int64)
_LN2_HIGH = float((np.float64(math.log(2.0)).view(np.int64) & ~np.int64(0xFFFFFFFF)).view(np.float64))
_LN2_LOW = 2.3190468138462996e-17 + (math.log(2.0) - _LN2_HIGH)


@view_kernel
def ln(x, into):
    """Natural logarithm of positive normal numbers, to 1 ulp; NaN and infinity give NaN.

    ``x = 2^k (1 + f)`` with ``1 + f`` from sqrt(1/2) to sqrt(2); ``ln(1 + f) = 2 atanh(f / (2 + f))`` by its series.
    `into` must not overlap `x`.
    """
    bits = x.view(np.int64)
    whole = into.view(np.int64)
    for r in range(x.shape[0]):
        whole[r] = bits[r] - (((bits[r] - _ROOT_HALF) >> 52) << 52)  # the bits of 1 + f
    for r in range(x.shape[0]):
        f = into[r] - 1.0
        k = float((bits[r] - _ROOT_HALF) >> 52)
        s = f / (2.0 + f)
        z = s * s
        high = 2.0 / 13.0 + z * (2.0 / 15.0 + z * (2.0 / 17.0 + z * (2.0 / 19.0 + z * (2.0 / 21.0))))
        tail = z * (2.0 / 3.0 + z * (2.0 / 5.0 + z * (2.0 / 7.0 + z * (2.0 / 9.0 + z * (2.0 / 11.0 + z * high)))))
        half = 0.5 * f * f
        into[r] = k * _LN2_HIGH - ((half - (s * (half + tail) + k * _LN2_LOW)) - f) + (x[r] - x[r])


@inlined
def _sine(v, z):
    s = 1.0 - z * (1.0 / 72.0) * (1.0 - z * (1.0 / 110.0) * (1.0 - z * (1.0 / 156.0) * (1.0 - z * (1.0 / 210.0))))
    return v * (1.0 - z * (1.0 / 6.0) * (1.0 - z * (1.0 / 20.0) * (1.0 - z * (1.0 / 42.0) * s)))


@inlined
def _cosine(z):
    c = 1.0 - z * (1.0 / 90.0) * (1.0 - z * (1.0 / 132.0) * (1.0 - z * (1.0 / 182.0) * (1.0 - z * (1.0 / 240.0))))
    return 1.0 - z * (1.0 / 2.0) * (1.0 - z * (1.0 / 12.0) * (1.0 - z * (1.0 / 30.0) * (1.0 - z * (1.0 / 56.0) * c)))


@view_kernel
def turn(x, sine, cosine):
    """Sine and cosine of ``2 pi x`` for ``0 <= x < 1``, to 1e-16: their series within an eighth of a turn."""
    for r in range(x.shape[0]):
        quarter = math.floor(4.0 * x[r] + 0.5)
        v = 2.0 * math.pi * (x[r] - 0.25 * quarter)
        s, c = _sine(v, v * v), _cosine(v * v)
        odd = quarter == 1.0 or quarter == 3.0
        sine[r] = (c if odd else s) * (-1.0 if quarter == 2.0 or quarter == 3.0 else 1.0)
        cosine[r] = (s if odd else c) * (-1.0 if quarter == 1.0 or quarter == 2.0 else 1.0)
