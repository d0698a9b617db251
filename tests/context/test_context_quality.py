"""Findings: each rule finds what was planted for it, and nothing in a clean feed."""

import numpy as np
import pytest
from contextdata import DAY_0, FIXTURES, HOUR, Row, context, level

from scalper_ml.context import Finding, context_findings, file_findings, read_context


def clean() -> list[Row]:
    rng = np.random.default_rng(1)
    rates = np.round(rng.normal(5e-5, 5e-5, 90), 8)
    oi = 1e6 * np.exp(np.cumsum(rng.normal(0, 0.01, 300)))
    sold = rng.lognormal(12, 1, 300)
    return [
        *level("funding_rate", rates.tolist(), step=8 * HOUR),
        *level("open_interest", oi.tolist(), delay=300_000_000),
        *level("taker_sell_volume", sold.tolist(), delay=300_000_000),
    ]


def findings(rows: list[Row], until_us: int | None = None) -> dict[str, Finding]:
    return {finding.name: finding for finding in context_findings(context(rows), until_us=until_us)}


def test_a_clean_feed_passes_every_rule() -> None:
    """Nothing planted, nothing found; each rule is there under its own name."""
    found = context_findings(context(clean()), until_us=DAY_0 + 300 * HOUR)
    assert [finding for finding in found if not finding.passed] == []
    assert len({finding.name for finding in found}) == len(found) > 10


PLANTED: dict[str, tuple[list[Row], int]] = {
    "rate_unit.funding_rate": (level("funding_rate", [1e-4] * 40 + [1e-2] * 40, step=8 * HOUR), 1),
    "rate_size.funding_rate": (level("funding_rate", [1e-4] * 40 + [0.05] + [1e-4] * 9, step=8 * HOUR), 1),
    "on_schedule.funding_rate": ([("funding_rate", DAY_0 + HOUR // 2, DAY_0 + HOUR, 1e-4)], 1),
    "missing.funding_rate": (
        [row for i, row in enumerate(level("funding_rate", [1e-4] * 9, step=8 * HOUR)) if i not in (4, 5)],
        2,
    ),
    "missing_days.open_interest": (level("open_interest", [1.0, 1.0], step=72 * HOUR), 2),
    "level_jump.open_interest": (level("open_interest", [10.0, 11.0, 1100.0, 1090.0]), 1),
    "level_jump.mark_price": (level("mark_price", [10.0, 11.0, 0.11, 11.0]), 2),
    "known_in_advance.open_interest": ([("open_interest", DAY_0 + 5, DAY_0, 1.0)], 1),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found(name: str) -> None:
    """The rule fails, counts what was planted, describes it and gives an example."""
    rows, count = PLANTED[name]
    finding = findings(rows)[name]
    assert (finding.passed, finding.count) == (False, count)
    assert finding.examples
    assert finding.description


def test_a_rate_in_percent_fails_and_a_wild_market_does_not() -> None:
    """Rates that rise eightfold and fall back over days are a market; a hundredfold from one to the next is a unit."""
    rise = np.concatenate([np.full(40, 1e-4), np.geomspace(1e-4, 9e-4, 20), np.geomspace(9e-4, 1e-4, 20)])
    assert findings(level("funding_rate", rise.tolist(), step=8 * HOUR))["rate_unit.funding_rate"].passed
    mixed = ([1e-6] * 7 + [1e-4] * 3) * 3 + ([1e-6] * 3 + [1e-4] * 7) * 3
    assert findings(level("funding_rate", mixed, step=8 * HOUR))["rate_unit.funding_rate"].passed


def test_interval_changes_and_revisions_are_told_and_no_fault() -> None:
    """Both pass, with their count and examples."""
    rows = level("funding_rate", [1e-4] * 4, step=8 * HOUR)
    rows += level("funding_rate", [1e-4] * 4, step=4 * HOUR, start=DAY_0 + 28 * HOUR)
    rows += [("funding_rate", DAY_0, DAY_0 + 9 * HOUR, 2e-4)]
    found = findings(rows)
    change = found["interval_changes.funding_rate"]
    assert (change.passed, change.count, change.examples) == (True, 1, ("2024-03-02 04:00: 8 h to 4 h",))
    revised = found["revised.funding_rate"]
    assert (revised.passed, revised.count, revised.examples) == (True, 1, ("2024-03-01 00:00",))


def test_a_feed_that_stopped_is_stale() -> None:
    """Four hours behind at hourly values; not at three, and never without a moment to reach."""
    rows = level("open_interest", [1.0] * 10)
    last = DAY_0 + 9 * HOUR
    assert findings(rows, last + 3 * HOUR)["stale.open_interest"].passed
    stale = findings(rows, last + 4 * HOUR)["stale.open_interest"]
    assert (stale.passed, stale.count, stale.examples) == (False, 4, ("2024-03-01 09:00",))
    assert "stale.open_interest" not in findings(rows)


def test_quiet_days_of_liquidations_are_no_fault() -> None:
    """Nothing need happen on a day; the days are told all the same."""
    rows = [("liquidated_long", DAY_0 + d * 24 * HOUR, DAY_0 + d * 24 * HOUR, 1.0) for d in (0, 2)]
    finding = findings(rows)["missing_days.liquidated_long"]
    assert (finding.passed, finding.count, finding.examples) == (True, 1, ("2024-03-02",))


def test_a_file_tells_its_order_repeats_and_rejects() -> None:
    """Rows out of order, values said twice, rejected values by reason."""
    found = {f.name: f for f in file_findings(read_context(FIXTURES / "binance-funding.csv", symbol="DEMOUSDT"))}
    assert [(f.passed, f.count) for f in found.values()] == [(False, 1), (True, 0), (False, 1)]
    assert found["rejected"].examples == ("rate: not a number (1)",)
    metrics = {f.name: f for f in file_findings(read_context(FIXTURES / "binance-metrics.csv", symbol="DEMOUSDT"))}
    assert metrics["duplicates"].count == 6
    assert metrics["stamps_in_order"].passed


def test_of_an_empty_table_nothing_is_said() -> None:
    """No kinds, no findings."""
    assert context_findings(context([]), until_us=DAY_0) == []
