"""Microsecond stamps and their written form."""

from datetime import UTC, datetime, timedelta

from scalper_ml.errors import SettingsError

__all__ = ["iso", "stamp_us"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def iso(ts_us: int) -> str:
    """ISO 8601 in UTC, exact to the microsecond.

    Examples
    --------
    >>> iso(1_767_225_600_000_001)
    '2026-01-01T00:00:00.000001Z'
    >>> iso(1_767_225_600_000_000)
    '2026-01-01T00:00:00Z'
    """
    return (_EPOCH + timedelta(microseconds=ts_us)).isoformat().replace("+00:00", "Z")


def stamp_us(text: str, option: str) -> int:
    """The stamp of a written moment, in UTC where it has no offset.

    Parameters
    ----------
    text : str
        ISO 8601.
    option : str
        Where it was written, for the refusal.

    Raises
    ------
    SettingsError
        It is no moment.

    Examples
    --------
    >>> stamp_us("2026-01-01T00:00:00", "--at") == stamp_us("2026-01-01T02:00:00+02:00", "--at")
    True
    >>> stamp_us("2026-01-01T00:00:00.000001Z", "--at")
    1767225600000001
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(
            f"{option} {text!r}: expected a moment such as 2026-01-15T12:00:00Z or a day such as 2026-01-15"
        ) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1)
