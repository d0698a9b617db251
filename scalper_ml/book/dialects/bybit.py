"""Bybit v5 public streams: trades, tickers (only what changed), books, liquidations."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Raw, Struct, field

from scalper_ml.book.dialects.base import Arrivals, damage
from scalper_ml.book.events import (
    BookTicker,
    DepthDiff,
    Event,
    Level,
    Liquidation,
    Measure,
    Snapshot,
    Trade,
)
from scalper_ml.book.framing import Frame

__all__ = ["Bybit"]

_MARKET: Final = re.compile(r"/public/(\w+)")
_SIDES: Final = {"Buy": 1, "Sell": -1}
_TOP: Final = ("bid1Price", "bid1Size", "ask1Price", "ask1Size")
_MEASURES: Final = {
    "fundingRate": "funding_rate",
    "markPrice": "mark_price",
    "indexPrice": "index_price",
    "openInterest": "open_interest",
}


class _Message(Struct):
    topic: str = ""
    type: str = ""
    ts: int = 0
    cts: int = 0
    data: Raw = Raw()


class _Print(Struct):
    stamp: int = field(name="T")
    symbol: str = field(name="s")
    side: str = field(name="S")
    qty: float = field(name="v")
    price: float = field(name="p")


class _Book(Struct):
    symbol: str = field(name="s")
    bids: list[Level] = field(name="b")
    asks: list[Level] = field(name="a")
    update: int = field(name="u")


_MESSAGE: Final = msgspec.json.Decoder(_Message, strict=False)
_PRINTS: Final = msgspec.json.Decoder(list[_Print], strict=False)
_BOOK: Final = msgspec.json.Decoder(_Book, strict=False)
_FIELDS: Final = msgspec.json.Decoder(dict[str, str | int | float | bool | None])


class Bybit:
    """Messages of Bybit; the market is told from the socket's address."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._tops: dict[tuple[str, str], dict[str, str]] = {}
        self._readers: Mapping[str, Callable[[Frame, _Message, str], Sequence[Event]]] = {
            "publicTrade": self._trades,
            "tickers": self._ticker,
            "orderbook": self._book,
            "allLiquidation": self._liquidations,
        }

    def events(self, frame: Frame) -> Sequence[Event]:
        """The events of one message."""
        if frame.kind == "http":
            return ()
        message = _MESSAGE.decode(frame.text)
        read = self._readers.get(message.topic.partition(".")[0])
        if read is None:
            return ()
        market = _MARKET.search(frame.address)
        return read(frame, message, f"bybit-{market.group(1) if market else 'unknown'}-capture")

    def _trades(self, frame: Frame, message: _Message, source: str) -> Sequence[Event]:
        events: list[Event] = []
        for row in _PRINTS.decode(message.data):
            if row.side not in _SIDES:
                events.append(damage(frame, "trade", row.symbol, f"S: found {row.side!r}, expected Buy or Sell"))
                continue
            known, event_us = self._arrivals.known_us(frame, row.stamp, message.ts)
            head = (frame.line, source, row.symbol, known, event_us)
            events.append(Trade(*head, row.price, row.qty, _SIDES[row.side]))  # ids are UUIDs: none
        return events

    def _ticker(self, frame: Frame, message: _Message, source: str) -> Sequence[Event]:
        changed = {name: str(value) for name, value in _FIELDS.decode(message.data).items() if value not in ("", None)}
        symbol = message.topic.partition(".")[2]
        known, event_us = self._arrivals.known_us(frame, message.ts)
        head = (frame.line, source, symbol, known, event_us)
        if message.type == "snapshot":
            self._tops[source, symbol] = {}
        top = self._tops.setdefault((source, symbol), {})
        fresh: dict[str, str] = {name: changed[name] for name in _TOP if name in changed}
        top.update(fresh)
        events: list[Event] = []
        if fresh and len(top) == len(_TOP):
            bid, bid_qty, ask, ask_qty = (float(top[name]) for name in _TOP)
            events.append(BookTicker(*head, bid, bid_qty, ask, ask_qty))
        events += [Measure(*head, kind, float(changed[name])) for name, kind in _MEASURES.items() if name in changed]
        return events

    def _book(self, frame: Frame, message: _Message, source: str) -> Sequence[Event]:
        book = _BOOK.decode(message.data)
        known, event_us = self._arrivals.known_us(frame, message.cts or message.ts, message.ts)
        head = (frame.line, source, book.symbol, known, event_us)
        if message.type == "snapshot":
            return [Snapshot(*head, book.update, book.bids, book.asks, reset=True)]
        return [DepthDiff(*head, book.update - 1, book.update, book.bids, book.asks)]

    def _liquidations(self, frame: Frame, message: _Message, source: str) -> Sequence[Event]:
        events: list[Event] = []
        for row in _PRINTS.decode(message.data):
            if row.side not in _SIDES:
                events.append(damage(frame, "measure", row.symbol, f"S: found {row.side!r}, expected Buy or Sell"))
                continue
            known, event_us = self._arrivals.known_us(frame, row.stamp, message.ts)
            head = (frame.line, source, row.symbol, known, event_us)
            events.append(Liquidation(*head, row.price, row.qty, -_SIDES[row.side]))  # S is the position's side
        return events
