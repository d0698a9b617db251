"""Sanity laws 4, 5 and 10 (METHOD 6.4) through everything: bars, features, dataset, model, trades."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa
import pytest
from papermarket import MINUTE, START, bars_of, lean, predictions_of, signal_market

from scalper_ml.backtest.costs import Costs
from scalper_ml.backtest.engine import Backtest, run_backtest
from scalper_ml.backtest.labelled import AsLabelled
from scalper_ml.backtest.robustness import robustness
from scalper_ml.backtest.rows import of_role
from scalper_ml.datasets.build import Dataset, DatasetParams, build_dataset
from scalper_ml.features.engine import FeatureBlock, compute
from scalper_ml.features.inputs import inputs_from_bars
from scalper_ml.features.registry import feature_set
from scalper_ml.gate.score import quality_score, sample_of
from scalper_ml.labels.barrier import barrier_labels, tape_barrier_labels
from scalper_ml.labels.horizon import Barriers
from scalper_ml.labels.rule import LabelRule
from scalper_ml.models.train import TrainOptions, train_model
from scalper_ml.schema import LONG, SHORT, us
from scalper_ml.validation.metrics import classification_metrics

FREE = Costs(0.0, 0.0, impact=0.0)
FS = feature_set(["klines"], families=["momentum", "volatility"], reset_after_gap=240)
HORIZON = 3
PARAMS = DatasetParams(horizon=HORIZON, interval_us=MINUTE, scaler="zscore", test_size=0.35)


@dataclass(frozen=True)
class Made:
    """Bars, their features and their dataset."""

    bars: pa.Table
    features: FeatureBlock
    dataset: Dataset

    @property
    def x(self) -> np.ndarray:
        return self.features.values[self.dataset.rows]


def made(bars: pa.Table, params: DatasetParams = PARAMS) -> Made:
    features = compute(FS, inputs_from_bars(bars), us(bars["ts_us"]))
    return Made(bars, features, build_dataset(bars, features.values, features.warm, FS.names, FS.id, params))


@cache
def market(rho: float) -> Made:
    """Returns that follow a persistent signal, so that momentum foretells them; nothing at 0."""
    return made(signal_market(12_000, rho=rho, horizon=HORIZON, seed=4)[0].bars)


def learned(one: Made, *, X: np.ndarray | None = None, table: pa.Table | None = None) -> Backtest:
    """The score role traded at .5, without costs, by trees that were trained on these features and labels."""
    table = one.dataset.table if table is None else table
    model = train_model(
        "lgb_classifier", one.x if X is None else X, table, one.dataset.scaler, FS.names, FS.id, seed=3,
        lineage={"symbol": "AAAUSDT", "horizon": HORIZON, "label_version": "l1"},
        options=TrainOptions(n_folds=2, shap_rows=10),
    )  # fmt: skip
    return run_backtest(
        one.bars, table, of_role(model.predictions, "score"), role="score", threshold=0.5, costs=FREE,
        horizon=HORIZON, interval_us=MINUTE,
    )  # fmt: skip


def accuracy(run: Backtest) -> tuple[float, float]:
    """99 % interval of balanced accuracy, from time blocks."""
    y, y_pred = run.signals["y"].to_numpy(), run.signals["y_pred"].to_numpy()
    found = classification_metrics(y, y_pred, np.full(3, 1 / 3), horizon=HORIZON, alpha=0.01)
    low, high = found["balanced_accuracy"]["ci"]
    return low, high


def test_law_4_what_is_learned_is_gone_with_permuted_labels_or_features():
    """A model beyond chance; trained and judged on permuted labels, or on features in permuted blocks, it is at 1/3."""
    one = market(0.5)
    assert accuracy(learned(one))[0] > 1 / 3
    rng = np.random.default_rng(0)
    table, n = one.dataset.table, one.dataset.rows.size
    order = pa.array(rng.permutation(n))
    for name in ("y", "y_binary"):
        place = table.column_names.index(name)
        table = table.set_column(place, table.schema.field(name), table[name].take(order))
    low, high = accuracy(learned(one, table=table))
    assert low < 1 / 3 < high
    pieces = np.array_split(np.arange(n), n // 240)
    cycle = rng.permutation(len(pieces))
    elsewhere = np.empty_like(cycle)
    elsewhere[cycle] = np.roll(cycle, 1)  # one cycle: no block stays where it was
    low, high = accuracy(learned(one, X=one.x[np.concatenate([pieces[k] for k in elsewhere])]))
    assert low < 1 / 3 < high


@pytest.mark.parametrize("backwards", [False, True])
def test_law_5_nothing_is_found_in_a_null_series_nor_in_its_reverse(backwards):
    """Trained on a market that knows nothing, and on the same market run backwards: chance, no R, REJECTED."""
    one = market(0.0)
    if backwards:
        one = made(bars_of(*(one.bars[name].to_numpy()[::-1] for name in ("close", "open"))))
    run = learned(one)
    low, high = accuracy(run)
    assert low < 1 / 3 < high
    r = run.trades["r"].to_numpy()
    assert r.size > 900
    assert abs(r.mean()) < 3 * r.std(ddof=1) / np.sqrt(r.size)
    assert quality_score(sample_of(run, HORIZON), seed=1).score_0_100 < 50


RULE = LabelRule(2, MINUTE, 0.5, 1.0)
BARRIERS, MIRRORED = Barriers(2.0, 1.4, 3), Barriers(1.4, 2.0, 3)


def walk(seed: int, n: int = 600) -> np.ndarray:
    return 100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 3e-3, n)))


def assert_mirrored(here, there):
    """The same rows, known at the same moments, with the other side's outcome."""
    assert here.row.size > 500
    assert {-1, 0, 1} <= set(here.touch.tolist())
    assert here.row.tolist() == there.row.tolist()
    assert here.t1.tolist() == there.t1.tolist()
    turned = np.where(np.isin(here.touch, (-1, 1)), -here.touch, here.touch)
    assert turned.tolist() == there.touch.tolist()
    assert (LONG + SHORT - here.y).tolist() == there.y.tolist()
    assert np.allclose(here.ret[here.touch != 2], -there.ret[here.touch != 2], rtol=0, atol=1e-12)
    assert np.allclose(here.upper * there.lower, 100.0**2, rtol=1e-12)


