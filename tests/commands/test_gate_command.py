"""``scalper gate``, ``thresholds`` and ``backtest`` where nothing has been built, and what they refuse."""

import json

import pytest
from typer.testing import CliRunner

from scalper_ml.cli import app
from scalper_ml.gate.thresholds import build_thresholds, thresholds_bytes

runner = CliRunner()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of its own with the repository's settings."""
    from pathlib import Path

    source = Path(__file__).parents[2] / "config" / "settings.yaml"
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "settings.yaml").write_bytes(source.read_bytes())
    monkeypatch.chdir(tmp_path)
    for name in ("SCALPER_SETTINGS", "QUALITY_GATE_ENABLED", "QUALITY_GATE_FILE", "MIN_CONFIDENCE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_without_a_file_the_answer_is_no(folder):
    """Exit code 1 and the reason code; as JSON, too."""
    done = runner.invoke(app, ["gate", "BTCUSDT", "0.9"])
    assert done.exit_code == 1
    assert "file_missing" in done.output
    (answer,) = json.loads(runner.invoke(app, ["gate", "BTCUSDT", "0.9", "--json"]).output)
    assert (answer["should_trade"], answer["mode"]) == (False, "none")


def test_the_environment_is_obeyed(folder, monkeypatch):
    """An open gate says yes to paper and no to money."""
    monkeypatch.setenv("QUALITY_GATE_ENABLED", "0")
    assert runner.invoke(app, ["gate", "BTCUSDT", "0.9", "--paper"]).exit_code == 0
    done = runner.invoke(app, ["gate", "BTCUSDT", "0.9"])
    assert (done.exit_code, "UNGATED" in done.output) == (1, True)


def test_a_coin_that_was_never_scored_is_refused_by_name(folder):
    """A whole file in which nothing was scored answers not_scored; an unknown coin is unknown."""
    document = build_thresholds([], symbols=["BTCUSDT"], horizons=[1], version="v1", timeframe="1m")
    (folder / "config" / "per_coin_thresholds.json").write_bytes(thresholds_bytes(document))
    assert "not_scored" in runner.invoke(app, ["gate", "BTCUSDT", "0.9"]).output
    assert "unknown_coin" in runner.invoke(app, ["gate", "ETHUSDT", "0.9"]).output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["gate", "BTCUSDT", "0.9", "--at", "yesterday"], "expected a moment"),
        (["backtest", "--symbol", "NOSUCHCOIN"], "not configured"),
        (["backtest", "--symbol", "EDGEUSDT", "--horizon", "1"], "materialise"),
        (["thresholds", "--min-score", "101"], "gate.min_score"),
    ],
)
def test_what_cannot_be_done_is_said(folder, arguments, told):
    """An impossible moment, an unknown coin, a project without data and an impossible score end with the reason."""
    done = runner.invoke(app, arguments)
    assert done.exit_code != 0
    assert told in str(done.exception)
