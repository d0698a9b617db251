"""Resampling: exact against DuckDB on real klines, against the trades themselves, and at the edges."""

import math

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from realdata import real_data

from scalper_ml.bars.builder import BarBuilder
from scalper_ml.bars.resample import resample
from scalper_ml.errors import ContractError
from scalper_ml.ingest import read_klines
from scalper_ml.schema import BARS, us

MINUTE = 60_000_000
FIVE = 5 * MINUTE


@pytest.mark.parametrize("symbol", ["BTCUSDT", "BCHUSDT", "PEPEUSDT"])
@pytest.mark.parametrize("minutes", [15, 60])
def test_real_five_minute_bars_resample_exactly(symbol: str, minutes: int) -> None:
    """Half a year of 5m klines gives the 15m and 1h bars that DuckDB SQL finds in the file itself, to the bit."""
    path = real_data(f"ohlcv/binance_spot_5m_2024H1/{symbol}.csv.gz")
    bars = resample(read_klines(path).bars, FIVE, minutes * MINUTE)
    step = minutes * 60_000
    found = duckdb.sql(
        f"""SELECT timestamp // {step} * {step} * 1000 AS start, arg_min(open, timestamp), max(high), min(low),
                   arg_max(close, timestamp), list(volume ORDER BY timestamp)
            FROM read_csv('{path}') WHERE volume > 0 GROUP BY start ORDER BY start"""
    ).fetchall()
    start, opened, high, low, close, volumes = zip(*found, strict=True)
    assert us(bars["open_ts_us"]).tolist() == list(start)
    assert (us(bars["ts_us"]) - us(bars["open_ts_us"]) == minutes * MINUTE).all()
    for name, column in (("open", opened), ("high", high), ("low", low), ("close", close)):
        assert bars[name].to_pylist() == list(column), name
    in_order = []
    for parts in volumes:
        total = 0.0
        for part in parts:
            total += part
        in_order.append(total)
    assert bars["volume"].to_pylist() == in_order
    assert np.allclose(in_order, [math.fsum(parts) for parts in volumes], rtol=1e-14, atol=0)
    assert bars["trades"].null_count == bars["vwap"].null_count == bars.num_rows


def tape(n: int, seed: int) -> tuple[np.ndarray, ...]:
    """Trades of whole quantities and quarter prices, so that sums are exact in any order."""
    rng = np.random.default_rng(seed)
    ts_us = np.sort(rng.integers(0, 240 * MINUTE, n))
    return (
        ts_us, 100 + rng.integers(-40, 40, n) / 4, rng.integers(1, 50, n).astype(float),
        rng.choice(np.array([-1, 1], np.int8), n), np.arange(n),
    )  # fmt: skip


def bars_of(columns: tuple[np.ndarray, ...], interval_us: int) -> pa.Table:
    builder = BarBuilder(interval_us)
    return pa.concat_tables([builder.push(*columns), builder.finish()])


@pytest.mark.parametrize("trades", [2_000, 60])
def test_resampled_bars_are_the_bars_of_the_trades(trades: int) -> None:
    """1m bars with and without empty minutes, resampled to 5m, are the 5m bars of the same trades, gaps and ids too."""
    columns = tape(trades, trades)
    direct = bars_of(columns, FIVE)
    resampled = resample(bars_of(columns, MINUTE), MINUTE, FIVE)
    assert resampled.schema.equals(BARS)
    assert resampled.num_rows in (direct.num_rows, direct.num_rows - 1)
    assert resampled.equals(direct.slice(0, resampled.num_rows))
    assert resampled.num_rows > 20


def test_an_incomplete_last_bucket_is_dropped() -> None:
    """A last bucket is there if its last part is, and only then."""
    ts_us = np.arange(12) * MINUTE
    ones = np.ones(12)
    bars = bars_of((ts_us, ones, ones, np.ones(12, np.int8)), MINUTE)
    for count, expected in ((12, 2), (11, 2), (10, 2), (9, 1), (5, 1), (4, 0), (1, 0)):
        assert resample(bars.slice(0, count), MINUTE, FIVE).num_rows == expected
    assert resample(bars.slice(0, 0), MINUTE, FIVE).num_rows == 0


def test_a_null_part_makes_a_null_sum() -> None:
    """A bucket with one part whose trade count is unknown has no trade count; its neighbours keep theirs."""
    ts_us = np.arange(10) * MINUTE
    ones = np.ones(10)
    bars = bars_of((ts_us, ones, ones, np.ones(10, np.int8)), MINUTE)
    at = BARS.names.index("trades")
    counts = pa.array([1, 1, None, 1, 1, 2, 2, 2, 2, 2], pa.int64())
    resampled = resample(bars.set_column(at, BARS.field("trades"), counts), MINUTE, FIVE)
    assert resampled["trades"].to_pylist() == [None, 10]
    assert resampled["quote_volume"].to_pylist() == [5.0, 5.0]


