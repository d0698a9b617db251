"""The order book, rebuilt from a snapshot and the changes after it; a hole in the chain is never passed over.

Every venue's rule is one: a change carries the book from `prev_id` to `last_id`. The first one after a snapshot at
`L` is the one with ``prev_id <= L < last_id``, those up to `L` say nothing new, and every later one must start where
the one before ended. Binance futures name `prev_id` as ``pu``; for Binance spot it is ``U - 1``, which gives the
rule in its documents: ``U <= lastUpdateId + 1 <= u``, then ``U == previous u + 1``.
"""

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from scalper_ml.book.events import BookTicker, Damage, DepthDiff, Event, Level, Snapshot
from scalper_ml.errors import ContractError

__all__ = ["Applied", "OrderBook", "Side", "Top", "rebuilt", "top_changes"]

Applied = Literal["applied", "buffered", "stale", "gap"]
"""What an event did: changed the book, waits for a snapshot, says nothing new, or does not follow the one before."""

_BUFFERED: Final = 100_000


@dataclass(frozen=True, slots=True)
class Top:
    """Best prices and what rests there; a price is NaN and its quantity 0 where a side is empty."""

    bid: float
    bid_qty: float
    ask: float
    ask_qty: float


class Side:
    """One side of a book: quantities by price, and the prices in order.

    Examples
    --------
    >>> asks = Side(-1)
    >>> asks.set([(101.0, 2.0), (100.5, 1.0), (102.0, 4.0)])
    >>> asks.set([(101.0, 0.0)])
    >>> asks.best(2), asks.within(101.9)
    ([(100.5, 1.0), (102.0, 4.0)], (1.0, 100.5))
    """

    def __init__(self, sign: int) -> None:
        self._sign = sign  # +1: the best is the highest (bids)
        self.qty: dict[float, float] = {}
        self._prices: list[float] = []

    def set(self, levels: Iterable[Level]) -> None:
        """Put the quantity of each level; 0 removes the level, and removing what is not there is normal."""
        qty_of, prices = self.qty, self._prices
        for price, qty in levels:
            if qty:
                if price not in qty_of:
                    insort(prices, price)
                qty_of[price] = qty
            elif qty_of.pop(price, None) is not None:
                del prices[bisect_left(prices, price)]

    def best(self, count: int) -> list[Level]:
        """The `count` best levels, best first."""
        prices = self._prices[::-1][:count] if self._sign > 0 else self._prices[:count]
        return [(price, self.qty[price]) for price in prices]

    def top(self) -> Level:
        """The best level, or ``(nan, 0.0)``."""
        if not self._prices:
            return float("nan"), 0.0
        price = self._prices[-1 if self._sign > 0 else 0]
        return price, self.qty[price]

    def edge(self) -> float:
        """The worst price, NaN if there is none."""
        return self._prices[0 if self._sign > 0 else -1] if self._prices else float("nan")

    def within(self, limit: float) -> tuple[float, float]:
        """Quantity and notional of the levels no worse than the price `limit`."""
        prices = self._prices
        near = prices[bisect_left(prices, limit) :] if self._sign > 0 else prices[: bisect_right(prices, limit)]
        qty = notional = 0.0
        for price in near:
            qty += self.qty[price]
            notional += price * self.qty[price]
        return qty, notional


