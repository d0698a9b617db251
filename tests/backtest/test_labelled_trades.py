"""Trades that enter and leave where their labels do, against the labeller run again with the sides that were taken."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from papermarket import MINUTE, START, predictions_of

from scalper_ml.backtest.costs import Costs
from scalper_ml.backtest.engine import RISK_PER_TRADE, run_backtest
from scalper_ml.backtest.execution import Funding
from scalper_ml.backtest.labelled import AsLabelled
from scalper_ml.errors import ContractError
from scalper_ml.labels.barrier import BarrierLabels, barrier_labels
from scalper_ml.labels.horizon import Barriers, LabelParams
from scalper_ml.labels.rule import LabelRule
from scalper_ml.schema import BARS, DATASET, conform, stamps, us

COSTS = Costs(fee_bps=1.0, spread_bps=1.0, impact=0.0)
BARRIERS = Barriers(1.5, 1.0, 2)
RULE = AsLabelled("triple_barrier", "open", 1.0, BARRIERS)
HORIZON = 4


def market(seed: int, n: int = 160) -> tuple[pa.Table, dict[str, Any]]:
    """Bars with wide ranges, so that both barriers often lie within one."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 1e-3, n)))
    first = np.concatenate([[100.0], close[:-1]])
    high = np.maximum(first, close) * np.exp(rng.exponential(1e-3, n))
    low = np.minimum(first, close) * np.exp(-rng.exponential(1e-3, n))
    start = START + MINUTE * np.arange(n)
    prices = {"open": first, "high": high, "low": low, "close": close}
    told = {"open_ts_us": stamps(start), "ts_us": stamps(start + MINUTE), "volume": np.full(n, 1e6)}
    zeros = {"gap": np.zeros(n, np.int32), "revision": np.zeros(n, np.int32), "quote_volume": np.full(n, 1e9)}
    columns = {**prices, **told, **zeros}
    bars = conform(pa.table({name: columns.get(name, pa.nulls(n)) for name in BARS.names}), BARS, "bars")
    rule = {
        "rule": LabelRule(HORIZON, MINUTE, 0.43, 1.0), "sigma": np.full(n, 1e-3), "cost": 4e-4, "barriers": BARRIERS,
    }  # fmt: skip
    return bars, rule


def labelled(bars: pa.Table, rule: dict[str, Any], side: Any = None) -> BarrierLabels:
    prices = {name: bars.column(name).to_numpy() for name in ("open", "high", "low")}
    return barrier_labels(**prices, open_ts_us=us(bars["open_ts_us"]), ts_us=us(bars["ts_us"]), side=side, **rule)


def dataset_of(labels: BarrierLabels) -> pa.Table:
    n = labels.row.size
    return conform(
        pa.table(
            {
                "ts_us": stamps(labels.t0), "t0_us": stamps(labels.t0), "t1_us": stamps(labels.t1), "y": labels.y,
                "y_binary": labels.y_binary, "ret": labels.ret, "entry_price": labels.entry, "exit_price": labels.exit,
                "deadband": labels.deadband, "cost": labels.cost, "sigma": labels.sigma, "weight": np.ones(n),
                "role": pa.array(np.full(n, "score")),
            }
        ),
        DATASET,
        "dataset",
    )  # fmt: skip


