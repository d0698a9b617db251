"""What every forecaster and their stack must do as a bundle: one suite, run for each."""

import importlib.util
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forecastdata import Market, market

from scalper_ml.bundle_store import BundleStore
from scalper_ml.durable import canonical_json, sha256_of
from scalper_ml.errors import BundleError, ContractError, FeatureSetError, SettingsError
from scalper_ml.forecasters.base import ForecastParams
from scalper_ml.forecasters.bundle import Forecast, load_forecast
from scalper_ml.forecasters.registry import forecaster_kind, forecaster_kinds
from scalper_ml.forecasters.sealing import TrainedForecast
from scalper_ml.forecasters.stack import train_stack
from scalper_ml.forecasters.targets import target_named
from scalper_ml.models.bundle import FORBIDDEN_SUFFIXES, bundle_id_of, load_bundle
from scalper_ml.schema import us

ROOT = Path(__file__).resolve().parents[2]
TORCH = importlib.util.find_spec("torch") is not None
SMALL: dict[str, dict[str, Any]] = {
    "xgb_regressor": {"max_rounds": 40},
    "direction": {"max_rounds": 40, "min_child_weight": 5.0},
    "volatility": {"max_rounds": 40},
    "risk": {"trees": 10},
    "momentum": {"max_rows": 200},
    "nn_regressor": {"epochs": 2, "layers": 2, "width": 8},
    "price": {"epochs": 2, "layers": 2, "width": 8},
    "lstm_forecaster": {"epochs": 1, "window": 6, "hidden": 4},
    "cnn_lstm": {"epochs": 1, "window": 6, "filters": 4, "hidden": 4},
}
STACK = "ridge_stack"
HERE = [kind for kind in forecaster_kinds() if TORCH or forecaster_kind(kind).extra != "torch"]
WITHOUT = pytest.mark.skipif(not TORCH, reason="torch is not installed")
KINDS = [kind if kind in HERE else pytest.param(kind, marks=WITHOUT) for kind in forecaster_kinds()]

every = pytest.mark.parametrize("kind", [*KINDS, STACK])
every_kind = pytest.mark.parametrize("kind", KINDS)


def params_of(kind: str) -> ForecastParams:
    return forecaster_kind(kind).params.parse(SMALL[kind])


def train(kind: str, data: Market, **changes: Any) -> TrainedForecast:
    if kind != STACK:
        return data.train(kind, params_of(kind), **changes)
    members = {
        name: data.train("xgb_regressor", forecaster_kind("xgb_regressor").params.parse(how), **changes).files
        for name, how in (("deep", {"max_rounds": 20, "max_depth": 4}), ("flat", {"max_rounds": 20, "max_depth": 1}))
    }
    lineage = {"symbol": "AAAUSDT", "horizon": data.horizon, "label_version": "l1", "features": "f00d"}
    own = {"seed": 3, "lineage": lineage} | {name: value for name, value in changes.items() if name != "threads"}
    return train_stack(
        members, data.X, data.table, data.targets, data.names, interval_us=data.interval_us, past=data.past, **own
    )


@cache
def trained(kind: str) -> TrainedForecast:
    return train(kind, market(900))


@cache
def loaded(kind: str) -> Forecast:
    return load_forecast(trained(kind).files, names=market(900).names, fs_id="fs1")


def bundle_with(model: TrainedForecast, name: str, data: bytes) -> dict[str, bytes]:
    """The bundle with one file replaced and everything sealed anew, as a careless tool would."""
    files = dict(model.files) | {name: data}
    manifest = json.loads(files["manifest.json"])
    manifest["sha256"][name] = sha256_of(data)
    manifest["bundle_id"] = bundle_id_of(manifest)
    return files | {"manifest.json": canonical_json(manifest, indent=1)}


@every
def test_saved_and_loaded_forecasts_are_bitwise_equal(kind: str, tmp_path: Path) -> None:
    """A bundle read back from disk gives the very forecasts that training recorded, to the last bit."""
    import io

    import pyarrow.parquet as pq

    model, data = trained(kind), market(900)
    forecast = load_forecast(BundleStore(tmp_path).put(model.bundle_id, model.files))
    table = pq.read_table(io.BytesIO(model.files["predictions.parquet"]))
    final = table["fold"].to_numpy() == -1
    said = np.column_stack([table[name].to_numpy() for name in table.column_names[4:]])[final]
    at = np.searchsorted(us(data.table["ts_us"]), us(table["ts_us"])[final])
    assert np.array_equal(forecast.predict(data.X, at).reshape(len(at), -1), said)
    y, known = target_named(model.manifest["target"]).values(data.targets)
    assert np.array_equal(table["y"].to_numpy()[final], y[at])
    assert known[at].all()


