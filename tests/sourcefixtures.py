"""Small hand-made files of every source, and the rows they hold: one folder a format under ``tests/fixtures``."""

import io
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet

from scalper_ml.ingest.base import Contract

FOLDER = Path(__file__).parent / "fixtures"
TYPES = {
    "int64": pa.int64(),
    "double": pa.float64(),
    "string": pa.string(),
    "null": pa.null(),
    "timestamp[ms, tz=UTC]": pa.timestamp("ms", "UTC"),
    "timestamp[ns, tz=UTC]": pa.timestamp("ns", "UTC"),
}


@dataclass(frozen=True)
class SourceFixture:
    """The file of one format: its name, its bytes, and what must come out of it."""

    format: str
    name: str
    data: bytes
    golden: dict[str, Any]

    @property
    def contract(self) -> Contract | None:
        return Contract(**self.golden["contract"]) if "contract" in self.golden else None

    @property
    def is_table(self) -> bool:
        return self.name.endswith((".feather", ".parquet"))


@cache
def source_fixture(format: str) -> SourceFixture:
    """The fixture of a format; tables are written from a JSON description of their columns."""
    (path,) = (path for path in (FOLDER / format).iterdir() if path.name != "golden.json")
    golden = json.loads((FOLDER / format / "golden.json").read_text())
    kind = path.suffixes[-2] if len(path.suffixes) > 1 else ""
    if kind not in (".feather", ".parquet"):
        return SourceFixture(format, path.name, path.read_bytes(), golden)
    described = json.loads(path.read_text())
    columns = {name: pa.array(column["values"], TYPES[column["type"]]) for name, column in described.items()}
    return SourceFixture(format, path.stem, table_bytes(pa.table(columns), kind), golden)


def table_bytes(table: pa.Table, kind: str) -> bytes:
    """A table as the bytes of a Feather or Parquet file."""
    sink = io.BytesIO()
    if kind == ".feather":
        pa.feather.write_feather(table, sink)
    else:
        pa.parquet.write_table(table, sink)
    return sink.getvalue()


def without_column(fixture: SourceFixture, at: int) -> bytes:
    """The fixture's bytes with one column taken out of every row, and of the header."""
    if fixture.is_table:
        read = pa.feather.read_table if fixture.name.endswith(".feather") else pa.parquet.read_table
        table = read(io.BytesIO(fixture.data))
        return table_bytes(table.remove_column(at), Path(fixture.name).suffix)
    if fixture.name.endswith(".json"):
        return json.dumps(_cut(json.loads(fixture.data), at)).encode()
    lines = [line.split(b",") for line in fixture.data.splitlines()]
    return b"".join(b",".join(fields[:at] + fields[at + 1 :]) + b"\n" for fields in lines)


def _cut(value: Any, at: int) -> Any:
    if isinstance(value, dict) and not any(isinstance(inner, list) for inner in value.values()):
        flat = [name for name, inner in value.items() if not isinstance(inner, dict)]
        return {name: inner for name, inner in value.items() if name != flat[at]}
    if isinstance(value, dict):
        return {name: _cut(inner, at) if name == "result" or isinstance(inner, list) else inner
                for name, inner in value.items()}  # fmt: skip
    if value and not isinstance(value[0], dict | list):
        return value[:at] + value[at + 1 :]
    return [_cut(inner, at) for inner in value]
