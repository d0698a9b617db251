"""Kernels that serve several features: the series they read are constants of the registry entry."""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs
# (numba infers the types of kernels)

import math

from scalper_ml.features.elementary import ln
from scalper_ml.features.series import ATR, SIGMA
from scalper_ml.kernel import inlined

__all__ = [
    "change",
    "correlation",
    "imbalance",
    "level",
    "log_change",
    "log_level",
    "log_share",
    "mean",
    "mid_rank",
    "over_atr",
    "over_sigma",
    "quotient",
    "root_mean",
    "run_length",
    "share",
    "sum_z",
    "zscore",
]


@inlined
def share(H, i0, i1, t0, P, S, R, w, out):
    """Factor times one rolling sum by another; 0 by 0 is 0. ``P``: n, factor. ``w``: two totals."""
    factor, upper, lower, answer = P[1], R[w[0]], R[w[1]], out[0]
    for r in range(i1 - i0):
        answer[r] = factor * upper[r] / lower[r] if lower[r] != 0.0 else 0.0


@inlined
def mean(H, i0, i1, t0, P, S, R, w, out):
    """Mean over n bars less a constant. ``P``: n, constant. ``w``: a total."""
    n, origin, total, answer = P[0], P[1], R[w[0]], out[0]
    for r in range(i1 - i0):
        answer[r] = total[r] / n - origin


@inlined
def root_mean(H, i0, i1, t0, P, S, R, w, out):
    """Square root of factor times the mean over n bars, 0 if negative. ``P``: n, factor. ``w``: a total."""
    n, factor, total, answer = P[0], P[1], R[w[0]], out[0]
    for r in range(i1 - i0):
        answer[r] = math.sqrt(factor * max(total[r], 0.0) / n)


@inlined
def sum_z(H, i0, i1, t0, P, S, R, w, out):
    """Sum over n bars by a volatility times sqrt(n). ``P``: n, series of the volatility. ``w``: a total."""
    total, sigma, root, answer = R[w[0]], H[int(P[1]), i0:i1], math.sqrt(P[0]), out[0]
    for r in range(i1 - i0):
        answer[r] = total[r] / (sigma[r] * root)


@inlined
def zscore(H, i0, i1, t0, P, S, R, w, out):
    """z-score (ddof 0) of a series in its last n values; 0 in a flat window. ``P``: n, series. ``w``: its moments."""
    n, x, centre, squares, answer = P[0], H[int(P[1]), i0:i1], R[w[0]], R[w[0] + 1], out[0]
    for r in range(i1 - i0):
        sd = math.sqrt(squares[r] / n)
        answer[r] = (x[r] - centre[r]) / sd if not sd < 1e-9 else 0.0


@inlined
def correlation(H, i0, i1, t0, P, S, R, w, out):
    """Correlation of two series; 0 if either is flat. ``w``: their pair."""
    sxx, syy, sxy, answer = R[w[0]], R[w[0] + 1], R[w[0] + 2], out[0]
    for r in range(i1 - i0):
        answer[r] = sxy[r] / math.sqrt(sxx[r] * syy[r]) if sxx[r] != 0.0 and syy[r] != 0.0 else 0.0


@inlined
def over_atr(H, i0, i1, t0, P, S, R, w, out):
    """Difference of two series, the second lagged, over ATR; absolute if asked. ``P``: both, lag, absolute."""
    lag, answer = int(P[2]), out[0]
    one, other, atr = H[int(P[0]), i0:i1], H[int(P[1]), i0 - lag : i1 - lag], H[ATR, i0:i1]
    for r in range(i1 - i0):
        value = (one[r] - other[r]) / atr[r]
        answer[r] = abs(value) if P[3] > 0.0 else value


@inlined
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


@inlined
def _twice(value, low, high):
    return (1.0 if value < low else 0.0) + (1.0 if value <= high else 0.0)


