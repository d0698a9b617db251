"""What the gate publishes: the verdict of every configured coin x horizon, and what changed since the last one."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from scalper_ml.errors import ContractError, SettingsError
from scalper_ml.gate.decision import Family, decide
from scalper_ml.gate.tiers import REJECTED
from scalper_ml.reports.canonical import content_id, published_json
from scalper_ml.validation.multiplicity import bh, holm

__all__ = ["FORMAT", "build_thresholds", "diff_thresholds", "document_id", "summary_of", "thresholds_bytes"]

FORMAT: Final = 2
NOT_SCORED: Final = "not_scored"
Member = tuple[str, int]


def build_thresholds(
    reports: Iterable[Mapping[str, Any]],
    *,
    symbols: Sequence[str],
    horizons: Sequence[int],
    version: str,
    timeframe: str,
    min_score: float | None = None,
    max_age_days: float = 30.0,
) -> dict[str, Any]:
    """What the gate publishes: the verdict of every configured coin x horizon.

    Parameters
    ----------
    reports : iterable of mapping
        Backtest reports (`scalper_ml.backtest.report.build_report`), at most one per coin x horizon.
        Reports of coins or horizons that are not configured are left out.
    symbols, horizons
        The configured family: each member appears, without a report as ``not_scored`` and NO_TRADE.
    version, timeframe : str
    min_score : float, optional
        Published scores below it do not trade (``score_below_min_score``). It only tightens.
    max_age_days : float
        After how long the file, and what it was scored on, is too old to trade on; the gate refuses then.

    Returns
    -------
    dict
        ``{format, version, timeframe, min_score, max_age_days, coins: {SYMBOL: {status, quality_tier, score_0_100,
        min_confidence, action, reason, size_factor, horizon, horizons: {h: {...}}}}, summary, document_id}``. A
        coin's own fields are those of its best accepted horizon (highest score, then shortest),
        else of its best-scored one. ``summary.coverage`` is ``1 - no_trade_coins / coins``.

    Raises
    ------
    ContractError
        Two reports for one coin x horizon, or a report of another timeframe.
    SettingsError
        `min_score` is outside [0, 100].

    Notes
    -----
    The family counts every configured member; one without a report has p = 1. Benjamini-Hochberg at 5 % over the
    p-values of the scores (each the largest of its significance gates) is the gate ``family_not_significant``.
    """
    if min_score is not None and not 0.0 <= min_score <= 100.0:
        raise SettingsError(f"thresholds: min_score is {min_score}; expected a published score in [0, 100]")
    found = _by_member(reports, timeframe)
    members = [(symbol, horizon) for symbol in symbols for horizon in horizons]
    family = _family(found, members)
    verdicts = {one: _verdict(found.get(one), family[one], min_score) for one in members}
    coins = {symbol: _coin({h: verdicts[symbol, h] for h in horizons}) for symbol in symbols}
    statuses = [coin["status"] for coin in coins.values()]
    document = {
        "format": FORMAT,
        "version": version,
        "timeframe": timeframe,
        "min_score": min_score,
        "max_age_days": max_age_days,
        "coins": coins,
        "summary": {
            "coins": len(coins),
            "active_coins": statuses.count("ACTIVE"),
            "warmup_coins": statuses.count("WARMUP"),
            "no_trade_coins": statuses.count("NO_TRADE"),
            "coverage": 1.0 - statuses.count("NO_TRADE") / len(coins) if coins else 0.0,
        },
    }
    return {**document, "document_id": document_id(document)}


def document_id(document: Mapping[str, Any]) -> str:
    """Hash of everything but the id itself: a document that was altered or cut shows it."""
    return content_id({name: value for name, value in document.items() if name != "document_id"})


def thresholds_bytes(thresholds: Mapping[str, Any]) -> bytes:
    """The document as canonical JSON: equal thresholds, equal bytes; NaN and infinities are refused."""
    return published_json(thresholds)


def diff_thresholds(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What changed between two documents: a row for each coin x horizon whose action, tier, score or confidence did.

    Parameters
    ----------
    before : mapping or None
        None where there was none.

    Returns
    -------
    list of dict
        ``symbol``, ``horizon``, and ``before`` and ``after`` with the fields shown; None for a member that is not
        in a document. In the order of the documents, newer first.
    """
    old, new = _verdicts(before or {"coins": {}}), _verdicts(after)
    return [
        {
            "symbol": symbol,
            "horizon": horizon,
            "before": old.get((symbol, horizon)),
            "after": new.get((symbol, horizon)),
        }
        for symbol, horizon in [*new, *(one for one in old if one not in new)]
        if old.get((symbol, horizon)) != new.get((symbol, horizon))
    ]


