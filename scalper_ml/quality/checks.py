"""What each rule counts: functions of the evidence."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from itertools import pairwise
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scalper_ml.clock import iso
from scalper_ml.quality.evidence import Evidence, Outcome
from scalper_ml.quality.facts import DAY_US, FlowSums, Gap, GapKind, Print
from scalper_ml.quality.prints import level_shift

_EXAMPLES: Final = 5
_CONFLICT: Final = "with other values"  # of a quarantine reason
_NUMBER: Final = ("not positive and finite", "not a number", "zero", "negative", "nan", "infinite")


def id_gaps(evidence: Evidence) -> Outcome:
    """Ids that no row has."""
    gaps = _gaps(evidence, "missing")
    missing = sum(gap.missing or 0 for gap in gaps)
    worst = max(gaps, key=lambda gap: gap.missing or 0, default=None)
    text = f"{missing} trades are missing in {sum(gap.holes for gap in gaps)} id jumps"
    if worst is not None:
        text += f", most between {_place(worst)}"
    values = {"missing": missing, "jumps": sum(gap.holes for gap in gaps), "seconds": _seconds(gaps)}
    return Outcome(missing, text, values, _examples(f"{_place(gap)}: {gap.missing} missing" for gap in gaps))


def exchange_silence(evidence: Evidence) -> Outcome:
    """Long pauses across which the ids go on."""
    return _pauses(evidence, "silence", "times the venue printed nothing (ids go on)")


def unknown_gaps(evidence: Evidence) -> Outcome:
    """Long pauses without ids."""
    return _pauses(evidence, "unknown", "long times without trades, and no ids to tell why")


def non_monotonic_ids(evidence: Evidence) -> Outcome:
    """Rows whose id is below an earlier one's by more than the jitter; their number within it is in the values."""
    late = {day: facts for day, facts in evidence.facts.items() if facts.late_ids}
    bad = {day: facts for day, facts in late.items() if facts.late_ids_us > evidence.limits.id_jitter_us}
    count, worst = sum(f.late_ids for f in bad.values()), max((f.late_ids_us for f in late.values()), default=0)
    values = {"rows": sum(facts.late_ids for facts in late.values()), "worst_s": worst / 1e6, "days": len(bad)}
    text = f"{values['rows']} rows have an id below an earlier row's, by at most {worst / 1e6:g} s"
    places = (
        f"{iso(facts.late_ids_ts_us or 0)}: {facts.late_ids_us / 1e6:g} s after a higher id" for facts in bad.values()
    )
    return Outcome(count, text, values, _examples(places))


def conflicting_ids(evidence: Evidence) -> Outcome:
    """Quarantined contradictions, and ids of a day that do not come after those of the day before."""
    quarantined = _quarantined(evidence, "conflict")
    overlaps = [
        f"{later.day}: lowest id {later.min_id}, but {earlier.day} reaches {earlier.max_id}"
        for earlier, later in pairwise(evidence.facts.values())
        if earlier.sources == later.sources
        and earlier.max_id is not None
        and later.min_id is not None
        and later.min_id <= earlier.max_id
    ]
    values = {"quarantined": quarantined, "overlapping_days": len(overlaps)}
    text = f"{quarantined} rows repeat an id with other values, {len(overlaps)} days overlap in ids with the one before"
    return Outcome(quarantined + len(overlaps), text, values, _examples(overlaps))


def mixed_sources(evidence: Evidence) -> Outcome:
    """Days that do not come from the one source that most days come from."""
    names: dict[tuple[str, ...], int] = {}
    for facts in evidence.facts.values():
        names[facts.sources] = names.get(facts.sources, 0) + 1
    single = {name: n for name, n in names.items() if len(name) == 1}
    usual = max(single, key=lambda name: (single[name], name), default=None)
    bad = [facts for facts in evidence.facts.values() if facts.sources != usual]
    sources = sorted({name for key in names for name in key})
    text = f"sources {sources}" if not bad else f"{len(bad)} days are not of one source; found {sources}, expected one"
    return Outcome(len(bad), text, {"sources": sources}, _examples(f"{f.day}: {list(f.sources)}" for f in bad))


