"""Table contracts: the columns, types and keys every layer agrees on.

Stamps are ``timestamp[us, UTC]`` in tables and int64 microseconds since the epoch in
kernels; both are called ``ts_us``. A bar's ``ts_us`` is its close: the moment it became known.
"""

from typing import Final

import numpy as np
import pyarrow as pa

from scalper_ml.errors import ContractError
from scalper_ml.vocabulary import CLASSES, INPUT_GROUPS, LONG, NEUTRAL, ROLES, SHORT, InputGroup, Role

__all__ = [
    "BARS",
    "BOOK_BARS",
    "CLASSES",
    "COLUMNS",
    "CONTEXT",
    "CONTEXT_BARS",
    "CONTEXT_GAPS",
    "DATASET",
    "GAPS",
    "INPUT_GROUPS",
    "LONG",
    "MARKET",
    "META_LABELS",
    "NEUTRAL",
    "OBSERVATIONS",
    "PREDICTIONS",
    "QUARANTINE",
    "QUOTES",
    "ROLES",
    "SHORT",
    "TARGETS",
    "TICKS",
    "TRADES",
    "US",
    "InputGroup",
    "Role",
    "conform",
    "stamps",
    "us",
]

COLUMNS: Final = {
    "ticks": {
        "ts_us": "moment of the trade as the venue stamped it, UTC",
        "price": "quote units for a base unit",
        "qty": "base units",
        "side": "who crossed the spread: +1 the buyer, -1 the seller",
        "trade_id": "the venue's id; null where the source has none",
        "source": "venue, market and kind of the file it came from",
    }
}
"""What columns mean, by layer and name, for those who look at a table from outside."""

US: Final = pa.timestamp("us", tz="UTC")

TICKS: Final = pa.schema(
    [
        pa.field("ts_us", US, nullable=False),
        pa.field("price", pa.float64(), nullable=False),
        pa.field("qty", pa.float64(), nullable=False),
        pa.field("side", pa.int8(), nullable=False),  # +1 buyer aggressor, -1 seller aggressor
        pa.field("trade_id", pa.int64()),  # null where the source has none
        pa.field("source", pa.string(), nullable=False),  # venue + market + kind
    ]
)

BARS: Final = pa.schema(
    [
        pa.field("open_ts_us", US, nullable=False),  # start of the interval
        pa.field("ts_us", US, nullable=False),  # end of the interval: known time
        pa.field("open", pa.float64(), nullable=False),
        pa.field("high", pa.float64(), nullable=False),
        pa.field("low", pa.float64(), nullable=False),
        pa.field("close", pa.float64(), nullable=False),
        pa.field("volume", pa.float64(), nullable=False),  # base units
        pa.field("quote_volume", pa.float64()),
        pa.field("trades", pa.int64()),
        pa.field("buy_trades", pa.int64()),
        pa.field("buy_volume", pa.float64()),  # buyer-aggressor volume, base units
        pa.field("sell_volume", pa.float64()),
        pa.field("vwap", pa.float64()),
        pa.field("first_trade_id", pa.int64()),
        pa.field("last_trade_id", pa.int64()),
        pa.field("gap", pa.int32(), nullable=False),  # intervals without a bar just before this one
        pa.field("revision", pa.int32(), nullable=False),
    ]
)
"""Columns that need trades are null for sources that have none; no interval without a trade has a bar."""

MARKET: Final = pa.schema(
    [
        pa.field("ts_us", US, nullable=False),
        pa.field("symbol", pa.string(), nullable=False),
        pa.field("mkt_n", pa.float64(), nullable=False),  # other coins with a bar at this close
        pa.field("mkt_ret", pa.float64(), nullable=False),  # mean 1-bar log return of the others
        pa.field("mkt_up", pa.float64(), nullable=False),  # share of the others that rose
        pa.field("mkt_disp", pa.float64(), nullable=False),  # population sd of the others' returns
        pa.field(
            "lead_ret", pa.float64(), nullable=False
        ),  # return of the lead coin (0 on itself, NaN where it has none)
    ]
)

