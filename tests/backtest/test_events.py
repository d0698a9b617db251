"""The event loop: examples by hand, laws, and an oracle that searches the tape afresh for every order."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalper_ml.backtest.events import EXITS, NEVER, Fills, Orders, Tape, Walk, walk
from scalper_ml.errors import ContractError


def trades(*prices: float, every: int = 10) -> Tape:
    return Tape.of_trades(np.arange(len(prices), dtype=np.int64) * every, np.array(prices, float))


def bar(*ohlc: tuple[float, float, float, float]) -> Tape:
    start = np.arange(len(ohlc), dtype=np.int64) * 100
    return Tape(start, start + 100, *np.array(ohlc, float).T)


def order(*, decided=0, arrives=0, leaves=1_000, side=1, limit=np.nan, expires=NEVER, stop=np.inf, target=np.inf):
    times = [np.array([at], dtype=np.int64) for at in (decided, arrives, leaves)]
    rest = [np.array([float(one)]) for one in (side, limit, stop, target)]
    return Orders(*times, rest[0], rest[1], np.array([expires], dtype=np.int64), rest[2], rest[3])


def only(fills: Fills) -> tuple:
    """The one order's story."""
    if fills.reason[0] == 0:
        return ("none",)
    return (
        EXITS[fills.reason[0]],
        fills.entry_price[0],
        pytest.approx(fills.exit_price[0]),
        int(fills.entry_ts[0]),
        int(fills.exit_ts[0]),
    )


def test_a_taker_is_filled_by_the_first_trade_after_its_arrival():
    """Arriving between two trades it gets the later one, and leaves with the first at or after its time."""
    fills = walk(trades(100, 101, 102, 103, 104), order(arrives=11, leaves=30))
    assert only(fills) == ("time", 102.0, 103.0, 20, 30)


def test_a_stop_is_left_at_the_trade_that_lies_beyond_it():
    """Through a gap the stop pays the trade's price, not its own."""
    fills = walk(trades(100, 99.9, 98.0, 105), order(stop=0.01))
    assert only(fills) == ("stop", 100.0, 98.0, 0, 20)


def test_a_target_is_its_own_price_and_a_maker_needs_more_than_a_touch():
    """A touch fills a taker's target; a resting one only when the market trades through it, as a maker."""
    touch, through = trades(100, 101, 100.5, 100), trades(100, 101, 101.5, 100)
    assert only(walk(touch, order(target=0.01))) == ("target", 100.0, 101.0, 0, 10)
    assert only(walk(touch, order(target=0.01), maker_target=True)) == ("none",)
    fills = walk(through, order(target=0.01), maker_target=True)
    assert only(fills) == ("target", 100.0, 101.0, 0, 20)
    assert fills.maker_out[0]
    assert not fills.maker_in[0]


def test_a_maker_waits_until_the_market_trades_through():
    """A trade at the limit is somebody else's; one below it fills at the limit; later than its time it is gone."""
    tape = trades(100, 99.5, 99.4, 99.0)
    fills = walk(tape, order(limit=99.5, leaves=30))
    assert only(fills) == ("time", 99.5, 99.0, 20, 30)
    assert fills.maker_in[0]
    assert only(walk(tape, order(limit=99.5, expires=20))) == ("none",)


def test_within_a_bar_the_stop_comes_before_the_target():
    """A bar that spans both barriers is a loss, for either side; one that opens beyond the stop fills at the open."""
    wide = bar((100, 102, 98, 100), (100, 100, 100, 100))
    for side, paid in ((1, 99.0), (-1, 101.0)):
        assert only(walk(wide, order(stop=0.01, target=0.01, side=side))) == ("stop", 100.0, paid, 0, 99)
    gap = bar((100, 100, 100, 100), (97, 97, 96, 96))
    assert only(walk(gap, order(stop=0.01))) == ("stop", 100.0, 97.0, 0, 100)


