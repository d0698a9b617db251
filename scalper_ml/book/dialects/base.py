"""What every dialect shares: the rule of known time, and how damage is said."""

from collections.abc import Sequence
from typing import Final, Protocol

from scalper_ml.book.events import Damage, DamageKind, Event, micros
from scalper_ml.book.framing import Frame

__all__ = ["Arrivals", "Dialect", "damage"]

_AHEAD_US: Final = 600_000_000
"""How far a stamp may lie ahead of the recorder's clock; more is a damaged stamp, not a skewed clock."""


class Arrivals:
    """Known time of the messages of a capture.

    A message is known at the latest of: the recorder's stamp, every stamp the venue put into it, and the known time
    of the message before it on the same connection. A recorder whose clock runs behind the venue's thus never makes
    a message known before it happened. A message without a stamp of its own (Binance spot's top of book) counts as
    arrived at the recorder's stamp, put right by the most that a stamp was ahead of the recorder so far.

    Parameters
    ----------
    offset_us : int
        Added to every stamp of the recorder.
    ahead_us : int
        The most that a stamp is known to be ahead of the recorder, for messages that come before any stamp.
    """

    def __init__(self, offset_us: int = 0, ahead_us: int = 0) -> None:
        self.offset_us = offset_us
        self.ahead_us = ahead_us
        self._last: dict[str, int] = {}

    def known_us(self, frame: Frame, *stamps: int) -> tuple[int, int]:
        """Known time and the first of `stamps` (any unit; 0 is none), or the known time where there is none.

        Raises
        ------
        ValueError
            If a stamp is unreadable or more than ten minutes ahead of the recorder's clock.
        """
        local, last = frame.local_us + self.offset_us, self._last.get(frame.connection, 0)
        event_us = latest = 0
        for stamp in stamps:
            if stamp:
                said = micros(stamp)
                event_us, latest = event_us or said, max(latest, said)
        ahead = latest - local
        if ahead > _AHEAD_US:
            raise ValueError(f"stamp: {ahead / 1e6:,.0f} s ahead of the local clock; expected 600 at most")
        if ahead > self.ahead_us:
            self.ahead_us = ahead
        known = max(local, latest, last) if latest else max(local + self.ahead_us, last)
        self._last[frame.connection] = known
        return known, event_us or known


class Dialect(Protocol):
    """Reads the messages of one venue; may remember what a socket said before (Bybit sends changed fields only)."""

    def __init__(self, arrivals: Arrivals) -> None: ...

    def events(self, frame: Frame) -> Sequence[Event]:
        """The events of one message; none for a message of another kind.

        Raises
        ------
        msgspec.DecodeError, ValueError
            If the message is not readable: its reason.
        """
        ...


def damage(frame: Frame, kind: DamageKind, symbol: str, reason: str) -> Damage:
    """A readable message with something in it that cannot be."""
    text = frame.text if isinstance(frame.text, str) else frame.text.decode("utf-8", errors="replace")
    return Damage(frame.line, kind, symbol, reason, text)
