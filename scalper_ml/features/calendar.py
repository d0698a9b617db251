"""Time and seasonality, from the close of the bar in UTC."""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs
# (numba infers the types of kernels)

import math

from scalper_ml.features.elementary import turn
from scalper_ml.features.kind import Kind
from scalper_ml.features.series import TS
from scalper_ml.kernel import inlined

__all__ = ["KINDS"]

MINUTE = 60_000_000
DAY = 86_400_000_000


@inlined
def _past(ts, cycle):
    """Microseconds since the cycle began, exact: whole numbers below 2^53, the quotient off by 1 at most."""
    past = ts - math.floor(ts / cycle) * cycle
    past = past + cycle if past < 0.0 else past
    return past - cycle if past >= cycle else past


@inlined
def circle(H, i0, i1, t0, P, S, R, w, out):
    """Place in a cycle on a circle. ``P``: length of the cycle, start and unit of time in microseconds."""
    cycle, start, unit, ts, rows = P[0], P[1], P[2], H[TS, i0:i1], i1 - i0
    place = R[0]
    for r in range(rows):
        place[r] = math.floor(_past(ts[r] + start, cycle) / unit) / (cycle / unit)
    turn(place[:rows], out[0], out[1])


@inlined
def m15_phase(H, i0, i1, t0, P, S, R, w, out):
    """Share of the quarter of an hour still to come, 0 on the quarter."""
    quarter, ts, answer = 15.0 * MINUTE, H[TS, i0:i1], out[0]
    for r in range(i1 - i0):
        past = _past(ts[r], quarter)
        answer[r] = (quarter - past) / quarter if past > 0.0 else 0.0


@inlined
def session(H, i0, i1, t0, P, S, R, w, out):
    """Whether Asia, Europe and America trade; they overlap."""
    ts, asia, europe, america = H[TS, i0:i1], out[0], out[1], out[2]
    for r in range(i1 - i0):
        hour = _past(ts[r], 1.0 * DAY) / (60.0 * MINUTE)
        asia[r] = 1.0 if hour < 8.0 else 0.0
        europe[r] = 1.0 if hour >= 7.0 and hour < 15.0 else 0.0
        america[r] = 1.0 if hour >= 13.0 and hour < 22.0 else 0.0


@inlined
def weekend(H, i0, i1, t0, P, S, R, w, out):
    """Whether it is Saturday or Sunday; the epoch was a Thursday."""
    ts, answer = H[TS, i0:i1], out[0]
    for r in range(i1 - i0):
        answer[r] = 1.0 if _past(ts[r] + 3.0 * DAY, 7.0 * DAY) >= 5.0 * DAY else 0.0


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
