"""Packed files: truncated and damaged ones are errors that say how far they could be read."""

import gzip
import hashlib
import zipfile
from pathlib import Path

import pytest

from scalper_ml.errors import InputError
from scalper_ml.ingest import read_klines, read_ticks
from scalper_ml.ingest.archive import open_text

# lines that do not compress to nothing: a cut at half the bytes is a cut somewhere in the rows
TEXT = "ts,price,qty,side\n" + "".join(
    f"{1_704_067_200_000 + i},{1 + int(hashlib.sha256(str(i).encode()).hexdigest()[:6], 16)},1,buy\n"
    for i in range(3_000)
)


def packed(folder: Path, kind: str) -> Path:
    path = folder / f"BTCUSDT.csv.{kind}"
    if kind == "gz":
        path.write_bytes(gzip.compress(TEXT.encode(), mtime=0))
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("BTCUSDT.csv", TEXT)
    return path


@pytest.mark.parametrize("kind", ["gz", "zip"])
def test_a_whole_archive_is_its_content(kind: str, tmp_path: Path) -> None:
    """A packed file gives the packed bytes and the hash of the file on disk, whatever its name says."""
    path = packed(tmp_path, kind)
    payload = open_text(path.rename(tmp_path / "misnamed.csv"))
    assert payload.data == TEXT.encode()
    assert payload.sha256 == hashlib.sha256((tmp_path / "misnamed.csv").read_bytes()).hexdigest()


@pytest.mark.parametrize("kind", ["gz", "zip"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
def test_a_truncated_archive_says_after_which_line(kind: str, share: float, tmp_path: Path) -> None:
    """A cut archive is an InputError with the file's name and the number of whole lines before the cut."""
    path = packed(tmp_path, kind)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(InputError, match=rf"BTCUSDT\.csv\.{kind}: truncated or damaged g?zip after line \d") as caught:
        read_ticks(path, symbol="BTCUSDT")
    line = int(str(caught.value).split("after line ")[1].split()[0])
    assert abs(line - 3_001 * share) < 3_001 * 0.06


@pytest.mark.parametrize("kind", ["gz", "zip"])
def test_a_damaged_archive_is_an_error(kind: str, tmp_path: Path) -> None:
    """A flipped byte in the packed rows is found by the checksum, never read as other numbers."""
    path = packed(tmp_path, kind)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(bytes(data))
    with pytest.raises(InputError, match=r"truncated or damaged g?zip"):
        read_klines(path)


def test_a_zip_of_several_files_names_them(tmp_path: Path) -> None:
    """A zip with two data files is refused by name; a checksum beside the one data file does not count."""
    path = tmp_path / "BTCUSDT.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", TEXT)
        archive.writestr("a.csv.CHECKSUM", "00")
    assert open_text(path).name == "a.csv"
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("b.csv", TEXT)
    with pytest.raises(InputError, match=r"2 data files in the zip \['a.csv', 'b.csv'\]; expected exactly one"):
        open_text(path)


@pytest.mark.parametrize("name", ["BTCUSDT.csv", "BTCUSDT.csv.gz", "BTCUSDT.zip", "BTCUSDT.feather"])
def test_an_empty_file_of_any_kind_is_an_error(name: str, tmp_path: Path) -> None:
    """Zero bytes are an empty file whatever the name; so is an archive of nothing."""
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(InputError, match=r"empty file \(0 bytes\)"):
        open_text(tmp_path / name)
    (tmp_path / name).write_bytes(gzip.compress(b""))
    with pytest.raises(InputError, match=r"no rows in it|damaged zip"):
        open_text(tmp_path / name)


@pytest.mark.parametrize("head", [b"ARROW1\0\0", b"PAR1"])
def test_a_truncated_table_is_an_error(head: bytes, tmp_path: Path) -> None:
    """A Feather or Parquet file cut short is an InputError."""
    (tmp_path / "BTCUSDT.feather").write_bytes(head + b"\x01" * 100)
    with pytest.raises(InputError, match="truncated or damaged table"):
        read_ticks(tmp_path / "BTCUSDT.feather", symbol="BTCUSDT")
