"""Addresses without what must not be seen: no user, password, signature or token."""

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

__all__ = ["quiet_logs", "redacted", "redacted_text"]

_PLAIN: Final = frozenset({"prefix", "delimiter", "marker", "list-type", "max-keys", "encoding-type", "start-after"})
"""Parameters of a listing that are no secret; the value of every other one is hidden."""
_ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]+")


def redacted(url: str) -> str:
    """The address without user and password, and with the values of unknown parameters hidden.

    Examples
    --------
    >>> redacted("https://me:pw@host/a/BTCUSDT.csv?X-Amz-Signature=abc&prefix=data/spot/#part")
    'https://host/a/BTCUSDT.csv?X-Amz-Signature=***&prefix=data/spot/'
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(an address that cannot be read)"
    query = "&".join(
        f"{quote(name)}={quote(value, safe='/') if name in _PLAIN else '***'}"
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    )
    if parts.query and not query:
        query = "***"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, query, ""))


def redacted_text(text: object) -> str:
    """A message with every address in it redacted.

    Examples
    --------
    >>> redacted_text("GET https://me:pw@host/x?token=1 failed")
    'GET https://host/x?token=*** failed'
    """
    return _ADDRESS.sub(lambda found: redacted(found.group()), str(text))


@contextmanager
def quiet_logs(names: Sequence[str]) -> Iterator[None]:
    """While open, addresses in what these loggers write are redacted."""
    hide = _Redact()
    with ExitStack() as stack:
        for name in names:
            logger = logging.getLogger(name)
            logger.addFilter(hide)
            stack.callback(logger.removeFilter, hide)
        yield


class _Redact(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redacted_text(record.getMessage()), ()
        return True
