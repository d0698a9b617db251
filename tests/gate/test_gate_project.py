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


def put(warehouse: Warehouse, bundle_id: str, files: dict[str, bytes]) -> str:
    folder = warehouse.folder(LAYER, KEYS) / "bundles" / bundle_id
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    warehouse.write("champions", KEYS, {"champion.json": b"{}"}, inputs={}, summary={"bundle_id": bundle_id})
    return bundle_id


def refusal(warehouse: Warehouse, bundle_id: str, verify: ChampionBundles | None = None) -> str | None:
    try:
        (verify or ChampionBundles(warehouse))("BTCUSDT", 1, LAYER, bundle_id)
    except Refused as refused:
        return refused.code
    return None


def test_the_champions_bundle_is_verified_byte_by_byte(warehouse):
    """The sealed bundle passes; a byte more, a byte less or a file missing refuses, also after it passed."""
    bundle_id, files = sealed()
    verify = ChampionBundles(warehouse)
    assert refusal(warehouse, bundle_id, verify) is None
    folder = warehouse.folder(LAYER, KEYS) / "bundles" / bundle_id
    for name, data in files.items():
        (folder / name).write_bytes(data + b" ")
        assert refusal(warehouse, bundle_id, verify) == "bundle_not_verified", name
        (folder / name).unlink()
        assert refusal(warehouse, bundle_id, verify) == "bundle_not_verified", name
        (folder / name).write_bytes(data)
        assert refusal(warehouse, bundle_id, verify) is None, name


def test_another_champion_or_none_is_refused(warehouse, tmp_path):
    """The verdict's bundle must be the one the bot would run."""
    assert refusal(warehouse, "f" * 64) == "no_champion"
    assert refusal(Warehouse(tmp_path / "empty"), sealed()[0]) == "no_champion"


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
