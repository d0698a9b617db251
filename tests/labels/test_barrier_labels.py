"""Triple barriers on bars and on trades against a loop over every bar and every trade, and against theory."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelrules import ruled

from scalper_ml.errors import ContractError, SettingsError
from scalper_ml.labels.barrier import BarrierLabels, barrier_labels, tape_barrier_labels
from scalper_ml.labels.horizon import Barriers, horizon_labels

MINUTE = 60_000_000
PARAMS: dict[str, Any] = {
    "horizon": 1, "interval_us": MINUTE, "cost": 0.0, "k_vol": 0.5, "kappa": 1.0, "max_gap_bars": 0,
}  # fmt: skip


def label(bars: list[tuple[float, float, float]], slots: list[int] | None = None, **changes: Any) -> BarrierLabels:
    """Labels of (open, high, low) bars; sigma .01 unless given."""
    rows = np.asarray(bars, dtype=float).reshape(-1, 3)
    start = MINUTE * np.asarray(range(len(rows)) if slots is None else slots, dtype=np.int64)
    given = {"sigma": np.full(len(rows), 0.01), "barriers": Barriers(hold=3)} | changes
    return barrier_labels(rows[:, 0], rows[:, 1], rows[:, 2], start, start + MINUTE, **ruled(**{**PARAMS, **given}))


FLAT = (100.0, 100.0, 100.0)


def naive_bars(bars, slots, sigma, cost, side, horizon, k_vol, kappa, max_gap, barriers):  # type: ignore[no-untyped-def]
    """Every bar by a loop: {row: (t1, entry, exit, y, touch)}."""
    found = {}
    for i in range(len(bars)):
        e = i + 1
        due = slots[i] + 1 + barriers.hold * horizon
        if (
            math.isnan(sigma[i])
            or side[i] == 0
            or e >= len(bars)
            or slots[e] - slots[i] - 1 > max_gap
            or slots[e] >= due
        ):
            continue
        entry, scale = bars[e][0], sigma[i] * horizon**0.5
        far = [math.inf if math.isinf(d) else max(d * scale, kappa * cost) for d in (barriers.upper, barriers.lower)]
        gain, loss = far
        up = entry * np.exp(gain if side[i] != -1 else loss)
        down = entry * np.exp(-(loss if side[i] != -1 else gain))
        band = max(k_vol * scale, kappa * cost)
        for j in range(e, len(bars)):
            first, high, low = bars[j]
            if j > e and slots[j] - slots[j - 1] - 1 > max_gap:
                break
            if slots[j] >= due:
                ret = np.log(first / entry)
                found[i] = (slots[j] + 1, entry, first, 2 if ret > band else 0 if ret < -band else 1, 0)
                break
            if first >= up or first <= down:  # the open comes first
                touch = 1 if first >= up else -1
            elif high >= up and low <= down:
                touch = 2
            else:
                touch = 1 if high >= up else -1 if low <= down else 0
            if touch == 2:
                stop = up if side[i] == -1 else down
                y = 1 if side[i] == 9 else 2 if side[i] == -1 else 0
                found[i] = (slots[j] + 1, entry, stop, y, 2)
            elif touch:
                leave = max(first, up) if touch == 1 else min(first, down)
                found[i] = (slots[j] + 1, entry, leave, 2 if touch == 1 else 0, touch)
            if touch:
                break
    return found


@st.composite
def markets(draw: st.DrawFn) -> tuple[list[tuple[float, float, float]], list[int], list[float]]:
    n = draw(st.integers(1, 30))
    slots = np.cumsum(np.asarray(draw(st.lists(st.sampled_from([1, 1, 1, 1, 2, 4]), min_size=n, max_size=n)))).tolist()
    prices = st.sampled_from([98.0, 99.0, 99.5, 100.0, 100.5, 101.0, 102.0])
    bars = []
    for _ in range(n):
        three = sorted(draw(st.tuples(prices, prices, prices)))
        bars.append((three[1], three[2], three[0]))
    sigma = draw(st.lists(st.sampled_from([0.0, 0.003, 0.01, 0.03, math.nan]), min_size=n, max_size=n))
    return bars, slots, sigma


@given(
    markets(),
    st.integers(1, 3),
    st.integers(0, 2),
    st.sampled_from([0.0, 0.004]),
    st.sampled_from([0.5, 1.0, math.inf]),
    st.integers(1, 3),
    st.integers(0, 3),
)
def test_barriers_on_bars_equal_a_loop(
    market: Any, horizon: int, max_gap: int, cost: float, lower: float, hold: int, sided: int
) -> None:
    """On any bars with gaps every label is that of a loop over all bars, with or without sides; all are counted."""
    bars, slots, sigma = market
    side = [9] * len(bars) if sided == 0 else [(-1, 0, 1)[(i + sided) % 3] for i in range(len(bars))]
    barriers = Barriers(1.0, lower, hold)
    labels = label(
        bars, slots, sigma=sigma, horizon=horizon, cost=cost, max_gap_bars=max_gap, barriers=barriers,
        side=side if sided else None,
    )  # fmt: skip
    expected = naive_bars(bars, slots, sigma, cost, side, horizon, 0.5, 1.0, max_gap, barriers)
    found = {
        int(row): (int(t1) // MINUTE, entry, leave, int(y), int(touch))
        for row, t1, entry, leave, y, touch in zip(
            labels.row, labels.t1, labels.entry, labels.exit, labels.y, labels.touch, strict=True
        )
    }
    assert found.keys() == expected.keys()
    for row, values in expected.items():
        assert found[row] == pytest.approx(values, rel=1e-14)
    assert labels.row.size + sum(labels.dropped.values()) == len(bars)
    assert ("no_side" in labels.dropped) == bool(sided)


def naive_tape(close, ts, price, sigma, latency, horizon, max_gap, barriers):  # type: ignore[no-untyped-def]
    """Every decision by a loop over the trades: {row: (t1, entry, exit, touch)}."""
    found = {}
    pause = (max_gap + 1) * MINUTE
    for i, decided in enumerate(close):
        ordered = decided + latency
        due = ordered + barriers.hold * horizon * MINUTE
        after = [k for k in range(len(ts)) if ts[k] >= ordered]
        if not after or ts[after[0]] - ordered > pause or ts[after[0]] >= due:
            continue
        e = after[0]
        up, down = (price[e] * np.exp(s * sigma[i] * horizon**0.5) for s in (barriers.upper, -barriers.lower))
        for k in range(e + 1, len(ts)):
            if ts[k] - ts[k - 1] > pause:
                break
            touch = 0 if ts[k] >= due else 1 if price[k] >= up else -1 if price[k] <= down else None
            if touch is not None:
                found[i] = (ts[k], price[e], price[k], touch)
                break
    return found


@given(st.data(), st.integers(0, 2), st.integers(1, 2), st.integers(0, 1))
def test_barriers_on_trades_equal_a_loop(data: st.DataObject, latency_s: int, horizon: int, max_gap: int) -> None:
    """On any trades every label is that of a loop over all of them: first touch, its own price and time."""
    k = data.draw(st.integers(0, 150))
    steps = data.draw(st.lists(st.sampled_from([0, 1, 5, 20, 20, 90, 200]), min_size=k, max_size=k))
    ts = (1_000_000 * np.cumsum(np.asarray(steps, dtype=np.int64))).tolist()
    price = data.draw(st.lists(st.sampled_from([98.0, 99.0, 99.9, 100.0, 100.1, 101.0, 102.0]), min_size=k, max_size=k))
    close = [MINUTE * (i + 1) for i in range(12)]
    sigma = data.draw(st.lists(st.sampled_from([0.001, 0.01, 0.015]), min_size=12, max_size=12))
    barriers = Barriers(1.0, 0.8, 2)
    labels = tape_barrier_labels(
        close, ts, price, latency_us=1_000_000 * latency_s, sigma=sigma, barriers=barriers,
        **ruled(**{**PARAMS, "horizon": horizon, "max_gap_bars": max_gap}),
    )  # fmt: skip
    expected = naive_tape(close, ts, price, sigma, 1_000_000 * latency_s, horizon, max_gap, barriers)
    columns = (labels.row, labels.t1, labels.entry, labels.exit, labels.touch)
    assert {int(row): tuple(rest) for row, *rest in zip(*(c.tolist() for c in columns), strict=True)} == expected
    assert labels.row.size + sum(labels.dropped.values()) == 12


def test_blocks_that_are_skipped_hide_no_touch() -> None:
    """Thousands of trades to the touch: the first one beyond a barrier is found wherever it lies in its block."""
    for at in (63, 64, 65, 127, 128, 1000, 4095):
        price = np.full(5000, 100.0)
        price[at], price[at + 1 :] = 101.5, 90.0
        labels = tape_barrier_labels(
            [0], np.arange(5000), price, latency_us=0, sigma=[0.01], **ruled(**PARAMS),
        )  # fmt: skip
        assert (labels.t1.tolist(), labels.exit.tolist(), labels.touch.tolist()) == ([at], [101.5], [1])


def test_both_barriers_in_one_bar_are_a_stop_for_either_side() -> None:
    """A given side is stopped out, LONG at the lower and SHORT at the upper barrier; without a side it is NEUTRAL."""
    bars = [FLAT, (100.0, 103.0, 97.0), FLAT, FLAT, FLAT]
    lower, upper = 100 * math.exp(-0.01), 100 * math.exp(0.01)
    long = label(bars, side=[1, 0, 0, 0, 0])
    assert (long.y.tolist(), long.exit.tolist(), long.touch.tolist()) == ([0], [pytest.approx(lower)], [2])
    short = label(bars, side=[-1, 0, 0, 0, 0])
    assert (short.y.tolist(), short.exit.tolist()) == ([2], [pytest.approx(upper)])
    either = label(bars)
    assert (either.y[0], either.y_binary[0], either.touch[0]) == (1, -1, 2)
    assert long.dropped["no_side"] == 4


def test_the_open_of_a_bar_comes_before_its_high_and_low() -> None:
    """A bar that opens beyond the upper barrier and then falls through the lower one has touched the upper first."""
    labels = label([FLAT, FLAT, (101.5, 101.6, 97.0), FLAT])
    assert (labels.touch[0], labels.y[0], labels.exit[0]) == (1, 2, 101.5)


def test_a_gap_through_the_stop_costs_the_whole_gap() -> None:
    """A bar that opens beyond the stop is left at its open, and a trade beyond it at its price; not at the stop."""
    assert label([FLAT, FLAT, (97.0, 98.0, 96.0), FLAT]).exit[0] == 97.0
    tape = tape_barrier_labels([0], [0, 1, 2], [100.0, 100.0, 97.0], latency_us=0, sigma=[0.01], **ruled(**PARAMS))
    assert tape.exit.tolist() == [97.0]


def test_a_barrier_is_never_nearer_than_the_costs() -> None:
    """With sigma 0 the barriers stand one round trip from the entry."""
    labels = label([FLAT, FLAT, (100.0, 100.25, 99.9), FLAT], sigma=np.zeros(4), cost=0.002)
    assert labels.upper[0] == pytest.approx(100 * math.exp(0.002))
    assert (labels.touch[0], labels.y[0]) == (1, 2)


def test_the_vertical_barrier_alone_is_the_fixed_horizon() -> None:
    """With both barriers at infinity labels are those of a fixed horizon of the same time, but for the deadband."""
    rng = np.random.default_rng(4)
    price = 100 * np.exp(np.cumsum(rng.normal(0, 1e-3, 200)))
    start = MINUTE * np.arange(200)
    rest = {**PARAMS, "sigma": np.full(200, 1e-3)}
    never = Barriers(math.inf, math.inf, 6)
    one = barrier_labels(price, price, price, start, start + MINUTE, barriers=never, **ruled(**rest))
    other = horizon_labels(price, start, start + MINUTE, **ruled(**{**rest, "horizon": 6}))
    for name in ("row", "t0", "t1", "entry", "exit", "ret", "y_binary"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes(), name
    assert set(one.touch.tolist()) == {0}


def test_bars_of_one_price_are_labelled_like_their_trades() -> None:
    """Trades at the open of each bar give the labels of bars that never leave their open."""
    rng = np.random.default_rng(6)
    price = 100 * np.exp(np.cumsum(rng.normal(0, 1e-2, 300)))
    start = MINUTE * np.arange(300)
    rest = {**PARAMS, "horizon": 3, "sigma": np.full(300, 1e-2)}
    bars = barrier_labels(price, price, price, start, start + MINUTE, **ruled(**rest))
    tape = tape_barrier_labels(start + MINUTE, start, price, latency_us=0, **ruled(**rest))
    assert bars.row.tolist() == tape.row.tolist()
    assert bars.touch.tolist() == tape.touch.tolist()
    assert bars.exit.tobytes() == tape.exit.tobytes()
    assert len(set(bars.touch.tolist())) == 3


def test_on_noise_the_nearer_barrier_is_hit_in_proportion() -> None:
    """On a driftless walk P(gain of a before loss of b) = b / (a + b): 1 to 2 wins two thirds and earns nothing."""
    rng = np.random.default_rng(11)
    walks, length = 2000, 3000
    steps = np.where(rng.random((walks, length)) < 0.5, 1e-4, -1e-4)
    price = np.exp(np.cumsum(steps, axis=1) - steps[:, :1]).ravel()
    begins = np.arange(walks) * 10 * MINUTE  # one walk after the other, each over before the next begins
    ts = (begins[:, None] + np.arange(length)).ravel()
    labels = tape_barrier_labels(
        begins, ts, price, latency_us=0, barriers=Barriers(1.0 - 1e-9, 2.0 - 1e-9, 1),
        **ruled(**{**PARAMS, "sigma": np.full(walks, 0.001), "max_gap_bars": 20}),
    )  # fmt: skip
    done = labels.touch != 0
    touch, ret = labels.touch[done], labels.ret[done]
    wins, n = int((touch == 1).sum()), touch.size
    assert n > 1990  # nearly all walks reach a barrier before they are over
    assert abs(wins / n - 2 / 3) < 3 * math.sqrt(2 / 9 / n)
    assert abs(ret.mean()) < 3 * ret.std() / math.sqrt(n)


def test_impossible_barriers_sides_and_bars_are_refused() -> None:
    """A barrier at no distance, no time, a side of 2, or an open outside its bar names itself."""
    with pytest.raises(SettingsError, match=r"barrier upper is 0\.0"):
        Barriers(upper=0.0)
    with pytest.raises(SettingsError, match=r"barrier hold is 0"):
        Barriers(hold=0)
    with pytest.raises(ContractError, match="side has shape"):
        label([FLAT, FLAT], side=[2, 0])
    with pytest.raises(ContractError, match="open of row 1"):
        label([FLAT, (100.0, 99.0, 98.0)])
    with pytest.raises(ContractError, match=r"trades: row 1 \(4 us\) is before row 0 \(5 us\)"):
        tape_barrier_labels([0], [5, 4], [1.0, 1.0], latency_us=0, sigma=[0.01], **ruled(**PARAMS))
