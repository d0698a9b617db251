"""Captures: events typed, damage named, nothing lost; the venues' own captures."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from realdata import real_data

from scalper_ml.book.capture_context import read_capture_context
from scalper_ml.book.captures import capture_events, read_capture_quotes
from scalper_ml.book.clock_skew import clock_skew
from scalper_ml.book.dialects.base import Arrivals
from scalper_ml.book.events import BookTicker, Damage, DepthDiff, Liquidation, Trade
from scalper_ml.book.framing import Frame
from scalper_ml.errors import InputError
from scalper_ml.ingest import read_ticks
from scalper_ml.schema import us

LOCAL_NS = 1_723_161_255_030_314_667
EVENT_MS = 1_723_161_256_298  # the recorder's clock runs 1.27 s behind

CAPTURES = {
    "cm/btcusd_perp_20240808.gz": ("BTCUSD_PERP", "binance-coinm-capture", 2_286, 19_136),
}


def trade(trade_id: int, *, after_ms: int = 0, **changes: object) -> str:
    at = EVENT_MS + after_ms
    data = {"e": "trade", "E": at, "T": at, "s": "BTCUSDT", "t": trade_id, "p": "61800.30", "q": "0.006"}
    data |= {"X": "MARKET", "m": False} | changes
    return f"{LOCAL_NS + after_ms * 1_000_000} " + json.dumps({"stream": "btcusdt@trade", "data": data})


def written(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_line_is_a_typed_event_with_both_times(tmp_path: Path) -> None:
    """The aggressor of ``m: false`` is the buyer; known time is the venue's while the recorder's clock is behind."""
    [event] = capture_events(written(tmp_path / "c", trade(7)))
    assert isinstance(event, Trade)
    assert (event.price, event.qty, event.side, event.trade_id) == (61_800.3, 0.006, 1, 7)
    assert (event.line, event.source, event.symbol) == (1, "binance-usdm-capture", "BTCUSDT")
    assert event.known_us == event.event_us == EVENT_MS * 1000


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("not a line", "local stamp: not an integer"),
        ("1723161255030314667", "found no space"),
        ("99 {}", "expected one of the years"),
        (trade(2)[:-20], "Input data was truncated"),
        (trade(2, p="6180O.30"), "Expected `float | null`, got `str` - at `$.data.p`"),
        (trade(2, p=None), "lacks one of T, p, q, m"),
        (trade(2, t=None), "lacks its id t"),
        (trade(2, X="INSURANCE_FUND"), "found 'INSURANCE_FUND'"),
        (trade(2, T=EVENT_MS + 10**7), "ahead of the local clock"),
        (trade(2, q="0"), "qty: not positive and finite"),
        (trade(2, p="nan"), "price: not positive and finite"),
    ],
)
def test_a_damaged_line_goes_to_quarantine_with_its_number_and_text(tmp_path: Path, line: str, reason: str) -> None:
    """The trades around a damaged line are read; the line is kept with its number, reason and text."""
    file = read_ticks(written(tmp_path / "c", trade(1), line, trade(3, after_ms=5)), symbol="BTCUSDT")
    assert file.ticks["trade_id"].to_pylist() == [1, 3]
    [row] = file.quarantine.to_pylist()
    assert (row["file"], row["line"], reason in row["reason"]) == ("c", 2, True), row["reason"]
    assert row["raw"]
    assert row["raw"] in line
    assert (file.counts.read, file.counts.accepted, file.counts.duplicate, file.counts.quarantined) == (3, 2, 0, 1)


def test_messages_of_other_kinds_and_symbols_are_no_rows(tmp_path: Path) -> None:
    """Klines, tickers of the day and other symbols' trades neither count nor disturb, whatever their fields hold."""
    kline = json.dumps({"stream": "btcusdt@kline_1m", "data": {"e": "kline", "E": EVENT_MS, "s": "BTCUSDT", "k": {}}})
    day = json.dumps({"data": {"e": "24hrTicker", "s": "BTCUSDT", "p": "-1.5", "b": {"odd": 1}}})
    lines = [trade(1), f"{LOCAL_NS} {kline}", f"{LOCAL_NS} {day}", trade(9, s="ETHUSDT")]
    file = read_ticks(written(tmp_path / "c", *lines), symbol="BTC/USDT")
    assert (file.counts.read, file.counts.accepted) == (1, 1)


