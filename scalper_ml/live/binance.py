"""Binance's websocket as a feed: trades and top of book; gaps are filled by id over REST. Nothing is sent but requests.

Messages are read by the dialect that reads recorded captures (`scalper_ml.book.dialects.binance`), so that live and
recorded trades follow the same rules. The socket lives in a thread of its own; what it finds waits in a short queue.
"""

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import httpx
import msgspec
import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidURI, WebSocketException

from scalper_ml.book.dialects.base import Arrivals
from scalper_ml.book.dialects.binance import Binance
from scalper_ml.book.events import BookTicker, Damage, Trade, micros
from scalper_ml.book.framing import Frame
from scalper_ml.errors import SourceError
from scalper_ml.ingest.order import Trades
from scalper_ml.live.feed import Interruption, Message
from scalper_ml.live.sequence import TradeSequence
from scalper_ml.live.venue_clock import VenueClock

__all__ = ["BinanceFeed", "BinanceVenue", "FeedHealth"]

Market = Literal["spot", "usdm"]
_PLACES: Final[Mapping[Market, tuple[str, str, str]]] = {
    "spot": ("wss://stream.binance.com:9443", "https://api.binance.com", "/api/v3/historicalTrades"),
    "usdm": ("wss://fstream.binance.com", "https://fapi.binance.com", "/fapi/v1/historicalTrades"),
}
_PAGE: Final = 1000
_LARGEST: Final = 1 << 22  # bytes of a message
_QUEUE: Final = 10_000  # messages; a loop that is slower than the venue makes the socket wait


@dataclass(frozen=True, slots=True)
class BinanceVenue:
    """Where and how patiently.

    Parameters
    ----------
    market : {"spot", "usdm"}
    stream, rest : str, optional
        Other addresses than the venue's.
    api_key : str, optional
        Sent with requests for old trades, which USD-M asks for; none is needed for anything else.
    grace_us : int
        After the end of a bar by the venue's clock, before the feed says that no trade of it will come.
    stall_s : float
        Without any message for so long the connection counts as dead.
    attempts : int
        Requests for a gap that fail in a row, before it is given up.
    pause_s, longest_pause_s : float
        Before the next connection or request; doubled each time.
    most_missing : int
        A longer gap is not filled.
    """

    market: Market = "spot"
    stream: str | None = None
    rest: str | None = None
    api_key: str | None = field(default=None, repr=False)
    grace_us: int = 1_000_000
    stall_s: float = 30.0
    attempts: int = 5
    pause_s: float = 0.5
    longest_pause_s: float = 30.0
    most_missing: int = 500_000

    def stream_url(self, symbols: Sequence[str]) -> str:
        """Address of the combined stream of trades and top of book."""
        names = "/".join(f"{symbol.lower()}@{kind}" for symbol in symbols for kind in ("trade", "bookTicker"))
        return f"{self.stream or _PLACES[self.market][0]}/stream?streams={names}"

    @property
    def trades_url(self) -> str:
        """Address of old trades by id."""
        return (self.rest or _PLACES[self.market][1]) + _PLACES[self.market][2]


@dataclass(slots=True)
class FeedHealth:
    """How a feed has fared."""

    connected: bool = False
    connections: int = 0
    messages: int = 0
    repeated: int = 0
    filled: int = 0  # trades that came over REST
    damaged: int = 0
    last_error: str = ""
    quotes: dict[str, tuple[float, float]] = field(default_factory=dict)  # bid and ask


