"""The shared series every feature kernel reads: raw inputs, then what is derived from them once.

Rows of the matrix ``H (series, rows)``. Row numbers are compile-time constants of the kernels.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs
# (numba infers the types of kernels)

import math

import numpy as np

from scalper_ml.features.window import dot_size, inlined, slide_dot, smooth
from scalper_ml.kernel import kernel

__all__ = [
    "INPUT_COLUMNS",
    "RANGE_FLOOR",
    "SERIES",
    "SERIES_MEMORY",
    "SERIES_STATE",
    "SIGMA_FLOOR",
    "derive",
    "inspect",
    "load",
    "publish",
]

INPUT_COLUMNS: tuple[str, ...] = (
    "open",
    "high",
    "low",
    "close",
    "volume",
    "quote_volume",
    "trades",
    "buy_trades",
    "buy_volume",
    "sell_volume",
    "vwap",
    "gap",
    "mkt_n",
    "mkt_ret",
    "mkt_up",
    "mkt_disp",
    "lead_ret",
)
"""Columns of every input matrix, in order. NaN where the source has none."""

OPEN, HIGH, LOW, CLOSE, VOLUME, QUOTE, TRADES, BUY_N, BUY, SELL, VWAP, GAP = range(12)
MKT_N, MKT, MKT_UP, MKT_DISP, LEAD = range(12, 17)
TS = 17  # close of the bar, microseconds
ROW = 18  # rows since the reset
RET = 19  # ln C / C-1
ABSRET = 20
SQRET = 21
RET5 = 22  # ln C / C-5
LNC = 23  # ln C
RANGE = 24  # H - L
TR = 25  # true range
BP = 26  # C - min(L, C-1), buying pressure
ATR = 27  # Wilder ATR(14), at least RANGE_FLOOR x C
SIGMA = 28  # sqrt(mean r^2 of 60 bars), at least SIGMA_FLOOR
LNRV5 = 29  # ln sqrt(sum r^2 of 5 bars)
TYPICAL = 30  # (H + L + C) / 3
LNV = 31  # ln volume up to a constant; see derive
PARK = 32  # (ln H/L)^2
GK = 33  # Garman-Klass term
RS = 34  # Rogers-Satchell term
LN_CO = 35  # ln C / O
LN_OC = 36  # ln O / C-1
SIGN_V = 37  # sign(C - C-1) V
BAR_V = 38  # sign(C - O) V
CLV_V = 39  # close location x V
MONEY = 40  # sign(change of typical price) x typical price x V
NET = 41  # buyer minus seller volume
ROOT_NET = 42  # sign(net) sqrt(|net|)
LN_SIZE = 43  # ln (volume / trades), up to a constant
LN_N = 44  # ln (1 + trades)
IMB = 45  # net / (buy + sell), 0 without volume
MKT_SIGMA = 46  # as SIGMA, of the market
LEAD_SIGMA = 47  # as SIGMA, of the lead coin
LN_DISP = 48  # ln of the cross-sectional dispersion
FLOW = 49  # buyer plus seller volume
ABS_NET = 50
NET_N = 51  # buyer-initiated minus seller-initiated trades
VORTEX = 52  # |H - L-1| - |L - H-1|
ABS_MONEY = 53
WICKS = 54  # lower wick - upper wick
SIGN_SQ = 55  # r |r|
SERIES = 56

RANGE_FLOOR = 1e-6
"""Smallest range used as a denominator, as a share of the price."""

SIGMA_FLOOR = 1e-7
"""Smallest volatility of log returns used as a denominator."""

EQUAL = 1e-12
"""Derived prices closer than this share of the price are the same price."""

SERIES_MEMORY = 61
SERIES_STATE = 3 + 3 * dot_size(60)


@kernel
def inspect(X, ts_us, before, longest_gap):
    """First bad row, first row not after the one before it, first row to reset before; -1 if none.

    A bad row has prices that are not positive, finite and ordered, or a volume or gap that is not finite and >= 0.
    """
    bad, late, reset = -1, -1, -1
    for i in range(X.shape[0] - 1, -1, -1):
        o, h, low, c, v, gap = X[i, OPEN], X[i, HIGH], X[i, LOW], X[i, CLOSE], X[i, VOLUME], X[i, GAP]
        good = low > 0.0 and low <= o <= h and low <= c <= h and h < np.inf and v >= 0.0 and v < np.inf and gap >= 0.0
        bad = bad if good else i
        late = late if ts_us[i] > (ts_us[i - 1] if i > 0 else before) else i
        reset = i if gap > longest_gap else reset
    return bad, late, reset


@inlined
def _rms(x, i, k, S):
    return max(math.sqrt(slide_dot(x, x, 0, i, k, 60, S) / 60.0), SIGMA_FLOOR)


@inlined
def _sign(x):
    return 1.0 if x > 0.0 else (-1.0 if x < 0.0 else 0.0)


@kernel
def derive(H, i0, i1, t0, S):
    """Fill the derived rows of `H` from the raw ones, rows ``i0 <= i < i1``.

    A derived value that needs the bar before is NaN on the first row after a reset.
    ``LNV`` is ln(V / V*) with V* the first volume that is not zero since the reset, so it does not
    depend on the unit of volume; a bar without volume counts as 1/1000 of the recent mean.
    """
    k = t0 % 60
    own = S[3:64]
    mkt = S[64:125]
    lead = S[125:186]
    for i in range(i0, i1):
        t = t0 + i - i0
        o = H[OPEN, i]
        h = H[HIGH, i]
        low = H[LOW, i]
        c = H[CLOSE, i]
        v = H[VOLUME, i]
        c1 = H[CLOSE, i - 1]
        H[ROW, i] = t
        ln_o = math.log(o)
        ln_h = math.log(h)
        ln_l = math.log(low)
        ln_c = math.log(c)
        ln_c1 = H[LNC, i - 1]
        r = ln_c - ln_c1
        H[RET, i] = r
        H[ABSRET, i] = abs(r)
        H[SIGN_SQ, i] = r * abs(r)
        H[SQRET, i] = r * r
        H[RET5, i] = ln_c - H[LNC, i - 5]
        H[LNC, i] = ln_c
        H[RANGE, i] = h - low
        tr = max(h, c1) - min(low, c1) if t > 0 else np.nan
        H[TR, i] = tr
        H[BP, i] = c - min(low, c1) if t > 0 else np.nan
        S[0] = smooth(S[0], tr, t - 1, 14, 1.0 / 14.0) if t > 0 else 0.0
        H[ATR, i] = max(S[0], RANGE_FLOOR * c)
        H[SIGMA, i] = _rms(H[RET], i, k, own)
        s5 = H[SQRET, i] + H[SQRET, i - 1] + H[SQRET, i - 2] + H[SQRET, i - 3] + H[SQRET, i - 4]
        H[LNRV5, i] = 0.5 * math.log(max(s5, 1e-14))
        typical = (h + low + c) / 3.0
        H[TYPICAL, i] = typical
        if S[1] == 0.0:
            S[1] = v
        S[2] = smooth(S[2], v, t, 60, 2.0 / 61.0)
        H[LNV, i] = math.log(max(v / S[1], 1e-3 * S[2] / S[1], 1e-12)) if S[1] > 0.0 else math.log(1e-3)
        hl = ln_h - ln_l
        co = ln_c - ln_o
        H[PARK, i] = hl * hl
        H[GK, i] = 0.5 * hl * hl - (2.0 * math.log(2.0) - 1.0) * co * co
        H[RS, i] = (ln_h - ln_c) * (ln_h - ln_o) + (ln_l - ln_c) * (ln_l - ln_o)
        H[LN_CO, i] = co
        H[LN_OC, i] = ln_o - ln_c1
        H[SIGN_V, i] = _sign(c - c1) * v if t > 0 else np.nan
        H[BAR_V, i] = _sign(c - o) * v
        H[CLV_V, i] = ((c - low) - (h - c)) / (h - low) * v if h > low else 0.0
        step = typical - H[TYPICAL, i - 1]
        H[MONEY, i] = (_sign(step) if abs(step) > EQUAL * typical else 0.0) * typical * v if t > 0 else np.nan
        H[ABS_MONEY, i] = abs(H[MONEY, i])
        H[VORTEX, i] = abs(h - H[LOW, i - 1]) - abs(low - H[HIGH, i - 1])
        H[WICKS, i] = (min(o, c) - low) - (h - max(o, c))
        net = H[BUY, i] - H[SELL, i]
        both = H[BUY, i] + H[SELL, i]
        H[NET, i] = net
        H[FLOW, i] = both
        H[ABS_NET, i] = abs(net)
        H[NET_N, i] = 2.0 * H[BUY_N, i] - H[TRADES, i]
        H[ROOT_NET, i] = math.sqrt(net) if net >= 0.0 else (-math.sqrt(-net) if net < 0.0 else np.nan)
        H[LN_SIZE, i] = H[LNV, i] - math.log(max(H[TRADES, i], 1.0)) if H[TRADES, i] >= 0.0 else np.nan
        H[LN_N, i] = math.log(1.0 + H[TRADES, i])
        H[IMB, i] = net / both if both != 0.0 else 0.0
        H[MKT_SIGMA, i] = _rms(H[MKT], i, k, mkt)
        H[LEAD_SIGMA, i] = _rms(H[LEAD], i, k, lead)
        H[LN_DISP, i] = math.log(max(H[MKT_DISP, i], SIGMA_FLOOR)) if H[MKT_DISP, i] >= 0.0 else np.nan
        k = k + 1 if k < 59 else 0


@kernel
def load(X, ts_us, H, i0):
    """Copy raw inputs into `H` from its row i0 on."""
    for i in range(X.shape[0]):
        for c in range(X.shape[1]):
            H[c, i0 + i] = X[i, c]
        H[TS, i0 + i] = ts_us[i]


@kernel
def publish(H, i0, i1, t0, out, limits, min_ticks, values, warm):
    """The one place where warm-up and clip ranges are applied. ``limits``: warm-up, low, high."""
    for i in range(i0, i1):
        warm[i - i0] = not H[TRADES, i] < min_ticks
    for j in range(limits.shape[1]):
        first, low, high = limits[0, j], limits[1, j], limits[2, j]
        for r in range(i1 - i0):
            v = min(max(out[j, r], low), high) if t0 + r >= first else np.nan
            values[r, j] = v
            warm[r] &= v == v
