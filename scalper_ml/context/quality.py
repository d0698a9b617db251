"""What is wrong with a feed, as findings: units, stamps, holes, changes of schedule, revisions, a feed that died."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scalper_ml.context.base import HOUR_US, ContextFile
from scalper_ml.context.kinds import kind_of
from scalper_ml.context.rows import kinds_in
from scalper_ml.context.schedule import DAY_US, context_gaps, event_times, interval_changes, missing_days
from scalper_ml.schema import us

__all__ = ["RULES", "Finding", "context_findings", "file_findings"]

RULES: Final[Mapping[str, tuple[Literal["error", "warn"], str]]] = MappingProxyType(
    {
        "known_in_advance": ("error", "No value is known before its event."),
        "rate_size": ("error", "Funding rates are fractions of a size that venues allow."),
        "rate_unit": ("error", "Funding rates keep their unit: no jump between percent and fractions."),
        "level_jump": ("error", "No step from one value to the next is that of another unit."),
        "on_schedule": ("warn", "Funding settles on whole hours, to a minute."),
        "interval_changes": ("warn", "Changes of the interval between settlements, listed."),
        "missing": ("warn", "No value is missing by the schedule of its kind."),
        "missing_days": ("warn", "No day is without values between the first and the last."),
        "revised": ("warn", "Values revised later, listed; each is used from when it was known."),
        "stamps_in_order": ("warn", "The rows of a file are in order."),
        "duplicates": ("warn", "Values said more than once, counted."),
        "rejected": ("warn", "No value had to be rejected."),
        "stale": ("warn", "Every kind reaches the end of the bars."),
    }
)
"""Rules by the first part of a finding's name: how bad it is to break one, and what it asks."""

