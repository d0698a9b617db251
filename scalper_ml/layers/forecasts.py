"""models/<kind> of forecasters, and ensembles/ridge_stack of them: one sealed bundle for a symbol x horizon."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from scalper_ml.bundle_store import BundleStore
from scalper_ml.context import open_interest_change
from scalper_ml.durable import canonical_json
from scalper_ml.errors import InsufficientDataError, SettingsError, WarehouseError
from scalper_ml.forecasters.bundle import Forecast, load_forecast
from scalper_ml.forecasters.data import ForecastData, forecast_data
from scalper_ml.forecasters.har import past_volatility
from scalper_ml.forecasters.registry import forecaster_kind
from scalper_ml.forecasters.sealing import TrainedForecast, measured
from scalper_ml.forecasters.stack import RidgeParams, train_stack
from scalper_ml.forecasters.targets import target_named
from scalper_ml.forecasters.training import ForecastOptions, train_forecaster
from scalper_ml.layers.base import Keys, Layer, code_digest
from scalper_ml.layers.context_bars import max_ages_us
from scalper_ml.layers.datasets import dataset_matrix, read_normaliser, read_scaler
from scalper_ml.layers.members import member_bundles, members_of
from scalper_ml.layers.models import CHECKS, MAX_CALIBRATION_ERROR, layer_of_kind, lineage_of, row_checks, tuning_of
from scalper_ml.models.base import FitContext, Floats
from scalper_ml.project import Project
from scalper_ml.schema import us
from scalper_ml.settings import Settings
from scalper_ml.warehouse import Check, Manifest

__all__ = [
    "FORECAST_CODE",
    "answer_of",
    "evaluate_forecast",
    "forecast_arrays",
    "forecast_layer",
    "forecast_layers",
    "forecast_named",
    "forecast_of",
    "saved_forecast",
    "target_inputs",
]

FORECAST_CODE = (
    "forecasters",
    "models/arrays",
    "models/base",
    "models/boosting",
    "models/bundle",
    "models/exported",
    "models/kernels",
    "models/lgb_classifier",
    "models/logistic_classifier",
    "models/summary",
    "models/trees",
    "models/xgb_classifier",
)
MAX_COVERAGE_ERROR = 0.05
_LOOKS = 20  # rows predicted one by one


def _common(project: Project, keys: Keys) -> dict[str, Any]:
    """What forecasters and stacks depend on alike."""
    warehouse, settings = project.warehouse, project.settings
    return {
        "code": code_digest(
            *FORECAST_CODE,
            "validation",
            "datasets/axis",
            "datasets/splits",
            "datasets/scaling",
            "datasets/causal",
            "schema",
            "layers/datasets",
            "layers/forecasts",
        ),
        "dataset": warehouse.require("datasets", keys).content,
        "features": warehouse.require("features", {"symbol": keys["symbol"]}).content,
        "bars": warehouse.require("bars", {"symbol": keys["symbol"]}).content,
        "folds": settings.splits.folds if settings.forecasts.folds is None else settings.forecasts.folds,
        "seed": settings.splits.seed,
    }


def _params(project: Project, keys: Keys, kind: str) -> Any:
    """Those of the settings, the best of a study laid over them."""
    best = tuning_of(project, kind, keys)
    values = project.settings.forecasts.params_of(kind) | (best["params"] if best else {})
    return forecaster_kind(kind).params.parse(values)


def _inputs(project: Project, keys: Keys, *, kind: str) -> dict[str, Any]:
    settings, spec = project.settings, forecaster_kind(kind)
    return {
        **_common(project, keys),
        **target_inputs(project, keys, kind),
        "params": _params(project, keys, kind).to_dict(),
        "device": settings.device if "cuda" in spec.devices else "cpu",
    }


def target_inputs(project: Project, keys: Keys, kind: str) -> dict[str, Any]:
    """What a kind learns, and what that depends on beside the dataset: the feed that tells it."""
    settings = project.settings
    said, feed = {"target": settings.forecasts.target_of(kind)}, settings.forecasts.feed_of(kind)
    if not feed:
        return said
    content = project.warehouse.require(feed, {"symbol": keys["symbol"]}).content
    code = code_digest("context/asof", "context/per_bar", "context/rows")
    return {**said, feed: content, "max_age_h": dict(settings.context.max_age_h), "feed_code": code}


def _with_feed(project: Project, keys: Keys, targets: pa.Table, target: str) -> pa.Table:
    """The targets, and beside them the open interest where it is asked for: NaN where the feed does not tell it."""
    aim = target_named(target)
    if not aim.feed:
        return targets
    context = project.warehouse.read_table(project.warehouse.require(aim.feed, {"symbol": keys["symbol"]}))
    begin = us(targets["t0_us"])
    end = begin + int(keys["horizon"]) * project.settings.interval_us
    change = open_interest_change(context, begin, end, max_age_us=max_ages_us(project))
    if not np.isfinite(change).any():
        kinds = sorted(set(context["kind"].to_pylist()))
        raise InsufficientDataError(
            f"{aim.name} {dict(keys)}: not known at both ends of any label; the context has {kinds}, "
            "expected open_interest or open_interest_value - add files of it to context.folder, or raise "
            "context.max_age_h"
        )
    return targets.append_column(pa.field(aim.column, pa.float64(), nullable=False), pa.array(change))


def forecast_arrays(project: Project, keys: Keys, target: str) -> tuple[tuple[Any, ...], dict[str, Any], Any]:
    """Features, dataset and targets, that of a feed among them where `target` is one; what depends on the bars; and
    the normaliser.
    """
    warehouse = project.warehouse
    dataset = warehouse.require("datasets", keys)
    if "targets.parquet" not in dataset.files:
        raise WarehouseError(f"datasets {dict(keys)}: no targets in it; set labels.targets to true and make it again")
    table = warehouse.read_table(dataset)
    targets = _with_feed(project, keys, warehouse.read_table(dataset, "targets.parquet"), target)
    normaliser = read_normaliser(project, dataset)
    X, names = dataset_matrix(project, keys, us(table["ts_us"]), normaliser=normaliser)
    bars = warehouse.read_table(warehouse.require("bars", {"symbol": keys["symbol"]}), columns=["ts_us", "close"])
    rows = np.searchsorted(us(bars["ts_us"]), us(table["ts_us"]))
    past = past_volatility(bars["close"].to_numpy(), int(keys["horizon"]))[rows]
    more = {"interval_us": project.settings.interval_us, "past": past}
    return (X, table, targets, names), more, normaliser


def _build(project: Project, keys: Keys, *, kind: str) -> Manifest:
    from scalper_ml.forecasters.devices import pick_device

    inputs, settings = _inputs(project, keys, kind=kind), project.settings
    (X, table, targets, names), more, normaliser = forecast_arrays(project, keys, inputs["target"])
    warehouse, spec, feed = project.warehouse, forecaster_kind(kind), settings.forecasts.feed_of(kind)
    params = _params(project, keys, kind)
    trained = train_forecaster(
        kind,
        X,
        table,
        targets,
        read_scaler(project, warehouse.require("datasets", keys)),
        names,
        warehouse.require("features", {"symbol": keys["symbol"]}).summary["feature_set_id"],
        params,
        seed=settings.splits.seed,
        target=inputs["target"],
        device=pick_device(spec, settings.device),
        lineage=lineage_of(project, keys) | ({feed: inputs[feed]} if feed else {}),
        options=ForecastOptions(n_folds=inputs["folds"]),
        normaliser=normaliser,
        **more,
    )
    return _publish(project, f"models/{kind}", keys, trained, inputs, X)


def _members(project: Project, keys: Keys) -> dict[str, Manifest]:
    layers = [forecast_layer(project.settings, kind) for kind in project.settings.forecasts.stack]
    return members_of(project, keys, layers, ensemble="ensembles/ridge_stack", setting="forecasts.stack")


def _stack_inputs(project: Project, keys: Keys) -> dict[str, Any]:
    members = {name: manifest.content for name, manifest in _members(project, keys).items()}
    return _common(project, keys) | {"members": members, "params": RidgeParams().to_dict()}


def _build_stack(project: Project, keys: Keys) -> Manifest:
    inputs = _stack_inputs(project, keys)
    target = project.settings.forecasts.target_of(project.settings.forecasts.stack[0])
    (X, table, targets, names), more, _ = forecast_arrays(project, keys, target)
    trained = train_stack(
        member_bundles(project, keys, _members(project, keys)),
        X,
        table,
        targets,
        names,
        seed=project.settings.splits.seed,
        lineage=lineage_of(project, keys),
        options=ForecastOptions(n_folds=inputs["folds"]),
        **more,
    )
    return _publish(project, "ensembles/ridge_stack", keys, trained, inputs, X)


def _publish(
    project: Project, layer: str, keys: Keys, trained: TrainedForecast, inputs: Mapping[str, Any], X: Floats
) -> Manifest:
    """Keep a sealed bundle, verify it as it lies on disk, and publish the partition that points at it."""
    warehouse, said = project.warehouse, trained.manifest
    store = BundleStore(warehouse.folder(layer, keys))
    folder = store.put(trained.bundle_id, trained.files)
    own = said["feature_set"]
    forecast = load_forecast(folder, names=own["names"], fs_id=own["id"])
    checks = [
        *_quality(said),
        Check(
            "loads", True, f"bundle {trained.bundle_id[:12]} verified: {len(trained.files)} files, golden batch kept"
        ),
        *_row_checks(forecast, X),
    ]
    names = ("kind", "target", "unit", "baseline", "metrics", "interval", "learning_curve", "warnings", "lookback")
    summary = {
        "bundle_id": trained.bundle_id,
        "best_iteration": said["best_iteration"],
        "importance": said["importance"]["all"],
        "feature_set": own,
        **{name: said[name] for name in (*names, "members", "shares") if name in said},
    }
    files = {
        "bundle.json": canonical_json({"bundle_id": trained.bundle_id, "kind": said["kind"]}),
        "predictions.parquet": trained.files["predictions.parquet"],
    }
    manifest = warehouse.write(layer, keys, files, inputs=dict(inputs), summary=summary, checks=checks)
    store.prune([trained.bundle_id])
    return manifest


def _quality(said: Mapping[str, Any]) -> list[Check]:
    """Skill against the baseline, and whether the calibrated part holds what it promises; both warnings."""
    select = said["metrics"]["select"]
    if said["interval"] is None:
        skill, text = select["log_loss_skill"], "log-loss skill"
        holds = select["ece_excess"] <= MAX_CALIBRATION_ERROR
        told = f"ECE {select['ece']:.4f} against a noise floor of {select['ece_floor']:.4f}"
    else:
        skill, text = select["r2"]["value"], f"R2 against {said['baseline']}"
        interval = said["interval"]
        holds = abs(interval["coverage"] - (1.0 - interval["alpha"])) <= MAX_COVERAGE_ERROR
        told = f"bounds held {interval['coverage']:.1%} of outcomes, {1 - interval['alpha']:.0%} promised"
    known = skill is not None and skill > 0
    shown = "undefined" if skill is None else f"{skill:+.4f}"
    return [
        Check("skill", known, f"{text} on select {shown}", blocking=False),
        Check("calibrated", holds, told, blocking=False),
    ]


def _row_checks(forecast: Forecast, X: Floats) -> list[Check]:
    last, wide = X[-(_LOOKS + forecast.lookback) :], forecast.lookback
    return row_checks(forecast.predict(last), lambda i: forecast.predict(last[i : i + wide])[0])


def forecast_of(project: Project, layer: str, keys: Keys) -> Forecast:
    """The loaded, verified forecaster of a partition."""
    chosen = project.warehouse.require(layer, keys).summary["bundle_id"]
    return load_forecast(project.warehouse.folder(layer, keys) / "bundles" / chosen, bundle_id=chosen)


def forecast_layer(settings: Settings, kind: str) -> Layer:
    """The layer of a kind: downstream of the feed that tells its target, where one does."""
    layer, feed = layer_of_kind(kind, _inputs, _build), settings.forecasts.feed_of(kind)
    return replace(layer, upstream=(*layer.upstream, feed)) if feed else layer


def forecast_layers(settings: Settings) -> tuple[Layer, ...]:
    """A layer a forecaster the settings name, and their stack."""
    layers = tuple(forecast_layer(settings, kind) for kind in settings.forecasts.kinds)
    if not settings.forecasts.stack:
        return layers
    upstream = (*(f"models/{kind}" for kind in settings.forecasts.stack), "datasets", "features")
    return (*layers, Layer("ensembles/ridge_stack", "symbol_horizon", upstream, CHECKS, _stack_inputs, _build_stack))


def forecast_named(settings: Settings, name: str) -> Layer | None:
    """The layer of a forecaster or of the stack by its kind; None where the settings have none of that name."""
    return {layer.name.split("/")[1]: layer for layer in forecast_layers(settings)}.get(name)


def evaluate_forecast(project: Project, keys: Keys, kind: str, role: str = "select") -> dict[str, Any]:
    """Metrics of a saved forecaster on a role it was not fitted on: loaded, verified and forecast anew.

    Returns
    -------
    dict
        As `regression_metrics` or `state_metrics`, and ``kind``, ``target``, ``role``, ``bundle_id``.
    """
    if role not in ("calibrate", "select", "score"):
        raise SettingsError(f"role {role!r}: expected calibrate, select or score; train rows were fitted on")
    forecast, data = saved_forecast(project, keys, kind)
    rows = data.ends(data.rows(role), forecast.lookback)
    context = FitContext(int(keys["horizon"]), int(forecast.manifest["seed"]))
    base = data.baseline(forecast.target, data.rows("train"))[rows]
    found = measured(forecast.target, data, rows, forecast.predict(data.X, rows), base, context)
    said = {"kind": kind, "target": forecast.target.name, "role": role, "bundle_id": forecast.bundle_id}
    return said | found


def saved_forecast(project: Project, keys: Keys, kind: str) -> tuple[Forecast, ForecastData]:
    """A saved forecaster, loaded and verified, and the data it was made from.

    Raises
    ------
    SettingsError
        The settings do not name it.
    WarehouseError
        The dataset has changed since.
    """
    forecast = forecast_of(project, _required(project, kind).name, keys)
    dataset = project.warehouse.require("datasets", keys).content
    if forecast.manifest["lineage"]["dataset"] != dataset:
        raise WarehouseError(f"{kind} {dict(keys)}: its bundle was made from another dataset; train it again")
    (X, table, targets, names), more, _ = forecast_arrays(project, keys, forecast.target.name)
    return forecast, forecast_data(X, table, targets, names, forecast.target, **more)


def _required(project: Project, kind: str) -> Layer:
    """The layer of a forecaster the settings name."""
    layer = forecast_named(project.settings, kind)
    if layer is None:
        named = project.settings.forecasts.kinds
        raise SettingsError(f"{kind!r} is no forecaster of this project; forecasts.kinds: {named}")
    return layer


def answer_of(project: Project, keys: Keys, kind: str) -> dict[str, Any]:
    """The documented answer of a saved forecaster on the last labelled bar, and when that closed.

    Raises
    ------
    SettingsError
        The settings do not name it.
    """
    forecast = forecast_of(project, _required(project, kind).name, keys)
    (X, table, _, _), _, _ = forecast_arrays(project, keys, forecast.target.name)
    bars = project.warehouse.read_table(
        project.warehouse.require("bars", {"symbol": keys["symbol"]}), columns=["ts_us", "close"]
    )
    stamp = us(table["ts_us"])[-1]
    price = float(bars["close"].to_numpy()[np.searchsorted(us(bars["ts_us"]), stamp)])
    return {
        "kind": kind,
        "ts_us": int(stamp),
        "price_now": price,
        **forecast.answer(X[-forecast.lookback :], price=price),
    }