def off_market_prints(evidence: Evidence) -> Outcome:
    """Prints that leave the market and return."""
    prints = [one for facts in evidence.facts.values() for one in facts.off_market_prints]
    return _printed(evidence, "off_market", prints, "prints are off the market")


def decimal_slips(evidence: Evidence) -> Outcome:
    """Prints, and levels within and between days, that are away by a power of ten."""
    slips = sum(facts.slips for facts in evidence.facts.values())
    within = [facts for facts in evidence.facts.values() if facts.level_shifts]
    between = [
        f"{later.day}: from {earlier.close_level:g} to {later.open_level:g}"
        for earlier, later in pairwise(evidence.facts.values())
        if level_shift(earlier.close_level, later.open_level)
    ]
    levels = sum(facts.level_shifts for facts in within) + len(between)
    places = [_shown(one) for facts in evidence.facts.values() for one in facts.slip_prints]
    places += [f"{facts.day}: {facts.level_shifts} within the day" for facts in within] + between
    text = f"{slips} prints and {levels} price levels are away by a power of ten"
    return Outcome(slips + levels, text, {"prints": slips, "levels": levels}, _examples(places))


def zero_negative_nan(evidence: Evidence) -> Outcome:
    """Quarantined rows whose price or quantity is no positive number."""
    count = _quarantined(evidence, "number")
    return Outcome(count, f"{count} rows have no positive, finite price and quantity", _reasons(evidence, "number"))


def unreadable_rows(evidence: Evidence) -> Outcome:
    """Quarantined rows that neither contradict an id nor hold a bad number."""
    count = _quarantined(evidence, "other")
    return Outcome(count, f"{count} rows could not be read", _reasons(evidence, "other"))


def missing_days(evidence: Evidence) -> Outcome:
    """Days that should be there and are not, without those inside a silence."""
    wanted = list(evidence.days())
    absent = [day for day in wanted if day not in evidence.facts]
    silences = _gaps(evidence, "silence")
    silent = {day for day in absent if any(_covers(gap, day) for gap in silences)}
    missing = [day for day in absent if day not in silent]
    text = f"{len(missing)} of {len(wanted)} days are missing"
    if silent:
        text += f"; {len(silent)} more are silent: ids go on across them"
    values = {"expected": len(wanted), "silent": len(silent), "days": missing[:100]}
    return Outcome(len(missing), text, values, _examples(_spans(missing)))


def outside_listing(evidence: Evidence) -> Outcome:
    """Rows of days on which the symbol was not listed."""
    bad = [f for day, f in evidence.facts.items() if not evidence.instrument.on(date.fromisoformat(day))]
    rows = sum(facts.rows for facts in bad)
    one = evidence.instrument
    text = f"{rows} rows on {len(bad)} days outside the listing from {one.listed} to {one.delisted}"
    return Outcome(rows, text, {"days": len(bad)}, _examples(f"{f.day}: {f.rows} rows" for f in bad))


def day_boundary(evidence: Evidence) -> Outcome:
    """Rows of another day than the one they are stored under."""
    bad = {day: f.rows if f.day != day else f.outside_day for day, f in evidence.facts.items()}
    places = (
        f"{day}: {n} rows of other days, from {iso(evidence.facts[day].first_ts_us)} to "
        f"{iso(evidence.facts[day].last_ts_us)}"
        for day, n in bad.items()
        if n
    )
    count = sum(bad.values())
    return Outcome(count, f"{count} rows are stored under another day than theirs", {}, _examples(places))


