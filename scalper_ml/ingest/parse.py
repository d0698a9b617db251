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
    """Parse whole lines; return (rows, rows left, lines)."""
    size, width = data.shape[0], roles.shape[0]
    pos, line = 0, first_line
    row, skipped = 0, 0
    while pos < size:
        begin = pos
        if data[pos] == 10 or (data[pos] == 13 and data[pos + 1] == 10):  # a blank line is no row
            pos += 1 if data[pos] == 10 else 2
            line += 1
            continue
        good: Any = True
        column = 0
        trade_id[row] = -1
        while True:
            role = roles[column] if column < width else -1
            here = pos
            if role == 0:
                while data[pos] != 44 and data[pos] != 10:
                    good &= data[pos] != 34
                    pos += 1
            elif role == 4:
                word = np.uint64(0)
                while data[pos] != 44 and data[pos] != 10 and data[pos] != 13:
                    letter = data[pos]
                    word = (word << np.uint64(8)) | np.uint64(letter + 32 if 65 <= letter <= 90 else letter)
                    pos += 1
                found = 0
                for k in range(words.shape[0]):
                    if words[k] == word:
                        found = signs[k]
                        break
                good &= found != 0 and pos - here <= 8
                side[row] = found
            elif role == 6:
                length = same.shape[0]
                if pos + length <= size:
                    for k in range(length):
                        good &= data[pos + k] == same[k]
                while data[pos] != 44 and data[pos] != 10 and data[pos] != 13:
                    pos += 1
                good &= pos - here == length
            elif role > 0:
                value = np.int64(0)
                digit = np.int64(data[pos]) - 48
                while 0 <= digit <= 9:
                    value = value * 10 + digit
                    pos += 1
                    digit = np.int64(data[pos]) - 48
                digits, decimals = pos - here, 0
                if data[pos] == 46:
                    pos += 1
                    dot = pos
                    digit = np.int64(data[pos]) - 48
                    while 0 <= digit <= 9:
                        value = value * 10 + digit
                        pos += 1
                        digit = np.int64(data[pos]) - 48
                    decimals = pos - dot
                    digits += decimals
                good &= 1 <= digits <= 18
                if role == 5:
                    good &= decimals == 0
                    trade_id[row] = value
                elif role == 1:
                    if decimals:  # a fraction of seconds or milliseconds
                        good &= value < 9007199254740992
                        number = value / powers[min(decimals, 22)]
                        scale = 1e3 if number >= 1e11 else 1e6
                        good &= number < 1e14
                        value = np.int64(np.rint(number * scale)) if good else np.int64(0)
                    elif value >= 100000000000000000:
                        value = value // 1000
                    elif value < 100000000000:
                        value = value * 1000000
                    elif value < 100000000000000:
                        value = value * 1000
                    good &= 946684800000000 <= value < 4102444800000000
                    ts_us[row] = value
                else:  # both exact, so that their quotient is the nearest double
                    good &= 0 < value < 9007199254740992
                    number = value / powers[min(decimals, 22)]
                    if role == 2:
                        price[row] = number
                    else:
                        qty[row] = number
            if data[pos] == 44:
                column += 1
                pos += 1
                continue
            if data[pos] == 13 and data[pos + 1] == 10:
                pos += 1
            if data[pos] == 10:
                break
            good = False
            while data[pos] != 44 and data[pos] != 10:
                pos += 1
            if data[pos] == 10:
                break
            column += 1
            pos += 1
        pos += 1
        if good and column == width - 1:
            lines[row] = line
            row += 1
        else:
            left[skipped, 0], left[skipped, 1], left[skipped, 2] = begin, pos, line
            skipped += 1
        line += 1
    return row, skipped, line - first_line


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
    >>> parsed, lines = parser.parse(bytearray(b"1700000000000,100.5,2,buy\\n1700000000001,oops,1,sell\\n"), 2)
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

    def parse(self, data: bytearray, first_line: int, begin: int = 0, end: int | None = None) -> tuple[Parsed, int]:
        """Rows of a block, and how many lines it has; the arrays are overwritten by the next call.

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
        most = data.count(b"\n", begin, end)
        if most > len(self._left):
            self._columns = _columns(most + most // 4)
            self._left = np.empty((most + most // 4, 3), dtype=np.int64)
        rows, left, lines = _parse(
            text, first_line, self._roles, self._words, self._signs, self._same, _POWERS, *self._columns, self._left
        )
        self._left[:left, :2] += begin
        ts_us, price, qty, side, trade_id, numbers = (column[:rows] for column in self._columns)
        return Parsed(ts_us, price, qty, side, trade_id, numbers, self._left[:left]), lines


def _columns(rows: int) -> tuple[np.ndarray, ...]:
    kinds = (np.int64, np.float64, np.float64, np.int8, np.int64, np.int64)
    return tuple(np.empty(rows, dtype=kind) for kind in kinds)
