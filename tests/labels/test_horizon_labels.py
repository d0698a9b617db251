"""Fixed-horizon labels: worked cases, a naive oracle, laws, refusals, speed."""

import math
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelrules import ruled

from scalper_ml.errors import ContractError, SettingsError
from scalper_ml.labels.horizon import DROP_REASONS, LabelParams, Labels, horizon_labels, label_version

MINUTE = 60_000_000
PARAMS: dict[str, Any] = {
    "horizon": 1, "interval_us": MINUTE, "sigma": 0.001, "cost": 0.0, "k_vol": 0.5, "kappa": 1.0, "max_gap_bars": 0,
}  # fmt: skip


def label(prices: list[float], slots: list[int] | None = None, **changes: Any) -> Labels:
    """Label bars whose starts are given in minutes (0, 1, 2, ... by default)."""
    start = MINUTE * np.asarray(slots if slots is not None else range(len(prices)), dtype=np.int64)
    params = {**PARAMS, **changes}
    params["sigma"] = np.broadcast_to(np.asarray(params["sigma"], dtype=np.float64), (len(prices),))
    return horizon_labels(np.asarray(prices, dtype=np.float64), start, start + MINUTE, **ruled(**params))


def naive(prices: list[float], slots: list[int], sigma: list[float], cost: float, horizon: int, k_vol: float,
          kappa: float, max_gap: int) -> tuple[dict[int, tuple[Any, ...]], dict[str, int]]:  # fmt: skip
    """Row -> (t1, entry, exit, y, y_binary) by search through all bars, and drop counts."""
    found: dict[int, tuple[Any, ...]] = {}
    dropped = dict.fromkeys(DROP_REASONS, 0)
    for i, slot in enumerate(slots):
        due = slot + 1 + horizon
        after = [b for b, other in enumerate(slots) if other >= due]
        if math.isnan(sigma[i]):
            dropped["not_warm"] += 1
        elif i == len(slots) - 1:
            dropped["no_entry"] += 1
        elif not after:
            dropped["no_exit"] += 1
        elif slots[i + 1] - (slot + 1) > max_gap or slots[after[0]] - due > max_gap or after[0] == i + 1:
            dropped["gap"] += 1
        else:
            entry, left = prices[i + 1], prices[after[0]]
            ret, band = math.log(left / entry), max(k_vol * sigma[i] * math.sqrt(horizon), kappa * cost)
            y = 2 if ret > band else 0 if ret < -band else 1
            found[i] = ((slots[after[0]] + 1) * MINUTE, entry, left, y, (left > entry) - (left < entry))
    return found, dropped


@st.composite
def markets(draw: st.DrawFn) -> tuple[list[float], list[int], list[float]]:
    gaps = draw(st.lists(st.sampled_from([0, 0, 0, 0, 1, 2, 5]), min_size=1, max_size=40))
    slots = np.cumsum(np.asarray(gaps) + 1).tolist()
    n = len(slots)
    prices = draw(st.lists(st.sampled_from([99.0, 99.9, 100.0, 100.1, 101.0]), min_size=n, max_size=n))
    sigma = draw(st.lists(st.sampled_from([0.0, 0.0005, 0.003, math.nan]), min_size=n, max_size=n))
    return prices, slots, sigma


def test_a_signal_enters_at_the_next_open_and_leaves_h_intervals_after_its_close() -> None:
    """Entry is the open of bar i + 1, exit the open h intervals after the signal's close, t1 the exit bar's close."""
    labels = label([100, 101, 102, 104, 103, 100], horizon=2, k_vol=0.0, cost=0.015, kappa=1.0)
    assert labels.row.tolist() == [0, 1, 2]
    assert labels.entry.tolist() == [101, 102, 104]
    assert labels.exit.tolist() == [104, 103, 100]
    assert labels.t0.tolist() == [1 * MINUTE, 2 * MINUTE, 3 * MINUTE]
    assert labels.t1.tolist() == [4 * MINUTE, 5 * MINUTE, 6 * MINUTE]
    np.testing.assert_allclose(labels.ret, [math.log(104 / 101), math.log(103 / 102), math.log(100 / 104)])
    assert labels.y.tolist() == [2, 1, 0]
    assert labels.deadband.tolist() == [0.015] * 3


