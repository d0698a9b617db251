"""Files that say too little or that lie about their units: told apart by their values, or refused with the way out."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalper_ml.errors import InputError
from scalper_ml.ingest import TickFile, read_klines, read_ticks
from scalper_ml.ingest.base import Contract
from scalper_ml.schema import us

MS = 1_704_067_200_000
MINUTE = 60_000


def write(folder: Path, text: str, name: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def quantities(file: TickFile) -> list[tuple[float, int]]:
    return list(zip(file.ticks["qty"].to_pylist(), file.ticks["side"].to_pylist(), strict=True))


def test_coin_margined_trades_without_a_header_are_told_by_their_fourth_column(tmp_path: Path) -> None:
    """Contracts times 100 or 10 USD by price is a base quantity, price times quantity a quote one: same six columns."""
    coin = write(tmp_path, f"1,40000,10,0.02500000,{MS},false\n2,40001.5,5,0.01249953,{MS},true\n", "a.csv")
    file = read_ticks(coin, symbol="BTCUSD_PERP")
    assert (file.format, quantities(file)) == ("binance-coinm-trades", [(0.025, 1), (0.01249953, -1)])
    dollar = write(tmp_path, f"1,40000,10,400000,{MS},false\n2,40001.5,5,200007.5,{MS},true\n", "b.csv")
    file = read_ticks(dollar, symbol="BTCUSDT")
    assert (file.format, quantities(file)) == ("binance-usdm-trades", [(10.0, 1), (5.0, -1)])


AGG = f"1,2000,10,1,1,{MS},false\n2,2500,4,2,2,{MS},true\n"


def test_coin_margined_aggregate_trades_need_their_name_or_the_users_word(tmp_path: Path) -> None:
    """They look like USD-M's: the instrument in the name, or format and contract, make contracts base quantities."""
    base = [(0.05, 1), (0.016, -1)]
    named = read_ticks(write(tmp_path, AGG, "ETHUSD_240329-aggTrades-2024-01-01.csv"), symbol="ETHUSD_240329")
    assert (named.format, quantities(named)) == ("binance-coinm-aggtrades", base)
    path = write(tmp_path, AGG, "tape.csv")
    assert quantities(read_ticks(path, symbol="X")) == [(10.0, 1), (4.0, -1)]
    with pytest.raises(InputError, match="quantities in contracts; expected contract="):
        read_ticks(path, symbol="X", format="binance-coinm-aggtrades")
    worth = Contract(10.0, inverse=True)
    assert quantities(read_ticks(path, symbol="X", format="binance-coinm-aggtrades", contract=worth)) == base
    with pytest.raises(InputError, match="binance-usdm-aggtrades has quantities in base units, found contract="):
        read_ticks(path, symbol="X", contract=worth)


@pytest.mark.parametrize("size", [0.0, -1.0, float("nan"), float("inf")])
def test_a_contract_worth_nothing_is_an_error(size: float, tmp_path: Path) -> None:
    """A contract's size is a finite number above 0."""
    path = write(tmp_path, AGG, "BTCUSD_PERP.csv")
    with pytest.raises(InputError, match=r"contract size .*expected a finite number above 0"):
        read_ticks(path, symbol="X", contract=Contract(size, inverse=True))


BYBIT = "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional\n"


def test_bybit_market_is_told_by_the_notionals_or_refused(tmp_path: Path) -> None:
    """Notionals that fit neither kind of contract are refused; the user's format reads them all the same."""
    path = write(tmp_path, BYBIT + "1704067200.1,BTCUSD,Buy,500,40000,PlusTick,x,1,500,7\n", "BTCUSD.csv")
    with pytest.raises(InputError, match="line 2, column foreignNotional: found neither"):
        read_ticks(path, symbol="BTCUSD")
    assert quantities(read_ticks(path, symbol="BTCUSD", format="bybit-inverse-trades")) == [(7.0, 1)]


def test_bybit_spot_ids_that_begin_anew_in_every_file_are_not_ids(tmp_path: Path) -> None:
    """Spot dumps count their rows from 1 each day: taken as ids, the second day would repeat the first."""
    file = read_ticks(write(tmp_path, f"id,timestamp,price,volume,side\n1,{MS},1,1,buy\n", "A.csv"), symbol="A")
    assert (file.format, file.ticks["trade_id"].null_count) == ("bybit-spot-trades", 1)


