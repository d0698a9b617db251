"""A source file unpacked whole: for what cannot be read in pieces."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scalper_ml.errors import InputError
from scalper_ml.ingest.unpack import Unpacked

__all__ = ["Payload", "open_text"]

_BOM: Final = b"\xef\xbb\xbf"


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
    with Unpacked(path) as file:
        data = file.read_all().removeprefix(_BOM)
        if not data[:4096].strip() and not data.strip():
            raise InputError(f"{path}: no rows in it ({len(data)} bytes unpacked); expected rows of trades or klines")
        return Payload(data, file.name, file.sha256())
