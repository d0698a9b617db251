"""Bytes of a source file as a stream, plain or packed, hashed as they come; memory does not grow with it."""

import hashlib
import io
import struct
import zipfile
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Self

import pyarrow as pa
from isal import isal_zlib

from scalper_ml.errors import InputError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["ZSTD", "Unpacked", "UnpackedStream"]

ZSTD: Final = b"\x28\xb5\x2f\xfd"
"""The first bytes of a Zstandard file."""

_Damage: Any = isal_zlib.IsalError  # its stub says it is an instance
_CHUNK: Final = 1 << 20
_ZIP: Final = b"PK\x03\x04"
_GZIP: Final = b"\x1f\x8b"
_GZIP_WINDOW: Final = 31
_RAW_WINDOW: Final = -15
_STORED, _DEFLATED = 0, 8
_FOREIGN: Final = {
    "xz": b"\xfd7zX", "bzip2": b"BZh", "7z": b"7z\xbc\xaf", "lz4": b"\x04\x22\x4d\x18", "rar": b"Rar!",
}  # fmt: skip


class Unpacked:
    """The unpacked bytes of a file, read into buffers that the caller keeps.

    The packing is known by the first bytes, not by the name.

    Parameters
    ----------
    path : Path
        A plain file, a ``.gz`` (of one or more members), a ``.zst``, or a ``.zip`` with one data file in it.
    hashed : bool
        Whether the sha256 is wanted.

    Attributes
    ----------
    name : str
        Of the data file: without ``.gz`` or ``.zst``, or as in the zip.
    packed_bytes : int
        Size on disk.
    position : int
        Bytes of the packed file read so far.

    Raises
    ------
    InputError
        If the file is missing, empty or a zip of several data files; from `read_into` also if it is
        truncated or damaged.
    """

    def __init__(self, path: Path, *, hashed: bool = True) -> None:
        self.path = path
        self.name = path.name
        self._hashed = hashed
        self.position = 0
        self._digest = hashlib.sha256()
        self._ready = memoryview(b"")
        self._inflater: Any = None
        self._zstd: Any = None
        self._expected: tuple[int, int] | None = None  # crc and size of a zip's member
        self._crc, self._inflated = 0, 0
        self._ended = False
        try:
            self._file: BinaryIO = open(path, "rb", buffering=0)  # noqa: SIM115 - closed by __exit__
            self.packed_bytes = path.stat().st_size
        except OSError as error:
            raise InputError(f"{path}: cannot be read - {error.strerror}; expected a readable file") from error
        try:
            self._begin()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def _begin(self) -> None:
        if self.packed_bytes == 0:
            raise InputError(f"{self.path}: empty file (0 bytes); expected rows")
        first = self.read_packed(4)
        if foreign := next((name for name, magic in _FOREIGN.items() if first.startswith(magic)), None):
            raise InputError(f"{self.path}: packed as {foreign}; expected plain text, .gz, .zip or .zst - unpack it")
        if first.startswith(_ZIP) or self.name.endswith(".zip"):
            self._begin_zip(first)
        elif first.startswith(_GZIP) or self.name.endswith(".gz"):
            self.name = self.name.removesuffix(".gz")
            self._inflater = isal_zlib.decompressobj(_GZIP_WINDOW)
            self._ready = memoryview(self._inflate(first))
        elif first == ZSTD:
            self.name = self.name.removesuffix(".zst")
            self._file.seek(0)
            self.position, self._digest = 0, hashlib.sha256()
            self._zstd = pa.CompressedInputStream(pa.PythonFile(_Packed(self), mode="r"), "zstd")
        else:
            self._ready = memoryview(first)

    def _begin_zip(self, first: bytes) -> None:
        try:
            with zipfile.ZipFile(self.path) as archive:
                members = [item for item in archive.infolist() if not item.filename.endswith(("/", "CHECKSUM"))]
        except (zipfile.BadZipFile, EOFError, struct.error, NotImplementedError) as error:
            raise self._damaged("zip", error) from error
        if not members:
            raise InputError(f"{self.path}: a zip without a file in it; expected one data file - download it again")
        if len(members) != 1:
            raise InputError(
                f"{self.path}: {len(members)} data files in the zip {[item.filename for item in members][:5]}; "
                "expected exactly one - unpack it and name the file"
            )
        member = members[0]
        if member.flag_bits & 1 or member.compress_type not in (_STORED, _DEFLATED):
            raise InputError(f"{self.path}: the zip is encrypted or not deflated; expected a plain zip - unpack it")
        self.name = member.filename
        self._expected = member.CRC, member.file_size
        header = first + self.read_packed(member.header_offset + 30 - len(first))
        name_length, extra_length = struct.unpack_from("<HH", header, member.header_offset + 26)
        self.read_packed(name_length + extra_length)
        if member.compress_type == _DEFLATED:
            self._inflater = isal_zlib.decompressobj(_RAW_WINDOW)

    @property
    def packed(self) -> bool:
        """Whether the bytes on disk are other than those read."""
        return self._inflater is not None or self._zstd is not None or self._expected is not None

    def read_into(self, buffer: memoryview) -> int:
        """Fill `buffer` with the next unpacked bytes; return how many, 0 at the end of the file."""
        filled = 0
        while filled < len(buffer):
            if not self._ready:
                chunk = self._next()
                if not chunk:
                    break
                self._ready = memoryview(chunk)
            part = self._ready[: len(buffer) - filled]
            buffer[filled : filled + len(part)] = part
            filled += len(part)
            self._ready = self._ready[len(part) :]
        return filled

    def read_all(self) -> bytes:
        """Everything that is left."""
        whole = io.BytesIO()
        buffer = memoryview(bytearray(_CHUNK))
        while size := self.read_into(buffer):
            whole.write(buffer[:size])
        return whole.getvalue()

    def sha256(self) -> str:
        """Of the packed bytes; reads what is left of them."""
        while self.read_packed(_CHUNK):
            pass
        return self._digest.hexdigest()

    def _next(self) -> bytes:
        """The next unpacked bytes, empty at the end."""
        while not self._ended:
            if self._zstd is not None:
                return self._next_zstd()
            if self._expected and self._inflater is None:
                packed = self.read_packed(min(_CHUNK, self._expected[1] - self._inflated))
                chunk = packed
                self._ended = not packed
            else:
                packed = self.read_packed(_CHUNK)
                if not packed:
                    self._end()
                    break
                chunk = self._inflate(packed) if self._inflater is not None else packed
            if self._expected:
                self._crc = isal_zlib.crc32(chunk, self._crc)
                self._inflated += len(chunk)
                if self._inflater is not None and self._inflater.eof:
                    self._ended = True
                if self._ended:
                    self._check_member()
            if chunk:
                return chunk
        return b""

    def _next_zstd(self) -> bytes:
        try:
            chunk = bytes(self._zstd.read(_CHUNK))
        except (OSError, pa.ArrowInvalid) as error:
            raise self._damaged("zstd", error) from error
        self._ended = not chunk
        return chunk

    def _inflate(self, packed: bytes) -> bytes:
        try:
            parts = [self._inflater.decompress(packed)]
            while self._inflater.eof and self._expected is None:  # gzip: members may follow, or zeros as padding
                rest = self._inflater.unused_data
                if not rest.startswith(_GZIP[:1]):
                    if rest.strip(b"\0"):
                        raise self._damaged("gzip", "bytes after its end")
                    break
                self._inflater = isal_zlib.decompressobj(_GZIP_WINDOW)
                parts.append(self._inflater.decompress(rest))
        except _Damage as error:
            raise self._damaged("gzip" if self._expected is None else "zip", error) from error
        return b"".join(parts)

    def _end(self) -> None:
        """The packed file has ended: so must what is packed in it."""
        self._ended = True
        if self._inflater is not None and not self._inflater.eof:
            kind = "gzip" if self._expected is None else "zip"
            raise self._damaged(kind, "it ends before its end-of-stream marker")

    def _check_member(self) -> None:
        if self._expected != (self._crc, self._inflated):
            raise self._damaged("zip", f"checksum or size differ: {self._inflated} bytes unpacked")

    def _damaged(self, kind: str, reason: object) -> InputError:
        return InputError(
            f"{self.path}: truncated or damaged {kind} after line {_whole_lines(self.path)} ({reason}); "
            "expected a whole file - download it again"
        )

    def read_packed(self, size: int) -> bytes:
        """The next bytes as they lie on disk."""
        chunk = self._file.read(size)
        if self._hashed:
            self._digest.update(chunk)
        self.position += len(chunk)
        return chunk


