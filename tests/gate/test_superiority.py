"""Whether any of the models compared earns on select: against the labeller, and on markets whose truth is known."""

import numpy as np
import pyarrow as pa
import pytest
from papermarket import MINUTE, Market, bars_of, dataset_of, lean, predictions_of, signal_market

import scalper_ml.gate.superiority as module
from scalper_ml.backtest.labelled import AsLabelled
from scalper_ml.errors import ContractError
from scalper_ml.gate.superiority import superiority
from scalper_ml.labels.barrier import barrier_labels
from scalper_ml.labels.horizon import Barriers
from scalper_ml.labels.rule import LabelRule
from scalper_ml.schema import DATASET, conform, stamps, us


def costing(market: Market, cost: float) -> pa.Table:
    """The market's dataset with a round trip of `cost` on every row."""
    table = market.dataset
    return table.set_column(table.column_names.index("cost"), "cost", pa.array(np.full(table.num_rows, cost)))


def guesses(market: Market, seed: int) -> pa.Table:
    return predictions_of(market.dataset, lean(np.random.default_rng(seed).random(market.dataset.num_rows)))


def test_one_that_knows_is_found_among_many_that_guess():
    """Nine guessing models say nothing; with one that knows p is small and it is named; its costs can eat it."""
    market, _ = signal_market(8_000, rho=0.3, horizon=3, seed=1, phi=0.8, select=0.4)
    nothing = {f"guess_{k}": guesses(market, k) for k in range(9)}
    assert superiority(nothing, market.dataset, horizon=3)["p"] > 0.05
    found = superiority(nothing | {"knows": market.predictions}, market.dataset, horizon=3)
    assert found["p"] < 0.01
    assert found["best"]["kind"] == "knows"
    assert found["best"]["expectancy_r"] > 0
    assert found["alternatives"] == 50
    dear = superiority(nothing | {"knows": market.predictions}, costing(market, 0.01), horizon=3)
    assert (dear["p"], dear["best"]["expectancy_r"] < 0) == (1.0, True)


def test_only_select_is_looked_at():
    """Other predictions of score change nothing; predictions that lack select rows are refused."""
    market, _ = signal_market(3_000, rho=0.3, horizon=3, seed=2, phi=0.8, select=0.4)
    here = superiority({"a": market.predictions}, market.dataset, horizon=3)
    select = np.array(market.predictions["role"].to_pylist()) == "select"
    mixed = pa.concat_tables(
        [market.predictions.filter(pa.array(select)), guesses(market, 3).filter(pa.array(~select))]
    )
    assert superiority({"a": mixed}, market.dataset, horizon=3) == here
    assert here["rows"] == int(select.sum())
    with pytest.raises(ContractError, match="predictions for"):
        superiority({"a": market.predictions.slice(1)}, market.dataset, horizon=3)


def test_what_a_row_gains_worked_by_a_loop(monkeypatch):
    """The mean over all rows of side times move less costs, in units of the risk."""
    monkeypatch.setattr(module, "SHARES", (1.0,))
    rng = np.random.default_rng(4)
    price = 100 * np.exp(np.cumsum(rng.normal(0, 1e-3, 601)))
    bars = bars_of(price[:-1], price[1:])
    dataset = dataset_of(bars, horizon=2, sigma=1e-3, select=0.5)
    market = Market(bars, dataset, guesses(Market(bars, dataset, dataset, 2), 5), 2)
    found = superiority({"a": market.predictions}, costing(market, 3e-4), horizon=2)
    sides = {row["ts_us"]: 1 if row["p_long"] >= row["p_short"] else -1 for row in market.predictions.to_pylist()}
    gains = [
        (sides[row["ts_us"]] * (row["exit_price"] / row["entry_price"] - 1) - 3e-4) / (1e-3 * 2**0.5)
        for row in dataset.to_pylist()
        if row["role"] == "select"
    ]
    assert found["best"]["expectancy_r"] == pytest.approx(np.mean(gains), rel=1e-9)


def test_a_short_leaves_at_its_own_stop_where_both_barriers_were_met(monkeypatch):
    """With barriers the gains of an always-short model are those of the labeller that is given that side."""
    monkeypatch.setattr(module, "SHARES", (1.0,))
    rng = np.random.default_rng(6)
    n, barriers = 400, Barriers(1.5, 1.0, 2)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 1e-3, n)))
    first = np.concatenate([[100.0], close[:-1]])
    high = np.maximum(first, close) * np.exp(rng.exponential(1e-3, n))
    low = np.minimum(first, close) * np.exp(-rng.exponential(1e-3, n))
    start = MINUTE * np.arange(n)
    rule = {"rule": LabelRule(4, MINUTE, 0.43, 1.0), "sigma": np.full(n, 1e-3), "cost": 4e-4}
    labels = barrier_labels(first, high, low, start, start + MINUTE, barriers=barriers, **rule)
    assert (labels.touch == 2).sum() > 5
    columns = {
        "ts_us": stamps(labels.t0), "t0_us": stamps(labels.t0), "t1_us": stamps(labels.t1), "y": labels.y,
        "y_binary": labels.y_binary, "ret": labels.ret, "entry_price": labels.entry, "exit_price": labels.exit,
        "deadband": labels.deadband, "cost": labels.cost, "sigma": labels.sigma, "weight": np.ones(labels.row.size),
        "role": ["select"] * labels.row.size,
    }  # fmt: skip
    dataset = conform(pa.table(columns), DATASET, "dataset")
    short = predictions_of(dataset, lean(np.full(labels.row.size, 0.1)))
    found = superiority(
        {"short": short}, dataset, horizon=4, rule=AsLabelled("triple_barrier", "open", 1.0, barriers)
    )  # fmt: skip
    turned = Barriers(barriers.lower, barriers.upper, barriers.hold)  # the price's distances are those of its side
    own = barrier_labels(first, high, low, start, start + MINUTE, barriers=turned, side=np.full(n, -1), **rule)
    assert own.t0.tolist() == us(dataset["t0_us"]).tolist()
    gains = (1 - own.exit / own.entry - 4e-4) / (1e-3 * 2)
    assert found["best"]["expectancy_r"] == pytest.approx(gains.mean(), rel=1e-9)
