"""Sliding-window primitives: exact, drift-free and independent of how the stream is cut.

Every window sum here is *two fresh sums*: rows since the last block boundary (a prefix) plus the
tail of the block before it (a stored suffix). Blocks are ``n`` rows long and start at rows
``0, n, 2n, ...`` counted since the last reset, so nothing depends on chunking; nothing is ever
subtracted, so nothing drifts and a huge value leaves no residue; and a NaN disturbs exactly the
windows that contain it (`extreme` passes over NaN).

Arguments shared by all: ``x`` the series with its history, ``i0 <= i < i1`` the rows to compute,
``t0`` the number of row i0 since the reset (or any number of rows more, which moves the block
boundaries; the first window is whole all the same), ``n`` the window in rows, ``S`` the carried
state, zeros at first, and ``into``, whose element ``r`` is the answer for row ``i0 + r``.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs
# (numba infers the types of kernels)

import numpy as np

from scalper_ml.kernel import inlined, view_kernel

__all__ = [
    "SHORT",
    "age_of_extreme",
    "centred",
    "exponential",
    "extreme",
    "four_exponentials",
    "slide_dot",
    "slide_line",
    "slide_moments",
    "slide_pair",
    "slide_powers",
    "slide_sum",
    "smooth",
]


SHORT = 15
"""Windows of at most so many rows are cheaper to add up than to carry."""


@view_kernel
def _add_lags(x, i0, i1, n, into):
    """Sum of ``x[i-n+1..i]``, from the oldest on, one lag after the other: a loop without a chain."""
    rows = i1 - i0
    oldest = x[i0 - n + 1 : i1 - n + 1]
    for r in range(rows):
        into[r] = oldest[r]
    for lag in range(n - 2, -1, -1):
        past = x[i0 - lag : i1 - lag]
        for r in range(rows):
            into[r] += past[r]


@view_kernel
def slide_sum(x, i0, i1, t0, n, S, into):
    """Sum of ``x[i-n+1..i]``. ``S``: n + 1 floats; short windows are added up and carry nothing."""
    if n <= SHORT:
        _add_lags(x, i0, i1, n, into)
        return
    i, k = i0, t0 % n
    while i < i1:
        if k == 0:
            past = x[i - n : i]
            total = 0.0
            for j in range(n - 1, 0, -1):
                total += past[j]
                S[j] = total
            S[0] = 0.0
        rows = min(i1 - i, n - k)
        new, tail, sums = x[i : i + rows], S[k + 1 : k + 1 + rows], into[i - i0 : i - i0 + rows]
        total = S[0]
        for r in range(rows):
            total += new[r]
            sums[r] = total + tail[r]
        S[0] = total
        i, k = i + rows, 0


@view_kernel
def slide_dot(x, y, lag, i0, i1, t0, n, S, into):
    """Sum of ``x[j] * y[j - lag]`` over the window. ``S``: n + 1 floats."""
    i, k = i0, t0 % n
    while i < i1:
        if k == 0:
            past_x, past_y = x[i - n : i], y[i - n - lag : i - lag]
            total = 0.0
            for j in range(n - 1, 0, -1):
                total += past_x[j] * past_y[j]
                S[j] = total
            S[0] = 0.0
        rows = min(i1 - i, n - k)
        new_x, new_y = x[i : i + rows], y[i - lag : i - lag + rows]
        tail, sums = S[k + 1 : k + 1 + rows], into[i - i0 : i - i0 + rows]
        total = S[0]
        for r in range(rows):
            total += new_x[r] * new_y[r]
            sums[r] = total
        S[0] = total
        for r in range(rows):
            sums[r] = sums[r] + tail[r]
        i, k = i + rows, 0


@inlined
def centred(both, x_all, y_all, share):
    """Sum of products about the means, from the sum of products `both` and the sums; ``share = 1 / n``."""
    return both - x_all * (y_all * share)


@view_kernel
def slide_moments(x, i0, i1, t0, n, S, mean, squares):
    """Mean and sum of squared deviations of the window, about an element of the window. ``S``: 2 (n + 1) + 1 floats."""
    m = n + 1
    S1, S2 = S[:m], S[m : 2 * m]
    i, k = i0, t0 % n
    while i < i1:
        if k == 0:
            past, anchor = x[i - n : i], x[i]
            s1 = 0.0
            s2 = 0.0
            for j in range(n - 1, 0, -1):
                d = past[j] - anchor
                s1 += d
                s2 += d * d
                S1[j] = s1
                S2[j] = s2
            S1[0] = 0.0
            S2[0] = 0.0
            S[2 * m] = anchor
        rows = min(i1 - i, n - k)
        new, first = x[i : i + rows], i - i0
        tail1, tail2 = S1[k + 1 : k + 1 + rows], S2[k + 1 : k + 1 + rows]
        means, deviations = mean[first : first + rows], squares[first : first + rows]
        anchor, s1, s2, share = S[2 * m], S1[0], S2[0], 1.0 / n
        for r in range(rows):
            d = new[r] - anchor
            s1 += d
            s2 += d * d
            means[r] = s1
            deviations[r] = s2
        for r in range(rows):
            a = means[r] + tail1[r]
            means[r] = anchor + a * share
            deviations[r] = max(centred(deviations[r] + tail2[r], a, a, share), 0.0)
        S1[0] = s1
        S2[0] = s2
        i, k = i + rows, 0


@view_kernel
def slide_powers(x, i0, i1, t0, n, S, into):
    """Mean and the 2nd, 3rd and 4th central moments, divided by n: ``into`` (4, rows). ``S``: 4 (n + 1) + 1 floats."""
    m = n + 1
    S1, S2, S3, S4 = S[:m], S[m : 2 * m], S[2 * m : 3 * m], S[3 * m : 4 * m]
    i, k = i0, t0 % n
    while i < i1:
        if k == 0:
            past, anchor = x[i - n : i], x[i]
            s1 = 0.0
            s2 = 0.0
            s3 = 0.0
            s4 = 0.0
            for j in range(n - 1, 0, -1):
                d = past[j] - anchor
                s1 += d
                s2 += d * d
                s3 += d * d * d
                s4 += d * d * d * d
                S1[j] = s1
                S2[j] = s2
                S3[j] = s3
                S4[j] = s4
            for c in range(4):
                S[c * m] = 0.0
            S[4 * m] = anchor
        rows = min(i1 - i, n - k)
        new, first, share = x[i : i + rows], i - i0, 1.0 / n
        anchor, s1, s2, s3, s4 = S[4 * m], S1[0], S2[0], S3[0], S4[0]
        for r in range(rows):
            d = new[r] - anchor
            s1 += d
            s2 += d * d
            s3 += d * d * d
            s4 += d * d * d * d
            a = (s1 + S1[k + 1 + r]) * share
            b = (s2 + S2[k + 1 + r]) * share
            c3 = (s3 + S3[k + 1 + r]) * share
            c4 = (s4 + S4[k + 1 + r]) * share
            into[0, first + r] = anchor + a
            into[1, first + r] = max(b - a * a, 0.0)
            into[2, first + r] = c3 - 3.0 * a * b + 2.0 * a * a * a
            into[3, first + r] = max(c4 - 4.0 * a * c3 + 6.0 * a * a * b - 3.0 * a * a * a * a, 0.0)
        S1[0] = s1
        S2[0] = s2
        S3[0] = s3
        S4[0] = s4
        i, k = i + rows, 0


@view_kernel
def slide_pair(x, y, lag, i0, i1, t0, n, S, into):
    """Centred sums of x and of y lagged: ``Sxx, Syy, Sxy`` in ``into`` (3, rows). ``S``: 5 (n + 1) + 2 floats."""
    m = n + 1
    X1, Y1, XX, YY, XY = S[:m], S[m : 2 * m], S[2 * m : 3 * m], S[3 * m : 4 * m], S[4 * m : 5 * m]
    i, k = i0, t0 % n
    while i < i1:
        if k == 0:
            past_x, past_y = x[i - n : i], y[i - n - lag : i - lag]
            ax, ay = x[i], y[i - lag]
            sx = 0.0
            sy = 0.0
            sxx = 0.0
            syy = 0.0
            sxy = 0.0
            for j in range(n - 1, 0, -1):
                dx = past_x[j] - ax
                dy = past_y[j] - ay
                sx += dx
                sy += dy
                sxx += dx * dx
                syy += dy * dy
                sxy += dx * dy
                X1[j] = sx
                Y1[j] = sy
                XX[j] = sxx
                YY[j] = syy
                XY[j] = sxy
            for c in range(5):
                S[c * m] = 0.0
                S[c * m + n] = 0.0
            S[5 * m] = ax
            S[5 * m + 1] = ay
        rows = min(i1 - i, n - k)
        new_x, new_y, share = x[i : i + rows], y[i - lag : i - lag + rows], 1.0 / n
        a, b = i - i0, i - i0 + rows
        to_xx, to_yy, to_xy = into[0, a:b], into[1, a:b], into[2, a:b]
        tail_x, tail_y = X1[k + 1 : k + 1 + rows], Y1[k + 1 : k + 1 + rows]
        tail_xx, tail_yy, tail_xy = XX[k + 1 : k + 1 + rows], YY[k + 1 : k + 1 + rows], XY[k + 1 : k + 1 + rows]
        ax, ay = S[5 * m], S[5 * m + 1]
        sx, sy, sxx, syy, sxy = X1[0], Y1[0], XX[0], YY[0], XY[0]
        for r in range(rows):
            dx = new_x[r] - ax
            dy = new_y[r] - ay
            sx += dx
            sy += dy
            sxx += dx * dx
            syy += dy * dy
            sxy += dx * dy
            tail_x[r] += sx  # what is left of the block before is needed once: the whole window takes its place
            tail_y[r] += sy
            tail_xx[r] += sxx
            tail_yy[r] += syy
            tail_xy[r] += sxy
        for r in range(rows):
            x_all, y_all = tail_x[r], tail_y[r]
            to_xx[r] = max(centred(tail_xx[r], x_all, x_all, share), 0.0)
            to_yy[r] = max(centred(tail_yy[r], y_all, y_all, share), 0.0)
            to_xy[r] = centred(tail_xy[r], x_all, y_all, share)
        X1[0] = sx
        Y1[0] = sy
        XX[0] = sxx
        YY[0] = syy
        XY[0] = sxy
        i, k = i + rows, 0


@view_kernel
def slide_line(x, i0, i1, t0, n, S, into):
    """`slide_pair` of x and its row numbers, whose mean and squares are known. ``S``: the same."""
    m = n + 1
    X1, XX, XY = S[:m], S[2 * m : 3 * m], S[4 * m : 5 * m]
    i, k = i0, t0 % n
    while i < i1:
        if k == 0:
            past_x, ax = x[i - n : i], x[i]
            sx = 0.0
            sxx = 0.0
            sxy = 0.0
            for j in range(n - 1, 0, -1):
                dx = past_x[j] - ax
                sx += dx
                sxx += dx * dx
                sxy += dx * float(j - n)
                X1[j] = sx
                XX[j] = sxx
                XY[j] = sxy
            for c in range(0, 5, 2):
                S[c * m] = 0.0
                S[c * m + n] = 0.0
            S[5 * m] = ax
        rows = min(i1 - i, n - k)
        new_x, share, half, rows_squared = x[i : i + rows], 1.0 / n, (n - 1) / 2.0, n * (n * n - 1.0) / 12.0
        a, b = i - i0, i - i0 + rows
        to_xx, to_yy, to_xy = into[0, a:b], into[1, a:b], into[2, a:b]
        tail_x, tail_xx, tail_xy = X1[k + 1 : k + 1 + rows], XX[k + 1 : k + 1 + rows], XY[k + 1 : k + 1 + rows]
        ax = S[5 * m]
        sx, sxx, sxy = X1[0], XX[0], XY[0]
        for r in range(rows):
            dx = new_x[r] - ax
            sx += dx
            sxx += dx * dx
            sxy += dx * float(k + r)
            tail_x[r] += sx
            tail_xx[r] += sxx
            tail_xy[r] += sxy
        for r in range(rows):
            x_all, middle = tail_x[r], float(k + r) - half  # mean row of the window, from the block's first
            to_xx[r] = max(centred(tail_xx[r], x_all, x_all, share), 0.0)
            to_yy[r] = rows_squared
            to_xy[r] = tail_xy[r] - x_all * middle
        X1[0] = sx
        XX[0] = sxx
        XY[0] = sxy
        i, k = i + rows, 0


@view_kernel
def extreme(x, sign, i0, i1, t0, n, S, into):
    """Largest of ``x[i-n+1..i]``, or for ``sign = -1`` the smallest; passes over NaN. ``S``: n + 1 floats."""
    i, k = i0, t0 % n
    while i < i1:
        if k == 0:
            past = x[i - n : i]
            top = -np.inf
            for j in range(n - 1, 0, -1):
                top = max(top, sign * past[j])
                S[j] = top
            S[0] = -np.inf
            S[n] = -np.inf
        rows = min(i1 - i, n - k)
        new, tail, tops = x[i : i + rows], S[k + 1 : k + 1 + rows], into[i - i0 : i - i0 + rows]
        top = S[0]
        for r in range(rows):
            top = max(top, sign * new[r])
            tops[r] = sign * max(top, tail[r])
        S[0] = top
        i, k = i + rows, 0


@view_kernel
def age_of_extreme(x, sign, i0, i1, t0, n, S, into):
    """Rows since that value of the window, the newest of equals. ``S``: n + 1 values, n + 1 rows."""
    m = n + 1
    i, k = i0, t0 % n
    while i < i1:
        t = t0 + i - i0
        if k == 0:
            past = x[i - n : i]
            top = -np.inf
            row = 1.0 * t
            for j in range(n - 1, 0, -1):
                value = sign * past[j]
                row = t - n + j if value > top else row
                top = max(top, value)
                S[j] = top
                S[m + j] = row
            S[0] = -np.inf
            S[n] = -np.inf
        rows = min(i1 - i, n - k)
        new, ages = x[i : i + rows], into[i - i0 : i - i0 + rows]
        tail, tail_row = S[k + 1 : k + 1 + rows], S[m + k + 1 : m + k + 1 + rows]
        top, row = S[0], S[m]
        for r in range(rows):
            value = sign * new[r]
            row = t + r if value >= top else row
            top = max(top, value)
            ages[r] = t + r - (row if top >= tail[r] else tail_row[r])
        S[0] = top
        S[m] = row
        i, k = i + rows, 0


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


@view_kernel
def exponential(x, start, i0, i1, t0, n, alpha, S, into):
    """`smooth` over the rows from `start` on; 0 before. ``S``: the mean."""
    series, mean = x[i0:i1], S[0]
    ready = min(max(start + n - t0, 0), i1 - i0)
    for r in range(ready):
        mean = smooth(mean, series[r], t0 + r - start, n, alpha) if t0 + r >= start else 0.0
        into[r] = mean
    for r in range(ready, i1 - i0):
        mean = mean + alpha * (series[r] - mean)
        into[r] = mean
    S[0] = mean


@view_kernel
def four_exponentials(w, x, y, z, a, b, c, d, S, into_w, into_x, into_y, into_z):
    """`exponential` of four series with weights a to d past their first values. ``S``: the means.

    Each mean waits for the one before it, which takes longer than the arithmetic: four of them wait together.
    """
    mean_w, mean_x, mean_y, mean_z = S[0], S[1], S[2], S[3]
    for r in range(w.shape[0]):
        mean_w = mean_w + a * (w[r] - mean_w)
        mean_x = mean_x + b * (x[r] - mean_x)
        mean_y = mean_y + c * (y[r] - mean_y)
        mean_z = mean_z + d * (z[r] - mean_z)
        into_w[r] = mean_w
        into_x[r] = mean_x
        into_y[r] = mean_y
        into_z[r] = mean_z
    S[0], S[1], S[2], S[3] = mean_w, mean_x, mean_y, mean_z
