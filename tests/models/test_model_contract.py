"""What every kind of model and of ensemble must do as a bundle: one suite, run for each."""

import hashlib
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from planted import Planted, planted

from scalper_ml.bundle_store import BundleStore
from scalper_ml.durable import canonical_json, sha256_of
from scalper_ml.ensembles.registry import ensemble_kind, ensemble_kinds
from scalper_ml.errors import BundleError, ContractError, FeatureSetError, InsufficientDataError, SettingsError
from scalper_ml.models.base import ModelParams
from scalper_ml.models.bundle import FORBIDDEN_SUFFIXES, bundle_id_of, load_bundle
from scalper_ml.models.registry import model_kind, model_kinds
from scalper_ml.models.train import TrainedModel
from scalper_ml.schema import CLASSES, PREDICTIONS, us

KINDS = (*model_kinds(), *ensemble_kinds())
ROOT = Path(__file__).resolve().parents[2]

every_kind = pytest.mark.parametrize("kind", KINDS)
every_model = pytest.mark.parametrize("kind", tuple(model_kinds()))


def params_of(kind: str) -> type[ModelParams]:
    return (ensemble_kind(kind) if kind in ensemble_kinds() else model_kind(kind)).params


@cache
def market() -> Planted:
    return planted(2_000)


@cache
def trained(kind: str) -> TrainedModel:
    return market().train_any(kind)


def bundle_with(model: TrainedModel, name: str, data: bytes) -> dict[str, bytes]:
    """The bundle with one file replaced and everything sealed anew, as a careless tool would."""
    files = dict(model.files) | {name: data}
    manifest = json.loads(files["manifest.json"])
    manifest["sha256"][name] = sha256_of(data)
    manifest["bundle_id"] = bundle_id_of(manifest)
    return files | {"manifest.json": canonical_json(manifest, indent=1)}


@every_kind
def test_saved_and_loaded_predictions_are_bitwise_equal(kind: str, tmp_path: Path) -> None:
    """A bundle read back from disk gives the very probabilities that training recorded, to the last bit."""
    model, data = trained(kind), market()
    loaded = load_bundle(BundleStore(tmp_path).put(model.bundle_id, model.files), names=data.names, fs_id="fs1")
    recorded = model.predictions.filter((model.predictions["fold"].to_numpy() == -1).tolist())
    stored = np.column_stack([recorded.column(name) for name in ("p_short", "p_neutral", "p_long")])
    rows = np.concatenate([data.rows(role) for role in ("calibrate", "select", "score")])
    assert np.array_equal(us(recorded["ts_us"]), us(data.table["ts_us"])[rows])
    assert np.array_equal(loaded.predict_proba(data.X[rows]), stored)


@every_kind
def test_probabilities_are_proper(kind: str) -> None:
    """Probabilities lie strictly inside (0, 1) and sum to 1, even far outside what was trained on."""
    P = load_bundle(trained(kind).files).predict_proba(np.vstack([market().X[:500], 1e6 * market().X[:500]]))
    assert P.shape == (1000, 3)
    assert P.dtype == np.float64
    assert P.min() > 0
    assert P.max() < 1
    np.testing.assert_allclose(P.sum(axis=1), 1, rtol=0, atol=1e-12)


@every_kind
def test_one_row_equals_its_row_in_a_batch(kind: str) -> None:
    """A row predicted alone, as live, has the bits it has in a batch, in C or Fortran memory order."""
    model, X = load_bundle(trained(kind).files), market().X[:40]
    P = model.predict_proba(X)
    assert np.array_equal(P, np.vstack([model.predict_proba(row[None, :]) for row in X]))
    assert np.array_equal(P, model.predict_proba(np.asfortranarray(X)))


@cache
def hashes_of_another_process() -> dict[str, dict[str, str]]:
    """What another process makes of the same data, with another hash seed and two threads."""
    script = (
        "import hashlib, json; from planted import planted\n"
        f"models = {{kind: planted(2_000).train_any(kind, threads=2) for kind in {KINDS!r}}}\n"
        "said = lambda m: {n: hashlib.sha256(d).hexdigest() for n, d in m.files.items()} | {'id': m.bundle_id}\n"
        "print(json.dumps({kind: said(m) for kind, m in models.items()}))"
    )
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "PYTHONHASHSEED": "99"}
    environment["OMP_NUM_THREADS"] = "2"
    environment["OMP_WAIT_POLICY"] = "PASSIVE"  # spinning threads slow each other tenfold on busy cores
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    found: dict[str, dict[str, str]] = json.loads(done.stdout)
    return found


@every_kind
def test_two_processes_give_one_bundle(kind: str) -> None:
    """Another process, with another hash seed and two threads, writes byte for byte the same bundle."""
    model = trained(kind)
    own = {name: hashlib.sha256(data).hexdigest() for name, data in model.files.items()} | {"id": model.bundle_id}
    assert hashes_of_another_process()[kind] == own


