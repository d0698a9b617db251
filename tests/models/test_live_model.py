"""Row by row a model gives what it gave in training; causal scaling goes on from the state sealed with it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from planted import Planted, planted

from scalper_ml.datasets.causal import EwmaNormaliser
from scalper_ml.datasets.scaling import Scaler
from scalper_ml.errors import FeatureSetError
from scalper_ml.models.bundle import load_bundle
from scalper_ml.models.live import LiveModel
from scalper_ml.models.train import TrainedModel, train_model

SEEN = 1_800


@pytest.fixture(scope="module")
def data() -> Planted:
    return planted(2_000)


@pytest.fixture(scope="module")
def causal(data: Planted) -> TrainedModel:
    """A model of rows scaled causally, sealed with the normaliser as it stood after row 1,800."""
    rows, _ = EwmaNormaliser(data.names, 200).run(data.X, np.ones(len(data.X), dtype=bool))
    scaled = replace(data, X=rows)
    at_end = EwmaNormaliser(data.names, 200)
    at_end.run(data.X[:SEEN], np.ones(SEEN, dtype=bool))
    scaler = Scaler("ewma", winsor=0.01).fit(scaled.X, data.names, rows=data.rows("train"))
    lineage = {"symbol": "AAAUSDT", "horizon": data.horizon, "label_version": "l1"}
    return train_model(
        "xgb_classifier", scaled.X, data.table, scaler, data.names, "fs1", seed=3, lineage=lineage, normaliser=at_end
    )


def test_causal_scaling_is_carried_to_live(data: Planted, causal: TrainedModel) -> None:
    """Unscaled rows after the last one it was made from give the bits of the batch, also across a restart."""
    model = load_bundle(causal.files)
    whole, _ = EwmaNormaliser(data.names, 200).run(data.X, np.ones(len(data.X), dtype=bool))
    want = model.predict_proba(whole[SEEN:])
    live = LiveModel(model)
    first = [live.predict(row) for row in data.X[SEEN : SEEN + 100]]
    again = LiveModel(model, json.loads(json.dumps(live.state())))
    rest = [again.predict(row) for row in data.X[SEEN + 100 :]]
    assert np.stack(first + rest).tobytes() == want.tobytes()
    assert LiveModel(model).predict(data.X[SEEN]).tobytes() == want[0].tobytes()  # the bundle's own state is untouched


def test_a_model_without_state_is_fed_the_same_way(data: Planted) -> None:
    """Fitted scalers carry nothing: each row alone gives the batch's bits, and there is no state."""
    model = load_bundle(data.train().files)
    live = LiveModel(model)
    found = np.stack([live.predict(row) for row in data.X[:20]])
    assert found.tobytes() == model.predict_proba(data.X[:20]).tobytes()
    assert live.state() is None


def test_a_state_of_other_features_is_refused(data: Planted, causal: TrainedModel) -> None:
    """A state belongs to the features of one model."""
    other = EwmaNormaliser([f"x{j}" for j in range(len(data.names))], 200)
    with pytest.raises(FeatureSetError, match="of other features"):
        LiveModel(load_bundle(causal.files), other.to_dict())
