"""What each feature adds to what forecasters made of trees say: Shapley values, to the last of them."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from forecastdata import market

from scalper_ml.errors import ContractError
from scalper_ml.forecasters.bundle import Forecast, load_forecast
from scalper_ml.forecasters.forest_shap import forest_parts
from scalper_ml.forecasters.registry import forecaster_kind
from scalper_ml.models.exported import forest_trees
from scalper_ml.models.trees import Trees

SMALL = {
    "xgb_regressor": {"max_rounds": 40},
    "direction": {"max_rounds": 40, "min_child_weight": 5.0},
    "volatility": {"max_rounds": 40},
    "risk": {"trees": 10},
}


def trained(kind: str) -> Forecast:
    return load_forecast(market().train(kind, forecaster_kind(kind).params.parse(SMALL[kind])).files)


def parts_of(forecast: Forecast, role: str) -> tuple[np.ndarray, np.ndarray]:
    """Contributions of every row of a role, and what was said of it as a number or as log-odds."""
    data = market()
    scaled, at = forecast.scaler.transform(data.X), data.rows(role)
    parts = forecast.forecaster.contributions(scaled[at], scaled[data.rows("train")])
    assert parts is not None
    said = forecast.forecaster.predict(scaled, at)
    return parts, np.log(said[:, 1] / said[:, 0]) if said.ndim == 2 else said


@pytest.mark.parametrize(("kind", "column"), [("xgb_regressor", 0), ("direction", 0), ("volatility", 1), ("risk", 1)])
def test_contributions_add_up_and_find_what_is_planted(kind: str, column: int) -> None:
    """But for one constant they add up to what is said of each row, and the planted column moves it most."""
    parts, said = parts_of(trained(kind), "select")
    constant = said - parts.sum(axis=1)
    assert np.ptp(constant) < 1e-5 * np.ptp(said)
    assert int(np.abs(parts).mean(axis=0).argmax()) == column


def test_others_ask_permutations() -> None:
    """A kind that is no trees has no contributions."""
    params = forecaster_kind("momentum").params.parse({"max_rows": 200})
    forecast = load_forecast(market(900).train("momentum", params).files)
    assert forecast.forecaster.contributions(market(900).X[:3], market(900).X) is None


def grown(X: np.ndarray, y: np.ndarray, **how: object) -> Trees:
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(5, max_depth=4, max_features=0.5, max_samples=0.5, random_state=1, n_jobs=1, **how)
    return forest_trees(forest.fit(X, y))


def expected(trees: Trees, row: np.ndarray, seen: np.ndarray, known: frozenset[int], node: int) -> float:
    """What a tree says of a row of which some features are known: of the others it takes the shares of `seen`."""
    feature, (left, right) = int(trees.feature[node]), trees.child[node].tolist()
    if feature < 0:
        return float(trees.value[node])
    below = seen[:, feature].astype(np.float32) <= trees.threshold[node]
    if feature in known:
        goes, rows = (left, below) if np.float32(row[feature]) <= trees.threshold[node] else (right, ~below)
        return expected(trees, row, seen[rows], known, goes)
    share = below.mean()
    return share * expected(trees, row, seen[below], known, left) + (1 - share) * expected(
        trees, row, seen[~below], known, right
    )


def test_parts_of_a_forest_are_shapley_values() -> None:
    """Each is the mean over all orders of what learning the feature changes, by hand over every subset."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 4))
    trees = grown(X, 2 * X[:, 0] + X[:, 1] ** 2 + 0.1 * rng.normal(size=400), min_samples_leaf=10)
    assert trees.feature.max() == 3
    found = forest_parts(trees, X[:4], X)
    for row, parts in zip(X[:4], found, strict=True):
        for j in range(4):
            total, others = 0.0, [k for k in range(4) if k != j]
            for size in range(4):
                weight = math.factorial(size) * math.factorial(3 - size) / math.factorial(4)
                for some in itertools.combinations(others, size):
                    with_j, without = frozenset({*some, j}), frozenset(some)
                    total += weight * sum(
                        expected(trees, row, X, with_j, root) - expected(trees, row, X, without, root)
                        for root in trees.root.tolist()
                    )
            assert parts[j] == pytest.approx(total, abs=1e-12)


def test_trees_without_a_split_add_nothing_and_strange_rows_are_refused() -> None:
    """A forest of single leaves has parts of 0; rows that do not reach every node are not those it learnt from."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(100, 3))
    assert not forest_parts(grown(X, np.ones(100)), X[:5], X).any()
    trees = grown(X, X[:, 0], min_samples_leaf=5)
    with pytest.raises(ContractError, match=r"nodes are reached by none of 1 rows; expected its own rows"):
        forest_parts(trees, X[:2], X[:1])
    with pytest.raises(ContractError, match="nodes are reached by none"):
        forest_parts(replace(trees, threshold=trees.threshold + 100.0), X[:2], X)
