"""Statistics and complexity of recent prices and returns."""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs
# (numba infers the types of kernels)

import math

from scalper_ml.features.elementary import ln
from scalper_ml.features.generic import correlation, mid_rank, zscore
from scalper_ml.features.kind import Kind
from scalper_ml.features.rolling import moments, pair, powers
from scalper_ml.features.series import CLOSE, LNC, RET, RET5
from scalper_ml.kernel import inlined

__all__ = ["KINDS"]


@inlined
def var_ratio(H, i0, i1, t0, P, S, R, w, out):
    """Variance of 5-bar returns by 5 times that of 1-bar returns, less one. ``w``: moments of both."""
    five, one, answer = R[w[0] + 1], R[w[1] + 1], out[0]
    for r in range(i1 - i0):
        answer[r] = five[r] / (5.0 * one[r]) - 1.0 if one[r] != 0.0 else 0.0


@inlined
def shape_moments(H, i0, i1, t0, P, S, R, w, out):
    """Skewness and excess kurtosis of returns, not corrected for n; 0 when flat. ``w``: their powers."""
    m2, m3, m4, skew, kurt = R[w[0] + 1], R[w[0] + 2], R[w[0] + 3], out[0], out[1]
    for r in range(i1 - i0):
        skew[r] = m3[r] / (m2[r] * math.sqrt(m2[r])) if m2[r] > 1e-20 else 0.0
        kurt[r] = m4[r] / (m2[r] * m2[r]) - 3.0 if m2[r] > 1e-20 else 0.0


@inlined
def _pattern(x, r):
    """Which of the 6 orders three values are in, the last at r + 2; of equals the older counts as smaller."""
    a, b, c = x[r], x[r + 1], x[r + 2]
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


@inlined
def perm_entropy(H, i0, i1, t0, P, S, R, w, out):
    """Entropy of the orders of three closes among n triples, by ln 6. ``S``: their counts, exact."""
    n, answer = int(P[0]), out[0]
    c, old = H[CLOSE, i0 - 2 : i1], H[CLOSE, i0 - 2 - n : i1 - n]
    scale = 1.0 / math.log(6.0)
    for r in range(i1 - i0):
        t = t0 + r
        if t >= 2:
            S[_pattern(c, r)] += 1.0
        if t >= n + 2:
            S[_pattern(old, r)] -= 1.0
        answer[r] = _entropy(S, n, t, scale)


@inlined
def _word(x, r):
    return 4 * int(x[r] > 0.0) + 2 * int(x[r + 1] > 0.0) + int(x[r + 2] > 0.0)


@inlined
def sign_entropy(H, i0, i1, t0, P, S, R, w, out):
    """Entropy of rise/no-rise words of three bars among n words, by ln 8. ``S``: their counts, exact."""
    n, answer = int(P[0]), out[0]
    x, old = H[RET, i0 - 2 : i1], H[RET, i0 - 2 - n : i1 - n]
    scale = 1.0 / math.log(8.0)
    for r in range(i1 - i0):
        t = t0 + r
        if t >= 3:
            S[_word(x, r)] += 1.0
        if t >= n + 3:
            S[_word(old, r)] -= 1.0
        answer[r] = _entropy(S, n, t, scale)


@inlined
def reversion(H, i0, i1, t0, P, S, R, w, out):
    """Regression of the return on the log price before: half-life by n and t-statistic. ``w``: a pair."""
    n, halves, t_stats, slopes, kept, rows = P[0], out[0], out[1], R[0], R[1], i1 - i0
    syy, sxx, sxy = R[w[0]], R[w[0] + 1], R[w[0] + 2]
    for r in range(rows):
        alive = (sxx[r] != 0.0) & (syy[r] != 0.0)
        slope = sxy[r] / sxx[r] if alive else 0.0
        left = max(syy[r] - slope * sxy[r], 1e-12 * syy[r])
        t_stats[r] = slope / math.sqrt(left / (n - 2.0) / sxx[r]) if alive else 0.0
        slopes[r] = slope
        kept[r] = max(1.0 + slope, 1e-9)
    ln(kept[:rows], halves)
    for r in range(rows):
        half = min(-math.log(2.0) / halves[r] / n, 1.0) if slopes[r] < 0.0 else 1.0
        halves[r] = half if slopes[r] == slopes[r] else slopes[r]


@inlined
def rank_price(H, i0, i1, t0, P, S, R, w, out):
    """Mid-rank of the close among the last n, by n."""
    n = int(P[0])
    mid_rank(H[CLOSE], i0, i1, n, 0.0, out[0])


_C = ("close",)

KINDS: tuple[Kind, ...] = (
    Kind(
        "zscore", "statistics", zscore, ((20,), (60,), (240,)),
        "z-score (ddof 0) of the log close over n bars; 0 in a flat window", _C, (-8.0, 8.0), lambda n: n - 1,
        unit="sigma", source="catalogue 128", rolling=lambda n: (moments(LNC, n),), constants=(LNC,),
    ),
    Kind(
        "acf1", "statistics", correlation, ((30,), (60,), (120,)),
        "correlation of the 1-bar log return with the one before over n bars; 0 when flat", _C, (-1.0, 1.0),
        lambda n: n + 1, source="catalogue 129", rolling=lambda n: (pair(RET, RET, n, 1),),
    ),
    Kind(
        "acf5", "statistics", correlation, ((60,),),
        "correlation of the 1-bar log return with the one 5 bars before over n bars; 0 when flat", _C, (-1.0, 1.0),
        lambda n: n + 5, source="catalogue 130", rolling=lambda n: (pair(RET, RET, n, 5),),
    ),
    Kind(
        "var_ratio_5", "statistics", var_ratio, ((120,),),
        "variance of 5-bar / (5 x variance of 1-bar log returns) - 1 over n bars; 0 when flat", _C, (-1.0, 5.0),
        lambda n: n + 4, source="catalogue 131", rolling=lambda n: (moments(RET5, n), moments(RET, n)),
    ),
    Kind(
        "moments", "statistics", shape_moments, ((60,), (120,)),
        "skewness, excess kurtosis of 1-bar log returns over n bars, not corrected for n; 0 when flat", _C,
        ((-20.0, 20.0), (-3.0, 300.0)), lambda n: n, source="catalogue 133", rolling=lambda n: (powers(RET, n),),
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
        ((0.0, 1.0), (-50.0, 50.0)), lambda n: n, source="catalogue 137, 138",
        rolling=lambda n: (pair(RET, LNC, n, 1),), outputs=("ou_halflife", "adf_t"), smallest=3,
    ),
    Kind(
        "rank_price", "statistics", rank_price, ((60,), (120,)), "mid-rank of the close among the last n closes / n",
        _C, (0.0, 1.0), lambda n: n - 1, source="catalogue 144",
    ),
)
