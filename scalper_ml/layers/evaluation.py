"""What the commands ask of saved models: train what is stale, measure, compare, explain."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scalper_ml.clock import iso, stamp_us
from scalper_ml.errors import InsufficientDataError, ScalperError, SettingsError, WarehouseError
from scalper_ml.forecasters.sealing import said_of
from scalper_ml.forecasters.windows import windows_of
from scalper_ml.labels.horizon import learned_classes
from scalper_ml.layers.base import Keys, Layer
from scalper_ml.layers.candidates import candidates_layer, complexities, contenders
from scalper_ml.layers.datasets import dataset_matrix, read_normaliser
from scalper_ml.layers.forecasts import forecast_layers, forecast_named, saved_forecast
from scalper_ml.layers.models import bundle_of
from scalper_ml.models.bundle import Model
from scalper_ml.models.candidate import choose_candidate
from scalper_ml.models.explain import (
    FeatureEffect,
    RowExplanation,
    exact,
    explain_row,
    permuted_effects,
    permuted_rises,
    ranked,
    shap_effects,
    taken_apart,
)
from scalper_ml.models.summary import spread
from scalper_ml.project import Project
from scalper_ml.schema import CLASSES, us
from scalper_ml.validation.metrics import classification_metrics
from scalper_ml.validation.probabilities import mean_log_loss
from scalper_ml.validation.ranking import roc_auc

__all__ = [
    "Built",
    "Explained",
    "compare_across",
    "compare_saved",
    "evaluate_saved",
    "explain_forecast",
    "explain_saved",
    "mean_over_horizons",
    "role_rows",
    "train_stale",
]

_LEAST_WINDOWS = 20


@dataclass(frozen=True, slots=True)
class Built:
    """One partition of a model, an ensemble or the candidate: what it says of itself, and whether it was built now."""

    layer: str
    keys: Keys
    summary: dict[str, Any]
    built: bool
    seconds: float


def layer_named(project: Project, name: str) -> Layer:
    """The layer of a model or ensemble of the settings, by its kind.

    Raises
    ------
    SettingsError
        The settings do not name it.
    """
    found = {layer.name.split("/")[1]: layer for layer in contenders(project.settings)}
    if name not in found:
        raise SettingsError(
            f"{name!r} is not trained in this project; training.kinds and ensembles.kinds name {list(found)}, "
            f"forecasts.kinds {project.settings.forecasts.kinds}"
        )
    return found[name]


def train_stale(
    project: Project, keys: Keys, kinds: Sequence[str] = (), *, force: bool = False, told: Callable[[Built], None]
) -> list[Built]:
    """Build every model, ensemble and forecaster of a symbol x horizon that is not fresh, and then the candidate.

    With `kinds` only those; the candidate waits until it can be chosen among all.
    """
    layers = [forecast_named(project.settings, kind) or layer_named(project, kind) for kind in kinds] or [
        *contenders(project.settings),
        *forecast_layers(project.settings),
        candidates_layer(project.settings),
    ]
    found = []
    for layer in layers:
        started = time.perf_counter()
        if not force and layer.fresh(project, keys):
            manifest, built = project.warehouse.require(layer.name, keys), False
        else:
            manifest, built = layer.build(project, keys), True
        found.append(Built(layer.name, keys, manifest.summary, built, time.perf_counter() - started))
        told(found[-1])
    return found


def stale_below(project: Project, keys: Keys) -> str | None:
    """The first layer, of a dataset and those it is made of, that is not of today's settings and files, if any is."""
    from scalper_ml.layers import layers_of

    layers = {layer.name: layer for layer in layers_of(project.settings)}
    below = {"datasets"}
    for name in reversed(layers):  # upstream before downstream: from the last one on, all that lead to a dataset
        below |= set(layers[name].upstream) if name in below else set()
    for layer in (layers[name] for name in layers if name in below):
        own = {} if layer.shape == "none" else {"symbol": keys["symbol"]} if layer.shape == "symbol" else keys
        try:
            if not layer.fresh(project, own):
                return layer.name
        except ScalperError:
            return layer.name
    return None


def role_rows(project: Project, keys: Keys, model: Model, role: str) -> tuple[pa.Table, np.ndarray, np.ndarray]:
    """The dataset, the row numbers of a role with an outcome, and their unscaled features in the order of the model."""
    dataset = project.warehouse.require("datasets", keys)
    table = project.warehouse.read_table(dataset)
    if model.manifest["lineage"]["dataset"] != dataset.content:
        raise WarehouseError(
            f"{model.manifest['kind']} {dict(keys)}: its bundle was made from another dataset; train it again"
        )
    X, names = dataset_matrix(project, keys, us(table["ts_us"]), normaliser=read_normaliser(project, dataset))
    y = table["y"].to_numpy()
    known = np.isin(y, learned_classes(y, table["y_binary"].to_numpy()))
    rows = np.flatnonzero(known & (table["role"].to_numpy(zero_copy_only=False) == role))
    at = {name: place for place, name in enumerate(names)}
    return table, rows, X[rows][:, [at[name] for name in model.names]]


