"""Real derivatives data: funding jitter, OKX statistics and their period, revisions that are not seen early."""

import gzip
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest
from contextdata import HOUR
from realdata import real_data

from scalper_ml.context import (
    ContextFile,
    as_of,
    context_bars,
    context_findings,
    context_gaps,
    interval_changes,
    merge_context,
    read_context,
    vintage,
)
from scalper_ml.errors import InputError
from scalper_ml.schema import us

USDM = "derivs/binance_usdm_2025-05-25_06-13"
LONG = "derivs/binance_usdm_funding_2023-12_2024-06"
OKX = "derivs/okx_SOL-USDT-SWAP"
COINS = ("ADA", "BNB", "BTC", "DOGE", "DOT", "ETH", "LTC", "SOL", "XRP")
MINUTE = 60_000_000


def read(folder: str, name: str, symbol: str) -> ContextFile:
    return read_context(real_data(f"{folder}/{name}.csv.gz"), symbol=symbol)


def raw_column(folder: str, name: str, at: int) -> np.ndarray:
    """A column of a file, read without the library."""
    lines = gzip.decompress(real_data(f"{folder}/{name}.csv.gz").read_bytes()).decode().split()[1:]
    return np.array([float(line.split(",")[at]) for line in lines])


@pytest.mark.parametrize("coin", COINS)
def test_funding_jitter_of_nine_perpetuals(coin: str) -> None:
    """58 settlements 8 h apart; 28 stamps late by 1 to 16 ms, which the known time keeps; the rate is `open`."""
    name = f"{coin}USDT-8h-funding_rate"
    table = merge_context([read(USDM, name, f"{coin}USDT")]).table
    event, known = us(table.column("event_ts_us")), us(table.column("ts_us"))
    assert np.unique(np.diff(event)).tolist() == [8 * HOUR]
    assert (event % (8 * HOUR) == 0).all()
    late = known - event
    assert (len(late), np.count_nonzero(late), late.min(), late.max()) == (58, 28, 0, 16_000)
    np.testing.assert_array_equal(known, raw_column(USDM, name, 0) * 1000)
    np.testing.assert_array_equal(table.column("value").to_numpy(), raw_column(USDM, name, 1))


@pytest.mark.parametrize("coin", COINS)
def test_funding_meets_its_mark_candle_in_spite_of_jitter(coin: str) -> None:
    """Raw stamps of funding and mark agree in 30 of 58 rows; event times in all 58."""
    funding, mark = (read(USDM, f"{coin}USDT-8h-{kind}", f"{coin}USDT") for kind in ("funding_rate", "mark"))
    stamps = [raw_column(USDM, f"{coin}USDT-8h-{kind}", 0) for kind in ("funding_rate", "mark")]
    assert (len(np.intersect1d(*stamps)), len(stamps[0])) == (30, 58)
    events = [us(file.table.column("event_ts_us")) for file in (funding, mark)]
    np.testing.assert_array_equal(*events)


@pytest.mark.parametrize("coin", ["BTC", "ETH"])
def test_seven_months_of_funding_are_whole_and_in_fractions(coin: str) -> None:
    """639 settlements, 80 of them jittered, no hole, no change of interval, no rate in another unit."""
    files = [read(LONG, f"{coin}USDT-8h-{kind}", f"{coin}USDT") for kind in ("funding_rate", "mark")]
    table = merge_context(files).table
    rates = table.filter(pc.equal(table.column("kind"), "funding_rate"))
    late = us(rates.column("ts_us")) - us(rates.column("event_ts_us"))
    assert (rates.num_rows, np.count_nonzero(late), late.max()) == (639, 80, 15_000)
    assert context_gaps(table).num_rows == 0
    assert interval_changes(table) == ()
    assert [finding for finding in context_findings(table) if not finding.passed] == []


@pytest.mark.parametrize("coin", COINS)
def test_the_nine_perpetuals_have_no_findings(coin: str) -> None:
    """Twenty days of funding and mark of each: every rule passes."""
    files = [read(USDM, f"{coin}USDT-8h-{kind}", f"{coin}USDT") for kind in ("funding_rate", "mark")]
    until = 1_749_830_400_000_000
    assert [f for f in context_findings(merge_context(files).table, until_us=until) if not f.passed] == []


def test_a_bar_at_the_settlement_sees_the_rate_only_once_its_stamp_has_passed() -> None:
    """At closes on the hour the jittered rates are those of 8 h before; a second later they are the new ones."""
    table = merge_context([read(USDM, "BTCUSDT-8h-funding_rate", "BTCUSDT")]).table
    rate, known = table.column("value").to_numpy(), us(table.column("ts_us"))
    event = us(table.column("event_ts_us"))
    sharp, after = (as_of(table, event + wait, "funding_rate")[0] for wait in (0, 1_000_000))
    np.testing.assert_array_equal(after, rate)
    np.testing.assert_array_equal(sharp[1:], np.where(known > event, np.roll(rate, 1), rate)[1:])


def okx(kind: str) -> ContextFile:
    return read(OKX, f"SOL-USDT-SWAP_{kind}", "SOL-USDT-SWAP")


