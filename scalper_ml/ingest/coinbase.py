"""Coinbase: the answer of its REST call for trades, and recorded tapes of its feed.

The venue's own ``side`` is that of the **resting** order, so that ``buy`` is a sale by the aggressor; recorded tapes
(symbol, side, price, amount, timestamp) have it turned to the aggressor's already.

References
----------
https://docs.cdp.coinbase.com/exchange/reference/exchangerestapi_getproducttrades
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from scalper_ml.ingest.base import Head, Layout
from scalper_ml.ingest.headers import is_header, places, plain_name

__all__ = ["CoinbaseTrades"]

_TAPE: Final = "coinbase-spot-trades"
_REST: Final = "coinbase-spot-resttrades"
_TAPE_COLUMNS: Final = {"symbol": "symbol", "side": "side", "price": "price", "qty": "amount", "ts": "timestamp"}
_REST_COLUMNS: Final = {"id": "tradeid", "maker_side": "side", "qty": "size", "price": "price", "ts": "time"}
_PRODUCT: Final = re.compile(r"^[A-Z0-9]+-[A-Z0-9]+$")


class CoinbaseTrades:
    """A tape with products such as ``BTC-USD``, or the records of the REST call."""

    formats: Mapping[str, str] = {_TAPE: "symbol,side,price,amount,timestamp", _REST: "trade_id,side,size,price,time"}

    def layout(self, head: Head, path: Path, wanted: str | None = None) -> Layout | None:
        """The layout by its exact set of columns; of a tape also by the spelling of its product."""
        if not head.typed and not is_header(head.first):
            return None
        names = {plain_name(name) for name in head.first}
        if names == set(_REST_COLUMNS.values()) and wanted != _TAPE:
            return Layout(_REST, places(head.first, _REST_COLUMNS) or {}, has_header=True, units="base")
        found = places(head.first, _TAPE_COLUMNS)
        if found is None or len(names) != len(_TAPE_COLUMNS) or wanted == _REST:
            return None
        products = [row[found["symbol"]] for row in head.rows if len(row) == len(head.first)]
        if wanted is None and not (products and all(_PRODUCT.match(product) for product in products[:1])):
            return None
        return Layout(_TAPE, found, has_header=True, units="base")
