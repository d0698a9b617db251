"""Order book: the best quotes and the depth around them, as known at the close.

Features of the group `quotes` need the top of the book, those of the group `book` the depth. A row whose last quote
stood unchanged for more than ten minutes has none of the former.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs
# (numba infers the types of kernels)

import math

from scalper_ml.features.feeds import (
    ASK_5,
    ASK_10,
    ASK_25,
    BID_5,
    BID_10,
    BID_25,
    DEPTH,
    LN_DEPTH,
    LN_SPREAD,
    LN_UPDATES,
    MICRO,
    OBI,
    OBI_TW,
    OFI,
    SPREAD,
    SPREAD_TW,
    TOP_QTY,
)
from scalper_ml.features.flow import tfi_z
from scalper_ml.features.generic import (
    change,
    correlation,
    imbalance,
    level,
    log_share,
    mean,
    over_sigma,
    share,
    zscore,
)
from scalper_ml.features.kind import SIGMA_WARMUP, Kind
from scalper_ml.features.rolling import moments, pair, product, total
from scalper_ml.features.series import RET, VOLUME

__all__ = ["KINDS"]

BP = 1e-4


def _quotes(name, kernel, params, definition, span, warmup, inputs, number, **rest):
    """A feature of the best quotes."""
    return Kind(
        name, "book", kernel, params, definition, (*inputs, "quote_age_us"), span, warmup, group="quotes",
        source=f"catalogue {number}", **rest,
    )  # fmt: skip


def _depth(name, kernel, params, definition, span, warmup, bands, number, also=(), sides=("bid", "ask"), **rest):
    """A feature of the depth within some bands."""
    inputs = tuple(f"{side}_depth_{band}bps" for band in bands for side in sides)
    return Kind(
        name, "book", kernel, params, definition, (*also, *inputs), span, warmup, group="book",
        source=f"catalogue {number}", **rest,
    )  # fmt: skip


def _near(side, near, far):
    """Share of the depth of one side within 25 bp that lies within 5 bp."""
    return _depth(
        f"depth_near_{side}", share, ((1,), (15,)),
        f"{side} quantity within 5 bp / within 25 bp, sums over n bars; 0 without depth", (0.0, 1.0), lambda n: n - 1,
        (5, 25), "102, as a share", sides=(side,), rolling=lambda n: (total(near, n), total(far, n)), constants=(1.0,),
    )  # fmt: skip


def _within(band, bid, ask):
    """Imbalance of the depth within a band."""
    return _depth(
        f"obi_{band}bp", imbalance, ((1,), (15,)),
        f"(bid - ask quantity) / (bid + ask quantity) within {band} bp of the mid, sums over n bars; 0 without depth",
        (-1.0, 1.0), lambda n: n - 1, (band,), "96, by distance",
        rolling=lambda n: (total(bid, n), total(ask, n)),
    )  # fmt: skip


KINDS: tuple[Kind, ...] = (
    _quotes(
        "spread_bp", level, ((),), "(ask - bid) / mid at the close", (-50.0, 500.0), lambda: 0, ("spread_bps",), 94,
        unit="bp", memory=lambda: 1, constants=(SPREAD, 1.0),
    ),
    _quotes(
        "spread_mean", mean, ((1,), (15,)), "mean over n bars of the time-weighted (ask - bid) / mid", (-50.0, 500.0),
        lambda n: n - 1, ("spread_tw_bps",), 94, unit="bp", rolling=lambda n: (total(SPREAD_TW, n),),
        constants=(0.0,),
    ),
    _quotes(
        "spread_z", zscore, ((60,), (240,)),
        "z-score (ddof 0) of ln of the time-weighted spread over n bars, at least 0.001 bp; 0 in a flat window",
        (-8.0, 8.0), lambda n: n - 1, ("spread_tw_bps",), 94, unit="sigma",
        rolling=lambda n: (moments(LN_SPREAD, n),), constants=(LN_SPREAD,),
    ),
    _quotes(
        "spread_sigma", over_sigma, ((),), "time-weighted (ask - bid) / mid of the bar / sigma60", (-5.0, 100.0),
        lambda: SIGMA_WARMUP, ("close", "spread_tw_bps"), 94, unit="sigma", memory=lambda: 1,
        constants=(SPREAD_TW, BP),
    ),
    _quotes(
        "obi1", level, ((),), "(bid - ask quantity) / (bid + ask quantity) of the best quotes at the close",
        (-1.0, 1.0), lambda: 0, ("imbalance",), 95, memory=lambda: 1, constants=(OBI, 1.0),
    ),
    _quotes(
        "obi1_mean", mean, ((1,), (5,), (15,)), "mean over n bars of the time-weighted imbalance of the best quotes",
        (-1.0, 1.0), lambda n: n - 1, ("imbalance_tw",), 95, rolling=lambda n: (total(OBI_TW, n),), constants=(0.0,),
    ),
    _quotes(
        "queue_imb_chg", change, ((1,), (5,)), "imbalance of the best quotes at the close - that of n bars before",
        (-2.0, 2.0), lambda n: n, ("imbalance",), 109, constants=(OBI,),
    ),
    _quotes(
        "micro_dev", over_sigma, ((),), "(microprice - mid) / mid at the close / sigma60", (-20.0, 20.0),
        lambda: SIGMA_WARMUP, ("close", "micro_dev_bps"), "98, by volatility", unit="sigma", memory=lambda: 1,
        constants=(MICRO, BP),
    ),
    _quotes(
        "ofi", share, ((1,), (5,), (15,)),
        "order-flow imbalance of the best quotes / their mean quantity, means over n bars; 0 without quantity",
        (-100.0, 100.0), lambda n: n - 1, ("ofi_qty", "top_qty_tw"), 99, unit="mean best quantity a bar",
        rolling=lambda n: (total(OFI, n), total(TOP_QTY, n)), constants=(1.0,),
    ),
    _quotes(
        "ofi_z", tfi_z, ((5,), (15,), (60,)),
        "sum of order-flow imbalance / sqrt(sum of its squares) over n bars; 0 without any",
        lambda n: (-math.sqrt(n), math.sqrt(n)), lambda n: n - 1, ("ofi_qty",), "99, in its own deviations",
        unit="sigma", rolling=lambda n: (total(OFI, n), product(OFI, OFI, n)),
    ),
    _quotes(
        "ofi_ret_corr", correlation, ((60,),),
        "correlation of order-flow imbalance with the 1-bar log return over n bars; 0 if either is flat", (-1.0, 1.0),
        lambda n: n, ("close", "ofi_qty"), 99, rolling=lambda n: (pair(OFI, RET, n),),
    ),
    _quotes(
        "quote_rate_z", zscore, ((60,),),
        "z-score (ddof 0) of ln(1 + quotes of the bar) over n bars; 0 in a flat window", (-8.0, 8.0), lambda n: n - 1,
        ("quote_updates",), 106, unit="sigma", rolling=lambda n: (moments(LN_UPDATES, n),), constants=(LN_UPDATES,),
    ),
    _within(5, BID_5, ASK_5),
    _within(10, BID_10, ASK_10),
    _within(25, BID_25, ASK_25),
    _near("bid", BID_5, BID_25),
    _near("ask", ASK_5, ASK_25),
    _depth(
        "depth_vol", log_share, ((1, 1), (1, 60)),
        "ln(mean quantity within 10 bp of the mid over m bars / mean volume over n bars); 0 without either",
        (-14.0, 14.0), lambda m, n: max(m, n) - 1, (10,), "101, 108", ("volume",), unit="log ratio",
        rolling=lambda m, n: (total(DEPTH, m), total(VOLUME, n)),
    ),
    _depth(
        "depth_z", zscore, ((60,), (240,)),
        "z-score (ddof 0) of ln of the quantity within 10 bp of the mid over n bars; 0 in a flat window", (-8.0, 8.0),
        lambda n: n - 1, (10,), 101, unit="sigma", rolling=lambda n: (moments(LN_DEPTH, n),), constants=(LN_DEPTH,),
    ),
)  # fmt: skip