def test_the_deadband_is_the_larger_of_volatility_and_cost() -> None:
    """d = max(k_vol * sigma * sqrt(h), kappa * cost), row by row."""
    sigma = np.array([0.001, 0.01, 0.001, 0.01, 0.001, 0.01, 0.001])
    labels = label([100.0] * 7, horizon=4, sigma=sigma, k_vol=0.5, cost=0.002, kappa=1.5)
    assert labels.deadband.tolist() == [0.003, 0.01]


def test_a_move_of_exactly_the_deadband_is_neutral() -> None:
    """LONG and SHORT need a move beyond the deadband, not at it."""
    up = math.log(102 / 101)
    assert label([100, 101, 102], cost=up, k_vol=0.0).y.tolist() == [1]
    assert label([100, 101, 102], cost=np.nextafter(up, 0), k_vol=0.0).y.tolist() == [2]
    down = math.log(102 / 101)
    assert label([100, 102, 101], cost=down + 1e-15, k_vol=0.0).y.tolist() == [1]
    assert label([100, 102, 101], cost=down - 1e-15, k_vol=0.0).y.tolist() == [0]


def test_a_flat_move_is_neither_up_nor_down() -> None:
    """y_binary is -1 where exit equals entry, and 1 or 0 for the smallest move there is."""
    above = float(np.nextafter(1.9999, 2))
    assert label([1.0, 1.9999, 1.9999]).y_binary.tolist() == [-1]
    assert label([1.0, 1.9999, above]).y_binary.tolist() == [1]
    assert label([1.0, above, 1.9999]).y_binary.tolist() == [0]


@pytest.mark.parametrize("horizon", [1, 3, 15])
def test_the_last_rows_are_never_labelled(horizon: int) -> None:
    """Rows whose outcome lies beyond the data are dropped as no_exit and no_entry, not labelled DOWN or NEUTRAL."""
    labels = label([100.0] * 40, horizon=horizon)
    assert labels.row.tolist() == list(range(40 - horizon - 1))
    assert labels.dropped == {"not_warm": 0, "no_entry": 1, "no_exit": horizon, "gap": 0}


def test_one_bar_has_no_outcome() -> None:
    """A single bar gives no label and one reason."""
    labels = label([100.0])
    assert labels.row.size == 0
    assert labels.dropped == {"not_warm": 0, "no_entry": 1, "no_exit": 0, "gap": 0}


def test_a_late_bar_is_a_gap_only_beyond_the_tolerance() -> None:
    """max_gap_bars intervals of lateness are accepted for entry and for exit, one more is not."""
    slots = [0, 3, 4, 5, 6]  # entry of row 0 is two intervals late
    assert 0 in label([100] * 5, slots, horizon=3, max_gap_bars=2).row
    assert 0 not in label([100] * 5, slots, horizon=3, max_gap_bars=1).row
    slots = [0, 1, 5, 6]  # due at 3, exit of row 0 is two intervals late
    assert label([100, 101, 102, 103], slots, horizon=2, max_gap_bars=2).exit[0] == 102
    assert 0 not in label([100] * 4, slots, horizon=2, max_gap_bars=1).row


def test_an_entry_that_is_also_the_exit_is_a_gap() -> None:
    """A hole as long as the horizon leaves nothing to hold, whatever the tolerance: dropped, not labelled flat."""
    labels = label([100, 101, 102, 103], [0, 5, 6, 7], horizon=3, max_gap_bars=10)
    assert labels.row.tolist() == []
    assert labels.dropped == {"not_warm": 0, "no_entry": 1, "no_exit": 2, "gap": 1}


