"""Returns and momentum."""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs
# (numba infers the types of kernels)

import math

from scalper_ml.features.generic import mid_rank, run_length
from scalper_ml.features.kind import ATR_WARMUP, SIGMA_WARMUP, Kind, ema_warmup, wilder_warmup
from scalper_ml.features.rolling import Rolling, ema, maximum, minimum, total, wilder
from scalper_ml.features.series import (
    ATR,
    BP,
    CLOSE,
    GAIN,
    HIGH,
    LNC,
    LOSS,
    LOW,
    RET,
    RET5,
    SIGMA,
    TR,
)
from scalper_ml.features.window import smooth
from scalper_ml.kernel import inlined

__all__ = ["KINDS"]


@inlined
def ret_raw(H, i0, i1, t0, P, S, R, w, out):
    """Log return over n bars."""
    n, answer = int(P[0]), out[0]
    now, before = H[LNC, i0:i1], H[LNC, i0 - n : i1 - n]
    for r in range(i1 - i0):
        answer[r] = now[r] - before[r]


@inlined
def ret_z(H, i0, i1, t0, P, S, R, w, out):
    """Log return over n bars in units of its expected size."""
    n, answer = int(P[0]), out[0]
    now, before, sigma, root = H[LNC, i0:i1], H[LNC, i0 - n : i1 - n], H[SIGMA, i0:i1], math.sqrt(n)
    for r in range(i1 - i0):
        answer[r] = (now[r] - before[r]) / (sigma[r] * root)


@inlined
def ret_accel(H, i0, i1, t0, P, S, R, w, out):
    """Return of the last n bars less that of the n bars before."""
    n, answer = int(P[0]), out[0]
    now, middle, before = H[LNC, i0:i1], H[LNC, i0 - n : i1 - n], H[LNC, i0 - 2 * n : i1 - 2 * n]
    sigma, root = H[SIGMA, i0:i1], math.sqrt(n)
    for r in range(i1 - i0):
        answer[r] = ((now[r] - middle[r]) - (middle[r] - before[r])) / (sigma[r] * root)


@inlined
def strength(H, i0, i1, t0, P, S, R, w, out):
    """Balance of mean gain and loss times a factor; 0 without movement. ``P``: n, factor. ``w``: both means."""
    factor, gain, loss, answer = P[1], R[w[0]], R[w[1]], out[0]
    for r in range(i1 - i0):
        both = gain[r] + loss[r]
        answer[r] = factor * (gain[r] - loss[r]) / both if both > 0.0 else 0.0


@inlined
def stoch(H, i0, i1, t0, P, S, R, w, out):
    """%K(n) smoothed by 3 and %D, its mean of 3. ``S``: last 2 raw %K, last 2 smoothed. ``w``: highest, lowest."""
    c, top, bottom, k_line, d_line = H[CLOSE, i0:i1], R[w[0]], R[w[1]], out[0], out[1]
    raw2, raw1, k2, k1 = S[0], S[1], S[2], S[3]
    for r in range(i1 - i0):
        raw = (c[r] - bottom[r]) / (top[r] - bottom[r]) if top[r] > bottom[r] else 0.5
        k = (raw2 + raw1 + raw) / 3.0
        k_line[r] = k
        d_line[r] = (k2 + k1 + k) / 3.0
        raw2, raw1, k2, k1 = raw1, raw, k1, k
    S[0], S[1], S[2], S[3] = raw2, raw1, k2, k1


@inlined
def stochrsi(H, i0, i1, t0, P, S, R, w, out):
    """Place of the RSI between its extremes of n bars. ``S``: ring of n RSI. ``w``: mean gain, mean loss."""
    n, gain, loss, answer = int(P[0]), R[w[0]], R[w[1]], out[0]
    place = (t0 + max(0, 1 - t0)) % n
    for r in range(max(0, 1 - t0), i1 - i0):
        both = gain[r] + loss[r]
        now = gain[r] / both if both > 0.0 else 0.5
        S[place] = now
        place = place + 1 if place < n - 1 else 0
        top = now
        bottom = now
        for j in range(S.shape[0]):
            top = max(top, S[j])
            bottom = min(bottom, S[j])
        answer[r] = (now - bottom) / (top - bottom) if top - bottom > 1e-9 else 0.5


