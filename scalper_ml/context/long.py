"""A table of any context, a row a value: ``kind, event_ts, known_ts, value``, and ``source`` if there are several."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from scalper_ml.context.base import BAD_STAMP, HOUR_US, Parsed, Request, Values, snapped, values_of
from scalper_ml.ingest.lines import Columns
from scalper_ml.ingest.trades import check_symbol
from scalper_ml.ingest.values import stamps_us

__all__ = ["LongTable"]

_SPELLINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "kind": ("kind", "feed", "series", "metric"),
    "ts": ("eventtsus", "eventts", "eventtime", "eventtimestamp"),
    "known": ("knowntsus", "knownts", "knowntime", "availableat", "tsus"),
    "value": ("value",),
    "source": ("source",),
    "symbol": ("symbol",),
}
_DELAY_US: Final = 300_000_000
"""Without a known time nothing is said of how a value was published: five minutes, as for the slowest source."""
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")


class LongTable:
    """Values with their own event and known times: the way to bring a feed of another venue, or a live capture.

    A row that says it was known before its event is rejected. Funding stamps are moved to the hour as those of
    dumps are; others stay as they are.
    """

    formats: tuple[str, ...] = ("context-long",)

    def roles(self, names: Sequence[str]) -> dict[str, int] | None:
        """The columns, if kind, event time and value are there."""
        found = {
            role: names.index(spelling)
            for role, spellings in _SPELLINGS.items()
            for spelling in [next((name for name in spellings if name in names), None)]
            if spelling is not None
        }
        return found if {"kind", "ts", "value"} <= set(found) else None

    def parse(self, columns: Columns, request: Request) -> Parsed:
        """Values of every kind and source in the table."""
        if "symbol" in columns.values:
            check_symbol(columns, request.symbol, request.path)
        stamp, stamped = stamps_us(columns.values["ts"])
        known, known_read = stamp + request.delay(_DELAY_US), stamped
        if "known" in columns.values:
            known, known_read = stamps_us(columns.values["known"])
        kinds, sources = _words(columns, "kind"), _words(columns, "source")
        values = []
        for kind, source in sorted(set(zip(kinds.tolist(), sources.tolist(), strict=True))):
            rows = np.flatnonzero((kinds == kind) & (sources == source))
            cells = columns.values["value"].take(pa.array(rows))
            event = snapped(stamp[rows], HOUR_US) if kind.startswith("funding_") else stamp[rows]
            found = values_of(kind, ("value", cells), stamped[rows], event, np.maximum(known[rows], event), rows=rows)
            fault = _faults(kind, found.fault, known_read[rows], known[rows] < stamp[rows])
            values.append(Values(kind, rows, event, found.known_us, found.value, fault, found.repeats, source=source))
        return Parsed(self.formats[0], values, stamp[stamped])


def _faults(kind: str, fault: np.ndarray, known_read: np.ndarray, early: np.ndarray) -> np.ndarray:
    tests = (fault != "", ~known_read, early, np.full(len(fault), _NAME.fullmatch(kind) is None))
    texts = (
        fault,
        f"known_ts: {BAD_STAMP}",
        "known_ts: before event_ts; a value is known at its event time at the earliest",
        "kind: not a name of lower-case letters, digits and _",
    )
    return np.select(tests, texts, "")


def _words(columns: Columns, role: str) -> np.ndarray:
    if role not in columns.values:
        return np.full(len(columns.values["ts"]), "")
    texts = columns.values[role].cast(pa.string()).to_pylist()
    return np.array([(text or "").strip() for text in texts], dtype=np.str_)