DATASET: Final = pa.schema(
    [
        pa.field("ts_us", US, nullable=False),  # close of the signal bar
        pa.field("t0_us", US, nullable=False),  # decided
        pa.field("t1_us", US, nullable=False),  # outcome known
        pa.field("y", pa.int8(), nullable=False),  # 0 SHORT, 1 NEUTRAL, 2 LONG
        pa.field("y_binary", pa.int8(), nullable=False),  # 1 UP, 0 DOWN, -1 flat
        pa.field("ret", pa.float64(), nullable=False),  # executable log return, gross
        pa.field("entry_price", pa.float64(), nullable=False),
        pa.field("exit_price", pa.float64(), nullable=False),
        pa.field("deadband", pa.float64(), nullable=False),  # log return
        pa.field("cost", pa.float64(), nullable=False),  # round trip, fraction
        pa.field("sigma", pa.float64(), nullable=False),  # 1-bar st. dev., causal
        pa.field("weight", pa.float64(), nullable=False),
        pa.field("role", pa.string(), nullable=False),
    ]
)

TARGETS: Final = pa.schema(
    [
        pa.field("ts_us", US, nullable=False),  # close of the signal bar
        pa.field("t0_us", US, nullable=False),
        pa.field("t1_us", US, nullable=False),
        pa.field("ret", pa.float64(), nullable=False),  # executable log return, gross
        pa.field("price", pa.float64(), nullable=False),  # of the exit
        pa.field("risk", pa.float64(), nullable=False),  # 0 to 100: percentile of the largest excursion
        pa.field("momentum", pa.int8(), nullable=False),  # 0 falling, 1 quiet, 2 rising
        pa.field("log_rv", pa.float64(), nullable=False),  # log of the realised variance of the time held
        pa.field("log_range", pa.float64(), nullable=False),  # log of its Parkinson variance
    ]
)
"""What the specialists learn, a row a label: of the path from entry to exit alone."""

META_LABELS: Final = pa.schema(
    [
        pa.field("ts_us", US, nullable=False),  # close of the signal bar
        pa.field("t0_us", US, nullable=False),
        pa.field("t1_us", US, nullable=False),
        pa.field("fold", pa.int32(), nullable=False),  # of the primary's prediction, >= 0
        pa.field("side", pa.int8(), nullable=False),  # the primary's: +1 LONG, -1 SHORT
        pa.field("confidence", pa.float64(), nullable=False),  # the primary's, raw
        pa.field("net", pa.float64(), nullable=False),  # of the side, less the round trip, a fraction of the entry
        pa.field("y", pa.int8(), nullable=False),  # 1 if net > 0
        pa.field("weight", pa.float64(), nullable=False),  # uniqueness among these rows, mean 1
    ]
)
"""Was the side a primary model took worth taking: rows of train, predicted out of fold."""

PREDICTIONS: Final = pa.schema(
    [
        pa.field("ts_us", US, nullable=False),
        pa.field("role", pa.string(), nullable=False),
        pa.field("fold", pa.int32(), nullable=False),  # >= 0 out-of-fold inside train, -1 final model
        pa.field("p_short", pa.float64(), nullable=False),
        pa.field("p_neutral", pa.float64(), nullable=False),
        pa.field("p_long", pa.float64(), nullable=False),
    ]
)

TRADES: Final = pa.schema(
    [
        pa.field("signal_ts_us", US, nullable=False),
        pa.field("entry_ts_us", US, nullable=False),
        pa.field("exit_ts_us", US, nullable=False),
        pa.field("side", pa.int8(), nullable=False),  # +1 LONG, -1 SHORT
        pa.field("confidence", pa.float64(), nullable=False),
        pa.field("entry_price", pa.float64(), nullable=False),
        pa.field("exit_price", pa.float64(), nullable=False),
        pa.field("gross", pa.float64(), nullable=False),  # fractions of entry notional
        pa.field("fees", pa.float64(), nullable=False),
        pa.field("spread", pa.float64(), nullable=False),
        pa.field("slippage", pa.float64(), nullable=False),
        pa.field("funding", pa.float64(), nullable=False),  # paid if > 0
        pa.field("net", pa.float64(), nullable=False),  # gross - fees - spread - slippage - funding
        pa.field("risk", pa.float64(), nullable=False),  # fraction of entry price
        pa.field("r", pa.float64(), nullable=False),  # net / risk
        pa.field("qty", pa.float64(), nullable=False),  # base units
        pa.field("exit_reason", pa.string(), nullable=False),  # time, stop, target, opposite; label: where it says
    ]
)

