"""The backtest report: what one candidate earned on data nobody has touched, and what that allows."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import pyarrow as pa

from scalper_ml.backtest.costs import Costs
from scalper_ml.backtest.engine import RISK_PER_TRADE, Backtest, run_backtest
from scalper_ml.backtest.labelled import AsLabelled
from scalper_ml.backtest.metrics import trade_metrics
from scalper_ml.backtest.rows import of_role
from scalper_ml.gate.estimates import side_recall
from scalper_ml.gate.score import DRAWS, MIN_TRADES, Score, quality_score, sample_of
from scalper_ml.gate.thresholds import ThresholdChoice, choose_threshold
from scalper_ml.gate.tiers import REJECTED, status_of, tier_of
from scalper_ml.reports.canonical import canonical_json, content_id
from scalper_ml.schema import CLASSES
from scalper_ml.validation.metrics import balanced_accuracy, class_scores, confusion_matrix

__all__ = ["REPORT_VERSION", "Evaluation", "build_report", "decision_metrics", "decision_of", "report_bytes"]

REPORT_VERSION: Final = 1

TOO_FEW_THERE: Final = "too_few_trades_at_min_confidence"
LOSES_THERE: Final = "expectancy_not_positive_at_min_confidence"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A report, the run on score it describes, and the threshold choice made on select."""

    report: dict[str, Any]
    run: Backtest
    choice: ThresholdChoice
    score: Score


def build_report(
    bars: pa.Table,
    dataset: pa.Table,
    predictions: pa.Table,
    *,
    symbol: str,
    timeframe: str,
    version: str,
    horizon: int,
    interval_us: int,
    costs: Costs,
    seed: int,
    draws: int = DRAWS,
    risk_per_trade: float = RISK_PER_TRADE,
    lineage: Mapping[str, Any] | None = None,
    rule: AsLabelled | None = None,
) -> Evaluation:
    """Choose the threshold on select, trade score once at it, and report everything about that run.

    Parameters
    ----------
    bars, dataset : pyarrow.Table
        As for `run_backtest`.
    predictions : pyarrow.Table of PREDICTIONS
        All roles, as a trained model returns them; the out-of-sample rows of select and score are used.
    symbol, timeframe, version : str
        Names of the report.
    horizon, interval_us : int
    costs : Costs
    seed, draws : int
        Of the score's bootstrap.
    risk_per_trade : float
        Of the compounded equity curve.
    lineage : mapping, optional
        Plain values naming the inputs (bundle id, dataset hash, model kind): copied into the report.
    rule : AsLabelled, optional
        As for `run_backtest`.

    Returns
    -------
    Evaluation
        ``report`` holds only finite numbers, text, lists, maps and None, and no time of creation:
        equal inputs give equal bytes (`report_bytes`). Its ``metrics`` are those of PRODUCT B1;
        what is undefined there is None and named in ``metrics.undefined`` with the reason.

    Raises
    ------
    ContractError
        As `run_backtest`.
    """
    choice = choose_threshold(
        bars, dataset, of_role(predictions, "select"), costs=costs, horizon=horizon, interval_us=interval_us, rule=rule
    )
    at = partial(
        run_backtest,
        bars,
        dataset,
        of_role(predictions, "score"),
        role="score",
        costs=costs,
        horizon=horizon,
        interval_us=interval_us,
        risk_per_trade=risk_per_trade,
        rule=rule,
    )
    run = at(threshold=choice.threshold)
    score = quality_score(sample_of(run, horizon), seed=seed, draws=draws)
    tier = tier_of(score.score_0_100)
    min_confidence = max(choice.threshold, tier.min_confidence)
    stricter = trade_metrics(at(threshold=min_confidence), horizon).to_dict()
    late = trade_metrics(at(threshold=choice.threshold, latency_bars=1), horizon)
    known = trade_metrics(run, horizon)
    decisions, undefined = decision_metrics(run)
    report = {
        "report_version": REPORT_VERSION,
        "symbol": symbol,
        "timeframe": timeframe,
        "version": version,
        "horizon": horizon,
        "lineage": dict(lineage or {}),
        "role": "score",
        "period": _period(run),
        "costs": costs.to_dict(),
        "risk_per_trade": risk_per_trade,
        "threshold": choice.to_dict(),
        "metrics": {
            **known.values,
            **decisions,
            "expectancy_r_latency_1": late.values["expectancy_r"],
            "undefined": {**known.undefined, **undefined, **_late_reason(late.undefined)},
        },
        "score": score.to_dict(),
        "at_min_confidence": {"min_confidence": min_confidence, **stricter},
        "decision": decision_of(score, min_confidence, stricter),
    }
    return Evaluation({**report, "report_id": content_id(report)}, run, choice, score)


