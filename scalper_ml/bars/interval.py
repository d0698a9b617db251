"""Bar intervals: `1m`, `1h`, `1w` as text, microseconds as numbers, and where their grid begins.

Every interval is counted in UTC. A day is always 24 hours from UTC midnight and a week always seven of them from
Monday 00:00 UTC: no daylight saving of any zone moves a bar or changes its length.
"""

import re
from typing import Final

from scalper_ml.errors import SettingsError

__all__ = ["floor_us", "format_interval", "origin_us", "parse_interval"]

_UNITS: Final = {"s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000, "w": 604_800_000_000}
_TEXT: Final = re.compile(r"([1-9][0-9]{0,5})([smhdw])")
_FIRST_MONDAY: Final = 4 * _UNITS["d"]  # the epoch, 1970-01-01, was a Thursday


def parse_interval(text: str) -> int:
    """Length of an interval in microseconds.

    Parameters
    ----------
    text : str
        A positive whole number and a unit: ``s``, ``m``, ``h``, ``d`` or ``w``.

    Raises
    ------
    SettingsError
        If `text` is not of that form.

    Examples
    --------
    >>> parse_interval("1m")
    60000000
    >>> parse_interval("5s"), parse_interval("1h"), parse_interval("1w")
    (5000000, 3600000000, 604800000000)
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
    >>> format_interval(900_000_000), format_interval(7 * 86_400_000_000)
    ('15m', '1w')
    """
    for unit in ("w", "d", "h", "m", "s"):
        if interval_us > 0 and interval_us % _UNITS[unit] == 0:
            return f"{interval_us // _UNITS[unit]}{unit}"
    raise SettingsError(f"bar interval {interval_us} us: expected a positive whole number of seconds (1s = 1000000 us)")


def origin_us(interval_us: int) -> int:
    """A stamp at which a bar of this length starts; the others are whole intervals away.

    Whole weeks start on a Monday, the first of 1970 among them; everything else counts from the epoch, so that days
    start at UTC midnight.

    Examples
    --------
    >>> origin_us(60_000_000), origin_us(parse_interval("1d")), origin_us(parse_interval("1w")) // 86_400_000_000
    (0, 0, 4)
    """
    return 0 if interval_us % _UNITS["w"] else _FIRST_MONDAY


def floor_us(ts_us: int, interval_us: int) -> int:
    """Start of the bar that a stamp lies in.

    Examples
    --------
    >>> floor_us(-1, 60_000_000)
    -60000000
    >>> wednesday = 6 * 86_400_000_000  # 1970-01-07
    >>> floor_us(wednesday, parse_interval("1w")) // 86_400_000_000
    4
    """
    origin = origin_us(interval_us)
    return (ts_us - origin) // interval_us * interval_us + origin
