"""Returns and momentum."""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs
# (numba infers the types of kernels)

import math

from scalper_ml.features.generic import run_length
from scalper_ml.features.kind import ATR_WARMUP, SIGMA_WARMUP, Kind, ema_warmup, wilder_warmup
from scalper_ml.features.series import (
    ATR,
    BP,
    CLOSE,
    HIGH,
    LNC,
    LOW,
    RET,
    RET5,
    SIGMA,
    TR,
)
from scalper_ml.features.window import highest, inlined, lowest, slide_sum, smooth, sum_size
from scalper_ml.kernel import kernel

__all__ = ["KINDS"]


@kernel
def ret_raw(H, i0, i1, t0, P, S, out):
    """Log return over n bars."""
    n = int(P[0])
    for i in range(i0, i1):
        out[0, i - i0] = (H[LNC, i] - H[LNC, i - n])


@kernel
def ret_z(H, i0, i1, t0, P, S, out):
    """Log return over n bars in units of its expected size."""
    n = int(P[0])
    root = math.sqrt(n)
    for i in range(i0, i1):
        out[0, i - i0] = (H[LNC, i] - H[LNC, i - n]) / (H[SIGMA, i] * root)


@kernel
def ret_accel(H, i0, i1, t0, P, S, out):
    """Return of the last n bars less that of the n bars before."""
    n = int(P[0])
    root = math.sqrt(n)
    for i in range(i0, i1):
        change = (H[LNC, i] - H[LNC, i - n]) - (H[LNC, i - n] - H[LNC, i - 2 * n])
        out[0, i - i0] = change / (H[SIGMA, i] * root)


@kernel
def strength(H, i0, i1, t0, P, S, out):
    """Balance of Wilder's mean gain and loss times a factor; 0 without movement. ``P``: n, factor. ``S``: both."""
    n = int(P[0])
    for i in range(max(i0, i0 + 1 - t0), i1):
        t = t0 + i - i0
        change = H[CLOSE, i] - H[CLOSE, i - 1]
        S[0] = smooth(S[0], max(change, 0.0), t - 1, n, 1.0 / n)
        S[1] = smooth(S[1], max(-change, 0.0), t - 1, n, 1.0 / n)
        both = S[0] + S[1]
        out[0, i - i0] = P[1] * (S[0] - S[1]) / both if both > 0.0 else 0.0


@kernel
def stoch(H, i0, i1, t0, P, S, out):
    """%K(n) smoothed by 3 and %D, its mean of 3. ``S``: last 3 raw %K, last 3 smoothed, two extremes."""
    n = int(P[0])
    k = t0 % n
    for i in range(i0, i1):
        top = highest(H[HIGH], i, k, n, S[6 : n + 7])
        bottom = lowest(H[LOW], i, k, n, S[n + 7 :])
        S[0] = S[1]
        S[1] = S[2]
        S[2] = (H[CLOSE, i] - bottom) / (top - bottom) if top > bottom else 0.5
        S[3] = S[4]
        S[4] = S[5]
        S[5] = (S[0] + S[1] + S[2]) / 3.0
        out[0, i - i0] = S[5]
        out[1, i - i0] = (S[3] + S[4] + S[5]) / 3.0
        k = k + 1 if k < n - 1 else 0


@kernel
def stochrsi(H, i0, i1, t0, P, S, out):
    """Place of the RSI between its extremes of n bars. ``S``: mean gain, mean loss, ring of n RSI."""
    n = int(P[0])
    for i in range(max(i0, i0 + 1 - t0), i1):
        t = t0 + i - i0
        change = H[CLOSE, i] - H[CLOSE, i - 1]
        S[0] = smooth(S[0], max(change, 0.0), t - 1, n, 1.0 / n)
        S[1] = smooth(S[1], max(-change, 0.0), t - 1, n, 1.0 / n)
        both = S[0] + S[1]
        now = S[0] / both if both > 0.0 else 0.5
        S[2 + t % n] = now
        top = now
        bottom = now
        for j in range(n):
            top = max(top, S[2 + j])
            bottom = min(bottom, S[2 + j])
        out[0, i - i0] = (now - bottom) / (top - bottom) if top - bottom > 1e-9 else 0.5


@kernel
def macd(H, i0, i1, t0, P, S, out):
    """MACD line, signal and histogram over ATR. ``S``: fast, slow, signal."""
    a, b, s = int(P[0]), int(P[1]), int(P[2])
    for i in range(i0, i1):
        t = t0 + i - i0
        S[0] = smooth(S[0], H[CLOSE, i], t, a, 2.0 / (a + 1))
        S[1] = smooth(S[1], H[CLOSE, i], t, b, 2.0 / (b + 1))
        line = S[0] - S[1]
        S[2] = smooth(S[2], line, t - b + 1, s, 2.0 / (s + 1)) if t >= b - 1 else 0.0
        out[0, i - i0] = line / H[ATR, i]
        out[1, i - i0] = S[2] / H[ATR, i]
        out[2, i - i0] = (line - S[2]) / H[ATR, i]


