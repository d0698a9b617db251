"""``scalper models list|show|compare|promote|rollback`` on a project with a champion and a challenger."""

import json
from pathlib import Path

import pytest
import yaml
from flipproject import KEYS, with_challenger
from tickproject import TickProject

from scalper_ml.layers.champion_record import read_record

WHERE = ["--symbol", "FLIPUSDT", "--horizon", "1"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TickProject:
    """A champion, and a challenger from another seed."""
    flip = with_challenger().copy(tmp_path / "project")
    (tmp_path / "project" / "config").mkdir(exist_ok=True)
    settings = flip.project.settings.model_dump(mode="json")
    settings["source"].pop("options", None)
    (tmp_path / "project" / "config" / "settings.yaml").write_text(
        yaml.safe_dump({**settings, "profile": "mine", "profiles": {"mine": {}}})
    )
    return TickProject(tmp_path / "project", monkeypatch)


def test_the_registry_from_the_command_line(place: TickProject) -> None:
    """List shows both, compare sets them side by side, promote and rollback swap them, show tells who was live when."""
    (row,) = json.loads(place.scalper("models", "list", "--json").out)
    champion, challenger = row["bundle_id"], row["challenger"]
    assert row["standing"] == "live"
    assert row["challenger_says"] == "shadow: shadow run of 0.0 h; 48 h asked for"
    assert champion[:12] in place.scalper("models", "list").out
    (compared,) = json.loads(place.scalper("models", "compare", *WHERE, "--json").out)
    assert (compared["first"], compared["second"]) == (champion, challenger)
    assert compared["rows"] > 1000
    assert "that neither was made from" in place.scalper("models", "compare", *WHERE).out
    done = place.scalper("models", "promote", *WHERE, challenger[:8], "--reason", "for the test")
    assert done.code == 0, done.err
    assert read_record(place.open(), KEYS).bundle_id == challenger
    refused = place.scalper("models", "promote", *WHERE, "feedbeef")
    assert refused.code == 2
    assert champion[:12] in refused.err
    assert place.scalper("models", "rollback", *WHERE).code == 0
    history = json.loads(place.scalper("models", "show", *WHERE, "--json").out)
    assert [one["event"] for one in history] == ["promoted", "challenger_shadow", "promoted", "rolled_back"]
    assert history[2]["reason"] == "for the test"
    (live,) = json.loads(place.scalper("models", "show", *WHERE, "--at", "2030-01-01T00:00:00Z", "--json").out)
    assert live["bundle_id"] == champion
    assert "nothing had been decided by then" in place.scalper("models", "show", *WHERE, "--at", "2020-01-01").out
    assert place.scalper("models", "suspend", *WHERE, "--reason", "holiday").code == 0
    assert json.loads(place.scalper("models", "list", "--json").out)[0]["standing"] == "suspended"
    assert "trades again" in place.scalper("models", "resume", *WHERE).out
    assert "is not suspended" in place.scalper("models", "resume", *WHERE).err
    assert place.scalper("models", "compare", *WHERE, "", "").code == 2
    wrong = place.scalper("models", "show", *WHERE, "--at", "noon")
    assert wrong.code == 2
    assert "expected a moment such as" in wrong.err
    (place.open().warehouse.folder("champions", KEYS) / "manifest.json").write_text("{")
    (row,) = json.loads(place.scalper("models", "list", "--json").out)
    assert (row["standing"], row["bundle_id"]) == ("unreadable", None)
