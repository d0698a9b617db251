"""The live feed against a venue on this machine that cuts off, repeats itself, leaves out and is slow to answer."""

import gzip
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from realdata import real_data
from venueserver import Part, Venue, message, venue

from scalper_ml.bars.builder import BarBuilder
from scalper_ml.ingest import read_ticks
from scalper_ml.ingest.order import Trades, concatenate
from scalper_ml.live.binance import BinanceFeed, BinanceVenue
from scalper_ml.live.feed import Interruption, Message, trades_of
from scalper_ml.live.sequence import TradeSequence
from scalper_ml.live.venue_clock import VenueClock

MS = 1_767_225_600_000


def made(n: int) -> list[str]:
    """Trades of a coin, one a second, ids from 1000 on; every tenth message is the top of book."""
    rng = np.random.default_rng(7)
    price = 100 * np.exp(np.cumsum(1e-4 * rng.normal(size=n)))
    found = []
    for k in range(n):
        found.append(message("AUSDT", 1000 + k, MS + 1000 * k, price[k], 1.0 + k % 7, bool(k % 3)))
        if k % 10 == 9:
            quote = {"u": k, "s": "AUSDT", "b": "99.5", "B": "1", "a": "100.5", "A": "2"}
            found.append(json.dumps({"stream": "ausdt@bookTicker", "data": quote}))
    return found


def offered(messages: list[str]) -> list[int]:
    """Ids of all trades of a venue."""
    data = [json.loads(text)["data"] for text in messages]
    return [one["t"] for one in data if one.get("e") == "trade"]


def collect(
    place: Venue, last: int, symbol: str = "AUSDT", *, market: str = "spot", **options: object
) -> tuple[Trades, list[Interruption], BinanceFeed, int]:
    """Everything up to a trade, and the latest time the feed had said no trade would come before."""
    known = BinanceVenue(market=market, stream=place.stream, rest=place.rest, pause_s=0.01, longest_pause_s=0.05,
                         **{"attempts": 3, **options.pop("venue", {})})  # fmt: skip
    feed = BinanceFeed([symbol], known, **options)
    parts, lost, until = [], [], -1
    for one in itertools.islice(feed, 100_000):
        if isinstance(one, Interruption):
            lost.append(one)
        elif isinstance(one, Message) and one.trades is not None:
            assert int(one.trades.ts_us.min()) >= until, "a trade came after the feed said that none would"
            parts.append(one.trades)
            if int(one.trades.trade_id[-1]) >= last:
                break
        else:
            until = max(until, one.until_us)
    feed.stop()
    return concatenate(parts), lost, feed, until


def test_every_trade_comes_once_in_order() -> None:
    """Cut off twice, with repeated, left out and lost messages: every trade comes once, in the order of ids."""
    messages = made(400)
    thin = [text for place, text in enumerate(messages) if place not in (50, 51, 300)]
    parts = [Part(0, 120), Part(90, 200), Part(260, len(thin), cut=False)]
    with venue(messages=thin, parts=parts, failing=2) as place:
        place.old_trades = lambda asked: Venue(  # type: ignore[method-assign]
            messages, (), played=place.played + 3
        ).old_trades(asked)
        found, lost, feed, _ = collect(place, 1399)
    assert found.trade_id.tolist() == list(range(1000, 1400))
    assert lost == []
    assert feed.health.connections == 3
    assert feed.health.repeated >= 27
    assert feed.health.filled >= 60
    assert feed.health.quotes == {"AUSDT": (99.5, 100.5)}
    assert place.paths[0] == "/stream?streams=ausdt@trade/ausdt@bookTicker"


def test_what_cannot_be_had_is_said() -> None:
    """Trades that the venue does not give are one interruption, with their ids and a reason; the rest goes on."""
    messages = made(100)
    thin = [text for place, text in enumerate(messages) if place not in (40, 41, 70)]
    with venue(thin, [Part(0, len(thin), cut=False)]) as place:
        found, lost, *_ = collect(place, 1099)
    held = offered(thin)
    missing = sorted(set(range(1000, 1100)) - set(held))
    assert [number for one in lost for number in range(one.first_id, one.last_id + 1)] == missing
    assert len(lost) == 2
    assert "does not give" in lost[0].reason
    assert found.trade_id.tolist() == held


def test_a_request_that_keeps_failing_is_given_up() -> None:
    """A gap whose requests fail is given up after so many tries, and says why."""
    messages = made(60)
    thin = [text for place, text in enumerate(messages) if place not in (20, 21)]
    with venue(thin, [Part(0, len(thin), cut=False)], failing=10_000) as place:
        _, (lost,), *_ = collect(place, 1059)
    assert "500" in lost.reason


