"""The rebuilt book: the venue's rules, gaps noticed, and equal to the venue's own top of book."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from realdata import real_data

from scalper_ml.book.captures import capture_events
from scalper_ml.book.events import BookTicker, Damage, DepthDiff, Level, Snapshot, Trade
from scalper_ml.book.rebuild import OrderBook, Side, Top, rebuilt, top_changes
from scalper_ml.errors import ContractError


def snapshot(last: int, bids: list[Level], asks: list[Level], *, at: int = 0, reset: bool = False) -> Snapshot:
    return Snapshot(1, "x", "S", at, at, last, bids, asks, reset)


def diff(prev: int, last: int, bids: list[Level] = [], asks: list[Level] = [], *, at: int = 0) -> DepthDiff:  # noqa: B006
    return DepthDiff(1, "x", "S", at, at, prev, last, bids, asks)


START = snapshot(100, [(99.0, 1.0), (98.0, 2.0)], [(101.0, 3.0), (102.0, 4.0)])


@pytest.mark.parametrize(
    ("name", "shared", "trades"),
    [
        ("usdm/btcusdt_20240808.gz", 629, 21_313),
        ("usdm/ethusdt_20240808.gz", 551, 14_076),
        ("cm/btcusd_perp_20240808.gz", 1_124, 2_286),
        ("spot/btcusdt_20240808.gz", 564, 9_757),
        ("spot/ethusdt_20240808.gz", 577, 6_106),
    ],
)
def test_the_rebuilt_book_equals_the_venue_s_top_at_every_shared_update_id(name: str, shared: int, trades: int) -> None:
    """Best prices and quantities are equal to the bit wherever both speak of the same update; trade ids have no gap."""
    tickers: dict[int, Top] = {}
    books: dict[int, Top] = {}
    book, ids = OrderBook(), []
    for event in capture_events(real_data(f"feeds/binance/{name}")):
        assert not isinstance(event, Damage)
        if isinstance(event, BookTicker):
            tickers[event.update_id] = Top(event.bid, event.bid_qty, event.ask, event.ask_qty)
        elif isinstance(event, Trade):
            ids.append(event.trade_id)
        elif isinstance(event, Snapshot | DepthDiff):
            assert book.apply(event) != "gap"
            if book.synced:
                books[book.last_id] = book.top()
    both = set(tickers) & set(books)
    assert len(both) == shared
    assert ids == list(range(ids[0], ids[0] + trades))
    assert all(tickers[update] == books[update] for update in both)
    assert book.gaps == 0


def test_a_lost_change_is_noticed_and_the_book_falls_silent() -> None:
    """One diff left out of a real capture: the next one is a gap, and no quote follows it."""
    path = real_data("feeds/binance/spot/ethusdt_20240808.gz")
    events = [event for event in capture_events(path) if isinstance(event, Snapshot | DepthDiff)]
    del events[1_000]
    said = list(top_changes(rebuilt(events)))
    assert isinstance(said[-1], Damage)
    assert said[-1].line == events[1_000].line
    assert "chain broken" in said[-1].reason
    assert sum(isinstance(one, Damage) for one in said) == 1


def test_changes_before_the_snapshot_are_joined_to_it() -> None:
    """A change that spans the snapshot applies, one before it says nothing new: spot's ``U <= L + 1 <= u``."""
    book = OrderBook()
    assert book.apply(diff(90, 95, [(99.5, 9.0)])) == "buffered"
    assert book.apply(diff(95, 103, [(99.0, 5.0)])) == "buffered"
    assert book.apply(START) == "applied"
    assert (book.last_id, book.top()) == (103, Top(99.0, 5.0, 101.0, 3.0))


def test_futures_chain_by_pu_and_not_by_first_id() -> None:
    """Ids may jump as long as each change names the one before it."""
    book = OrderBook()
    book.apply(START)
    assert book.apply(diff(97, 140, asks=[(100.5, 1.0)])) == "applied"
    assert book.apply(diff(140, 200, asks=[(100.5, 0.0)])) == "applied"
    assert book.top().ask == 101.0