class BinanceFeed:
    """Trades of some symbols as they happen.

    Parameters
    ----------
    symbols : sequence of str
    venue : BinanceVenue
    after : mapping of symbol to int, optional
        Id of the last trade the loop has: the feed goes on with the next one, however long ago that was.
    now_us : callable, optional
        This machine's clock.
    quotes : bool
        Whether messages carry quotes, too; `FeedHealth.quotes` has the last of each symbol in any case.

    Raises
    ------
    SourceError
        While iterating: the address is none, or the venue refuses it for good.
    """

    def __init__(
        self,
        symbols: Sequence[str],
        venue: BinanceVenue,
        *,
        after: Mapping[str, int] | None = None,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        quotes: bool = False,
    ) -> None:
        self.symbols, self.venue = tuple(symbols), venue
        self.health = FeedHealth()
        self._now_us = now_us
        self._clock = VenueClock()
        known = {symbol: number for symbol, number in (after or {}).items() if number >= 0}
        self._sequences = {s: TradeSequence(s, known[s] + 1 if s in known else None) for s in self.symbols}
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._found: queue.Queue[Message | Interruption | BaseException | None] = queue.Queue(_QUEUE)
        self._stopping = threading.Event()
        self._until_us = -1
        self._quotes: dict[str, list[BookTicker]] | None = {} if quotes else None

    def stop(self) -> None:
        """End the iteration once what has come is given."""
        self._stopping.set()

    def __iter__(self) -> Iterator[Message | Interruption]:
        """Messages until `stop`."""
        thread = threading.Thread(target=self._thread, name="binance-feed", daemon=True)
        thread.start()
        try:
            while (one := self._found.get()) is not None:
                if isinstance(one, BaseException):
                    raise one
                yield one
        finally:
            self.stop()
            while thread.is_alive():
                with contextlib.suppress(queue.Empty):
                    self._found.get(timeout=0.05)

    def _thread(self) -> None:
        try:
            asyncio.run(self._stay_connected())
            self._found.put(None)
        except BaseException as error:  # the thread's boundary: raised again where the feed is read
            self._found.put(error)

    async def _stay_connected(self) -> None:
        headers = {} if self.venue.api_key is None else {"X-MBX-APIKEY": self.venue.api_key}
        pause = self.venue.pause_s
        async with httpx.AsyncClient(timeout=10.0, headers=headers) as http:
            while not self._stopping.is_set():
                before = self.health.messages
                try:
                    async with connect(
                        self.venue.stream_url(self.symbols),
                        max_size=_LARGEST,
                        open_timeout=10,
                        close_timeout=0.5,
                        proxy=None,
                    ) as socket:
                        await self._listen(socket, http)
                except InvalidURI as error:
                    raise SourceError(f"{self.venue.stream}: no address of a websocket - {error}") from error
                except (OSError, WebSocketException, InvalidHandshake, TimeoutError) as error:
                    self.health.last_error = f"{type(error).__name__}: {error}"
                self.health.connected = False
                pause = self.venue.pause_s if self.health.messages > before else pause
                if not self._stopping.is_set():
                    await asyncio.sleep(pause)
                pause = min(2 * pause, self.venue.longest_pause_s)
            for task in self._asking.values():
                task.cancel()

    async def _listen(self, socket: ClientConnection, http: httpx.AsyncClient) -> None:
        """Read one connection until it breaks or is silent for too long."""
        health, dialect, heard = self.health, Binance(Arrivals()), time.monotonic()
        health.connected, health.connections = True, health.connections + 1
        for sequence in self._sequences.values():
            if sequence.next_id is not None:
                self._ask(sequence, http)
        while not self._stopping.is_set():
            try:
                raw = await asyncio.wait_for(socket.recv(), 0.1)
            except TimeoutError:
                if time.monotonic() - heard > self.venue.stall_s:
                    raise TimeoutError(f"no message for {self.venue.stall_s:g} s") from None
                self._advance()
                continue
            heard, health.messages = time.monotonic(), health.messages + 1
            self._take(raw, dialect, http)
            self._advance()

    def _take(self, raw: str | bytes, dialect: Binance, http: httpx.AsyncClient) -> None:
        local_us, arrived_ns = self._now_us(), time.monotonic_ns()
        try:
            events = dialect.events(Frame(self.health.messages, "", local_us, "recv", raw))
        except (msgspec.DecodeError, ValueError) as error:
            self.health.damaged += 1
            self.health.last_error = f"message {self.health.messages}: {error}"
            return
        for event in events:
            if isinstance(event, Trade) and event.symbol in self._sequences:
                self._clock.heard(event.event_us, local_us)
                self._put(self._sequences[event.symbol], [event], arrived_ns, http)
            elif isinstance(event, BookTicker):
                self.health.quotes[event.symbol] = event.bid, event.ask
                if self._quotes is not None and event.symbol in self._sequences:
                    self._quotes.setdefault(event.symbol, []).append(event)
            elif isinstance(event, Damage):
                self._damaged(event)

    def _damaged(self, event: Damage) -> None:
        """A trade off the market has an id all the same: it is not missing. Others are asked for again."""
        self.health.damaged += 1
        self.health.last_error = event.reason
        if event.kind == "trade" and event.reason.startswith("X:") and event.symbol in self._sequences:
            message = msgspec.json.decode(event.raw)
            number = (message.get("data") or message)["t"]
            self._emit(self._sequences[event.symbol], self._sequences[event.symbol].skip(int(number)), 0)

    def _put(self, sequence: TradeSequence, trades: Sequence[Trade], arrived_ns: int, http: httpx.AsyncClient) -> None:
        self._emit(sequence, sequence.take(trades), arrived_ns)
        if sequence.wanted is not None:
            self._ask(sequence, http)

    def _emit(self, sequence: TradeSequence, ready: Sequence[Trade], arrived_ns: int) -> None:
        self.health.repeated = sum(one.repeated for one in self._sequences.values())
        if ready:
            quotes = self._take_quotes()
            self._found.put(Message(sequence.symbol, _columns(ready), arrived_ns=arrived_ns, quotes=quotes))

    def _take_quotes(self) -> dict[str, list[BookTicker]]:
        """Quotes since the last message."""
        if not self._quotes:
            return {}
        taken, self._quotes = self._quotes, {}
        return taken

    def _advance(self) -> None:
        """Say how far the venue's time has come, unless trades before that are still being asked for."""
        now = self._clock.now_us(self._now_us())
        if now is None or any(not task.done() for task in self._asking.values()):
            return
        until = now - self.venue.grace_us
        if until - self._until_us >= 100_000:
            self._until_us = until
            self._found.put(Message("", None, until, time.monotonic_ns(), self._take_quotes()))

    def _ask(self, sequence: TradeSequence, http: httpx.AsyncClient) -> None:
        task = self._asking.get(sequence.symbol)
        if task is None or task.done():
            self._asking[sequence.symbol] = asyncio.create_task(self._fill(sequence, http))

    async def _fill(self, sequence: TradeSequence, http: httpx.AsyncClient) -> None:
        """Ask for the next trades by id until there is no gap, or nothing more to be had."""
        failures, pause = 0, self.venue.pause_s
        while sequence.next_id is not None and not self._stopping.is_set():
            wanted, begin = sequence.wanted, sequence.next_id
            if wanted is not None and wanted[1] - wanted[0] >= self.venue.most_missing:
                self._give_up(sequence, f"more than the {self.venue.most_missing:,} trades that are asked for")
                return
            try:
                page = await self._page(sequence.symbol, begin, http)
                failures = 0
            except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
                failures += 1
                self.health.last_error = f"trades of {sequence.symbol} from {begin}: {error}"
                if failures >= self.venue.attempts:
                    self._give_up(sequence, self.health.last_error)
                    return
                await asyncio.sleep(pause)
                pause = min(2 * pause, self.venue.longest_pause_s)
                continue
            ready = sequence.take(page)
            self.health.filled += len(page)
            self._emit(sequence, ready, 0)
            if sequence.next_id == begin and sequence.wanted is not None:
                self._give_up(sequence, f"the venue does not give trade {begin}")
            if len(page) < _PAGE and sequence.wanted is None:
                return

    def _give_up(self, sequence: TradeSequence, reason: str) -> None:
        lost, ready = sequence.give_up(reason)
        if lost is not None:
            self._found.put(lost)
        self._emit(sequence, ready, 0)

    async def _page(self, symbol: str, begin: int, http: httpx.AsyncClient) -> list[Trade]:
        """At most a thousand trades from an id on."""
        asked: dict[str, str | int] = {"symbol": symbol, "fromId": begin, "limit": _PAGE}
        answer = await http.get(self.venue.trades_url, params=asked)
        answer.raise_for_status()
        return [_of_rest(symbol, row) for row in answer.json()]


def _of_rest(symbol: str, row: Mapping[str, Any]) -> Trade:
    stamp, side = micros(int(row["time"])), -1 if row["isBuyerMaker"] else 1
    return Trade(0, "rest", symbol, stamp, stamp, float(row["price"]), float(row["qty"]), side, int(row["id"]))


def _columns(trades: Sequence[Trade]) -> Trades:
    return Trades(
        np.array([one.event_us for one in trades], dtype=np.int64),
        np.array([one.price for one in trades], dtype=np.float64),
        np.array([one.qty for one in trades], dtype=np.float64),
        np.array([one.side for one in trades], dtype=np.int8),
        np.array([one.trade_id for one in trades], dtype=np.int64),
    )
