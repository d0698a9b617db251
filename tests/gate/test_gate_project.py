"""The gate of a project with a warehouse: bundles are verified for real, and entry points read what they should."""

from pathlib import Path

import pytest
from papergate import NOW_US, report

from scalper_ml.errors import SettingsError
from scalper_ml.gate import get_quality_gate
from scalper_ml.gate.champion_bundles import ChampionBundles
from scalper_ml.gate.published import Refused
from scalper_ml.gate.thresholds import build_thresholds, thresholds_bytes
from scalper_ml.models.bundle import seal
from scalper_ml.warehouse import Warehouse

LAYER = "models/logistic_classifier"
KEYS = {"symbol": "BTCUSDT", "horizon": 1}


def sealed(**changes) -> tuple[str, dict[str, bytes]]:
    """A bundle as far as verification without loading reads it."""
    manifest = {"format": 2, "symbol": "BTCUSDT", "horizon": 1} | changes
    return seal({"weights.json": b"{}", "scaler.json": b"{}"}, manifest)


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    """One champion whose bundle is there."""
    found = Warehouse(tmp_path / "warehouse")
    put(found, *sealed())
    return found


def put(warehouse: Warehouse, bundle_id: str, files: dict[str, bytes], **pointer) -> str:
    folder = warehouse.folder(LAYER, KEYS) / "bundles" / bundle_id
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    summary = {"bundle_id": bundle_id, "layer": LAYER, "suspended": None, "action": "ACTIVE", "quality_tier": "HIGH"}
    summary |= {"score_0_100": 78.0, "min_confidence": 0.7, "reason": "accepted", "scored_through_us": NOW_US} | pointer
    warehouse.write("champions", KEYS, {"champion.json": b"{}"}, inputs={}, summary=summary)
    return bundle_id


def published(bundle_id: str, **changes) -> dict:
    """The verdict of the file on a bundle."""
    plain = {"action": "ACTIVE", "layer": LAYER, "bundle_id": bundle_id, "report_id": "r", "scored_until": None}
    return plain | {"min_confidence": 0.6, "reason": "accepted", "reasons": ["accepted"]} | changes


def refusal(warehouse: Warehouse, bundle_id: str, champions: ChampionBundles | None = None) -> str | None:
    try:
        (champions or ChampionBundles(warehouse))("BTCUSDT", 1, published(bundle_id))
    except Refused as refused:
        return refused.code
    return None


def test_the_champions_bundle_is_verified_byte_by_byte(warehouse):
    """The sealed bundle passes; a byte more, a byte less or a file missing refuses, also after it passed."""
    bundle_id, files = sealed()
    champions = ChampionBundles(warehouse)
    assert refusal(warehouse, bundle_id, champions) is None
    folder = warehouse.folder(LAYER, KEYS) / "bundles" / bundle_id
    for name, data in files.items():
        (folder / name).write_bytes(data + b" ")
        assert refusal(warehouse, bundle_id, champions) == "bundle_not_verified", name
        (folder / name).unlink()
        assert refusal(warehouse, bundle_id, champions) == "bundle_not_verified", name
        (folder / name).write_bytes(data)
        assert refusal(warehouse, bundle_id, champions) is None, name


def test_without_a_champion_nothing_trades(tmp_path):
    """Nothing runs: what would trade is refused, what would not keeps its own reason."""
    empty = Warehouse(tmp_path / "empty")
    assert refusal(empty, sealed()[0]) == "no_champion"
    closed = published("f" * 64, action="NO_TRADE", reason="too_few_trades")
    assert ChampionBundles(empty)("BTCUSDT", 1, closed) is closed


def test_a_champion_goes_on_under_its_own_verdict_while_another_is_scored(warehouse):
    """A candidate that was accepted, or refused, does not speak for the champion that runs; its bundle is verified."""
    champions, bundle_id = ChampionBundles(warehouse), sealed()[0]
    for action in ("ACTIVE", "NO_TRADE"):
        verdict = champions("BTCUSDT", 1, published("f" * 64, action=action))
        assert (verdict["bundle_id"], verdict["min_confidence"], verdict["threshold"]) == (bundle_id, 0.7, 0.7)
        assert (verdict["action"], verdict["size_factor"], verdict["scored_until"]) == ("ACTIVE", 1.0, None)
    (warehouse.folder(LAYER, KEYS) / "bundles" / bundle_id / "scaler.json").unlink()
    assert refusal(warehouse, "f" * 64, champions) == "bundle_not_verified"


def test_a_suspended_champion_is_refused(warehouse):
    """Suspended by a monitor or by hand: nothing trades, whatever the file says."""
    put(warehouse, *sealed(), suspended="drawdown", action="NO_TRADE")
    assert refusal(warehouse, sealed()[0]) == "suspended"
    assert refusal(warehouse, "f" * 64) == "suspended"


def test_a_champion_that_may_not_trade_is_refused_although_its_bundle_is_published(warehouse):
    """What the pointer forbids no published verdict allows."""
    put(warehouse, *sealed(), action="NO_TRADE")
    assert refusal(warehouse, sealed()[0]) == "no_champion"


def test_a_bundle_of_another_coin_is_refused(warehouse):
    """A bundle that says it is of another symbol is not this coin's."""
    assert refusal(warehouse, put(warehouse, *sealed(symbol="ETHUSDT"))) == "bundle_not_verified"


@pytest.fixture
def project(tmp_path: Path, warehouse: Warehouse) -> Path:
    """A folder with settings, a thresholds file with one ACTIVE coin, and its champion."""
    settings = Path(__file__).parents[2] / "config" / "settings.yaml"
    (tmp_path / "config").mkdir()
    text = settings.read_text().replace("storage: {root: warehouse/demo}", "storage: {root: warehouse}")
    (tmp_path / "config" / "settings.yaml").write_text(text)
    one = report("BTCUSDT", 1, 80.0)
    one["lineage"] |= {"bundle_id": sealed()[0], "layer": LAYER, "calendar": False}
    document = build_thresholds([one], symbols=["BTCUSDT"], horizons=[1], version="v1", timeframe="15m")
    (tmp_path / "config" / "per_coin_thresholds.json").write_bytes(thresholds_bytes(document))
    return tmp_path


def test_the_entry_point_reads_the_projects_file_and_bundles(project):
    """With nothing but a folder: the published coin trades, and stops when its bundle is touched."""
    gate = get_quality_gate(environment={}, folder=project, now_us=clock)
    assert gate.should_trade("BTCUSDT", 0.9)["should_trade"]
    assert get_quality_gate(environment={}, folder=project, now_us=clock) is gate
    bundle = next((project / "warehouse").rglob("weights.json"))
    bundle.write_bytes(b"[]")
    assert gate.should_trade("BTCUSDT", 0.9)["reason_code"] == "bundle_not_verified"


def clock() -> int:
    return NOW_US


def test_the_environment_names_another_file_or_none(project, tmp_path):
    """QUALITY_GATE_FILE is followed, also where there is no project; then nothing can be verified."""
    named = {"QUALITY_GATE_FILE": str(project / "config" / "per_coin_thresholds.json")}
    gate = get_quality_gate(environment=named, folder=project, now_us=clock)
    assert gate.should_trade("BTCUSDT", 0.9)["should_trade"]
    gone = get_quality_gate(environment={"QUALITY_GATE_FILE": "none.json"}, folder=project, now_us=clock)
    assert gone.should_trade("BTCUSDT", 0.9)["reason_code"] == "file_missing"
    with pytest.raises(SettingsError, match="MIN_CONFIDENCE"):
        get_quality_gate(environment={"MIN_CONFIDENCE": "2"}, folder=project)