def test_a_capture_without_the_symbol_is_refused(tmp_path: Path) -> None:
    """Asked for a symbol that never occurs, the message names file and symbol."""
    path = written(tmp_path / "c", trade(1))
    with pytest.raises(InputError, match="nothing of symbol 'SOLUSDT'"):
        read_ticks(path, symbol="SOLUSDT")


def test_trades_and_aggregate_trades_of_one_capture_must_be_chosen(tmp_path: Path) -> None:
    """Both kinds count the same volume: neither is taken unasked, each is read when named."""
    both = written(tmp_path / "c", trade(1), trade(2, e="aggTrade", a=77, t=None))
    with pytest.raises(InputError, match="2 formats"):
        read_ticks(both, symbol="BTCUSDT")
    file = read_ticks(both, symbol="BTCUSDT", format="binance-usdm-capture-agg")
    assert file.ticks["trade_id"].to_pylist() == [77]
    assert file.ticks["source"].to_pylist() == ["binance-usdm-capture-agg"]


@pytest.mark.parametrize("packing", ["plain", "gzip", "zstd"])
def test_packing_is_known_by_the_bytes_and_a_cut_archive_is_refused(tmp_path: Path, packing: str) -> None:
    """Plain, gzip and Zstandard give the same events; a cut archive says where it ends."""
    text = "".join(trade(i) + "\n" for i in range(500)).encode()
    packed = {
        "plain": text,
        "gzip": gzip.compress(text),
        "zstd": pa.compress(text, codec="zstd", asbytes=True),
    }[packing]
    path = tmp_path / "capture"
    path.write_bytes(packed)
    assert sum(isinstance(event, Trade) for event in capture_events(path)) == 500
    path.write_bytes(packed[: len(packed) - 10])
    if packing == "plain":  # a recorder that was killed: the last line is damaged, the others stand
        assert [type(event) for event in capture_events(path)][-2:] == [Trade, Damage]
    else:
        with pytest.raises(InputError, match=f"truncated or damaged {packing} after line"):
            list(capture_events(path))


def test_an_empty_or_missing_capture_is_refused(tmp_path: Path) -> None:
    """No lines and no file are errors, not an empty table."""
    (tmp_path / "c").write_bytes(b"")
    with pytest.raises(InputError, match=r"empty (file|capture)"):
        list(capture_events(tmp_path / "c"))
    with pytest.raises(InputError, match="cannot be read"):
        list(capture_events(tmp_path / "none"))


@given(st.lists(st.tuples(st.integers(-3_000, 3_000), st.integers(0, 400), st.booleans()), min_size=1, max_size=30))
def test_known_time_is_never_before_the_event_nor_before_an_earlier_line(steps: list[tuple[int, int, bool]]) -> None:
    """Whatever the recorder's clock does, known time is at least event time and local time, and never goes back."""
    arrivals, event_ms, before = Arrivals(), EVENT_MS, 0
    for line, (skew_ms, step_ms, stamped) in enumerate(steps, 1):
        event_ms += step_ms
        frame = Frame(line, "", (event_ms + skew_ms) * 1000, "recv", b"")
        known, event = arrivals.known_us(frame, event_ms if stamped else 0)
        assert known >= max(event, frame.local_us, before)
        assert event == (event_ms * 1000 if stamped else known)
        before = known


def test_a_message_without_a_stamp_takes_the_correction_of_those_with_one(tmp_path: Path) -> None:
    """Spot's top of book, 50 ms after a trade whose stamp is 1.268 s ahead, is known 50 ms after that trade."""
    ticker = {"u": 9, "s": "BTCUSDT", "b": "61837.63", "B": "3.7", "a": "61837.64", "A": "1.5"}
    later = f"{LOCAL_NS + 50_000_000} " + json.dumps({"stream": "btcusdt@bookTicker", "data": ticker})
    spot = trade(1, M=True, X="")
    first, second = capture_events(written(tmp_path / "c", spot, later))
    assert isinstance(second, BookTicker)
    assert second.source == "binance-spot-capture"
    assert second.known_us - first.event_us == 50_000


