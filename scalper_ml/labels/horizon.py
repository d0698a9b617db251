"""Fixed-horizon labels on prices that could have been traded, with a deadband in volatility and cost units.

A signal is decided at the close of bar i. It is entered at the open of bar i + 1 and left at the first open at or
after ``ts_us[i] + horizon * interval_us``; the close of the signal bar is never used as a price. A row whose outcome
is not complete is dropped and counted under a reason, never labelled.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalper_ml.errors import ContractError, SettingsError
from scalper_ml.schema import LONG, NEUTRAL, SHORT

__all__ = ["CODE_VERSION", "DROP_REASONS", "PRICE_RULE", "LabelParams", "Labels", "horizon_labels", "label_version"]

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

PRICE_RULE: Final = "open of the next bar to first open at or after the horizon"
CODE_VERSION: Final = 1
"""Raised whenever the same inputs would be labelled differently; part of every label version."""

DROP_REASONS: Final = ("not_warm", "no_entry", "no_exit", "gap")
"""Why a row has no label, in the order in which the reasons are tried; a row is counted once."""


@dataclass(frozen=True, slots=True)
class LabelParams:
    """Everything that decides how a row is labelled.

    Parameters
    ----------
    horizon : int
        Bars between the signal and the exit, >= 1.
    interval_us : int
        Length of a bar, microseconds.
    k_vol : float
        Deadband in units of the horizon's volatility, >= 0 (.43 makes thirds under normality).
    kappa : float
        Deadband in units of the round-trip cost, >= 0.
    cost : mapping of str to float
        The numbers that make the round-trip cost, by name; ``{"round_trip": 0.0012}`` where it is one fraction.
    max_gap_bars : int
        Intervals by which the entry or exit bar may come late, >= 0.

    Raises
    ------
    SettingsError
        A value is outside its range.
    """

    horizon: int
    interval_us: int
    k_vol: float
    kappa: float
    cost: Mapping[str, float]
    max_gap_bars: int

    def __post_init__(self) -> None:
        _check_params(self.horizon, self.interval_us, self.k_vol, self.kappa, self.max_gap_bars)


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """Labelled rows in time order; every array has shape (m,), m <= number of bars.

    ``row`` is the signal bar; ``t0`` its close and ``t1`` the close of the exit bar, both int64 microseconds; ``ret``
    the gross log return from ``entry`` to ``exit``; ``deadband`` in log return; ``cost`` the round trip as a fraction;
    ``sigma`` the 1-bar st. dev.; ``y`` 0 SHORT, 1 NEUTRAL, 2 LONG; ``y_binary`` 1 up, 0 down, -1 exactly flat.
    ``dropped`` counts the other bars by reason: ``len(row) + sum(dropped.values())`` is the number of bars.
    """

    row: I64
    t0: I64
    t1: I64
    ret: F64
    entry: F64
    exit: F64
    deadband: F64
    cost: F64
    sigma: F64
    y: NDArray[np.int8]
    y_binary: NDArray[np.int8]
    dropped: dict[str, int]


def label_version(params: LabelParams) -> str:
    """First 12 hex digits of the sha256 over everything that decides a label.

    Floats enter by their exact bits. Two datasets with the same version were labelled by the same rule.

    Examples
    --------
    >>> one = LabelParams(3, 60_000_000, 0.43, 1.0, {"round_trip": 0.0012}, 2)
    >>> other = LabelParams(3, 60_000_000, 0.43, 1.0, {"round_trip": 0.0013}, 2)
    >>> len(label_version(one)), label_version(one) == label_version(other)
    (12, False)
    """
    rule = {
        "code_version": CODE_VERSION,
        "price_rule": PRICE_RULE,
        "horizon": int(params.horizon),
        "interval_us": int(params.interval_us),
        "k_vol": float(params.k_vol).hex(),
        "kappa": float(params.kappa).hex(),
        "cost": {name: float(value).hex() for name, value in params.cost.items()},
        "max_gap_bars": int(params.max_gap_bars),
    }
    return hashlib.sha256(json.dumps(rule, sort_keys=True).encode()).hexdigest()[:12]


def horizon_labels(
    open: ArrayLike,
    open_ts_us: ArrayLike,
    ts_us: ArrayLike,
    *,
    horizon: int,
    interval_us: int,
    sigma: ArrayLike,
    cost: ArrayLike,
    k_vol: float,
    kappa: float,
    max_gap_bars: int,
) -> Labels:
    """Label every bar whose outcome is complete.

    Parameters
    ----------
    open : array_like of float, shape (n,)
        Opening prices of the bars of one symbol, finite and > 0.
    open_ts_us, ts_us : array_like of int, shape (n,)
        Start and close of each bar, microseconds; closes strictly increasing, every bar `interval_us` long.
    horizon : int
        Bars between signal and exit, >= 1.
    interval_us : int
        Length of a bar, microseconds.
    sigma : array_like of float, shape (n,)
        Causal st. dev. of 1-bar log returns, >= 0; NaN before warm-up (the row is dropped as ``not_warm``).
    cost : float or array_like of float, shape (n,)
        Round-trip cost as a fraction of notional, >= 0; may be NaN where `sigma` is.
    k_vol, kappa : float
        Weights of volatility and cost in the deadband, >= 0.
    max_gap_bars : int
        Intervals by which the entry bar or the exit bar may start late, >= 0.

    Returns
    -------
    Labels

    Raises
    ------
    ContractError
        The arrays are not the bars of one symbol in time order, or hold impossible values.
    SettingsError
        A parameter is outside its range.

    Notes
    -----
    ``d = max(k_vol * sigma * sqrt(horizon), kappa * cost)``; LONG if ``ret > d``, SHORT if ``ret < -d``, else NEUTRAL.
    A label looks ahead to bar ``t1`` and no further: bars that close after ``t1`` cannot change it. A bar that would
    be entry and exit at once (a gap as long as the horizon) is dropped as ``gap``: nothing was held.

    Examples
    --------
    >>> minute = 60_000_000
    >>> start = minute * np.arange(5)
    >>> labels = horizon_labels([100.0, 101.0, 103.0, 102.0, 102.0], start, start + minute, horizon=1,
    ...     interval_us=minute, sigma=np.full(5, 0.01), cost=0.001, k_vol=0.5, kappa=1.0, max_gap_bars=0)
    >>> labels.y, labels.y_binary, labels.dropped
    (array([2, 0, 1], dtype=int8), array([ 1,  0, -1], dtype=int8),
     {'not_warm': 0, 'no_entry': 1, 'no_exit': 1, 'gap': 0})
    """
    _check_params(horizon, interval_us, k_vol, kappa, max_gap_bars)
    price = np.asarray(open, dtype=np.float64)
    start, close = np.asarray(open_ts_us, dtype=np.int64), np.asarray(ts_us, dtype=np.int64)
    vol = np.asarray(sigma, dtype=np.float64)
    charge = np.asarray(cost, dtype=np.float64)
    charge = np.full(price.shape, charge) if charge.ndim == 0 else charge
    _check_bars(price, start, close, interval_us)
    _check_scale("sigma", vol, price.size, np.isnan(vol))
    _check_scale("cost", charge, price.size, np.isnan(vol))

    entry_at, exit_at, reason = _outcomes(start, close, vol, horizon, interval_us, max_gap_bars)
    row = np.flatnonzero(reason == len(DROP_REASONS))
    entry_price, exit_price = price[entry_at[row]], price[exit_at[row]]
    ret = np.log(exit_price / entry_price)
    deadband = np.maximum(k_vol * vol[row] * np.sqrt(horizon), kappa * charge[row])
    return Labels(
        row=row,
        t0=close[row],
        t1=close[exit_at[row]],
        ret=ret,
        entry=entry_price,
        exit=exit_price,
        deadband=deadband,
        cost=charge[row],
        sigma=vol[row],
        y=np.select([ret > deadband, ret < -deadband], [LONG, SHORT], NEUTRAL).astype(np.int8),
        y_binary=np.select([exit_price > entry_price, exit_price < entry_price], [1, 0], -1).astype(np.int8),
        dropped={name: int(np.count_nonzero(reason == code)) for code, name in enumerate(DROP_REASONS)},
    )


def _outcomes(
    start: I64, close: I64, sigma: F64, horizon: int, interval_us: int, max_gap_bars: int
) -> tuple[I64, I64, NDArray[np.int8]]:
    """Entry bar, exit bar and drop reason (index into DROP_REASONS, its length = labelled) of every row."""
    n = close.size
    entry = np.arange(1, n + 1, dtype=np.int64)
    due = close + horizon * interval_us
    exit_ = np.searchsorted(start, due, side="left").astype(np.int64)
    late = max_gap_bars * interval_us
    entry_late = start[np.minimum(entry, n - 1)] - close > late
    exit_late = start[np.minimum(exit_, n - 1)] - due > late
    reason = np.select(
        [np.isnan(sigma), entry >= n, exit_ >= n, entry_late | exit_late | (exit_ <= entry)],
        [0, 1, 2, 3],
        len(DROP_REASONS),
    )
    return entry, exit_, reason.astype(np.int8)


def _check_params(horizon: int, interval_us: int, k_vol: float, kappa: float, max_gap_bars: int) -> None:
    whole = (("horizon", horizon, 1), ("interval_us", interval_us, 1), ("max_gap_bars", max_gap_bars, 0))
    for name, value, least in whole:
        if int(value) != value or value < least:
            raise SettingsError(f"labels: {name} is {value!r}; expected a whole number >= {least}")
    for name, weight in (("k_vol", k_vol), ("kappa", kappa)):
        if not (np.isfinite(weight) and weight >= 0):
            raise SettingsError(f"labels: {name} is {weight!r}; expected a finite number >= 0")


def _check_bars(price: F64, start: I64, close: I64, interval_us: int) -> None:
    if price.ndim != 1 or start.shape != price.shape or close.shape != price.shape:
        raise ContractError(
            f"bars: open, open_ts_us and ts_us have shapes {price.shape}, {start.shape}, {close.shape}; "
            "expected one value a bar in each"
        )
    if price.size == 0:
        raise ContractError("bars: found none; expected at least one - build bars before labelling")
    if (bad := _first(~(np.isfinite(price) & (price > 0)))) is not None:
        raise ContractError(f"bars: open of row {bad} is {price[bad]!r}; expected a finite price > 0")
    if (bad := _first(close - start != interval_us)) is not None:
        raise ContractError(
            f"bars: row {bad} lasts {close[bad] - start[bad]:,} us; expected interval_us = {interval_us:,} - "
            "label bars with the interval they were built with"
        )
    if (bad := _first(np.diff(close) < interval_us)) is not None:
        raise ContractError(
            f"bars: row {bad + 1} starts before row {bad} has closed ({start[bad + 1]} < {close[bad]}); expected the "
            "bars of one symbol in time order - symbols are labelled one by one, never concatenated"
        )


def _check_scale(name: str, values: F64, n: int, unknown: NDArray[np.bool_]) -> None:
    if values.shape != (n,):
        raise ContractError(f"labels: {name} has shape {values.shape}; expected ({n},), one value a bar")
    if (bad := _first(~unknown & ~(np.isfinite(values) & (values >= 0)))) is not None:
        raise ContractError(f"labels: {name} of row {bad} is {values[bad]!r}; expected a finite fraction >= 0")


def _first(mask: NDArray[np.bool_]) -> int | None:
    return int(np.argmax(mask)) if mask.any() else None
