"""Files of quotes, and what is wrong with quotes that read well."""

import gzip
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from realdata import real_data

from scalper_ml.book.quote_quality import QuoteFinding, quote_quality
from scalper_ml.book.quote_rows import QuoteFile
from scalper_ml.book.quotes import QUOTE_FORMATS, read_quotes
from scalper_ml.errors import InputError
from scalper_ml.schema import QUOTES, stamps, us

T0 = 1_700_000_000_000_000
TARDIS = "exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount"
TICKER = "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time"

SAMPLES = {
    "tardis-quotes": f"{TARDIS}\nbinance-futures,BTCUSDT,{T0},{T0 + 7},3.5,101,99,2.5\n",
    "binance-bookticker": f"{TICKER}\n5,99,2.5,101,3.5,{T0 // 1000},{T0 // 1000 + 1}\n",
    "quotes": f"datetime,Bid,BidSize,Ask,AskSize\n{T0},99,2.5,101,3.5\n",
    "nautilus-quotes": f"timestamp,symbol,ask_size,ask,bid_size,bid\n{T0},BTC/USDT,3.5,101,2.5,99\n",
    "lean-quote-minute": "60000,98,99,98,99,2.5,101,102,101,101,3.5\n",
}


def read(folder: Path, text: str, name: str = "x_20231114_quote.csv", format: str | None = None) -> QuoteFile:
    path = folder / name
    path.write_text(text)
    return read_quotes(path, "BTCUSDT", format)


@pytest.mark.parametrize("format", [layout.name for layout in QUOTE_FORMATS])
def test_every_format_is_told_from_the_file_and_gives_the_same_quote(tmp_path: Path, format: str) -> None:
    """Each layout's hand-made row reads as bid 99 of 2.5 and ask 101 of 3.5, known at or after its event."""
    file = read(tmp_path, SAMPLES[format])
    [row] = file.quotes.to_pylist()
    assert (row["bid"], row["bid_qty"], row["ask"], row["ask_qty"]) == (99.0, 2.5, 101.0, 3.5)
    assert (file.format, row["source"], file.quotes.schema) == (format, format, QUOTES)
    assert row["ts_us"] >= row["event_ts_us"]


def test_known_time_is_the_local_stamp_or_that_of_sending(tmp_path: Path) -> None:
    """Tardis: local_timestamp; bookTicker: event_time, the event being transaction_time; Lean: the minute's end."""
    tardis, ticker, lean = (
        read(tmp_path, SAMPLES[name]).quotes for name in ("tardis-quotes", "binance-bookticker", "lean-quote-minute")
    )
    assert (us(tardis["ts_us"])[0], us(tardis["event_ts_us"])[0]) == (T0 + 7, T0)
    assert (us(ticker["ts_us"])[0], us(ticker["event_ts_us"])[0]) == (T0 + 1000, T0)
    assert ticker["update_id"].to_pylist() == [5]
    assert str(lean["ts_us"][0]) == "2023-11-14 00:02:00+00:00"  # the minute from 00:01 of the day in the name


def test_a_local_clock_behind_the_venue_does_not_make_a_quote_known_before_it_happened(tmp_path: Path) -> None:
    """With local_timestamp before timestamp, the quote is known at its event time."""
    text = f"{TARDIS}\nbinance-futures,BTCUSDT,{T0},{T0 - 1_300_000},3.5,101,99,2.5\n"
    assert us(read(tmp_path, text).quotes["ts_us"]).tolist() == [T0]


def test_binance_s_dumps_read_without_a_header_and_zipped(tmp_path: Path) -> None:
    """Seven columns without a header are bookTicker's; a zip reads as its file."""
    path = tmp_path / "BTCUSDT-bookTicker-2023-11-14.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("BTCUSDT-bookTicker-2023-11-14.csv", SAMPLES["binance-bookticker"].split("\n", 1)[1])
    assert read_quotes(path, "BTCUSDT").quotes["ask"].to_pylist() == [101.0]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (f"6,0,2.5,101,3.5,{T0 // 1000},{T0 // 1000}", "bid: not positive and finite"),
        (f"6,99,-2,101,3.5,{T0 // 1000},{T0 // 1000}", "bid_qty: not positive and finite"),
        (f"6,99,2.5,NaN,3.5,{T0 // 1000},{T0 // 1000}", "ask: not positive and finite"),
        (f"6,99,2.5,1O1,3.5,{T0 // 1000},{T0 // 1000}", "ask: not a number"),
        (f"6,99,2.5,101,,{T0 // 1000},{T0 // 1000}", "ask_qty: not a number"),
        (f"6,99,2.5,101,3.5,12,{T0 // 1000}", "ts: not a stamp"),
        (f"6,99,2.5,101,3.5,{T0 // 1000},soon", "ts: not a stamp"),
        (f"x,99,2.5,101,3.5,{T0 // 1000},{T0 // 1000}", "update_id: not a whole number"),
        ("6,99,2.5", "columns: found 3, expected 7"),
    ],
)
def test_a_bad_row_goes_to_quarantine_with_file_line_and_text(tmp_path: Path, row: str, reason: str) -> None:
    """The rows around it are read, and the counts add up."""
    first, last = SAMPLES["binance-bookticker"], f"7,99,2.5,101,3.5,{T0 // 1000},{T0 // 1000}\n"
    file = read(tmp_path, first + row + "\n" + last)
    [bad] = file.quarantine.to_pylist()
    assert (bad["file"], bad["line"], bad["raw"]) == ("x_20231114_quote.csv", 3, row)
    assert reason in bad["reason"]
    assert (file.counts.read, file.counts.accepted, file.counts.quarantined) == (3, 2, 1)


