"""Lines of a capture as frames: when a message came, on which connection, and its JSON text."""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from scalper_ml.book.events import Damage, micros
from scalper_ml.errors import InputError
from scalper_ml.ingest.unpack import Unpacked, UnpackedStream

__all__ = ["Frame", "capture_lines", "cryptofeed_frames", "exchange_of", "is_capture", "is_envelope", "plain_frames"]

_HEADED: Final = re.compile(rb'\s*\{"t":\s*"(header|connect|recv|http|send)\b')
_STAMPED: Final = re.compile(rb"\s*\d{10,19} [{\[]")
_LONGEST: Final = 1 << 26
"""Bytes of a line that are held at once; a longer one is cut, and its pieces are damaged lines."""


class Frame(Struct, frozen=True, gc=False):
    """A message as it arrived.

    Attributes
    ----------
    line : int
    connection : str
        Name of the socket, empty in a capture of one.
    local_us : int
        The recorder's clock.
    kind : str
        ``recv``, ``http``, or another kind of envelope.
    text : bytes or str
        The message.
    address : str
        Where the socket leads, or the URL asked.
    """

    line: int
    connection: str
    local_us: int
    kind: str
    text: bytes | str
    address: str = ""


class _Envelope(Struct):
    t: str
    conn: str = ""
    ts: float = 0.0
    data: str = ""
    addr: str = ""
    url: str = ""
    exchange: str = ""


_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)


def capture_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Lines of a plain or packed file with their numbers from 1, one at a time.

    Memory is bounded by the longest line, never by the file.

    Raises
    ------
    InputError
        If the file is missing, empty, or its packing ends too early or is damaged: names the last whole line.
    """
    line = 0
    with Unpacked(path, hashed=False) as file, io.BufferedReader(UnpackedStream(file), 1 << 16) as stream:
        while text := stream.readline(_LONGEST):
            line += 1
            yield line, text
    if line == 0:
        raise InputError(f"{path}: empty capture (0 lines); expected lines such as '<local ns> {{json}}'")


def is_capture(head: bytes) -> bool:
    """Whether a file begins as a capture: with ``<local ns> {json}``, or with an envelope that is all of its line.

    Parameters
    ----------
    head : bytes
        The beginning of the unpacked file; a longer first line may be cut.

    Examples
    --------
    >>> is_capture(b'1723161255030314667 {"stream":"btcusdt@trade"}'), is_capture(b'{"t":"header","exchange":"OKX"}')
    (True, True)
    >>> is_capture(b'{"retCode":0,"result":{"list":[]}}'), is_capture(b"[[1700000000000,1.5]]")
    (False, False)
    """
    return bool(_STAMPED.match(head) or _HEADED.match(head))


def is_envelope(line: bytes) -> bool:
    """Whether a line is a JSON record around a message, as cryptofeed writes them, not a stamp and a message."""
    return line.lstrip().startswith(b"{")


def exchange_of(line: bytes) -> str:
    """The exchange that a cryptofeed header line names, or an empty text."""
    try:
        return _ENVELOPE.decode(line).exchange
    except msgspec.DecodeError:
        return ""


def plain_frames(lines: Iterator[tuple[int, bytes]]) -> Iterator[Frame | Damage]:
    """Frames of lines ``<local stamp> {json}``."""
    for line, text in lines:
        stamp, _, message = text.rstrip(b"\r\n").partition(b" ")
        if not message:
            if stamp:
                yield _damage(line, "line: found no space, expected '<local ns> {json}'", text)
            continue
        try:
            yield Frame(line, "", micros(int(stamp)), "recv", message)
        except ValueError as error:
            yield _damage(line, f"local {error}" if "stamp" in str(error) else "local stamp: not an integer", text)


def cryptofeed_frames(lines: Iterator[tuple[int, bytes]]) -> Iterator[Frame | Damage]:
    """Frames of JSON envelopes; other than received and answered messages only say where a socket leads."""
    addresses: dict[str, str] = {}
    for line, text in lines:
        if not text.strip():
            continue
        try:
            envelope = _ENVELOPE.decode(text)
            if envelope.addr:
                addresses[envelope.conn] = envelope.addr
            if envelope.t not in ("recv", "http"):
                continue
            local_us = micros(round(envelope.ts * 1e6))
            address = envelope.url or addresses.get(envelope.conn, "")
            yield Frame(line, envelope.conn, local_us, envelope.t, envelope.data, address)
        except (msgspec.DecodeError, ValueError) as error:
            yield _damage(line, f"envelope: {error}", text)


def _damage(line: int, reason: str, text: bytes) -> Damage:
    return Damage(line, "line", "", reason, text.rstrip(b"\r\n").decode("utf-8", errors="replace"))