def evaluate_saved(project: Project, keys: Keys, kind: str, role: str = "select") -> dict[str, Any]:
    """Metrics of a saved bundle on a role it was not fitted on: loaded, verified and predicted anew.

    Returns
    -------
    dict
        As `classification_metrics`, and ``auc`` by class against the rest (None where a class does not occur).
    """
    if role not in ("calibrate", "select", "score"):
        raise SettingsError(f"role {role!r}: expected calibrate, select or score; train rows were fitted on")
    layer = layer_named(project, kind)
    model = bundle_of(project, layer.name, keys)
    table, rows, X = role_rows(project, keys, model, role)
    y, P = table["y"].to_numpy()[rows].astype(np.int64), model.predict_proba(X)
    metrics = classification_metrics(
        y,
        P,
        np.array(model.manifest["base_rates"]),
        ret=table["ret"].to_numpy()[rows],
        horizon=int(keys["horizon"]),
        seed=int(model.manifest["seed"]),
    )
    auc = {name: roc_auc(P[:, code], y == code) for code, name in enumerate(CLASSES)}
    return {"kind": kind, "role": role, "bundle_id": model.bundle_id, **metrics, "auc": auc}


def compare_saved(project: Project, keys: Keys) -> list[dict[str, Any]]:
    """Every model and ensemble on select, the best first, as `candidates` compares them."""
    warehouse = project.warehouse
    partitions = {
        layer.name.split("/")[1]: warehouse.require(layer.name, keys) for layer in contenders(project.settings)
    }
    predictions = {kind: warehouse.read_table(one, "predictions.parquet") for kind, one in partitions.items()}
    dataset = warehouse.read_table(warehouse.require("datasets", keys))
    return choose_candidate(
        predictions, dataset, horizon=int(keys["horizon"]), complexity=complexities(project.settings)
    )[1]


def compare_across(project: Project, symbol: str) -> list[dict[str, Any]]:
    """Each horizon's candidate beside the mean over horizons, weighted as the settings say, on that horizon's labels.

    Returns
    -------
    list of dict
        As `choose_candidate` compares them, but for ``chosen``, with ``horizon`` and its ``weight``; the mean is the
        kind ``across_horizons``. Rows are the bars that are of select in every horizon.

    Raises
    ------
    SettingsError
        There is one horizon.
    InsufficientDataError
        No bar is of select in all of them.
    """
    settings, warehouse = project.settings, project.warehouse
    if len(settings.horizons) < 2:
        raise SettingsError(f"horizons {settings.horizons}: one has no mean with others; expected two or more")
    kinds, said, tables = {}, {}, {}
    for horizon in settings.horizons:
        keys: Keys = {"symbol": symbol, "horizon": horizon}
        candidate = warehouse.require("candidates", keys).summary
        own = warehouse.read_table(warehouse.require(candidate["layer"], keys), "predictions.parquet")
        final = pc.and_(pc.equal(own["role"], "select"), pc.equal(own["fold"], -1))
        kinds[horizon], said[horizon] = candidate["kind"], own.filter(final)
        tables[horizon] = warehouse.read_table(warehouse.require("datasets", keys))
    weights = settings.ensembles.weights_of(settings.horizons)
    said, mean = mean_over_horizons(said, weights)
    if mean.num_rows == 0:
        raise InsufficientDataError(f"{symbol}: no bar is of select in all horizons {settings.horizons}")
    common, rows = us(mean["ts_us"]), []
    for horizon, weight in zip(settings.horizons, weights, strict=True):
        judged = pc.or_(
            pc.equal(tables[horizon]["role"], "train"), pa.array(np.isin(us(tables[horizon]["ts_us"]), common))
        )
        compared = {kinds[horizon]: said[horizon], "across_horizons": mean}
        for row in choose_candidate(compared, tables[horizon].filter(judged), horizon=horizon)[1]:
            rows.append({"horizon": horizon, "weight": weight, **{k: v for k, v in row.items() if k != "chosen"}})
    return rows


def mean_over_horizons(said: Mapping[int, pa.Table], weights: Sequence[float]) -> tuple[dict[int, pa.Table], pa.Table]:
    """Of predictions by horizon the rows whose bars are in all, and the weighted mean of their probabilities."""
    common = reduce(np.intersect1d, [us(own["ts_us"]) for own in said.values()])
    shared = {horizon: own.filter(pa.array(np.isin(us(own["ts_us"]), common))) for horizon, own in said.items()}
    mean = next(iter(shared.values()))
    for name in ("p_short", "p_neutral", "p_long"):
        values = np.average([own[name].to_numpy() for own in shared.values()], axis=0, weights=weights)
        mean = mean.set_column(mean.column_names.index(name), name, pa.array(values))
    return shared, mean


