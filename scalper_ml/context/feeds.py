"""Context of several files to one bitemporal table: every value once, revisions numbered by when they were known."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scalper_ml.context.base import ContextFile
from scalper_ml.context.rows import own_events, same_as_above
from scalper_ml.errors import InputError
from scalper_ml.ingest.base import Counts
from scalper_ml.ingest.lines import Fault
from scalper_ml.ingest.trades import quarantine_table
from scalper_ml.schema import CONTEXT, stamps

__all__ = ["context_table", "merge_context", "unique_rows"]

_CONFLICT: Final = "value: several values of one kind for one event time, known at one time; none can be preferred"

Column = tuple[str, np.ndarray, np.ndarray, np.ndarray, str]
"""Kind, event time (us), known time (us), value, source."""


def context_table(columns: Sequence[Column]) -> pa.Table:
    """A table of schema `CONTEXT` from the values of some kinds, in the order given; every revision is 0.

    Examples
    --------
    >>> one = context_table([("funding_rate", np.array([0]), np.array([4000]), np.array([1e-4]), "demo")])
    >>> one.select(["kind", "value", "revision"]).to_pylist()
    [{'kind': 'funding_rate', 'value': 0.0001, 'revision': 0}]
    """
    tables = [
        pa.table(
            {
                "kind": pa.repeat(kind, len(value)),
                "event_ts_us": stamps(event_us),
                "ts_us": stamps(known_us),
                "value": np.asarray(value, dtype=np.float64),
                "revision": np.zeros(len(value), dtype=np.int32),
                "source": pa.repeat(source, len(value)),
            },
            schema=CONTEXT,
        )
        for kind, event_us, known_us, value, source in columns
    ]
    return pa.concat_tables(tables) if tables else CONTEXT.empty_table()


def unique_rows(table: pa.Table) -> pa.Table:
    """Rows of a context table sorted by kind, event time, known time, value and source, equal rows once."""
    if table.num_rows == 0:
        return table
    table = _plain_zeros(table)
    order = [(name, "ascending") for name in ("kind", "event_ts_us", "ts_us", "value", "source")]
    table = table.take(pc.sort_indices(table, order)).combine_chunks()
    fresh = np.concatenate(([True], ~same_as_above(table, ("kind", "event_ts_us", "ts_us", "value", "source"))))
    return table.filter(pa.array(fresh))


def merge_context(files: Sequence[ContextFile]) -> ContextFile:
    """One bitemporal table of the context of a symbol.

    The result depends on the set of values alone: not on the order of the files, on how values are spread over
    them, or on how often one is repeated.

    A value said again with the same or a later known time is no news and counts as a duplicate. Another value for
    the same event time, known later, is a revision; the first value has revision 0, the next 1, and so on. Several
    values for one event time *and* one known time contradict each other: all of them go to quarantine.
    Liquidations are events, each of its own: they have no revisions and never contradict.

    Parameters
    ----------
    files : sequence of ContextFile
        At least one, from `read_context`: give every file of the symbol, every time.

    Returns
    -------
    ContextFile
        Sorted by kind, event time and known time; counts summed.

    Raises
    ------
    InputError
        If there is no file, or one kind comes from several sources: their values would revise one another.
    """
    if not files:
        raise InputError("merge of context: no files; expected at least one")
    given = pa.concat_tables([file.table for file in files])
    _one_source_a_kind(given)
    table = unique_rows(given)
    conflict = _contradictions(table)
    faults = [Fault(0, _CONFLICT, ",".join(map(str, row.values()))) for row in table.filter(conflict).to_pylist()]
    table = _revised(table.filter(pc.invert(conflict)))
    counts = files[0].counts
    for file in files[1:]:
        counts += file.counts
    repeats = given.num_rows - table.num_rows - len(faults)
    quarantined = counts.quarantined + len(faults)
    counts = Counts(counts.read, table.num_rows, counts.duplicate + repeats, quarantined)
    quarantine = pa.concat_tables([*(file.quarantine for file in files), quarantine_table(Path("merged"), faults)])
    quarantine = quarantine.sort_by([(name, "ascending") for name in quarantine.column_names])
    formats = "+".join(sorted({name for file in files for name in file.format.split("+")}))
    digest = hashlib.sha256("".join(sorted({file.sha256 for file in files})).encode()).hexdigest()
    return ContextFile(table, quarantine, counts, formats, digest, sum(file.disordered for file in files))


def _one_source_a_kind(table: pa.Table) -> None:
    pairs = table.group_by(["kind", "source"]).aggregate([]).sort_by([("kind", "ascending"), ("source", "ascending")])
    found: dict[str, list[str]] = {}
    for row in pairs.to_pylist():
        found.setdefault(row["kind"], []).append(row["source"])
    several = {kind: sources for kind, sources in found.items() if len(sources) > 1}
    if several:
        kind, sources = next(iter(several.items()))
        raise InputError(
            f"merge of context: {kind} from {len(sources)} sources {sources}; expected one - leave the files of the "
            "others out, or give them a kind of their own"
        )


def _contradictions(table: pa.Table) -> pa.Array:
    """Mask of rows that share kind, event time and known time with a row of another value."""
    if table.num_rows == 0:
        return pa.array([], pa.bool_())
    same = same_as_above(table, ("kind", "event_ts_us", "ts_us")) & ~own_events(table)[1:]
    return pa.array(np.concatenate(([False], same)) | np.concatenate((same, [False])))


def _revised(table: pa.Table) -> pa.Table:
    """Rows that say the same as the row known before are dropped; the others are numbered within their event."""
    if table.num_rows == 0:
        return table
    each = own_events(table)
    again = np.concatenate(([False], same_as_above(table, ("kind", "event_ts_us", "value")) & ~each[1:]))
    table, each = table.filter(pa.array(~again)), each[~again]
    later = np.concatenate(([False], same_as_above(table, ("kind", "event_ts_us")) & ~each[1:]))
    places = np.arange(table.num_rows)
    revision = places - np.maximum.accumulate(np.where(later, 0, places))
    at = table.schema.get_field_index("revision")
    return table.set_column(at, CONTEXT.field("revision"), pa.array(revision.astype(np.int32))).combine_chunks()


def _plain_zeros(table: pa.Table) -> pa.Table:
    """-0.0 as 0.0: they are equal, and must not depend on which was read first."""
    at = table.schema.get_field_index("value")
    return table.set_column(at, CONTEXT.field("value"), pa.array(table.column("value").to_numpy() + 0.0))
