"""``--epochs`` and ``--batch-size`` of ``scalper train`` and ``scalper run``: settings of every network."""

import os
from pathlib import Path
from typing import Any

import pytest
from tickproject import TickProject

import scalper_assets.commands
import scalper_ml.layers.evaluation
from scalper_ml.errors import SettingsError
from scalper_ml.settings import Settings

NETWORKS = ("--set", "forecasts.kinds=[cnn_lstm, direction, nn_regressor]", "--set", "labels.targets=true")


class Seen:
    """Stands where settings are used first: keeps them, and ends the command."""

    settings: Settings

    def __call__(self, project: Any, *_: Any, **__: Any) -> Any:
        self.settings = project.settings
        raise SettingsError("seen")


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """What the commands would work with; their changes of the environment are forgotten."""
    found = Seen()
    monkeypatch.setattr(os, "environ", {k: v for k, v in os.environ.items() if not k.startswith("SCALPER")})
    monkeypatch.setattr(scalper_ml.layers.evaluation, "train_stale", found)
    monkeypatch.setattr(scalper_assets.commands, "plan", found)
    monkeypatch.setattr(scalper_assets.commands, "initialise_home", lambda folder: folder)
    monkeypatch.setattr(scalper_assets.commands, "location_project", scalper_assets.commands.open_project)
    return found


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TickProject:
    return TickProject.make(tmp_path / "project", monkeypatch)


@pytest.mark.parametrize("command", ["train", "run"])
def test_every_network_gets_them_and_other_kinds_do_not(command: str, place: TickProject, seen: Seen) -> None:
    """Both networks have the values, in `run` its workers' environment as well; `--set` of one kind goes before."""
    sizes = ("--epochs", "7", "--batch-size", "64", "--set", "forecasts.nn_regressor.batch_size=32")
    done = place.scalper(command, *NETWORKS, *sizes)
    assert "SettingsError: seen" in done.out + done.err
    of = seen.settings.forecasts.params_of
    assert of("cnn_lstm") == {"epochs": 7, "batch_size": 64}
    assert of("nn_regressor") == {"epochs": 7, "batch_size": 32}
    assert of("direction") == {}
    if command == "run":
        assert {k.lower(): v for k, v in os.environ.items()}["scalper__forecasts__cnn_lstm__epochs"] == "7"


@pytest.mark.parametrize("command", ["train", "run"])
@pytest.mark.parametrize("option", ["epochs", "batch-size"])
def test_a_project_without_networks_says_so(command: str, option: str, place: TickProject, seen: Seen) -> None:
    """No kind that is trained has epochs: refused, with what is trained and which kinds have them."""
    done = place.scalper(command, f"--{option}", "7")
    said = done.out + done.err
    assert done.code == 2
    assert f"--{option} 7: no kind that is trained here has" in said
    assert "xgb_classifier" in said
    assert "'cnn_lstm', 'lstm_forecaster', 'nn_regressor'" in said


def test_impossible_values_name_the_setting(place: TickProject, seen: Seen) -> None:
    """What the kind refuses is refused with what it allows."""
    one = ("--set", "forecasts.kinds=[cnn_lstm]", "--set", "labels.targets=true")
    done = place.scalper("train", *one, "--epochs", "0")
    assert done.code == 2
    assert "ConvolutionParams.epochs: found 0; expected a whole number from 1" in done.err
