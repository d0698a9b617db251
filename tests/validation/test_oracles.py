"""Statistics and splits beside those of arch, statsmodels and skfolio."""

import warnings

import numpy as np
import pytest

from scalper_ml.datasets.crossval import combinatorial_purged
from scalper_ml.validation.forecasts import diebold_mariano, stationary_indices, superior_ability

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what they import, not what they compute
    from arch.bootstrap import SPA, StationaryBootstrap
    from skfolio.model_selection import CombinatorialPurgedCV
    from statsmodels.regression.linear_model import OLS


def persistent(n: int, seed: int, phi: float = 0.6) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = np.empty(n)
    x[0] = rng.normal()
    for i in range(1, n):
        x[i] = phi * x[i - 1] + rng.normal()
    return x


@pytest.mark.parametrize(("horizon", "lags"), [(1, None), (5, None), (15, 20), (3, 0)])
def test_diebold_mariano_is_a_regression_on_a_constant(horizon: int, lags: int | None) -> None:
    """Less its small-sample factor the statistic is statsmodels' t of the mean with a HAC covariance."""
    n = 400
    one, two = persistent(n, 1) ** 2, persistent(n, 2) ** 2 + 0.1
    ours = diebold_mariano(one, two, horizon=horizon, lags=lags)
    fit = OLS(one - two, np.ones(n)).fit(cov_type="HAC", cov_kwds={"maxlags": ours.lags, "use_correction": False})
    factor = np.sqrt((n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n)
    assert ours.statistic / factor == pytest.approx(float(fit.tvalues[0]), rel=1e-9)


def test_the_stationary_bootstrap_is_that_of_arch() -> None:
    """Standard error and quantiles of a mean of persistent data agree with arch's within what 4,000 draws allow."""
    x, block, B = persistent(500, 3), 25.0, 4000
    ours = x[stationary_indices(x.size, block, B, seed=1)].mean(axis=1)
    theirs = StationaryBootstrap(block, x, seed=2).apply(np.mean, B).ravel()
    assert ours.std() == pytest.approx(theirs.std(), rel=5 / np.sqrt(2 * B))
    for q in (0.05, 0.5, 0.95):
        assert np.quantile(ours, q) == pytest.approx(np.quantile(theirs, q), abs=6 * theirs.std() / np.sqrt(B) * 2)
    naive = x.std() / np.sqrt(x.size)
    assert ours.std() > 1.5 * naive  # what resampling single rows would say


@pytest.mark.parametrize("means", [(0.02, 0.0, 0.0), (0.1, 0.0, -0.05), (0.15, 0.12, -1.5), (0.05, -2.0, -0.1)])
def test_superior_ability_is_that_of_arch(means: tuple[float, ...]) -> None:
    """The consistent p agrees with arch's within what 2,000 draws allow; arch is given gains in units of their spread.

    Hansen divides by the spread, arch's maximum does not; where nothing gains his p is 1, and arch's some other number.
    """
    n, block, B = 400, 12, 2000
    gains = np.column_stack([persistent(n, k, 0.3) for k in range(3)])
    gains += np.array(means) - gains.mean(axis=0)
    rows = stationary_indices(n, block, B, seed=5)
    spread = np.array([column[rows].mean(axis=1).std() for column in gains.T])
    ours = superior_ability(gains, mean_block=block, B=B, seed=1).p_value
    theirs = SPA(np.zeros(n), -gains / spread, block_size=block, reps=B, bootstrap="stationary", seed=2)
    theirs.compute()
    expected = float(theirs.pvalues["consistent"])
    assert ours == pytest.approx(expected, abs=6 * np.sqrt(max(expected * (1 - expected), 1e-3) / B))


@pytest.mark.parametrize(("purged", "embargo"), [(1, 0), (3, 0), (3, 4)])
def test_combinatorial_folds_are_those_of_skfolio(purged: int, embargo: int) -> None:
    """Where rows divide evenly and labels are of one length, both have the same folds, row by row."""
    n, blocks, tested = 120, 6, 2
    t0 = np.arange(n)
    ours = list(combinatorial_purged(t0, t0 + purged, n_blocks=blocks, n_test=tested, embargo_us=embargo))
    cv = CombinatorialPurgedCV(n_folds=blocks, n_test_folds=tested, purged_size=purged, embargo_size=embargo)
    theirs = list(cv.split(np.zeros((n, 1))))
    assert len(ours) == len(theirs) == 15
    by_test = {tuple(np.concatenate(test).tolist()): train.tolist() for train, test in theirs}
    for fold in ours:
        assert fold.train.tolist() == by_test[tuple(fold.test.tolist())]