def summary_of(document: Mapping[str, Any], reports: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Metrics of PRODUCT B1 and the verdict of every scored coin x horizon, beside the counts of the document."""
    found = {(report["symbol"], report["horizon"]): report["metrics"] for report in reports}
    coins = {
        symbol: {
            horizon: {
                **{name: found[symbol, int(horizon)][name] for name in _B1},
                **{name: verdict[name] for name in ("score_0_100", "quality_tier", "action", "reason")},
            }
            for horizon, verdict in coin["horizons"].items()
            if (symbol, int(horizon)) in found
        }
        for symbol, coin in document["coins"].items()
    }
    return {name: document[name] for name in ("version", "timeframe", "summary", "document_id")} | {"coins": coins}


def _verdicts(document: Mapping[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    shown = ("action", "quality_tier", "score_0_100", "min_confidence", "reason")
    return {
        (symbol, horizon): {name: verdict[name] for name in shown}
        for symbol, coin in document["coins"].items()
        for horizon, verdict in coin["horizons"].items()
    }


_B1: Final = (
    "balanced_accuracy",
    "f1_long",
    "f1_short",
    "confusion_matrix",
    "trades_taken",
    "win_rate",
    "expectancy_r",
    "profit_factor",
    "max_drawdown",
    "coverage",
)

_COIN_FIELDS: Final = (
    "status",
    "quality_tier",
    "score_0_100",
    "raw_score",
    "min_confidence",
    "action",
    "size_factor",
    "reason",
)

_UNSCORED: Final[Mapping[str, Any]] = {
    "status": "NO_TRADE",
    "quality_tier": REJECTED.name,
    "score_0_100": None,
    "raw_score": None,
    "min_confidence": REJECTED.min_confidence,
    "action": REJECTED.action,
    "size_factor": REJECTED.size_factor,
    "reason": NOT_SCORED,
    "reasons": [NOT_SCORED],
    "notes": [],
    "threshold": None,
    "trades_taken": None,
    "expectancy_r": None,
    "balanced_accuracy": None,
    "at_min_confidence": None,
    "p_value": None,
    "suspicious": [],
    "bundle_id": None,
    "layer": None,
    "scored_until": None,
    "score_version": None,
    "seed": None,
    "inputs_hash": None,
    "report_id": None,
}


def _by_member(reports: Iterable[Mapping[str, Any]], timeframe: str) -> dict[Member, Mapping[str, Any]]:
    found: dict[Member, Mapping[str, Any]] = {}
    for report in reports:
        member = (report["symbol"], report["horizon"])
        if report["timeframe"] != timeframe:
            raise ContractError(
                f"thresholds: the report of {member[0]} horizon {member[1]} is of timeframe {report['timeframe']!r}; "
                f"expected {timeframe!r} - run its backtest again"
            )
        if member in found:
            raise ContractError(
                f"thresholds: two reports for {member[0]} horizon {member[1]} ({found[member]['report_id']}, "
                f"{report['report_id']}); expected the latest one only"
            )
        found[member] = report
    return found


def _family(found: Mapping[Member, Mapping[str, Any]], members: Sequence[Member]) -> dict[Member, Family]:
    """Every member's place among all; what was not scored has p = 1."""
    p = [found[one]["score"]["p_value"] if one in found else 1.0 for one in members]
    return {one: Family(float(q), float(h)) for one, q, h in zip(members, bh(p), holm(p), strict=True)}


def _verdict(report: Mapping[str, Any] | None, family: Family, min_score: float | None) -> dict[str, Any]:
    """The published entry of one coin x horizon."""
    place = {"q_value": family.q_value, "holm_p": family.holm_p}
    if report is None:
        return {**_UNSCORED, **place}
    decision, metrics, score = decide(report, family, min_score), report["metrics"], report["score"]
    return {
        **decision,
        **place,
        "threshold": report["threshold"]["threshold"],
        "trades_taken": metrics["trades_taken"],
        "expectancy_r": metrics["expectancy_r"],
        "balanced_accuracy": metrics["balanced_accuracy"],
        "at_min_confidence": report["at_tier_floors"][decision["quality_tier"]],
        "p_value": score["p_value"],
        "suspicious": report["suspicious"],
        "bundle_id": report["lineage"].get("bundle_id"),
        "layer": report["lineage"].get("layer"),
        "scored_until": report["period"]["end"] if report["lineage"].get("calendar", True) else None,
        "score_version": score["version"],
        "seed": score["seed"],
        "inputs_hash": score["inputs_hash"],
        "report_id": report["report_id"],
    }


def _coin(verdicts: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """A coin: the fields of its best horizon, and all of them."""
    best = max(verdicts, key=lambda h: (_rank(verdicts[h]), -h))
    return {
        **{name: verdicts[best][name] for name in _COIN_FIELDS},
        "horizon": None if verdicts[best]["reason"] == NOT_SCORED else best,
        "horizons": {str(h): dict(verdict) for h, verdict in verdicts.items()},
    }


def _rank(verdict: Mapping[str, Any]) -> tuple[bool, float]:
    score = verdict["score_0_100"]
    return verdict["action"] != "NO_TRADE", -1.0 if score is None else score
