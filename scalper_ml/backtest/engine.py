"""The event loop over bars: one position at a time, filled after the signal bar, marked every bar."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from scalper_ml.backtest.costs import Costs
from scalper_ml.backtest.labelled import AsLabelled, labelled_fills, replay_labelled
from scalper_ml.backtest.rows import Rows, floats, join_rows
from scalper_ml.backtest.signals import decide
from scalper_ml.errors import ContractError
from scalper_ml.kernel import kernel
from scalper_ml.labels.horizon import learned_classes
from scalper_ml.schema import LONG, NEUTRAL, SHORT, TRADES, US, Role, conform, stamps, us

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
        Signals on a bar in which nothing traded: decided, but not executed.
    classes : tuple of int
        Codes of the classes that the dataset is about: without NEUTRAL where its labels have no deadband.
    """

    trades: pa.Table
    equity: pa.Table
    signals: pa.Table
    trade_rows: np.ndarray
    unfillable: int
    classes: tuple[int, ...] = (SHORT, NEUTRAL, LONG)


@kernel
def _replay(
    open_ts: np.ndarray,
    open_: np.ndarray,
    close: np.ndarray,
    first: int,
    side: np.ndarray,
    entry_due: np.ndarray,
    exit_due: np.ndarray,
    cost: np.ndarray,
    risk: np.ndarray,
    stake: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Walk the bars once; returns entry bar and exit bar of each order (-1 = not taken) and the marks.

    At each open: the position leaves if its time is up; orders that are due enter if there was no
    position when they were decided; at the close the position is marked net of its entry-side costs.
    """
    n_orders, n_bars = entry_due.size, open_ts.size
    entry_bar = np.full(n_orders, -1, np.int64)
    exit_bar = np.full(n_orders, -1, np.int64)
    r_cum = np.zeros(n_bars)
    equity = np.ones(n_bars)
    held, order = -1, 0
    closed_r, closed_equity = 0.0, 1.0
    for i in range(first, n_bars):
        was_flat = held < 0  # when the orders due now were decided, at the close just before
        while True:
            if held >= 0 and open_ts[i] >= exit_due[held]:
                gross = side[held] * (open_[i] / open_[entry_bar[held]] - 1.0)
                r = (gross - cost[held]) / risk[held]
                closed_r += r
                closed_equity *= 1.0 + stake * r
                exit_bar[held] = i
                held = -1
            if order == n_orders or entry_due[order] > open_ts[i]:
                break
            if was_flat and held < 0:
                held = order
                entry_bar[held] = i
            order += 1
        r_open = 0.0
        if held >= 0:
            gross = side[held] * (close[i] / open_[entry_bar[held]] - 1.0)
            r_open = (gross - 0.5 * cost[held]) / risk[held]
        r_cum[i] = closed_r + r_open
        equity[i] = closed_equity * (1.0 + stake * r_open)
        if held < 0 and order == n_orders:
            r_cum[i:] = closed_r
            equity[i:] = closed_equity
            break
    return entry_bar, exit_bar, r_cum, equity


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
    ``gross = side * (exit/entry - 1)``, ``net = gross - fees - spread - slippage``,
    ``risk = sigma * sqrt(horizon)``, ``r = net / risk``. A decision at bar i uses probabilities,
    sigma and volume known at its close; prices after it are only filled at.
    """
    if not (math.isfinite(threshold) and horizon >= 1 and latency_bars >= 0 and 0 < risk_per_trade < 1):
        raise ContractError(
            f"backtest: threshold {threshold}, horizon {horizon}, latency_bars {latency_bars}, risk_per_trade "
            f"{risk_per_trade}; expected a number, >= 1, >= 0 and in (0, 1)"
        )
    open_ts, close_ts = us(bars.column("open_ts_us")), us(bars.column("ts_us"))
    open_, close = floats(bars, "open"), floats(bars, "close")
    rows = join_rows(close_ts, dataset, predictions, role)
    signals = decide(rows.P, threshold)
    volume = quote_volume(bars)[rows.bar]
    orders = np.flatnonzero(signals.traded & (volume > 0))
    legs = costs.legs(rows.sigma[orders], volume[orders])
    risk = rows.sigma[orders] * np.sqrt(horizon)
    side = signals.side[orders].astype(np.float64)
    first = int(rows.bar[0])
    if rule is None:
        entry_due = rows.ts[orders] + latency_bars * interval_us
        exit_due = entry_due + horizon * interval_us
        entry_bar, exit_bar, r_cum, equity = _replay(
            open_ts, open_, close, first, side, entry_due, exit_due, legs.total, risk, risk_per_trade
        )
        if latency_bars == 0:
            _check_fills(rows, orders, entry_bar, exit_bar, open_, close_ts)
        done = np.flatnonzero(exit_bar >= 0)
        entry, leave, left_ts = open_[entry_bar[done]], open_[exit_bar[done]], open_ts[exit_bar[done]]
    else:
        fills = labelled_fills(
            rows, orders, side, rule, open_=open_, high=floats(bars, "high"), low=floats(bars, "low"),
            close_ts=close_ts, horizon=horizon, latency_bars=latency_bars,
        )  # fmt: skip
        entry_bar, exit_bar = fills.entry_bar, fills.exit_bar
        taken, r_cum, equity = replay_labelled(
            close,
            first,
            side,
            entry_bar,
            exit_bar,
            fills.entry_price,
            fills.exit_price,
            legs.total,
            risk,
            risk_per_trade,
        )
        done = np.flatnonzero(taken)
        entry, leave, left_ts = fills.entry_price[done], fills.exit_price[done], rows.t1[orders[done]]
        exit_bar = np.where(taken, exit_bar, -1)
    gross = side[done] * (leave / entry - 1.0)
    fees, spread, slippage = legs.fees[done], legs.spread[done], legs.slippage[done]
    net = gross - fees - spread - slippage
    trades = conform(
        pa.table(
            {
                "signal_ts_us": stamps(rows.ts[orders[done]]),
                "entry_ts_us": stamps(open_ts[entry_bar[done]]),
                "exit_ts_us": stamps(left_ts),
                "side": signals.side[orders[done]],
                "confidence": signals.confidence[orders[done]],
                "entry_price": entry,
                "exit_price": leave,
                "gross": gross,
                "fees": fees,
                "spread": spread,
                "slippage": slippage,
                "net": net,
                "risk": risk[done],
                "r": net / risk[done],
            }
        ),
        TRADES,
        "trades",
    )
    last = max(int(rows.bar[-1]), int(exit_bar.max(initial=0)))
    span = slice(first, last + 1)
    return Backtest(
        trades=trades,
        equity=pa.table([stamps(close_ts[span]), pa.array(r_cum[span]), pa.array(equity[span])], schema=EQUITY),
        signals=pa.table(
            [stamps(rows.ts), pa.array(rows.y), *map(pa.array, (signals.y_pred, signals.side, signals.confidence))],
            schema=SIGNALS,
        ),
        trade_rows=orders[done],
        unfillable=int((signals.traded & ~(volume > 0)).sum()),
        classes=learned_classes(dataset.column("y").to_numpy(), dataset.column("y_binary").to_numpy()),
    )


def quote_volume(bars: pa.Table) -> np.ndarray:
    """Quote volume of each bar (n,); where the source has none, base volume at the close."""
    quote = np.asarray(bars.column("quote_volume").cast(pa.float64()).to_numpy(), dtype=np.float64)
    return np.where(quote > 0, quote, floats(bars, "volume") * floats(bars, "close"))


def _check_fills(
    rows: Rows, orders: np.ndarray, entry_bar: np.ndarray, exit_bar: np.ndarray, open_: np.ndarray, close_ts: np.ndarray
) -> None:
    """Fills recomputed from the bars must be the dataset's prices and stamps."""
    taken = np.flatnonzero(entry_bar >= 0)
    row, entry, leave = orders[taken], entry_bar[taken], exit_bar[taken]
    wrong = (leave < 0) | ~np.isclose(open_[entry], rows.entry_price[row], rtol=_PRICE_TOLERANCE, atol=0)
    wrong |= ~np.isclose(open_[leave], rows.exit_price[row], rtol=_PRICE_TOLERANCE, atol=0) | (
        close_ts[leave] != rows.t1[row]
    )
    if wrong.any():
        k = int(np.flatnonzero(wrong)[0])
        raise ContractError(
            f"backtest: {int(wrong.sum())} of {taken.size} trades are filled differently from the dataset, first at "
            f"{rows.ts[row[k]]} us: entry {open_[entry[k]]}, exit {open_[leave[k]]} from the bars; dataset has "
            f"{rows.entry_price[row[k]]}, {rows.exit_price[row[k]]} - rebuild the dataset from these bars"
        )
