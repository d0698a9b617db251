"""Order flow: what aggressive buyers and sellers did, bar by bar."""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs
# (numba infers the types of kernels)

import math

from scalper_ml.features.generic import correlation, over_atr, run_length, share, zscore
from scalper_ml.features.kind import ATR_WARMUP, SIGMA_WARMUP, Kind
from scalper_ml.features.rolling import moments, pair, product, total
from scalper_ml.features.series import (
    ABS_NET,
    CLOSE,
    FLOW,
    IMB,
    LN_N,
    LN_SIZE,
    LNC,
    NET,
    NET_N,
    RET,
    ROOT_NET,
    SIGMA,
    TRADES,
    VWAP,
)
from scalper_ml.kernel import inlined

__all__ = ["KINDS"]


@inlined
def tfi_z(H, i0, i1, t0, P, S, R, w, out):
    """Net flow of n bars over the root of its squared bar flows. ``w``: both sums."""
    net, squares, answer = R[w[0]], R[w[1]], out[0]
    for r in range(i1 - i0):
        answer[r] = net[r] / math.sqrt(squares[r]) if squares[r] != 0.0 else 0.0


@inlined
def etfi(H, i0, i1, t0, P, S, R, w, out):
    """Imbalance with exponential forgetting, half-life n bars. ``S``: weighted net and total flow.

    A row without flow data is NaN and leaves the state as it was.
    """
    decay, flow, net, answer = 0.5 ** (1.0 / P[0]), H[FLOW, i0:i1], H[NET, i0:i1], out[0]
    ahead, total = S[0], S[1]
    for r in range(i1 - i0):
        both = flow[r]
        if not both >= 0.0:
            answer[r] = both
            continue
        ahead = decay * ahead + net[r]
        total = decay * total + both
        answer[r] = ahead / total if total > 0.0 else 0.0
    S[0], S[1] = ahead, total


@inlined
def flow_accel(H, i0, i1, t0, P, S, R, w, out):
    """Mean bar imbalance of n bars less that of the n bars before. ``S``: its last n values. ``w``: a total."""
    n, total, answer = int(P[0]), R[w[0]], out[0]
    k = t0 % n
    for r in range(i1 - i0):
        mean = total[r] / n
        answer[r] = mean - S[k]
        S[k] = mean
        k = k + 1 if k < n - 1 else 0


@inlined
def kyle_lambda(H, i0, i1, t0, P, S, R, w, out):
    """Return per root of net flow, both in their own standard units. ``w``: a pair."""
    n, sigma, sxx, sxy, answer = P[0], H[SIGMA, i0:i1], R[w[0]], R[w[0] + 2], out[0]
    for r in range(i1 - i0):
        sd = math.sqrt(sxx[r] / n)
        answer[r] = sxy[r] / (n * sd * sigma[r]) if sxx[r] != 0.0 else 0.0


@inlined
def cvd_slope(H, i0, i1, t0, P, S, R, w, out):
    """OLS slope of cumulative net flow over n bars by the mean volume. ``w``: sum of flow.

    Recomputed, one lag after the other.
    """
    n, slope, total, answer, rows = int(P[0]), R[0], R[w[0]], out[0], i1 - i0
    norm = n * (n * n - 1.0) / 12.0
    slope[:rows] = 0.0
    for j in range(n):  # the j-th net flow is part of the levels j..n-1, whose times sum to j (n - j) / 2
        lag, weight = n - 1 - j, 0.5 * j * (n - j)
        net = H[NET, i0 - lag : i1 - lag]
        for r in range(rows):
            slope[r] += weight * net[r]
    for r in range(rows):
        answer[r] = slope[r] / norm / (total[r] / n) if total[r] != 0.0 else 0.0


@inlined
def absorption(H, i0, i1, t0, P, S, R, w, out):
    """Flow that did not move the price: signed tfi_z times one less the size of ret_z. ``w``: as of tfi_z."""
    n, net, squares, answer = int(P[0]), R[w[0]], R[w[1]], out[0]
    now, before, sigma, root = H[LNC, i0:i1], H[LNC, i0 - n : i1 - n], H[SIGMA, i0:i1], math.sqrt(n)
    for r in range(i1 - i0):
        flow = net[r] / math.sqrt(squares[r]) if squares[r] != 0.0 else 0.0
        moved = abs(now[r] - before[r]) / (sigma[r] * root)
        answer[r] = flow * (1.0 - min(1.0, moved))


_FLOW = ("buy_volume", "sell_volume")


def _kind(name, kernel, params, definition, span, warmup, inputs=_FLOW, **rest):
    return Kind(name, "flow", kernel, params, definition, inputs, span, warmup, group="trades", **rest)


