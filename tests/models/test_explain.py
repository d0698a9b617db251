"""Explanations find what was planted, by contributions and by permutation."""

import numpy as np
import pytest
from planted import planted

from scalper_ml.models.bundle import load_bundle
from scalper_ml.models.explain import exact, explain_row, permuted_effects, shap_effects


@pytest.mark.parametrize("kind", ["xgb_classifier", "logistic_classifier", "stacking"])
def test_the_planted_feature_ranks_first(kind: str) -> None:
    """The one column that drives the labels ranks first; shuffling any other costs next to nothing."""
    data = planted(2_500, rho=0.5)
    model, rows = load_bundle(data.train_any(kind).files), data.rows("select")
    y = data.table["y"].to_numpy()[rows].astype(np.int64)
    effects = permuted_effects(model, data.X[rows], y, horizon=3, repeats=2, seed=1)
    assert effects[0].name == "feature_0"
    assert effects[0].effect > 0.005
    assert all(abs(one.effect) < effects[0].effect / 3 for one in effects[1:])
    assert shap_effects(model, data.X[rows])[0].name == "feature_0"
    assert exact(model) == (kind != "stacking")
    assert permuted_effects(model, data.X[rows], y, horizon=3, repeats=2, seed=1) == effects


def test_a_row_leans_to_the_side_its_signal_points_to() -> None:
    """The largest contribution of a row with a strong signal is the signal's, with its sign."""
    data = planted(4_000, rho=0.4)
    model = load_bundle(data.train("xgb_classifier").files)
    for sign in (-1, 1):
        row = data.X[int(np.argmax(sign * data.X[:, 0]))]
        found = explain_row(model, row)
        name, value, part = found.contributions[0]
        assert (name, value) == ("feature_0", row[0])
        assert np.sign(part) == sign