def test_a_bot_goes_on_where_it_stopped() -> None:
    """With the id of its last trade a new feed asks for everything since, and gives it first."""
    messages = made(300)
    with venue(messages, [Part(200, len(messages), cut=False)]) as place:
        found, lost, *_ = collect(place, 1299, after={"AUSDT": 1009})
    assert found.trade_id.tolist() == list(range(1010, 1300))
    assert lost == []


@pytest.mark.parametrize("wrong_s", [-1.3, 0.0, 5000.0])
def test_a_wrong_clock_closes_no_bar_early(wrong_s: float) -> None:
    """With the machine's clock behind or ahead of the venue's, no trade comes after the feed said that none would."""
    messages = made(200)
    ticking = itertools.count()

    def now_us() -> int:
        return MS * 1000 + next(ticking) * 20_000 + round(wrong_s * 1e6)

    with venue(messages, [Part(0, len(messages), cut=False)]) as place:
        found, *_ = collect(place, 1199, now_us=now_us)
    assert found.trade_id.tolist() == list(range(1000, 1200))


def test_a_stalled_connection_is_left() -> None:
    """A connection on which nothing comes any more is given up for a new one."""
    messages = made(100)
    with venue(messages, [Part(0, 40, cut=False), Part(40, len(messages), cut=False)]) as place:
        found, _, feed, _ = collect(place, 1099, venue={"stall_s": 0.2})
    assert found.trade_id.tolist() == list(range(1000, 1100))
    assert feed.health.connections == 2


def test_damaged_messages_are_counted() -> None:
    """A message that is no JSON, and one without a price, are counted and said; the trades around them come."""
    messages = made(30)
    messages[10] = "{"
    broken = json.loads(messages[20])
    number = broken["data"]["t"]
    del broken["data"]["p"]
    messages[20] = json.dumps(broken)
    with venue(messages, [Part(0, len(messages), cut=False)]) as place:
        place.old_trades = lambda asked: []  # type: ignore[method-assign]
        found, lost, feed, _ = collect(place, 1029)
    assert feed.health.damaged == 2
    assert number not in found.trade_id.tolist()
    assert len(lost) == 1


def test_sequences_hold_what_comes_early() -> None:
    """A trade that comes before one that is missing waits, and giving up lets it through."""
    from scalper_ml.book.events import Trade

    sequence = TradeSequence("AUSDT", 5)
    early = Trade(1, "x", "AUSDT", 0, 0, 1.0, 1.0, 1, 8)
    assert sequence.take([early]) == []
    assert sequence.skip(5) == []
    assert sequence.wanted == (6, 7)
    lost, ready = sequence.give_up("gone")
    assert lost == Interruption("AUSDT", 6, 7, "gone")
    assert ready == [early]
    assert sequence.give_up("again") == (None, [])


def test_the_venue_clock_forgets() -> None:
    """A clock that is put right is followed within two windows."""
    clock = VenueClock(window_us=100)
    assert clock.now_us(0) is None
    clock.heard(1000, 0)
    assert clock.now_us(50) == 1050
    for local in (2000, 2150, 2300):
        clock.heard(local + 3, local)
    assert clock.now_us(2301) == 2304


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("usdm/ethusdt", 4000),
        *(pytest.param(name, None, marks=pytest.mark.verify) for name in ("spot/btcusdt", "usdm/ethusdt")),
    ],
)
def test_a_real_capture_gives_the_bars_of_its_ingest(name: str, lines: int | None, tmp_path: Path) -> None:
    """The raw messages of a capture, played with cuts, repeats and holes, give the bars that its ingest gives."""
    symbol, market = name.split("/")[1].upper(), name.split("/")[0]
    with gzip.open(real_data(f"feeds/binance/{name}_20240808.gz"), "rt") as file:
        texts = list(itertools.islice(file, lines))
    path = tmp_path / f"{symbol}.txt.gz"
    path.write_bytes(gzip.compress("".join(texts).encode(), 1))
    offline = trades_of(read_ticks(path, symbol=symbol).ticks)
    quotes = itertools.count()
    messages = [
        text.split(" ", 1)[1]
        for text in texts
        if '"e":"trade"' in text or ("bookTicker" in text and next(quotes) % 20 == 0)
    ]
    n = len(messages)
    parts = [Part(0, n // 3), Part(n // 3 - 100, n // 2), Part(n // 2 + 100, n, cut=False)]
    with venue(messages, parts) as place:
        found, lost, *_ = collect(place, int(offline.trade_id[-1]), symbol, market=market)
    assert lost == []
    assert found.trade_id.tolist() == offline.trade_id.tolist()
    columns = ("ts_us", "price", "qty", "side", "trade_id")
    bars = [BarBuilder(1_000_000).push(*(getattr(one, name) for name in columns)) for one in (found, offline)]
    assert bars[0].num_rows > 5
    assert bars[0].equals(bars[1])
