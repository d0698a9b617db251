"""What accuracy would pay, against the published table and a simulation."""

import numpy as np
import pytest

from scalper_ml.backtest.what_pays import break_even_accuracy, needed_correlation, what_pays
from scalper_ml.errors import ContractError

TABLE = [  # sigma_1 bp, round trip bp, accuracy at 1, 3, 5, 15, 60, 240 bars (METHOD 0.2)
    (6, 12, None, None, None, 0.823, 0.661, 0.581),
    (6, 8, None, 0.981, 0.873, 0.715, 0.608, 0.554),
    (6, 4, 0.917, 0.741, 0.686, 0.608, 0.554, 0.527),
    (10, 12, None, 0.933, 0.835, 0.694, 0.597, 0.548),
    (10, 4, 0.750, 0.644, 0.612, 0.565, 0.532, 0.516),
    (15, 12, None, 0.789, 0.724, 0.629, 0.565, 0.532),
]


@pytest.mark.parametrize("row", TABLE)
def test_break_even_accuracy_is_the_published_table(row):
    """Each cell to .003 (the table takes E|z| for .80); None where no accuracy pays."""
    sigma, cost, *cells = row
    for horizon, expected in zip((1, 3, 5, 15, 60, 240), cells, strict=True):
        found = break_even_accuracy(sigma * 1e-4, cost * 1e-4, horizon)
        assert found is None if expected is None else found == pytest.approx(expected, abs=0.003)


@pytest.mark.parametrize("traded", [1.0, 0.2, 0.05])
def test_the_needed_correlation_just_pays(traded):
    """Simulated forecasts of that correlation, the surest traded, earn their costs to three standard errors."""
    rng = np.random.default_rng(1)
    cost, sigma, horizon = 4e-4, 10e-4, 15
    rho = needed_correlation(sigma, cost, horizon, traded)
    z = rng.standard_normal(400_000)
    move = sigma * np.sqrt(horizon) * (rho * z + np.sqrt(1 - rho**2) * rng.standard_normal(z.size))
    sure = np.abs(z) >= np.quantile(np.abs(z), 1 - traded)
    net = np.sign(z[sure]) * move[sure] - cost
    assert abs(net.mean()) < 3.5 * net.std() / np.sqrt(net.size)


def test_the_report_of_one_coin_worked_by_hand():
    """15 bars of 6 bp at 8 bp: .715 trading always, a correlation of .147 (54.7 %) on the top 5 %."""
    found = what_pays(6e-4, 8e-4, 15)
    assert found["break_even_accuracy"] == pytest.approx(0.715, abs=0.001)
    top = next(row for row in found["selective"] if row["traded"] == 0.05)
    assert (top["correlation"], top["accuracy_over_all_bars"]) == pytest.approx((0.147, 0.547), abs=0.001)
    with pytest.raises(ContractError, match="sigma 0"):
        what_pays(0.0, 8e-4, 15)