def test_a_repeated_update_is_a_duplicate_and_one_with_other_values_is_not(tmp_path: Path) -> None:
    """Equal rows with an id count once; the same id with another price stays, and so do equal rows without an id."""
    row = SAMPLES["binance-bookticker"].split("\n")[1]
    file = read(tmp_path, "\n".join([TICKER, row, row, row.replace("99", "98"), ""]))
    assert (file.counts.read, file.counts.accepted, file.counts.duplicate) == (3, 2, 1)
    bare = SAMPLES["tardis-quotes"] + SAMPLES["tardis-quotes"].split("\n")[1] + "\n"
    assert read(tmp_path, bare).counts.accepted == 2


@given(st.permutations(range(8)))
def test_the_order_of_rows_does_not_matter(order: list[int]) -> None:
    """Any order of a file's rows gives the same table."""
    rows = [f"{i},99,2.5,{101 + i},3.5,{T0 // 1000 + i // 3},{T0 // 1000 + i // 3}" for i in range(8)]
    with tempfile.TemporaryDirectory() as folder:
        sorted_file = read(Path(folder), "\n".join([TICKER, *rows, ""]))
        shuffled = read(Path(folder), "\n".join([TICKER, *(rows[i] for i in order), ""]))
    assert shuffled.quotes.equals(sorted_file.quotes)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("timestamp,price,amount,side\n1,2,3,buy\n", r"no column for \['bid'"),
        (TICKER + "\n", "only a header"),
        ("1,2,3\n", "are no known layout|are no quotes"),
        (SAMPLES["tardis-quotes"].replace("BTCUSDT", "ETHUSDT"), "found 'ETHUSDT', expected 'BTCUSDT'"),
    ],
)
def test_a_file_that_is_no_quotes_of_the_symbol_is_refused(tmp_path: Path, text: str, match: str) -> None:
    """The message says what was found and what was expected."""
    with pytest.raises(InputError, match=match):
        read(tmp_path, text)


def test_a_format_can_be_forced_and_must_fit(tmp_path: Path) -> None:
    """The general format reads Tardis' columns too; bookTicker's does not; an unknown one lists those known."""
    assert read(tmp_path, SAMPLES["tardis-quotes"], format="quotes").format == "quotes"
    with pytest.raises(InputError, match="not of format 'binance-bookticker'"):
        read(tmp_path, SAMPLES["tardis-quotes"], format="binance-bookticker")
    with pytest.raises(InputError, match=r"'ftx' is not known.*tardis-quotes"):
        read(tmp_path, SAMPLES["tardis-quotes"], format="ftx")


def test_the_real_tardis_quotes_are_all_read() -> None:
    """9,999 quotes, known after their event, equal to a plain reading of the file."""
    path = real_data("ticks/tardis_binance-futures_BTCUSDT_2020-02-22_quotes.csv.gz")
    file = read_quotes(path, "BTCUSDT")
    rows = [line.split(",") for line in gzip.decompress(path.read_bytes()).decode().splitlines()[1:]]
    plain = sorted(rows, key=lambda row: (int(row[3]), int(row[2])))
    assert file.counts.accepted == len(rows) == 9_999
    assert us(file.quotes["ts_us"]).tolist() == [int(row[3]) for row in plain]
    assert file.quotes["bid"].to_pylist() == [float(row[6]) for row in plain]
    assert file.quotes["ask_qty"].to_pylist() == [float(row[4]) for row in plain]


