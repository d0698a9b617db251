"""Text and typed columns to numbers, stamps and sides: whole columns at a time, with a mask of what was readable."""

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = [
    "ABSURD",
    "DUST",
    "EARLIEST",
    "LATEST",
    "decimals",
    "flags",
    "identifiers",
    "side_words",
    "sides",
    "stamps_us",
    "to_us",
]

_ID: Final = r"^[0-9]{1,19}(\.0*)?$"
_STAMP: Final = r"^[0-9]{1,19}$"
_DECIMAL: Final = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_ISO: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?(Z|[+-][0-9]{2}:?[0-9]{2})?$"
_ZONE: Final = r"(Z|[+-][0-9]{2}:?[0-9]{2})$"
EARLIEST: Final = 946_684_800_000_000  # 2000-01-01
LATEST: Final = 4_102_444_800_000_000  # 2100-01-01
ABSURD: Final = 1e15  # a price or quantity from here on is none; sums and products of smaller ones stay finite
DUST: Final = 1e-18  # a price below is none; the fast parser's 18 digits spell no smaller one
_PER_US: Final = {"s": 1_000_000, "ms": 1000, "us": 1, "ns": 0}  # 0: a part of one
_EXACT: Final = 2.0**53  # from here on a double stands for several integers

_SIDES: Final = {
    **dict.fromkeys(("buy", "b", "bid", "buyer", "1", "+1", "1.0", "buytaker", "takerbuy", "bidtaker", "takerbid"), 1),
    **dict.fromkeys(("sell", "s", "ask", "seller", "-1", "-1.0", "selltaker", "takersell", "asktaker", "takerask"), -1),
}
_FLAGS: Final = {**dict.fromkeys(("true", "t", "1", "yes"), 1), **dict.fromkeys(("false", "f", "0", "no"), 0)}


