"""Purged K-fold, combinatorial purged folds and the common time axis against brute force over all pairs of rows."""

from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalper_ml.datasets.axis import one_time_axis, time_blocks
from scalper_ml.datasets.crossval import combinatorial_paths, combinatorial_purged, purged_kfold
from scalper_ml.datasets.splits import assign_roles, walk_forward
from scalper_ml.errors import ContractError, InsufficientDataError, SettingsError

Intervals = tuple[list[int], list[int]]
DAY = 86_400_000_000


@st.composite
def intervals(draw: st.DrawFn, max_size: int = 50) -> Intervals:
    """Irregular decisions, with ties and holes, and outcomes of very different length."""
    n = draw(st.integers(0, max_size))
    steps = draw(st.lists(st.sampled_from([0, 1, 1, 1, 2, 7, 40]), min_size=n, max_size=n))
    t0 = np.cumsum(np.asarray(steps, dtype=np.int64))
    length = draw(st.lists(st.sampled_from([0, 1, 1, 2, 3, 9, 25]), min_size=n, max_size=n))
    return t0.tolist(), (t0 + np.asarray(length, dtype=np.int64)).tolist()


def trainable(t0: list[int], t1: list[int], blocks: list[list[int]], embargo: int) -> list[int]:
    """Rows outside the test whose interval meets no test interval, and not decided in the embargo of any block."""
    tested = {i for block in blocks for i in block}
    kept = []
    for i in range(len(t0)):
        meets = any(t0[i] <= t1[j] and t0[j] <= t1[i] for j in tested)
        ends = [max(t1[j] for j in block) for block in blocks if t0[i] > t0[block[-1]]]
        if i not in tested and not meets and not any(end < t0[i] <= end + embargo for end in ends):
            kept.append(i)
    return kept