@given(markets(), st.integers(1, 6), st.integers(0, 3), st.sampled_from([0.0, 0.43]), st.sampled_from([0.0, 0.0015]))
def test_labels_equal_a_naive_search(
    market: tuple[list[float], list[int], list[float]], horizon: int, max_gap: int, k_vol: float, cost: float
) -> None:
    """On any grid with gaps every label, and every count of dropped rows, is that of a loop over all bars."""
    prices, slots, sigma = market
    labels = label(prices, slots, sigma=sigma, horizon=horizon, max_gap_bars=max_gap, k_vol=k_vol, cost=cost)
    expected, dropped = naive(prices, slots, sigma, cost, horizon, k_vol, 1.0, max_gap)
    side = np.where(labels.y_binary == -1, 0, np.where(labels.y_binary == 1, 1, -1))
    rows = zip(labels.t1.tolist(), labels.entry.tolist(), labels.exit.tolist(), labels.y.tolist(), side.tolist())  # noqa: B905
    assert dict(zip(labels.row.tolist(), rows, strict=True)) == expected
    assert labels.dropped == dropped
    assert labels.row.size + sum(labels.dropped.values()) == len(prices)


@given(markets(), st.integers(1, 4))
def test_every_label_is_decided_before_it_is_known(
    market: tuple[list[float], list[int], list[float]], horizon: int
) -> None:
    """t0 is the signal bar's close, and t1 at least horizon + 1 intervals later."""
    prices, slots, sigma = market
    labels = label(prices, slots, sigma=sigma, horizon=horizon, max_gap_bars=2)
    assert np.all(labels.t1 - labels.t0 >= (horizon + 1) * MINUTE)
    assert labels.t0.tolist() == [(slots[row] + 1) * MINUTE for row in labels.row]
    assert labels.y.dtype == labels.y_binary.dtype == np.int8


@given(st.lists(st.integers(-3, 3), min_size=3, max_size=30), st.integers(1, 3))
def test_inverted_prices_swap_long_and_short(powers: list[int], horizon: int) -> None:
    """P -> 1 / P turns LONG into SHORT and up into down, and leaves NEUTRAL and flat."""
    prices = [2.0**power for power in powers]
    one = label(prices, horizon=horizon, sigma=0.9)
    other = label([1 / price for price in prices], horizon=horizon, sigma=0.9)
    assert other.y.tolist() == (2 - one.y).tolist()
    assert other.y_binary.tolist() == np.where(one.y_binary == -1, -1, 1 - one.y_binary).tolist()


def test_symbols_one_after_the_other_are_refused() -> None:
    """Two coins concatenated would label the end of one with the start of the other; time stepping back is refused."""
    start = MINUTE * np.array([0, 1, 2, 3, 0, 1, 2, 3])
    with pytest.raises(ContractError, match=r"row 4 starts before row 3 .* never concatenated"):
        horizon_labels(np.full(8, 100.0), start, start + MINUTE, **ruled(**{**PARAMS, "sigma": np.full(8, 0.01)}))


def test_bars_of_another_interval_are_refused() -> None:
    """Labelling 5-minute bars as 1-minute bars would silently change the horizon."""
    start = 5 * MINUTE * np.arange(4)
    with pytest.raises(ContractError, match="lasts 300,000,000 us; expected interval_us = 60,000,000"):
        horizon_labels(np.full(4, 100.0), start, start + 5 * MINUTE, **ruled(**{**PARAMS, "sigma": np.full(4, 0.01)}))


@pytest.mark.parametrize("price", [0.0, -1.0, math.nan, math.inf])
def test_impossible_prices_are_refused(price: float) -> None:
    """A price that is not finite and positive names its row."""
    with pytest.raises(ContractError, match="open of row 1"):
        label([100, price, 101])


@pytest.mark.parametrize("sigma", [-0.001, math.inf])
def test_impossible_volatility_is_refused(sigma: float) -> None:
    """Only NaN means not warm; any other value that is no volatility is an error."""
    with pytest.raises(ContractError, match="sigma of row 0"):
        label([100, 101, 102], sigma=[sigma, 0.01, 0.01])


