"""Files of klines: layouts, intervals, and rows that are no bars."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalper_ml.errors import InputError
from scalper_ml.ingest import KlineFile, read_klines
from scalper_ml.schema import BARS, us

MS = 1_704_067_200_000
MINUTE = 60_000
HEADER = "timestamp,open,high,low,close,volume\n"
TWELVE = (
    "open_time,open,high,low,close,volume,"
    "close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore\n"
)


def read(folder: Path, text: str, interval_us: int | None = None) -> KlineFile:
    path = folder / "BTCUSDT.csv"
    path.write_text(text)
    file = read_klines(path, interval_us=interval_us)
    counts = file.counts
    assert counts.accepted + counts.duplicate + counts.quarantined == counts.read
    assert (file.bars.num_rows, file.quarantine.num_rows) == (counts.accepted, counts.quarantined)
    assert file.bars.schema.equals(BARS)
    return file


def twelve(i: int, unit: int = 1) -> str:
    start = (MS + i * MINUTE) * unit
    return f"{start},10,12,9,11,8,{start + MINUTE * unit - 1},84,5,3,31.5,0\n"


@pytest.mark.parametrize("header", [TWELVE, ""])
@pytest.mark.parametrize("unit", [1, 1000])
def test_twelve_columns_fill_what_klines_know(header: str, unit: int, tmp_path: Path) -> None:
    """Twelve columns, with or without a header, in ms or us: taker volume is the buyers', the rest the sellers'."""
    file = read(tmp_path, header + "".join(twelve(i, unit) for i in (0, 1, 4)))
    assert (file.format, file.interval_us, file.counts.accepted) == ("klines-12", 60_000_000, 3)
    assert us(file.bars["ts_us"]).tolist() == [(MS + i * MINUTE) * 1000 for i in (1, 2, 5)]
    assert file.bars["gap"].to_pylist() == [0, 0, 2]
    first = file.bars.slice(0, 1).drop(["open_ts_us", "ts_us"]).to_pylist()[0]
    assert first == {
        "open": 10.0, "high": 12.0, "low": 9.0, "close": 11.0, "volume": 8.0, "quote_volume": 84.0, "trades": 5,
        "buy_trades": None, "buy_volume": 3.0, "sell_volume": 5.0, "vwap": 10.5, "first_trade_id": None,
        "last_trade_id": None, "gap": 0, "revision": 0,
    }  # fmt: skip


def test_microseconds_may_start_in_the_middle_of_a_file(tmp_path: Path) -> None:
    """Klines that switch from milliseconds to microseconds are one series."""
    file = read(tmp_path, twelve(0) + twelve(1) + twelve(2, 1000) + twelve(3, 1000))
    assert us(file.bars["open_ts_us"]).tolist() == [(MS + i * MINUTE) * 1000 for i in range(4)]


@pytest.mark.parametrize("start", [MS // 1000, MS, MS * 1000])
def test_plain_ohlcv_leaves_unknown_columns_null(start: int, tmp_path: Path) -> None:
    """Six columns with or without a header give bars whose flow columns are null."""
    step = 60 * start // (MS // 1000)
    for header in (HEADER, ""):
        file = read(tmp_path, header + f"{start},10,12,9,11,8\n{start + step},11,11,11,11,2\n")
        assert (file.format, file.interval_us) == ("klines", 60_000_000)
        assert file.bars["close"].to_pylist() == [11.0, 11.0]
        for name in ("quote_volume", "trades", "buy_trades", "buy_volume", "sell_volume", "vwap", "first_trade_id"):
            assert file.bars[name].null_count == 2, name


def test_columns_are_found_by_name_not_by_place(tmp_path: Path) -> None:
    """Bitfinex orders open, close, high, low: a header in that order is followed."""
    file = read(tmp_path, f"time,open,close,high,low,volume\n{MS},10,11,12,9,8\n{MS + MINUTE},11,10,12,9,8\n")
    bar = file.bars.slice(0, 1)
    assert [bar[name][0].as_py() for name in ("open", "high", "low", "close")] == [10.0, 12.0, 9.0, 11.0]


BAD_ROWS = [
    (f"{MS + 3 * MINUTE},10,9,12,11,8", "high below low"),
    (f"{MS + 3 * MINUTE},13,12,9,11,8", "high below low, open or close"),
    (f"{MS + 3 * MINUTE},10,12,9,8.9,8", "high below low, open or close, or low above"),
    (f"{MS + 3 * MINUTE},-10,12,-11,11,8", "prices: not positive"),
    (f"{MS + 3 * MINUTE},nan,12,9,11,8", "prices: not positive and finite"),
    (f"{MS + 3 * MINUTE},ten,12,9,11,8", "prices: not numbers"),
    (f"{MS + 3 * MINUTE},10,12,9,11,-8", "volume: not a finite number"),
    (f"{MS + 3 * MINUTE},10,12,9,11,", "volume: not a finite number"),
    (f"{MS + 3 * MINUTE},10,10,10,10,0", "no trades in the interval"),
    (f"{MS + 3 * MINUTE + 1},10,12,9,11,8", "open_time: not on the grid"),
    ("soon,10,12,9,11,8", "open_time: not a stamp"),
    (f"{MS + 3 * MINUTE},10,12,9,11", "columns: found 5, expected 6"),
    (f"{MS},10,12,9,10.5,8", "open_time: repeated with other values"),
]


@pytest.mark.parametrize(("row", "reason"), BAD_ROWS)
def test_a_row_that_is_no_bar_is_quarantined(row: str, reason: str, tmp_path: Path) -> None:
    """Torn, negative, off-grid, empty and contradicting klines keep line, reason and text; the others are read."""
    good = [f"{MS + i * MINUTE},10,12,9,11,8" for i in range(3)]
    file = read(tmp_path, HEADER + "\n".join([*good, row]) + "\n", 60_000_000)
    (found,) = file.quarantine.to_pylist()
    assert (found["file"], found["line"], found["raw"]) == ("BTCUSDT.csv", 5, row)
    assert found["reason"].startswith(reason)
    assert file.counts.accepted == 3


def test_more_bought_than_traded_is_quarantined(tmp_path: Path) -> None:
    """A taker-buy volume above the volume is no kline."""
    file = read(tmp_path, TWELVE + twelve(0) + twelve(1).replace(",5,3,", ",5,8.5,"))
    assert file.quarantine["reason"].to_pylist()[0].endswith("more bought than traded")


@given(st.permutations([0, 0, 1, 2, 2, 2, 5]))
def test_unsorted_and_repeated_klines_come_out_once_in_order(
    tmp_path_factory: pytest.TempPathFactory, order: list[int]
) -> None:
    """Whatever the order, each kline is there once, and its copies are counted as duplicates."""
    file = read(tmp_path_factory.mktemp("klines"), "".join(twelve(i) for i in order))
    assert us(file.bars["open_ts_us"]).tolist() == [(MS + i * MINUTE) * 1000 for i in (0, 1, 2, 5)]
    assert (file.counts.duplicate, file.counts.quarantined) == (3, 0)


def test_an_interval_that_is_not_the_files_is_an_error(tmp_path: Path) -> None:
    """A longer interval than the file's, or a shorter one, is refused with both; so is a single stamp without one."""
    rows = HEADER + "".join(f"{MS + i * 5 * MINUTE},10,12,9,11,8\n" for i in range(12))
    assert read(tmp_path, rows).interval_us == 300_000_000
    for wanted in (900_000_000, 60_000_000):
        with pytest.raises(InputError, match=f"klines of 300000000 us, expected {wanted} us"):
            read(tmp_path, rows, wanted)
    one = HEADER + f"{MS},10,12,9,11,8\n"
    with pytest.raises(InputError, match="do not tell the interval"):
        read(tmp_path, one)
    assert read(tmp_path, one, 60_000_000).counts.accepted == 1


FILE_FAULTS = {
    "no-close": (f"timestamp,open,high,low,volume\n{MS},1,1,1,1\n", r"no column for \['close'\]; found \['timestamp'"),
    "odd-shape": (f"{MS},1,1,1,1\n", "is no header and has 5 columns"),
    "header-only": (HEADER, "only a header"),
    "since-midnight": ("0,1,1,1,1,1\n60000,1,1,1,1,1\n", "milliseconds since midnight, and neither .* says the day"),
}


@pytest.mark.parametrize("fault", FILE_FAULTS)
def test_a_file_that_is_no_klines_is_an_error(fault: str, tmp_path: Path) -> None:
    """Missing columns, odd shapes, no rows and stamps that count from midnight are InputErrors."""
    text, message = FILE_FAULTS[fault]
    with pytest.raises(InputError, match=message):
        read(tmp_path, text)
