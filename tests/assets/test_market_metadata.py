"""What the asset of all coins shows of their ticks."""

from pathlib import Path

import pytest
from tickproject import TickProject, tape

from scalper_assets import metadata
from scalper_ml.warehouse import Manifest


def test_the_market_shows_the_coverage_of_all_symbols(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One heat map of all symbols over the days of all; none where there are no ticks."""
    place = TickProject.make(tmp_path / "project", monkeypatch)
    summary = {"lead": "BTCUSDT", "missing": [], "rows_by_symbol": {"BTCUSDT": 1, "ETHUSDT": 1}}
    market = Manifest("market", {}, files={}, content="", inputs={}, checks=[], summary=summary, beside={})
    show = metadata.DESCRIBE["market"]
    assert "coverage" not in show(place.open(), market)
    place.put("in/BTCUSDT-1.csv", tape(0))
    place.put("in/ETHUSDT-1.csv", tape(3, 2))
    assert place.scalper("ingest", "in").code == 0
    assert "data:image/svg+xml;base64" in str(show(place.open(), market)["coverage"].value)