@inlined
def macd(H, i0, i1, t0, P, S, R, w, out):
    """MACD line, signal and histogram over ATR. ``S``: signal. ``w``: fast and slow EMA."""
    b, s, atr, fast, slow = int(P[1]), int(P[2]), H[ATR, i0:i1], R[w[0]], R[w[1]]
    line_out, signal_out, hist_out, signal = out[0], out[1], out[2], S[0]
    for r in range(i1 - i0):
        seen, line = t0 + r - b + 1, fast[r] - slow[r]
        signal = smooth(signal, line, seen, s, 2.0 / (s + 1)) if seen >= 0 else 0.0
        line_out[r] = line / atr[r]
        signal_out[r] = signal / atr[r]
        hist_out[r] = (line - signal) / atr[r]
    S[0] = signal


@inlined
def ppo(H, i0, i1, t0, P, S, R, w, out):
    """Fast EMA over slow EMA, less one. ``w``: both."""
    fast, slow, answer = R[w[0]], R[w[1]], out[0]
    for r in range(i1 - i0):
        answer[r] = (fast[r] - slow[r]) / slow[r]


@inlined
def trix(H, i0, i1, t0, P, S, R, w, out):
    """One-bar change of a triple EMA. ``S``: the second and third EMA. ``w``: the first."""
    n, one, answer, two, three = int(P[0]), R[w[0]], out[0], S[0], S[1]
    alpha = 2.0 / (n + 1)
    for r in range(i1 - i0):
        t, before = t0 + r, three
        two = smooth(two, one[r], t - n + 1, n, alpha) if t >= n - 1 else 0.0
        three = smooth(three, two, t - 2 * n + 2, n, alpha) if t >= 2 * n - 2 else 0.0
        answer[r] = (three - before) / before if before > 0.0 else 0.0
    S[0], S[1] = two, three


@inlined
def _pressure(bought, moved):
    return bought / moved if moved > 0.0 else 0.5


@inlined
def ultosc(H, i0, i1, t0, P, S, R, w, out):
    """Williams' ultimate oscillator of three windows. ``w``: pressure and true range of each."""
    answer = out[0]
    bp1, tr1, bp2, tr2, bp3, tr3 = R[w[0]], R[w[1]], R[w[2]], R[w[3]], R[w[4]], R[w[5]]
    for r in range(i1 - i0):
        short, middle = _pressure(bp1[r], tr1[r]), _pressure(bp2[r], tr2[r])
        answer[r] = (4.0 * short + 2.0 * middle + _pressure(bp3[r], tr3[r])) / 7.0 - 0.5


@inlined
def tsi(H, i0, i1, t0, P, S, R, w, out):
    """True strength: double-smoothed change over double-smoothed absolute change. ``S``: four EMAs."""
    a, b, answer = int(P[0]), int(P[1]), out[0]
    c, c1 = H[CLOSE, i0:i1], H[CLOSE, i0 - 1 : i1 - 1]
    ka, kb = 2.0 / (a + 1), 2.0 / (b + 1)
    one, two, size_one, size_two = S[0], S[1], S[2], S[3]
    for r in range(max(0, 1 - t0), i1 - i0):
        change, seen = c[r] - c1[r], t0 + r - 1
        one = smooth(one, change, seen, a, ka)
        two = smooth(two, one, seen, b, kb)
        size_one = smooth(size_one, abs(change), seen, a, ka)
        size_two = smooth(size_two, size_one, seen, b, kb)
        answer[r] = two / size_two if size_two > 0.0 else 0.0
    S[0], S[1], S[2], S[3] = one, two, size_one, size_two


@inlined
def up_share(H, i0, i1, t0, P, S, R, w, out):
    """Share of the last n bars that rose. ``S``: their number, exact."""
    n, answer, count = int(P[0]), out[0], S[0]
    new, old = H[RET, i0:i1], H[RET, i0 - n : i1 - n]
    for r in range(i1 - i0):
        count += (1.0 if new[r] > 0.0 else 0.0) - (1.0 if old[r] > 0.0 else 0.0)
        answer[r] = count / n
    S[0] = count


