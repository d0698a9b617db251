"""A loop out of a project: its champions, its features where they were saved, its costs and its gate."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scalper_ml.errors import (
    BundleError,
    ContractError,
    InsufficientDataError,
    ScalperError,
    SettingsError,
    WarehouseError,
)
from scalper_ml.features.engine import compute
from scalper_ml.features.registry import FeatureSet
from scalper_ml.layers.base import Keys, keys_of
from scalper_ml.layers.datasets import project_costs
from scalper_ml.layers.feature_inputs import beside_tables, engine_inputs
from scalper_ml.layers.features import read_features
from scalper_ml.layers.fills import project_execution
from scalper_ml.live.beside import Recorded
from scalper_ml.live.ensemble_signal import EnsembleSignalModel
from scalper_ml.live.filters import BlockFilters
from scalper_ml.live.gate import Gate
from scalper_ml.live.lane import Lane, LaneRules, NoChampion
from scalper_ml.live.loop import Loop
from scalper_ml.live.signal_model import SignalModel
from scalper_ml.project import Project
from scalper_ml.schema import us
from scalper_ml.settings import Settings

__all__ = [
    "Warm",
    "champion_of",
    "ensemble_of",
    "lane_rules",
    "open_loop",
    "project_features",
    "recorded_beside",
    "warm_state",
]


@dataclass(frozen=True, slots=True, eq=False)
class Warm:
    """Where the saved bars and features of a symbol end.

    Parameters
    ----------
    bar_state, feature_state : bytes
        The bar state holds the bar that was open; the features are those up to the bar before.
    last : (int, float)
        Stamp and price of the last closed bar.
    last_ts_us, last_id : int
        Of the last trade; the id is -1 where it has none.
    source : str
        Of its trades, e.g. ``binance-spot-trades``.
    values, warm : ndarray (n, f), (n,)
        Its rows so far, for models that scale causally.
    """

    bar_state: bytes
    feature_state: bytes
    last: tuple[int, float]
    last_ts_us: int
    last_id: int
    source: str
    values: np.ndarray
    warm: np.ndarray


def project_features(project: Project, symbol: str) -> FeatureSet:
    """The feature set of a symbol's partition."""
    manifest = project.warehouse.require("features", {"symbol": symbol})
    return FeatureSet.from_json(project.warehouse.read_bytes(manifest, "feature_set.json").decode())


def warm_state(project: Project, symbol: str) -> Warm:
    """The state a live stream goes on from: the saved one of the features, brought to the last closed bar.

    Raises
    ------
    WarehouseError
        Bars or features are missing, are not of each other, or were made of klines, which leave no open bar.
    """
    warehouse, keys = project.warehouse, {"symbol": symbol}
    bars, features = warehouse.require("bars", keys), warehouse.require("features", keys)
    if features.inputs["bars"] != bars.content or "state.bin" not in bars.files:
        raise WarehouseError(
            f"live {symbol}: the features are not of the saved bars, or these are not of ticks; run "
            "`scalper run --only features`, or start without --warm"
        )
    fs, table = project_features(project, symbol), warehouse.read_table(bars)
    _, warm, values, _ = read_features(project, features)
    record = json.loads(warehouse.read_bytes(features, "resume.json"))
    begin, end = int(record["rows"]), table.num_rows - 1
    state = warehouse.read_bytes(features, "resume.bin") or None
    if begin > end:
        begin, state = 0, None
    X, ts = engine_inputs(project, table, symbol, fs), us(table["ts_us"])
    block = compute(fs, X[begin:end], ts[begin:end], state)
    last = int(ts[end - 1]), float(table["close"][end - 1].as_py())
    ticks = warehouse.require("ticks", keys)
    days = sorted(ticks.files)
    trade = warehouse.read_table(ticks, days[-1], columns=["ts_us", "trade_id"])
    number = trade["trade_id"][-1].as_py()
    return Warm(
        bar_state=warehouse.read_bytes(bars, "state.bin"),
        feature_state=block.state,
        last=last,
        last_ts_us=int(us(trade["ts_us"])[-1]),
        last_id=-1 if number is None else int(number),
        source=str(ticks.summary["format"]),
        values=values[:end],
        warm=warm[:end],
    )


def recorded_beside(project: Project, symbol: str, fs: FeatureSet) -> Recorded:
    """What the warehouse holds of what a feature set needs beside the coin's own trades.

    Raises
    ------
    WarehouseError
        It is not there.
    """
    tables = beside_tables(project, symbol, fs)
    return Recorded(*(tables.get(name) for name in ("market", "context_bars", "book")))


