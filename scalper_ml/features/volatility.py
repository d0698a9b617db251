"""Volatility and range."""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs
# (numba infers the types of kernels)

import math

from scalper_ml.features.generic import over_atr, root_mean, share, share_size
from scalper_ml.features.kind import ATR_WARMUP, Kind, wilder_warmup
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
from scalper_ml.features.window import (
    dot_size,
    moments_size,
    slide_dot,
    slide_moments,
    slide_sum,
    smooth,
    sum_size,
)
from scalper_ml.kernel import kernel

__all__ = ["KINDS"]


@kernel
def rv(H, i0, i1, t0, P, S, out):
    """Log of the realised volatility of n bars."""
    n = int(P[0])
    k = t0 % n
    for i in range(i0, i1):
        out[0, i - i0] = 0.5 * math.log(max(slide_sum(H[SQRET], i, k, n, S), SIGMA_FLOOR * SIGMA_FLOOR))
        k = k + 1 if k < n - 1 else 0


@kernel
def natr(H, i0, i1, t0, P, S, out):
    """Log of Wilder's ATR over the close. ``S``: the ATR."""
    n = int(P[0])
    for i in range(max(i0, i0 + 1 - t0), i1):
        S[0] = smooth(S[0], H[TR, i], t0 + i - i0 - 1, n, 1.0 / n)
        out[0, i - i0] = math.log(max(S[0] / H[CLOSE, i], RANGE_FLOOR))


@kernel
def yang_zhang(H, i0, i1, t0, P, S, out):
    """Yang-Zhang volatility of a bar. ``S``: two moments and a sum."""
    n = int(P[0])
    weight = 0.34 / (1.34 + (n + 1.0) / (n - 1.0))
    m = 2 * (n + 1) + 1
    k = t0 % n
    for i in range(i0, i1):
        _, night = slide_moments(H[LN_OC], i, k, n, S[:m])
        _, day = slide_moments(H[LN_CO], i, k, n, S[m : 2 * m])
        rs = max(slide_sum(H[RS], i, k, n, S[2 * m :]), 0.0) / n
        out[0, i - i0] = math.sqrt(night / (n - 1) + weight * day / (n - 1) + (1.0 - weight) * rs)
        k = k + 1 if k < n - 1 else 0


@kernel
def rv_ratio(H, i0, i1, t0, P, S, out):
    """Root mean square return of a bars over that of b bars; 1 without any movement. ``S``: two sums."""
    a, b = int(P[0]), int(P[1])
    ka, kb = t0 % a, t0 % b
    for i in range(i0, i1):
        short = slide_sum(H[SQRET], i, ka, a, S[: a + 1]) / a
        long = slide_sum(H[SQRET], i, kb, b, S[a + 1 :]) / b
        out[0, i - i0] = math.sqrt(short / long) if long > 0.0 else 1.0
        ka = ka + 1 if ka < a - 1 else 0
        kb = kb + 1 if kb < b - 1 else 0


@kernel
def ewma_vol(H, i0, i1, t0, P, S, out):
    """Exponentially weighted volatility, weights summing to one. ``S``: weighted squares, weights."""
    decay = P[0] / 100.0
    for i in range(max(i0, i0 + 1 - t0), i1):
        S[0] = decay * S[0] + H[SQRET, i]
        S[1] = decay * S[1] + 1.0
        out[0, i - i0] = math.sqrt(S[0] / S[1])


@kernel
def bipower_jump(H, i0, i1, t0, P, S, out):
    """Share of the variance that came in jumps. ``S``: a sum and a sum of products."""
    n = int(P[0])
    k = t0 % n
    for i in range(i0, i1):
        total = slide_sum(H[SQRET], i, k, n, S[: n + 1])
        smooth_part = 0.5 * math.pi * slide_dot(H[ABSRET], H[ABSRET], 1, i, k, n, S[n + 1 :])
        out[0, i - i0] = 1.0 - smooth_part / total if total > 0.0 else 0.0
        k = k + 1 if k < n - 1 else 0


@kernel
def bb(H, i0, i1, t0, P, S, out):
    """Width of the Bollinger bands and the place of the close in them."""
    n = int(P[0])
    k = t0 % n
    for i in range(i0, i1):
        mean, squares = slide_moments(H[CLOSE], i, k, n, S)
        sd = math.sqrt(squares / n)
        out[0, i - i0] = 4.0 * sd / mean
        out[1, i - i0] = (H[CLOSE, i] - mean) / (4.0 * sd) if sd > 0.0 else 0.0
        k = k + 1 if k < n - 1 else 0


