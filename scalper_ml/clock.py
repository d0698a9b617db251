"""Microsecond stamps and their written form."""

from datetime import UTC, datetime, timedelta

__all__ = ["iso"]

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
