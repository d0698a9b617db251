"""NautilusTrader's Parquet tables of Binance trades: timestamp, trade_id, price, quantity, buyer_maker."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from scalper_ml.ingest.base import Head, Layout
from scalper_ml.ingest.headers import places

__all__ = ["NautilusTrades"]

_COLUMNS: Final = {"ts": "timestamp", "id": "tradeid", "price": "price", "qty": "quantity", "maker": "buyermaker"}


class NautilusTrades:
    """A table whose flag says, as text, whether the buyer's order was resting."""

    formats: Mapping[str, str] = {"nautilus-binance-trades": "timestamp,trade_id,price,quantity,buyer_maker"}

    def layout(self, head: Head, path: Path, wanted: str | None = None) -> Layout | None:
        """The layout by its exact columns."""
        found = places(head.first, _COLUMNS) if head.typed else None
        if found is None or len(head.first) != len(_COLUMNS):
            return None
        return Layout("nautilus-binance-trades", found, has_header=True, units="base")