def test_the_real_parquet_quotes_are_all_read() -> None:
    """451 quotes with bids below asks."""
    file = read_quotes(real_data("ticks/binance_spot_BTCUSDT_2021-01-08_quotes.parquet"), "BTCUSDT")
    assert (file.format, file.counts.accepted) == ("nautilus-quotes", 451)
    assert (file.quotes["bid"].to_numpy() < file.quotes["ask"].to_numpy()).all()


def test_the_real_lean_bars_are_a_quote_a_minute() -> None:
    """1,100 closing quotes of the day; the last trade of each of these minutes lies within a few ticks of them."""
    file = read_quotes(real_data("ohlcv/lean_binance_perp_minute/adausdt_20221213_quote.zip"), "ADAUSDT")
    assert file.quarantine.num_rows == 0
    with zipfile.ZipFile(real_data("ohlcv/lean_binance_perp_minute/adausdt_20221213_trade.zip")) as archive:
        trades = [line.split(",") for line in archive.read(archive.namelist()[0]).decode().splitlines()]
    closes = {(int(row[0]) + 60_000) * 1000: float(row[4]) for row in trades}
    midnight = 1_670_889_600_000_000
    mid = (file.quotes["bid"].to_numpy() + file.quotes["ask"].to_numpy()) / 2
    away = [abs(m - closes[at - midnight]) for at, m in zip(us(file.quotes["ts_us"]).tolist(), mid, strict=True)]
    assert len(away) == 1_100
    assert np.quantile(away, 0.99) < 0.0003


def quotes(*rows: tuple[int, float, float, float, float]) -> pa.Table:
    at, bid, bid_qty, ask, ask_qty = (np.array(column) for column in zip(*rows, strict=True))
    ts = stamps(T0 + at.astype(np.int64) * 1_000_000)
    ids = pa.nulls(len(at), pa.int64())
    return pa.table([ts, ts, bid * 1.0, bid_qty * 1.0, ask * 1.0, ask_qty * 1.0, ids, ["x"] * len(at)], QUOTES)


def finding(found: list[QuoteFinding], rule: str) -> QuoteFinding:
    return next(one for one in found if one.rule == rule)


def test_crossed_and_locked_quotes_are_counted_with_the_first_examples() -> None:
    """Seven crossed quotes give five examples that show the stamp and both prices."""
    table = quotes(*((i, 102, 1, 101, 1) for i in range(7)), (8, 101, 1, 101, 1), (9, 100, 1, 101, 1))
    found = quote_quality(table)
    assert (finding(found, "crossed").count, finding(found, "locked").count) == (7, 1)
    assert len(finding(found, "crossed").examples) == 5
    assert finding(found, "crossed").examples[0] == "2023-11-14T22:13:20Z bid 102 ask 101"
    assert all(one.checked == 9 for one in found if one.rule != "stale")


def test_a_top_is_stale_only_while_trades_go_on() -> None:
    """20 s without a change is stale if trades came after the limit, not if the market slept; repeats are no change."""
    table = quotes((0, 99, 1, 101, 1), (10, 99, 1, 101, 1), (20, 99, 2, 101, 1), (21, 99, 1, 101, 1))
    seconds = lambda *at: T0 + np.array(at, dtype=np.int64) * 1_000_000  # noqa: E731
    assert finding(quote_quality(table, seconds(1, 15), stale_us=5_000_000), "stale").count == 1
    assert finding(quote_quality(table, seconds(1, 4), stale_us=5_000_000), "stale").count == 0
    assert finding(quote_quality(table, None, stale_us=5_000_000), "stale").checked == 0
    assert finding(quote_quality(table, seconds(1, 40), stale_us=5_000_000), "stale").count == 1  # after the last


def test_event_times_that_go_back_and_late_quotes_are_counted() -> None:
    """A quote whose event is before that of one known earlier, and one known 2 s after its event."""
    table = quotes((0, 99, 1, 101, 1), (3, 99, 2, 101, 1), (4, 99, 3, 101, 1))
    event = stamps(T0 + np.array([0, 3, 2]) * 1_000_000)
    found = quote_quality(table.set_column(1, QUOTES.field(1), event))
    assert (finding(found, "event_back").count, finding(found, "late").count) == (1, 1)


def test_the_real_quotes_have_no_crossed_one() -> None:
    """Tardis' ten thousand quotes are neither crossed nor locked."""
    table = read_quotes(real_data("ticks/tardis_binance-futures_BTCUSDT_2020-02-22_quotes.csv.gz"), "BTCUSDT").quotes
    found = quote_quality(table)
    assert (finding(found, "crossed").count, finding(found, "locked").count) == (0, 0)
