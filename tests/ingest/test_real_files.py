"""Real files with known answers."""

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pytest
from realdata import real_data

from scalper_ml.bars.builder import BarBuilder, build_bars
from scalper_ml.errors import InputError
from scalper_ml.ingest import read_klines, read_ticks
from scalper_ml.ingest.base import Contract
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
        ("ohlcv/binance_usdm_1m_12col/FILUSDT-1m-2024-02.csv.gz", "klines-12", 60_000_000, 41_760, 41_760),
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


COINS = (
    "AAVE", "APT", "ARB", "ATOM", "AVAX", "BCH", "BTC", "CRV", "DOGE", "ETC", "ETH",
    "FTM", "GALA", "HBAR", "ICP", "INJ", "LDO", "LINK", "LTC", "MATIC", "NEAR", "OP",
    "PEPE", "RUNE", "SEI", "SHIB", "SOL", "SUI", "TIA", "TRX", "UNI", "XRP",
)  # fmt: skip
QUICK = ("BTC", "PEPE")


@pytest.mark.parametrize("coin", [pytest.param(c, marks=[] if c in QUICK else pytest.mark.verify) for c in COINS])
def test_half_a_year_of_32_coins_has_no_gap(coin: str) -> None:
    """52,416 five-minute bars of each coin from 2024-01-01 to 2024-06-30; one of BCH had no trade and is no bar."""
    file = read_klines(real_data(f"ohlcv/binance_spot_5m_2024H1/{coin}USDT.csv.gz"))
    empty = int(coin == "BCH")
    assert (file.counts.read, file.counts.accepted, file.counts.quarantined) == (52_416, 52_416 - empty, empty)
    assert (sum(file.bars["gap"].to_pylist()), file.interval_us) == (empty, 300_000_000)
    first, last = us(file.bars["open_ts_us"])[0], us(file.bars["ts_us"])[-1]
    assert (first, last) == (1_704_067_200_000_000, 1_704_067_200_000_000 + 52_416 * 300_000_000)


@pytest.mark.parametrize(
    ("coin", "rows"),
    [
        ("ADA", 28_166), ("BNB", 28_166), ("BTC", 28_167), ("DOGE", 28_165), ("DOT", 28_164), ("ETH", 28_167),
        ("LTC", 28_164), ("SOL", 28_165), ("XRP", 28_165),
    ],
)  # fmt: skip
def test_twenty_days_of_nine_perpetuals_are_whole(coin: str, rows: int) -> None:
    """Every minute of each perpetual, from its first to its last, is a bar: none missing, none rejected."""
    file = read_klines(real_data(f"ohlcv/binance_usdm_1m_2025-05-25_06-13/{coin}USDT.csv.gz"))
    assert (file.counts.read, file.counts.accepted, file.interval_us) == (rows, rows, 60_000_000)
    assert np.unique(np.diff(us(file.bars["open_ts_us"]))).tolist() == [60_000_000]


@pytest.mark.parametrize("name", ["log", "orders.csv"])
def test_order_events_are_not_taken_for_trades(name: str) -> None:
    """Bitstamp's orders come packed as xz, which is said by name, whatever the first bytes look like as text."""
    separator = "." if name == "log" else "_"
    path = real_data(f"l3/bitstamp_BTCUSD_2015-05-01{separator}{name}.xz")
    with pytest.raises(InputError, match="packed as xz; expected plain text"):
        read_ticks(path, symbol="BTCUSD")


def test_minutes_since_midnight_begin_with_the_day_in_the_name() -> None:
    """QuantConnect's minute files count ms from midnight: 1,440 minutes of the day that the file's name says."""
    file = read_klines(real_data("ohlcv/lean_binance_perp_minute/adausdt_20221213_trade.zip"))
    assert (file.format, file.interval_us, file.counts.read) == ("lean-crypto-klines", 60_000_000, 1_440)
    assert (file.counts.accepted, file.quarantine.num_rows) == (1_440, 0)
    day_us = 1_670_889_600_000_000  # 2022-12-13
    assert us(file.bars["open_ts_us"]).tolist() == [day_us + i * 60_000_000 for i in range(1_440)]
    first = file.bars.slice(0, 1).to_pylist()[0]
    assert [first[name] for name in ("open", "high", "low", "close", "volume")] == [
        0.3067, 0.3068, 0.3066, 0.3068, 274_004.0,
    ]  # fmt: skip


