"""``scalper replay`` as a user runs it."""

import contextlib
import io
import json
import sys
from pathlib import Path

import pytest
from liveproject import SYMBOL, settings_file

from scalper_ml.cli import main
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
