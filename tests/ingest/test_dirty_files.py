"""Files that are damaged, exported carelessly or hostile end in an `InputError` or in quarantine, never in a crash."""

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from scalper_ml.errors import InputError
from scalper_ml.ingest import TickFile, read_ticks

MS = 1_704_067_200_000
ID = "trade_id: not a whole number from 0 to 10^18"
TS = "ts: not a stamp of the years 2000 to 2099 in s, ms, us, ns or ISO 8601"


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
    assert len(read_ticks(parquet(tmp_path / "Y.parquet", price=huge), symbol="X").ticks) == 3


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
