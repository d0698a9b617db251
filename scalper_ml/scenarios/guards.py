"""Scenarios that something has to stop: a feature that sees the future, damaged files, costs, too few trades."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from scalper_ml.datasets.profile import profile_dataset
from scalper_ml.errors import ChecksFailedError
from scalper_ml.features.series import INPUT_COLUMNS
from scalper_ml.ingest.synthetic import simulate
from scalper_ml.layers import layers_of
from scalper_ml.layers.base import Keys
from scalper_ml.layers.datasets import dataset_matrix
from scalper_ml.layers.features import read_features
from scalper_ml.layers.tick_sources import synthetic_spec
from scalper_ml.project import Project
from scalper_ml.scenarios.nothing import verdict_of
from scalper_ml.scenarios.plant import plant_column
from scalper_ml.scenarios.play import play
from scalper_ml.scenarios.scenario import Case, Found
from scalper_ml.scenarios.scored import partition, scored
from scalper_ml.schema import us

__all__ = ["measure_cost", "measure_faults", "measure_leak", "measure_thin"]

_CLOSE = INPUT_COLUMNS.index("close")
_CANARY_NOISE = 5e-3


def _canary(X: np.ndarray, ts_us: np.ndarray) -> np.ndarray:
    """The next bar's return, and noise of twice its usual size."""
    ahead = np.diff(np.log(X[:, _CLOSE]), append=np.log(X[-1, _CLOSE]))
    return np.asarray(ahead + _CANARY_NOISE * np.random.default_rng(3).standard_normal(len(X)))


def _plant_canary(project: Project, keys: Keys) -> None:
    plant_column(project, keys, "canary", _canary)


def measure_leak(case: Case) -> Mapping[str, Found]:
    """A canary that sees the next bar: the audit has to stop the build before anything is trained on it."""
    (symbol,) = case.scenario.markets
    project = case.open((symbol,))
    (horizon,) = project.settings.horizons
    stopped, why = "not stopped", ""
    try:
        play(project, after={"features": _plant_canary})
    except ChecksFailedError as error:
        stopped, why = "stopped by no_future" if "no_future" in str(error) else "stopped", str(error)
    trained = [layer.name for layer in layers_of(project.settings) if layer.name.startswith("models/")
               and project.warehouse.manifest(layer.name, {"symbol": symbol, "horizon": horizon})]  # fmt: skip
    return {
        "audit": Found(stopped, why[:160]),
        "models": Found(float(len(trained)), "model partitions written"),
        "leakage_table": _suspects(case, symbol, horizon),
    }


def _suspects(case: Case, symbol: str, horizon: int) -> Found:
    """What the leakage table of the profile names where the audit is passed by: the second line of defence."""
    project = case.open((symbol,), seed=1)
    play(project, until="datasets")
    keys = partition(symbol, horizon)
    table = project.warehouse.read_table(project.warehouse.require("datasets", keys))
    bars = project.warehouse.read_table(project.warehouse.require("bars", {"symbol": symbol}))
    rows = np.searchsorted(us(bars["ts_us"]), us(table["ts_us"]))
    inputs = np.zeros((bars.num_rows, _CLOSE + 1))
    inputs[:, _CLOSE] = bars["close"].to_numpy()
    X, names = dataset_matrix(project, keys, us(table["ts_us"]))
    canary = _canary(inputs, us(bars["ts_us"]))[rows]
    found = profile_dataset(table, np.column_stack([X, canary]), (*names, "canary"))
    score = next(one.auc for one in found.features if one.name == "canary")
    return Found(", ".join(found.suspicious) or "none", f"AUC of the canary {score:.3f}" if score else "")


def measure_cost(case: Case) -> Mapping[str, Found]:
    """An edge that is real and smaller than its costs: found, and not traded."""
    (symbol,) = case.scenario.markets
    project = case.open((symbol,))
    play(project)
    (horizon,) = project.settings.horizons
    one = scored(project, symbol, horizon)
    p = one.metrics["balanced_accuracy"]["p"]
    costly = "expectancy_not_significant" in one.reasons
    return {
        "accuracy_p": Found(float(p), f"balanced accuracy {one.metrics['balanced_accuracy']['value']:.4f} on score"),
        "verdict": verdict_of([one]),
        "reason": Found("expectancy_not_significant" if costly else one.reasons[0], ", ".join(one.reasons)),
    }


def measure_thin(case: Case) -> Mapping[str, Found]:
    """A strong edge and fewer than a hundred trades to show it."""
    (symbol,) = case.scenario.markets
    project = case.open((symbol,))
    play(project)
    (horizon,) = project.settings.horizons
    one = scored(project, symbol, horizon)
    return {
        "trades": Found(float(one.report["metrics"]["trades_taken"]), "taken on score"),
        "verdict": verdict_of([one]),
        "reason": Found(one.reasons[0], ", ".join(one.reasons)),
    }


