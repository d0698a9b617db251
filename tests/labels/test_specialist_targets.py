"""Specialists' targets against loops over the bars held, and free of the past."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalper_ml.errors import ContractError, SettingsError
from scalper_ml.labels.horizon import Labels, horizon_labels
from scalper_ml.labels.meta import meta_labels
from scalper_ml.labels.rule import LabelRule
from scalper_ml.labels.targets import Targets, excursion_share, specialist_targets

MINUTE = 60_000_000


def market(seed: int, n: int = 60, holes: bool = True) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 1e-3, n)))
    first = np.concatenate([[100.0], close[:-1]]) * np.exp(rng.normal(0, 2e-4, n))
    start = MINUTE * np.cumsum(1 + rng.binomial(2, 0.1 if holes else 0.0, n))
    high = np.maximum(first, close) * np.exp(rng.exponential(3e-4, n))
    low = np.minimum(first, close) * np.exp(-rng.exponential(3e-4, n))
    return {"open": first, "high": high, "low": low, "open_ts_us": start, "ts_us": start + MINUTE}


def labelled(bars: dict[str, np.ndarray], horizon: int) -> tuple[Labels, Targets]:
    sigma = np.full(bars["open"].size, 1e-3)
    labels = horizon_labels(
        bars["open"], bars["open_ts_us"], bars["ts_us"], sigma=sigma, cost=5e-4,
        rule=LabelRule(horizon, MINUTE, 0.43, 1.0, 2),
    )  # fmt: skip
    return labels, specialist_targets(**bars, labels=labels, interval_us=MINUTE)  # type: ignore[arg-type]


@given(st.integers(0, 10_000), st.integers(1, 8))
def test_targets_equal_a_loop_over_the_bars_held(seed: int, horizon: int) -> None:
    """Return, price, excursion, summed squares and ranges of every row are those of its own bars, one by one."""
    bars = market(seed)
    labels, targets = labelled(bars, horizon)
    for at, row in enumerate(labels.row.tolist()):
        begin, end = row + 1, int(np.flatnonzero(bars["ts_us"] == labels.t1[at])[0])
        steps = np.diff(np.log(bars["open"][begin : end + 1]))
        most = max(*bars["high"][begin:end], bars["open"][end])
        least = min(*bars["low"][begin:end], bars["open"][end])
        worst = max(math.log(most / bars["open"][begin]), math.log(bars["open"][begin] / least))
        assert targets.log_rv[at] == pytest.approx(math.log(max((steps**2).sum(), 1e-12 * len(steps))), rel=1e-9)
        span = np.log(bars["high"][begin:end] / bars["low"][begin:end])
        assert targets.log_range[at] == pytest.approx(math.log((span**2).sum() / 4 / math.log(2)), rel=1e-9)
        assert targets.risk[at] == pytest.approx(100 * excursion_share([worst / 1e-3 / len(steps) ** 0.5])[0])
        clear = abs(steps.sum()) >= np.sqrt((steps**2).sum()) * (1 - 1e-12)
        beyond = abs(labels.ret[at]) > labels.deadband[at]
        assert targets.momentum[at] == (1 if not (clear and beyond) else 2 if steps.sum() > 0 else 0)
    assert targets.ret.tolist() == labels.ret.tolist()
    assert targets.price.tolist() == labels.exit.tolist()


@given(st.integers(0, 1000), st.integers(1, 5))
def test_targets_are_free_of_their_own_past(seed: int, horizon: int) -> None:
    """Another history up to and with the signal bar leaves every target of the rows after it as it was."""
    bars = market(seed)
    _, one = labelled(bars, horizon)
    changed = {name: values.copy() for name, values in bars.items()}
    for name in ("open", "high", "low"):
        changed[name][:30] *= 7.0
    _, other = labelled(changed, horizon)
    later = one.row >= 29
    assert later.any()
    for name in ("ret", "price", "risk", "momentum", "log_rv", "log_range"):
        assert getattr(one, name)[later].tobytes() == getattr(other, name)[later].tobytes(), name


def test_the_excursion_share_is_the_law_of_the_largest_excursion() -> None:
    """Both series agree where both hold, the share rises from 0 to 1, and is that of simulated walks."""
    grid = np.linspace(0, 6, 601)
    share = excursion_share(grid)
    assert (np.diff(share) >= -1e-12).all()
    assert (share[0], excursion_share([math.inf])[0]) == (0.0, 1.0)
    assert excursion_share([1.5 - 1e-9])[0] == pytest.approx(excursion_share([1.5 + 1e-9])[0], abs=1e-7)
    steps = np.random.default_rng(5).normal(size=(4000, 1000)) / 1000**0.5
    reach = np.abs(np.cumsum(steps, axis=1)).max(axis=1)
    for distance in (0.8, 1.149, 2.2414):
        assert (reach < distance).mean() == pytest.approx(excursion_share([distance])[0], abs=0.035)


def test_risk_of_an_ordinary_market_is_spread_over_its_scale() -> None:
    """On a driftless walk of the known volatility risk is about uniform: a quarter of it in each quarter."""
    rng = np.random.default_rng(2)
    inner = rng.normal(0, 1e-3 / 60**0.5, (6000, 60))
    path = 100 * np.exp(np.cumsum(inner.ravel()).reshape(6000, 60))
    first = np.concatenate([[100.0], path[:-1, -1]])
    start = MINUTE * np.arange(6000)
    high, low = np.maximum(path.max(axis=1), first), np.minimum(path.min(axis=1), first)
    bars = {"open": first, "high": high, "low": low, "open_ts_us": start, "ts_us": start + MINUTE}
    _, targets = labelled(bars, 10)
    shares = np.histogram(targets.risk, bins=[0, 25, 50, 75, 100])[0] / targets.risk.size
    assert np.abs(shares - 0.25).max() < 0.05


def test_labels_of_other_bars_are_refused() -> None:
    """Labels whose times or prices are not those of the bars are refused, and so are impossible parameters."""
    bars = market(1)
    labels, _ = labelled(bars, 3)
    with pytest.raises(ContractError, match="labels are not of these bars, first the one of row 0"):
        specialist_targets(**bars, labels=replace(labels, entry=labels.entry * 1.01), interval_us=MINUTE)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match=r"floor is 0\.0"):
        specialist_targets(**bars, labels=labels, interval_us=MINUTE, floor=0.0)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="momentum_z is -1"):
        specialist_targets(**bars, labels=labels, interval_us=MINUTE, momentum_z=-1)  # type: ignore[arg-type]


def test_a_meta_label_is_whether_the_side_paid_after_costs() -> None:
    """Net is the side's return less the round trip; rows without a side have no meta-label."""
    bars = market(3, holes=False)
    labels, _ = labelled(bars, 2)
    rng = np.random.default_rng(0)
    side = rng.integers(-1, 2, labels.row.size)
    meta = meta_labels(labels, side, np.zeros(labels.row.size))
    assert meta.row.tolist() == labels.row[side != 0].tolist()
    for at, mine, net, y in zip(meta.at, meta.side, meta.net, meta.y, strict=True):
        assert mine == side[at]
        assert net == pytest.approx(mine * (labels.exit[at] - labels.entry[at]) / labels.entry[at] - 5e-4, abs=1e-15)
        assert y == (net > 0)
    assert 0 < meta.y.sum() < meta.y.size
    inverse = meta_labels(labels, -side, np.zeros(labels.row.size))
    assert (inverse.net + meta.net) == pytest.approx(-1e-3, abs=1e-15)


def test_sides_of_a_model_that_saw_the_row_are_refused() -> None:
    """In-sample sides stop the run, naming how many; in-sample rows on which no side was taken do not."""
    bars: Any = market(3)
    labels, _ = labelled(bars, 2)
    side, fold = np.zeros(labels.row.size, dtype=int), np.full(labels.row.size, -1)
    side[:5], fold[:3] = 1, 0
    with pytest.raises(ContractError, match="2 of 5 sides are not out of fold"):
        meta_labels(labels, side, fold)
    fold[:5] = 1
    assert meta_labels(labels, side, fold).at.tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(ContractError, match="expected one of each a label"):
        meta_labels(labels, [1], [0])
    with pytest.raises(ContractError, match=r"sides \[7\]"):
        meta_labels(labels, np.full(labels.row.size, 7), fold)
