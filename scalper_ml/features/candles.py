"""Price action and candles."""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs
# (numba infers the types of kernels)

import math

from scalper_ml.features.generic import over_atr, share
from scalper_ml.features.kind import ATR_WARMUP, SIGMA_WARMUP, Kind
from scalper_ml.features.rolling import maximum, minimum, total
from scalper_ml.features.series import CLOSE, EQUAL, HIGH, LNC, LOW, OPEN, RANGE, SIGMA, WICKS
from scalper_ml.kernel import inlined

__all__ = ["KINDS"]


@inlined
def shape(H, i0, i1, t0, P, S, R, w, out):
    """Body, wicks and close location as shares of the range; 0 in a zero range."""
    o, h, low, c, span = H[OPEN, i0:i1], H[HIGH, i0:i1], H[LOW, i0:i1], H[CLOSE, i0:i1], H[RANGE, i0:i1]
    body, upper, lower, place = out[0], out[1], out[2], out[3]
    for r in range(i1 - i0):
        alive, width = span[r] > 0.0, max(span[r], 1e-300)
        body[r] = (c[r] - o[r]) / width if alive else 0.0
        upper[r] = (h[r] - max(o[r], c[r])) / width if alive else 0.0
        lower[r] = (min(o[r], c[r]) - low[r]) / width if alive else 0.0
        place[r] = ((c[r] - low[r]) - (h[r] - c[r])) / width if alive else 0.0


@inlined
def two_bars(H, i0, i1, t0, P, S, R, w, out):
    """Inside bar, outside bar, signed engulfing."""
    o, h, low, c = H[OPEN, i0:i1], H[HIGH, i0:i1], H[LOW, i0:i1], H[CLOSE, i0:i1]
    o1, h1 = H[OPEN, i0 - 1 : i1 - 1], H[HIGH, i0 - 1 : i1 - 1]
    l1, c1 = H[LOW, i0 - 1 : i1 - 1], H[CLOSE, i0 - 1 : i1 - 1]
    inside, outside, engulf = out[0], out[1], out[2]
    for r in range(i1 - i0):
        inside[r] = 1.0 if h[r] < h1[r] and low[r] > l1[r] else 0.0
        outside[r] = 1.0 if h[r] > h1[r] and low[r] < l1[r] else 0.0
        rise = (c[r] > o[r]) & (c1[r] < o1[r]) & (o[r] <= c1[r]) & (c[r] >= o1[r])
        fall = (c[r] < o[r]) & (c1[r] > o1[r]) & (o[r] >= c1[r]) & (c[r] <= o1[r])
        engulf[r] = 1.0 if rise else (-1.0 if fall else 0.0)


@inlined
def one_bar(H, i0, i1, t0, P, S, R, w, out):
    """Doji, hammer (+1) or shooting star (-1), signed marubozu; limits are met within 1e-9."""
    opened, high, lowest_price, closed, span = (
        H[OPEN, i0:i1], H[HIGH, i0:i1], H[LOW, i0:i1], H[CLOSE, i0:i1], H[RANGE, i0:i1],
    )  # fmt: skip
    doji, hammers, marubozu = out[0], out[1], out[2]
    for r in range(i1 - i0):
        o, h, low, c, width = opened[r], high[r], lowest_price[r], closed[r], span[r]
        body, upper, lower = abs(c - o), h - max(o, c), min(o, c) - low
        slack = 1e-9 * width
        doji[r] = 1.0 if body <= 0.1 * width + slack else 0.0
        small = (width > 0.0) & (body <= width / 3.0 + slack)
        hammer = small & (lower >= 0.6 * width - slack) & (upper <= 0.1 * width + slack)
        star = small & (upper >= 0.6 * width - slack) & (lower <= 0.1 * width + slack)
        hammers[r] = 1.0 if hammer else (-1.0 if star else 0.0)
        full = (width > 0.0) & (body >= 0.95 * width - slack)
        marubozu[r] = (1.0 if c > o else -1.0) if full else 0.0


@inlined
def three_line(H, i0, i1, t0, P, S, R, w, out):
    """Three rising bars that each close higher (+1), three falling that each close lower (-1)."""
    o, c, answer = H[OPEN, i0 - 2 : i1], H[CLOSE, i0 - 2 : i1], out[0]
    for r in range(i1 - i0):
        up = (c[r + 2] > c[r + 1]) & (c[r + 1] > c[r])
        down = (c[r + 2] < c[r + 1]) & (c[r + 1] < c[r])
        up = up & (c[r] > o[r]) & (c[r + 1] > o[r + 1]) & (c[r + 2] > o[r + 2])
        down = down & (c[r] < o[r]) & (c[r + 1] < o[r + 1]) & (c[r + 2] < o[r + 2])
        answer[r] = 1.0 if up else (-1.0 if down else 0.0)


@inlined
def _step(high, low, r):
    return int(high[r + 1] > high[r]) - int(low[r + 1] < low[r])


@inlined
def hh_ll(H, i0, i1, t0, P, S, R, w, out):
    """Number of higher highs less number of lower lows among n bars, by n. ``S``: the count, exact."""
    n, answer, count = int(P[0]), out[0], S[0]
    h, low = H[HIGH, i0 - 1 : i1], H[LOW, i0 - 1 : i1]
    old_h, old_low = H[HIGH, i0 - n - 1 : i1 - n], H[LOW, i0 - n - 1 : i1 - n]
    for r in range(i1 - i0):
        count += _step(h, low, r) - _step(old_h, old_low, r)
        answer[r] = count / n
    S[0] = count