@every_kind
def test_another_seed_is_another_bundle(kind: str) -> None:
    """The seed is part of what the bundle's id covers."""
    assert market().train_any(kind, seed=4).bundle_id != trained(kind).bundle_id


@every_kind
def test_manifest_tells_how_the_model_came_to_be(kind: str) -> None:
    """The manifest holds features, lineage, parameters, intervals, metrics, importance, SHAP and hashes; no time."""
    model, data = trained(kind), market()
    manifest = json.loads(model.files["manifest.json"])
    assert manifest["kind"] == kind
    assert manifest["feature_set"] == {"id": "fs1", "names": list(data.names)}
    assert (manifest["symbol"], manifest["horizon"], manifest["label_version"]) == ("AAAUSDT", 3, "l1")
    assert manifest["lineage"] == {"features": "f00d"}
    assert manifest["params"] == params_of(kind)().to_dict()
    assert manifest["seed"] == 3
    assert {"python", "numpy", "scipy", "pyarrow", "scalper-ml"} <= set(manifest["versions"])
    select = data.rows("select")
    t0, t1 = us(data.table["t0_us"]), us(data.table["t1_us"])
    assert manifest["roles"]["select"] == {
        "rows": select.size,
        "t0_us": int(t0[select[0]]),
        "t1_us": int(t1[select[-1]]),
    }
    assert set(manifest["metrics"]) == {"oof", "select"}
    assert list(manifest["importance"]["all"]) == sorted(data.names)  # canonical JSON sorts keys
    assert sum(manifest["importance"]["all"].values()) == pytest.approx(1)
    assert set(manifest["shap"]["all"]["feature_0"]) == set(CLASSES)
    assert set(manifest["sha256"]) == set(model.files) - {"manifest.json"}
    assert model.bundle_id == manifest["bundle_id"]


@every_kind
def test_predictions_cover_every_role_once(kind: str) -> None:
    """Predictions are out-of-fold in train and by the final model afterwards; no row twice, none of purged rows."""
    model, data = trained(kind), market()
    assert model.predictions.schema == PREDICTIONS
    ts, fold = us(model.predictions["ts_us"]), model.predictions["fold"].to_numpy()
    role = np.array(model.predictions["role"].to_pylist())
    assert np.all(np.diff(ts) > 0)
    assert set(role[fold >= 0]) == {"train"}
    learns = kind in ensemble_kinds() and ensemble_kind(kind).learns  # from fold 0, which it cannot predict then
    assert set(fold.tolist()) == ({-1, 1} if learns else {-1, 0, 1})
    for name in ("calibrate", "select", "score"):
        assert np.array_equal(ts[role == name], us(data.table["ts_us"])[data.rows(name)])


@every_kind
def test_tampering_names_the_file(kind: str) -> None:
    """Flipping any byte of any file is refused by an error that begins with that file's name."""
    model, rng = trained(kind), np.random.default_rng(0)
    for name, data in model.files.items():
        for at in [0, len(data) - 1, *rng.integers(0, len(data), 12).tolist()]:
            altered = bytearray(data)
            altered[at] ^= 1 << int(rng.integers(0, 8))
            with pytest.raises(BundleError, match=rf"^{name}: "):
                load_bundle(model.files | {name: bytes(altered)})


@every_kind
def test_missing_and_surplus_files_are_refused(kind: str, tmp_path: Path) -> None:
    """A bundle lacks no file and has no other: each case names the file."""
    model = trained(kind)
    for name in model.files:
        with pytest.raises(BundleError, match=rf"^{name}: missing"):
            load_bundle({key: data for key, data in model.files.items() if key != name})
    with pytest.raises(BundleError, match=r"^notes\.txt: not part of the bundle"):
        load_bundle(model.files | {"notes.txt": b"hello"})
    folder = BundleStore(tmp_path).put(model.bundle_id, model.files)
    (folder / "more").mkdir()
    with pytest.raises(BundleError, match="'more'"):
        load_bundle(folder)
    with pytest.raises(BundleError, match="no such folder"):
        load_bundle(tmp_path / "nowhere")


@every_kind
def test_forbidden_formats_are_neither_written_nor_read(kind: str, tmp_path: Path) -> None:
    """No bundle holds a pickle, by name or by content, and one with such a file is refused before it is read."""
    model = trained(kind)
    for name, data in model.files.items():
        assert not name.endswith(FORBIDDEN_SUFFIXES)
        assert data[:1] != b"\x80"  # how every binary pickle begins
    for suffix in FORBIDDEN_SUFFIXES:
        with pytest.raises(BundleError, match=f"^weights{suffix}: .*refused"):
            load_bundle(model.files | {f"weights{suffix}": b""})
    folder = BundleStore(tmp_path).put(model.bundle_id, model.files)
    (folder / "model.PKL").write_bytes(b"")
    with pytest.raises(BundleError, match=r"^model.PKL"):
        load_bundle(folder)


