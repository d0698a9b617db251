"""Costs per side: fees, half spread, slippage."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalper_ml.backtest.costs import Costs
from scalper_ml.errors import SettingsError

rates = st.floats(0.0, 50.0)


def test_round_trip_worked_by_hand():
    """Two fills of 4 bp fee, 1 bp half spread, 0.2 bp spread slip and 5 bp impact cost 20.4 bp."""
    costs = Costs(fee_bps=4.0, spread_bps=2.0, impact=0.5, notional=10_000.0)
    legs = costs.legs(np.array([0.01]), np.array([1e6]))
    assert legs.fees[0] == pytest.approx(8e-4)
    assert legs.spread[0] == pytest.approx(2e-4)
    assert legs.slippage[0] == pytest.approx(2 * (0.2e-4 + 0.5 * 0.01 * 0.1))
    assert costs.round_trip(0.01, 1e6) == pytest.approx(8e-4 + 2e-4 + 0.4e-4 + 10e-4)


def test_round_trip_without_volume_leaves_the_impact_out():
    """Without a volume the cost is the floor every trade pays."""
    assert Costs(5.0, 1.0, impact=1.0).round_trip(0.01) == pytest.approx(2 * (5e-4 + 0.5e-4 + 0.1e-4))


@given(rates, rates, st.floats(0.0, 2.0), st.floats(1e-5, 0.1), st.floats(1e3, 1e9))
def test_costs_grow_with_volatility_and_shrink_with_volume(fee, spread, impact, sigma, volume):
    """More volatility never costs less, more volume never costs more, and no cost is negative."""
    costs = Costs(fee, spread, impact)
    here = costs.round_trip(sigma, volume)
    assert costs.round_trip(2 * sigma, volume) >= here >= costs.round_trip(sigma, 2 * volume) >= 0


@pytest.mark.parametrize("bad", [{"fee_bps": -1.0}, {"spread_bps": float("nan")}, {"impact": float("inf")}])
def test_impossible_costs_are_refused_by_name(bad):
    """A negative, NaN or infinite parameter names itself."""
    with pytest.raises(SettingsError, match=next(iter(bad))):
        Costs(**{"fee_bps": 1.0, "spread_bps": 1.0, **bad})
