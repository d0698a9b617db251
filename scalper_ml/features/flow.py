"""Order flow: what aggressive buyers and sellers did, bar by bar."""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs
# (numba infers the types of kernels)

import math

from scalper_ml.features.generic import correlation, over_atr, run_length, share, share_size, zscore
from scalper_ml.features.kind import ATR_WARMUP, SIGMA_WARMUP, Kind
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
from scalper_ml.features.window import dot_size, moments_size, pair_size, slide_dot, slide_pair, slide_sum, sum_size
from scalper_ml.kernel import kernel

__all__ = ["KINDS"]


@kernel
def tfi_z(H, i0, i1, t0, P, S, out):
    """Net flow of n bars over the root of its squared bar flows. ``S``: a sum and a sum of products."""
    n = int(P[0])
    k = t0 % n
    for i in range(i0, i1):
        net = slide_sum(H[NET], i, k, n, S[: n + 1])
        squares = slide_dot(H[NET], H[NET], 0, i, k, n, S[n + 1 :])
        out[0, i - i0] = net / math.sqrt(squares) if squares != 0.0 else 0.0
        k = k + 1 if k < n - 1 else 0


@kernel
def etfi(H, i0, i1, t0, P, S, out):
    """Imbalance with exponential forgetting, half-life n bars. ``S``: weighted net and total flow.

    A row without flow data is NaN and leaves the state as it was.
    """
    decay = 0.5 ** (1.0 / P[0])
    for i in range(i0, i1):
        both = H[FLOW, i]
        if not both >= 0.0:
            out[0, i - i0] = both
            continue
        S[0] = decay * S[0] + H[NET, i]
        S[1] = decay * S[1] + both
        out[0, i - i0] = S[0] / S[1] if S[1] > 0.0 else 0.0


@kernel
def flow_accel(H, i0, i1, t0, P, S, out):
    """Mean bar imbalance of n bars less that of the n bars before. ``S``: a sum, and its last n values."""
    n = int(P[0])
    k = t0 % n
    for i in range(i0, i1):
        mean = slide_sum(H[IMB], i, k, n, S[: n + 1]) / n
        out[0, i - i0] = mean - S[n + 1 + k]
        S[n + 1 + k] = mean
        k = k + 1 if k < n - 1 else 0


@kernel
def kyle_lambda(H, i0, i1, t0, P, S, out):
    """Return per root of net flow, both in their own standard units. ``S``: a pair."""
    n = int(P[0])
    k = t0 % n
    for i in range(i0, i1):
        _, _, sxx, _, sxy = slide_pair(H[ROOT_NET], H[RET], 0, i, k, n, S)
        sd = math.sqrt(sxx / n)
        out[0, i - i0] = sxy / (n * sd * H[SIGMA, i]) if sxx != 0.0 else 0.0
        k = k + 1 if k < n - 1 else 0


@kernel
def cvd_slope(H, i0, i1, t0, P, S, out):
    """OLS slope of cumulative net flow over n bars by the mean volume. Recomputed on the window."""
    n = int(P[0])
    norm = n * (n * n - 1.0) / 12.0
    for i in range(i0, i1):
        total = 0.0
        slope = 0.0
        for j in range(n):  # the j-th net flow is part of the levels j..n-1, whose times sum to j (n - j) / 2
            slope += 0.5 * j * (n - j) * H[NET, i - n + 1 + j]
            total += H[FLOW, i - n + 1 + j]
        out[0, i - i0] = slope / norm / (total / n) if total != 0.0 else 0.0


@kernel
def absorption(H, i0, i1, t0, P, S, out):
    """Flow that did not move the price: signed tfi_z times one less the size of ret_z."""
    n = int(P[0])
    root = math.sqrt(n)
    k = t0 % n
    for i in range(i0, i1):
        net = slide_sum(H[NET], i, k, n, S[: n + 1])
        squares = slide_dot(H[NET], H[NET], 0, i, k, n, S[n + 1 :])
        flow = net / math.sqrt(squares) if squares != 0.0 else 0.0
        moved = abs(H[LNC, i] - H[LNC, i - n]) / (H[SIGMA, i] * root)
        out[0, i - i0] = flow * (1.0 - min(1.0, moved))
        k = k + 1 if k < n - 1 else 0


_FLOW = ("buy_volume", "sell_volume")


def _kind(name, kernel, params, definition, span, warmup, inputs=_FLOW, **rest):
    return Kind(name, "flow", kernel, params, definition, inputs, span, warmup, group="trades", **rest)