def sides_of(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Random sides and probabilities that say them."""
    side = np.random.default_rng(seed).integers(-1, 2, n)
    P = np.full((n, 3), 0.1)
    P[np.arange(n), side + 1] = 0.8
    return side, P


@given(st.integers(0, 5000))
def test_every_trade_is_the_outcome_of_the_side_it_took(seed: int) -> None:
    """Entry, exit and result of each trade are those of the labeller given that side: stops, gains, time is up."""
    bars, rule = market(seed)
    labels = labelled(bars, rule)
    dataset = dataset_of(labels)
    side, P = sides_of(labels.row.size, seed)
    run = run_backtest(
        bars, dataset, predictions_of(dataset, P), role="score", threshold=0.6, costs=COSTS, horizon=HORIZON,
        interval_us=MINUTE, rule=RULE,
    )  # fmt: skip
    # of a price, as the dataset has it, the distances are the price's: those of a SHORT are turned round
    outcomes = {}
    for sign, barriers in ((1, BARRIERS), (-1, Barriers(BARRIERS.lower, BARRIERS.upper, BARRIERS.hold))):
        own = labelled(bars, {**rule, "barriers": barriers}, np.full(bars.num_rows, sign))
        for k in range(own.row.size):
            outcomes[int(own.t0[k]), sign] = (int(own.t1[k]), float(own.entry[k]), float(own.exit[k]))
    free, expected = 0, []
    for k in range(labels.row.size):
        t0 = int(labels.t0[k])
        if side[k] and t0 >= free:
            t1, entry, leave = outcomes[t0, int(side[k])]
            expected.append((t0, t1, int(side[k]), entry, leave))
            free = t1
    trades = run.trades
    columns = [us(trades["signal_ts_us"]), us(trades["exit_ts_us"])]
    columns += [trades[name].to_numpy() for name in ("side", "entry_price", "exit_price")]
    found = list(zip(*(column.tolist() for column in columns), strict=True))
    assert [one[:3] for one in found] == [one[:3] for one in expected]
    np.testing.assert_allclose([one[3:] for one in found], [one[3:] for one in expected], rtol=1e-12)
    r = trades["r"].to_numpy()
    assert run.equity["r_cum"].to_numpy()[-1] == pytest.approx(r.sum(), abs=1e-9)


def test_the_markets_of_these_tests_know_every_outcome() -> None:
    """Gain, loss, both barriers in one bar and time that is up: none of the outcomes goes untested."""
    touches = [set(labelled(*market(seed)).touch.tolist()) for seed in range(20)]
    assert sum(one == {-1, 0, 1, 2} for one in touches) >= 10


def test_a_late_entry_is_at_a_later_open_and_the_exit_stays() -> None:
    """With a bar of latency the entry is the next open but one; trades already over by then are not taken."""
    bars, rule = market(3)
    labels = labelled(bars, rule)
    dataset = dataset_of(labels)
    _, P = sides_of(labels.row.size, 3)
    late = run_backtest(
        bars, dataset, predictions_of(dataset, P), role="score", threshold=0.6, costs=COSTS, horizon=HORIZON,
        interval_us=MINUTE, rule=RULE, latency_bars=1,
    )  # fmt: skip
    opens = dict(zip(us(bars["open_ts_us"]).tolist(), bars["open"].to_numpy().tolist(), strict=True))
    for trade in late.trades.to_pylist():
        signal = int(trade["signal_ts_us"].timestamp() * 1e6)
        assert trade["entry_price"] == opens[signal + MINUTE]
        assert trade["exit_ts_us"] >= trade["entry_ts_us"]
    assert late.trades.num_rows


def test_funding_is_in_the_equity_as_it_is_in_the_trades() -> None:
    """What settlements cost a trade that follows its label is gone from the curve, too: it ends at the total of R."""
    bars, rule = market(5)
    dataset = dataset_of(labelled(bars, rule))
    _, P = sides_of(dataset.num_rows, 5)
    run = run_backtest(
        bars, dataset, predictions_of(dataset, P), role="score", threshold=0.6, costs=COSTS, horizon=HORIZON,
        interval_us=MINUTE, rule=RULE, funding=Funding(START + 7 * MINUTE * np.arange(20), np.full(20, 1e-3)),
    )  # fmt: skip
    assert np.abs(run.trades["funding"].to_numpy()).sum() > 1e-3
    r, equity = run.trades["r"].to_numpy(), run.equity
    assert equity["r_cum"].to_numpy()[-1] == pytest.approx(r.sum(), abs=1e-9)
    assert equity["equity"].to_numpy()[-1] == pytest.approx(np.prod(1.0 + RISK_PER_TRADE * r), abs=1e-12)


def test_labels_of_other_bars_are_refused() -> None:
    """An exit outside its bar says that the dataset is not of these bars."""
    bars, rule = market(4)
    labels = labelled(bars, rule)
    dataset = dataset_of(labels)
    at = dataset.schema.get_field_index("exit_price")
    moved = dataset.set_column(at, dataset.schema.field(at), pa.array(labels.exit * 1.05))
    _, P = sides_of(labels.row.size, 4)
    with pytest.raises(ContractError, match="exits are not within their bars"):
        run_backtest(
            bars, moved, predictions_of(moved, P), role="score", threshold=0.6, costs=COSTS, horizon=HORIZON,
            interval_us=MINUTE, rule=RULE,
        )  # fmt: skip


def test_a_hold_between_opens_needs_no_rule() -> None:
    """Fixed horizons on opens are traded from the bars alone; barriers and prices of trades are not."""
    params = LabelParams(3, MINUTE, 0.43, 1.0, {"round_trip": 1e-3}, 0)
    assert AsLabelled.of(params) is None
    tape = LabelParams(3, MINUTE, 0.43, 1.0, {"round_trip": 1e-3}, 0, price="trade")
    assert AsLabelled.of(tape) == AsLabelled("fixed", "trade", 1.0)