class OrderBook:
    """A book that knows whether it is right.

    Attributes
    ----------
    synced : bool
        False before the first snapshot is joined to the changes' chain, and after a gap until the next snapshot.
    last_id : int
        The update id the book stands at.
    known_us, event_us : int
        Known and event time of the latest event in it; known time never goes back.
    gaps : int
        Times the chain broke.

    Notes
    -----
    A snapshot asked for on the side may be of any moment: changes that came before it are kept (the last 100,000) and
    applied where they join it. A snapshot that the stream itself sends starts a new chain.

    A snapshot usually holds the best so many levels: `reach` says how far down each side everything is known.
    """

    def __init__(self) -> None:
        self.bids, self.asks = Side(1), Side(-1)
        self.synced = False
        self.last_id = -1
        self.known_us = self.event_us = 0
        self.gaps = 0
        self._joined = False
        self._reach: tuple[float, float] = (float("nan"), float("nan"))
        self._waiting: deque[DepthDiff] = deque(maxlen=_BUFFERED)

    def apply(self, event: Snapshot | DepthDiff) -> Applied:
        """Bring the book to an event.

        Returns
        -------
        {"applied", "buffered", "stale", "gap"}
            On ``"gap"`` the book is no longer `synced`: it needs a snapshot, and the change waits for it.
        """
        return self._start(event) if isinstance(event, Snapshot) else self._change(event)

    def top(self) -> Top:
        """Best bid and ask.

        Raises
        ------
        ContractError
            If the book is not `synced`.
        """
        self._check()
        return Top(*self.bids.top(), *self.asks.top())

    def levels(self, count: int) -> tuple[Sequence[Level], Sequence[Level]]:
        """The `count` best bids and asks, best first.

        Raises
        ------
        ContractError
            If the book is not `synced`.
        """
        self._check()
        return self.bids.best(count), self.asks.best(count)

    def reach(self) -> tuple[float, float]:
        """The lowest bid price and highest ask price to which every level is known.

        Raises
        ------
        ContractError
            If the book is not `synced`.
        """
        self._check()
        return self._reach

    def _start(self, snapshot: Snapshot) -> Applied:
        if self.synced and not snapshot.reset and snapshot.last_id <= self.last_id:
            return "stale"
        self.bids, self.asks = Side(1), Side(-1)
        self.bids.set(snapshot.bids)
        self.asks.set(snapshot.asks)
        whole = (0.0, float("inf"))
        self._reach = whole if snapshot.whole else (self.bids.edge(), self.asks.edge())
        self.last_id, self.synced, self._joined = snapshot.last_id, True, snapshot.reset
        self._advance(snapshot)
        waiting, self._waiting = self._waiting, deque(maxlen=_BUFFERED)
        outcome: Applied = "applied"
        for diff in () if snapshot.reset else waiting:
            if self._change(diff) == "gap":
                outcome = "gap"
        return outcome

    def _change(self, diff: DepthDiff) -> Applied:
        if not self.synced:
            self._waiting.append(diff)
            return "buffered"
        if diff.last_id <= self.last_id and diff.prev_id < self.last_id:
            return "stale"
        if diff.prev_id != self.last_id if self._joined else diff.prev_id > self.last_id:
            self.synced = False
            self.gaps += 1
            self._waiting.append(diff)
            return "gap"
        self.bids.set(diff.bids)
        self.asks.set(diff.asks)
        self.last_id, self._joined = diff.last_id, True
        self._advance(diff)
        return "applied"

    def _advance(self, event: Snapshot | DepthDiff) -> None:
        self.known_us = max(self.known_us, event.known_us)
        self.event_us = event.event_us

    def _check(self) -> None:
        if not self.synced:
            raise ContractError(
                f"order book: not in sync after update {self.last_id} ({self.gaps} gaps); "
                "expected an unbroken chain from a snapshot - apply a new snapshot"
            )


def rebuilt(
    events: Iterable[Event], source: str | None = None
) -> Iterator[tuple[Snapshot | DepthDiff | Damage, OrderBook]]:
    """Each event of the depth stream with the book after it: one book, and the same one every time.

    Parameters
    ----------
    events : iterable of Event
        Of one symbol; what is no snapshot, change or damage is left out.
    source : str, optional
        Only snapshots and changes of this source.

    Yields
    ------
    event, book
        A gap is given as a `Damage` of kind ``depth`` that says where the chain broke.
    """
    book = OrderBook()
    for event in events:
        if isinstance(event, Damage):
            yield event, book
        elif isinstance(event, Snapshot | DepthDiff) and (source in (None, event.source) or not event.symbol):
            before = book.last_id
            if book.apply(event) == "gap":
                yield _broken(event, before), book
            else:
                yield event, book


def _broken(event: Snapshot | DepthDiff, before: int) -> Damage:
    begins = event.prev_id if isinstance(event, DepthDiff) else event.last_id
    reason = f"depth: chain broken - the book stands at {before}, the next change begins at {begins}; needs a snapshot"
    return Damage(event.line, "depth", event.symbol, reason, "")


def top_changes(
    books: Iterable[tuple[Snapshot | DepthDiff | Damage, OrderBook]],
) -> Iterator[BookTicker | Damage]:
    """Quotes of a rebuilt book: one whenever its top changes, and damage as it comes. Empty sides give none."""
    last: Top | None = None
    for event, book in books:
        if isinstance(event, Damage):
            yield event
        elif book.synced:
            top = book.top()
            if top != last and top.bid_qty and top.ask_qty:
                head = (event.line, event.source, event.symbol, book.known_us, book.event_us)
                yield BookTicker(*head, top.bid, top.bid_qty, top.ask, top.ask_qty, book.last_id)
            last = top
