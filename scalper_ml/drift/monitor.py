"""A champion's outcomes as they become known, one by one: sums of evidence, looks at the edge, alarms.

Batch and live are one path: feeding a table is feeding its rows, and a monitor restored from `state` goes on to the
same bits.
"""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, NamedTuple

from scalper_ml.drift.cusum import BernoulliCusum, GaussianCusum
from scalper_ml.drift.edge import ALPHA, LEAST, EdgeDrop, block_t, edge_drop
from scalper_ml.drift.estimate import Estimated
from scalper_ml.drift.reference import CHANCE, Reference
from scalper_ml.errors import ContractError
from scalper_ml.schema import LONG, SHORT

__all__ = ["SUSPENDS", "Alarm", "Label", "Look", "PerformanceMonitor", "Trade"]

WINDOW: Final = 500
LOOK_TRADES: Final = 50
DAY_US: Final = 86_400_000_000
SUSPENDS: Final = frozenset({"drawdown", "edge_negative"})
"""Alarms that stop trading; every other one asks for a retrain."""


@dataclass(frozen=True, slots=True)
class Label:
    """A prediction whose outcome is known: decided at `t0_us`, known at `t1_us`.

    Parameters
    ----------
    p : tuple of float
        Calibrated probabilities SHORT, NEUTRAL, LONG.
    y : int
        The class that came.
    ret : float
        Log return of the price; 0 is a miss whichever side was likelier.
    """

    t0_us: int
    t1_us: int
    p: tuple[float, float, float]
    y: int
    ret: float

    @property
    def hit(self) -> bool:
        """Whether the likelier side was the way the price went."""
        return self.ret > 0 if self.p[LONG] >= self.p[SHORT] else self.ret < 0


@dataclass(frozen=True, slots=True)
class Trade:
    """A completed trade: decided at `t0_us`, left at `t1_us`, earned `r` net of costs in units of its risk."""

    t0_us: int
    t1_us: int
    r: float


@dataclass(frozen=True, slots=True)
class Alarm:
    """What fired, when, after how many labels and trades, and the figures behind it."""

    name: str
    ts_us: int
    labels: int
    trades: int
    detail: str


@dataclass(frozen=True, slots=True)
class Look:
    """What a monitor saw at one of its looks: a row of the performance history."""

    ts_us: int
    labels: int
    trades: int
    accuracy: float | None
    expected_accuracy: float | None
    accuracy_z: float | None
    brier_skill: float | None
    brier_p: float | None
    expectancy_r: float | None
    edge_p: float | None
    negative_p: float | None
    cusum_accuracy: float | None
    cusum_r: float | None
    drawdown_r: float
    total_r: float
    perf_drop_rel: float | None


class _Seen(NamedTuple):
    """What a window keeps of a label: the largest probability, whether that class came, Brier scores, the side."""

    top: float
    right: bool
    brier: float
    brier_base: float
    hit: bool

    @classmethod
    def of(cls, label: Label, base_rates: tuple[float, ...]) -> "_Seen":
        """Of a label; both Brier scores are sums over the classes."""
        own, base = (
            math.fsum((one - (code == label.y)) ** 2 for code, one in enumerate(p)) for p in (label.p, base_rates)
        )
        top = max(label.p)
        return cls(top, label.p.index(top) == label.y, own, base, label.hit)


