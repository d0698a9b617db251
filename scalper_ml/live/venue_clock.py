"""What time it is at the venue, by its own stamps and whatever this machine's clock says."""

__all__ = ["VenueClock"]


class VenueClock:
    """The venue's time from its stamps on messages that have come.

    A stamp can be no later than its message's arrival, so that the most by which stamps are ahead of this machine's
    clock, over the last one to two minutes, is how far that clock is behind, less the fastest message's way. A clock
    that is wrong by hours, or put right while the loop runs, changes nothing for longer than that.

    Examples
    --------
    >>> clock = VenueClock()
    >>> clock.heard(venue_us=5_000_000, local_us=3_700_000)
    >>> clock.now_us(local_us=4_000_000)
    5300000
    """

    def __init__(self, window_us: int = 60_000_000) -> None:
        self._window_us = window_us
        self._begin_us: int | None = None
        self._ahead: int | None = None
        self._before: int | None = None

    @property
    def ahead_us(self) -> int | None:
        """By how much the venue's clock is ahead; None before anything was heard."""
        known = [one for one in (self._ahead, self._before) if one is not None]
        return max(known) if known else None

    def heard(self, venue_us: int, local_us: int) -> None:
        """A message with this stamp arrived at this time of the machine."""
        if self._begin_us is None or abs(local_us - self._begin_us) >= self._window_us:
            self._begin_us, self._before, self._ahead = local_us, self._ahead, None
        ahead = venue_us - local_us
        self._ahead = ahead if self._ahead is None else max(self._ahead, ahead)

    def now_us(self, local_us: int) -> int | None:
        """The venue's time, late by the fastest message's way; None before anything was heard."""
        return None if self.ahead_us is None else local_us + self.ahead_us
