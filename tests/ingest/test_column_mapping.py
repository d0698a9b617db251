"""Files whose columns the user names."""

from pathlib import Path

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from scalper_ml.errors import InputError
from scalper_ml.ingest import read_klines, read_ticks
from scalper_ml.ingest.base import ColumnMapping, Contract
from scalper_ml.schema import us

MS = 1_704_067_200_000
TAPE = {"when": [MS, MS + 5], "cost": [100.5, 100.25], "much": [0.25, 2.0], "who": ["A", "B"], "n": [11, 12]}
MAPPING = ColumnMapping(
    {"ts": "when", "price": "cost", "qty": "much", "side": "who", "id": "n"},
    words={"A": "buy", "B": "sell"},
    name="desk-spot-trades",
)
TWO = [(MS * 1000, 100.5, 0.25, 1, 11), (MS * 1000 + 5000, 100.25, 2.0, -1, 12)]


def write(folder: Path, kind: str, columns: dict[str, list[object]]) -> Path:
    path = folder / f"tape.{kind}"
    table = pa.table(columns)
    if kind == "csv":
        rows = [list(columns), *zip(*columns.values(), strict=True)]
        path.write_text("".join(",".join(map(str, row)) + "\n" for row in rows))
    elif kind == "feather":
        pa.feather.write_feather(table, path)
    else:
        pa.parquet.write_table(table, path)
    return path


def ticks_of(path: Path, mapping: ColumnMapping, **more: Contract) -> list[tuple[object, ...]]:
    file = read_ticks(path, symbol="X", columns=mapping, **more)
    assert file.counts.accepted == file.counts.read
    names = ("price", "qty", "side", "trade_id")
    ticks = file.ticks
    return list(zip(us(ticks["ts_us"]).tolist(), *(ticks[name].to_pylist() for name in names), strict=True))


@pytest.mark.parametrize("kind", ["csv", "feather", "parquet"])
def test_named_columns_play_their_roles_in_every_kind_of_file(kind: str, tmp_path: Path) -> None:
    """Columns of any name are read by the mapping, with the venue's own words for the sides and its name as source."""
    path = write(tmp_path, kind, TAPE)
    assert ticks_of(path, MAPPING) == TWO
    file = read_ticks(path, symbol="X", columns=MAPPING)
    assert (file.format, file.ticks["source"].unique().to_pylist()) == ("desk-spot-trades", ["desk-spot-trades"])


SIDES = {
    "side": ["buy", "sell"],
    "maker_side": ["sell", "buy"],
    "maker": [False, True],
    "taker": [True, False],
}


@pytest.mark.parametrize("role", SIDES)
@pytest.mark.parametrize("kind", ["csv", "feather"])
def test_every_way_to_say_the_aggressor(role: str, kind: str, tmp_path: Path) -> None:
    """The aggressor's side, the resting order's side, and either flag say the same two trades."""
    path = write(tmp_path, kind, TAPE | {"who": SIDES[role]})
    mapping = ColumnMapping({"ts": "when", "price": "cost", "qty": "much", role: "who", "id": "n"})
    assert ticks_of(path, mapping) == TWO


def test_words_of_a_resting_order_and_words_unknown(tmp_path: Path) -> None:
    """Own words may be those of the resting order; a word that nothing explains is quarantined."""
    path = write(tmp_path, "csv", TAPE | {"who": ["B", "A"]})
    columns = {"ts": "when", "price": "cost", "qty": "much", "maker_side": "who", "id": "n"}
    assert ticks_of(path, ColumnMapping(columns, words=MAPPING.words)) == TWO
    file = read_ticks(path, symbol="X", columns=ColumnMapping(columns, words={"A": "buy"}))
    assert (file.counts.accepted, file.quarantine["reason"].to_pylist()) == (1, ["side: neither buy nor sell"])


def test_positions_for_files_without_a_header(tmp_path: Path) -> None:
    """Positions count from 0, a signed quantity brings the side, and contracts become base units."""
    path = tmp_path / "tape.csv"
    path.write_text(f"100.5,x,{MS},25\n100.25,y,{MS + 5},-200\n")
    mapping = ColumnMapping({"price": 0, "ts": 2, "signed_qty": 3})
    assert ticks_of(path, mapping, contract=Contract(0.01)) == [(*row[:4], None) for row in TWO]


def test_klines_by_mapping(tmp_path: Path) -> None:
    """Klines in any order of columns are bars; a linear contract turns their volume to base units."""
    path = tmp_path / "bars.csv"
    path.write_text(f"t0,first,last,top,bottom,lots\n{MS},10,11,12,9,8\n{MS + 60_000},11,11,11,11,2\n")
    columns = {"ts": "t0", "open": "first", "close": "last", "high": "top", "low": "bottom", "volume": "lots"}
    bars = read_klines(path, columns=ColumnMapping(columns), contract=Contract(0.5)).bars
    assert [bars[name][0].as_py() for name in ("open", "high", "low", "close", "volume")] == [10, 12, 9, 11, 4]


FAULTS = {
    "unknown-role": ({"ts": "when", "cost": "cost"}, {}, r"roles \['cost'\]; expected some of \['ts', 'price'"),
    "no-side": ({"ts": "when", "price": "cost", "qty": "much"}, {}, "exactly one column each for .*maker_side"),
    "no-qty": ({"ts": "when", "price": "cost", "side": "who"}, {}, "qty or signed_qty"),
    "two-sides": (
        {"ts": "when", "price": "cost", "qty": "much", "side": "who", "maker": "n"}, {}, "one of signed_qty, side",
    ),
    "no-such-column": (
        {"ts": "when", "price": "px", "qty": "much", "side": "who"}, {}, r"has no column \['px'\]; found \['when'",
    ),
    "no-such-position": (
        {"ts": "when", "price": 7, "qty": "much", "side": "who"}, {}, r"found positions \[7\] .* expected 0 to",
    ),
    "two-roles": ({"ts": "when", "price": "much", "qty": "much", "side": "who"}, {}, r"columns \['much'\] two roles"),
    "idle-words": ({"ts": "when", "price": "cost", "signed_qty": "much"}, {"A": "buy"}, "has words .* expected a side"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_mapping_that_does_not_fit_is_an_error_that_says_how(fault: str, tmp_path: Path) -> None:
    """Unknown, missing, double and idle roles and columns that are not there are InputErrors with both sides."""
    columns, words, message = FAULTS[fault]
    with pytest.raises(InputError, match=message) as caught:
        read_ticks(write(tmp_path, "csv", TAPE), symbol="X", columns=ColumnMapping(columns, words=words))
    assert "tape.csv" in str(caught.value)


def test_a_mapping_and_a_format_exclude_each_other(tmp_path: Path) -> None:
    """Who names the columns cannot name a format too."""
    with pytest.raises(InputError, match="both format 'csv' and a column mapping; expected one of them"):
        read_ticks(write(tmp_path, "csv", TAPE), symbol="X", format="csv", columns=MAPPING)
