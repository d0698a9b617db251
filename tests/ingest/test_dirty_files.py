"""Files that are damaged, exported carelessly or hostile end in an `InputError` or in quarantine, never in a crash."""

import contextlib
import dataclasses
import gzip
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from scalper_ml.durable import canonical_json
from scalper_ml.errors import InputError
from scalper_ml.ingest import TickFile, find_sources, read_klines, read_ticks
from scalper_ml.ingest.hashes import FileHashes
from scalper_ml.ingest.names import is_source
from scalper_ml.quality.fold import day_facts
from scalper_ml.remote import list_location

MS = 1_704_067_200_000
ID = "trade_id: not a whole number from 0 to below 2^63"
TS = "ts: not a stamp of the years 2000 to 2099 in s, ms, us, ns or ISO 8601"
WILD = {"price": "price: not a number from 10^-18 to below 10^15", "qty": "qty: not a number below 10^15"}


def parquet(path: Path, **columns: Any) -> Path:
    """A Parquet file of three plain trades, with some columns replaced or added."""
    plain = {"ts": [MS, MS + 1, MS + 2], "price": [1.0, 2.0, 3.0], "qty": [1.0] * 3, "side": ["buy", "sell", "buy"]}
    pyarrow.parquet.write_table(pa.table({**plain, **columns}), path)
    return path


def rejected(file: TickFile) -> list[tuple[int, str]]:
    """Line and reason of each row in quarantine."""
    return list(zip(file.quarantine["line"].to_pylist(), file.quarantine["reason"].to_pylist(), strict=True))


@pytest.mark.parametrize(
    ("ids", "kept", "bad"),
    [
        (pa.array([7.0, np.nan, 9.0]), [7, None, 9], []),
        (pa.array([7.0, None, 9.0], pa.float32()), [7, None, 9], []),
        (pa.array([7.0, 8.5, 9.0]), [7, 9], [2]),
        (pa.array([7.0, np.inf, -1.0]), [7], [2, 3]),
        (pa.array([7.0, 2.0**53, 1e300]), [7], [2, 3]),
        (pa.array([7, 2**63, 2**64 - 1], pa.uint64()), [7], [2, 3]),
        (pa.array([7, None, 2**63 - 1], pa.uint64()), [7, None, 2**63 - 1], []),
        (pa.array([7, 8, 9], pa.decimal128(38, 0)), [7, 8, 9], []),
        (pa.array([b"7", b"8", b"x"]), [7, 8], [3]),
    ],
)
def test_ids_of_any_type_are_read_or_rejected(tmp_path: Path, ids: pa.Array, kept: list[int], bad: list[int]) -> None:
    """An id that is whole and exact is kept, an empty one is none, and any other sends its row to quarantine."""
    file = read_ticks(parquet(tmp_path / "X.parquet", id=ids), symbol="X")
    assert file.ticks["trade_id"].to_pylist() == kept
    assert rejected(file) == [(line, ID) for line in bad]


