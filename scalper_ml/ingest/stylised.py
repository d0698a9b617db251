"""The stylised facts of a synthetic market, measured on its tape and set beside what real ones show (METHOD 7.1)."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from scalper_ml.schema import us

__all__ = ["FACTS", "Fact", "stylised_facts"]

_SAMPLE: Final = 400_000  # newest trades looked at where facts are of trades
_DAY_US: Final = 86_400_000_000
_HOUR_US: Final = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Fact:
    """One figure, the range real one-minute markets show, and whether it lies there; None: too short to tell."""

    name: str
    value: float | None
    low: float
    high: float

    @property
    def holds(self) -> bool | None:
        """Whether the value lies in the range."""
        return None if self.value is None else self.low <= self.value <= self.high

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "holds": self.holds}


FACTS: Final[dict[str, tuple[float, float]]] = {
    "return_acf_1": (-0.05, 0.05),  # of mids, bar to bar: no memory
    "kurtosis": (5.0, 30.0),  # of mid returns
    "abs_return_acf_1": (0.15, 0.40),  # volatility comes in clusters
    "abs_return_acf_day": (0.05, 0.30),  # for days
    "trade_return_acf_1": (-0.50, -0.02),  # of printed prices, trade to trade: the bounce
    "sign_acf_1": (0.05, 0.35),  # aggressor sides, trade to trade
    "sign_acf_30s": (0.02, 0.25),
    "count_dispersion": (3.0, 40.0),  # variance over mean of trades a bar: they excite one another
    "flow_return_correlation": (0.20, 0.65),  # imbalance and return of one bar
    "size_tail": (1.2, 4.0),  # exponent of the power tail of trade sizes
    "hour_ratio": (1.3, 10.0),  # trades in the busiest hour of the day over those in the calmest
}
"""Ranges by fact, around the figures of METHOD 7.1."""


def stylised_facts(ticks: pa.Table, mid: np.ndarray, interval_us: int, start_us: int) -> tuple[Fact, ...]:
    """Measure every fact of `FACTS`.

    Parameters
    ----------
    ticks : pyarrow.Table
        TICKS, in time order.
    mid : ndarray, shape (n,)
        Mid price at each close.
    interval_us, start_us : int
        Length of a bar and the open of the first, microseconds.

    Returns
    -------
    tuple of Fact
        In the order of `FACTS`; the value is None where the market is too short, or does not move.

    Examples
    --------
    >>> from scalper_ml.ingest.synthetic import SyntheticSpec, simulate
    >>> spec = SyntheticSpec(days=2, trades_per_bar=10)
    >>> market = simulate(spec)
    >>> facts = stylised_facts(market.ticks, market.truth["mid"].to_numpy(), spec.interval_us, spec.start_us)
    >>> {fact.name: fact.holds for fact in facts}["kurtosis"]  # a plain market has normal returns
    False
    """
    found = dict(_measured(ticks, np.asarray(mid, dtype=np.float64), interval_us, start_us))
    return tuple(Fact(name, _finite(found.get(name)), *bounds) for name, bounds in FACTS.items())


def _measured(ticks: pa.Table, mid: np.ndarray, interval_us: int, start_us: int) -> Iterator[tuple[str, float]]:
    ts, side, qty = us(ticks["ts_us"]), ticks["side"].to_numpy().astype(np.float64), ticks["qty"].to_numpy()
    move = np.diff(np.log(mid))
    bars = len(mid)
    if move.std() > 0:
        yield "return_acf_1", _correlation(move[:-1], move[1:])
        yield "kurtosis", float(np.mean((move - move.mean()) ** 4) / move.var() ** 2)
        size = np.abs(move)
        yield "abs_return_acf_1", _correlation(size[:-1], size[1:])
        day = _DAY_US // interval_us
        if len(move) >= 3 * day:
            yield "abs_return_acf_day", _correlation(size[:-day], size[day:])
    bar = (ts - start_us) // interval_us
    count = np.bincount(bar, minlength=bars)[:bars]
    yield "count_dispersion", float(count.var() / count.mean())
    volume, net = (np.bincount(bar, weights, minlength=bars)[:bars] for weights in (qty, qty * side))
    imbalance = np.divide(net, volume, out=np.zeros(bars), where=volume > 0)
    yield "flow_return_correlation", _correlation(imbalance[1:], move)
    newest = slice(max(len(ts) - _SAMPLE, 0), None)
    step = np.diff(np.log(ticks["price"].to_numpy()[newest]))
    yield "trade_return_acf_1", _correlation(step[:-1], step[1:])
    at, sign = ts[newest], side[newest]
    yield "sign_acf_1", _correlation(sign[:-1], sign[1:])
    later = np.searchsorted(at, at + 30_000_000)
    inside = later < len(at)
    yield "sign_acf_30s", _correlation(sign[inside], sign[later[inside]])
    yield "size_tail", _hill(qty[newest])
    if bars * interval_us >= 2 * _DAY_US:
        by_hour = np.bincount((ts % _DAY_US) // _HOUR_US, minlength=24)
        yield "hour_ratio", float(by_hour.max() / max(by_hour.min(), 1))


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    if len(x) < 3 or x.std() == 0 or y.std() == 0:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])


def _hill(sizes: np.ndarray, share: float = 0.01) -> float:
    """Exponent of the tail over the largest sizes (Hill's estimate)."""
    largest = max(int(share * len(sizes)), 2)
    if len(sizes) <= largest:
        return float("nan")
    tail = np.partition(sizes, len(sizes) - largest - 1)[len(sizes) - largest - 1 :]
    excess = float(np.mean(np.log(tail) - np.log(tail.min())))
    return 1 / excess if excess > 0 else float("nan")


def _finite(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None
