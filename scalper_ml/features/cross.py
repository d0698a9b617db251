"""Other coins: what the market and the lead coin did, as known at this bar's close."""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs
# (numba infers the types of kernels)

import math

from scalper_ml.features.generic import correlation, mean, sum_z, zscore
from scalper_ml.features.kind import SIGMA_WARMUP, Kind
from scalper_ml.features.rolling import moments, pair, total
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
from scalper_ml.kernel import inlined

__all__ = ["KINDS"]

BETA_BARS = 60


@inlined
def beta(H, i0, i1, t0, P, S, R, w, out):
    """OLS slope of own on another return; 0 if the other stood still. ``w``: a pair."""
    sxx, sxy, answer = R[w[0] + 1], R[w[0] + 2], out[0]
    for r in range(i1 - i0):
        answer[r] = sxy[r] / sxx[r] if sxx[r] != 0.0 else 0.0


@inlined
def resid_ret(H, i0, i1, t0, P, S, R, w, out):
    """Own return less beta times the market's, in units of the residual volatility. ``w``: market's sum, a pair."""
    n, m, answer, moved, root = int(P[0]), P[1], out[0], R[w[0]], math.sqrt(P[0])
    now, before = H[LNC, i0:i1], H[LNC, i0 - n : i1 - n]
    syy, sxx, sxy = R[w[1]], R[w[1] + 1], R[w[1] + 2]
    for r in range(i1 - i0):
        slope = sxy[r] / sxx[r] if sxx[r] != 0.0 else 0.0
        sigma = math.sqrt(max(syy[r] - slope * sxy[r], 0.0) / m) + SIGMA_FLOOR
        answer[r] = (now[r] - before[r] - slope * moved[r]) / (sigma * root)


@inlined
def rel_ret(H, i0, i1, t0, P, S, R, w, out):
    """Own less market return over n bars, in units of own volatility. ``w``: the market's."""
    n, moved, answer = int(P[0]), R[w[0]], out[0]
    now, before, sigma, root = H[LNC, i0:i1], H[LNC, i0 - n : i1 - n], H[SIGMA, i0:i1], math.sqrt(P[0])
    for r in range(i1 - i0):
        answer[r] = (now[r] - before[r] - moved[r]) / (sigma[r] * root)


@inlined
def leadlag_pred(H, i0, i1, t0, P, S, R, w, out):
    """What the lead coin's last return says about our next one, from pairs already known. ``w``: a pair."""
    lead, sigma, sxx, sxy, answer = H[LEAD, i0:i1], H[SIGMA, i0:i1], R[w[0] + 1], R[w[0] + 2], out[0]
    for r in range(i1 - i0):
        slope = sxy[r] / sxx[r] if sxx[r] != 0.0 else 0.0
        answer[r] = slope * lead[r] / sigma[r]


def _kind(name, kernel, params, definition, span, warmup, inputs, **rest):
    return Kind(name, "cross", kernel, params, definition, inputs, span, warmup, group="market", **rest)


_OWN_AND_MARKET = ("close", "mkt_ret")
_OWN_AND_LEAD = ("close", "lead_ret")

KINDS: tuple[Kind, ...] = (
    _kind(
        "mkt_ret", sum_z, ((1,), (5,), (15,)),
        "sum of the market's 1-bar log returns over n bars / (its sigma60 sqrt(n))", (-8.0, 8.0),
        lambda n: max(n - 1, SIGMA_WARMUP - 1), ("mkt_ret",), unit="sigma", source="catalogue 163",
        rolling=lambda n: (total(MKT, n),), constants=(MKT_SIGMA,),
    ),
    _kind(
        "lead_ret_z", sum_z, ((1,), (5,), (15,)),
        "sum of the lead coin's 1-bar log returns over n bars / (its sigma60 sqrt(n))", (-8.0, 8.0),
        lambda n: max(n - 1, SIGMA_WARMUP - 1), ("lead_ret",), unit="sigma", source="catalogue 156",
        rolling=lambda n: (total(LEAD, n),), constants=(LEAD_SIGMA,),
    ),
    _kind(
        "mkt_up", mean, ((1,), (5,)), "mean over n bars of the share of other coins that rose, - 0.5", (-0.5, 0.5),
        lambda n: n - 1, ("mkt_up",), source="catalogue 164 (breadth), on 1-bar returns",
        rolling=lambda n: (total(MKT_UP, n),), constants=(0.5,),
    ),
    _kind(
        "mkt_disp_z", zscore, ((60,),),
        "z-score (ddof 0) over n bars of ln of the other coins' cross-sectional dispersion; 0 when flat", (-8.0, 8.0),
        lambda n: n - 1, ("mkt_disp",), unit="sigma", source="catalogue 165",
        rolling=lambda n: (moments(LN_DISP, n),), constants=(LN_DISP,),
    ),
    _kind(
        "beta_mkt", beta, ((60,), (120,)), "OLS slope of own on market 1-bar log returns over n bars", (-10.0, 10.0),
        lambda n: n, _OWN_AND_MARKET, source="catalogue 158", rolling=lambda n: (pair(RET, MKT, n),),
    ),
    _kind(
        "corr_mkt", correlation, ((60,),), "correlation of own with market 1-bar log returns over n bars",
        (-1.0, 1.0), lambda n: n, _OWN_AND_MARKET, source="catalogue 159", rolling=lambda n: (pair(RET, MKT, n),),
    ),
    _kind(
        "corr_lead", correlation, ((60,),), "correlation of own with the lead coin's 1-bar log returns over n bars",
        (-1.0, 1.0), lambda n: n, _OWN_AND_LEAD, source="catalogue 159", rolling=lambda n: (pair(RET, LEAD, n),),
    ),
    _kind(
        "resid_ret", resid_ret, ((1,), (5,), (15,)),
        "(own - beta60 x market log return over n bars) / (residual standard deviation x sqrt(n))", (-8.0, 8.0),
        lambda n: max(n, BETA_BARS), _OWN_AND_MARKET, unit="sigma", source="catalogue 160",
        rolling=lambda n: (total(MKT, n), pair(RET, MKT, BETA_BARS)), constants=(BETA_BARS,),
    ),
    _kind(
        "rel_ret", rel_ret, ((15,), (60,)), "(own - market log return over n bars) / (own sigma60 sqrt(n))",
        (-8.0, 8.0), lambda n: max(n, SIGMA_WARMUP), _OWN_AND_MARKET, unit="sigma", source="catalogue 167, as a size",
        rolling=lambda n: (total(MKT, n),),
    ),
    _kind(
        "leadlag_pred", leadlag_pred, ((120,),),
        "slope of own r(t+1) on the lead's r(t) over n known pairs, x the lead's r now / own sigma60", (-8.0, 8.0),
        lambda n: n, _OWN_AND_LEAD, unit="sigma", source="catalogue 161", rolling=lambda n: (pair(RET, LEAD, n, 1),),
    ),
)
