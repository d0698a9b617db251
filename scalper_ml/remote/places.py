"""The place that files of a project come from: what of it is here, and bringing the rest.

Looking is local: a folder or a glob as it lies, a remote place as far as it was brought. Only bringing asks the
network: it lists a remote place, once, and fetches what is new or was changed there.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from scalper_ml.errors import InputError, SettingsError, SourceError
from scalper_ml.ingest.names import is_source
from scalper_ml.remote.files import Watch
from scalper_ml.remote.landing import Landing, refused_names
from scalper_ml.remote.redaction import redacted
from scalper_ml.remote.retry import RefusedFilesError, RetryPolicy
from scalper_ml.remote.sources import fetch, is_remote, list_location

__all__ = ["Located", "Place", "market_of"]

_QUOTES: Final = ("USDT", "USDC", "FDUSD", "TUSD", "BUSD", "USD", "EUR", "GBP", "TRY", "JPY", "BTC", "ETH", "BNB")


@dataclass(frozen=True, slots=True)
class Located:
    """A file that is here, and where it came from: its folder, or an address without credentials.

    `fault` says why the version that is published there now was not taken.
    """

    path: Path
    origin: str
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """A folder, a glob, one file, or what `scalper_ml.remote.fetch` reads.

    Attributes
    ----------
    location : str
        A local one is absolute.
    downloads : Path
        Every remote place has a folder of its own below it.
    policy : RetryPolicy
        How long to try.
    options : mapping
        For the object store.
    """

    location: str = field(repr=False)
    downloads: Path
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def remote(self) -> bool:
        """Whether its files must be brought here."""
        return is_remote(self.location)

    @property
    def shown(self) -> str:
        """The location as it may be shown."""
        return redacted(self.location) if self.remote else self.location

    @property
    def folder(self) -> Path:
        """Where files of a remote place land: named by the address, without what may be secret in it.

        Examples
        --------
        >>> Place("https://me:pw@data.example.org/spot/", Path("downloads")).folder.name
        'data.example.org-spot-77a7ba58'
        """
        name = re.sub(r"[^A-Za-z0-9.]+", "-", self.shown.partition("://")[2]).strip("-.")[:60]
        return self.downloads / f"{name}-{sha256(self.shown.encode()).hexdigest()[:8]}"

    def here(self, symbol: str) -> list[Located]:
        """Files of a symbol that lie here, by name, and those that were not taken; the network is not asked.

        Raises
        ------
        InputError
            If a local place does not exist, or holds two files of one name.
        """
        if not self.remote:
            paths = (Path(os.path.abspath(file.url)) for file in list_location(self.location, symbol))
            return [Located(path, str(path.parent)) for path in paths]
        if not self.folder.is_dir():
            return []
        found = []
        for name in sorted({*os.listdir(self.folder), *refused_names(self.folder)}):
            landing = Landing(self.folder, name)
            if not is_source(name, symbol):
                continue
            if (refusal := landing.refusal()) is not None:
                found.append(Located(landing.path, refusal.origin, refusal.reason))
            elif (record := landing.record()) is not None:
                found.append(Located(landing.path, record.origin))
        return found

    def bring(self, symbol: str, watch: Watch | None = None) -> list[Located]:
        """As `here`, after a remote place was listed and what is new or changed there was fetched.

        Raises
        ------
        InputError
            As `here`.
        SourceError
            If a remote place does not answer. A file of it that was not taken is among the files, with its fault.
        """
        if self.remote:
            options = dict(self.options)
            try:
                fetch(self.location, self.folder, symbol=symbol, policy=self.policy, options=options, watch=watch)
            except RefusedFilesError:
                pass  # each is remembered, and told by `here`
            except InputError as error:
                raise SourceError(str(error)) from error
        return self.here(symbol)


def market_of(symbol: str) -> str:
    """The spot market of a symbol as ccxt names it.

    Raises
    ------
    SettingsError
        If it does not end in a known quote currency.

    Examples
    --------
    >>> market_of("BTCUSDT"), market_of("ETHBTC")
    ('BTC/USDT', 'ETH/BTC')
    """
    for quote in _QUOTES:
        if symbol.endswith(quote) and symbol != quote:
            return f"{symbol.removesuffix(quote)}/{quote}"
    raise SettingsError(
        f"symbol {symbol!r}: does not end in a known quote currency {list(_QUOTES)}; name the market, such as "
        "ccxt:kraken/BTC/USD, with --symbol"
    )
