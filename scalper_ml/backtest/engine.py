"""One run over one role: decisions, orders, trades, and the equity marked every bar."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from scalper_ml.backtest.costs import Costs
from scalper_ml.backtest.events import Fills, Tape
from scalper_ml.backtest.execution import Execution, Funding, sizes
from scalper_ml.backtest.labelled import AsLabelled
from scalper_ml.backtest.log import Entries
from scalper_ml.backtest.rows import Rows, floats, join_rows
from scalper_ml.backtest.sent import Sent, as_labelled, by_orders
from scalper_ml.backtest.signals import decide
from scalper_ml.bars.table import ClosedBars
from scalper_ml.errors import ContractError
from scalper_ml.labels.horizon import learned_classes
from scalper_ml.schema import LONG, NEUTRAL, SHORT, US, Role, stamps, us

__all__ = ["EQUITY", "RISK_PER_TRADE", "SIGNALS", "Backtest", "quote_volume", "run_backtest"]

RISK_PER_TRADE: Final = 0.005
"""Default share of equity put at risk by each trade of the compounded curve."""

EQUITY: Final = pa.schema(
    [
        pa.field("ts_us", US, nullable=False),  # close of the bar
        pa.field("r_cum", pa.float64(), nullable=False),  # closed R plus the open position marked at the close
        pa.field("equity", pa.float64(), nullable=False),  # compounded at the risk per trade, starts at 1
    ]
)

SIGNALS: Final = pa.schema(
    [
        pa.field("ts_us", US, nullable=False),  # close of the signal bar
        pa.field("y", pa.int8(), nullable=False),  # label
        pa.field("y_pred", pa.int8(), nullable=False),  # decision: side, or NEUTRAL when not traded
        pa.field("side", pa.int8(), nullable=False),  # +1 LONG, -1 SHORT
        pa.field("confidence", pa.float64(), nullable=False),
    ]
)

_HELD: Final = ("entry_ts_us", "exit_ts_us")
_PRICE_TOLERANCE: Final = 1e-12  # relative


@dataclass(frozen=True, slots=True)
class Backtest:
    """What one run over one role did.

    Attributes
    ----------
    trades : pyarrow.Table of TRADES
        In time order, never overlapping.
    equity : pyarrow.Table of EQUITY
        One row a bar, from the first signal bar of the role to the last exit or last signal bar.
    signals : pyarrow.Table of SIGNALS
        One row per row of the role: the decision beside the label.
    trade_rows : ndarray of int64, shape (trades,)
        Position of each trade's signal row within `signals`.
    unfillable : int
        Signals on a bar in which nothing traded, or too little: decided, but not executed.
    entries : Entries
        The orders that became trades; `order_log` tells them event by event.
    gaps : ndarray of int64, shape (trades,)
        Intervals without a bar while each trade was held: more than 0 flags one that was carried through a hole.
    classes : tuple of int
        Codes of the classes that the dataset is about: without NEUTRAL where its labels have no deadband.
    """

    trades: pa.Table
    equity: pa.Table
    signals: pa.Table
    trade_rows: np.ndarray
    unfillable: int
    entries: Entries
    gaps: np.ndarray
    classes: tuple[int, ...] = (SHORT, NEUTRAL, LONG)


def run_backtest(
    bars: pa.Table,
    dataset: pa.Table,
    predictions: pa.Table,
    *,
    role: Role,
    threshold: float,
    costs: Costs,
    horizon: int,
    interval_us: int,
    latency_bars: int = 0,
    risk_per_trade: float = RISK_PER_TRADE,
    rule: AsLabelled | None = None,
    execution: Execution | None = None,
    tape: Tape | None = None,
    funding: Funding | None = None,
) -> Backtest:
    """Trade the predictions of one role over its bars and return trades, equity and decisions.

    A row decided at the close of its bar enters at the open of the next bar and leaves at the first
    open at or after ``close + horizon`` intervals. Signals while a position is open are passed over:
    the next decision is the first close after the exit, so a trade takes ``horizon + 1`` bars.

    Parameters
    ----------
    bars : pyarrow.Table of BARS
        Sorted by time; must hold every bar from the first signal to the last exit.
    dataset : pyarrow.Table of DATASET
        All roles; labels, sigma and the prices the fills are checked against.
    predictions : pyarrow.Table of PREDICTIONS
        Rows of `role` only (see `of_role`), out of sample only, sorted by time.
    role : {"select", "score", "train"}
        ``train`` takes out-of-fold rows only; ``calibrate`` is refused: the temperature was fitted on it.
    threshold : float
        Least confidence traded.
    horizon : int
        Bars held, >= 1.
    interval_us : int
        Bar interval, microseconds.
    latency_bars : int
        Whole intervals by which entry *and* exit are delayed, >= 0: a diagnostic.
    risk_per_trade : float
        Share of equity put at risk by each trade of the compounded curve, in (0, 1).
    rule : AsLabelled, optional
        Of a dataset whose labels leave at barriers or are made of trades: its trades enter and leave where the
        labels do, and who leaves within a bar can take what is decided at its close. `latency_bars` then delays
        entries alone.
    execution : Execution, optional
        How orders are sent; default: takers that leave when their time is up. Not with `rule`.
    tape : Tape, optional
        Trades that orders are filled with; default: the bars. Not with `rule`.
    funding : Funding, optional
        Settlements that open positions pay or are paid.

    Returns
    -------
    Backtest

    Raises
    ------
    ContractError
        A prediction of another role or made in sample; rows that are unsorted, missing or not in
        the dataset; bars that do not reproduce the dataset's entry and exit prices and stamps.

    Notes
    -----
    ``gross = side * (exit/entry - 1)``, ``net = gross - fees - spread - slippage - funding``,
    ``risk = sigma * sqrt(horizon)``, ``r = net / risk``. A decision at bar i uses probabilities,
    sigma and volume known at its close; prices after it are only filled at.
    """
    if not (math.isfinite(threshold) and horizon >= 1 and latency_bars >= 0 and 0 < risk_per_trade < 1):
        raise ContractError(
            f"backtest: threshold {threshold}, horizon {horizon}, latency_bars {latency_bars}, risk_per_trade "
            f"{risk_per_trade}; expected a number, >= 1, >= 0 and in (0, 1)"
        )
    execution = execution or Execution()
    if rule is not None and (tape is not None or not execution.as_labels):
        raise ContractError(
            "backtest: trades that follow their labels have no tape and no exits of their own; leave them out"
        )
    market = _tape_of(bars)
    rows = join_rows(market.end, dataset, predictions, role)
    signals = decide(rows.P, threshold)
    volume = quote_volume(bars)[rows.bar]
    qty, worth = sizes(execution, costs.notional, market.close[rows.bar], volume)
    taken = np.flatnonzero(signals.traded & (volume > 0) & (qty > 0))
    sent = Sent(
        rows=rows, at=taken, side=signals.side[taken].astype(np.float64), confidence=signals.confidence[taken],
        risk=rows.sigma[taken] * np.sqrt(horizon), volume=volume[taken], qty=qty[taken], worth=worth[taken],
        costs=costs, execution=execution, funding=funding, stake=risk_per_trade,
    )  # fmt: skip
    if rule is None:
        late_us = latency_bars * interval_us + (execution.latency_us if tape is not None else 0)
        traded = by_orders(sent, market, tape, late_us=late_us, hold_us=horizon * interval_us)
        if traded.fills is not None and latency_bars == 0 and tape is None and execution.as_labels:
            _check_fills(rows, taken, traded.fills, market)
    else:
        traded = as_labelled(sent, market, rule, horizon=horizon, latency_bars=latency_bars)
    first, last = int(rows.bar[0]), min(max(int(rows.bar[-1]), traded.last), market.end.size - 1)
    span = slice(first, last + 1)
    return Backtest(
        trades=traded.trades,
        equity=pa.table(
            [stamps(market.end[span]), pa.array(traded.r_cum[span]), pa.array(traded.equity[span])], schema=EQUITY
        ),
        signals=pa.table(
            [stamps(rows.ts), pa.array(rows.y), *map(pa.array, (signals.y_pred, signals.side, signals.confidence))],
            schema=SIGNALS,
        ),
        trade_rows=taken[traded.done],
        unfillable=int(signals.traded.sum()) - taken.size,
        entries=traded.entries,
        gaps=_gaps_held(bars, market, traded.trades),
        classes=learned_classes(dataset.column("y").to_numpy(), dataset.column("y_binary").to_numpy()),
    )


def _tape_of(bars: pa.Table) -> Tape:
    """The bars as events."""
    start, end = us(bars.column("open_ts_us")), us(bars.column("ts_us"))
    return Tape(start, end, *(floats(bars, name) for name in ("open", "high", "low", "close")))


def _gaps_held(bars: pa.Table, market: Tape, trades: pa.Table) -> np.ndarray:
    """Empty intervals between the bar of each trade's entry and that of its exit."""
    passed = np.cumsum(bars.column("gap").to_numpy().astype(np.int64))
    entry, leave = (np.searchsorted(market.start, us(trades[name]), side="right") - 1 for name in _HELD)
    return np.asarray(passed[leave] - passed[entry])


