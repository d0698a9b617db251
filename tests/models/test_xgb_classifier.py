"""XGBoost: the round it stops at, where it starts from, and what its parameters may be."""

import numpy as np
import pytest
import xgboost

from scalper_ml.errors import BundleError, SettingsError
from scalper_ml.models.base import Batch, FitContext
from scalper_ml.models.xgb_classifier import XGBParams, fit, load, pick_device
from scalper_ml.validation.metrics import log_loss

CONTEXT = FitContext(horizon=1, seed=5)


def batches(n: int = 1_500, effect: float = 0.8) -> tuple[Batch, Batch]:
    rng = np.random.default_rng(8)
    X = rng.normal(size=(n, 5))
    logits = np.column_stack([-effect * X[:, 0], np.full(n, 0.7), effect * X[:, 0]]) + rng.gumbel(size=(n, 3))
    y = logits.argmax(axis=1)
    whole = np.ones(n)
    return Batch(X[:1_000], y[:1_000], whole[:1_000]), Batch(X[1_000:], y[1_000:], whole[1_000:])


def test_the_best_round_is_the_last_one_kept() -> None:
    """Loss on the stop rows is no lower with one round fewer or one more than early stopping kept."""
    rows, stop = batches()
    quick = {"learning_rate": 0.3, "early_stopping_rounds": 10}
    best = fit(rows, stop, XGBParams(**quick), CONTEXT)
    assert 1 <= best.best_iteration < 100
    loss = log_loss(stop.y, best.predict_proba(stop.X))
    for rounds in (best.best_iteration, best.best_iteration + 2):
        other = fit(rows, stop, XGBParams(**quick, max_rounds=rounds), CONTEXT)
        if rounds < best.best_iteration + 1:
            assert other.best_iteration == rounds - 1
        assert log_loss(stop.y, other.predict_proba(stop.X)) >= loss - 1e-7
    exact = fit(rows, stop, XGBParams(**quick, max_rounds=best.best_iteration + 1), CONTEXT)
    assert exact.files() == best.files()


def test_trees_start_from_the_class_shares() -> None:
    """A model that learns next to nothing predicts the weighted class shares of its rows, not a third each."""
    rows, stop = batches()
    still = XGBParams(learning_rate=1e-6, max_rounds=1)
    shares = np.bincount(rows.y, minlength=3) / rows.y.size
    np.testing.assert_allclose(fit(rows, stop, still, CONTEXT).predict_proba(stop.X[:1])[0], shares, atol=1e-4)


def test_importance_and_contributions_point_at_the_cause() -> None:
    """Gain shares sum to 1 and rank the column that drives the labels first, as do mean contributions."""
    rows, stop = batches()
    model = fit(rows, stop, XGBParams(), CONTEXT)
    assert model.importance().sum() == pytest.approx(1)
    assert model.importance().argmax() == 0
    contributions = model.contributions(stop.X[:50])
    assert contributions.shape == (50, 3, 5)
    assert np.abs(contributions).mean(axis=0).sum(axis=0).argmax() == 0


def test_leaves_grow_with_the_horizon() -> None:
    """The least leaf weight is asked per bar of horizon: at a long one no split is left, which is still a model."""
    rows, stop = batches()
    model = fit(rows, stop, XGBParams(), FitContext(horizon=500, seed=5))
    assert model.importance().sum() == 0
    P = model.predict_proba(stop.X)
    assert np.ptp(P, axis=0).max() == 0


def test_missing_weights_are_refused() -> None:
    """Reading a bundle without the weights names the file."""
    with pytest.raises(BundleError, match=r"no model\.ubj"):
        load({})


@pytest.mark.parametrize(
    ("name", "value"),
    [("max_rounds", 0), ("learning_rate", 0.0), ("subsample", 1.1), ("max_depth", 2.5), ("reg_lambda", "ten")],
)
def test_parameters_out_of_range_are_refused(name: str, value: object) -> None:
    """A parameter outside its range or of another type is refused with its name, the value and the range."""
    with pytest.raises(SettingsError, match=rf"XGBParams\.{name}: found .*; expected a"):
        XGBParams.parse({name: value})


def test_cuda_is_refused_where_the_build_cannot() -> None:
    """Asking for a GPU on a CPU build says what to install; auto and cpu train on the CPU."""
    if xgboost.build_info().get("USE_CUDA"):
        pytest.skip("the installed XGBoost was built for GPUs")
    assert (pick_device("auto"), pick_device("cpu")) == ("cpu", "cpu")
    with pytest.raises(SettingsError, match="install xgboost instead of xgboost-cpu"):
        pick_device("cuda")
