"""Binance spot, USD-M and COIN-M: trades, aggregate trades, top of book, depth, mark price, forced orders.

``m`` true means that the buyer's order was resting: the aggressor sold. Spot sends no stamp with its top of book and
no ``pu`` with a diff; there a diff starts one id after the one before it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct, field

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

__all__ = ["Binance"]

_COIN: Final = re.compile(r"USD_(PERP|[0-9]{6})$")
_DEPTH_URL: Final = re.compile(r"/depth\?(?:.*&)?symbol=([A-Z0-9_]+)")
_Side = float | list[Level] | None


class _Order(Struct):
    symbol: str = field(name="s")
    side: str = field(name="S")
    price: float = field(name="p")
    qty: float = field(name="q")
    stamp: int = field(name="T")


class _Message(Struct, gc=False):
    event: str = field(name="e", default="")
    sent: int = field(name="E", default=0)
    stamp: int = field(name="T", default=0)
    symbol: str = field(name="s", default="")
    first: int | None = field(name="U", default=None)
    last: int | None = field(name="u", default=None)
    prev: int | None = field(name="pu", default=None)
    trade_id: int | None = field(name="t", default=None)
    ask: _Side = field(name="a", default=None)
    bid: _Side = field(name="b", default=None)
    ask_qty: float | None = field(name="A", default=None)
    bid_qty: float | None = field(name="B", default=None)
    price: float | None = field(name="p", default=None)
    qty: float | None = field(name="q", default=None)
    maker: bool | None = field(name="m", default=None)
    best: bool | None = field(name="M", default=None)
    reason: str = field(name="X", default="")
    index: float | None = field(name="i", default=None)
    rate: str = field(name="r", default="")
    order: _Order | None = field(name="o", default=None)


class _Line(_Message, gc=False):
    """A message in its stream's envelope, or bare, or the answer of a depth request."""

    stream: str = ""
    data: _Message | None = None
    last_update: int | None = field(name="lastUpdateId", default=None)
    bids: list[Level] = []
    asks: list[Level] = []
    named: str = field(name="symbol", default="")


class _Kind(Struct):
    event: str = field(name="e", default="")


class _KindLine(_Kind):
    data: _Kind | None = None


_LINE: Final = msgspec.json.Decoder(_Line, strict=False)
_KIND: Final = msgspec.json.Decoder(_KindLine, strict=False)


