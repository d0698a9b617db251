"""Training: what it finds, what it does not find, and what it never looks at."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from planted import Planted, planted

from scalper_ml.datasets.scaling import Scaler
from scalper_ml.datasets.splits import walk_forward
from scalper_ml.errors import ContractError
from scalper_ml.models.base import FitContext, ModelKind
from scalper_ml.models.bundle import load_bundle
from scalper_ml.models.fitting import out_of_fold, training_data
from scalper_ml.models.train import TrainOptions
from scalper_ml.models.xgb_classifier import XGBParams


def with_column(data: Planted, name: str, values: np.ndarray) -> Planted:
    at = data.table.schema.get_field_index(name)
    return replace(data, table=data.table.set_column(at, data.table.schema.field(name), pa.array(values)))


@pytest.fixture(scope="module")
def data() -> Planted:
    return planted(2_000)


def test_planted_signal_is_found() -> None:
    """One AR(1) signal among nine noise columns: 95 % of the oracle's edge on the same bars, and it ranks first."""
    data = planted(60_000, rho=0.15, phi=0.8, horizon=5, features=10, test_size=0.4)
    model = data.train()
    score = data.rows("score")
    P = load_bundle(model.files).predict_proba(data.X[score])
    up = data.table["ret"].to_numpy()[score] > 0
    accuracy = float(((P[:, 2] > P[:, 0]) == up).mean())
    oracle = float(((data.X[score, 0] > 0) == up).mean())
    assert oracle == pytest.approx(0.5703, abs=0.02)  # 1/2 + arctan(c)/pi, within 3 block standard errors
    assert (accuracy - 0.5) / (oracle - 0.5) >= 0.95
    assert model.importance["top"][0]["feature"] == model.shap["top"][0] == "feature_0"
    for where in ("oof", "select"):
        assert model.metrics[where]["log_loss_skill"] > 0.005
        assert model.metrics[where]["balanced_accuracy"]["ci"][0] > 1 / 3
        assert model.metrics[where]["brier_side"] < 0.25
    assert model.metrics["select"]["direction"]["da_traded"] > model.metrics["select"]["direction"]["chance"]


def test_null_market_collapses_to_base_rates() -> None:
    """Without a signal calibrated probabilities stay within sd .02 of the base rates and no metric claims skill."""
    data = planted(12_000, rho=0.0, features=20)
    model = data.train()
    for where in ("oof", "select"):
        m = model.metrics[where]
        assert m["brier"] == pytest.approx(m["brier_base"], rel=0.01)
        assert abs(m["log_loss_skill"]) < 0.01
        assert m["brier_side"] <= 0.253
        assert m["balanced_accuracy"]["p"] > 0.005
    P = load_bundle(model.files).predict_proba(data.X[data.rows("score")])
    assert P.std(axis=0).max() <= 0.02
    np.testing.assert_allclose(P.mean(axis=0), model.manifest["base_rates"], atol=0.02)


def test_nothing_is_learned_from_later_roles(data: Planted) -> None:
    """Changing select and score changes no weight; changing calibrate changes the calibrator only."""
    model = data.train()
    y, X = data.table["y"].to_numpy().copy(), data.X.copy()
    later = np.concatenate([data.rows("select"), data.rows("score")])
    y[later] = 2 - y[later]
    X[later] *= -3.0
    changed = with_column(replace(data, X=X), "y", y).train()
    for name in ("model.ubj", "scaler.json", "calibrator.json"):
        assert changed.files[name] == model.files[name]

    y = data.table["y"].to_numpy().copy()
    y[data.rows("calibrate")] = 2 - y[data.rows("calibrate")]
    flipped = with_column(data, "y", y).train()
    assert flipped.files["model.ubj"] == model.files["model.ubj"]
    assert flipped.calibration["at_bound"]  # the signal now points the wrong way: nothing to trust
    assert any("no skill" in warning for warning in flipped.warnings)
    assert flipped.bundle_id != model.bundle_id


