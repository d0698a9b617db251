"""Derivatives and positioning: funding, basis, open interest, ratios and liquidations, as known at the close.

What a venue publishes every few minutes or hours is the same in all bars until it publishes anew.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs
# (numba infers the types of kernels)

import math

from scalper_ml.features.feeds import (
    BASIS,
    FUNDING,
    FUNDING_DAY,
    FUNDING_H,
    FUNDING_MEAN,
    FUNDING_SD,
    LIQ,
    LIQ_LONG,
    LIQ_SHORT,
    LN_OI,
    LN_OI_VALUE,
    LN_TAKER,
    LONG_SHORT,
    OI,
    OI_VALUE,
    TO_FUNDING,
    TOP_ACCOUNTS,
    TOP_POSITIONS,
)
from scalper_ml.features.generic import change, imbalance, level, log_change, log_level, mean, quotient, zscore
from scalper_ml.features.kind import SIGMA_WARMUP, Kind
from scalper_ml.features.rolling import moments, total
from scalper_ml.features.series import LNC, SIGMA
from scalper_ml.kernel import inlined

__all__ = ["KINDS"]


@inlined
def funding_z(H, i0, i1, t0, P, S, R, w, out):
    """Last funding rate in deviations of the last 30 settlements; 0 if they were all the same."""
    rate, centre, sd, answer = H[FUNDING, i0:i1], H[FUNDING_MEAN, i0:i1], H[FUNDING_SD, i0:i1], out[0]
    for r in range(i1 - i0):
        answer[r] = (rate[r] - centre[r]) / sd[r] if not sd[r] < 1e-12 else 0.0 * rate[r]


@inlined
def oi_price_q(H, i0, i1, t0, P, S, R, w, out):
    """Return of n bars in volatilities, with the sign of the change of open interest. ``P``: n, open interest."""
    n, series, sigma, answer, root = int(P[0]), H[int(P[1])], H[SIGMA, i0:i1], out[0], math.sqrt(P[0])
    now, before, held, held_before = H[LNC, i0:i1], H[LNC, i0 - n : i1 - n], series[i0:i1], series[i0 - n : i1 - n]
    for r in range(i1 - i0):
        moved = held[r] - held_before[r]
        sign = 1.0 if moved > 0.0 else (-1.0 if moved < 0.0 else moved)
        answer[r] = sign * (now[r] - before[r]) / (sigma[r] * root)


def _kind(name, kernel, params, definition, span, warmup, inputs, number, **rest):
    return Kind(
        name, "derivatives", kernel, params, definition, inputs, span, warmup, group="derivatives",
        source=f"catalogue {number}", **rest,
    )  # fmt: skip


def _now(name, kernel, definition, span, inputs, number, *constants, **rest):
    """A feature of this row alone."""
    return _kind(
        name, kernel, ((),), definition, span, lambda: 0, inputs, number, memory=lambda: 1, constants=constants, **rest
    )


def _open_interest(name, words, column, series, log):
    """Features of open interest in one unit."""
    return (
        _kind(
            f"{name}_chg", log_change, ((5,), (15,), (60,), (240,)), f"ln of {words} now / n bars before",
            (-1.0, 1.0), lambda n: n, (column,), 175, unit="log ratio", constants=(series,),
        ),
        _kind(
            f"{name}_price_q", oi_price_q, ((15,), (60,)),
            f"log return of n bars / (sigma60 sqrt(n)), times the sign of the change of {words} over n bars",
            (-8.0, 8.0), lambda n: max(n, SIGMA_WARMUP), ("close", column), 176, unit="sigma", constants=(series,),
        ),
        _kind(
            f"{name}_z", zscore, ((240,),), f"z-score (ddof 0) of ln of {words} over n bars; 0 in a flat window",
            (-8.0, 8.0), lambda n: n - 1, (column,), 177, unit="sigma", rolling=lambda n: (moments(log, n),),
            constants=(log,),
        ),
    )  # fmt: skip


_FUNDING = ("funding_rate",)
_BASIS = ("mark_price", "index_price")
_LIQUIDATED = ("liquidated_long", "liquidated_short")
_LOG = (-7.0, 7.0)

KINDS: tuple[Kind, ...] = (
    _now(
        "funding_bp", quotient, "funding rate settled last, as if for 8 hours: rate x 8 / hours between settlements",
        (-500.0, 500.0), (*_FUNDING, "funding_interval_h"), 172, FUNDING, FUNDING_H, 8e4, unit="bp per 8 h",
    ),
    _now(
        "funding_z", funding_z,
        "(funding rate - mean of the last 30) / their standard deviation (ddof 0); 0 if they were all the same",
        (-8.0, 8.0), (*_FUNDING, "funding_mean_30", "funding_sd_30"), 172, unit="sigma",
    ),
    _now(
        "funding_cum", level, "sum of the funding rates of the 24 h that end with the last settlement",
        (-1000.0, 1000.0), ("funding_24h",), 173, FUNDING_DAY, 1e4, unit="bp",
    ),
    _now(
        "fund_to", quotient, "time to the next settlement / time between settlements", (0.0, 1.0),
        ("hours_to_funding", "funding_interval_h"), 151, TO_FUNDING, FUNDING_H, 1.0,
    ),
    _now(
        "basis_bp", level, "mark price / index price - 1", (-1000.0, 1000.0), _BASIS, 174, BASIS, 1.0, unit="bp",
    ),
    _kind(
        "basis_z", zscore, ((60,), (240,)),
        "z-score (ddof 0) of mark price / index price over n bars; 0 in a flat window", (-8.0, 8.0), lambda n: n - 1,
        _BASIS, 174, unit="sigma", rolling=lambda n: (moments(BASIS, n),), constants=(BASIS,),
    ),
    _kind(
        "basis_chg", change, ((5,), (60,)), "mark price / index price now - n bars before", (-500.0, 500.0),
        lambda n: n, _BASIS, 174, unit="bp", constants=(BASIS,),
    ),
    *_open_interest("oi", "open interest (base)", "open_interest", OI, LN_OI),
    *_open_interest("oi_value", "open interest (quote)", "open_interest_value", OI_VALUE, LN_OI_VALUE),
    _now(
        "ls_ratio", log_level, "ln(accounts that are long / accounts that are short)", _LOG, ("long_short_ratio",),
        178, LONG_SHORT, unit="log ratio",
    ),
    _kind(
        "ls_chg", log_change, ((60,),), "ln of accounts long / short now / the same n bars before", (-3.0, 3.0),
        lambda n: n, ("long_short_ratio",), 178, unit="log ratio", constants=(LONG_SHORT,),
    ),
    _now(
        "top_ls", log_level, "ln(long / short positions of the largest accounts)", _LOG,
        ("top_long_short_positions",), 179, TOP_POSITIONS, unit="log ratio",
    ),
    _now(
        "top_ls_accounts", log_level, "ln(long / short accounts among the largest)", _LOG,
        ("top_long_short_accounts",), "179, by accounts", TOP_ACCOUNTS, unit="log ratio",
    ),
    _kind(
        "taker_ratio", mean, ((5,), (60,)),
        "mean over n bars of ln(bought / sold by takers in the venue's last period), within a thousand", _LOG,
        lambda n: n - 1, ("taker_buy_sell_ratio",), 180, unit="log ratio", rolling=lambda n: (total(LN_TAKER, n),),
        constants=(0.0,),
    ),
    _kind(
        "liq_imb", imbalance, ((5,), (15,), (60,)),
        "(liquidated shorts - longs) / (shorts + longs), sums over n bars; 0 without liquidations", (-1.0, 1.0),
        lambda n: n - 1, _LIQUIDATED, 181, rolling=lambda n: (total(LIQ_SHORT, n), total(LIQ_LONG, n)),
    ),
    _kind(
        "liq_z", zscore, ((60,), (240,)),
        "z-score (ddof 0) of liquidated value / (V C), at most 10, over n bars; 0 in a flat window", (-16.0, 16.0),
        lambda n: n - 1, ("close", "volume", *_LIQUIDATED), 182, unit="sigma", rolling=lambda n: (moments(LIQ, n),),
        constants=(LIQ,),
    ),
)  # fmt: skip
