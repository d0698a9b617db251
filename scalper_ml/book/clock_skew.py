"""How far the clock of a capture's recorder is from the venue's."""

from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from scalper_ml.book.captures import capture_frames, read_events
from scalper_ml.book.dialects import DIALECTS, Dialect
from scalper_ml.book.dialects.base import Arrivals
from scalper_ml.book.events import Damage
from scalper_ml.book.framing import Frame
from scalper_ml.errors import InputError

__all__ = ["ClockSkew", "clock_skew"]

_KEPT: Final = 1 << 17
_QUANTILES: Final = (0.0, 0.01, 0.5, 0.99, 1.0)


@dataclass(frozen=True, slots=True)
class ClockSkew:
    """Local stamp less event time, in microseconds, over the messages that carry an event time of their own.

    Attributes
    ----------
    messages : int
        Messages measured (of a long capture, every 2nd, 4th, ... enters the quantiles).
    min_us, p01_us, median_us, p99_us, max_us : int
        A message takes time to come, so a right clock gives small positive numbers; a negative `median_us` is a
        local clock that runs behind the venue's.

    Examples
    --------
    >>> ClockSkew(3, -1_310_000, -1_309_000, -1_270_000, -1_100_000, -900_000).is_behind
    True
    """

    messages: int
    min_us: int
    p01_us: int
    median_us: int
    p99_us: int
    max_us: int

    @property
    def is_behind(self) -> bool:
        """Whether the typical message arrives, by the local clock, before it happened."""
        return self.median_us < 0


class _Delays(Arrivals):
    """Arrivals that also note how late each stamped message of a live stream came."""

    def __init__(self) -> None:
        super().__init__()
        self.messages = 0
        self._stride = 1
        self._delays: array[int] = array("q")
        self._line = 0

    def known_us(self, frame: Frame, *stamps: int) -> tuple[int, int]:
        known, event_us = super().known_us(frame, *stamps)
        if any(stamps) and frame.kind == "recv" and frame.line != self._line:
            self._line = frame.line
            self._note(frame.local_us - event_us)
        return known, event_us

    def _note(self, delay_us: int) -> None:
        if self.messages % self._stride == 0:
            self._delays.append(delay_us)
            if len(self._delays) >= _KEPT:
                self._delays = self._delays[::2]
                self._stride *= 2
        self.messages += 1

    def quantiles(self) -> list[int]:
        return [round(value) for value in np.quantile(np.array(self._delays, dtype=np.int64), _QUANTILES).tolist()]


def clock_skew(path: Path, *, exchange: str | None = None) -> ClockSkew:
    """Measure the recorder's clock against the venue's, over every stamped message of a capture.

    Answers of requests are left out, and of a message that holds several stamps the first counts; a history that a
    venue sends on subscribing (Kraken's last 100 trades) thus weighs as one message.

    Parameters
    ----------
    path : Path
    exchange : str, optional

    Returns
    -------
    ClockSkew

    Raises
    ------
    InputError
        If no message carries a stamp.

    Notes
    -----
    ``-median_us`` plus the usual latency of the line is what `clock_offset_us` of the readers corrects; ``-min_us``
    is the least that makes every message arrive after it happened.
    """
    delays = _Delays()
    dialect: Dialect | None = None
    for frame, said in capture_frames(Path(path), exchange):
        if isinstance(frame, Damage):
            continue
        dialect = dialect or DIALECTS[said](delays)
        read_events(dialect, frame)
    if not delays.messages:
        raise InputError(f"{path}: no message with a stamp of the venue; expected trades, depth or top of book")
    return ClockSkew(delays.messages, *delays.quantiles())
