"""A stream over its own memory: long histories, narrow inputs, arrays that do not fit."""

import featuredata
import numpy as np
import pytest

from scalper_ml.errors import ContractError
from scalper_ml.features import INPUT_COLUMNS, FeatureStream, compute, feature_set
from scalper_ml.features.engine import columns_read
from scalper_ml.features.fused import AHEAD

FS = feature_set(["klines", "trades", "market", "calendar"])
N = 2 * AHEAD + 700
X, TS = featuredata.ordinary(N), featuredata.stamps_us(N)
WIDTH = len(columns_read(FS))


@pytest.mark.parametrize("cuts", [(AHEAD - 1, AHEAD, AHEAD + 1), (1000, 2 * AHEAD + 3), (AHEAD + 257, N - 1)])
def test_history_moved_back_to_the_front_changes_no_bit(cuts):
    """A stream that goes on past the end of its memory has the bits of one that starts it afresh at any cut."""
    whole = compute(FS, X, TS)
    values, state, begin = [], None, 0
    for end in (*cuts, N):
        block = compute(FS, X[begin:end], TS[begin:end], state)
        values.append(block.values)
        state, begin = block.state, end
    assert np.array_equal(np.concatenate(values).view(np.int64), whole.values.view(np.int64))
    assert state == whole.state


def test_features_without_feeds_need_no_columns_of_feeds():
    """Inputs that end before the feeds give the same bits; a set with a feed refuses them."""
    narrow = compute(FS, X[:600, :WIDTH], TS[:600])
    assert len(INPUT_COLUMNS) > WIDTH
    assert np.array_equal(narrow.values.view(np.int64), compute(FS, X[:600], TS[:600]).values.view(np.int64))
    own = feature_set(["klines"])
    assert len(columns_read(own)) < WIDTH
    wide, narrow = (compute(own, X[:600, :k], TS[:600]) for k in (len(INPUT_COLUMNS), len(columns_read(own))))
    assert np.array_equal(narrow.values.view(np.int64), wide.values.view(np.int64))
    assert narrow.state == wide.state
    fed = feature_set(["klines", "derivatives"])
    assert columns_read(fed) == INPUT_COLUMNS
    with pytest.raises(ContractError, match=rf"expected \(n, {len(INPUT_COLUMNS)}\)"):
        compute(fed, X[:600, :WIDTH], TS[:600])


@pytest.mark.parametrize(
    "wrong",
    [
        {"X": X[:4].astype(np.float32)},
        {"X": X[:4, :5]},
        {"X": np.asfortranarray(X[:4])},
        {"ts_us": TS[:4].astype(np.float64)},
        {"columns": np.empty((4, len(FS.names)))},
        {"warm": np.empty(3, dtype=np.bool_)},
    ],
    ids=lambda wrong: "".join(wrong),
)
def test_arrays_that_do_not_fit_are_refused(wrong):
    """Machine code takes arrays on trust: a wrong type, shape or order is found before it runs, and nothing is done."""
    stream = FeatureStream(FS)
    before = stream.state()
    right = {"X": X[:4], "ts_us": TS[:4], "columns": np.empty((len(FS.names), 4)), "warm": np.empty(4, dtype=np.bool_)}
    with pytest.raises(ContractError, match=r"expected .* in one piece"):
        stream.push(**right | wrong)
    assert stream.state() == before


def test_stamps_that_are_no_microseconds_and_arrays_that_cannot_be_written_are_refused():
    """Nanoseconds are not taken for microseconds, nor is anything written where it may not be."""
    for stamps in (TS[:60].astype("datetime64[ns]"), TS[:60] + 0.5):
        with pytest.raises(ContractError, match="expected int64, microseconds"):
            compute(FS, X[:60], stamps)
    columns, warm = np.zeros((len(FS.names), 60)), np.zeros(60, dtype=np.bool_)
    columns.flags.writeable = False
    with pytest.raises(ContractError, match="cannot be written to"):
        FeatureStream(FS).push(X[:60, :WIDTH].copy(), TS[:60], columns, warm)
    assert not columns.any()
