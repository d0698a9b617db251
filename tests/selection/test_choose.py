"""Choosing features: what is planted is found, what is doubled is kept once, and noise stays noise."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from planted import Planted, planted
from scipy.stats import spearmanr

from scalper_ml.datasets.scaling import Scaler
from scalper_ml.datasets.splits import walk_forward
from scalper_ml.errors import SettingsError
from scalper_ml.models.base import FitContext
from scalper_ml.models.bundle import load_bundle
from scalper_ml.models.fitting import fit_rows, out_of_fold, training_data
from scalper_ml.models.registry import model_kind
from scalper_ml.selection import (
    ChosenSet,
    SelectionParams,
    correlation_clusters,
    fold_importance,
    log_loss,
    rank_correlation,
    select_features,
)
from scalper_ml.validation.metrics import base_rates

CONTEXT = FitContext(horizon=3, seed=5)


def widened(data: Planted, more: np.ndarray) -> Planted:
    """The data with more columns."""
    X = np.column_stack([data.X, more])
    return replace(data, X=X, names=tuple(f"feature_{j}" for j in range(X.shape[1])))


@pytest.fixture(scope="module")
def data() -> Planted:
    """A signal (feature_0), noise (1 to 9), and two near copies of the signal (10, 11), one of them upside down."""
    plain = planted(6_000, rho=0.4, features=10)
    rng = np.random.default_rng(8)
    copies = plain.X[:, [0]] * np.array([1.0, -2.0]) + rng.normal(0, 0.02, (6_000, 2))
    return widened(plain, copies)


def choose(data: Planted, **changes: object) -> object:
    """The choice on the train role."""
    known = training_data(data.X, data.table, data.names)
    rows = changes.pop("rows", known.rows("train"))
    params = SelectionParams(**{"keep": 4, "least": 1, "rows": 1000} | changes)  # type: ignore[arg-type]
    return select_features(known, rows, data.names, "fs1", Scaler("zscore"), CONTEXT, params)  # type: ignore[arg-type]


def test_rank_correlation_is_scipys() -> None:
    """The correlations are Spearman's, ties included; a constant column correlates with nothing."""
    X = np.round(np.random.default_rng(0).normal(size=(300, 5)), 1)
    X[:, 3] = X[:, 0] + X[:, 1]
    np.testing.assert_allclose(rank_correlation(X), spearmanr(X).statistic, atol=1e-12)
    X[:, 4] = 1.0
    assert (rank_correlation(X)[4, :4] == 0).all()


def test_clusters_join_what_is_alike() -> None:
    """Copies up to sign and monotone change are one cluster; the limit decides; at 1 nothing is joined."""
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 500))
    X = np.column_stack([a, b, -np.exp(a), a + 0.6 * b, a])
    assert correlation_clusters(X, 0.95).tolist() == [0, 1, 0, 2, 0]
    assert correlation_clusters(X, 0.5).tolist()[3] == 0
    assert correlation_clusters(X, 1.0).tolist() == [0, 1, 2, 3, 4]


def test_the_signal_is_chosen_once(data: Planted) -> None:
    """Of a signal and its copies one is kept, first of all; the others say whom they are like."""
    found = choose(data)
    twins = {"feature_0", "feature_10", "feature_11"}
    assert found.scores[0].name in twins
    assert found.scores[0].chosen
    assert len(twins & set(found.chosen.names)) == 1
    others = [score for score in found.scores if score.name in twins and not score.chosen]
    assert {score.reason for score in others} == {f"like {found.scores[0].name}"}
    assert len({score.cluster for score in found.scores if score.name in twins}) == 1
    assert found.scores[0].permutation > 5 * max(s.permutation for s in found.scores if s.name not in twins)
    assert found.scores[0].helped == found.folds == 3


def test_next_to_nothing_of_what_says_nothing_is_chosen() -> None:
    """Permuting pure noise hurts as often as not, and one in twelve by more than its error: of 120 tries hardly one
    is found to help."""
    rises, beyond, kept = 0, 0, 0
    for seed in (11, 13):
        found = choose(
            planted(6_000, rho=0.0, phi=0.0, horizon=1, features=60, seed=seed), keep=60, max_correlation=1.0
        )
        rises += sum(score.permutation > 0 and 2 * score.helped > found.folds for score in found.scores)
        beyond += sum(score.permutation > score.error > 0 for score in found.scores)
        kept += sum(score.reason == "helps" for score in found.scores)
    assert rises > beyond > 3
    assert kept <= 1