def test_an_unknown_cost_is_refused_on_warm_rows_only() -> None:
    """Cost may be NaN where sigma is; on a warm row it is an error."""
    cost = np.array([math.nan, 0.001, 0.001, 0.001])
    assert label([100] * 4, sigma=[math.nan, 0.01, 0.01, 0.01], cost=cost).row.tolist() == [1]
    with pytest.raises(ContractError, match="cost of row 0"):
        label([100] * 4, cost=cost)


def test_shapes_must_agree() -> None:
    """Arrays of different lengths, and no bars at all, are refused."""
    with pytest.raises(ContractError, match="one value a bar"):
        horizon_labels([1.0, 2.0], [0], [MINUTE], **ruled(**{**PARAMS, "sigma": [0.1, 0.1]}))
    with pytest.raises(ContractError, match=r"sigma has shape \(1,\); expected \(2,\)"):
        horizon_labels([1.0, 2.0], [0, MINUTE], [MINUTE, 2 * MINUTE], **ruled(**{**PARAMS, "sigma": [0.1]}))
    with pytest.raises(ContractError, match="found none"):
        label([])


@pytest.mark.parametrize(
    ("change", "message"),
    [({"horizon": 0}, "horizon is 0"), ({"horizon": 1.5}, "horizon is 1.5"), ({"interval_us": 0}, "interval_us"),
     ({"max_gap_bars": -1}, "max_gap_bars is -1"), ({"k_vol": -0.1}, "k_vol"), ({"kappa": math.nan}, "kappa")],
)  # fmt: skip
def test_impossible_parameters_are_refused(change: dict[str, Any], message: str) -> None:
    """A parameter outside its range names itself and its value."""
    with pytest.raises(SettingsError, match=message):
        label([100, 101, 102], **change)


BASE: dict[str, Any] = {
    "horizon": 3, "interval_us": MINUTE, "k_vol": 0.43, "kappa": 1.0, "cost": {"fee_bps": 5.0, "spread_bps": 1.0},
    "max_gap_bars": 2,
}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [{"horizon": 5}, {"interval_us": 2 * MINUTE}, {"k_vol": math.nextafter(0.43, 1)}, {"kappa": 1.1},
     {"cost": {"fee_bps": 4.0, "spread_bps": 1.0}}, {"cost": {"fee_bps": 5.0}}, {"max_gap_bars": 3}],
)  # fmt: skip
def test_every_part_of_the_rule_changes_the_label_version(change: dict[str, Any]) -> None:
    """Horizon, interval, deadband, costs and gap tolerance are all in the hash, to the last bit."""
    assert label_version(LabelParams(**BASE)) != label_version(LabelParams(**{**BASE, **change}))


def test_the_label_version_is_stable() -> None:
    """The same rule has the same version whatever the order of the costs, and in every release with this code."""
    reordered = {**BASE, "cost": {"spread_bps": 1.0, "fee_bps": 5.0}}
    assert label_version(LabelParams(**BASE)) == label_version(LabelParams(**reordered)) == "8a47d3751725"


def test_the_code_version_and_the_price_rule_change_the_label_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another price, or other code, is another label."""
    versions = {label_version(LabelParams(**BASE))}
    monkeypatch.setattr("scalper_ml.labels.horizon.CODE_VERSION", -1)
    versions.add(label_version(LabelParams(**BASE)))
    monkeypatch.setattr("scalper_ml.labels.horizon.PRICE_RULE", "close to close")
    versions.add(label_version(LabelParams(**BASE)))
    assert len(versions) == 3


def test_a_million_rows_take_well_under_a_second() -> None:
    """1 M rows are labelled in less than 1 s of CPU."""
    n = 1_000_000
    prices = 100 * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 1e-3, n)))
    start = MINUTE * np.arange(n, dtype=np.int64)
    before = time.process_time()
    labels = horizon_labels(
        prices, start, start + MINUTE, **ruled(**{**PARAMS, "horizon": 15, "sigma": np.full(n, 1e-3)})
    )
    assert time.process_time() - before < 1.0
    assert labels.row.size == n - 16