@pytest.mark.parametrize(
    ("stamps", "bad"),
    [
        (pa.array([MS, 2**63, 2**64 - 1], pa.uint64()), [2, 3]),
        (pa.array([MS, None, -(2**62)]), [2, 3]),
        (pa.array([MS / 1000, np.nan, np.inf]), [2, 3]),
        (pa.array([MS, 2**62, -(2**62)], pa.timestamp("ms")), [2, 3]),
        # seconds that wrap around to 2024 when they are counted in 64 bits of microseconds
        (pa.array([MS // 1000, 2**58 + MS // 1000, None], pa.timestamp("s", "UTC")), [2, 3]),
        (pa.array([MS * 1000, 2**62, 2**63 - 1], pa.timestamp("us", "UTC")), [2, 3]),
        (pa.array([MS * 1000, 2**62, 0], pa.timestamp("us", "Nowhere/None")), [2, 3]),
        (pa.array([MS * 10**6 + 123, -(2**62), 0], pa.timestamp("ns")), [2, 3]),
        (pa.array([0, 1, MS // 86_400_000], pa.date32()), [1, 2, 3]),
    ],
)
def test_stamps_of_any_type_are_read_or_rejected(tmp_path: Path, stamps: pa.Array, bad: list[int]) -> None:
    """A stamp that 64 bits of microseconds cannot hold sends its row to quarantine, in whatever type it stands."""
    pyarrow.feather.write_feather(
        pa.table({"ts": stamps, "price": [1.0] * 3, "qty": [1.0] * 3, "side": ["buy"] * 3}),
        path := tmp_path / "X.feather",
    )
    file = read_ticks(path, symbol="X")
    assert file.ticks["ts_us"].cast(pa.int64()).to_pylist() == [MS * 1000] * (3 - len(bad))
    assert rejected(file) == [(line, TS) for line in bad]


def test_numbers_beyond_doubles_are_rounded(tmp_path: Path) -> None:
    """An integer or decimal column of prices is read as the nearest doubles, as the same digits in text are."""
    price = pa.array([2**49 + 1, 3, None], pa.uint64())
    qty = pa.array([1, 2, 3], pa.decimal128(30, 2))
    file = read_ticks(parquet(tmp_path / "X.parquet", price=price, qty=qty), symbol="X")
    assert file.ticks["price"].to_pylist() == [2.0**49 + 1, 3.0]
    assert file.ticks["qty"].to_pylist() == [1.0, 2.0]
    assert rejected(file) == [(3, "price: not a number")]
    huge = pa.array([2**53 + 1, 2**64 - 1, 5], pa.uint64())
    absurd = read_ticks(parquet(tmp_path / "Y.parquet", price=huge), symbol="X")
    assert rejected(absurd) == [(1, WILD["price"]), (2, WILD["price"])]


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("price", pa.array([[1.0], [2.0], [3.0]])),
        ("id", pa.array([{"a": 1}, {"a": 2}, {"a": 3}])),
        ("ts", pa.array([[MS], [MS], [MS]], pa.list_(pa.int64(), 1))),
        ("side", pa.array([["buy"], ["buy"], ["sell"]])),
        ("side", pa.array([b"\xff", b"buy", b"sell"])),
        (
            "price",
            pa.StringArray.from_buffers(3, pa.array([0, 1, 2, 3], pa.int32()).buffers()[1], pa.py_buffer(b"1\xff3")),
        ),
    ],
)
def test_a_column_that_holds_no_values_is_named(tmp_path: Path, name: str, column: pa.Array) -> None:
    """Lists, structs and bytes that are no text are refused, with the file and the column."""
    with pytest.raises(InputError, match=rf"X\.parquet: column '{name}', .*expected numbers, text or stamps"):
        read_ticks(parquet(tmp_path / "X.parquet", **{name: column}), symbol="X")


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        "[" * 200_000 + "]" * 200_000,
        '{"a":' * 200_000 + "1" + "}" * 200_000,
        '[{"ts": 1, "price": ' + "9" * 5000 + "}]",
        '[{"ts": "\\ud800", "price": 1}]',
        '[{"ts": 1, "price"',
    ],
)
def test_hostile_json_is_an_input_error(tmp_path: Path, text: str) -> None:
    """JSON nested beyond reason, numbers of thousands of digits and halves of letters are refused by name."""
    path = tmp_path / "X.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"X\.json: .*expected"):
        read_ticks(path, symbol="X")


@pytest.mark.parametrize("depth", [700, 900, 960, 990])
def test_json_nested_as_deep_as_can_be_read_is_no_crash(tmp_path: Path, depth: int) -> None:
    """An entry that is just not too deep for the parser is a rejected row or an error, wherever it is looked at."""
    plain = json.dumps([{"ts": MS, "price": 1, "qty": 1, "side": "buy"}])[1:-1]
    path = tmp_path / "X.json"
    path.write_text(f"[{plain}, {'[' * depth + ']' * depth}]")
    with contextlib.suppress(InputError):
        assert rejected(read_ticks(path, symbol="X")) == [(2, "not a record")]


_LIMITS = [
    ("1e308", False),
    ("1e15", False),
    ("9007199254740991", False),
    ("1000000000000000", False),
    ("1000000000000000.0", False),
    ("999999999999999", True),
    ("999999999999999.5", True),
    ("0.000000000000000001", True),
    (".000000000000000001", True),
]


@pytest.mark.parametrize(("value", "kept"), _LIMITS)
@pytest.mark.parametrize("name", ["price", "qty"])
@pytest.mark.parametrize("rows", [1, 40])  # among few others the careful parser reads all, among many the fast one
def test_absurd_prices_and_quantities_are_rejected(
    tmp_path: Path, name: str, value: str, kept: bool, rows: int
) -> None:
    """A price or quantity of 10^15 or more goes to quarantine and says so, whichever parser reads it."""
    odd = {"price": "2", "qty": "3", name: value}
    path = tmp_path / "X.csv"
    lines = ["ts,price,qty,side", f"{MS},{odd['price']},{odd['qty']},buy", *[f"{MS + 1},2,3,sell"] * rows]
    path.write_text("\n".join(lines) + "\n")
    assert rejected(read_ticks(path, symbol="X")) == ([] if kept else [(2, WILD[name])])


def test_facts_of_a_day_of_extremes_are_finite(tmp_path: Path) -> None:
    """Whatever trades are kept, the facts of their day can be written down: no NaN, no infinity."""
    extremes = ["1e308", "999999999999999", "1e-18", "1", "5e-324", "2"]
    path = tmp_path / "X.csv"
    rows = [f"{MS + 700 * i},{extremes[i % 6]},{extremes[i // 6 % 6]},{'buy' if i % 5 else 'sell'}" for i in range(216)]
    path.write_text("ts,price,qty,side\n" + "\n".join(rows) + "\n")
    file = read_ticks(path, symbol="X")
    assert (len(file.ticks), len(file.quarantine)) == (120, 96)
    facts = day_facts(file.ticks)
    assert facts.flow.n > 10
    assert canonical_json(dataclasses.asdict(facts))


@pytest.mark.parametrize(
    "memory",
    ["[]", "7", '"x"', "{", "[" * 200_000, '{"NAME": []}', '{"NAME": null}', '{"NAME": [3, 10, "x"]}',
     '{"NAME": {"0": 1}}', '{"NAME": [3, 10, 10, 10, 10]}', '{"NAME": [3, 10, 10, 10, "short"]}'],
)  # fmt: skip
def test_a_damaged_memory_of_hashes_is_forgotten(tmp_path: Path, memory: str) -> None:
    """Whatever JSON or rubbish stands where hashes are remembered, files are hashed and the memory is whole again."""
    path, kept = tmp_path / "X.csv", tmp_path / "X.json"
    path.write_text("one")
    os.utime(path, ns=(10, 10))
    kept.write_text(memory.replace("NAME", str(path.resolve())))
    (found,) = FileHashes(kept).of([path])
    assert found.sha256 == hashlib.sha256(b"one").hexdigest()
    assert found.sha256 in kept.read_text()


@pytest.mark.parametrize("swap", ["rename", "write"])
def test_a_replacement_of_equal_size_and_time_is_noticed(tmp_path: Path, swap: str) -> None:
    """A file put in place with the size and time of the old one, as ``cp -p`` and ``tar`` do, is hashed again."""
    path, other, memory = tmp_path / "X.csv", tmp_path / "new", tmp_path / "X.json"
    path.write_text("one")
    os.utime(path, ns=(10, 10))
    (first,) = FileHashes(memory).of([path])
    (other if swap == "rename" else path).write_text("two")
    os.utime(other if swap == "rename" else path, ns=(10, 10))
    if swap == "rename":
        other.replace(path)
    assert not first.unchanged()
    (second,) = FileHashes(memory).of([path])
    assert (second.size, second.modified_ns) == (first.size, first.modified_ns)
    assert second.sha256 == hashlib.sha256(b"two").hexdigest()


@pytest.mark.parametrize(
    ("name", "mine"),
    [
        ("BTCUSDT_240628-trades-2024-01-02.csv", False),
        ("BTCUSDT_240628.csv", False),
        ("BTCUSDT_240628_trades.zip", False),
        ("BTCUSDT-trades-2024-01-02.csv", True),
        ("BTCUSDT_synthetic.csv", True),
        ("BTCUSDT_2024-01-01.csv", True),
        ("BTCUSDT_20240101.csv", True),
        ("BTCUSDT_202401.csv", True),  # no day: there is no month 24
        ("BTCUSDT-240628.csv", True),
        ("BTCUSDT_240628a.csv", True),
    ],
)
def test_a_delivery_contract_is_another_instrument(tmp_path: Path, name: str, mine: bool) -> None:
    """Six digits of a day behind an underscore name a delivery contract, whose files are not the perpetual's."""
    (tmp_path / name).touch()
    assert bool(find_sources(tmp_path, "BTCUSDT")) == mine
    assert is_source(name, "BTCUSDT") == mine
    assert is_source(name, "BTCUSDT_240628") == name.startswith(
        ("BTCUSDT_240628-", "BTCUSDT_240628.", "BTCUSDT_240628_")
    )


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("BTCUSDT2024-01-01.csv.gz", "BTCUSDT"),  # Bybit, contracts
        ("BTCUSDT_2024-01-01.csv.gz", "BTCUSDT"),  # Bybit, spot
        ("BTC-USDT-trades-2024-01-01.zip", "BTCUSDT"),  # OKX
        ("BTC-USDT-aggtrades-2024-01-01.zip", "BTCUSDT"),
        ("BTC-USDT-SWAP-trades-2024-01-01.zip", "BTCUSDTSWAP"),
        ("BTC-USD-240329-trades-2024-01-01.zip", "BTCUSD240329"),
        ("BTC-USDT-240329-aggtrades-2024-01-01.zip", "BTCUSDT240329"),
        ("binance_trades_2024-01-01_BTCUSDT.csv.gz", "BTCUSDT"),  # Tardis
        ("okex-swap_trades_2024-01-01_BTC-USDT-SWAP.csv.gz", "BTCUSDTSWAP"),
        ("XBTUSDT.csv", "BTCUSDT"),  # Kraken
        ("XBTUSDT_1.csv", "BTCUSDT"),
        ("XDGUSD.csv", "DOGEUSD"),
        ("BTC_USDT-trades.feather", "BTCUSDT"),  # freqtrade
        ("btcusdt_20240808.gz", "BTCUSDT"),  # a collector's capture
        ("BTCUSDT-capture.jsonl.zst", "BTCUSDT"),
        ("binance_quotes_2024-01-01_BTCUSDT.csv.gz", None),
        ("binance_trades_2024-01-01_BTCUSDTPERP.csv.gz", None),
        ("allswap-trades-2024-01-01.zip", None),
        ("BTCUSDT20240101.csv.gz", None),
        ("btcusdt.csv", None),
        ("1000BTCUSDT2024-01-01.csv.gz", None),
    ],
)
def test_venues_name_files_in_their_own_ways(tmp_path: Path, name: str, symbol: str | None) -> None:
    """A file named as a venue documents it is found for its symbol, and for no other."""
    (tmp_path / name).touch()
    symbols = ("BTCUSDT", "BTCUSD", "BTCUSDTSWAP", "BTCUSD240329", "BTCUSDT240329", "DOGEUSD", "ETHUSDT", "USDT")
    assert [each for each in symbols if find_sources(tmp_path, each)] == ([] if symbol is None else [symbol])


