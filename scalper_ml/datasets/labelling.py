"""From settings to labels: which labeller, on which prices."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from scalper_ml.errors import ContractError, SettingsError
from scalper_ml.labels.barrier import BarrierLabels, barrier_labels, tape_barrier_labels
from scalper_ml.labels.executable import Fills, executable_labels, mid_fills, side_mid_fills, trade_fills
from scalper_ml.labels.horizon import LabelParams, Labels, horizon_labels
from scalper_ml.labels.paths import VERTICAL
from scalper_ml.schema import us

__all__ = ["Tape", "in_flight_until", "label_bars"]

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Tape:
    """Prices between the bars, in time order: trades, or quotes by the time they became known; columns (k,).

    ``price`` and ``side``, +1 or -1, are a trade's, ``bid`` and ``ask`` a quote's; those of the other kind are None.
    ``until_us`` is the end of the recording, by default the last row.
    """

    ts_us: I64
    price: F64 | None = None
    side: NDArray[np.int8] | None = None
    bid: F64 | None = None
    ask: F64 | None = None
    until_us: int | None = None


def label_bars(bars: pa.Table, sigma: F64, cost: ArrayLike, params: LabelParams, tape: Tape | None = None) -> Labels:
    """Label bars by the rule of `params`.

    Parameters
    ----------
    bars : pyarrow.Table
        BARS of one symbol, n rows in time order.
    sigma : ndarray, shape (n,)
        1-bar volatility, NaN where not warm.
    cost : float or array_like, shape (n,)
        Round trip, a fraction.
    params : LabelParams
    tape : Tape, optional
        Trades for the prices ``trade`` and ``side_mid``, quotes for ``mid``; not looked at for ``open``.

    Returns
    -------
    Labels
        `BarrierLabels` of a triple barrier. A binary label has no deadband: it is NEUTRAL only where the exit equals
        the entry exactly.

    Raises
    ------
    ContractError
        The price rule needs a tape that is not there.
    SettingsError
        A triple barrier on mids: between quotes nothing says what could be traded.
    """
    rule = params.rule
    common: dict[str, Any] = {"rule": rule, "sigma": sigma, "cost": cost}
    start, close = us(bars.column("open_ts_us")), us(bars.column("ts_us"))
    if params.price == "open":
        prices: dict[str, Any] = {name: bars.column(name).to_numpy() for name in ("open", "high", "low")}
        if params.kind == "triple_barrier":
            return barrier_labels(**prices, open_ts_us=start, ts_us=close, barriers=params.barriers, **common)
        return horizon_labels(prices["open"], start, close, **common)
    common["latency_us"] = params.latency_us
    if params.kind == "triple_barrier":
        if params.price != "trade":
            raise SettingsError(
                f"labels: a triple barrier cannot stand on {params.price}; set labels.price to trade or open"
            )
        trades = _columns(tape, params.price, "trades", "price")
        return tape_barrier_labels(close, trades["ts_us"], trades["price"], barriers=params.barriers, **common)
    return executable_labels(close, _fills(params, tape, rule.late_us + rule.interval_us), **common)


def _fills(params: LabelParams, tape: Tape | None, wait_us: int) -> Callable[[I64], Fills]:
    """Prices of orders by the moment they are at the venue."""
    if params.price == "trade":
        return partial(trade_fills, wait_us=wait_us, **_columns(tape, params.price, "trades", "price"))
    until_us = tape.until_us if tape else None
    if params.price == "mid":
        quotes = _columns(tape, params.price, "quotes", "bid", "ask")
        return partial(mid_fills, max_age_us=wait_us, until_us=until_us, **quotes)
    trades = _columns(tape, params.price, "trades and their sides", "price", "side")
    return partial(side_mid_fills, max_age_us=wait_us, until_us=until_us, **trades)


def _columns(tape: Tape | None, price: str, needed: str, *names: str) -> dict[str, Any]:
    """Stamps and the named columns of the tape."""
    found = {name: None if tape is None else getattr(tape, name) for name in ("ts_us", *names)}
    if any(column is None for column in found.values()):
        raise ContractError(
            f"labels: price {price!r} needs {needed} beside the bars; found none - set labels.price to open, or "
            "bring them"
        )
    return found


def in_flight_until(labels: Labels, price: str) -> I64:
    """Moments (m,) up to which the bars that close before them belong to each label: what overlap is counted by.

    Of a bar at whose open a label ends only that price belongs to it. A touch lies within its bar, and an exit on the
    tape may lie anywhere in one, so there the bar of the exit counts as well.
    """
    if price != "open":
        return labels.t1 + 1
    touched = labels.touch != VERTICAL if isinstance(labels, BarrierLabels) else np.zeros(labels.t1.size, np.bool_)
    return labels.t1 + touched
