"""Files of an object store, through fsspec: ``s3://``, ``gs://``, ``memory://`` and what else is installed."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final

from scalper_ml.errors import InputError
from scalper_ml.remote.files import CHECKSUM, Published, Version
from scalper_ml.remote.listing import Entry, companions, parse_checksum
from scalper_ml.remote.redaction import redacted, redacted_text
from scalper_ml.remote.retry import Pace, RetryPolicy, StalePartError, TransferError, with_retries
from scalper_ml.remote.transfer import Delivery, Resume

__all__ = ["ObjectOrigin"]

_Errors = tuple[type[Exception], ...]

_CHUNK: Final = 8 << 20
_ETAGS: Final = ("ETag", "etag", "generation", "md5Hash", "content_md5")
_DATES: Final = ("LastModified", "last_modified", "updated", "mtime", "created")


class ObjectOrigin:
    """A folder, prefix, glob or object of a store. Credentials come from the store's own configuration or `options`.

    Parameters
    ----------
    location : str
    options : mapping
        For the file system of fsspec, such as ``endpoint_url``; never shown.

    Raises
    ------
    InputError
        If fsspec, or its driver for this kind of store, is not installed.
    """

    def __init__(self, location: str, *, policy: RetryPolicy, pace: Pace, options: Mapping[str, Any]) -> None:
        self._where = redacted(location)
        self._policy = policy
        self._pace = pace
        self._store, self._path = _store(location, options)
        self._passing, self._refused = _errors(location)

    def listing(self, symbol: str) -> list[Published]:
        """Files of a symbol below the location, with their checksum files where listed.

        Raises
        ------
        InputError
            If the store cannot be reached, or the location does not exist.
        """
        infos = with_retries(f"listing {self._where}", self._policy, self._pace, lambda deadline: self._infos())
        entries = [self._entry(path, info) for path, info in infos.items() if info.get("type") != "directory"]
        return companions(entries, symbol, self._where)

    def checksum(self, file: Published) -> str | None:
        """The published sha256, if there is one."""
        if file.checksum is None:
            return None
        with self._translated(file.origin + CHECKSUM):
            text = self._store.cat_file(self._store._strip_protocol(file.checksum))
        return parse_checksum(text.decode("utf-8", "replace"), file.name)

    @contextmanager
    def deliver(self, file: Published, have: Version | None, resume: Resume | None) -> Iterator[Delivery | None]:
        """The file or the rest of it; None if its version is still `have`.

        Raises
        ------
        TransferError
            If the transfer breaks, or the object changes meanwhile.
        InputError
            If the object is not there, or nobody may read it.
        """
        path = self._store._strip_protocol(file.url)
        version = self._now(path, file)
        if have is not None and have.decides and version == have:
            yield None
            return
        if resume is not None and resume.version != version:
            raise StalePartError("is another version now than the part that is here")
        start = 0 if resume is None else resume.start
        yield Delivery(version, start, self._chunks(path, file, start, version), resumable=version.decides)

    def _chunks(self, path: str, file: Published, start: int, version: Version) -> Iterator[bytes]:
        """Ranges to the end; that the version is still the same afterwards makes them parts of one."""
        size = version.size or 0
        while start < size:
            with self._translated(file.origin):
                data = self._store.cat_file(path, start=start, end=min(start + _CHUNK, size))
            if not data:
                raise TransferError(f"cut off after {start} of {size} bytes")
            yield data
            start += len(data)
        if self._now(path, file) != version:
            raise StalePartError("changed while it was read")

    def _now(self, path: str, file: Published) -> Version:
        self._store.invalidate_cache()
        with self._translated(file.origin):
            version = _version(self._store.info(path))
        if version.size is None:
            raise InputError(f"{file.origin}: the store gives no size for it; expected a plain object")
        return version

    def _infos(self) -> dict[str, dict[str, Any]]:
        self._store.invalidate_cache()
        with self._translated(self._where):
            if any(letter in self._path for letter in "*?["):
                return dict(self._store.glob(self._path, detail=True))
            found: dict[str, dict[str, Any]] = self._store.find(self._path, detail=True)
            if not found:
                self._store.ls(self._path, detail=False)
            elif list(found) == [self._path]:
                beside = self._path + CHECKSUM
                return {**found, beside: self._store.info(beside)} if self._store.exists(beside) else found
            return found

    def _entry(self, path: str, info: Mapping[str, Any]) -> Entry:
        return Entry(path.rpartition("/")[2], self._store.unstrip_protocol(path), _version(info))

    @contextmanager
    def _translated(self, where: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise InputError(f"{where}: is not there; expected an object, a prefix or a bucket of this name") from error
        except self._refused as error:
            raise InputError(
                f"{where}: may not be read ({type(error).__name__}: {redacted_text(error)}); expected credentials that "
                "may list and read it, in the configuration of the store"
            ) from error
        except self._passing as error:
            raise TransferError(f"the store did not answer ({type(error).__name__}: {redacted_text(error)})") from error


def _store(location: str, options: Mapping[str, Any]) -> tuple[Any, str]:
    try:
        store, path = import_module("fsspec.core").url_to_fs(location, skip_instance_cache=True, **options)
    except ImportError as error:
        raise InputError(
            f"{redacted(location)}: needs a driver that is not installed ({error}); expected it - "
            "pip install 'scalper-ml[remote]'"
        ) from error
    except ValueError as error:
        raise InputError(
            f"{redacted(location)}: {redacted_text(error)}; expected a folder, a glob, http(s):// or an address that "
            "fsspec knows, such as s3://bucket/prefix"
        ) from error
    return store, path


def _errors(location: str) -> tuple[_Errors, _Errors]:
    """Errors of the driver that may pass, and those that will not."""
    if not location.startswith(("s3://", "s3a://")):
        return (OSError,), (PermissionError,)
    web, aws = import_module("aiohttp"), import_module("botocore.exceptions")
    refused = (PermissionError, aws.NoCredentialsError, aws.PartialCredentialsError)
    return (OSError, web.ClientError, aws.BotoCoreError, aws.ClientError), refused


def _version(info: Mapping[str, Any]) -> Version:
    size = info.get("size")
    etag = next((str(info[name]) for name in _ETAGS if info.get(name)), None)
    date = next((str(info[name]) for name in _DATES if info.get(name)), None)
    return Version(None if size is None else int(size), etag, date)
