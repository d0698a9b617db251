"""Files of trades: every layout, every kind of bad row, and counts that always add up."""

import gzip
import json
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalper_ml.errors import InputError
from scalper_ml.ingest import TickFile, read_ticks
from scalper_ml.ingest.records import parquet_parts
from scalper_ml.schema import QUARANTINE, TICKS, us

MS = 1_704_067_200_000
HEADER = "ts,price,qty,side,id\n"


def write(folder: Path, text: str, name: str = "BTCUSDT.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def read(folder: Path, text: str, name: str = "BTCUSDT.csv") -> TickFile:
    return read_ticks(write(folder, text, name), symbol="BTCUSDT")


def columns(file: TickFile) -> list[tuple[int, float, float, int, int | None]]:
    ticks = file.ticks
    names = ("price", "qty", "side", "trade_id")
    return list(zip(us(ticks["ts_us"]).tolist(), *(ticks[name].to_pylist() for name in names), strict=True))


def add_up(file: TickFile) -> bool:
    counts = file.counts
    assert file.ticks.num_rows == counts.accepted
    assert file.quarantine.num_rows == counts.quarantined
    assert file.ticks.schema.equals(TICKS)
    assert file.quarantine.schema.equals(QUARANTINE)
    return counts.accepted + counts.duplicate + counts.quarantined == counts.read


TWO = [(MS * 1000, 100.5, 0.25, 1, 11), (MS * 1000 + 5000, 100.25, 2.0, -1, 12)]
LAYOUTS = {
    "csv-own": (f"ts,price,qty,side,id\n{MS},100.5,0.25,buy,11\n{MS + 5},100.25,2,sell,12\n", "csv"),
    "csv-crlf-quoted-bom": (
        f'\ufeff"Timestamp","Price","Amount","Side","trade_id"\r\n"{MS}","100.5","0.25","BUY","11"\r\n'
        f'"{MS + 5}","100.25","2","SELL","12"\r\n',
        "csv",
    ),
    "csv-maker-flag": (f"T,p,q,m,a\n{MS},100.5,0.25,false,11\n{MS + 5},100.25,2,true,12", "csv"),
    "csv-letters-iso": (
        "id,time,s,size,px,symbol\n11,2024-01-01T00:00:00Z,b,0.25,100.5,BTC-USDT\n"
        "12,2024-01-01T00:00:00.005Z,s,2,100.25,BTC-USDT\n",
        "csv",
    ),
    "csv-numbers-fractions": (
        f"tradeId,timestamp,volume,price,direction\n11,{MS // 1000}.000,0.25,100.5,1\n"
        f"12,{MS // 1000}.005,2,100.25,-1\n",
        "csv",
    ),
    "spot-trades": (
        f"11,100.5,0.25,25.1,{MS},False,True\n12,100.25,2,200.5,{MS + 5},True,True\n", "binance-spot-trades"
    ),
    "spot-trades-us": (
        f"11,100.5,0.25,25.1,{MS}000,False,True\n12,100.25,2,200.5,{MS + 5}000,True,True\n", "binance-spot-trades"
    ),
    "spot-aggtrades": (
        f"11,100.5,0.25,1,1,{MS},False,True\n12,100.25,2,2,2,{MS + 5},True,True\n", "binance-spot-aggtrades"
    ),
    "usdm-trades-header": (
        f"id,price,qty,quote_qty,time,is_buyer_maker\n11,100.5,0.25,25.1,{MS},false\n12,100.25,2,200.5,{MS + 5},true\n",
        "binance-usdm-trades",
    ),
    "usdm-trades": (f"11,100.5,0.25,25.1,{MS},false\n12,100.25,2,200.5,{MS + 5},true\n", "binance-usdm-trades"),
    "usdm-aggtrades-header": (
        "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n"
        f"11,100.5,0.25,1,1,{MS},false\n12,100.25,2,2,2,{MS + 5},true\n",
        "binance-usdm-aggtrades",
    ),
    "usdm-aggtrades": (f"11,100.5,0.25,1,1,{MS},false\n12,100.25,2,2,2,{MS + 5},true\n", "binance-usdm-aggtrades"),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("packing", ["plain", "gz", "zip"])
def test_one_tape_in_every_layout(layout: str, packing: str, tmp_path: Path) -> None:
    """The same two trades come out of every layout and packing; a buyer who was the maker means the taker sold."""
    text, format = LAYOUTS[layout]
    path = tmp_path / f"BTCUSDT.csv{'' if packing == 'plain' else '.' + packing}"
    if packing == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("BTCUSDT-trades.csv", text)
    else:
        path.write_bytes(gzip.compress(text.encode()) if packing == "gz" else text.encode())
    file = read_ticks(path, symbol="BTCUSDT")
    assert columns(file) == TWO
    assert (file.format, file.ticks["source"].unique().to_pylist()) == (format, [format])
    assert add_up(file)


def test_one_tape_as_tables_and_records(tmp_path: Path) -> None:
    """The same two trades come out of Feather, Parquet, CCXT JSON and the exchange's own JSON."""
    table = pa.table({
        "timestamp": [MS, MS + 5], "id": ["11", "12"], "type": pa.nulls(2), "side": ["buy", "sell"],
        "price": [100.5, 100.25], "amount": [0.25, 2.0], "cost": [1.0, 1.0],
    })  # fmt: skip
    pa.feather.write_feather(table, tmp_path / "BTCUSDT.feather")
    pa.parquet.write_table(table, tmp_path / "BTCUSDT.parquet")
    ccxt = [
        {"info": {"a": 1}, "timestamp": MS, "symbol": "BTC/USDT", "id": "11", "takerOrMaker": None, "side": "buy",
         "price": 100.5, "amount": 0.25},
        {"info": {}, "timestamp": MS + 5, "symbol": "BTC/USDT", "id": "12", "takerOrMaker": None, "side": "sell",
         "price": 100.25, "amount": 2.0},
    ]  # fmt: skip
    (tmp_path / "BTCUSDT.json").write_text(json.dumps(ccxt))
    raw = [
        {"a": 11, "p": "100.5", "q": "0.25", "T": MS, "m": False},
        {"a": 12, "p": "100.25", "q": "2", "T": MS + 5, "m": True},
    ]
    (tmp_path / "BTCUSDT-agg.json.gz").write_bytes(gzip.compress(json.dumps(raw).encode()))
    formats = {}
    for path in sorted(tmp_path.iterdir()):
        file = read_ticks(path, symbol="BTCUSDT")
        assert columns(file) == TWO
        assert add_up(file)
        formats[path.name] = file.format
    assert formats == {
        "BTCUSDT-agg.json.gz": "csv", "BTCUSDT.feather": "freqtrade-trades", "BTCUSDT.json": "ccxt-trades",
        "BTCUSDT.parquet": "freqtrade-trades",
    }  # fmt: skip


def test_milliseconds_and_microseconds_in_one_file(tmp_path: Path) -> None:
    """A file that switches from milliseconds to microseconds is read row by row and sorted in true time."""
    file = read(tmp_path, HEADER + f"{MS + 10}000,1,1,buy,3\n{MS},1,1,buy,1\n{MS}500,1,1,buy,2\n")
    assert [row[0] - MS * 1000 for row in columns(file)] == [0, 500, 10_000]
    assert [row[4] for row in columns(file)] == [1, 2, 3]


BAD_ROWS = [
    (f"{MS},nan,1,buy,1", "price: not positive and finite"),
    (f"{MS},-5,1,buy,1", "price: not positive and finite"),
    (f"{MS},0,1,buy,1", "price: not positive and finite"),
    (f"{MS},inf,1,buy,1", "price: not positive and finite"),
    (f"{MS},abc,1,buy,1", "price: not a number"),
    (f"{MS},,1,buy,1", "price: not a number"),
    (f"{MS},1,0,buy,1", "qty: not positive and finite"),
    (f"{MS},1,-1,buy,1", "qty: not positive and finite"),
    (f"{MS},1,1e,buy,1", "qty: not a number"),
    (f"{MS},1,1,hold,1", "side: neither buy nor sell"),
    (f"{MS},1,1,,1", "side: neither buy nor sell"),
    (f"{MS},1,1,buy,x", "trade_id: not a whole number"),
    ("yesterday,1,1,buy,1", "ts: not a stamp"),
    ("5,1,1,buy,1", "ts: not a stamp"),
    (f"{MS},1,1,buy", "columns: found 4, expected 5"),
    (f"{MS},1,1,buy,1,9", "columns: found 6, expected 5"),
    (f'{MS},"1,1,buy,1', "quotes or control characters"),
    (f"{MS},1\r,1,buy,1", "quotes or control characters"),
    ("garbage", "columns: found 1, expected 5"),
]


@pytest.mark.parametrize(("row", "reason"), BAD_ROWS)
def test_a_bad_row_is_quarantined_with_its_line_reason_and_text(row: str, reason: str, tmp_path: Path) -> None:
    """One bad row among good ones, after a blank line: its line, reason and raw text are kept, the others are read."""
    file = read(tmp_path, HEADER + f"{MS},1,1,buy,100\n\n{row}\n{MS + 1},2,2,sell,101\n")
    assert file.quarantine.num_rows == 1
    (found,) = file.quarantine.to_pylist()
    assert (found["file"], found["line"], found["raw"]) == ("BTCUSDT.csv", 4, row)
    assert found["reason"].startswith(reason)
    assert [row[4] for row in columns(file)] == [100, 101]
    assert file.counts.read == 3
    assert add_up(file)


def test_a_bad_first_row_does_not_hide_the_layout(tmp_path: Path) -> None:
    """A headerless dump whose first row is damaged is still read as what its other rows are."""
    file = read(tmp_path, f"11,oops,0.25,25.1,{MS},maybe,True\n12,100.25,2,200.5,{MS + 5},True,True\n")
    assert file.format == "binance-spot-trades"
    assert columns(file) == TWO[1:]
    assert file.quarantine["line"].to_pylist() == [1]


cells = st.one_of(
    st.sampled_from(["", "nan", "-1", "0", "1", "1e3", "buy", "sell", str(MS), "x", '"', "1.5", "\r", " 2 ", "1e999"]),
    st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=6),
)
good_rows = st.tuples(st.integers(MS, MS + 9), st.integers(1, 3), st.integers(1, 3), st.integers(1, 9)).map(
    lambda row: f"{row[0]},{row[1]},{row[2]},buy,{row[3]}"
)


@given(st.lists(st.one_of(good_rows, st.lists(cells, min_size=1, max_size=6).map(",".join)), min_size=1, max_size=12))
def test_counts_always_add_up(tmp_path_factory: pytest.TempPathFactory, rows: list[str]) -> None:
    """Whatever the rows hold, accepted + duplicate + quarantined is what was read: every row that is not blank."""
    text = HEADER + "\n".join([f"{MS},1,1,buy,7", *rows]) + "\n"
    file = read(tmp_path_factory.mktemp("rows"), text)
    assert add_up(file)
    assert file.counts.read == sum(bool(line.strip()) for line in text.split("\n")) - 1
    lines = text.split("\n")
    for found in file.quarantine.to_pylist():
        if "other values" not in found["reason"]:  # a contradiction is shown as it was understood
            assert lines[found["line"] - 1].rstrip("\r") == found["raw"]
    assert (np.diff(us(file.ticks["ts_us"])) >= 0).all()


@given(st.permutations(range(6)))
def test_order_in_the_file_does_not_matter(tmp_path_factory: pytest.TempPathFactory, order: list[int]) -> None:
    """Trades with ids come out the same whatever order the file has them in."""
    rows = [f"{MS + i // 2},{i + 1},1,buy,{i}" for i in range(6)]
    file = read(tmp_path_factory.mktemp("order"), HEADER + "\n".join(rows[i] for i in order))
    assert [row[4] for row in columns(file)] == list(range(6))


def test_equal_stamps_are_all_kept(tmp_path: Path) -> None:
    """Five trades of one millisecond are five trades, with ids or without."""
    with_ids = read(tmp_path, HEADER + "".join(f"{MS},1,1,buy,{i}\n" for i in range(5)))
    without = read(tmp_path, "ts,price,qty,side\n" + f"{MS},1,1,buy\n" * 5)
    assert with_ids.counts.accepted == without.counts.accepted == 5
    assert without.ticks["trade_id"].null_count == 5


def test_repeated_ids_are_duplicates_and_contradictions_are_quarantined(tmp_path: Path) -> None:
    """An id seen again is a duplicate if the trade is the same, and goes to quarantine if it is another."""
    file = read(tmp_path, HEADER + f"{MS},1,1,buy,7\n{MS + 1},1,1,buy,8\n{MS},1,1,buy,7\n{MS},2,1,buy,7\n")
    assert (file.counts.read, file.counts.accepted, file.counts.duplicate, file.counts.quarantined) == (4, 2, 1, 1)
    (found,) = file.quarantine.to_pylist()
    assert (found["line"], found["raw"]) == (5, f"{MS * 1000},2.0,1.0,1,7")
    assert "repeated with other values" in found["reason"]


def test_equal_rows_without_ids_are_dropped_only_when_asked(tmp_path: Path) -> None:
    """Without ids, three equal rows are three trades by default and one with duplicates="drop"."""
    path = write(tmp_path, "ts,price,qty,side\n" + f"{MS},1,1,buy\n" * 3 + f"{MS},1,1,sell\n")
    assert read_ticks(path, symbol="BTCUSDT").counts.accepted == 4
    dropped = read_ticks(path, symbol="BTCUSDT", duplicates="drop")
    assert (dropped.counts.accepted, dropped.counts.duplicate) == (2, 2)


def test_text_ids_are_no_ids(tmp_path: Path) -> None:
    """Where every id is text (a UUID), rows are read without ids."""
    file = read(tmp_path, HEADER + f"{MS},1,1,buy,0d9f-aa\n{MS},1,1,buy,1c8e-bb\n")
    assert file.ticks["trade_id"].null_count == file.counts.accepted == 2


def test_a_file_of_bad_rows_only_is_read_to_quarantine(tmp_path: Path) -> None:
    """A file without one acceptable row gives no ticks and every row in quarantine."""
    file = read(tmp_path, HEADER + "a,b,c,d,e\nf,g\n")
    assert (file.counts.accepted, file.counts.quarantined) == (0, 2)
    assert add_up(file)


FILE_FAULTS = {
    "empty": ("", "empty file"),
    "blank": ("\n\n  \n", "no rows"),
    "header-only": (HEADER, "only a header"),
    "no-side": (f"ts,price,qty\n{MS},1,1\n", r"no column for \['side'\].*found \['ts', 'price', 'qty'\].*buyer_maker"),
    "no-price": (f"ts,cost,qty,side\n{MS},1,1,buy\n", r"no column for \['price'\]"),
    "unknown-header": ("foo,bar,baz\n1,2,3\n", r"no column for \['ts', 'price', 'qty', 'side'\]"),
    "no-header": (f"{MS},1,1,buy\n", "is no header"),
    "other-symbol": (
        f"ts,price,qty,side,symbol\n{MS},1,1,buy,BTCUSDT\n{MS},1,1,buy,ETHUSDT\n",
        "line 3, column symbol: found 'ETHUSDT', expected 'BTCUSDT'",
    ),
    "half-json": ('[{"a": 1, "p": "2"', "no complete JSON array"),
    "json-of-numbers": ("[1, 2]", "no record"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FILE_FAULTS)
def test_a_file_that_is_no_tape_is_an_error_that_says_why(fault: str, tmp_path: Path) -> None:
    """A file that cannot be read as trades is an InputError naming the file, what was found and what was expected."""
    text, message = FILE_FAULTS[fault]
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path, text)
    assert "BTCUSDT.csv" in str(caught.value)
    assert "expected" in str(caught.value)


def test_missing_file_and_unknown_format_are_errors(tmp_path: Path) -> None:
    """A missing file and a format that does not exist, or is not this file's, are named."""
    with pytest.raises(InputError, match=r"none\.csv: cannot be read"):
        read_ticks(tmp_path / "none.csv", symbol="BTCUSDT")
    path = write(tmp_path, LAYOUTS["csv-own"][0])
    with pytest.raises(InputError, match=r"format 'nope' is not known; expected one of \['binance-spot-trades'"):
        read_ticks(path, symbol="BTCUSDT", format="nope")
    with pytest.raises(InputError, match="is not of format 'binance-spot-trades'"):
        read_ticks(path, symbol="BTCUSDT", format="binance-spot-trades")


def test_clean_and_damaged_paths_agree(tmp_path: Path) -> None:
    """The same rows read at once, or line by line because of one bad row, give the same ticks to the bit."""
    rng = np.random.default_rng(5)
    body = "".join(
        f"{MS + i // 3},{price!r},{qty!r},{'buy' if i % 2 else 'sell'},{i}\n"
        for i, (price, qty) in enumerate(zip(rng.random(500).tolist(), rng.random(500).tolist(), strict=True))
    )
    clean = read(tmp_path, HEADER + body)
    damaged = read(tmp_path, HEADER + body + "x,1,1,buy,9999\n")
    assert clean.counts.quarantined == 0
    assert damaged.counts.quarantined == 1
    assert clean.ticks.equals(damaged.ticks)


def test_a_parquet_file_is_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of any size give the rows, the rejected lines and the counts of one; none is larger than asked."""
    rows = 1_000
    price = [0.0 if i % 97 == 5 else 100.0 + i for i in range(rows)]
    table = pa.table(
        {
            "ts": [1_704_067_200_000 + i for i in range(rows)],
            "price": price,
            "qty": [1.0] * rows,
            "side": ["buy", "sell"] * (rows // 2),
            "id": list(range(rows)),
        }
    )
    path = tmp_path / "BTCUSDT.parquet"
    pa.parquet.write_table(table, path, row_group_size=300)
    whole = read_ticks(path, symbol="BTCUSDT")
    assert whole.quarantine["line"].to_pylist() == [i + 1 for i in range(rows) if price[i] == 0]
    assert (whole.counts.read, whole.counts.accepted) == (rows, rows - whole.quarantine.num_rows)
    for size in (1, 7, 256, 999):
        monkeypatch.setattr("scalper_ml.ingest.records._PART_ROWS", size)
        parts = list(parquet_parts(path))
        assert max(part.num_rows for part in parts) <= size
        again = read_ticks(path, symbol="BTCUSDT")
        assert again.ticks.equals(whole.ticks)
        assert again.quarantine.equals(whole.quarantine)
        assert (again.counts, again.sha256) == (whole.counts, whole.sha256)