@kernel
def ppo(H, i0, i1, t0, P, S, out):
    """Fast EMA over slow EMA, less one. ``S``: fast, slow."""
    a, b = int(P[0]), int(P[1])
    for i in range(i0, i1):
        t = t0 + i - i0
        S[0] = smooth(S[0], H[CLOSE, i], t, a, 2.0 / (a + 1))
        S[1] = smooth(S[1], H[CLOSE, i], t, b, 2.0 / (b + 1))
        out[0, i - i0] = (S[0] - S[1]) / S[1]


@kernel
def trix(H, i0, i1, t0, P, S, out):
    """One-bar change of a triple EMA. ``S``: the three EMAs."""
    n = int(P[0])
    alpha = 2.0 / (n + 1)
    for i in range(i0, i1):
        t = t0 + i - i0
        before = S[2]
        S[0] = smooth(S[0], H[CLOSE, i], t, n, alpha)
        S[1] = smooth(S[1], S[0], t - n + 1, n, alpha) if t >= n - 1 else 0.0
        S[2] = smooth(S[2], S[1], t - 2 * n + 2, n, alpha) if t >= 2 * n - 2 else 0.0
        out[0, i - i0] = (S[2] - before) / before if before > 0.0 else 0.0


@inlined
def _pressure(H, i, k, n, S):
    m = n + 1
    bought = slide_sum(H[BP], i, k, n, S[:m])
    moved = slide_sum(H[TR], i, k, n, S[m:])
    return bought / moved if moved > 0.0 else 0.5


@kernel
def ultosc(H, i0, i1, t0, P, S, out):
    """Williams' ultimate oscillator of three windows. ``S``: two sums a window."""
    a, b, c = int(P[0]), int(P[1]), int(P[2])
    Sa = S[: 2 * a + 2]
    Sb = S[2 * a + 2 : 2 * (a + b) + 4]
    Sc = S[2 * (a + b) + 4 :]
    ka, kb, kc = t0 % a, t0 % b, t0 % c
    for i in range(i0, i1):
        short = _pressure(H, i, ka, a, Sa)
        middle = _pressure(H, i, kb, b, Sb)
        long = _pressure(H, i, kc, c, Sc)
        out[0, i - i0] = (4.0 * short + 2.0 * middle + long) / 7.0 - 0.5
        ka = ka + 1 if ka < a - 1 else 0
        kb = kb + 1 if kb < b - 1 else 0
        kc = kc + 1 if kc < c - 1 else 0


@kernel
def tsi(H, i0, i1, t0, P, S, out):
    """True strength: double-smoothed change over double-smoothed absolute change. ``S``: four EMAs."""
    a, b = int(P[0]), int(P[1])
    ka, kb = 2.0 / (a + 1), 2.0 / (b + 1)
    for i in range(max(i0, i0 + 1 - t0), i1):
        t = t0 + i - i0
        change = H[CLOSE, i] - H[CLOSE, i - 1]
        S[0] = smooth(S[0], change, t - 1, a, ka)
        S[1] = smooth(S[1], S[0], t - 1, b, kb)
        S[2] = smooth(S[2], abs(change), t - 1, a, ka)
        S[3] = smooth(S[3], S[2], t - 1, b, kb)
        out[0, i - i0] = S[1] / S[3] if S[3] > 0.0 else 0.0


@kernel
def up_share(H, i0, i1, t0, P, S, out):
    """Share of the last n bars that rose. ``S``: their number, exact."""
    n = int(P[0])
    for i in range(i0, i1):
        S[0] += (1.0 if H[RET, i] > 0.0 else 0.0) - (1.0 if H[RET, i - n] > 0.0 else 0.0)
        out[0, i - i0] = S[0] / n


@kernel
def ret_rank(H, i0, i1, t0, P, S, out):
    """Percentile of the 5-bar return among its last n values, ties shared."""
    n = int(P[0])
    for i in range(i0, i1):
        now = H[RET5, i]
        below = 0
        equal = 0
        for past in H[RET5, i - n + 1 : i + 1]:
            below += past < now - 1e-13
            equal += abs(past - now) <= 1e-13
        out[0, i - i0] = (below + 0.5 * (equal + 1)) / n


@kernel
def extreme_ret(H, i0, i1, t0, P, S, out):
    """Largest and smallest 1-bar return of n bars over the volatility. ``S``: two extremes."""
    n = int(P[0])
    k = t0 % n
    for i in range(i0, i1):
        out[0, i - i0] = highest(H[RET], i, k, n, S[: n + 1]) / H[SIGMA, i]
        out[1, i - i0] = lowest(H[RET], i, k, n, S[n + 1 :]) / H[SIGMA, i]
        k = k + 1 if k < n - 1 else 0


_C = ("close",)
_HLC = ("high", "low", "close")

