"""Trend and mean position."""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs
# (numba infers the types of kernels)

import math

from scalper_ml.features.elementary import ln
from scalper_ml.features.generic import share
from scalper_ml.features.kind import ATR_WARMUP, Kind, ema_warmup, wilder_warmup
from scalper_ml.features.rolling import (
    Rolling,
    age_of_max,
    age_of_min,
    ema,
    maximum,
    minimum,
    pair,
    product,
    total,
    wilder,
)
from scalper_ml.features.series import (
    ABSRET,
    ATR,
    CLOSE,
    EQUAL,
    HIGH,
    LNC,
    LOW,
    MINUS_DM,
    PLUS_DM,
    RANGE_FLOOR,
    ROW,
    TR,
    TYPICAL,
    VOLUME,
    VORTEX,
)
from scalper_ml.features.window import smooth
from scalper_ml.kernel import inlined

__all__ = ["KINDS"]


@inlined
def ema_dist(H, i0, i1, t0, P, S, R, w, out):
    """Close less its EMA over ATR. ``w``: the EMA."""
    c, atr, mean, answer = H[CLOSE, i0:i1], H[ATR, i0:i1], R[w[0]], out[0]
    for r in range(i1 - i0):
        answer[r] = (c[r] - mean[r]) / atr[r]


@inlined
def ema_slope(H, i0, i1, t0, P, S, R, w, out):
    """Change of the EMA over 3 bars over ATR. ``S``: the EMA 1, 2, 3 bars ago. ``w``: now."""
    atr, mean, answer = H[ATR, i0:i1], R[w[0]], out[0]
    mean1, mean2, mean3 = S[0], S[1], S[2]
    for r in range(i1 - i0):
        answer[r] = (mean[r] - mean3) / atr[r]
        mean1, mean2, mean3 = mean[r], mean1, mean2
    S[0], S[1], S[2] = mean1, mean2, mean3


@inlined
def ema_cross(H, i0, i1, t0, P, S, R, w, out):
    """Fast less slow EMA over ATR. ``w``: both."""
    atr, fast, slow, answer = H[ATR, i0:i1], R[w[0]], R[w[1]], out[0]
    for r in range(i1 - i0):
        answer[r] = (fast[r] - slow[r]) / atr[r]


@inlined
def vwap_dist(H, i0, i1, t0, P, S, R, w, out):
    """Close less the n-bar VWAP of typical prices over ATR. ``w``: sum of price x volume, of volume."""
    c, atr, paid, volume, answer = H[CLOSE, i0:i1], H[ATR, i0:i1], R[w[0]], R[w[1]], out[0]
    for r in range(i1 - i0):
        away = c[r] - paid[r] / volume[r] if volume[r] > 0.0 else 0.0
        answer[r] = away / atr[r] if abs(away) > EQUAL * c[r] else 0.0


@inlined
def dmi(H, i0, i1, t0, P, S, R, w, out):
    """ADX and the balance of the directional indices. ``S``: mean DX. ``w``: both movements."""
    n, plus, minus, adx, diff, mean = int(P[0]), R[w[0]], R[w[1]], out[0], out[1], S[0]
    for r in range(max(0, 1 - t0), i1 - i0):
        both = plus[r] + minus[r]
        balance = (plus[r] - minus[r]) / both if both > 0.0 else 0.0
        mean = smooth(mean, abs(balance), t0 + r - 1, n, 1.0 / n)
        adx[r] = mean
        diff[r] = balance
    S[0] = mean


@inlined
def aroon_osc(H, i0, i1, t0, P, S, R, w, out):
    """Age of the low less age of the high within n + 1 bars, by n. ``w``: age of the high, of the low."""
    n, high_age, low_age, answer = P[0], R[w[0]], R[w[1]], out[0]
    for r in range(i1 - i0):
        answer[r] = (low_age[r] - high_age[r]) / n


@inlined
def regress(H, i0, i1, t0, P, S, R, w, out):
    """t-statistic and R^2 of the OLS line through the log closes of n bars. ``w``: a pair."""
    n, t_stat, r2 = P[0], out[0], out[1]
    syy, sxx, sxy = R[w[0]], R[w[0] + 1], R[w[0] + 2]
    root = math.sqrt(n - 2.0)
    for r in range(i1 - i0):
        both, explained = sxx[r] * syy[r], sxy[r] * sxy[r]
        left = max(both - explained, 1e-12 * both)
        t_stat[r] = root * sxy[r] / math.sqrt(left) if both > 0.0 else 0.0
        r2[r] = explained / both if both > 0.0 else 0.0


@inlined
def eff_ratio(H, i0, i1, t0, P, S, R, w, out):
    """Distance by path over n bars, in log prices; 0 without any movement. ``w``: the path."""
    n, path, answer = int(P[0]), R[w[0]], out[0]
    now, before = H[LNC, i0:i1], H[LNC, i0 - n : i1 - n]
    for r in range(i1 - i0):
        answer[r] = abs(now[r] - before[r]) / path[r] if path[r] > 0.0 else 0.0


