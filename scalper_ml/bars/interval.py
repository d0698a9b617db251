"""Bar intervals: `1m`, `15m`, `1h` as text, microseconds as numbers."""

import re
from typing import Final

from scalper_ml.errors import SettingsError

__all__ = ["format_interval", "parse_interval"]

_UNITS: Final = {"s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
_TEXT: Final = re.compile(r"([1-9][0-9]{0,5})([smhd])")


def parse_interval(text: str) -> int:
    """Length of an interval in microseconds.

    Parameters
    ----------
    text : str
        A positive whole number and a unit: ``s``, ``m``, ``h`` or ``d``.

    Raises
    ------
    SettingsError
        If `text` is not of that form.

    Examples
    --------
    >>> parse_interval("1m")
    60000000
    >>> parse_interval("5s"), parse_interval("1h")
    (5000000, 3600000000)
    """
    found = _TEXT.fullmatch(text)
    if found is None:
        raise SettingsError(
            f"bar interval {text!r}: expected a positive whole number and a unit of {list(_UNITS)}, such as '1m', '15m'"
        )
    return int(found[1]) * _UNITS[found[2]]


def format_interval(interval_us: int) -> str:
    """The shortest text that `parse_interval` reads back as `interval_us`.

    Raises
    ------
    SettingsError
        If `interval_us` is not a positive whole number of seconds.

    Examples
    --------
    >>> format_interval(900_000_000)
    '15m'
    """
    for unit in ("d", "h", "m", "s"):
        if interval_us > 0 and interval_us % _UNITS[unit] == 0:
            return f"{interval_us // _UNITS[unit]}{unit}"
    raise SettingsError(f"bar interval {interval_us} us: expected a positive whole number of seconds (1s = 1000000 us)")
