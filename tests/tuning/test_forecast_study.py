"""Studies of forecasters: they search what the kind names, on train alone, and the same whatever the workers."""

import numpy as np
import pytest
from forecastdata import market

from scalper_ml.datasets.scaling import Scaler
from scalper_ml.forecasters.data import forecast_data
from scalper_ml.forecasters.registry import forecaster_kind, forecaster_kinds
from scalper_ml.forecasters.targets import target_named
from scalper_ml.tuning.forecast_objective import ForecastTask, forecast_task
from scalper_ml.tuning.study import tune


def task(kind: str, *, folds: int = 0, **base: object) -> ForecastTask:
    data = market(900)
    target = forecaster_kind(kind).targets[0]
    found = forecast_data(
        data.X, data.table, data.targets, data.names, target_named(target), interval_us=data.interval_us, past=data.past
    )
    scaler = Scaler("zscore").fit(data.X, data.names, rows=data.rows("train"))
    return forecast_task(kind, target, base, found, scaler, horizon=data.horizon, seed=5, folds=folds)


@pytest.mark.parametrize("kind", forecaster_kinds())
def test_spaces_are_of_parameters(kind: str) -> None:
    """Every searched name is a parameter, and both ends of its range are allowed."""
    spec = forecaster_kind(kind)
    assert spec.space
    for one in spec.space:
        for value in (one.low, one.high):
            assert spec.params.parse({one.name: value}).to_dict()[one.name] == value


def test_a_study_of_a_forecaster_finds_and_repeats(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """Trials have scores against the baseline; a second study of the same seed is the same, and one goes on."""
    first = tune(task("direction", max_rounds=30), tmp_path / "a.journal", trials=4)
    again = tune(task("direction", max_rounds=30), tmp_path / "b.journal", trials=2)
    again = tune(task("direction", max_rounds=30), tmp_path / "b.journal", trials=4)
    assert [trial.params for trial in first.trials] == [trial.params for trial in again.trials]
    assert [trial.score for trial in first.trials] == [trial.score for trial in again.trials]
    assert first.best.score is not None
    assert first.best.score > 0


def test_only_train_rows_are_in_a_task() -> None:
    """A task holds no row after the train role, and its held-out rows begin after what is fitted is known."""
    found = task("risk", folds=2)
    last = market(900).rows("train")[-1]
    assert len(found.data.X) == last + 1
    for seen, held in found.splits:
        assert found.data.t1[seen].max() < found.data.t0[held].min()
    outcome = found.run({"trees": 10, "max_depth": 4, "min_leaf": 5, "columns": 0.5}, {})
    assert set(outcome.curve) == {1, 2}
    assert outcome.score == pytest.approx(-outcome.curve[2])
    given_up = found.run({"trees": 10, "max_depth": 4, "min_leaf": 5, "columns": 0.5}, {1: -np.inf})
    assert given_up.score is None