KINDS: tuple[Kind, ...] = (
    _kind(
        "tfi", share, ((1,), (3,), (5,), (15,), (60,)),
        "(buy volume - sell volume) / (buy + sell) over n bars; 0 without volume", (-1.0, 1.0), lambda n: n - 1,
        source="catalogue 70", state=share_size, constants=(NET, FLOW, 1.0),
    ),
    _kind(
        "tfi_z", tfi_z, ((5,), (15,), (60,)),
        "sum of net flow / sqrt(sum of squared net flow) over n bars, a bar counting as one order",
        lambda n: (-math.sqrt(n), math.sqrt(n)), lambda n: n - 1, unit="sigma", source="catalogue 71, on bars",
        state=lambda n: sum_size(n) + dot_size(n),
    ),
    _kind(
        "cnt_imb", share, ((1,), (5,), (15,)),
        "(buyer-initiated - seller-initiated trades) / trades over n bars", (-1.0, 1.0), lambda n: n - 1,
        ("trades", "buy_trades"), source="catalogue 72", state=share_size, constants=(NET_N, TRADES, 1.0),
    ),
    _kind(
        "etfi", etfi, ((2,), (5,), (20,)),
        "EWMA of net flow / EWMA of total flow, half-life n bars", (-1.0, 1.0), lambda n: 20 * n,
        source="catalogue 73, half-life in bars", state=lambda n: 2, memory=lambda n: 1,
    ),
    _kind(
        "cnt_z", zscore, ((20,), (60,)),
        "z-score (ddof 0) of ln(1 + trades) over n bars; 0 in a flat window", (-8.0, 8.0), lambda n: n - 1,
        ("trades",), unit="sigma", source="catalogue 55", state=moments_size, constants=(LN_N,),
    ),
    _kind(
        "avg_size_z", zscore, ((60,),),
        "z-score (ddof 0) of ln(volume / trades) over n bars; 0 in a flat window", (-8.0, 8.0), lambda n: n - 1,
        ("volume", "trades"), unit="sigma", source="catalogue 56", state=moments_size, constants=(LN_SIZE,),
    ),
    _kind(
        "vwap_dev", over_atr, ((),),
        "(C - VWAP of the bar) / ATR14", (-5.0, 5.0), lambda: ATR_WARMUP, ("high", "low", "close", "vwap"), unit="ATR",
        memory=lambda: 1, constants=(CLOSE, VWAP, 0, 0),
    ),
    _kind(
        "flow_accel", flow_accel, ((5,), (15,)),
        "mean bar imbalance of n bars - that of the n bars before", (-2.0, 2.0), lambda n: 2 * n - 1,
        state=lambda n: sum_size(n) + n,
    ),
    _kind(
        "kyle_lambda", kyle_lambda, ((30,), (60,)),
        "slope of r / sigma60 on sign(net) sqrt(|net|) / its standard deviation, over n bars", (-3.0, 3.0),
        lambda n: max(n, SIGMA_WARMUP), ("close", *_FLOW), source="catalogue 78, bar proxy", state=pair_size,
    ),
    _kind(
        "cvd_slope", cvd_slope, ((15,), (60,)),
        "OLS slope of cumulative net flow within n bars / mean volume of a bar", (-1.5, 1.5), lambda n: n - 1,
        unit="mean volume a bar", source="catalogue 74",
    ),
    _kind(
        "absorption", absorption, ((5,), (15,)),
        "tfi_z of n bars x (1 - min(1, |ret_z of n bars|))", lambda n: (-math.sqrt(n), math.sqrt(n)),
        lambda n: max(n, SIGMA_WARMUP), ("close", *_FLOW), unit="sigma", source="catalogue 92",
        state=lambda n: sum_size(n) + dot_size(n),
    ),
    _kind(
        "flow_acf1", correlation, ((60,),),
        "lag-1 autocorrelation of the bar imbalance over n bars", (-1.0, 1.0), lambda n: n,
        source="catalogue 88, on bars", state=pair_size, memory=lambda n: n + 2,
        constants=(IMB, IMB, 1),
    ),
    _kind(
        "flow_ret_corr", correlation, ((60,),),
        "correlation of the bar imbalance with the 1-bar log return over n bars", (-1.0, 1.0), lambda n: n,
        ("close", *_FLOW), state=pair_size, constants=(IMB, RET, 0),
    ),
    _kind(
        "toxicity", share, ((30,),),
        "sum |net flow| / sum flow over n bars: VPIN with bars for buckets", (0.0, 1.0), lambda n: n - 1,
        source="catalogue 77, on bars", state=share_size, constants=(ABS_NET, FLOW, 1.0),
    ),
    _kind(
        "aggr_run", run_length, ((),),
        "signed number of bars in a row with the same sign of net flow", (-20.0, 20.0), lambda: 20, unit="bars",
        source="catalogue 89, on bars", state=lambda: 1, memory=lambda: 1,
        constants=(NET,),
    ),
)
