"""Champions and several of them as one opinion."""

import dataclasses

import numpy as np
import pytest
from liveproject import SYMBOL, settings_file

from scalper_ml.commands.models import compare
from scalper_ml.errors import BundleError, ContractError, FeatureSetError, InsufficientDataError, SettingsError
from scalper_ml.features import feature_set
from scalper_ml.layers.evaluation import compare_across
from scalper_ml.layers.features import read_features
from scalper_ml.live.ensemble_signal import EnsembleSignalModel
from scalper_ml.live.filters import BLOCKS, BlockFilters, Conditions
from scalper_ml.live.signal_model import SignalModel
from scalper_ml.live.start import champion_of, ensemble_of, project_features
from scalper_ml.project import Project
from scalper_ml.settings import Settings


def rows_of(project: Project, n: int = 50) -> tuple[np.ndarray, np.ndarray]:
    """The last rows of the features, and that all are warm."""
    _, warm, values, _ = read_features(project, project.warehouse.require("features", {"symbol": SYMBOL}))
    assert warm[-n:].all()
    return values[-n:], warm[-n:]


def champions(project: Project) -> list[SignalModel]:
    fs = project_features(project, SYMBOL)
    found = [champion_of(project, SYMBOL, horizon, fs) for horizon in project.settings.horizons]
    return [one for one in found if isinstance(one, SignalModel)]


def conditions(n: int, **changes: float) -> Conditions:
    values = {"open": 100.0, "close": 100.0, "sigma": 0.001, "cost": 0.0004, "trades": 20.0} | changes
    return Conditions(**{name: np.full(n, value) for name, value in values.items()})


def test_one_model_is_its_own_ensemble(project: Project) -> None:
    """Of one member the ensemble says what the member says."""
    model = champions(project)[0]
    values, warm = rows_of(project)
    P = model.predict(values, warm)
    for row, said in enumerate(EnsembleSignalModel([model]).signals(values, warm, conditions(len(warm)))):
        assert said is not None
        assert said.decision.probabilities == tuple(P[row].tolist())
        assert said.agree == 1.0


def test_horizons_are_averaged_by_weight(project: Project) -> None:
    """Across horizons probabilities are the weighted mean; the share that agrees is that of the weight."""
    members = champions(project)
    assert [one.horizon for one in members] == [1, 3]
    values, warm = rows_of(project)
    P = [one.predict(values, warm) for one in members]
    found = EnsembleSignalModel(members, weights=[3.0, 1.0]).signals(values, warm, conditions(len(warm)))
    for row, said in enumerate(found):
        assert said is not None
        expected = 0.75 * P[0][row] + 0.25 * P[1][row]
        assert np.allclose(said.decision.probabilities, expected, rtol=0, atol=1e-15)
        leans = [one[row][2] >= one[row][0] for one in P]
        assert said.agree == sum(w for w, lean in zip((0.75, 0.25), leans, strict=True)
                                 if lean == (expected[2] >= expected[0]))  # fmt: skip
        assert set(said.by_horizon) == {1, 3}


def test_the_settings_weigh_the_horizons(project: Project) -> None:
    """Weights of `ensembles.horizon_weights`, 1 where none is given; filters of `live`; no champion at all is told."""

    def with_settings(**changes: object) -> Project:
        values = project.settings.model_dump(mode="json", exclude_unset=True) | changes
        return dataclasses.replace(project, settings=Settings.model_validate(values))

    heavy = with_settings(ensembles={"horizon_weights": {3: 4.0}}, live={"price_shock": 5.0})
    values, warm = rows_of(project)
    model = ensemble_of(heavy, SYMBOL, min_confidence=0.55)
    assert (model.horizons, model.weights, model.filters.price_shock) == ((1, 3), (1.0, 4.0), 5.0)
    P = [one.predict(values, warm) for one in champions(project)]
    for row, said in enumerate(model.signals(values, warm, conditions(len(warm)))):
        assert said is not None
        assert np.allclose(said.decision.probabilities, 0.2 * P[0][row] + 0.8 * P[1][row], rtol=0, atol=1e-15)
    assert ensemble_of(project, SYMBOL).weights == (1.0, 1.0)
    with pytest.raises(ValueError, match=r"horizon_weights of \[5\], which are not among horizons \[1, 3\]"):
        with_settings(ensembles={"horizon_weights": {5: 1.0}})
    with pytest.raises(InsufficientDataError, match=r"no horizon has a champion \(15: "):
        ensemble_of(with_settings(horizons=[15]), SYMBOL)