class PerformanceMonitor:
    """Follows one champion (METHOD 5.3 to 5.5).

    Parameters
    ----------
    reference : Reference
    drift_threshold : float
        Share of the edge that may be lost before a significant loss is drift.
    window : int
        Newest labels and trades that looks are about, at least 200.
    state : mapping, optional
        From `state`: go on from there.

    Notes
    -----
    Labels and trades that overlap the one taken before are passed over, so that each kind is a sequence of outcomes
    that follow one another. Sums are updated with each of them; every 50 trades, and every day of stream time, a look
    tests the newest ones. Its p-values are multiplied by the number of windows so far that share nothing. What the
    reference has no skill in is not monitored: `skipped` says what and why.

    Examples
    --------
    >>> reference = Reference(0.58, 0.56, 900, 0.15, 0.08, 1.0, 400, 12.0, (0.3, 0.4, 0.3))
    >>> monitor = PerformanceMonitor(reference, drift_threshold=0.1)
    >>> for i in range(700):
    ...     monitor.label(Label(i, i + 1, (0.2, 0.3, 0.5), y=2 if i % 5 < 2 else 0, ret=1.0 if i % 5 < 2 else -1.0))
    >>> [(alarm.name, alarm.labels) for alarm in monitor.alarms]
    [('cusum_accuracy', 280)]
    """

    def __init__(
        self,
        reference: Reference,
        *,
        drift_threshold: float,
        window: int = WINDOW,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        if window < LEAST:
            raise ContractError(f"monitor: found a window of {window} outcomes; expected at least {LEAST}")
        self.reference = reference
        self.drift_threshold = drift_threshold
        self.window = window
        self.skipped: dict[str, str] = {}
        self._accuracy = self._accuracy_sum()
        self._r = self._r_sum()
        self._labels: deque[_Seen] = deque(maxlen=window)
        self._trades: deque[float] = deque(maxlen=window)
        self.labels = self.trades = 0
        self._label_free_us = self._trade_free_us = self._look_us = self._look_trades = 0
        self.total_r = self._peak_r = 0.0
        self.alarms: list[Alarm] = []
        self.looks: list[Look] = []
        if state is not None:
            self._restore(state)

    def _accuracy_sum(self) -> BernoulliCusum | None:
        found = self.reference.accuracy_lcb
        if CHANCE < found < 1.0:
            return BernoulliCusum(found, CHANCE)
        self.skipped["cusum_accuracy"] = f"accuracy on score was {found:.4f} at its lower bound: not above chance"
        return None

    def _r_sum(self) -> GaussianCusum | None:
        lcb, sd = self.reference.expectancy_r_lcb, self.reference.sd_r
        if lcb is not None and sd is not None and lcb > 0 and sd > 0:
            return GaussianCusum(lcb, 0.0, sd)
        self.skipped["edge"] = f"expectancy on score was {lcb} at its lower bound: there was no edge to lose"
        return None

    def label(self, one: Label) -> None:
        """Take a label whose outcome has become known; passed over where it overlaps the one taken before."""
        self._begin(one.t1_us)
        if one.t0_us < self._label_free_us:
            return
        self._label_free_us = one.t1_us
        self.labels += 1
        self._labels.append(_Seen.of(one, self.reference.base_rates))
        if self._accuracy is not None and self._accuracy.update(one.hit):
            self._alarm(
                "cusum_accuracy",
                one.t1_us,
                f"hits are e^{self._accuracy.value:.1f} times likelier at {self._accuracy.p1:.3f} than at "
                f"{self._accuracy.p0:.3f}",
            )
        self._look_if_due(one.t1_us)

    def trade(self, one: Trade) -> None:
        """Take a completed trade; passed over where it overlaps the one taken before."""
        self._begin(one.t1_us)
        if one.t0_us < self._trade_free_us:
            return
        self._trade_free_us = one.t1_us
        self.trades += 1
        self._trades.append(one.r)
        self.total_r += one.r
        self._peak_r = max(self._peak_r, self.total_r)
        if self._r is not None and self._r.update(one.r):
            self._alarm("cusum_r", one.t1_us, f"R is e^{self._r.value:.1f} times likelier at 0 than at {self._r.mean0}")
        limit = self.reference.drawdown_r
        if limit is not None and self.drawdown_r > limit:
            self._alarm("drawdown", one.t1_us, f"{self.drawdown_r:.1f} R below the peak; {limit:.1f} on score at most")
        self._look_if_due(one.t1_us)

    @property
    def drawdown_r(self) -> float:
        """R below the highest point since the champion was promoted."""
        return self._peak_r - self.total_r

    def fired(self, *names: str) -> bool:
        """Whether any of these alarms has fired."""
        return any(alarm.name in names for alarm in self.alarms)

    def _begin(self, ts_us: int) -> None:
        """The first outcome starts the clock of the daily looks."""
        self._look_us = self._look_us or ts_us

    def _alarm(self, name: str, ts_us: int, detail: str) -> None:
        """Each alarm fires once: it stands until a monitor of another champion begins."""
        if not self.fired(name):
            self.alarms.append(Alarm(name, ts_us, self.labels, self.trades, detail))

    def _look_if_due(self, ts_us: int) -> None:
        if self.trades - self._look_trades >= LOOK_TRADES or ts_us - self._look_us >= DAY_US:
            self._look_us, self._look_trades = ts_us, self.trades
            self._look(ts_us)

    def _look(self, ts_us: int) -> None:
        estimated = self._estimated()
        skill, skill_p = self._brier()
        drop = self._edge()
        negative = self._corrected(block_t(self._trades_list, 0.0), self.trades) if len(self._trades) >= LEAST else None
        recent = math.fsum(self._trades) / len(self._trades) if self._trades else None
        level = self.reference.accuracy
        accuracy = sum(row.hit for row in self._labels) / len(self._labels) if self._labels else None
        self.looks.append(
            Look(
                ts_us=ts_us,
                labels=self.labels,
                trades=self.trades,
                accuracy=accuracy,
                expected_accuracy=None if estimated is None else estimated.expected,
                accuracy_z=None if estimated is None else estimated.z,
                brier_skill=skill,
                brier_p=skill_p,
                expectancy_r=recent,
                edge_p=None if drop is None else drop.p,
                negative_p=negative,
                cusum_accuracy=None if self._accuracy is None else self._accuracy.value,
                cusum_r=None if self._r is None else self._r.value,
                drawdown_r=self.drawdown_r,
                total_r=self.total_r,
                perf_drop_rel=None if accuracy is None or not level > 0 else 1.0 - accuracy / level,
            )
        )
        if drop is not None and drop.dropped:
            said = f"{drop.recent:+.4f} R over {drop.n} trades, {drop.bound:+.4f} asked for: p {drop.p:.2g}"
            self._alarm("edge_dropped", ts_us, said)
        if skill_p is not None and skill_p < ALPHA:
            self._alarm(
                "brier_skill", ts_us, f"Brier skill {skill:+.4f} over {len(self._labels)} labels: p {skill_p:.2g}"
            )
        if negative is not None and negative < ALPHA:
            self._alarm("edge_negative", ts_us, f"{recent:+.4f} R over {len(self._trades)} trades: p {negative:.2g}")

    @property
    def _trades_list(self) -> list[float]:
        return list(self._trades)

    def _edge(self) -> EdgeDrop | None:
        if self._r is None:
            return None
        found = edge_drop(self._trades_list, self._r.mean0, self.drift_threshold)
        return None if found is None else replace(found, p=self._corrected(found.p, self.trades))

    def _estimated(self) -> Estimated | None:
        if len(self._labels) < LEAST:
            return None
        return Estimated.of([row.top for row in self._labels], sum(row.right for row in self._labels))

    def _brier(self) -> tuple[float | None, float | None]:
        """Brier skill against the base rates over the window, and the p-value of a skill of 0 or more."""
        if len(self._labels) < LEAST:
            return None, None
        own, base = ([getattr(row, name) for row in self._labels] for name in ("brier", "brier_base"))
        better = [b - a for a, b in zip(own, base, strict=True)]
        return 1.0 - math.fsum(own) / math.fsum(base), self._corrected(block_t(better, 0.0), self.labels)

    def _corrected(self, p: float, seen: int) -> float:
        """A p-value times the windows so far that share nothing: looking again and again finds what is not there."""
        return min(1.0, p * max(1.0, seen / self.window))

    def state(self) -> dict[str, Any]:
        """Plain values to go on from, for JSON: the same bits after as without a break."""
        return {
            "cusum_accuracy": None if self._accuracy is None else self._accuracy.value,
            "cusum_r": None if self._r is None else self._r.value,
            "window_labels": [list(row) for row in self._labels],
            "window_trades": self._trades_list,
            "labels": self.labels,
            "trades": self.trades,
            "label_free_us": self._label_free_us,
            "trade_free_us": self._trade_free_us,
            "look_us": self._look_us,
            "look_trades": self._look_trades,
            "total_r": self.total_r,
            "peak_r": self._peak_r,
            "alarms": [asdict(alarm) for alarm in self.alarms],
            "looks": [asdict(look) for look in self.looks],
        }

    def _restore(self, state: Mapping[str, Any]) -> None:
        if self._accuracy is not None:
            self._accuracy.value = float(state["cusum_accuracy"])
        if self._r is not None:
            self._r.value = float(state["cusum_r"])
        self._labels.extend(_Seen(*row) for row in state["window_labels"])
        self._trades.extend(state["window_trades"])
        self.labels, self.trades = state["labels"], state["trades"]
        self._label_free_us, self._trade_free_us = state["label_free_us"], state["trade_free_us"]
        self._look_us, self._look_trades = state["look_us"], state["look_trades"]
        self.total_r, self._peak_r = state["total_r"], state["peak_r"]
        self.alarms = [Alarm(**one) for one in state["alarms"]]
        self.looks = [Look(**one) for one in state["looks"]]
