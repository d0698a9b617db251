"""What a score allows: tier, least confidence and action, with a reason for everything that is refused."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from scalper_ml.gate.score import ACCEPTED, FAILED_GATE_CAP, MIN_TRADES
from scalper_ml.gate.tiers import REJECTED, TIERS, Action, Tier, status_of, tier_of

__all__ = ["DECISION_REASONS", "NOTES", "Family", "decide", "suspicions"]

FAMILY_Q: Final = 0.05
HIGH_Q: Final = 0.01
HIGH_DSR: Final = 0.95

DECISION_REASONS: Final = (
    "family_not_significant",
    "too_few_trades_at_min_confidence",
    "expectancy_not_positive_at_min_confidence",
    "suspicious_and_gone_a_bar_later",
    "score_below_min_score",
    "not_scored",
)
"""Why a score that passed its own gates does not trade, in the order in which it is asked."""

NOTES: Final = ("deflated_sharpe_below_0.95", "not_significant_enough_for_high", "volatility_guard")
"""What lowers an accepted coin without refusing it: the first two from HIGH to MEDIUM, the guard to paper."""

_SUSPICIOUS: Final = {  # limits of METHOD 8, of traded direction, 3-class balanced accuracy and profit factor
    "direction_of_trades_above_0.60": ("win_rate_gross", 0.60),
    "balanced_accuracy_above_0.42": ("balanced_accuracy", 0.42),
    "profit_factor_above_2": ("profit_factor", 2.0),
}
_SUSPICIOUS_TRADES: Final = 500


@dataclass(frozen=True, slots=True)
class Family:
    """Where a score stands among all of its scoring date: Benjamini-Hochberg q-value and Holm-adjusted p-value."""

    q_value: float
    holm_p: float


def suspicions(metrics: Mapping[str, Any]) -> list[str]:
    """Limits of plausibility that the metrics of a report pass on 500 trades or more; alerts, not failures.

    Examples
    --------
    >>> suspicions({"trades_taken": 600, "win_rate_gross": 0.7, "balanced_accuracy": 0.4, "profit_factor": None})
    ['direction_of_trades_above_0.60']
    """
    if metrics["trades_taken"] < _SUSPICIOUS_TRADES:
        return []
    return [code for code, (name, limit) in _SUSPICIOUS.items() if metrics[name] is not None and metrics[name] > limit]


@dataclass(frozen=True, slots=True)
class _Standing:
    """A published score on its way through the rules."""

    score_0_100: float
    reasons: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def tier(self) -> Tier:
        return tier_of(self.score_0_100)


def decide(report: Mapping[str, Any], family: Family | None = None, min_score: float | None = None) -> dict[str, Any]:
    """The verdict on one scored coin x horizon; with `family` and `min_score` it can only be stricter.

    Parameters
    ----------
    report : mapping
        ``score``, ``threshold``, ``metrics``, ``at_tier_floors``, ``robustness`` and ``suspicious`` of a backtest
        report.
    family : Family, optional
        None where the other members of the family are not known: the report's own verdict.
    min_score : float, optional
        Published scores below it do not trade.

    Returns
    -------
    dict
        status, quality_tier, score_0_100, raw_score, min_confidence, action, size_factor, reason, reasons, notes.
        ``min_confidence`` is ``max(threshold, floor of the tier)``.
    """
    standing = _high_or_medium(_in_family(_scored(report["score"]), family), report["robustness"], family)
    tier = standing.tier
    floor = report["at_tier_floors"][tier.name]
    stopped = _stopped(report, floor) if tier is not REJECTED else None
    if stopped is None and min_score is not None and standing.score_0_100 < min_score:
        stopped = "score_below_min_score"
    action, size = tier.action, tier.size_factor
    if tier is not REJECTED and stopped is None and report["robustness"]["volatility_guard"]["triggered"]:
        standing = replace(standing, notes=(*standing.notes, "volatility_guard"))
        action = "WARMUP"
    reasons = list(standing.reasons)
    if stopped is not None:
        reasons = [stopped] if tier is not REJECTED else [*reasons, stopped]
        action, size = REJECTED.action, REJECTED.size_factor
    return _verdict(standing, tier, action, size, floor["min_confidence"], reasons, report["score"]["raw_score"])


def _verdict(
    standing: _Standing,
    tier: Tier,
    action: Action,
    size: float,
    min_confidence: float,
    reasons: list[str],
    raw: float,
) -> dict[str, Any]:
    return {
        "status": status_of(action),
        "quality_tier": tier.name,
        "score_0_100": standing.score_0_100,
        "raw_score": raw,
        "min_confidence": min_confidence,
        "action": action,
        "size_factor": size,
        "reason": reasons[0],
        "reasons": reasons,
        "notes": list(standing.notes),
    }


def _scored(score: Mapping[str, Any]) -> _Standing:
    return _Standing(score["score_0_100"], tuple(score["reasons"]))


def _in_family(standing: _Standing, family: Family | None) -> _Standing:
    """A score that passed by itself, and not among all that were scored with it, is a failed gate."""
    if family is None or family.q_value <= FAMILY_Q or standing.reasons != (ACCEPTED,):
        return standing
    return _Standing(min(standing.score_0_100, FAILED_GATE_CAP), ("family_not_significant",))


def _high_or_medium(standing: _Standing, robustness: Mapping[str, Any], family: Family | None) -> _Standing:
    """HIGH takes more: a deflated Sharpe ratio of .95, and significance in the family at a stricter level."""
    if standing.tier is not TIERS[0]:
        return standing
    dsr = robustness["deflated"]["dsr"]
    notes = []
    if dsr is None or dsr < HIGH_DSR:
        notes.append("deflated_sharpe_below_0.95")
    if family is not None and family.holm_p > FAMILY_Q and family.q_value > HIGH_Q:
        notes.append("not_significant_enough_for_high")
    below = TIERS[0].min_score - 0.1
    return _Standing(min(standing.score_0_100, below), standing.reasons, tuple(notes)) if notes else standing


def _stopped(report: Mapping[str, Any], there: Mapping[str, Any]) -> str | None:
    """Why an accepted tier does not trade: `there` are the score role's trades at the published confidence."""
    if there["trades_taken"] < MIN_TRADES:
        return "too_few_trades_at_min_confidence"
    if there["expectancy_r"] <= 0:
        return "expectancy_not_positive_at_min_confidence"
    late = report["metrics"]["expectancy_r_latency_1"]
    if report["suspicious"] and (late is None or late <= 0):
        return "suspicious_and_gone_a_bar_later"
    return None
