"""What rules look at: the facts of all days and what else is known of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

import pyarrow as pa

from scalper_ml.quality.facts import DayFacts, Gap
from scalper_ml.quality.instruments import Instrument
from scalper_ml.schema import OBSERVATIONS

__all__ = ["Evidence", "Limits", "Outcome"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Where a fault begins.

    Attributes
    ----------
    id_jitter_us : int
        Ids may contradict stamps by this much: a matching engine stamps trades of one moment out of order.
    stuck_rows, stuck_share : int, float
        Rows of one stamp beyond both, the share being of the day's rows, are a clock that stood still.
    clock_us : int
        A stamp may be this much ahead of the moment it was received or is judged at.
    flow_z : float
        A day's, or all days', correlation of flow and return below minus this many standard errors is inverted.
    whole_ms_run : int
        Distinct stamps in a row with sub-millisecond digits 000, in a day that has such digits elsewhere.
    whole_ms_share : float
        Share of such stamps in a day that has others.
    """

    id_jitter_us: int = 1_000_000
    stuck_rows: int = 500
    stuck_share: float = 0.01
    clock_us: int = 2_000_000
    flow_z: float = 5.0
    whole_ms_run: int = 50
    whole_ms_share: float = 0.2


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything a rule may look at.

    Attributes
    ----------
    facts : mapping of str to DayFacts
        By day, in order.
    gaps : tuple of Gap
        Of all days and between them.
    reasons : mapping of str to int
        Rows in quarantine by reason.
    observations : pyarrow.Table
        Schema `OBSERVATIONS`; a file is held against the moment it was first seen at, where that is known.
    instrument : Instrument
        When the symbol was listed.
    expected : tuple of date or None
        First and last day that are wanted; None for those that are there.
    quotes : mapping of str to int
        Counts of the quotes: ``rows``, ``crossed``, ``stale``; empty where there are none.
    quote_examples : mapping of str to tuple of str
        The first places of each count.
    now_us : int or None
        The moment of judging, if stamps are to be held against it.
    limits : Limits
    """

    facts: Mapping[str, DayFacts]
    gaps: tuple[Gap, ...]
    reasons: Mapping[str, int] = field(default_factory=dict)
    observations: pa.Table = field(default_factory=OBSERVATIONS.empty_table)
    instrument: Instrument = field(default_factory=lambda: Instrument(""))
    expected: tuple[date, date] | None = None
    quotes: Mapping[str, int] = field(default_factory=dict)
    quote_examples: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    now_us: int | None = None
    limits: Limits = field(default_factory=Limits)

    def days(self) -> Iterator[str]:
        """Days that should be there: from the first to the last, as far as the symbol was listed."""
        if not self.facts and self.expected is None:
            return
        first, last = self.expected or (date.fromisoformat(min(self.facts)), date.fromisoformat(max(self.facts)))
        for offset in range((last - first).days + 1):
            day = first + timedelta(days=offset)
            if self.instrument.on(day):
                yield day.isoformat()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a rule found: 0 faults or some, in words and numbers, with the first places."""

    count: int
    text: str
    values: Mapping[str, object] = field(default_factory=dict)
    examples: tuple[str, ...] = ()