@pytest.mark.parametrize("name", ["cm/btcusd_perp_20240808.gz"])
def test_real_captures_have_all_trades_and_quotes_and_no_damage(name: str) -> None:
    """Every trade and top of book is read: no id gaps, duplicates or quarantine, none known before it happened."""
    symbol, source, trades, tickers = CAPTURES[name]
    path = real_data(f"feeds/binance/{name}")
    file = read_ticks(path, symbol=symbol)
    ids = file.ticks["trade_id"].to_numpy()
    assert (file.format, file.counts.read, file.counts.accepted) == (source, trades, trades)
    assert ids[-1] - ids[0] + 1 == len(ids) == trades
    quotes = read_capture_quotes(path, symbol)
    assert (quotes.counts.read, quotes.counts.accepted, quotes.quarantine.num_rows) == (tickers, tickers, 0)
    assert (us(quotes.quotes["ts_us"]) >= us(quotes.quotes["event_ts_us"])).all()


def test_the_clock_of_the_real_recorder_is_1_3_seconds_behind() -> None:
    """The median of local less event time is -1.26 s, and the skew says so; every line of the capture has a stamp."""
    skew = clock_skew(real_data("feeds/binance/cm/btcusd_perp_20240808.gz"))
    assert skew.is_behind
    assert -1_300_000 < skew.median_us < -1_250_000
    assert skew.min_us <= skew.p01_us <= skew.median_us <= skew.p99_us <= skew.max_us < 0
    assert skew.messages == 48_270


def test_a_clock_offset_puts_quotes_after_the_event_by_the_latency() -> None:
    """With 1.4 s added to a clock that is 1.27 s behind, spot's quotes without a stamp move by the difference alone."""
    path = real_data("feeds/binance/spot/ethusdt_20240808.gz")
    raw = read_capture_quotes(path, "ETHUSDT").quotes
    right = read_capture_quotes(path, "ETHUSDT", clock_offset_us=1_400_000).quotes
    moved = us(right["ts_us"]) - us(raw["ts_us"])
    assert moved.min() > 120_000
    assert moved.max() < 140_000


VENUES = [  # trades and two-sided quotes as a plain count over the capture's JSON gives them
    ("BINANCE_DELIVERY", "BCHUSD_PERP", "binance-coinm-capture", "-agg", 2, 278),
    ("BINANCE_FUTURES", "SUSHIUSDT", "binance-usdm-capture", "-agg", 40, 305),
    ("BYBIT", "BTCUSDT", "bybit-linear-capture", "", 56, 134),
    ("BYBIT", "SOLUSDT", "bybit-linear-capture", "", 165, 153),
    ("DERIBIT", "BTC-24SEP21-8000-P", "deribit-capture", "", 0, 31),
    ("OKX", "BTC-USDT", "okx-capture", "", 69, 25),
]


@pytest.mark.parametrize(("venue", "symbol", "format", "kind", "trades", "quotes"), VENUES)
def test_every_venue_gives_its_trades_and_its_top_of_book(
    venue: str, symbol: str, format: str, kind: str, trades: int, quotes: int
) -> None:
    """Counts equal a plain count over the capture's JSON; nothing is in quarantine; all bids are below the asks."""
    path = real_data(f"feeds/cryptofeed/{venue}.jsonl.zst")
    ticks = read_ticks(path, symbol=symbol, format=None if kind else format)
    assert (ticks.format, ticks.counts.accepted, ticks.quarantine.num_rows) == (format + kind, trades, 0)
    book = read_capture_quotes(path, symbol, format=format)
    assert (book.format, book.counts.accepted, book.quarantine.num_rows) == (format, quotes, 0)
    assert (book.quotes["bid"].to_numpy() < book.quotes["ask"].to_numpy()).all()


