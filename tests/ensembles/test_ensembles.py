"""Ensembles: what they make of their members, what they learn it from, and what they refuse."""

import io
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from planted import MEMBERS, Planted, planted

from scalper_ml.durable import canonical_json, sha256_of
from scalper_ml.ensembles.base import Opinions, Past
from scalper_ml.ensembles.majority_vote import MajorityVote
from scalper_ml.ensembles.registry import ensemble_kind, ensemble_kinds
from scalper_ml.ensembles.stacking import StackParams, lifts
from scalper_ml.ensembles.stacking import fit as fit_stack
from scalper_ml.ensembles.train import train_ensemble
from scalper_ml.ensembles.weighted_average import AverageParams
from scalper_ml.errors import BundleError, ContractError, SettingsError
from scalper_ml.models.base import FitContext
from scalper_ml.models.bundle import bundle_id_of, load_bundle
from scalper_ml.models.train import TrainedModel, TrainOptions
from scalper_ml.schema import us

LINEAGE = {"symbol": "AAAUSDT", "horizon": 3, "label_version": "l1"}
PRIOR = np.array([0.3, 0.4, 0.3])


@pytest.fixture(scope="module")
def data() -> Planted:
    return planted(2_000)


@pytest.fixture(scope="module")
def members(data: Planted) -> dict[str, TrainedModel]:
    return {kind: data.train(kind) for kind in MEMBERS}


def combined(kind: str, data: Planted, members: dict[str, TrainedModel], **changes) -> TrainedModel:
    settings = {"seed": 3, "lineage": LINEAGE, "options": TrainOptions(n_folds=2)} | changes
    files = {name: model.files for name, model in members.items()}
    return train_ensemble(kind, files, data.X, data.table, data.names, **settings)


def test_the_average_is_the_weighted_mean_of_calibrated_members(
    data: Planted, members: dict[str, TrainedModel]
) -> None:
    """Before its own calibration the average is what the members' published probabilities give by hand."""
    params = AverageParams({"lgb_classifier": 3})
    model = load_bundle(combined("weighted_average", data, members, params=params).files)
    X = data.X[data.rows("score")]
    logistic, trees = (load_bundle(members[kind].files).predict_proba(X) for kind in MEMBERS)
    np.testing.assert_allclose(model.classifier.predict_proba(X), 0.25 * logistic + 0.75 * trees, rtol=1e-12)
    assert model.manifest["shares"] == {"logistic_classifier": 0.25, "lgb_classifier": 0.75}
    assert np.array_equal(model.predict_proba(X), model.calibrator.apply(model.classifier.predict_proba(X)))


def test_votes_are_counted_by_hand() -> None:
    """Two of three votes beat one; a class nobody votes for keeps its share of the vote of the base rates."""
    says = np.array([[[0.5, 0.3, 0.2]], [[0.6, 0.2, 0.2]], [[0.1, 0.1, 0.8]]])
    P = MajorityVote(3, (0.3, 0.4, 0.3)).combine(Opinions(says, says))
    np.testing.assert_allclose(P, [[(2 + 0.3) / 4, 0.4 / 4, (1 + 0.3) / 4]])


def test_stacking_finds_which_member_to_trust() -> None:
    """Of two members, one of whom knows and one of whom guesses, the stack follows the one that knows."""
    rng = np.random.default_rng(4)
    signal = 0.8 * rng.normal(size=4_000)
    true = PRIOR * np.exp(np.column_stack([-signal, 0 * signal, signal]))
    true /= true.sum(axis=1, keepdims=True)
    y = (rng.random((4_000, 1)) > true.cumsum(axis=1)).sum(axis=1)
    guess = rng.dirichlet(20 * PRIOR, size=4_000)
    past = Past(np.stack([guess, true]), y, np.ones(4_000), np.zeros(4_000, dtype=np.int64))
    stack = fit_stack(past, ("guess", "true"), PRIOR, StackParams(), FitContext(1, 0))
    assert stack.shares()[1] > 0.85
    said = stack.combine(Opinions(past.raw, past.raw))
    up, right = said[:, 2] / (said[:, 0] + said[:, 2]), true[:, 2] / (true[:, 0] + true[:, 2])
    assert np.abs(up - right).mean() < 0.03


def test_lifts_are_relative_to_the_base_rates() -> None:
    """A member that says the base rates says nothing; a class that never occurs says nothing either."""
    assert np.abs(lifts(np.broadcast_to(PRIOR, (2, 5, 3)), PRIOR)).max() < 1e-12
    without = lifts(np.array([[[0.6, 1e-9, 0.4]]]), np.array([0.5, 0.0, 0.5]))
    assert without[0, 1] == 0
    assert without[0, 0] == pytest.approx(-without[0, 2])


def test_the_stack_learns_from_out_of_fold_rows_only(data: Planted, members: dict[str, TrainedModel]) -> None:
    """Other labels of rows without out-of-fold predictions, in train or after it, leave the weights where they were."""
    stack = combined("stacking", data, members)
    rows = pq.read_table(io.BytesIO(members[MEMBERS[0]].files["predictions.parquet"]))
    ts = us(rows["ts_us"])[rows["fold"].to_numpy() >= 0]
    unseen = ~np.isin(us(data.table["ts_us"]), ts)
    y = data.table["y"].to_numpy().copy()
    y[unseen] = 2 - y[unseen]
    changed = data.table.set_column(3, data.table.schema.field("y"), [y])
    again = combined("stacking", Planted(data.X, changed, data.names, 3), members)
    before, after = (json.loads(one.files["ensemble.json"])["combiner"] for one in (stack, again))
    assert np.allclose(before["coefficients"], after["coefficients"], atol=0.05)  # base rates of train moved, no more
    y[:] = data.table["y"].to_numpy()
    y[~unseen] = 2 - y[~unseen]
    flipped = Planted(data.X, data.table.set_column(3, data.table.schema.field("y"), [y]), data.names, 3)
    other = json.loads(combined("stacking", flipped, members).files["ensemble.json"])["combiner"]
    assert not np.allclose(before["coefficients"], other["coefficients"], atol=0.3)