OKX = f"trade_id,side,size,price,created_time\n1,buy,5,100,{MS}\n"


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("BTC-USDT-trades-2022-01-01.csv", "okx-spot-trades"),
        ("BTC-USDT-SWAP-trades-2022-01-01.csv", "okx-swap-trades"),
        ("BTC-USD-220325-trades-2022-01-01.csv", "okx-futures-trades"),
        ("ETH-BTC-aggtrades-2022-01-01.csv", "okx-spot-aggtrades"),
    ],
)
def test_okx_market_is_that_of_the_instrument(name: str, format: str, tmp_path: Path) -> None:
    """Without an instrument column the file's name says spot, swap or futures, and contracts need their worth."""
    path = write(tmp_path, OKX, name)
    if "spot" in format:
        assert (read_ticks(path, symbol="X").format, quantities(read_ticks(path, symbol="X"))) == (format, [(5.0, 1)])
        return
    with pytest.raises(InputError, match=f"{format} has quantities in contracts"):
        read_ticks(path, symbol="X")
    assert quantities(read_ticks(path, symbol="X", contract=Contract(0.01))) == [(0.05, 1)]


def test_okx_without_any_instrument_is_refused(tmp_path: Path) -> None:
    """Where neither column nor name says the market, the user must."""
    path = write(tmp_path, OKX, "tape.csv")
    with pytest.raises(InputError, match=r"no column instrument_name and no file name .* expected format=one of"):
        read_ticks(path, symbol="X")
    assert read_ticks(path, symbol="X", format="okx-spot-trades").counts.accepted == 1


def test_okx_rest_records_of_a_swap_are_contracts(tmp_path: Path) -> None:
    """The REST answer names its instrument: a swap's sizes are contracts there as well."""
    record = {"instId": "BTC-USDT-SWAP", "side": "sell", "sz": "3", "px": "100", "tradeId": "9", "ts": str(MS)}
    path = write(tmp_path, json.dumps({"code": "0", "msg": "", "data": [record]}), "answer.json")
    file = read_ticks(path, symbol="BTC-USDT-SWAP", contract=Contract(0.01))
    assert (file.format, quantities(file)) == ("okx-swap-trades", [(0.03, -1)])


def test_kraken_downloads_without_a_side_are_refused(tmp_path: Path) -> None:
    """Time, price, volume: no side is made up, and the error says where trades with a side are."""
    path = write(tmp_path, "1381095255,122.0,0.1\n1381179030,123.61,0.1\n", "XBTUSD.csv")
    for format in (None, "kraken-spot-trades"):
        with pytest.raises(InputError, match=r"XBTUSD\.csv: line 1 .*aggressor side is missing.*REST call Trades"):
            read_ticks(path, symbol="XBTUSD", format=format)


def test_an_answer_with_two_markets_is_refused(tmp_path: Path) -> None:
    """A JSON object must hold one array of records: two pairs in one file are two files."""
    row = ["1", "2", 1704067200.5, "b", "m", ""]
    path = write(tmp_path, json.dumps({"error": [], "result": {"A": [row], "B": [row], "last": "1"}}), "x.json")
    with pytest.raises(InputError, match=r"2 arrays of records \['result\.A', 'result\.B'\]; expected exactly one"):
        read_ticks(path, symbol="A")


def test_rows_of_another_length_in_json_are_quarantined(tmp_path: Path) -> None:
    """An array that is shorter than the first goes to quarantine with its place; the others are read."""
    path = write(tmp_path, f"[[1,{MS},-1,5],[2,{MS},1],7,[3,{MS},2,5]]", "x.json")
    file = read_ticks(path, symbol="X")
    assert (file.counts.read, quantities(file)) == (4, [(1.0, -1), (2.0, 1)])
    found = [(row["line"], row["reason"], row["raw"]) for row in file.quarantine.to_pylist()]
    assert found == [(2, "columns: found 3, expected 4", f"[2, {MS}, 1]"), (3, "not a record", "7")]


def test_bitfinex_trades_need_a_sign_to_be_known(tmp_path: Path) -> None:
    """Four numbers without one negative amount may be anyone's: only the user's word makes them Bitfinex's."""
    path = write(tmp_path, f"[[1,{MS},1,5],[2,{MS},3,5]]", "x.json")
    with pytest.raises(InputError, match="is no header"):
        read_ticks(path, symbol="X")
    assert quantities(read_ticks(path, symbol="X", format="bitfinex-spot-trades")) == [(1.0, 1), (3.0, 1)]


@given(st.lists(st.decimals(-1000, 1000, places=3, allow_nan=False), min_size=1, max_size=20))
def test_signed_amounts_are_a_side_and_a_quantity(
    tmp_path_factory: pytest.TempPathFactory, amounts: list[object]
) -> None:
    """Quantity is the amount's size, side its sign, and an amount of 0 is no trade, as text and as numbers."""
    folder = tmp_path_factory.mktemp("signed")
    text = "id,mts,amount,price\n" + "".join(f"{i},{MS + i},{amount},5\n" for i, amount in enumerate(amounts))
    wanted = [(abs(float(str(a))), 1 if float(str(a)) > 0 else -1) for a in amounts if float(str(a)) != 0]
    for name, damage in (("numbers.csv", ""), ("text.csv", "x,x,x,x\n")):
        file = read_ticks(write(folder, text + damage, name), symbol="X")
        assert quantities(file) == wanted
        assert file.counts.quarantined == len(amounts) - len(wanted) + bool(damage)


