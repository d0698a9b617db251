"""The specialists and what they are measured against."""

import numpy as np
import pytest
from forecastdata import market

from scalper_ml.errors import ContractError, InsufficientDataError, SettingsError
from scalper_ml.forecasters.base import Sample
from scalper_ml.forecasters.bundle import load_forecast
from scalper_ml.forecasters.calibration import fit_residuals, fit_tempered
from scalper_ml.forecasters.har import past_volatility
from scalper_ml.forecasters.momentum import SVMParams, fit
from scalper_ml.forecasters.stack import train_stack
from scalper_ml.forecasters.targets import target_named
from scalper_ml.models.base import FitContext
from scalper_ml.models.calibration import fit_temperature
from scalper_ml.reports.targets import verdicts_of_forecast

LINEAGE = {"symbol": "AAAUSDT", "horizon": 3, "label_version": "l1"}


def test_specialists_find_what_is_planted() -> None:
    """Direction and return beat chance and zero by their intervals, risk the mean; each listens to its own column."""
    data = market()
    for kind, column in (("direction", "direction"), ("xgb_regressor", "direction"), ("risk", "volatility")):
        manifest = data.train(kind).manifest
        on = manifest["metrics"]["select"]
        if kind == "direction":
            assert on["accuracy"]["ci"][0] > on["accuracy"]["chance"]
        else:
            assert on["r2"]["ci"][0] > 0
            assert on["r2"]["dm_p"] < 0.01
        share = manifest["importance"]["all"]
        assert max(share, key=share.__getitem__) == column


def test_nothing_is_found_where_nothing_is() -> None:
    """On a market without a signal the interval of R2 against zero does not lie above 0, nor sides above chance."""
    on = market(rho=0.0, seed=4).train("xgb_regressor").manifest["metrics"]["select"]
    assert on["r2"]["ci"][0] <= 0
    assert on["direction"]["ci"][0] <= on["direction"]["chance"]
    rows = {row["metric"]: row for row in verdicts_of_forecast(on, "return")}
    assert rows["R2 against the baseline"]["verdict"] == "not told from no skill; below what is asked"


def test_bounds_hold_what_they_promise() -> None:
    """Bounds made on calibrate hold four fifths of the outcomes of select, within three standard errors of both."""
    rows = [market().rows(role).size / market().horizon for role in ("calibrate", "select")]
    error = np.sqrt(sum(0.8 * 0.2 / n for n in rows))
    for kind in ("xgb_regressor", "risk", "volatility"):
        interval = market().train(kind).manifest["interval"]
        assert interval["alpha"] == 0.2
        assert abs(interval["coverage"] - 0.8) < 3 * error, kind


def test_residuals_are_the_empirical_distribution() -> None:
    """Probabilities beyond a middle are counts of residuals, to the grid of quantiles; bounds are its quantiles."""
    rng = np.random.default_rng(1)
    forecast, outcome = rng.normal(size=(2, 4_000))
    found = fit_residuals(forecast, outcome)
    residual = outcome - forecast
    for value in (-2.0, 0.0, 1.5):
        share = float((residual > -value).mean())
        assert found.above(np.array([value]), 0.0)[0] == pytest.approx(share, abs=0.006)
    low, high = found.interval(np.array([0.0]), 0.2)
    assert ((residual >= low) & (residual <= high)).mean() == pytest.approx(0.8, abs=0.006)
    with pytest.raises(ContractError, match="one of each a row"):
        fit_residuals(forecast, outcome[1:])


def test_the_temperature_of_three_states_is_that_of_the_classifiers() -> None:
    """With three classes both ways of finding a temperature find the same."""
    rng = np.random.default_rng(2)
    P, y = rng.dirichlet([1, 1, 1], 500), rng.integers(0, 3, 500)
    prior = np.array([0.3, 0.4, 0.3])
    one, other = fit_tempered(P, y, prior), fit_temperature(P, y, prior)
    assert one.value == pytest.approx(other.value, rel=1e-4)
    np.testing.assert_allclose(one.apply(P), other.apply(P), atol=1e-6)


