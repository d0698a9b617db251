"""Files of context merged: the same values give the same table, whatever files they came in."""

import itertools
from collections import defaultdict

import pytest
from contextdata import Row, context, file_of, rows_table
from hypothesis import given
from hypothesis import strategies as st

from scalper_ml.context import merge_context
from scalper_ml.errors import InputError

ROWS = st.lists(
    st.tuples(
        st.sampled_from(["open_interest", "funding_rate", "liquidated_long"]),
        st.integers(0, 3),
        st.integers(0, 4),
        st.sampled_from([1.0, 2.0, 3.0]),
    ).map(lambda row: (row[0], row[1], row[1] + row[2], row[3])),
    max_size=14,
)


def expected(rows: list[Row]) -> list[tuple[str, int, int, float, int]]:
    """The merged rows by the words of `merge_context`, one event at a time."""
    out: list[tuple[str, int, int, float, int]] = []
    events: dict[tuple[str, int], dict[int, set[float]]] = defaultdict(lambda: defaultdict(set))
    for kind, event, known, value in rows:
        events[kind, event][known].add(value)
    for (kind, event), by_known in sorted(events.items()):
        revision, said = 0, None
        for known, values in sorted(by_known.items()):
            if kind.startswith("liquidated"):
                out += [(kind, event, known, value, 0) for value in sorted(values)]
            elif len(values) == 1 and (value := next(iter(values))) != said:
                out.append((kind, event, known, value, revision))
                revision, said = revision + 1, value
    return out


def plain(rows: list[Row]) -> list[tuple[str, int, int, float, int]]:
    table = context(rows)
    names = ("kind", "event_ts_us", "ts_us", "value", "revision")
    columns = [table.column(name).cast("int64") if name.endswith("ts_us") else table.column(name) for name in names]
    return list(zip(*(column.to_pylist() for column in columns), strict=True))


@given(ROWS)
def test_merged_rows_are_those_of_a_naive_merge(rows: list[Row]) -> None:
    """Repeats once, revisions numbered by known time, contradictions out, liquidations as they are."""
    assert plain(rows) == expected(rows)


@given(ROWS, st.randoms(use_true_random=False), st.integers(1, 4), st.integers(0, 2))
def test_order_split_and_repetition_of_files_do_not_matter(rows: list[Row], random, parts: int, again: int) -> None:
    """Any shuffling, splitting and repeating of files gives the same table."""
    shuffled = random.sample(rows, len(rows))
    files = [file_of(shuffled[i::parts]) for i in range(parts)]
    merged = merge_context([*files, *files[:again]])
    assert merged.table.equals(context(rows))
    assert merged.table.schema.equals(context(rows).schema)


@given(ROWS, st.integers(1, 3))
def test_values_read_are_accounted_for(rows: list[Row], parts: int) -> None:
    """accepted + duplicate + quarantined = read; accepted is the table; contradictions are in quarantine."""
    merged = merge_context([file_of(rows[i::parts]) for i in range(parts)])
    counts = merged.counts
    assert counts.read == len(rows) == counts.accepted + counts.duplicate + counts.quarantined
    assert (merged.table.num_rows, merged.quarantine.num_rows) == (counts.accepted, counts.quarantined)


@given(ROWS)
def test_merging_what_is_merged_changes_nothing(rows: list[Row]) -> None:
    """A merged file, merged again, alone or with itself, gives the same table."""
    once = merge_context([file_of(rows)])
    assert merge_context([once]).table.equals(once.table)
    assert merge_context([once, once]).table.equals(once.table)


def test_a_value_said_later_is_no_revision_but_another_is() -> None:
    """5 known at 1, 5 at 2, 6 at 3, 5 at 4: three rows, revisions 0, 1, 2."""
    rows = [("open_interest", 0, known, value) for known, value in ((1, 5.0), (2, 5.0), (3, 6.0), (4, 5.0))]
    for order in itertools.permutations(rows):
        assert [row[2:] for row in plain(list(order))] == [(1, 5.0, 0), (3, 6.0, 1), (4, 5.0, 2)]


def test_a_contradiction_is_kept_out_whichever_came_first() -> None:
    """Two values of one event known at one moment: both in quarantine, with what they are; the next one counts."""
    rows = [("open_interest", 0, 1, 5.0), ("open_interest", 0, 1, 6.0), ("open_interest", 0, 2, 7.0)]
    one = merge_context([file_of(rows[:1]), file_of(rows[1:])])
    other = merge_context([file_of(rows[1:]), file_of(rows[:1])])
    assert one.table.column("value").to_pylist() == [7.0]
    assert one.quarantine.equals(other.quarantine)
    assert [row["file"] for row in one.quarantine.to_pylist()] == ["merged", "merged"]
    assert "1970-01-01 00:00:00" in one.quarantine.column("raw")[0].as_py()


def test_two_liquidations_of_one_moment_are_two() -> None:
    """Events of their own never contradict one another."""
    rows = [("liquidated_long", 0, 1, 5.0), ("liquidated_long", 0, 1, 6.0), ("liquidated_long", 0, 1, 6.0)]
    assert plain(rows) == [("liquidated_long", 0, 1, 5.0, 0), ("liquidated_long", 0, 1, 6.0, 0)]


def test_the_sign_of_zero_does_not_matter() -> None:
    """0.0 and -0.0 are one value, and come out as 0.0 whichever was first."""
    rows = [("funding_rate", 0, 0, -0.0), ("funding_rate", 0, 0, 0.0)]
    assert [str(row[3]) for row in plain(rows)] == ["0.0"]
    assert [str(row[3]) for row in plain(rows[:1])] == ["0.0"]


def test_one_kind_comes_from_one_source() -> None:
    """Open interest of two venues would revise one another; the message names both."""
    rows = [("open_interest", 0, 1, 5.0)]
    with pytest.raises(InputError, match=r"open_interest from 2 sources \['here', 'there'\]"):
        merge_context([file_of(rows, "there"), file_of(rows, "here")])


def test_no_files_are_refused() -> None:
    """A merge of nothing has no source to name."""
    with pytest.raises(InputError, match="no files"):
        merge_context([])


def test_hash_and_format_tell_the_set_of_files() -> None:
    """Neither depends on order or repetition; another file gives another hash."""
    a, b = file_of([("open_interest", 0, 1, 5.0)], "x"), file_of([("funding_rate", 0, 1, 5.0)], "y")
    merged = merge_context([a, b])
    assert merged.format == "x+y"
    assert merged.sha256 == merge_context([b, a, b]).sha256 != merge_context([a]).sha256


def test_an_empty_file_merges_to_an_empty_table() -> None:
    """No accepted value: an empty table of the same schema."""
    assert context([]).num_rows == 0
    assert context([]).schema.equals(rows_table([("open_interest", 0, 1, 5.0)]).schema)
