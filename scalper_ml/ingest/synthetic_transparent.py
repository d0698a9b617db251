"""Level A and null markets (METHOD 7.2): the signal is the signed flow of the bar, to the lot."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.signal import lfilter

from scalper_ml.ingest.synthetic_printing import Printed, Quotation
from scalper_ml.kernel import kernel

__all__ = ["Motion", "TransparentMarket", "student", "transparent_market"]

_TAIL: Final = 2.5  # exponent of the power tail of trade sizes
_FIRST: Final = 0.002  # the first trade comes within this share of the bar: entry at the open still has the edge


@dataclass(frozen=True, slots=True)
class TransparentMarket:
    """Trades; by bar (n,) the mid at its close, the flow's signal, the return in units of sigma less the trend.

    ``recovery_bound`` says how well the flow of the tape tells the signal.
    """

    printed: Printed
    mid: np.ndarray
    flow: np.ndarray
    unit: np.ndarray
    recovery_bound: float


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """What moves prices beside the planted signal, a value a bar (n,); see `motion_of`.

    Attributes
    ----------
    sigma : ndarray
        Standard deviation of the bar's return.
    activity : ndarray
        Share of the mean number of trades.
    trend : ndarray
        Mean return, in units of `sigma`.
    sign : ndarray
        +1, or -1 where the signal moves prices the other way.
    cause : ndarray or None
        What foretells the bar's return instead of the flow's signal of the bar before, unit variance.
    shock_df : float
        Of Student's t, 0 for normal shocks.
    arrivals : (ndarray, ndarray) or None
        Trades of each bar (n,), at least 4, and for every trade the time to the next one of its bar or to its end;
        None: a Poisson process.
    """

    sigma: np.ndarray
    activity: np.ndarray
    trend: np.ndarray
    sign: np.ndarray
    cause: np.ndarray | None = None
    shock_df: float = 0.0
    arrivals: tuple[np.ndarray, np.ndarray] | None = None


def transparent_market(
    rng: np.random.Generator,
    quotation: Quotation,
    motion: Motion,
    *,
    interval_us: int,
    start_us: int,
    trades_per_bar: float,
    rho: float,
    phi: float,
    start: float,
) -> TransparentMarket:
    """Draw the market: ``r[t+1] = sigma[t+1] (trend + rho a[t] + sqrt(1 - rho^2) eps)``, `a` an AR(1) of unit variance.

    In bar t buyers take a share of the volume such that ``(Vb - Vs) / (Vb + Vs) = tanh(a[t] / 2)``, that is
    ``a[t] = log(Vb / Vs)``, but for the rounding to lots. Inside a bar the mid is a Brownian bridge between closes.
    Where something else than the flow is the cause, it takes the place of ``a[t]`` in the return.
    """
    bars = len(motion.sigma)
    shocks = rng.standard_normal(bars + 1)
    shocks[1:] *= np.sqrt(1 - phi**2)
    flow = lfilter([1.0], [1.0, -phi], shocks)  # one bar before the first, so that the first return has a cause too
    cause = flow[:-1] if motion.cause is None else motion.cause
    eps = rng.standard_normal(bars) if motion.shock_df == 0 else student(rng, motion.shock_df, bars)
    unit = rho * motion.sign * cause + np.sqrt(1 - rho**2) * eps
    log_mid = np.log(start) + np.concatenate(([0.0], np.cumsum(motion.sigma * (motion.trend + unit))))
    if motion.arrivals is None:
        counts = np.maximum(rng.poisson(trades_per_bar * motion.activity, bars), 4)
    else:
        counts = motion.arrivals[0]
    first = np.concatenate(([0], np.cumsum(counts)))
    n = int(first[-1])
    printed = Printed(np.empty(n, np.int64), np.empty(n), np.empty(n), np.empty(n, np.int8))
    bound = _print_bars(
        first, log_mid, np.ascontiguousarray(flow[1:]),
        rng.random(bars), rng.standard_exponential(n) if motion.arrivals is None else motion.arrivals[1],
        rng.standard_normal(n), rng.random(n),
        (1 + rng.pareto(_TAIL, n)) * ((_TAIL - 1) / _TAIL * quotation.lots),
        interval_us, start_us, motion.sigma * np.sqrt(1 - rho**2),
        quotation.price_scale, quotation.qty_scale, quotation.half_spread,
        printed.ts_us, printed.price, printed.qty, printed.side,
    )  # fmt: skip
    # sums of decimal quantities differ from sums of lots in the last bits
    return TransparentMarket(printed, np.exp(log_mid[1:]), flow[1:], unit, float(bound) * (1 + 1e-9) + 1e-9)


def student(rng: np.random.Generator, df: float, n: int) -> np.ndarray:
    """Student's t of unit variance."""
    draws: np.ndarray = rng.standard_t(df, n) * np.sqrt((df - 2) / df)
    return draws


