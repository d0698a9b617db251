"""Kraken: the answer of its REST call for trades, and its downloadable klines.

The downloadable trades (time, price, volume) do not say who was the aggressor: they are refused.

References
----------
https://docs.kraken.com/api/docs/rest-api/get-recent-trades
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from scalper_ml.errors import InputError
from scalper_ml.ingest.base import Head, Layout
from scalper_ml.ingest.headers import number

__all__ = ["KrakenKlines", "KrakenTrades"]

_TRADES: Final = "kraken-spot-trades"
_KLINES: Final = "kraken-spot-klines"
_LATEST_S: Final = 4_102_444_800.0
_EARLIEST_S: Final = 946_684_800.0


class KrakenTrades:
    """Rows of price, volume, time, b or s, m or l, misc and, in later answers, the trade's id."""

    formats: Mapping[str, str] = {_TRADES: "price,volume,time,side (b or s),order type (m or l),misc[,trade id]"}

    def layout(self, head: Head, path: Path, wanted: str | None = None) -> Layout | None:
        """The layout by its shape: seconds in the third column, b or s in the fourth, m or l in the fifth.

        Raises
        ------
        InputError
            If it is the downloadable CSV, which has no side.
        """
        row = head.first
        if not head.typed and len(row) == 3 and _is_seconds(row[0]) and all(number(field) for field in row[1:]):
            raise InputError(
                f"{path}: line 1 {','.join(row)!r} is time, price, volume as Kraken's downloads have it: the column "
                "with the aggressor side is missing; expected it, since no side is guessed here - take the trades from "
                "the REST call Trades, which has it"
            )
        if head.typed or len(row) not in (6, 7) or not _is_seconds(row[2]):
            return None
        if row[3] not in ("b", "s") or row[4] not in ("m", "l"):
            return None
        columns = {"price": 0, "qty": 1, "ts": 2, "side": 3} | ({"id": 6} if len(row) == 7 else {})
        return Layout(_TRADES, columns, has_header=False, units="base")


class KrakenKlines:
    """Rows of time in seconds, open, high, low, close, volume, trades."""

    formats: Mapping[str, str] = {_KLINES: "time,open,high,low,close,volume,trades"}

    def layout(self, head: Head, path: Path, wanted: str | None = None) -> Layout | None:
        """The layout by its shape: seven numbers, the first a whole second, the last a whole count."""
        row = head.first
        if head.typed or len(row) != 7 or not row[0].isdigit() or not _is_seconds(row[0]) or not row[6].isdigit():
            return None
        roles = ("ts", "open", "high", "low", "close", "volume", "count")
        return Layout(_KLINES, {role: at for at, role in enumerate(roles)}, has_header=False, units="base")


def _is_seconds(field: str) -> bool:
    value = number(field)
    return value is not None and _EARLIEST_S <= value < _LATEST_S
