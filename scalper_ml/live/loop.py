"""The one loop of replay, paper and live: messages of a feed in, decisions and paper trades out."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scalper_ml.bars.interval import floor_us, origin_us
from scalper_ml.bars.market import market_table
from scalper_ml.bars.table import ClosedBars
from scalper_ml.errors import ContractError
from scalper_ml.ingest.order import Trades
from scalper_ml.live.decisions import Decided
from scalper_ml.live.feed import Interruption, Message
from scalper_ml.live.lane import FeatureRows, Lane, NoChampion
from scalper_ml.live.signal_model import SignalModel
from scalper_ml.schema import stamps

__all__ = ["Counts", "Loop", "Outcome"]


@dataclass(slots=True)
class Counts:
    """What the loop has been given, by symbol where it says so."""

    trades: dict[str, int] = field(default_factory=dict)
    late: dict[str, int] = field(default_factory=dict)  # older than a bar that is closed: refused
    bars: dict[str, int] = field(default_factory=dict)
    interruptions: int = 0
    missing: int = 0  # trades that the feed could not get

    def add(self, name: str, symbol: str, n: int) -> None:
        """Count n more."""
        of = getattr(self, name)
        of[symbol] = of.get(symbol, 0) + n


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of the messages since the last time it was asked for."""

    decided: list[Decided]
    trades: list[dict[str, Any]]
    rows: list[tuple[str, FeatureRows]]


