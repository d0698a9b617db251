"""Trees as arrays against the libraries that fitted them."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from planted import Planted, planted

from scalper_ml.models.base import FitContext, Floats
from scalper_ml.models.bundle import load_bundle
from scalper_ml.models.exported import catboost_trees, forest_trees, lightgbm_trees, xgboost_trees
from scalper_ml.models.registry import model_kind
from scalper_ml.models.trees import ObliviousTrees, Trees


@cache
def market() -> Planted:
    return planted(1_500)


def rows_of(names: tuple[str, ...]) -> Floats:
    """Ordinary rows, rows far beyond, and rows whose values are single floats: where borders lie."""
    X = market().X
    return np.vstack([X, 1e6 * X[:50], X.astype(np.float32).astype(np.float64)])


@pytest.mark.parametrize("kind", ["xgb_classifier", "lgb_classifier", "cat_classifier"])
def test_exported_trees_have_the_librarys_sums(kind: str) -> None:
    """Sums of exported leaves are the library's own margins, bit for bit, at borders and far beyond as well."""
    model = load_bundle(market().train(kind).files)
    Z, classifier = model.scaler.transform(rows_of(model.names)), model.classifier
    library: dict[str, Callable[[Any], Any]] = {
        "xgb_classifier": lambda one: one._booster.inplace_predict(Z, predict_type="margin", validate_features=False),
        "lgb_classifier": lambda one: one._booster.predict(Z, raw_score=True),
        "cat_classifier": lambda one: one._model.predict(Z, prediction_type="RawFormulaVal"),
    }
    assert np.array_equal(classifier._trees.add(Z), library[kind](classifier))  # type: ignore[attr-defined]


def test_sums_at_the_thresholds_themselves() -> None:
    """A value equal to a threshold goes where the library sends it: every threshold of every tree is tried."""
    for kind in ("xgb_classifier", "lgb_classifier"):
        model = load_bundle(market().train(kind).files)
        trees: Trees = model.classifier._trees  # type: ignore[attr-defined]
        inner = trees.feature >= 0
        Z = np.zeros((int(inner.sum()), 4))
        Z[np.arange(len(Z)), trees.feature[inner]] = trees.threshold[inner]
        booster = model.classifier._booster  # type: ignore[attr-defined]
        own = (
            booster.inplace_predict(Z, predict_type="margin", validate_features=False)
            if kind == "xgb_classifier"
            else booster.predict(Z, raw_score=True)
        )
        assert np.array_equal(trees.add(Z), own), kind


def test_lightgbm_takes_next_to_nothing_and_what_is_unknown_for_zero() -> None:
    """Values on both sides of what LightGBM calls zero, and NaN, go where it sends them."""
    import lightgbm

    rng = np.random.default_rng(2)
    X = np.round(2 * rng.normal(size=(900, 3))) / 2
    y = rng.integers(0, 3, 900) * (X[:, 0] > 0)
    booster = lightgbm.train(
        {"objective": "multiclass", "num_class": 3, "verbosity": -1, "num_threads": 1}, lightgbm.Dataset(X, label=y), 5
    )
    trees, nothing = lightgbm_trees(booster.model_to_string(), 3), float(np.float32(1e-35))
    near = [sign * value for sign in (1, -1) for value in (0.0, nothing, np.nextafter(nothing, 1), 1e-40)]
    Z = np.array([[*np.roll([value, 0.5, -0.5], place)] for value in (*near, np.nan) for place in range(3)])
    assert (np.abs(trees.threshold) == nothing).any()
    assert np.array_equal(trees.add(Z), booster.predict(Z, raw_score=True))


def test_a_forest_is_the_mean_of_its_trees() -> None:
    """Trees out of a scikit-learn forest, summed and divided by their number, are its predictions bit for bit."""
    from sklearn.ensemble import RandomForestRegressor

    X, y = market().X, market().table["ret"].to_numpy()
    forest = RandomForestRegressor(20, max_depth=6, random_state=1, n_jobs=1).fit(X, y)
    assert np.array_equal(forest_trees(forest).add(X)[:, 0] / 20, forest.predict(X))


def test_binary_xgboost_starts_from_its_log_odds() -> None:
    """The base score of a binary model is a probability in its file and log-odds in its sums."""
    import xgboost

    X, y = market().X, market().table["y_binary"].to_numpy()
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": 3, "nthread": 1}, xgboost.DMatrix(X, y), 20)
    own = booster.inplace_predict(X, predict_type="margin")
    assert np.array_equal(xgboost_trees(booster).add(X)[:, 0], own)


def test_trees_without_a_split_are_constants() -> None:
    """A model that found nothing to split on predicts its start, in the library and as arrays."""
    import catboost
    import lightgbm

    X, y = np.zeros((60, 2)), np.tile([0, 1, 2], 20)
    booster = lightgbm.train(
        {"objective": "multiclass", "num_class": 3, "verbosity": -1}, lightgbm.Dataset(X, y), num_boost_round=3
    )
    assert np.array_equal(lightgbm_trees(booster.model_to_string(), 3).add(X), booster.predict(X, raw_score=True))
    model = catboost.CatBoost(
        {"loss_function": "MultiClass", "iterations": 2, "logging_level": "Silent", "allow_writing_files": False}
    )
    model.fit(catboost.Pool(np.random.default_rng(0).normal(size=(60, 2)), y))
    trees: ObliviousTrees = catboost_trees(model)
    assert np.array_equal(trees.add(X), model.predict(X, prediction_type="RawFormulaVal"))


def test_a_fit_and_what_is_read_back_agree() -> None:
    """What was fitted, by the library, and what is read back, by arrays, give the same probabilities bit for bit."""
    from scalper_ml.models.base import Batch

    data = market()
    y = data.table["y"].to_numpy().astype(np.int64)
    rows = Batch(data.X[:1000], y[:1000], np.ones(1000))
    stop = Batch(data.X[1000:], y[1000:], np.ones(500))
    for name in ("xgb_classifier", "lgb_classifier", "cat_classifier"):
        kind = model_kind(name)
        fitted = kind.fit(rows, stop, kind.params(), FitContext(3, 1))
        assert np.array_equal(fitted.predict_proba(data.X), kind.load(fitted.files()).predict_proba(data.X)), name