@every
def test_one_forecast_equals_its_row_in_a_batch(kind: str) -> None:
    """A forecast made alone, as live, has the bits it has in a batch, in C or Fortran memory order."""
    forecast, X = loaded(kind), market(900).X[:40]
    together = forecast.predict(X)
    alone = [forecast.predict(X[end - forecast.lookback + 1 : end + 1])[0] for end in range(forecast.lookback - 1, 40)]
    assert np.array_equal(together, np.array(alone))
    assert np.array_equal(together, forecast.predict(np.asfortranarray(X)))


@every
def test_answers_are_as_documented(kind: str) -> None:
    """An answer has its fields, a confidence from 0.5 (one over the states) to 1, and bounds around its number."""
    forecast, data = loaded(kind), market(900)
    answers = forecast.answers(data.X, price=np.full(len(data.X) - forecast.lookback + 1, 100.0))
    name = {"price": "price", "volatility": "volatility_bps", "momentum": "state"}
    field = name.get(forecast.target.name, forecast.target.name)
    least = 0.5 if forecast.target.number else 1 / forecast.target.classes
    for answer in answers[:: len(answers) // 20]:
        assert least <= answer["confidence"] < 1
        if forecast.target.number:
            assert set(answer) == {field, "low", "high", "state", "confidence"}
            assert answer["low"] <= answer["high"]
            assert answer["state"] in forecast.target.states
        else:
            assert answer[field] in forecast.target.states


@every
def test_probabilities_are_proper_and_numbers_finite_far_outside(kind: str) -> None:
    """Far outside what was trained on, probabilities lie inside (0, 1) and sum to 1, and numbers are finite."""
    found = loaded(kind).predict(np.vstack([market(900).X[:60], 1e4 * market(900).X[:60]]))
    assert np.isfinite(found).all()
    if found.ndim == 2:
        assert 0 < found.min() < found.max() < 1
        np.testing.assert_allclose(found.sum(axis=1), 1, rtol=0, atol=1e-12)


@cache
def ids_of_another_process() -> dict[str, str]:
    """What another process makes of the same data, with another hash seed and two threads."""
    script = (
        "import json; from forecastdata import market; from forecasters.test_forecast_contract import train\n"
        f"print(json.dumps({{kind: train(kind, market(900), threads=2).bundle_id for kind in {[*HERE, STACK]!r}}}))"
    )
    extra = (
        [str(Path(found.origin).parents[1])] if (found := importlib.util.find_spec("torch")) and found.origin else []
    )
    environment = os.environ | {
        "PYTHONPATH": ":".join([str(ROOT), str(ROOT / "tests"), *extra]),
        "PYTHONHASHSEED": "99",
    }
    environment |= {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    said: dict[str, str] = json.loads(done.stdout)
    return said


@every
def test_training_again_with_two_threads_gives_the_same_bundle(kind: str) -> None:
    """The same data and seed give the same bundle, whatever the threads; another seed gives another."""
    assert train(kind, market(900), threads=2).bundle_id == trained(kind).bundle_id
    assert train(kind, market(900), seed=4).bundle_id != trained(kind).bundle_id


@pytest.mark.verify
@every
def test_two_processes_give_one_bundle(kind: str) -> None:
    """Another process, with another hash seed and two threads, seals the same bundle."""
    assert ids_of_another_process()[kind] == trained(kind).bundle_id


@every
def test_manifest_tells_how_the_forecaster_came_to_be(kind: str) -> None:
    """The manifest holds features, lineage, target, baseline, parameters, metrics and hashes; no time."""
    manifest = json.loads(trained(kind).files["manifest.json"])
    assert manifest["kind"] == kind
    assert manifest["feature_set"] == {"id": "fs1", "names": list(market(900).names)}
    assert (manifest["symbol"], manifest["horizon"], manifest["label_version"]) == ("AAAUSDT", 3, "l1")
    assert manifest["lineage"] == {"features": "f00d"}
    assert manifest["baseline"] == target_named(manifest["target"]).baseline
    assert set(manifest["metrics"]) == {"oof", "select"}
    assert sum(manifest["importance"]["all"].values()) == pytest.approx(1)
    assert set(manifest["sha256"]) == set(trained(kind).files) - {"manifest.json"}


@every
def test_out_of_fold_forecasts_are_of_train_and_of_no_window_across_folds(kind: str) -> None:
    """Out-of-fold rows are of train, later folds later; the first rows of a fold have no window and no forecast."""
    import io

    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(trained(kind).files["predictions.parquet"]))
    fold, role = table["fold"].to_numpy(), np.array(table["role"].to_pylist())
    assert set(role[fold >= 0]) == {"train"}
    assert np.all(np.diff(us(table["ts_us"])) > 0)
    back = loaded(kind).lookback
    for name in ("calibrate", "select", "score"):
        mine = us(table["ts_us"])[(role == name) & (fold == -1)]
        rows = us(market(900).table["ts_us"])[market(900).rows(name)]
        if loaded(kind).target.name not in ("direction",):
            assert np.array_equal(mine, rows[back - 1 :])


@every
def test_tampering_names_the_file(kind: str) -> None:
    """Flipping any byte of any file is refused by an error that begins with that file's name."""
    model, rng = trained(kind), np.random.default_rng(0)
    for name, data in model.files.items():
        for at in [0, len(data) - 1, *rng.integers(0, len(data), 4).tolist()]:
            altered = bytearray(data)
            altered[at] ^= 1 << int(rng.integers(0, 8))
            with pytest.raises(BundleError, match=rf"^{name}: "):
                load_forecast(model.files | {name: bytes(altered)})


@every
def test_no_bundle_holds_a_pickle(kind: str) -> None:
    """No file is a pickle, by name or by content, and unreadable weights are refused by name."""
    model = trained(kind)
    for name, data in model.files.items():
        assert not name.endswith(FORBIDDEN_SUFFIXES)
        assert data[:1] != b"\x80"  # how every binary pickle begins
    common = {"manifest.json", "scaler.json", "calibrator.json", "predictions.parquet", "golden.npy"}
    (weights,) = {name for name in set(model.files) - common if not name.startswith(("deep.", "flat."))}
    with pytest.raises(BundleError, match=weights):
        load_forecast(bundle_with(model, weights, b"{}"))


@every
def test_other_features_and_unknown_values_are_refused_by_name(kind: str) -> None:
    """Missing and reordered features, another feature set and values that are not finite are refused, named."""
    files, names = trained(kind).files, market(900).names
    with pytest.raises(FeatureSetError, match=r"missing \['noise_1'\]"):
        load_forecast(files, names=names[:3])
    with pytest.raises(FeatureSetError, match="position 2: found 'noise_1'"):
        load_forecast(files, names=["direction", "volatility", "noise_1", "noise_0"])
    with pytest.raises(FeatureSetError, match="feature set fs2"):
        load_forecast(files, fs_id="fs2")
    with pytest.raises(FeatureSetError, match=r"expected \(n, 4\)"):
        loaded(kind).predict(np.zeros((60, 5)))
    X = market(900).X[:60].copy()
    X[1, 2] = np.nan
    with pytest.raises(ContractError, match="noise_0"):
        loaded(kind).predict(X)
    with pytest.raises(ContractError, match="found 0 rows"):
        loaded(kind).predict(X[:0])


@every
def test_a_classifiers_door_does_not_open_it(kind: str) -> None:
    """A forecaster's bundle is refused where a classifier is expected."""
    with pytest.raises(BundleError, match="is a forecaster's bundle"):
        load_bundle(trained(kind).files)


@every_kind
def test_golden_batch_guards_against_another_machine(kind: str) -> None:
    """A well-sealed bundle whose golden forecasts are not reproduced is refused."""
    model = trained(kind)
    golden = bytearray(model.files["golden.npy"])
    value = np.frombuffer(golden, dtype="<f8", count=1, offset=len(golden) - 8)[0]
    golden[-8:] = np.float64(value + 1e-5 * model.manifest["scale"]).tobytes()
    with pytest.raises(BundleError, match=r"^golden.npy: .*differ by 1e-05"):
        load_forecast(bundle_with(model, "golden.npy", bytes(golden)))


@every_kind
def test_parameters_are_validated_and_targets_named(kind: str) -> None:
    """Defaults parse back to themselves; an unknown parameter and a target it cannot learn are refused."""
    spec = forecaster_kind(kind)
    assert spec.params.parse(spec.params().to_dict()) == spec.params()
    with pytest.raises(SettingsError, match="unknown parameters"):
        spec.params.parse({"no_such_parameter": 1})
    with pytest.raises(SettingsError, match="expected one of"):
        spec.target("weather")


@pytest.mark.skipif(TORCH, reason="torch is installed")
@pytest.mark.parametrize("kind", [kind for kind in forecaster_kinds() if forecaster_kind(kind).extra == "torch"])
def test_without_torch_the_extra_is_named(kind: str) -> None:
    """Fitting a network where torch is not installed is refused, naming what to install."""
    with pytest.raises(SettingsError, match=r"pip install 'scalper-ml\[torch\]'"):
        market(900).train(kind, params_of(kind))


def test_looking_at_the_registry_imports_no_library_of_a_kind() -> None:
    """Listing the kinds and their defaults loads neither torch nor any other library that only fitting needs."""
    heavy = ("xgboost", "lightgbm", "torch", "sklearn", "pandas", "numba", "scipy.optimize")
    script = (
        "import sys; from scalper_ml.forecasters.registry import forecaster_kinds\n"
        "[kind.params() for kind in forecaster_kinds().values()]\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
