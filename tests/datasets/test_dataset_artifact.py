"""Artifacts: whole or refused, with the member named."""

import io
import json
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalper_ml.datasets.artifact import pack, unpack
from scalper_ml.errors import InputError

MEMBERS = {"bars/data.parquet": b"bars" * 50, "datasets/data.parquet": b"rows" * 80, "features/data.parquet": b"f"}
TOLD = {"symbol": "BTCUSDT", "horizon": 3}
PACKED = pack(TOLD, MEMBERS)


def repacked(change) -> bytes:
    """The artifact with its members changed by hand, as a well-formed ZIP."""
    with zipfile.ZipFile(io.BytesIO(PACKED)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return sink.getvalue()


def test_what_goes_in_comes_out() -> None:
    """Members and what is told come back; equal content gives equal bytes, in whatever order it was given."""
    found = unpack(PACKED, "x.zip")
    assert (found.told, found.members) == (TOLD, MEMBERS)
    assert pack(TOLD, dict(reversed(MEMBERS.items()))) == PACKED
    assert len(found.content) == 64


@pytest.mark.parametrize("member", sorted(MEMBERS))
def test_an_altered_member_is_named(member: str) -> None:
    """One changed byte of any member is refused, naming it; so are one that is gone and one that was added."""

    def alter(files: dict[str, bytes]) -> None:
        files[member] = files[member][:-1] + b"?"

    with pytest.raises(InputError, match=f"x.zip: member '{member}' was altered"):
        unpack(repacked(alter), "x.zip")
    with pytest.raises(InputError, match=f"member '{member}' is missing"):
        unpack(repacked(lambda files: files.pop(member)), "x.zip")
    with pytest.raises(InputError, match="member 'bars/more' is not named"):
        unpack(repacked(lambda files: files.update({"bars/more": b"1"})), "x.zip")


@pytest.mark.parametrize("key", ["told", "members"])
def test_an_altered_head_is_refused(key: str) -> None:
    """The hash of the head covers what it tells and what it names."""

    def alter(files: dict[str, bytes]) -> None:
        head = json.loads(files["artifact.json"])
        if key == "told":
            head["told"]["horizon"] = 5
        else:
            del head["members"]["bars/data.parquet"]
        files["artifact.json"] = json.dumps(head).encode()

    with pytest.raises(InputError, match=r"member 'artifact.json' was altered"):
        unpack(repacked(alter), "x.zip")


def test_other_files_are_refused() -> None:
    """No ZIP, a ZIP of something else, and an artifact of a later version are refused, each with its reason."""
    with pytest.raises(InputError, match="not a whole ZIP file"):
        unpack(b"hello", "x.zip")
    with pytest.raises(InputError, match=r"no artifact.json of a dataset"):
        unpack(repacked(lambda files: files.pop("artifact.json")), "x.zip")

    def later(files: dict[str, bytes]) -> None:
        files["artifact.json"] = files["artifact.json"].replace(b'"version": 1', b'"version": 9')

    with pytest.raises(InputError, match="artifact version 9; this program reads 1"):
        unpack(repacked(later), "x.zip")


def test_no_bit_can_be_changed_unseen() -> None:
    """Every bit of a small artifact, one after the other: refused as what it is, or without any effect."""
    small = pack({"symbol": "X"}, {"bars/a": b"hello", "datasets/b": b"PAR1"})
    whole = unpack(small, "x.zip")
    refused = 0
    for at in range(len(small)):
        for bit in range(8):
            changed = small[:at] + bytes([small[at] ^ (1 << bit)]) + small[at + 1 :]
            try:
                assert unpack(changed, "x.zip") == whole
            except InputError:
                refused += 1
    assert refused > 4 * len(small)


@pytest.mark.parametrize(
    "head",
    [
        {"content": None}, {"members": {"bars/data.parquet": []}}, {"members": {"bars/data.parquet": {}}},
        {"members": []}, {"told": 3}, {"version": [1]}, {"format": {}},
    ],
)  # fmt: skip
def test_a_head_of_another_shape_is_refused(head: dict[str, object]) -> None:
    """A head that lacks what it has to name, or holds something else there, is refused and no error of Python's."""

    def alter(files: dict[str, bytes]) -> None:
        files["artifact.json"] = json.dumps(json.loads(files["artifact.json"]) | head).encode()

    def shorten(files: dict[str, bytes]) -> None:
        kept = {key: value for key, value in json.loads(files["artifact.json"]).items() if key not in head}
        files["artifact.json"] = json.dumps(kept).encode()

    for change in (alter, shorten):
        with pytest.raises(InputError, match=r"x\.zip: "):
            unpack(repacked(change), "x.zip")
    with pytest.raises(InputError, match="no artifact"):
        unpack(repacked(lambda files: files.update({"artifact.json": b'{"told": NaN}'})), "x.zip")


@given(st.data())
def test_no_single_byte_can_be_changed_unseen(data: st.DataObject) -> None:
    """Any one byte changed, or any tail cut off, is refused or leaves the members as they were."""
    at = data.draw(st.integers(0, len(PACKED) - 1))
    cut = data.draw(st.booleans())
    changed = (
        PACKED[:at] if cut else PACKED[:at] + bytes([PACKED[at] ^ data.draw(st.integers(1, 255))]) + PACKED[at + 1 :]
    )
    try:
        found = unpack(changed, "x.zip")
    except InputError:
        return
    assert (found.told, found.members) == (TOLD, MEMBERS)
