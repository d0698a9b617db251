"""Level B markets (METHOD 7.3): a hidden state tilts the flow and moves the price; its exact filter is the optimum."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from scalper_ml.ingest.synthetic_printing import Printed, Quotation
from scalper_ml.kernel import kernel

__all__ = ["HiddenMarket", "HiddenParams", "hidden_market"]

_TAIL: Final = 2.5
_SECOND_US: Final = 1_000_000
_LOG2_E: Final = 1.4426950408889634
_LN2_HIGH: Final = 0.693147180369123816490  # ln 2 in two parts, the first with zeros at its end
_LN2_LOW: Final = 1.90821492927058770002e-10
_INVERSE: Final = 1.0 / np.arange(13.0, 0.0, -1.0)
_POWERS: Final = 2.0 ** -np.arange(1012.0)
_AT_ONCE: Final = 256  # seconds whose likelihoods are computed together


@dataclass(frozen=True, slots=True)
class HiddenParams:
    """Per-second parameters: `sigma` is the diffusion of the log mid, `drift` and `impact` are in units of it."""

    sigma: float
    drift: float
    flow_tilt: float
    decoy_tilt: float
    impact: float
    dwell_s: float
    decoy_dwell_s: float
    rate: float
    start: float


@dataclass(frozen=True, slots=True)
class HiddenMarket:
    """Trades; at each close (n,) the mid and the probabilities that the state of the next second is up, or down."""

    printed: Printed
    mid: np.ndarray
    p_plus: np.ndarray
    p_minus: np.ndarray


def hidden_market(
    rng: np.random.Generator, params: HiddenParams, quotation: Quotation, bars: int, seconds: int, start_us: int
) -> HiddenMarket:
    """Draw the market second by second and filter it.

    States s and q in {-1, 0, +1} are left at a constant rate for either other value. In a second with state (s, q):
    Poisson trades, ``P(buy) = (1 + kappa s + kappa_q q) / 2``, and a log return of
    ``rho sigma s + sigma eps + eta sigma (buys - n p) / sqrt(rate p (1 - p))``: only the surprise of flow moves it.
    """
    n = bars * seconds
    state = _chain(rng.random(n), 1.0 / params.dwell_s)
    decoy = _chain(rng.random(n), 1.0 / params.decoy_dwell_s)
    count = rng.poisson(params.rate, n)
    trades = int(count.sum())
    uniform, steps = rng.random(trades), rng.standard_normal(n)
    bought, buys = np.empty(trades, np.bool_), np.empty(n, np.int64)
    _move(
        count, state, decoy, uniform, params.sigma, params.drift, params.flow_tilt, params.decoy_tilt, params.impact,
        params.rate, bought, buys, steps,
    )  # fmt: skip
    log_mid = np.log(params.start) + np.concatenate(([0.0], np.cumsum(steps)))
    p_plus, p_minus = np.empty(bars), np.empty(bars)
    _forward_filter(
        count, buys, steps / params.sigma, params.drift, params.flow_tilt, params.decoy_tilt, params.impact,
        params.rate, 1.0 / params.dwell_s, 1.0 / params.decoy_dwell_s, seconds, p_plus, p_minus,
    )  # fmt: skip
    printed = Printed(np.empty(trades, np.int64), np.empty(trades), np.empty(trades), np.empty(trades, np.int8))
    _print_seconds(
        count, bought, log_mid, rng.random(trades),
        (1 + rng.pareto(_TAIL, trades)) * ((_TAIL - 1) / _TAIL * quotation.lots),
        start_us, quotation.price_scale, quotation.qty_scale, quotation.half_spread,
        printed.ts_us, printed.price, printed.qty, printed.side,
    )  # fmt: skip
    return HiddenMarket(printed, np.exp(log_mid[seconds::seconds]), p_plus, p_minus)


@kernel
def _chain(uniform: Any, leave: float) -> Any:
    """A path over {-1, 0, +1} from the stationary (uniform) law; each draw is used once."""
    path = np.empty(uniform.shape[0], dtype=np.int64)
    state = int(uniform[0] * 3.0)
    path[0] = state - 1
    for k in range(1, uniform.shape[0]):
        if uniform[k] < leave:
            state = (state + (1 if uniform[k] < leave / 2.0 else 2)) % 3
        path[k] = state - 1
    return path


@kernel
def _move(
    count: Any, state: Any, decoy: Any, uniform: Any, sigma: float, drift: float, tilt: float, decoy_tilt: float,
    impact: float, rate: float, bought: Any, buys: Any, steps: Any,
) -> None:  # fmt: skip
    """Sides of trades, buys of seconds, and in place of the normal draws in `steps` the log returns of the seconds."""
    p, scale = np.empty(9), np.empty(9)  # state 3 s + q
    for j in range(9):
        p[j] = 0.5 * (1.0 + tilt * (j // 3 - 1) + decoy_tilt * (j % 3 - 1))
        scale[j] = np.sqrt(rate * p[j] * (1.0 - p[j]))
    i = 0
    for k in range(steps.shape[0]):
        j = 3 * (state[k] + 1) + decoy[k] + 1
        total = 0
        for _ in range(count[k]):
            bought[i] = uniform[i] < p[j]
            total += bought[i]
            i += 1
        buys[k] = total
        steps[k] = sigma * (drift * state[k] + steps[k] + impact * ((total - count[k] * p[j]) / scale[j]))


@kernel
def _exponentials(x: Any, best: Any, power: Any, rest: Any) -> None:
    """``exp(x - best)`` in place, to the last bit or two: without a branch, many at once.

    ``exp(y) = 2^k exp(r)``, ``|r| <= ln(2) / 2``, by Taylor's series to the 13th power; below -700 it is exp(-700).
    """
    for i in range(x.shape[0]):
        y = max(x[i] - best[i], -700.0)
        power[i] = np.floor(y * _LOG2_E + 0.5)
        rest[i] = (y - power[i] * _LN2_HIGH) - power[i] * _LN2_LOW
        x[i] = 1.0
    for k in range(13):
        for i in range(x.shape[0]):
            x[i] = 1.0 + x[i] * rest[i] * _INVERSE[k]
    for i in range(x.shape[0]):
        x[i] *= _POWERS[int(-power[i])]


@kernel
def _forward_filter(
    count: Any, buys: Any, step: Any, drift: float, tilt: float, decoy_tilt: float, impact: float, rate: float,
    leave: float, decoy_leave: float, seconds: int, p_plus: Any, p_minus: Any,
) -> None:  # fmt: skip
    """Exact law of (s, q) given all seconds so far; at each close, of the next second's s."""
    law, scores, best = np.full(9, 1.0 / 9.0), np.empty((9, _AT_ONCE)), np.empty(_AT_ONCE)
    rows, columns, power, rest = np.empty(3), np.empty(3), np.empty(_AT_ONCE), np.empty(_AT_ONCE)
    stay, decoy_stay = 1.0 - 1.5 * leave, 1.0 - 1.5 * decoy_leave
    both_stay, to_row, to_column = stay * decoy_stay, stay * 0.5 * decoy_leave, decoy_stay * 0.5 * leave
    both_leave = 0.25 * leave * decoy_leave
    in_bar, bar = 0, 0
    for begin in range(0, count.shape[0], _AT_ONCE):
        end = min(begin + _AT_ONCE, count.shape[0])
        n, b, moved = count[begin:end], buys[begin:end], step[begin:end]
        best[:] = -np.inf
        for j in range(9):  # state 3 s + q
            s, q, score = j // 3 - 1, j % 3 - 1, scores[j]
            p = 0.5 * (1.0 + tilt * s + decoy_tilt * q)
            mean, slope = drift * s, impact / np.sqrt(rate * p * (1.0 - p))
            log_buy, log_sell = np.log(p), np.log(1.0 - p)
            for k in range(end - begin):
                bought, all_of = float(b[k]), float(n[k])
                residual = moved[k] - mean - slope * (bought - all_of * p)
                score[k] = bought * log_buy + (all_of - bought) * log_sell - 0.5 * residual * residual
                best[k] = max(best[k], score[k])
        for j in range(9):
            _exponentials(scores[j, : end - begin], best, power, rest)
        for k in range(end - begin):
            total = 0.0
            for j in range(9):
                law[j] *= scores[j, k]
                total += law[j]
            # one step on: with rate `leave` a state goes to either other, in s and in q independently
            share = 1.0 / total
            for s in range(3):
                rows[s] = to_row * share * (law[3 * s] + law[3 * s + 1] + law[3 * s + 2])
                columns[s] = to_column * share * (law[s] + law[s + 3] + law[s + 6])
            for j in range(9):
                law[j] = both_stay * share * law[j] + rows[j // 3] + columns[j % 3] + both_leave
            in_bar += 1
            if in_bar == seconds:
                p_plus[bar] = law[6] + law[7] + law[8]
                p_minus[bar] = law[0] + law[1] + law[2]
                in_bar, bar = 0, bar + 1


@kernel
def _print_seconds(
    count: Any, bought: Any, log_mid: Any, spread_in_second: Any, size: Any,
    start: int, price_scale: float, qty_scale: float, half_spread: float,
    ts_us: Any, price: Any, qty: Any, side: Any,
) -> None:  # fmt: skip
    """Fill the tape: stamps uniform in their second, the mid moving evenly through it."""
    begin = 0
    for k in range(count.shape[0]):
        end = begin + count[k]
        for i in range(begin, end):
            ts_us[i] = start + k * _SECOND_US + 1 + int(spread_in_second[i] * (_SECOND_US - 1))
        for i in range(begin + 1, end):  # few a second: insertion beats a general sort
            stamp, j = ts_us[i], i - 1
            while j >= begin and ts_us[j] > stamp:
                ts_us[j + 1] = ts_us[j]
                j -= 1
            ts_us[j + 1] = stamp
        for i in range(begin, end):
            side[i] = 1 if bought[i] else -1
            at = (ts_us[i] - start - k * _SECOND_US) / _SECOND_US
            quoted = np.exp(log_mid[k] + (log_mid[k + 1] - log_mid[k]) * at) * (1.0 + side[i] * half_spread)
            price[i] = max(np.rint(quoted * price_scale), 1.0) / price_scale
            qty[i] = max(np.rint(size[i]), 1.0) / qty_scale
        begin = end
