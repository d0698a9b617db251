"""Lines of plain numbers and words to columns, in one pass: the fast half of reading a delimited text.

Only what can be read without doubt is read here: a row with quotes, spaces, a date, an unknown word, a
number that double precision cannot be given exactly from its digits, or a value out of range is left to
the careful half (`scalper_ml.ingest.lines`), which accepts it or names its fault.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from scalper_ml.ingest.values import side_words
from scalper_ml.kernel import kernel

__all__ = ["FAST_ROLES", "LineParser", "Parsed"]

_SKIP, _TS, _PRICE, _QTY, _WORD, _ID, _SAME = range(7)
FAST_ROLES: Final[Mapping[str, int]] = {
    "ts": _TS, "price": _PRICE, "qty": _QTY, "side": _WORD, "maker": _WORD, "id": _ID, "symbol": _SAME,
}  # fmt: skip
"""Roles that this parser reads; a layout with another is left to the careful half."""

_LONGEST: Final = 8  # bytes of a word
_SHORTEST: Final = 12  # bytes of a line, for the room that rows are given; shorter ones only cost another round
_LEAST_ROOM: Final = 1 << 10  # rows
_0, _1, _2, _8, _9, _10, _18, _22, _48 = (np.uint64(n) for n in (0, 1, 2, 8, 9, 10, 18, 22, 48))
_POWERS: Final = 10.0 ** np.arange(23)  # every one of them exact


@dataclass(frozen=True, slots=True)
class Parsed:
    """Rows read, in file order, and where the others are.

    Attributes
    ----------
    ts_us, price, qty, side, trade_id : ndarray, shape (n,)
        As in schema `TICKS`; an id of -1 where the source has none.
    lines : ndarray of int64, shape (n,)
        Line of each row, from 1.
    left : ndarray of int64, shape (m, 3)
        Begin and end of each row that is left, in bytes of the block, and its line.
    """

    ts_us: np.ndarray
    price: np.ndarray
    qty: np.ndarray
    side: np.ndarray
    trade_id: np.ndarray
    lines: np.ndarray
    left: np.ndarray


@kernel
def _parse(
    data: Any, first_line: Any, roles: Any, words: Any, signs: Any, same: Any, powers: Any,
    ts_us: Any, price: Any, qty: Any, side: Any, trade_id: Any, lines: Any, left: Any,
) -> Any:  # fmt: skip
    """Parse whole lines until rows or rows left are full; return (rows, rows left, lines, bytes).

    Positions are unsigned: numba then needs no test for negative ones, which doubles the speed.
    """
    size, width = np.uint64(data.shape[0]), np.uint64(roles.shape[0])
    most = np.uint64(ts_us.shape[0])
    pos, line = np.uint64(0), first_line
    row, skipped = np.uint64(0), np.uint64(0)
    while pos < size and row + skipped < most:
        begin = pos
        byte = data[pos]
        if byte == 10 or (byte == 13 and data[pos + _1] == 10):  # a blank line is no row
            pos += _1 if byte == 10 else _2
            line += 1
            continue
        good: Any = True
        column = np.uint64(0)
        trade_id[row] = -1
        while True:
            role = roles[column] if column < width else -1
            here = pos
            byte = data[pos]
            if role == 0:
                quoted = False
                while byte != 44 and byte != 10:
                    quoted |= byte == 34
                    pos += _1
                    byte = data[pos]
                good &= not quoted
            elif role == 4:
                word = np.uint64(0)
                while byte != 44 and byte != 10 and byte != 13:
                    word = (word << _8) | np.uint64(byte + 32 if 65 <= byte <= 90 else byte)
                    pos += _1
                    byte = data[pos]
                found = 0
                for k in range(words.shape[0]):
                    if words[k] == word:
                        found = signs[k]
                        break
                good &= found != 0 and pos - here <= _8
                side[row] = found
            elif role == 6:
                length = np.uint64(same.shape[0])
                if pos + length <= size:
                    for k in range(same.shape[0]):
                        good &= data[pos + np.uint64(k)] == same[k]
                while byte != 44 and byte != 10 and byte != 13:
                    pos += _1
                    byte = data[pos]
                good &= pos - here == length
            elif role > 0:
                value = np.uint64(0)
                digit = np.uint64(byte) - _48  # of anything but a digit above 9, since it wraps around
                while digit <= _9:
                    value = value * _10 + digit
                    pos += _1
                    digit = np.uint64(data[pos]) - _48
                digits, decimals = pos - here, np.uint64(0)
                if data[pos] == 46:
                    pos += _1
                    dot = pos
                    digit = np.uint64(data[pos]) - _48
                    while digit <= _9:
                        value = value * _10 + digit
                        pos += _1
                        digit = np.uint64(data[pos]) - _48
                    decimals = pos - dot
                    digits += decimals
                good &= _1 <= digits <= _18
                whole = np.int64(value)
                if role == 5:
                    good &= decimals == _0
                    trade_id[row] = whole
                elif role == 1:
                    if decimals:  # a fraction of seconds or milliseconds
                        good &= whole < 9007199254740992
                        number = whole / powers[min(decimals, _22)]
                        scale = 1e3 if number >= 1e11 else 1e6
                        good &= number < 1e14
                        whole = np.int64(np.rint(number * scale)) if good else np.int64(0)
                    elif whole >= 100000000000000000:
                        whole = whole // 1000
                    elif whole < 100000000000:
                        whole = whole * 1000000
                    elif whole < 100000000000000:
                        whole = whole * 1000
                    good &= 946684800000000 <= whole < 4102444800000000
                    ts_us[row] = whole
                else:  # both exact, so that their quotient is the nearest double
                    good &= 0 < whole < 9007199254740992
                    number = whole / powers[min(decimals, _22)]
                    good &= number < 1e15
                    if role == 2:
                        price[row] = number
                    else:
                        qty[row] = number
            byte = data[pos]
            if byte == 44:
                column += _1
                pos += _1
                continue
            if byte == 13 and data[pos + _1] == 10:
                pos += _1
                byte = data[pos]
            if byte == 10:
                break
            good = False
            while byte != 44 and byte != 10:
                pos += _1
                byte = data[pos]
            if byte == 10:
                break
            column += _1
            pos += _1
        pos += _1
        if good and column == width - _1:
            lines[row] = line
            row += _1
        else:
            left[skipped, 0], left[skipped, 1], left[skipped, 2] = begin, pos, line
            skipped += _1
        line += 1
    return row, skipped, line - first_line, pos


class LineParser:
    """Parser of the lines of one layout.

    Parameters
    ----------
    positions : mapping
        Role to position, of `FAST_ROLES` only.
    width : int
        Columns of a row.
    symbol : bytes
        What the symbol column says, where there is one.

    Examples
    --------
    >>> parser = LineParser({"ts": 0, "price": 1, "qty": 2, "side": 3}, 4)
    >>> parsed, lines, end = parser.parse(bytearray(b"1700000000000,100.5,2,buy\\n1700000000001,oops,1,sell\\n"), 2)
    >>> parsed.ts_us.tolist(), parsed.price.tolist(), parsed.side.tolist(), parsed.left.tolist()
    ([1700000000000000], [100.5], [1], [[26, 52, 3]])
    """

    __slots__ = ("_columns", "_left", "_roles", "_same", "_signs", "_words")

    def __init__(self, positions: Mapping[str, int], width: int, symbol: bytes = b"") -> None:
        self._roles = np.zeros(width, dtype=np.int64)
        for role, at in positions.items():
            self._roles[at] = FAST_ROLES[role]
        words = [(word.encode(), sign) for word, sign in side_words("maker" in positions and "side" not in positions)]
        fitting = [(word, sign) for word, sign in words if len(word) <= _LONGEST]
        self._words = np.array([int.from_bytes(word, "big") for word, _ in fitting], dtype=np.uint64)
        self._signs = np.array([sign for _, sign in fitting], dtype=np.int64)
        self._same = np.frombuffer(bytearray(symbol), dtype=np.uint8)
        self._columns: tuple[np.ndarray, ...] = ()
        self._left = np.empty((0, 3), dtype=np.int64)

    def parse(
        self, data: bytearray, first_line: int, begin: int = 0, end: int | None = None
    ) -> tuple[Parsed, int, int]:
        """Rows of a block, how many lines they took, and where the next one begins.

        The arrays are overwritten by the next call.

        Parameters
        ----------
        data : bytearray
        first_line : int
            Line of the file that the block begins with, from 1.
        begin, end : int
            The block: whole lines, the last one ended by a line feed. By default all of `data`.
        """
        end = len(data) if end is None else end
        text = np.frombuffer(data, dtype=np.uint8, count=end - begin, offset=begin)
        if not self._columns:
            room = max(len(data) // _SHORTEST, _LEAST_ROOM)
            self._columns = _columns(room)
            self._left = np.empty((room, 3), dtype=np.int64)
        rows, left, lines, size = _parse(
            text, first_line, self._roles, self._words, self._signs, self._same, _POWERS, *self._columns, self._left
        )
        self._left[:left, :2] += begin
        ts_us, price, qty, side, trade_id, numbers = (column[:rows] for column in self._columns)
        return Parsed(ts_us, price, qty, side, trade_id, numbers, self._left[:left]), lines, begin + size


def _columns(rows: int) -> tuple[np.ndarray, ...]:
    kinds = (np.int64, np.float64, np.float64, np.int8, np.int64, np.int64)
    return tuple(np.empty(rows, dtype=kind) for kind in kinds)