_EXAMPLES: Final = 5
_LARGEST_RATE: Final = 0.04
"""Venues cap a settlement's rate at 3 % or less, a few at 4 %; a rate in percent is soon beyond."""
_SIDE: Final = 10
_SCALE: Final = 30.0
"""A unit jump is a factor of 100 (percent) or more: typical sizes before and after that differ by this much."""
_LEVEL_JUMP: Final = 5.0
_STALE_PERIODS: Final = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule, looked at.

    Attributes
    ----------
    name : str
        Rule and kind, such as ``missing.open_interest``.
    passed : bool
    count : int
        How many of what the rule looks for; of a rule that only tells, such as ``revised``, passed all the same.
    description : str
    examples : tuple of str
        The first few.
    """

    name: str
    passed: bool
    count: int
    description: str
    examples: tuple[str, ...] = ()


def file_findings(file: ContextFile) -> list[Finding]:
    """What only a file tells, not the table: its order, its repeats, its rejected values.

    Parameters
    ----------
    file : ContextFile
        From `read_context`, or from `merge_context` for all files together.
    """
    reasons = pc.value_counts(file.quarantine.column("reason")).to_pylist()
    told = sorted(f"{item['values']} ({item['counts']})" for item in reasons)
    return [
        _finding("stamps_in_order", file.disordered, "rows stamped before the row above them"),
        Finding("duplicates", True, file.counts.duplicate, "values said before; counted once, no fault"),
        _finding("rejected", file.counts.quarantined, "values in quarantine, by reason", told),
    ]


def context_findings(context: pa.Table, *, until_us: int | None = None) -> list[Finding]:
    """Findings on a context table, rule by rule and kind by kind, in a fixed order.

    Parameters
    ----------
    context : pyarrow.Table
        Schema `CONTEXT`, from `merge_context`; of one symbol.
    until_us : int, optional
        The moment up to which the feed should reach, such as the last bar's close: a kind whose newest event is
        three periods older is stale. Without it nothing is said of that.

    Returns
    -------
    list of Finding
        Of an empty table: none.

    Notes
    -----
    Judges stored data, looking both ways in time; nothing of it is a feature.
    """
    found: list[Finding] = []
    gaps = context_gaps(context)
    for kind in kinds_in(context):
        rows = context.filter(pc.equal(context.column("kind"), kind))
        found.append(_known_in_advance(kind, rows))
        found.append(_revised(kind, rows))
        if kind == "funding_rate":
            found += [_too_large(rows), _rescaled(rows), _off_the_hour(rows), _interval(context)]
        elif not kind_of(kind).each:
            found.append(_level_jumps(kind, rows))
        if kind_of(kind).scheduled:
            found.append(_missing(kind, gaps.filter(pc.equal(gaps.column("kind"), kind))))
        found.append(_empty_days(kind, context))
        if until_us is not None:
            found.append(_stale(kind, context, until_us))
    return found


def _known_in_advance(kind: str, rows: pa.Table) -> Finding:
    bad = np.flatnonzero(us(rows.column("ts_us")) < us(rows.column("event_ts_us")))
    return _finding(f"known_in_advance.{kind}", bad, "values known before their event time", _times(rows, bad))


def _revised(kind: str, rows: pa.Table) -> Finding:
    bad = np.flatnonzero(rows.column("revision").to_numpy() > 0)
    text = "values revised after they were first known; used from then on only"
    return Finding(f"revised.{kind}", True, len(bad), text, tuple(_times(rows, bad)))


def _too_large(rows: pa.Table) -> Finding:
    rate = rows.column("value").to_numpy()
    bad = np.flatnonzero(np.abs(rate) > _LARGEST_RATE)
    told = [f"{when}: {rate[i]:g}" for when, i in zip(_times(rows, bad), bad, strict=False)]
    text = f"rates beyond {_LARGEST_RATE:g} of notional in one settlement; rates are fractions, not percent"
    return _finding("rate_size.funding_rate", bad, text, told)


def _rescaled(rows: pa.Table) -> Finding:
    """Places where the typical size of the rates before and after differs like a change of unit."""
    rate = np.abs(rows.column("value").to_numpy())
    order = np.argsort(us(rows.column("event_ts_us")), kind="stable")
    used = order[rate[order] > 0]
    size = np.log(rate[used])
    text = "places where rates become larger or smaller by the factor of another unit (percent and fraction)"
    if len(size) < 2 * _SIDE:
        return _finding("rate_unit.funding_rate", 0, text)
    middle = np.median(np.lib.stride_tricks.sliding_window_view(size, _SIDE), axis=1)
    low, high = (view(np.lib.stride_tricks.sliding_window_view(size, _SIDE), axis=1) for view in (np.min, np.max))
    step = middle[_SIDE:] - middle[:-_SIDE]
    apart = (low[_SIDE:] > high[:-_SIDE]) | (high[_SIDE:] < low[:-_SIDE])
    jump = np.flatnonzero((np.abs(step) > np.log(_SCALE)) & apart)
    first = jump[np.concatenate(([True], np.diff(jump) > _SIDE))] if jump.size else jump
    at = used[first + _SIDE]
    told = [f"{when}: x{np.exp(step[i]):.3g}" for when, i in zip(_times(rows, at), first, strict=False)]
    return _finding("rate_unit.funding_rate", at, text, told)


def _off_the_hour(rows: pa.Table) -> Finding:
    event = us(rows.column("event_ts_us"))
    bad = np.flatnonzero(event % HOUR_US)
    text = "settlements not on a whole hour, to a minute"
    return _finding("on_schedule.funding_rate", bad, text, _times(rows, bad))


def _interval(context: pa.Table) -> Finding:
    changes = interval_changes(context)
    told = [f"{_time(change.event_ts_us)}: {change.before_h} h to {change.after_h} h" for change in changes]
    text = "changes of the interval between settlements"
    return Finding("interval_changes.funding_rate", True, len(changes), text, tuple(told[:_EXAMPLES]))


def _level_jumps(kind: str, rows: pa.Table) -> Finding:
    order = np.lexsort((us(rows.column("ts_us")), us(rows.column("event_ts_us"))))
    value = rows.column("value").to_numpy()[order]
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.abs(np.log(np.abs(value[1:])) - np.log(np.abs(value[:-1])))
    flow = kind.startswith("taker_")
    limit = np.log(1000.0 if flow else _LEVEL_JUMP)
    bad = np.flatnonzero(np.isfinite(factor) & (factor > limit)) + 1
    told = [f"{when}: {value[i - 1]:g} to {value[i]:g}" for when, i in zip(_times(rows, order[bad]), bad, strict=False)]
    text = f"steps of a factor above {np.exp(limit):.0f} from one value to the next: another unit, or a wrong value"
    return _finding(f"level_jump.{kind}", bad, text, told)


def _missing(kind: str, gaps: pa.Table) -> Finding:
    told = [
        f"{row['from_ts_us']:%Y-%m-%d %H:%M} to {row['to_ts_us']:%Y-%m-%d %H:%M}: {row['missing']}"
        for row in gaps.slice(0, _EXAMPLES).to_pylist()
    ]
    count = int(gaps.column("missing").to_numpy().sum())
    return _finding(f"missing.{kind}", count, f"values missing by the schedule, in {gaps.num_rows} holes", told)


def _empty_days(kind: str, context: pa.Table) -> Finding:
    days = missing_days(context, kind)
    told = [_time(day)[:10] for day in days[:_EXAMPLES].tolist()]
    text = "UTC days without any value between the first and the last"
    if kind_of(kind).scheduled:
        return _finding(f"missing_days.{kind}", days, text, told)
    return Finding(f"missing_days.{kind}", True, len(days), f"{text}; may be days without events", tuple(told))


def _stale(kind: str, context: pa.Table, until_us: int) -> Finding:
    event = event_times(context, kind)
    steps = np.diff(event)
    period = int(np.median(steps)) if steps.size and kind_of(kind).scheduled else DAY_US
    behind = max(0, until_us - int(event[-1]))
    stale = behind > _STALE_PERIODS * period
    text = f"periods of {period / HOUR_US:g} h since the last value; stale after {_STALE_PERIODS}"
    return Finding(f"stale.{kind}", not stale, behind // period, text, (_time(int(event[-1])),) if stale else ())


def _finding(name: str, found: int | np.ndarray, description: str, examples: Sequence[str] = ()) -> Finding:
    count = found if isinstance(found, int) else len(found)
    return Finding(name, count == 0, count, description, tuple(examples[:_EXAMPLES]))


def _times(rows: pa.Table, places: np.ndarray) -> list[str]:
    event = us(rows.column("event_ts_us"))
    return [_time(int(event[i])) for i in places[:_EXAMPLES]]


def _time(stamp_us: int) -> str:
    return f"{datetime.fromtimestamp(stamp_us // 1_000_000, UTC):%Y-%m-%d %H:%M}"
