"""Freqtrade's downloaded data: trades and candles as Feather, Parquet, JSON rows, and trades as CSV.

The venue is in the path only (``user_data/data/binance``), so the format cannot name it. Amounts are base units.

References
----------
https://www.freqtrade.io/en/stable/data-download
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from scalper_ml.ingest.base import Head, Layout
from scalper_ml.ingest.headers import number, places

__all__ = ["FreqtradeKlines", "FreqtradeTrades"]

_TRADES: Final = "freqtrade-trades"
_KLINES: Final = "freqtrade-klines"
_NAMES: Final = ("timestamp", "id", "type", "side", "price", "amount", "cost")
_BY_NAME: Final = {"ts": "timestamp", "id": "id", "side": "side", "price": "price", "qty": "amount"}
_CANDLE: Final = ("date", "open", "high", "low", "close", "volume")
_EARLIEST_MS: Final = 946_684_800_000


class FreqtradeTrades:
    """Tables of seven columns; a CSV may have the row number before and the date after them."""

    formats: Mapping[str, str] = {_TRADES: ",".join(_NAMES)}

    def layout(self, head: Head, path: Path, wanted: str | None = None) -> Layout | None:
        """The layout by its names, or of JSON rows by their shape."""
        inner = [name for name in head.first if name not in ("", "date")]
        if tuple(inner) == _NAMES:
            return Layout(_TRADES, places(head.first, _BY_NAME) or {}, has_header=True, units="base")
        row = head.first
        is_row = not head.typed and len(row) == 7 and row[0].isdigit() and int(row[0]) >= _EARLIEST_MS
        if not is_row or row[3].lower() not in ("buy", "sell") or number(row[4]) is None:
            return None
        return Layout(_TRADES, {"ts": 0, "id": 1, "side": 3, "price": 4, "qty": 5}, has_header=False, units="base")


class FreqtradeKlines:
    """Tables with the six columns that freqtrade stores."""

    formats: Mapping[str, str] = {_KLINES: ",".join(_CANDLE)}

    def layout(self, head: Head, path: Path, wanted: str | None = None) -> Layout | None:
        """The layout by its exact columns; JSON rows are read as any rows without a header."""
        if not head.typed or tuple(head.first) != _CANDLE:
            return None
        return Layout(_KLINES, {"ts": 0} | {name: at for at, name in enumerate(_CANDLE) if at}, True, units="base")
