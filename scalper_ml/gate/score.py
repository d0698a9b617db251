"""The quality score: lower confidence bounds of what a model earned, and the gates it must pass."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from scalper_ml.backtest.engine import Backtest
from scalper_ml.backtest.metrics import max_drawdown
from scalper_ml.backtest.rows import floats
from scalper_ml.gate.estimates import Estimate, Estimates, Sample, calibration_excess, estimate

__all__ = [
    "ACCEPTED",
    "MIN_TRADES",
    "REASONS",
    "SCORE_VERSION",
    "Component",
    "Gate",
    "Score",
    "publish",
    "quality_score",
    "sample_of",
]

SCORE_VERSION: Final = "3"
DRAWS: Final = 1000
LCB_ALPHA: Final = 0.05
GATE_ALPHA: Final = 0.01
MIN_TRADES: Final = 100
MIN_TRADES_PER_SIDE: Final = 30
MIN_TIME_BLOCKS: Final = 40
BLOCK_HORIZONS: Final = 4  # a block shorter than this many horizons is not a block of its own
MAX_BLOCK_SHARE: Final = 0.5
MAX_CALIBRATION_ERROR: Final = 0.03  # beyond the noise floor
INTERVAL_ALPHA: Final = 0.05
RAW_EDGES: Final = (0.0, 40.0, 55.0, 70.0, 100.0)
PUBLISHED_EDGES: Final = (0.0, 50.0, 60.0, 75.0, 100.0)
FAILED_GATE_CAP: Final = 49.9
DECIMALS: Final = 4  # of the published score

ACCEPTED: Final = "accepted"
REASONS: Final = (
    "too_few_trades",
    "too_few_blocks",
    "expectancy_not_significant",
    "balanced_accuracy_not_significant",
    "direction_not_significant",
    "one_sided",
    "pnl_not_positive",
    "single_block_dominates",
    "calibration_off",
    "look_ahead_audit_failed",
    "versions_differ",
    "score_below_low",
    ACCEPTED,
)
"""Reason codes in the order in which they are reported; the first that applies is the primary one.

Lack of evidence comes first, then the significance gates, then the shape of the result, then what it rests on. So
plenty of trades whose costs eat the edge read ``expectancy_not_significant``, and always-long in a
rising market reads ``balanced_accuracy_not_significant`` before ``one_sided``.
"""


@dataclass(frozen=True, slots=True)
class Component:
    """One term of the score: its estimate and lower bound (None where undefined) and its points of 100 `weight`."""

    name: str
    value: float | None
    lcb: float | None
    weight: float
    points: float


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition, named by the reason code of its failure: observed value (None where undefined) and limit."""

    name: str
    passed: bool
    observed: float | None
    limit: str


