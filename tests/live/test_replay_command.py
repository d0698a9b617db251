"""``scalper replay`` as a user runs it."""

import contextlib
import io
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from liveproject import SYMBOL, settings_file, tape

from scalper_ml.cli import main
from scalper_ml.clock import iso
from scalper_ml.ingest.order import Trades
from scalper_ml.live.feed import come_after
from scalper_ml.live.journal import parts_of
from scalper_ml.project import Project

Ran = tuple[int, str, str]


def scalper(project: Project, patch: pytest.MonkeyPatch, *arguments: str) -> Ran:
    """Exit code and output of a command in the project's folder."""
    settings_file(project)
    out, err = io.StringIO(), io.StringIO()
    with patch.context() as inside, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        inside.chdir(project.folder)
        inside.setattr(sys, "argv", ["scalper", *arguments])
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
    return code, out.getvalue(), err.getvalue()


def ticks_of(project: Project) -> str:
    (file,) = (project.folder / "ticks").glob("*.csv")
    return str(file)


def test_replay_prints_its_trades_and_agrees(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trades of a file are printed, and with --check they are those of the backtest, which is said."""
    arguments = ["replay", "--ticks", ticks_of(project), "--symbol", SYMBOL, "--check"]
    code, out, err = scalper(project, monkeypatch, *arguments)
    assert (code, err) == (0, "")
    assert out.count("agree trade by trade") == 2
    assert "paper only, no order was sent" in out
    assert "position_open" in out
    code, out, _ = scalper(project, monkeypatch, *arguments, "--horizon", "3", "--json")
    (found,) = json.loads(out)
    assert code == 0
    assert [one["horizon"] for one in found["agreements"]] == [3]
    assert found["agreements"][0]["equal"] == len(found["trades"]) > 50


def test_replay_refuses_what_contradicts_itself(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Unknown symbols and horizons, contradicting options and files that are no trades end with the reason."""
    file = ticks_of(project)
    (tmp_path / "junk.csv").write_text("a,b\n1,2\n")
    cases = [
        (["--ticks", file, "--symbol", "NOPEUSDT"], "NOPEUSDT"),
        (["--ticks", file, "--symbol", SYMBOL, "--horizon", "7"], "horizon 7"),
        (["--ticks", file, "--symbol", SYMBOL, "--check", "--since", "2026-01-02"], "--check"),
        (["--ticks", file, "--symbol", SYMBOL, "--since", "tomorrow"], "tomorrow"),
        (["--ticks", str(tmp_path / "junk.csv"), "--symbol", SYMBOL], "junk.csv"),
        *((["--ticks", file, "--symbol", SYMBOL, "--open-gate", at], f"--open-gate {at}") for at in ("nan", "7", "-1")),
        *((["--ticks", file, "--symbol", SYMBOL, "--speed", at], "--speed") for at in ("nan", "inf", "0", "-1")),
        (["--ticks", file, "--symbol", SYMBOL, "--set", "backtest.latency_ms=.inf"], "backtest.latency_ms"),
    ]
    for arguments, said in cases:
        code, _, err = scalper(project, monkeypatch, "replay", *arguments)
        assert code == 2
        assert said in err


def test_replay_goes_on_in_its_folder(project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With a folder a replay that is done has nothing left to do; another request for the folder is refused."""
    arguments = ["replay", "--ticks", ticks_of(project), "--symbol", SYMBOL, "--out", str(tmp_path / "out"), "--json"]
    first, again = (json.loads(scalper(project, monkeypatch, *arguments)[1])[0] for _ in range(2))
    assert first["ticks"] > 0
    assert again["ticks"] == 0
    assert again["trades"] == first["trades"]
    code, _, err = scalper(project, monkeypatch, *arguments, "--open-gate", "0.6")
    assert code == 2
    assert "another folder" in err


def head_of(project: Project, rows: int = 3001) -> str:
    """The first lines of the coin's file, the header among them."""
    return "".join(Path(ticks_of(project)).read_text().splitlines(keepends=True)[:rows])


def test_a_folder_of_another_replay_is_refused(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A price, a setting, the gate's environment or a horizon that changed is named; --every may change."""
    file, out = tmp_path / "some.csv", tmp_path / "out"
    file.write_text(head_of(project))
    arguments = ["replay", "--ticks", str(file), "--symbol", SYMBOL, "--out", str(out)]
    assert scalper(project, monkeypatch, *arguments)[0] == 0
    before = parts_of(out)
    assert scalper(project, monkeypatch, *arguments, "--every", "700")[0] == 0
    cases = [
        (["--set", "backtest.fee_bps=2"], {}, "settings.backtest"),
        (["--horizon", "3"], {}, "champions.1"),
        ([], {"MIN_CONFIDENCE": "0.99"}, "gate.3.min_confidence"),
        ([], {"QUALITY_GATE_ENABLED": "0"}, "gate.3.reason"),
    ]
    for more, environment, said in cases:
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            code, _, err = scalper(project, patch, *arguments, *more)
        assert code == 2, said
        assert said in err
        assert "another folder" in err
    lines = file.read_text().splitlines(keepends=True)
    lines[-1] = lines[-2].replace(lines[-2].split(",")[2], lines[-1].split(",")[2])
    file.write_text("".join(lines))
    code, _, err = scalper(project, monkeypatch, *arguments)
    assert code == 2
    assert "trades_sha256" in err
    assert all(mine.equals(theirs) for mine, theirs in zip(parts_of(out), before, strict=True))


def later(project: Project, name: Path) -> tuple[str, int]:
    """A file of the last saved trades and of what came after them; its path, and how many are saved."""
    trades = tape(project)
    rows = [(int(trades.ts_us[k]), trades.price[k]) for k in range(-50, 0)]
    last_us, price = rows[-1]
    rows += [(last_us + 7_000_000 * (k + 1), price * (1 + 1e-4 * (k % 5))) for k in range(300)]
    name.write_text("\n".join(["ts,price,qty,side", *(f"{ts},{price:.6f},1.5,buy" for ts, price in rows)]) + "\n")
    return str(name), 50


def test_a_warm_replay_skips_what_is_saved(project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With --warm trades the saved bars have are skipped and counted: it decides as on what came after alone."""
    file, saved = later(project, tmp_path / "both.csv")
    lines = Path(file).read_text().splitlines(keepends=True)
    alone, old = tmp_path / "alone.csv", tmp_path / "old.csv"
    alone.write_text("".join([lines[0], *lines[1 + saved :]]))
    old.write_text("".join(lines[: 1 + saved]))
    tables = []
    for place, ticks in enumerate((file, str(alone))):
        arguments = ["replay", "--ticks", ticks, "--symbol", SYMBOL, "--warm", "--out", str(tmp_path / str(place))]
        code, out, err = scalper(project, monkeypatch, *arguments)
        assert (code, err) == (0, "")
        assert (f"{saved} trades skipped" in out) == (ticks == file)
        assert "300 trades in" in out
        tables.append(parts_of(tmp_path / str(place)))
        code, again, _ = scalper(project, monkeypatch, *arguments)
        assert (code, "0 trades in" in again) == (0, True)
    for mine, theirs in zip(*tables, strict=True):
        assert mine.equals(theirs)
    assert tables[0][0].num_rows > 50
    code, _, err = scalper(project, monkeypatch, "replay", "--ticks", str(old), "--symbol", SYMBOL, "--warm")
    assert code == 2
    assert iso(int(tape(project).ts_us[-1])) in err


def test_a_later_trade_of_the_last_stamp_is_told_by_its_id() -> None:
    """Of the stamp of the last saved trade those with a higher id are taken; without ids none."""
    trades = Trades(np.array([4, 5, 5, 6]), np.ones(4), np.ones(4), np.ones(4), np.array([7, 8, 9, 10]))
    assert come_after(trades, 5, 8).tolist() == [False, False, True, True]
    assert come_after(trades, 5, -1).tolist() == [False, False, False, True]
    assert come_after(replace(trades, trade_id=np.full(4, -1)), 5, 8).tolist() == [False, False, False, True]


def test_comparing_nothing_is_no_agreement(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """--check without a gate file, or with a gate that lets nothing through, ends with 1 and says why."""
    arguments = ["replay", "--ticks", ticks_of(project), "--symbol", SYMBOL, "--check"]
    for more, said in (
        (["--set", "gate.file=nowhere.json"], "nothing to compare (gate: file_missing)"),
        (["--open-gate", "1"], "nothing to compare (neither has a trade)"),
    ):
        code, out, _ = scalper(project, monkeypatch, *arguments, *more)
        assert code == 1
        assert out.count(said) == 2
        assert "NOTHING WAS COMPARED" in out
        assert "agree trade by trade" not in out
    assert scalper(project, monkeypatch, *arguments, "--open-gate", "1", "--json")[0] == 1


def test_a_damaged_champion_is_no_replay(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle with one byte changed ends the command with its file named; the other horizon can be replayed."""
    keys = {"symbol": SYMBOL, "horizon": 3}
    pointer = project.warehouse.require("champions", keys).summary
    folder = project.warehouse.folder(pointer["layer"], keys) / "bundles" / pointer["bundle_id"]
    scaler = folder / "scaler.json"
    whole = scaler.read_bytes()
    scaler.write_bytes(whole[:40] + bytes([whole[40] ^ 1]) + whole[41:])
    try:
        arguments = ["replay", "--ticks", ticks_of(project), "--symbol", SYMBOL]
        code, out, err = scalper(project, monkeypatch, *arguments)
        assert (code, out) == (2, "")
        assert f"champion of {SYMBOL} x 3: BundleError: scaler.json: altered" in " ".join(err.split())
        assert scalper(project, monkeypatch, *arguments, "--horizon", "1")[0] == 0
    finally:
        scaler.write_bytes(whole)


def test_rejected_rows_are_told_of(project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Rows of the file that are no trades are counted by reason, and the first is shown with its line."""
    lines = head_of(project).splitlines(keepends=True)
    for row in (10, 20, 2000):
        lines[row] = lines[row].replace(lines[row].split(",")[1], "-5")
    lines[30] = lines[30].replace("buy", "[b]").replace("sell", "[b]")
    file = tmp_path / "some.csv"
    file.write_text("".join(lines))
    arguments = ["replay", "--ticks", str(file), "--symbol", SYMBOL]
    code, out, _ = scalper(project, monkeypatch, *arguments)
    assert code == 0
    assert f"4 rows rejected, the first on line 11: {lines[10].strip()}" in out
    assert "3 x price: not positive and finite" in out
    assert "1 x side: neither buy nor sell" in out
    (found,) = json.loads(scalper(project, monkeypatch, *arguments, "--json")[1])
    assert list(found["rejected"].values()) == [3, 1]
    assert found["first_rejected"][0]["line"] == 11


def test_stamps_without_an_offset_are_utc(project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """--since of replay and --at of explain mean UTC where they say no offset, wherever the machine stands."""
    file = tmp_path / "some.csv"
    file.write_text(head_of(project, 12_001))
    replayed = ["replay", "--ticks", str(file), "--symbol", SYMBOL, "--json", "--open-gate", "0.4", "--since"]
    explained = ["explain", "--symbol", SYMBOL, "--horizon", "1", "--rows", "5", "--json", "--at"]
    stamps = "2026-01-01T08:00:00", "2026-01-01T08:00:00Z", "2026-01-01T17:00:00+09:00"
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        found = [json.loads(scalper(project, monkeypatch, *replayed, at)[1])[0]["trades"] for at in stamps]
        parts = [scalper(project, monkeypatch, *explained, at.replace("-01T", "-03T")) for at in stamps]
    finally:
        monkeypatch.undo()
        time.tzset()
    assert found[0] == found[1] == found[2] != []
    assert min(one["signal_ts_us"] for one in found[0]) >= 1_767_254_400_000_000
    assert parts[0] == parts[1] == parts[2]
    assert json.loads(parts[0][1])[0]["row"]["contributions"], parts[0]