def test_a_maker_filled_within_a_bar_meets_its_stop_there_and_not_its_target():
    """Where in the bar it was filled is unknown: what lies against it counts, what lies for it does not."""
    tape = bar((100, 103, 98.0, 100), (100, 100, 100, 100))
    assert only(walk(tape, order(limit=99.0, stop=0.005)))[:3] == ("stop", 99.0, 99.0 * 0.995)
    assert only(walk(tape, order(limit=99.0, target=0.005, leaves=100)))[:3] != ("target", 99.0, 99.0 * 1.005)


def test_the_other_side_ends_a_position_and_does_not_turn_it():
    """An order of the other side leaves at the trade it arrives with; only if that is asked for."""
    both = [np.array(values) for values in ([0, 12, 40], [0, 15, 45], [1_000, 1_015, 1_045], [1.0, -1.0, -1.0])]
    orders = Orders.takers(*both)
    fills = walk(trades(100, 101, 102, 103, 104, 105), orders, opposite=True)
    assert [EXITS[code] for code in fills.reason] == ["opposite", "none", "none"]
    assert (fills.exit_ts[0], fills.exit_price[0], fills.entry_at.tolist()) == (20, 102.0, [0, -1, 5])
    assert walk(trades(100, 101, 102), orders).reason.tolist() == [0, 0, 0]


def oracle(tape: Tape, orders: Orders, opposite: bool) -> list[tuple]:
    """Each order in turn, by whole-array searches; takers on trades."""
    out, free = [], -(10**9)
    ts, price = tape.start, tape.open
    for k in range(orders.decided.size):
        entered = np.flatnonzero(ts >= orders.arrives[k])
        if orders.decided[k] <= free or not entered.size:
            out.append((0, -1, -1))
            continue
        first = entered[0]
        side, paid = orders.side[k], price[first]
        gain = side * (price - paid)
        after = np.arange(ts.size) > first
        ways = {
            1: (ts >= orders.leaves[k]) & (np.arange(ts.size) >= first),
            2: after & (gain <= -paid * orders.stop[k] * (1 - 1e-13)),
            3: after & (gain >= paid * orders.target[k] * (1 - 1e-13)),
        }
        if opposite:
            other = orders.arrives[(orders.side != side) & (np.arange(orders.side.size) > k)]
            seen = np.zeros(ts.size, bool)
            for arrival in other:
                later = np.flatnonzero((ts >= arrival) & (np.arange(ts.size) >= first))
                if later.size:
                    seen[later[0]] = True
            ways[4] = seen
        found = [(int(np.flatnonzero(where)[0]), code) for code, where in ways.items() if where.any()]
        if not found:
            out.append((0, first, -1))
            free = 10**12
            continue
        when, code = min(found, key=lambda pair: (pair[0], [1, 2, 4, 3].index(pair[1])))
        out.append((code, first, when))
        free = ts[when]
    return out


def drawn(seed: int, n: int = 300, m: int = 40) -> tuple[Tape, Orders]:
    """A tape of trades, several at a time, and orders of both sides with stops and targets."""
    rng = np.random.default_rng(seed)
    ts = np.cumsum(rng.integers(0, 4, n)).astype(np.int64)
    price = 100 * np.exp(np.cumsum(rng.normal(0, 1e-3, n)))
    decided = np.sort(rng.choice(np.arange(ts[-1] + 1), m, replace=False)).astype(np.int64)
    arrives = decided + int(rng.integers(0, 5))
    orders = Orders(
        decided, arrives, arrives + int(rng.integers(5, 60)), rng.choice([-1.0, 1.0], m),
        np.full(m, np.nan), np.full(m, NEVER), np.full(m, rng.choice([0.002, np.inf])),
        np.full(m, rng.choice([0.003, np.inf])),
    )  # fmt: skip
    return Tape.of_trades(ts, price), orders


@settings(max_examples=60)
@given(st.integers(0, 100_000), st.booleans())
def test_fills_agree_with_a_search_of_the_whole_tape_for_each_order(seed, opposite):
    """Order by order: the same entries, exits and reasons as the oracle."""
    tape, orders = drawn(seed)
    fills = walk(tape, orders, opposite=opposite)
    ours = list(zip(fills.reason.tolist(), fills.entry_at.tolist(), fills.exit_at.tolist(), strict=True))
    assert ours == oracle(tape, orders, opposite)


