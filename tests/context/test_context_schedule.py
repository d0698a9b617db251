"""The schedule of a feed: changes of the funding interval, holes, days without a value."""

from itertools import pairwise

import numpy as np
import pytest
from contextdata import DAY_0, HOUR, Row, context, level
from hypothesis import assume, given
from hypothesis import strategies as st

from scalper_ml.context import context_gaps, interval_changes, missing_days


def funding(hours: list[float]) -> list[Row]:
    return [("funding_rate", DAY_0 + round(h * HOUR), DAY_0 + round(h * HOUR), 0.0) for h in hours]


@pytest.mark.parametrize(
    ("hours", "changes", "missing"),
    [
        ([0, 8, 16, 24, 28, 32, 33, 34], [(28, 8, 4), (33, 4, 1)], []),  # 8 to 4 to 1
        ([0, 1, 2, 3, 11, 19, 27], [(11, 1, 8)], []),  # back to 8: the longer step is repeated
        ([0, 4, 8, 16, 20, 24], [], [(8, 16, 1)]),  # one 4 h settlement missing
        ([0, 8, 16, 40, 48], [], [(16, 40, 2)]),  # 24 h is an interval, but not repeated
        ([0, 8, 24, 40, 48, 56], [], [(8, 24, 1), (24, 40, 1)]),  # 16 h is no interval of any venue
        ([0, 16, 24, 32], [], [(0, 16, 1)]),  # a hole at the very start
        ([0, 8, 12, 16, 20], [], [(0, 8, 1)]),  # the same, as long as an interval of venues
        ([0, 8, 16, 24, 48, 72, 96], [(48, 8, 24)], []),
        ([0, 8], [], []),
    ],
)
def test_changes_and_holes_of_funding(
    hours: list[float], changes: list[tuple[int, int, int]], missing: list[tuple[int, int, int]]
) -> None:
    """A shorter step is a change; a longer one is a change if repeated and known to venues, else a hole."""
    table = context(funding(hours))
    found = [((c.event_ts_us - DAY_0) // HOUR, c.before_h, c.after_h) for c in interval_changes(table)]
    assert found == changes
    gaps = context_gaps(table)
    begin, end = ((gaps.column(n).cast("int64").to_numpy() - DAY_0) // HOUR for n in ("from_ts_us", "to_ts_us"))
    assert list(zip(begin.tolist(), end.tolist(), gaps.column("missing").to_pylist(), strict=True)) == missing


@given(st.integers(4, 40), st.sets(st.integers(2, 37)), st.sampled_from([1, 4, 8]))
def test_every_settlement_taken_out_is_found_missing(n: int, out: set[int], step: int) -> None:
    """Of a regular schedule as many are missing as were taken out, unless holes look regular."""
    out = {i for i in out if i < n - 2}
    kept = [i for i in range(n) if i not in out]
    steps = np.diff(kept)
    assume(not any(a == b > 1 for a, b in pairwise(steps)))  # two equal long steps in a row are a longer interval
    table = context(funding([i * step for i in kept]))
    assert sum(context_gaps(table).column("missing").to_pylist()) == len(out)
    assert interval_changes(table) == ()


def test_holes_of_other_kinds_are_measured_by_their_commonest_step() -> None:
    """Hourly values without two of them; events without a schedule have no holes."""
    rows = [row for i, row in enumerate(level("open_interest", [1.0] * 10)) if i not in (4, 5)]
    rows += [("liquidated_long", DAY_0 + h * HOUR, DAY_0 + h * HOUR, 1.0) for h in (0, 1, 2, 9)]
    (gap,) = context_gaps(context(rows)).to_pylist()
    assert (gap["kind"], gap["missing"], gap["period_us"]) == ("open_interest", 2, HOUR)
    assert (gap["to_ts_us"] - gap["from_ts_us"]).total_seconds() == 3 * 3600


def test_days_without_a_value_are_listed() -> None:
    """Values on the first, the fourth and the fifth day: the second and the third are missing."""
    rows = [("open_interest", DAY_0 + d * 24 * HOUR + HOUR, DAY_0 + d * 24 * HOUR + HOUR, 1.0) for d in (0, 3, 4)]
    table = context(rows)
    assert ((missing_days(table, "open_interest") - DAY_0) // (24 * HOUR)).tolist() == [1, 2]
    assert missing_days(table, "funding_rate").tolist() == []


def test_a_revision_is_no_further_event() -> None:
    """Revisions leave the schedule as it is."""
    rows = level("funding_rate", [0.1] * 4, step=8 * HOUR)
    later = [("funding_rate", rows[1][1], rows[1][2] + 5, 0.7)]
    assert context_gaps(context(rows + later)).equals(context_gaps(context(rows)))
