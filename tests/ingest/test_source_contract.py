"""What every source promises: known by its own bytes, its golden rows in any packing, errors that name the place."""

import gzip
import zipfile
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from sourcefixtures import FOLDER, SourceFixture, source_fixture, without_column

from scalper_ml.book.framing import is_capture
from scalper_ml.errors import InputError
from scalper_ml.ingest import KlineFile, TickFile, read_klines, read_ticks
from scalper_ml.ingest.archive import open_text
from scalper_ml.ingest.base import Adapter, Head, Layout
from scalper_ml.ingest.records import is_record_file, read_records, record_head
from scalper_ml.ingest.sniff import KLINE_ADAPTERS, TICK_ADAPTERS, kline_layout, text_head, tick_layout
from scalper_ml.schema import us

FORMATS = sorted(path.name for path in FOLDER.iterdir() if (path / "golden.json").exists())
TICKS = [name for name in FORMATS if any(fnmatchcase(name, known) for a in TICK_ADAPTERS for known in a.formats)]
KLINES = [name for name in FORMATS if name not in TICKS]
COLUMNED = [name for name in FORMATS if "-capture" not in name]  # a capture's lines are messages
NEEDED = ("ts", "price", "qty", "signed_qty", "side", "maker", "maker_side", "open", "high", "low", "close", "volume")


def put(folder: Path, fixture: SourceFixture, packing: str = "plain", data: bytes | None = None) -> Path:
    data = fixture.data if data is None else data
    path = folder / (fixture.name if packing == "plain" else f"{fixture.name}.{packing}")
    if packing == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(fixture.name, data)
    else:
        path.write_bytes(gzip.compress(data) if packing == "gz" else data)
    return path


def head_of(path: Path) -> Head:
    payload = open_text(path)
    if is_record_file(payload) and not is_capture(payload.data):
        return record_head(read_records(payload, path)[0], payload, 256)
    return text_head(payload.data, payload.name)


def read(path: Path, fixture: SourceFixture, format: str | None = None) -> TickFile | KlineFile:
    if fixture.format in TICKS:
        symbol = fixture.golden["symbol"]
        return read_ticks(path, symbol=symbol, format=format, contract=fixture.contract)
    return read_klines(path, format=format, contract=fixture.contract)


def rows_of(file: TickFile | KlineFile) -> list[list[object]]:
    if isinstance(file, TickFile):
        table, stamp, names = file.ticks, "ts_us", ("price", "qty", "side", "trade_id")
    else:
        table, stamp, names = file.bars, "open_ts_us", ("open", "high", "low", "close", "volume")
    columns = [us(table[stamp]).tolist(), *(table[name].to_pylist() for name in names)]
    return [list(row) for row in zip(*columns, strict=True)]


def told(path: Path, fixture: SourceFixture, format: str | None = None) -> Layout:
    layout = tick_layout if fixture.format in TICKS else kline_layout
    return layout(head_of(path), path, format, None, fixture.contract)


def test_every_format_has_a_fixture_and_every_fixture_a_format() -> None:
    """Each registered format has a folder with a file and its golden rows, and no folder is of an unknown format."""
    known = [name for adapter in (*TICK_ADAPTERS, *KLINE_ADAPTERS) for name in adapter.formats]
    assert [name for name in known if not any(fnmatchcase(found, name) for found in FORMATS)] == []
    assert [found for found in FORMATS if not any(fnmatchcase(found, name) for name in known)] == []
    assert len(known) == len(set(known))


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("packing", ["plain", "gz", "zip"])
def test_a_source_gives_its_golden_rows_in_any_packing(format: str, packing: str, tmp_path: Path) -> None:
    """A fixture is known as its own format and gives exactly its golden rows, every row accepted, packed or not."""
    fixture = source_fixture(format)
    file = read(put(tmp_path, fixture, packing), fixture)
    assert file.format == format
    assert rows_of(file) == fixture.golden["rows"]
    assert file.counts.read == file.counts.accepted == len(fixture.golden["rows"])
    if isinstance(file, KlineFile):
        assert file.interval_us == fixture.golden["interval_us"]
        for name in ("buy_volume", "quote_volume"):
            assert file.bars[name].to_pylist() == fixture.golden.get(name, [None] * file.bars.num_rows), name
    else:
        assert file.ticks["source"].unique().to_pylist() == [format]


