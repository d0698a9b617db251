"""Profiles: statistics, and single features that know too much."""

import io
import json
import re
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from rich.console import Console
from scipy.stats import entropy
from sklearn.metrics import roc_auc_score

from scalper_ml.datasets.build import DatasetParams, build_dataset
from scalper_ml.datasets.drift import psi
from scalper_ml.datasets.profile import auc, profile_dataset
from scalper_ml.datasets.splits import walk_forward
from scalper_ml.errors import ContractError
from scalper_ml.features.histograms import reference_histograms
from scalper_ml.reports.profile_page import profile_page
from scalper_ml.schema import ROLES

PARAMS = DatasetParams(horizon=3, interval_us=60_000_000, cost=0.0005, min_rows=500)
values = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=20)


@pytest.fixture(scope="module")
def labelled(market: Any) -> tuple[pa.Table, np.ndarray, tuple[str, ...]]:
    dataset = build_dataset(market.bars, market.values, market.warm, market.names, "fs1", PARAMS)
    return dataset.table, market.values[dataset.rows], market.names


def by_name(profile: Any) -> dict[str, Any]:
    return {feature.name: feature for feature in profile.features}


@given(values, values)
def test_auc_equals_scikit_learn_with_ties(up: list[float], down: list[float]) -> None:
    """The rank AUC is scikit-learn's, and that of the sides exchanged its complement."""
    truth = [1] * len(up) + [0] * len(down)
    assert auc(np.array(up), np.array(down)) == pytest.approx(roc_auc_score(truth, up + down), abs=1e-12)
    assert auc(np.array(down), np.array(up)) == pytest.approx(1 - auc(np.array(up), np.array(down)), abs=1e-12)


def test_the_statistics_are_those_of_pandas(labelled: Any) -> None:
    """Mean, sd, quantiles and counts are pandas' over the finite values; NaN is counted and left out."""
    table, X, names = labelled
    X = X.copy()
    X[:7, 0] = np.nan
    profile = by_name(profile_dataset(table, X, names))
    for j, name in enumerate(names):
        column, feature = pd.Series(X[:, j]).dropna(), profile[name]
        assert (feature.n, feature.nan) == (column.size, 7 if j == 0 else 0)
        expected = [column.mean(), column.std(ddof=0), column.min(), *column.quantile([0.01, 0.5, 0.99]), column.max()]
        found = [feature.mean, feature.sd, feature.min, feature.q01, feature.median, feature.q99, feature.max]
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_feature_that_knows_the_outcome_is_suspicious_and_comes_first(labelled: Any) -> None:
    """The return itself, its noisy copy and its negative are flagged before noise, which is not."""
    table, X, names = labelled
    ret = table.column("ret").to_numpy()
    noisy = ret + np.random.default_rng(5).normal(0, 1.5 * ret.std(), ret.size)
    profile = profile_dataset(table, np.column_stack([X, noisy, ret, -ret]), (*names, "noisy", "leak", "mirror"))
    assert [feature.name for feature in profile.features[:3]] == ["leak", "mirror", "noisy"]
    assert profile.suspicious == ("leak", "mirror", "noisy")
    assert by_name(profile)["leak"].auc == 1.0
    assert by_name(profile)["mirror"].auc == 0.0
    distance = [abs(feature.auc - 0.5) for feature in profile.features]
    assert distance == sorted(distance, reverse=True)


def test_the_auc_uses_train_rows_of_up_and_down_only(labelled: Any) -> None:
    """It equals scikit-learn's on train without flat rows; nonsense on the other rows does not change it."""
    table, X, names = labelled
    train = np.asarray(table.column("role").to_pylist()) == "train"
    side = table.column("y_binary").to_numpy()
    wild = X.copy()
    wild[~train] *= -1e6
    profile = by_name(profile_dataset(table, wild, names))
    for j, name in enumerate(names):
        rows = train & (side >= 0)
        assert profile[name].auc == pytest.approx(roc_auc_score(side[rows], X[rows, j]), abs=1e-12)


def test_noise_is_not_suspicious_on_little_data(new_market: Any) -> None:
    """With a hundred rows a useless feature may be far from 0.5: the limit is widened by noise and overlap."""
    market = new_market(n=330)
    params = DatasetParams(horizon=15, interval_us=60_000_000, min_rows=50)
    dataset = build_dataset(market.bars, market.values, market.warm, market.names, "fs1", params)
    walks = np.cumsum(np.random.default_rng(8).normal(size=(dataset.rows.size, 40)), axis=0)
    names = [f"walk_{k}" for k in range(40)]
    profile = profile_dataset(dataset.table, walks, names)
    assert max(abs(feature.auc - 0.5) for feature in profile.features) > 0.1
    assert profile.suspicious == ()


def test_constant_and_empty_columns_are_described(labelled: Any) -> None:
    """A constant column is flagged with AUC 0.5; a column of NaN has no statistics, and neither breaks the rest."""
    table, X, _ = labelled
    X = np.column_stack([np.full(len(X), 4.0), np.full(len(X), np.nan)])
    profile = by_name(profile_dataset(table, X, ["flat", "void"]))
    assert (profile["flat"].constant, profile["flat"].auc, profile["flat"].sd) == (True, 0.5, 0.0)
    void = profile["void"]
    assert (void.n, void.nan, void.mean, void.auc, void.suspicious) == (0, len(X), None, None, False)