def test_okx_statistics_describe_the_hour_before_their_stamp() -> None:
    """Taker volume goes with the traded volume of the hour that ends at its stamp, not of the one that begins there."""
    table = okx("taker_volume").table
    sums: dict[int, float] = {}
    for event, value in zip(us(table.column("event_ts_us")).tolist(), table.column("value").to_pylist(), strict=True):
        sums[event] = sums.get(event, 0.0) + value
    stamp, close, volume = (raw_column(OKX, "SOL-USDT-SWAP_ohlcv_1m", at) for at in (0, 4, 5))
    hour = (stamp * 1000).astype(np.int64) // HOUR * HOUR
    traded = {int(h): float((close * volume)[hour == h].sum()) for h in np.unique(hour) if (hour == h).sum() == 60}

    def correlation(shift: int) -> float:
        both = [(np.log(sums[h + shift]), np.log(v)) for h, v in traded.items() if h + shift in sums]
        return float(np.corrcoef(np.array(both).T)[0, 1])

    assert correlation(HOUR) > 0.999
    assert max(correlation(0), correlation(2 * HOUR)) < 0.7


def test_okx_open_interest_comes_in_quote_units_only() -> None:
    """`oi` repeats `oi_value` in all 345 rows: one kind, the other column counted as repeats."""
    file = okx("open_interest")
    assert set(file.table.column("kind").to_pylist()) == {"open_interest_value"}
    assert (file.counts.read, file.counts.accepted, file.counts.duplicate) == (690, 345, 345)


def test_okx_files_make_one_table_without_findings() -> None:
    """43 settlements and 345 hours of four statistics, whole, each hourly value known five minutes after its hour."""
    merged = merge_context(
        [okx(kind) for kind in ("funding_rate", "long_short_ratio", "open_interest", "taker_volume")]
    )
    assert merged.counts.accepted == 43 + 345 + 345 + 2 * 345
    assert [finding for finding in context_findings(merged.table) if not finding.passed] == []
    ratio = merged.table.filter(pc.equal(merged.table.column("kind"), "long_short_ratio"))
    assert np.unique(us(ratio.column("ts_us")) - us(ratio.column("event_ts_us"))).tolist() == [5 * MINUTE]


def test_bars_of_okx_see_each_hour_from_five_minutes_past() -> None:
    """At five-minute closes of the real bars, long/short ratio and age are those of the hour known then."""
    table = merge_context([okx("long_short_ratio")]).table
    stamps = (raw_column(OKX, "SOL-USDT-SWAP_long_short_ratio", 0) * 1000).astype(np.int64)
    ratios = raw_column(OKX, "SOL-USDT-SWAP_long_short_ratio", 1)
    closes = (raw_column(OKX, "SOL-USDT-SWAP_ohlcv_5m", 0) * 1000).astype(np.int64) + 5 * MINUTE
    found = context_bars(table, closes, bar_us=5 * MINUTE).column("long_short_ratio").to_numpy()
    known = {int(stamp): ratio for stamp, ratio in zip(stamps, ratios, strict=True)}
    naive = [known.get((int(close) - 5 * MINUTE) // HOUR * HOUR, np.nan) for close in closes]
    inside = closes < stamps[-1] + HOUR
    np.testing.assert_array_equal(found[inside], np.array(naive)[inside])
    assert np.isfinite(found[inside]).sum() > 4000


def test_revisions_of_real_open_interest_are_invisible_before_they_were_known(tmp_path: Path) -> None:
    """Every third real hour is revised a day later: before that, values and vintages are those without revisions."""
    first = okx("open_interest")
    event, value = us(first.table.column("event_ts_us")), first.table.column("value").to_numpy()
    known = us(first.table.column("ts_us"))
    lines = [
        f"open_interest_value,{e},{k + 24 * HOUR},{float(v) * 0.9!r},okx-open-interest"
        for e, k, v in zip(event[::3], known[::3], value[::3], strict=True)
    ]
    path = tmp_path / "revisions.csv"
    path.write_text("\n".join(["kind,event_ts,known_ts,value,source", *lines]) + "\n")
    revised = merge_context([first, read_context(path, symbol="SOL-USDT-SWAP")])
    plain = merge_context([first])
    assert revised.table.num_rows == 345 + 115
    at = known[0] + np.arange(0, 24 * 12) * 5 * MINUTE  # nothing was revised in the first day
    for one, other in zip(
        as_of(revised.table, at, "open_interest_value"), as_of(plain.table, at, "open_interest_value"), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    eve = int(known[0]) + 24 * HOUR - 1
    assert vintage(revised.table, eve).equals(vintage(plain.table, eve))
    assert vintage(revised.table, eve + 1).column("value")[0].as_py() == value[0] * 0.9
    newest = as_of(revised.table, known + 1, "open_interest_value")[0]
    np.testing.assert_array_equal(newest, value)  # a revision of yesterday never stands for the newest hour


@pytest.mark.parametrize("length", ["5m", "15m"])
def test_the_shipped_revised_versions_hold_no_row_and_are_no_context(length: str) -> None:
    """The files of revised candles are a header alone, and are refused rather than taken for an empty feed."""
    path = real_data(f"{OKX}/SOL-USDT-SWAP_ohlcv_{length}_revised_versions.csv.gz")
    assert gzip.decompress(path.read_bytes()).split() == [b"ts,open,high,low,close,volume,dt"]
    with pytest.raises(InputError, match="names the columns of none"):
        read_context(path, symbol="SOL-USDT-SWAP")
