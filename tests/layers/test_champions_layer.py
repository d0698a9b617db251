"""The champion of a partition: promoted, challenged, suspended, rolled back; and what was live when."""

import json
import multiprocessing
import os
from pathlib import Path

import pytest
from flipproject import DAY_US, KEYS, NEW_DATA, TRAINING, FlipProject, after_the_turn, with_challenger, with_champion

from scalper_ml.champions.record import Record, live_at
from scalper_ml.drift.policy import decide_retrain, triggers_of
from scalper_ml.errors import SupersededError, WarehouseError
from scalper_ml.layers.champion_changes import promote, resume, rollback, suspend
from scalper_ml.layers.champion_record import read_record
from scalper_ml.layers.champions import compare_bundles
from scalper_ml.layers.models import bundle_of
from scalper_ml.layers.retraining import consider, request_retrain, retrain_log, settle
from scalper_ml.live.replay import gate_of


@pytest.fixture
def place(tmp_path: Path) -> FlipProject:
    """A project with a champion of three and a half days."""
    return with_champion().copy(tmp_path / "project")


@pytest.fixture
def contested(tmp_path: Path) -> FlipProject:
    """The same with a challenger."""
    return with_challenger().copy(tmp_path / "project")


def challenger_of(place: FlipProject) -> str:
    """The bundle that asks for the place."""
    return str(place.project.warehouse.require("candidates", KEYS).summary["bundle_id"])


def test_the_first_accepted_candidate_is_champion(place: FlipProject) -> None:
    """Where nothing runs an accepted candidate is promoted, with its reference and until when it saw data."""
    record = read_record(place.project, KEYS)
    assert record.pointer is not None
    assert [one["event"] for one in record.history] == ["promoted"]
    assert record.pointer["action"] != "NO_TRADE"
    assert record.pointer["fitted_through_us"] < record.pointer["scored_through_us"] <= record.pointer["since_us"]
    assert record.pointer["reference"]["accuracy_lcb"] > 0.5
    assert record.pinned == [record.bundle_id]


def test_a_young_challenger_runs_in_the_shadow(contested: FlipProject) -> None:
    """A retrained model does not take the place at once: it is kept as a challenger with the reason, once told."""
    place, before = contested, read_record(with_champion().project, KEYS)
    bundle = challenger_of(place)
    record = read_record(place.project, KEYS)
    assert bundle != before.bundle_id
    assert record.bundle_id == before.bundle_id
    assert record.challenger is not None
    assert (record.challenger["bundle_id"], record.challenger["status"]) == (bundle, "shadow")
    assert record.challenger["reason"] == "shadow run of 0.0 h; 48 h asked for"
    assert record.challenger["shadow"]["parity"] == 0.0
    assert [one["event"] for one in record.history] == ["promoted", "challenger_shadow"]
    again = read_record(place.project, KEYS)
    place.build("champions")
    assert read_record(place.project, KEYS) == again
    assert set(record.pinned) == {before.bundle_id, bundle}


def test_by_hand_promoted_and_rolled_back(contested: FlipProject) -> None:
    """A challenger promoted by hand, a rollback, and a rebuild that does not undo it; each knows what it replaced."""
    project, first = contested.project, str(read_record(contested.project, KEYS).bundle_id)
    second = challenger_of(contested)
    assert promote(project, KEYS, second[:10], "looks good", expected=first).bundle_id == second
    assert bundle_of(project, "models/xgb_classifier", KEYS, second).bundle_id == second
    assert rollback(project, KEYS, "looks bad").bundle_id == first
    contested.build("champions")
    record = read_record(project, KEYS)
    assert record.bundle_id == first
    assert record.challenger is not None
    assert record.challenger["reason"] == "was rolled back; promote it by hand"
    events = [(one["event"], one["bundle_id"], one["replaced"]) for one in record.history]
    assert events[0] == ("promoted", first, None)
    assert ("promoted", second, first) in events
    assert ("rolled_back", first, second) in events
    assert project.warehouse.require("champions", KEYS).summary["bundle_id"] == first


def test_a_change_names_the_champion_it_was_decided_against(place: FlipProject) -> None:
    """What was decided against a champion that no longer runs is refused; so is a bundle nobody knows."""
    with pytest.raises(SupersededError, match="another change came first"):
        rollback(place.project, KEYS, "late", expected="0" * 64)
    with pytest.raises(WarehouseError, match="no champion before is kept"):
        rollback(place.project, KEYS, "nothing before")
    for typo in ("feedbeef", ""):
        with pytest.raises(WarehouseError, match="none kept here begin so"):
            promote(place.project, KEYS, typo, "typo")
    with pytest.raises(WarehouseError, match="it is the champion already"):
        promote(place.project, KEYS, str(read_record(place.project, KEYS).bundle_id), "again")
    assert len(read_record(place.project, KEYS).history) == 1


