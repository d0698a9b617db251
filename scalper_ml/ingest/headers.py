"""Header spellings seen in the wild, and the role each one plays."""

import math
from collections.abc import Mapping, Sequence
from typing import Final

__all__ = ["KLINE_SPELLINGS", "TRADE_SPELLINGS", "is_header", "number", "places", "plain_name", "roles"]

TRADE_SPELLINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "ts": (
        "tsus", "tsms", "tsns", "ts", "timestamp", "timestampus", "timestampms", "transacttime", "tradetime",
        "exectime", "eventtime", "time", "datetime", "date", "t",
    ),
    "price": ("price", "p", "tradeprice", "execprice", "px", "rate"),
    "qty": ("qty", "quantity", "size", "amount", "volume", "q", "sz", "vol", "baseqty", "execqty", "lastqty", "v"),
    "side": ("side", "takerside", "aggressorside", "aggressor", "direction", "takersidesell", "s"),
    "maker": ("isbuyermaker", "buyermaker", "isbuyerthemaker", "buyeristhemaker", "m"),
    "id": ("id", "tradeid", "aggtradeid", "aggregatetradeid", "a", "tid", "trdmatchid", "execid"),
    "symbol": ("symbol", "pair", "instrument", "product", "productid", "market"),
}  # fmt: skip
"""Role to the spellings that play it, best first; case, spaces, ``_``, ``-`` and ``.`` do not count."""

KLINE_SPELLINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "ts": ("opentime", "opents", "opentsus", "timestamp", "ts", "time", "datetime", "date", "start", "starttime", "t"),
    "open": ("open", "o", "openprice"),
    "high": ("high", "h", "highprice"),
    "low": ("low", "l", "lowprice"),
    "close": ("close", "c", "closeprice"),
    "volume": ("volume", "v", "vol", "basevolume", "baseassetvolume"),
    "close_time": ("closetime", "closets"),
    "quote_volume": ("quotevolume", "quoteassetvolume", "quotevol", "qav"),
    "count": ("count", "trades", "numberoftrades", "numtrades", "tradecount", "n"),
    "buy_volume": ("takerbuyvolume", "takerbuybasevolume", "takerbuybaseassetvolume", "takerbasevolume", "buyvolume"),
    "symbol": ("symbol", "pair", "instrument", "market"),
}
"""As `TRADE_SPELLINGS`, for klines."""


def roles(names: Sequence[str], spellings: Mapping[str, tuple[str, ...]]) -> dict[str, int]:
    """Role to position, for every role that a column name spells.

    Examples
    --------
    >>> roles(["Trade ID", "isBuyerMaker", "Price", "quoteQty", "Qty", "Time"], TRADE_SPELLINGS)
    {'ts': 5, 'price': 2, 'qty': 4, 'maker': 1, 'id': 0}
    """
    plain = [plain_name(name) for name in names]
    exact = {"T": "ts", "t": ""} if {"T", "t"} <= set(names) else {}  # in Binance's raw messages T is the time, t an id
    found: dict[str, int] = {}
    for role, known in spellings.items():
        best = [spelling for spelling in known if spelling in plain]
        if best:
            found[role] = plain.index(best[0])
    for name, role in exact.items():
        if role in found:
            found[role] = list(names).index(name)
    return found


def plain_name(name: str) -> str:
    """A column name without case, spaces and punctuation.

    Examples
    --------
    >>> plain_name("is_buyer_maker") == plain_name("isBuyerMaker")
    True
    """
    return "".join(letter for letter in name.lower() if letter.isalnum())


def number(field: str) -> float | None:
    """The number that a field is, None if it is none or not finite.

    Examples
    --------
    >>> number("1.5"), number("buy"), number("nan")
    (1.5, None, None)
    """
    try:
        value = float(field)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def places(names: Sequence[str], columns: Mapping[str, str]) -> dict[str, int] | None:
    """Role to position for the columns of one known header, None if any of them is not there.

    Examples
    --------
    >>> places(["Time", "Price", "extra"], {"ts": "time", "price": "price"})
    {'ts': 0, 'price': 1}
    """
    plain = [plain_name(name) for name in names]
    if not set(columns.values()) <= set(plain):
        return None
    return {role: plain.index(name) for role, name in columns.items()}


def is_header(fields: Sequence[str]) -> bool:
    """Whether a line names columns: it has words, and no field of it is a number.

    Examples
    --------
    >>> is_header(["ts", "price"]), is_header(["1700000000000", "1.5", "true"])
    (True, False)
    """
    return not any(_is_number(field) for field in fields) and any(field[:1].isalpha() for field in fields)


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return field.lower() not in {"nan", "inf", "infinity"}
