"""Trades over an exchange's public REST interface, through ccxt, as files that the ``ccxt-trades`` adapter reads."""

import difflib
import gzip
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Protocol

from scalper_ml.clock import iso
from scalper_ml.durable import atomic_write, canonical_json, sha256_of
from scalper_ml.errors import InputError
from scalper_ml.remote.files import SourceFile
from scalper_ml.remote.redaction import redacted_text
from scalper_ml.remote.retry import Deadline, Pace, RetryPolicy, TransferError, with_retries

__all__ = ["TradesExchange", "fetch_trades"]

Trade = Mapping[str, Any]

_FIELDS: Final = ("id", "timestamp", "datetime", "symbol", "side", "takerOrMaker", "price", "amount", "cost")
_FROM_ID: Final = frozenset({"binance", "binanceus", "binanceusdm", "binancecoinm"})
"""Exchanges that page by trade id, without gaps: ccxt hands ``fromId`` on to them."""
_DAY_US: Final = 86_400_000_000
_HOUR_MS: Final = 3_600_000
_SMALLEST_FULL_PAGE: Final = 50


class TradesExchange(Protocol):
    """What is used of a ccxt exchange."""

    id: str

    def fetch_trades(
        self, symbol: str, since: int | None = None, limit: int | None = None, params: dict[str, Any] = ...
    ) -> Sequence[Trade]:
        """A page of public trades from `since` (ms) on."""
        ...

    def milliseconds(self) -> int:
        """Now."""
        ...


def fetch_trades(
    exchange: str | TradesExchange,
    market: str,
    since_us: int,
    until_us: int,
    *,
    folder: Path,
    symbol: str | None = None,
    limit: int = 1000,
    policy: RetryPolicy | None = None,
    pace: Pace | None = None,
) -> list[SourceFile]:
    """Trades of ``[since_us, until_us)``, one file for each UTC day; days that are there already are not asked for.

    Parameters
    ----------
    exchange : str or TradesExchange
        A name that ccxt knows, or an exchange made by the caller.
    market : str
        ccxt's name of the market: ``BTC/USDT``, ``BTC/USDT:USDT``.
    since_us, until_us : int
        UTC microseconds, whole milliseconds; `until_us` lies in the past, so that the files are final.
    folder : Path
    symbol : str, optional
        Beginning of the file names; by default the market without separators and settlement: ``BTCUSDT``.
    limit : int
        Trades to ask for in one page; an exchange may give fewer.
    policy, pace : RetryPolicy, Pace
        How long to try, for each page.

    Returns
    -------
    list of SourceFile
        Sorted by day.

    Raises
    ------
    InputError
        If ccxt or the exchange is not there, the exchange refuses, a day comes without any trade, two pages do not
        join, or more trades share a millisecond than a page holds. No file of an incomplete day is written.

    Notes
    -----
    Pages are joined by trade id where the exchange pages by id, else each page must repeat the last trade of the one
    before. That an exchange does not reach back to `since_us` shows only as a late first trade.
    """
    source = _exchange(exchange) if isinstance(exchange, str) else exchange
    _check_window(source, since_us, until_us)
    asker = _Asker(source, market, limit, policy or RetryPolicy(), pace or Pace())
    name = symbol or "".join(letter for letter in market.partition(":")[0] if letter.isalnum())
    return [_day(asker, Path(folder), name, begin, end) for begin, end in _days(since_us, until_us)]


class _Asker:
    """Pages of one market."""

    def __init__(self, source: TradesExchange, market: str, limit: int, policy: RetryPolicy, pace: Pace) -> None:
        self.source, self.market, self.limit = source, market, limit
        self._policy, self._pace = policy, pace
        self.where = f"{source.id} {market}"

    def page(self, since_ms: int | None, params: dict[str, Any]) -> list[Trade]:
        """One page, sorted by stamp."""

        def attempt(deadline: Deadline) -> Sequence[Trade]:
            deadline.check()
            with _translated(self.where):
                return self.source.fetch_trades(self.market, since_ms, self.limit, params)

        trades = with_retries(f"{self.where} trades", self._policy, self._pace, attempt)
        for trade in trades:
            if not isinstance(trade.get("timestamp"), int):
                raise InputError(f"{self.where}: trade {trade.get('id')!r} has no timestamp; expected milliseconds")
        return sorted(trades, key=_stamp)


def _day(asker: _Asker, folder: Path, symbol: str, begin_us: int, end_us: int) -> SourceFile:
    compact = [iso(edge).replace("-", "").replace(":", "") for edge in (begin_us, end_us)]
    path = folder / f"{symbol}-ccxt-{asker.source.id}-{compact[0]}-{compact[1]}.json.gz"
    origin = f"ccxt:{asker.source.id}/{asker.market}"
    if path.exists():
        return SourceFile(path.name, path, origin, path.stat().st_size, outcome="unchanged")
    since_ms, until_ms = begin_us // 1000, end_us // 1000
    trades = _by_id(asker, since_ms, until_ms) if asker.source.id in _FROM_ID else _by_time(asker, since_ms, until_ms)
    records = [{name: trade.get(name) for name in _FIELDS} for trade in trades if since_ms <= _stamp(trade) < until_ms]
    if not records:
        raise InputError(
            f"{asker.where}: no trade from {iso(begin_us)} to {iso(end_us)}; expected some - does the exchange reach "
            "back so far? Name days that have trades, or use its dump files"
        )
    data = gzip.compress(canonical_json(records), mtime=0)
    atomic_write(path, data)
    return SourceFile(path.name, path, origin, len(data), sha256=sha256_of(data), outcome="downloaded")


