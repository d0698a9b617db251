"""Kernels that serve several features: the series they read are constants of the registry entry."""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs
# (numba infers the types of kernels)

import math

from scalper_ml.features.series import ATR
from scalper_ml.features.window import slide_moments, slide_pair, slide_sum, sum_size
from scalper_ml.kernel import kernel

__all__ = ["correlation", "mean", "over_atr", "root_mean", "run_length", "share", "share_size", "sum_z", "zscore"]


def share_size(n: int) -> int:
    """State of `share`, in floats."""
    return 2 * sum_size(n)


@kernel
def share(H, i0, i1, t0, P, S, out):
    """Factor times the sum of one series over n bars by the sum of another; 0 by 0 is 0. ``P``: n, both, factor."""
    n, top, bottom, factor = int(P[0]), int(P[1]), int(P[2]), P[3]
    k = t0 % n
    for i in range(i0, i1):
        upper = slide_sum(H[top], i, k, n, S[: n + 1])
        lower = slide_sum(H[bottom], i, k, n, S[n + 1 :])
        out[0, i - i0] = factor * upper / lower if lower != 0.0 else 0.0
        k = k + 1 if k < n - 1 else 0


@kernel
def mean(H, i0, i1, t0, P, S, out):
    """Mean of a series over n bars less a constant. ``P``: n, series, constant."""
    n, row, origin = int(P[0]), int(P[1]), P[2]
    k = t0 % n
    for i in range(i0, i1):
        out[0, i - i0] = slide_sum(H[row], i, k, n, S) / n - origin
        k = k + 1 if k < n - 1 else 0


@kernel
def root_mean(H, i0, i1, t0, P, S, out):
    """Square root of factor times the mean of a series over n bars, 0 if negative. ``P``: n, series, factor."""
    n, row, factor = int(P[0]), int(P[1]), P[2]
    k = t0 % n
    for i in range(i0, i1):
        out[0, i - i0] = math.sqrt(factor * max(slide_sum(H[row], i, k, n, S), 0.0) / n)
        k = k + 1 if k < n - 1 else 0


@kernel
def sum_z(H, i0, i1, t0, P, S, out):
    """Sum of a series over n bars by its volatility times sqrt(n). ``P``: n, series, series of its volatility."""
    n, row, sigma = int(P[0]), int(P[1]), int(P[2])
    root = math.sqrt(n)
    k = t0 % n
    for i in range(i0, i1):
        out[0, i - i0] = slide_sum(H[row], i, k, n, S) / (H[sigma, i] * root)
        k = k + 1 if k < n - 1 else 0


@kernel
def zscore(H, i0, i1, t0, P, S, out):
    """z-score (ddof 0) of a series in its last n values; 0 in a flat window. ``P``: n, series."""
    n, row = int(P[0]), int(P[1])
    k = t0 % n
    for i in range(i0, i1):
        centre, squares = slide_moments(H[row], i, k, n, S)
        sd = math.sqrt(squares / n)
        out[0, i - i0] = (H[row, i] - centre) / sd if not sd < 1e-9 else 0.0
        k = k + 1 if k < n - 1 else 0


@kernel
def correlation(H, i0, i1, t0, P, S, out):
    """Correlation of a series with another one lagged, over n bars; 0 if either is flat. ``P``: n, both, lag."""
    n, one, other, lag = int(P[0]), int(P[1]), int(P[2]), int(P[3])
    k = t0 % n
    for i in range(i0, i1):
        _, _, sxx, syy, sxy = slide_pair(H[one], H[other], lag, i, k, n, S)
        out[0, i - i0] = sxy / math.sqrt(sxx * syy) if sxx != 0.0 and syy != 0.0 else 0.0
        k = k + 1 if k < n - 1 else 0


@kernel
def over_atr(H, i0, i1, t0, P, S, out):
    """Difference of two series, the second lagged, over ATR; absolute if asked. ``P``: both, lag, absolute."""
    one, other, lag = int(P[0]), int(P[1]), int(P[2])
    for i in range(i0, i1):
        value = (H[one, i] - H[other, i - lag]) / H[ATR, i]
        out[0, i - i0] = abs(value) if P[3] > 0.0 else value


@kernel
def run_length(H, i0, i1, t0, P, S, out):
    """Signed number of rows in a row on which a series has one sign; 0 where it is 0. ``P``: series. ``S``: the run.

    A NaN row is NaN and leaves the run as it was.
    """
    row = int(P[0])
    for i in range(i0, i1):
        x = H[row, i]
        if x > 0.0:
            S[0] = max(S[0], 0.0) + 1.0
        elif x < 0.0:
            S[0] = min(S[0], 0.0) - 1.0
        elif x == 0.0:
            S[0] = 0.0
        out[0, i - i0] = S[0] if x == x else x
