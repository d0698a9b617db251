"""Sanity laws every backtest must obey (METHOD 6.4), and an oracle that shares no code with the engine."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from papermarket import MINUTE, Market, bars_of, dataset_of, lean, predictions_of, signal_market

from scalper_ml.backtest.costs import Costs
from scalper_ml.backtest.engine import Backtest, run_backtest
from scalper_ml.backtest.rows import of_role
from scalper_ml.schema import us
from scalper_ml.validation.metrics import balanced_accuracy, confusion_matrix

FREE = Costs(0.0, 0.0, impact=0.0)
TAKER = Costs(fee_bps=5.0, spread_bps=1.0, impact=0.5, notional=10_000.0)


def replay(market: Market, *, threshold=0.5, costs=FREE, **more) -> Backtest:
    return run_backtest(
        market.bars,
        market.dataset,
        of_role(market.predictions, "score"),
        role="score",
        threshold=threshold,
        costs=costs,
        horizon=market.horizon,
        interval_us=MINUTE,
        **more,
    )


def walk(n, seed, *, horizon, sigma=1e-3) -> Market:
    """A driftless random walk with constant volatility and random predictions; all rows are score."""
    rng = np.random.default_rng(seed)
    steps = sigma * rng.standard_normal(n)
    price = 100 * np.exp(np.concatenate([[0.0], np.cumsum(steps - sigma**2 / 2)]))
    bars = bars_of(price[:-1], price[1:])
    dataset = dataset_of(bars, horizon=horizon, sigma=sigma, select=0.0)
    return Market(bars, dataset, predictions_of(dataset, lean(rng.random(dataset.num_rows))), horizon)


def test_law_1_random_entries_earn_nothing_and_with_costs_lose_the_costs():
    """10,000 random trades on a driftless walk: mean R within 3 SE of 0, and of -cost/risk with costs."""
    market = walk(41_500, seed=1, horizon=3)
    for costs in (FREE, Costs(4.0, 1.0, impact=0.0)):
        r = replay(market, costs=costs).trades["r"].to_numpy()
        expected = -float(costs.round_trip(1e-3)) / (1e-3 * np.sqrt(3))
        assert r.size > 10_000
        assert abs(r.mean() - expected) < 3 * r.std(ddof=1) / np.sqrt(r.size)


def test_law_2_foresight_pays_hugely_and_delayed_by_the_horizon_it_does_not():
    """Knowing the next h bars earns more than 0.6 R a trade; acting on it h bars late is random."""
    market = walk(31_000, seed=2, horizon=3)
    knows = market.with_predictions(lean(np.where(market.dataset["ret"].to_numpy() >= 0, 0.9, 0.1)))
    now, late = (replay(knows, latency_bars=bars).trades["r"].to_numpy() for bars in (0, 3))
    assert now.mean() > 0.6
    assert (now > -1e-9).all()
    assert abs(late.mean()) < 3 * late.std(ddof=1) / np.sqrt(late.size)


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.integers(1, 5), st.sampled_from([0.5, 0.6, 0.8]))
def test_law_3_flipped_signals_negate_gross_and_lose_the_same_costs(seed, horizon, threshold):
    """Inverting every signal keeps the trades, negates gross exactly and pays the same costs."""
    market = walk(400, seed=seed, horizon=horizon)
    P = np.column_stack([market.predictions[name].to_numpy() for name in ("p_short", "p_neutral", "p_long")])
    here = replay(market, threshold=threshold, costs=TAKER).trades
    flipped = replay(market.with_predictions(P[:, ::-1]), threshold=threshold, costs=TAKER).trades
    assert here["signal_ts_us"] == flipped["signal_ts_us"]
    assert (here["gross"].to_numpy() == -flipped["gross"].to_numpy()).all()
    for leg in ("fees", "spread", "slippage"):
        assert here[leg] == flipped[leg]


def test_law_4_permuted_labels_leave_chance():
    """A market whose decisions are right beyond chance: against permuted labels its balanced accuracy is 1/3 again."""
    market, _ = signal_market(20_000, rho=0.3, horizon=3, seed=4, phi=0.8, select=0.01)
    signals = replay(market, threshold=0.5).signals
    y, y_pred = signals["y"].to_numpy(), signals["y_pred"].to_numpy()
    assert balanced_accuracy(confusion_matrix(y, y_pred)) > 0.38
    rng = np.random.default_rng(0)
    found = [float(balanced_accuracy(confusion_matrix(rng.permutation(y), y_pred))) for _ in range(40)]
    assert abs(np.mean(found) - 1 / 3) < 3 * np.std(found) / np.sqrt(len(found))


def test_law_9_the_bounce_between_bid_and_ask_is_no_edge():
    """Betting against the last trade's side wins on last prices and loses the spread on executable ones."""
    rng = np.random.default_rng(9)
    n, half = 12_000, 2e-4
    mid = 100 * np.exp(np.cumsum(rng.normal(0, 1e-4, n)))
    first, last = rng.choice([-1, 1], (2, n))
    bars = bars_of(mid * (1 + half * first), mid * (1 + half * last))
    dataset = dataset_of(bars, horizon=1, sigma=3e-4, select=0.0)
    rows = np.searchsorted(us(bars["ts_us"]), us(dataset["ts_us"]))
    market = Market(bars, dataset, predictions_of(dataset, lean(np.where(last[rows] > 0, 0.2, 0.8))), 1)
    seen = np.sign(0.5 - (last[rows] > 0)) * np.log(bars["close"].to_numpy()[rows + 1] / bars["close"].to_numpy()[rows])
    assert seen.mean() > 1e-4
    r = replay(market, costs=Costs(0.0, spread_bps=2e4 * half, impact=0.0)).trades["r"].to_numpy()
    assert r.mean() < -3 * r.std() / np.sqrt(r.size)