@pytest.mark.parametrize("sided", [False, True])
def test_law_5_barriers_mirror_when_prices_are_inverted(sided):
    """On P -> P0^2 / P what was LONG is SHORT, row by row: on bars and on trades, with sides and without."""
    rng = np.random.default_rng(1)
    price = walk(2, 601)
    reach = np.exp(np.abs(rng.normal(0, 3e-3, (2, 600))))
    open_, close = price[:-1], price[1:]
    high, low = np.maximum(open_, close) * reach[0], np.minimum(open_, close) / reach[1]
    start = MINUTE * np.arange(600)
    side = rng.choice([-1, 1], 600) if sided else None
    given = {"rule": RULE, "sigma": np.full(600, 3e-3), "cost": 0.0}
    # `upper` is the gain of a given side: with one it stays, without one it becomes the lower
    there = {"barriers": BARRIERS if sided else MIRRORED, "side": None if side is None else -side}
    here = {"barriers": BARRIERS, "side": side}
    stamps = (start, start + MINUTE)
    assert_mirrored(
        barrier_labels(open_, high, low, *stamps, **given, **here),
        barrier_labels(*(100.0**2 / one for one in (open_, low, high)), *stamps, **given, **there),
    )
    ts = np.arange(6_000) * (MINUTE // 10)
    trades = np.repeat(open_, 10) * np.exp(rng.normal(0, 1e-3, 6_000))
    assert_mirrored(
        tape_barrier_labels(start + MINUTE, ts, trades, latency_us=7, **given, **here),
        tape_barrier_labels(start + MINUTE, ts, 100.0**2 / trades, latency_us=7, **given, **there),
    )


HOLE = (1_500, 1_740)  # four hours


def with_hole(params: DatasetParams) -> Made:
    price = walk(5, 6_001)
    keep = np.ones(6_000, bool)
    keep[slice(*HOLE)] = False
    return made(bars_of(price[:-1], price[1:], keep=keep), params)


def decided_at(one: Made, moment_us: int, horizon: int, rule: AsLabelled | None = None, **more) -> Backtest:
    """A LONG at the row of this moment, and at no other."""
    table = one.dataset.table
    roles = pa.array(["score"] * table.num_rows)
    table = table.set_column(table.column_names.index("role"), table.schema.field("role"), roles)
    P = lean(np.where(us(table["ts_us"]) == moment_us, 0.9, 0.5))
    return run_backtest(
        one.bars, table, predictions_of(table, P), role="score", threshold=0.8, costs=FREE, horizon=horizon,
        interval_us=MINUTE, rule=rule, **more,
    )  # fmt: skip


def test_law_10_after_a_hole_features_are_nan_until_they_are_warm_again():
    """Without the bars of four hours every column starts anew after them, and no row of its warm-up is decided."""
    one = with_hole(PARAMS)
    after = HOLE[0]  # the row of the first bar after the hole
    assert one.bars["gap"][after].as_py() == 240
    values = one.features.values[after:]
    for j, (name, warmup) in enumerate(zip(FS.names, FS.warmups.tolist(), strict=True)):
        assert np.isnan(values[:warmup, j]).all(), name
        assert np.isfinite(values[warmup:, j]).all(), name
    assert FS.warmup > 100
    assert not one.features.warm[after : after + FS.warmup].any()
    assert one.features.warm[after + FS.warmup :].all()
    decided = one.dataset.rows
    assert not ((decided >= after) & (decided < after + FS.warmup)).any()
    assert (decided >= after + FS.warmup).any()


@pytest.mark.parametrize("latency", [0, 1])
def test_law_10_a_position_that_is_carried_through_a_hole_is_flagged(latency):
    """The last trade before the hole leaves before it; one that is late is held for four hours, and says so."""
    one = with_hole(PARAMS)
    last = START + (HOLE[0] - HORIZON - 1) * MINUTE  # leaves at the open of the last bar
    run = decided_at(one, last, HORIZON, latency_bars=latency)
    (trade,) = run.trades.to_pylist()
    assert trade["signal_ts_us"].timestamp() * 1e6 == last
    assert (trade["exit_ts_us"] - trade["entry_ts_us"]).total_seconds() == 60 * (HORIZON + 240 * latency)
    assert run.gaps.tolist() == [240 * latency]
    flag = robustness(run, HORIZON, trials=1, seed=0)["held_over_gaps"]
    assert (flag["trades"], flag["longest"]) == (latency, 240 * latency)
    assert flag["expectancy_r"] == (trade["r"] if latency else None)


def test_law_10_a_hold_longer_than_the_hole_is_flagged():
    """Labels of 300 bars reach over the hole; every trade on one of them counts the bars that are missing."""
    longer = DatasetParams(horizon=300, interval_us=MINUTE, scaler="zscore")
    one = with_hole(longer)
    run = decided_at(one, START + (HOLE[0] - 10) * MINUTE, 300)
    assert (run.trades.num_rows, run.gaps.tolist()) == (1, [240])


def test_law_10_no_barrier_is_waited_for_through_a_hole():
    """Triple barriers give no label across the hole, so nothing is decided that could be held through it."""
    barriers = Barriers(50.0, 50.0, 10)
    one = with_hole(DatasetParams(horizon=HORIZON, interval_us=MINUTE, kind="triple_barrier", barriers=barriers))
    rule = AsLabelled("triple_barrier", "open", 1.0, barriers)
    last = START + (HOLE[0] - HORIZON * barriers.hold - 1) * MINUTE
    run = decided_at(one, last, HORIZON, rule)
    assert (run.trades.num_rows, run.gaps.tolist()) == (1, [0])
    assert not ((one.dataset.labels.t0 > last) & (one.dataset.labels.t0 < START + HOLE[1] * MINUTE)).any()
