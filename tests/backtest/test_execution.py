"""What orders are charged and how large they are, and a backtest on trades."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from papermarket import MINUTE, START, bars_of, dataset_of, lean, predictions_of

from scalper_ml.backtest.costs import Costs
from scalper_ml.backtest.engine import run_backtest
from scalper_ml.backtest.events import Tape
from scalper_ml.backtest.execution import Execution, Funding, charges, floor_to, orders_of, sizes
from scalper_ml.backtest.log import order_log, trades_of
from scalper_ml.durable import parquet_bytes
from scalper_ml.errors import ContractError, SettingsError

COSTS = Costs(fee_bps=5.0, spread_bps=2.0, impact=0.5, notional=1_000.0)


def ticks_of(price, per_bar=6):
    """Trades that drift evenly from open to close of each bar."""
    n = price.size - 1
    share = np.arange(per_bar) / per_bar
    path = price[:-1, None] + (price[1:] - price[:-1])[:, None] * share
    ts = START + (np.arange(n)[:, None] + share) * MINUTE
    return Tape.of_trades(ts.ravel().astype(np.int64), path.ravel())


def market(seed=1, n=400, horizon=3):
    rng = np.random.default_rng(seed)
    price = 100 * np.exp(np.cumsum(rng.normal(0, 1e-3, n + 1)))
    bars = bars_of(price[:-1], price[1:])
    dataset = dataset_of(bars, horizon=horizon, sigma=1e-3, select=0.0)
    return price, bars, dataset, predictions_of(dataset, lean(rng.random(dataset.num_rows)))


def replay(bars, dataset, predictions, *, costs=COSTS, threshold=0.6, **more):
    known = {"role": "score", "threshold": threshold, "costs": costs, "horizon": 3, "interval_us": MINUTE}
    return run_backtest(bars, dataset, predictions, **known, **more)


def test_on_trades_the_fill_is_the_first_after_the_latency():
    """Each entry is the first trade a quarter of a second after the close; each exit three bars later likewise."""
    price, bars, dataset, predictions = market()
    tape = ticks_of(price)
    run = replay(bars, dataset, predictions, tape=tape, execution=Execution(latency_us=250_000))
    assert run.trades.num_rows > 30
    for trade in run.trades.to_pylist():
        due = int(trade["signal_ts_us"].timestamp() * 1e6) + 250_000
        for name, moment in (("entry", due), ("exit", due + 3 * MINUTE)):
            at = np.flatnonzero(tape.start >= moment)[0]
            assert trade[f"{name}_price"] == tape.open[at]
            assert int(trade[f"{name}_ts_us"].timestamp() * 1e6) == tape.start[at]


def test_without_latency_trades_at_the_open_are_bars():
    """Where every bar opens with a trade at its first moment, trades and bars fill alike to the last bit."""
    price, bars, dataset, predictions = market()
    with_bars = replay(bars, dataset, predictions)
    with_trades = replay(bars, dataset, predictions, tape=ticks_of(price), execution=Execution(latency_us=0))
    assert with_bars.trades.equals(with_trades.trades)
    assert with_bars.equity.equals(with_trades.equity)


@pytest.mark.parametrize(
    "execution",
    [Execution(), Execution(stop=0.5, target=0.5), Execution(entry="maker", maker_bps=-0.5), Execution(opposite=True)],
    ids=["takers", "barriers", "makers", "opposite"],
)
def test_the_log_replays_to_the_same_bytes(execution):
    """From the order log alone come the same trades, byte for byte, after a round trip through Parquet."""
    price, bars, dataset, predictions = market()
    funding = Funding(START + np.arange(20) * 17 * MINUTE, np.full(20, 1e-4))
    run = replay(bars, dataset, predictions, tape=ticks_of(price), execution=execution, funding=funding)
    log = pq.read_table(pa.BufferReader(parquet_bytes(order_log(run.entries))))
    assert run.trades.num_rows > 10
    assert parquet_bytes(trades_of(log)) == parquet_bytes(run.trades)
    assert log["ts_us"].to_pylist() == sorted(log["ts_us"].to_pylist())
    with pytest.raises(ContractError, match="left once"):
        trades_of(log.slice(1))


def test_every_source_of_cost_is_attributed():
    """gross - fees - spread - slippage - funding = net for makers, takers and those with funding, to 1e-15."""
    price, bars, dataset, predictions = market()
    funding = Funding(START + np.arange(40) * 7 * MINUTE, np.linspace(-1e-3, 1e-3, 40))
    for entry in ("taker", "maker"):
        execution = Execution(entry=entry, maker_bps=1.0, stop=1.0, target=1.0)
        run = replay(bars, dataset, predictions, tape=ticks_of(price), execution=execution, funding=funding)
        frame = run.trades.to_pandas()
        parts = frame["gross"] - frame["fees"] - frame["spread"] - frame["slippage"] - frame["funding"]
        assert (parts - frame["net"]).abs().max() <= 1e-15
        assert frame["funding"].abs().max() > 0


def test_a_maker_pays_its_fee_and_neither_spread_nor_slippage():
    """Worked by hand for both kinds of fill, impact by the order's own notional."""
    maker = np.array([True, False])
    legs = charges(COSTS, Execution(maker_bps=-1.0), maker, np.full(2, 1e-3), np.full(2, 1e6), np.full(2, 1e4))
    assert legs.fees.tolist() == pytest.approx([-1e-4, 5e-4])
    assert legs.spread.tolist() == pytest.approx([0.0, 1e-4])
    assert legs.slippage.tolist() == pytest.approx([0.0, 0.1 * 2e-4 + 0.5 * 1e-3 * 0.1])