@dataclass(frozen=True, slots=True)
class Explained:
    """Ranking of the features over rows of select, and one prediction taken apart, if asked for."""

    kind: str
    method: str
    rows: int
    effects: list[FeatureEffect]
    row: RowExplanation | None


def explain_saved(
    project: Project, keys: Keys, kind: str, *, rows: int = 500, at: str | None = None, permute: bool = False
) -> Explained:
    """Explain a saved bundle on rows of select, evenly spaced.

    Parameters
    ----------
    at : str, optional
        Close of a bar with a label, in UTC, e.g. ``2026-01-15T12:00:00Z``: that prediction is taken apart as well.
    permute : bool
        Permutations also where contributions are exact; ensembles always take them.
    """
    model = bundle_of(project, layer_named(project, kind).name, keys)
    table, chosen, X = role_rows(project, keys, model, "select")
    some = spread(np.arange(chosen.size), rows)
    if exact(model) and not permute:
        method, effects = "contributions to the log-odds", shap_effects(model, X[some])
    else:
        y = table["y"].to_numpy()[chosen[some]].astype(np.int64)
        method = "rise of the log loss when permuted"
        effects = permuted_effects(
            model, X[some], y, horizon=int(keys["horizon"]), repeats=3, seed=int(model.manifest["seed"])
        )
    return Explained(kind, method, int(some.size), effects, None if at is None else _one(project, keys, model, at))


def explain_forecast(
    project: Project, keys: Keys, kind: str, *, rows: int = 500, at: str | None = None, permute: bool = False
) -> Explained:
    """Explain a saved forecaster on rows of select, as `explain_saved`: exactly where it is made of trees.

    Rows to permute are divided by the lookback: a window is as much work as so many rows.
    """
    forecast, data = saved_forecast(project, keys, kind)
    aim, back, scaled = forecast.target, forecast.lookback, forecast.scaler.transform(data.X)
    select, train = data.ends(data.rows("select"), back), scaled[data.rows("train")]
    some = spread(select, rows)
    parts = None if permute else forecast.forecaster.contributions(scaled[some], train)
    what = f"{aim.name} ({aim.unit})" if aim.number else f"log-odds of {aim.states[-1]}"
    if parts is not None:
        size = np.abs(forecast.scale * parts).mean(axis=0)
        method, effects = f"contributions to {what}", ranked(forecast.names, size, np.zeros_like(size))
    else:
        some = spread(select, max(rows // back, min(rows, _LEAST_WINDOWS)))
        method = f"rise of the {'mean squared error' if aim.number else 'log loss'} when permuted"
        windows, y = windows_of(data.X, back)[some - back + 1], data.y[some]

        def loss(mixed: np.ndarray) -> float:
            said = said_of(forecast, mixed)
            return float(((said - y) ** 2).mean()) if aim.number else mean_log_loss(y.astype(np.int64), said)

        how = {"horizon": int(keys["horizon"]), "repeats": 3, "seed": int(forecast.manifest["seed"])}
        effects = permuted_rises(forecast.names, windows, loss, **how)
    if at is None:
        return Explained(kind, method, int(some.size), effects, None)
    place = np.array([_row_at(data.ts, at)])
    own = forecast.forecaster.contributions(scaled[place], train)
    if own is None:
        raise SettingsError(f"{kind}: its single predictions cannot be taken apart; those of trees can")
    said, raw = forecast.predict(data.X, place)[0], forecast.forecaster.predict(scaled, place)[0]
    value = float(said) if aim.number else float(np.log(raw[-1] / raw[0]))
    states: dict[str, Any] = {"states": () if aim.number else aim.states}
    states["probabilities"] = () if aim.number else tuple(said.tolist())
    row = taken_apart(forecast.names, data.X[place[0]], forecast.scale * own[0], value, what=what, **states)
    return Explained(kind, method, int(some.size), effects, row)


def _one(project: Project, keys: Keys, model: Model, at: str) -> RowExplanation:
    if not exact(model):
        raise SettingsError(
            f"{model.manifest['kind']}: an ensemble's single predictions are its members'; explain one of "
            f"{sorted(model.manifest['members'])}"
        )
    dataset = project.warehouse.require("datasets", keys)
    ts = us(project.warehouse.read_table(dataset)["ts_us"])
    row = _row_at(ts, at)
    X, names = dataset_matrix(project, keys, ts, normaliser=read_normaliser(project, dataset))
    place = {name: j for j, name in enumerate(names)}
    return explain_row(model, X[row, [place[name] for name in model.names]])


def _row_at(ts: np.ndarray, at: str) -> int:
    """The labelled row whose bar closed then."""
    stamp = stamp_us(at, "--at")
    if stamp not in ts:
        raise SettingsError(
            f"--at {at}: no labelled bar closed then; the dataset runs from {iso(ts[0].item())} to {iso(ts[-1].item())}"
        )
    return int(np.flatnonzero(ts == stamp)[0])
