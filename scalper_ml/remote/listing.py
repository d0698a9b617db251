"""What a web page or an S3 answer lists."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urljoin, urlsplit, urlunsplit

from scalper_ml.errors import InputError
from scalper_ml.ingest.names import is_source
from scalper_ml.remote.files import CHECKSUM, UNKNOWN, Published, Version, safe_name
from scalper_ml.remote.redaction import redacted
from scalper_ml.remote.retry import TransferError

__all__ = ["Entry", "bucket_page", "bucket_url", "companions", "html_links", "parse_checksum"]

_BUCKET: Final = re.compile(r"\bBUCKET_URL\s*=\s*['\"](https?://[^'\"]+)['\"]")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a listing."""

    name: str
    url: str
    version: Version = UNKNOWN


def companions(entries: list[Entry], symbol: str, where: str) -> list[Published]:
    """Files of a symbol, each with its checksum file, sorted by name.

    Raises
    ------
    InputError
        If two different files have the same name, or a name is not plain.
    """
    found: dict[str, Entry] = {}
    for entry in entries:
        data_name = entry.name.removesuffix(CHECKSUM)
        if not is_source(data_name, symbol):
            continue
        name = safe_name(entry.name, where)
        if found.setdefault(name, entry).url != entry.url:
            raise InputError(
                f"{where}: two files are named {name!r}, {redacted(found[name].url)} and {redacted(entry.url)}; "
                "expected one - narrow the location to one folder"
            )
    return [_published(found[name], found.get(name + CHECKSUM)) for name in sorted(found) if is_source(name, symbol)]


def _published(entry: Entry, checksum: Entry | None) -> Published:
    return Published(
        name=entry.name,
        origin=redacted(entry.url),
        url=entry.url,
        version=entry.version,
        checksum=None if checksum is None else checksum.url,
        checksum_version=UNKNOWN if checksum is None else checksum.version,
    )


def parse_checksum(text: str, name: str) -> str:
    """The sha256 in a checksum file, in lower case.

    Raises
    ------
    TransferError
        If it is not ``<64 hex digits>  <name>``, or is for another file.

    Examples
    --------
    >>> parse_checksum("ab" * 32 + "  BTCUSDT.zip\\n", "BTCUSDT.zip")[:8]
    'abababab'
    """
    digest, _, rest = text.strip().partition(" ")
    named = rest.strip().removeprefix("*").rpartition("/")[2]
    if not re.fullmatch(r"[0-9A-Fa-f]{64}", digest) or named not in ("", name):
        raise TransferError(f"its checksum file says {text[:100]!r}; expected '<64 hex digits>  {name}'")
    return digest.lower()


def html_links(text: str, base: str) -> list[Entry]:
    """Links of an index page; sizes and dates printed beside them are rounded and not read.

    Examples
    --------
    >>> html_links('<a href="../">up</a> <a href="BTC%2DUSD.csv">BTC-USD.csv</a>', "http://host/data/")
    [Entry(name='BTC-USD.csv', url='http://host/data/BTC%2DUSD.csv', version=Version(size=None, ...))]
    """
    page = _Links()
    page.feed(text)
    page.close()
    base = urljoin(base, page.base) if page.base else base
    urls = [urlsplit(urljoin(base, link.strip())) for link in page.links]
    entries = [Entry(unquote(url.path.rpartition("/")[2]), urlunsplit(url._replace(fragment=""))) for url in urls]
    return [entry for entry, url in zip(entries, urls, strict=True) if entry.name and url.scheme in ("http", "https")]


def bucket_url(text: str, page_url: str) -> str | None:
    """The S3 listing behind a page that is drawn from one by a script, as data.binance.vision's is."""
    found = _BUCKET.search(text)
    if found is None:
        return None
    query = [(name, value) for name, value in parse_qsl(urlsplit(page_url).query) if name == "prefix"]
    return f"{found.group(1)}?{urlencode(query)}"


def bucket_page(text: str, url: str) -> tuple[list[Entry], str | None]:
    """Keys of one page of a bucket, and the address of the next page.

    Raises
    ------
    InputError
        If it is no ``ListBucketResult``, or says that it goes on but not where.
    """
    where = redacted(url)
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise InputError(f"{where}: broken XML listing ({error}); expected a ListBucketResult") from error
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    if root.tag != "ListBucketResult":
        message = root.findtext("Message") or root.findtext("Code") or ""
        raise InputError(f"{where}: answers <{root.tag}> {message!r}; expected a ListBucketResult")
    coded = root.findtext("EncodingType") == "url"
    parts = urlsplit(url)
    base = urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))
    entries, last = [], ""
    for item in root.findall("Contents"):
        last = item.findtext("Key") or ""
        last = unquote(last) if coded else last
        if not last.endswith("/"):
            entries.append(Entry(last.rpartition("/")[2], f"{base}/{quote(last)}", _version(item, where)))
    if (root.findtext("IsTruncated") or "false").strip().lower() != "true":
        return entries, None
    if token := root.findtext("NextContinuationToken"):
        return entries, _with(url, {"continuation-token": token})
    marker = root.findtext("NextMarker") or last
    if not marker or dict(parse_qsl(parts.query)).get("marker", "") >= marker:
        raise InputError(
            f"{where}: is cut but does not say where it goes on (marker {marker!r}); list a narrower prefix"
        )
    return entries, _with(url, {"marker": unquote(marker) if coded and marker != last else marker})


def _version(item: ElementTree.Element, where: str) -> Version:
    size = item.findtext("Size") or ""
    if size and not size.isdecimal():
        raise InputError(f"{where}: key {item.findtext('Key')!r} has size {size!r}; expected a number of bytes")
    etag = (item.findtext("ETag") or "").strip()
    quoted = etag if not etag or etag.startswith(('"', "W/")) else f'"{etag}"'
    return Version(int(size) if size else None, quoted or None, item.findtext("LastModified"))


def _with(url: str, changed: Mapping[str, str]) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query=urlencode({**dict(parse_qsl(parts.query, True)), **changed})))


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.base: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        target = dict(attrs).get("href")
        if tag == "base" and target and self.base is None:
            self.base = target
        elif tag == "a" and target:
            self.links.append(target)
