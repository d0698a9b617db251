"""Pages of models: one a symbol x horizon, and an index over all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from scalper_ml.models.base import Floats
from scalper_ml.models.explain import RowExplanation
from scalper_ml.reports import plots
from scalper_ml.reports.model_plots import beeswarm, residuals, roc_curves, scatter, waterfall
from scalper_ml.reports.page import cell, document, figure, records, table
from scalper_ml.reports.targets import verdicts, verdicts_of_forecast
from scalper_ml.vocabulary import CLASSES

__all__ = ["Explanation", "ForecastPart", "ModelPart", "Partition", "index_page", "partition_page"]

_VERDICTS = {"metric": "metric", "value": "value", "interval": "95 % interval", "no_skill": "no skill",
             "asked": "asked elsewhere", "verdict": "verdict"}  # fmt: skip
_COMPARED = {"kind": "model", "log_loss": "log loss", "log_loss_skill": "skill", "behind": "behind",
             "brier_skill": "Brier skill", "balanced_accuracy": "bal. accuracy", "directional_accuracy": "directional",
             "beats_base": "beats base rates"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Explanation:
    """Contributions to the log-odds of LONG against SHORT over some rows, and one row taken apart."""

    names: tuple[str, ...]
    parts: Floats
    values: Floats
    row: RowExplanation
    closed: str


@dataclass(frozen=True, slots=True)
class ModelPart:
    """A classifier or ensemble on select.

    Parameters
    ----------
    metrics : mapping
        From `classification_metrics`, with ``auc``.
    P, y : (n, 3), (n,)
        Calibrated probabilities and class codes.
    importance : mapping
    explanation : Explanation, optional
        Where contributions are exact.
    sets : mapping
        From `conformal_report`.
    warnings : tuple of str
    """

    kind: str
    bundle_id: str
    metrics: Mapping[str, Any]
    P: Floats
    y: np.ndarray
    importance: Mapping[str, float]
    sets: Mapping[str, Any]
    explanation: Explanation | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ForecastPart:
    """A forecaster or stack on select: `said` are numbers (n,) or probabilities (n, k)."""

    kind: str
    summary: Mapping[str, Any]
    said: Floats
    y: Floats


@dataclass(frozen=True, slots=True)
class Partition:
    """All models of a symbol x horizon, and those that are missing."""

    symbol: str
    horizon: int
    models: tuple[ModelPart, ...]
    forecasts: tuple[ForecastPart, ...]
    comparison: tuple[Mapping[str, Any], ...]
    missing: tuple[str, ...]

    @property
    def page(self) -> str:
        """Name of its file."""
        return f"{self.symbol}_{self.horizon}.html"


def partition_page(one: Partition) -> bytes:
    """The page of a symbol x horizon."""
    parts = [f"<p class='quiet'><a href='index.html'>all coins and horizons</a></p>{_missing(one)}"]
    if one.comparison:
        chosen = [bool(row["chosen"]) for row in one.comparison]
        parts += [
            f"<h2>Comparison</h2><p>On {one.comparison[0]['rows']:,} rows of select; the candidate stands out.</p>",
            records(list(one.comparison), _COMPARED, chosen),
        ]
    parts += [_model(model) for model in one.models]
    parts += [_forecast(forecast) for forecast in one.forecasts]
    return document(f"{one.symbol}, horizon {one.horizon}", parts)


def index_page(title: str, partitions: Sequence[Partition]) -> bytes:
    """The index: a row a coin x horizon with its best model and whether that is told from no skill."""
    rows = []
    for one in partitions:
        chosen = next((row["kind"] for row in one.comparison if row["chosen"]), None)
        best = next((model for model in one.models if model.kind == chosen), None)
        metrics = best.metrics if best else None
        rows.append(
            (
                f"<a href='{escape(one.page)}'>{escape(one.symbol)}</a>",
                str(one.horizon),
                escape(best.kind) if best else "-",
                *(("-",) * 5 if metrics is None else _line(metrics)),
                str(len(one.models)),
                str(len(one.forecasts)),
                escape("missing: " + ", ".join(one.missing)) if one.missing else "",
            )
        )
    heads = ("symbol", "horizon", "candidate", "log-loss skill", "bal. accuracy", "interval", "chance", "directional",
             "models", "forecasters", "")  # fmt: skip
    note = (
        "<p>Every figure is of select, on which candidates are chosen; what is reported of a candidate stands in its "
        "backtest. A level says little without that of no skill, which stands beside it.</p>"
    )
    return document(title, [note, table(heads, rows)])


def _line(metrics: Mapping[str, Any]) -> tuple[str, ...]:
    accuracy = metrics["balanced_accuracy"]
    bounds = "-" if accuracy["ci"] is None else f"{accuracy['ci'][0]:.4f} to {accuracy['ci'][1]:.4f}"
    return (cell(metrics["log_loss_skill"]), cell(accuracy["value"]), bounds, cell(accuracy["chance"]),
            cell(metrics["direction"]["da_traded"]))  # fmt: skip


def _missing(one: Partition) -> str:
    return f"<p><b>Missing:</b> {escape(', '.join(one.missing))}</p>" if one.missing else ""


def _warnings(found: Sequence[str]) -> str:
    return f"<p class='quiet'>{escape('; '.join(found))}</p>" if found else ""


def _model(model: ModelPart) -> str:
    by_class, auc = model.metrics["classes"], model.metrics["auc"]
    shown = ("precision", "recall", "f1", "f1_chance")
    scores = [{"class": name, **{key: by_class[name][key] for key in shown}, "auc": auc[name]} for name in CLASSES]
    heads = {"class": "class", "precision": "precision", "recall": "recall", "f1": "F1", "f1_chance": "F1 of chance",
             "auc": "AUC"}  # fmt: skip
    drawings = [
        plots.confusion(model.metrics["confusion"], title="predicted class against label"),
        roc_curves(model.P, model.y),
        plots.reliability(model.metrics["reliability"], title="probability of the predicted class: said and seen"),
        plots.importance(model.importance, title="share of each feature"),
    ]
    if model.explanation is not None:
        found = model.explanation
        drawings += [
            beeswarm(found.names, found.parts, found.values, title="log-odds of LONG against SHORT, added by row"),
            waterfall(found.row, title=f"the prediction of {found.closed} taken apart"),
        ]
    return "".join(
        (
            f"<h2 id='{escape(model.kind)}'>{escape(model.kind)}</h2>",
            f"<p class='quiet'>bundle {model.bundle_id[:16]}, {model.metrics['rows']:,} rows of select, "
            f"{model.metrics['n_eff']:,.0f} effective</p>",
            _sets(model.sets),
            _warnings(model.warnings),
            records(verdicts(model.metrics), _VERDICTS),
            records(scores, heads),
            figure(*drawings),
        )
    )


def _sets(said: Mapping[str, Any]) -> str:
    follows = said["following"]
    return (
        f"<p class='quiet'>Sets of classes held {said['coverage']:.1%} of outcomes, {1 - said['alpha']:.0%} promised; "
        f"{follows['coverage']:.1%} where their level follows the outcomes. They name {said['mean_size']:.2f} classes."
        "</p>"
    )


def _forecast(part: ForecastPart) -> str:
    summary = part.summary
    metrics = summary["metrics"]["select"]
    drawings = []
    if part.said.ndim == 1:
        drawings += [scatter(part.said, part.y), residuals(part.said, part.y)]
    else:
        drawings += [
            plots.reliability(metrics["reliability"], title="probability of the likeliest state: said and seen")
        ]
    if summary["learning_curve"]:
        drawings.append(plots.learning_curve({"loss": summary["learning_curve"]}, title="loss on the rows to stop on"))
    drawings.append(plots.importance(summary["importance"], title="share of each feature"))
    bounds = summary["interval"]
    held = "" if bounds is None else (
        f" Bounds held {bounds['coverage']:.1%} of outcomes, {1 - bounds['alpha']:.0%} promised."
    )  # fmt: skip
    return "".join(
        (
            f"<h2 id='{escape(part.kind)}'>{escape(part.kind)}: {escape(summary['target'])}</h2>",
            f"<p class='quiet'>bundle {summary['bundle_id'][:16]}, against {escape(summary['baseline'])}, "
            f"{metrics['rows']:,} rows of select.{held}</p>",
            _warnings(summary["warnings"]),
            records(verdicts_of_forecast(metrics, summary["target"]), _VERDICTS),
            figure(*drawings),
        )
    )
