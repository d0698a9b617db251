"""Orders that were sent, and the trades they became: filled by the market, or where their labels say."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from scalper_ml.backtest.costs import BPS, CostLegs, Costs
from scalper_ml.backtest.events import EXITS, Fills, Tape, walk
from scalper_ml.backtest.execution import Execution, Funding, charges, orders_of
from scalper_ml.backtest.labelled import AsLabelled, labelled_fills, one_at_a_time
from scalper_ml.backtest.log import Entries
from scalper_ml.backtest.rows import Rows, floats
from scalper_ml.kernel import kernel

__all__ = ["Sent", "Traded", "as_labelled", "by_orders"]


@dataclass(frozen=True, slots=True, eq=False)
class Sent:
    """Orders, a row each: `at` is the row of the role that decided it; the other arrays are of the orders alone.

    Attributes
    ----------
    risk : ndarray of float64
        The unit of R, a fraction of the entry's price.
    volume, qty, worth : ndarray of float64
        Quote volume of the signal bar; size of the order in base and in quote units.
    stake : float
        Share of equity at risk in each trade of the compounded curve.
    """

    rows: Rows
    at: np.ndarray
    side: np.ndarray
    confidence: np.ndarray
    risk: np.ndarray
    volume: np.ndarray
    qty: np.ndarray
    worth: np.ndarray
    costs: Costs
    execution: Execution
    funding: Funding | None
    stake: float

    def paid(self, maker: np.ndarray) -> CostLegs:
        """What one side of every order costs, as a maker or not."""
        return charges(self.costs, self.execution, maker, self.rows.sigma[self.at], self.volume, self.worth)

    def entries(
        self, done: np.ndarray, times: Sequence[np.ndarray], prices: Sequence[np.ndarray],
        makers: Sequence[np.ndarray], reason: np.ndarray,
    ) -> Entries:  # fmt: skip
        """The orders `done` as trades; times, prices and makers of the entry and of the exit."""
        paid_in, paid_out = (self._paid_by(maker, done) for maker in makers)
        entry_ts, exit_ts = (ts[done] for ts in times)
        entry_price, exit_price = (price[done] for price in prices)
        side = self.side[done]
        return Entries(
            decided=self.rows.ts[self.at[done]],
            entry_ts=entry_ts,
            exit_ts=exit_ts,
            side=side,
            confidence=self.confidence[done],
            entry_price=entry_price,
            exit_price=exit_price,
            paid_in=paid_in,
            paid_out=paid_out,
            funding=np.zeros(done.size) if self.funding is None else self.funding.of(entry_ts, exit_ts, side),
            risk=self.risk[done],
            qty=self.qty[done],
            reason=reason[done],
        )

    def _paid_by(self, maker: np.ndarray, done: np.ndarray) -> CostLegs:
        legs = self.paid(maker)
        return CostLegs(legs.fees[done], legs.spread[done], legs.slippage[done])


@dataclass(frozen=True, slots=True, eq=False)
class Traded:
    """The trades of a run: orders that became one, R and equity at every bar, and the bar of the last exit."""

    entries: Entries
    trades: pa.Table
    done: np.ndarray
    r_cum: np.ndarray
    equity: np.ndarray
    last: int
    fills: Fills | None = None


def by_orders(sent: Sent, bars: Tape, tape: Tape | None, *, late_us: int, hold_us: int) -> Traded:
    """Send the orders to the market, `tape`, or the bars where there is none."""
    rows, execution = sent.rows, sent.execution
    wanted = orders_of(
        execution,
        decided=rows.ts[sent.at],
        late_us=late_us,
        hold_us=hold_us,
        side=sent.side,
        risk=sent.risk,
        close=bars.close[rows.bar[sent.at]],
        spread=sent.costs.spread_bps * BPS,
    )
    fills = walk(tape or bars, wanted, opposite=execution.opposite, maker_target=execution.entry == "maker")
    done = np.flatnonzero(fills.reason > 0)
    made = sent.entries(
        done,
        (fills.entry_ts, fills.exit_ts),
        (fills.entry_price, fills.exit_price),
        (fills.maker_in, fills.maker_out),
        np.array(EXITS)[fills.reason],
    )
    entry_bar, exit_bar = (np.searchsorted(bars.end, ts, side="right") for ts in (made.entry_ts, made.exit_ts))
    return _marked(sent, bars, made, done, entry_bar, exit_bar, fills)


def as_labelled(sent: Sent, bars: Tape, rule: AsLabelled, *, horizon: int, latency_bars: int) -> Traded:
    """Trades that enter and leave where the labels of their rows do."""
    rows = sent.rows
    found = labelled_fills(
        rows, sent.at, sent.side, rule, open_=bars.open, high=bars.high, low=bars.low, close_ts=bars.end,
        horizon=horizon, latency_bars=latency_bars,
    )  # fmt: skip
    takers = np.zeros(sent.at.size, bool)
    done = np.flatnonzero(one_at_a_time(found.entry_bar, found.exit_bar))
    entry_ts = bars.start[np.minimum(found.entry_bar, bars.start.size - 1)]
    made = sent.entries(
        done,
        (entry_ts, rows.t1[sent.at]),
        (found.entry_price, found.exit_price),
        (takers, takers),
        np.full(sent.at.size, "label"),
    )
    return _marked(sent, bars, made, done, found.entry_bar[done], found.exit_bar[done])


def _marked(
    sent: Sent, bars: Tape, made: Entries, done: np.ndarray, entry_bar: np.ndarray, exit_bar: np.ndarray,
    fills: Fills | None = None,
) -> Traded:  # fmt: skip
    """The trades, marked at every close: each is open from the close of one bar on, and over at that of another."""
    trades = made.trades()
    r_cum, equity = _mark(
        bars.close, int(sent.rows.bar[0]), entry_bar, exit_bar, made.entry_price, made.side, made.paid_in.total,
        made.risk, floats(trades, "r"), sent.stake,
    )  # fmt: skip
    return Traded(made, trades, done, r_cum, equity, int(exit_bar.max(initial=0)), fills)


@kernel
def _mark(
    close: np.ndarray,
    first: int,
    entry_bar: np.ndarray,
    exit_bar: np.ndarray,
    entry: np.ndarray,
    side: np.ndarray,
    paid_in: np.ndarray,
    risk: np.ndarray,
    r: np.ndarray,
    stake: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Cumulative R and compounded equity at the close of every bar, open positions net of what their entry cost."""
    n = close.size
    r_cum, equity = np.zeros(n), np.ones(n)
    closed_r, closed_equity, k = 0.0, 1.0, 0
    for i in range(first, n):
        while k < r.size and exit_bar[k] <= i:
            closed_r += r[k]
            closed_equity *= 1.0 + stake * r[k]
            k += 1
        r_open = 0.0
        if k < r.size and entry_bar[k] <= i:
            r_open = (side[k] * (close[i] / entry[k] - 1.0) - paid_in[k]) / risk[k]
        r_cum[i] = closed_r + r_open
        equity[i] = closed_equity * (1.0 + stake * r_open)
    return r_cum, equity