@inlined
def donchian_pos(H, i0, i1, t0, P, S, R, w, out):
    """Place of the close in the range of n bars; 0 in a zero range. ``w``: highest, lowest."""
    c, top, bottom, answer = H[CLOSE, i0:i1], R[w[0]], R[w[1]], out[0]
    for r in range(i1 - i0):
        answer[r] = (c[r] - bottom[r]) / (top[r] - bottom[r]) - 0.5 if top[r] > bottom[r] else 0.0


@inlined
def keltner_pos(H, i0, i1, t0, P, S, R, w, out):
    """Close less EMA(n) over twice the ATR(10). ``w``: EMA, ATR."""
    c, mean, atr, answer = H[CLOSE, i0:i1], R[w[0]], R[w[1]], out[0]
    for r in range(i1 - i0):
        answer[r] = (c[r] - mean[r]) / (2.0 * max(atr[r], RANGE_FLOOR * c[r]))


@inlined
def ichimoku_tk(H, i0, i1, t0, P, S, R, w, out):
    """Middle of the range of a bars less that of b bars over ATR, not displaced. ``w``: highest, lowest of each."""
    atr, top_a, low_a, top_b, low_b, answer = H[ATR, i0:i1], R[w[0]], R[w[1]], R[w[2]], R[w[3]], out[0]
    for r in range(i1 - i0):
        answer[r] = 0.5 * ((top_a[r] + low_a[r]) - (top_b[r] + low_b[r])) / atr[r]


@inlined
def bars_since(H, i0, i1, t0, P, S, R, w, out):
    """Age of the highest high and the lowest low of n bars, by n. ``w``: both."""
    n, high_age, low_age, since_high, since_low = P[0], R[w[0]], R[w[1]], out[0], out[1]
    for r in range(i1 - i0):
        since_high[r] = high_age[r] / n
        since_low[r] = low_age[r] / n


@inlined
def cci(H, i0, i1, t0, P, S, R, w, out):
    """Commodity channel index by 200; 0 in a flat window. Recomputed on the window, one lag after the other."""
    n, x, offset, spread, centre, answer = int(P[0]), H[TYPICAL, i0:i1], R[0], R[1], R[2], out[0]
    rows = i1 - i0
    offset[:rows] = 0.0
    spread[:rows] = 0.0
    for lag in range(n - 1, 0, -1):
        past = H[TYPICAL, i0 - lag : i1 - lag]
        for r in range(rows):
            offset[r] += past[r] - x[r]
    for r in range(rows):
        centre[r] = offset[r] / n
    for lag in range(n - 1, -1, -1):
        past = H[TYPICAL, i0 - lag : i1 - lag]
        for r in range(rows):
            spread[r] += abs(past[r] - x[r] - centre[r])
    for r in range(rows):
        answer[r] = -offset[r] / (3.0 * spread[r]) if spread[r] > n * EQUAL * x[r] else 0.0


@inlined
def chop(H, i0, i1, t0, P, S, R, w, out):
    """Choppiness: log path by range over n bars; 1 in a zero range. ``w``: path, highest, lowest."""
    n, path, top, bottom, parts, answer, rows = P[0], R[w[0]], R[w[1]], R[w[2]], R[0], out[0], i1 - i0
    scale = 1.0 / math.log(n)
    for r in range(rows):
        parts[r] = path[r] / (top[r] - bottom[r]) if top[r] > bottom[r] else n
    ln(parts[:rows], answer)
    for r in range(rows):
        answer[r] *= scale


def _extremes(n: int) -> tuple[Rolling, ...]:
    return maximum(HIGH, n), minimum(LOW, n)


_C = ("close",)
_HL = ("high", "low")
_HLC = ("high", "low", "close")