def test_a_damaged_bundle_is_not_promoted(contested: FlipProject) -> None:
    """A pointer is only swapped to a bundle that loads; the champion in place stays."""
    place, first, second = contested, read_record(contested.project, KEYS).bundle_id, challenger_of(contested)
    folder = place.project.warehouse.folder("models/xgb_classifier", KEYS) / "bundles" / second
    (folder / "calibrator.json").write_bytes(b"{}")
    with pytest.raises(Exception, match=r"calibrator.json: altered"):
        promote(place.project, KEYS, second, "damaged")
    assert read_record(place.project, KEYS).bundle_id == first


def test_a_suspended_champion_stands_still_until_it_is_resumed(place: FlipProject) -> None:
    """Suspended it trades nothing, a rebuild keeps it so, and resumed it may do what it did before."""
    project, action = place.project, read_record(place.project, KEYS).pointer["action"]  # type: ignore[index]
    suspend(project, KEYS, "too deep")
    place.build("champions")
    summary = project.warehouse.require("champions", KEYS).summary
    assert (summary["action"], summary["suspended"]) == ("NO_TRADE", "too deep")
    assert resume(project, KEYS, "checked").pointer["action"] == action  # type: ignore[index]
    assert len(suspend(project, KEYS, "again").history) == 4
    with pytest.raises(WarehouseError, match=r"suspend .*: found no reason; expected a word or more"):
        suspend(project, KEYS, " ")


def test_a_suspension_outlives_a_rollback(contested: FlipProject) -> None:
    """A suspended champion that is rolled back to is suspended still, is not promoted, and trades once resumed."""
    project, first = contested.project, read_record(contested.project, KEYS).pointer
    assert first is not None
    gate = gate_of(project, now_us=lambda: first["scored_through_us"] + DAY_US)
    assert gate.standing("FLIPUSDT", 1).trades
    suspend(project, KEYS, "too deep")
    promote(project, KEYS, challenger_of(contested), "by hand")
    with pytest.raises(WarehouseError, match=r"it was suspended \(too deep\); roll back to it, then resume it"):
        promote(project, KEYS, first["bundle_id"], "by hand")
    record = rollback(project, KEYS, "back", to=first["bundle_id"][:8])
    assert record.pointer is not None
    assert (record.bundle_id, record.pointer["suspended"]) == (first["bundle_id"], "too deep")
    assert not gate.standing("FLIPUSDT", 1).trades
    resumed = resume(project, KEYS, "checked").pointer
    assert resumed is not None
    assert (resumed["action"], resumed["suspended"]) == (first["action"], None)
    assert gate.standing("FLIPUSDT", 1).trades


def test_which_model_was_live_is_known_for_every_moment(place: FlipProject) -> None:
    """Stream time decides: before the first promotion none, then the bundle of the newest transition."""
    record = read_record(place.project, KEYS)
    since = int(record.history[0]["at_us"])
    assert live_at(record.history, since - 1) is None
    assert live_at(record.history, since + DAY_US)["bundle_id"] == record.bundle_id  # type: ignore[index]
    recorded = place.project.warehouse.read_bytes(place.project.warehouse.require("champions", KEYS), "recorded.json")
    assert len(json.loads(recorded)["recorded_us"]) == len(record.history)


def _swap(folder: str, settings: str, way: str, results: "multiprocessing.Queue[str]") -> None:
    """One process that promotes, rolls back or trains."""
    from scalper_ml.project import Project
    from scalper_ml.settings import Settings

    project = Project(Settings.model_validate_json(settings), Path(folder))
    try:
        if way == "promote":
            promote(project, KEYS, str(read_record(project, KEYS).challenger["bundle_id"]), "race")  # type: ignore[index]
        elif way == "rollback":
            rollback(project, KEYS, "race")
        else:
            FlipProject(project).build(*TRAINING, "champions")
        results.put("done")
    except (WarehouseError, TypeError) as error:
        results.put(f"{type(error).__name__}: {error}")


