"""Coverage: how much of each day of each symbol there is, as a table, a picture and a few lines of text."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final

import numpy as np
import pyarrow as pa

from scalper_ml.quality.facts import DAY_US, DayFacts, Gap
from scalper_ml.quality.gaps import gaps_of
from scalper_ml.quality.instruments import Instrument
from scalper_ml.reports.svg import FONT, GREEN, RED, Drawing, blend

__all__ = ["COVERAGE", "coverage_markdown", "coverage_plot", "coverage_table", "joined_coverage"]

COVERAGE: Final = pa.schema(
    [
        pa.field("symbol", pa.string(), nullable=False),
        pa.field("day", pa.date32(), nullable=False),
        pa.field("state", pa.string(), nullable=False),  # "there", "missing" or "not_listed"
        pa.field("rows", pa.int64(), nullable=False),
        pa.field("minutes", pa.int32(), nullable=False),  # with a trade
        pa.field("share", pa.float64(), nullable=False),  # of the day's 1440 minutes
        pa.field("gap_s", pa.float64(), nullable=False),  # seconds of the day inside gaps of any kind
        pa.field("missing_ids", pa.int64(), nullable=False),  # trades the ids say are missing within the day
    ]
)

_MINUTES: Final = 1440
_CELLS: Final = 5000  # drawn at most; more days are drawn as averages
_ROWS: Final = 40  # symbols drawn; of more the worst
_COLOURS: Final = (RED, "#f0d9a8", GREEN)  # nothing, half, every minute
_SHADES: Final = 21  # of 5 %: what the eye tells apart, in a small file


def coverage_table(
    facts_by_symbol: Mapping[str, Mapping[str, DayFacts]], known: Mapping[str, Instrument] | None = None
) -> pa.Table:
    """Every symbol on every day from the first day of any to the last: schema `COVERAGE`, by symbol, then day.

    A day without trades is ``missing``, or ``not_listed`` where `known` says so. A day that has trades is ``there``
    whatever `known` says. The gap seconds of a missing day that no gap spans are those of the whole day.
    """
    days = sorted({date.fromisoformat(day) for facts in facts_by_symbol.values() for day in facts})
    span = [days[0] + timedelta(days=k) for k in range((days[-1] - days[0]).days + 1)] if days else []
    rows: list[dict[str, Any]] = []
    for symbol in sorted(facts_by_symbol):
        facts = facts_by_symbol[symbol]
        instrument = (known or {}).get(symbol, Instrument(symbol))
        seconds = _gap_seconds(gaps_of(facts), span)
        rows += [_row(symbol, day, facts.get(day.isoformat()), instrument, seconds[day]) for day in span]
    return pa.Table.from_pylist(rows, schema=COVERAGE)


def joined_coverage(tables: Sequence[pa.Table], known: Mapping[str, Instrument] | None = None) -> pa.Table:
    """Coverage of several symbols, each of its own span, over the days of all: schema `COVERAGE`, by symbol, then day.

    Days beyond a symbol's own span are ``missing``, or ``not_listed`` where `known` says so.
    """
    rows = {(row["symbol"], row["day"]): row for table in tables for row in table.to_pylist()}
    days = sorted({day for _, day in rows})
    span = [days[0] + timedelta(days=k) for k in range((days[-1] - days[0]).days + 1)] if days else []
    every = []
    for symbol in sorted({symbol for symbol, _ in rows}):
        instrument = (known or {}).get(symbol, Instrument(symbol))
        every += [rows.get((symbol, day)) or _row(symbol, day, None, instrument, 0.0) for day in span]
    return pa.Table.from_pylist(every, schema=COVERAGE)


def coverage_plot(table: pa.Table, *, title: str = "share of minutes with trades") -> bytes:
    """Heat map of coverage as SVG (640 x 280): symbols down, days across, white where not listed.

    Of more than 40 symbols the 40 with least coverage are drawn; days beyond 5,000 cells are averaged in equal groups.

    Parameters
    ----------
    table : pyarrow.Table
        Schema `COVERAGE`, every symbol on every day, in any order.
    """
    symbols, days, share = _matrix(table)
    shown = "" if len(symbols) == len(set(table.column("symbol").to_pylist())) else f" ({len(symbols)} least covered)"
    drawing = Drawing(
        title + shown, (0, max(len(days), 1)), (max(len(symbols), 1) - 0.5, -0.5), labels=symbols, right=24
    )
    drawing.rows(symbols, size=FONT if len(symbols) <= 20 else 5)
    at = np.unique(np.linspace(0, max(len(days) - 1, 0), min(len(days), 7)).astype(int))
    drawing.columns([(k + 0.5, days[k]) for k in at])
    of_level: dict[float, list[tuple[float, float, float, float]]] = {}
    for row, of_symbol in enumerate(share):
        for first, last, level in _stretches(of_symbol):
            of_level.setdefault(level, []).append((first, last, row - 0.5, row + 0.5))
    for level in sorted(of_level):
        drawing.boxes(of_level[level], blend(level, _COLOURS))
    drawing.legend([(f"{level:.0%}", blend(level, _COLOURS)) for level in (0.0, 0.5, 1.0)])
    return drawing.svg()


def _stretches(share: np.ndarray) -> list[tuple[int, int, float]]:
    """First column, column after the last, and share rounded to a shade, of equal neighbours; nothing where NaN."""
    shade = np.round(share * (_SHADES - 1)) / (_SHADES - 1)
    starts = np.flatnonzero(np.r_[True, (shade[1:] != shade[:-1])]) if shade.size else np.zeros(0, int)
    ends = np.r_[starts[1:], shade.size].astype(int)
    return [(int(a), int(b), float(shade[a])) for a, b in zip(starts, ends, strict=True) if not np.isnan(shade[a])]


def coverage_markdown(table: pa.Table) -> str:
    """Coverage as a markdown table, a line a symbol: days there and missing, mean share, worst day, hours in gaps.

    Examples
    --------
    >>> print(coverage_markdown(COVERAGE.empty_table()))
    | symbol | days | missing | minutes with trades | worst day | hours in gaps | missing trades |
    |---|---|---|---|---|---|---|
    """
    lines = [
        "| symbol | days | missing | minutes with trades | worst day | hours in gaps | missing trades |",
        "|---|---|---|---|---|---|---|",
    ]
    by_symbol: dict[str, list[dict[str, Any]]] = {}
    for row in table.to_pylist():
        by_symbol.setdefault(row["symbol"], []).append(row)
    for symbol, rows in by_symbol.items():
        listed = [row for row in rows if row["state"] != "not_listed"]
        there = [row for row in listed if row["state"] == "there"]
        if not listed:
            lines.append(f"| {symbol} | 0 | 0 | - | - | 0.0 | 0 |")
            continue
        worst = min(listed, key=lambda row: (row["share"], row["day"]))
        mean = sum(row["share"] for row in listed) / len(listed)
        lines.append(
            f"| {symbol} | {len(there)} | {len(listed) - len(there)} | {mean:.1%} | {worst['day']} "
            f"({worst['share']:.1%}) | {sum(row['gap_s'] for row in listed) / 3600:.1f} | "
            f"{sum(row['missing_ids'] for row in listed)} |"
        )
    return "\n".join(lines)


def _row(symbol: str, day: date, facts: DayFacts | None, instrument: Instrument, gap_s: float) -> dict[str, Any]:
    state = "there" if facts else "missing" if instrument.on(day) else "not_listed"
    minutes = facts.minutes if facts else 0
    return {
        "symbol": symbol,
        "day": day,
        "state": state,
        "rows": facts.rows if facts else 0,
        "minutes": minutes,
        "share": minutes / _MINUTES,
        "gap_s": {"there": gap_s, "missing": DAY_US / 1e6, "not_listed": 0.0}[state],
        "missing_ids": facts.missing_ids if facts else 0,
    }


def _gap_seconds(gaps: tuple[Gap, ...], days: list[date]) -> dict[date, float]:
    """Seconds of each day inside gaps; what gaps share counts once."""
    starts = np.array(days, dtype="datetime64[us]").astype(np.int64)
    inside = np.zeros(len(days), dtype=np.int64)
    reached = 0
    for gap in gaps:  # by their start
        start, reached = max(gap.from_ts_us, reached), max(gap.to_ts_us, reached)
        first, last = np.searchsorted(starts, [start, gap.to_ts_us], side="right") - 1
        for k in range(max(int(first), 0), int(last) + 1):
            inside[k] += max(0, min(gap.to_ts_us, int(starts[k]) + DAY_US) - max(start, int(starts[k])))
    return dict(zip(days, (inside / 1e6).tolist(), strict=True))


def _matrix(table: pa.Table) -> tuple[list[str], list[str], np.ndarray]:
    """Symbols, first days of the columns, and shares (symbols, columns), NaN where not listed."""
    table = table.sort_by([("symbol", "ascending"), ("day", "ascending")])
    symbols, days = sorted(set(table.column("symbol").to_pylist())), sorted(set(table.column("day").to_pylist()))
    if not symbols:
        return [], [], np.empty((0, 0))
    listed = np.array(table.column("state").to_pylist()).reshape(len(symbols), len(days)) != "not_listed"
    share = np.where(listed, table.column("share").to_numpy().reshape(len(symbols), len(days)), np.nan)
    edges = np.unique(np.linspace(0, len(days), min(len(days), _CELLS // min(len(symbols), _ROWS)) + 1).astype(int))[
        :-1
    ]
    count = np.add.reduceat(listed, edges, axis=1, dtype=np.int64)
    total = np.add.reduceat(np.nan_to_num(share), edges, axis=1)
    share = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    if len(symbols) > _ROWS:
        mean = total.sum(axis=1) / np.maximum(count.sum(axis=1), 1)
        kept = np.sort(np.argsort(mean, kind="stable")[:_ROWS])
        symbols, share = [symbols[k] for k in kept], share[kept]
    return symbols, [days[k].isoformat() for k in edges], share
