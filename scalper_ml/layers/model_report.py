"""The site of a run: every model, ensemble and forecaster of the warehouse as pages and CSV files."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from scalper_ml.durable import atomic_write
from scalper_ml.errors import ScalperError, WarehouseError
from scalper_ml.layers.base import Keys
from scalper_ml.layers.candidates import contenders
from scalper_ml.layers.evaluation import compare_saved, evaluate_saved, role_rows
from scalper_ml.layers.forecasts import forecast_layers
from scalper_ml.layers.models import bundle_of
from scalper_ml.models.explain import exact, explain_row
from scalper_ml.models.summary import spread
from scalper_ml.project import Project
from scalper_ml.reports.model_pages import Explanation, ForecastPart, ModelPart, Partition, index_page, partition_page
from scalper_ml.reports.targets import verdicts, verdicts_of_forecast
from scalper_ml.schema import us
from scalper_ml.vocabulary import LONG, SHORT

__all__ = ["partition_of", "write_site"]

_EXPLAINED = 400  # rows


def write_site(
    project: Project,
    folder: Path,
    keys: Sequence[Keys],
    *,
    told: Callable[[str], None] = lambda page: None,
) -> list[Path]:
    """Write a page a symbol x horizon, an index over them, and what the tables hold as CSV.

    Parameters
    ----------
    keys : sequence of Keys
        Symbols x horizons; what is not built of them is named on the index.
    told : callable
        Told the name of each page that is there.

    Raises
    ------
    WarehouseError
        Nothing at all is built of them.
    """
    partitions = [partition_of(project, one) for one in keys]
    if not any(one.models or one.forecasts for one in partitions):
        raise WarehouseError(
            f"report: no model is built of {[tuple(one.values()) for one in keys]}; train some with `scalper train`"
        )
    written = []
    for one in partitions:
        if one.models or one.forecasts:
            atomic_write(folder / one.page, partition_page(one))
            written.append(folder / one.page)
            told(one.page)
    atomic_write(folder / "index.html", index_page(f"Models of profile {project.settings.profile}", partitions))
    for name, rows in (("comparison.csv", _compared(partitions)), ("targets.csv", _verdicts(partitions))):
        atomic_write(folder / name, _csv(rows))
        written.append(folder / name)
    return [folder / "index.html", *written]


def partition_of(project: Project, keys: Keys) -> Partition:
    """What is built of a symbol x horizon; models that are not are named."""
    models, forecasts, missing = [], [], []
    for layer in contenders(project.settings):
        try:
            models.append(_model(project, keys, layer.name))
        except ScalperError as error:
            missing.append(f"{layer.name.split('/')[1]} ({type(error).__name__})")
    for layer in forecast_layers(project.settings):
        try:
            forecasts.append(_forecast(project, keys, layer.name))
        except ScalperError as error:
            missing.append(f"{layer.name.split('/')[1]} ({type(error).__name__})")
    whole = len(models) == len(contenders(project.settings))
    comparison = tuple(compare_saved(project, keys)) if whole and models else ()
    symbol, horizon = str(keys["symbol"]), int(keys["horizon"])
    return Partition(symbol, horizon, tuple(models), tuple(forecasts), comparison, tuple(missing))


def _model(project: Project, keys: Keys, layer: str) -> ModelPart:
    kind = layer.split("/")[1]
    metrics = evaluate_saved(project, keys, kind)
    model = bundle_of(project, layer, keys)
    table, rows, X = role_rows(project, keys, model, "select")
    P, y = model.predict_proba(X), table["y"].to_numpy()[rows].astype(np.int64)
    explanation = None
    if exact(model):
        some = spread(np.arange(rows.size), _EXPLAINED)
        parts = model.classifier.contributions(model.scaler.transform(X[some]))
        surest = int(np.argmax(np.abs(P[some, LONG] - P[some, SHORT])))
        closed = np.datetime64(int(us(table["ts_us"])[rows[some[surest]]]), "us").astype("datetime64[m]")
        explanation = Explanation(
            model.names, parts[:, LONG] - parts[:, SHORT], X[some], explain_row(model, X[some[surest]]), f"{closed}Z"
        )
    return ModelPart(
        kind,
        model.bundle_id,
        metrics,
        P,
        y,
        model.manifest["importance"]["all"],
        model.manifest["conformal"],
        tuple(model.manifest.get("learning_curve", ())),
        explanation,
        tuple(model.manifest["warnings"]),
    )


def _forecast(project: Project, keys: Keys, layer: str) -> ForecastPart:
    manifest = project.warehouse.require(layer, keys)
    table = project.warehouse.read_table(manifest, "predictions.parquet")
    own = table.filter(pc.and_(pc.equal(table["role"], "select"), pc.equal(table["fold"], -1)))
    names = [name for name in own.column_names if name == "forecast" or name.startswith("p_")]
    said = np.column_stack([own[name].to_numpy() for name in names])
    return ForecastPart(
        layer.split("/")[1], manifest.summary, said[:, 0] if names == ["forecast"] else said, own["y"].to_numpy()
    )


def _compared(partitions: Sequence[Partition]) -> list[dict[str, Any]]:
    return [
        {"symbol": one.symbol, "horizon": one.horizon, **{k: v for k, v in row.items() if k != "behind_ci"}}
        for one in partitions
        for row in one.comparison
    ]


def _verdicts(partitions: Sequence[Partition]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for one in partitions:
        where = {"symbol": one.symbol, "horizon": one.horizon}
        for model in one.models:
            rows += [where | {"kind": model.kind} | row for row in verdicts(model.metrics)]
        for part in one.forecasts:
            said = verdicts_of_forecast(part.summary["metrics"]["select"], part.summary["target"])
            rows += [where | {"kind": part.kind} | row for row in said]
    return rows


def _csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    sink = io.StringIO()
    writer = csv.DictWriter(sink, list(rows[0]) if rows else ["symbol"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return sink.getvalue().encode()