_TABLE = "ts,price,qty,side\n" + "".join(f"{1_704_067_200_000 + i},100.5,1,buy\n" for i in range(9))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (_TABLE.encode("utf-16"), "the text is UTF-16; expected UTF-8 - write it anew, such as with `iconv -f UTF-16"),
        (_TABLE.encode("utf-32"), "the text is UTF-32; expected UTF-8"),
        (_TABLE.encode("utf-16-le"), "UTF-16 or UTF-32 without a mark"),
        (_TABLE.encode("utf-16-be"), "UTF-16 or UTF-32 without a mark"),
        (_TABLE.replace(",", ";").encode(), "line 1 has 4 fields parted by semicolons; expected commas"),
        (b"1704067200000;100,5;1,25;buy\n", "line 1 has 4 fields parted by semicolons; expected commas"),
        (_TABLE.replace(",", "\t").encode(), "line 1 has 4 fields parted by tabs; expected commas"),
        (_TABLE.replace(",", "|").encode(), "line 1 has 4 fields parted by bars (|); expected commas"),
        (_TABLE.replace(",", " ").encode(), "line 1 has 4 fields parted by spaces; expected commas"),
        (
            _TABLE.replace("price", '"price, USD"').encode(),
            'a comma inside a quoted field, "price, USD"; expected plain',
        ),
    ],
)
@pytest.mark.parametrize("packing", ["plain", "gz"])
def test_a_text_of_another_kind_is_named(tmp_path: Path, data: bytes, said: str, packing: str) -> None:
    """Another encoding or delimiter, or a comma in a column's name, is an error that says so, for trades and klines."""
    path = tmp_path / "a.csv"
    path.write_bytes(gzip.compress(data) if packing == "gz" else data)
    for read in (lambda: read_ticks(path, symbol="BTCUSDT"), lambda: read_klines(path)):
        with pytest.raises(InputError) as caught:
            read()
        assert str(caught.value).startswith(f"{path}: ")
        assert said in str(caught.value)


