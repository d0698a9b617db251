"""Trades of one symbol in the order of their ids: each once, none left out without a word."""

from collections.abc import Iterable

from scalper_ml.book.events import Trade
from scalper_ml.live.feed import Interruption

__all__ = ["TradeSequence"]


class TradeSequence:
    """Puts trades in order as they come from a socket that repeats itself, and from requests that fill its gaps.

    Parameters
    ----------
    symbol : str
    next_id : int, optional
        The first trade that is wanted; default: whichever comes first.

    Examples
    --------
    >>> trade = lambda number: Trade(1, "binance-spot-capture", "AUSDT", 0, 0, 1.0, 1.0, 1, number)
    >>> sequence = TradeSequence("AUSDT")
    >>> [one.trade_id for number in (7, 8, 8, 10) for one in sequence.take([trade(number)])]
    [7, 8]
    >>> sequence.wanted
    (9, 9)
    >>> [one.trade_id for one in sequence.take([trade(9)])]
    [9, 10]
    """

    def __init__(self, symbol: str, next_id: int | None = None) -> None:
        self.symbol, self.next_id = symbol, next_id
        self.repeated = 0
        self._held: dict[int, Trade | None] = {}

    @property
    def wanted(self) -> tuple[int, int] | None:
        """First and last id missing before the next trade that is held; None where nothing is."""
        if not self._held or self.next_id is None:
            return None
        return self.next_id, min(self._held) - 1

    def take(self, trades: Iterable[Trade]) -> list[Trade]:
        """Add trades; those that are next, in order."""
        for trade in trades:
            self._hold(trade.trade_id, trade)
        return self._ready()

    def skip(self, trade_id: int) -> list[Trade]:
        """An id that is no trade of the market: it is not missing."""
        self._hold(trade_id, None)
        return self._ready()

    def give_up(self, reason: str) -> tuple[Interruption | None, list[Trade]]:
        """Go on without the trades that are wanted; what was lost, and those that are next now."""
        if (wanted := self.wanted) is None:
            return None, []
        self.next_id = wanted[1] + 1
        return Interruption(self.symbol, *wanted, reason), self._ready()

    def _hold(self, trade_id: int, trade: Trade | None) -> None:
        self.next_id = trade_id if self.next_id is None else self.next_id
        if trade_id < self.next_id or trade_id in self._held:
            self.repeated += 1
        else:
            self._held[trade_id] = trade

    def _ready(self) -> list[Trade]:
        found = []
        while self.next_id is not None and self.next_id in self._held:
            trade = self._held.pop(self.next_id)
            self.next_id += 1
            if trade is not None:
                found.append(trade)
        return found
