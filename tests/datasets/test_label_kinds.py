"""Datasets of every kind of label and price, their weights, and that the default is what it was."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from scalper_ml.datasets.build import Dataset, DatasetParams, build_dataset
from scalper_ml.datasets.labelling import Tape, in_flight_until, label_bars
from scalper_ml.errors import ContractError, SettingsError
from scalper_ml.labels.barrier import BarrierLabels
from scalper_ml.labels.horizon import Barriers, label_version
from scalper_ml.labels.weights import class_weights, effective_size
from scalper_ml.schema import ROLES, us

PARAMS = DatasetParams(horizon=3, interval_us=60_000_000, cost=0.0005, min_rows=500, seed=7)


def trades(market: Any) -> Tape:
    """Ten trades a bar around its open, buyers a little above sellers."""
    start, price = us(market.bars.column("open_ts_us")), market.bars.column("open").to_numpy()
    rng = np.random.default_rng(8)
    stamp = (start[:, None] + np.sort(rng.integers(0, 60_000_000, (start.size, 10)), axis=1)).ravel()
    side = rng.choice(np.array([-1, 1], dtype=np.int8), stamp.size)
    return Tape(stamp, price=np.repeat(price, 10) * (1 + 1e-5 * side), side=side)


def build(market: Any, tape: Tape | None = None, **changes: Any) -> Dataset:
    params = replace(PARAMS, **changes)
    return build_dataset(market.bars, market.values, market.warm, market.names, "fs1", params, tape=tape)


def test_the_default_dataset_is_the_one_it_always_was(market: Any) -> None:
    """Content hash, label version and parameters of a fixed-horizon dataset are those of before there were kinds."""
    summary = build(market).summary
    assert summary["label_version"] == "735fbff52b0b"
    assert summary["data_hash"][:16] == "4ef6be247a11f01b"
    assert not {"kind", "price", "latency_us", "barriers", "decay", "attribution", "class_balance"} & set(
        summary["params"]
    )


KINDS: list[dict[str, Any]] = [
    {"kind": "binary"},
    {"kind": "triple_barrier"},
    {"kind": "triple_barrier", "barriers": Barriers(2.0, 1.0, 3)},
    {"price": "trade"},
    {"price": "trade", "latency_us": 500_000},
    {"price": "side_mid"},
    {"price": "mid"},
    {"kind": "binary", "price": "trade"},
    {"kind": "triple_barrier", "price": "trade"},
]


@pytest.mark.parametrize("changes", KINDS)
def test_every_kind_makes_a_dataset_whose_roles_never_touch(market: Any, changes: dict[str, Any]) -> None:
    """Labels of every kind and price are split, weighted and counted like the default's."""
    tape = trades(market)
    if changes.get("price") == "mid":
        assert tape.price is not None
        tape = Tape(tape.ts_us, bid=tape.price * 0.9999, ask=tape.price * 1.0001)
    dataset = build(market, tape, **changes)
    t0, t1 = us(dataset.table.column("t0_us")), us(dataset.table.column("t1_us"))
    roles = np.asarray(dataset.table.column("role").to_pylist())
    for role, later in pairwise(ROLES):
        assert t1[roles == role].max() < t0[roles == later].min()
    weight = dataset.table.column("weight").to_numpy()
    assert weight[roles == "train"].mean() == pytest.approx(1)
    assert dataset.table.num_rows + sum(dataset.summary["dropped"].values()) == market.bars.num_rows
    for name, value in changes.items():
        recorded = dataset.summary["params"][name]
        assert recorded == ({"upper": 2.0, "lower": 1.0, "hold": 3} if name == "barriers" else value)
    if changes.get("kind") == "binary":
        y, up = (dataset.table.column(name).to_numpy() for name in ("y", "y_binary"))
        assert np.array_equal(y, np.select([up == 1, up == 0], [2, 0], 1))
        assert set(dataset.table.column("deadband").to_numpy()) == {0.0}


def test_every_kind_price_latency_and_barrier_has_its_own_label_version() -> None:
    """No two rules share a version, and a latency that is not used changes none."""
    rules = [replace(PARAMS, **changes).labels for changes in [{}, *KINDS]]
    assert len({label_version(rule) for rule in rules}) == len(rules)
    assert label_version(replace(PARAMS, latency_us=9).labels) == label_version(PARAMS.labels)
    assert label_version(replace(PARAMS, barriers=Barriers(9.0)).labels) == label_version(PARAMS.labels)


def test_a_touched_bar_belongs_to_its_label(market: Any) -> None:
    """The bar of a touch counts in the overlap; a bar at whose open time was up does not."""
    sigma = np.where(market.warm, market.values[:, 1], np.nan)
    labels = label_bars(market.bars, sigma, 0.0005, replace(PARAMS, kind="triple_barrier").labels)
    assert isinstance(labels, BarrierLabels)
    assert (in_flight_until(labels, "open") - labels.t1).tolist() == (labels.touch != 0).astype(int).tolist()
    fixed = label_bars(market.bars, sigma, 0.0005, PARAMS.labels)
    assert in_flight_until(fixed, "open").tolist() == fixed.t1.tolist()


def test_the_weights_are_told_with_the_dataset(market: Any) -> None:
    """Factors in use, those that would balance the classes, and the effective size agree with the rows."""
    plain = build(market)
    roles = np.asarray(plain.table.column("role").to_pylist())
    train = roles == "train"
    y, weight = (plain.table.column(name).to_numpy()[train] for name in ("y", "weight"))
    told = plain.summary["weights"]
    assert told["classes"] == {"SHORT": 1.0, "NEUTRAL": 1.0, "LONG": 1.0}
    assert told["balanced"] == class_weights(y, weight, 1.0)
    assert told["effective_size"] == effective_size(weight)
    even = build(market, class_balance=1.0, kappa=4.0)
    y, weight = (even.table.column(name).to_numpy()[train] for name in ("y", "weight"))
    mass = np.bincount(y, weights=weight)
    assert mass == pytest.approx([mass.mean()] * 3)
    assert weight.mean() == pytest.approx(1)
    shares = even.summary["roles"]["train"]["class_shares"]
    factors = even.summary["weights"]["classes"]
    assert sorted(factors, key=lambda name: factors[name]) == sorted(shares, key=lambda name: -shares[name])
    faded = build(market, decay=0.5, attribution=1.0)
    own = faded.table.column("weight").to_numpy()[train]
    assert own.mean() == pytest.approx(1)
    assert faded.summary["weights"]["effective_size"] < told["effective_size"]


def test_prices_that_are_not_there_are_refused(market: Any) -> None:
    """A price rule without its tape, the wrong tape, or a barrier on mids says what to set or bring."""
    with pytest.raises(ContractError, match="needs trades beside the bars"):
        build(market, price="trade")
    with pytest.raises(ContractError, match="needs quotes beside the bars"):
        build(market, trades(market), price="mid")
    with pytest.raises(SettingsError, match="cannot stand on mid"):
        build(market, trades(market), price="mid", kind="triple_barrier")
    with pytest.raises(SettingsError, match="kind 'both'"):
        replace(PARAMS, kind="both").labels  # type: ignore[arg-type]  # noqa: B018
