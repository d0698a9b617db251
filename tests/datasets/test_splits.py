"""Roles, walk-forward folds and inner tails against brute force over all pairs of intervals."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalper_ml.datasets.splits import assign_roles, inner_tail, role_counts, walk_forward, walk_forward_steps
from scalper_ml.errors import ContractError, InsufficientDataError, SettingsError
from scalper_ml.schema import ROLES

Intervals = tuple[list[int], list[int]]
SHARES = {"calibrate_size": 0.15, "select_size": 0.15, "test_size": 0.25}
DAY = 86_400_000_000


@st.composite
def intervals(draw: st.DrawFn, max_size: int = 60) -> Intervals:
    """Irregular decisions, with ties and holes, and outcomes of very different length."""
    n = draw(st.integers(0, max_size))
    steps = draw(st.lists(st.sampled_from([0, 1, 1, 1, 2, 7, 40]), min_size=n, max_size=n))
    t0 = np.cumsum(np.asarray(steps, dtype=np.int64))
    length = draw(st.lists(st.sampled_from([0, 1, 1, 2, 3, 9, 25]), min_size=n, max_size=n))
    return t0.tolist(), (t0 + np.asarray(length, dtype=np.int64)).tolist()


def touch(t0: list[int], t1: list[int], one: np.ndarray, other: np.ndarray) -> bool:
    """Whether any interval of `one` shares an instant with any interval of `other`, pair by pair."""
    return any(t0[i] <= t1[j] and t0[j] <= t1[i] for i in one.tolist() for j in other.tolist())


@given(intervals(), st.integers(1, 7))
def test_no_training_interval_touches_a_test_interval(case: Intervals, n_folds: int) -> None:
    """For any n and any intervals: folds disjoint from what they train on, all blocks covered in order, once."""
    t0, t1 = case
    n = len(t0)
    times = sorted(set(t0))
    begins = times[len(times) // (n_folds + 1)] if len(times) > n_folds else math.inf
    try:
        folds = list(walk_forward(t0, t1, n_folds=n_folds))
    except InsufficientDataError:
        assert len(times) <= n_folds or not any(known < begins for known in t1)
        return
    assert len(folds) == n_folds
    for train, test in folds:
        assert train.size
        assert test.size
        assert not touch(t0, t1, train, test)
        assert train.max() < test.min()
        # nothing more is purged than has to be
        assert train.tolist() == [i for i in range(test.min()) if not touch(t0, t1, np.array([i]), test[:1])]
    tested = np.concatenate([test for _, test in folds])
    assert tested.tolist() == [i for i in range(n) if t0[i] >= begins]
    sizes = [len({t0[i] for i in test}) for _, test in folds]
    assert max(sizes) - min(sizes) <= 1
    assert sum(sizes) == len({t0[i] for i in tested})  # no instant lies in two blocks


@given(intervals(), st.integers(1, 5), st.integers(1, 60))
def test_a_rolling_window_is_the_expanding_one_less_what_is_too_old(
    case: Intervals, n_folds: int, train_us: int
) -> None:
    """Rolling folds test the same blocks and train on the expanding rows decided within the window, no others."""
    t0, t1 = case
    try:
        expanding = list(walk_forward(t0, t1, n_folds=n_folds))
    except InsufficientDataError:
        with pytest.raises(InsufficientDataError):
            walk_forward(t0, t1, n_folds=n_folds, train_us=train_us)
        return
    wanted = [[i for i in train if t0[i] >= t0[test[0]] - train_us] for train, test in expanding]
    if not all(wanted):
        with pytest.raises(InsufficientDataError, match="nothing is left to train fold"):
            walk_forward(t0, t1, n_folds=n_folds, train_us=train_us)
        return
    rolling = list(walk_forward(t0, t1, n_folds=n_folds, train_us=train_us))
    assert [train.tolist() for train, _ in rolling] == wanted
    assert [test.tolist() for _, test in rolling] == [test.tolist() for _, test in expanding]


@given(intervals(), st.integers(1, 60), st.integers(1, 60), st.booleans())
def test_walk_forward_by_the_clock_equals_a_search_over_all_rows(
    case: Intervals, train_us: int, step_us: int, rolling: bool
) -> None:
    """Every row after the first training window is tested once, in the step it falls into, on rows known before it."""
    t0, t1 = case
    steps: dict[int, list[int]] = {}
    for i, decided in enumerate(t0):
        if decided - t0[0] >= train_us:
            steps.setdefault((decided - t0[0] - train_us) // step_us, []).append(i)
    wanted = []
    for test in steps.values():
        oldest = t0[test[0]] - train_us if rolling else -math.inf
        wanted.append(([i for i in range(len(t0)) if t1[i] < t0[test[0]] and t0[i] >= oldest], test))
    if not wanted or not all(train for train, _ in wanted):
        with pytest.raises(InsufficientDataError):
            walk_forward_steps(t0, t1, train_us=train_us, step_us=step_us, rolling=rolling)
        return
    found = walk_forward_steps(t0, t1, train_us=train_us, step_us=step_us, rolling=rolling)
    assert [(train.tolist(), test.tolist()) for train, test in found] == wanted


@given(intervals(), st.floats(0.01, 0.99))
def test_no_fitted_interval_touches_the_stopping_tail(case: Intervals, share: float) -> None:
    """The inner tail is the end of the rows; what is fitted was known before it begins."""
    t0, t1 = case
    try:
        fit, stop = inner_tail(t0, t1, share)
    except InsufficientDataError:
        first = len(t0) - max(1, int(len(t0) * share + 0.5))
        assert not t0 or not any(known < t0[first] for known in t1[:first])
        return
    assert stop.tolist() == list(range(len(t0) - stop.size, len(t0)))
    assert abs(stop.size - share * len(t0)) <= 1
    assert not touch(t0, t1, fit, stop)
    assert fit.tolist() == [i for i in range(stop[0]) if not touch(t0, t1, np.array([i]), stop[:1])]


@given(intervals(120))
def test_roles_are_chronological_and_never_touch(case: Intervals) -> None:
    """Roles follow each other, no interval of one touches one of another, purged rows are those that would."""
    t0, t1 = case
    counts = role_counts(len(t0), **SHARES)
    edges = np.cumsum([0, *counts.values()]).tolist()
    edges[1:-1] = [t0.index(t0[edge]) if 0 <= edge < len(t0) else edge for edge in edges[1:-1]]
    kept = [
        [i for i in range(a, b) if b == len(t0) or t1[i] < t0[b]] if a < b else [] for a, b in pairwise(edges)
    ]  # fmt: skip
    if not all(kept):
        with pytest.raises(InsufficientDataError, match="would be empty"):
            assign_roles(t0, t1, **SHARES)
        return
    roles = assign_roles(t0, t1, **SHARES)
    where = [np.flatnonzero(roles == role) for role in ROLES]
    assert [rows.tolist() for rows in where] == kept
    for k, rows in enumerate(where):
        for later in where[k + 1 :]:
            assert rows.max() < later.min()
            assert not touch(t0, t1, rows, later)
    assert set(roles.tolist()) <= {*ROLES, "purged"}


def test_an_outcome_known_at_the_next_roles_first_decision_is_purged() -> None:
    """Intervals are closed: reaching the next role's first t0 exactly is touching it."""
    t0 = np.arange(100)
    assert (assign_roles(t0, t0, **SHARES) == "purged").sum() == 0
    assert np.flatnonzero(assign_roles(t0, t0 + 1, **SHARES) == "purged").tolist() == [44, 59, 74]


