"""Bytes of a source file, plain, gzipped or zipped; a truncated archive is an error that says where it ends."""

import gzip
import hashlib
import io
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scalper_ml.errors import InputError

__all__ = ["Payload", "open_text"]

_BOM: Final = b"\xef\xbb\xbf"
_ZIP: Final = b"PK\x03\x04"
_GZIP: Final = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Payload:
    """Unpacked bytes of a file, its inner name, and the sha256 of the file on disk."""

    data: bytes
    name: str
    sha256: str


def open_text(path: Path) -> Payload:
    """Read and unpack a file; the packing is known by its first bytes, not by its name.

    Parameters
    ----------
    path : Path
        A plain file, a ``.gz``, or a ``.zip`` with one data file in it.

    Raises
    ------
    InputError
        If the file is missing, empty, truncated, damaged, or a zip of several data files.
    """
    try:
        packed = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read - {error.strerror}; expected a readable file") from error
    digest = hashlib.sha256(packed).hexdigest()
    name = path.name
    if not packed:
        raise InputError(f"{path}: empty file (0 bytes); expected rows of trades or klines")
    if packed.startswith(_ZIP) or name.endswith(".zip"):
        name, data = _unzip(path, packed)
    elif packed.startswith(_GZIP) or name.endswith(".gz"):
        name, data = name.removesuffix(".gz"), _gunzip(path, packed)
    else:
        data = packed
    data = data.removeprefix(_BOM)
    if not data[:4096].strip() and not data.strip():
        raise InputError(f"{path}: no rows in it ({len(data)} bytes unpacked); expected rows of trades or klines")
    return Payload(data, name, digest)


def _gunzip(path: Path, packed: bytes) -> bytes:
    try:
        return gzip.decompress(packed)
    except (EOFError, zlib.error, OSError, struct.error) as error:
        rows = _rows_before_the_end(packed, 31)
        raise InputError(
            f"{path}: truncated or damaged gzip after line {rows} ({error}); expected a whole file - download it again"
        ) from error


def _unzip(path: Path, packed: bytes) -> tuple[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            members = [item for item in archive.infolist() if not item.filename.endswith(("/", "CHECKSUM"))]
            if len(members) != 1:
                raise InputError(
                    f"{path}: {len(members)} data files in the zip {[item.filename for item in members][:5]}; "
                    "expected exactly one - unpack it and name the file"
                )
            return members[0].filename, archive.read(members[0])
    except (zipfile.BadZipFile, EOFError, zlib.error, struct.error, NotImplementedError, RuntimeError) as error:
        rows = 0
        if packed.startswith(_ZIP) and len(packed) > 30:
            name_length, extra_length = struct.unpack_from("<HH", packed, 26)
            rows = _rows_before_the_end(packed[30 + name_length + extra_length :], -15)
        raise InputError(
            f"{path}: truncated or damaged zip after line {rows} ({error}); expected a whole file - download it again"
        ) from error


def _rows_before_the_end(packed: bytes, window: int) -> int:
    """Complete lines that can be unpacked before the damage."""
    unpack = zlib.decompressobj(window)
    rows = 0
    try:
        for begin in range(0, len(packed), 1 << 14):
            rows += unpack.decompress(packed[begin : begin + (1 << 14)]).count(b"\n")
            if unpack.eof:
                break
    except zlib.error:
        pass  # the damage itself: what was unpacked before it has been counted
    return rows
