"""One symbol of the loop: trades to bars, bars to features, features to decisions, decisions to paper trades."""

import base64
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa

from scalper_ml.backtest.costs import CostLegs, Costs
from scalper_ml.backtest.engine import quote_volume
from scalper_ml.backtest.execution import Execution, charges, sizes
from scalper_ml.backtest.signals import decide
from scalper_ml.bars.builder import BarBuilder
from scalper_ml.bars.table import ClosedBars
from scalper_ml.datasets.build import SIGMA_COLUMN
from scalper_ml.errors import FeatureSetError
from scalper_ml.features.engine import FeatureStream
from scalper_ml.features.inputs import inputs_from_bars
from scalper_ml.features.registry import FeatureSet
from scalper_ml.ingest.order import Trades, concatenate
from scalper_ml.live.beside import LiveQuotes, Recorded
from scalper_ml.live.broker import Holding, PaperBroker
from scalper_ml.live.decisions import Decided
from scalper_ml.live.filters import BLOCKS, BlockFilters, Conditions
from scalper_ml.live.gate import Gate
from scalper_ml.live.signal_model import SignalModel

__all__ = ["FeatureRows", "Lane", "LaneRules", "NoChampion"]

FED: Final = frozenset({"klines", "trades", "market", "calendar", "quotes"})
"""Input groups the loop is fed; a feature set that needs others is refused where these are not recorded."""

_NO_TRADES: Final = Trades(*(np.zeros(0, kind) for kind in (np.int64, np.float64, np.float64, np.int8, np.int64)))
_WORDS: Final = (
    "warming_up", *BLOCKS[1:], "no_volume", "below_min_confidence", "position_open", "ordered", "before_the_start"
)  # fmt: skip
_WARMING, _NO_VOLUME, _BELOW, _BUSY, _ORDERED, _EARLY = 0, 4, 5, 6, 7, 8


@dataclass(frozen=True, slots=True)
class LaneRules:
    """What is the same for all symbols of a loop.

    Parameters
    ----------
    interval_us : int
    costs : Costs
    gate : Gate
    filters : BlockFilters
    execution : Execution
        Sizes of orders; takers only.
    latency_us, max_late_us : int
        Of `PaperBroker`.
    source : str
        Said in every decision: ``replay``, or the venue.
    """

    interval_us: int
    costs: Costs
    gate: Gate
    filters: BlockFilters = field(default_factory=BlockFilters)
    execution: Execution = field(default_factory=Execution)
    latency_us: int = 0
    max_late_us: int = 0
    source: str = "replay"


@dataclass(frozen=True, slots=True)
class NoChampion:
    """Why nothing stands behind a symbol x horizon; never trades. `broken`: its champion cannot be opened."""

    reason: str
    broken: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class FeatureRows:
    """Features of consecutive bars: `ts_us` (n,), `values` (n, f), `warm` (n,)."""

    ts_us: np.ndarray
    values: np.ndarray
    warm: np.ndarray