def test_law_6_later_fills_never_earn_more_on_a_planted_edge():
    """Mean R falls from latency 0 to 1 to 5 to 20 bars where the edge decays."""
    market, _ = signal_market(30_000, rho=0.3, horizon=5, seed=6, phi=0.8, select=0.01)
    means = [replay(market, latency_bars=bars).trades["r"].to_numpy().mean() for bars in (0, 1, 5, 20)]
    assert means == sorted(means, reverse=True)
    assert means[0] > means[2] + 0.1


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.integers(1, 6))
def test_law_7_equity_reconciles_with_the_trades(seed, horizon):
    """The marked curves end at the sum of R and at the product of 1 + 0.5 % R; between trades they stand still."""
    run = replay(walk(500, seed=seed, horizon=horizon), threshold=0.7, costs=TAKER)
    r, curve = run.trades["r"].to_numpy(), run.equity.to_pandas()
    assert curve["r_cum"].iloc[-1] == pytest.approx(r.sum(), abs=1e-9)
    assert curve["equity"].iloc[-1] == pytest.approx(np.prod(1 + 0.005 * r), rel=1e-9)
    at = us(run.equity["ts_us"])
    closed = np.searchsorted(us(run.trades["exit_ts_us"]), at)
    opened = np.searchsorted(us(run.trades["entry_ts_us"]), at)
    flat = closed == opened
    assert np.allclose(curve["r_cum"][flat], np.concatenate([[0.0], np.cumsum(r)])[closed[flat]], atol=1e-9)


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.floats(0, 20), st.floats(0, 10), st.floats(0, 2))
def test_law_8_costs_are_attributed_to_the_last_digit(seed, fee, spread, impact):
    """gross - fees - spread - slippage = net for each trade, to 1e-12."""
    trades = replay(walk(300, seed=seed, horizon=2), costs=Costs(fee, spread, impact)).trades.to_pandas()
    parts = trades["gross"] - trades["fees"] - trades["spread"] - trades["slippage"]
    assert (parts - trades["net"]).abs().max() <= 1e-12
    assert (trades["r"] * trades["risk"] - trades["net"]).abs().max() <= 1e-12


def oracle(market: Market, threshold: float, costs: Costs) -> pd.DataFrame:
    """Trades from the dataset's own prices by whole columns and jumps; bars give the volume only."""
    frame = market.dataset.to_pandas().merge(market.predictions.to_pandas(), on=["ts_us", "role"])
    bars = market.bars.to_pandas()
    frame = frame[frame["role"] == "score"].reset_index(drop=True)
    both = frame["p_long"] + frame["p_short"]
    frame["side"] = np.where(frame["p_long"] >= frame["p_short"], 1, -1)
    frame["confidence"] = frame[["p_long", "p_short"]].max(axis=1) / both
    frame = frame[frame["confidence"] >= threshold].reset_index(drop=True)
    successor = np.searchsorted(frame["ts_us"].to_numpy(), frame["t1_us"].to_numpy())
    path, at = [], 0
    while at < len(frame):
        path.append(at)
        at = max(successor[at], at + 1)
    frame = frame.iloc[path].merge(bars[["ts_us", "quote_volume"]], on="ts_us")
    impact = costs.impact * frame["sigma"] * np.sqrt(costs.notional / frame["quote_volume"])
    per_side = (costs.fee_bps + 0.5 * costs.spread_bps + costs.spread_slip * costs.spread_bps) / 1e4 + impact
    frame["net"] = frame["side"] * (frame["exit_price"] / frame["entry_price"] - 1) - 2 * per_side
    frame["r"] = frame["net"] / (frame["sigma"] * np.sqrt(market.horizon))
    return frame


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.integers(1, 6), st.sampled_from([0.45, 0.6, 0.9]), st.floats(0, 0.2))
def test_trades_agree_with_an_independent_vectorised_oracle(seed, horizon, threshold, holes):
    """Trade by trade the event loop equals a whole-column version that never looks at open or close of a bar."""
    rng = np.random.default_rng(seed)
    n = 400
    keep = rng.random(n) >= holes
    keep[0] = True
    price = 100 * np.exp(np.cumsum(rng.normal(0, 1e-3, n)))
    bars = bars_of(price, price * np.exp(rng.normal(0, 1e-4, n)), keep=keep, quote_volume=1e7)
    sigma = rng.uniform(5e-4, 2e-3, bars.num_rows)
    dataset = dataset_of(bars, horizon=horizon, sigma=sigma, select=0.2, max_gap=int(rng.integers(0, 3)))
    market = Market(bars, dataset, predictions_of(dataset, lean(rng.random(dataset.num_rows))), horizon)
    ours = replay(market, threshold=threshold, costs=TAKER).trades.to_pandas()
    theirs = oracle(market, threshold, TAKER)
    assert ours["signal_ts_us"].tolist() == theirs["ts_us"].tolist()
    assert ours["side"].tolist() == theirs["side"].tolist()
    assert np.allclose(ours["net"], theirs["net"], rtol=0, atol=1e-12)
    assert np.allclose(ours["r"], theirs["r"], rtol=1e-10, atol=1e-12)


def test_the_same_run_twice_gives_the_same_bytes():
    """Trades and equity are bit-identical on recomputation."""
    market = walk(2_000, seed=9, horizon=3)
    first, second = replay(market, costs=TAKER), replay(market, costs=TAKER)
    assert first.trades.equals(second.trades)
    assert first.equity.equals(second.equity)