class Binance:
    """Messages of Binance; the market is told from the message and remembered."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._sources: dict[str, str] = {}
        self._readers: Mapping[str, Callable[[Frame, _Message], Sequence[Event]]] = {
            "trade": self._trade,
            "aggTrade": self._trade,
            "bookTicker": self._ticker,
            "depthUpdate": self._diff,
            "markPriceUpdate": self._mark,
            "forceOrder": self._forced,
        }

    def events(self, frame: Frame) -> Sequence[Event]:
        """The events of one message."""
        if frame.kind == "http" and not _DEPTH_URL.search(frame.address):
            return ()
        try:
            line = _LINE.decode(frame.text)
        except msgspec.ValidationError:
            known = _KIND.decode(frame.text)
            kind = known.data.event if known.data else known.event
            if kind and kind not in self._readers:
                return ()  # of another kind, whose fields mean other things
            raise
        if line.last_update is not None:
            return self._snapshot(frame, line)
        message = line.data or line
        kind = message.event or ("bookTicker" if message.last is not None and message.ask_qty is not None else "")
        read = self._readers.get(kind)
        return () if read is None else read(frame, message)

    def _trade(self, frame: Frame, message: _Message) -> Sequence[Event]:
        symbol, whole = message.symbol, message.event == "trade"
        named = message.trade_id if whole else message.ask
        if message.price is None or message.qty is None or message.maker is None or not message.stamp:
            return [damage(frame, "trade", symbol, "trade: lacks one of T, p, q, m; expected all")]
        if not isinstance(named, int | float):
            return [damage(frame, "trade", symbol, f"trade: lacks its id {'t' if whole else 'a'}")]
        if message.reason not in ("", "MARKET"):
            return [damage(frame, "trade", symbol, f"X: found {message.reason!r}, expected 'MARKET' - off the market")]
        known, event_us = self._arrivals.known_us(frame, message.stamp, message.sent)
        source = self._source(message) + ("" if whole else "-agg")
        side = -1 if message.maker else 1
        return [Trade(frame.line, source, symbol, known, event_us, message.price, message.qty, side, int(named))]

    def _ticker(self, frame: Frame, message: _Message) -> Sequence[Event]:
        bid, bid_qty, ask, ask_qty = message.bid, message.bid_qty, message.ask, message.ask_qty
        if not isinstance(bid, float) or not isinstance(ask, float) or bid_qty is None or ask_qty is None:
            return [damage(frame, "quote", message.symbol, "bookTicker: lacks one of b, B, a, A; expected numbers")]
        known, event_us = self._arrivals.known_us(frame, message.stamp, message.sent)
        update = -1 if message.last is None else message.last
        source = self._source(message)
        return [BookTicker(frame.line, source, message.symbol, known, event_us, bid, bid_qty, ask, ask_qty, update)]

    def _diff(self, frame: Frame, message: _Message) -> Sequence[Event]:
        bids, asks = message.bid, message.ask
        if not isinstance(bids, list) or not isinstance(asks, list) or message.first is None or message.last is None:
            return [damage(frame, "depth", message.symbol, "depthUpdate: lacks one of U, u, b, a; expected all")]
        known, event_us = self._arrivals.known_us(frame, message.stamp or message.sent, message.sent)
        prev = message.first - 1 if message.prev is None else message.prev
        source = self._source(message)
        return [DepthDiff(frame.line, source, message.symbol, known, event_us, prev, message.last, bids, asks)]

    def _snapshot(self, frame: Frame, line: _Line) -> Sequence[Event]:
        asked = _DEPTH_URL.search(frame.address)
        symbol = line.named or (asked.group(1) if asked else "")
        if line.last_update is None:
            return ()
        known, event_us = self._arrivals.known_us(frame, line.stamp or line.sent, line.sent)
        source = _source(symbol, spot=not line.stamp)
        return [Snapshot(frame.line, source, symbol, known, event_us, line.last_update, line.bids, line.asks)]

    def _mark(self, frame: Frame, message: _Message) -> Sequence[Event]:
        # T is the next funding time, not the time of this message
        known, event_us = self._arrivals.known_us(frame, message.sent)
        values = {"mark_price": message.price, "index_price": message.index}
        if message.rate:
            values["funding_rate"] = float(message.rate)
        head = (frame.line, self._source(message), message.symbol, known, event_us)
        return [Measure(*head, kind, value) for kind, value in values.items() if value is not None]

    def _forced(self, frame: Frame, message: _Message) -> Sequence[Event]:
        order = message.order
        if order is None or order.side not in ("BUY", "SELL"):
            return [damage(frame, "measure", message.symbol, "forceOrder: lacks its order with S as BUY or SELL")]
        known, event_us = self._arrivals.known_us(frame, order.stamp, message.sent)
        source = _source(order.symbol, spot=False)
        side = 1 if order.side == "BUY" else -1
        return [Liquidation(frame.line, source, order.symbol, known, event_us, order.price, order.qty, side)]

    def _source(self, message: _Message) -> str:
        """Spot's trades say ``M``, its top of book has no stamp and its diffs no ``pu``."""
        if (source := self._sources.get(message.symbol)) is None:
            spot = message.best is not None or (message.prev is None and not message.stamp)
            source = self._sources[message.symbol] = _source(message.symbol, spot)
        return source


def _source(symbol: str, spot: bool) -> str:
    market = "spot" if spot else "coinm" if _COIN.search(symbol) else "usdm"
    return f"binance-{market}-capture"
