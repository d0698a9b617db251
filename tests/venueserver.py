"""A venue on this machine: a websocket that plays messages, with faults, and old trades by id over HTTP."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlparse

from websockets.asyncio.server import ServerConnection, serve

from scalper_ml.live.binance import BinanceVenue
from scalper_ml.live.bot import Bot, open_bot, run_bot
from scalper_ml.live.replay import gate_of
from scalper_ml.project import Project

__all__ = ["Part", "Venue", "bot_until", "message", "venue"]


def message(symbol: str, number: int, ts_ms: int, price: float, qty: float, maker: bool) -> str:
    """A trade as Binance spot sends it."""
    data = {"e": "trade", "E": ts_ms, "s": symbol, "t": number, "p": f"{price:.8f}", "q": f"{qty:.8f}", "T": ts_ms,
            "m": maker, "M": True}  # fmt: skip
    return json.dumps({"stream": f"{symbol.lower()}@trade", "data": data})


@dataclass(frozen=True)
class Part:
    """What one connection is sent: messages from `begin` to `end`, then it is cut off or left open."""

    begin: int
    end: int
    cut: bool = True


@dataclass
class Venue:
    """What it plays, and what it was asked."""

    messages: Sequence[str]
    parts: Sequence[Part]
    failing: int = 0  # requests that are answered with an error first
    forgotten: set[int] = field(default_factory=set)  # ids that requests do not give
    stream: str = ""
    rest: str = ""
    played: int = 0  # messages sent so far, the furthest: old trades are known up to there
    connections: int = 0
    paths: list[str] = field(default_factory=list)
    requests: list[dict[str, str]] = field(default_factory=list)

    def old_trades(self, asked: dict[str, str]) -> list[dict[str, Any]]:
        """Trades from an id on, as Binance gives them."""
        found = []
        for text in self.messages[: self.played]:
            data = json.loads(text).get("data", {})
            wanted = data.get("e") == "trade" and data["s"] == asked["symbol"] and data["t"] >= int(asked["fromId"])
            if wanted and data["t"] not in self.forgotten:
                found.append({"id": data["t"], "price": data["p"], "qty": data["q"], "time": data["T"],
                              "isBuyerMaker": data["m"]})  # fmt: skip
        found.sort(key=lambda row: row["id"])
        return found[: int(asked["limit"])]

    async def play(self, socket: ServerConnection) -> None:
        """Serve one connection."""
        self.paths.append(str(socket.request.path if socket.request else ""))
        part = self.parts[min(self.connections, len(self.parts) - 1)]
        self.connections += 1
        for place in range(part.begin, part.end):
            self.played = max(self.played, place + 1)
            await socket.send(self.messages[place])
        if part.cut:
            socket.transport.abort()
        await socket.wait_closed()


@contextmanager
def venue(messages: Sequence[str], parts: Sequence[Part], **more: Any) -> Iterator[Venue]:
    """A venue while the block runs."""
    found = Venue(messages, parts, **more)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = {name: values[0] for name, values in parse_qs(urlparse(self.path).query).items()}
            found.requests.append(asked)
            fails = found.failing > 0
            found.failing -= fails
            body = json.dumps({"code": -1} if fails else found.old_trades(asked)).encode()
            self.send_response(500 if fails else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.rest = f"http://127.0.0.1:{web.server_port}"
    ready, loop = threading.Event(), asyncio.new_event_loop()

    async def run() -> None:
        async with serve(found.play, "127.0.0.1", 0) as server:
            found.stream = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            stopped = loop.create_future()
            stops.append(lambda: loop.call_soon_threadsafe(stopped.set_result, None))
            ready.set()
            await stopped

    stops: list[Any] = []
    threads = [threading.Thread(target=web.serve_forever, args=(0.02,)),
               threading.Thread(target=loop.run_until_complete, args=(run(),))]  # fmt: skip
    for thread in threads:
        thread.start()
    ready.wait(10)
    try:
        yield found
    finally:
        stops[0]()
        web.shutdown()
        web.server_close()
        for thread in threads:
            thread.join()
        loop.close()


def bot_until(
    project: Project, known: BinanceVenue, symbol: str, last_id: int, watch: Callable[[int], object] = int
) -> Bot:
    """A bot of one symbol that is stopped once it has a trade; `watch` sees the ids of trades it has."""
    bot = open_bot(project, gate_of(project), known, symbols=[symbol], warm=False)
    lane, over = bot.loop.lanes[symbol], threading.Event()

    def wait() -> None:
        while lane.last_id < last_id and not over.wait(0.01):
            watch(lane.last_id)
        bot.feed.stop()

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        run_bot(bot)
    finally:
        over.set()
        thread.join()
    return bot