def _by_id(asker: _Asker, since_ms: int, until_ms: int) -> list[Trade]:
    """The first page by time, the others by the id that follows."""
    trades = _first_page(asker, since_ms, until_ms)
    while trades and _stamp(trades[-1]) < until_ms:
        following = _number(asker, trades[-1]) + 1
        page = sorted(asker.page(None, {"fromId": str(following)}), key=lambda trade: _number(asker, trade))
        if not page:
            break
        if _number(asker, page[0]) != following:
            raise InputError(
                f"{asker.where}: asked for trades from id {following}, found {page[0]['id']!r} first; expected them "
                "without a hole - use the exchange's dump files for this day"
            )
        trades += page
    return trades


def _first_page(asker: _Asker, since_ms: int, until_ms: int) -> list[Trade]:
    for cursor in range(since_ms, until_ms, _HOUR_MS):
        page = [trade for trade in asker.page(cursor, {}) if _stamp(trade) >= cursor]
        if page:
            return sorted(page, key=lambda trade: _number(asker, trade))
    return []


def _by_time(asker: _Asker, since_ms: int, until_ms: int) -> list[Trade]:
    """Each page begins at the last stamp of the one before, and replaces what was had of that stamp."""
    trades: list[Trade] = []
    cursor, longest, last = since_ms, 0, None
    while cursor < until_ms:
        page = [trade for trade in asker.page(cursor, {}) if _stamp(trade) >= cursor]
        if last is not None and not any(_same(trade, last) for trade in page):
            raise InputError(
                f"{asker.where}: the page from {iso(cursor * 1000)} on does not begin with the last trade of the page "
                f"before (id {last.get('id')!r}); expected pages that join - this exchange does not page by time"
            )
        if not page:
            cursor += _HOUR_MS
            continue
        trades = [trade for trade in trades if _stamp(trade) < cursor] + page
        if _stamp(page[-1]) > cursor:
            cursor, last = _stamp(page[-1]), page[-1]
        elif len(page) >= min(asker.limit, max(longest, _SMALLEST_FULL_PAGE)):
            raise InputError(
                f"{asker.where}: {len(page)} trades at {iso(cursor * 1000)} fill a page, there may be more; expected "
                "fewer in one millisecond - use the exchange's dump files for this day"
            )
        else:
            cursor, last = cursor + 1, None
        longest = max(longest, len(page))
    return trades


def _exchange(name: str) -> TradesExchange:
    try:
        ccxt = import_module("ccxt")
    except ImportError as error:
        raise InputError(
            f"exchange {name!r}: trades over REST need ccxt, which is not installed; expected it - "
            "pip install 'scalper-ml[rest]'"
        ) from error
    if name not in ccxt.exchanges:
        near = difflib.get_close_matches(name, ccxt.exchanges, 3)
        raise InputError(f"exchange {name!r} is not known to ccxt {ccxt.__version__}; expected a name like {near}")
    exchange: TradesExchange = getattr(ccxt, name)({"enableRateLimit": True})
    return exchange


@contextmanager
def _translated(where: str) -> Iterator[None]:
    passing, final = _errors()
    try:
        yield
    except passing as error:
        raise TransferError(f"{type(error).__name__}: {redacted_text(error)}") from error
    except final as error:
        raise InputError(
            f"{where}: the exchange refuses ({type(error).__name__}: {redacted_text(error)}); expected trades - check "
            "the name of the market"
        ) from error


def _errors() -> tuple[tuple[type[Exception], ...], tuple[type[Exception], ...]]:
    """Errors that may pass, and those that will not."""
    try:
        errors = import_module("ccxt.base.errors")
    except ImportError:
        return (OSError,), ()  # an exchange made by the caller needs no ccxt
    return (OSError, errors.NetworkError), (errors.BaseError,)


def _check_window(source: TradesExchange, since_us: int, until_us: int) -> None:
    if since_us % 1000 or until_us % 1000 or not since_us < until_us <= source.milliseconds() * 1000:
        raise InputError(
            f"{source.id}: window from {since_us} to {until_us}; expected whole milliseconds in UTC microseconds, the "
            "first before the second, and the second in the past"
        )


def _days(since_us: int, until_us: int) -> list[tuple[int, int]]:
    """The window, cut at midnight.

    Examples
    --------
    >>> _days(_DAY_US - 5, _DAY_US + 7) == [(_DAY_US - 5, _DAY_US), (_DAY_US, _DAY_US + 7)]
    True
    """
    edges = [since_us, *range((since_us // _DAY_US + 1) * _DAY_US, until_us, _DAY_US), until_us]
    return list(pairwise(edges))


def _stamp(trade: Trade) -> int:
    return int(trade["timestamp"])


def _number(asker: _Asker, trade: Trade) -> int:
    text = str(trade.get("id"))
    if not text.isdecimal():
        raise InputError(f"{asker.where}: trade id {text!r}; expected a whole number")
    return int(text)


def _same(one: Trade, other: Trade) -> bool:
    return all(one.get(name) == other.get(name) for name in ("timestamp", "id", "price", "amount", "side"))
