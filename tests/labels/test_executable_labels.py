"""Executable prices against loops over the tape, and the bounce they are there for."""

from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelrules import ruled

from scalper_ml.datasets.labelling import Tape, label_bars
from scalper_ml.errors import ContractError
from scalper_ml.labels.barrier import tape_barrier_labels
from scalper_ml.labels.executable import Fills, executable_labels, mid_fills, side_mid_fills, trade_fills
from scalper_ml.labels.horizon import LabelParams
from scalper_ml.schema import stamps

tapes = st.lists(
    st.tuples(st.integers(0, 60), st.sampled_from([9.9, 10.0, 10.1]), st.sampled_from([-1, 1])), max_size=25
)
moments = st.lists(st.integers(-5, 70), max_size=12)
LABEL: dict[str, Any] = {"horizon": 2, "interval_us": 10, "cost": 0.001, "k_vol": 0.5, "kappa": 1.0}


def seen(fills: Fills) -> list[tuple[int, float | None, int | None]]:
    """State, and price and time where there is one."""
    return [
        (int(state), *((float(price), int(known)) if state == 0 else (None, None)))
        for state, price, known in zip(fills.state, fills.price, fills.known_us, strict=True)
    ]


@given(tapes, moments, st.integers(0, 20))
def test_the_first_trade_at_or_after_the_moment_is_the_fill(tape: Any, due: list[int], wait: int) -> None:
    """By a loop over all trades; none left is not yet, one too late is too late."""
    tape = sorted(tape, key=lambda trade: trade[0])
    expected = []
    for moment in due:
        after = [(ts, price) for ts, price, _ in tape if ts >= moment]
        late = bool(after) and after[0][0] - moment > wait
        expected.append((1, None, None) if not after else (2, None, None) if late else (0, after[0][1], after[0][0]))
    ts, price = [one[0] for one in tape], [one[1] for one in tape]
    assert seen(trade_fills(due, ts, price, wait_us=wait)) == expected


@given(tapes, moments, st.integers(0, 20), st.none() | st.integers(60, 80))
def test_mids_are_of_what_was_known_at_the_moment(tape: Any, due: list[int], age: int, until: int | None) -> None:
    """Quotes and trades alike: the last known at or before the moment, nothing later, nothing older than allowed."""
    tape = sorted(tape, key=lambda trade: trade[0])
    ts, price, side = ([one[k] for one in tape] for k in range(3))
    end = until if until is not None else (ts[-1] if ts else -(10**9))
    quotes, sides = [], []
    for moment in due:
        known = [k for k in range(len(tape)) if ts[k] <= moment]
        if moment > end:
            quotes.append((1, None, None))
            sides.append((1, None, None))
            continue
        fresh = bool(known) and moment - ts[known[-1]] <= age and price[known[-1]] <= 10.0  # asks stand at 10
        quotes.append((0, pytest.approx((price[known[-1]] + 10.0) / 2), moment) if fresh else (2, None, None))
        last = [max((k for k in known if side[k] == sign), default=None) for sign in (1, -1)]
        if None in last or any(moment - ts[k] > age for k in last):  # type: ignore[index]
            sides.append((2, None, None))
        else:
            sides.append((0, pytest.approx(sum(price[k] for k in last) / 2), moment))  # type: ignore[index]
    found = mid_fills(due, ts, price, np.full(len(ts), 10.0), max_age_us=age, until_us=until)
    assert seen(found) == quotes
    assert seen(side_mid_fills(due, ts, price, side, max_age_us=age, until_us=until)) == sides


def test_labels_enter_and_leave_at_the_first_trade_after_the_latency() -> None:
    """A trade between the close and the arrival of the order is not had; the exit is as late as the entry."""
    tape = partial(trade_fills, ts_us=[100, 104, 106, 119, 121, 126], price=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], wait_us=10)
    labels = executable_labels([100], tape, latency_us=5, sigma=[0.1], **ruled(**LABEL))
    assert (labels.entry.tolist(), labels.exit.tolist()) == ([3.0], [6.0])
    assert (labels.t0.tolist(), labels.t1.tolist()) == ([100], [126])
    assert labels.ret.tolist() == [np.log(2.0)]


def test_every_row_is_labelled_or_counted() -> None:
    """No entry, no exit, a late price, one trade as entry and exit, and not warm: each has its reason."""
    tape = partial(trade_fills, ts_us=[10, 30, 100, 125], price=[1.0, 1.1, 1.2, 1.3], wait_us=5)
    sigma = [np.nan, 0.1, 0.1, 0.1, 0.1, 0.1]
    labels = executable_labels([5, 10, 50, 100, 120, 130], tape, latency_us=0, sigma=sigma, **ruled(**LABEL))
    assert labels.row.tolist() == [1, 3]
    assert labels.dropped == {"not_warm": 1, "no_entry": 1, "no_exit": 1, "gap": 1}
    wide = partial(trade_fills, ts_us=[50], price=[1.0], wait_us=60)
    one = executable_labels([0], wide, latency_us=0, sigma=[0.1], **ruled(**LABEL))
    assert one.dropped["gap"] == 1