def test_purging_is_by_interval_and_not_by_a_number_of_rows() -> None:
    """One early row with an outcome far in the future is purged alone; purging the last rows would keep it."""
    t0 = np.arange(100)
    t1 = t0.copy()
    t1[7] = 50
    roles = assign_roles(t0, t1, **SHARES)
    assert np.flatnonzero(roles == "purged").tolist() == [7]
    (train, test), *_ = walk_forward(t0, t1, n_folds=2)
    assert 7 not in train
    assert train.size == test.min() - 1


def test_training_before_the_test_is_purged() -> None:
    """Two-day labels, two blocks: no training outcome ends on or after the day the test begins."""
    t0 = DAY * np.arange(10)
    t1 = t0 + 2 * DAY
    ((train, test),) = walk_forward(t0, t1, n_folds=1)
    assert test.tolist() == [5, 6, 7, 8, 9]
    assert train.tolist() == [0, 1, 2]  # rows 3 and 4 end on test days 5 and 6


def test_a_hole_in_time_needs_no_purge() -> None:
    """Rows before a hole longer than the outcome are all kept."""
    t0 = np.concatenate([np.arange(10), 1000 + np.arange(10)])
    ((train, test),) = walk_forward(t0, t0 + 50, n_folds=1)
    assert train.tolist() == list(range(10))
    assert test.tolist() == list(range(10, 20))