def cut(t0: list[int], n_blocks: int) -> list[list[int]]:
    """Blocks by counting distinct times: the k-th of u times belongs to the block b with b*u/n <= k < (b+1)*u/n."""
    times = sorted(set(t0))
    u = len(times)
    block_of = {}
    for k, time in enumerate(times):
        block_of[time] = max(b for b in range(n_blocks) if b * u // n_blocks <= k)
    return [[i for i in range(len(t0)) if block_of[t0[i]] == b] for b in range(n_blocks)]


@given(intervals(), st.integers(2, 7), st.sampled_from([0, 1, 5, 50]))
def test_purged_kfold_equals_brute_force(case: Intervals, n_folds: int, embargo: int) -> None:
    """For any n and intervals: every row tested once, and trained on exactly the rows that touch no tested row."""
    t0, t1 = case
    if len(set(t0)) < n_folds:
        with pytest.raises(InsufficientDataError, match="cannot be cut"):
            purged_kfold(t0, t1, n_folds=n_folds, embargo_us=embargo)
        return
    blocks = cut(t0, n_folds)
    wanted = [(trainable(t0, t1, [block], embargo), block) for block in blocks]
    if not all(train for train, _ in wanted):
        with pytest.raises(InsufficientDataError, match="nothing is left to train on"):
            purged_kfold(t0, t1, n_folds=n_folds, embargo_us=embargo)
        return
    found = [
        (train.tolist(), test.tolist()) for train, test in purged_kfold(t0, t1, n_folds=n_folds, embargo_us=embargo)
    ]
    assert found == wanted
    assert [i for _, test in found for i in test] == list(range(len(t0)))
    assert all(not set(train) & set(test) for train, test in found)


@given(intervals(40), st.integers(2, 6), st.integers(1, 5), st.sampled_from([0, 1, 5, 50]))
def test_combinatorial_folds_equal_brute_force(case: Intervals, n_blocks: int, n_test: int, embargo: int) -> None:
    """For any n and intervals: every choice of blocks once, each purged on its own, and no interval overlaps."""
    t0, t1 = case
    n_test = min(n_test, n_blocks - 1)
    if len(set(t0)) < n_blocks:
        with pytest.raises(InsufficientDataError, match="cannot be cut"):
            combinatorial_purged(t0, t1, n_blocks=n_blocks, n_test=n_test)
        return
    blocks = cut(t0, n_blocks)
    choices = list(combinations(range(n_blocks), n_test))
    wanted = [trainable(t0, t1, [blocks[b] for b in chosen], embargo) for chosen in choices]
    if not all(wanted):
        with pytest.raises(InsufficientDataError, match="nothing is left to train on"):
            combinatorial_purged(t0, t1, n_blocks=n_blocks, n_test=n_test, embargo_us=embargo)
        return
    folds = list(combinatorial_purged(t0, t1, n_blocks=n_blocks, n_test=n_test, embargo_us=embargo))
    assert [fold.blocks for fold in folds] == choices
    assert [fold.train.tolist() for fold in folds] == wanted
    for fold in folds:
        assert [test.tolist() for test in fold.tests] == [blocks[b] for b in fold.blocks]
        assert fold.test.tolist() == sorted(fold.test.tolist())
    times_tested = np.bincount(np.concatenate([fold.test for fold in folds]), minlength=len(t0))
    assert set(times_tested.tolist()) == {comb(n_blocks - 1, n_test - 1)}


@given(st.integers(2, 9), st.data())
def test_every_path_is_a_whole_history_and_no_prediction_is_used_twice(n_blocks: int, data: st.DataObject) -> None:
    """Each path takes every block from a fold that tests it, and all tested blocks of all folds are used once."""
    n_test = data.draw(st.integers(1, n_blocks - 1))
    paths = combinatorial_paths(n_blocks, n_test)
    assert paths.shape == (comb(n_blocks - 1, n_test - 1), n_blocks)
    choices = list(combinations(range(n_blocks), n_test))
    used = [(int(fold), block) for path in paths for block, fold in enumerate(path)]
    assert sorted(used) == sorted((fold, block) for fold, chosen in enumerate(choices) for block in chosen)


def test_ten_blocks_two_tested_give_45_folds_and_9_paths() -> None:
    """The textbook case: C(10, 2) = 45 folds and 9 paths."""
    t0 = np.arange(1000)
    assert len(list(combinatorial_purged(t0, t0 + 3, n_blocks=10, n_test=2))) == 45
    assert combinatorial_paths(10, 2).shape == (9, 10)


def leaky_kfold(t0: np.ndarray, t1: np.ndarray, test: np.ndarray) -> np.ndarray:
    """The published mistake (mlfinlab issue 295, in mlfinpy to this day): nothing before the test is purged."""
    first = np.searchsorted(t0, t1[test].max())
    before = np.flatnonzero(t0 < t0[test[0]])
    return np.concatenate([before, np.arange(first, t0.size)])


def test_training_rows_before_the_test_are_purged() -> None:
    """Two-day labels, two folds: mlfinpy trains on outcomes of the 6th and 7th, days it tests; not so here."""
    t0 = DAY * np.arange(1, 11)  # the 1st to the 10th of January
    t1 = t0 + 2 * DAY
    (_, _), (train, test) = purged_kfold(t0, t1, n_folds=2)
    assert (t0[test] // DAY).tolist() == [6, 7, 8, 9, 10]
    assert (t1[train] // DAY).tolist() == [3, 4, 5]
    leaky = leaky_kfold(t0, t1, test)
    assert [day for day in (t1[leaky] // DAY).tolist() if day >= 6] == [6, 7]


def remainder_blocks(n: int, n_folds: int) -> np.ndarray:
    """The block of each row as skfolio 1.12 computes it: rows beyond n_folds whole blocks get numbers no fold has."""
    block = np.arange(n) // (n // n_folds)
    block[block == n_folds] = n_folds - 1
    return block


@pytest.mark.parametrize("n", [19, 29, 95, 100, 101])
def test_no_row_is_left_over_when_the_rows_do_not_divide(n: int) -> None:
    """19 rows in 10 folds: skfolio never tests rows 11 to 18; here every row is tested whatever n."""
    t0 = np.arange(n)
    tested = np.concatenate([test for _, test in purged_kfold(t0, t0, n_folds=10)])
    assert tested.tolist() == list(range(n))
    sizes = [test.size for _, test in purged_kfold(t0, t0, n_folds=10)]
    assert max(sizes) - min(sizes) <= 1
    folds = combinatorial_purged(t0, t0, n_blocks=10, n_test=2)
    assert set(np.bincount(np.concatenate([fold.test for fold in folds])).tolist()) == {9}
    if n == 19:
        assert np.flatnonzero(remainder_blocks(n, 10) >= 10).tolist() == list(range(11, 19))


def test_what_lies_between_two_test_blocks_is_trained_on() -> None:
    """First and last block tested: the middle stays, less the rows that touch them; no span over both is purged."""
    t0 = np.arange(50)
    folds = {fold.blocks: fold for fold in combinatorial_purged(t0, t0 + 2, n_blocks=5, n_test=2)}
    assert folds[0, 4].train.tolist() == list(range(12, 38))


def test_the_embargo_begins_with_the_last_outcome_and_not_with_the_last_decision() -> None:
    """One tested row whose outcome comes late moves the embargo with it; it counts time, not rows."""
    t0 = 10 * np.arange(12)
    t1 = t0 + 10
    t1[1] = 55
    (train, test), *_ = purged_kfold(t0, t1, n_folds=3, embargo_us=15)
    assert test.tolist() == [0, 1, 2, 3]
    assert train.tolist() == [8, 9, 10, 11]  # decided after 55 + 15
    (train, _), *_ = purged_kfold(t0, t1, n_folds=3)
    assert train.tolist() == [6, 7, 8, 9, 10, 11]


@given(st.lists(intervals(25), min_size=1, max_size=4), st.integers(2, 4))
def test_all_coins_are_split_at_the_same_moments(coins: list[Intervals], n_folds: int) -> None:
    """On the common axis no row of any coin is trained on that touches a tested row of any other, and none is lost."""
    axis = one_time_axis(coins)
    rows = {(part, row) for part, (t0, _) in enumerate(coins) for row in range(len(t0))}
    assert set(zip(axis.part.tolist(), axis.row.tolist(), strict=True)) == rows
    for part, (t0, t1) in enumerate(coins):
        mine = axis.part == part
        assert axis.t0[mine].tolist() == t0
        assert axis.t1[mine].tolist() == t1
        assert axis.rows_of(part, np.arange(axis.t0.size)).tolist() == list(range(len(t0)))
    try:
        folds = list(purged_kfold(axis.t0, axis.t1, n_folds=n_folds))
    except InsufficientDataError:
        return
    for train, test in folds:
        begin, end = axis.t0[test].min(), axis.t1[test].max()
        assert not ((axis.t0[train] <= end) & (axis.t1[train] >= begin)).any()
        assert not set(axis.t0[test].tolist()) & set(np.delete(axis.t0, test).tolist())


def test_one_instant_is_never_in_two_blocks_or_roles() -> None:
    """Three coins decided at the same closes: blocks and roles begin at a close for all of them at once."""
    one = np.arange(0, 100, 5)
    axis = one_time_axis([(one, one + 1)] * 3)
    assert (time_blocks(axis.t0, 7, "folds") % 3 == 0).all()
    roles = assign_roles(axis.t0, axis.t1, calibrate_size=0.17, select_size=0.17, test_size=0.23)
    assert all(len(set(roles[axis.t0 == time])) == 1 for time in one)
    for _, test in walk_forward(axis.t0, axis.t1, n_folds=6):
        assert test.size % 3 == 0


def test_impossible_folds_are_refused_by_the_call() -> None:
    """Blocks, tested blocks, embargo and number of folds outside their range name themselves."""
    t0 = np.arange(20)
    with pytest.raises(SettingsError, match="1 of 1 blocks to test"):
        purged_kfold(t0, t0, n_folds=1)
    with pytest.raises(SettingsError, match="4 of 4 blocks"):
        combinatorial_purged(t0, t0, n_blocks=4, n_test=4)
    with pytest.raises(SettingsError, match="184,756 folds; expected at most 10,000"):
        combinatorial_purged(t0, t0, n_blocks=20, n_test=10)
    with pytest.raises(SettingsError, match="embargo_us is -1"):
        purged_kfold(t0, t0, n_folds=2, embargo_us=-1)
    with pytest.raises(InsufficientDataError, match="3 rows of 2 decision times cannot be cut into 3 blocks"):
        purged_kfold([1, 1, 2], [1, 1, 2], n_folds=3)
    with pytest.raises(ContractError, match="sort by t0 first"):
        purged_kfold([2, 1], [2, 2], n_folds=2)
    with pytest.raises(ContractError, match="found no coins"):
        one_time_axis([])
