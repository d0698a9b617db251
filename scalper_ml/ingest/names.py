"""Which files are a symbol's, by their names."""

import re
from datetime import datetime
from typing import Final

__all__ = ["is_source"]

_SUFFIXES: Final = (".csv", ".csv.gz", ".zip", ".feather", ".parquet", ".json", ".json.gz")
_TRUTH: Final = (".truth.json", ".truth.json.gz")
_DELIVERY: Final = re.compile(r"_([0-9]{6})(?![0-9A-Za-z])")


def is_source(name: str, symbol: str) -> bool:
    """Whether a file of this name is one of the symbol: the symbol, then no letter or digit, then a known ending.

    An underscore and a day as YYMMDD right behind the symbol make it a delivery contract, which is another
    instrument: ``BTCUSDT_240628`` is a symbol of its own.

    Examples
    --------
    >>> [is_source(name, "BTCUSDT") for name in ("BTCUSDT-trades-2024-01-01.zip", "BTCUSDTPERP.csv", "BTCUSDT.part")]
    [True, False, False]
    >>> [is_source("BTCUSDT_240628-trades-2024-01-02.csv", symbol) for symbol in ("BTCUSDT", "BTCUSDT_240628")]
    [False, True]
    """
    rest = name.removeprefix(symbol)
    fits = name.startswith(symbol) and rest.endswith(_SUFFIXES) and not rest.endswith(_TRUTH)
    return fits and not rest[:1].isalnum() and not _delivers(rest)


def _delivers(rest: str) -> bool:
    found = _DELIVERY.match(rest)
    if found is None:
        return False
    try:
        datetime.strptime(found[1], "%y%m%d")
    except ValueError:
        return False
    return True
