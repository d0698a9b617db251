"""The gap table: missing trades, silences and unknown times, within days and between them."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from scalper_ml.quality import day_facts, gaps_table
from scalper_ml.quality.facts import DAY_US
from scalper_ml.quality.gaps import gaps_of
from scalper_ml.schema import GAPS, TICKS, stamps, us

DAY = 19_723 * DAY_US  # 2024-01-01
SECOND = 1_000_000
Tape = Callable[..., pa.Table]


def kinds(table: pa.Table) -> list[tuple]:
    """Rows as (seconds of the first day at its start and end, kind, last id, first id, missing)."""
    start, end = ((us(table.column(name)) - DAY) // SECOND for name in ("from_ts_us", "to_ts_us"))
    rest = [table.column(name).to_pylist() for name in ("kind", "last_id", "first_id", "missing")]
    return list(zip(start.tolist(), end.tolist(), *rest, strict=True))


def test_no_days_have_no_gaps() -> None:
    """The empty table has the schema of gaps."""
    assert gaps_table({}).equals(GAPS.empty_table())


def test_gaps_of_a_day_by_hand(tape: Tape) -> None:
    """Ids that jump in one second are missing trades, ids that go on for two minutes a silence, both a missing."""
    seconds = np.concatenate((np.arange(100), np.arange(220, 300), np.arange(600, 700)))
    ids = np.concatenate((np.arange(50), np.arange(53, 183), np.arange(190, 290)))
    facts = day_facts(tape(280, ts_us=DAY + seconds * SECOND, ids=ids))
    assert kinds(gaps_table({facts.day: facts})) == [
        (49, 50, "missing", 49, 53, 3),
        (99, 220, "silence", 102, 103, 0),
        (299, 600, "missing", 182, 190, 7),
    ]


def test_without_ids_nothing_is_said_of_why(tape: Tape) -> None:
    """The same pause without ids is unknown, with no ids and no count."""
    seconds = np.concatenate((np.arange(100), np.arange(220, 300)))
    facts = day_facts(tape(180, ts_us=DAY + seconds * SECOND))
    assert kinds(gaps_table({facts.day: facts})) == [(99, 220, "unknown", None, None, None)]


def test_a_given_limit_replaces_the_derived_one(tape: Tape) -> None:
    """With a limit of 200 s a pause of 121 s is none, and one of 10 s is one under a limit of 10 s less a bit."""
    seconds = np.concatenate((np.arange(100), np.arange(220, 300), np.arange(311, 400)))
    table = tape(269, ts_us=DAY + seconds * SECOND, ids=range(269))
    found = {limit: day_facts(table, silence_s=limit).gaps for limit in (200, 121, 120, 10)}
    assert {limit: len(gaps) for limit, gaps in found.items()} == {200: 0, 121: 0, 120: 1, 10: 2}


def test_gaps_between_days(tape: Tape) -> None:
    """Across midnight ids that go on are a silence, ids that jump are missing, whole absent days included."""
    one, two, four = (tape(100, day=day, ids=range(start, start + 100)) for day, start in ((0, 0), (1, 100), (3, 205)))
    facts = {f.day: f for f in map(day_facts, (one, two, four))}
    day = DAY_US // SECOND
    assert kinds(gaps_table(facts)) == [
        (99, day, "silence", 99, 100, 0),
        (day + 99, 3 * day, "missing", 199, 205, 5),
    ]
    bare = {f.day: f for f in map(day_facts, (tape(100), tape(100, day=1)))}
    assert kinds(gaps_table(bare)) == [(99, day, "unknown", None, None, None)]


def test_days_that_join_have_no_gap(tape: Tape) -> None:
    """A second across midnight with contiguous ids is nothing."""
    ts = DAY + DAY_US - 100 * SECOND + np.arange(100) * SECOND
    facts = {
        f.day: f
        for f in (day_facts(tape(100, ts_us=ts, ids=range(100))), day_facts(tape(100, day=1, ids=range(100, 200))))
    }
    assert gaps_table(facts).num_rows == 0


def test_the_order_of_days_does_not_matter(tape: Tape) -> None:
    """Facts given in another order have the same gaps."""
    facts = [day_facts(tape(100, day=day, ids=range(300 * day, 300 * day + 100))) for day in range(4)]
    forward, backward = ({f.day: f for f in part} for part in (facts, facts[::-1]))
    assert gaps_table(forward).equals(gaps_table(backward))


def test_ids_that_jump_within_a_millisecond_are_missing(tape: Tape) -> None:
    """The layout of binance-public-data #378: raw ids skip one between trades 90 ms apart, and at one stamp."""
    ts = DAY + np.array([510, 601, 781, 781]) * 1_000
    facts = day_facts(tape(4, ts_us=ts, ids=[5_129_698_195, 5_129_698_197, 5_129_698_199, 5_129_698_201]))
    assert [(gap.last_id, gap.missing, gap.to_ts_us - gap.from_ts_us) for gap in facts.gaps] == [
        (5_129_698_195, 1, 91_000),
        (5_129_698_197, 1, 180_000),
        (5_129_698_199, 1, 0),
    ]


