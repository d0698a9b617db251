"""Stylised facts: figures that are known by construction."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from scalper_ml.ingest.order import Trades
from scalper_ml.ingest.stylised import FACTS, Fact, stylised_facts
from scalper_ml.ingest.synthetic import SyntheticSpec, simulate, write_synthetic
from scalper_ml.ingest.trades import ticks_table

MINUTE = 60_000_000


def facts_of(spec: SyntheticSpec) -> dict[str, Fact]:
    market = simulate(spec)
    found = stylised_facts(market.ticks, market.truth["mid"].to_numpy(), spec.interval_us, spec.start_us)
    return {fact.name: fact for fact in found}


def test_a_plain_market_has_the_figures_of_its_law() -> None:
    """Normal returns without memory, Poisson counts, sides with the signal's memory, the tail that was drawn."""
    spec = SyntheticSpec(days=10, trades_per_bar=30, rho=0.0, phi=0.9, seed=2)
    found = {name: fact.value for name, fact in facts_of(spec).items()}
    assert list(found) == list(FACTS)
    assert found["kurtosis"] == pytest.approx(3.0, abs=0.2)
    assert found["return_acf_1"] == pytest.approx(0.0, abs=0.035)
    assert found["abs_return_acf_1"] == pytest.approx(0.0, abs=0.035)
    assert found["count_dispersion"] == pytest.approx(1.0, abs=0.05)
    a = np.random.default_rng(0).standard_normal(400_000)
    assert found["sign_acf_1"] == pytest.approx(np.var(np.tanh(a / 2)), abs=0.02)  # sides of a bar share one signal
    assert found["size_tail"] == pytest.approx(2.5, abs=0.5)
    assert found["hour_ratio"] == pytest.approx(1.0, abs=0.1)


def test_the_bounce_is_that_of_roll() -> None:
    """Where only the spread moves prices, trade-to-trade changes have the autocorrelation -1/2."""
    spec = SyntheticSpec(level="null", days=2, trades_per_bar=30, phi=0.0, sigma=1e-7, spread_bps=20.0)
    assert facts_of(spec)["trade_return_acf_1"].value == pytest.approx(-0.5, abs=0.06)


def test_what_cannot_be_told_is_none() -> None:
    """Ten trades of one price say nothing of memory or tails, and are not called in range."""
    n = 10
    at = np.arange(n, dtype=np.int64) * MINUTE
    trades = Trades(at, np.full(n, 5.0), np.ones(n), np.ones(n, np.int8), np.full(n, -1))
    found = stylised_facts(ticks_table(trades, "x"), np.full(n, 5.0), MINUTE, 0)
    by_name = {fact.name: fact for fact in found}
    assert by_name["kurtosis"].value is None
    assert by_name["kurtosis"].holds is None
    assert by_name["sign_acf_1"].value is None
    assert by_name["size_tail"].value is None


def test_the_report_lies_beside_the_market(tmp_path: Path) -> None:
    """The truth beside a written market has every fact with its range."""
    spec = SyntheticSpec(days=0.5, trades_per_bar=8)
    write_synthetic(tmp_path, spec)
    told = json.loads((tmp_path / "SYNUSDT_synthetic.truth.json").read_text())["facts"]
    assert told == {name: fact.to_dict() for name, fact in facts_of(dataclasses.replace(spec)).items()}
