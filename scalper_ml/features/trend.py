"""Trend and mean position."""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs
# (numba infers the types of kernels)

import math

from scalper_ml.features.generic import share, share_size
from scalper_ml.features.kind import ATR_WARMUP, Kind, ema_warmup, wilder_warmup
from scalper_ml.features.series import (
    ABSRET,
    ATR,
    CLOSE,
    EQUAL,
    HIGH,
    LNC,
    LOW,
    RANGE_FLOOR,
    ROW,
    TR,
    TYPICAL,
    VOLUME,
    VORTEX,
)
from scalper_ml.features.window import (
    age_of_highest,
    age_of_lowest,
    age_size,
    dot_size,
    highest,
    inlined,
    lowest,
    pair_size,
    slide_dot,
    slide_pair,
    slide_sum,
    smooth,
    sum_size,
)
from scalper_ml.kernel import kernel

__all__ = ["KINDS"]


@kernel
def ema_dist(H, i0, i1, t0, P, S, out):
    """Close less its EMA over ATR. ``S``: the EMA."""
    n = int(P[0])
    for i in range(i0, i1):
        S[0] = smooth(S[0], H[CLOSE, i], t0 + i - i0, n, 2.0 / (n + 1))
        out[0, i - i0] = (H[CLOSE, i] - S[0]) / H[ATR, i]


@kernel
def ema_slope(H, i0, i1, t0, P, S, out):
    """Change of the EMA over 3 bars over ATR. ``S``: the EMA now and 1, 2, 3 bars ago."""
    n = int(P[0])
    for i in range(i0, i1):
        S[3] = S[2]
        S[2] = S[1]
        S[1] = S[0]
        S[0] = smooth(S[0], H[CLOSE, i], t0 + i - i0, n, 2.0 / (n + 1))
        out[0, i - i0] = (S[0] - S[3]) / H[ATR, i]


@kernel
def ema_cross(H, i0, i1, t0, P, S, out):
    """Fast less slow EMA over ATR. ``S``: both."""
    a, b = int(P[0]), int(P[1])
    for i in range(i0, i1):
        S[0] = smooth(S[0], H[CLOSE, i], t0 + i - i0, a, 2.0 / (a + 1))
        S[1] = smooth(S[1], H[CLOSE, i], t0 + i - i0, b, 2.0 / (b + 1))
        out[0, i - i0] = (S[0] - S[1]) / H[ATR, i]


@kernel
def vwap_dist(H, i0, i1, t0, P, S, out):
    """Close less the n-bar VWAP of typical prices over ATR. ``S``: a sum of products and a sum."""
    n = int(P[0])
    k = t0 % n
    for i in range(i0, i1):
        paid = slide_dot(H[TYPICAL], H[VOLUME], 0, i, k, n, S[: n + 1])
        volume = slide_sum(H[VOLUME], i, k, n, S[n + 1 :])
        away = H[CLOSE, i] - paid / volume if volume > 0.0 else 0.0
        out[0, i - i0] = away / H[ATR, i] if abs(away) > EQUAL * H[CLOSE, i] else 0.0
        k = k + 1 if k < n - 1 else 0


@kernel
def dmi(H, i0, i1, t0, P, S, out):
    """ADX and the balance of the directional indices. ``S``: both movements, mean DX."""
    n = int(P[0])
    for i in range(max(i0, i0 + 1 - t0), i1):
        t = t0 + i - i0
        up = H[HIGH, i] - H[HIGH, i - 1]
        down = H[LOW, i - 1] - H[LOW, i]
        same = abs(up - down) <= EQUAL * H[CLOSE, i]
        S[0] = smooth(S[0], up if up > max(down, 0.0) and not same else 0.0, t - 1, n, 1.0 / n)
        S[1] = smooth(S[1], down if down > max(up, 0.0) and not same else 0.0, t - 1, n, 1.0 / n)
        both = S[0] + S[1]
        balance = (S[0] - S[1]) / both if both > 0.0 else 0.0
        S[2] = smooth(S[2], abs(balance), t - 1, n, 1.0 / n)
        out[0, i - i0] = S[2]
        out[1, i - i0] = balance


