"""Series of the feeds beside the trades: quotes, depth and derivatives, as known at the close of each bar.

They lie after all other series, group by group, so that a stream whose features need none of them carries none.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs
# (numba infers the types of kernels)

import numpy as np

from scalper_ml.features.elementary import ln
from scalper_ml.kernel import inlined, view_kernel

__all__ = [
    "BOOK_COLUMNS",
    "DERIVATIVE_COLUMNS",
    "FEEDS_LOOKED_BACK",
    "FEED_COLUMNS",
    "FEED_STATE",
    "FIRST_FEED",
    "HEIGHTS",
    "QUOTE_AGE_LIMIT_US",
    "QUOTE_COLUMNS",
    "ROW_OF_FEED",
    "derive_feeds",
]

QUOTE_COLUMNS = (
    "spread_bps",
    "spread_tw_bps",
    "imbalance",
    "imbalance_tw",
    "micro_dev_bps",
    "quote_age_us",
    "quote_updates",
    "ofi_qty",
    "top_qty_tw",
)
"""Columns of `BOOK_BARS` that are inputs."""

BOOK_COLUMNS = tuple(f"{side}_depth_{band}bps" for band in (5, 10, 25) for side in ("bid", "ask"))
"""Depth columns beside them that are inputs: the bands of the shipped settings."""

DERIVATIVE_COLUMNS = (
    "funding_rate",
    "funding_interval_h",
    "hours_to_funding",
    "funding_24h",
    "funding_mean_30",
    "funding_sd_30",
    "mark_price",
    "index_price",
    "open_interest",
    "open_interest_value",
    "long_short_ratio",
    "top_long_short_accounts",
    "top_long_short_positions",
    "taker_buy_sell_ratio",
    "liquidated_long",
    "liquidated_short",
)
"""Columns of `CONTEXT_BARS` that are inputs."""

FEED_COLUMNS = (*QUOTE_COLUMNS, *BOOK_COLUMNS, *DERIVATIVE_COLUMNS)

FIRST_FEED = 60
SPREAD, SPREAD_TW, OBI, OBI_TW, MICRO, QUOTE_AGE, UPDATES, OFI, TOP_QTY = range(60, 69)
LN_SPREAD = 69  # ln of the time-weighted spread in bp, at least SPREAD_FLOOR
LN_UPDATES = 70  # ln (1 + quotes of the bar)
QUOTES_END = 71
BID_5, ASK_5, BID_10, ASK_10, BID_25, ASK_25 = range(71, 77)
DEPTH = 77  # bid and ask quantity within 10 bp
LN_DEPTH = 78  # its ln, up to a constant; see derive_feeds
BOOK_END = 79
FUNDING, FUNDING_H, TO_FUNDING, FUNDING_DAY, FUNDING_MEAN, FUNDING_SD, MARK, INDEX, OI, OI_VALUE = range(79, 89)
LONG_SHORT, TOP_ACCOUNTS, TOP_POSITIONS, TAKER, LIQ_LONG, LIQ_SHORT = range(89, 95)
BASIS = 95  # mark over index - 1, bp
LN_OI = 96  # ln open interest in base, up to a constant
LN_OI_VALUE = 97  # the same in quote
LN_TAKER = 98  # ln (bought / sold) by takers
LIQ = 99  # liquidated / traded value, at most LIQ_LIMIT
DERIVATIVES_END = 100

HEIGHTS = {"quotes": QUOTES_END, "book": BOOK_END, "derivatives": DERIVATIVES_END}
"""Series a stream carries if it has features of a group."""

ROW_OF_FEED = (*range(60, 69), *range(71, 77), *range(79, 95))
"""Series of each of `FEED_COLUMNS`."""

FEEDS_LOOKED_BACK = (OBI, OI, OI_VALUE, LONG_SHORT, BASIS)
"""Series whose past kernels read by themselves."""

FEED_STATE = 3

QUOTE_AGE_LIMIT_US = 600_000_000
"""A quote that stood unchanged for longer is not known any more: its feed is taken for dead."""

SPREAD_FLOOR = 1e-3
RATIO_FLOOR = 1e-3
LIQ_LIMIT = 10.0


@view_kernel
def _derive_quotes(H, i0, i1, W):
    rows, age = i1 - i0, H[QUOTE_AGE, i0:i1]
    for c in range(SPREAD, LN_SPREAD):
        series = H[c, i0:i1]
        if c != QUOTE_AGE:
            for r in range(rows):
                series[r] = series[r] if age[r] <= QUOTE_AGE_LIMIT_US else np.nan
    spread, updates = H[SPREAD_TW, i0:i1], H[UPDATES, i0:i1]
    for r in range(rows):
        W[0, r] = max(spread[r], SPREAD_FLOOR)
        W[1, r] = 1.0 + updates[r]
    ln(W[0, :rows], H[LN_SPREAD, i0:i1])
    ln(W[1, :rows], H[LN_UPDATES, i0:i1])


@inlined
def _ln_of_first(x, first, W, into):
    """ln of x over its first value that is not 0, at least 1e-6; that value, 0 while there is none."""
    rows = x.shape[0]
    for r in range(rows):
        if first == 0.0 and x[r] > 0.0:
            first = x[r]
        share = x[r] / first if first > 0.0 else 0.0 * x[r]
        W[0, r] = max(share, 1e-6)
    ln(W[0, :rows], into)
    return first


@view_kernel
def _derive_book(H, i0, i1, S, W):
    bid, ask, depth = H[BID_10, i0:i1], H[ASK_10, i0:i1], H[DEPTH, i0:i1]
    for r in range(i1 - i0):
        depth[r] = bid[r] + ask[r]
    S[0] = _ln_of_first(depth, S[0], W, H[LN_DEPTH, i0:i1])


@view_kernel
def _derive_derivatives(H, v, c, i0, i1, S, W):
    rows = i1 - i0
    mark, index, basis, taker = H[MARK, i0:i1], H[INDEX, i0:i1], H[BASIS, i0:i1], H[TAKER, i0:i1]
    longs, shorts, liq = H[LIQ_LONG, i0:i1], H[LIQ_SHORT, i0:i1], H[LIQ, i0:i1]
    for r in range(rows):
        basis[r] = (mark[r] - index[r]) / index[r] * 1e4 if index[r] != 0.0 else 0.0
        both, traded = longs[r] + shorts[r], v[r] * c[r]
        liq[r] = min(both / traded, LIQ_LIMIT) if traded > 0.0 else 0.0 * both
        W[0, r] = min(max(taker[r], RATIO_FLOOR), 1.0 / RATIO_FLOOR)
    ln(W[0, :rows], H[LN_TAKER, i0:i1])
    S[1] = _ln_of_first(H[OI, i0:i1], S[1], W, H[LN_OI, i0:i1])
    S[2] = _ln_of_first(H[OI_VALUE, i0:i1], S[2], W, H[LN_OI_VALUE, i0:i1])


@view_kernel
def derive_feeds(H, v, c, i0, i1, S, W):
    """Fill the derived series of the feeds that `H` has; volume and close of the rows are `v` and `c`, `W` scratch.

    Logarithms of quantities are of the quantity over the first one since the reset that is not 0, so that they do
    not depend on its unit; one of less than a millionth of that counts as a millionth.
    """
    height = H.shape[0]
    if height >= QUOTES_END:
        _derive_quotes(H, i0, i1, W)
    if height >= BOOK_END:
        _derive_book(H, i0, i1, S, W)
    if height >= DERIVATIVES_END:
        _derive_derivatives(H, v, c, i0, i1, S, W)
