"""The event loop: fills, one position at a time, marks, and what it refuses."""

import numpy as np
import pyarrow as pa
import pytest
from papermarket import MINUTE, START, Market, bars_of, dataset_of, lean, predictions_of

from scalper_ml.backtest.costs import Costs
from scalper_ml.backtest.engine import run_backtest
from scalper_ml.backtest.rows import of_role
from scalper_ml.errors import ContractError
from scalper_ml.schema import TRADES, us

FREE = Costs(0.0, 0.0, impact=0.0)


def replay(market: Market, *, threshold=0.5, costs=FREE, role="score", **more):
    return run_backtest(
        market.bars,
        market.dataset,
        of_role(market.predictions, role),
        role=role,
        threshold=threshold,
        costs=costs,
        horizon=market.horizon,
        interval_us=MINUTE,
        **more,
    )


def small(open_, p_long, *, horizon, close=None, sigma=0.01, keep=None, max_gap=0, **bars):
    """A market whose rows are all of role score, predicted by `p_long` in row order."""
    table = bars_of(open_, open_ if close is None else close, keep=keep, **bars)
    dataset = dataset_of(table, horizon=horizon, sigma=sigma, select=0.0, max_gap=max_gap)
    p = np.full(dataset.num_rows, 0.5)
    p[: len(p_long)] = p_long[: dataset.num_rows]
    return Market(table, dataset, predictions_of(dataset, lean(p)), horizon)


def test_a_long_and_a_short_trade_worked_by_hand():
    """Entry at the next open, exit two bars later, costs twice a side, risk = sigma sqrt(h), R = net / risk."""
    opens = [100, 101, 102, 104, 103, 100, 99, 98]
    closes = [100, 101.5, 103, 104, 102, 100, 99, 98]
    market = small(opens, [0.9, 0.5, 0.5, 0.2], horizon=2, close=closes, sigma=0.01, quote_volume=1e6)
    costs = Costs(fee_bps=5.0, spread_bps=2.0, impact=1.0, notional=10_000.0)
    run = replay(market, threshold=0.6, costs=costs)
    long, short = run.trades.to_pylist()
    slip = 2 * (0.1 * 2e-4 + 0.01 * 0.1)
    assert (long["side"], long["entry_price"], long["exit_price"]) == (1, 101.0, 104.0)
    assert (short["side"], short["entry_price"], short["exit_price"]) == (-1, 103.0, 99.0)
    assert long["gross"] == pytest.approx(104 / 101 - 1)
    assert short["gross"] == pytest.approx(-(99 / 103 - 1))
    for trade in (long, short):
        assert (trade["fees"], trade["spread"], trade["slippage"]) == pytest.approx((10e-4, 2e-4, slip))
        assert trade["risk"] == pytest.approx(0.01 * 2**0.5)
        assert trade["net"] == pytest.approx(trade["gross"] - 12e-4 - slip)
        assert trade["r"] == pytest.approx(trade["net"] / trade["risk"])
    assert long["confidence"] == pytest.approx(0.9)
    assert us(run.trades["entry_ts_us"]).tolist() == [START + MINUTE, START + 4 * MINUTE]
    assert us(run.trades["exit_ts_us"]).tolist() == [START + 3 * MINUTE, START + 6 * MINUTE]
    side_cost = (12e-4 + slip) / 2
    marked = (103 / 101 - 1 - side_cost) / long["risk"]  # close of the bar before the exit
    assert run.equity["r_cum"].to_pylist()[2] == pytest.approx(marked)
    assert run.equity["equity"].to_pylist()[2] == pytest.approx(1 + 0.005 * marked)
    assert run.equity["r_cum"].to_pylist()[3] == pytest.approx(long["r"])
    assert run.equity["equity"].to_pylist()[-1] == pytest.approx((1 + 0.005 * long["r"]) * (1 + 0.005 * short["r"]))
    assert run.signals["y_pred"].to_pylist()[:4] == [2, 1, 1, 0]


def test_decisions_are_taken_only_while_flat():
    """With a signal on every bar and h = 3, signals 0, 4, 8 are taken: the next is the first close after the exit."""
    market = small(np.linspace(100, 110, 14), np.full(14, 0.9), horizon=3)
    run = replay(market)
    assert run.trade_rows.tolist() == [0, 4, 8]
    entries, exits = run.trades["entry_ts_us"].to_pylist(), run.trades["exit_ts_us"].to_pylist()
    assert all(entry > left for entry, left in zip(entries[1:], exits, strict=False))


def test_a_signal_one_bar_too_early_is_passed_over():
    """A signal whose entry would come one open before the exit is not taken; nothing is queued."""
    p = np.full(12, 0.5)
    p[[0, 2]] = 0.9
    market = small(np.linspace(100, 110, 12), p, horizon=3)
    assert replay(market, threshold=0.6).trade_rows.tolist() == [0]


def test_missing_bars_delay_the_exit_to_the_first_open_after_its_time():
    """When the exit bar is missing the trade leaves at the next bar there is, as the label does."""
    keep = np.ones(12, bool)
    keep[4] = False  # the exit of a signal on bar 1 with h = 2 is due at the open of bar 4
    p = np.full(12, 0.5)
    p[1] = 0.9
    market = small(np.linspace(100, 111, 12), p, horizon=2, keep=keep, max_gap=1)
    trade = replay(market, threshold=0.6).trades.to_pylist()[0]
    assert (trade["entry_price"], trade["exit_price"]) == (102.0, 105.0)