@kernel
def aroon_osc(H, i0, i1, t0, P, S, out):
    """Age of the low less age of the high within n + 1 bars, by n. ``S``: two extremes."""
    n = int(P[0]) + 1
    m = 2 * (n + 1)
    k = t0 % n
    for i in range(i0, i1):
        t = t0 + i - i0
        high_age = age_of_highest(H[HIGH], i, t, k, n, S[:m])
        low_age = age_of_lowest(H[LOW], i, t, k, n, S[m:])
        out[0, i - i0] = (low_age - high_age) / P[0]
        k = k + 1 if k < n - 1 else 0


@kernel
def regress(H, i0, i1, t0, P, S, out):
    """t-statistic and R^2 of the OLS line through the log closes of n bars. ``S``: a pair."""
    n = int(P[0])
    k = t0 % n
    for i in range(i0, i1):
        _, _, syy, sxx, sxy = slide_pair(H[LNC], H[ROW], 0, i, k, n, S)
        left = max(syy - sxy * sxy / sxx, 1e-12 * syy)
        out[0, i - i0] = sxy / math.sqrt(sxx * left / (n - 2)) if syy > 0.0 else 0.0
        out[1, i - i0] = sxy * sxy / (sxx * syy) if syy > 0.0 else 0.0
        k = k + 1 if k < n - 1 else 0


@kernel
def eff_ratio(H, i0, i1, t0, P, S, out):
    """Distance by path over n bars, in log prices; 0 without any movement. ``S``: a sum."""
    n = int(P[0])
    k = t0 % n
    for i in range(i0, i1):
        path = slide_sum(H[ABSRET], i, k, n, S)
        out[0, i - i0] = abs(H[LNC, i] - H[LNC, i - n]) / path if path > 0.0 else 0.0
        k = k + 1 if k < n - 1 else 0


@kernel
def donchian_pos(H, i0, i1, t0, P, S, out):
    """Place of the close in the range of n bars; 0 in a zero range. ``S``: two extremes."""
    n = int(P[0])
    k = t0 % n
    for i in range(i0, i1):
        top = highest(H[HIGH], i, k, n, S[: n + 1])
        bottom = lowest(H[LOW], i, k, n, S[n + 1 :])
        out[0, i - i0] = (H[CLOSE, i] - bottom) / (top - bottom) - 0.5 if top > bottom else 0.0
        k = k + 1 if k < n - 1 else 0


@kernel
def keltner_pos(H, i0, i1, t0, P, S, out):
    """Close less EMA(n) over twice the ATR(10). ``S``: EMA, ATR."""
    n = int(P[0])
    for i in range(i0, i1):
        t = t0 + i - i0
        S[0] = smooth(S[0], H[CLOSE, i], t, n, 2.0 / (n + 1))
        S[1] = smooth(S[1], H[TR, i], t - 1, 10, 0.1) if t > 0 else 0.0
        out[0, i - i0] = (H[CLOSE, i] - S[0]) / (2.0 * max(S[1], RANGE_FLOOR * H[CLOSE, i]))


@inlined
def _twice_middle(H, i, k, n, S):
    return highest(H[HIGH], i, k, n, S[: n + 1]) + lowest(H[LOW], i, k, n, S[n + 1 :])


@kernel
def ichimoku_tk(H, i0, i1, t0, P, S, out):
    """Middle of the range of a bars less that of b bars over ATR, not displaced. ``S``: four extremes."""
    a, b = int(P[0]), int(P[1])
    Sa, Sb = S[: 2 * a + 2], S[2 * a + 2 :]
    ka, kb = t0 % a, t0 % b
    for i in range(i0, i1):
        out[0, i - i0] = 0.5 * (_twice_middle(H, i, ka, a, Sa) - _twice_middle(H, i, kb, b, Sb)) / H[ATR, i]
        ka = ka + 1 if ka < a - 1 else 0
        kb = kb + 1 if kb < b - 1 else 0


