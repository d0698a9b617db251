"""The shared series every feature kernel reads: raw inputs, then what is derived from them once.

Rows of the matrix ``H (series, rows)``. Row numbers are compile-time constants of the kernels.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs
# (numba infers the types of kernels)

import math
from collections.abc import Collection

import numpy as np

from scalper_ml.features.elementary import ln
from scalper_ml.features.feeds import FEED_COLUMNS, FEED_STATE, FEEDS_LOOKED_BACK, FIRST_FEED, ROW_OF_FEED, derive_feeds
from scalper_ml.features.window import slide_dot, smooth
from scalper_ml.kernel import inlined, view_kernel

__all__ = [
    "BAR_COLUMNS",
    "DERIVED_FROM",
    "INPUT_COLUMNS",
    "LOOKED_BACK",
    "MARKET_COLUMNS",
    "OWN_COLUMNS",
    "RANGE_FLOOR",
    "SERIES",
    "SERIES_STATE",
    "SIGMA_FLOOR",
    "derive",
    "inspect",
    "load",
    "publish",
    "series_read",
]

BAR_COLUMNS: tuple[str, ...] = (
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
)
MARKET_COLUMNS: tuple[str, ...] = ("mkt_n", "mkt_ret", "mkt_up", "mkt_disp", "lead_ret")
OWN_COLUMNS: tuple[str, ...] = (*BAR_COLUMNS, *MARKET_COLUMNS)
"""Columns of an input matrix for features that need no feed; without other coins those of the bars are enough."""

INPUT_COLUMNS: tuple[str, ...] = (*OWN_COLUMNS, *FEED_COLUMNS)
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
GAIN = 56  # max(C - C-1, 0)
LOSS = 57  # max(C-1 - C, 0)
PLUS_DM = 58  # directional movement up
MINUS_DM = 59  # directional movement down
SERIES = FIRST_FEED  # those of the feeds follow: see feeds
ROW_OF_INPUT = (*range(17), *ROW_OF_FEED)

RANGE_FLOOR = 1e-6
"""Smallest range used as a denominator, as a share of the price."""

SIGMA_FLOOR = 1e-7
"""Smallest volatility of log returns used as a denominator."""

EQUAL = 1e-12
"""Derived prices closer than this share of the price are the same price."""

LOOKED_BACK = (OPEN, HIGH, LOW, CLOSE, VOLUME, RANGE, RET, RET5, LNC, TYPICAL, NET, *FEEDS_LOOKED_BACK)
"""Series whose past kernels read by themselves; that of others is read by rolling statistics only."""

_DERIVING = {HIGH: 1, LOW: 1, CLOSE: 1, LNC: 5, SQRET: 4, TYPICAL: 1, RET: 60, MKT: 60, LEAD: 60, TS: 1}
DERIVED_FROM = tuple(_DERIVING.get(series, 0) for series in range(SERIES))
"""Rows of each series that `derive` and `inspect` look back on."""

OF_CANDLES, OF_LNRV5, OF_LNV, OF_TRADES, OF_MARKET = range(5)


def series_read(rolled: Collection[int], groups: Collection[str]) -> tuple[bool, ...]:
    """Which series `derive` has to fill: those that rolling statistics alone read, if one does; those of a group."""
    trades = "trades" in groups
    candles = not {PARK, GK, RS, LN_CO, LN_OC}.isdisjoint(rolled)
    return candles, LNRV5 in rolled, LNV in rolled or trades, trades, "market" in groups


SERIES_STATE = 3 + 3 * 61 + FEED_STATE


@inlined
def inspect(X, ts_us, before):
    """First bad row and first row not after the one before it; -1 if none.

    A bad row has prices that are not positive, finite and ordered, or a volume or gap that is not finite and >= 0.
    """
    bad, late = -1, -1
    for i in range(X.shape[0] - 1, -1, -1):
        o, h, low, c, v, gap = X[i, OPEN], X[i, HIGH], X[i, LOW], X[i, CLOSE], X[i, VOLUME], X[i, GAP]
        good = low > 0.0 and low <= o <= h and low <= c <= h and h < np.inf and v >= 0.0 and v < np.inf and gap >= 0.0
        bad = bad if good else i
        late = late if ts_us[i] > (ts_us[i - 1] if i > 0 else before) else i
    return bad, late


@view_kernel
def _rms(x, i0, i1, t0, S, into):
    slide_dot(x, x, 0, i0, i1, t0, 60, S, into)
    for r in range(i1 - i0):
        into[r] = max(math.sqrt(into[r] / 60.0), SIGMA_FLOOR)


@inlined
def _sign(x):
    return 1.0 if x > 0.0 else (-1.0 if x < 0.0 else 0.0)


@view_kernel
def _derive_returns(H, i0, i1, t0, S):
    rows = i1 - i0
    ln(H[CLOSE, i0:i1], H[LNC, i0:i1])
    ln_c, ln_c1, ln_c5 = H[LNC, i0:i1], H[LNC, i0 - 1 : i1 - 1], H[LNC, i0 - 5 : i1 - 5]
    ret, absolute, square, signed = H[RET, i0:i1], H[ABSRET, i0:i1], H[SQRET, i0:i1], H[SIGN_SQ, i0:i1]
    ret5 = H[RET5, i0:i1]
    for r in range(rows):
        H[ROW, i0 + r] = t0 + r
    for r in range(rows):
        x = ln_c[r] - ln_c1[r]
        ret[r] = x
        absolute[r] = abs(x)
        square[r] = x * x
        signed[r] = x * abs(x)
        ret5[r] = ln_c[r] - ln_c5[r]
    _rms(H[RET], i0, i1, t0, S, H[SIGMA, i0:i1])


@view_kernel
def _derive_candles(H, i0, i1, W):
    ln(H[OPEN, i0:i1], W[0])
    ln(H[HIGH, i0:i1], W[1])
    ln(H[LOW, i0:i1], W[2])
    ln_o, ln_h, ln_l, ln_c, ln_c1 = W[0], W[1], W[2], H[LNC, i0:i1], H[LNC, i0 - 1 : i1 - 1]
    park, gk, rs, co, oc = H[PARK, i0:i1], H[GK, i0:i1], H[RS, i0:i1], H[LN_CO, i0:i1], H[LN_OC, i0:i1]
    for r in range(i1 - i0):
        hl = ln_h[r] - ln_l[r]
        body = ln_c[r] - ln_o[r]
        park[r] = hl * hl
        gk[r] = 0.5 * hl * hl - (2.0 * math.log(2.0) - 1.0) * body * body
        rs[r] = (ln_h[r] - ln_c[r]) * (ln_h[r] - ln_o[r]) + (ln_l[r] - ln_c[r]) * (ln_l[r] - ln_o[r])
        co[r] = body
        oc[r] = ln_o[r] - ln_c1[r]


@view_kernel
def _derive_short_volatility(H, i0, i1, W):
    rows = i1 - i0
    s0, s1, s2 = H[SQRET, i0:i1], H[SQRET, i0 - 1 : i1 - 1], H[SQRET, i0 - 2 : i1 - 2]
    s3, s4 = H[SQRET, i0 - 3 : i1 - 3], H[SQRET, i0 - 4 : i1 - 4]
    for r in range(rows):
        W[0, r] = max(s0[r] + s1[r] + s2[r] + s3[r] + s4[r], 1e-14)
    ln(W[0, :rows], W[1])
    for r in range(rows):
        H[LNRV5, i0 + r] = 0.5 * W[1, r]


@view_kernel
def _derive_ranges(H, i0, i1, t0, S):
    rows = i1 - i0
    o, h, low, c = H[OPEN, i0:i1], H[HIGH, i0:i1], H[LOW, i0:i1], H[CLOSE, i0:i1]
    h1, l1, c1 = H[HIGH, i0 - 1 : i1 - 1], H[LOW, i0 - 1 : i1 - 1], H[CLOSE, i0 - 1 : i1 - 1]
    span, tr, pressure, typical = H[RANGE, i0:i1], H[TR, i0:i1], H[BP, i0:i1], H[TYPICAL, i0:i1]
    vortex, wicks, gain, loss = H[VORTEX, i0:i1], H[WICKS, i0:i1], H[GAIN, i0:i1], H[LOSS, i0:i1]
    plus, minus = H[PLUS_DM, i0:i1], H[MINUS_DM, i0:i1]
    for r in range(rows):
        span[r] = h[r] - low[r]
        tr[r] = max(h[r], c1[r]) - min(low[r], c1[r])
        pressure[r] = c[r] - min(low[r], c1[r])
        typical[r] = (h[r] + low[r] + c[r]) / 3.0
        vortex[r] = abs(h[r] - l1[r]) - abs(low[r] - h1[r])
        wicks[r] = (min(o[r], c[r]) - low[r]) - (h[r] - max(o[r], c[r]))
        gain[r] = max(c[r] - c1[r], 0.0)
        loss[r] = max(c1[r] - c[r], 0.0)
        up, down = h[r] - h1[r], l1[r] - low[r]
        same = abs(up - down) <= EQUAL * c[r]
        plus[r] = up if up > max(down, 0.0) and not same else 0.0
        minus[r] = down if down > max(up, 0.0) and not same else 0.0
    if t0 == 0:
        tr[0] = np.nan
        pressure[0] = np.nan
    mean = S[0]
    for r in range(rows):
        mean = smooth(mean, tr[r], t0 + r - 1, 14, 1.0 / 14.0) if t0 + r > 0 else 0.0
        H[ATR, i0 + r] = max(mean, RANGE_FLOOR * c[r])
    S[0] = mean


@view_kernel
def _derive_log_volume(H, i0, i1, t0, S, W):
    rows, v = i1 - i0, H[VOLUME, i0:i1]
    first, mean = S[1], S[2]
    for r in range(rows):
        if first == 0.0:
            first = v[r]
        mean = smooth(mean, v[r], t0 + r, 60, 2.0 / 61.0)
        W[0, r] = max(v[r] / first, 1e-3 * mean / first, 1e-12) if first > 0.0 else 1e-3
    S[1], S[2] = first, mean
    ln(W[0, :rows], H[LNV, i0:i1])


@view_kernel
def _derive_volumes(H, i0, i1, t0):
    rows = i1 - i0
    o, h, low, c, v = H[OPEN, i0:i1], H[HIGH, i0:i1], H[LOW, i0:i1], H[CLOSE, i0:i1], H[VOLUME, i0:i1]
    typical, typical1, c1 = H[TYPICAL, i0:i1], H[TYPICAL, i0 - 1 : i1 - 1], H[CLOSE, i0 - 1 : i1 - 1]
    sign_v, bar_v, clv_v = H[SIGN_V, i0:i1], H[BAR_V, i0:i1], H[CLV_V, i0:i1]
    money, abs_money = H[MONEY, i0:i1], H[ABS_MONEY, i0:i1]
    for r in range(rows):
        sign_v[r] = _sign(c[r] - c1[r]) * v[r]
        bar_v[r] = _sign(c[r] - o[r]) * v[r]
        clv_v[r] = ((c[r] - low[r]) - (h[r] - c[r])) / (h[r] - low[r]) * v[r] if h[r] > low[r] else 0.0
        step = typical[r] - typical1[r]
        flow = (_sign(step) if abs(step) > EQUAL * typical[r] else 0.0) * typical[r] * v[r]
        money[r] = flow
        abs_money[r] = abs(flow)
    if t0 == 0:
        sign_v[0] = np.nan
        money[0] = np.nan
        abs_money[0] = np.nan


@view_kernel
def _derive_flows(H, i0, i1, t0, W):
    rows = i1 - i0
    buy, sell, trades, buys = H[BUY, i0:i1], H[SELL, i0:i1], H[TRADES, i0:i1], H[BUY_N, i0:i1]
    net, flow, abs_net, net_n = H[NET, i0:i1], H[FLOW, i0:i1], H[ABS_NET, i0:i1], H[NET_N, i0:i1]
    root, imb, lnv, size = H[ROOT_NET, i0:i1], H[IMB, i0:i1], H[LNV, i0:i1], H[LN_SIZE, i0:i1]
    for r in range(rows):
        x, both = buy[r] - sell[r], buy[r] + sell[r]
        net[r] = x
        flow[r] = both
        abs_net[r] = abs(x)
        net_n[r] = 2.0 * buys[r] - trades[r]
        depth = math.sqrt(abs(x))
        root[r] = depth if x >= 0.0 else -depth
        imb[r] = x / both if both != 0.0 else 0.0
        W[0, r] = max(trades[r], 1.0)
        W[1, r] = 1.0 + trades[r]
    ln(W[0, :rows], W[2])
    ln(W[1, :rows], H[LN_N, i0:i1])
    for r in range(rows):
        size[r] = lnv[r] - W[2, r] if trades[r] >= 0.0 else np.nan


@view_kernel
def _derive_market(H, i0, i1, t0, S, W):
    rows = i1 - i0
    _rms(H[MKT], i0, i1, t0, S[:61], H[MKT_SIGMA, i0:i1])
    _rms(H[LEAD], i0, i1, t0, S[61:], H[LEAD_SIGMA, i0:i1])
    for r in range(rows):
        W[0, r] = max(H[MKT_DISP, i0 + r], SIGMA_FLOOR) if H[MKT_DISP, i0 + r] >= 0.0 else np.nan
    ln(W[0, :rows], H[LN_DISP, i0:i1])


@view_kernel
def derive(H, i0, i1, t0, S, W, read):
    """Fill the derived series of `H` from the raw ones, rows ``i0 <= i < i1``; `W` is scratch.

    ``read``, from `series_read`, says which of those that not every set reads are needed.

    A derived value that needs the bar before is NaN on the first row after a reset.
    ``LNV`` is ln(V / V*) with V* the first volume that is not zero since the reset, so it does not
    depend on the unit of volume; a bar without volume counts as 1/1000 of the recent mean.
    """
    _derive_returns(H, i0, i1, t0, S[3:64])
    _derive_ranges(H, i0, i1, t0, S)
    _derive_volumes(H, i0, i1, t0)
    if read[OF_CANDLES]:
        _derive_candles(H, i0, i1, W)
    if read[OF_LNRV5]:
        _derive_short_volatility(H, i0, i1, W)
    if read[OF_LNV]:
        _derive_log_volume(H, i0, i1, t0, S, W)
    if read[OF_TRADES]:
        _derive_flows(H, i0, i1, t0, W)
    if read[OF_MARKET]:
        _derive_market(H, i0, i1, t0, S[64:186], W)
    derive_feeds(H, H[VOLUME, i0:i1], H[CLOSE, i0:i1], i0, i1, S[186:], W)


@inlined
def load(X, ts_us, H, i0, market):
    """Copy the raw inputs that `H` has series for into it, from its row i0 on; those of other coins if `market`."""
    for r in range(X.shape[0]):
        bar, i = X[r], i0 + r
        for c in range(len(BAR_COLUMNS)):
            H[c, i] = bar[c]
        H[TS, i] = ts_us[r]
    if market:
        for r in range(X.shape[0]):
            for c in range(len(BAR_COLUMNS), len(OWN_COLUMNS)):
                H[c, i0 + r] = X[r, c]
    for c in range(len(OWN_COLUMNS), X.shape[1]):
        if ROW_OF_INPUT[c] < H.shape[0]:
            row = H[ROW_OF_INPUT[c], i0 : i0 + X.shape[0]]
            for r in range(X.shape[0]):
                row[r] = X[r, c]


@inlined
def publish(out, first, last, t0, limits, done, rows, values, missing):
    """The one place where warm-up and clip range are applied; a row of `missing` becomes NaN where a value is.

    Blocks of `out` go to the columns from `first` to before `last` of ``values (f, n)``, to its rows from `done` on.
    """
    if rows == 1:  # what a live stream does
        for c in range(first, last):
            value = min(max(out[c - first, 0], limits[c, 1]), limits[c, 2]) if limits[c, 0] <= t0 else np.nan
            values[c, done] = value
            missing[0] += value
        return
    for c in range(first, last):
        known, low, high = min(max(int(limits[c, 0]) - t0, 0), rows), limits[c, 1], limits[c, 2]
        found, into = out[c - first], values[c, done : done + rows]
        for r in range(known):
            into[r] = np.nan
            missing[r] = np.nan
        found, into, lacking = found[known:rows], into[known:], missing[known:rows]
        for r in range(rows - known):
            value = min(max(found[r], low), high)
            into[r] = value
            lacking[r] += value
