"""Windows: strided views that cross neither gaps nor roles."""

import numpy as np
from forecastdata import MINUTE, market
from hypothesis import given
from hypothesis import strategies as st

from scalper_ml.forecasters.base import Sample
from scalper_ml.forecasters.data import forecast_data
from scalper_ml.forecasters.targets import target_named
from scalper_ml.forecasters.windows import window_ends, windows_of
from scalper_ml.schema import us


@given(st.lists(st.integers(1, 3), min_size=1, max_size=60), st.integers(1, 6), st.integers(0, 10_000))
def test_windows_are_runs_of_one_part(steps: list[int], lookback: int, seed: int) -> None:
    """A row ends a window exactly where its last rows are consecutive bars of one part: checked row by row."""
    ts = np.cumsum(steps)
    part = np.sort(np.random.default_rng(seed).integers(-1, 3, ts.size))
    naive = [
        i
        for i in range(lookback - 1, ts.size)
        if part[i] >= 0
        and all(ts[j] - ts[j - 1] == 1 and part[j] == part[i] for j in range(i - lookback + 2, i + 1))
        and part[i - lookback + 1] == part[i]
    ]
    assert window_ends(ts, part, lookback, 1).tolist() == naive


def test_views_copy_nothing() -> None:
    """All windows of a matrix share its memory."""
    X = np.arange(60.0).reshape(20, 3)
    found = windows_of(X, 5)
    assert np.shares_memory(found, X)
    assert np.array_equal(found[7], X[7:12])


def test_no_window_crosses_a_hole_or_a_role() -> None:
    """Around a hole in the bars and at the beginning of each role, rows without a whole window are not forecast."""
    data = market(900, hole=30)
    found = forecast_data(
        data.X, data.table, data.targets, data.names, target_named("return"), interval_us=MINUTE, past=data.past
    )
    ts, role = us(data.table["ts_us"]), data.table["role"].to_numpy(zero_copy_only=False)
    assert (np.diff(ts) > 20 * MINUTE).sum() == 1
    for name in ("train", "calibrate", "select", "score"):
        rows = found.rows(name)
        for end in found.ends(rows, 8):
            assert ts[end] - ts[end - 7] == 7 * MINUTE
            assert set(role[end - 7 : end + 1]) == {name}
        assert found.ends(rows, 8)[0] >= rows[0] + 7
    assert found.ends(found.rows("train"), 1).size == found.rows("train").size


def test_samples_hold_the_matrix_itself() -> None:
    """A sample refers to the whole matrix and names rows of it: nothing is copied to learn from windows."""
    X = market(900).X
    assert Sample(X, np.arange(5), np.zeros(5), np.ones(5)).X is X
