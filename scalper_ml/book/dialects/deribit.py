"""Deribit: trades, tickers with top of book, funding and open interest, and the raw book."""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec
from msgspec import Raw, Struct, field

from scalper_ml.book.dialects.base import Arrivals, damage
from scalper_ml.book.events import BookTicker, DepthDiff, Event, Measure, Price, Quantity, Snapshot, Trade
from scalper_ml.book.framing import Frame

__all__ = ["Deribit"]

_SOURCE: Final = "deribit-capture"
_SIDES: Final = {"buy": 1, "sell": -1}
_Change = tuple[Literal["new", "change", "delete"], Price, Quantity]


class _Parameters(Struct):
    channel: str = ""
    data: Raw = Raw()


class _Message(Struct):
    method: str = ""
    params: _Parameters | None = None


class _Trade(Struct):
    symbol: str = field(name="instrument_name")
    seq: int = field(name="trade_seq")
    timestamp: int
    price: float
    amount: float
    direction: str
    block: str | None = field(name="block_trade_id", default=None)


class _Ticker(Struct):
    symbol: str = field(name="instrument_name")
    timestamp: int
    bid: float | None = field(name="best_bid_price", default=None)
    bid_qty: float | None = field(name="best_bid_amount", default=None)
    ask: float | None = field(name="best_ask_price", default=None)
    ask_qty: float | None = field(name="best_ask_amount", default=None)
    funding: float | None = field(name="funding_8h", default=None)
    mark: float | None = field(name="mark_price", default=None)
    index: float | None = field(name="index_price", default=None)
    open_interest: float | None = None


class _Book(Struct):
    type: str
    timestamp: int
    symbol: str = field(name="instrument_name")
    last: int = field(name="change_id")
    bids: list[_Change]
    asks: list[_Change]
    prev: int | None = field(name="prev_change_id", default=None)


_MESSAGE: Final = msgspec.json.Decoder(_Message)
_TRADES: Final = msgspec.json.Decoder(list[_Trade])
_TICKER: Final = msgspec.json.Decoder(_Ticker)
_BOOK: Final = msgspec.json.Decoder(_Book)


class Deribit:
    """Messages of Deribit. An empty side of the book is price 0: no quote of ours."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals

    def events(self, frame: Frame) -> Sequence[Event]:
        """The events of one message."""
        if frame.kind == "http":
            return ()
        message = _MESSAGE.decode(frame.text)
        if message.params is None:
            return ()
        channel = message.params.channel.partition(".")[0]
        if channel == "trades":
            return [self._trade(frame, row) for row in _TRADES.decode(message.params.data)]
        if channel == "ticker":
            return self._ticker(frame, _TICKER.decode(message.params.data))
        return [self._book(frame, _BOOK.decode(message.params.data))] if channel == "book" else ()

    def _trade(self, frame: Frame, row: _Trade) -> Event:
        if row.direction not in _SIDES:
            return damage(frame, "trade", row.symbol, f"direction: found {row.direction!r}, expected buy or sell")
        if row.block is not None:
            return damage(frame, "trade", row.symbol, f"block trade {row.block}: off the market")
        known, event_us = self._arrivals.known_us(frame, row.timestamp)
        side = _SIDES[row.direction]
        return Trade(frame.line, _SOURCE, row.symbol, known, event_us, row.price, row.amount, side, row.seq)

    def _ticker(self, frame: Frame, row: _Ticker) -> Sequence[Event]:
        known, event_us = self._arrivals.known_us(frame, row.timestamp)
        head = (frame.line, _SOURCE, row.symbol, known, event_us)
        top = BookTicker(*head, row.bid or 0.0, row.bid_qty or 0.0, row.ask or 0.0, row.ask_qty or 0.0)
        measures = {
            "funding_rate": row.funding,
            "mark_price": row.mark,
            "index_price": row.index,
            "open_interest": row.open_interest,
        }
        found: list[Event] = [Measure(*head, kind, value) for kind, value in measures.items() if value is not None]
        return [top, *found]

    def _book(self, frame: Frame, book: _Book) -> Event:
        bids = [(price, 0.0 if change == "delete" else qty) for change, price, qty in book.bids]
        asks = [(price, 0.0 if change == "delete" else qty) for change, price, qty in book.asks]
        known, event_us = self._arrivals.known_us(frame, book.timestamp)
        head = (frame.line, _SOURCE, book.symbol, known, event_us)
        if book.type == "snapshot":
            return Snapshot(*head, book.last, bids, asks, reset=True, whole=True)
        return DepthDiff(*head, -1 if book.prev is None else book.prev, book.last, bids, asks)
