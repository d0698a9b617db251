"""Volatility and range."""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs
# (numba infers the types of kernels)

import math

from scalper_ml.features.elementary import ln
from scalper_ml.features.generic import over_atr, root_mean, share
from scalper_ml.features.kind import ATR_WARMUP, Kind, wilder_warmup
from scalper_ml.features.rolling import moments, product, total, wilder
from scalper_ml.features.series import (
    ABSRET,
    CLOSE,
    GK,
    HIGH,
    LN_CO,
    LN_OC,
    LNRV5,
    LOW,
    PARK,
    RANGE_FLOOR,
    RS,
    SIGMA_FLOOR,
    SIGN_SQ,
    SQRET,
    TR,
)
from scalper_ml.kernel import inlined

__all__ = ["KINDS"]


@inlined
def rv(H, i0, i1, t0, P, S, R, w, out):
    """Log of the realised volatility of n bars. ``w``: sum of squared returns."""
    total, floored, answer, rows = R[w[0]], R[0], out[0], i1 - i0
    for r in range(rows):
        floored[r] = max(total[r], SIGMA_FLOOR * SIGMA_FLOOR)
    ln(floored[:rows], answer)
    for r in range(rows):
        answer[r] *= 0.5


@inlined
def natr(H, i0, i1, t0, P, S, R, w, out):
    """Log of Wilder's ATR over the close. ``w``: the ATR."""
    c, atr, ratio, answer, rows = H[CLOSE, i0:i1], R[w[0]], R[0], out[0], i1 - i0
    for r in range(rows):
        ratio[r] = max(atr[r] / c[r], RANGE_FLOOR)
    ln(ratio[:rows], answer)


@inlined
def yang_zhang(H, i0, i1, t0, P, S, R, w, out):
    """Yang-Zhang volatility of a bar. ``w``: moments of the night, of the day; sum of the Rogers-Satchell terms."""
    n, night, day, rs, answer = P[0], R[w[0] + 1], R[w[1] + 1], R[w[2]], out[0]
    weight = 0.34 / (1.34 + (n + 1.0) / (n - 1.0))
    for r in range(i1 - i0):
        inside = max(rs[r], 0.0) / n
        answer[r] = math.sqrt(night[r] / (n - 1.0) + weight * day[r] / (n - 1.0) + (1.0 - weight) * inside)


@inlined
def rv_ratio(H, i0, i1, t0, P, S, R, w, out):
    """Root mean square return of a bars over that of b bars; 1 without any movement. ``w``: sums of squares."""
    a, b, short, long, answer = P[0], P[1], R[w[0]], R[w[1]], out[0]
    for r in range(i1 - i0):
        answer[r] = math.sqrt((short[r] / a) / (long[r] / b)) if long[r] > 0.0 else 1.0


@inlined
def ewma_vol(H, i0, i1, t0, P, S, R, w, out):
    """Exponentially weighted volatility, weights summing to one. ``S``: weighted squares, weights."""
    decay, square, answer = P[0] / 100.0, H[SQRET, i0:i1], out[0]
    total, weight = S[0], S[1]
    for r in range(max(0, 1 - t0), i1 - i0):
        total = decay * total + square[r]
        weight = decay * weight + 1.0
        answer[r] = math.sqrt(total / weight)
    S[0], S[1] = total, weight


@inlined
def bipower_jump(H, i0, i1, t0, P, S, R, w, out):
    """Share of the variance that came in jumps. ``w``: sum of squares, of products of neighbours."""
    total, product, answer = R[w[0]], R[w[1]], out[0]
    for r in range(i1 - i0):
        answer[r] = 1.0 - 0.5 * math.pi * product[r] / total[r] if total[r] > 0.0 else 0.0


@inlined
def bb(H, i0, i1, t0, P, S, R, w, out):
    """Width of the Bollinger bands and the place of the close in them. ``w``: moments of the close."""
    n, c, mean, squares, width, place = P[0], H[CLOSE, i0:i1], R[w[0]], R[w[0] + 1], out[0], out[1]
    for r in range(i1 - i0):
        sd = math.sqrt(squares[r] / n)
        width[r] = 4.0 * sd / mean[r]
        place[r] = (c[r] - mean[r]) / (4.0 * sd) if sd > 0.0 else 0.0


@inlined
def vol_of_vol(H, i0, i1, t0, P, S, R, w, out):
    """Standard deviation of the log 5-bar volatility over n bars. ``w``: its moments."""
    n, squares, answer = P[0], R[w[0] + 1], out[0]
    for r in range(i1 - i0):
        answer[r] = math.sqrt(squares[r] / n)


_C = ("close",)
_HL = ("high", "low")
_HLC = ("high", "low", "close")
_OHLC = ("open", "high", "low", "close")
_FRACTION = (0.0, 1.0)

