"""Streams of outcomes whose law is known: a calibrated model on a market with one signal, as is or turned round."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from scalper_ml.drift.monitor import Label, PerformanceMonitor, Trade
from scalper_ml.drift.reference import Reference, reference_of
from scalper_ml.schema import NEUTRAL

MINUTE = 60_000_000
BAND = 0.43  # deadband in standard deviations of a return
COST = 0.1


@dataclass(frozen=True)
class Stream:
    """Probabilities (n, 3) of a model that knows the law, labels, returns, and R of the rows it would trade."""

    P: np.ndarray
    y: np.ndarray
    ret: np.ndarray
    r: np.ndarray
    traded: np.ndarray

    def reference(self) -> Reference:
        """As if it were the score role."""
        r = self.r[self.traded]
        bound = float(r.mean() - 1.645 * r.std(ddof=1) / np.sqrt(r.size))
        t0 = np.arange(len(self.P)) * MINUTE
        rates = tuple(np.bincount(self.y, minlength=3) / self.y.size)
        return reference_of(self.P, self.ret, t0, t0 + MINUTE, r, expectancy_lcb=bound, base_rates=rates, seed=1)

    def events(self) -> Iterator[Label | Trade]:
        """Outcomes in the order in which they are known."""
        rows = zip(
            self.P.tolist(), self.y.tolist(), self.ret.tolist(), self.r.tolist(), self.traded.tolist(), strict=True
        )
        for i, (p, y, ret, r, traded) in enumerate(rows):
            yield Label(i * MINUTE, (i + 1) * MINUTE, (p[0], p[1], p[2]), y, ret)
            if traded:
                yield Trade(i * MINUTE, (i + 1) * MINUTE, r)


def stream(n: int, seed: int, *, rho: float = 0.25, believed: float | None = None, threshold: float = 0.6) -> Stream:
    """Returns of unit variance that correlate with a persistent signal by `rho`; the model believes `believed`.

    A `rho` of .25 is an accuracy of .58.
    """
    rng = np.random.default_rng(seed)
    believed = rho if believed is None else believed
    shocks, noise = rng.normal(size=(2, n))
    a = np.empty(n)
    a[0] = shocks[0]
    for i in range(1, n):
        a[i] = 0.9 * a[i - 1] + np.sqrt(1 - 0.81) * shocks[i]
    ret = rho * a + np.sqrt(1 - rho * rho) * noise
    mean, sd = believed * a, np.sqrt(1 - believed * believed)
    short, long = ndtr((-BAND - mean) / sd), 1 - ndtr((BAND - mean) / sd)
    P = np.column_stack([short, 1 - short - long, long])
    side = np.where(long >= short, 1.0, -1.0)
    confidence = np.maximum(short, long) / (short + long)
    y = np.where(ret > BAND, 2, np.where(ret < -BAND, 0, NEUTRAL))
    return Stream(P, y, ret, side * ret - COST, confidence >= threshold)


def joined(first: Stream, second: Stream) -> Stream:
    """One after the other."""
    names = ("P", "y", "ret", "r", "traded")
    return Stream(*(np.concatenate([getattr(first, name), getattr(second, name)]) for name in names))


def watched(reference: Reference, events: Iterator[Label | Trade] | list[Label | Trade]) -> PerformanceMonitor:
    """A monitor that has seen all of it, with the threshold the settings ship with."""
    monitor = PerformanceMonitor(reference, drift_threshold=0.1)
    feed(monitor, events)
    return monitor


def feed(monitor: PerformanceMonitor, events: Iterator[Label | Trade] | list[Label | Trade]) -> None:
    for event in events:
        if isinstance(event, Label):
            monitor.label(event)
        else:
            monitor.trade(event)
