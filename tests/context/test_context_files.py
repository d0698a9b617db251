"""Files of context, read as what their columns say they are."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.feather
import pytest
from contextdata import DAY_0, FIXTURES, HOUR

from scalper_ml.context import CONTEXT_SOURCES, ContextFile, merge_context, read_context
from scalper_ml.errors import InputError
from scalper_ml.schema import CONTEXT, us

MINUTE = 60_000_000
FORMATS = [
    ("binance-funding.csv", "DEMOUSDT", "binance-funding"),
    ("binance-metrics.csv", "DEMOUSDT", "binance-metrics"),
    ("binance-liquidations.csv", "DEMOUSDT", "binance-liquidations"),
    ("okx-taker-volume.csv", "DEMOUSDT", "okx-taker-volume"),
    ("context-long.csv", "DEMOUSDT", "context-long"),
]


def rows_of(file: ContextFile, kind: str) -> list[tuple[int, int, float]]:
    """Event and known time since the day's start (us), and value, of a kind."""
    table = file.table.filter(pc.equal(file.table.column("kind"), kind))
    stamps = zip(us(table.column("event_ts_us")) - DAY_0, us(table.column("ts_us")) - DAY_0, strict=True)
    return [(int(e), int(k), v) for (e, k), v in zip(stamps, table.column("value").to_pylist(), strict=True)]


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize(("name", "symbol", "format"), FORMATS)
def test_every_value_read_is_accepted_repeated_or_quarantined(name: str, symbol: str, format: str) -> None:
    """Of every source: values read = accepted + duplicate + quarantined, and the table holds the accepted ones."""
    file = read_context(FIXTURES / name, symbol=symbol)
    counts = file.counts
    assert file.format == format
    assert counts.read == counts.accepted + counts.duplicate + counts.quarantined > 0
    assert (file.table.num_rows, file.quarantine.num_rows) == (counts.accepted, counts.quarantined)
    assert file.table.schema == CONTEXT


@pytest.mark.parametrize(("name", "symbol", "format"), FORMATS)
def test_nothing_is_known_before_it_happened(name: str, symbol: str, format: str) -> None:
    """Of every source: known time is never before event time, also with no publication delay."""
    for delay_us in (None, 0):
        table = read_context(FIXTURES / name, symbol=symbol, delay_us=delay_us).table
        assert (us(table.column("ts_us")) >= us(table.column("event_ts_us"))).all()


def test_every_format_has_a_fixture_or_a_test_here() -> None:
    """A new source brings its format's name into this file."""
    named = Path(__file__).read_text()
    assert [name for source in CONTEXT_SOURCES for name in source.formats if name not in named] == []


def test_funding_jitter_moves_to_the_hour_and_stays_in_known_time() -> None:
    """A stamp 4 ms late is the settlement of the hour, known 4 ms late; 3 ms early is known at the hour."""
    file = read_context(FIXTURES / "binance-funding.csv", symbol="DEMOUSDT")
    assert rows_of(file, "funding_rate") == [
        (0, 0, 0.0001),
        (8 * HOUR, 8 * HOUR + 4000, 0.000312),
        (16 * HOUR, 16 * HOUR, -0.000025),
        (20 * HOUR, 20 * HOUR + 16000, 0.00005),
    ]
    assert [value for *_, value in rows_of(file, "funding_interval_h")] == [8, 8, 8, 4, 8]
    assert file.disordered == 1


def test_a_bad_value_is_quarantined_with_its_line() -> None:
    """A rate that is no number: line, reason and text are kept, the interval beside it is accepted."""
    file = read_context(FIXTURES / "binance-funding.csv", symbol="DEMOUSDT")
    (bad,) = file.quarantine.to_pylist()
    assert bad == {
        "file": "binance-funding.csv",
        "line": 5,
        "reason": "rate: not a number",
        "raw": "1709337600000,8,abc",
    }