def test_fills_recomputed_from_bars_are_the_datasets():
    """On a market with holes, every trade has the entry, exit and known time of its dataset row."""
    rng = np.random.default_rng(3)
    n = 3_000
    keep = rng.random(n) > 0.05
    keep[0] = True
    market = small(100 * np.exp(np.cumsum(rng.normal(0, 1e-3, n))), rng.random(n), horizon=4, keep=keep, max_gap=2)
    run = replay(market, threshold=0.6)
    rows = market.dataset.take(run.trade_rows)
    assert run.trades.num_rows > 100
    assert run.trades["entry_price"].to_pylist() == rows["entry_price"].to_pylist()
    assert run.trades["exit_price"].to_pylist() == rows["exit_price"].to_pylist()
    bar = np.searchsorted(us(market.bars["open_ts_us"]), us(run.trades["exit_ts_us"]))
    assert us(market.bars["ts_us"])[bar].tolist() == us(rows["t1_us"]).tolist()


def test_bars_that_disagree_with_the_dataset_are_refused():
    """A dataset made from other bars is found out by its prices."""
    market = small(np.linspace(100, 110, 14), np.full(14, 0.9), horizon=3)
    moved = small(np.linspace(100, 111, 14), np.full(14, 0.9), horizon=3)
    with pytest.raises(ContractError, match="rebuild the dataset"):
        replay(Market(moved.bars, market.dataset, market.predictions, 3))


def test_missing_quote_volume_is_volume_at_the_close():
    """A source without quote volume pays the impact of base volume times close."""
    opens = np.linspace(100, 110, 8)
    costs = Costs(0.0, 0.0, impact=1.0, notional=1_000.0)
    with_null = small(opens, [0.9], horizon=2, quote_volume=None, volume=50.0)
    given = small(opens, [0.9], horizon=2, quote_volume=50.0 * opens[0])
    slippage = [replay(m, threshold=0.6, costs=costs).trades["slippage"].to_pylist() for m in (with_null, given)]
    assert slippage[0] == slippage[1]
    assert slippage[0][0] > 0


def test_a_signal_on_a_bar_without_volume_is_decided_but_not_filled():
    """Nothing traded on the bar: the decision counts, the order does not exist, and it is counted."""
    market = small(np.linspace(100, 110, 8), [0.9], horizon=2, quote_volume=0.0, volume=0.0)
    run = replay(market, threshold=0.6)
    assert (run.trades.num_rows, run.unfillable) == (0, 1)
    assert run.signals["y_pred"].to_pylist()[0] == 2
    assert run.trades.schema.equals(TRADES)


def predictions_like(market: Market, **columns) -> pa.Table:
    table = market.predictions
    for name, value in columns.items():
        field = table.schema.field(name)
        table = table.set_column(table.column_names.index(name), field, pa.array([value] * table.num_rows, field.type))
    return table


@pytest.mark.parametrize(
    ("change", "role", "match"),
    [
        ({"role": "select"}, "score", "found predictions of \\['select'\\]"),
        ({"role": "train"}, "train", "in sample"),
        ({"fold": 0}, "score", "in sample or of another model"),
        ({"role": "train", "fold": 0}, "train", "rows of another role"),
        ({"role": "calibrate"}, "calibrate", "used for fitting"),
        ({"role": "purged"}, "purged", "used for fitting"),
    ],
)
def test_only_out_of_sample_rows_of_the_role_are_traded(change, role, match):
    """Rows of another role, in-sample rows and rows the dataset gives another role are contract errors."""
    market = small(np.linspace(100, 110, 14), np.full(14, 0.9), horizon=3)
    with pytest.raises(ContractError, match=match):
        run_backtest(
            market.bars,
            market.dataset,
            predictions_like(market, **change),
            role=role,
            threshold=0.5,
            costs=FREE,
            horizon=3,
            interval_us=MINUTE,
        )


def test_chosen_rows_are_refused():
    """Leaving out rows of the role is a contract error: nobody picks the rows a backtest runs on."""
    market = small(np.linspace(100, 110, 14), np.full(14, 0.9), horizon=3)
    with pytest.raises(ContractError, match="no backtest"):
        replay(Market(market.bars, market.dataset, market.predictions.slice(1), 3))


def test_unsorted_and_unknown_rows_are_refused():
    """Predictions out of order or of unknown bars are contract errors."""
    market = small(np.linspace(100, 110, 14), np.full(14, 0.9), horizon=3)
    back = market.predictions.take(list(range(market.predictions.num_rows))[::-1])
    with pytest.raises(ContractError, match="strictly increasing"):
        replay(Market(market.bars, market.dataset, back, 3))
    with pytest.raises(ContractError, match="no counterpart among the dataset"):
        replay(Market(market.bars, market.dataset.slice(1), market.predictions, 3))


def test_a_row_without_volatility_is_refused():
    """Risk is sigma sqrt(h): a zero sigma names its row."""
    market = small(np.linspace(100, 110, 14), np.full(14, 0.9), horizon=3, sigma=0.0)
    with pytest.raises(ContractError, match="sigma is not positive on 10 of 10"):
        replay(market)