def test_the_machine_decides_as_scikit_learns() -> None:
    """Decisions of the kept support vectors are scikit-learn's own, pair by pair."""
    from sklearn.svm import SVC

    rng = np.random.default_rng(3)
    X = rng.normal(size=(300, 5))
    y = np.digitize(X[:, 0] + 0.5 * rng.normal(size=300), [-0.5, 0.5]).astype(float)
    rows = Sample(X, np.arange(200), y[:200], np.ones(200))
    found = fit(rows, Sample(X, np.arange(200, 300), y[200:], np.ones(100)), SVMParams(cost=1.0), FitContext(1, 0), 3)
    own = SVC(C=1.0, gamma=0.1, decision_function_shape="ovo").fit(X[:200], y[:200].astype(int))
    np.testing.assert_allclose(found.decisions(X), own.decision_function(X), atol=1e-9)  # type: ignore[attr-defined]


def test_past_volatility_knows_no_future() -> None:
    """HAR's inputs are logs of mean squared returns of bars up to the close, by a loop; later closes change nothing."""
    close = 100 * np.exp(np.cumsum(np.random.default_rng(4).normal(0, 1e-3, 300)))
    found = past_volatility(close, 3)
    squares = np.concatenate([[0.0], np.diff(np.log(close)) ** 2])
    for i in (5, 120, 299):
        for j, bars in enumerate((5, 25, 110)):
            assert found[i, j] == pytest.approx(np.log(squares[max(0, i - bars + 1) : i + 1].mean()), rel=1e-9)
    assert np.array_equal(past_volatility(close[:200], 3), found[:200])


def test_a_stack_needs_members_of_one_number() -> None:
    """One member, members of several targets, and classes are refused; a stack of good members is no worse by much."""
    data = market()
    returns, risk, side = data.train("xgb_regressor"), data.train("risk"), data.train("direction")
    arguments = (data.X, data.table, data.targets, data.names)
    how = {"seed": 3, "interval_us": data.interval_us, "lineage": LINEAGE}
    with pytest.raises(ContractError, match="at least two"):
        train_stack({"a": returns.files}, *arguments, **how)
    with pytest.raises(ContractError, match=r"\['b'\] forecast another target than return"):
        train_stack({"a": returns.files, "b": risk.files}, *arguments, **how)
    with pytest.raises(ContractError, match="direction is no number"):
        train_stack({"a": side.files, "b": side.files}, *arguments, **how)
    other = data.train("xgb_regressor", seed=8)
    stack = train_stack({"a": returns.files, "b": other.files}, *arguments, **how)
    alone = returns.manifest["metrics"]["select"]["mse"]
    assert stack.manifest["metrics"]["select"]["mse"] < 1.02 * alone
    assert set(load_forecast(stack.files).manifest["shares"]) == {"a", "b"}


def test_what_cannot_be_learnt_is_refused_by_name() -> None:
    """A state that never occurs, a number that never changes, and a price that is not given are refused."""
    import dataclasses

    import pyarrow as pa

    data = market(900)
    for column, values, kind, match in (
        ("momentum", np.ones(data.targets.num_rows, dtype=np.int8), "momentum", "FALLING and RISING does not occur"),
        ("risk", np.full(data.targets.num_rows, 50.0), "risk", "the risk of .* rows never changes"),
    ):
        place = data.targets.schema.get_field_index(column)
        changed = data.targets.set_column(place, data.targets.schema.field(column), pa.array(values))
        with pytest.raises(InsufficientDataError, match=match):
            dataclasses.replace(data, targets=changed).train(kind)
    with pytest.raises(SettingsError, match="needs the price now"):
        target_named("price").answer({"value": 0.0, "low": 0.0, "high": 0.0, "above": 0.5}, price=None)
