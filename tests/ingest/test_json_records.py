"""JSON read record by record: what `json.loads` gives, in memory that does not grow with the file."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalper_ml.errors import InputError
from scalper_ml.ingest import json_records as module
from scalper_ml.ingest import read_ticks
from scalper_ml.ingest.json_records import json_records

PATH = Path("X.json")
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def drip(data: bytes, sizes: list[int]) -> Callable[[int], bytes]:
    """A reader that gives so many bytes at a time, over and over."""
    source, turn = io.BytesIO(data), [0]

    def read(size: int) -> bytes:
        turn[0] += 1
        return source.read(min(size, sizes[turn[0] % len(sizes)]))

    return read


@given(st.lists(values, max_size=6), st.lists(st.integers(1, 9), min_size=1, max_size=4), st.sampled_from([None, 1]))
def test_records_are_those_of_the_whole_array(records: list[Any], sizes: list[int], indent: int | None) -> None:
    """Wherever the file is cut into pieces, inside numbers, words, letters or escapes, the records are the same."""
    for ascii_only in (True, False):
        data = json.dumps(records, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
        try:
            expected = json.loads(data)
        except UnicodeDecodeError:
            continue
        assert list(json_records(drip(data, sizes), PATH)) == expected


@given(st.lists(values, min_size=1, max_size=4), st.data())
def test_an_array_that_breaks_off_is_refused(records: list[Any], data: st.DataObject) -> None:
    """No beginning of an array passes for an array, at whatever byte it ends."""
    whole = json.dumps(records).encode()
    cut = whole[: data.draw(st.integers(1, len(whole) - 1))]
    with pytest.raises(InputError, match=r"X\.json: .*expected"):
        list(json_records(io.BytesIO(cut).read, PATH))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('[{"a": 1},\n {"a": 2}\n {"a": 3}]', "line 3 column 2 (Expecting ',' delimiter)"),
        ('[{"a": 1},\n {"a" 2}]', "line 2 column 7 (Expecting ':' delimiter)"),
        ('[{"a": 1}]\n\n[1]', "line 3 column 1 (Extra data)"),
        ('[{"a": 1},]', "line 1 column 11 (Expecting value)"),
    ],
)
@pytest.mark.parametrize("sizes", [[1], [7, 2], [1000]])
def test_a_fault_is_placed_by_line_and_column(text: str, place: str, sizes: list[int]) -> None:
    """The place is that of the file, however it was read."""
    with pytest.raises(InputError) as caught:
        list(json_records(drip(text.encode(), sizes), PATH))
    assert place in str(caught.value)


def test_a_fault_at_the_beginning_is_not_held_against_the_whole_file() -> None:
    """A file that is no JSON after its first record is refused without reading on to its end."""
    asked = [0]

    def read(size: int) -> bytes:
        asked[0] += 1
        return (b'[{"a": 1} nonsense ' + b"x" * size)[:size] if asked[0] < 50 else b""

    with pytest.raises(InputError, match="Expecting ',' delimiter"):
        list(json_records(read, PATH))
    assert asked[0] == 1


def test_an_object_that_is_too_long_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer of an API is read whole, so its length is bounded; the message says what to do."""
    monkeypatch.setattr(module, "MOST_WHOLE", 1 << 20)
    data = json.dumps({"result": [{"a": "x" * 100}] * 40_000}).encode()
    with pytest.raises(InputError, match=r"X\.json: a JSON object of more than 1 MB.*save it as CSV"):
        list(json_records(io.BytesIO(data).read, PATH))
    assert len(list(json_records(io.BytesIO(data[:1000] + b'"}]}').read, PATH))) > 0


def test_lines_of_rejected_records_count_through_the_parts(tmp_path: Path) -> None:
    """Of an array read in several parts, records that are no trades keep their place in the file."""
    good = {"timestamp": 1_704_067_200_000, "side": "buy", "price": 1.0, "amount": 1.0, "id": 1}
    records: list[Any] = [{**good, "id": i} for i in range(40_000)]
    for place in (20_000, 39_999):
        records[place] = {**records[place], "price": "none"}
    records[30_000] = 5
    path = tmp_path / "X.json"
    path.write_text(json.dumps(records))
    found = read_ticks(path, symbol="X")
    assert found.quarantine["line"].to_pylist() == [20_001, 30_001, 40_000]
    assert (found.counts.read, found.counts.accepted) == (40_000, 39_997)