def test_an_empty_side_of_a_deribit_book_is_no_quote() -> None:
    """The put without a bid has a ticker with price 0: all seven are in quarantine, none is a quote."""
    file = read_capture_quotes(real_data("feeds/cryptofeed/DERIBIT.jsonl.zst"), "ETH-27AUG21-4000-P")
    assert (file.counts.read, file.counts.accepted, file.counts.quarantined) == (7, 0, 7)
    assert set(file.quarantine["reason"].to_pylist()) == {"bid: not positive and finite"}


def test_kraken_s_history_on_subscribing_is_a_hundred_trades() -> None:
    """101 trades of PI_ETHUSD with ids without gaps, the history sorted; its top of book comes from the book."""
    path = real_data("feeds/cryptofeed/KRAKEN_FUTURES.jsonl.zst")
    file = read_ticks(path, symbol="PI_ETHUSD")
    ids = file.ticks["trade_id"].to_pylist()
    assert ids == list(range(ids[0], ids[0] + 101))
    book = read_capture_quotes(path, "PI_ETHUSD")
    assert book.format == "kraken-futures-capture-book"
    assert book.counts.accepted > 100
    assert book.quarantine.num_rows == 0
    assert (book.quotes["bid"].to_numpy() < book.quotes["ask"].to_numpy()).all()


def test_a_symbol_in_two_markets_must_be_chosen() -> None:
    """Bybit's BTCUSDT is a spot pair and a perpetual: unasked, neither is taken."""
    path = real_data("feeds/cryptofeed/BYBIT.jsonl.zst")
    with pytest.raises(InputError, match=r"bybit-linear-capture.*bybit-spot-capture"):
        read_ticks(path, symbol="BTCUSDT")
    assert read_ticks(path, symbol="BTCUSDT", format="bybit-spot-capture").counts.accepted == 11
    book = read_capture_quotes(path, "BTCUSDT", format="bybit-spot-capture")  # spot tickers have no top of book
    assert book.format == "bybit-spot-capture-book"
    assert book.counts.accepted > 20


def test_bybit_s_funding_and_open_interest_are_context_rows() -> None:
    """Counts by kind equal a plain count over the JSON; the funding rate is the one that the snapshot says."""
    rows = read_capture_context(real_data("feeds/cryptofeed/BYBIT.jsonl.zst"), "BTCUSDT")
    kinds = rows["kind"].to_pylist()
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "funding_rate": 1,
        "index_price": 28,
        "mark_price": 42,
        "open_interest": 5,
    }
    assert rows["value"].to_pylist()[kinds.index("funding_rate")] == 0.0001
    assert (us(rows["ts_us"]) >= us(rows["event_ts_us"])).all()


def bybit(*messages: dict[str, object]) -> list[str]:
    """A capture of Bybit's linear socket, a message a second."""
    address = "wss://stream.bybit.com/v5/public/linear"
    lines = [{"t": "header", "exchange": "BYBIT"}, {"t": "connect", "conn": "ws", "ts": 1786310818.0, "addr": address}]
    lines += [
        {"t": "recv", "conn": "ws", "ts": 1786310819.0 + i, "data": json.dumps(message)}
        for i, message in enumerate(messages)
    ]
    return [json.dumps(line) for line in lines]


def test_a_liquidated_long_position_is_a_forced_sale(tmp_path: Path) -> None:
    """Bybit says the position's side: ``Buy`` was a long one, so its order sells; the row's quantity is negative."""
    row = {"T": 1786310818500, "s": "BTCUSDT", "S": "Buy", "v": "0.25", "p": "65000"}
    path = written(tmp_path / "c", *bybit({"topic": "allLiquidation.BTCUSDT", "ts": 1786310818600, "data": [row]}))
    [event] = capture_events(path)
    assert isinstance(event, Liquidation)
    assert (event.side, event.qty, event.price, event.known_us) == (-1, 0.25, 65_000.0, 1_786_310_819_000_000)
    assert read_capture_context(path, "BTCUSDT").to_pylist()[0]["value"] == -0.25


