"""Whether a text is what is read here: UTF-8, fields parted by commas, plain names; and what to do where it is not."""

import re
from pathlib import Path
from typing import Final

from scalper_ml.errors import InputError

__all__ = ["check_plain"]

_MARKS: Final = {
    b"\xff\xfe\x00\x00": "UTF-32", b"\x00\x00\xfe\xff": "UTF-32", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16",
}  # fmt: skip
_HEAD: Final = 4096
_DELIMITERS: Final = {";": "semicolons", "\t": "tabs", "|": "bars (|)", " ": "spaces"}
_LEAST_FIELDS: Final = 3
_QUOTED: Final = re.compile(r'"[^"]*"')


def check_plain(data: bytes, path: Path) -> None:
    """Refuse a text in another encoding, with another delimiter, or with commas inside the names of its columns.

    Parameters
    ----------
    data : bytes
        The file, or its beginning.
    path : Path

    Raises
    ------
    InputError
        Says what was found and what to do.

    Examples
    --------
    >>> check_plain(b"ts,price,qty,side\\n", Path("a.csv"))
    >>> check_plain(b"ts;price;qty;side\\n", Path("a.csv"))
    Traceback (most recent call last):
        ...
    scalper_ml.errors.InputError: a.csv: line 1 has 4 fields parted by semicolons; expected commas - write it anew ...
    """
    head = data[:_HEAD]
    encoding = next((name for mark, name in _MARKS.items() if head.startswith(mark)), "")
    if not encoding and head.count(0) > len(head) // 4:
        encoding = "UTF-16 or UTF-32 without a mark, or no text at all (a quarter of it is zero bytes)"
    if encoding:
        raise InputError(
            f"{path}: the text is {encoding}; expected UTF-8 - write it anew, such as with "
            f"`iconv -f {encoding.split(' ')[0]} -t UTF-8`"
        )
    line = head.lstrip().split(b"\n", 1)[0].decode("utf-8", errors="replace").rstrip("\r")
    for delimiter, name in _DELIMITERS.items():
        count, commas = line.count(delimiter), line.count(",")
        if count + 1 >= _LEAST_FIELDS and (commas == 0 if delimiter == " " else count >= commas):
            raise InputError(
                f"{path}: line 1 has {count + 1} fields parted by {name}; expected commas - write it anew with commas, "
                "and with points in its numbers"
            )
    if found := [field for field in _QUOTED.findall(line) if "," in field]:
        raise InputError(
            f"{path}: line 1 has a comma inside a quoted field, {found[0]}; expected plain fields parted by commas - "
            "rename the column, or leave it out"
        )
