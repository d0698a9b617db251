"""OKX v5 public streams: trades, tickers, and books where they carry sequence ids."""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Raw, Struct, field

from scalper_ml.book.dialects.base import Arrivals, damage
from scalper_ml.book.events import BookTicker, DepthDiff, Event, Price, Quantity, Snapshot, Trade
from scalper_ml.book.framing import Frame

__all__ = ["Okx"]

_Level = tuple[Price, Quantity, str, str]
_SIDES: Final = {"buy": 1, "sell": -1}


class _Argument(Struct):
    channel: str = ""
    symbol: str = field(name="instId", default="")


class _Message(Struct):
    arg: _Argument | None = None
    event: str = ""
    action: str = ""
    data: Raw = Raw()


class _Trade(Struct):
    symbol: str = field(name="instId")
    trade_id: int = field(name="tradeId")
    price: float = field(name="px")
    qty: float = field(name="sz")
    side: str
    ts: int


class _Ticker(Struct):
    symbol: str = field(name="instId")
    ts: int
    bid: str = field(name="bidPx")
    bid_qty: str = field(name="bidSz")
    ask: str = field(name="askPx")
    ask_qty: str = field(name="askSz")


class _Book(Struct):
    bids: list[_Level]
    asks: list[_Level]
    ts: int
    sequence: int | None = field(name="seqId", default=None)
    previous: int | None = field(name="prevSeqId", default=None)


_MESSAGE: Final = msgspec.json.Decoder(_Message)
_TRADES: Final = msgspec.json.Decoder(list[_Trade], strict=False)
_TICKERS: Final = msgspec.json.Decoder(list[_Ticker], strict=False)
_BOOKS: Final = msgspec.json.Decoder(list[_Book], strict=False)


class Okx:
    """Messages of OKX. Books without ``seqId`` (before 2023) give no depth: a lost message could not be noticed."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals

    def events(self, frame: Frame) -> Sequence[Event]:
        """The events of one message."""
        if frame.kind == "http" or frame.text in ("pong", b"pong"):
            return ()
        message = _MESSAGE.decode(frame.text)
        if message.arg is None or message.event:
            return ()
        if message.arg.channel == "trades":
            return [self._trade(frame, row) for row in _TRADES.decode(message.data)]
        if message.arg.channel == "tickers":
            return [self._ticker(frame, row) for row in _TICKERS.decode(message.data)]
        if message.arg.channel == "books":
            books = _BOOKS.decode(message.data)
            symbol, fresh = message.arg.symbol, message.action == "snapshot"
            return [self._book(frame, symbol, book, fresh) for book in books if book.sequence is not None]
        return ()

    def _trade(self, frame: Frame, row: _Trade) -> Event:
        if row.side not in _SIDES:
            return damage(frame, "trade", row.symbol, f"side: found {row.side!r}, expected buy or sell")
        known, event_us = self._arrivals.known_us(frame, row.ts)
        head = (frame.line, "okx-capture", row.symbol, known, event_us)
        return Trade(*head, row.price, row.qty, _SIDES[row.side], row.trade_id)

    def _ticker(self, frame: Frame, row: _Ticker) -> Event:
        known, event_us = self._arrivals.known_us(frame, row.ts)
        head = (frame.line, "okx-capture", row.symbol, known, event_us)
        # an empty text is an empty side
        bid, bid_qty, ask, ask_qty = (float(text or 0) for text in (row.bid, row.bid_qty, row.ask, row.ask_qty))
        return BookTicker(*head, bid, bid_qty, ask, ask_qty)

    def _book(self, frame: Frame, symbol: str, book: _Book, fresh: bool) -> Event:
        bids, asks = ([(level[0], level[1]) for level in side] for side in (book.bids, book.asks))
        known, event_us = self._arrivals.known_us(frame, book.ts)
        head = (frame.line, "okx-capture", symbol, known, event_us)
        last = book.sequence or 0
        if fresh:
            return Snapshot(*head, last, bids, asks, reset=True)
        return DepthDiff(*head, -1 if book.previous is None else book.previous, last, bids, asks)