def test_doubt_can_be_allowed(data: Planted) -> None:
    """The more false finds are allowed, the more features stay; q says from which share on each does."""
    strict, loose = choose(data, false_share=0.01, least=1), choose(data, false_share=0.99, least=1)
    assert set(strict.chosen.names) <= set(loose.chosen.names)
    assert len(strict.chosen.names) < len(loose.chosen.names)
    for found, share in ((strict, 0.01), (loose, 0.99)):
        helps = [score for score in found.scores if score.reason == "helps"]
        assert helps
        assert all(score.q <= share for score in helps)
    with pytest.raises(SettingsError, match="false_share 0; expected a share above 0"):
        SelectionParams(false_share=0)


def test_limits_on_the_number_are_kept(data: Planted) -> None:
    """At most `keep` and at least `least` are chosen, one a cluster; reasons say which limit it was."""
    assert len(choose(data, keep=1).chosen.names) == 1
    many = choose(data, keep=8, least=8)
    assert len(many.chosen.names) == 8
    assert "best of those that do not help" in {s.reason for s in many.scores} or all(
        s.reason == "helps" for s in many.scores if s.chosen
    )
    assert list(many.chosen.names) == [name for name in data.names if name in set(many.chosen.names)]
    with pytest.raises(SettingsError, match="least 5, keep 4"):
        SelectionParams(keep=4, least=5)


def test_rows_that_may_not_be_seen_change_nothing(data: Planted) -> None:
    """Outcomes and features of all other rows can be anything: the choice and every number stay the same."""
    rows = np.arange(500, 2500)
    rng = np.random.default_rng(3)
    wild = data.X.copy()
    outside = np.setdiff1d(np.arange(len(wild)), rows)
    wild[outside] = rng.normal(0, 1e3, (outside.size, wild.shape[1]))
    y = data.table["y"].to_numpy().copy()
    y[outside] = rng.integers(0, 3, outside.size)
    at = data.table.schema.get_field_index("y")
    other = replace(data, X=wild, table=data.table.set_column(at, data.table.schema.field("y"), pa.array(y)))
    assert choose(data, rows=rows).to_dict() == choose(other, rows=rows).to_dict()


def test_permutation_and_shap_are_what_they_say(data: Planted) -> None:
    """Permutation is the rise of the loss with the column shuffled; SHAP the mean absolute contribution."""
    known = training_data(data.X, data.table, data.names)
    kind = model_kind("xgb_classifier")
    scaler = Scaler("none").fit(data.X, data.names)
    model = fit_rows(kind, known, np.arange(2000), scaler, kind.params.parse({"max_rounds": 20}), CONTEXT, 0.2)
    X, y = data.X[2500:3000], known.y[2500:3000]
    found = fold_importance(model, X, y, np.arange(12), np.random.default_rng(1), repeats=30, shap_rows=10_000)
    rises = []
    for seed in range(30):
        shuffled = X.copy()
        shuffled[:, 0] = np.random.default_rng(100 + seed).permutation(X[:, 0])
        rises.append(log_loss(model.predict_proba(shuffled), y) - log_loss(model.predict_proba(X), y))
    assert found.permutation[0] == pytest.approx(np.mean(rises), abs=5 * np.std(rises) / np.sqrt(30))
    np.testing.assert_allclose(found.shap, np.abs(model.contributions(X)).mean(axis=(0, 1)))
    together = fold_importance(
        model, X, y, np.array([0, *range(1, 10), 0, 0]), np.random.default_rng(1), repeats=5, shap_rows=100
    )
    assert together.permutation[0] == together.permutation[10] == together.permutation[11]
    assert together.permutation[0] > found.permutation[[0, 10, 11]].max()  # no twin is left to stand in


def test_the_chosen_set_has_its_own_id() -> None:
    """The id follows the parent and the names in order, and nothing else."""
    one = ChosenSet("p", ("a", "b"))
    assert one.id == ChosenSet("p", ("a", "b")).id
    assert len({one.id, ChosenSet("q", ("a", "b")).id, ChosenSet("p", ("b", "a")).id, ChosenSet("p", ("a",)).id}) == 4


