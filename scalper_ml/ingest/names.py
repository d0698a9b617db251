"""Which files are a symbol's, by their names: the one place that knows how venues and tools name their files.

References
----------
Binance https://data.binance.vision, Bybit https://public.bybit.com, OKX https://www.okx.com/historical-data,
Tardis https://docs.tardis.dev/downloadable-csv-files, Kraken https://support.kraken.com (its downloadable history),
freqtrade https://www.freqtrade.io/en/stable/data-download, hftbacktest's collector https://hftbacktest.readthedocs.io
"""

import re
from datetime import datetime
from functools import lru_cache
from typing import Final

__all__ = ["KNOWN_NAMES", "is_source"]

KNOWN_NAMES: Final = (
    "{symbol}-2024-01-01.zip, {symbol}2024-01-01.csv.gz, binance_trades_2024-01-01_{symbol}.csv.gz, or coins parted "
    "as in BTC-USDT-trades-2024-01-01.zip"
)
"""What file names may look like, for messages."""

_SUFFIXES: Final = (
    ".csv", ".csv.gz", ".csv.zst", ".zip", ".feather", ".parquet", ".json", ".json.gz",
    ".jsonl", ".jsonl.gz", ".jsonl.zst", ".log", ".log.gz", ".log.zst",
)  # fmt: skip
_TRUTH: Final = (".truth.json", ".truth.json.gz")
_DAY: Final = r"\d{4}-\d{2}-\d{2}"
_CONTRACT: Final = re.compile(r"[-_](SWAP|PERP|PERPETUAL|FUTURES)(?![0-9A-Za-z])")
_DELIVERY: Final = re.compile(r"[-_]([0-9]{6})(?![0-9A-Za-z])")
_CAPTURE: Final = re.compile(r"_[0-9]{8}(\.gz|\.zst)?$")
_KRAKEN: Final = {"BTC": "XBT", "DOGE": "XDG"}


def is_source(name: str, symbol: str) -> bool:
    """Whether a file of this name is one of the symbol.

    The name begins with the symbol, or with a venue and a day as Tardis has them. Coins may be parted by a dash or an
    underscore, and be spelled as Kraken spells them. Behind the symbol comes a day, or no letter or digit; the name has
    a known ending. A recorder's capture may spell it in lower case: ``btcusdt_20240808.gz``.

    A contract behind the symbol makes it another instrument, with a symbol of its own: an underscore and a delivery day
    as YYMMDD, and behind parted coins also ``-SWAP`` or a dash and a delivery day.

    Examples
    --------
    >>> names = ("BTCUSDT-trades-2024-01-01.zip", "BTCUSDT2024-01-01.csv.gz", "BTC-USDT-trades-2024-01-01.zip")
    >>> names += ("binance_trades_2024-01-01_BTCUSDT.csv.gz", "XBTUSDT.csv", "BTC_USDT-trades.feather")
    >>> all(is_source(name, "BTCUSDT") for name in names)
    True
    >>> others = ("BTCUSDTPERP.csv", "BTCUSDT.part", "BTCUSDT_240628.csv", "BTC-USDT-SWAP-trades-2024-01-01.zip")
    >>> any(is_source(name, "BTCUSDT") for name in others)
    False
    >>> is_source("BTCUSDT_240628.csv", "BTCUSDT_240628"), is_source("BTC-USDT-SWAP-trades.zip", "BTCUSDTSWAP")
    (True, True)
    """
    if name.startswith(symbol.lower()) and _CAPTURE.fullmatch(name.removeprefix(symbol.lower())):
        return True
    if not name.endswith(_SUFFIXES) or name.endswith(_TRUTH):
        return False
    found = _spelled(symbol).match(name)
    if found is None:
        return False
    rest, parted = name[found.end() :], found["symbol"] != symbol
    return not (_delivers(rest, dashed=parted) or (parted and _CONTRACT.match(rest)))


@lru_cache(maxsize=256)
def _spelled(symbol: str) -> re.Pattern[str]:
    spellings = [symbol, *(other + symbol[len(coin) :] for coin, other in _KRAKEN.items() if symbol.startswith(coin))]
    parted = "|".join("[-_]?".join(map(re.escape, spelling)) for spelling in spellings)
    return re.compile(rf"(?:[a-z0-9-]+_trades_{_DAY}_)?(?P<symbol>{parted})(?={_DAY}|[^0-9A-Za-z])")


def _delivers(rest: str, *, dashed: bool) -> bool:
    """Whether a delivery day follows; a dash before it counts only behind coins that are parted themselves."""
    found = _DELIVERY.match(rest)
    if found is None or (rest.startswith("-") and not dashed):
        return False
    try:
        datetime.strptime(found[1], "%y%m%d")
    except ValueError:
        return False
    return True