def candle(i: int, *prices: float) -> str:
    return f"{MS + i * MINUTE},{','.join(map(str, prices))},3\n"


def test_flat_candles_leave_the_order_open(tmp_path: Path) -> None:
    """Hundreds of candles of one price without a header may be in either order: refused, unless nothing follows."""
    flat = "".join(candle(i, 5, 5, 5, 5) for i in range(300))
    path = write(tmp_path, flat + candle(300, 5, 6, 7, 4), "x.csv")
    with pytest.raises(InputError, match="the order of columns 2 to 5 cannot be told; expected a header, or format="):
        read_klines(path)
    bars = read_klines(path, format="bitfinex-spot-klines").bars
    assert [bars[name][300].as_py() for name in ("open", "close", "high", "low")] == [5.0, 6.0, 7.0, 4.0]
    assert read_klines(write(tmp_path, flat[: len(flat) // 2], "y.csv")).format == "klines"


def test_coin_margined_klines_are_told_from_those_in_quote(tmp_path: Path) -> None:
    """Where contracts by the eighth column, not it by volume, are a price of the bar, it is the base volume."""
    quote = write(tmp_path, f"{MS},10,12,9,11,8,{MS + MINUTE - 1},84,5,3,31.5,0\n", "BTCUSD_PERP.csv")
    assert read_klines(quote).format == "klines-12"
    coin = write(tmp_path, f"{MS},2000,2500,2000,2400,50,{MS + MINUTE - 1},0.22,5,30,0.13,0\n", "x.csv")
    file = read_klines(coin)
    assert file.format == "binance-coinm-klines"
    assert (file.bars["volume"][0].as_py(), file.bars["buy_volume"][0].as_py()) == (0.22, 0.13)
    assert file.bars["quote_volume"].null_count == 1


def test_lean_days_need_a_date(tmp_path: Path) -> None:
    """Milliseconds since midnight of a day that no name says are refused; a row beyond the day is quarantined."""
    rows = "0,1,1,1,1,5\n60000,1,1,1,1,5\n86400000,1,1,1,1,5\n"
    with pytest.raises(InputError, match=r"neither 'tape\.csv' nor 'tape\.csv' says the day"):
        read_klines(write(tmp_path, rows, "tape.csv"))
    file = read_klines(write(tmp_path, rows, "20240101_btcusdt_minute_trade.csv"))
    assert us(file.bars["open_ts_us"]).tolist() == [MS * 1000, (MS + MINUTE) * 1000]
    assert file.quarantine["line"].to_pylist() == [3]


def test_tardis_amounts_of_contract_venues_need_their_worth(tmp_path: Path) -> None:
    """BitMEX counts contracts in Tardis' files too; two venues in one file are refused."""
    header = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n"
    row = f"bitmex,XBTUSD,{MS}000,{MS}000,6f,buy,40000,100\n"
    path = write(tmp_path, header + row, "x.csv")
    with pytest.raises(InputError, match="tardis-bitmex-trades has quantities in contracts"):
        read_ticks(path, symbol="XBTUSD")
    file = read_ticks(path, symbol="XBTUSD", contract=Contract(1.0, inverse=True))
    assert (file.format, quantities(file)) == ("tardis-bitmex-trades", [(0.0025, 1)])
    both = write(tmp_path, header + row + row.replace("bitmex", "kraken"), "y.csv")
    with pytest.raises(InputError, match=r"column exchange: found \['bitmex', 'kraken'\]; expected one venue"):
        read_ticks(both, symbol="XBTUSD")


def test_json_rows_of_freqtrade(tmp_path: Path) -> None:
    """Its older files are arrays without names: trades with a missing id or type, and candles in the common order."""
    rows = [[MS, "11", None, "buy", 100.5, 0.25, 25.125], [MS + 5, None, None, "sell", 100.25, 2.0, 200.5]]
    file = read_ticks(write(tmp_path, json.dumps(rows), "BTC_USDT-trades.json"), symbol="BTC/USDT")
    assert (file.format, quantities(file)) == ("freqtrade-trades", [(0.25, 1), (2.0, -1)])
    assert file.ticks["trade_id"].to_pylist() == [11, None]
    candles = [[MS, 10, 12, 9, 11, 8], [MS + MINUTE, 11, 11, 11, 11, 2]]
    bars = read_klines(write(tmp_path, json.dumps(candles), "BTC_USDT-1m.json")).bars
    assert [bars[name][0].as_py() for name in ("open", "high", "low", "close")] == [10.0, 12.0, 9.0, 11.0]
