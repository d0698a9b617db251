"""Other coins: what the market and the lead coin did, as known at this bar's close."""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs
# (numba infers the types of kernels)

import math

from scalper_ml.features.generic import correlation, mean, sum_z, zscore
from scalper_ml.features.kind import SIGMA_WARMUP, Kind
from scalper_ml.features.series import (
    LEAD,
    LEAD_SIGMA,
    LN_DISP,
    LNC,
    MKT,
    MKT_SIGMA,
    MKT_UP,
    RET,
    SIGMA,
    SIGMA_FLOOR,
)
from scalper_ml.features.window import moments_size, pair_size, slide_pair, slide_sum, sum_size
from scalper_ml.kernel import kernel

__all__ = ["KINDS"]

BETA_BARS = 60


@kernel
def beta(H, i0, i1, t0, P, S, out):
    """OLS slope of own on market returns; 0 if the market stood still. ``P``: n, market series. ``S``: a pair."""
    n, other = int(P[0]), int(P[1])
    k = t0 % n
    for i in range(i0, i1):
        _, _, _, sxx, sxy = slide_pair(H[RET], H[other], 0, i, k, n, S)
        out[0, i - i0] = sxy / sxx if sxx != 0.0 else 0.0
        k = k + 1 if k < n - 1 else 0


@kernel
def resid_ret(H, i0, i1, t0, P, S, out):
    """Own return less beta times the market's, in units of the residual volatility. ``S``: a sum and a pair."""
    n, m, other = int(P[0]), int(P[1]), int(P[2])
    root = math.sqrt(n)
    k, b = t0 % n, t0 % m
    for i in range(i0, i1):
        moved = slide_sum(H[other], i, k, n, S[: n + 1])
        _, _, syy, sxx, sxy = slide_pair(H[RET], H[other], 0, i, b, m, S[n + 1 :])
        slope = sxy / sxx if sxx != 0.0 else 0.0
        sigma = math.sqrt(max(syy - slope * sxy, 0.0) / m) + SIGMA_FLOOR
        own = H[LNC, i] - H[LNC, i - n]
        out[0, i - i0] = (own - slope * moved) / (sigma * root)
        k = k + 1 if k < n - 1 else 0
        b = b + 1 if b < m - 1 else 0


@kernel
def rel_ret(H, i0, i1, t0, P, S, out):
    """Own less market return over n bars, in units of own volatility. ``S``: a sum."""
    n = int(P[0])
    root = math.sqrt(n)
    k = t0 % n
    for i in range(i0, i1):
        moved = slide_sum(H[MKT], i, k, n, S)
        own = H[LNC, i] - H[LNC, i - n]
        out[0, i - i0] = (own - moved) / (H[SIGMA, i] * root)
        k = k + 1 if k < n - 1 else 0


@kernel
def leadlag_pred(H, i0, i1, t0, P, S, out):
    """What the lead coin's last return says about our next one, from pairs already known. ``S``: a pair."""
    n = int(P[0])
    k = t0 % n
    for i in range(i0, i1):
        _, _, _, sxx, sxy = slide_pair(H[RET], H[LEAD], 1, i, k, n, S)
        slope = sxy / sxx if sxx != 0.0 else 0.0
        out[0, i - i0] = slope * H[LEAD, i] / H[SIGMA, i]
        k = k + 1 if k < n - 1 else 0


def _kind(name, kernel, params, definition, span, warmup, inputs, **rest):
    return Kind(name, "cross", kernel, params, definition, inputs, span, warmup, group="market", **rest)


_OWN_AND_MARKET = ("close", "mkt_ret")
_OWN_AND_LEAD = ("close", "lead_ret")

KINDS: tuple[Kind, ...] = (
    _kind(
        "mkt_ret", sum_z, ((1,), (5,), (15,)),
        "sum of the market's 1-bar log returns over n bars / (its sigma60 sqrt(n))", (-8.0, 8.0),
        lambda n: max(n - 1, SIGMA_WARMUP - 1), ("mkt_ret",), unit="sigma", source="catalogue 163", state=sum_size,
        constants=(MKT, MKT_SIGMA),
    ),
    _kind(
        "lead_ret_z", sum_z, ((1,), (5,), (15,)),
        "sum of the lead coin's 1-bar log returns over n bars / (its sigma60 sqrt(n))", (-8.0, 8.0),
        lambda n: max(n - 1, SIGMA_WARMUP - 1), ("lead_ret",), unit="sigma", source="catalogue 156", state=sum_size,
        constants=(LEAD, LEAD_SIGMA),
    ),
    _kind(
        "mkt_up", mean, ((1,), (5,)), "mean over n bars of the share of other coins that rose, - 0.5", (-0.5, 0.5),
        lambda n: n - 1, ("mkt_up",), source="catalogue 164 (breadth), on 1-bar returns", state=sum_size,
        constants=(MKT_UP, 0.5),
    ),
    _kind(
        "mkt_disp_z", zscore, ((60,),),
        "z-score (ddof 0) over n bars of ln of the other coins' cross-sectional dispersion; 0 when flat", (-8.0, 8.0),
        lambda n: n - 1, ("mkt_disp",), unit="sigma", source="catalogue 165", state=moments_size,
        constants=(LN_DISP,),
    ),
    _kind(
        "beta_mkt", beta, ((60,), (120,)), "OLS slope of own on market 1-bar log returns over n bars", (-10.0, 10.0),
        lambda n: n, _OWN_AND_MARKET, source="catalogue 158", state=pair_size, constants=(MKT,),
    ),
    _kind(
        "corr_mkt", correlation, ((60,),), "correlation of own with market 1-bar log returns over n bars",
        (-1.0, 1.0), lambda n: n, _OWN_AND_MARKET, source="catalogue 159", state=pair_size, constants=(RET, MKT, 0),
    ),
    _kind(
        "corr_lead", correlation, ((60,),), "correlation of own with the lead coin's 1-bar log returns over n bars",
        (-1.0, 1.0), lambda n: n, _OWN_AND_LEAD, source="catalogue 159", state=pair_size, constants=(RET, LEAD, 0),
    ),
    _kind(
        "resid_ret", resid_ret, ((1,), (5,), (15,)),
        "(own - beta60 x market log return over n bars) / (residual standard deviation x sqrt(n))", (-8.0, 8.0),
        lambda n: max(n, BETA_BARS), _OWN_AND_MARKET, unit="sigma", source="catalogue 160",
        state=lambda n: sum_size(n) + pair_size(BETA_BARS), memory=lambda n: max(n, BETA_BARS) + 1,
        constants=(BETA_BARS, MKT),
    ),
    _kind(
        "rel_ret", rel_ret, ((15,), (60,)), "(own - market log return over n bars) / (own sigma60 sqrt(n))",
        (-8.0, 8.0), lambda n: max(n, SIGMA_WARMUP), _OWN_AND_MARKET, unit="sigma", source="catalogue 167, as a size",
        state=sum_size,
    ),
    _kind(
        "leadlag_pred", leadlag_pred, ((120,),),
        "slope of own r(t+1) on the lead's r(t) over n known pairs, x the lead's r now / own sigma60", (-8.0, 8.0),
        lambda n: n, _OWN_AND_LEAD, unit="sigma", source="catalogue 161", state=pair_size, memory=lambda n: n + 2,
    ),
)