def test_to_the_same_interval_changes_nothing() -> None:
    """Resampling to the interval the bars have gives the bars, gaps included."""
    bars = bars_of(tape(60, 3), MINUTE)
    assert resample(bars, MINUTE, MINUTE).equals(bars)


DAY = 1_440 * MINUTE
WEEK = 7 * DAY


@pytest.mark.parametrize(("unit", "to_us"), [("day", DAY), ("week", WEEK)])
def test_days_and_weeks_are_those_of_duckdb(unit: str, to_us: int) -> None:
    """Half a year over a leap day gives the UTC days and Monday weeks that `date_trunc` finds in the file itself."""
    path = real_data("ohlcv/binance_spot_5m_2024H1/BTCUSDT.csv.gz")
    bars = resample(read_klines(path).bars, FIVE, to_us)
    con = duckdb.connect()
    con.sql("SET TimeZone='UTC'")
    found = con.sql(
        f"""SELECT epoch_us(date_trunc('{unit}', to_timestamp(timestamp / 1000))) AS start, arg_min(open, timestamp),
                   max(high), min(low), arg_max(close, timestamp), list(volume ORDER BY timestamp), max(timestamp)
            FROM read_csv('{path}') WHERE volume > 0 GROUP BY start ORDER BY start"""
    ).fetchall()
    found = [row for row in found if row[-1] * 1000 + FIVE <= row[0] + to_us]
    if found[-1][-1] * 1000 + FIVE != found[-1][0] + to_us:
        found.pop()  # nobody knows whether the last week is complete
    start, opened, high, low, close, volumes, _ = zip(*found, strict=True)
    assert us(bars["open_ts_us"]).tolist() == list(start)
    assert us(bars["ts_us"]).tolist() == [stamp + to_us for stamp in start]
    for name, column in (("open", opened), ("high", high), ("low", low), ("close", close)):
        assert bars[name].to_pylist() == list(column), name
    assert np.allclose(bars["volume"].to_numpy(), [math.fsum(parts) for parts in volumes], rtol=1e-12, atol=0)
    assert bars["gap"].to_pylist() == [0] * bars.num_rows
    assert {row % 7 for row in (us(bars["open_ts_us"]) // DAY).tolist()} == (set(range(7)) if unit == "day" else {4})


@pytest.mark.parametrize("to_us", [DAY, WEEK, 2 * WEEK])
def test_long_bars_of_the_trades_and_of_their_minutes_agree(to_us: int) -> None:
    """Trades of 60 days over a leap day and a year end give the same days and weeks directly and by way of 1h bars."""
    rng = np.random.default_rng(6)
    n, first = 4_000, 1_703_203_200_000_000  # Friday, 2023-12-22
    ts_us = first + np.sort(rng.integers(0, 75 * DAY, n))
    columns = (ts_us, 100 + rng.integers(-40, 40, n) / 4, rng.integers(1, 50, n).astype(float),
               rng.choice(np.array([-1, 1], np.int8), n), np.arange(n))  # fmt: skip
    direct, hours = bars_of(columns, to_us), bars_of(columns, 60 * MINUTE)
    resampled = resample(hours, 60 * MINUTE, to_us)
    assert resampled.num_rows >= direct.num_rows - 1 > 3
    assert resampled.equals(direct.slice(0, resampled.num_rows))
    if to_us == WEEK:
        assert resample(resample(hours, 60 * MINUTE, DAY), DAY, WEEK).equals(resampled)


def test_a_week_is_complete_with_its_sunday() -> None:
    """Daily bars from a Monday to the Sunday after next make two weeks; up to that Saturday, one."""
    ts_us = 1_704_067_200_000_000 + np.arange(14) * DAY  # Monday, 2024-01-01
    ones = np.ones(14)
    days = bars_of((ts_us, ones, ones, np.ones(14, np.int8)), DAY)
    assert us(resample(days, DAY, WEEK)["open_ts_us"]).tolist() == [ts_us[0], ts_us[7]]
    assert us(resample(days.slice(0, 13), DAY, WEEK)["open_ts_us"]).tolist() == [ts_us[0]]


def test_bars_that_lie_across_monday_make_no_weeks() -> None:
    """24 bars of 7h are a week long, but Monday 00:00 lies inside one of them: refused."""
    with pytest.raises(ContractError, match="weeks start on Monday"):
        resample(BARS.empty_table(), 7 * 60 * MINUTE, WEEK)


def test_intervals_and_bars_that_do_not_fit_are_refused() -> None:
    """Not a multiple, another grid, unsorted and repeated bars are contract errors that say where."""
    bars = bars_of(tape(60, 4), MINUTE)
    with pytest.raises(ContractError, match="whole multiple"):
        resample(bars, FIVE, 7 * MINUTE)
    with pytest.raises(ContractError, match="is no bar of 300000000 us"):
        resample(bars, FIVE, 3 * FIVE)
    with pytest.raises(ContractError, match="bar 1 does not follow bar 0"):
        resample(pa.concat_tables([bars.slice(0, 1), bars]), MINUTE, FIVE)