def test_a_bybit_ticker_keeps_what_did_not_change(tmp_path: Path) -> None:
    """A delta with only the ask's quantity gives a quote with the other three values of before."""
    top = {"bid1Price": "99", "bid1Size": "2", "ask1Price": "100", "ask1Size": "3", "preOpenPrice": ""}
    first = {"topic": "tickers.BTCUSDT", "type": "snapshot", "ts": 1786310818600, "data": top}
    delta = {"topic": "tickers.BTCUSDT", "type": "delta", "ts": 1786310819600, "data": {"ask1Size": "7"}}
    mark = {"topic": "tickers.BTCUSDT", "type": "delta", "ts": 1786310820600, "data": {"markPrice": "99.5"}}
    events = list(capture_events(written(tmp_path / "c", *bybit(first, delta, mark))))
    quotes = [(e.bid, e.bid_qty, e.ask, e.ask_qty) for e in events if isinstance(e, BookTicker)]
    assert quotes == [(99.0, 2.0, 100.0, 3.0), (99.0, 2.0, 100.0, 7.0)]


def test_okx_books_carry_a_chain_only_with_sequence_ids(tmp_path: Path) -> None:
    """A diff with ``prevSeqId`` is a link of a chain; one without gives nothing, as a loss could not be noticed."""
    book = {"asks": [["5.2", "1", "0", "1"]], "bids": [["5.1", "2", "0", "1"]], "ts": "1652459225464"}

    def line(at: int, action: str, **ids: int) -> str:
        data = {"arg": {"channel": "books", "instId": "UNI-USDT"}, "action": action, "data": [book | ids]}
        return json.dumps({"t": "recv", "conn": "ws", "ts": 1652459225.5 + at, "data": json.dumps(data)})

    header = json.dumps({"t": "header", "exchange": "OKX"})
    lines = [line(0, "update"), line(1, "snapshot", seqId=10), line(2, "update", seqId=12, prevSeqId=10)]
    events = list(capture_events(written(tmp_path / "c", header, *lines)))
    assert [type(event).__name__ for event in events] == ["Snapshot", "DepthDiff"]
    assert isinstance(events[1], DepthDiff)
    assert (events[1].prev_id, events[1].last_id, events[1].asks) == (10, 12, [(5.2, 1.0)])


def test_an_exchange_without_a_dialect_is_refused(tmp_path: Path) -> None:
    """The message names the exchange found and those that are known."""
    path = written(tmp_path / "c", json.dumps({"t": "header", "exchange": "MTGOX"}))
    with pytest.raises(InputError, match=r"MTGOX.*BINANCE"):
        list(capture_events(path))


@pytest.mark.parametrize("level", [["61800", "-1"], ["0", "1"], ["nan", "1"], ["61800", "inf"], ["61800"]])
def test_a_diff_with_a_damaged_level_is_damage_and_breaks_the_chain(tmp_path: Path, level: list[str]) -> None:
    """A level that cannot be is not put into the book: the diff is refused, and the next one does not follow."""

    def line(first: int, bid: list[str]) -> str:
        data = {"e": "depthUpdate", "E": EVENT_MS, "s": "BTCUSDT", "U": first, "u": first + 9, "b": [bid], "a": []}
        return f"{LOCAL_NS} " + json.dumps({"stream": "btcusdt@depth", "data": data})

    start = f"{LOCAL_NS} " + json.dumps({"lastUpdateId": 9, "bids": [["61799", "1"]], "asks": [["61801", "1"]]})
    good = ["61800", "2"]
    path = written(tmp_path / "c", start, line(10, good), line(20, level), line(30, good))
    file = read_capture_quotes(path, "BTCUSDT")
    assert file.format == "binance-spot-capture-book"
    assert file.quotes["bid"].to_pylist() == [61_799.0, 61_800.0]
    assert file.quarantine["line"].to_pylist() == [3, 4]
    assert "chain broken" in file.quarantine["reason"][1].as_py()