def text_ids(tmp_path: Path, *ids: str) -> list[int | None]:
    """Ids of trades that are read from text, one a millisecond, with a row that is none at the end."""
    rows = [f"{MS + place},1,1,buy,{one}\n" for place, one in enumerate(ids)]
    (path := tmp_path / "X.csv").write_text("ts,price,qty,side,id\n" + "".join(rows) + "torn\n")
    file = read_ticks(path, symbol="X")
    assert file.counts.read == len(ids) + 1
    return list(file.ticks["trade_id"].to_pylist())


def test_ids_of_nineteen_digits_do_not_depend_on_other_rows(tmp_path: Path) -> None:
    """An id below 2^63 is one, whether or not a row of its file is damaged; a larger one goes to quarantine."""
    ids = [2_290_000_000_061_666_320 + place for place in range(9)]
    assert text_ids(tmp_path, *map(str, ids), str(2**63 - 1), str(2**63)) == [*ids, 2**63 - 1]


def test_ids_that_a_table_wrote_as_fractions_are_ids(tmp_path: Path) -> None:
    """``5.0`` is the id 5, as it is in a column of doubles; above 2^53 such a spelling may be another number."""
    assert text_ids(tmp_path, "5.0", "6.", "7", "8.5", "9007199254740992.0", "+9", "-9") == [5, 6, 7]


