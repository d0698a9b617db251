"""Coverage of symbols and days, as a table, a picture and text."""

from collections.abc import Callable
from datetime import date, timedelta
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pytest

from scalper_ml.quality import DayFacts, day_facts
from scalper_ml.quality.coverage import COVERAGE, coverage_markdown, coverage_plot, coverage_table, joined_coverage
from scalper_ml.quality.facts import DAY_US
from scalper_ml.quality.instruments import Instrument

DAY = 19_723 * DAY_US  # 2024-01-01
Tape = Callable[..., pa.Table]


def market(tape: Tape) -> dict[str, dict[str, DayFacts]]:
    """A on days 1, 2 and 4, with 100 ids missing before day 4; B on day 2 only, half of it."""
    every_minute = DAY + np.arange(1_440) * 60_000_000
    a = [
        day_facts(tape(1_440, ts_us=every_minute + k * DAY_US, ids=range(start, start + 1_440)))
        for k, start in ((0, 0), (1, 1_440), (3, 2_980))
    ]
    b = [day_facts(tape(720, ts_us=every_minute[:720] + DAY_US))]
    return {"B": {f.day: f for f in b}, "A": {f.day: f for f in a}}


def test_every_symbol_has_every_day(tape: Tape) -> None:
    """Four days of two symbols: what is there, what is missing, and what was not listed."""
    table = coverage_table(market(tape), {"B": Instrument("B", date(2024, 1, 2), date(2024, 1, 3))})
    assert table.schema.equals(COVERAGE)
    rows = table.to_pylist()
    assert [(row["symbol"], row["day"].day, row["state"]) for row in rows] == [
        ("A", 1, "there"), ("A", 2, "there"), ("A", 3, "missing"), ("A", 4, "there"),
        ("B", 1, "not_listed"), ("B", 2, "there"), ("B", 3, "missing"), ("B", 4, "not_listed"),
    ]  # fmt: skip
    assert [row["share"] for row in rows] == [1, 1, 0, 1, 0, 0.5, 0, 0]
    assert [row["rows"] for row in rows] == [1_440, 1_440, 0, 1_440, 0, 720, 0, 0]
    assert [row["gap_s"] for row in rows] == [0, 60, 86_400, 0, 0, 0, 86_400, 0]  # 60 s: from the last minute of day 2


def test_coverage_of_symbols_one_by_one_joins_to_that_of_all(tape: Tape) -> None:
    """Tables of single symbols, each of its own span, join to every symbol on every day, whatever their order."""
    known = {"B": Instrument("B", date(2024, 1, 2), date(2024, 1, 3))}
    whole = coverage_table(market(tape), known).drop_columns(["gap_s"])
    single = [coverage_table({symbol: facts}, known) for symbol, facts in market(tape).items()]
    assert [table.num_rows for table in single] == [1, 4]
    for tables in (single, single[::-1]):
        assert joined_coverage(tables, known).drop_columns(["gap_s"]).equals(whole)
    assert joined_coverage([]).num_rows == 0


def test_gap_seconds_overlap_once(tape: Tape) -> None:
    """Two holes of the ids over the same time, and one inside the other, count their seconds once."""
    seconds = np.array([0, 10, 20, 30, 40])
    facts = day_facts(tape(5, ts_us=DAY + seconds * 1_000_000, ids=[0, 20, 10, 30, 31]))
    assert facts.late_ids == 1
    assert coverage_table({"A": {facts.day: facts}}).column("gap_s").to_pylist() == [30.0]


def test_text_says_the_same(tape: Tape) -> None:
    """A line a symbol with days there and missing, the mean share, the worst day and the gaps."""
    lines = coverage_markdown(coverage_table(market(tape))).splitlines()
    assert lines[2:] == [
        "| A | 3 | 1 | 75.0% | 2024-01-03 (0.0%) | 24.0 | 0 |",
        "| B | 1 | 3 | 12.5% | 2024-01-01 (0.0%) | 72.0 | 0 |",
    ]


def big(symbols: int, days: int) -> pa.Table:
    rng = np.random.default_rng(0)
    return pa.Table.from_pylist(
        [
            {"symbol": f"COIN{s:03d}USDT", "day": date(2024, 1, 1) + timedelta(days=d), "rows": 1, "minutes": 1,
             "state": "not_listed" if d < 3 * s else "there", "share": float(rng.uniform()), "gap_s": 0.0,
             "missing_ids": 0}
            for s in range(symbols)
            for d in range(days)
        ],
        schema=COVERAGE,
    )  # fmt: skip


@pytest.mark.parametrize(("symbols", "days"), [(0, 0), (1, 1), (5, 20), (32, 500), (90, 400)])
def test_the_heat_map_is_a_small_svg(symbols: int, days: int) -> None:
    """640 x 280, below 200 kB at its largest and below 10 kB for a coin, and the same bytes each time."""
    table = big(symbols, days)
    svg = coverage_plot(table)
    assert ElementTree.fromstring(svg).get("width") == "640"
    assert len(svg) < (10_000 if symbols <= 1 else 200_000)
    assert svg == coverage_plot(table)


def test_rows_of_the_table_may_stand_in_any_order() -> None:
    """The picture is of the days and symbols that rows name, not of where they stand."""
    table = big(6, 30)
    assert coverage_plot(table.take(np.random.default_rng(1).permutation(table.num_rows))) == coverage_plot(table)
