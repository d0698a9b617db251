"""A web server that misbehaves on demand, and a clock that stands still unless slept on."""

import email.utils
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, urlsplit
from xml.sax.saxutils import escape

import pytest

from scalper_ml.remote import Pace, RetryPolicy

_START_S = 1_704_067_200


@dataclass
class Content:
    """A published file."""

    data: bytes
    etag: str | None = None
    last_modified: str | None = None


@dataclass
class Asked:
    """A request that came, and what was answered."""

    path: str
    headers: dict[str, str]
    status: int = 0
    sent: int = 0


class FaultyServer(ThreadingHTTPServer):
    """Publishes `files`; `faults` are used up one for each request of a data file, in order.

    A fault is ``(kind, number)``: ``truncate`` and ``stall`` after that many bytes, ``status`` that number,
    ``reupload`` before and ``reupload-midway`` after that many bytes, ``ignore-range``, ``corrupt`` the byte there,
    ``no-length``, ``other-range`` (the rest of a new version, whatever ``If-Range`` says), ``blind-range``.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.release = threading.Event()
        self.reset()

    def reset(self) -> None:
        self.files: dict[str, Content] = {}
        self.faults: list[tuple[str, int]] = []
        self.asked: list[Asked] = []
        self.checksums: dict[str, str] = {}
        self.headers: dict[str, str] = {}
        self.page_size = 1000
        self.again = b""
        self.uploads = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def publish(self, path: str, data: bytes, *, checksum: bool = True, etag: bool = True) -> None:
        digest = hashlib.sha256(data).hexdigest()
        self.uploads += 1
        date = email.utils.formatdate(_START_S + self.uploads, usegmt=True)
        self.files[path] = Content(data, f'"{digest[:16]}"' if etag else None, date)
        if checksum:
            text = f"{digest}  {path.rpartition('/')[2]}\n"
            self.files[path + ".CHECKSUM"] = Content(text.encode(), f'"c{digest[:8]}"', date)

    def asked_for(self, end: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.path.endswith(end)]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultyServer

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        asked = Asked(parts.path, dict(self.headers.items()))
        self.server.asked.append(asked)
        if parts.path == "/bucket":
            return self._send(asked, 200, self._bucket(parse_qs(parts.query)), {"Content-Type": "application/xml"})
        content = self.server.files.get(parts.path.removeprefix("/bucket"))
        if parts.path.endswith("/"):
            return self._send(asked, 200, self._index(parts.path), {"Content-Type": "text/html"})
        if content is None:
            return self._send(asked, 404, b"no such file", {})
        if parts.path.endswith(".CHECKSUM"):
            return self._send(asked, 200, content.data, {})
        return self._data(asked, parts.path.removeprefix("/bucket"))

    def _data(self, asked: Asked, path: str) -> None:
        fault, number = self.server.faults.pop(0) if self.server.faults else ("", 0)
        if fault == "status":
            return self._send(asked, number, b"busy", dict(self.server.headers))
        if fault in ("reupload", "other-range", "blind-range"):
            self._reupload(path)
        content = self.server.files[path]
        validators = {"ETag": content.etag, "Last-Modified": content.last_modified}
        headers = {name: value for name, value in validators.items() if value is not None}
        if content.etag is not None and self.headers.get("If-None-Match") == content.etag:
            return self._send(asked, 304, b"", headers)
        status, start, wanted = 200, 0, self.headers.get("Range", "")
        current = self.headers.get("If-Range") in (content.etag, content.last_modified)
        if wanted and (current or fault in ("other-range", "blind-range")) and fault != "ignore-range":
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content.data):
                return self._send(asked, 416, b"", {"Content-Range": f"bytes */{len(content.data)}"})
            status = 206
            if fault == "blind-range":
                headers.clear()
            headers["Content-Range"] = f"bytes {start}-{len(content.data) - 1}/{len(content.data)}"
        body = bytearray(content.data[start:])
        if fault == "corrupt" and body:
            body[number % len(body)] ^= 0xFF
        cut = number if fault in ("truncate", "stall", "reupload-midway") else len(body)
        self._send(asked, status, bytes(body), headers, cut=cut, framed=fault != "no-length")
        if fault == "stall":
            self.server.release.wait(20)
        if fault == "reupload-midway":
            self._reupload(path)

    def _reupload(self, path: str) -> None:
        data = bytes(byte ^ 0x55 for byte in self.server.files[path].data) + self.server.again
        self.server.publish(
            path, data, checksum=path + ".CHECKSUM" in self.server.files, etag=self.server.files[path].etag is not None
        )

    def _send(
        self,
        asked: Asked,
        status: int,
        body: bytes,
        headers: dict[str, str],
        *,
        cut: int | None = None,
        framed: bool = True,
    ) -> None:
        asked.status = status
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if framed:
            self.send_header("Content-Length", str(len(body)))
        whole = cut is None or cut >= len(body)
        if not (framed and whole):
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        sent = body if cut is None else body[:cut]
        asked.sent = len(sent)
        self.wfile.write(sent)
        self.wfile.flush()

    def _index(self, folder: str) -> bytes:
        names = [path.removeprefix(folder) for path in self.server.files if path.startswith(folder)]
        rows = "".join(f'<a href="{quote(name)}">{escape(name)}</a>  01-Jan-2024 00:00  12K\n' for name in names)
        return f'<html><body><a href="?C=N;O=D">Name</a> <a href="../">../</a>\n{rows}</body></html>'.encode()

    def _bucket(self, query: dict[str, list[str]]) -> bytes:
        prefix, marker = query.get("prefix", [""])[0], query.get("marker", [""])[0]
        keys = sorted(path[1:] for path in self.server.files if path[1:].startswith(prefix) and path[1:] > marker)
        page = keys[: self.server.page_size]
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified>"
            f"<ETag>{escape(self.server.files['/' + key].etag or '', {chr(34): '&quot;'})}</ETag>"
            f"<Size>{len(self.server.files['/' + key].data)}</Size></Contents>"
            for key in page
        )
        cut = "true" if len(keys) > len(page) else "false"
        return (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bucket</Name>'
            f"<Prefix>{escape(prefix)}</Prefix><IsTruncated>{cut}</IsTruncated>{rows}</ListBucketResult>"
        ).encode()


@dataclass
class StillClock:
    """Time that passes only while sleeping."""

    seconds: float = 0.0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds

    @property
    def pace(self) -> Pace:
        return Pace(now=lambda: self.seconds, sleep=self.sleep, jitter=lambda: 0.0)


@pytest.fixture(scope="session")
def running_server() -> Iterator[FaultyServer]:
    server = FaultyServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.release.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def server(running_server: FaultyServer) -> FaultyServer:
    running_server.reset()
    return running_server


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture(scope="session")
def new_clock() -> type[StillClock]:
    return StillClock


@pytest.fixture
def impatient() -> RetryPolicy:
    return RetryPolicy(attempts=4, stall_timeout_s=0.2)
