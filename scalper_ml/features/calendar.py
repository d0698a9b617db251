"""Time and seasonality, from the close of the bar in UTC."""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs
# (numba infers the types of kernels)

import math

from scalper_ml.features.kind import Kind
from scalper_ml.features.series import TS
from scalper_ml.kernel import kernel

__all__ = ["KINDS"]

MINUTE = 60_000_000
DAY = 86_400_000_000


@kernel
def circle(H, i0, i1, t0, P, S, out):
    """Place in a cycle on a circle. ``P``: length of the cycle, start and unit of time in microseconds."""
    cycle, start, unit = int(P[0]), int(P[1]), int(P[2])
    for i in range(i0, i1):
        angle = 2.0 * math.pi * ((int(H[TS, i]) + start) % cycle // unit) / (cycle // unit)
        out[0, i - i0] = math.sin(angle)
        out[1, i - i0] = math.cos(angle)


@kernel
def m15_phase(H, i0, i1, t0, P, S, out):
    """Share of the quarter of an hour still to come, 0 on the quarter."""
    quarter = 15 * MINUTE
    for i in range(i0, i1):
        past = int(H[TS, i]) % quarter
        out[0, i - i0] = (quarter - past) / quarter if past > 0 else 0.0


@kernel
def session(H, i0, i1, t0, P, S, out):
    """Whether Asia, Europe and America trade; they overlap."""
    for i in range(i0, i1):
        hour = int(H[TS, i]) % DAY // (60 * MINUTE)
        out[0, i - i0] = 1.0 if hour < 8 else 0.0
        out[1, i - i0] = 1.0 if 7 <= hour < 15 else 0.0
        out[2, i - i0] = 1.0 if 13 <= hour < 22 else 0.0


@kernel
def weekend(H, i0, i1, t0, P, S, out):
    """Whether it is Saturday or Sunday."""
    for i in range(i0, i1):
        out[0, i - i0] = 1.0 if (int(H[TS, i]) // DAY + 3) % 7 >= 5 else 0.0


def _kind(name, kernel, definition, span, number, outputs=(), unit="ratio", constants=()):
    return Kind(
        name, "calendar", kernel, ((),), definition, ("ts_us",), span, lambda: 0, unit=unit,
        source=f"catalogue {number}", group="calendar", memory=lambda: 1, outputs=outputs,
        constants=constants,
    )


_CIRCLE = (-1.0, 1.0)
_FLAG = (0.0, 1.0)

KINDS: tuple[Kind, ...] = (
    _kind(
        "tod", circle, "sin, cos of 2 pi x share of the UTC day", _CIRCLE, 145, ("tod_sin", "tod_cos"),
        constants=(DAY, 0, 1),
    ),
    _kind(
        "dow", circle, "sin, cos of 2 pi x UTC day of the week / 7, Monday 0", _CIRCLE, 146, ("dow_sin", "dow_cos"),
        constants=(7 * DAY, 3 * DAY, DAY),  # 1970-01-01 was a Thursday
    ),
    _kind(
        "moh", circle, "sin, cos of 2 pi x share of the hour", _CIRCLE, 147, ("moh_sin", "moh_cos"),
        constants=(60 * MINUTE, 0, 1),
    ),
    _kind("m15_phase", m15_phase, "time to the next :00, :15, :30, :45 / 15 min", _FLAG, 148),
    _kind(
        "session", session, "1 within 00-08, 07-15, 13-22 UTC, else 0", _FLAG, 149,
        ("sess_asia", "sess_eu", "sess_us"), "flag",
    ),
    _kind("weekend", weekend, "1 on Saturday and Sunday UTC, else 0", _FLAG, 150, unit="flag"),
)
