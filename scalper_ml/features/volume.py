"""Volume and activity."""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs
# (numba infers the types of kernels)

import math

from scalper_ml.features.generic import correlation, share, share_size, zscore
from scalper_ml.features.kind import ATR_WARMUP, Kind, ema_warmup
from scalper_ml.features.series import (
    ABS_MONEY,
    ABSRET,
    ATR,
    BAR_V,
    CLOSE,
    CLV_V,
    HIGH,
    LNV,
    LOW,
    MONEY,
    RANGE,
    SIGN_V,
    VOLUME,
)
from scalper_ml.features.window import moments_size, pair_size, slide_dot, slide_sum, smooth, sum_size
from scalper_ml.kernel import kernel

__all__ = ["KINDS"]


@kernel
def adosc_n(H, i0, i1, t0, P, S, out):
    """Chaikin oscillator over the EMA of volume. ``S``: the A/D line less its two EMAs, EMA of volume.

    Only differences from the line are carried, so nothing grows with the length of the stream.
    """
    a, b = int(P[0]), int(P[1])
    ka, kb = 2.0 / (a + 1), 2.0 / (b + 1)
    for i in range(i0, i1):
        t = t0 + i - i0
        flow = H[CLV_V, i] if t > 0 else 0.0
        S[0] = (1.0 - ka) * (S[0] + flow)
        S[1] = (1.0 - kb) * (S[1] + flow)
        S[2] = smooth(S[2], H[VOLUME, i], t, b, kb)
        out[0, i - i0] = (S[1] - S[0]) / S[2] if S[2] > 0.0 else 0.0


@kernel
def force(H, i0, i1, t0, P, S, out):
    """EMA of change times volume over ATR times the EMA of volume. ``S``: both EMAs."""
    n = int(P[0])
    alpha = 2.0 / (n + 1)
    for i in range(max(i0, i0 + 1 - t0), i1):
        t = t0 + i - i0
        S[0] = smooth(S[0], (H[CLOSE, i] - H[CLOSE, i - 1]) * H[VOLUME, i], t - 1, n, alpha)
        S[1] = smooth(S[1], H[VOLUME, i], t - 1, n, alpha)
        out[0, i - i0] = S[0] / (H[ATR, i] * S[1]) if S[1] > 0.0 else 0.0


@kernel
def eom(H, i0, i1, t0, P, S, out):
    """Ease of movement: moves of the middle, weighted by range and by how little volume they took. Recomputed."""
    n = int(P[0])
    for i in range(i0, i1):
        volume = 0.0
        for j in range(i - n + 1, i + 1):
            volume += H[VOLUME, j]
        volume /= n
        ease = 0.0
        for j in range(i - n + 1, i + 1):
            move = 0.5 * ((H[HIGH, j] + H[LOW, j]) - (H[HIGH, j - 1] + H[LOW, j - 1]))
            if volume > 0.0:
                ease += move * H[RANGE, j] * (volume / max(H[VOLUME, j], 1e-3 * volume))
        out[0, i - i0] = ease / n / (H[ATR, i] * H[ATR, i])


@kernel
def amihud(H, i0, i1, t0, P, S, out):
    """Log of absolute return per traded value over n bars against 240 bars. ``S``: four sums."""
    n = int(P[0])
    k, long = t0 % n, t0 % 240
    m = 2 * (n + 1)
    for i in range(i0, i1):
        moved = slide_sum(H[ABSRET], i, k, n, S[: n + 1])
        traded = slide_dot(H[VOLUME], H[CLOSE], 0, i, k, n, S[n + 1 : m])
        moved_long = slide_sum(H[ABSRET], i, long, 240, S[m : m + 241])
        traded_long = slide_dot(H[VOLUME], H[CLOSE], 0, i, long, 240, S[m + 241 :])
        value = 0.0
        if moved > 0.0 and traded > 0.0:
            value = math.log((moved * traded_long) / (moved_long * traded))
        out[0, i - i0] = value
        k = k + 1 if k < n - 1 else 0
        long = long + 1 if long < 239 else 0


_CV = ("close", "volume")
_HLCV = ("high", "low", "close", "volume")

KINDS: tuple[Kind, ...] = (
    Kind(
        "vol_z", "volume", zscore, ((20,), (60,), (120,)),
        "z-score (ddof 0) of ln V over n bars; 0 in a flat window; V of an empty bar is 1/1000 of its EMA(60)",
        ("volume",), (-8.0, 8.0), lambda n: n - 1, unit="sigma", source="catalogue 54", state=moments_size,
        constants=(LNV,),
    ),
    Kind(
        "obv_slope", "volume", share, ((20,), (60,)), "change of on-balance volume over n bars / sum V", _CV,
        (-1.0, 1.0), lambda n: n, source="catalogue 59; TA-Lib OBV", state=share_size,
        constants=(SIGN_V, VOLUME, 1.0),
    ),
    Kind(
        "cmf", "volume", share, ((20,),), "Chaikin money flow: sum(((C-L)-(H-C))/(H-L) V) / sum V over n bars", _HLCV,
        (-1.0, 1.0), lambda n: n - 1, source="catalogue 60", state=share_size, constants=(CLV_V, VOLUME, 1.0),
    ),
    Kind(
        "adosc_n", "volume", adosc_n, ((3, 10),), "(EMA3 - EMA10) of the accumulation/distribution line / EMA10(V)",
        _HLCV, (-5.0, 5.0), lambda a, b: ema_warmup(max(a, b)), unit="mean volume",
        source="catalogue 61; TA-Lib ADOSC", state=lambda a, b: 3,
    ),
    Kind(
        "mfi", "volume", share, ((14,),), "money flow index / 100 - 0.5 over n bars; 0 without flow", _HLCV,
        (-0.5, 0.5), lambda n: n, source="catalogue 62; TA-Lib MFI", state=share_size,
        constants=(MONEY, ABS_MONEY, 0.5),
    ),
    Kind(
        "force", "volume", force, ((13,),), "EMA13(change of C x V) / (ATR14 x EMA13(V))", _HLCV, (-5.0, 5.0),
        lambda n: max(ATR_WARMUP, ema_warmup(n)), unit="ATR", source="catalogue 63", state=lambda n: 2,
    ),
    Kind(
        "eom", "volume", eom, ((14,),),
        "mean over n bars of (change of (H+L)/2) (H-L) (mean V / V), / ATR14^2; V at least 1/1000 of its mean",
        _HLCV, (-10.0, 10.0), lambda n: max(ATR_WARMUP, n), unit="ATR^2", source="catalogue 64", memory=lambda n: n + 2,
    ),
    Kind(
        "updown_vol", "volume", share, ((20,), (60,)), "(V of rising bars - V of falling bars) / sum V over n bars",
        ("open", *_CV), (-1.0, 1.0), lambda n: n - 1, source="catalogue 65", state=share_size,
        constants=(BAR_V, VOLUME, 1.0),
    ),
    Kind(
        "vol_ret_corr", "volume", correlation, ((60,),), "correlation of |1-bar log return| and V over n bars", _CV,
        (-1.0, 1.0), lambda n: n, source="catalogue 69", state=pair_size, constants=(ABSRET, VOLUME, 0),
    ),
    Kind(
        "amihud", "volume", amihud, ((30,), (60,)),
        "ln(sum |r| / sum(V C) over n bars) - the same over 240 bars; 0 without movement or volume", _CV, (-8.0, 8.0),
        lambda n: max(n, 240), unit="log ratio", source="catalogue 79",
        state=lambda n: 2 * (sum_size(n) + sum_size(240)), memory=lambda n: max(n, 240) + 1,
    ),
)