@inlined
def narrowest(H, i0, i1, t0, P, S, R, w, out):
    """Whether this range is the smallest of n bars. ``w``: the smallest."""
    c, span, least, answer = H[CLOSE, i0:i1], H[RANGE, i0:i1], R[w[0]], out[0]
    for r in range(i1 - i0):
        answer[r] = 1.0 if span[r] - EQUAL * c[r] <= least[r] else 0.0


@inlined
def ha_run(H, i0, i1, t0, P, S, R, w, out):
    """Signed number of Heikin-Ashi bars in a row of one colour. ``S``: open, close, run."""
    o, h, low, c, answer = H[OPEN, i0:i1], H[HIGH, i0:i1], H[LOW, i0:i1], H[CLOSE, i0:i1], out[0]
    opened, closed, run = S[0], S[1], S[2]
    for r in range(i1 - i0):
        opened = 0.5 * (opened + closed) if t0 + r > 0 else 0.5 * (o[r] + c[r])
        closed = 0.25 * (o[r] + h[r] + low[r] + c[r])
        body = closed - opened
        if abs(body) <= EQUAL * closed:
            run = 0.0
        elif body > 0.0:
            run = max(run, 0.0) + 1.0
        else:
            run = min(run, 0.0) - 1.0
        answer[r] = run
    S[0], S[1], S[2] = opened, closed, run


@inlined
def drawdown(H, i0, i1, t0, P, S, R, w, out):
    """Log close less the highest and the lowest log close of n bars over sigma sqrt(n). ``w``: both."""
    x, sigma, top, bottom, from_top, from_bottom = H[LNC, i0:i1], H[SIGMA, i0:i1], R[w[0]], R[w[1]], out[0], out[1]
    root = math.sqrt(P[0])
    for r in range(i1 - i0):
        from_top[r] = (x[r] - top[r]) / (sigma[r] * root)
        from_bottom[r] = (x[r] - bottom[r]) / (sigma[r] * root)


_HL = ("high", "low")
_OC = ("open", "close")
_OHLC = ("open", "high", "low", "close")
_FLAG = (0.0, 1.0)
_SIGN = (-1.0, 1.0)

KINDS: tuple[Kind, ...] = (
    Kind(
        "shape", "candles", shape, ((),),
        "of the range H - L: C - O; H - max(O, C); min(O, C) - L; (C - L) - (H - C); 0 in a zero range", _OHLC,
        (_SIGN, _FLAG, _FLAG, _SIGN), lambda: 0, source="catalogue 110-112", memory=lambda: 1,
        outputs=("body", "wick_up", "wick_dn", "clv"),
    ),
    Kind(
        "body_z", "candles", over_atr, ((),), "|C - O| / ATR14", _OHLC, (0.0, 20.0), lambda: ATR_WARMUP, unit="ATR",
        source="catalogue 113", memory=lambda: 1, constants=(CLOSE, OPEN, 0, 1),
    ),
    Kind(
        "open_gap", "candles", over_atr, ((),), "(O - C-1) / ATR14", _OHLC, (-20.0, 20.0), lambda: ATR_WARMUP,
        unit="ATR", source="catalogue 114 (gap)", memory=lambda: 2, constants=(OPEN, CLOSE, 1, 0),
    ),
    Kind(
        "wick_imb", "candles", share, ((10,),), "sum(lower wick - upper wick) / sum(H - L) over n bars", _OHLC, _SIGN,
        lambda n: n - 1, source="catalogue 115", rolling=lambda n: (total(WICKS, n), total(RANGE, n)),
        constants=(1.0,),
    ),
    Kind(
        "two_bars", "candles", two_bars, ((),),
        "bar within the one before; bar around it; body around the body before and of the other colour, signed", _OHLC,
        (_FLAG, _FLAG, _SIGN), lambda: 1, unit="flag", source="catalogue 116", memory=lambda: 2,
        outputs=("inside", "outside", "engulf"),
    ),
    Kind(
        "one_bar", "candles", one_bar, ((),),
        "doji: body <= .1 range; hammer (+1), star (-1): body <= 1/3, one wick >= .6, the other <= .1; "
        "marubozu: body >= .95, signed", _OHLC,
        (_FLAG, _SIGN, _SIGN), lambda: 0, unit="flag", source="catalogue 117", memory=lambda: 1,
        outputs=("doji", "hammer", "marubozu"),
    ),
    Kind(
        "three_line", "candles", three_line, ((),),
        "+1 after three rising bars with rising closes, -1 after three falling bars with falling closes", _OC, _SIGN,
        lambda: 2, unit="flag", source="catalogue 118", memory=lambda: 3,
    ),
    Kind(
        "hh_ll", "candles", hh_ll, ((10,),), "(higher highs - lower lows among n bars) / n", _HL, _SIGN, lambda n: n,
        source="catalogue 119", state=lambda n: 1, memory=lambda n: n + 2,
    ),
    Kind(
        "nr", "candles", narrowest, ((7,),), "1 when no range of the n bars is smaller than this one", _HL, _FLAG,
        lambda n: n - 1, unit="flag", source="catalogue 120", rolling=lambda n: (minimum(RANGE, n),),
    ),
    Kind(
        "ha_run", "candles", ha_run, ((),), "signed number of Heikin-Ashi bars in a row of one colour", _OHLC,
        (-20.0, 20.0), lambda: 70, unit="bars", source="catalogue 121", state=lambda: 3, memory=lambda: 1,
    ),
    Kind(
        "drawdown", "candles", drawdown, ((240,),),
        "ln(C / highest C), ln(C / lowest C) of n bars, / (sigma60 sqrt(n))", ("close",), ((-8.0, 0.0), (0.0, 8.0)),
        lambda n: max(n - 1, SIGMA_WARMUP), unit="sigma", source="catalogue 127",
        rolling=lambda n: (maximum(LNC, n), minimum(LNC, n)),
        outputs=("dd_max", "dd_min"),
    ),
)