def test_what_the_mean_over_horizons_is_worth_is_told(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the bars of select in all horizons, each horizon's labels judge its candidate and the weighted mean."""
    values = project.settings.model_dump(mode="json", exclude_unset=True)
    heavy = Settings.model_validate(values | {"ensembles": {"horizon_weights": {3: 4.0}}})
    rows = compare_across(dataclasses.replace(project, settings=heavy), SYMBOL)
    said, tables = {}, {}
    for horizon in (1, 3):
        keys = {"symbol": SYMBOL, "horizon": horizon}
        table = project.warehouse.read_table(
            project.warehouse.require("models/logistic_classifier", keys), "predictions.parquet"
        ).to_pylist()
        said[horizon] = {
            row["ts_us"]: np.array([row["p_short"], row["p_neutral"], row["p_long"]])
            for row in table
            if row["role"] == "select" and row["fold"] == -1
        }
        data = project.warehouse.read_table(project.warehouse.require("datasets", keys)).to_pylist()
        tables[horizon] = {row["ts_us"]: row["y"] for row in data if row["role"] == "select"}
    common = sorted(set(said[1]) & set(said[3]))
    assert 0 < len(common) < len(said[1])
    assert [(row["horizon"], row["weight"]) for row in rows] == [(1, 1.0), (1, 1.0), (3, 4.0), (3, 4.0)]
    for row in rows:
        own = said[row["horizon"]]
        P = {"across_horizons": [0.2 * said[1][ts] + 0.8 * said[3][ts] for ts in common],
             "logistic_classifier": [own[ts] for ts in common]}[row["kind"]]  # fmt: skip
        losses = [-np.log(p[tables[row["horizon"]][ts]]) for p, ts in zip(P, common, strict=True)]
        assert row["rows"] == len(common)
        assert row["log_loss"] == pytest.approx(np.mean(losses), abs=1e-12)
    alone = dataclasses.replace(project, settings=Settings.model_validate(values | {"horizons": [3]}))
    with pytest.raises(SettingsError, match=r"horizons \[3\]: one has no mean"):
        compare_across(alone, SYMBOL)
    settings_file(project)
    monkeypatch.chdir(project.folder)
    compare(SYMBOL)
    assert capsys.readouterr().out.count("across_horizons") == 2


def test_blocked_bars_have_no_side(project: Project) -> None:
    """A filter that blocks leaves NEUTRAL and its name; a row that is not warm has no signal."""
    values, warm = rows_of(project, 4)
    warm = np.array([True, True, False, True])
    model = EnsembleSignalModel(champions(project), filters=BlockFilters(dead_volatility=3.0))
    found = model.signals(values, warm, conditions(4))
    assert found[2] is None
    assert {(one.blocked, one.decision.signal) for one in found if one} == {("dead_volatility", "NEUTRAL")}


def test_filters_by_hand() -> None:
    """Each filter blocks beyond its limit, not at it; the first that applies is named; 0 leaves it out."""
    filters = BlockFilters(dead_volatility=2.0, price_shock=5.0, inactivity=10.0)
    bars = Conditions(
        open=np.full(5, 100.0), close=np.array([100.0, 100.0, 100.0, 101.0, 100.0]),
        sigma=np.array([0.001, 0.0007, 0.001, 0.001, 0.001]), cost=np.full(5, 0.0004),
        trades=np.array([10.0, 3.0, 9.0, 20.0, np.nan]),
    )  # fmt: skip
    found = [BLOCKS[code] for code in filters.blocks(bars, horizon=1)]
    assert found == ["", "dead_volatility", "inactivity", "price_shock", ""]
    assert not BlockFilters().blocks(bars, horizon=1).any()
    with pytest.raises(SettingsError, match="price_shock"):
        BlockFilters(price_shock=-1)


def test_strange_members_are_refused(project: Project) -> None:
    """No member, members of two symbols, and weights that do not fit are refused."""
    one = champions(project)[0]
    other = champions(project)[0]
    other.symbol = "BUSDT"
    for members, weights in (([], None), ([one, other], None), ([one], [0.0]), ([one], [1.0, 2.0])):
        with pytest.raises(ContractError, match="ensemble signal"):
            EnsembleSignalModel(members, weights=weights)


def test_mismatches_are_told(project: Project) -> None:
    """A bundle of other features, of another coin or horizon, or another than the pointer names is refused by name."""
    fs = project_features(project, SYMBOL)
    pointer = project.warehouse.require("champions", {"symbol": SYMBOL, "horizon": 3}).summary
    folder = (
        project.warehouse.folder(pointer["layer"], {"symbol": SYMBOL, "horizon": 3}) / "bundles" / pointer["bundle_id"]
    )
    right = {"bundle_id": pointer["bundle_id"], "symbol": SYMBOL, "horizon": 3}
    assert SignalModel.load(folder, fs, **right).calibration
    with pytest.raises(BundleError, match="expected EDGEUSDT x 1"):
        SignalModel.load(folder, fs, **right | {"horizon": 1})
    with pytest.raises(BundleError, match="the pointer names another"):
        SignalModel.load(folder, fs, **right | {"bundle_id": "0" * 64})
    with pytest.raises(FeatureSetError, match="missing"):
        SignalModel.load(folder, feature_set(["klines"], families=["trend"]), **right)
    longer = dataclasses.replace(fs, min_ticks=5)
    assert longer.names == fs.names
    with pytest.raises(FeatureSetError, match=longer.id):
        SignalModel.load(folder, longer, **right)