KINDS: tuple[Kind, ...] = (
    Kind(
        "ema_dist", "trend", ema_dist, ((9,), (21,), (50,)), "(C - EMA(n)) / ATR14", _HLC, (-20.0, 20.0),
        lambda n: max(ATR_WARMUP, ema_warmup(n)), unit="ATR", source="catalogue 17", rolling=lambda n: (ema(CLOSE, n),),
    ),
    Kind(
        "ema_slope", "trend", ema_slope, ((9,), (21,), (50,)), "(EMA(n) - EMA(n) 3 bars ago) / ATR14", _HLC,
        (-10.0, 10.0), lambda n: max(ATR_WARMUP, ema_warmup(n)), unit="ATR", source="catalogue 18", state=lambda n: 3,
        rolling=lambda n: (ema(CLOSE, n),),
    ),
    Kind(
        "ema_cross", "trend", ema_cross, ((9, 21), (21, 50)), "(EMA(a) - EMA(b)) / ATR14", _HLC, (-20.0, 20.0),
        lambda a, b: max(ATR_WARMUP, ema_warmup(max(a, b))), unit="ATR", source="catalogue 19",
        rolling=lambda a, b: (ema(CLOSE, a), ema(CLOSE, b)),
    ),
    Kind(
        "vwap_dist", "trend", vwap_dist, ((30,), (60,)),
        "(C - VWAP) / ATR14, VWAP = sum(typical price x V) / sum V over n bars; 0 without volume",
        (*_HLC, "volume"), (-20.0, 20.0), lambda n: max(ATR_WARMUP, n - 1), unit="ATR", source="catalogue 21",
        rolling=lambda n: (product(TYPICAL, VOLUME, n), total(VOLUME, n)),
    ),
    Kind(
        "dmi", "trend", dmi, ((14,),), "Wilder's ADX / 100; (+DI - -DI) / (+DI + -DI), 0 without movement", _HLC,
        ((0.0, 1.0), (-1.0, 1.0)), wilder_warmup, source="catalogue 22, 23; TA-Lib ADX, PLUS_DI, MINUS_DI",
        state=lambda n: 1, rolling=lambda n: (wilder(PLUS_DM, n), wilder(MINUS_DM, n)), outputs=("adx", "di_diff"),
    ),
    Kind(
        "aroon_osc", "trend", aroon_osc, ((25,),),
        "(age of the lowest low - age of the highest high) / n in n + 1 bars, the newest of equals", _HL, (-1.0, 1.0),
        lambda n: n, source="catalogue 24; TA-Lib AROONOSC / 100",
        rolling=lambda n: (age_of_max(HIGH, n + 1), age_of_min(LOW, n + 1)),
    ),
    Kind(
        "vortex", "trend", share, ((14,),), "sum(|H - L-1| - |L - H-1|) / sum(true range) over n bars", _HLC,
        (-2.0, 2.0), lambda n: n, source="catalogue 25",
        rolling=lambda n: (total(VORTEX, n), total(TR, n)), constants=(1.0,),
    ),
    Kind(
        "regress", "trend", regress, ((15,), (30,), (60,)),
        "OLS of the log close on time over n bars: t-statistic of the slope; R^2; 0 in a flat window", _C,
        ((-50.0, 50.0), (0.0, 1.0)), lambda n: n - 1, source="catalogue 26, 27; TA-Lib LINEARREG_SLOPE",
        rolling=lambda n: (pair(LNC, ROW, n),), outputs=("lr_t", "lr_r2"), smallest=3,
    ),
    Kind(
        "eff_ratio", "trend", eff_ratio, ((10,), (30,), (60,)),
        "|ln C / C[n bars ago]| / sum |1-bar log return|; 0 without any movement", _C, (0.0, 1.0), lambda n: n,
        source="catalogue 28", rolling=lambda n: (total(ABSRET, n),),
    ),
    Kind(
        "donchian_pos", "trend", donchian_pos, ((20,), (60,), (240,)),
        "(C - lowest low) / (highest high - lowest low) - 0.5 over n bars; 0 in a zero range", _HLC, (-0.5, 0.5),
        lambda n: n - 1, source="catalogue 31; TA-Lib WILLR", rolling=_extremes,
    ),
    Kind(
        "keltner_pos", "trend", keltner_pos, ((20,),), "(C - EMA(n)) / (2 ATR10)", _HLC, (-10.0, 10.0),
        lambda n: max(ema_warmup(n), wilder_warmup(10)), unit="channel", source="catalogue 32",
        rolling=lambda n: (ema(CLOSE, n), wilder(TR, 10)),
    ),
    Kind(
        "ichimoku_tk", "trend", ichimoku_tk, ((9, 26),),
        "(middle of the range of a bars - middle of the range of b bars) / ATR14, not displaced", _HLC, (-20.0, 20.0),
        lambda a, b: max(ATR_WARMUP, a, b), unit="ATR", source="catalogue 33",
        rolling=lambda a, b: _extremes(a) + _extremes(b),
    ),
    Kind(
        "bars_since", "trend", bars_since, ((60,),), "age in bars of the n-bar highest high (lowest low) / n", _HL,
        (0.0, 1.0), lambda n: n - 1, source="catalogue 34", rolling=lambda n: (age_of_max(HIGH, n), age_of_min(LOW, n)),
        outputs=("bars_since_high", "bars_since_low"),
    ),
    Kind(
        "cci", "trend", cci, ((20,),), "(typical price - its mean) / (0.015 mean absolute deviation) / 200 over n bars",
        _HLC, (-5.0, 5.0), lambda n: n - 1, source="catalogue 35; TA-Lib CCI / 200",
    ),
    Kind(
        "chop", "trend", chop, ((14,),), "ln(sum(true range) / (highest high - lowest low)) / ln n; 1 in a zero range",
        _HLC, (0.0, 1.5), lambda n: n, source="catalogue 36",
        rolling=lambda n: (total(TR, n), *_extremes(n)), smallest=2,
    ),
)