def quote_volume(bars: pa.Table | ClosedBars) -> np.ndarray:
    """Quote volume of each bar (n,); where the source has none, base volume at the close."""
    names = ("quote_volume", "volume", "close")
    if isinstance(bars, ClosedBars):
        quote, volume, close = (bars.column(name) for name in names)
    else:
        quote, volume, close = (np.asarray(bars.column(name).cast(pa.float64()).to_numpy()) for name in names)
    return np.asarray(np.where(quote > 0, quote, volume * close))


def _check_fills(rows: Rows, orders: np.ndarray, fills: Fills, bars: Tape) -> None:
    """Fills made of the bars must be the dataset's prices and stamps."""
    taken = np.flatnonzero(fills.entry_at >= 0)
    row, entry, leave = orders[taken], fills.entry_at[taken], fills.exit_at[taken]
    wrong = (leave < 0) | ~np.isclose(bars.open[entry], rows.entry_price[row], rtol=_PRICE_TOLERANCE, atol=0)
    wrong |= ~np.isclose(bars.open[leave], rows.exit_price[row], rtol=_PRICE_TOLERANCE, atol=0)
    wrong |= bars.end[leave] != rows.t1[row]
    if wrong.any():
        k = int(np.flatnonzero(wrong)[0])
        raise ContractError(
            f"backtest: {int(wrong.sum())} of {taken.size} trades are filled differently from the dataset, first at "
            f"{rows.ts[row[k]]} us: entry {bars.open[entry[k]]}, exit {bars.open[leave[k]]} from the bars; dataset has "
            f"{rows.entry_price[row[k]]}, {rows.exit_price[row[k]]} - rebuild the dataset from these bars"
        )