@pytest.mark.parametrize("first", ["# dump\n", "100,1.5,1,1.5,1704067200000,True\n", "\x00\n"])
def test_the_first_row_of_a_file_without_a_header_may_be_damaged(tmp_path: Path, first: str) -> None:
    """It goes to quarantine, and the rows after it are trades."""
    rows = "".join(f"{100 + place},1.5,1,1.5,{MS + place},True,True\n" for place in range(3))
    (path := tmp_path / "BTCUSDT-trades-2024-01-01.csv").write_text(first + rows)
    file = read_ticks(path, symbol="BTCUSDT")
    assert (file.counts.read, file.ticks["trade_id"].to_pylist()) == (4, [100, 101, 102])
    assert [line for line, _ in rejected(file)] == [1]


def test_json_of_another_encoding_is_refused(tmp_path: Path) -> None:
    """A byte that is no UTF-8 names the file."""
    (path := tmp_path / "X.json").write_bytes(b'[{"ts":1704067200000,"price":1,"qty":1,"side":"buy","note":"caf\xe9"}]')
    with pytest.raises(InputError, match=r"X\.json: truncated or damaged"):
        read_ticks(path, symbol="X")


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """A file whose name is not UTF-8 is named with its bytes; one of another symbol does no harm."""
    (tmp_path / os.fsdecode(b"ETHUSDT-\xff.csv")).write_bytes(b"x")
    assert list_location(str(tmp_path), "BTCUSDT") == []
    (tmp_path / os.fsdecode(b"BTCUSDT-\xff.csv")).write_bytes(b"x")
    with pytest.raises(InputError, match=r"BTCUSDT-\\udcff\.csv: a name that is not UTF-8"):
        list_location(str(tmp_path), "BTCUSDT")