@pytest.mark.parametrize("format", FORMATS)
def test_a_source_is_known_by_no_other_adapter(format: str, tmp_path: Path) -> None:
    """Whatever order adapters are asked in, one that is not the catch-all at the end claims the file: its own."""
    fixture = source_fixture(format)
    path = put(tmp_path, fixture)
    adapters = TICK_ADAPTERS if format in TICKS else KLINE_ADAPTERS
    own = next(adapter for adapter in adapters if any(fnmatchcase(format, name) for name in adapter.formats))
    claims = [adapter for adapter in adapters[:-1] if claimed(adapter, head_of(path), path)]
    assert claims == ([] if own is adapters[-1] else [own])


def claimed(adapter: Adapter, head: Head, path: Path) -> bool:
    try:
        return adapter.layout(head, path) is not None
    except InputError:
        return True  # an adapter that refuses a file has known it


@pytest.mark.parametrize("format", FORMATS)
def test_the_user_may_say_the_format(format: str, tmp_path: Path) -> None:
    """Saying a file's own format changes nothing; any other format is an error that names both sides."""
    fixture = source_fixture(format)
    path = put(tmp_path, fixture)
    assert rows_of(read(path, fixture, format)) == fixture.golden["rows"]
    pair = ("binance-spot-trades", "okx-spot-trades") if format in TICKS else ("lean-crypto-klines", "freqtrade-klines")
    other = pair[format == pair[0]]
    with pytest.raises(InputError, match=f"line 1 .* is not of format '{other}'; expected columns") as caught:
        read(path, fixture, other)
    assert fixture.name in str(caught.value)


@pytest.mark.parametrize("format", COLUMNED)
def test_a_missing_column_is_an_error_that_names_line_and_columns(format: str, tmp_path: Path) -> None:
    """Each needed column taken out of a file said to be of its format is an InputError that says where."""
    fixture = source_fixture(format)
    whole = put(tmp_path, fixture)
    layout = told(whole, fixture)
    needed = {role: at for role, at in layout.columns.items() if role in NEEDED}
    assert len(needed) >= 3
    for role, at in needed.items():
        path = put(tmp_path, fixture, data=without_column(fixture, at))
        with pytest.raises(InputError, match=r": line 1 .*expected") as caught:
            read(path, fixture, format)
        assert fixture.name in str(caught.value), role


def other_unit(stamp: bytes) -> bytes:
    """The same stamp in other units: seconds and their fractions, ms, us."""
    if b"." in stamp:
        return str(round(float(stamp) * 1e6)).encode()
    return stamp.removesuffix(b"000") if len(stamp) == 16 else stamp + b"000"


def has_numbers_for_stamps(format: str) -> bool:
    return not source_fixture(format).name.endswith((".json", ".feather", ".parquet")) and not format.startswith(
        ("lean", "coinbase")  # ms since midnight, ISO 8601
    )


@pytest.mark.parametrize("format", [name for name in COLUMNED if has_numbers_for_stamps(name)])
def test_units_of_stamps_are_told_row_by_row(format: str, tmp_path: Path) -> None:
    """The second row with its stamp in another unit than the first gives the same golden rows."""
    fixture = source_fixture(format)
    layout = told(put(tmp_path, fixture), fixture)
    lines = [line.split(b",") for line in fixture.data.splitlines()]
    second, at = lines[layout.has_header + 1], layout.columns["ts"]
    before, second[at] = second[at], other_unit(second[at])
    assert second[at] != before
    text = b"\n".join(b",".join(fields) for fields in lines) + b"\n"
    assert rows_of(read(put(tmp_path, fixture, data=text), fixture)) == fixture.golden["rows"]