def race(place: FlipProject, *ways: str) -> list[str]:
    """Real processes at one partition, begun anew: one forked after OpenMP has had threads stands still."""
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[str] = context.Queue()
    settings = place.project.settings.model_dump_json()
    arguments = (str(place.project.folder), settings)
    processes = [context.Process(target=_swap, args=(*arguments, way, results)) for way in ways]
    for process in processes:
        process.start()
    said = [results.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
    return said


def consistent(record: Record) -> None:
    """Each transition replaced what ran before it, and the pointer is that of the newest."""
    running = None
    for one in record.history:
        if one["pointer"] is not None:
            assert one["replaced"] in (None, running)
            running = one["bundle_id"]
    assert running == record.bundle_id


def test_a_promotion_during_a_rollback_ends_as_one_after_the_other(contested: FlipProject) -> None:
    """Six processes that promote and roll back leave one chain of transitions, and a champion that loads."""
    place = contested
    said = race(place, "promote", "rollback", "promote", "rollback", "promote", "rollback")
    assert "done" in said
    record = read_record(place.project, KEYS)
    consistent(record)
    assert bundle_of(place.project, str(record.pointer["layer"]), KEYS, record.bundle_id)  # type: ignore[index]
    swaps = [one for one in record.history[2:] if one["pointer"] is not None]
    assert 1 <= len(swaps) <= said.count("done")


@pytest.mark.verify
def test_two_retrains_of_one_partition_leave_one_state(place: FlipProject) -> None:
    """Two processes that train, score and judge the same partition leave what one would have left."""
    os.environ["OMP_NUM_THREADS"] = "1"
    other = place.with_settings(splits={"seed": 9})
    said = race(other, "train", "train")
    assert said == ["done", "done"]
    record = read_record(place.project, KEYS)
    consistent(record)
    assert record.challenger is not None
    assert bundle_of(place.project, "models/xgb_classifier", KEYS, record.challenger["bundle_id"])


def test_a_flip_is_seen_suspends_and_asks_for_one_retrain(tmp_path: Path) -> None:
    """After the turn the monitor fires, the champion stops trading, one retrain is logged, and the next one waits."""
    place = after_the_turn().copy(tmp_path / "project")
    project, warehouse = place.project, place.project.warehouse
    seen = warehouse.require("drift/performance", KEYS).summary
    assert seen["state"] == "SUSPEND"
    assert "cusum_r" in {one["name"] for one in seen["alarms"]}
    assert read_record(project, KEYS).pointer["suspended"]  # type: ignore[index]
    found = consider(project, KEYS)
    assert found is not None
    assert found[0].retrain
    assert not consider(project, KEYS, running=4)[0].retrain  # type: ignore[index]
    row = request_retrain(project, KEYS, *found)
    assert request_retrain(project, KEYS, *found) == row
    assert consider(project, KEYS)[0].reason.startswith("cooling down: 0.0 h")  # type: ignore[index]
    place.build(*TRAINING, "champions")
    told = settle(project, KEYS, "success")
    assert told is not None
    assert told["outcome"] == "refused"
    assert "does not pass the gate" in told["reason"]
    assert [one["outcome"] for one in retrain_log(project, KEYS)] == ["refused"]
    assert settle(project, KEYS, "failure") == told


def test_looking_twice_is_looking_once(place: FlipProject, tmp_path: Path) -> None:
    """Drift looked at day by day, from saved state, has the bits of drift looked at once."""
    other = place.copy(tmp_path / "other")
    for begin, end in ((3.5, 3.75), (3.75, 4.0)):
        place.put(begin, end)
        place.build(*NEW_DATA, "drift")
        other.put(begin, end)
    other.build(*NEW_DATA, "drift")
    states = [one.project.warehouse.require("drift/performance", KEYS) for one in (place, other)]
    assert states[0].content == states[1].content
    assert states[0].summary["labels"] > 200
    assert states[0].summary["state"] in ("OK", "WATCH")
    seen = consider(place.project, KEYS)
    assert seen is not None
    assert triggers_of(seen[1]) == ()
    assert decide_retrain(seen[1]).reason == "nothing asks for it"


def test_two_bundles_are_compared_on_what_neither_has_seen(place: FlipProject) -> None:
    """A champion against itself earns no more; the rows lie after both were fitted."""
    pointer = dict(read_record(place.project, KEYS).pointer or {})
    found = compare_bundles(place.project, KEYS, pointer, pointer)
    assert (found.delta, found.better) == (0.0, 0.0)
    assert found.rows > 1000
    assert found.champion_trades == found.challenger_trades > 100