KINDS: tuple[Kind, ...] = (
    Kind(
        "ewma_vol", "volatility", ewma_vol, ((94,), (97,)),
        "sqrt of the EWMA of squared 1-bar log returns, decay n/100, weights normalised to one", _C, (SIGMA_FLOOR, 1.0),
        lambda n: min(500, round(1500 / (100 - n))), unit="fraction", source="catalogue 44; pandas ewm(adjust=True)",
        state=lambda n: 2, memory=lambda n: 1, largest=99,
    ),
    Kind(
        "rv", "volatility", rv, ((5,), (15,), (30,), (60,), (240,)),
        "ln sqrt(sum of squared 1-bar log returns over n bars)", _C, (math.log(SIGMA_FLOOR), 3.0), lambda n: n,
        unit="log fraction", source="catalogue 37", rolling=lambda n: (total(SQRET, n),),
    ),
    Kind(
        "natr", "volatility", natr, ((7,), (14,)),
        "ln(Wilder ATR(n) / C)", _HLC, (math.log(RANGE_FLOOR), 3.0), wilder_warmup, unit="log fraction",
        source="catalogue 38; ln(TA-Lib NATR / 100)", rolling=lambda n: (wilder(TR, n),),
    ),
    Kind(
        "parkinson", "volatility", root_mean, ((20,), (60,)),
        "sqrt(sum (ln H/L)^2 / (4 n ln 2))", _HL, _FRACTION, lambda n: n - 1, unit="fraction", source="catalogue 39",
        rolling=lambda n: (total(PARK, n),), constants=(0.25 / math.log(2.0),),
    ),
    Kind(
        "garman_klass", "volatility", root_mean, ((20,), (60,)),
        "sqrt(mean(0.5 (ln H/L)^2 - (2 ln 2 - 1) (ln C/O)^2)) over n bars", _OHLC, _FRACTION, lambda n: n - 1,
        unit="fraction", source="catalogue 40", rolling=lambda n: (total(GK, n),), constants=(1.0,),
    ),
    Kind(
        "rogers_satchell", "volatility", root_mean, ((20,), (60,)),
        "sqrt(mean(ln H/C ln H/O + ln L/C ln L/O)) over n bars", _OHLC, _FRACTION, lambda n: n - 1, unit="fraction",
        source="catalogue 41", rolling=lambda n: (total(RS, n),), constants=(1.0,),
    ),
    Kind(
        "yang_zhang", "volatility", yang_zhang, ((60,),),
        "sqrt(var(ln O/C-1) + k var(ln C/O) + (1-k) RS), k = .34/(1.34+(n+1)/(n-1)), ddof 1", _OHLC, _FRACTION,
        lambda n: n, unit="fraction", source="catalogue 42",
        rolling=lambda n: (moments(LN_OC, n), moments(LN_CO, n), total(RS, n)), smallest=2,
    ),
    Kind(
        "rv_ratio", "volatility", rv_ratio, ((5, 60), (15, 240)),
        "root mean square return of a bars / that of b bars; 1 without any movement", _C, (0.0, 8.0),
        lambda a, b: max(a, b), source="catalogue 43",
        rolling=lambda a, b: (total(SQRET, a), total(SQRET, b)),
    ),
    Kind(
        "bipower_jump", "volatility", bipower_jump, ((60,),),
        "max(0, 1 - (pi/2) sum |r||r-1| / sum r^2) over n bars", _C, (0.0, 1.0), lambda n: n + 1,
        source="catalogue 45", rolling=lambda n: (total(SQRET, n), product(ABSRET, ABSRET, n, 1)),
    ),
    Kind(
        "semivar_ratio", "volatility", share, ((60,),),
        "(sum r^2 of falls - sum r^2 of rises) / sum r^2 over n bars; 0 without any movement", _C, (-1.0, 1.0),
        lambda n: n, source="catalogue 46", rolling=lambda n: (total(SIGN_SQ, n), total(SQRET, n)), constants=(-1.0,),
    ),
    Kind(
        "bb", "volatility", bb, ((20,),),
        "Bollinger (2 sd, ddof 0): width / mean; (C - lower) / (upper - lower) - 0.5, 0 in a flat window", _C,
        ((0.0, 4.0), (-2.0, 2.0)), lambda n: n - 1, source="catalogue 47; TA-Lib BBANDS",
        rolling=lambda n: (moments(CLOSE, n),),
        outputs=("bb_width", "bb_pctb"),
    ),
    Kind(
        "vol_of_vol", "volatility", vol_of_vol, ((60,),),
        "standard deviation (ddof 0) over n bars of ln sqrt(sum of 5 squared returns)", _C, (0.0, 10.0),
        lambda n: n + 4, unit="log fraction", source="catalogue 49", rolling=lambda n: (moments(LNRV5, n),),
    ),
    Kind(
        "range_atr", "volatility", over_atr, ((),),
        "(H - L) / ATR14", _HLC, (0.0, 20.0), lambda: ATR_WARMUP, unit="ATR", source="catalogue 51",
        memory=lambda: 1, constants=(HIGH, LOW, 0, 0),
    ),
)
