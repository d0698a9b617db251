"""What others ask of a classifier, beside what is honest: value, interval, no skill, verdict.

The levels often asked for (accuracy above 55 %, directional accuracy above 60 %) say little without the level of no
skill: with three classes a constant answer can have either. A verdict here is about the interval and no skill only.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from scalper_ml.validation.proportions import wilson

__all__ = ["verdicts", "verdicts_of_forecast"]


def verdicts(metrics: Mapping[str, Any]) -> list[dict[str, str]]:
    """A row a metric: ``metric``, ``value``, ``interval``, ``no_skill``, ``asked``, ``verdict``, as text.

    Shares have 95 % Wilson intervals on effective rows, balanced accuracy that of its time blocks; where there is an
    interval the verdict goes by it, and says so where there is none.

    Parameters
    ----------
    metrics : mapping
        From `classification_metrics` with returns and probabilities.
    """
    balanced, side, n = metrics["balanced_accuracy"], metrics["direction"], metrics["n_eff"]
    taken = n * side["traded_share"]
    return [
        _row("accuracy", metrics["accuracy"], metrics["majority_accuracy"], _wilson(metrics["accuracy"], n), 0.55),
        _row("balanced accuracy", balanced["value"], balanced["chance"], balanced["ci"], 0.55),
        _row("directional accuracy", side["da_traded"], side["chance"], _wilson(side["da_traded"], taken), 0.60),
        _row("log loss", metrics["log_loss"], metrics["log_loss_base"], lower=True),
        _row("Brier score", metrics["brier"], metrics["brier_base"], lower=True),
        _row("Brier score of the side", metrics.get("brier_side"), 0.25, lower=True),
        _row("calibration error", metrics["ece"], metrics["ece_floor"], lower=True),
        _row("Matthews correlation", metrics["mcc"], 0.0),
    ]


def verdicts_of_forecast(metrics: Mapping[str, Any], target: str) -> list[dict[str, str]]:
    """The same of a forecaster: R2 against its baseline, never against nothing; no MAPE, which divides by about zero.

    Parameters
    ----------
    metrics : mapping
        From `regression_metrics` or `state_metrics`.
    target : str
        Decides what is asked for elsewhere: R2 above .10 of returns and above .6 of volatility, sides above 58 %.
    """
    if "r2" not in metrics:
        accuracy, balanced = metrics["accuracy"], metrics["balanced_accuracy"]
        return [
            _row("accuracy", accuracy["value"], accuracy["chance"], accuracy["ci"], 0.60),
            _row("balanced accuracy", balanced["value"], balanced["chance"]),
            _row("log loss", metrics["log_loss"], metrics["log_loss_base"], lower=True),
            _row("Brier score", metrics["brier"], metrics["brier_base"], lower=True),
            _row("calibration error", metrics["ece"], metrics["ece_floor"], lower=True),
        ]
    asked = 0.6 if target == "volatility" else 0.10
    rows = [
        _row("R2 against the baseline", metrics["r2"]["value"], 0.0, metrics["r2"]["ci"], asked),
        _row("R2 against the mean", metrics["r2_mean"], 0.0),
        _row("RMSE", metrics["rmse"], metrics["rmse_base"], lower=True, digits=6),
        _row("MAE", metrics["mae"], metrics["mae_base"], lower=True, digits=6),
        _row("rank correlation", metrics["ic"]["value"], 0.0, metrics["ic"]["ci"]),
        _tested("p of no better than the baseline", metrics["r2"]["dm_p"], 0.01),
    ]
    if "direction" in metrics:
        side = metrics["direction"]
        rows.append(_row("directional accuracy", side["value"], side["chance"], side["ci"], 0.58))
    if "qlike" in metrics:
        rows.append(_row("QLIKE", metrics["qlike"], metrics["qlike_base"], lower=True))
    return rows


def _tested(name: str, p: float | None, level: float) -> dict[str, str]:
    """The row of a test, whose verdict is its own."""
    told = p is not None and p < level
    return _row(name, p, level, lower=True) | {"verdict": "better than no skill" if told else "not told from no skill"}


def _beside(ci: Sequence[float], asked: float) -> str:
    return "above" if ci[0] > asked else "below" if ci[1] < asked else "not told from"


def _wilson(share: float | None, n: float) -> list[float] | None:
    if share is None or n <= 0:
        return None
    return [wilson(share * n, n, 0.025), 1.0 - wilson((1.0 - share) * n, n, 0.025)]


def _row(
    name: str,
    value: float | None,
    no_skill: float | None,
    ci: Sequence[float] | None = None,
    asked: float | None = None,
    *,
    lower: bool = False,
    digits: int = 4,
) -> dict[str, str]:
    if value is None or no_skill is None:
        verdict = "undefined: no side is taken"
    elif ci is not None:
        verdict = "better than no skill" if ci[0] > no_skill else "not told from no skill"
    else:
        better = value < no_skill if lower else value > no_skill
        verdict = f"{'better' if better else 'no better'}, by the number alone"
    if value is not None and asked is not None and ci is not None:
        verdict += f"; {_beside(ci, asked)} what is asked"
    return {
        "metric": name,
        "value": "-" if value is None else f"{value:.{digits}f}",
        "interval": "" if ci is None else f"{ci[0]:.4f} to {ci[1]:.4f}",
        "no_skill": "-" if no_skill is None else f"{no_skill:.{digits}f}",
        "asked": "" if asked is None else f"{asked:.2f}",
        "verdict": verdict,
    }
