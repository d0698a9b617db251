"""Volume and activity."""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs
# (numba infers the types of kernels)


from scalper_ml.features.elementary import ln
from scalper_ml.features.generic import correlation, share, zscore
from scalper_ml.features.kind import ATR_WARMUP, Kind, ema_warmup
from scalper_ml.features.rolling import ema, moments, pair, product, total
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
from scalper_ml.features.window import smooth
from scalper_ml.kernel import inlined

__all__ = ["KINDS"]


@inlined
def adosc_n(H, i0, i1, t0, P, S, R, w, out):
    """Chaikin oscillator over the EMA of volume. ``S``: the A/D line less its two EMAs. ``w``: EMA of volume.

    Only differences from the line are carried, so nothing grows with the length of the stream.
    """
    ka, kb, clv, mean, answer = 2.0 / (P[0] + 1.0), 2.0 / (P[1] + 1.0), H[CLV_V, i0:i1], R[w[0]], out[0]
    fast, slow = S[0], S[1]
    for r in range(i1 - i0):
        flow = clv[r] if t0 + r > 0 else 0.0
        fast = (1.0 - ka) * (fast + flow)
        slow = (1.0 - kb) * (slow + flow)
        answer[r] = (slow - fast) / mean[r] if mean[r] > 0.0 else 0.0
    S[0], S[1] = fast, slow


@inlined
def force(H, i0, i1, t0, P, S, R, w, out):
    """EMA of change times volume over ATR times the EMA of volume. ``S``: the first. ``w``: the second."""
    n, v, atr, mean, answer = int(P[0]), H[VOLUME, i0:i1], H[ATR, i0:i1], R[w[0]], out[0]
    c, c1 = H[CLOSE, i0:i1], H[CLOSE, i0 - 1 : i1 - 1]
    alpha, push = 2.0 / (n + 1), S[0]
    for r in range(max(0, 1 - t0), i1 - i0):
        push = smooth(push, (c[r] - c1[r]) * v[r], t0 + r - 1, n, alpha)
        answer[r] = push / (atr[r] * mean[r]) if mean[r] > 0.0 else 0.0
    S[0] = push


@inlined
def eom(H, i0, i1, t0, P, S, R, w, out):
    """Ease of movement: moves of the middle, weighted by range and by how little volume they took. ``w``: volume.

    Recomputed, one lag after the other.
    """
    n, volume, ease, atr, answer, rows = int(P[0]), R[w[0]], R[1], H[ATR, i0:i1], out[0], i1 - i0
    ease[:rows] = 0.0
    for lag in range(n - 1, -1, -1):
        v, span = H[VOLUME, i0 - lag : i1 - lag], H[RANGE, i0 - lag : i1 - lag]
        h, low = H[HIGH, i0 - lag : i1 - lag], H[LOW, i0 - lag : i1 - lag]
        h1, l1 = H[HIGH, i0 - lag - 1 : i1 - lag - 1], H[LOW, i0 - lag - 1 : i1 - lag - 1]
        for r in range(rows):
            mean = volume[r] / n
            move = 0.5 * ((h[r] + low[r]) - (h1[r] + l1[r]))
            ease[r] += move * span[r] * (mean / max(v[r], 1e-3 * mean)) if mean > 0.0 else 0.0
    for r in range(rows):
        answer[r] = ease[r] / n / (atr[r] * atr[r])


@inlined
def amihud(H, i0, i1, t0, P, S, R, w, out):
    """Log of absolute return per traded value over n bars against 240 bars. ``w``: moved, traded, both in 240."""
    moved, traded, moved_long, traded_long = R[w[0]], R[w[1]], R[w[2]], R[w[3]]
    ratio, answer, rows = R[0], out[0], i1 - i0
    for r in range(rows):
        alive = moved[r] > 0.0 and traded[r] > 0.0
        ratio[r] = (moved[r] * traded_long[r]) / (moved_long[r] * traded[r]) if alive else 1.0
    ln(ratio[:rows], answer)


