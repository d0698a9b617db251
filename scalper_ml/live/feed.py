"""What the loop is fed: trades in time order and what the venue's clock says, from a file or a socket."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pyarrow as pa

from scalper_ml.book.events import BookTicker
from scalper_ml.errors import ContractError
from scalper_ml.ingest.order import Trades
from scalper_ml.schema import us

__all__ = ["Feed", "Interruption", "Message", "TapeFeed", "come_after", "paced", "trades_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Message:
    """What came from a feed at once.

    Parameters
    ----------
    symbol : str
        Whose trades; empty for a message about the clock alone.
    trades : Trades or None
        In time order, none older than those before.
    until_us : int
        No trade of any symbol stamped before this will come any more, as far as the feed can tell; -1 says nothing.
    arrived_ns : int
        `time.monotonic_ns` when it came in; 0 where that means nothing, as in a replay.
    quotes : mapping of symbol to sequence of BookTicker
        Quotes of any symbols that became known since the message before, in that order; they count first.
    """

    symbol: str
    trades: Trades | None
    until_us: int = -1
    arrived_ns: int = 0
    quotes: Mapping[str, Sequence[BookTicker]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Interruption:
    """Trades that are missing, and why: said once, when the feed gives up getting them.

    Parameters
    ----------
    first_id, last_id : int
        The missing trades.
    """

    symbol: str
    first_id: int
    last_id: int
    reason: str


class Feed(Protocol):
    """A source of messages; ends when there are no more."""

    def __iter__(self) -> Iterator[Message | Interruption]:
        """Messages in order."""


def trades_of(table: pa.Table) -> Trades:
    """The trades of a table of `TICKS`, in its order."""
    price, qty, side = (np.ascontiguousarray(table[name].to_numpy()) for name in ("price", "qty", "side"))
    return Trades(us(table["ts_us"]), price, qty, side, table["trade_id"].fill_null(-1).to_numpy())


def come_after(trades: Trades, ts_us: int, trade_id: int) -> np.ndarray:
    """Which trades came after one that is known: by stamp, and of those of its stamp by id where both have one.

    Examples
    --------
    >>> ones = np.ones(4)
    >>> come_after(Trades(np.array([4, 5, 5, 6]), ones, ones, ones, np.array([7, 8, 9, -1])), 5, 8).tolist()
    [False, False, True, True]
    """
    named = (trades.ts_us == ts_us) & (trades.trade_id > trade_id) & (trade_id >= 0)
    later: np.ndarray = (trades.ts_us > ts_us) | named
    return later


class TapeFeed:
    """Recorded trades of one or several symbols, merged by time.

    Parameters
    ----------
    tapes : dict of symbol to Trades
        Each in time order.
    chunk : int
        Most trades of one message of a single symbol; with several symbols messages are cut by time, so that all
        symbols have come equally far.
    slice_us : int
        Time between the cuts, with several symbols.
    """

    def __init__(self, tapes: dict[str, Trades], *, chunk: int = 65_536, slice_us: int = 600_000_000) -> None:
        if chunk < 1 or slice_us < 1:
            raise ContractError(f"replay: chunk {chunk}, slice_us {slice_us}; expected at least 1")
        self._tapes, self._chunk, self._slice_us = tapes, chunk, slice_us

    def __iter__(self) -> Iterator[Message]:
        """Messages without a time of arrival."""
        if len(self._tapes) == 1:
            ((symbol, trades),) = self._tapes.items()
            for begin in range(0, len(trades), self._chunk):
                yield Message(symbol, trades.take(slice(begin, begin + self._chunk)))
            return
        held = [trades.ts_us for trades in self._tapes.values() if len(trades)]
        if not held:
            return
        first, last = min(int(ts[0]) for ts in held), max(int(ts[-1]) for ts in held)
        for cut in range(first - first % self._slice_us, last + 1, self._slice_us):
            for symbol, trades in self._tapes.items():
                begin, end = np.searchsorted(trades.ts_us, (cut, cut + self._slice_us))
                if end > begin:
                    yield Message(symbol, trades.take(slice(int(begin), int(end))))
            yield Message("", None, min(cut + self._slice_us, last))


def paced(
    feed: Feed,
    speed: float,
    *,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Message | Interruption]:
    """Messages of a recording when they are due: `speed` seconds of it a second; a message at its last trade.

    Examples
    --------
    >>> trades = Trades(np.array([0, 2_000_000]), *(np.ones(2) for _ in range(4)))
    >>> waits = []
    >>> _ = list(paced(TapeFeed({"A": trades}, chunk=1), 2.0, now=lambda: 0.0, sleep=waits.append))
    >>> waits
    [1.0]
    """
    begin, start_us = now(), None
    for message in feed:
        trades = message.trades if isinstance(message, Message) else None
        if trades is not None and len(trades):
            stamp = int(trades.ts_us[-1])
            start_us = stamp if start_us is None else start_us
            wait = (stamp - start_us) / 1e6 / speed - (now() - begin)
            if wait > 0:
                sleep(wait)
        yield message