@every_kind
def test_other_features_are_refused_by_name(kind: str) -> None:
    """Missing, unexpected and reordered features are refused, naming them and the first position that differs."""
    files, names = trained(kind).files, market().names
    with pytest.raises(FeatureSetError, match=r"missing \['feature_3'\], unexpected \[\], .*position 3: found nothing"):
        load_bundle(files, names=names[:3])
    with pytest.raises(FeatureSetError, match=r"missing \['feature_1'\], unexpected \['ret_9'\], .*position 1"):
        load_bundle(files, names=["feature_0", "ret_9", "feature_2", "feature_3"])
    with pytest.raises(FeatureSetError, match=r"missing \[\], unexpected \[\], .*position 2: found 'feature_3'"):
        load_bundle(files, names=["feature_0", "feature_1", "feature_3", "feature_2"])
    with pytest.raises(FeatureSetError, match="feature set fs2: the names agree"):
        load_bundle(files, names=names, fs_id="fs2")
    with pytest.raises(FeatureSetError, match=r"expected \(n, 4\)"):
        load_bundle(files).predict_proba(np.zeros((2, 5)))


@every_kind
def test_unknown_values_are_refused_not_imputed(kind: str) -> None:
    """A feature that is NaN at prediction is refused by name."""
    X = market().X[:3].copy()
    X[1, 2] = np.nan
    with pytest.raises(ContractError, match="feature_2"):
        load_bundle(trained(kind).files).predict_proba(X)


@every_kind
def test_golden_batch_guards_against_another_machine(kind: str) -> None:
    """A well-sealed bundle whose golden probabilities are not reproduced is refused, naming the difference."""
    model = trained(kind)
    golden = bytearray(model.files["golden.npy"])
    value = np.frombuffer(golden, dtype="<f8", count=1, offset=len(golden) - 8)[0]
    golden[-8:] = np.float64(value + 1e-5).tobytes()
    with pytest.raises(BundleError, match=r"^golden.npy: .*differ by 1e-05"):
        load_bundle(bundle_with(model, "golden.npy", bytes(golden)))


@every_kind
def test_unreadable_weights_are_refused(kind: str) -> None:
    """Weights that are sealed but are not a model are refused, naming the file."""
    model = trained(kind)
    common = {"manifest.json", "scaler.json", "calibrator.json", "conformal.json", "predictions.parquet", "golden.npy"}
    members = tuple(f"{member}." for member in model.manifest.get("members", ()))
    (weights,) = {name for name in set(model.files) - common if not (members and name.startswith(members))}
    with pytest.raises(BundleError, match=weights):
        load_bundle(bundle_with(model, weights, b"{}"))


@every_kind
def test_pointer_and_format_must_agree(kind: str) -> None:
    """A bundle other than the one a pointer names, or of another format version, is refused."""
    files = trained(kind).files
    assert load_bundle(files, bundle_id=trained(kind).bundle_id).bundle_id == trained(kind).bundle_id
    with pytest.raises(BundleError, match="expected 000000"):
        load_bundle(files, bundle_id="0" * 64)
    other = canonical_json(json.loads(files["manifest.json"]) | {"format": 3}, indent=1)
    with pytest.raises(BundleError, match="found bundle format 3"):
        load_bundle(files | {"manifest.json": other})


@every_model
def test_one_class_labels_are_refused(kind: str) -> None:
    """A class that does not occur in train is refused, naming it and the counts."""
    data = market()
    y = data.table["y"].to_numpy().copy()
    y[y == 2] = 1
    table = data.table.set_column(3, data.table.schema.field("y"), [y])
    with pytest.raises(InsufficientDataError, match="LONG"):
        Planted(data.X, table, data.names, 3).train(kind)


def test_unknown_kind_lists_those_that_exist() -> None:
    """Asking for a kind that does not exist lists those that do; names equal their modules."""
    with pytest.raises(SettingsError, match="xgb_classifier"):
        model_kind("oracle")
    for name, kind in model_kinds().items():
        assert kind.name == name
        assert kind.fit.__module__ == f"scalper_ml.models.{name}"


def test_looking_at_the_registry_imports_no_library_of_a_kind() -> None:
    """Listing the kinds and their defaults loads neither XGBoost nor any other library that only fitting needs."""
    heavy = ("xgboost", "lightgbm", "catboost", "torch", "sklearn", "shap", "pandas", "matplotlib", "scipy.optimize")
    script = (
        "import sys; from scalper_ml.models.registry import model_kinds\n"
        "[kind.params() for kind in model_kinds().values()]\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@every_kind
def test_parameters_are_validated(kind: str) -> None:
    """Defaults parse back to themselves, and an unknown parameter is refused with the list of known ones."""
    params = params_of(kind)
    assert params.parse(params().to_dict()) == params()
    with pytest.raises(SettingsError, match="unknown parameters"):
        params.parse({"no_such_parameter": 1})
