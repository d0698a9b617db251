"""A month after a market turned: what is retrained, refused, kept in the shadow, promoted; in the data's own time."""

import itertools
from pathlib import Path

import pytest
from flipproject import DAY_US, KEYS, NEW_DATA, TRAINING, with_champion

from scalper_ml.layers.champion_record import read_record
from scalper_ml.layers.retraining import consider, request_retrain, retrain_log, settle

DAYS = 36.0


@pytest.mark.verify
def test_early_challengers_are_refused_and_one_takes_the_place_in_time(tmp_path: Path) -> None:
    """Day by day for 32 days: retrains are a day apart or more, the first are refused with reasons, one is promoted."""
    place = with_champion(DAYS).copy(tmp_path / "project")
    project = place.project
    first = read_record(project, KEYS).bundle_id
    for day in range(32):
        place.put(3.5 + day, 4.5 + day, of_days=DAYS)
        place.build(*NEW_DATA)
        challenger = read_record(project, KEYS).challenger
        if challenger is not None and challenger["status"] == "shadow":
            place.build("champions")
        place.build("drift")
        settle(project, KEYS)
        found = consider(project, KEYS)
        if found is not None and found[0].retrain:
            request_retrain(project, KEYS, *found)
            place.build(*TRAINING, "champions")
            settle(project, KEYS, "success")
        if read_record(project, KEYS).bundle_id not in (None, first):
            break
    rows = retrain_log(project, KEYS)
    for row in rows:
        print(row["requested_ts_us"], row["triggers"], row["outcome"], row["reason"])
    gaps = [(b["requested_ts_us"] - a["requested_ts_us"]).total_seconds() * 1e6 for a, b in itertools.pairwise(rows)]
    assert all(gap >= DAY_US for gap in gaps)
    assert rows[0]["outcome"] == "refused"
    assert rows[-1]["outcome"] == "promoted"
    record = read_record(project, KEYS)
    assert record.bundle_id not in (None, first)
    (promoted,) = [one for one in record.history if one["event"] == "promoted" and one["bundle_id"] == record.bundle_id]
    assert promoted["replaced"] == first
    assert rows[-1]["reason"] == promoted["reason"]
    assert "challenger_shadow" in [one["event"] for one in record.history]