@settings(max_examples=30)
@given(st.integers(0, 100_000), st.lists(st.integers(0, 300), max_size=6), st.booleans())
def test_cutting_the_tape_changes_nothing(seed, cuts, opposite):
    """Any cutting of the tape gives the same fills to the last bit."""
    tape, orders = drawn(seed)
    whole = walk(tape, orders, opposite=opposite)
    walking = Walk(orders, opposite=opposite)
    edges = [0, *sorted(cuts), tape.start.size]
    for a, b in pairwise(edges):
        walking.over(Tape.of_trades(tape.start[a:b], tape.open[a:b]))
    for name in Fills.__dataclass_fields__:
        assert np.array_equal(getattr(whole, name), getattr(walking.fills, name), equal_nan=name.endswith("price"))


@settings(max_examples=30)
@given(st.integers(0, 100_000), st.integers(0, 200))
def test_the_future_of_the_tape_changes_no_fill_before_it(seed, cut):
    """Altering every trade after a moment leaves all that happened until then."""
    tape, orders = drawn(seed)
    price = tape.open.copy()
    price[cut:] *= 3.0
    here, there = walk(tape, orders), walk(Tape.of_trades(tape.start, price), orders)
    before = (here.exit_at >= 0) & (here.exit_at < cut)
    for name in ("entry_at", "exit_at", "entry_price", "exit_price", "reason"):
        assert np.array_equal(getattr(here, name)[before], getattr(there, name)[before])


@settings(max_examples=30)
@given(st.integers(0, 100_000), st.lists(st.integers(0, 300), max_size=4))
def test_executable_trades_give_the_fills_of_all_trades(seed, cuts):
    """Takers that leave by time need only the first trade at or after each arrival and each leaving."""
    tape, orders = drawn(seed)
    plain = Orders.takers(orders.decided, orders.arrives, orders.leaves, orders.side)
    edges = [0, *sorted(cuts), tape.start.size]
    days = [(tape.start[a:b], tape.open[a:b]) for a, b in pairwise(edges)]
    some = Tape.executable(days, np.concatenate([plain.arrives, plain.leaves]))
    here, there = walk(tape, plain), walk(some, plain)
    assert some.start.size <= tape.start.size
    for name in ("entry_ts", "exit_ts", "entry_price", "exit_price", "reason"):
        assert np.array_equal(getattr(here, name), getattr(there, name), equal_nan=True)


@settings(max_examples=30)
@given(st.integers(0, 100_000))
def test_law_5_inverted_prices_mirror_the_sides(seed):
    """On P -> P0^2 / P the other side is left at the same trades, with barriers mirrored likewise."""
    tape, orders = drawn(seed)
    up, down = np.log1p(0.003), np.log1p(0.002)
    n = orders.side.size
    long = Orders(orders.decided, orders.arrives, orders.leaves, np.ones(n), orders.limit, orders.expires,
                  np.full(n, 1 - np.exp(-down)), np.full(n, np.expm1(up)))  # fmt: skip
    short = Orders(orders.decided, orders.arrives, orders.leaves, -np.ones(n), orders.limit, orders.expires,
                   np.full(n, np.expm1(down)), np.full(n, 1 - np.exp(-up)))  # fmt: skip
    here = walk(tape, long)
    there = walk(Tape.of_trades(tape.start, 100.0**2 / tape.open), short)
    assert here.reason.tolist() == there.reason.tolist()
    assert here.exit_at.tolist() == there.exit_at.tolist()


def test_orders_out_of_order_are_refused():
    """Decisions that go back in time, and arrivals before the decision, are contract errors."""
    late, early = np.array([5, 1]), np.array([5, 6])
    with pytest.raises(ContractError, match="decisions in order"):
        Orders.takers(late, late, late, np.ones(2))
    with pytest.raises(ContractError, match="arrivals not before"):
        Orders.takers(early, early - 1, early, np.ones(2))