def test_funding_records_of_the_api_are_read(tmp_path: Path) -> None:
    """A JSON array of fundingTime, fundingRate and markPrice gives rates and mark prices."""
    records = [{"symbol": "DEMOUSDT", "fundingTime": 1709280000004, "fundingRate": "0.0001", "markPrice": "50000.5"}]
    path = written(tmp_path, "funding.json", json.dumps(records))
    file = read_context(path, symbol="DEMO/USDT:USDT")
    assert rows_of(file, "funding_rate") == [(8 * HOUR, 8 * HOUR + 4000, 0.0001)]
    assert rows_of(file, "mark_price") == [(8 * HOUR, 8 * HOUR + 4000, 50000.5)]


def test_metrics_are_known_one_period_after_theirs() -> None:
    """Labels before the change are ends of periods; jittered ones move to the five minutes; empty cells are told."""
    file = read_context(FIXTURES / "binance-metrics.csv", symbol="DEMOUSDT")
    assert rows_of(file, "open_interest") == [
        (5 * MINUTE, 10 * MINUTE, 1000.5),
        (10 * MINUTE, 15 * MINUTE + 4_000_000, 1001.5),
        (20 * MINUTE, 25 * MINUTE, 1002.5),
    ]
    assert [value for *_, value in rows_of(file, "taker_buy_sell_ratio")] == [0.9, 1.05]
    assert file.quarantine.column("reason").to_pylist() == ["sum_taker_long_short_vol_ratio: not a number"]
    assert (file.counts.read, file.counts.duplicate) == (24, 6)


