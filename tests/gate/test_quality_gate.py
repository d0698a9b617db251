"""The consumer's side of the gate: what it answers, and that it fails closed."""

import json
import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from papergate import FAMILY, NOW_US, Bundles, report

from scalper_ml.errors import SettingsError
from scalper_ml.gate.environment import GateEnvironment, gate_environment
from scalper_ml.gate.published import Refused
from scalper_ml.gate.quality_gate import REFUSALS, QualityGate
from scalper_ml.gate.thresholds import build_thresholds, document_id, thresholds_bytes

REPORTS = [
    report("BTCUSDT", 1, 80.0),
    report("BTCUSDT", 3, 30.0),
    report("ETHUSDT", 1, 65.0),
    report("SOLUSDT", 1, 55.0),
    report("XRPUSDT", 1, 20.0),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with a coin ACTIVE, one in WARMUP, one LOW and one REJECTED, written now."""
    return publish(tmp_path / "thresholds.json", build_thresholds(REPORTS, **FAMILY))


def publish(path: Path, document: dict, *, written_us: int = NOW_US) -> Path:
    path.write_bytes(thresholds_bytes(document))
    os.utime(path, ns=(written_us * 1000, written_us * 1000))
    return path


def gate_of(path: Path, *, loop="live", bundles=None, clock=lambda: NOW_US, **environment) -> QualityGate:
    champions = Bundles() if bundles is None else bundles
    return QualityGate(path, environment=GateEnvironment(**environment), loop=loop, champions=champions, now_us=clock)


@pytest.mark.parametrize(
    ("symbol", "loop", "trades", "action", "size", "mode", "code"),
    [
        ("BTCUSDT", "live", True, "ACTIVE", 1.0, "live", "accepted"),
        ("BTCUSDT", "paper", True, "ACTIVE", 1.0, "live", "accepted"),
        ("ETHUSDT", "live", False, "WARMUP", 0.0, "paper", "paper_only"),
        ("ETHUSDT", "paper", True, "WARMUP", 1.0, "paper", "accepted"),
        ("SOLUSDT", "live", True, "LOW", 0.5, "live", "accepted"),
        ("XRPUSDT", "paper", False, "NO_TRADE", 0.0, "none", "expectancy_not_significant"),
        ("DOGEUSDT", "paper", False, "NO_TRADE", 0.0, "none", "unknown_coin"),
    ],
)
def test_each_action_answers_as_published(path, symbol, loop, trades, action, size, mode, code):
    """ACTIVE and LOW trade, WARMUP only where the loop is on paper, REJECTED and unknown coins never."""
    answer = gate_of(path, loop=loop).should_trade(symbol, 0.95)
    assert (answer["should_trade"], answer["action"], answer["size_factor"]) == (trades, action, size)
    assert (answer["mode"], answer["reason_code"]) == (mode, code)
    assert answer["reason"]


def test_a_horizon_is_asked_for_or_the_best_one_answers(path):
    """Without a horizon the best accepted one speaks; another one has its own verdict, an unknown one none."""
    gate = gate_of(path)
    assert gate.should_trade("BTCUSDT", 0.9)["horizon"] == 1
    assert gate.should_trade("BTCUSDT", 0.9, 3)["reason_code"] == "expectancy_not_significant"
    assert gate.should_trade("BTCUSDT", 0.9, 7)["reason_code"] == "unknown_horizon"
    assert gate.should_trade("ETHUSDT", 0.9, 3)["reason_code"] == "not_scored"


def test_confidence_is_held_against_the_published_one(path):
    """On the edge it trades, a hair below it does not; what is no probability is no signal."""
    gate = gate_of(path)
    assert gate.should_trade("SOLUSDT", 0.65)["should_trade"]
    assert gate.should_trade("SOLUSDT", 0.6499)["reason_code"] == "below_min_confidence"
    for wrong in (float("nan"), 1.2, -0.1):
        assert gate.should_trade("SOLUSDT", wrong)["reason_code"] == "invalid_signal"


def test_min_confidence_moves_the_floor_and_never_opens_rejected(path):
    """It replaces the tier's floor downwards to the scored threshold and upwards; REJECTED stays closed."""
    assert gate_of(path, min_confidence=0.5).should_trade("SOLUSDT", 0.61)["should_trade"]
    below = gate_of(path, min_confidence=0.0).should_trade("SOLUSDT", 0.59)
    assert (below["should_trade"], below["reason_code"]) == (False, "below_min_confidence")
    assert not gate_of(path, min_confidence=0.9).should_trade("BTCUSDT", 0.89)["should_trade"]
    assert not gate_of(path, min_confidence=0.0).should_trade("XRPUSDT", 1.0)["should_trade"]


def test_an_open_gate_is_for_paper_and_warns_once_a_minute(path, caplog):
    """QUALITY_GATE_ENABLED=0 answers UNGATED: true on paper only, with one warning a minute."""
    now = [NOW_US]
    gate = gate_of(path, enabled=False, loop="paper", clock=lambda: now[0])
    with caplog.at_level(logging.WARNING):
        answers = [gate.should_trade("DOGEUSDT", 0.5) for _ in range(3)]
        now[0] += 59_000_000
        gate.should_trade("DOGEUSDT", 0.5)
        assert len(caplog.records) == 1
        now[0] += 1_000_000
        gate.should_trade("DOGEUSDT", 0.5)
    assert len(caplog.records) == 2
    assert {(a["should_trade"], a["action"], a["mode"]) for a in answers} == {(True, "UNGATED", "paper")}
    assert not gate_of(path, enabled=False).should_trade("BTCUSDT", 0.99)["should_trade"]


def test_it_follows_the_file(path):
    """A replaced file answers at once; a removed one refuses; one that comes back answers again."""
    gate = gate_of(path)
    assert gate.should_trade("BTCUSDT", 0.9)["should_trade"]
    path.unlink()
    assert gate.should_trade("BTCUSDT", 0.9)["reason_code"] == "file_missing"
    publish(path, build_thresholds([], **FAMILY))
    assert gate.should_trade("BTCUSDT", 0.9)["reason_code"] == "not_scored"
    publish(path, build_thresholds(REPORTS, **FAMILY))
    assert gate.should_trade("BTCUSDT", 0.9)["should_trade"]


def _looser(document: dict) -> dict:
    """A verdict made looser and the document signed anew: consistent as a whole, not in itself."""
    verdict = document["coins"]["SOLUSDT"]["horizons"]["1"]
    verdict["min_confidence"] = 0.2
    return document | {"document_id": document_id(document)}


def _signed(data: bytes, change: Callable[[dict, dict], object]) -> bytes:
    """The document and its verdict of SOLUSDT changed, and signed anew."""
    document = json.loads(data)
    change(document, document["coins"]["SOLUSDT"]["horizons"]["1"])
    return thresholds_bytes(document | {"document_id": document_id(document)})


BROKEN = {
    "no number": lambda data: data.replace(b'"size_factor": 1.0', b'"size_factor": NaN', 1),
    "beyond numbers": lambda data: data.replace(b'"size_factor": 1.0', b'"size_factor": 1e999', 1),
    "too deep": lambda data: b"[" * 200_000,
    "no coins": lambda data: _signed(data, lambda document, verdict: document.pop("coins")),
    "coins of nothing": lambda data: _signed(data, lambda document, verdict: document.update(coins=None)),
    "no timeframe": lambda data: _signed(data, lambda document, verdict: document.pop("timeframe")),
    "no age": lambda data: _signed(data, lambda document, verdict: document.update(max_age_days=None)),
    "no action": lambda data: _signed(data, lambda document, verdict: verdict.pop("action")),
    "no threshold": lambda data: _signed(data, lambda document, verdict: verdict.update(threshold=None)),
    "scored some day": lambda data: _signed(data, lambda document, verdict: verdict.update(scored_until="some day")),
    "fifty times": lambda data: _signed(data, lambda document, verdict: verdict.update(size_factor=50)),
    "a big one": lambda data: _signed(data, lambda document, verdict: verdict.update(size_factor="big")),
    "cut": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "one digit": lambda data: data.replace(b'"score_0_100": 20.0', b'"score_0_100": 90.0'),
    "of another format": lambda data: data.replace(b'"format": 2', b'"format": 1'),
    "a list": lambda data: b"[]",
    "too loose": lambda data: thresholds_bytes(_looser(json.loads(data))),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_corrupt_file_closes_the_gate(path, how):
    """Cut, empty, altered, foreign or self-contradicting: nothing trades, also where a good file was read before."""
    gate = gate_of(path, loop="paper")
    assert gate.should_trade("BTCUSDT", 0.9)["should_trade"]
    data = path.read_bytes()
    path.write_bytes(BROKEN[how](data))
    answer = gate.should_trade("BTCUSDT", 0.9)
    assert (answer["should_trade"], answer["reason_code"]) == (False, "file_corrupt")


@pytest.mark.parametrize(
    ("symbol", "confidence", "horizon"),
    [
        ("BTCUSDT", "0.9", None), ("BTCUSDT", None, None), ("BTCUSDT", True, None), ("BTCUSDT", float("nan"), None),
        ("BTCUSDT", 10**400, None), ("BTCUSDT", -0.1, None), ([], 0.9, None), (None, 0.9, None), ("BTCUSDT", 0.9, []),
    ],
)  # fmt: skip
@pytest.mark.parametrize("enabled", [True, False])
def test_what_is_no_signal_is_an_answer(path, symbol, confidence, horizon, enabled):
    """A symbol, confidence or horizon that is none is refused with its code, the gate on or off; others go on."""
    gate = gate_of(path, loop="paper", enabled=enabled)
    answer = gate.should_trade(symbol, confidence, horizon)
    assert (answer["should_trade"], answer["reason_code"]) == (False, "invalid_signal")
    bad = {"symbol": symbol, "confidence": confidence, "horizon": horizon}
    passed, filtered = gate.filter_signals([bad, "BTCUSDT", {"symbol": "BTCUSDT", "confidence": np.float32(0.9)}])
    assert (len(passed), [one["filtered_reason"] for one in filtered]) == (1, ["invalid_signal"] * 2)


def test_old_files_and_old_scores_close_the_gate(tmp_path):
    """Past max_age_days the file is stale, and so is a score of older data; planted markets age with the file."""
    day = 86_400_000_000
    path = publish(tmp_path / "t.json", build_thresholds(REPORTS, **FAMILY), written_us=NOW_US - 31 * day)
    assert gate_of(path).should_trade("BTCUSDT", 0.9)["reason_code"] == "file_stale"
    publish(path, build_thresholds(REPORTS, **FAMILY))
    assert gate_of(path, clock=lambda: NOW_US + 29 * day).should_trade("BTCUSDT", 0.9)["reason_code"] == "score_stale"
    planted = report("BTCUSDT", 1, 80.0)
    planted["lineage"]["calendar"] = False
    publish(path, build_thresholds([planted], **FAMILY))
    assert gate_of(path, clock=lambda: NOW_US + 29 * day).should_trade("BTCUSDT", 0.9)["should_trade"]


def test_an_unverified_bundle_closes_the_gate(path):
    """Whatever keeps the bundle from being verified is the answer, with its own code."""
    for code in ("bundle_not_verified", "no_champion"):
        answer = gate_of(path, bundles=Bundles(Refused(code, "why"))).should_trade("BTCUSDT", 0.9)
        assert (answer["should_trade"], answer["reason_code"], answer["reason"]) == (False, code, "why")


def test_the_bundle_asked_for_is_the_one_that_was_scored(path):
    """Verification is asked for symbol, horizon, layer and bundle of the verdict."""
    bundles = Bundles()
    gate_of(path, bundles=bundles).should_trade("BTCUSDT", 0.9)
    assert bundles.asked == [("BTCUSDT", 1, "models/xgb_classifier", "b" * 64)]


def test_another_timeframe_and_models_for_all_coins_are_refused(path):
    """ML_DEFAULT_TF must be the file's; USE_ML_PER_COIN=0 leaves no model."""
    assert gate_of(path, timeframe="15m").should_trade("BTCUSDT", 0.9)["should_trade"]
    assert gate_of(path, timeframe="1m").should_trade("BTCUSDT", 0.9)["reason_code"] == "timeframe_differs"
    assert gate_of(path, per_coin=False).should_trade("BTCUSDT", 0.9)["reason_code"] == "per_coin_disabled"


def test_filtered_signals_keep_their_signal_decision_and_reason(path):
    """Signals are parted in order; what is no signal is filtered and does not stop the others."""
    signals = [
        {"symbol": "BTCUSDT", "confidence": 0.9, "side": "LONG"},
        {"symbol": "XRPUSDT", "confidence": 0.9},
        {"confidence": 0.9},
        {"symbol": "BTCUSDT", "confidence": 0.9, "horizon": 3},
        {"symbol": "SOLUSDT", "confidence": 0.7},
    ]
    passed, filtered = gate_of(path).filter_signals(signals)
    assert [one["signal"] for one in passed] == [signals[0], signals[4]]
    assert all(one["filtered_reason"] is None and one["quality_gate_decision"]["should_trade"] for one in passed)
    codes = [one["filtered_reason"] for one in filtered]
    assert codes == ["expectancy_not_significant", "invalid_signal", "expectancy_not_significant"]
    assert [one["signal"] for one in filtered] == signals[1:4]
    assert set(filtered[0]) == {"signal", "quality_gate_decision", "filtered_reason"}


def test_every_refusal_of_the_gate_is_a_known_code(path, tmp_path):
    """No refusal comes without a code of REFUSALS or of a verdict."""
    late = datetime.fromtimestamp(NOW_US / 1e6, tz=UTC) + timedelta(days=90)
    gates = [
        gate_of(path, clock=lambda: round(late.timestamp() * 1e6)),
        gate_of(path, per_coin=False),
        gate_of(tmp_path / "none.json"),
        gate_of(path, timeframe="1h"),
        gate_of(tmp_path),
    ]
    for gate in gates:
        answer = gate.should_trade("BTCUSDT", 0.99)
        assert not answer["should_trade"]
        assert answer["reason_code"] in REFUSALS


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("QUALITY_GATE_ENABLED", "maybe"),
        ("USE_ML_PER_COIN", "2"),
        ("MIN_CONFIDENCE", "1.5"),
        ("MIN_CONFIDENCE", "nan"),
        ("MIN_CONFIDENCE", "high"),
        ("ML_DEVICE", "tpu"),
    ],
)
def test_a_variable_without_meaning_is_named(name, value):
    """A typo in the environment is an error that names the variable, never a default."""
    with pytest.raises(SettingsError, match=name):
        gate_environment({name: value})


def test_the_environment_is_read_by_name():
    """All six variables, and their defaults where they are unset or empty."""
    assert gate_environment({"MIN_CONFIDENCE": "", "QUALITY_GATE_ENABLED": ""}) == GateEnvironment()
    found = gate_environment(
        {
            "QUALITY_GATE_ENABLED": "False",
            "QUALITY_GATE_FILE": "here.json",
            "MIN_CONFIDENCE": "0.7",
            "USE_ML_PER_COIN": "no",
            "ML_DEFAULT_TF": "15m",
            "ML_DEVICE": "cuda",
        }
    )
    assert found == GateEnvironment(False, "here.json", 0.7, False, "15m", "cuda")