@pytest.mark.parametrize("lost", [diff(101, 103), diff(150, 160)])
def test_a_change_that_does_not_reach_back_to_the_snapshot_is_a_gap(lost: DepthDiff) -> None:
    """After a gap the book answers nothing; the message says how to go on."""
    book = OrderBook()
    book.apply(START)
    assert book.apply(lost) == "gap"
    assert (book.synced, book.gaps) == (False, 1)
    for ask in (book.top, book.reach, lambda: book.levels(1)):
        with pytest.raises(ContractError, match="apply a new snapshot"):
            ask()
    assert book.apply(diff(lost.last_id, lost.last_id + 1)) == "buffered"


def test_once_joined_every_change_must_follow_exactly() -> None:
    """A change that overlaps the one before it is a gap too, a repeated one is stale."""
    book = OrderBook()
    book.apply(START)
    book.apply(diff(100, 105))
    assert book.apply(diff(100, 105)) == "stale"
    assert book.apply(diff(103, 108)) == "gap"


def test_a_snapshot_mends_a_gap_with_the_changes_that_waited() -> None:
    """After a gap, a later snapshot joins the change that broke the chain and those after it."""
    book = OrderBook()
    book.apply(START)
    book.apply(diff(110, 112, [(99.5, 1.0)]))
    book.apply(diff(112, 115, [(99.6, 1.0)]))
    assert book.apply(snapshot(111, [(99.0, 1.0)], [(101.0, 1.0)])) == "applied"
    assert (book.last_id, book.top().bid, book.gaps) == (115, 99.6, 1)


def test_an_older_snapshot_does_not_turn_the_book_back_but_the_stream_s_own_does() -> None:
    """A late answer of a request is stale; a snapshot within the stream starts anew, whatever its id."""
    book = OrderBook()
    book.apply(START)
    book.apply(diff(100, 105, [(99.9, 1.0)]))
    assert book.apply(START) == "stale"
    assert book.top().bid == 99.9
    assert book.apply(snapshot(1, [(50.0, 1.0)], [(51.0, 1.0)], reset=True)) == "applied"
    assert book.top().bid == 50.0
    assert book.apply(diff(2, 3)) == "gap"


def test_known_time_of_the_book_is_that_of_its_latest_part() -> None:
    """A snapshot that came after the changes it is joined with is what the book had to wait for."""
    book = OrderBook()
    book.apply(diff(95, 103, at=5))
    book.apply(snapshot(100, [(99.0, 1.0)], [(101.0, 1.0)], at=9))
    assert (book.known_us, book.event_us) == (9, 5)


@given(
    st.lists(st.lists(st.tuples(st.integers(1, 12), st.integers(0, 3)), max_size=6), max_size=12),
    st.integers(1, 5),
    st.integers(1, 12),
)
def test_a_side_is_a_dict_of_the_last_quantities(changes: list[list[tuple[int, int]]], count: int, limit: int) -> None:
    """Best levels, top and depth of both sides equal those of a plain dict, sorted when asked."""
    plain: dict[float, float] = {}
    bids, asks = Side(1), Side(-1)
    for change in changes:
        levels = [(float(price), float(qty)) for price, qty in change]
        plain.update(levels)
        bids.set(levels)
        asks.set(levels)
    left = sorted((price, qty) for price, qty in plain.items() if qty)
    assert asks.best(count) == left[:count]
    assert bids.best(count) == left[::-1][:count]
    assert bids.within(float(limit))[0] == sum(qty for price, qty in left if price >= limit)
    assert asks.within(float(limit))[1] == sum(price * qty for price, qty in left if price <= limit)
    if left:
        assert (asks.top(), bids.top()) == (left[0], left[-1])
