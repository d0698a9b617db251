"""The backtest report: what one candidate earned on data nobody has touched, and what that allows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scalper_ml.backtest.costs import Costs
from scalper_ml.backtest.engine import RISK_PER_TRADE, Backtest, run_backtest
from scalper_ml.backtest.events import Tape
from scalper_ml.backtest.execution import Execution, Funding
from scalper_ml.backtest.labelled import AsLabelled
from scalper_ml.backtest.metrics import trade_metrics
from scalper_ml.backtest.robustness import correlation_with, robustness
from scalper_ml.backtest.rows import floats, of_role
from scalper_ml.backtest.what_pays import what_pays
from scalper_ml.gate.decision import decide, suspicions
from scalper_ml.gate.estimates import Sample, side_recall
from scalper_ml.gate.score import DRAWS, Score, quality_score, sample_of
from scalper_ml.gate.threshold_choice import ThresholdChoice, choose_threshold
from scalper_ml.gate.tiers import TIERS
from scalper_ml.reports.canonical import content_id, published_json
from scalper_ml.schema import CLASSES, LONG, NEUTRAL
from scalper_ml.validation.calibration_error import ece, reliability
from scalper_ml.validation.metrics import balanced_accuracy, class_scores, confusion_matrix

__all__ = ["REPORT_VERSION", "Evaluation", "build_report", "decision_metrics", "report_bytes"]

REPORT_VERSION: Final = 2
_AT_FLOOR: Final = ("trades_taken", "win_rate", "expectancy_r", "profit_factor", "total_r", "coverage", "undefined")


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
    trials: int = 1,
    superiority: Mapping[str, Any] | None = None,
    evidence: Mapping[str, bool] | None = None,
    benchmark: tuple[str, pa.Table] | None = None,
    execution: Execution | None = None,
    tape: Tape | None = None,
    funding: Funding | None = None,
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
    rule, execution, tape, funding
        As for `run_backtest`.
    trials : int
        What was tried to find the model, besides the thresholds tried here.
    superiority : mapping, optional
        Of all models it was chosen among, on select: copied into the robustness block; it gates nothing.
    evidence : mapping, optional
        As for `quality_score`.
    benchmark : pair of str and pyarrow.Table, optional
        A coin and its bars, usually BTC, whose returns the result's are correlated with.

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
    market: dict[str, Any] = {"costs": costs, "horizon": horizon, "interval_us": interval_us, "rule": rule}
    market |= {"execution": execution, "tape": tape, "funding": funding}
    choice = choose_threshold(bars, dataset, of_role(predictions, "select"), **market)
    at = partial(
        run_backtest,
        bars,
        dataset,
        of_role(predictions, "score"),
        role="score",
        risk_per_trade=risk_per_trade,
        **market,
    )
    run = at(threshold=choice.threshold)
    sample = sample_of(run, horizon)
    score = quality_score(sample, seed=seed, draws=draws, evidence=evidence)
    late = trade_metrics(at(threshold=choice.threshold, latency_bars=1), horizon)
    known = trade_metrics(run, horizon)
    decisions, undefined = decision_metrics(run)
    metrics = {
        **known.values,
        **decisions,
        "expectancy_r_latency_1": late.values["expectancy_r"],
        "undefined": {**known.undefined, **undefined, **_late_reason(late.undefined)},
    }
    report: dict[str, Any] = {
        "report_version": REPORT_VERSION,
        "symbol": symbol,
        "timeframe": timeframe,
        "version": version,
        "horizon": horizon,
        "lineage": dict(lineage or {}),
        "role": "score",
        "period": _period(run),
        "costs": costs.to_dict(),
        "execution": {**(execution or Execution()).to_dict(), "filled_with": "bars" if tape is None else "trades"},
        "risk_per_trade": risk_per_trade,
        "threshold": choice.to_dict(),
        "metrics": metrics,
        "robustness": {
            **robustness(run, horizon, trials=trials + choice.trials, seed=seed),
            "intervals_95": score.to_dict()["intervals"],
            "correlation": _correlation(run, benchmark),
            "superiority": None if superiority is None else dict(superiority),
        },
        "suspicious": suspicions(metrics),
        "calibration": _calibration(sample),
        "what_pays": _what_pays(dataset, horizon),
        "score": score.to_dict(),
        "at_tier_floors": _at_floors(at, choice.threshold, horizon),
    }
    decision = decide(report)
    report |= {"decision": decision, "at_min_confidence": report["at_tier_floors"][decision["quality_tier"]]}
    return Evaluation({**report, "report_id": content_id(report)}, run, choice, score)


def report_bytes(report: Mapping[str, Any]) -> bytes:
    """The report as canonical JSON; NaN and infinities are refused."""
    return published_json(report)


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


def _at_floors(at: Callable[..., Backtest], threshold: float, horizon: int) -> dict[str, dict[str, Any]]:
    """The trades of the score role at the confidence that each tier would publish."""
    found: dict[float, dict[str, Any]] = {}
    for confidence in {max(threshold, tier.min_confidence) for tier in TIERS}:
        there = trade_metrics(at(threshold=confidence), horizon).to_dict()
        found[confidence] = {"min_confidence": confidence, **{name: there[name] for name in _AT_FLOOR}}
        found[confidence]["undefined"] = {k: v for k, v in there["undefined"].items() if k in _AT_FLOOR}
    return {tier.name: found[max(threshold, tier.min_confidence)] for tier in TIERS}


def _calibration(sample: Sample) -> dict[str, Any]:
    """What the confidence said of the rows whose label has a side, and what was seen."""
    sided = sample.y != NEUTRAL
    said, was = sample.p_long[sided], sample.y[sided] == LONG
    if not said.size:
        return {"rows": 0, "ece": None, "curve": {"p": [], "frequency": [], "rows": []}}
    return {"rows": int(said.size), "ece": ece(said, was), "curve": reliability(said, was)}


def _what_pays(dataset: pa.Table, horizon: int) -> dict[str, Any]:
    """From the median volatility and cost of the score role."""
    score = dataset.filter(pc.equal(dataset["role"], "score"))
    sigma, cost = (float(np.median(floats(score, name))) for name in ("sigma", "cost"))
    return what_pays(sigma, cost, horizon)


def _correlation(run: Backtest, benchmark: tuple[str, pa.Table] | None) -> dict[str, Any]:
    name, bars = benchmark or (None, None)
    return {"with": name, "value": None if bars is None else correlation_with(run, bars), "by": "hour"}


def _late_reason(undefined: Mapping[str, str]) -> dict[str, str]:
    return {"expectancy_r_latency_1": undefined["expectancy_r"]} if "expectancy_r" in undefined else {}


def _period(run: Backtest) -> dict[str, Any]:
    """First and last signal and the number of rows."""
    ts = run.signals.column("ts_us")
    return {"start": ts[0].as_py().isoformat(), "end": ts[-1].as_py().isoformat(), "rows": run.signals.num_rows}