@dataclass(frozen=True, slots=True)
class Score:
    """The quality score of one coin x horizon.

    Attributes
    ----------
    raw_score : float
        In [0, 100]; tier edges 40 / 55 / 70.
    score_0_100 : float
        Published: edges 50 / 60 / 75, at most 49.9 if a gate failed.
    reasons : tuple of str
        Codes of `REASONS` in order; ``("accepted",)`` if nothing failed.
    p_value : float
        The largest of the significance gates: the score's own place in its family.
    intervals : mapping
        95 % intervals of ``expectancy_r`` and ``profit_factor`` from the same draws; None where undefined.
    inputs_hash : str
        Of the sample scored.
    """

    raw_score: float
    score_0_100: float
    reasons: tuple[str, ...]
    components: tuple[Component, ...]
    gates: tuple[Gate, ...]
    n_blocks: int
    draws: int
    seed: int
    version: str
    inputs_hash: str
    p_value: float
    intervals: Mapping[str, tuple[float, float] | None]

    @property
    def accepted(self) -> bool:
        """True if every gate passed and the score reaches LOW."""
        return self.reasons == (ACCEPTED,)

    @property
    def reason(self) -> str:
        """The primary reason code."""
        return self.reasons[0]

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and text for reports."""
        lists = {name: [asdict(one) for one in getattr(self, name)] for name in ("components", "gates")}
        intervals = {name: None if pair is None else list(pair) for name, pair in self.intervals.items()}
        return {**asdict(self), **lists, "intervals": intervals, "reasons": list(self.reasons), "reason": self.reason}


def publish(raw_score: float, gates_passed: bool) -> float:
    """The published score: raw edges 40/55/70 become 50/60/75, linear in between; a failed gate caps it at 49.9.

    Examples
    --------
    >>> publish(40.0, True), publish(62.5, True), publish(85.0, True), publish(85.0, False)
    (50.0, 67.5, 87.5, 49.9)
    """
    mapped = math.floor(float(np.interp(raw_score, RAW_EDGES, PUBLISHED_EDGES)) * 10**DECIMALS) / 10**DECIMALS
    return mapped if gates_passed else min(mapped, FAILED_GATE_CAP)


def sample_of(run: Backtest, horizon: int) -> Sample:
    """The decisions and trades of a backtest, as the score takes them."""
    side, confidence = run.signals.column("side").to_numpy(), floats(run.signals, "confidence")
    return Sample(
        y=run.signals.column("y").to_numpy(),
        y_pred=run.signals.column("y_pred").to_numpy(),
        trade_rows=run.trade_rows,
        side=run.trades.column("side").to_numpy(),
        r=floats(run.trades, "r"),
        net=floats(run.trades, "net"),
        horizon=horizon,
        p_long=np.where(side > 0, confidence, 1.0 - confidence),
        classes=run.classes,
    )


def quality_score(
    sample: Sample, *, seed: int, draws: int = DRAWS, evidence: Mapping[str, bool] | None = None
) -> Score:
    """Score the decisions and trades of one role; bit-identical for identical arguments.

    Parameters
    ----------
    sample : Sample
        Decisions and non-overlapping trades of the score role, at the threshold chosen on select.
    seed : int
        Of the bootstrap.
    draws : int
        Bootstrap draws B.
    evidence : mapping, optional
        What the sample rests on, by the reason code of its failure: ``look_ahead_audit_failed`` is True where the
        features' audit is green, ``versions_differ`` where labels, features and model belong together.

    Notes
    -----
    With ``LCB = theta - t(0.95, blocks - 1) * SE`` and ``u(x) = clip(x, 0, 1)``::

        100 * [ .30 u(E / .10) + .15 u((BA - 1/K) / .04) + .15 u((PF - 1) / .25) + .10 u(dW / .04)
              + .15 u(min(F1 excess long, short) / .06)
              + .10 u(1 - maxDD_R / 25) [E > 0] + .05 u(coverage / .05) [E > 0] ]

    every metric at its bound, K the number of classes. F1 excess is F1 minus its chance value ``2 pi q / (pi + q)``
    (pi: class share, q: decided share); dW is the win rate minus its break-even; PF is money and is
    bounded as its logarithm; maxDD_R is over closed trades of fixed size. Degenerate draws: see
    `scalper_ml.gate.estimates.estimate`.

    Forty time blocks are required to be blocks of at least four horizons each, with a trade in them: the
    count held against the gate is ``min(blocks(T, h), T // (4 h), blocks with a trade)``, and the tests of
    trade metrics have as many degrees of freedom as blocks with a trade, less one.

    Balanced accuracy alone can be bought by timing volatility: where the deadband is wide against calm
    bars, trading the wild ones and resting in the calm ones beats 1/3 without knowing any direction. So
    a third test asks for direction itself (`Estimates.direction` > 1/2) and is as strict as the others.

    The calibration error of the confidence may exceed its simulated noise floor by .03.
    """
    estimates = estimate(sample, seed=seed, draws=draws)
    components = _components(estimates, sample)
    rests_on = [Gate(code, holds, None, "holds") for code, holds in (evidence or {}).items()]
    gates = (*_gates(estimates, sample), _calibration_gate(sample, seed), *rests_on)
    raw = math.fsum(component.points for component in components)
    failed = {gate.name for gate in gates if not gate.passed}
    published = publish(raw, gates_passed=not failed)
    if raw < RAW_EDGES[1]:
        failed.add("score_below_low")
    return Score(
        raw_score=raw,
        score_0_100=published,
        reasons=tuple(code for code in REASONS if code in failed) or (ACCEPTED,),
        components=components,
        gates=gates,
        n_blocks=estimates.n_blocks,
        draws=draws,
        seed=seed,
        version=SCORE_VERSION,
        inputs_hash=sample.content_hash,
        p_value=max(gate.observed or 0.0 for gate in gates if gate.name in _SIGNIFICANCE),
        intervals=_intervals(estimates),
    )


_SIGNIFICANCE: Final = (
    "expectancy_not_significant",
    "balanced_accuracy_not_significant",
    "direction_not_significant",
)


def _intervals(estimates: Estimates) -> dict[str, tuple[float, float] | None]:
    log_pf = estimates.log_profit_factor.interval(INTERVAL_ALPHA)
    return {
        "expectancy_r": estimates.expectancy_r.interval(INTERVAL_ALPHA),
        "profit_factor": None if log_pf is None else (_exp(log_pf[0]), _exp(log_pf[1])),
    }


def _exp(x: float) -> float:
    return math.exp(min(x, 50.0))  # a profit factor of 1e21 says as much as a larger one, and is a number


def _calibration_gate(sample: Sample, seed: int) -> Gate:
    excess = calibration_excess(sample, seed=seed)
    limit = f"<= {MAX_CALIBRATION_ERROR:g} beyond the noise floor"
    return Gate("calibration_off", excess is not None and excess <= MAX_CALIBRATION_ERROR, excess, limit)


def _unit(x: float) -> float:
    return min(max(x, 0.0), 1.0)


def _bounded(name: str, estimate: Estimate, weight: float, unit: float, null: float = 0.0) -> Component:
    """A term that counts the lower bound's distance from `null` in units of `unit`."""
    bound = estimate.lcb(LCB_ALPHA)
    gain = math.expm1(bound) if name == "log_profit_factor" else bound - null
    return Component(name, estimate.value, _finite(bound), weight, 100.0 * weight * _unit(gain / unit))


def _components(estimates: Estimates, sample: Sample) -> tuple[Component, ...]:
    f1_worse = min(estimates.f1_long_excess, estimates.f1_short_excess, key=lambda one: one.lcb(LCB_ALPHA))
    earns = estimates.expectancy_r.lcb(LCB_ALPHA) > 0
    drawdown = max_drawdown(np.cumsum(sample.r)) if sample.r.size else None
    coverage = sample.r.size * (sample.horizon + 1) / sample.y.size
    room = _unit(1.0 - drawdown / 25.0) if drawdown is not None and earns else 0.0
    in_market = _unit(coverage / 0.05) if earns else 0.0
    return (
        _bounded("expectancy_r", estimates.expectancy_r, 0.30, 0.10),
        _bounded("balanced_accuracy", estimates.balanced_accuracy, 0.15, 0.04, sample.chance),
        _bounded("log_profit_factor", estimates.log_profit_factor, 0.15, 0.25),
        _bounded("win_rate_edge", estimates.win_rate_edge, 0.10, 0.04),
        _bounded("f1_excess_of_worse_side", f1_worse, 0.15, 0.06),
        Component("max_drawdown_r", drawdown, None, 0.10, 10.0 * room),
        Component("coverage", coverage, None, 0.05, 5.0 * in_market),
    )


def _gates(estimates: Estimates, sample: Sample) -> tuple[Gate, ...]:
    trades = sample.side.size
    fewer = min(int((sample.side > 0).sum()), int((sample.side < 0).sum()))
    independent = min(estimates.n_blocks, estimates.traded_blocks, sample.y.size // (BLOCK_HORIZONS * sample.horizon))
    p_expectancy = estimates.expectancy_r.p_value(0.0)
    p_accuracy = estimates.balanced_accuracy.p_value(sample.chance)
    p_direction = estimates.direction.p_value(0.5)
    total = math.fsum(estimates.r_by_block)
    largest = float(estimates.r_by_block.max()) / total if total > 0 else None
    significant = f"p <= {GATE_ALPHA}"
    return (
        Gate("too_few_trades", trades >= MIN_TRADES, float(trades), f">= {MIN_TRADES} trades"),
        Gate("too_few_blocks", independent >= MIN_TIME_BLOCKS, float(independent), f">= {MIN_TIME_BLOCKS} time blocks"),
        Gate("expectancy_not_significant", p_expectancy <= GATE_ALPHA, p_expectancy, significant),
        Gate("balanced_accuracy_not_significant", p_accuracy <= GATE_ALPHA, p_accuracy, significant),
        Gate("direction_not_significant", p_direction <= GATE_ALPHA, p_direction, significant),
        Gate("one_sided", fewer >= MIN_TRADES_PER_SIDE, float(fewer), f">= {MIN_TRADES_PER_SIDE} trades a side"),
        Gate("pnl_not_positive", total > 0, total, "> 0 R in total"),
        Gate(
            "single_block_dominates",
            largest is None or largest <= MAX_BLOCK_SHARE,
            largest,
            f"<= {MAX_BLOCK_SHARE:g} of total R from one time block",
        ),
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