def test_funding_is_paid_by_who_is_in_at_the_settlement():
    """A LONG that enters at the settlement pays it, one that leaves at it does not; a SHORT is paid."""
    funding = Funding(np.array([100, 200, 300]), np.array([1e-4, 2e-4, 4e-4]))
    entry, leave = np.array([100, 50, 150, 301]), np.array([200, 100, 301, 400])
    assert funding.of(entry, leave, np.ones(4)).tolist() == pytest.approx([1e-4, 0.0, 6e-4, 0.0])
    assert funding.of(entry, leave, -np.ones(4))[2] == pytest.approx(-6e-4)


def test_sizes_keep_to_the_grid_the_volume_and_the_least_order():
    """Quantities are rounded down; a tenth of the bar is the most; what is below the least order is not sent."""
    price, volume = np.array([100.0, 100.0, 100.0]), np.array([1e6, 2_000.0, 50.0])
    qty, worth = sizes(Execution(lot=0.3, min_notional=10.0), 1_000.0, price, volume)
    assert qty.tolist() == pytest.approx([9.9, 1.8, 0.0])
    assert worth.tolist() == pytest.approx([990.0, 180.0, 0.0])
    assert sizes(Execution(), 1_000.0, price, volume)[1].tolist() == [1_000.0, 200.0, 5.0]
    assert floor_to(np.array([0.3, 0.7, 1.1]), 0.1).tolist() == pytest.approx([0.3, 0.7, 1.1])


def test_limits_lie_on_the_grid_away_from_the_market():
    """A buyer's limit is rounded down, a seller's up: never a better chance than asked for."""
    orders = orders_of(
        Execution(entry="maker", tick=0.5), decided=np.array([0, 1]), late_us=0, hold_us=10,
        side=np.array([1.0, -1.0]), risk=np.full(2, 0.01), close=np.array([100.3, 100.3]), spread=2e-4,
    )  # fmt: skip
    assert orders.limit.tolist() == [100.0, 100.5]


def test_orders_too_small_to_send_are_counted():
    """A least order above the notional: decided, not executed, and counted."""
    _, bars, dataset, predictions = market()
    run = replay(bars, dataset, predictions, execution=Execution(min_notional=2_000.0))
    assert run.trades.num_rows == 0
    assert run.unfillable == int((run.signals["y_pred"].to_numpy() != 1).sum()) > 0


@pytest.mark.parametrize("wrong", [{"stop": 0.0}, {"latency_us": -1}, {"volume_share": 0.0}, {"lot": -1.0}])
def test_impossible_executions_are_refused(wrong):
    """Distances of nothing, negative latencies and grids are settings errors that show the value."""
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        Execution(**wrong)


def test_law_10_nothing_is_held_through_a_hole_unflagged():
    """Without the bars of four hours, every trade over the hole left at the first bar after it, and is visible."""
    rng = np.random.default_rng(3)
    price = 100 * np.exp(np.cumsum(rng.normal(0, 1e-3, 1_000)))
    keep = np.ones(1_000, bool)
    keep[400:640] = False
    bars = bars_of(price, price, keep=keep)
    dataset = dataset_of(bars, horizon=3, sigma=1e-3, select=0.0, max_gap=3)
    run = replay(bars, dataset, predictions_of(dataset, lean(rng.random(dataset.num_rows))), threshold=0.5)
    hole = (START + 400 * MINUTE, START + 640 * MINUTE)
    entry = run.trades["entry_ts_us"].cast(pa.int64()).to_numpy()
    leave = run.trades["exit_ts_us"].cast(pa.int64()).to_numpy()
    assert not ((entry < hole[0]) & (leave > hole[1])).any()
    assert (leave - entry <= 6 * MINUTE).all()
    assert bars["gap"].to_pylist()[400] == 240
