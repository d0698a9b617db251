"""Price action and candles."""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs
# (numba infers the types of kernels)

import math

from scalper_ml.features.generic import over_atr, share, share_size
from scalper_ml.features.kind import ATR_WARMUP, SIGMA_WARMUP, Kind
from scalper_ml.features.series import CLOSE, EQUAL, HIGH, LNC, LOW, OPEN, RANGE, SIGMA, WICKS
from scalper_ml.features.window import highest, inlined, lowest, sum_size
from scalper_ml.kernel import kernel

__all__ = ["KINDS"]


@kernel
def shape(H, i0, i1, t0, P, S, out):
    """Body, wicks and close location as shares of the range; 0 in a zero range."""
    for i in range(i0, i1):
        o, h, low, c, span = H[OPEN, i], H[HIGH, i], H[LOW, i], H[CLOSE, i], H[RANGE, i]
        if span > 0.0:
            out[0, i - i0] = (c - o) / span
            out[1, i - i0] = (h - max(o, c)) / span
            out[2, i - i0] = (min(o, c) - low) / span
            out[3, i - i0] = ((c - low) - (h - c)) / span
        else:
            out[0:4, i - i0] = 0.0


@kernel
def two_bars(H, i0, i1, t0, P, S, out):
    """Inside bar, outside bar, signed engulfing."""
    for i in range(i0, i1):
        o, h, low, c = H[OPEN, i], H[HIGH, i], H[LOW, i], H[CLOSE, i]
        o1, h1, l1, c1 = H[OPEN, i - 1], H[HIGH, i - 1], H[LOW, i - 1], H[CLOSE, i - 1]
        out[0, i - i0] = 1.0 if h < h1 and low > l1 else 0.0
        out[1, i - i0] = 1.0 if h > h1 and low < l1 else 0.0
        rise = c > o and c1 < o1 and o <= c1 and c >= o1
        fall = c < o and c1 > o1 and o >= c1 and c <= o1
        out[2, i - i0] = 1.0 if rise else (-1.0 if fall else 0.0)


@kernel
def one_bar(H, i0, i1, t0, P, S, out):
    """Doji, hammer (+1) or shooting star (-1), signed marubozu; limits are met within 1e-9."""
    for i in range(i0, i1):
        o, h, low, c, span = H[OPEN, i], H[HIGH, i], H[LOW, i], H[CLOSE, i], H[RANGE, i]
        body, upper, lower = abs(c - o), h - max(o, c), min(o, c) - low
        slack = 1e-9 * span
        out[0, i - i0] = 1.0 if body <= 0.1 * span + slack else 0.0
        small = span > 0.0 and body <= span / 3.0 + slack
        hammer = small and lower >= 0.6 * span - slack and upper <= 0.1 * span + slack
        star = small and upper >= 0.6 * span - slack and lower <= 0.1 * span + slack
        out[1, i - i0] = 1.0 if hammer else (-1.0 if star else 0.0)
        full = span > 0.0 and body >= 0.95 * span - slack
        out[2, i - i0] = (1.0 if c > o else -1.0) if full else 0.0


@kernel
def three_line(H, i0, i1, t0, P, S, out):
    """Three rising bars that each close higher (+1), three falling that each close lower (-1)."""
    for i in range(i0, i1):
        up = H[CLOSE, i] > H[CLOSE, i - 1] > H[CLOSE, i - 2]
        down = H[CLOSE, i] < H[CLOSE, i - 1] < H[CLOSE, i - 2]
        for j in range(i - 2, i + 1):
            up = up and H[CLOSE, j] > H[OPEN, j]
            down = down and H[CLOSE, j] < H[OPEN, j]
        out[0, i - i0] = 1.0 if up else (-1.0 if down else 0.0)


@inlined
def _step(high, low, i):
    return int(high[i] > high[i - 1]) - int(low[i] < low[i - 1])


@kernel
def hh_ll(H, i0, i1, t0, P, S, out):
    """Number of higher highs less number of lower lows among n bars, by n. ``S``: the count, exact."""
    n = int(P[0])
    for i in range(i0, i1):
        S[0] += _step(H[HIGH], H[LOW], i) - _step(H[HIGH], H[LOW], i - n)
        out[0, i - i0] = S[0] / n


@kernel
def narrowest(H, i0, i1, t0, P, S, out):
    """Whether this range is the smallest of n bars. Recomputed."""
    n = int(P[0])
    for i in range(i0, i1):
        limit = H[RANGE, i] - EQUAL * H[CLOSE, i]
        least = True
        for j in range(i - n + 1, i):
            least = least and limit <= H[RANGE, j]
        out[0, i - i0] = 1.0 if least else 0.0


@kernel
def ha_run(H, i0, i1, t0, P, S, out):
    """Signed number of Heikin-Ashi bars in a row of one colour. ``S``: open, close, run."""
    for i in range(i0, i1):
        close = 0.25 * (H[OPEN, i] + H[HIGH, i] + H[LOW, i] + H[CLOSE, i])
        first = t0 + i - i0 == 0
        S[0] = 0.5 * (H[OPEN, i] + H[CLOSE, i]) if first else 0.5 * (S[0] + S[1])
        S[1] = close
        body = close - S[0]
        if abs(body) <= EQUAL * close:
            S[2] = 0.0
        elif body > 0.0:
            S[2] = max(S[2], 0.0) + 1.0
        else:
            S[2] = min(S[2], 0.0) - 1.0
        out[0, i - i0] = S[2]


@kernel
def drawdown(H, i0, i1, t0, P, S, out):
    """Log close less the highest and the lowest log close of n bars over sigma sqrt(n). ``S``: two extremes."""
    n = int(P[0])
    root = math.sqrt(n)
    k = t0 % n
    for i in range(i0, i1):
        top = highest(H[LNC], i, k, n, S[: n + 1])
        bottom = lowest(H[LNC], i, k, n, S[n + 1 :])
        out[0, i - i0] = (H[LNC, i] - top) / (H[SIGMA, i] * root)
        out[1, i - i0] = (H[LNC, i] - bottom) / (H[SIGMA, i] * root)
        k = k + 1 if k < n - 1 else 0


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
        lambda n: n - 1, source="catalogue 115", state=share_size, constants=(WICKS, RANGE, 1.0),
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
        lambda n: n - 1, unit="flag", source="catalogue 120",
    ),
    Kind(
        "ha_run", "candles", ha_run, ((),), "signed number of Heikin-Ashi bars in a row of one colour", _OHLC,
        (-20.0, 20.0), lambda: 70, unit="bars", source="catalogue 121", state=lambda: 3, memory=lambda: 1,
    ),
    Kind(
        "drawdown", "candles", drawdown, ((240,),),
        "ln(C / highest C), ln(C / lowest C) of n bars, / (sigma60 sqrt(n))", ("close",), ((-8.0, 0.0), (0.0, 8.0)),
        lambda n: max(n - 1, SIGMA_WARMUP), unit="sigma", source="catalogue 127", state=lambda n: 2 * sum_size(n),
        outputs=("dd_max", "dd_min"),
    ),
)
