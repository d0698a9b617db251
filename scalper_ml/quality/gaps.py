"""Gaps: missing trades, silences of the venue, and holes of which nothing can be said; within days and between them."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import pyarrow as pa

from scalper_ml.quality.facts import DayFacts, Gap
from scalper_ml.schema import GAPS, stamps

__all__ = ["IdFacts", "gaps_of", "gaps_table", "id_facts", "silences"]

_MOST: Final = 200  # gaps of missing ids reported per day


@dataclass(frozen=True, slots=True)
class IdFacts:
    """What the ids of a day say; `from_us`, `to_us`, `gaps` are its holes by their start."""

    min_id: int | None
    max_id: int | None
    missing: int
    holes: int
    late: int
    late_us: int
    late_ts_us: int | None
    from_us: np.ndarray
    to_us: np.ndarray
    gaps: tuple[Gap, ...]


def id_facts(ts_us: np.ndarray, ids: np.ndarray) -> IdFacts:
    """Holes of the ids and rows whose id contradicts their stamp.

    Parameters
    ----------
    ts_us, ids : ndarray of int64, shape (n,)
        By stamp, then id; ids unique.
    """
    none = np.empty(0, dtype=np.int64)
    if ids.size == 0:
        return IdFacts(None, None, 0, 0, 0, 0, None, none, none, ())
    late, late_us, late_ts_us = 0, 0, None
    step = np.diff(ids)
    if step.size and step.min() <= 0:
        late, late_us, late_ts_us = _late(ts_us, ids)
        order = np.argsort(ids, kind="stable")
        ts_us, ids = ts_us[order], ids[order]
        step = np.diff(ids)
    at = np.flatnonzero(step > 1)
    ends = np.sort(np.stack((ts_us[at], ts_us[at + 1])), axis=0)  # late rows: an id may come after a higher one
    by_start = np.lexsort((ends[1], ends[0]))
    at, (from_us, to_us) = at[by_start], ends[:, by_start]
    gaps = _together(from_us, to_us, ids[at], ids[at + 1])
    missing = int((step[at] - 1).sum())
    return IdFacts(int(ids[0]), int(ids[-1]), missing, at.size, late, late_us, late_ts_us, from_us, to_us, gaps)


def silences(
    ts_us: np.ndarray, step: np.ndarray, limit_us: int, ids: np.ndarray | None, found: IdFacts
) -> tuple[Gap, ...]:
    """All gaps of a day: the holes of `found` and the pauses beyond the limit that no hole explains, by their start.

    `ids` is None where some rows have none: their pauses are ``unknown``.
    """
    gaps = list(found.gaps)
    furthest = np.maximum.accumulate(found.to_us) if found.to_us.size else found.to_us
    for row in np.flatnonzero(step > limit_us).tolist():
        start, end = int(ts_us[row]), int(ts_us[row + 1])
        before = int(np.searchsorted(found.from_us, start, side="right"))
        if before and furthest[before - 1] >= end:
            continue
        if ids is None:
            gaps.append(Gap(start, end, "unknown"))
        else:
            gaps.append(Gap(start, end, "silence", int(ids[row]), int(ids[row + 1]), 0))
    return tuple(sorted(gaps, key=lambda gap: (gap.from_ts_us, gap.to_ts_us, gap.last_id or 0)))


def gaps_of(facts_by_day: Mapping[str, DayFacts]) -> tuple[Gap, ...]:
    """Gaps of all days and between them, by their start.

    Two neighbouring days join if the lowest id of the later one follows the highest of the earlier one; a longer
    time between them is then a silence, whole days of it included. If the ids jump, trades are missing. Without
    ids on both sides, from one source, a time beyond the limit of either day is unknown.
    """
    days = [facts_by_day[day] for day in sorted(facts_by_day)]
    gaps = [gap for facts in days for gap in facts.gaps]
    gaps += [gap for earlier, later in pairwise(days) for gap in _between(earlier, later)]
    return tuple(sorted(gaps, key=lambda gap: (gap.from_ts_us, gap.to_ts_us, gap.last_id or 0)))


def gaps_table(facts_by_day: Mapping[str, DayFacts]) -> pa.Table:
    """Gaps of all days and between them as a table of schema `GAPS`; see `gaps_of`.

    `missing` sums to the ids that no row has. Where a day has more than 200 id jumps, short ones close to each other
    are one row.
    """
    rows = [asdict(gap) for gap in gaps_of(facts_by_day)]
    columns = {name: [row[name] for row in rows] for name in GAPS.names}
    for name in ("from_ts_us", "to_ts_us"):
        columns[name] = stamps(np.array(columns[name], dtype=np.int64))
    return pa.table(columns, schema=GAPS)


def _between(earlier: DayFacts, later: DayFacts) -> Iterator[Gap]:
    start, end = earlier.last_ts_us, later.first_ts_us
    long = end - start > max(earlier.silence_limit_us, later.silence_limit_us)
    last_id, first_id = earlier.max_id, later.min_id
    known = earlier.sources == later.sources and last_id is not None and first_id is not None
    if known and first_id > last_id + 1:  # type: ignore[operator]
        yield Gap(start, max(start, end), "missing", last_id, first_id, first_id - last_id - 1)  # type: ignore[operator]
    elif known and first_id == last_id + 1 and not earlier.without_id and not later.without_id:  # type: ignore[operator]
        if long:
            yield Gap(start, end, "silence", last_id, first_id, 0)
    elif long:
        yield Gap(start, end, "unknown")


def _late(ts_us: np.ndarray, ids: np.ndarray) -> tuple[int, int, int | None]:
    """Rows below an earlier id, the most they come after the first row with a higher id, and where that is."""
    highest = np.maximum.accumulate(ids)
    rows = np.flatnonzero(ids < highest)
    if rows.size == 0:
        return 0, 0, None
    first_higher = np.searchsorted(highest, ids[rows], side="right")
    by = ts_us[rows] - ts_us[first_higher]
    worst = int(np.argmax(by))
    return rows.size, int(by[worst]), int(ts_us[rows[worst]])


def _together(from_us: np.ndarray, to_us: np.ndarray, last: np.ndarray, first: np.ndarray) -> tuple[Gap, ...]:
    """Holes by their start as gaps, at most 200: short neighbours become one first, so no missing trade is lost."""
    n = from_us.size
    if n == 0:
        return ()
    long, between = to_us - from_us, from_us[1:] - np.maximum.accumulate(to_us)[:-1]
    worth = between + np.maximum(long[:-1], long[1:])
    apart = np.argsort(-worth, kind="stable")[: _MOST - 1] + 1
    starts = np.concatenate(([0], np.sort(apart)))
    ends = np.concatenate((starts[1:], [n]))
    missing = np.add.reduceat(first - last - 1, starts)
    return tuple(
        Gap(
            int(from_us[a]),
            int(to_us[a:b].max()),
            "missing",
            int(last[a:b].min()),
            int(first[a:b].max()),
            int(m),
            b - a,
        )
        for a, b, m in zip(starts.tolist(), ends.tolist(), missing, strict=True)
    )
