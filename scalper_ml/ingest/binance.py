"""Binance dumps of trades and aggregate trades, with and without a header, and klines of its coin-margined futures.

``is_buyer_maker = true`` means that the buyer's order was resting: the aggressor sold. Coin-margined futures count
contracts of 100 USD (BTC) or 10 USD (all others): their trades give the base quantity beside, their aggregate
trades do not.

References
----------
Binance public data: https://github.com/binance/binance-public-data
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from scalper_ml.ingest.base import Contract, Head, Layout
from scalper_ml.ingest.headers import is_header, number, places, plain_name

__all__ = ["BinanceCoinKlines", "BinanceTrades"]

_COIN_TRADES: Final = "binance-coinm-trades"
_COIN_AGGTRADES: Final = "binance-coinm-aggtrades"
_LAYOUTS: Final[dict[str, tuple[int, dict[str, int]]]] = {
    "binance-spot-trades": (7, {"id": 0, "price": 1, "qty": 2, "ts": 4, "maker": 5}),
    "binance-spot-aggtrades": (8, {"id": 0, "price": 1, "qty": 2, "ts": 5, "maker": 6}),
    "binance-usdm-trades": (6, {"id": 0, "price": 1, "qty": 2, "ts": 4, "maker": 5}),
    "binance-usdm-aggtrades": (7, {"id": 0, "price": 1, "qty": 2, "ts": 5, "maker": 6}),
    _COIN_TRADES: (6, {"id": 0, "price": 1, "qty": 3, "ts": 4, "maker": 5}),
    _COIN_AGGTRADES: (7, {"id": 0, "price": 1, "qty": 2, "ts": 5, "maker": 6}),
}
_HEADERS: Final[dict[str, tuple[str, ...]]] = {
    "binance-spot-trades": ("id", "price", "qty", "quoteqty", "time", "isbuyermaker", "isbestmatch"),
    "binance-usdm-trades": ("id", "price", "qty", "quoteqty", "time", "isbuyermaker"),
    "binance-spot-aggtrades": (
        "aggtradeid", "price", "quantity", "firsttradeid", "lasttradeid", "transacttime", "isbuyermaker", "isbestmatch",
    ),
    "binance-usdm-aggtrades": (
        "aggtradeid", "price", "quantity", "firsttradeid", "lasttradeid", "transacttime", "isbuyermaker",
    ),
    _COIN_TRADES: ("id", "price", "qty", "baseqty", "time", "isbuyermaker"),
    _COIN_AGGTRADES: (
        "aggtradeid", "price", "quantity", "firsttradeid", "lasttradeid", "transacttime", "isbuyermaker",
    ),
}  # fmt: skip
_FLAG: Final = {"true", "false"}
_COIN_NAME: Final = re.compile(r"([A-Z0-9]+)USD_(?:PERP|\d{6})")
_CONTRACT_USD: Final = (10.0, 100.0)


class BinanceTrades:
    """The six layouts of Binance's public trade dumps."""

    formats: Mapping[str, str] = {name: ",".join(columns) for name, columns in _HEADERS.items()}

    def layout(self, head: Head, path: Path, wanted: str | None = None) -> Layout | None:
        """The layout whose header or, without one, whose shape this is.

        Aggregate trades of USD-M and COIN-M look alike: they are COIN-M's where the file also has the name of a
        COIN-M instrument (``BTCUSD_PERP-aggTrades-...``), or the user says so.
        """
        if head.typed:
            return None
        name = _by_header(head) if is_header(head.first) else _by_shape(head)
        if name is None:
            return None
        coin = _COIN_NAME.search(path.name) or _COIN_NAME.search(head.name)
        if name == "binance-usdm-aggtrades" and (wanted == _COIN_AGGTRADES or (wanted is None and coin is not None)):
            worth = None if coin is None else Contract(100.0 if coin.group(1) == "BTC" else 10.0, inverse=True)
            return Layout(_COIN_AGGTRADES, _LAYOUTS[name][1], is_header(head.first), units="contracts", contract=worth)
        if {name, wanted} == {"binance-usdm-trades", _COIN_TRADES} and not is_header(head.first):
            name = wanted or name
        return Layout(name, _LAYOUTS[name][1], is_header(head.first), units="base")


class BinanceCoinKlines:
    """Klines of coin-margined futures: the volume is in contracts, the base volume stands where others have quote."""

    formats: Mapping[str, str] = {
        "binance-coinm-klines": "open_time,open,high,low,close,volume,close_time,base_volume,count,"
        "taker_buy_volume,taker_buy_base_volume,ignore"
    }

    def layout(self, head: Head, path: Path, wanted: str | None = None) -> Layout | None:
        """Twelve columns whose seventh is contracts times 10 or 100 USD, divided by a price of that bar."""
        header = is_header(head.first)
        by_name = {"ts": "opentime", "count": "count", "close_time": "closetime"}
        if head.typed or len(head.first) != 12 or (header and places(head.first, by_name) is None):
            return None
        if wanted is None and not _counts_contracts(head):
            return None
        columns = {"ts": 0, "open": 1, "high": 2, "low": 3, "close": 4, "volume": 7, "close_time": 6}
        return Layout("binance-coinm-klines", columns | {"count": 8, "buy_volume": 10}, header, units="base")


def _by_header(head: Head) -> str | None:
    plain = tuple(plain_name(name) for name in head.first)
    plain = tuple({"timestamp": "transacttime"}.get(name, name) for name in plain)
    return next((name for name, known in _HEADERS.items() if plain == known), None)


def _by_shape(head: Head) -> str | None:
    for fields in (head.first, head.second):  # the first row may be the damaged one
        flags = [i for i, field in enumerate(fields) if field.lower() in _FLAG]
        for name, (width, columns) in _LAYOUTS.items():
            best = [width - 1] if name.startswith("binance-spot") else []
            if len(fields) == width and flags == [columns["maker"], *best] and fields[columns["ts"]].isdigit():
                return _COIN_TRADES if name == "binance-usdm-trades" and _has_base(head) else name
    return None


def _has_base(head: Head) -> bool:
    """Whether the fourth column of trades is a base quantity of contracts, not price times quantity."""
    votes = 0
    for row in head.rows:
        values = [number(field) for field in row[1:4]]
        if len(row) == 6 and all(value is not None and value > 0 for value in values):
            price, qty, other = (float(value) for value in values if value is not None)
            votes -= abs(other / (price * qty) - 1) < 0.01
            votes += qty == int(qty) and any(abs(other * price / (qty * usd) - 1) < 0.01 for usd in _CONTRACT_USD)
    return votes > 0


def _counts_contracts(head: Head) -> bool:
    votes = 0
    for row in head.rows:
        values = [number(row[at]) for at in (2, 3, 5, 7)] if len(row) == 12 else [None]
        if all(value is not None and value > 0 for value in values):
            high, low, volume, other = (float(value) for value in values if value is not None)
            votes -= low * 0.999 <= other / volume <= high * 1.001
            contracts = any(low * 0.999 <= volume * usd / other <= high * 1.001 for usd in _CONTRACT_USD)
            votes += volume == int(volume) and contracts
    return votes > 0
