"""Real files with known answers."""

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pytest
from realdata import real_data

from scalper_ml.bars.builder import BarBuilder, build_bars
from scalper_ml.errors import InputError
from scalper_ml.ingest import read_klines, read_ticks
from scalper_ml.schema import us

XRPETH = "ticks/binance_spot_XRPETH_2019-10-11"


@pytest.mark.parametrize("trades", ["XRP_OLD-trades.json.gz", "XRP_ETH-trades.feather"])
@pytest.mark.parametrize(("name", "minutes", "count"), [("1m", 1, 2_469), ("5m", 5, 706)])
def test_real_trades_give_the_shipped_bars_exactly(trades: str, name: str, minutes: int, count: int) -> None:
    """2.5 days of XRP/ETH aggTrades give the shipped bars: stamps, OHLC and volume equal to the bit."""
    shipped = pa.feather.read_table(real_data(f"{XRPETH}/XRP_ETH-{name}.feather"))
    file = read_ticks(real_data(f"{XRPETH}/{trades}"), symbol="XRPETH")
    assert (file.counts.read, file.counts.accepted) == (12_477, 12_477)
    interval_us = minutes * 60_000_000
    bars, state = build_bars(file.ticks, interval_us)
    bars = pa.concat_tables([bars, BarBuilder.from_state(interval_us, state).finish()])
    assert bars.num_rows == shipped.num_rows == count
    assert us(bars["open_ts_us"]).tolist() == us(shipped["date"].cast(pa.timestamp("us", "UTC"))).tolist()
    for column in ("open", "high", "low", "close", "volume"):
        assert bars[column].to_pylist() == shipped[column].to_pylist(), column
    ids = file.ticks["trade_id"].to_pylist()
    assert (bars["first_trade_id"][0].as_py(), bars["last_trade_id"][-1].as_py()) == (ids[0], ids[-1])
    minutes_spanned = (us(bars["ts_us"])[-1] - us(bars["open_ts_us"])[0]) // interval_us
    assert sum(bars["gap"].to_pylist()) + count == minutes_spanned


def test_both_forms_of_the_same_trades_agree() -> None:
    """The JSON and the Feather file hold the same ticks."""
    one, two = (
        read_ticks(real_data(f"{XRPETH}/{name}"), symbol="XRPETH").ticks.drop("source")
        for name in ("XRP_OLD-trades.json.gz", "XRP_ETH-trades.feather")
    )
    assert one.equals(two)


def test_exact_duplicates_of_coinbase() -> None:
    """13,197 rows without ids: all are kept by default, 582 exact copies are dropped when asked."""
    path = real_data("ticks/coinbase_BTC-USD_2023-09-05T16_trades_with_dups.csv.gz")
    kept = read_ticks(path, symbol="BTCUSD")
    assert (kept.counts.read, kept.counts.accepted, kept.counts.duplicate) == (13_197, 13_197, 0)
    dropped = read_ticks(path, symbol="BTC-USD", duplicates="drop")
    assert (dropped.counts.accepted, dropped.counts.duplicate, dropped.counts.quarantined) == (12_615, 582, 0)
    with pytest.raises(InputError, match="line 2, column symbol: found 'BTC-USD', expected 'ETHUSD'"):
        read_ticks(path, symbol="ETHUSD")


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("binance_ETHUSDT_2023-02-02_1000trades.csv", 1_000),
        ("binance_spot_BTCUSDT_2021-01-08_trades.parquet", 2_001),
        ("tardis_binance-futures_BTCUSDT_2020-02-22_trades.csv.gz", 9_999),
    ],
)
def test_buyers_print_higher_than_the_trade_before(name: str, rows: int) -> None:
    """Every row of other vendors' files is read, and the aggressor side is not inverted: buyers lift, sellers hit."""
    file = read_ticks(real_data(f"ticks/{name}"), symbol="ETHUSDT" if "ETH" in name else "BTCUSDT")
    assert (file.counts.read, file.counts.accepted) == (rows, rows)
    move = np.sign(np.diff(file.ticks["price"].to_numpy()))
    side = file.ticks["side"].to_numpy()[1:]
    assert np.mean(move[move != 0] == side[move != 0]) > 0.6


@pytest.mark.parametrize(
    ("path", "format", "interval_us", "read", "accepted"),
    [
        ("ohlcv/binance_usdm_1m_12col/NEARUSDT-1m-2024-02.csv.gz", "klines-12", 60_000_000, 41_760, 41_760),
        ("ohlcv/binance_spot_1m_12col_noheader/ADABTC-1m-2021-11-27.csv.gz", "klines-12", 60_000_000, 1_440, 1_439),
        ("ohlcv/binance_spot_5m_2024H1/BCHUSDT.csv.gz", "klines", 300_000_000, 52_416, 52_415),
        ("ohlcv/bitfinex_1m_gappy/LTCUSD_2013.csv.gz", "klines", 60_000_000, 18_645, 18_645),
    ],
)
def test_real_klines(path: str, format: str, interval_us: int, read: int, accepted: int) -> None:
    """Real kline files are read whole; the intervals without a trade are quarantined, not made into bars."""
    file = read_klines(real_data(path))
    assert (file.format, file.interval_us) == (format, interval_us)
    assert (file.counts.read, file.counts.accepted) == (read, accepted)
    assert all(reason.startswith("no trades in the interval") for reason in file.quarantine["reason"].to_pylist())
    steps = np.diff(us(file.bars["open_ts_us"])) // interval_us - 1
    assert file.bars["gap"].to_pylist() == [0, *steps.tolist()]


def test_minutes_since_midnight_are_not_taken_for_stamps() -> None:
    """QuantConnect's minute files count from midnight and hold no date: they are refused."""
    with pytest.raises(InputError, match="readable stamps"):
        read_klines(real_data("ohlcv/lean_binance_perp_minute/adausdt_20221213_trade.zip"))