def test_the_class_balance_is_given_by_role(labelled: Any) -> None:
    """Every role and the purged rows have their counts, and they add up to the table."""
    table, X, names = labelled
    profile = profile_dataset(table, X, names)
    assert [role.role for role in profile.roles] == [*ROLES, "purged"]
    assert sum(role.rows for role in profile.roles) == table.num_rows == profile.rows
    y, roles = table.column("y").to_numpy(), np.asarray(table.column("role").to_pylist())
    for role in profile.roles:
        assert list(role.counts.values()) == np.bincount(y[roles == role.role], minlength=3).tolist()
        assert sum(role.shares.values()) == pytest.approx(1)


def test_the_profile_is_plain_json(labelled: Any) -> None:
    """to_dict survives JSON without NaN and is the same every time."""
    table, X, names = labelled
    one = profile_dataset(table, X, names).to_dict()
    assert json.loads(json.dumps(one, allow_nan=False)) == one == profile_dataset(table, X, names).to_dict()
    assert one["nan"] == 0


def test_the_tables_render(labelled: Any) -> None:
    """The terminal shows every role, the features asked for, and the warning."""
    table, X, names = labelled
    leak = table.column("ret").to_numpy()
    profile = profile_dataset(table, np.column_stack([X, leak, np.full(len(X), 2.0)]), (*names, "leak", "flat"))
    out = io.StringIO()
    console = Console(file=out, width=200)
    for part in profile.tables():
        console.print(part)
    text = out.getvalue()
    words = (*ROLES, "purged", "leak", "suspicious", "flat", "constant", "1.000", "NEUTRAL")
    assert [word for word in words if word not in text] == []
    assert profile.tables(top=1)[1].row_count == 1


def test_a_matrix_of_other_rows_is_refused(labelled: Any) -> None:
    """Features of all bars instead of the label rows are refused."""
    table, X, names = labelled
    with pytest.raises(ContractError, match="take the rows of the dataset"):
        profile_dataset(table, X[1:], names)


def test_the_class_balance_is_given_by_fold(labelled: Any) -> None:
    """Each fold is a block that walk-forward tests inside train, with its own counts."""
    table, X, names = labelled
    train = np.flatnonzero(np.asarray(table.column("role").to_pylist()) == "train")
    t0, t1 = (table[name].cast(pa.int64()).to_numpy()[train] for name in ("t0_us", "t1_us"))
    folds = profile_dataset(table, X, names, n_folds=3).folds
    tested = [test for _, test in walk_forward(t0, t1, n_folds=3)]
    y = table.column("y").to_numpy()[train]
    assert [fold.role for fold in folds] == ["fold 0", "fold 1", "fold 2"]
    for fold, rows in zip(folds, tested, strict=True):
        assert list(fold.counts.values()) == np.bincount(y[rows], minlength=3).tolist()


def test_drift_is_told_against_the_version_before(labelled: Any) -> None:
    """A shifted feature moved, an equal one did not; added and removed ones are named; class shares are compared."""
    table, X, names = labelled
    reference = reference_histograms(X, np.ones(len(X), bool), names)
    told = {"content": "c" * 64, "rows": len(X), "class_shares": {"SHORT": 0.5, "NEUTRAL": 0.25, "LONG": 0.25}}
    now = X.copy()
    now[:, 1] += 2 * now[:, 1].std()
    drift = profile_dataset(table, now[:, 1:], names[1:], before=(told, reference)).drift
    assert drift is not None
    assert drift.moved == (names[1],)
    assert drift.features[0].name == names[1]
    assert (drift.added, drift.removed) == ((), (names[0],))
    share = np.bincount(table["y"].to_numpy(), minlength=3) / table.num_rows
    assert drift.prior_drift == pytest.approx(np.abs(share - [0.5, 0.25, 0.25]).sum() / 2)
    same = {one.name: one for one in drift.features if one.name != names[1]}
    assert all(one.psi == pytest.approx(0, abs=1e-12) for one in same.values())


@given(st.lists(st.integers(0, 50), min_size=2, max_size=8), st.data())
def test_psi_is_a_distance_of_shares(before: list[int], data: st.DataObject) -> None:
    """PSI is not negative, 0 for multiples, the same in both directions, and that of scipy's two entropies."""
    now = data.draw(st.lists(st.integers(0, 50), min_size=len(before), max_size=len(before)))
    assume(sum(before) and sum(now))
    value = psi(before, now)
    assert value >= 0
    assert value == pytest.approx(psi(now, before))
    assert psi(before, [7 * count for count in before]) == pytest.approx(0)
    if min(*before, *now) > 0:
        assert value == pytest.approx(entropy(now, before) + entropy(before, now))


def test_the_page_is_whole_and_needs_nothing(labelled: Any) -> None:
    """Well-formed HTML that names every feature, marks the leak, escapes names, and refers to nothing outside."""
    table, X, names = labelled
    leak = table.column("ret").to_numpy()
    reference = reference_histograms(X, np.ones(len(X), bool), names)
    told = {"content": "c" * 64, "rows": 5, "class_shares": {"SHORT": 0.5, "NEUTRAL": 0.25, "LONG": 0.25}}
    wide = np.column_stack([X, leak])
    profile = profile_dataset(table, wide, (*names, "<leak>"), n_folds=2, before=(told, reference))
    page = profile_page(profile, "A & B")
    assert page == profile_page(profile, "A & B")
    body = ElementTree.fromstring(re.sub(r"^<!doctype html>|<meta[^>]*>| class=bad", "", page))
    cells = ["".join(cell.itertext()) for cell in body.iter("td")]
    assert {*names, "<leak>", "fold 1", "purged"} <= set(cells)
    assert "beyond plausibility" in cells
    assert next(body.iter("h1")).text == "A & B"
    assert not re.search(r"https?://|src=|<script|@import|url\(", page)
    first = profile_page(profile_dataset(table, X, names), "first")
    assert "this is the first" in first
