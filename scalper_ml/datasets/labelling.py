"""From settings to labels: which labeller, on which prices."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from scalper_ml.errors import ContractError, SettingsError
from scalper_ml.labels.barrier import BarrierLabels, barrier_labels, tape_barrier_labels
from scalper_ml.labels.executable import executable_labels, mid_fills, side_mid_fills, trade_fills
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
    wide = params.kind != "binary"
    common: dict[str, Any] = {
        "horizon": params.horizon,
        "interval_us": params.interval_us,
        "sigma": sigma,
        "cost": cost,
        "k_vol": params.k_vol if wide else 0.0,
        "kappa": params.kappa if wide else 0.0,
    }
    start, close = us(bars.column("open_ts_us")), us(bars.column("ts_us"))
    if params.price == "open":
        prices: dict[str, Any] = {name: bars.column(name).to_numpy() for name in ("open", "high", "low")}
        if params.kind == "triple_barrier":
            rest: dict[str, Any] = {"max_gap_bars": params.max_gap_bars, "barriers": params.barriers}
            return barrier_labels(**prices, open_ts_us=start, ts_us=close, **rest, **common)
        return horizon_labels(prices["open"], start, close, max_gap_bars=params.max_gap_bars, **common)
    if params.kind == "triple_barrier" and params.price != "trade":
        raise SettingsError(
            f"labels: a triple barrier cannot stand on {params.price}; set labels.price to trade or open"
        )
    wait_us = (params.max_gap_bars + 1) * params.interval_us
    if params.price == "mid":
        quotes = _columns(tape, params.price, "quotes", "bid", "ask")
        return executable_labels(
            close,
            partial(mid_fills, max_age_us=wait_us, until_us=tape.until_us if tape else None, **quotes),
            latency_us=params.latency_us,
            **common,
        )
    if params.price == "side_mid":
        trades = _columns(tape, params.price, "trades and their sides", "price", "side")
        return executable_labels(
            close,
            partial(side_mid_fills, max_age_us=wait_us, until_us=tape.until_us if tape else None, **trades),
            latency_us=params.latency_us,
            **common,
        )
    trades = _columns(tape, params.price, "trades", "price")
    if params.kind == "triple_barrier":
        rest = {"max_gap_bars": params.max_gap_bars, "barriers": params.barriers, "latency_us": params.latency_us}
        return tape_barrier_labels(close, trades["ts_us"], trades["price"], **rest, **common)
    fills = partial(trade_fills, wait_us=wait_us, **trades)
    return executable_labels(close, fills, latency_us=params.latency_us, **common)


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
