"""Tardis' files of trades: one layout for every venue, which stands in the first column.

``timestamp`` is the venue's, ``local_timestamp`` when the message came in; both in microseconds. Amounts are what
the venue counts: contracts on some of them.

References
----------
https://docs.tardis.dev/downloadable-csv-files
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from scalper_ml.errors import InputError
from scalper_ml.ingest.base import Head, Layout, Units
from scalper_ml.ingest.headers import places

__all__ = ["TardisTrades"]

_COLUMNS: Final = {
    "exchange": "exchange", "symbol": "symbol", "ts": "timestamp", "local": "localtimestamp", "id": "id",
    "side": "side", "price": "price", "qty": "amount",
}  # fmt: skip
_IN_BASE: Final = frozenset((
    "binance", "binance-futures", "binance-us", "bitfinex", "bitfinex-derivatives", "bitstamp", "bybit-spot",
    "coinbase", "dydx", "dydx-v4", "gate-io", "gemini", "huobi", "hyperliquid", "kraken", "kucoin", "okex", "poloniex",
    "upbit",
))  # fmt: skip
_IN_CONTRACTS: Final = frozenset((
    "binance-delivery", "bitmex", "cryptofacilities", "gate-io-futures", "huobi-dm", "huobi-dm-swap",
    "huobi-dm-linear-swap", "kucoin-futures", "okex-futures", "okex-swap",
))  # fmt: skip


class TardisTrades:
    """Trades of any venue; the format is named after it, such as ``tardis-binance-futures-trades``."""

    formats: Mapping[str, str] = {
        "tardis-*-trades": "exchange,symbol,timestamp,local_timestamp,id,side,price,amount",
    }

    def layout(self, head: Head, path: Path, wanted: str | None = None) -> Layout | None:
        """The layout by its header, named after the venue of the first row.

        Raises
        ------
        InputError
            If rows are of several venues.
        """
        found = places(head.first, _COLUMNS)
        if found is None:
            return None
        whole = [row for row in head.rows if len(row) == len(head.first)]
        venues = sorted({row[found["exchange"]] for row in whole})
        if len(venues) != 1:
            raise InputError(f"{path}: line 2, column exchange: found {venues}; expected one venue a file")
        columns = {role: at for role, at in found.items() if role not in ("exchange", "local")}
        units: Units = "contracts" if venues[0] in _IN_CONTRACTS else "base" if venues[0] in _IN_BASE else "unknown"
        return Layout(f"tardis-{venues[0]}-trades", columns, has_header=True, units=units)
