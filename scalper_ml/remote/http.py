"""Files on a web server: index pages, S3 listings, checksum files, and downloads that go on where they broke."""

import email.utils
import functools
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

import httpx

from scalper_ml.errors import InputError
from scalper_ml.ingest.names import is_source
from scalper_ml.remote.files import CHECKSUM, Published, Version, safe_name
from scalper_ml.remote.listing import bucket_page, bucket_url, companions, html_links, parse_checksum
from scalper_ml.remote.redaction import quiet_logs, redacted, redacted_text
from scalper_ml.remote.retry import Deadline, Pace, RetryPolicy, StalePartError, TransferError, with_retries
from scalper_ml.remote.transfer import Delivery, Resume

__all__ = ["HttpOrigin"]

_LISTING_BYTES: Final = 64 << 20
_CHECKSUM_BYTES: Final = 1 << 16
_PAGES: Final = 10_000
_PASSING: Final = frozenset({408, 425, 429})
_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_SETTLED_S: Final = 60.0
"""A date with a resolution of seconds tells versions apart only if it is older than this."""
_LOGGERS: Final = ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.http2", "httpcore.proxy")


class HttpOrigin:
    """An ``http(s)://`` place: an index page, an S3-style listing, or a single file.

    Proxy variables of the system are honoured. Bytes are stored as they travel: a server that packs a file on the way
    leaves it packed.
    """

    def __init__(self, location: str, *, policy: RetryPolicy, pace: Pace, client: httpx.Client) -> None:
        self._location = location
        self._policy = policy
        self._pace = pace
        self._client = client

    @classmethod
    @contextmanager
    def opened(cls, location: str, *, policy: RetryPolicy, pace: Pace) -> Iterator["HttpOrigin"]:
        """An origin with its own connection, closed at the end."""
        timeout = httpx.Timeout(policy.stall_timeout_s, connect=policy.connect_timeout_s)
        headers = {"Accept-Encoding": "identity", "User-Agent": "scalper-ml"}
        client = httpx.Client(timeout=timeout, headers=headers, follow_redirects=True, verify=_authorities())
        with quiet_logs(_LOGGERS), client:
            yield cls(location, policy=policy, pace=pace, client=client)

    def listing(self, symbol: str) -> list[Published]:
        """Files of a symbol, with their checksum files where listed.

        Raises
        ------
        InputError
            If the place cannot be reached or is no listing.
        """
        parts = urlsplit(self._location)
        name = unquote(parts.path.rpartition("/")[2])
        if is_source(name, symbol):
            checksum = None if parts.query else urlunsplit(parts._replace(path=parts.path + CHECKSUM, fragment=""))
            safe = safe_name(name, redacted(self._location))
            return [Published(safe, redacted(self._location), self._location, checksum=checksum, probe=True)]
        url, text = self._page(self._location)
        if "<ListBucketResult" in text[:2000]:
            return self._bucket(url, text, symbol)
        if not _is_html(text):
            raise InputError(
                f"{redacted(url)}: is neither an index page nor an S3 listing, it begins {text[:60]!r}; expected links "
                f"to files such as {symbol}-trades-2024-01-01.zip"
            )
        files = companions(html_links(text, url), symbol, redacted(url))
        if not files and (behind := bucket_url(text, url)) is not None:
            return self._bucket(*self._page(behind), symbol)
        return files

    def checksum(self, file: Published) -> str | None:
        """The published sha256, if there is one.

        Raises
        ------
        TransferError
            If the checksum file cannot be had now, or is cut or of another file.
        InputError
            If the server refuses it for good.
        """
        if file.checksum is None:
            return None
        try:
            _, text = self._text(file.checksum, _CHECKSUM_BYTES)
        except _NotThereError:
            if file.probe:
                return None
            raise
        return parse_checksum(text, file.name)

    @contextmanager
    def deliver(self, file: Published, have: Version | None, resume: Resume | None) -> Iterator[Delivery | None]:
        """The file or the rest of it; None if its version is still `have`.

        Raises
        ------
        TransferError
            If the transfer breaks, or the server is busy.
        InputError
            If the server refuses for good.
        """
        with self._stream(file.url, _conditions(have, resume)) as response:
            if response.status_code == 304:
                yield None
            elif response.status_code == 206:
                yield _rest(response, resume, self._chunks(response))
            else:
                version = _version(response, _length(response))
                unchanged = have is not None and version.decides and version == have
                yield None if unchanged else _whole(response, version, self._chunks(response))

    def _bucket(self, url: str, text: str, symbol: str) -> list[Published]:
        where, entries = redacted(url), []
        for _ in range(_PAGES):
            found, following = bucket_page(text, url)
            entries += found
            if following is None:
                return companions(entries, symbol, where)
            url, text = self._page(following)
        raise InputError(f"{where}: more than {_PAGES} pages; expected fewer - list a narrower prefix")

    def _page(self, url: str) -> tuple[str, str]:
        def attempt(deadline: Deadline) -> tuple[str, str]:
            deadline.check()
            return self._text(url, _LISTING_BYTES)

        return with_retries(f"listing {redacted(url)}", self._policy, self._pace, attempt)

    def _text(self, url: str, limit: int) -> tuple[str, str]:
        """Final address and text of a small page."""
        with self._stream(url, {}) as response:
            data = bytearray()
            for chunk in self._chunks(response):
                data += chunk
                if len(data) > limit:
                    raise InputError(f"{redacted(url)}: more than {limit} bytes; expected a listing or checksum")
            length = _length(response)
            if length is not None and len(data) < length:
                raise TransferError(f"cut off after {len(data)} of {length} bytes")
            return str(response.url), data.decode("utf-8", "replace")

    @contextmanager
    def _stream(self, url: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
        with self._translated(url), self._client.stream("GET", url, headers=headers) as response:
            _check_status(response, url, "Range" in headers)
            yield response

    def _chunks(self, response: httpx.Response) -> Iterator[bytes]:
        with self._translated(str(response.url)):
            yield from response.iter_raw()  # as read: chunks of a fixed size would lose the last one at a break

    @contextmanager
    def _translated(self, url: str) -> Iterator[None]:
        try:
            yield
        except httpx.TimeoutException as error:
            raise TransferError(f"no answer in time ({type(error).__name__})") from error
        except (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.TooManyRedirects) as error:
            raise InputError(f"{redacted(url)}: {redacted_text(error)}; expected an address that answers") from error
        except httpx.TransportError as error:
            raise TransferError(f"the connection broke ({type(error).__name__}: {redacted_text(error)})") from error


class _NotThereError(InputError):
    """The server says that there is no such file, or that nobody may see it."""


@functools.cache
def _authorities() -> ssl.SSLContext:
    """Whom to trust; reading their certificates takes a third of a second, so it is done once."""
    return httpx.create_ssl_context()


def _is_html(text: str) -> bool:
    return any(tag in text.lower() for tag in ("<html", "<!doctype html", "<a "))


def _conditions(have: Version | None, resume: Resume | None) -> dict[str, str]:
    """Headers of a request. A date is compared here, exactly, and not by the server, which only asks for newer."""
    headers = {}
    if have is not None and have.etag is not None:
        headers["If-None-Match"] = have.etag
    if resume is not None:
        headers["Range"] = f"bytes={resume.start}-"
        headers["If-Range"] = resume.version.etag or resume.version.last_modified or ""
    return headers


def _check_status(response: httpx.Response, url: str, ranged: bool) -> None:
    status = response.status_code
    if status in (200, 304) or (status == 206 and ranged):
        return
    said = f"HTTP {status} {response.reason_phrase}".strip()
    if status == 416 and ranged:
        raise StalePartError(f"{said}: the part that is here cannot be continued")
    if status in _PASSING or status >= 500:
        raise TransferError(said, wait_s=_retry_after_s(response))
    hint = "log in or sign the address anew" if status in (401, 403) else "check the address"
    kind = _NotThereError if status in (403, 404, 410) else InputError
    raise kind(f"{redacted(url)}: {said}; expected the file or listing - {hint}")


def _retry_after_s(response: httpx.Response) -> float:
    """Seconds to wait, as asked for in seconds or, by the server's own clock, as a date."""
    asked = response.headers.get("Retry-After", "").strip()
    if asked.isdecimal():
        return float(asked)
    until, now = _date_s(asked), _date_s(response.headers.get("Date", ""))
    return 0.0 if until is None or now is None else max(0.0, until - now)


def _date_s(text: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(text).timestamp()
    except ValueError:
        return None


def _length(response: httpx.Response) -> int | None:
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isdecimal() else None


def _version(response: httpx.Response, size: int | None) -> Version:
    return Version(size, response.headers.get("ETag") or None, response.headers.get("Last-Modified") or None)


def _whole(response: httpx.Response, version: Version, chunks: Iterator[bytes]) -> Delivery:
    strong = version.etag is not None and version.etag.startswith('"')
    ranges = response.headers.get("Accept-Ranges", "").strip().lower() != "none"
    framed = "chunked" in response.headers.get("Transfer-Encoding", "").lower()
    resumable = ranges and (strong or (version.etag is None and _is_settled(response)))
    return Delivery(version, 0, chunks, resumable=resumable, framed=framed)


def _is_settled(response: httpx.Response) -> bool:
    changed, now = _date_s(response.headers.get("Last-Modified", "")), _date_s(response.headers.get("Date", ""))
    return changed is not None and now is not None and now - changed >= _SETTLED_S


def _rest(response: httpx.Response, resume: Resume | None, chunks: Iterator[bytes]) -> Delivery:
    """The bytes after those that are here, if they are of the same version."""
    found = _RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
    if resume is None or found is None or int(found[1]) != resume.start:
        raise StalePartError(
            f"sends the range {response.headers.get('Content-Range')!r}; expected one from where it broke"
        )
    now, known = _version(response, None if found[3] == "*" else int(found[3])), resume.version
    for told, expected in ((now.size, known.size), (now.etag, known.etag), (now.last_modified, known.last_modified)):
        if told is not None and expected is not None and told != expected:
            raise StalePartError(f"is another version now ({told}; it was {expected})")
    if known.etag is not None and now.etag is None:
        raise StalePartError("continues without saying of which version")
    size = known.size if now.size is None else now.size
    return Delivery(Version(size, known.etag, known.last_modified), resume.start, chunks, resumable=True)