def judged(data: Planted, choice: object) -> tuple[float, float]:
    """Log-loss skill over the base rates and rank correlation with returns, out of fold, of columns `choice` gives."""
    known = training_data(data.X, data.table, data.names)
    kind = model_kind("xgb_classifier")
    settings = {"max_rounds": 60, "early_stopping_rounds": 60, "learning_rate": 0.05, "max_depth": 2}
    trees = kind.params.parse(settings | {"min_child_weight": 10.0})
    scaler = Scaler("zscore").fit(data.X, data.names, rows=known.rows("train"))
    context = FitContext(horizon=1, seed=4)
    oof = out_of_fold(kind, known, scaler, trees, context, n_folds=3, stop_share=0.2, choose=choice)  # type: ignore[arg-type]
    y = known.y[oof.rows]
    skill = 1 - log_loss(oof.P, y) / log_loss(np.tile(base_rates(y), (y.size, 1)), y)
    return skill, float(spearmanr(oof.P[:, 2] - oof.P[:, 0], known.ret[oof.rows]).statistic)


def test_choosing_outside_the_folds_finds_skill_in_noise_and_ours_does_not() -> None:
    """On pure noise, features chosen on all of train seem to predict out of fold; chosen in each fold they do not."""
    params = SelectionParams(keep=10, least=10, folds=6, rows=1000, max_correlation=1.0)
    outside, inside = [], []
    for seed in (2, 3, 5):
        data = planted(1500, rho=0.0, phi=0.0, horizon=1, features=300, seed=seed)
        known = training_data(data.X, data.table, data.names)

        def on(rows: np.ndarray, context: FitContext, data: Planted = data, known: object = known) -> np.ndarray:
            found = select_features(known, rows, data.names, "fs", Scaler("zscore"), context, params)  # type: ignore[arg-type]
            return found.chosen.positions(data.names)

        peeking = on(known.rows("train"), CONTEXT)
        outside.append(judged(data, lambda rows, context, peeking=peeking: peeking))
        inside.append(judged(data, on))
    assert np.mean(outside, axis=0)[1] > 0.05  # as good as an honest model of a liquid market, out of nothing
    assert np.mean(inside, axis=0)[1] < 0.01
    assert all(peek[0] > own[0] + 0.005 for peek, own in zip(outside, inside, strict=True))
    assert max(own[0] for own in inside) < 0


def test_a_model_is_sealed_with_what_was_chosen(data: Planted) -> None:
    """The bundle takes the chosen columns, has their id, says why, and what each fold chose."""
    params = SelectionParams(keep=3, least=1, rows=500, repeats=1, folds=2)
    model = data.train(selection=params)
    bundle = load_bundle(model.files)
    said = model.manifest["selection"]
    assert list(bundle.names) == said["names"] == model.feature_set["names"]
    assert model.feature_set["id"] == said["id"] == ChosenSet("fs1", bundle.names).id
    assert model.feature_set["parent"] == "fs1"
    assert len(bundle.names) <= 3
    assert bundle.scaler.names == bundle.names
    assert len(said["in_folds"]) == 2
    assert 0 <= said["stability"] <= 1
    assert said["params"]["keep"] == 3
    assert set(model.importance["all"]) <= set(bundle.names)
    assert data.train(selection=params).bundle_id == model.bundle_id
    assert data.train().manifest["selection"] is None


def test_each_fold_chooses_on_what_it_may_know(data: Planted) -> None:
    """The rows given to the choice of a fold are those known before its block, purged."""
    known = training_data(data.X, data.table, data.names)
    train = known.rows("train")
    seen: list[np.ndarray] = []

    def choice(rows: np.ndarray, context: FitContext) -> np.ndarray:
        seen.append(rows)
        return np.array([0, 1])

    kind = model_kind("xgb_classifier")
    scaler = Scaler("zscore").fit(data.X, data.names, rows=train)
    trees = kind.params.parse({"max_rounds": 5})
    out_of_fold(kind, known, scaler, trees, CONTEXT, n_folds=3, stop_share=0.2, choose=choice)
    folds = list(walk_forward(known.t0[train], known.t1[train], n_folds=3))
    for rows, (before, block) in zip(seen, folds, strict=True):
        assert rows.tolist() == train[before].tolist()
        assert known.t1[rows].max() < known.t0[train[block]].min()
