"""Labels without a deadband: two classes through training, calibration, ensembles and the choice of the candidate."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
from planted import Planted, planted

from scalper_ml.ensembles.registry import ensemble_kinds
from scalper_ml.errors import InsufficientDataError
from scalper_ml.labels.horizon import learned_classes
from scalper_ml.models.bundle import load_bundle
from scalper_ml.models.calibrators import Calibration, fit_calibrator
from scalper_ml.models.candidate import choose_candidate
from scalper_ml.models.registry import model_kinds
from scalper_ml.models.train import TrainedModel
from scalper_ml.schema import us
from scalper_ml.validation.metrics import base_rates

FLAT = 0.05


def replaced(data: Planted, **columns: np.ndarray) -> Planted:
    """The same dataset with other columns."""
    table = data.table
    for name, values in columns.items():
        at = table.schema.get_field_index(name)
        table = table.set_column(at, table.schema.field(name), pa.array(values.astype(table[name].to_numpy().dtype)))
    return dataclasses.replace(data, table=table)


@pytest.fixture(scope="module")
def data() -> Planted:
    """Ups and downs, and one row in twenty whose price ended where it began."""
    plain = planted(3_000, rho=0.4, horizon=1)
    ret = plain.table["ret"].to_numpy().copy()
    flat = np.random.default_rng(4).random(ret.size) < FLAT
    ret[flat] = 0.0
    return replaced(
        plain,
        ret=ret,
        y=np.select([ret > 0, ret < 0], [2, 0], 1),
        y_binary=np.select([ret > 0, ret < 0], [1, 0], -1),
        deadband=np.zeros(ret.size),
    )


@pytest.fixture(scope="module")
def trained(data: Planted) -> dict[str, TrainedModel]:
    """Every kind of model, and every ensemble of two of them."""
    return {kind: data.train_any(kind) for kind in (*model_kinds(), *ensemble_kinds())}


KINDS = (*model_kinds(), *ensemble_kinds())


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_answers_up_or_down(data: Planted, trained: dict[str, TrainedModel], kind: str) -> None:
    """Every row of every later role is predicted, flat ones as well, and NEUTRAL has no probability anywhere."""
    model = trained[kind]
    said = model.predictions
    P = np.column_stack([said[name].to_numpy() for name in ("p_short", "p_neutral", "p_long")])
    assert np.all(P[:, 1] == 0)
    assert np.all((P[:, [0, 2]] > 0) & (P[:, [0, 2]] < 1))
    np.testing.assert_allclose(P.sum(axis=1), 1.0, atol=1e-12)
    role, fold = (said[name].to_numpy(zero_copy_only=False) for name in ("role", "fold"))
    for name in ("calibrate", "select", "score"):
        assert (
            us(said["ts_us"])[(role == name) & (fold == -1)].tolist()
            == us(data.table["ts_us"])[data.rows(name)].tolist()
        )
    assert np.array_equal(load_bundle(model.files).predict_proba(data.X[data.rows("score")]), P[role == "score"])


@pytest.mark.parametrize("kind", KINDS)
def test_skill_is_measured_on_what_moved(data: Planted, trained: dict[str, TrainedModel], kind: str) -> None:
    """Metrics are of the rows that moved, chance is a half, and the planted signal is found."""
    rows = data.rows("select")
    y = data.table["y"].to_numpy()
    found = trained[kind].metrics["select"]
    assert found["rows"] == int((y[rows] != 1).sum()) < rows.size
    assert found["balanced_accuracy"]["chance"] == 0.5
    assert found["balanced_accuracy"]["value"] > 0.56
    assert found["log_loss_skill"] > 0
    train = y[data.rows("train")]
    assert trained[kind].manifest["base_rates"] == base_rates(train[train != 1]).tolist()
    assert trained[kind].manifest["classes"] == ["SHORT", "LONG"]


def test_nothing_is_learned_from_flat_rows(data: Planted, trained: dict[str, TrainedModel]) -> None:
    """Whatever weight flat rows have, the fitted model, its calibration and its metrics are the same to the bit."""
    flat = data.table["y"].to_numpy() == 1
    weight = np.where(flat, 1e6, data.table["weight"].to_numpy())
    for kind in ("logistic_classifier", "stacking"):
        assert replaced(data, weight=weight).train_any(kind).bundle_id == trained[kind].bundle_id


def test_the_candidate_is_compared_on_what_moved(data: Planted, trained: dict[str, TrainedModel]) -> None:
    """The comparison is over the rows of select that moved; the base is that of two classes."""
    kind, rows = choose_candidate(trained, data.table)
    assert kind == rows[0]["kind"]
    assert rows[0]["rows"] == int((data.table["y"].to_numpy()[data.rows("select")] != 1).sum())
    assert rows[0]["log_loss_base"] == pytest.approx(np.log(2), abs=0.01)
    assert all(row["beats_base"] for row in rows)


@pytest.mark.parametrize("method", ["temperature", "platt", "beta", "isotonic"])
def test_every_calibration_keeps_a_class_without_a_share_at_nothing(method: Calibration) -> None:
    """Calibrated probabilities of two classes sum to 1, those of the third are 0, whatever raw mass it had."""
    rng = np.random.default_rng(2)
    z = rng.normal(size=12_000)
    y = np.where(rng.random(z.size) < 1 / (1 + np.exp(-0.5 * z)), 2, 0)
    up = 1 / (1 + np.exp(-1.5 * z))  # three times as sure as it may be
    P = np.column_stack([(1 - up) * 0.9, np.full(up.size, 0.1), up * 0.9])
    found = fit_calibrator(method, P, y, [0.5, 0.0, 0.5]).apply(P)
    assert np.all(found[:, 1] == 0)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-12)
    for low in (-1.5, -0.5, 0.5):
        some = (z > low) & (z < low + 1)
        assert found[some, 2].mean() == pytest.approx((y[some] == 2).mean(), abs=0.03)


def test_a_class_that_is_missing_where_it_is_needed_is_named(data: Planted) -> None:
    """Two classes of which one does not occur in the rows to fit on are refused with what was expected."""
    y = data.table["y"].to_numpy().copy()
    y[data.rows("train")] = 2
    with pytest.raises(InsufficientDataError, match=r"class SHORT does not occur .* expected all 2"):
        replaced(data, y=y, y_binary=np.select([y == 2, y == 0], [1, 0], -1)).train("logistic_classifier")


def test_classes_follow_the_labels() -> None:
    """NEUTRAL is a class where a price that moved is called so; a deadband of 0 is a binary label."""
    assert learned_classes([0, 1, 2], [0, 0, 1]) == (0, 1, 2)
    assert learned_classes([0, 1, 2], [0, -1, 1]) == (0, 2)
    assert learned_classes([0, 2], [0, 1]) == (0, 2)