def test_the_bounce_is_a_signal_at_last_prices_and_none_at_mids() -> None:
    """A market that knows nothing, spread 4 bp: the side of the last trade predicts last-price moves, not mids."""
    rng = np.random.default_rng(3)
    n, half = 40_000, 2e-4
    ts = 1_000_000 * np.arange(n, dtype=np.int64)
    mid = 100 * np.exp(np.cumsum(rng.normal(0, 5e-5, n)))
    side = rng.choice([-1, 1], n)
    price = mid * (1 + half * side)
    due = ts[100:-100]
    last = np.log(price[101:-99] / price[100:-100])
    mids = side_mid_fills(due, ts, price, side, max_age_us=60_000_000)
    later = side_mid_fills(due + 5_000_000, ts, price, side, max_age_us=60_000_000)
    drift = np.log(later.price / mids.price)
    falls = (np.sign(last) == -side[100:-100])[last != 0].mean()
    assert falls > 0.7
    assert abs((np.sign(drift) == -side[100:-100]).mean() - 0.5) < 0.02


def test_broken_tapes_are_refused() -> None:
    """Stamps that step back, prices that are none, sides that are none and shapes that differ name themselves."""
    with pytest.raises(ContractError, match=r"trades: row 1 \(1 us\) is before row 0 \(2 us\)"):
        trade_fills([1], [2, 1], [1.0, 1.0], wait_us=1)
    with pytest.raises(ContractError, match="trades: price of row 0 is nan"):
        trade_fills([1], [2], [np.nan], wait_us=1)
    with pytest.raises(ContractError, match="need to know the aggressor"):
        side_mid_fills([1], [1], [1.0], [0], max_age_us=1)
    with pytest.raises(ContractError, match="shapes"):
        mid_fills([1], [1, 2], [1.0], [1.0, 1.0], max_age_us=1)


def test_decisions_of_one_moment_are_refused() -> None:
    """Two decisions at one close are two symbols in one call: each would be labelled, and trained on, twice."""
    tape = partial(trade_fills, ts_us=[1, 40], price=[1.0, 2.0], wait_us=100)
    with pytest.raises(ContractError, match=r"rows 1 and 2 are of one moment \(10 us\)"):
        executable_labels([0, 10, 10], tape, latency_us=0, **ruled(**LABEL, sigma=np.full(3, 0.1)))
    with pytest.raises(ContractError, match="rows 0 and 1 are of one moment"):
        tape_barrier_labels([5, 5], [6, 40], [1.0, 2.0], latency_us=0, **ruled(**LABEL, sigma=np.full(2, 0.1)))


def test_trades_of_one_moment_keep_their_order() -> None:
    """Of trades with equal stamps the first in the file is the fill; none is entry and exit at once."""
    ts, price = [10, 10, 10, 30, 30], [1.0, 2.0, 3.0, 4.0, 5.0]
    tape = partial(trade_fills, ts_us=ts, price=price, wait_us=100)
    labels = executable_labels([10], tape, latency_us=0, **ruled(**LABEL, sigma=np.full(1, 0.1)))
    assert (labels.entry.tolist(), labels.exit.tolist(), labels.t1.tolist()) == ([1.0], [4.0], [30])
    empty = executable_labels([11], tape, latency_us=0, **ruled(**LABEL | {"interval_us": 5}, sigma=np.full(1, 0.1)))
    assert (empty.row.size, empty.dropped["gap"]) == (0, 1)  # the next trade is due for both
    touched = tape_barrier_labels([10], ts, price, latency_us=0, **ruled(**LABEL, sigma=np.full(1, 0.1)))
    assert (touched.entry.tolist(), touched.exit.tolist(), touched.t1.tolist()) == ([1.0], [2.0], [10])


@pytest.mark.parametrize(
    ("kind", "price"),
    [
        *((kind, price) for kind in ("fixed", "binary") for price in ("open", "trade", "side_mid", "mid")),
        *(("triple_barrier", price) for price in ("open", "trade")),  # none stands on mids
    ],
)
def test_a_horizon_longer_than_the_data_labels_nothing(kind: Any, price: Any) -> None:
    """Of every kind and price: no label, and every bar counted once under a reason."""
    start = 60_000_000 * np.arange(30, dtype=np.int64)
    bars = pa.table({"open_ts_us": stamps(start), "ts_us": stamps(start + 60_000_000),
                     **{name: np.full(30, 100.0) for name in ("open", "high", "low")}})  # fmt: skip
    tape = Tape(start + 7, price=np.full(30, 100.0), side=np.tile(np.array([-1, 1], dtype=np.int8), 15),
                bid=np.full(30, 99.0), ask=np.full(30, 101.0))  # fmt: skip
    params = LabelParams(1000, 60_000_000, 0.43, 1.0, {"round_trip": 0.0}, 0, kind, price, 1)
    labels = label_bars(bars, np.full(30, 1e-3), 0.0, params, tape)
    assert labels.row.size == 0
    assert sum(labels.dropped.values()) == 30