@inlined
def ret_rank(H, i0, i1, t0, P, S, R, w, out):
    """Percentile of the 5-bar return among its last n values, ties shared."""
    n = int(P[0])
    mid_rank(H[RET5], i0, i1, n, 1e-13, out[0])


@inlined
def extreme_ret(H, i0, i1, t0, P, S, R, w, out):
    """Largest and smallest 1-bar return of n bars over the volatility. ``w``: both."""
    sigma, top, bottom, high, low = H[SIGMA, i0:i1], R[w[0]], R[w[1]], out[0], out[1]
    for r in range(i1 - i0):
        high[r] = top[r] / sigma[r]
        low[r] = bottom[r] / sigma[r]


def _changes(n: int) -> tuple[Rolling, ...]:
    return wilder(GAIN, n), wilder(LOSS, n)


def _extremes(n: int) -> tuple[Rolling, ...]:
    return maximum(HIGH, n), minimum(LOW, n)


def _averages(a: int, b: int) -> tuple[Rolling, ...]:
    return ema(CLOSE, a), ema(CLOSE, b)


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
        source="catalogue 4; TA-Lib RSI", rolling=_changes, constants=(0.5,),
    ),
    Kind(
        "stoch", "momentum", stoch, ((14,),),
        "slow stochastic: %K of n bars, mean of 3; %D its mean of 3; 0.5 in a zero range", _HLC, (0.0, 1.0),
        lambda n: n + 3, source="catalogue 5; TA-Lib STOCH", state=lambda n: 4, rolling=_extremes,
        outputs=("stoch_k", "stoch_d"),
    ),
    Kind(
        "stochrsi", "momentum", stochrsi, ((14,),),
        "(RSI - min) / (max - min) of Wilder's RSI over n bars; 0.5 when it did not move", _C, (0.0, 1.0),
        lambda n: wilder_warmup(n) + n, source="catalogue 6", state=lambda n: n, rolling=_changes,
    ),
    Kind(
        "cmo", "momentum", strength, ((14,),),
        "Chande momentum / 100 with Wilder smoothing; 0 without any movement", _C, (-1.0, 1.0), wilder_warmup,
        source="catalogue 7; TA-Lib CMO", rolling=_changes, constants=(1.0,),
    ),
    Kind(
        "macd", "momentum", macd, ((12, 26, 9),),
        "(EMA12 - EMA26) / ATR14; its EMA9; their difference", _HLC, (-10.0, 10.0),
        lambda a, b, s: max(ATR_WARMUP, ema_warmup(b) + ema_warmup(s)), unit="ATR", source="catalogue 8; TA-Lib MACD",
        state=lambda a, b, s: 1,
        rolling=lambda a, b, s: _averages(a, b), outputs=("macd_line", "macd_sig", "macd_hist"),
    ),
    Kind(
        "ppo", "momentum", ppo, ((12, 26),),
        "(EMA12 - EMA26) / EMA26", _C, (-0.5, 0.5), lambda a, b: ema_warmup(b), unit="fraction",
        source="catalogue 9; TA-Lib PPO with EMA", rolling=_averages,
    ),
    Kind(
        "trix", "momentum", trix, ((15,),),
        "1-bar change of EMA(EMA(EMA(C))) as a fraction", _C, (-0.2, 0.2), lambda n: 15 * n + 2 * n, unit="fraction",
        source="catalogue 10; TA-Lib TRIX / 100", state=lambda n: 2,
        rolling=lambda n: (ema(CLOSE, n),),
    ),
    Kind(
        "ultosc", "momentum", ultosc, ((7, 14, 28),),
        "Williams' ultimate oscillator / 100 - 0.5", _HLC, (-0.5, 0.5), lambda a, b, c: c,
        source="catalogue 11; TA-Lib ULTOSC",
        rolling=lambda *windows: tuple(total(x, n) for n in windows for x in (BP, TR)),
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
        lambda n: max(n, SIGMA_WARMUP), unit="sigma", source="catalogue 16",
        rolling=lambda n: (maximum(RET, n), minimum(RET, n)),
        outputs=("max_ret", "min_ret"),
    ),
)
