"""One file that holds a dataset and all it is used with: partitions with their hashes, in a plain ZIP.

Members are ``artifact.json`` and ``<layer>/<file>``. ``artifact.json`` names every other member with its sha256 and
size, and is itself covered by the hash ``content``. Nothing in it is code. Equal partitions give equal bytes.
"""

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from scalper_ml.durable import canonical_json, sha256_of
from scalper_ml.errors import InputError

__all__ = ["ARTIFACT_VERSION", "Artifact", "pack", "unpack"]

ARTIFACT_VERSION: Final = 1
_FORMAT: Final = "scalper-dataset"
_HEAD: Final = "artifact.json"
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_BROKEN: Final = (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, struct.error, zlib.error)
"""What reading a ZIP raises where a byte is not what it was: of another version, packed, locked, out of bounds."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """What was packed: `told` are plain values about it, `members` the files by ``<layer>/<name>``."""

    told: dict[str, Any]
    members: dict[str, bytes]

    @property
    def content(self) -> str:
        """Hash over everything but itself."""
        return _content(self.told, _entries(self.members))


def pack(told: Mapping[str, Any], members: Mapping[str, bytes]) -> bytes:
    """Bytes of an artifact.

    Examples
    --------
    >>> unpack(pack({"symbol": "X"}, {"datasets/data.parquet": b"PAR1"}), "x.zip").members
    {'datasets/data.parquet': b'PAR1'}
    """
    entries = _entries(members)
    head = {
        "format": _FORMAT,
        "version": ARTIFACT_VERSION,
        "told": dict(told),
        "members": entries,
        "content": _content(told, entries),
    }
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:  # Parquet is compressed already
        for name, data in [(_HEAD, canonical_json(head, indent=1)), *sorted(members.items())]:
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), data)
    return sink.getvalue()


def unpack(data: bytes, name: str) -> Artifact:
    """Read an artifact back, every member verified.

    Parameters
    ----------
    data : bytes
    name : str
        What the file is called, for messages.

    Raises
    ------
    InputError
        It is no artifact, or of another version; a member was altered, is missing or was added: the message names it.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            if twice := sorted({one.filename for one in infos if sum(o.filename == one.filename for o in infos) > 1}):
                raise InputError(f"{name}: member {twice[0]!r} stands twice; expected each once - export it again")
            found = {one.filename: _read(archive, one, name) for one in infos}
    except _BROKEN as error:
        raise InputError(
            f"{name}: not a whole ZIP file ({error}); expected a dataset artifact - copy it again"
        ) from None
    head = _head(found.pop(_HEAD, None), name)
    entries: dict[str, dict[str, Any]] = head["members"]
    if head.get("content") != _content(head["told"], entries):
        raise InputError(f"{name}: member {_HEAD!r} was altered: it does not have the hash it states - export it again")
    for member, entry in entries.items():
        if member not in found:
            raise InputError(f"{name}: member {member!r} is missing; {_HEAD} names it - copy the file again")
        digest = sha256_of(found[member])
        if digest != entry["sha256"]:
            raise InputError(
                f"{name}: member {member!r} was altered: found sha256 {digest[:12]}, expected {entry['sha256'][:12]} - "
                "nothing was imported; export it again"
            )
    if added := sorted(set(found) - set(entries)):
        raise InputError(f"{name}: member {added[0]!r} is not named in {_HEAD}; expected none beside those it names")
    return Artifact(head["told"], found)


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> bytes:
    try:
        return archive.read(info)
    except _BROKEN as error:
        raise InputError(f"{name}: member {info.filename!r} was altered or is cut short ({error})") from None


def _head(data: bytes | None, name: str) -> dict[str, Any]:
    try:
        head: Any = None if data is None else json.loads(data, parse_constant=_no_number)
    except ValueError:
        head = None
    if not isinstance(head, dict) or head.get("format") != _FORMAT:
        raise InputError(f"{name}: no {_HEAD} of a dataset in it; expected what `scalper dataset export` wrote")
    if head.get("version") != ARTIFACT_VERSION:
        raise InputError(f"{name}: artifact version {head.get('version')!r}; this program reads {ARTIFACT_VERSION}")
    if not all(isinstance(head.get(key), dict) for key in ("told", "members")):
        raise InputError(f"{name}: member {_HEAD!r} was altered: it lacks what it has to name - export it again")
    return head


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number of JSON")


def _entries(members: Mapping[str, bytes]) -> dict[str, dict[str, Any]]:
    return {name: {"sha256": sha256_of(data), "bytes": len(data)} for name, data in sorted(members.items())}


def _content(told: Mapping[str, Any], entries: Mapping[str, Any]) -> str:
    return sha256_of(canonical_json({"told": dict(told), "members": dict(entries)}))
