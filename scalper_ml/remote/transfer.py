"""Bring one published file into the folder: continue, verify, and put in place whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Protocol

from scalper_ml.errors import InputError
from scalper_ml.remote.files import Earlier, Published, SourceFile, Version, Watch
from scalper_ml.remote.landing import Landing, Part, Record, sha256_of_file
from scalper_ml.remote.retry import (
    Deadline,
    MismatchError,
    Pace,
    RetryPolicy,
    StalePartError,
    TransferError,
    with_retries,
)

__all__ = ["Delivery", "Origin", "Resume", "bring"]


@dataclass(frozen=True, slots=True)
class Resume:
    """Bytes that are here already, and the version they belong to."""

    start: int
    version: Version


@dataclass(frozen=True, slots=True)
class Delivery:
    """Bytes on their way.

    Attributes
    ----------
    version : Version
        Of the whole file; its size is None where the other side does not say.
    start : int
        Place of the first byte of `chunks` in the file.
    chunks : iterator of bytes
        Raises `TransferError` when the transfer breaks.
    resumable : bool
        Whether the rest could be asked for later, safe from mixing two versions.
    framed : bool
        Whether a cut would be noticed even without a size.
    """

    version: Version
    start: int
    chunks: Iterator[bytes]
    resumable: bool
    framed: bool = True


class Origin(Protocol):
    """A place that publishes files."""

    def listing(self, symbol: str) -> list[Published]:
        """Files of a symbol."""
        ...

    def checksum(self, file: Published) -> str | None:
        """The published sha256, if there is one."""
        ...

    def deliver(
        self, file: Published, have: Version | None, resume: Resume | None
    ) -> AbstractContextManager[Delivery | None]:
        """The file or the rest of it; None if its version is still `have`."""
        ...


@dataclass(frozen=True, slots=True)
class _Local:
    """What was in the folder before: the record, and whether the file still is what it says."""

    record: Record | None
    fits: bool

    @property
    def held(self) -> Record | None:
        return self.record if self.fits else None


def bring(
    origin: Origin, file: Published, landing: Landing, *, policy: RetryPolicy, pace: Pace, watch: Watch | None = None
) -> SourceFile:
    """The file in the folder, whole and verified; not transferred again if it did not change.

    Raises
    ------
    InputError
        If it cannot be had, fails its checksum, or would overwrite a file that came from somewhere else. What was
        under the final name before stays there.
    """
    with landing.lock():
        record = landing.record()
        same_origin = record is not None and record.origin == file.origin
        local = _Local(record, same_origin and record is not None and landing.fits(record))
        held = local.held
        if held is not None and file.stamp is not None and held.stamp == file.stamp:
            return _unchanged(landing, held)
        return with_retries(
            file.origin, policy, pace, lambda deadline: _attempt(origin, file, landing, local, deadline, watch)
        )


def _attempt(
    origin: Origin, file: Published, landing: Landing, local: _Local, deadline: Deadline, watch: Watch | None
) -> SourceFile:
    published, held = origin.checksum(file), local.held
    have = held.version if held is not None and published in (None, held.sha256) else None
    try:
        with origin.deliver(file, have, _resume(file, landing)) as delivery:
            if delivery is None and held is not None:
                landing.discard_part()
                kept = replace(held, stamp=file.stamp, published=published is not None)
                landing.write_record(kept)
                return _unchanged(landing, kept)
            if delivery is None:
                raise TransferError("answers 'not modified' although nothing was there before")
            _receive(delivery, file, landing, published, deadline, watch)
            version = delivery.version
        return _finish(file, landing, local, version, published)
    except (StalePartError, MismatchError):
        landing.discard_part()
        raise


def _resume(file: Published, landing: Landing) -> Resume | None:
    """Where to go on; of a part that is whole already, only the last byte is asked for again."""
    found = landing.part()
    if found is None:
        return None
    size, part = found
    whole = part.size
    other = file.version.etag not in (None, part.etag) or file.version.size not in (None, whole)
    if part.origin != file.origin or not part.resumable or other or (whole is not None and size > whole):
        landing.discard_part()
        return None
    start = size if whole is None else min(size, whole - 1)
    return Resume(start, part.version) if start > 0 else None


def _receive(
    delivery: Delivery,
    file: Published,
    landing: Landing,
    published: str | None,
    deadline: Deadline,
    watch: Watch | None,
) -> None:
    expected = _expected_size(delivery, file, published)
    if delivery.start == 0:
        version = delivery.version
        landing.begin_part(
            Part(file.origin, version.size, version.etag, version.last_modified, resumable=delivery.resumable)
        )
    with landing.open_part() as part:
        part.truncate(delivery.start)
        done = delivery.start
        try:
            for chunk in delivery.chunks:
                part.write(chunk)
                done += len(chunk)
                if watch is not None:
                    watch(file.name, done, expected)
                if expected is not None and done > expected:
                    raise StalePartError(f"sends {done} bytes and more; expected {expected}")
                deadline.check()
        finally:
            part.flush()
            os.fsync(part.fileno())
    if expected is not None and done < expected:
        raise TransferError(f"cut off after {done} of {expected} bytes")


def _expected_size(delivery: Delivery, file: Published, published: str | None) -> int | None:
    listed, told = file.version.size, delivery.version.size
    if listed is not None and told is not None and listed != told:
        raise StalePartError(f"sends a file of {told} bytes where its listing says {listed}")
    expected = told if told is not None else listed
    if expected is None and published is None and not delivery.framed:
        raise InputError(
            f"{file.origin}: comes without a length and without a {file.name}.CHECKSUM, so a cut download looks like a "
            "whole one; expected one of the two - download it by hand and name the local folder"
        )
    return expected


def _finish(file: Published, landing: Landing, local: _Local, version: Version, published: str | None) -> SourceFile:
    digest = sha256_of_file(landing.part_path)
    if published is not None and digest != published:
        raise MismatchError(f"sha256 of what came is {digest}, its checksum file says {published}")
    before = _before(landing, local)
    if before is not None and before.sha256 != digest and (local.record is None or local.record.origin != file.origin):
        landing.discard_part()
        known = "was put there by hand" if local.record is None else f"came from {local.record.origin}"
        raise InputError(
            f"{landing.path}: is there already, with other bytes, and {known}; expected nothing, or a file fetched "
            f"from {file.origin} - fetch into another folder, or move that file away"
        )
    same = before is not None and before.sha256 == digest
    status = (landing.path if same else landing.part_path).stat()
    record = Record(
        origin=file.origin,
        size=status.st_size,
        etag=version.etag,
        last_modified=version.last_modified,
        sha256=digest,
        published=published is not None,
        mtime_ns=status.st_mtime_ns,
        stamp=file.stamp,
    )
    if same:
        landing.write_record(record)
        landing.discard_part()
        return _unchanged(landing, record)
    landing.publish(record)
    return replace(_unchanged(landing, record), outcome="downloaded" if before is None else "replaced", replaced=before)


def _before(landing: Landing, local: _Local) -> Earlier | None:
    """What is under the final name now."""
    if local.held is not None:
        return Earlier(local.held.sha256, local.held.size, local.held.etag, local.held.last_modified)
    if not landing.path.exists():
        return None
    return Earlier(sha256_of_file(landing.path), landing.path.stat().st_size, None, None)


def _unchanged(landing: Landing, record: Record) -> SourceFile:
    return SourceFile(
        name=landing.name,
        path=landing.path,
        origin=record.origin,
        size=record.size,
        etag=record.etag,
        last_modified=record.last_modified,
        sha256=record.sha256,
        published=record.published,
        outcome="unchanged",
    )