KINDS: tuple[Kind, ...] = (
    Kind(
        "ret_raw", "momentum", ret_raw, ((1,), (5,), (15,), (60,)),
        "ln(C / C[n bars ago])", _C, (-1.0, 1.0), lambda n: n, unit="log return", source="catalogue 2",
    ),
    Kind(
        "ret_z", "momentum", ret_z, ((1,), (2,), (3,), (5,), (10,), (15,), (30,), (60,), (120,), (240,)),
        "ln(C / C[n bars ago]) / (sigma60 sqrt(n)), sigma60 = sqrt(mean r^2 of 60 bars)", _C, (-8.0, 8.0),
        lambda n: max(n, SIGMA_WARMUP), unit="sigma", source="catalogue 1",
    ),
    Kind(
        "ret_accel", "momentum", ret_accel, ((5,), (15,)),
        "(return of the last n bars - return of the n bars before) / (sigma60 sqrt(n))", _C, (-12.0, 12.0),
        lambda n: max(2 * n, SIGMA_WARMUP), unit="sigma", source="catalogue 3", memory=lambda n: 2 * n + 1,
    ),
    Kind(
        "rsi", "momentum", strength, ((6,), (14,), (21,)),
        "Wilder RSI / 100 - 0.5; 0 without any movement", _C, (-0.5, 0.5), wilder_warmup,
        source="catalogue 4; TA-Lib RSI", state=lambda n: 2, constants=(0.5,),
    ),
    Kind(
        "stoch", "momentum", stoch, ((14,),),
        "slow stochastic: %K of n bars, mean of 3; %D its mean of 3; 0.5 in a zero range", _HLC, (0.0, 1.0),
        lambda n: n + 3, source="catalogue 5; TA-Lib STOCH", state=lambda n: 2 * sum_size(n) + 6,
        outputs=("stoch_k", "stoch_d"),
    ),
    Kind(
        "stochrsi", "momentum", stochrsi, ((14,),),
        "(RSI - min) / (max - min) of Wilder's RSI over n bars; 0.5 when it did not move", _C, (0.0, 1.0),
        lambda n: wilder_warmup(n) + n, source="catalogue 6", state=lambda n: 2 + n,
    ),
    Kind(
        "cmo", "momentum", strength, ((14,),),
        "Chande momentum / 100 with Wilder smoothing; 0 without any movement", _C, (-1.0, 1.0), wilder_warmup,
        source="catalogue 7; TA-Lib CMO", state=lambda n: 2, constants=(1.0,),
    ),
    Kind(
        "macd", "momentum", macd, ((12, 26, 9),),
        "(EMA12 - EMA26) / ATR14; its EMA9; their difference", _HLC, (-10.0, 10.0),
        lambda a, b, s: max(ATR_WARMUP, ema_warmup(b) + ema_warmup(s)), unit="ATR", source="catalogue 8; TA-Lib MACD",
        state=lambda a, b, s: 3, outputs=("macd_line", "macd_sig", "macd_hist"),
    ),
    Kind(
        "ppo", "momentum", ppo, ((12, 26),),
        "(EMA12 - EMA26) / EMA26", _C, (-0.5, 0.5), lambda a, b: ema_warmup(b), unit="fraction",
        source="catalogue 9; TA-Lib PPO with EMA", state=lambda a, b: 2,
    ),
    Kind(
        "trix", "momentum", trix, ((15,),),
        "1-bar change of EMA(EMA(EMA(C))) as a fraction", _C, (-0.2, 0.2), lambda n: 15 * n + 2 * n, unit="fraction",
        source="catalogue 10; TA-Lib TRIX / 100", state=lambda n: 3,
    ),
    Kind(
        "ultosc", "momentum", ultosc, ((7, 14, 28),),
        "Williams' ultimate oscillator / 100 - 0.5", _HLC, (-0.5, 0.5), lambda a, b, c: c,
        source="catalogue 11; TA-Lib ULTOSC", state=lambda a, b, c: 2 * (sum_size(a) + sum_size(b) + sum_size(c)),
    ),
    Kind(
        "tsi", "momentum", tsi, ((25, 13),),
        "EMA13(EMA25(change)) / EMA13(EMA25(|change|)); 0 without any movement", _C, (-1.0, 1.0),
        lambda a, b: ema_warmup(a) + ema_warmup(b), source="catalogue 12", state=lambda a, b: 4,
    ),
    Kind(
        "up_share", "momentum", up_share, ((10,), (30,)),
        "share of the last n 1-bar returns that are positive", _C, (0.0, 1.0), lambda n: n, source="catalogue 13",
        state=lambda n: 1,
    ),
    Kind(
        "run_len", "momentum", run_length, ((),),
        "signed number of bars in a row with the same sign of return; 0 after an unchanged close", _C, (-20.0, 20.0),
        lambda: 20, unit="bars", source="catalogue 14", state=lambda: 1, memory=lambda: 1,
        constants=(RET,),
    ),
    Kind(
        "ret_rank", "momentum", ret_rank, ((60,),),
        "mid-rank of the 5-bar log return among its last n values, / n", _C, (0.0, 1.0), lambda n: n + 4,
        source="catalogue 15",
    ),
    Kind(
        "extreme_ret", "momentum", extreme_ret, ((15,), (60,)),
        "largest (smallest) 1-bar log return of n bars / sigma60", _C, (-8.0, 8.0),
        lambda n: max(n, SIGMA_WARMUP), unit="sigma", source="catalogue 16", state=lambda n: 2 * sum_size(n),
        outputs=("max_ret", "min_ret"),
    ),
)
