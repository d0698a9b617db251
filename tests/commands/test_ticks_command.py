"""``scalper ticks``: tables of the warehouse, as they are there."""

import json
from pathlib import Path

import pytest
from tickproject import TickProject, tape


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TickProject:
    """Two days of one coin with three days missing between, one bad row, and a coin without files."""
    place = TickProject.make(tmp_path / "project", monkeypatch)
    place.put("in/BTCUSDT-1.csv", tape(0))
    place.put("in/BTCUSDT-2.csv", tape(4) + "no [red],trade,at,all,9\n")
    assert place.scalper("ingest", "in").code == 0
    return place


def test_status_of_each_symbol(place: TickProject) -> None:
    """Status gives files, rows, days, span, coverage and failed checks; a symbol without files says so."""
    rows = json.loads(place.scalper("ticks", "status", "--json").out)
    there, none = rows
    assert (there["symbol"], there["state"], there["files"], there["rows"], there["days"]) == (
        "BTCUSDT", "ok", 2, 288, 2,
    )  # fmt: skip
    assert (there["first"], there["last"]) == ("2024-01-01T00:00:00Z", "2024-01-05T23:50:00Z")
    assert there["coverage"] == pytest.approx(2 * 144 / (5 * 1440))
    assert {"id_gaps", "missing_days", "quarantine_empty"} <= set(there["failed"])
    assert (none["symbol"], none["state"], none["rows"], none["coverage"]) == ("ETHUSDT", "none", 0, None)
    text = place.scalper("ticks", "status", "--symbol", "BTCUSDT").out
    assert "288" in text
    assert "ETHUSDT" not in text


def test_gaps_are_the_table_of_the_warehouse(place: TickProject) -> None:
    """Gaps gives every row of the gap table, the longest first; --limit cuts it and says so."""
    rows = json.loads(place.scalper("ticks", "gaps", "--json", "--limit", "0").out)
    project = place.open()
    manifest = project.warehouse.require("ticks", {"symbol": "BTCUSDT"})
    assert len(rows) == project.warehouse.read_table(manifest, "gaps.parquet").num_rows
    assert [row["seconds"] for row in rows] == sorted((row["seconds"] for row in rows), reverse=True)
    assert (rows[0]["kind"], rows[0]["missing"], rows[0]["seconds"]) == ("missing", 3 * 144, 3 * 86_400 + 600)
    assert (rows[0]["from"], rows[0]["to"]) == ("2024-01-01T23:50:00Z", "2024-01-05T00:00:00Z")


def test_quarantine_shows_file_line_and_reason(place: TickProject) -> None:
    """Quarantine gives the rejected row as it came, and counts reasons; markup in a row is shown, not obeyed."""
    rows = json.loads(place.scalper("ticks", "quarantine", "--json").out)
    assert [(row["symbol"], row["file"], row["line"], row["raw"]) for row in rows] == [
        ("BTCUSDT", "BTCUSDT-2.csv", 146, "no [red],trade,at,all,9")
    ]
    text = place.scalper("ticks", "quarantine").out
    assert "[red]" in text
    assert "1 x ts: not a stamp" in text
    assert json.loads(place.scalper("ticks", "quarantine", "--symbol", "ETHUSDT", "--json").out) == []


@pytest.mark.parametrize("command", ["status", "gaps", "quarantine"])
def test_an_unknown_symbol_is_refused_by_name(place: TickProject, command: str) -> None:
    """A symbol that is not configured ends with code 2 and is named, with those that are."""
    done = place.scalper("ticks", command, "--symbol", "SOLUSDT")
    assert done.code == 2
    assert "symbol 'SOLUSDT' is not configured" in done.err


def test_quarantine_of_a_blocked_build_is_shown_as_such(place: TickProject) -> None:
    """A build blocked for its rows shows those rows and why it is blocked; the published ones are back afterwards."""
    bad = place.put("in/BTCUSDT-3.csv", tape(7)[:300] + "no,trade,at,all,9\n" * 400)
    done = place.scalper("ingest", "in")
    assert (done.code, "readable" in done.err) == (1, True)
    rows = json.loads(place.scalper("ticks", "quarantine", "--json", "--limit", "0").out)
    assert {row["build"] for row in rows} == {"blocked"}
    assert sum(row["file"] == "BTCUSDT-3.csv" for row in rows) == 400
    text = place.scalper("ticks", "quarantine").out
    assert "BTCUSDT is blocked, its newest build is not published (readable: " in text
    assert "above are of that build" in text
    bad.unlink()
    assert place.scalper("ingest", "in").code == 0
    rows = json.loads(place.scalper("ticks", "quarantine", "--json").out)
    assert [(row["line"], row["build"]) for row in rows] == [(146, "published")]


def test_quarantine_says_that_a_file_was_refused(place: TickProject) -> None:
    """A refused file blocks what the others gave: the rows shown are those of the build that refused it, as is said."""
    place.put("in/BTCUSDT-0.csv", "this,is,no,file,of\n1,2,3,4,5\n")
    assert place.scalper("ingest", "in").code == 1
    text = place.scalper("ticks", "quarantine").out
    assert "BTCUSDT-0.csv: line 1 has no column" in text
    assert "above are of that build" in text
