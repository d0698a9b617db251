"""What every classifier must do beside what its bundle does: where it starts, what it watches, how it explains."""

import numpy as np
import pytest
from planted import planted

from scalper_ml.errors import BundleError, SettingsError
from scalper_ml.models.base import Batch, Classifier, FitContext
from scalper_ml.models.bundle import load_bundle
from scalper_ml.models.lgb_classifier import LGBParams
from scalper_ml.models.logistic_classifier import LogisticParams
from scalper_ml.models.logistic_classifier import fit as fit_logistic
from scalper_ml.models.registry import model_kind, model_kinds

KINDS = tuple(model_kinds())
BOOSTED = tuple(name for name in KINDS if hasattr(model_kind(name).params(), "max_rounds"))
CONTEXT = FitContext(horizon=1, seed=5)

every_kind = pytest.mark.parametrize("kind", KINDS)
boosted = pytest.mark.parametrize("kind", BOOSTED)


def batches(n: int = 1_500, effect: float = 0.8) -> tuple[Batch, Batch]:
    rng = np.random.default_rng(8)
    X = rng.normal(size=(n, 5))
    logits = np.column_stack([-effect * X[:, 0], np.full(n, 0.7), effect * X[:, 0]]) + rng.gumbel(size=(n, 3))
    y = logits.argmax(axis=1)
    whole = np.ones(n)
    return Batch(X[:1_000], y[:1_000], whole[:1_000]), Batch(X[1_000:], y[1_000:], whole[1_000:])


def fitted(kind: str, context: FitContext = CONTEXT, **changes: object) -> Classifier:
    return model_kind(kind).fit(*batches(), model_kind(kind).params.parse(changes), context)


@every_kind
def test_importance_and_contributions_point_at_the_cause(kind: str) -> None:
    """Importance sums to 1 and ranks the column that drives the labels first, as do mean contributions."""
    model, stop = fitted(kind), batches()[1]
    assert model.importance().sum() == pytest.approx(1)
    assert model.importance().argmax() == 0
    contributions = model.contributions(stop.X[:50])
    assert contributions.shape == (50, 3, 5)
    assert np.abs(contributions).mean(axis=0).sum(axis=0).argmax() == 0


@every_kind
def test_contributions_add_up_to_the_prediction(kind: str) -> None:
    """Log-odds between classes move from row to row exactly by what the contributions say."""
    model, X = fitted(kind), batches()[1].X[:50]
    odds = np.log(model.predict_proba(X))
    said = model.contributions(X).sum(axis=2)
    for code in (1, 2):
        rest = (odds[:, code] - odds[:, 0]) - (said[:, code] - said[:, 0])
        np.testing.assert_allclose(rest, rest[0], atol=2e-5)


@every_kind
def test_labels_without_a_neutral_class_can_be_learned(kind: str) -> None:
    """Where NEUTRAL never occurs it gets next to no probability, and the sides are told apart."""
    rows, stop = batches()
    sided = Batch(rows.X, np.where(rows.X[:, 0] > 0, 2, 0), rows.weight)
    held = Batch(stop.X, np.where(stop.X[:, 0] > 0, 2, 0), stop.weight)
    spec = model_kind(kind)
    model = spec.load(spec.fit(sided, held, spec.params(), CONTEXT).files())
    P = model.predict_proba(stop.X)
    assert P[:, 1].max() < 1e-3
    assert np.mean((P[:, 2] > P[:, 0]) == (held.y == 2)) > 0.95


@boosted
def test_rounds_are_watched_and_a_watch_can_end_the_fit(kind: str) -> None:
    """A watch hears the loss on the stop rows round by round; what it raises ends the fit and comes through."""
    heard: list[tuple[int, float]] = []
    best = fitted(kind, FitContext(1, 5, watch=lambda number, loss: heard.append((number, loss))), max_rounds=60)
    assert [number for number, _ in heard] == list(range(len(heard)))
    losses = [loss for _, loss in heard]
    assert int(np.argmin(losses)) == best.best_iteration
    stop = batches()[1]
    own = -np.log(best.predict_proba(stop.X)[np.arange(stop.y.size), stop.y]).mean()
    assert min(losses) == pytest.approx(own, abs=1e-6)

    def enough(number: int, loss: float) -> None:
        if number == 7:
            raise TimeoutError("enough")

    with pytest.raises(TimeoutError, match="enough"):
        fitted(kind, FitContext(1, 5, watch=enough), max_rounds=60)
    assert fitted(kind, max_rounds=60).files() == best.files()  # watching changes nothing