def measure_faults(case: Case) -> Mapping[str, Found]:
    """The same market from clean files, from damaged ones in two goes, and with hours missing."""
    (symbol,) = case.scenario.markets
    spec = synthetic_spec(case.open((symbol,)), symbol)
    ticks = simulate(spec).ticks
    rows = np.arange(ticks.num_rows)
    own = {"source": {"kind": "ticks", "folder": "ticks", "markets": {}}}
    clean, damaged, holed = (case.open((symbol,), seed, **own) for seed in range(3))
    _write(clean, symbol, "whole", ticks, rows)
    play(clean)
    cut = int(0.6 * len(rows))  # somewhere inside a bar
    _write(damaged, symbol, "first", ticks, rows[:cut])
    play(damaged, until="features")
    _write(damaged, symbol, "rest", ticks, _shuffled(rows[cut - 5000 :]))
    play(damaged)
    missing = _hours(us(ticks["ts_us"]), spec.interval_us)
    _write(holed, symbol, "holed", ticks, rows[~missing])
    play(holed, until="datasets")
    return {
        "bars": _same(clean, damaged, "bars", {"symbol": symbol}),
        "features": _same(clean, damaged, "features", {"symbol": symbol}),
        "model": _same_model(clean, damaged, symbol),
        **_gap(clean, holed, symbol),
    }


def _write(project: Project, symbol: str, name: str, ticks: pa.Table, rows: np.ndarray) -> Path:
    """Some trades as a file of the project's source, in the order given, with ids."""
    folder = project.path(project.settings.source.folder)
    folder.mkdir(parents=True, exist_ok=True)
    chosen = ticks.take(pa.array(rows))
    words = np.where(chosen["side"].to_numpy() > 0, "buy", "sell")
    table = pa.table({"ts": us(chosen["ts_us"]), "price": chosen["price"], "qty": chosen["qty"], "side": words,
                      "id": rows + 1})  # fmt: skip
    path = folder / f"{symbol}_{name}.csv"
    from pyarrow import csv

    csv.write_csv(table, path, csv.WriteOptions(quoting_style="none"))
    return path


def _shuffled(rows: np.ndarray) -> np.ndarray:
    """One row in fifty twice, and every stretch of twenty out of order."""
    rng = np.random.default_rng(11)
    rows = np.concatenate([rows, rng.choice(rows, len(rows) // 50)])
    rows = rows[np.argsort(rows, kind="stable")]
    return rows[np.argsort(np.arange(len(rows)) // 20 + rng.random(len(rows)) * 0.5, kind="stable")]


def _hours(ts_us: np.ndarray, interval_us: int) -> np.ndarray:
    """Five hours in the middle, on the grid of the bars."""
    begin = int(ts_us[len(ts_us) // 2]) // interval_us * interval_us
    missing: np.ndarray = (ts_us >= begin) & (ts_us < begin + 300 * interval_us)
    return missing


def _same(one: Project, other: Project, layer: str, keys: Keys) -> Found:
    """Whether a partition is the same to the bit, but for what tells where it came from."""
    tables = [project.warehouse.read_table(project.warehouse.require(layer, keys)) for project in (one, other)]
    told = {"revision"}  # a bar that was open at the end of a build counts its revisions
    names = [name for name in tables[0].column_names if name not in told]
    first, second = tables
    equal = all(np.array_equal(_bits(first[name]), _bits(second[name])) for name in names)
    return Found("identical" if equal else "different", f"{tables[0].num_rows:,} and {tables[1].num_rows:,} rows")


def _bits(column: pa.ChunkedArray) -> np.ndarray:
    """A column as whole numbers: equal where the bits are, NaN included."""
    values = column.to_numpy()
    return np.asarray(values.view(np.int64) if values.dtype.itemsize == 8 else values)


def _same_model(one: Project, other: Project, symbol: str) -> Found:
    P = [scored(project, symbol, one.settings.horizons[0]).P for project in (one, other)]
    same = P[0].shape == P[1].shape and np.array_equal(P[0], P[1])
    return Found("identical" if same else "different", f"predictions of {len(P[0]):,} rows")


def _gap(clean: Project, holed: Project, symbol: str) -> dict[str, Found]:
    """What becomes of a hole: it is flagged, no feature and no label reaches across it, all else is as it was."""
    keys = {"symbol": symbol}
    bars = [project.warehouse.read_table(project.warehouse.require("bars", keys)) for project in (clean, holed)]
    ts = [us(table["ts_us"]) for table in bars]
    gap = bars[1]["gap"].to_numpy()
    after = int(np.argmax(gap))
    kept = np.isin(ts[0], ts[1])
    names = [name for name in bars[0].column_names if name not in ("gap", "revision")]
    same = bars[0].filter(pa.array(kept)).select(names).equals(bars[1].select(names))
    stamp, warm, values, _ = read_features(holed, holed.warehouse.require("features", keys))
    cold = int(np.argmax(warm[after:])) if warm[after:].any() else len(warm) - after
    clean_values = read_features(clean, clean.warehouse.require("features", keys))[2]
    before = np.array_equal(values[:after], clean_values[:after], equal_nan=True)
    dataset = holed.warehouse.read_table(
        holed.warehouse.require("datasets", {"symbol": symbol, "horizon": holed.settings.horizons[0]})
    )
    across = (us(dataset["t0_us"]) < stamp[after]) & (us(dataset["t1_us"]) > stamp[after])
    good = same and before
    return {
        "hole": Found(float(gap[after]), f"intervals flagged at the bar after it, {int((gap > 0).sum())} holes in all"),
        "beside_hole": Found("identical" if good else "different", "bars outside the hole, features before it"),
        "cold": Found(float(cold), "bars after the hole without features"),
        "labels_across": Found(float(across.sum()), "labels decided before the hole and known after it"),
    }
