"""The quality gate: may this signal be traded, and if not, why not."""

import logging
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypedDict

from scalper_ml.gate.environment import GateEnvironment
from scalper_ml.gate.published import PublishedFile, Refused, Thresholds

__all__ = ["REFUSALS", "Champions", "Filtered", "FilteredSignal", "GateDecision", "Loop", "QualityGate"]

Loop = Literal["paper", "live"]
Champions = Callable[[str, int, Mapping[str, Any]], Mapping[str, Any]]
"""Called with symbol, horizon and the published verdict: gives the verdict on what would run, its bundle verified."""

REFUSALS: Final = (
    "gate_disabled",
    "invalid_signal",
    "per_coin_disabled",
    "file_missing",
    "file_unreadable",
    "file_corrupt",
    "timeframe_differs",
    "unknown_coin",
    "unknown_horizon",
    "not_scored",
    "file_stale",
    "score_stale",
    "below_min_confidence",
    "paper_only",
    "bundle_not_verified",
    "no_champion",
    "suspended",
    "score_below_min_score",
)
"""Codes of the gate's own refusals; a coin that is NO_TRADE is refused with the code of its verdict."""

WARN_EVERY_US: Final = 60_000_000
_LOG = logging.getLogger(__name__)


class GateDecision(TypedDict):
    """The answer to one signal; ``mode`` is live, paper, or none where nothing may be traded."""

    should_trade: bool
    action: str
    reason: str
    reason_code: str
    score: float | None
    quality_tier: str | None
    size_factor: float
    mode: Literal["live", "paper", "none"]
    min_confidence: float | None
    horizon: int | None


class FilteredSignal(TypedDict):
    """A signal with the gate's decision; ``filtered_reason`` is its reason code, None where it may be traded."""

    signal: Mapping[str, Any]
    quality_gate_decision: GateDecision
    filtered_reason: str | None


class Filtered(NamedTuple):
    """Signals that may be traded, and those that may not, each in the order given."""

    passed: list[FilteredSignal]
    filtered: list[FilteredSignal]