class Loop:
    """Lanes of all symbols, and what they must know of each other.

    Parameters
    ----------
    lanes : mapping of symbol to Lane
    lead : str
        Lead coin of the market features; one of the symbols where these are made here.
    closes : mapping of symbol to (int, float), optional
        Stamp and price of the last bar before the stream, for the first market returns.
    now_ns : callable, optional
        Clock of `Message.arrived_ns`.

    Raises
    ------
    ContractError
        Features need the lead coin, and it is neither fed nor are the features of others recorded.

    Notes
    -----
    A bar is decided on once a later trade of its symbol has come, or the feed says that its time is over. With market
    features it waits until the same is true of every symbol. Any cut of the streams into messages gives the same
    decisions and trades, as long as no trade comes after the feed said that none would.
    """

    def __init__(
        self,
        lanes: Mapping[str, Lane],
        *,
        lead: str = "",
        closes: Mapping[str, tuple[int, float]] | None = None,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.lanes = dict(lanes)
        self.counts = Counts()
        self.keeps_rows = False
        self._lead, self._now_ns = lead, now_ns
        self._together = [symbol for symbol, lane in self.lanes.items() if lane.needs_market]
        if self._together and lead not in self._together:
            raise ContractError(
                f"loop: features need the lead coin {lead!r}, which is not among {self._together}; feed all coins, or "
                "replay a time whose market is in the warehouse"
            )
        self._closes = dict(closes or {})
        self._until_us = -1
        self._decided: list[Decided] = []
        self._rows: list[tuple[str, FeatureRows]] = []
        self._done: list[dict[str, Any]] = []

    def push(self, message: Message | Interruption) -> None:
        """Take a message of the feed.

        Raises
        ------
        ContractError
            It is of a symbol that the loop does not have.
        """
        if isinstance(message, Interruption):
            self.counts.interruptions += 1
            self.counts.missing += message.last_id - message.first_id + 1
            return
        for symbol, quotes in message.quotes.items():
            if (taken := self._lane(symbol).quotes) is not None:
                taken.add(quotes)
        touched = self._add(message)
        if message.until_us > self._until_us:
            self._until_us = message.until_us
            touched = [*self._end_bars(), *touched]
        if touched:
            waited = (lambda: (self._now_ns() - message.arrived_ns) // 1000) if message.arrived_ns else None
            self._decide_on(touched, waited)

    def finish(self) -> None:
        """Close the open bars, as at the end of a file, and decide on what waits."""
        for lane in self.lanes.values():
            lane.end_bar()
            interval = lane.rules.interval_us
            self._until_us = max(self._until_us, floor_us(lane.last_ts_us, interval) + interval)
        self._decide_on(list(self.lanes), None)

    def replace(self, symbol: str, horizon: int, champion: SignalModel | NoChampion) -> None:
        """Put another champion in place; it decides from the next bar on, an open position stays as it is."""
        self.lanes[symbol].champions[horizon] = champion

    def take(self) -> Outcome:
        """Decisions and finished trades since the last call."""
        decided, self._decided = self._decided, []
        rows, self._rows = self._rows, []
        done, self._done = self._done, []
        return Outcome(decided, sorted(done, key=lambda one: (one["exit_ts_us"], one["symbol"], one["horizon"])), rows)

    def state(self) -> dict[str, Any]:
        """Everything carried, as plain values: another loop of the same lanes goes on exactly here.

        What `take` has not given yet is no part of it.
        """
        return {
            "until_us": self._until_us,
            "closes": {symbol: list(last) for symbol, last in self._closes.items()},
            "counts": asdict(self.counts),
            "lanes": {symbol: lane.state() for symbol, lane in self.lanes.items()},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`.

        Raises
        ------
        ContractError
            It is of other symbols.
        FeatureSetError
            It is of other features.
        """
        if sorted(state["lanes"]) != sorted(self.lanes):
            raise ContractError(
                f"checkpoint: of symbols {sorted(state['lanes'])}, expected {sorted(self.lanes)}; start in a new folder"
            )
        self._until_us = int(state["until_us"])
        self._closes = {symbol: (int(ts), float(close)) for symbol, (ts, close) in state["closes"].items()}
        self.counts = Counts(**state["counts"])
        for symbol, one in state["lanes"].items():
            self.lanes[symbol].restore(one)

    def _add(self, message: Message) -> list[str]:
        trades = message.trades
        if trades is None or len(trades) == 0:
            return []
        lane = self._lane(message.symbol)
        trades = self._in_time(lane, trades)
        if len(trades):
            lane.add(trades)
            self.counts.add("trades", lane.symbol, len(trades))
        return [lane.symbol]

    def _lane(self, symbol: str) -> Lane:
        lane = self.lanes.get(symbol)
        if lane is None:
            raise ContractError(f"loop: a message of {symbol!r}; expected one of {sorted(self.lanes)}")
        return lane

    def _in_time(self, lane: Lane, trades: Trades) -> Trades:
        """Trades that can still be taken: those of a bar that a later trade or the clock has closed come too late."""
        interval = lane.rules.interval_us
        past = max(lane.last_ts_us, self._until_us)
        if len(trades) == 1 and trades.ts_us.item() >= past:
            return trades  # what a live stream sends most
        latest = np.maximum.accumulate(np.maximum(trades.ts_us, past)) if past >= 0 else trades.ts_us
        origin = origin_us(interval)
        late = trades.ts_us < (latest - origin) // interval * interval + origin
        if not late.any():
            return trades
        self.counts.add("late", lane.symbol, int(late.sum()))
        return trades.take(~late)

    def _end_bars(self) -> list[str]:
        """Close the bars whose time is over by the clock; the symbols that had one. Without one, old quotes go."""
        ended = []
        for symbol, lane in self.lanes.items():
            begin_us = floor_us(self._until_us, lane.rules.interval_us)
            if lane.last_ts_us >= begin_us:
                continue
            if lane.last_ts_us >= 0 and lane.end_bar():
                ended.append(symbol)
            elif lane.quotes is not None and lane.next_close_us is None:
                lane.quotes.forget(begin_us)
        return ended

    def _decide_on(self, touched: Iterable[str], waited: Callable[[], int] | None) -> None:
        for symbol in touched:
            if symbol in self._together:
                self._decide(symbol, 0, None, waited)
            else:
                self._decide(symbol, len(self.lanes[symbol].waiting), None, waited)
        if self._together:
            self._decide_together(self._together, waited)

    def _decide(self, symbol: str, n: int, market: pa.Table | None, latency_us: Callable[[], int] | None) -> None:
        """Decide on the first n bars that wait, if any, and fill what can be filled."""
        lane = self.lanes[symbol]
        if n == 0:
            lane.settle()
        else:
            decided, rows = lane.decide(n, market, latency_us)
            self._decided += decided
            self.counts.add("bars", symbol, n)
            if self.keeps_rows:
                self._rows.append((symbol, rows))
        self._done += lane.take_done()

    def _decide_together(self, symbols: list[str], latency_us: Callable[[], int] | None) -> None:
        """Decide on the bars that all symbols have come past, with what the others did in them."""
        lanes = [self.lanes[symbol] for symbol in symbols]
        waiting = [lane.next_close_us for lane in lanes if lane.next_close_us is not None]
        past = min(max(lane.last_ts_us, self._until_us) for lane in lanes)
        if not waiting or min(waiting) > past:
            return
        closes = {lane.symbol: lane.waiting.column("ts_us") for lane in lanes}
        ready = {symbol: int(np.searchsorted(ts, past, side="right")) for symbol, ts in closes.items()}
        bars = {symbol: self._with_last(symbol, self.lanes[symbol].waiting.slice(0, n)) for symbol, n in ready.items()}
        interval = lanes[0].rules.interval_us
        market = market_table(bars, interval, self._lead)
        for symbol, n in ready.items():
            if n:
                last = self.lanes[symbol].waiting.slice(n - 1, n)
                self._closes[symbol] = last.column("ts_us").item(), last.column("close").item()
            self._decide(symbol, n, market.filter(pc.equal(market["symbol"], symbol)), latency_us)

    def _with_last(self, symbol: str, bars: ClosedBars) -> pa.Table:
        """Closes of bars, after the last one decided on."""
        ts, close = bars.column("ts_us"), bars.column("close")
        if symbol in self._closes:
            last_us, last = self._closes[symbol]
            ts, close = np.concatenate([[last_us], ts]), np.concatenate([[last], close])
        return pa.table({"ts_us": stamps(ts), "close": close})
