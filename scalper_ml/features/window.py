"""Sliding-window primitives: exact, drift-free and independent of how the stream is cut.

Every window sum here is *two fresh sums*: rows since the last block boundary (a prefix) plus the
tail of the block before it (a stored suffix). Blocks are ``n`` rows long and start at rows
``0, n, 2n, ...`` counted since the last reset, so nothing depends on chunking; nothing is ever
subtracted, so nothing drifts and a huge value leaves no residue; and a NaN disturbs exactly the
windows that contain it (`highest` and `lowest` pass over NaN).

Arguments shared by all: ``x`` the series, ``i`` its current row, ``n`` the window in rows,
``k`` the row within the block (``t % n``), ``S`` the carried state, zeros at first.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs
# (numba infers the types of kernels)

from typing import Any

import numpy as np

from scalper_ml.kernel import kernel

__all__ = [
    "age_of_highest",
    "age_of_lowest",
    "age_size",
    "dot_size",
    "highest",
    "lowest",
    "moments_size",
    "pair_size",
    "powers_size",
    "slide_dot",
    "slide_moments",
    "slide_pair",
    "slide_powers",
    "slide_sum",
    "smooth",
    "sum_size",
]


def sum_size(n: int) -> int:
    """State of `slide_sum`, in floats."""
    return n + 1


def dot_size(n: int) -> int:
    """State of `slide_dot`, in floats."""
    return n + 1


def moments_size(n: int) -> int:
    """State of `slide_moments`, in floats."""
    return 2 * (n + 1) + 1


def powers_size(n: int) -> int:
    """State of `slide_powers`, in floats."""
    return 4 * (n + 1) + 1


def pair_size(n: int) -> int:
    """State of `slide_pair`, in floats."""
    return 5 * (n + 1) + 2


def age_size(n: int) -> int:
    """State of `age_of_highest` and of `age_of_lowest`, in floats."""
    return 2 * (n + 1)


def inlined(function: Any) -> Any:
    """A kernel that is always compiled into its callers: it runs once a row, where a call would cost more than it."""
    compiled = kernel(function)
    compiled.targetoptions["forceinline"] = True
    return compiled


@inlined
def slide_sum(x, i, k, n, S):
    """Sum of ``x[i-n+1..i]``."""
    if k == 0:
        total = 0.0
        for j in range(n - 1, 0, -1):
            total += x[i - n + j]
            S[j] = total
        S[0] = 0.0
    S[0] += x[i]
    return S[0] + S[k + 1]


@inlined
def slide_dot(x, y, lag, i, k, n, S):
    """Sum of ``x[j] * y[j - lag]`` over the window."""
    if k == 0:
        total = 0.0
        for j in range(n - 1, 0, -1):
            total += x[i - n + j] * y[i - n + j - lag]
            S[j] = total
        S[0] = 0.0
    S[0] += x[i] * y[i - lag]
    return S[0] + S[k + 1]


@inlined
def slide_moments(x, i, k, n, S):
    """Mean and sum of squared deviations of the window, about an element of the window."""
    m = n + 1
    if k == 0:
        anchor = x[i]
        s1 = 0.0
        s2 = 0.0
        for j in range(n - 1, 0, -1):
            d = x[i - n + j] - anchor
            s1 += d
            s2 += d * d
            S[j] = s1
            S[m + j] = s2
        S[0] = 0.0
        S[m] = 0.0
        S[2 * m] = anchor
    d = x[i] - S[2 * m]
    S[0] += d
    S[m] += d * d
    mean = (S[0] + S[k + 1]) / n
    return S[2 * m] + mean, max(S[m] + S[m + k + 1] - n * mean * mean, 0.0)


@inlined
def slide_powers(x, i, k, n, S):
    """Mean and the 2nd, 3rd and 4th central moments (divided by n) of the window."""
    m = n + 1
    if k == 0:
        anchor = x[i]
        s1 = 0.0
        s2 = 0.0
        s3 = 0.0
        s4 = 0.0
        for j in range(n - 1, 0, -1):
            d = x[i - n + j] - anchor
            s1 += d
            s2 += d * d
            s3 += d * d * d
            s4 += d * d * d * d
            S[j] = s1
            S[m + j] = s2
            S[2 * m + j] = s3
            S[3 * m + j] = s4
        for c in range(4):
            S[c * m] = 0.0
        S[4 * m] = anchor
    d = x[i] - S[4 * m]
    S[0] += d
    S[m] += d * d
    S[2 * m] += d * d * d
    S[3 * m] += d * d * d * d
    a = (S[0] + S[k + 1]) / n
    b = (S[m] + S[m + k + 1]) / n
    c3 = (S[2 * m] + S[2 * m + k + 1]) / n
    c4 = (S[3 * m] + S[3 * m + k + 1]) / n
    m2 = max(b - a * a, 0.0)
    m3 = c3 - 3.0 * a * b + 2.0 * a * a * a
    m4 = max(c4 - 4.0 * a * c3 + 6.0 * a * a * b - 3.0 * a * a * a * a, 0.0)
    return S[4 * m] + a, m2, m3, m4


@inlined
def slide_pair(x, y, lag, i, k, n, S):
    """Means and centred sums of x and of y lagged: ``(mean x, mean y, Sxx, Syy, Sxy)``."""
    m = n + 1
    if k == 0:
        ax = x[i]
        ay = y[i - lag]
        sx = 0.0
        sy = 0.0
        sxx = 0.0
        syy = 0.0
        sxy = 0.0
        for j in range(n - 1, 0, -1):
            dx = x[i - n + j] - ax
            dy = y[i - n + j - lag] - ay
            sx += dx
            sy += dy
            sxx += dx * dx
            syy += dy * dy
            sxy += dx * dy
            S[j] = sx
            S[m + j] = sy
            S[2 * m + j] = sxx
            S[3 * m + j] = syy
            S[4 * m + j] = sxy
        for c in range(5):
            S[c * m] = 0.0
        S[5 * m] = ax
        S[5 * m + 1] = ay
    dx = x[i] - S[5 * m]
    dy = y[i - lag] - S[5 * m + 1]
    S[0] += dx
    S[m] += dy
    S[2 * m] += dx * dx
    S[3 * m] += dy * dy
    S[4 * m] += dx * dy
    mx = (S[0] + S[k + 1]) / n
    my = (S[m] + S[m + k + 1]) / n
    vx = max(S[2 * m] + S[2 * m + k + 1] - n * mx * mx, 0.0)
    vy = max(S[3 * m] + S[3 * m + k + 1] - n * my * my, 0.0)
    cov = S[4 * m] + S[4 * m + k + 1] - n * mx * my
    return S[5 * m] + mx, S[5 * m + 1] + my, vx, vy, cov


@inlined
def highest(x, i, k, n, S):
    """Largest of ``x[i-n+1..i]``. State as of `slide_sum`."""
    if k == 0:
        top = -np.inf
        for j in range(n - 1, 0, -1):
            top = max(top, x[i - n + j])
            S[j] = top
        S[0] = -np.inf
        S[n] = -np.inf
    S[0] = max(S[0], x[i])
    return max(S[0], S[k + 1])


@inlined
def lowest(x, i, k, n, S):
    """Smallest of ``x[i-n+1..i]``. State as of `slide_sum`."""
    if k == 0:
        low = np.inf
        for j in range(n - 1, 0, -1):
            low = min(low, x[i - n + j])
            S[j] = low
        S[0] = np.inf
        S[n] = np.inf
    S[0] = min(S[0], x[i])
    return min(S[0], S[k + 1])


@inlined
def age_of_highest(x, i, t, k, n, S):
    """Rows since the largest of the window, the newest of equals; `t` is the row now. ``S``: values, rows."""
    m = n + 1
    if k == 0:
        top = -np.inf
        row = t
        for j in range(n - 1, 0, -1):
            row = t - n + j if x[i - n + j] > top else row
            top = max(top, x[i - n + j])
            S[j] = top
            S[m + j] = row
        S[0] = -np.inf
        S[n] = -np.inf
    S[m] = t if x[i] >= S[0] else S[m]
    S[0] = max(S[0], x[i])
    return t - (S[m] if S[0] >= S[k + 1] else S[m + k + 1])


@inlined
def age_of_lowest(x, i, t, k, n, S):
    """Rows since the smallest of the window, the newest of equals; `t` is the row now. ``S``: values, rows."""
    m = n + 1
    if k == 0:
        low = np.inf
        row = t
        for j in range(n - 1, 0, -1):
            row = t - n + j if x[i - n + j] < low else row
            low = min(low, x[i - n + j])
            S[j] = low
            S[m + j] = row
        S[0] = np.inf
        S[n] = np.inf
    S[m] = t if x[i] <= S[0] else S[m]
    S[0] = min(S[0], x[i])
    return t - (S[m] if S[0] <= S[k + 1] else S[m + k + 1])


@inlined
def smooth(mean, x, seen, n, alpha):
    """Exponential mean after `x`: the plain mean of the first n values, then ``mean + alpha (x - mean)``.

    `seen` counts the values before `x`. ``alpha = 2/(n+1)`` is an EMA, ``1/n`` is Wilder's.
    """
    if seen == 0:
        return x
    if seen < n:
        return mean + (x - mean) / (seen + 1.0)
    return mean + alpha * (x - mean)
