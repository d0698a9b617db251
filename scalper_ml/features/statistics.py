"""Statistics and complexity of recent prices and returns."""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs
# (numba infers the types of kernels)

import math

import numpy as np

from scalper_ml.features.generic import correlation, zscore
from scalper_ml.features.kind import Kind
from scalper_ml.features.series import CLOSE, LNC, RET, RET5
from scalper_ml.features.window import (
    inlined,
    moments_size,
    pair_size,
    powers_size,
    slide_moments,
    slide_pair,
    slide_powers,
)
from scalper_ml.kernel import kernel

__all__ = ["KINDS"]


@kernel
def var_ratio(H, i0, i1, t0, P, S, out):
    """Variance of 5-bar returns by 5 times that of 1-bar returns, less one. ``S``: two moments."""
    n = int(P[0])
    m = 2 * (n + 1) + 1
    k = t0 % n
    for i in range(i0, i1):
        _, five = slide_moments(H[RET5], i, k, n, S[:m])
        _, one = slide_moments(H[RET], i, k, n, S[m:])
        out[0, i - i0] = five / (5.0 * one) - 1.0 if one != 0.0 else 0.0
        k = k + 1 if k < n - 1 else 0


@kernel
def shape_moments(H, i0, i1, t0, P, S, out):
    """Skewness and excess kurtosis of returns, not corrected for n; 0 when flat."""
    n = int(P[0])
    k = t0 % n
    for i in range(i0, i1):
        _, m2, m3, m4 = slide_powers(H[RET], i, k, n, S)
        out[0, i - i0] = m3 / (m2 * math.sqrt(m2)) if m2 > 1e-20 else 0.0
        out[1, i - i0] = m4 / (m2 * m2) - 3.0 if m2 > 1e-20 else 0.0
        k = k + 1 if k < n - 1 else 0


@inlined
def _pattern(x, i):
    """Which of the 6 orders the last three values are in; of equals the older counts as smaller."""
    a, b, c = x[i - 2], x[i - 1], x[i]
    return 4 * int(a > b) + 2 * int(a > c) + int(b > c)


@inlined
def _entropy(S, n, t, scale):
    """Entropy of the 8 counts ``S[:8]`` of n; ``S[8 + c]`` keeps the part of a count of c."""
    if t == 0:
        for c in range(1, n + 1):
            S[8 + c] = -scale * c / n * math.log(c / n)
    total = 0.0
    for j in range(8):
        total += S[8 + int(S[j])]
    return total


@kernel
def perm_entropy(H, i0, i1, t0, P, S, out):
    """Entropy of the orders of three closes among n triples, by ln 6. ``S``: their counts, exact."""
    n = int(P[0])
    scale = 1.0 / math.log(6.0)
    for i in range(i0, i1):
        t = t0 + i - i0
        if t >= 2:
            S[_pattern(H[CLOSE], i)] += 1.0
        if t >= n + 2:
            S[_pattern(H[CLOSE], i - n)] -= 1.0
        out[0, i - i0] = _entropy(S, n, t, scale)


@inlined
def _word(x, i):
    return 4 * int(x[i - 2] > 0.0) + 2 * int(x[i - 1] > 0.0) + int(x[i] > 0.0)


@kernel
def sign_entropy(H, i0, i1, t0, P, S, out):
    """Entropy of rise/no-rise words of three bars among n words, by ln 8. ``S``: their counts, exact."""
    n = int(P[0])
    scale = 1.0 / math.log(8.0)
    for i in range(i0, i1):
        t = t0 + i - i0
        if t >= 3:
            S[_word(H[RET], i)] += 1.0
        if t >= n + 3:
            S[_word(H[RET], i - n)] -= 1.0
        out[0, i - i0] = _entropy(S, n, t, scale)