@kernel
def bars_since(H, i0, i1, t0, P, S, out):
    """Age of the highest high and the lowest low of n bars, by n. ``S``: two extremes."""
    n = int(P[0])
    m = 2 * (n + 1)
    k = t0 % n
    for i in range(i0, i1):
        t = t0 + i - i0
        out[0, i - i0] = age_of_highest(H[HIGH], i, t, k, n, S[:m]) / n
        out[1, i - i0] = age_of_lowest(H[LOW], i, t, k, n, S[m:]) / n
        k = k + 1 if k < n - 1 else 0


@kernel
def cci(H, i0, i1, t0, P, S, out):
    """Commodity channel index by 200; 0 in a flat window. Recomputed on the window."""
    n = int(P[0])
    for i in range(i0, i1):
        now = H[TYPICAL, i]
        offset = 0.0
        for past in H[TYPICAL, i - n + 1 : i + 1]:
            offset += past - now
        offset /= n
        spread = 0.0
        for past in H[TYPICAL, i - n + 1 : i + 1]:
            spread += abs(past - now - offset)
        spread /= n
        out[0, i - i0] = -offset / (3.0 * spread) if spread > EQUAL * now else 0.0


@kernel
def chop(H, i0, i1, t0, P, S, out):
    """Choppiness: log path by range over n bars; 1 in a zero range. ``S``: a sum and two extremes."""
    n = int(P[0])
    scale = 1.0 / math.log(n)
    m = n + 1
    k = t0 % n
    for i in range(i0, i1):
        path = slide_sum(H[TR], i, k, n, S[:m])
        top = highest(H[HIGH], i, k, n, S[m : 2 * m])
        bottom = lowest(H[LOW], i, k, n, S[2 * m :])
        out[0, i - i0] = scale * math.log(path / (top - bottom)) if top > bottom else 1.0
        k = k + 1 if k < n - 1 else 0


_C = ("close",)
_HL = ("high", "low")
_HLC = ("high", "low", "close")

