"""Kernels that serve several features: the series they read are constants of the registry entry."""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs
# (numba infers the types of kernels)

import math

from scalper_ml.features.series import ATR
from scalper_ml.kernel import view_kernel

__all__ = [
    "correlation",
    "mean",
    "mid_rank",
    "over_atr",
    "root_mean",
    "run_length",
    "share",
    "sum_z",
    "zscore",
]


@view_kernel
def share(H, i0, i1, t0, P, S, R, w, out):
    """Factor times one rolling sum by another; 0 by 0 is 0. ``P``: n, factor. ``w``: two totals."""
    factor, upper, lower, answer = P[1], R[w[0]], R[w[1]], out[0]
    for r in range(i1 - i0):
        answer[r] = factor * upper[r] / lower[r] if lower[r] != 0.0 else 0.0


@view_kernel
def mean(H, i0, i1, t0, P, S, R, w, out):
    """Mean over n bars less a constant. ``P``: n, constant. ``w``: a total."""
    n, origin, total, answer = P[0], P[1], R[w[0]], out[0]
    for r in range(i1 - i0):
        answer[r] = total[r] / n - origin


@view_kernel
def root_mean(H, i0, i1, t0, P, S, R, w, out):
    """Square root of factor times the mean over n bars, 0 if negative. ``P``: n, factor. ``w``: a total."""
    n, factor, total, answer = P[0], P[1], R[w[0]], out[0]
    for r in range(i1 - i0):
        answer[r] = math.sqrt(factor * max(total[r], 0.0) / n)


@view_kernel
def sum_z(H, i0, i1, t0, P, S, R, w, out):
    """Sum over n bars by a volatility times sqrt(n). ``P``: n, series of the volatility. ``w``: a total."""
    total, sigma, root, answer = R[w[0]], H[int(P[1]), i0:i1], math.sqrt(P[0]), out[0]
    for r in range(i1 - i0):
        answer[r] = total[r] / (sigma[r] * root)


@view_kernel
def zscore(H, i0, i1, t0, P, S, R, w, out):
    """z-score (ddof 0) of a series in its last n values; 0 in a flat window. ``P``: n, series. ``w``: its moments."""
    n, x, centre, squares, answer = P[0], H[int(P[1]), i0:i1], R[w[0]], R[w[0] + 1], out[0]
    for r in range(i1 - i0):
        sd = math.sqrt(squares[r] / n)
        answer[r] = (x[r] - centre[r]) / sd if not sd < 1e-9 else 0.0


@view_kernel
def correlation(H, i0, i1, t0, P, S, R, w, out):
    """Correlation of two series; 0 if either is flat. ``w``: their pair."""
    sxx, syy, sxy, answer = R[w[0]], R[w[0] + 1], R[w[0] + 2], out[0]
    for r in range(i1 - i0):
        answer[r] = sxy[r] / math.sqrt(sxx[r] * syy[r]) if sxx[r] != 0.0 and syy[r] != 0.0 else 0.0


@view_kernel
def over_atr(H, i0, i1, t0, P, S, R, w, out):
    """Difference of two series, the second lagged, over ATR; absolute if asked. ``P``: both, lag, absolute."""
    lag, answer = int(P[2]), out[0]
    one, other, atr = H[int(P[0]), i0:i1], H[int(P[1]), i0 - lag : i1 - lag], H[ATR, i0:i1]
    for r in range(i1 - i0):
        value = (one[r] - other[r]) / atr[r]
        answer[r] = abs(value) if P[3] > 0.0 else value


@view_kernel
def run_length(H, i0, i1, t0, P, S, R, w, out):
    """Signed number of rows in a row on which a series has one sign; 0 where it is 0. ``P``: series. ``S``: the run.

    A NaN row is NaN and leaves the run as it was.
    """
    series, answer, run = H[int(P[0]), i0:i1], out[0], S[0]
    for r in range(i1 - i0):
        x = series[r]
        if x > 0.0:
            run = max(run, 0.0) + 1.0
        elif x < 0.0:
            run = min(run, 0.0) - 1.0
        elif x == 0.0:
            run = 0.0
        answer[r] = run if x == x else x
    S[0] = run


@view_kernel
def mid_rank(x, i0, i1, n, slack, into):
    """Mid-rank of each row among the last n, by n; values closer than `slack` are equal. Recomputed.

    A value counts twice if it is below and once if it is equal: as often as it is not above and as it is below.
    """
    for i in range(i0, i1):
        low, high, score = x[i] - slack, x[i] + slack, 0
        window = x[i - n + 1 : i + 1]
        for j in range(window.shape[0]):
            score += int(window[j] < low) + int(window[j] <= high)
        into[i - i0] = 0.5 * (score + 1) / n