@boosted
def test_a_model_that_learns_nothing_predicts_the_class_shares(kind: str) -> None:
    """Trees start from the weighted class shares of their rows, not from a third each."""
    rows, stop = batches()
    shares = np.bincount(rows.y, minlength=3) / rows.y.size
    still = fitted(kind, learning_rate=1e-6, max_rounds=1)
    np.testing.assert_allclose(still.predict_proba(stop.X[:1])[0], shares, atol=1e-4)


@boosted
def test_a_long_horizon_asks_for_more_evidence(kind: str) -> None:
    """The same labels at a horizon of 500 bars are worth a five-hundredth: the model says less."""
    X = batches()[1].X
    spread = [fitted(kind, FitContext(horizon, 5)).predict_proba(X).std(axis=0).max() for horizon in (1, 500)]
    assert spread[1] < spread[0] / 4


@every_kind
def test_missing_and_foreign_weights_are_refused(kind: str) -> None:
    """Reading without the weights, or from those of another kind, names the file."""
    spec = model_kind(kind)
    with pytest.raises(BundleError, match=r"no model\."):
        spec.load({})
    (name,) = fitted(kind).files()
    with pytest.raises(BundleError, match=name):
        spec.load({name: b"tree of another kind"})


@every_kind
def test_search_spaces_lie_inside_the_parameters(kind: str) -> None:
    """Both ends of every range that tuning tries are parameters the kind accepts."""
    spec = model_kind(kind)
    assert spec.space
    for end in ("low", "high"):
        values = {one.name: getattr(one, end) for one in spec.space}
        assert spec.params.parse(values).to_dict().items() >= values.items()


def test_search_spaces_hold_what_the_sources_ask_for() -> None:
    """The ranges of tree sizes, rates and rounds are the documented ones."""
    wanted = {
        "xgb_classifier": {"max_depth": (3, 10), "learning_rate": (0.01, 0.3), "max_rounds": (100, 500)},
        "lgb_classifier": {"num_leaves": (20, 100)},
        "cat_classifier": {"depth": (4, 10), "max_rounds": (100, 500)},
    }
    for kind, ranges in wanted.items():
        found = {one.name: (one.low, one.high) for one in model_kind(kind).space}
        assert found.items() >= ranges.items()


def test_lightgbm_sees_the_columns_in_their_order() -> None:
    """Reordered columns, on which LightGBM would be silently wrong, are refused by the bundle."""
    data = planted(1_000)
    files = data.train("lgb_classifier").files
    with pytest.raises(Exception, match="first difference at position 0"):
        load_bundle(files, names=data.names[::-1])


def test_logistic_regression_is_the_minimum() -> None:
    """No small step in any coefficient lowers the penalised loss."""
    rows, stop = batches()
    params = LogisticParams(reg_lambda=5.0)
    model = fit_logistic(rows, stop, params, CONTEXT)
    W, b = model._coefficients, model._intercepts

    def loss(W: np.ndarray, b: np.ndarray) -> float:
        odds = rows.X @ W.T + b
        odds -= np.log(np.exp(odds).sum(axis=1, keepdims=True))
        return float(-odds[np.arange(rows.y.size), rows.y].sum() + 2.5 * (W**2).sum())

    least = loss(W, b)
    for k in range(3):
        for j in range(5):
            for step in (-1e-2, 1e-2):
                moved = W.copy()
                moved[k, j] += step
                assert loss(moved, b) > least


def test_a_linear_model_does_not_extrapolate() -> None:
    """An input beyond the range it was fitted on counts as the edge of that range."""
    model, X = fitted("logistic_classifier"), batches()[0].X
    edge, beyond = X.max(axis=0, keepdims=True), 1e9 * X.max(axis=0, keepdims=True)
    assert np.array_equal(model.predict_proba(beyond), model.predict_proba(edge))


def test_parameters_out_of_range_are_refused() -> None:
    """A parameter outside its range is refused with its name, the value and the range."""
    with pytest.raises(SettingsError, match=r"LGBParams\.subsample: found 0; expected a number above"):
        LGBParams.parse({"subsample": 0})
    with pytest.raises(SettingsError, match=r"LogisticParams\.reg_lambda: found 0\.0"):
        LogisticParams(reg_lambda=0.0)