@kernel
def reversion(H, i0, i1, t0, P, S, out):
    """Regression of the return on the log price before: half-life by n and t-statistic. ``S``: a pair."""
    n = int(P[0])
    k = t0 % n
    for i in range(i0, i1):
        _, _, syy, sxx, sxy = slide_pair(H[RET], H[LNC], 1, i, k, n, S)
        half, t_stat = 1.0, 0.0
        if sxx != 0.0 and syy != 0.0:
            slope = sxy / sxx
            left = max(syy - slope * sxy, 1e-12 * syy)
            t_stat = slope / math.sqrt(left / (n - 2) / sxx)
            if slope <= -1.0 + 1e-9:
                half = 0.0
            elif slope < 0.0:
                half = min(-math.log(2.0) / math.log1p(slope) / n, 1.0)
            elif slope != slope:
                half = np.nan
        out[0, i - i0] = half
        out[1, i - i0] = t_stat
        k = k + 1 if k < n - 1 else 0


@kernel
def rank_price(H, i0, i1, t0, P, S, out):
    """Mid-rank of the close among the last n, by n. Recomputed."""
    n = int(P[0])
    for i in range(i0, i1):
        now = H[CLOSE, i]
        below = 0
        equal = 0
        for past in H[CLOSE, i - n + 1 : i + 1]:
            below += past < now
            equal += past == now
        out[0, i - i0] = (below + 0.5 * (equal + 1)) / n


_C = ("close",)

KINDS: tuple[Kind, ...] = (
    Kind(
        "zscore", "statistics", zscore, ((20,), (60,), (240,)),
        "z-score (ddof 0) of the log close over n bars; 0 in a flat window", _C, (-8.0, 8.0), lambda n: n - 1,
        unit="sigma", source="catalogue 128", state=moments_size, constants=(LNC,),
    ),
    Kind(
        "acf1", "statistics", correlation, ((30,), (60,), (120,)),
        "correlation of the 1-bar log return with the one before over n bars; 0 when flat", _C, (-1.0, 1.0),
        lambda n: n + 1, source="catalogue 129", state=pair_size, memory=lambda n: n + 2, constants=(RET, RET, 1),
    ),
    Kind(
        "acf5", "statistics", correlation, ((60,),),
        "correlation of the 1-bar log return with the one 5 bars before over n bars; 0 when flat", _C, (-1.0, 1.0),
        lambda n: n + 5, source="catalogue 130", state=pair_size, memory=lambda n: n + 6, constants=(RET, RET, 5),
    ),
    Kind(
        "var_ratio_5", "statistics", var_ratio, ((120,),),
        "variance of 5-bar / (5 x variance of 1-bar log returns) - 1 over n bars; 0 when flat", _C, (-1.0, 5.0),
        lambda n: n + 4, source="catalogue 131", state=lambda n: 2 * moments_size(n),
    ),
    Kind(
        "moments", "statistics", shape_moments, ((60,), (120,)),
        "skewness, excess kurtosis of 1-bar log returns over n bars, not corrected for n; 0 when flat", _C,
        ((-20.0, 20.0), (-3.0, 300.0)), lambda n: n, source="catalogue 133", state=powers_size,
        outputs=("skew", "kurt"),
    ),
    Kind(
        "perm_entropy", "statistics", perm_entropy, ((120,),),
        "entropy of the order of 3 closes among the last n triples / ln 6; of equals the older is the smaller", _C,
        (0.0, 1.0), lambda n: n + 1, source="catalogue 134", state=lambda n: n + 9, memory=lambda n: n + 3,
    ),
    Kind(
        "sign_entropy", "statistics", sign_entropy, ((60,),),
        "entropy of the words of 3 bars (rise or not) among the last n words / ln 8", _C, (0.0, 1.0), lambda n: n + 2,
        source="catalogue 135", state=lambda n: n + 9, memory=lambda n: n + 3,
    ),
    Kind(
        "reversion", "statistics", reversion, ((120,),),
        "return regressed on the log close before over n bars: -ln 2 / ln(1 + slope) / n within 0..1, 1 if not "
        "reverting; t-statistic of the slope", _C,
        ((0.0, 1.0), (-50.0, 50.0)), lambda n: n, source="catalogue 137, 138", state=pair_size,
        memory=lambda n: n + 2, outputs=("ou_halflife", "adf_t"), smallest=3,
    ),
    Kind(
        "rank_price", "statistics", rank_price, ((60,), (120,)), "mid-rank of the close among the last n closes / n",
        _C, (0.0, 1.0), lambda n: n - 1, source="catalogue 144",
    ),
)