def test_a_file_that_ends_early_leaves_a_gap_until_the_next_day(tape: Tape) -> None:
    """The layout of binance-public-data #213: no trades after 20:14, and ids that jump at midnight."""
    ts = DAY + (20 * 3_600 + 14 * 60) * SECOND + np.arange(-2_000, 0) * SECOND
    facts = [day_facts(tape(ids=range(2_000), ts_us=ts)), day_facts(tape(day=1, ids=range(150_000, 152_000)))]
    found = gaps_table({one.day: one for one in facts})
    assert kinds(found) == [(72_839, 86_400, "missing", 1_999, 150_000, 148_000)]


def test_a_halt_is_no_missing_data(tape: Tape) -> None:
    """The rows of ccxt #9081: ids 315295707 and 315295708 lie 4 h 44 min apart, so the venue was silent."""
    ts = np.array([1_619_323_256_542, 1_619_323_257_550, 1_619_340_301_958, 1_619_340_301_978]) * 1_000
    facts = day_facts(tape(4, ts_us=ts, ids=range(315_295_706, 315_295_710)), silence_s=60)
    assert [(gap.kind, gap.last_id, gap.first_id, gap.seconds) for gap in facts.gaps] == [
        ("silence", 315_295_707, 315_295_708, 17_044.408)
    ]


def test_two_holes_with_a_lone_trade_between_are_two_gaps(tape: Tape) -> None:
    """Neighbouring holes are told apart as long as there are few of them."""
    facts = day_facts(tape(3, ids=[0, 5, 10]))
    assert [(gap.missing, gap.holes) for gap in facts.gaps] == [(4, 1), (4, 1)]


def test_many_holes_become_few_rows_without_losing_a_trade(tape: Tape) -> None:
    """Every other row missing in two stretches: 200 rows that hold all holes, and what lies far apart stays apart."""
    seconds = np.concatenate((np.arange(600), np.arange(600) + 40_000))
    facts = day_facts(tape(1_200, ts_us=DAY + seconds * SECOND, ids=range(0, 2_400, 2)))
    gaps = [gap for gap in facts.gaps if gap.missing]
    assert (len(gaps), sum(gap.holes for gap in gaps), sum(gap.missing for gap in gaps)) == (200, 1_199, 1_199)
    long = [gap for gap in gaps if gap.seconds > 3_600]
    assert [(gap.from_ts_us, gap.to_ts_us, gap.missing) for gap in long] == [
        (DAY + 599 * SECOND, DAY + 40_000 * SECOND, 1)
    ]


def ids_of(row: tuple[int, int]) -> int:
    return row[1]


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 86_399), st.integers(0, 60)), min_size=1, max_size=12, unique_by=ids_of),
        min_size=1, max_size=4,
    )
)  # fmt: skip
def test_missing_trades_add_up_over_days(days: list[list[tuple[int, int]]]) -> None:
    """Over any days with rising ids the gaps hold exactly the ids that no row has, each once."""
    facts, ids = {}, []
    for k, pairs in enumerate(days):
        ts = np.array([DAY + k * DAY_US + s * SECOND for s, _ in pairs], dtype=np.int64)
        mine = np.array([100 * k + i for _, i in pairs], dtype=np.int64)
        order = np.lexsort((mine, ts))
        ones = [1] * len(pairs)
        columns = [stamps(ts[order]), ones, ones, ones, mine[order], ["test"] * len(pairs)]
        found = day_facts(pa.table(dict(zip(TICKS.names, columns, strict=True)), schema=TICKS))
        facts[found.day] = found
        ids += mine.tolist()
    gaps = gaps_of(facts)
    assert sum(gap.missing or 0 for gap in gaps) == max(ids) - min(ids) + 1 - len(ids)
    assert all(gap.from_ts_us <= gap.to_ts_us for gap in gaps)
    assert list(gaps) == sorted(gaps, key=lambda gap: gap.from_ts_us)