def champion_of(
    project: Project, symbol: str, horizon: int, fs: FeatureSet, warm: Warm | None = None
) -> SignalModel | NoChampion:
    """What stands behind a symbol x horizon; a pointer that cannot be followed says why, and does not trade."""
    keys: Keys = {"symbol": symbol, "horizon": horizon}
    try:
        pointer: dict[str, Any] = project.warehouse.require("champions", keys).summary
        if pointer["bundle_id"] is None or pointer["action"] == "NO_TRADE":  # of a suspended one the bundle stays
            why = pointer.get("suspended") or pointer["reason"]
            return NoChampion(f"{pointer['action']}, {why}")
        folder = project.warehouse.folder(pointer["layer"], keys) / "bundles" / pointer["bundle_id"]
        found = SignalModel.load(folder, fs, bundle_id=pointer["bundle_id"], symbol=symbol, horizon=horizon)
    except ScalperError as error:
        return NoChampion(f"{type(error).__name__}: {error}", broken=isinstance(error, BundleError))
    if warm is not None:
        found.follow(warm.values, warm.warm)
    return found


def ensemble_of(
    project: Project, symbol: str, warm: Warm | None = None, *, min_confidence: float = 0.5
) -> EnsembleSignalModel:
    """The champions of a symbol's horizons as one opinion, weighted and filtered as the settings say.

    Parameters
    ----------
    warm : Warm, optional
        As for `champion_of`.
    min_confidence : float
        Least confidence that gives a side.

    Returns
    -------
    EnsembleSignalModel
        Of the horizons that have a champion; `EnsembleSignal.by_horizon` names them.

    Raises
    ------
    InsufficientDataError
        No horizon has one; says why of each.
    """
    settings, fs = project.settings, project_features(project, symbol)
    found = {horizon: champion_of(project, symbol, horizon, fs, warm) for horizon in settings.horizons}
    members = [one for one in found.values() if isinstance(one, SignalModel)]
    if not members:
        why = "; ".join(f"{horizon}: {one.reason}" for horizon, one in found.items() if isinstance(one, NoChampion))
        raise InsufficientDataError(f"{symbol}: no horizon has a champion ({why}); expected one at least")
    weights = settings.ensembles.weights_of(one.horizon for one in members)
    return EnsembleSignalModel(members, weights=weights, filters=_filters(settings), min_confidence=min_confidence)


def _filters(settings: Settings) -> BlockFilters:
    return BlockFilters(settings.live.dead_volatility, settings.live.price_shock, settings.live.inactivity)


def lane_rules(project: Project, gate: Gate, source: str) -> LaneRules:
    """Costs, fills and filters of the settings.

    Raises
    ------
    SettingsError
        The settings label in a way that orders on paper cannot follow.
    """
    settings = project.settings
    if settings.labels.kind == "triple_barrier" or settings.labels.price == "side_mid":
        raise SettingsError(
            f"labels.kind {settings.labels.kind!r} on {settings.labels.price!r}: paper orders hold for a fixed horizon "
            "between opens or trades; set labels.kind to fixed and labels.price to open or trade"
        )
    execution = project_execution(project)
    if not execution.as_labels:
        raise SettingsError(
            "backtest: entry, stop, target or opposite ask for more than the paper broker does, which is a taker that "
            "leaves when its time is up; leave them at their defaults to run a loop"
        )
    latency_us = round(settings.labels.latency_ms * 1000)
    if settings.labels.price == "open":
        latency_us = execution.latency_us if settings.backtest.ticks and settings.source.kind != "klines" else 0
    return LaneRules(
        interval_us=settings.interval_us,
        costs=project_costs(project),
        gate=gate,
        filters=_filters(settings),
        execution=execution,
        latency_us=latency_us,
        max_late_us=settings.labels.max_gap_bars * settings.interval_us,
        source=source,
    )


def open_loop(
    project: Project, symbols: Sequence[str], rules: LaneRules, *, warm: bool, recorded: bool = False
) -> Loop:
    """The loop of some symbols of a project.

    Parameters
    ----------
    warm : bool
        Go on where the saved bars and features end; otherwise the features warm up on what the loop is fed. Where the
        saved trades are of the loop's source, or the loop is fed a recording, the lane knows the id of the last.
    recorded : bool
        Take what the features need beside the coin's own trades from the warehouse, for the closes it holds, and not
        from the feed.

    Raises
    ------
    WarehouseError
        Nothing has been built yet.
    """
    if not symbols:
        raise ContractError("loop: no symbol; expected at least one")
    lanes, closes = {}, {}
    for symbol in symbols:
        keys_of(project.settings, symbol=symbol)
        fs = project_features(project, symbol)
        at = warm_state(project, symbol) if warm else None
        champions = {h: champion_of(project, symbol, h, fs, at) for h in project.settings.horizons}
        states = {} if at is None else {"bar_state": at.bar_state, "feature_state": at.feature_state}
        beside = recorded_beside(project, symbol, fs) if recorded else None
        lanes[symbol] = Lane(symbol, fs, champions, rules, recorded=beside, **states)
        if at is not None:
            closes[symbol] = at.last
            lanes[symbol].last_ts_us = at.last_ts_us
            if recorded or at.source == f"{rules.source}-trades":
                lanes[symbol].last_id = at.last_id
    return Loop(lanes, lead=project.settings.lead, closes=closes)