def test_the_stack_predicts_a_fold_from_earlier_folds(data: Planted) -> None:
    """Its out-of-fold predictions of a fold do not change when labels of that fold and all later ones do."""
    options = TrainOptions(n_folds=3)
    members = {kind: data.train(kind, options=options) for kind in MEMBERS}
    before = combined("stacking", data, members, options=options).predictions
    fold = before["fold"].to_numpy()
    assert set(fold.tolist()) == {-1, 1, 2}
    last = us(before["ts_us"])[fold == 2][0]
    y = data.table["y"].to_numpy().copy()
    late = us(data.table["ts_us"]) >= last
    y[late] = 2 - y[late]
    changed = Planted(data.X, data.table.set_column(3, data.table.schema.field("y"), [y]), data.names, 3)
    after = combined("stacking", changed, members, options=options).predictions
    early = fold == 1
    p = [np.column_stack([one[name].to_numpy()[early] for name in ("p_short", "p_long")]) for one in (before, after)]
    np.testing.assert_allclose(p[0], p[1], atol=0.02)  # the base rates of train, which lifts are relative to, moved


@pytest.mark.parametrize("kind", list(ensemble_kinds()))
def test_ensembles_claim_no_skill_on_noise(kind: str) -> None:
    """On a market without a signal the Brier score of the side stays at a coin flip's: at most .253.

    Out of fold nothing is calibrated yet, and bare shares of votes are no probabilities.
    """
    data = planted(6_000, rho=0.0, features=10, seed=3)
    model = data.combine(kind, options=TrainOptions(n_folds=3))
    for where in ("select",) if kind == "majority_vote" else ("oof", "select"):
        assert model.metrics[where]["brier_side"] <= 0.253
    assert abs(model.metrics["select"]["log_loss_skill"]) < 0.01


@pytest.mark.parametrize("kind", list(ensemble_kinds()))
def test_ensembles_keep_a_planted_signal(kind: str) -> None:
    """On a market with a signal every ensemble has skill on select, and its first feature is the one that drives it."""
    data = planted(12_000, rho=0.3)
    model = data.combine(kind)
    assert model.metrics["select"]["log_loss_skill"] > 0.01
    assert model.importance["top"][0]["feature"] == "feature_0"


def test_members_are_whole_inside_the_bundle(data: Planted, members: dict[str, TrainedModel]) -> None:
    """Every member can be taken out and is its own bundle; one that is altered is named, however it is sealed anew."""
    files = combined("weighted_average", data, members).files
    for kind, model in members.items():
        own = {name.removeprefix(f"{kind}."): part for name, part in files.items() if name.startswith(f"{kind}.")}
        assert own == model.files
    other = data.train(MEMBERS[1], seed=9).files
    swapped = dict(files) | {f"{MEMBERS[1]}.{name}": part for name, part in other.items()}
    manifest = json.loads(swapped["manifest.json"])
    manifest["sha256"] = {name: sha256_of(part) for name, part in swapped.items() if name != "manifest.json"}
    manifest["bundle_id"] = bundle_id_of(manifest)
    with pytest.raises(BundleError, match=r"^lgb_classifier\.bundle .*the pointer names another"):
        load_bundle(swapped | {"manifest.json": canonical_json(manifest, indent=1)})


def test_members_of_other_features_are_refused_by_name(data: Planted, members: dict[str, TrainedModel]) -> None:
    """Members that use other features than the rest, and an ensemble of one, are refused; they are named."""
    wider = planted(2_000, features=5).train("lgb_classifier")
    with pytest.raises(ContractError, match="lgb_classifier use other features than logistic_classifier"):
        combined("stacking", data, {**members, "lgb_classifier": wider})
    with pytest.raises(ContractError, match=r"found members \['lgb_classifier'\]; expected at least two"):
        combined("stacking", data, {"lgb_classifier": members["lgb_classifier"]})
    with pytest.raises(SettingsError, match=r"weights of \['oracle'\], who are no members"):
        combined("weighted_average", data, members, params=AverageParams({"oracle": 1}))


def test_members_trained_on_another_dataset_are_refused(data: Planted, members: dict[str, TrainedModel]) -> None:
    """Out-of-fold rows that the dataset has not are refused, naming the member."""
    later = Planted(data.X[600:], data.table.slice(600), data.names, 3)
    with pytest.raises(ContractError, match="member logistic_classifier predicted rows that the dataset has not"):
        combined("stacking", later, members)


def test_rows_only_some_members_predicted_are_told(data: Planted, members: dict[str, TrainedModel]) -> None:
    """A member that could not be fitted in a fold takes that fold from all, and a warning says how many rows."""
    y = data.table["y"].to_numpy().copy()
    y[:400][y[:400] == 0] = 1
    poor = Planted(data.X, data.table.set_column(3, data.table.schema.field("y"), [y]), data.names, 3)
    late = {**members, "lgb_classifier": poor.train("lgb_classifier")}
    model = combined("weighted_average", data, late)
    assert any("out-of-fold rows of logistic_classifier are not used" in warning for warning in model.warnings)
    assert set(model.predictions["fold"].to_pylist()) == {-1, 1}


def test_unknown_kinds_list_those_that_exist() -> None:
    """Asking for a kind that does not exist lists those that do."""
    with pytest.raises(SettingsError, match="majority_vote, stacking, weighted_average"):
        ensemble_kind("oracle")