class Lane:
    """Trades of one symbol in, decisions and paper trades out; the same for any cut of the stream into calls.

    Parameters
    ----------
    symbol : str
    fs : FeatureSet
    champions : mapping of horizon to SignalModel or NoChampion
    rules : LaneRules
    bar_state, feature_state : bytes, optional
        Where the saved bars and features end; without them the lane warms up on what it is fed.
    recorded : Recorded, optional
        What was known beside the trades, in a replay; it is not made of what is fed then.

    Raises
    ------
    FeatureSetError
        The set needs inputs that the loop does not have, or the state is of another set.

    Attributes
    ----------
    since : dict of horizon to int
        Bars that close before this stamp are not traded.
    quotes : LiveQuotes or None
        Where the feed's quotes go; None for sets without them.

    Notes
    -----
    A decision on a bar uses trades before its close; what fills it came later.
    """

    def __init__(
        self,
        symbol: str,
        fs: FeatureSet,
        champions: Mapping[int, SignalModel | NoChampion],
        rules: LaneRules,
        *,
        bar_state: bytes | None = None,
        feature_state: bytes | None = None,
        recorded: Recorded | None = None,
    ) -> None:
        self._recorded = recorded or Recorded()
        if lacking := sorted(set(fs.groups) - FED - self._recorded.groups):
            raise FeatureSetError(
                f"loop {symbol}: feature set {fs.id} needs {lacking}, which are neither fed live nor recorded; "
                f"train on {sorted(FED)}: leave these families out of features.families"
            )
        self.quotes = LiveQuotes() if "quotes" in fs.groups and self._recorded.book is None else None
        self.symbol, self.fs, self.rules = symbol, fs, rules
        self.champions = dict(champions)
        self.brokers = {
            horizon: PaperBroker(
                symbol, horizon, rules.interval_us, latency_us=rules.latency_us, max_late_us=rules.max_late_us
            )
            for horizon in champions
        }
        interval = rules.interval_us
        self.since = dict.fromkeys(champions, 0)
        self._builder = BarBuilder(interval) if bar_state is None else BarBuilder.from_state(interval, bar_state)
        self._add_within = self._builder.adder()
        self._stream = FeatureStream(fs, feature_state)
        self._sigma = fs.names.index(SIGMA_COLUMN)
        self._waiting = ClosedBars.none()
        self._next_close_us: int | None = None
        self._tape = _NO_TRADES
        self.last_ts_us = self.last_id = -1

    @property
    def needs_market(self) -> bool:
        """Whether a bar can be decided on only when those of the other symbols are known."""
        return "market" in self.fs.groups and self._recorded.market is None

    @property
    def next_close_us(self) -> int | None:
        """Close of the first bar that waits; None where none does."""
        return self._next_close_us

    @property
    def waiting(self) -> ClosedBars:
        """Closed bars that have not been decided on."""
        return self._waiting

    def keep(self, horizons: Collection[int]) -> None:
        """Decide on these horizons only."""
        for of in (self.champions, self.brokers, self.since):
            for horizon in [h for h in of if h not in horizons]:
                del of[horizon]

    def add(self, trades: Trades) -> None:
        """Take trades as they came: in time order, or out of it within a bar, which then count as of one moment.

        Raises
        ------
        ContractError
            A trade is older than the open bar, or no trade; nothing was taken in then.
        """
        columns = (trades.ts_us, trades.price, trades.qty, trades.side, trades.trade_id)
        if not (len(trades) == 1 and self._add_within(*(column.item() for column in columns))):
            self._queue(self._builder.add(*columns))
        if len(trades):
            rising = np.maximum.accumulate(np.maximum(trades.ts_us, self.last_ts_us))
            taken = Trades(rising, *columns[1:])
            self._tape = taken.copy() if len(self._tape) == 0 else concatenate([self._tape, taken])
            self.last_ts_us, self.last_id = int(rising[-1]), int(trades.trade_id[-1])

    def end_bar(self) -> bool:
        """Close the open bar, for its time or the stream is over; whether there was one."""
        return self._queue(self._builder.end())

    def _queue(self, bars: ClosedBars) -> bool:
        if len(bars):
            self._wait_for(ClosedBars.joined([self._waiting, bars]))
        return len(bars) > 0

    def _wait_for(self, bars: ClosedBars) -> None:
        self._waiting = bars
        self._next_close_us = bars.column("ts_us")[0].item() if len(bars) else None

    def decide(
        self, n: int, market: pa.Table | None = None, latency_us: Callable[[], int] | None = None
    ) -> tuple[list[Decided], FeatureRows]:
        """Decide on the first n waiting bars, and fill what trades before the next waiting bar's close can fill.

        Parameters
        ----------
        n : int
            At least 1.
        market : pyarrow.Table, optional
            MARKET at these closes, where `needs_market`.
        latency_us : callable, optional
            Microseconds since the trade that closed the last of the bars came in.
        """
        bars = self._waiting.slice(0, n)
        self._wait_for(self._waiting.slice(n))
        rows = self._features(bars, market)
        decided = [self._decide(horizon, bars, rows, latency_us) for horizon in self.champions]
        self.settle()
        return decided, rows

    def _features(self, bars: ClosedBars, market: pa.Table | None) -> FeatureRows:
        ts = np.ascontiguousarray(bars.column("ts_us"))
        columns, warm = np.empty((len(self.fs.names), len(ts))), np.empty(len(ts), dtype=np.bool_)
        if len(ts):
            beside = self._recorded.near(ts)
            book = beside.book if self.quotes is None else self.quotes.rows(bars)
            X = inputs_from_bars(bars, beside.market if market is None else market, beside.context, book)
            self._stream.push(X, ts, columns, warm)
        return FeatureRows(ts, np.ascontiguousarray(columns.T), warm)

    def _decide(
        self, horizon: int, bars: ClosedBars, rows: FeatureRows, latency_us: Callable[[], int] | None
    ) -> Decided:
        champion, n = self.champions[horizon], len(rows.ts_us)
        standing = self.rules.gate.standing(self.symbol, horizon)
        close = bars.column("close")
        P, confidence, target = np.full((n, 3), np.nan), np.full(n, np.nan), np.full(n, np.nan)
        side, codes = np.zeros(n, dtype=np.int8), np.full(n, _WARMING, dtype=np.int8)
        should, ordered = np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_)
        words: tuple[str, ...] = _WORDS
        if isinstance(champion, NoChampion):
            words = (f"no_champion: {champion.reason}",)
        else:
            P = champion.predict(rows.values, rows.warm)
            known = np.flatnonzero(rows.warm)
            taken = decide(P[known], standing.min_confidence)
            side[known], confidence[known] = taken.side, taken.confidence
            moves = np.asarray(champion.metadata["moves"], dtype=np.float64)
            target[known] = close[known] * np.exp(np.where(taken.side > 0, moves[2], moves[0]))
            should[known] = taken.traded & standing.trades
            codes[known] = _BELOW
            early = rows.ts_us < self.since[horizon]
            codes[early & rows.warm] = _EARLY
            should &= ~early
            if not standing.trades:
                words = (*_WORDS[:_BELOW], f"gate: {standing.reason}", *_WORDS[_BELOW + 1 :])
            self._place(horizon, champion.bundle_id, standing.size_factor, bars, rows, should, side, confidence, codes)
            ordered = codes == _ORDERED
        return Decided(
            ts_us=rows.ts_us,
            symbol=self.symbol,
            horizon=horizon,
            bundle_id=None if isinstance(champion, NoChampion) else champion.bundle_id,
            kind=None if isinstance(champion, NoChampion) else str(champion.metadata["kind"]),
            feature_set_id=self.fs.id,
            P=P,
            side=side,
            confidence=confidence,
            price=close,
            target=target,
            min_confidence=standing.min_confidence,
            action=standing.action,
            should_trade=should,
            ordered=ordered,
            reason=[words[code] for code in codes.tolist()],
            size_factor=standing.size_factor,
            source=self.rules.source,
            latency_us=None if latency_us is None else latency_us(),
        )

    def _place(
        self,
        horizon: int,
        bundle_id: str,
        size_factor: float,
        bars: ClosedBars,
        rows: FeatureRows,
        should: np.ndarray,
        side: np.ndarray,
        confidence: np.ndarray,
        codes: np.ndarray,
    ) -> None:
        """Order on paper where the gate lets a signal through; says in `codes` what became of it."""
        at = np.flatnonzero(should)
        if at.size == 0:
            return
        sigma, volume = rows.values[:, self._sigma], quote_volume(bars)
        traded, close = np.maximum(volume, np.finfo(np.float64).tiny)[at], bars.column("close")[at]
        qty, worth = sizes(self.rules.execution, self.rules.costs.notional, close, traded)
        taker = np.zeros(at.size, dtype=np.bool_)
        side_legs = charges(self.rules.costs, self.rules.execution, taker, sigma[at], traded, worth)
        legs = CostLegs(*(part + part for part in (side_legs.fees, side_legs.spread, side_legs.slippage)))
        risk = sigma[at] * np.sqrt(horizon)
        trades = bars.column("trades")[at].astype(np.float64)
        seen = Conditions(bars.column("open")[at], close, sigma[at], legs.total, trades)
        blocks = self.rules.filters.blocks(seen, horizon)
        broker, tape = self.brokers[horizon], self._tape
        for k, row in enumerate(at.tolist()):
            if blocks[k]:
                codes[row] = blocks[k]
                continue
            if not (volume[row] > 0 and qty[k] > 0):
                codes[row] = _NO_VOLUME
                continue
            close_us = int(rows.ts_us[row])
            broker.settle(tape.ts_us, tape.price, close_us)
            order = _holding(close_us, side[row], confidence[row], legs, k, risk[k], qty[k], bundle_id, size_factor)
            codes[row] = _ORDERED if broker.offer(order) else _BUSY

    def settle(self) -> None:
        """Fill at all trades but those from the next waiting close on; forget trades that fill nothing any more."""
        before = self._next_close_us
        for broker in self.brokers.values():
            broker.settle(self._tape.ts_us, self._tape.price, before)
        if before is None:
            self._tape = _NO_TRADES
        else:
            self._tape = self._tape.take(slice(int(np.searchsorted(self._tape.ts_us, before)), None))

    def state(self) -> dict[str, Any]:
        """Everything carried, as plain values; JSON keeps every bit of them."""
        models = {h: one for h, one in self.champions.items() if isinstance(one, SignalModel)}
        return {
            "feature_set_id": self.fs.id,
            "bars": _text(self._builder.state()),
            "features": _text(self._stream.state()),
            "quotes": None if self.quotes is None else self.quotes.state(),
            "waiting": _text(self._waiting.to_bytes()),
            "tape": {"ts_us": self._tape.ts_us.tolist(), "price": self._tape.price.tolist()},
            "last": [self.last_ts_us, self.last_id],
            "since": {str(h): ts for h, ts in self.since.items()},
            "brokers": {str(h): broker.state() for h, broker in self.brokers.items()},
            "champions": {str(h): {"bundle_id": one.bundle_id, "scaler": one.state()} for h, one in models.items()},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`.

        Raises
        ------
        FeatureSetError, ContractError
            It is of other features, of bars of another length, or of other horizons.
        """
        if state["feature_set_id"] != self.fs.id or set(state["brokers"]) != {str(h) for h in self.brokers}:
            raise FeatureSetError(
                f"checkpoint {self.symbol}: of feature set {state['feature_set_id']} and horizons "
                f"{sorted(state['brokers'])}; expected {self.fs.id} and {sorted(self.brokers)} - start in a new folder"
            )
        self._builder = BarBuilder.from_state(self.rules.interval_us, _bytes(state["bars"]))
        self._add_within = self._builder.adder()
        self._stream = FeatureStream(self.fs, _bytes(state["features"]))
        self._wait_for(ClosedBars.from_bytes(_bytes(state["waiting"])))
        if self.quotes is not None:
            self.quotes.restore(state["quotes"])
        n = len(state["tape"]["ts_us"])
        self._tape = Trades(
            np.array(state["tape"]["ts_us"], dtype=np.int64), np.array(state["tape"]["price"], dtype=np.float64),
            np.ones(n), np.ones(n, dtype=np.int8), np.full(n, -1, dtype=np.int64),
        )  # fmt: skip
        self.last_ts_us, self.last_id = state["last"]
        self.since = {int(h): int(ts) for h, ts in state["since"].items()}
        for horizon, broker in self.brokers.items():
            broker.restore(state["brokers"][str(horizon)])
        for horizon, champion in self.champions.items():
            saved = state["champions"].get(str(horizon))
            if isinstance(champion, SignalModel) and saved and saved["bundle_id"] == champion.bundle_id:
                champion.restore(saved["scaler"])

    def take_done(self) -> list[dict[str, Any]]:
        """Paper trades finished since the last call."""
        return [trade for broker in self.brokers.values() for trade in broker.take_done()]


def _holding(
    close_us: int,
    side: Any,
    confidence: Any,
    legs: CostLegs,
    k: int,
    risk: Any,
    qty: Any,
    bundle_id: str,
    size_factor: float,
) -> Holding:
    return Holding(
        signal_ts_us=close_us,
        side=int(side),
        confidence=float(confidence),
        fees=float(legs.fees[k]),
        spread=float(legs.spread[k]),
        slippage=float(legs.slippage[k]),
        risk=float(risk),
        qty=float(qty),
        bundle_id=bundle_id,
        size_factor=size_factor,
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
