"""The engine trades what the labels say."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from papermarket import MINUTE, Market, bars_of, dataset_of, lean, predictions_of

from scalper_ml.backtest.costs import Costs
from scalper_ml.backtest.engine import run_backtest
from scalper_ml.labels.horizon import horizon_labels
from scalper_ml.labels.rule import LabelRule
from scalper_ml.schema import us


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(0, 2), st.floats(0, 0.2))
def test_fills_equal_the_labels_entry_and_exit(seed, horizon, max_gap, holes):
    """Trades of the engine have the entry price, exit price and known time of the platform's labels, gaps included."""
    rng = np.random.default_rng(seed)
    n = 300
    keep = rng.random(n) >= holes
    keep[0] = True
    price = 100 * np.exp(np.cumsum(rng.normal(0, 1e-3, n)))
    bars = bars_of(price, price, keep=keep)
    labels = horizon_labels(
        bars["open"].to_numpy(),
        us(bars["open_ts_us"]),
        us(bars["ts_us"]),
        rule=LabelRule(horizon, MINUTE, 0.5, 0.0, max_gap),
        sigma=np.full(bars.num_rows, 1e-3),
        cost=0.0,
    )
    dataset = dataset_of(bars, horizon=horizon, select=0.0, max_gap=max_gap)
    labelled = np.isin(us(dataset["ts_us"]), labels.t0)
    dataset = dataset.filter(labelled)
    market = Market(bars, dataset, predictions_of(dataset, lean(rng.random(dataset.num_rows))), horizon)
    run = run_backtest(
        bars,
        dataset,
        market.predictions,
        role="score",
        threshold=0.5,
        costs=Costs(0.0, 0.0),
        horizon=horizon,
        interval_us=MINUTE,
    )
    at = np.searchsorted(labels.t0, us(run.trades["signal_ts_us"]))
    assert us(dataset["t0_us"]).tolist() == labels.t0.tolist()
    assert us(dataset["t1_us"]).tolist() == labels.t1.tolist()
    assert run.trades["entry_price"].to_pylist() == labels.entry[at].tolist()
    assert run.trades["exit_price"].to_pylist() == labels.exit[at].tolist()
    assert run.trades.num_rows > 0
