"""Fixed-horizon labels on prices that could have been traded, with a deadband in volatility and cost units.

A signal is decided at the close of bar i. It is entered at the open of bar i + 1 and left at the first open at or
after ``ts_us[i] + horizon * interval_us``; the close of the signal bar is never used as a price. A row whose outcome
is not complete is dropped and counted under a reason, never labelled.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalper_ml.errors import SettingsError
from scalper_ml.labels.checks import check_bars, check_scale, spread_out
from scalper_ml.labels.rule import LabelRule
from scalper_ml.schema import LONG, NEUTRAL, SHORT

__all__ = [
    "CODE_VERSION",
    "DROP_REASONS",
    "KINDS",
    "PRICE_RULE",
    "PRICE_RULES",
    "Barriers",
    "LabelKind",
    "LabelParams",
    "Labels",
    "PriceRule",
    "classes_of",
    "horizon_labels",
    "label_version",
    "learned_classes",
]

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

PRICE_RULE: Final = "open of the next bar to first open at or after the horizon"
CODE_VERSION: Final = 1
"""Raised whenever the same inputs would be labelled differently; part of every label version."""

LabelKind = Literal["fixed", "binary", "triple_barrier"]
KINDS: Final[tuple[LabelKind, ...]] = get_args(LabelKind)
"""Fixed horizon with deadband; the same without deadband; first touch of three barriers."""

PriceRule = Literal["open", "trade", "mid", "side_mid"]
PRICE_RULES: Final[dict[PriceRule, str]] = {
    "open": PRICE_RULE,
    "trade": "first trade at or after decision + latency",
    "mid": "mid of the quote known at decision + latency",
    "side_mid": "mean of the last buyer's and the last seller's price at decision + latency",
}

DROP_REASONS: Final = ("not_warm", "no_entry", "no_exit", "gap")
"""Why a row has no label, in the order in which the reasons are tried; a row is counted once."""


@dataclass(frozen=True, slots=True)
class Barriers:
    """Where a triple barrier stands.

    Parameters
    ----------
    upper, lower : float
        Distance from the entry in units of the horizon's volatility, > 0; ``inf`` for none. Neither is ever nearer
        than ``kappa`` round-trip costs.
    hold : int
        Time until the vertical barrier, in horizons, >= 1.

    Raises
    ------
    SettingsError
        A value is outside its range.
    """

    upper: float = 1.0
    lower: float = 1.0
    hold: int = 2

    def __post_init__(self) -> None:
        for name, distance in (("upper", self.upper), ("lower", self.lower)):
            if not distance > 0:
                raise SettingsError(f"labels: barrier {name} is {distance!r}; expected a number > 0")
        if not np.isfinite(self.hold) or int(self.hold) != self.hold or self.hold < 1:
            raise SettingsError(f"labels: barrier hold is {self.hold!r}; expected a whole number >= 1")


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
    kind : {"fixed", "binary", "triple_barrier"}
    price : {"open", "trade", "mid", "side_mid"}
        Of entry and exit; see `PRICE_RULES`.
    latency_us : int
        From the decision to the order at the venue, microseconds, >= 0; not of ``open``.
    barriers : Barriers
        Of ``triple_barrier``.

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
    kind: LabelKind = "fixed"
    price: PriceRule = "open"
    latency_us: int = 0
    barriers: Barriers = Barriers()

    @property
    def rule(self) -> LabelRule:
        """What labellers are told; a binary label has no deadband."""
        k_vol, kappa = (self.k_vol, self.kappa) if self.kind != "binary" else (0.0, 0.0)
        return LabelRule(self.horizon, self.interval_us, k_vol, kappa, self.max_gap_bars)

    def __post_init__(self) -> None:
        LabelRule(self.horizon, self.interval_us, self.k_vol, self.kappa, self.max_gap_bars)
        if self.kind not in KINDS or self.price not in PRICE_RULES:
            raise SettingsError(
                f"labels: kind {self.kind!r} on price {self.price!r}; expected one of {', '.join(KINDS)} on one of "
                f"{', '.join(PRICE_RULES)}"
            )
        if not np.isfinite(self.latency_us) or int(self.latency_us) != self.latency_us or self.latency_us < 0:
            raise SettingsError(f"labels: latency_us is {self.latency_us!r}; expected a whole number >= 0")


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
    rule: dict[str, Any] = {
        "code_version": CODE_VERSION,
        "price_rule": PRICE_RULE if params.price == "open" else PRICE_RULES[params.price],
        "horizon": int(params.horizon),
        "interval_us": int(params.interval_us),
        "k_vol": float(params.k_vol).hex(),
        "kappa": float(params.kappa).hex(),
        "cost": {name: float(value).hex() for name, value in params.cost.items()},
        "max_gap_bars": int(params.max_gap_bars),
    }
    if params.price != "open":
        rule["latency_us"] = int(params.latency_us)
    if params.kind != "fixed":  # the version of a fixed horizon is older than the other kinds
        rule["kind"] = params.kind
    if params.kind == "triple_barrier":
        barriers = params.barriers
        rule["barriers"] = [float(barriers.upper).hex(), float(barriers.lower).hex(), int(barriers.hold)]
    return hashlib.sha256(json.dumps(rule, sort_keys=True).encode()).hexdigest()[:12]


def horizon_labels(
    open: ArrayLike,
    open_ts_us: ArrayLike,
    ts_us: ArrayLike,
    *,
    rule: LabelRule,
    sigma: ArrayLike,
    cost: ArrayLike,
) -> Labels:
    """Label every bar whose outcome is complete.

    Parameters
    ----------
    open : array_like of float, shape (n,)
        Opening prices of the bars of one symbol, finite and > 0.
    open_ts_us, ts_us : array_like of int, shape (n,)
        Start and close of each bar, microseconds; closes strictly increasing, every bar ``rule.interval_us`` long.
    rule : LabelRule
    sigma : array_like of float, shape (n,)
        Causal st. dev. of 1-bar log returns, >= 0; NaN before warm-up (the row is dropped as ``not_warm``).
    cost : float or array_like of float, shape (n,)
        Round-trip cost as a fraction of notional, >= 0; may be NaN where `sigma` is.

    Returns
    -------
    Labels

    Raises
    ------
    ContractError
        The arrays are not the bars of one symbol in time order, or hold impossible values.

    Notes
    -----
    LONG if ``ret > d``, SHORT if ``ret < -d``, else NEUTRAL, d the deadband of the rule. Neither the entry nor the exit
    bar may start more than ``rule.max_gap_bars`` intervals late.
    A label looks ahead to bar ``t1`` and no further: bars that close after ``t1`` cannot change it. A bar that would
    be entry and exit at once (a gap as long as the horizon) is dropped as ``gap``: nothing was held.

    Examples
    --------
    >>> minute = 60_000_000
    >>> start = minute * np.arange(5)
    >>> labels = horizon_labels([100.0, 101.0, 103.0, 102.0, 102.0], start, start + minute,
    ...     rule=LabelRule(1, minute, k_vol=0.5, kappa=1.0), sigma=np.full(5, 0.01), cost=0.001)
    >>> labels.y, labels.y_binary, labels.dropped
    (array([2, 0, 1], dtype=int8), array([ 1,  0, -1], dtype=int8),
     {'not_warm': 0, 'no_entry': 1, 'no_exit': 1, 'gap': 0})
    """
    price = np.asarray(open, dtype=np.float64)
    start, close = np.asarray(open_ts_us, dtype=np.int64), np.asarray(ts_us, dtype=np.int64)
    vol = np.asarray(sigma, dtype=np.float64)
    charge = spread_out(np.asarray(cost, dtype=np.float64), price.size)
    check_bars(price, start, close, rule.interval_us)
    check_scale("sigma", vol, price.size, np.isnan(vol))
    check_scale("cost", charge, price.size, np.isnan(vol))

    entry_at, exit_at, reason = _outcomes(start, close, vol, rule)
    row = np.flatnonzero(reason == len(DROP_REASONS))
    entry_price, exit_price = price[entry_at[row]], price[exit_at[row]]
    ret = np.log(exit_price / entry_price)
    deadband = rule.deadband(vol[row], charge[row])
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
        y=classes_of(ret, deadband),
        y_binary=np.select([exit_price > entry_price, exit_price < entry_price], [1, 0], -1).astype(np.int8),
        dropped={name: int(np.count_nonzero(reason == code)) for code, name in enumerate(DROP_REASONS)},
    )


def classes_of(ret: F64, deadband: F64) -> NDArray[np.int8]:
    """LONG beyond the deadband, SHORT beyond minus the deadband, NEUTRAL between and at it."""
    return np.select([ret > deadband, ret < -deadband], [LONG, SHORT], NEUTRAL).astype(np.int8)


def learned_classes(y: ArrayLike, y_binary: ArrayLike) -> tuple[int, ...]:
    """Codes of the classes that labels are about: NEUTRAL only where a price that moved is called so.

    Without a deadband (binary labels; a fixed horizon whose deadband is 0) a row is NEUTRAL only if its exit equals its
    entry. That is the outcome of no side: it is traded, and costs what it costs, but nothing is to be learned from it.

    Parameters
    ----------
    y, y_binary : array_like of int, shape (m,)
        As in `Labels`, of all rows of a dataset.

    Examples
    --------
    >>> learned_classes([0, 2, 1, 1], [0, 1, 1, -1]), learned_classes([0, 2, 1, 2], [0, 1, -1, 1])
    ((0, 1, 2), (0, 2))
    """
    neutral = (np.asarray(y) == NEUTRAL) & (np.asarray(y_binary) != -1)
    return (SHORT, NEUTRAL, LONG) if neutral.any() else (SHORT, LONG)


def _outcomes(start: I64, close: I64, sigma: F64, rule: LabelRule) -> tuple[I64, I64, NDArray[np.int8]]:
    """Entry bar, exit bar and drop reason (index into DROP_REASONS, its length = labelled) of every row."""
    n = close.size
    entry = np.arange(1, n + 1, dtype=np.int64)
    due = close + rule.horizon_us
    exit_ = np.searchsorted(start, due, side="left").astype(np.int64)
    entry_late = start[np.minimum(entry, n - 1)] - close > rule.late_us
    exit_late = start[np.minimum(exit_, n - 1)] - due > rule.late_us
    reason = np.select(
        [np.isnan(sigma), entry >= n, exit_ >= n, entry_late | exit_late | (exit_ <= entry)],
        [0, 1, 2, 3],
        len(DROP_REASONS),
    )
    return entry, exit_, reason.astype(np.int8)