def to_us(stamp: np.ndarray) -> np.ndarray:
    """Integer stamps of mixed units as microseconds, each row by its own magnitude.

    At least 1e17 is nanoseconds, 1e14 microseconds, 1e11 milliseconds, anything less seconds.

    Parameters
    ----------
    stamp : ndarray of int64 or float64, shape (n,)

    Returns
    -------
    ndarray of int64, shape (n,)
        Nanoseconds are rounded down; fractions of other units are rounded to the nearest microsecond.

    Examples
    --------
    >>> to_us(np.array([1704067200, 1704067200000, 1704067200000000, 1704067200000000000])).tolist()
    [1704067200000000, 1704067200000000, 1704067200000000, 1704067200000000]
    """
    size = np.abs(stamp)
    ns, micro, milli = size >= 10**17, size >= 10**14, size >= 10**11
    if stamp.dtype.kind == "f":
        scale = np.select([ns, micro, milli], [1e-3, 1.0, 1e3], 1e6)
        return np.asarray(np.rint(stamp * scale), dtype=np.int64)
    if micro.all() and not ns.any():
        return stamp
    scale = np.select([micro, milli], [1, 1000], 1_000_000)
    return np.asarray(np.where(ns, stamp // 1000, stamp * scale), dtype=np.int64)


def stamps_us(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Stamps as int64 microseconds and a mask of the readable ones, both of shape (n,).

    Integers and fractions by magnitude (see `to_us`), ISO 8601 with or without a zone (UTC if without), or a
    typed timestamp. A stamp outside the years 2000 to 2099 is not readable: it is a date or a row number.
    """
    kind = column.type
    if pa.types.is_timestamp(kind):
        whole, ok = _whole(column.cast(pa.int64()))
        each = _PER_US[kind.unit]
        ok &= np.abs(whole) < 2**62 // max(each, 1)
        out = np.where(ok, whole, 0) * each if each else whole // 1000
    elif pa.types.is_integer(kind):
        whole, ok = _whole(column)
        out = to_us(whole)
    elif pa.types.is_floating(kind):
        values = column.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
        ok = np.isfinite(values) & (np.abs(values) < 9e18)
        out = to_us(np.where(ok, values, 0.0))
    else:
        out, ok = _text_stamps(_clean(column))
    return out, ok & (out >= EARLIEST) & (out < LATEST)


def _text_stamps(text: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    out = np.zeros(len(text), dtype=np.int64)
    integer = _matches(text, _STAMP)
    fraction = _matches(text, _DECIMAL) & ~integer
    iso = _matches(text, _ISO)
    if integer.any():
        whole = text.filter(pa.array(integer)).cast(pa.uint64()).to_numpy()
        out[integer] = to_us(np.where(whole < 2**63, whole, 0).astype(np.int64))
    if fraction.any():
        values = text.filter(pa.array(fraction)).cast(pa.float64()).to_numpy()
        out[fraction] = to_us(np.where(np.abs(values) < 9e18, values, 0.0))
    if iso.any():
        stamps, readable = _iso(text.filter(pa.array(iso)))
        out[iso] = stamps
        iso[iso] = readable
    return out, integer | fraction | iso


def _iso(text: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    zoned = pc.if_else(pc.match_substring_regex(text, _ZONE), text, pc.binary_join_element_wise(text, "Z", ""))
    try:
        stamps = zoned.cast(pa.timestamp("ns", "UTC")).cast(pa.int64()).to_numpy()
    except pa.ArrowInvalid:  # some are no dates, such as 2024-13-45: find which, one by one
        found = [_one_iso(value) for value in zoned.to_pylist()]
        readable = np.array([value is not None for value in found])
        return np.array([value or 0 for value in found], dtype=np.int64), readable
    return stamps // 1000, np.ones(len(stamps), dtype=bool)


def _one_iso(value: str) -> int | None:
    try:
        return int(pa.scalar(value).cast(pa.timestamp("ns", "UTC")).value) // 1000
    except pa.ArrowInvalid:
        return None


def decimals(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Float64 values and a mask of the readable ones; NaN and infinities are readable, and left to the caller."""
    if _is_number(column.type):
        valid = column.is_valid().to_numpy(zero_copy_only=False)
        values = column.cast(pa.float64(), safe=False)  # integers above 2^53 are rounded, as they are in text
        return values.fill_null(np.nan).to_numpy(zero_copy_only=False), valid
    text = _clean(column)
    readable = _matches(text, _DECIMAL)
    out = np.full(len(text), np.nan)
    out[readable] = text.filter(pa.array(readable)).cast(pa.float64()).to_numpy()
    spelled = pc.is_in(pc.utf8_lower(text), pa.array(["nan", "inf", "-inf", "+inf", "infinity", "-infinity"]))
    return out, readable | spelled.to_numpy(zero_copy_only=False)


def identifiers(column: pa.Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Trade ids: values (int64), present (not empty), readable (a whole number from 0 to below 2^63).

    Of fractions, also of those spelled out such as ``5.0``, NaN is an empty one; whole numbers below 2^53 are
    readable, larger ones may be several ids in one.
    """
    if pa.types.is_floating(column.type):
        number = column.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
        present = ~np.isnan(number)
        exact = (number >= 0) & (number < _EXACT) & (np.floor(number) == number)
        return np.where(exact, number, -1).astype(np.int64), present, ~present | exact
    if pa.types.is_integer(column.type):
        present = column.is_valid().to_numpy(zero_copy_only=False)
        values, fits = _whole(column)
        return np.where(fits, values, -1), present, ~present | (fits & (values >= 0))
    text = _clean(column)
    present = ~pc.is_in(pc.utf8_lower(text), pa.array(["", "null", "none", "nan"])).to_numpy(zero_copy_only=False)
    readable = _matches(text, _ID)
    whole = pc.replace_substring_regex(text.filter(pa.array(readable)), r"\..*", "").cast(pa.uint64()).to_numpy()
    fits = whole < np.where(_matches(text, r"\.")[readable], np.uint64(_EXACT), np.uint64(2**63))
    readable[readable] = fits
    values = np.full(len(text), -1, dtype=np.int64)
    values[readable] = whole[fits]
    return values, present, ~present | readable


def side_words(maker: bool) -> list[tuple[str, int]]:
    """Lower-case words and the aggressor side they mean: of a maker flag, where true means that the taker sold."""
    return [(word, -1 if flag else 1) for word, flag in _FLAGS.items()] if maker else list(_SIDES.items())


def sides(column: pa.Array) -> np.ndarray:
    """Aggressor side as int8: +1 buyer, -1 seller, 0 where the text says neither."""
    return _looked_up(column, _SIDES, 0)


def flags(column: pa.Array) -> np.ndarray:
    """True and false as int8 1 and 0, -1 where the text says neither."""
    return _looked_up(column, _FLAGS, -1)


def _looked_up(column: pa.Array, words: dict[str, int], otherwise: int) -> np.ndarray:
    coded = column if pa.types.is_dictionary(column.type) else column.cast(pa.string()).dictionary_encode()
    keys = [str(word or "").strip().lower() for word in coded.dictionary.to_pylist()]
    keys = [key.replace("_", "").replace("-", "") if key.lstrip("-+")[:1].isalpha() else key for key in keys]
    table = np.array([words.get(key, otherwise) for key in keys] + [otherwise], dtype=np.int8)
    return np.asarray(table[coded.indices.fill_null(len(keys)).to_numpy(zero_copy_only=False)])


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _whole(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Integers of any width as int64, 0 where there is none or it does not fit, and a mask of the others."""
    fits = column.is_valid().to_numpy(zero_copy_only=False)
    values = column.fill_null(0).to_numpy(zero_copy_only=False)
    if values.dtype == np.uint64:
        fits = fits & (values < 2**63)
        values = np.where(fits, values, 0)
    return values.astype(np.int64, copy=False), fits


def _clean(column: pa.Array) -> pa.Array:
    return pc.utf8_trim_whitespace(column.cast(pa.string()).fill_null(""))


def _matches(text: pa.Array, pattern: str) -> np.ndarray:
    return np.array(pc.match_substring_regex(text, pattern).to_numpy(zero_copy_only=False))