class UnpackedStream(io.RawIOBase):
    """What is unpacked of a file, for readers that want a stream.

    Raises
    ------
    InputError
        As `Unpacked`.
    """

    def __init__(self, file: Unpacked) -> None:
        self._unpacked = file

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """As `Unpacked.read_into`."""
        return self._unpacked.read_into(memoryview(buffer).cast("B"))


class _Packed:
    """The packed bytes of a file, as a stream that Arrow reads."""

    closed = False

    def __init__(self, file: Unpacked) -> None:
        self._unpacked = file

    def read(self, size: int) -> bytes:
        return self._unpacked.read_packed(size)

    def close(self) -> None:
        """Whoever opened the file closes it."""


def _whole_lines(path: Path) -> int:
    """Whole lines that can be unpacked before the damage."""
    lines = 0
    with open(path, "rb") as file:
        header = file.read(30)
        if header.startswith(ZSTD):
            return _whole_zstd_lines(path)
        window = _GZIP_WINDOW
        if header.startswith(_ZIP) and len(header) == 30:
            file.seek(sum(struct.unpack_from("<HH", header, 26)), io.SEEK_CUR)
            window = _RAW_WINDOW
        else:
            file.seek(0)
        inflater = isal_zlib.decompressobj(window)
        try:
            while (chunk := file.read(1 << 10)) and not inflater.eof:
                lines += inflater.decompress(chunk).count(b"\n")
        except _Damage:
            pass  # the damage itself: what was unpacked before it has been counted
    return lines


def _whole_zstd_lines(path: Path) -> int:
    lines = 0
    with pa.OSFile(str(path)) as file, pa.CompressedInputStream(file, "zstd") as stream:
        try:
            while chunk := stream.read(1 << 10):
                lines += chunk.count(b"\n")
        except (OSError, pa.ArrowInvalid):
            pass  # as above
    return lines