class QualityGate:
    """One thresholds file and what it allows; fails closed.

    Parameters
    ----------
    path : Path
        The thresholds file; it is read again whenever it was replaced.
    environment : GateEnvironment
    loop : {"live", "paper"}
        What asks. Coins in WARMUP, and everything where the gate is off, are for paper loops only.
    champions : callable
        See `Champions`.
    now_us : callable
        The clock, microseconds UTC; a replay gives the market's.

    Notes
    -----
    Nothing is cached but the parsed file: an answer is of the file as it is when the question is asked.
    """

    def __init__(
        self,
        path: Path,
        *,
        environment: GateEnvironment,
        loop: Loop,
        champions: Champions,
        now_us: Callable[[], int],
    ) -> None:
        self.file = PublishedFile(path)
        self.environment = environment
        self.loop = loop
        self._champions = champions
        self._now_us = now_us
        self._warned_us: int | None = None

    def should_trade(self, symbol: str, confidence: float, horizon: int | None = None) -> GateDecision:
        """Whether a signal of this confidence may be traded now.

        Parameters
        ----------
        symbol : str
        confidence : float
            Calibrated ``P(side) / (P(LONG) + P(SHORT))`` in [0, 1].
        horizon : int, optional
            Bars; default: the coin's best accepted horizon.

        Returns
        -------
        GateDecision
            Never raises for what is wrong with the file or the signal: that is an answer, with its reason code.
        """
        try:
            asked = _signal(symbol, confidence, horizon)
            return self._answer(symbol, asked, horizon) if self.environment.enabled else self._ungated()
        except Refused as refused:
            return _refusal(refused, None, None)

    def filter_signals(self, signals: Iterable[Mapping[str, Any]]) -> Filtered:
        """Ask for each signal: a mapping with ``symbol``, ``confidence`` and, if it has one, ``horizon``."""
        found = Filtered([], [])
        for signal in signals:
            decision = self._of_signal(signal)
            passed = decision["should_trade"]
            entry = FilteredSignal(
                signal=signal,
                quality_gate_decision=decision,
                filtered_reason=None if passed else decision["reason_code"],
            )
            (found.passed if passed else found.filtered).append(entry)
        return found

    def _of_signal(self, signal: Mapping[str, Any]) -> GateDecision:
        if not isinstance(signal, Mapping) or not {"symbol", "confidence"} <= set(signal):
            told = sorted(map(str, signal)) if isinstance(signal, Mapping) else type(signal).__name__
            return _refusal(
                Refused("invalid_signal", f"a signal needs a symbol and a confidence; found {told}"), None, None
            )
        return self.should_trade(signal["symbol"], signal["confidence"], signal.get("horizon"))

    def _answer(self, symbol: str, confidence: float, horizon: int | None) -> GateDecision:
        environment = self.environment
        if not environment.per_coin:
            raise Refused("per_coin_disabled", "USE_ML_PER_COIN is off, and there are only models of single coins")
        thresholds = self.file.current()
        self._check_timeframe(thresholds)
        chosen, verdict = thresholds.verdict(symbol, horizon)
        try:
            return self._judged(thresholds, symbol, int(chosen), verdict, confidence)
        except Refused as refused:
            return _refusal(refused, verdict, int(chosen))

    def _check_timeframe(self, thresholds: Thresholds) -> None:
        own, theirs = self.environment.timeframe, thresholds.document["timeframe"]
        if own is not None and own != theirs:
            raise Refused("timeframe_differs", f"the thresholds are of {theirs} bars, ML_DEFAULT_TF is {own}")

    def _judged(
        self, thresholds: Thresholds, symbol: str, horizon: int, verdict: Mapping[str, Any], confidence: float
    ) -> GateDecision:
        """What an existing verdict says to a signal, or that of the champion that runs beside it."""
        verdict = self._champions(symbol, horizon, verdict)
        if verdict["action"] == "NO_TRADE":
            raise Refused(verdict["reason"], f"{symbol} x {horizon} is not traded: {', '.join(verdict['reasons'])}")
        thresholds.check_age(verdict, self._now_us())
        floor = thresholds.document["min_score"]
        if floor is not None and verdict["score_0_100"] < floor:
            raise Refused("score_below_min_score", f"score {verdict['score_0_100']:.1f} is below {floor:g}")
        least = self._least(verdict)
        if confidence < least:
            raise Refused("below_min_confidence", f"confidence {confidence:.4f} is below {least:.4f}")
        paper = verdict["action"] == "WARMUP"
        allowed = not paper or self.loop == "paper"
        return GateDecision(
            should_trade=allowed,
            action=verdict["action"],
            reason=f"{symbol} x {horizon}: {verdict['quality_tier']}, score {verdict['score_0_100']:.1f}"
            + ("" if allowed else "; on paper only"),
            reason_code="accepted" if allowed else "paper_only",
            score=verdict["score_0_100"],
            quality_tier=verdict["quality_tier"],
            size_factor=verdict["size_factor"] if allowed else 0.0,
            mode="paper" if paper else "live",
            min_confidence=least,
            horizon=horizon,
        )

    def _least(self, verdict: Mapping[str, Any]) -> float:
        """The published confidence, or the threshold that was scored where MIN_CONFIDENCE replaces the tier's floor."""
        own = self.environment.min_confidence
        return float(verdict["min_confidence"] if own is None else max(verdict["threshold"], own))

    def _ungated(self) -> GateDecision:
        now = self._now_us()
        if self._warned_us is None or now - self._warned_us >= WARN_EVERY_US:
            self._warned_us = now
            _LOG.warning("the quality gate is off (QUALITY_GATE_ENABLED): every signal passes, on paper only")
        paper = self.loop == "paper"
        return GateDecision(
            should_trade=paper,
            action="UNGATED",
            reason="the quality gate is off; on paper only",
            reason_code="gate_disabled",
            score=None,
            quality_tier=None,
            size_factor=1.0 if paper else 0.0,
            mode="paper",
            min_confidence=None,
            horizon=None,
        )


def _signal(symbol: Any, confidence: Any, horizon: Any) -> float:
    """The confidence of a signal, if it is one; strings, truth values and what is beyond [0, 1] are none."""
    if not isinstance(symbol, str):
        raise Refused("invalid_signal", f"symbol is {symbol!r}; expected a string")
    number = isinstance(confidence, int | float | Real) and not isinstance(confidence, bool)
    if not (number and 0 <= confidence <= 1):
        raise Refused("invalid_signal", f"confidence is {confidence!r}; expected a number in [0, 1]")
    if not (horizon is None or isinstance(horizon, Integral | str)):
        raise Refused("invalid_signal", f"horizon is {horizon!r}; expected a number of bars, or none")
    return float(confidence)


def _refusal(refused: Refused, verdict: Mapping[str, Any] | None, horizon: int | None) -> GateDecision:
    known = verdict or {}
    return GateDecision(
        should_trade=False,
        action="NO_TRADE",
        reason=refused.reason,
        reason_code=refused.code,
        score=known.get("score_0_100"),
        quality_tier=known.get("quality_tier"),
        size_factor=0.0,
        mode="none",
        min_confidence=known.get("min_confidence"),
        horizon=horizon,
    )