def test_bars_of_contracts_and_of_quotes_are_not_taken_for_bars_of_trades() -> None:
    """Coin-margined volumes need the worth of a contract, inverse ones cannot be told, quotes hold no trades."""
    coin = real_data("ohlcv/lean_binance_perp_minute/btcusd_20221213_trade.zip")
    with pytest.raises(InputError, match=r"lean-crypto-klines has quantities in contracts; expected contract="):
        read_klines(coin)
    with pytest.raises(InputError, match="inverse contracts do not say their volume in base units"):
        read_klines(coin, contract=Contract(100.0, inverse=True))
    assert read_klines(coin, contract=Contract(1.0)).bars["volume"][0].as_py() == 4_242.0
    with pytest.raises(InputError, match="line 1 has 11 columns, a bid and an ask bar"):
        read_klines(real_data("ohlcv/lean_binance_perp_minute/adausdt_20221213_quote.zip"))


@pytest.mark.parametrize("name", ["LTCUSD_2013", "BTCUSD_2016"])
def test_bitfinex_columns_in_their_raw_order_are_told_by_the_prices(name: str, tmp_path: Path) -> None:
    """Raw candles without a header, ordered open, close, high, low, give the bars of the file with a header."""
    lines = gzip.decompress(real_data(f"ohlcv/bitfinex_1m_gappy/{name}.csv.gz").read_bytes()).decode().splitlines()
    named, raw = tmp_path / "named.csv", tmp_path / "raw.csv"
    named.write_text("\n".join(lines[:20_001]))
    rows = [line.split(",") for line in lines[1:20_001]]
    raw.write_text("".join(",".join((ts, o, c, h, low, v)) + "\n" for ts, o, h, low, c, v in rows))
    wanted, found = read_klines(named), read_klines(raw)
    assert (wanted.format, found.format) == ("klines", "bitfinex-spot-klines")
    assert found.bars.equals(wanted.bars)
    assert found.counts == wanted.counts
    forced = read_klines(raw, format="klines")
    assert forced.counts.quarantined > 0.2 * forced.counts.read
    assert forced.quarantine["reason"][0].as_py().startswith("high below low")


@pytest.mark.parametrize(
    ("path", "symbol", "format", "first", "rows"),
    [
        (
            "ticks/tardis_binance-futures_BTCUSDT_2020-02-22_trades.csv.gz", "BTCUSDT",
            "tardis-binance-futures-trades", (1_582_329_602_111_000, 9_682.0, 0.132, 1, 42_377_944), 9_999,
        ),
        (
            "ticks/binance_spot_BTCUSDT_2021-01-08_trades.parquet", "BTCUSDT",
            "nautilus-binance-trades", (1_610_064_000_278_000, 39_432.48, 0.000263, -1, 553_287_559), 2_001,
        ),
        (
            "ticks/binance_ETHUSDT_2023-02-02_1000trades.csv", "ETHUSDT",
            "freqtrade-trades", (1_675_329_600_138_000, 1_666.8, 26.062, 1, 1_206_419_187), 1_000,
        ),
        (
            "ticks/binance_spot_XRPETH_2019-10-11/XRP_ETH-trades.feather", "XRPETH",
            "freqtrade-trades", (1_570_752_011_620_000, 0.00141342, 23.0, -1, 13_519_807), 12_477,
        ),
        (
            "ticks/coinbase_BTC-USD_2023-09-05T16_trades_with_dups.csv.gz", "BTC-USD",
            "coinbase-spot-trades", (1_693_929_601_281_719, 25_741.02, 0.00371005, -1, None), 13_197,
        ),
    ],
)  # fmt: skip
def test_real_trades_are_known_as_what_they_are(
    path: str, symbol: str, format: str, first: tuple[object, ...], rows: int
) -> None:
    """Each vendor's file is told by its head, and its first trade is the one of its first line, to the microsecond."""
    file = read_ticks(real_data(path), symbol=symbol)
    assert (file.format, file.counts.accepted) == (format, rows)
    begin = file.ticks.slice(0, 3)
    columns = [begin[name].to_pylist() for name in ("price", "qty", "side", "trade_id")]
    assert first in zip(us(begin["ts_us"]).tolist(), *columns, strict=True)  # without ids, equal stamps have no order
    assert begin["source"].unique().to_pylist() == [format]