QUARANTINE: Final = pa.schema(
    [
        pa.field("file", pa.string(), nullable=False),
        pa.field("line", pa.int64(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("raw", pa.string(), nullable=False),
    ]
)

OBSERVATIONS: Final = pa.schema(
    [
        pa.field("file", pa.string(), nullable=False),  # name, without its folder
        pa.field("origin", pa.string(), nullable=False),  # folder or address it was read from
        pa.field("sha256", pa.string(), nullable=False),  # of the bytes as they came, packed if packed
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("format", pa.string(), nullable=False),
        pa.field("read", pa.int64(), nullable=False),  # rows
        pa.field("quarantined", pa.int64(), nullable=False),  # rows that are no trades
        pa.field("first_ts_us", US),  # null where no row is a trade
        pa.field("last_ts_us", US),
        pa.field("replaced_by", pa.string()),  # sha256 of the file that stands in its place now; null where it counts
        pa.field("refused", pa.string()),  # why it could not be read; null where it was
        pa.field("seen_ts_us", US),  # when these bytes were first looked at, by this machine's clock
    ]
)
"""Source files as they were read: what came, how much of it, and which time it spans."""

GAPS: Final = pa.schema(
    [
        pa.field("from_ts_us", US, nullable=False),  # the last trade before
        pa.field("to_ts_us", US, nullable=False),  # the first trade after
        pa.field("kind", pa.string(), nullable=False),  # "missing": ids jump; "silence": ids go on; "unknown": no ids
        pa.field("last_id", pa.int64()),  # before the gap
        pa.field("first_id", pa.int64()),  # after it
        pa.field("missing", pa.int64()),  # trades that the ids between say are missing
    ]
)

QUOTES: Final = pa.schema(
    [
        pa.field("ts_us", US, nullable=False),  # known time: when it reached us; equals event_ts_us where not recorded
        pa.field("event_ts_us", US, nullable=False),  # the venue's time
        pa.field("bid", pa.float64(), nullable=False),
        pa.field("bid_qty", pa.float64(), nullable=False),
        pa.field("ask", pa.float64(), nullable=False),
        pa.field("ask_qty", pa.float64(), nullable=False),
        pa.field("update_id", pa.int64()),  # null where the source has none
        pa.field("source", pa.string(), nullable=False),
    ]
)
"""Top of book, a row a change."""

CONTEXT: Final = pa.schema(
    [
        pa.field("kind", pa.string(), nullable=False),  # "funding_rate", "mark_price", "open_interest", ...
        pa.field("event_ts_us", US, nullable=False),  # what the value is about
        pa.field("ts_us", US, nullable=False),  # known time: no earlier moment may see it
        pa.field("value", pa.float64(), nullable=False),
        pa.field("revision", pa.int32(), nullable=False),  # 0 the first value for this event time, then 1, 2, ...
        pa.field("source", pa.string(), nullable=False),
    ]
)
"""Feeds beside the trades, bitemporal: a later revision is another row, and nobody before its known time sees it."""

CONTEXT_GAPS: Final = pa.schema(
    [
        pa.field("kind", pa.string(), nullable=False),
        pa.field("from_ts_us", US, nullable=False),  # the last event before
        pa.field("to_ts_us", US, nullable=False),  # the first event after
        pa.field("period_us", pa.int64(), nullable=False),  # at which events should have come
        pa.field("missing", pa.int64(), nullable=False),  # events that did not
    ]
)
"""Events that should have been there, by the schedule of their kind."""

CONTEXT_BARS: Final = pa.schema(
    [
        pa.field("ts_us", US, nullable=False),  # close of the bar
        pa.field("funding_rate", pa.float64(), nullable=False),  # settled last; a fraction
        pa.field("funding_age_h", pa.float64(), nullable=False),  # since that settlement
        pa.field("funding_interval_h", pa.float64(), nullable=False),  # between settlements, as known then
        pa.field("hours_to_funding", pa.float64(), nullable=False),  # to the next settlement, by that interval
        pa.field("funding_24h", pa.float64(), nullable=False),  # sum of the 24 h that end with the last settlement
        pa.field("funding_mean_30", pa.float64(), nullable=False),  # of the last 30 rates; NaN with fewer
        pa.field("funding_sd_30", pa.float64(), nullable=False),  # their population standard deviation
        pa.field("mark_price", pa.float64(), nullable=False),
        pa.field("index_price", pa.float64(), nullable=False),
        pa.field("open_interest", pa.float64(), nullable=False),  # base
        pa.field("open_interest_value", pa.float64(), nullable=False),  # quote
        pa.field("long_short_ratio", pa.float64(), nullable=False),
        pa.field("top_long_short_accounts", pa.float64(), nullable=False),
        pa.field("top_long_short_positions", pa.float64(), nullable=False),
        pa.field("taker_buy_volume", pa.float64(), nullable=False),  # quote
        pa.field("taker_sell_volume", pa.float64(), nullable=False),
        pa.field("open_interest_age_h", pa.float64(), nullable=False),  # since the newest event, of either unit
        pa.field("open_interest_change_1h", pa.float64(), nullable=False),  # log of known now over known an hour ago
        pa.field("taker_buy_sell_ratio", pa.float64(), nullable=False),  # the venue's own; else of its two volumes
        pa.field("liquidated_long", pa.float64(), nullable=False),  # quote, made known within the bar
        pa.field("liquidated_short", pa.float64(), nullable=False),
    ]
)
"""Context as known at the close, a row a bar. NaN where nothing was known, or only something too old."""

BOOK_BARS: Final = pa.schema(
    [
        pa.field("ts_us", US, nullable=False),  # close of the bar
        pa.field("mid", pa.float64()),  # at the close; null where no quote is known
        pa.field("spread_bps", pa.float64()),  # (ask - bid) / mid
        pa.field("imbalance", pa.float64()),  # (bid_qty - ask_qty) / (bid_qty + ask_qty), -1 to 1
        pa.field("micro_dev_bps", pa.float64()),  # microprice less mid
        pa.field("quote_age_us", pa.int64()),  # since the last quote became known
        pa.field("quote_updates", pa.int64(), nullable=False),  # quotes known in (open, close]
        pa.field("ofi_qty", pa.float64()),  # order-flow imbalance of the top over the bar, the venue's units
        pa.field("spread_tw_bps", pa.float64()),  # time-weighted over the bar
        pa.field("imbalance_tw", pa.float64()),
        pa.field("top_qty_tw", pa.float64()),  # mean of bid_qty and ask_qty: the scale of ofi_qty
    ]
)
"""Top of the book, a row a bar close; depth columns follow where asked for."""


def conform(table: pa.Table, schema: pa.Schema, what: str) -> pa.Table:
    """Return `table` with exactly the columns and types of `schema`, in its order.

    Parameters
    ----------
    table : pyarrow.Table
    schema : pyarrow.Schema
    what : str
        Name of the table in error messages, e.g. ``"bars BTCUSDT"``.

    Raises
    ------
    ContractError
        Names both sides: the columns found and the columns expected, or the column with nulls.
    """
    missing = [name for name in schema.names if name not in table.column_names]
    extra = [name for name in table.column_names if name not in schema.names]
    if missing or extra:
        raise ContractError(
            f"{what}: columns differ from the contract - missing {missing}, unexpected {extra}; "
            f"found {table.column_names}, expected {schema.names}"
        )
    table = table.select(schema.names)
    try:
        table = table.cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise ContractError(f"{what}: types differ from the contract - {error}") from error
    for field in schema:
        if not field.nullable and (nulls := table.column(field.name).null_count):
            raise ContractError(
                f"{what}: column {field.name!r} has {nulls} nulls of {table.num_rows} rows; none allowed"
            )
    return table


def us(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """Stamps of a table column as int64 microseconds, shape (n,)."""
    if isinstance(column, pa.Array):
        column = pa.chunked_array([column])
    return np.asarray(column.cast(US).cast(pa.int64()).to_numpy(), dtype=np.int64)


def stamps(ts_us: np.ndarray) -> pa.Array:
    """Int64 microseconds as a ``timestamp[us, UTC]`` column, shape (n,)."""
    return pa.array(np.ascontiguousarray(ts_us, dtype=np.int64)).cast(US)