KINDS: tuple[Kind, ...] = (
    _kind(
        "tfi", share, ((1,), (3,), (5,), (15,), (60,)),
        "(buy volume - sell volume) / (buy + sell) over n bars; 0 without volume", (-1.0, 1.0), lambda n: n - 1,
        source="catalogue 70", rolling=lambda n: (total(NET, n), total(FLOW, n)), constants=(1.0,),
    ),
    _kind(
        "tfi_z", tfi_z, ((5,), (15,), (60,)),
        "sum of net flow / sqrt(sum of squared net flow) over n bars, a bar counting as one order",
        lambda n: (-math.sqrt(n), math.sqrt(n)), lambda n: n - 1, unit="sigma", source="catalogue 71, on bars",
        rolling=lambda n: (total(NET, n), product(NET, NET, n)),
    ),
    _kind(
        "cnt_imb", share, ((1,), (5,), (15,)),
        "(buyer-initiated - seller-initiated trades) / trades over n bars", (-1.0, 1.0), lambda n: n - 1,
        ("trades", "buy_trades"), source="catalogue 72", rolling=lambda n: (total(NET_N, n), total(TRADES, n)),
        constants=(1.0,),
    ),
    _kind(
        "etfi", etfi, ((2,), (5,), (20,)),
        "EWMA of net flow / EWMA of total flow, half-life n bars", (-1.0, 1.0), lambda n: 20 * n,
        source="catalogue 73, half-life in bars", state=lambda n: 2, memory=lambda n: 1,
    ),
    _kind(
        "cnt_z", zscore, ((20,), (60,)),
        "z-score (ddof 0) of ln(1 + trades) over n bars; 0 in a flat window", (-8.0, 8.0), lambda n: n - 1,
        ("trades",), unit="sigma", source="catalogue 55", rolling=lambda n: (moments(LN_N, n),), constants=(LN_N,),
    ),
    _kind(
        "avg_size_z", zscore, ((60,),),
        "z-score (ddof 0) of ln(volume / trades) over n bars; 0 in a flat window", (-8.0, 8.0), lambda n: n - 1,
        ("volume", "trades"), unit="sigma", source="catalogue 56", rolling=lambda n: (moments(LN_SIZE, n),),
        constants=(LN_SIZE,),
    ),
    _kind(
        "vwap_dev", over_atr, ((),),
        "(C - VWAP of the bar) / ATR14", (-5.0, 5.0), lambda: ATR_WARMUP, ("high", "low", "close", "vwap"), unit="ATR",
        memory=lambda: 1, constants=(CLOSE, VWAP, 0, 0),
    ),
    _kind(
        "flow_accel", flow_accel, ((5,), (15,)),
        "mean bar imbalance of n bars - that of the n bars before", (-2.0, 2.0), lambda n: 2 * n - 1,
        state=lambda n: n, rolling=lambda n: (total(IMB, n),),
    ),
    _kind(
        "kyle_lambda", kyle_lambda, ((30,), (60,)),
        "slope of r / sigma60 on sign(net) sqrt(|net|) / its standard deviation, over n bars", (-3.0, 3.0),
        lambda n: max(n, SIGMA_WARMUP), ("close", *_FLOW), source="catalogue 78, bar proxy",
        rolling=lambda n: (pair(ROOT_NET, RET, n),),
    ),
    _kind(
        "cvd_slope", cvd_slope, ((15,), (60,)),
        "OLS slope of cumulative net flow within n bars / mean volume of a bar", (-1.5, 1.5), lambda n: n - 1,
        unit="mean volume a bar", source="catalogue 74", rolling=lambda n: (total(FLOW, n),),
    ),
    _kind(
        "absorption", absorption, ((5,), (15,)),
        "tfi_z of n bars x (1 - min(1, |ret_z of n bars|))", lambda n: (-math.sqrt(n), math.sqrt(n)),
        lambda n: max(n, SIGMA_WARMUP), ("close", *_FLOW), unit="sigma", source="catalogue 92",
        rolling=lambda n: (total(NET, n), product(NET, NET, n)),
    ),
    _kind(
        "flow_acf1", correlation, ((60,),),
        "lag-1 autocorrelation of the bar imbalance over n bars", (-1.0, 1.0), lambda n: n,
        source="catalogue 88, on bars", rolling=lambda n: (pair(IMB, IMB, n, 1),),
    ),
    _kind(
        "flow_ret_corr", correlation, ((60,),),
        "correlation of the bar imbalance with the 1-bar log return over n bars", (-1.0, 1.0), lambda n: n,
        ("close", *_FLOW), rolling=lambda n: (pair(IMB, RET, n),),
    ),
    _kind(
        "toxicity", share, ((30,),),
        "sum |net flow| / sum flow over n bars: VPIN with bars for buckets", (0.0, 1.0), lambda n: n - 1,
        source="catalogue 77, on bars", rolling=lambda n: (total(ABS_NET, n), total(FLOW, n)), constants=(1.0,),
    ),
    _kind(
        "aggr_run", run_length, ((),),
        "signed number of bars in a row with the same sign of net flow", (-20.0, 20.0), lambda: 20, unit="bars",
        source="catalogue 89, on bars", state=lambda: 1, memory=lambda: 1,
        constants=(NET,),
    ),
)
