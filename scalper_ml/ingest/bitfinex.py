"""Bitfinex: trades and candles as its REST calls answer, as JSON or as lines without a header.

A trade is id, ms stamp, signed amount, price: a negative amount is a sale by the aggressor. A candle is ordered
**open, close, high, low**, unlike everyone else's; without a header only the prices themselves tell the order.

References
----------
https://docs.bitfinex.com/reference/rest-public-trades, https://docs.bitfinex.com/reference/rest-public-candles
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from scalper_ml.errors import InputError
from scalper_ml.ingest.base import Head, Layout
from scalper_ml.ingest.headers import is_header, number, places

__all__ = ["BitfinexKlines", "BitfinexTrades"]

_TRADES: Final = "bitfinex-spot-trades"
_KLINES: Final = "bitfinex-spot-klines"
_EARLIEST_MS: Final = 946_684_800_000


class BitfinexTrades:
    """Rows of id, ms stamp, signed amount, price, with or without those words as a header."""

    formats: Mapping[str, str] = {_TRADES: "id,mts,amount (negative where sold),price"}

    def layout(self, head: Head, path: Path, wanted: str | None = None) -> Layout | None:
        """The layout by its header, or by its shape where an amount is negative or the user says so."""
        named = places(head.first, {"id": "id", "ts": "mts", "signed_qty": "amount", "price": "price"})
        if named is not None:
            return Layout(_TRADES, named, has_header=True, units="base")
        if head.typed or is_header(head.first) or not any(_is_trade(row) for row in head.rows[:2]):
            return None
        signed = any(_is_trade(row) and row[2].startswith("-") for row in head.rows)
        if not signed and wanted is None:
            return None
        return Layout(_TRADES, {"id": 0, "ts": 1, "signed_qty": 2, "price": 3}, has_header=False, units="base")


class BitfinexKlines:
    """Rows of ms stamp, open, close, high, low, volume without a header."""

    formats: Mapping[str, str] = {_KLINES: "mts,open,close,high,low,volume, without a header"}

    def layout(self, head: Head, path: Path, wanted: str | None = None) -> Layout | None:
        """The layout if the rows are torn in any other order: the third price is the highest, the fourth the lowest.

        Raises
        ------
        InputError
            If every row has one price only, so that the order cannot be told, and more rows follow.
        """
        if head.typed or is_header(head.first) or len(head.first) != 6 or not _is_stamp(head.first[0]):
            return None
        common, bitfinex = _orders(head.rows)
        if wanted is None and common == bitfinex == 0 and not head.whole:
            raise InputError(
                f"{path}: line 1 is no header, and the first {len(head.rows)} rows have one price each: the order of "
                f"columns 2 to 5 cannot be told; expected a header, or format={_KLINES!r} (open, close, high, low) or "
                "'klines' (open, high, low, close)"
            )
        if wanted is None and bitfinex <= common:
            return None
        columns = {"ts": 0, "open": 1, "close": 2, "high": 3, "low": 4, "volume": 5}
        return Layout(_KLINES, columns, has_header=False, units="base")


def _orders(rows: Sequence[Sequence[str]]) -> tuple[int, int]:
    """How many rows are candles as open, high, low, close only, and as open, close, high, low only."""
    common = bitfinex = 0
    for row in rows:
        values = [number(field) for field in row[1:5]]
        if len(row) == 6 and all(value is not None for value in values):
            a, b, c, d = (float(value) for value in values if value is not None)
            as_common = b == max(a, b, c, d) and c == min(a, b, c, d)
            as_bitfinex = c == max(a, b, c, d) and d == min(a, b, c, d)
            common += as_common and not as_bitfinex
            bitfinex += as_bitfinex and not as_common
    return common, bitfinex


def _is_trade(row: Sequence[str]) -> bool:
    return (
        len(row) == 4 and row[0].isdigit() and _is_stamp(row[1]) and all(number(field) is not None for field in row[2:])
    )


def _is_stamp(field: str) -> bool:
    return field.isdigit() and int(field) >= _EARLIEST_MS
