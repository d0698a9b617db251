"""Records of a JSON array as they come: memory does not grow with the file.

An array is read record by record. An object, the answer of an API with an array somewhere in it, is read whole and
may be `MOST_WHOLE` bytes long: a page of an API is never near that.
"""

import codecs
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from scalper_ml.errors import InputError

__all__ = ["MOST_WHOLE", "json_records"]

MOST_WHOLE: Final = 256 << 20
"""Bytes of a JSON object that is read whole."""

_CHUNK: Final = 1 << 20
_BLANK: Final = " \t\r\n"
_ENDS: Final = re.compile(r"[,\]}\s]")
_WORD: Final = 16  # letters of the longest word or escape that can be cut in two
_LONGEST: Final = 1 << 26  # letters of a record
_EXPECTED: Final = "expected [{...}, ...] or [[...], ...]"


def json_records(read: Callable[[int], bytes], path: Path) -> Iterator[Any]:
    """The records of a JSON array, or of the one array in an API's answer.

    Parameters
    ----------
    read : callable
        Gives the next bytes, at most as many as it is asked for; empty at the end.
    path : Path
        For messages.

    Raises
    ------
    InputError
        If it breaks off, is no JSON, is nested too deeply, holds no array or several, or is too long an object.
    """
    text = _Text(read, path)
    try:
        text.begin()
        if text.next_letter() == "[":
            yield from _elements(text)
        else:
            yield from _only_array(json.loads(text.whole()), path)
    except json.JSONDecodeError as error:
        raise text.broken(error.msg, error.pos) from error
    except RecursionError as error:
        raise InputError(f"{path}: JSON nested too deeply to be read; {_EXPECTED}, one level of records") from error
    except ValueError as error:  # also a number of thousands of digits, or half a letter
        raise InputError(f"{path}: truncated or damaged table ({error}); expected a complete file") from error


class _Text:
    """Text of a file as far as it is needed: what lies before `at` is let go when more is read."""

    def __init__(self, read: Callable[[int], bytes], path: Path) -> None:
        self._read = read
        self._path = path
        self.held, self.at, self.ended = "", 0, False
        self._lines, self._begin = 1, 0  # lines before what is held, and letters of the last of them

    def begin(self) -> None:
        """Read the first piece, which tells the encoding."""
        first = self._read(_CHUNK)
        self._letters = codecs.getincrementaldecoder(json.detect_encoding(first[:4]))("strict")
        self.held, self.ended = self._letters.decode(first), not first

    def more(self) -> bool:
        """Read on; whether there was more."""
        chunk = self._read(_CHUNK)
        self._lines += self.held.count("\n", 0, self.at)
        last = self.held.rfind("\n", 0, self.at)
        self._begin = self.at - last - 1 if last >= 0 else self._begin + self.at
        self.held = self.held[self.at :] + self._letters.decode(chunk, final=not chunk)
        self.at = 0
        self.ended = not chunk
        return not self.ended

    def next_letter(self) -> str:
        """The next letter that is not blank, which `at` is put on; empty at the end."""
        while True:
            while self.at < len(self.held):
                if self.held[self.at] not in _BLANK:
                    return self.held[self.at]
                self.at += 1
            if self.ended or not self.more():
                return ""

    def whole(self) -> str:
        """All that is left."""
        parts = [self.held[self.at :]]
        size = len(parts[0])
        while chunk := self._read(_CHUNK):
            parts.append(self._letters.decode(chunk))
            size += len(parts[-1])
            if size > MOST_WHOLE:
                raise InputError(
                    f"{self._path}: a JSON object of more than {MOST_WHOLE >> 20} MB, which cannot be read record by "
                    f"record; {_EXPECTED} - take the array out of it, or save it as CSV"
                )
        parts.append(self._letters.decode(b"", final=True))
        self.held, self.at = "".join(parts), 0
        return self.held

    def broken(self, reason: str, at: int) -> InputError:
        """What to say of a fault at a place of what is held."""
        line = self._lines + self.held.count("\n", 0, at)
        last = self.held.rfind("\n", 0, at)
        column = at - last if last >= 0 else self._begin + at + 1
        return InputError(
            f"{self._path}: no complete JSON array, broken at line {line} column {column} ({reason}); "
            f"{_EXPECTED} - download it again"
        )


def _elements(text: _Text) -> Iterator[Any]:
    decoder = json.JSONDecoder()
    text.at += 1
    if text.next_letter() == "]":
        text.at += 1
        return _end(text)
    while True:
        text.next_letter()
        yield _element(text, decoder)
        letter = text.next_letter()
        text.at += 1
        if letter == "]":
            return _end(text)
        if letter != ",":
            raise text.broken("Expecting ',' delimiter", text.at - 1)


def _element(text: _Text, decoder: json.JSONDecoder) -> Any:
    """The value at the place of `text`, which is put behind it; one that touches the end may go on beyond it."""
    while text.held[text.at : text.at + 1] not in ("[", "{", '"'):  # a word or number ends where another thing begins
        if _ENDS.search(text.held, text.at) or len(text.held) - text.at > _LONGEST or not text.more():
            break
    while True:
        try:
            value, end = decoder.raw_decode(text.held, text.at)
        except json.JSONDecodeError as error:
            behind = error.pos - text.at
            cut = error.msg.startswith("Unterminated string") or error.pos > len(text.held) - _WORD
            if len(text.held) - text.at > _LONGEST or not cut or text.ended or not text.more():
                raise text.broken(error.msg, text.at + behind) from error
            continue
        if end < len(text.held) or text.ended or not text.more():
            text.at = end
            return value


def _end(text: _Text) -> None:
    if text.next_letter():
        raise text.broken("Extra data", text.at)


def _only_array(answer: Any, path: Path) -> list[Any]:
    if isinstance(answer, list):
        return answer
    found = _arrays(answer, depth=2) if isinstance(answer, dict) else {}
    if len(found) != 1:
        raise InputError(
            f"{path}: a JSON object with {len(found)} arrays of records {sorted(found)}; expected exactly one"
        )
    return next(iter(found.values()))


def _arrays(answer: dict[str, Any], depth: int) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for name, value in answer.items():
        if isinstance(value, list) and any(isinstance(record, dict | list) for record in value):
            found[name] = value
        elif isinstance(value, dict) and depth > 0:
            found |= {f"{name}.{inner}": array for inner, array in _arrays(value, depth - 1).items()}
    return found