KINDS: tuple[Kind, ...] = (
    Kind(
        "ema_dist", "trend", ema_dist, ((9,), (21,), (50,)), "(C - EMA(n)) / ATR14", _HLC, (-20.0, 20.0),
        lambda n: max(ATR_WARMUP, ema_warmup(n)), unit="ATR", source="catalogue 17", state=lambda n: 1,
    ),
    Kind(
        "ema_slope", "trend", ema_slope, ((9,), (21,), (50,)), "(EMA(n) - EMA(n) 3 bars ago) / ATR14", _HLC,
        (-10.0, 10.0), lambda n: max(ATR_WARMUP, ema_warmup(n)), unit="ATR", source="catalogue 18", state=lambda n: 4,
    ),
    Kind(
        "ema_cross", "trend", ema_cross, ((9, 21), (21, 50)), "(EMA(a) - EMA(b)) / ATR14", _HLC, (-20.0, 20.0),
        lambda a, b: max(ATR_WARMUP, ema_warmup(max(a, b))), unit="ATR", source="catalogue 19", state=lambda a, b: 2,
    ),
    Kind(
        "vwap_dist", "trend", vwap_dist, ((30,), (60,)),
        "(C - VWAP) / ATR14, VWAP = sum(typical price x V) / sum V over n bars; 0 without volume",
        (*_HLC, "volume"), (-20.0, 20.0), lambda n: max(ATR_WARMUP, n - 1), unit="ATR", source="catalogue 21",
        state=lambda n: dot_size(n) + sum_size(n),
    ),
    Kind(
        "dmi", "trend", dmi, ((14,),), "Wilder's ADX / 100; (+DI - -DI) / (+DI + -DI), 0 without movement", _HLC,
        ((0.0, 1.0), (-1.0, 1.0)), wilder_warmup, source="catalogue 22, 23; TA-Lib ADX, PLUS_DI, MINUS_DI",
        state=lambda n: 3, outputs=("adx", "di_diff"),
    ),
    Kind(
        "aroon_osc", "trend", aroon_osc, ((25,),),
        "(age of the lowest low - age of the highest high) / n in n + 1 bars, the newest of equals", _HL, (-1.0, 1.0),
        lambda n: n, source="catalogue 24; TA-Lib AROONOSC / 100", state=lambda n: 2 * age_size(n + 1),
        memory=lambda n: n + 2,
    ),
    Kind(
        "vortex", "trend", share, ((14,),), "sum(|H - L-1| - |L - H-1|) / sum(true range) over n bars", _HLC,
        (-2.0, 2.0), lambda n: n, source="catalogue 25", state=share_size, constants=(VORTEX, TR, 1.0),
    ),
    Kind(
        "regress", "trend", regress, ((15,), (30,), (60,)),
        "OLS of the log close on time over n bars: t-statistic of the slope; R^2; 0 in a flat window", _C,
        ((-50.0, 50.0), (0.0, 1.0)), lambda n: n - 1, source="catalogue 26, 27; TA-Lib LINEARREG_SLOPE",
        state=pair_size, outputs=("lr_t", "lr_r2"), smallest=3,
    ),
    Kind(
        "eff_ratio", "trend", eff_ratio, ((10,), (30,), (60,)),
        "|ln C / C[n bars ago]| / sum |1-bar log return|; 0 without any movement", _C, (0.0, 1.0), lambda n: n,
        source="catalogue 28", state=sum_size,
    ),
    Kind(
        "donchian_pos", "trend", donchian_pos, ((20,), (60,), (240,)),
        "(C - lowest low) / (highest high - lowest low) - 0.5 over n bars; 0 in a zero range", _HLC, (-0.5, 0.5),
        lambda n: n - 1, source="catalogue 31; TA-Lib WILLR", state=lambda n: 2 * sum_size(n),
    ),
    Kind(
        "keltner_pos", "trend", keltner_pos, ((20,),), "(C - EMA(n)) / (2 ATR10)", _HLC, (-10.0, 10.0),
        lambda n: max(ema_warmup(n), wilder_warmup(10)), unit="channel", source="catalogue 32", state=lambda n: 2,
    ),
    Kind(
        "ichimoku_tk", "trend", ichimoku_tk, ((9, 26),),
        "(middle of the range of a bars - middle of the range of b bars) / ATR14, not displaced", _HLC, (-20.0, 20.0),
        lambda a, b: max(ATR_WARMUP, a, b), unit="ATR", source="catalogue 33",
        state=lambda a, b: 2 * (sum_size(a) + sum_size(b)),
    ),
    Kind(
        "bars_since", "trend", bars_since, ((60,),), "age in bars of the n-bar highest high (lowest low) / n", _HL,
        (0.0, 1.0), lambda n: n - 1, source="catalogue 34", state=lambda n: 2 * age_size(n),
        outputs=("bars_since_high", "bars_since_low"),
    ),
    Kind(
        "cci", "trend", cci, ((20,),), "(typical price - its mean) / (0.015 mean absolute deviation) / 200 over n bars",
        _HLC, (-5.0, 5.0), lambda n: n - 1, source="catalogue 35; TA-Lib CCI / 200",
    ),
    Kind(
        "chop", "trend", chop, ((14,),), "ln(sum(true range) / (highest high - lowest low)) / ln n; 1 in a zero range",
        _HLC, (0.0, 1.5), lambda n: n, source="catalogue 36", state=lambda n: 3 * sum_size(n), smallest=2,
    ),
)