def report_bytes(report: Mapping[str, Any]) -> bytes:
    """The report as canonical JSON; NaN and infinities are refused."""
    return canonical_json(report)


def decision_metrics(run: Backtest) -> tuple[dict[str, Any], dict[str, str]]:
    """Metrics of the decisions of every row against the labels, and the reasons of those that are None.

    `y_pred` is the side if the row was traded, else NEUTRAL (see `scalper_ml.backtest.signals.decide`).
    Where labels have no deadband, balanced accuracy is of the rows that were traded and moved.
    ``confusion_matrix`` has labels in rows and decisions in columns, ordered SHORT, NEUTRAL, LONG.
    """
    confusion = confusion_matrix(run.signals.column("y").to_numpy(), run.signals.column("y_pred").to_numpy())
    rows = confusion.sum(axis=1)
    absent = [CLASSES[code] for code in run.classes if rows[code] == 0]
    accuracy = balanced_accuracy if len(run.classes) == len(CLASSES) else side_recall
    by_class = class_scores(confusion)
    scores: dict[str, float | None] = {
        "balanced_accuracy": None if absent else float(accuracy(confusion)),
        "f1_long": by_class["LONG"]["f1"],
        "f1_short": by_class["SHORT"]["f1"],
    }
    described = {
        "confusion_matrix": confusion.tolist(),
        "class_shares": dict(zip(CLASSES, (rows / rows.sum()).tolist(), strict=True)),
        "chance_balanced_accuracy": 1.0 / len(run.classes),
    }
    reason = f"no rows labelled {', '.join(absent)}"
    return {**scores, **described}, {name: reason for name, value in scores.items() if value is None}


def _late_reason(undefined: Mapping[str, str]) -> dict[str, str]:
    return {"expectancy_r_latency_1": undefined["expectancy_r"]} if "expectancy_r" in undefined else {}


def _period(run: Backtest) -> dict[str, Any]:
    """First and last signal and the number of rows."""
    ts = run.signals.column("ts_us")
    return {"start": ts[0].as_py().isoformat(), "end": ts[-1].as_py().isoformat(), "rows": run.signals.num_rows}


def decision_of(score: Score, min_confidence: float, there: Mapping[str, Any]) -> dict[str, Any]:
    """What the score allows, after the trades left at the published confidence had their say.

    Parameters
    ----------
    score : Score
    min_confidence : float
        Published: the chosen threshold or the tier's floor, whichever is larger.
    there : mapping
        Metrics of the score role at `min_confidence`. A tier that would trade does not with fewer
        than 100 trades there, or if they do not earn.
    """
    tier = tier_of(score.score_0_100)
    reasons, effective = list(score.reasons), tier
    if tier is not REJECTED and (stopped := _stopped_there(there)):
        reasons, effective = [stopped], REJECTED
    return {
        "status": status_of(effective.action),
        "quality_tier": tier.name,
        "score_0_100": score.score_0_100,
        "raw_score": score.raw_score,
        "min_confidence": min_confidence,
        "action": effective.action,
        "size_factor": effective.size_factor,
        "reason": reasons[0],
        "reasons": reasons,
    }


def _stopped_there(there: Mapping[str, Any]) -> str | None:
    if there["trades_taken"] < MIN_TRADES:
        return TOO_FEW_THERE
    return LOSES_THERE if there["expectancy_r"] <= 0 else None
