"""Binance dumps of trades and aggregate trades, spot and USD-M futures, with and without a header.

``is_buyer_maker = true`` means that the buyer's order was resting: the aggressor sold.
"""

from pathlib import Path
from typing import Final

from scalper_ml.ingest.base import Head, Layout
from scalper_ml.ingest.headers import is_header

__all__ = ["BinanceTrades"]

_LAYOUTS: Final[dict[str, tuple[int, dict[str, int]]]] = {
    "binance-spot-trades": (7, {"id": 0, "price": 1, "qty": 2, "ts": 4, "maker": 5}),
    "binance-spot-aggtrades": (8, {"id": 0, "price": 1, "qty": 2, "ts": 5, "maker": 6}),
    "binance-usdm-trades": (6, {"id": 0, "price": 1, "qty": 2, "ts": 4, "maker": 5}),
    "binance-usdm-aggtrades": (7, {"id": 0, "price": 1, "qty": 2, "ts": 5, "maker": 6}),
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
}  # fmt: skip
_FLAG: Final = {"true", "false"}


class BinanceTrades:
    """The four layouts of Binance's public trade dumps."""

    formats: tuple[str, ...] = tuple(_LAYOUTS)

    def layout(self, head: Head, path: Path) -> Layout | None:
        """The layout whose header or, without one, whose shape this is."""
        if head.typed:
            return None
        name = _by_header(head) if is_header(head.first) else _by_shape(head)
        return None if name is None else Layout(name, _LAYOUTS[name][1], is_header(head.first))


def _by_header(head: Head) -> str | None:
    plain = tuple("".join(letter for letter in name.lower() if letter.isalnum()) for name in head.first)
    plain = tuple({"timestamp": "transacttime"}.get(name, name) for name in plain)
    return next((name for name, known in _HEADERS.items() if plain == known), None)


def _by_shape(head: Head) -> str | None:
    for fields in (head.first, head.second):  # the first row may be the damaged one
        flags = [i for i, field in enumerate(fields) if field.lower() in _FLAG]
        for name, (width, columns) in _LAYOUTS.items():
            best = [width - 1] if name.startswith("binance-spot") else []
            if len(fields) == width and flags == [columns["maker"], *best] and fields[columns["ts"]].isdigit():
                return name
    return None