def clock(evidence: Evidence) -> Outcome:
    """Days whose last stamp is ahead of now, and files whose last one is ahead of when they were first seen."""
    ahead: list[tuple[int, str]] = []
    if evidence.now_us is not None:
        ahead += [(f.last_ts_us - evidence.now_us, f"{f.day}: {iso(f.last_ts_us)}") for f in evidence.facts.values()]
    for name, last, seen in _seen(evidence):
        ahead.append((last - seen, f"{name}: {iso(last)}, first seen {iso(seen)}"))
    bad = [(by, place) for by, place in ahead if by > evidence.limits.clock_us]
    worst = max((by for by, _ in bad), default=0)
    if not ahead:
        return Outcome(0, "stamps were held against no moment", {"checked": 0})
    text = f"{len(bad)} of {len(ahead)} days and files end in the future, by at most {worst / 1e6:g} s"
    return Outcome(len(bad), text, {"checked": len(ahead), "worst_s": worst / 1e6}, _examples(p for _, p in bad))


def _seen(evidence: Evidence) -> Iterator[tuple[str, int, int]]:
    """Name, last stamp and first sight of each file that counts."""
    table = evidence.observations
    names = ("last_ts_us", "seen_ts_us")
    last, seen = (pc.cast(table.column(name), pa.int64()).to_pylist() for name in names)
    replaced = table.column("replaced_by").to_pylist()
    for name, end, moment, by in zip(table.column("file").to_pylist(), last, seen, replaced, strict=True):
        if end is not None and moment is not None and by is None:
            yield name, end, moment


def stuck_clock(evidence: Evidence) -> Outcome:
    """Days in which one stamp stands on too many rows."""
    limits = evidence.limits
    bad = [
        f for f in evidence.facts.values() if f.stuck_rows > max(limits.stuck_rows, round(limits.stuck_share * f.rows))
    ]
    most = max((facts.stuck_rows for facts in evidence.facts.values()), default=0)
    places = (f"{iso(facts.stuck_ts_us)}: {facts.stuck_rows} of {facts.rows} rows" for facts in bad)
    text = f"{len(bad)} days have one stamp on too many rows; most rows of a stamp: {most}"
    return Outcome(len(bad), text, {"most": most}, _examples(places))


def units(evidence: Evidence) -> Outcome:
    """Stamps in whole milliseconds, or the others if they are fewer, of days that mix the two."""
    limits, count, places = evidence.limits, 0, []
    for day, facts in evidence.facts.items():
        fine = facts.stamps - facts.whole_ms
        share = facts.whole_ms / facts.stamps
        mixed = facts.whole_ms_run >= limits.whole_ms_run or (facts.whole_ms >= 20 and share > limits.whole_ms_share)
        if fine and mixed:
            count += min(facts.whole_ms, fine)
            places.append(f"{day}: {facts.whole_ms} of {facts.stamps} stamps in whole ms, {facts.whole_ms_run} "
                          f"in a row from {iso(facts.whole_ms_ts_us)}")  # fmt: skip
    finer = [day for day, facts in evidence.facts.items() if facts.stamps > facts.whole_ms]
    values = {"days_in_us": len(finer), "days_in_ms": len(evidence.facts) - len(finer)}
    return Outcome(count, f"{count} stamps are of another unit than the rest of their day", values, _examples(places))


def side_inverted(evidence: Evidence) -> Outcome:
    """Days whose flow runs against the price, or 1 for all together."""
    total = sum((facts.flow for facts in evidence.facts.values()), FlowSums())
    bad = [f for f in evidence.facts.values() if f.flow.z < -evidence.limits.flow_z]
    count = len(bad) or int(total.z < -evidence.limits.flow_z)
    found = "none" if total.correlation is None else f"{total.correlation:.3f}"
    values = {"correlation": total.correlation, "seconds": total.n, "z": total.z}
    text = f"correlation of signed volume and return: {found} over {total.n} seconds; {len(bad)} days run against it"
    return Outcome(count, text, values, _examples(f"{f.day}: {f.flow.correlation or 0:.3f}" for f in bad))


def reuploaded_files(evidence: Evidence) -> Outcome:
    """Names of files that were seen with several contents."""
    table = evidence.observations
    seen: dict[str, set[str]] = {}
    for name, digest in zip(table.column("file").to_pylist(), table.column("sha256").to_pylist(), strict=True):
        seen.setdefault(name, set()).add(digest)
    bad = {name: sorted(digests) for name, digests in sorted(seen.items()) if len(digests) > 1}
    places = (f"{name}: sha256 {', '.join(digest[:12] for digest in digests)}" for name, digests in bad.items())
    text = f"{len(bad)} of {len(seen)} files came with several contents"
    return Outcome(len(bad), text, {"files": len(seen)}, _examples(places))