@inlined
def mid_rank(x, i0, i1, n, slack, into):
    """Mid-rank of each row among the last n, by n; values closer than `slack` are equal. Recomputed.

    A value counts twice if it is below and once if it is equal: as often as it is not above and as it is below.
    One lag after the other, four of them at a time; counts are whole numbers and exact in any order.
    """
    rows, last, whole = i1 - i0, x[i0:i1], n - n % 4
    for r in range(rows):
        into[r] = 0.0
    if rows == 1:  # what a live stream does
        window, low, high, total = x[i1 - n : i1], last[0] - slack, last[0] + slack, 0.0
        for j in range(n):
            total += _twice(window[j], low, high)
        into[0] = 0.5 * (total + 1.0) / n
        return
    for lag in range(0, whole, 4):
        a, b = x[i0 - lag : i1 - lag], x[i0 - lag - 1 : i1 - lag - 1]
        c, d = x[i0 - lag - 2 : i1 - lag - 2], x[i0 - lag - 3 : i1 - lag - 3]
        for r in range(rows):
            low, high = last[r] - slack, last[r] + slack
            one = _twice(a[r], low, high) + _twice(b[r], low, high)
            into[r] += one + (_twice(c[r], low, high) + _twice(d[r], low, high))
    for lag in range(whole, n):
        past = x[i0 - lag : i1 - lag]
        for r in range(rows):
            into[r] += _twice(past[r], last[r] - slack, last[r] + slack)
    for r in range(rows):
        into[r] = 0.5 * (into[r] + 1.0) / n


@inlined
def level(H, i0, i1, t0, P, S, R, w, out):
    """Factor times a series. ``P``: series, factor."""
    x, factor, answer = H[int(P[0]), i0:i1], P[1], out[0]
    for r in range(i1 - i0):
        answer[r] = factor * x[r]


@inlined
def log_level(H, i0, i1, t0, P, S, R, w, out):
    """Logarithm of a series that has no unit, taken as a millionth at least and a million at most. ``P``: series."""
    x, bounded, rows = H[int(P[0]), i0:i1], R[0], i1 - i0
    for r in range(rows):
        bounded[r] = min(max(x[r], 1e-6), 1e6)
    ln(bounded[:rows], out[0])


@inlined
def change(H, i0, i1, t0, P, S, R, w, out):
    """A series less what it was n bars before. ``P``: n, series."""
    n, series, answer = int(P[0]), H[int(P[1])], out[0]
    now, before = series[i0:i1], series[i0 - n : i1 - n]
    for r in range(i1 - i0):
        answer[r] = now[r] - before[r]


@inlined
def log_change(H, i0, i1, t0, P, S, R, w, out):
    """Logarithm of a series over what it was n bars before, within a million; 0 by 0 is no change. ``P``: n, series."""
    n, series, ratio, rows = int(P[0]), H[int(P[1])], R[0], i1 - i0
    now, before = series[i0:i1], series[i0 - n : i1 - n]
    for r in range(rows):
        both = now[r] / before[r] if now[r] != before[r] else 1.0
        ratio[r] = min(max(both, 1e-6), 1e6)
    ln(ratio[:rows], out[0])


@inlined
def quotient(H, i0, i1, t0, P, S, R, w, out):
    """Factor times one series by another; by 0 it is 0. ``P``: both, factor."""
    upper, lower, factor, answer = H[int(P[0]), i0:i1], H[int(P[1]), i0:i1], P[2], out[0]
    for r in range(i1 - i0):
        answer[r] = factor * upper[r] / lower[r] if lower[r] != 0.0 else 0.0


@inlined
def over_sigma(H, i0, i1, t0, P, S, R, w, out):
    """Factor times a series over the volatility of a bar. ``P``: series, factor."""
    x, factor, sigma, answer = H[int(P[0]), i0:i1], P[1], H[SIGMA, i0:i1], out[0]
    for r in range(i1 - i0):
        answer[r] = factor * x[r] / sigma[r]


@inlined
def imbalance(H, i0, i1, t0, P, S, R, w, out):
    """Difference of two rolling sums by their sum; 0 by 0 is 0. ``w``: two totals."""
    one, other, answer = R[w[0]], R[w[1]], out[0]
    for r in range(i1 - i0):
        both = one[r] + other[r]
        answer[r] = (one[r] - other[r]) / both if both != 0.0 else 0.0


@inlined
def log_share(H, i0, i1, t0, P, S, R, w, out):
    """Logarithm of one rolling mean by another, within a million; 0 by 0 is 0.

    ``P``: the rows of both. ``w``: their totals.
    """
    a, b, ratio, rows, factor = R[w[0]], R[w[1]], R[0], i1 - i0, P[1] / P[0]
    for r in range(rows):
        share = factor * a[r] / b[r] if a[r] != 0.0 or b[r] != 0.0 else 1.0
        ratio[r] = min(max(share, 1e-6), 1e6)
    ln(ratio[:rows], out[0])
