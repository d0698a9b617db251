"""Rows in quarantine lie on disk: as many as there are, in order, a few held at a time."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalper_ml.ingest.rejects import Rejected, Rejects, RejectWriter, rejected_rows, write_quarantine
from scalper_ml.warehouse import Warehouse

KEYS = {"symbol": "X"}


def written(warehouse: Warehouse, name: str, rows: list[Rejected]) -> Rejects:
    with RejectWriter(warehouse, "X", name) as writer:
        for begin in range(0, len(rows), 1_000):
            writer.add(rows[begin : begin + 1_000])
        found = writer.finish()
    assert found is not None
    return found


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9), st.sampled_from("xy"), st.text()), min_size=1))
def test_rows_of_several_files_come_in_order(tmp_path_factory: pytest.TempPathFactory, rows: list[Rejected]) -> None:
    """Whatever the files they lie in, rows come by file, line, reason and text, each as often as it was added."""
    warehouse = Warehouse(tmp_path_factory.mktemp("w"))
    parts = [sorted(rows[k::3]) for k in range(3)]
    rejects = [written(warehouse, f"part{k}", part) for k, part in enumerate(parts) if part]
    folder = warehouse.folder("ticks", KEYS)
    assert list(rejected_rows(folder, rejects)) == sorted(rows)
    assert sum(one.rows for one in rejects) == sum(sum(one.reasons.values()) for one in rejects) == len(rows)
    entry = write_quarantine(warehouse, "X", rejects)
    table = pq.read_table(folder / entry["path"])
    assert [tuple(row.values()) for row in table.to_pylist()] == sorted(rows)


def test_many_rows_are_written_as_they_come(tmp_path: Path) -> None:
    """Twenty thousand rows leave in pieces of 4,096: none is held beyond that, and nothing is left beside the file."""
    warehouse = Warehouse(tmp_path)
    rows = [("a.csv", line, "torn", f"text {line}") for line in range(20_000)]
    with RejectWriter(warehouse, "X", "many") as writer:
        for row in rows:
            writer.add([row])
            assert len(writer._held) < 4_096
        found = writer.finish()
    assert found is not None
    assert (found.rows, found.reasons) == (20_000, {"torn": 20_000})
    folder = warehouse.folder("ticks", KEYS)
    assert list(rejected_rows(folder, [found])) == rows
    assert [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()] == [
        found.entry["path"]
    ]


def test_a_writer_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """Rows of a file that is refused half-way are gone with it; a writer without rows makes no file."""
    warehouse = Warehouse(tmp_path)

    def broken() -> Iterator[Rejected]:
        yield from (("a.csv", line, "torn", "") for line in range(5_000))
        raise ValueError("half-way")

    with RejectWriter(warehouse, "X", "torn") as writer, pytest.raises(ValueError, match="half-way"):
        writer.add(broken())
    with RejectWriter(warehouse, "X", "none") as writer:
        assert writer.finish() is None
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