def qty_outliers(evidence: Evidence) -> Outcome:
    """Quantities far beyond the day's usual ones."""
    prints = [one for facts in evidence.facts.values() for one in facts.qty_prints]
    return _printed(evidence, "qty_outliers", prints, "quantities are beyond any usual one")


def crossed_quotes(evidence: Evidence) -> Outcome:
    """Quotes counted as crossed."""
    return _quoted(evidence, "crossed")


def stale_quotes(evidence: Evidence) -> Outcome:
    """Quotes counted as stale."""
    return _quoted(evidence, "stale")


def _gaps(evidence: Evidence, kind: GapKind) -> list[Gap]:
    return [gap for gap in evidence.gaps if gap.kind == kind]


def _pauses(evidence: Evidence, kind: GapKind, what: str) -> Outcome:
    gaps = _gaps(evidence, kind)
    longest = max(gaps, key=lambda gap: gap.seconds, default=None)
    text = f"{len(gaps)} {what}" + (f"; the longest {longest.seconds:g} s, {_place(longest)}" if longest else "")
    examples = _examples(f"{_place(gap)}: {gap.seconds:g} s" for gap in gaps)
    return Outcome(len(gaps), text, {"seconds": _seconds(gaps)}, examples)


def _printed(evidence: Evidence, field: str, prints: Iterable[Print], what: str) -> Outcome:
    by_day = {day: int(getattr(facts, field)) for day, facts in evidence.facts.items() if getattr(facts, field)}
    count = sum(by_day.values())
    worst = max(by_day, key=lambda day: by_day[day], default=None)
    text = f"{count} {what}" + (f", most on {worst}: {by_day[worst]}" if worst else "")
    return Outcome(count, text, {"days": len(by_day)}, _examples(map(_shown, prints)))


def _quoted(evidence: Evidence, what: str) -> Outcome:
    rows, count = evidence.quotes.get("rows", 0), evidence.quotes.get(what, 0)
    text = f"{count} of {rows} quotes are {what}" if evidence.quotes else "there are no quotes"
    return Outcome(count, text, {"rows": rows}, evidence.quote_examples.get(what, ()))


def _kind(reason: str) -> str:
    text = reason.lower()
    if _CONFLICT in text:
        return "conflict"
    number = text.startswith(("price", "qty")) and any(word in text for word in _NUMBER)
    return "number" if number else "other"


def _reasons(evidence: Evidence, kind: str) -> Mapping[str, int]:
    return {reason: n for reason, n in sorted(evidence.reasons.items()) if _kind(reason) == kind}


def _quarantined(evidence: Evidence, kind: str) -> int:
    return sum(_reasons(evidence, kind).values())


def _covers(gap: Gap, day: str) -> bool:
    start = int(np.datetime64(day, "us").astype(np.int64))
    return gap.from_ts_us < start and gap.to_ts_us >= start + DAY_US


def _spans(days: list[str]) -> list[str]:
    """Days in a row as one text each."""
    spans: list[list[str]] = []
    for day in days:
        if spans and date.fromisoformat(day) - date.fromisoformat(spans[-1][-1]) == timedelta(days=1):
            spans[-1][1:] = [day]
        else:
            spans.append([day])
    return [" to ".join(span) for span in spans]


def _seconds(gaps: list[Gap]) -> float:
    return sum(gap.seconds for gap in gaps)


def _place(gap: Gap) -> str:
    ids = f" (ids {gap.last_id} and {gap.first_id})" if gap.last_id is not None else ""
    return f"{iso(gap.from_ts_us)} and {iso(gap.to_ts_us)}{ids}"


def _shown(one: Print) -> str:
    return f"{iso(one.ts_us)}: {one.value:g} against {one.level:g}"


def _examples(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(text for text, _ in zip(texts, range(_EXAMPLES), strict=False))