@kernel
def vol_of_vol(H, i0, i1, t0, P, S, out):
    """Standard deviation of the log 5-bar volatility over n bars."""
    n = int(P[0])
    k = t0 % n
    for i in range(i0, i1):
        _, squares = slide_moments(H[LNRV5], i, k, n, S)
        out[0, i - i0] = math.sqrt(squares / n)
        k = k + 1 if k < n - 1 else 0


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
        unit="log fraction", source="catalogue 37", state=sum_size,
    ),
    Kind(
        "natr", "volatility", natr, ((7,), (14,)),
        "ln(Wilder ATR(n) / C)", _HLC, (math.log(RANGE_FLOOR), 3.0), wilder_warmup, unit="log fraction",
        source="catalogue 38; ln(TA-Lib NATR / 100)", state=lambda n: 1,
    ),
    Kind(
        "parkinson", "volatility", root_mean, ((20,), (60,)),
        "sqrt(sum (ln H/L)^2 / (4 n ln 2))", _HL, _FRACTION, lambda n: n - 1, unit="fraction", source="catalogue 39",
        state=sum_size, constants=(PARK, 0.25 / math.log(2.0)),
    ),
    Kind(
        "garman_klass", "volatility", root_mean, ((20,), (60,)),
        "sqrt(mean(0.5 (ln H/L)^2 - (2 ln 2 - 1) (ln C/O)^2)) over n bars", _OHLC, _FRACTION, lambda n: n - 1,
        unit="fraction", source="catalogue 40", state=sum_size, constants=(GK, 1.0),
    ),
    Kind(
        "rogers_satchell", "volatility", root_mean, ((20,), (60,)),
        "sqrt(mean(ln H/C ln H/O + ln L/C ln L/O)) over n bars", _OHLC, _FRACTION, lambda n: n - 1, unit="fraction",
        source="catalogue 41", state=sum_size, constants=(RS, 1.0),
    ),
    Kind(
        "yang_zhang", "volatility", yang_zhang, ((60,),),
        "sqrt(var(ln O/C-1) + k var(ln C/O) + (1-k) RS), k = .34/(1.34+(n+1)/(n-1)), ddof 1", _OHLC, _FRACTION,
        lambda n: n, unit="fraction", source="catalogue 42",
        state=lambda n: 2 * moments_size(n) + sum_size(n), smallest=2,
    ),
    Kind(
        "rv_ratio", "volatility", rv_ratio, ((5, 60), (15, 240)),
        "root mean square return of a bars / that of b bars; 1 without any movement", _C, (0.0, 8.0),
        lambda a, b: max(a, b), source="catalogue 43", state=lambda a, b: sum_size(a) + sum_size(b),
    ),
    Kind(
        "bipower_jump", "volatility", bipower_jump, ((60,),),
        "max(0, 1 - (pi/2) sum |r||r-1| / sum r^2) over n bars", _C, (0.0, 1.0), lambda n: n + 1,
        source="catalogue 45", state=lambda n: sum_size(n) + dot_size(n), memory=lambda n: n + 2,
    ),
    Kind(
        "semivar_ratio", "volatility", share, ((60,),),
        "(sum r^2 of falls - sum r^2 of rises) / sum r^2 over n bars; 0 without any movement", _C, (-1.0, 1.0),
        lambda n: n, source="catalogue 46", state=share_size, constants=(SIGN_SQ, SQRET, -1.0),
    ),
    Kind(
        "bb", "volatility", bb, ((20,),),
        "Bollinger (2 sd, ddof 0): width / mean; (C - lower) / (upper - lower) - 0.5, 0 in a flat window", _C,
        ((0.0, 4.0), (-2.0, 2.0)), lambda n: n - 1, source="catalogue 47; TA-Lib BBANDS", state=moments_size,
        outputs=("bb_width", "bb_pctb"),
    ),
    Kind(
        "vol_of_vol", "volatility", vol_of_vol, ((60,),),
        "standard deviation (ddof 0) over n bars of ln sqrt(sum of 5 squared returns)", _C, (0.0, 10.0),
        lambda n: n + 4, unit="log fraction", source="catalogue 49", state=moments_size,
    ),
    Kind(
        "range_atr", "volatility", over_atr, ((),),
        "(H - L) / ATR14", _HLC, (0.0, 20.0), lambda: ATR_WARMUP, unit="ATR", source="catalogue 51",
        memory=lambda: 1, constants=(HIGH, LOW, 0, 0),
    ),
)