@kernel
def _print_bars(
    first: Any, log_mid: Any, signal: Any, early: Any, spacing: Any, normal: Any, uniform: Any, size: Any,
    interval: int, start: int, sigma: Any, price_scale: float, qty_scale: float, half_spread: float,
    ts_us: Any, price: Any, qty: Any, side: Any,
) -> Any:  # fmt: skip
    """Fill the tape bar by bar; return the largest error of ``log(Vb / Vs)`` against the signal."""
    bound = 0.0
    for t in range(signal.shape[0]):
        begin, end = first[t], first[t + 1]
        _stamps(begin, end, early[t], spacing, start + t * interval, interval, ts_us)
        _sides(begin, end, 1.0 / (1.0 + np.exp(-signal[t])), uniform, side)
        error = _quantities(begin, end, signal[t], size, side, qty_scale, qty)
        bound = max(bound, error)
        x, u, goal = log_mid[t], 0.0, log_mid[t + 1]
        for i in range(begin, end):
            at = (ts_us[i] - start - t * interval) / interval
            step, left = at - u, 1.0 - u
            x += (goal - x) * step / left + sigma[t] * np.sqrt(step * (1.0 - at) / left) * normal[i]
            u = at
            quoted = np.exp(x) * (1.0 + side[i] * half_spread)
            price[i] = max(np.rint(quoted * price_scale), 1.0) / price_scale
    return bound


@kernel
def _stamps(begin: int, end: int, early: float, spacing: Any, open_us: int, interval: int, ts_us: Any) -> None:
    """Rising stamps strictly inside the bar: a first one early in it, the others uniform after it."""
    total = 0.0
    for i in range(begin, end):
        total += spacing[i]
    at = early * _FIRST
    rest = (1.0 - at) / total
    for i in range(begin, end):
        offset = int(at * interval)
        ts_us[i] = open_us + min(max(offset, 1), interval - 1)
        at += spacing[i] * rest


@kernel
def _sides(begin: int, end: int, p_buy: float, uniform: Any, side: Any) -> None:
    """Independent sides, both present."""
    buys = 0
    for i in range(begin, end):
        side[i] = 1 if uniform[i] < p_buy else -1
        buys += side[i] == 1
    if buys == 0:
        side[end - 1] = 1
    elif buys == end - begin:
        side[end - 1] = -1


@kernel
def _quantities(begin: int, end: int, signal: float, size: Any, side: Any, qty_scale: float, qty: Any) -> Any:
    """Sizes scaled by side, in whole lots, so that ``log(Vb / Vs)`` is the signal; return what rounding costs."""
    volume, bought = 0.0, 0.0
    n_buy = 0
    for i in range(begin, end):
        volume += size[i]
        if side[i] == 1:
            bought += size[i]
            n_buy += 1
    # the lesser side is rounded first and the greater follows from it: its rounding is the only error
    strength = abs(signal)
    buy_lots, sell_lots = 0.0, 0.0
    if signal > 0:
        sell_lots = max(np.rint(volume / (1.0 + np.exp(strength))), 2.0 * (end - begin - n_buy))
        buy_lots = max(np.rint(sell_lots * np.exp(strength)), 2.0 * n_buy)
    else:
        buy_lots = max(np.rint(volume / (1.0 + np.exp(strength))), 2.0 * n_buy)
        sell_lots = max(np.rint(buy_lots * np.exp(strength)), 2.0 * (end - begin - n_buy))
    _share(begin, end, 1, buy_lots, bought, n_buy, size, side, qty_scale, qty)
    _share(begin, end, -1, sell_lots, volume - bought, end - begin - n_buy, size, side, qty_scale, qty)
    return abs(np.log(buy_lots / sell_lots) - signal)


@kernel
def _share(
    begin: int, end: int, which: int, lots: float, total: float, count: int,
    size: Any, side: Any, qty_scale: float, qty: Any,
) -> None:  # fmt: skip
    """Share `lots` among the trades of one side in proportion to size, at least one each, the rest to the largest."""
    largest, left = -1, lots
    for i in range(begin, end):
        if side[i] != which:
            continue
        own = 1.0 + np.floor((lots - count) * (size[i] / total))
        left -= own
        qty[i] = own
        if largest < 0 or size[i] > size[largest]:
            largest = i
    qty[largest] += left
    for i in range(begin, end):
        if side[i] == which:
            qty[i] /= qty_scale