_CV = ("close", "volume")
_HLCV = ("high", "low", "close", "volume")

KINDS: tuple[Kind, ...] = (
    Kind(
        "vol_z", "volume", zscore, ((20,), (60,), (120,)),
        "z-score (ddof 0) of ln V over n bars; 0 in a flat window; V of an empty bar is 1/1000 of its EMA(60)",
        ("volume",), (-8.0, 8.0), lambda n: n - 1, unit="sigma", source="catalogue 54",
        rolling=lambda n: (moments(LNV, n),), constants=(LNV,),
    ),
    Kind(
        "obv_slope", "volume", share, ((20,), (60,)), "change of on-balance volume over n bars / sum V", _CV,
        (-1.0, 1.0), lambda n: n, source="catalogue 59; TA-Lib OBV",
        rolling=lambda n: (total(SIGN_V, n), total(VOLUME, n)), constants=(1.0,),
    ),
    Kind(
        "cmf", "volume", share, ((20,),), "Chaikin money flow: sum(((C-L)-(H-C))/(H-L) V) / sum V over n bars", _HLCV,
        (-1.0, 1.0), lambda n: n - 1, source="catalogue 60",
        rolling=lambda n: (total(CLV_V, n), total(VOLUME, n)), constants=(1.0,),
    ),
    Kind(
        "adosc_n", "volume", adosc_n, ((3, 10),), "(EMA3 - EMA10) of the accumulation/distribution line / EMA10(V)",
        _HLCV, (-5.0, 5.0), lambda a, b: ema_warmup(max(a, b)), unit="mean volume",
        source="catalogue 61; TA-Lib ADOSC", state=lambda a, b: 2, rolling=lambda a, b: (ema(VOLUME, b),),
    ),
    Kind(
        "mfi", "volume", share, ((14,),), "money flow index / 100 - 0.5 over n bars; 0 without flow", _HLCV,
        (-0.5, 0.5), lambda n: n, source="catalogue 62; TA-Lib MFI",
        rolling=lambda n: (total(MONEY, n), total(ABS_MONEY, n)), constants=(0.5,),
    ),
    Kind(
        "force", "volume", force, ((13,),), "EMA13(change of C x V) / (ATR14 x EMA13(V))", _HLCV, (-5.0, 5.0),
        lambda n: max(ATR_WARMUP, ema_warmup(n)), unit="ATR", source="catalogue 63", state=lambda n: 1,
        rolling=lambda n: (ema(VOLUME, n, 1),),
    ),
    Kind(
        "eom", "volume", eom, ((14,),),
        "mean over n bars of (change of (H+L)/2) (H-L) (mean V / V), / ATR14^2; V at least 1/1000 of its mean",
        _HLCV, (-10.0, 10.0), lambda n: max(ATR_WARMUP, n), unit="ATR^2", source="catalogue 64", memory=lambda n: n + 2,
        rolling=lambda n: (total(VOLUME, n),),
    ),
    Kind(
        "updown_vol", "volume", share, ((20,), (60,)), "(V of rising bars - V of falling bars) / sum V over n bars",
        ("open", *_CV), (-1.0, 1.0), lambda n: n - 1, source="catalogue 65",
        rolling=lambda n: (total(BAR_V, n), total(VOLUME, n)), constants=(1.0,),
    ),
    Kind(
        "vol_ret_corr", "volume", correlation, ((60,),), "correlation of |1-bar log return| and V over n bars", _CV,
        (-1.0, 1.0), lambda n: n, source="catalogue 69", rolling=lambda n: (pair(ABSRET, VOLUME, n),),
    ),
    Kind(
        "amihud", "volume", amihud, ((30,), (60,)),
        "ln(sum |r| / sum(V C) over n bars) - the same over 240 bars; 0 without movement or volume", _CV, (-8.0, 8.0),
        lambda n: max(n, 240), unit="log ratio", source="catalogue 79",
        rolling=lambda n: tuple(one for m in (n, 240) for one in (total(ABSRET, m), product(VOLUME, CLOSE, m))),
    ),
)
