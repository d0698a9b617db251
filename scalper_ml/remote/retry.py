"""Try again after a passing fault: exponential back-off with jitter, bounded in attempts and in time."""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from scalper_ml.errors import InputError

__all__ = [
    "Deadline",
    "MismatchError",
    "OutOfReachError",
    "Pace",
    "RefusedFilesError",
    "RetryPolicy",
    "StalePartError",
    "TransferError",
    "with_retries",
]

T = TypeVar("T")
_LOG = logging.getLogger(__name__)


class TransferError(Exception):
    """A transfer broke in a way that may pass; `wait_s` is how long the other side asked to be left alone."""

    def __init__(self, message: str, *, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class MismatchError(TransferError):
    """All bytes came, and they are not the published ones."""


class StalePartError(TransferError):
    """What came before belongs to another version, or cannot be continued."""


class OutOfReachError(InputError):
    """A place did not answer, or broke off, until attempts or time ran out: its other files would fare no better."""


class RefusedFilesError(InputError):
    """Some of the files of a place were not taken, each is named; the others were fetched."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Time, sleep and chance, so that a test needs none of them.

    `now` gives seconds that never go back; `jitter` gives numbers in [0, 1).
    """

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = field(default_factory=lambda: random.SystemRandom().random)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to try, per file.

    Attributes
    ----------
    attempts : int
        At most this many, the first one included.
    mismatches : int
        At most this many complete downloads that fail their checksum.
    total_s : float
        No attempt, wait or read goes on after this many seconds.
    first_wait_s, longest_wait_s : float
        The wait doubles from the one to the other; jitter takes off up to half of it.
    connect_timeout_s, stall_timeout_s : float
        Longest wait for a connection, and for the next bytes.
    """

    attempts: int = 8
    mismatches: int = 2
    total_s: float = 3600.0
    first_wait_s: float = 0.5
    longest_wait_s: float = 60.0
    connect_timeout_s: float = 15.0
    stall_timeout_s: float = 30.0

    def wait_s(self, failures: int, jitter: float) -> float:
        """Seconds to wait after that many failures in a row.

        Examples
        --------
        >>> [RetryPolicy().wait_s(failures, jitter=0.0) for failures in (1, 2, 3, 20)]
        [0.5, 1.0, 2.0, 60.0]
        """
        longest = min(self.longest_wait_s, self.first_wait_s * 2.0 ** min(failures - 1, 60))
        return longest * (1.0 - 0.5 * jitter)


@dataclass(frozen=True, slots=True)
class Deadline:
    """The moment after which a transfer is given up."""

    pace: Pace
    at: float

    def check(self) -> None:
        """Raise `TransferError` once it has passed."""
        if self.pace.now() > self.at:
            raise TransferError("out of time")


def with_retries(what: str, policy: RetryPolicy, pace: Pace, attempt: Callable[[Deadline], T]) -> T:
    """The value of the first attempt that works.

    Raises
    ------
    InputError
        If attempts or time run out: names the last fault, and is `OutOfReachError` unless all bytes came and were
        wrong. What else an attempt raises goes through at once.
    """
    begin = pace.now()
    deadline = Deadline(pace, begin + policy.total_s)
    mismatches = 0
    for failures in range(1, policy.attempts + 1):
        try:
            return attempt(deadline)
        except TransferError as fault:
            mismatches += isinstance(fault, MismatchError)
            wait_s = max(policy.wait_s(failures, pace.jitter()), fault.wait_s)
            over = failures == policy.attempts or mismatches == policy.mismatches
            if over or pace.now() + wait_s > deadline.at:
                kind = InputError if isinstance(fault, MismatchError) else OutOfReachError
                raise kind(_gave_up(what, fault, failures, pace.now() - begin)) from fault
            _LOG.warning("%s: %s; attempt %d of %d, next in %.1f s", what, fault, failures, policy.attempts, wait_s)
            pace.sleep(wait_s)
    raise InputError(f"{what}: {policy.attempts} attempts allowed; expected at least 1")


def _gave_up(what: str, fault: TransferError, failures: int, seconds: float) -> str:
    asked = f"; it asks to be left alone for {fault.wait_s:.0f} s" if fault.wait_s else ""
    return f"{what}: gave up after {failures} attempts in {seconds:.0f} s - {fault}{asked}; run it again later"
