"""One file a venue: how its messages read. A new venue is one file here and one line in the registry."""

from collections.abc import Mapping
from typing import Final

from scalper_ml.book.dialects.base import Dialect
from scalper_ml.book.dialects.binance import Binance
from scalper_ml.book.dialects.bybit import Bybit
from scalper_ml.book.dialects.deribit import Deribit
from scalper_ml.book.dialects.kraken import KrakenFutures
from scalper_ml.book.dialects.okx import Okx

__all__ = ["DIALECTS", "Dialect"]

DIALECTS: Final[Mapping[str, type[Dialect]]] = {
    "BINANCE": Binance,
    "BINANCE_FUTURES": Binance,
    "BINANCE_DELIVERY": Binance,
    "BYBIT": Bybit,
    "DERIBIT": Deribit,
    "KRAKEN_FUTURES": KrakenFutures,
    "OKX": Okx,
}
"""Name of the exchange in a capture's header to its dialect; a capture without a header is Binance's."""
