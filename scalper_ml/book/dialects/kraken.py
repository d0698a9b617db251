"""Kraken Futures: trades, the book in single levels, and the long ticker."""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct, field

from scalper_ml.book.dialects.base import Arrivals, damage
from scalper_ml.book.events import BookTicker, DepthDiff, Event, Measure, Price, Quantity, Snapshot, Trade
from scalper_ml.book.framing import Frame

__all__ = ["KrakenFutures"]

_SOURCE: Final = "kraken-futures-capture"
_SIDES: Final = {"buy": 1, "sell": -1}
_ON_MARKET: Final = ("fill", "liquidation")


class _Level(Struct):
    price: Price
    qty: Quantity


class _Trade(Struct):
    symbol: str = field(name="product_id")
    side: str
    kind: str = field(name="type")
    seq: int
    time: int
    qty: float
    price: float


class _Message(Struct):
    feed: str = ""
    event: str = ""
    symbol: str = field(name="product_id", default="")
    timestamp: int = 0
    time: int = 0
    seq: int | None = None
    side: str = ""
    price: Price | None = None
    qty: Quantity | None = None
    bids: list[_Level] = []
    asks: list[_Level] = []
    trades: list[_Trade] = []
    bid: float | None = None
    bid_size: float | None = None
    ask: float | None = None
    ask_size: float | None = None
    funding_rate: float | None = None
    mark_price: float | None = field(name="markPrice", default=None)
    index: float | None = None
    open_interest: float | None = field(name="openInterest", default=None)


_MESSAGE: Final = msgspec.json.Decoder(_Message, strict=False)
_TRADE: Final = msgspec.json.Decoder(_Trade, strict=False)


class KrakenFutures:
    """Messages of Kraken Futures. ``ticker_lite`` has neither stamp nor quantity: the book gives the top of book."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals

    def events(self, frame: Frame) -> Sequence[Event]:
        """The events of one message."""
        if frame.kind == "http":
            return ()
        message = _MESSAGE.decode(frame.text)
        if message.event:
            return ()
        if message.feed == "trade":
            return [self._trade(frame, _TRADE.decode(frame.text))]
        if message.feed == "trade_snapshot":
            return [self._trade(frame, row) for row in message.trades]
        if message.feed in ("book", "book_snapshot"):
            return [self._book(frame, message)]
        return self._ticker(frame, message) if message.feed == "ticker" else ()

    def _trade(self, frame: Frame, row: _Trade) -> Event:
        if row.side not in _SIDES or row.kind not in _ON_MARKET:
            reason = f"side, type: found {row.side!r}, {row.kind!r}, expected buy or sell, and one of {_ON_MARKET}"
            return damage(frame, "trade", row.symbol, reason)
        known, event_us = self._arrivals.known_us(frame, row.time)
        return Trade(frame.line, _SOURCE, row.symbol, known, event_us, row.price, row.qty, _SIDES[row.side], row.seq)

    def _book(self, frame: Frame, message: _Message) -> Event:
        symbol, seq = message.symbol, message.seq
        if seq is None:
            return damage(frame, "depth", symbol, "book: lacks seq")
        bids = [(level.price, level.qty) for level in message.bids]
        asks = [(level.price, level.qty) for level in message.asks]
        if message.feed == "book":
            if message.price is None or message.qty is None or message.side not in _SIDES:
                return damage(frame, "depth", symbol, "book: lacks one of price, qty, side")
            (bids if message.side == "buy" else asks).append((message.price, message.qty))
        known, event_us = self._arrivals.known_us(frame, message.timestamp)
        if message.feed == "book_snapshot":
            return Snapshot(frame.line, _SOURCE, symbol, known, event_us, seq, bids, asks, reset=True, whole=True)
        return DepthDiff(frame.line, _SOURCE, symbol, known, event_us, seq - 1, seq, bids, asks)

    def _ticker(self, frame: Frame, message: _Message) -> Sequence[Event]:
        known, event_us = self._arrivals.known_us(frame, message.time)
        head = (frame.line, _SOURCE, message.symbol, known, event_us)
        measures = {
            "funding_rate": message.funding_rate,
            "mark_price": message.mark_price,
            "index_price": message.index,
            "open_interest": message.open_interest,
        }
        events: list[Event] = [Measure(*head, kind, value) for kind, value in measures.items() if value is not None]
        bid, bid_qty, ask, ask_qty = message.bid, message.bid_size, message.ask, message.ask_size
        if bid is not None and bid_qty is not None and ask is not None and ask_qty is not None:
            events.append(BookTicker(*head, bid, bid_qty, ask, ask_qty))
        return events
