"""Every scenario, in miniature: what is planted is found, and what is not there is not."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import yaml

from scalper_ml.errors import ContractError, SettingsError
from scalper_ml.ingest.synthetic import simulate
from scalper_ml.scenarios import guards
from scalper_ml.scenarios.play import open_case
from scalper_ml.scenarios.registry import RECOMMENDED, SCENARIOS, scenario
from scalper_ml.scenarios.scenario import Case, Found, Must
from scalper_ml.scenarios.skill import measure_transparent
from scalper_ml.scenarios.verify import findings_of, verify

LONG = ("level_b", "average", "leadlag", "flip")  # many trades: played by `make verify`, in miniature and in full
PLAYED = [
    pytest.param(one.name, marks=pytest.mark.verify if one.name in LONG else ())
    for one in SCENARIOS.values()
    if one.measure is not None
]


@pytest.mark.parametrize("name", PLAYED)
def test_what_is_planted_is_found(name: str, tmp_path: Path) -> None:
    """Every line of a scenario's miniature holds, through the layers that the assets are built of."""
    for line in findings_of(scenario(name), tmp_path, fast=True):
        assert line.holds, line


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_markets_of_a_scenario_can_be_drawn(name: str) -> None:
    """Half an hour of each market is drawn; replicates differ, and a follower keeps to its leader."""
    one = scenario(name)
    assert one.title
    for part in one.markets:
        first, second = (dataclasses.replace(one.spec(part, seed), days=0.02) for seed in (0, 1))
        assert simulate(first).ticks.num_rows > 100
        assert not simulate(first).ticks.equals(simulate(second).ticks)
        if first.lead_seed is not None:
            leads = [one.spec(other, 1) for other in one.markets if other != part]
            assert second.lead_seed in [lead.seed for lead in leads]
            assert second.leader is not None
            (lead,) = (dataclasses.replace(lead, days=0.02) for lead in leads)
            assert np.array_equal(simulate(second.leader).truth["mid"], simulate(lead).truth["mid"])


def test_skill_is_measured_with_what_the_docs_recommend() -> None:
    """The set-up that docs/models.md tells users to train with is the one that level A and B are played with."""
    page = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
    told = yaml.safe_load(page.split("```yaml\n")[1].split("```")[0])
    assert told == RECOMMENDED
    for name in ("level_a", "level_b"):
        assert {key: scenario(name).settings[key] for key in told} == told


def test_what_is_not_there_is_not_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines can fail: a market without an edge does not hold the line of one, nor too few trades that of many."""
    thin = scenario("thin")
    without = dataclasses.replace(thin.markets["THINUSDT"], rho=0.0)
    musts = (Must("trades", "trades", low=100.0), Must("reason", "why", equals="x"))
    wrong = dataclasses.replace(thin, must=musts)
    assert [line.holds for line in findings_of(wrong, tmp_path / "wrong", fast=True)] == [False, False]
    hollow = dataclasses.replace(
        thin, markets={"THINUSDT": without}, must=(Must("edge_THINUSDT", "edge", low=0.8),), measure=measure_transparent
    )
    monkeypatch.setitem(SCENARIOS, "thin", hollow)
    (line,) = findings_of(hollow, tmp_path / "hollow", fast=True)
    assert line.holds is False


def test_a_feature_that_sees_nothing_is_not_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The audit stops the canary and not a column like it that looks back."""

    def blind(X: np.ndarray, ts_us: np.ndarray) -> np.ndarray:
        return np.diff(np.log(X[:, guards._CLOSE]), prepend=np.log(X[0, guards._CLOSE]))

    monkeypatch.setattr(guards, "_canary", blind)
    lines = {line.text: line for line in findings_of(scenario("leak"), tmp_path, fast=True)}
    assert lines["the build of the features"].found == "not stopped"
    assert lines["models trained on it"].found == "1"
    assert lines["features beyond plausibility, were the audit passed by"].found == "none"


def test_what_cannot_be_played_says_why(tmp_path: Path) -> None:
    """A scenario that waits for something is a line that neither holds nor fails."""
    waiting = dataclasses.replace(scenario("thin"), measure=None, waits_for="there is no such monitor yet")
    (line,) = verify([waiting], tmp_path)
    assert line.holds is None
    assert line.found == "not yet supported"
    assert "monitor" in line.detail


def test_what_was_not_measured_is_an_error(tmp_path: Path) -> None:
    """A line whose figure is missing is no line that holds."""
    broken = dataclasses.replace(scenario("thin"), measure=lambda case: {"trades": Found(1.0)})
    with pytest.raises(ContractError, match=r"\['verdict', 'reason'\] were not measured"):
        findings_of(broken, tmp_path, fast=True)


@pytest.mark.parametrize(
    ("must", "good", "bad"),
    [
        (Must("x", "", low=0.95), (0.95, 2.0), (0.9499, float("nan"), "x")),
        (Must("x", "", high=0.0), (0.0, -1.0), (0.01, float("nan"))),
        (Must("x", "", 0.4, 0.6), (0.4, 0.6), (0.39, 0.61)),
        (Must("x", "", equals="REJECTED"), ("REJECTED",), ("ACTIVE", 1.0)),
    ],
)
def test_bounds_are_kept(must: Must, good: tuple[float, ...], bad: tuple[float, ...]) -> None:
    """Bounds are included; a word must be that word; NaN holds nothing. NumPy's numbers are answered as others are."""
    for values, answer in ((good, True), (bad, False)):
        for value in values:
            assert must.holds(value, fast=False) is answer
            assert must.holds(value if isinstance(value, str) else np.float64(value), fast=False) is answer


def test_a_project_can_name_a_scenario(tmp_path: Path) -> None:
    """Settings take a market from the registry; figures of one's own beside it, or an unknown name, are refused."""
    case = Case(scenario("leadlag"), tmp_path)
    project = open_case(case, ("LEADUSDT", "LATEUSDT"), 2, {})
    market = project.settings.source.markets["LATEUSDT"]
    assert (market.scenario, market.part, market.seed) == ("leadlag", "LATEUSDT", 2)
    for wrong, said in (
        ({"scenario": "leadlg"}, "scenario 'leadlg' is unknown"),
        ({"scenario": "leadlag"}, "part None is none of its markets"),
        ({"scenario": "null", "rho": 0.3}, "has figures of its own"),
        ({"level": "A"}, "a market needs level and sigma_bps, or scenario"),
    ):
        with pytest.raises(ValueError, match=said):
            open_case(case, ("LEADUSDT", "LATEUSDT"), 0, {"source": {"markets": {"LEADUSDT": wrong}}})
    with pytest.raises(SettingsError, match="expected one of"):
        scenario("nul")
