"""Binance's public dumps of funding rates, of five-minute metrics and of liquidations."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import numpy as np

from scalper_ml.context.base import BAD_STAMP, HOUR_US, Parsed, Request, Values, known_us, snapped, values_of
from scalper_ml.errors import InputError
from scalper_ml.ingest.lines import Columns
from scalper_ml.ingest.trades import check_symbol
from scalper_ml.ingest.values import decimals, sides, stamps_us

__all__ = ["BinanceFunding", "BinanceLiquidations", "BinanceMetrics"]

_MINUTE_US: Final = 60_000_000
_PERIOD_US: Final = 5 * _MINUTE_US

_METRICS_DELAY_US: Final = _PERIOD_US
"""One whole period after the one described: enough whichever end of its period a label names."""
_LIQUIDATION_DELAY_US: Final = 1_000_000
"""The stream of forced orders is pushed once a second."""
_LABELS_CHANGED_US: Final = int(datetime(2026, 6, 25, tzinfo=UTC).timestamp()) * 1_000_000
"""From this label on, a USD-M row is labelled with the start of its period (binance-public-data issue 491)."""

_METRICS: Final[Mapping[str, str]] = {
    "sumopeninterest": "open_interest",
    "sumopeninterestvalue": "open_interest_value",
    "counttoptraderlongshortratio": "top_long_short_accounts",
    "sumtoptraderlongshortratio": "top_long_short_positions",
    "countlongshortratio": "long_short_ratio",
    "sumtakerlongshortvolratio": "taker_buy_sell_ratio",
}
_METRIC_COLUMNS: Final[Mapping[str, str]] = {
    "sumopeninterest": "sum_open_interest",
    "sumopeninterestvalue": "sum_open_interest_value",
    "counttoptraderlongshortratio": "count_toptrader_long_short_ratio",
    "sumtoptraderlongshortratio": "sum_toptrader_long_short_ratio",
    "countlongshortratio": "count_long_short_ratio",
    "sumtakerlongshortvolratio": "sum_taker_long_short_vol_ratio",
}


class BinanceFunding:
    """``calc_time, funding_interval_hours, last_funding_rate``; or ``fundingTime, fundingRate`` as the API names them.

    A rate is known when it is settled. The stamp jitters by milliseconds around the hour: the event is the hour,
    the stamp is the known time.
    """

    formats: tuple[str, ...] = ("binance-funding",)

    def roles(self, names: Sequence[str]) -> dict[str, int] | None:
        """The columns, if there are a time and a rate under these names."""
        for ts, rate in (("calctime", "lastfundingrate"), ("fundingtime", "fundingrate")):
            if ts in names and rate in names and "instid" not in names:
                found = {"ts": names.index(ts), "rate": names.index(rate)}
                extra = {"interval": "fundingintervalhours", "mark": "markprice", "symbol": "symbol"}
                return found | {role: names.index(name) for role, name in extra.items() if name in names}
        return None

    def parse(self, columns: Columns, request: Request) -> Parsed:
        """Rates, and the interval and mark price where the file has them."""
        if "symbol" in columns.values:
            check_symbol(columns, request.symbol, request.path)
        stamp, stamped = stamps_us(columns.values["ts"])
        event = snapped(stamp, HOUR_US)
        known = known_us(stamp, event, request.delay(0))
        kinds = {"rate": "funding_rate", "interval": "funding_interval_h", "mark": "mark_price"}
        values = [
            values_of(kind, (role, columns.values[role]), stamped, event, known)
            for role, kind in kinds.items()
            if role in columns.values
        ]
        return Parsed(self.formats[0], values, stamp[stamped])


class BinanceMetrics:
    """``create_time, symbol, sum_open_interest, ... sum_taker_long_short_vol_ratio``, a row per five minutes.

    A USD-M row was labelled with the end of its period, and since 2026-06-25 with its start; a COIN-M row always
    with its start. The event is the end of the period. Known one period later (`_METRICS_DELAY_US`).
    """

    formats: tuple[str, ...] = ("binance-metrics",)

    def roles(self, names: Sequence[str]) -> dict[str, int] | None:
        """The columns, if there are a create time and at least one metric."""
        found = {name: names.index(name) for name in _METRICS if name in names}
        if "createtime" not in names or not found:
            return None
        return {"ts": names.index("createtime"), **_symbol(names), **found}

    def parse(self, columns: Columns, request: Request) -> Parsed:
        """Six kinds, or those that the file has."""
        if "symbol" in columns.values:
            check_symbol(columns, request.symbol, request.path)
        stamp, stamped = stamps_us(columns.values["ts"])
        begins = np.ones(len(stamp), dtype=bool) if _coin_margined(request.symbol) else _start_labelled(stamp, stamped)
        ended = np.where(begins, stamp + _PERIOD_US, stamp)
        event = snapped(ended, _PERIOD_US)
        known = known_us(ended, event, request.delay(_METRICS_DELAY_US))
        values = [
            values_of(kind, (_METRIC_COLUMNS[name], columns.values[name]), stamped, event, known)
            for name, kind in _METRICS.items()
            if name in columns.values
        ]
        return Parsed(self.formats[0], values, stamp[stamped])


class BinanceLiquidations:
    """``time, side, order_type, ... average_price, ... accumulated_fill_quantity``: forced orders.

    A forced sale closes a long. The value is what was filled, in quote units: quantity times average price, or, for
    a COIN-M contract, contracts times their face value (100 USD of BTC, 10 USD of others). Rows that show an order
    again, with as much filled or less, are repeats of it; two orders alike in every column cannot be told apart.
    """

    formats: tuple[str, ...] = ("binance-liquidations",)

    def roles(self, names: Sequence[str]) -> dict[str, int] | None:
        """The columns, if these are forced orders."""
        wanted = {
            "ts": "time",
            "side": "side",
            "ordered": "originalquantity",
            "price": "price",
            "average": "averageprice",
            "filled": "accumulatedfillquantity",
        }
        if not set(wanted.values()) <= set(names):
            return None
        return {role: names.index(name) for role, name in wanted.items()} | _symbol(names)

    def parse(self, columns: Columns, request: Request) -> Parsed:
        """Notional of longs and of shorts that were liquidated."""
        if "symbol" in columns.values:
            check_symbol(columns, request.symbol, request.path)
        stamp, stamped = stamps_us(columns.values["ts"])
        side = sides(columns.values["side"])
        filled, filled_read = decimals(columns.values["filled"])
        average, average_read = decimals(columns.values["average"])
        value = filled * (_face_value(request.symbol) if _coin_margined(request.symbol) else average)
        with np.errstate(invalid="ignore"):
            good = filled_read & average_read & np.isfinite(value) & (filled > 0) & (average > 0)
        tests = (~stamped, side == 0, ~good)
        texts = (
            f"ts: {BAD_STAMP}",
            "side: neither buy nor sell",
            "average_price, accumulated_fill_quantity: not positive and finite",
        )
        fault = np.select(tests, texts, "")
        order = [stamp, side, *(decimals(columns.values[role])[0] for role in ("ordered", "price"))]
        repeats = _shown_again(order, np.where(fault == "", filled, -1.0), average) & (fault == "")
        known = known_us(stamp, stamp, request.delay(_LIQUIDATION_DELAY_US))
        values = [
            Values(kind, rows, stamp[rows], known[rows], value[rows], fault[rows], repeats[rows])
            for kind, rows in (
                ("liquidated_long", np.flatnonzero(side != 1)),
                ("liquidated_short", np.flatnonzero(side == 1)),
            )
        ]
        return Parsed(self.formats[0], values, stamp[stamped])


def _symbol(names: Sequence[str]) -> dict[str, int]:
    return {"symbol": names.index("symbol")} if "symbol" in names else {}


def _coin_margined(symbol: str) -> bool:
    return "USD_" in symbol.upper()


def _face_value(symbol: str) -> float:
    if not symbol.upper().split("USD_")[0].isalnum():
        raise InputError(f"symbol {symbol!r}: not a COIN-M contract; expected a name such as BTCUSD_PERP")
    return 100.0 if symbol.upper().startswith("BTCUSD_") else 10.0


def _start_labelled(stamp: np.ndarray, stamped: np.ndarray) -> np.ndarray:
    """Rows labelled with the start of their period: from the change on, but not the last row of the day before it."""
    begins = stamp >= _LABELS_CHANGED_US
    last_of_old = np.flatnonzero(stamped & (stamp == _LABELS_CHANGED_US))
    if last_of_old.size and np.any(stamp[stamped] < _LABELS_CHANGED_US):
        begins[last_of_old[0]] = False
    return begins


def _shown_again(order: Sequence[np.ndarray], filled: np.ndarray, average: np.ndarray) -> np.ndarray:
    """Rows of an order of which another row shows more filled, or as much (then the highest average price counts)."""
    places = np.lexsort((average, filled, *order))
    same = np.logical_and.reduce([column[places[1:]] == column[places[:-1]] for column in order])
    again = np.zeros(len(filled), dtype=bool)
    again[places[:-1]] = same
    return again