def test_the_relabelled_midnight_of_metrics_is_two_periods() -> None:
    """2026-06-25 00:00 ends the last period of the old labels and begins the first of the new ones."""
    file = read_context(FIXTURES / "binance-metrics-relabelled.csv", symbol="DEMOUSDT")
    start = us(file.table.column("event_ts_us"))[0]
    assert ((us(file.table.column("event_ts_us")) - start) // MINUTE).tolist() == [0, 5, 10, 15]
    assert file.table.column("value").to_pylist() == [10, 20, 30, 40]
    assert merge_context([file]).counts.quarantined == 0


def test_a_new_days_file_alone_is_start_labelled(tmp_path: Path) -> None:
    """A file that begins with the label of the change is all new: its first period ends at 00:05."""
    text = "create_time,sum_open_interest\n2026-06-25 00:00:00,30\n2026-06-25 00:05:00,40\n"
    file = read_context(written(tmp_path, "new.csv", text), symbol="DEMOUSDT")
    midnight = 1_782_345_600_000_000
    assert (us(file.table.column("event_ts_us")) - midnight).tolist() == [5 * MINUTE, 10 * MINUTE]


def test_a_file_of_another_symbol_is_refused() -> None:
    """The message says in which line the other symbol stands."""
    with pytest.raises(InputError, match=r"line 2, column symbol: found 'DEMOUSDT', expected 'DEMOUSD_PERP'"):
        read_context(FIXTURES / "binance-metrics.csv", symbol="DEMOUSD_PERP")


def test_coin_margined_labels_end_a_period_later(tmp_path: Path) -> None:
    """A COIN-M label of 00:00 is the period that ends at 00:05, known at 00:10."""
    text = "create_time,symbol,sum_open_interest\n2024-03-01 00:00:00,DEMOUSD_PERP,5\n"
    file = read_context(written(tmp_path, "cm.csv", text), symbol="DEMOUSD_PERP")
    assert rows_of(file, "open_interest") == [(5 * MINUTE, 10 * MINUTE, 5.0)]


def test_an_order_shown_thrice_is_liquidated_once() -> None:
    """Partial and repeated rows of an order are repeats; its filled quantity times price counts; a sale is a long."""
    file = read_context(FIXTURES / "binance-liquidations.csv", symbol="DEMOUSDT")
    assert rows_of(file, "liquidated_long") == [(500_000, 1_500_000, 7 * 61500.0)]
    assert rows_of(file, "liquidated_short") == [(MINUTE, MINUTE + 1_000_000, 2 * 61800.0)]
    assert file.quarantine.column("reason").to_pylist() == ["side: neither buy nor sell"]
    assert (file.counts.read, file.counts.duplicate) == (5, 2)


def test_of_an_order_shown_twice_alike_the_row_kept_does_not_depend_on_their_order(tmp_path: Path) -> None:
    """As much filled at two average prices: the higher counts, whichever row comes first."""
    header, *_ = (FIXTURES / "binance-liquidations.csv").read_text().splitlines()
    pair = [f"1709251200500,SELL,LIMIT,IOC,7,61000,{average},FILLED,7,7" for average in (61500, 61600)]
    for rows in (pair, pair[::-1]):
        file = read_context(written(tmp_path, "x.csv", "\n".join([header, *rows]) + "\n"), symbol="DEMOUSDT")
        assert [value for *_, value in rows_of(file, "liquidated_long")] == [7 * 61600.0]


@pytest.mark.parametrize(("symbol", "face"), [("BTCUSD_PERP", 100.0), ("ETHUSD_PERP", 10.0)])
def test_coin_margined_contracts_have_a_face_value(symbol: str, face: float) -> None:
    """Contracts of COIN-M are worth 100 USD of BTC and 10 USD of others, whatever the price."""
    file = read_context(FIXTURES / "binance-liquidations.csv", symbol=symbol)
    assert [value for *_, value in rows_of(file, "liquidated_long")] == [7 * face]


def test_a_freqtrade_rate_sits_in_open(tmp_path: Path) -> None:
    """Candles whose other columns are 0 are funding: the rate is `open`, also a rate of 0, also in Feather."""
    table = pa.table(
        {
            "date": pa.array([DAY_0, DAY_0 + 8 * HOUR + 7000]).cast(pa.timestamp("us", "UTC")),
            "open": [0.0, 0.0002],
            **{name: [0.0, 0.0] for name in ("high", "low", "close", "volume")},
        }
    )
    pyarrow.feather.write_feather(table, str(tmp_path / "DEMO_USDT_USDT-8h-funding_rate.feather"))
    file = read_context(tmp_path / "DEMO_USDT_USDT-8h-funding_rate.feather", symbol="DEMOUSDT")
    assert file.format == "freqtrade-funding"
    assert rows_of(file, "funding_rate") == [(0, 0, 0.0), (8 * HOUR, 8 * HOUR + 7000, 0.0002)]


def test_of_a_mark_candle_only_the_open_is_used(tmp_path: Path) -> None:
    """High, low and close of a mark candle are of its future and appear nowhere."""
    text = "timestamp,open,high,low,close,volume\n1709251200000,100,190,50,150,0\n1709280000000,151,199,51,160,0\n"
    file = read_context(written(tmp_path, "mark.csv", text), symbol="DEMOUSDT")
    assert file.format == "freqtrade-mark"
    assert rows_of(file, "mark_price") == [(0, 1_000_000, 100.0), (8 * HOUR, 8 * HOUR + 1_000_000, 151.0)]


def test_candles_of_trades_are_no_context(tmp_path: Path) -> None:
    """A candle with a volume is refused, and the message says what it is and where."""
    text = "timestamp,open,high,low,close,volume\n1709251200000,100,190,50,150,7\n"
    with pytest.raises(InputError, match=r"line 2, column volume: found 7.0, expected 0"):
        read_context(written(tmp_path, "klines.csv", text), symbol="DEMOUSDT")


@pytest.mark.parametrize(
    ("name", "header", "row", "format", "kinds"),
    [
        ("f", "ts,fundingRate", "1709251200000,0.0001", "okx-funding", {"funding_rate": 0.0001}),
        ("r", "ts,ratio", "1709251200000,2.5", "okx-long-short", {"long_short_ratio": 2.5}),
        (
            "o",
            "ts,oi,oi_value",
            "1709251200000,10,500",
            "okx-open-interest",
            {"open_interest": 10.0, "open_interest_value": 500.0},
        ),
    ],
)
def test_okx_tables_are_told_by_their_columns(
    tmp_path: Path, name: str, header: str, row: str, format: str, kinds: dict[str, float]
) -> None:
    """Funding, long/short ratio and open interest of OKX."""
    file = read_context(written(tmp_path, f"{name}.csv", f"{header}\n{row}\n"), symbol="SOL-USDT-SWAP")
    assert file.format == format
    assert {r["kind"]: r["value"] for r in file.table.to_pylist()} == kinds


def test_open_interest_given_twice_in_quote_units_is_one_value(tmp_path: Path) -> None:
    """Where `oi` repeats `oi_value` in every row it is no base quantity, and counts as a repeat."""
    text = "ts,oi,oi_value\n1709251200000,500.5,500.5\n1709254800000,600.5,600.5\n"
    file = read_context(written(tmp_path, "oi.csv", text), symbol="SOL-USDT-SWAP")
    assert set(file.table.column("kind").to_pylist()) == {"open_interest_value"}
    assert (file.counts.read, file.counts.accepted, file.counts.duplicate) == (4, 2, 2)


def test_a_long_table_brings_its_own_known_times() -> None:
    """Any kind with its times; a value known before its event is rejected."""
    file = read_context(FIXTURES / "context-long.csv", symbol="DEMOUSDT")
    assert rows_of(file, "open_interest") == [
        (0, 5 * MINUTE, 1000.0),
        (0, 33 * HOUR, 900.0),
        (HOUR, HOUR + 5 * MINUTE, 1100.0),
    ]
    assert rows_of(file, "dvol") == [(HOUR, HOUR + 1_000_000, 55.5)]
    (bad,) = file.quarantine.to_pylist()
    assert (bad["line"], bad["reason"][:25]) == (6, "known_ts: before event_ts")
    assert set(file.table.column("source").to_pylist()) == {"demo"}


def test_a_long_table_without_known_times_gets_the_slowest_delay(tmp_path: Path) -> None:
    """Five minutes, or the delay that is asked for."""
    path = written(tmp_path, "long.csv", "kind,event_ts,value\ndvol,2024-03-01T00:00:00Z,50\n")
    assert rows_of(read_context(path, symbol="X"), "dvol") == [(0, 5 * MINUTE, 50.0)]
    assert rows_of(read_context(path, symbol="X", delay_us=7), "dvol") == [(0, 7, 50.0)]


@pytest.mark.parametrize(
    ("text", "asked", "message"),
    [
        ("a,b\n1,2\n", None, r"line 1 \['a', 'b'\] names the columns of none of .*binance-funding"),
        ("ts,ratio\n", None, r"only column names"),
        ("ts,ratio\n1709251200000,2\n", "binance-funding", r"of none of \['binance-funding'\]"),
        ("ts,ratio\n1709251200000,2\n", "okx-funding", r"holds okx-long-short, expected 'okx-funding'"),
        ("ts,ratio\n1709251200000,2\n", "nonsense", r"format 'nonsense' is not known"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_refused(
    tmp_path: Path, text: str, asked: str | None, message: str
) -> None:
    """The message says what was found and what was expected."""
    with pytest.raises(InputError, match=message):
        read_context(written(tmp_path, "x.csv", text), symbol="X", format=asked)


def test_nothing_is_published_in_advance() -> None:
    """A negative publication delay is refused."""
    with pytest.raises(InputError, match="expected 0 or more"):
        read_context(FIXTURES / "context-long.csv", symbol="X", delay_us=-1)


def test_a_line_that_cannot_be_cut_is_quarantined_once(tmp_path: Path) -> None:
    """A line with a field too many counts as one value read and one rejected."""
    file = read_context(written(tmp_path, "x.csv", "ts,ratio\n1709251200000,2\n1709254800000,2,3\n"), symbol="X")
    assert (file.counts.read, file.counts.accepted, file.counts.quarantined) == (2, 1, 1)
    assert file.quarantine.column("line").to_pylist() == [3]