def test_role_counts_are_shares_of_the_rows() -> None:
    """Later roles get their rounded share, train the rest, nothing is lost."""
    assert role_counts(10, **SHARES) == {"train": 3, "calibrate": 2, "select": 2, "score": 3}
    assert all(sum(role_counts(n, **SHARES).values()) == n for n in range(200))


@pytest.mark.parametrize(
    ("n", "length", "role"),
    [(0, 0, "train"), (3, 0, "calibrate"), (100, 40, "train"), (100, 20, "calibrate")],
)
def test_an_empty_role_is_named(n: int, length: int, role: str) -> None:
    """The error says which role would be empty, the sizes before and after purging, and what to change."""
    t0 = np.arange(n)
    t1 = t0 + length
    if role == "train":
        t1 = t1 + n
    message = f"role '{role}' would be empty; {n} label rows gave .* after; .*bring"
    with pytest.raises(InsufficientDataError, match=message):
        assign_roles(t0, t1, **SHARES)


@pytest.mark.parametrize(
    ("shares", "message"),
    [({"test_size": 0.0}, "test_size is 0.0"), ({"select_size": 1.0}, "select_size is 1.0"),
     ({"calibrate_size": -0.1}, "calibrate_size"), ({"test_size": 0.7}, "leave nothing for train")],
)  # fmt: skip
def test_impossible_shares_are_refused(shares: dict[str, float], message: str) -> None:
    """A share outside (0, 1), or shares that use up everything, are a settings error."""
    with pytest.raises(SettingsError, match=message):
        assign_roles(np.arange(100), np.arange(100), **{**SHARES, **shares})


def test_rows_out_of_time_order_are_refused() -> None:
    """Rows must come in time order and be decided before they are known; there is no shuffled split."""
    with pytest.raises(ContractError, match="sort by t0 first"):
        walk_forward([2, 1, 3], [2, 1, 3], n_folds=1)
    with pytest.raises(ContractError, match=r"row 1 is known \(1\) before it is decided \(2\)"):
        assign_roles([1, 2, 3], [1, 1, 3], **SHARES)
    with pytest.raises(ContractError, match="shapes"):
        inner_tail([1, 2, 3], [1, 2], 0.5)


def test_too_few_rows_for_the_folds_is_refused_by_the_call() -> None:
    """The error comes from the call, not from the first iteration, and says what is left."""
    with pytest.raises(InsufficientDataError, match="3 rows cannot be cut into 4 blocks"):
        walk_forward([1, 2, 3], [1, 2, 3], n_folds=3)
    with pytest.raises(InsufficientDataError, match=r"all 5 rows before its test block .* lower n_folds"):
        walk_forward(np.arange(10), np.arange(10) + 9, n_folds=1)
    with pytest.raises(SettingsError, match="n_folds is 0"):
        walk_forward([1, 2, 3], [1, 2, 3], n_folds=0)
    with pytest.raises(SettingsError, match="share is 1"):
        inner_tail([1, 2, 3], [1, 2, 3], 1.0)


def test_a_million_rows_are_split_in_well_under_a_second() -> None:
    """Roles and ten folds of 1 M rows."""
    t0 = np.arange(1_000_000)
    roles = assign_roles(t0, t0 + 15, **SHARES)
    assert (roles == "purged").sum() == 45
    assert sum(test.size for _, test in walk_forward(t0, t0 + 15, n_folds=9)) == 900_000


def test_impossible_windows_are_refused() -> None:
    """A training window or step that is not a positive whole number, or no row after the first window, is refused."""
    t0 = np.arange(10)
    with pytest.raises(SettingsError, match="train_us is 0"):
        walk_forward(t0, t0, n_folds=2, train_us=0)
    with pytest.raises(SettingsError, match=r"step_us is 1\.5"):
        walk_forward_steps(t0, t0, train_us=2, step_us=1.5)  # type: ignore[arg-type]
    with pytest.raises(InsufficientDataError, match="span 9 us; expected some decided train_us = 20"):
        walk_forward_steps(t0, t0, train_us=20, step_us=1)
    with pytest.raises(InsufficientDataError, match="0 rows span 0 us"):
        walk_forward_steps([], [], train_us=20, step_us=1)
