"""What `scalper run` says at its end of runs that failed for want of others."""

import io
from pathlib import Path

import pytest
from rich.console import Console
from tickproject import TickProject

from scalper_assets.commands import _conclude
from scalper_assets.driver import Outcome, Step


def test_runs_that_wait_are_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One bad file fails one run; the nineteen that read what it would have built are a line, not nineteen."""
    project = TickProject.make(tmp_path / "project", monkeypatch).open()
    project.warehouse.block("ticks", {"symbol": "BTCUSDT"}, "BTCUSDT-1.csv: no trades")
    step = Step(("ticks", "bars"), (("symbol", "BTCUSDT"),))
    outcomes = [Outcome(step, ("ticks",), 1.0, error="ticks: blocking checks failed (files_read: BTCUSDT-1.csv)")]
    for horizon in range(19):
        later = Step(("datasets",), (("symbol", "BTCUSDT"), ("horizon", horizon)))
        text = "WarehouseError: features: nothing materialised; materialise features first"
        outcomes.append(Outcome(later, ("datasets",), 0.1, error=text))
    out = io.StringIO()
    _conclude(Console(file=out, width=300), project, outcomes, None)
    said = out.getvalue()
    assert said.count("materialise features first") == 1
    assert "19 runs read what is not there, BTCUSDT x 0 first" in said
    assert "20 runs failed" in said
    assert "blocked ticks BTCUSDT: build: BTCUSDT-1.csv: no trades" in said