def test_out_of_fold_predictions_know_only_the_past(data: Planted) -> None:
    """Out-of-fold predictions of a block do not change when labels of that block and all later ones do."""
    before = data.train().predictions
    fold = before["fold"].to_numpy()
    train = data.rows("train")
    first_of_last_block = train[np.flatnonzero(fold[: (fold >= 0).sum()] == 1)[0] + train.size - (fold >= 0).sum()]
    y = data.table["y"].to_numpy().copy()
    y[first_of_last_block:] = (y[first_of_last_block:] + 1) % 3
    after = with_column(data, "y", y).train().predictions
    assert before.filter((fold >= 0).tolist()).equals(after.filter((fold >= 0).tolist()))
    assert not before.filter((fold < 0).tolist()).equals(after.filter((fold < 0).tolist()))


class ScaleSensitive:
    """A classifier that answers with its scaled inputs: unlike trees it shows what the scaler did."""

    best_iteration = None

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        return X[:, :3]


def test_folds_scale_by_their_own_past(data: Planted) -> None:
    """A fold's inputs are scaled by statistics of the rows it may train on, whatever comes later."""
    kind = ModelKind("stub", XGBParams, lambda *_: ScaleSensitive(), lambda _: ScaleSensitive())
    arrays = training_data(data.X, data.table, data.names)
    train = data.rows("train")
    scaler = Scaler("zscore").fit(data.X, data.names, rows=train)
    oof = out_of_fold(kind, arrays, scaler, XGBParams(), FitContext(3, 1), n_folds=2, stop_share=0.1)
    for fold, (seen, unseen) in enumerate(walk_forward(arrays.t0[train], arrays.t1[train], n_folds=2)):
        past, block = data.X[train[seen], :3], data.X[train[unseen], :3]
        expected = (block - past.mean(axis=0)) / past.std(axis=0)
        np.testing.assert_allclose(oof.P[oof.fold == fold], expected, rtol=1e-9, atol=1e-12)
        assert np.array_equal(oof.rows[oof.fold == fold], train[unseen])


def test_score_metrics_are_not_computed(data: Planted) -> None:
    """The manifest measures out-of-fold train rows and select, and nothing of score but its interval."""
    manifest = data.train().manifest
    assert set(manifest["metrics"]) == {"oof", "select"}
    assert set(manifest["roles"]["score"]) == {"rows", "t0_us", "t1_us"}


def test_moved_class_shares_are_reported(data: Planted) -> None:
    """Class shares that differ between train and calibrate are reported in standard errors, with a warning."""
    y = data.table["y"].to_numpy().copy()
    y[data.rows("calibrate")[::2]] = 1
    model = with_column(data, "y", y).train()
    assert model.calibration["prior_shift"]["max_z"] > 3
    assert any("class shares moved" in warning for warning in model.warnings)


def test_a_fold_without_a_class_is_left_out_and_named(data: Planted) -> None:
    """A fold whose early rows lack a class is skipped with a warning; the other folds stand."""
    y = data.table["y"].to_numpy().copy()
    y[:400][y[:400] == 0] = 1
    model = with_column(data, "y", y).train(options=TrainOptions(n_folds=2))
    assert any(warning.startswith("fold 0 left out") and "SHORT" in warning for warning in model.warnings)
    assert set(model.predictions["fold"].to_pylist()) == {-1, 1}


def test_weights_matter(data: Planted) -> None:
    """Sample weights of the dataset reach the fit."""
    weight = np.linspace(0.1, 1.9, data.table.num_rows)
    assert with_column(data, "weight", weight).train().files["model.ubj"] != data.train().files["model.ubj"]


def test_incomplete_calls_are_refused(data: Planted) -> None:
    """Missing lineage, another kind's parameters and misaligned features are each refused by name."""
    with pytest.raises(ContractError, match=r"lineage lacks \['horizon', 'label_version'\]"):
        data.train(lineage={"symbol": "A"})
    with pytest.raises(ContractError, match="expected XGBParams"):
        data.train(params=TrainOptions())
    with pytest.raises(ContractError, match="a row a label"):
        replace(data, X=data.X[:-1]).train()
