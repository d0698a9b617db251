"""What is known beside a coin's own trades at the close of its bars: recorded, or quotes as they come."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from scalper_ml.bars.table import ClosedBars
from scalper_ml.book.depth import QuoteState, book_bars
from scalper_ml.book.events import BookTicker
from scalper_ml.schema import stamps, us

__all__ = ["LiveQuotes", "Recorded"]

_VALUES: Final = ("bid", "bid_qty", "ask", "ask_qty")


@dataclass(frozen=True, slots=True)
class Recorded:
    """Tables of one coin as the warehouse holds them, in order of their closes; None where there is none.

    Parameters
    ----------
    market, context, book : pyarrow.Table, optional
        As for `inputs_from_bars`.
    """

    market: pa.Table | None = None
    context: pa.Table | None = None
    book: pa.Table | None = None

    @property
    def groups(self) -> frozenset[str]:
        """Input groups of features that these tables feed."""
        fed = {"market": self.market, "derivatives": self.context, "quotes": self.book, "book": self.book}
        return frozenset(group for group, table in fed.items() if table is not None)

    def near(self, ts_us: np.ndarray) -> "Recorded":
        """The rows at or between some closes (n,), ascending."""
        if len(ts_us) == 0:
            return self

        def part(table: pa.Table | None) -> pa.Table | None:
            if table is None:
                return None
            known = us(table["ts_us"])
            first, end = np.searchsorted(known, ts_us[0]), np.searchsorted(known, ts_us[-1], side="right")
            return table.slice(int(first), int(end - first))

        return Recorded(part(self.market), part(self.context), part(self.book))


class LiveQuotes:
    """Top of the book at the closes of bars, from quotes as they come: as `book_bars` of all of them says.

    A quote that comes after its bar was decided on counts from that bar's close on; `late` counts these.
    """

    def __init__(self) -> None:
        self.late = 0
        self._ts_us: list[int] = []
        self._rows: list[tuple[float, float, float, float]] = []
        self._before: QuoteState | None = None
        self._decided_us = -1

    def add(self, quotes: Sequence[BookTicker]) -> None:
        """Take quotes in the order they became known."""
        for quote in quotes:
            known_us = quote.known_us
            if known_us <= self._decided_us:
                self.late += 1
                known_us = self._decided_us
            self._ts_us.append(max(known_us, self._last_us))
            self._rows.append((quote.bid, quote.bid_qty, quote.ask, quote.ask_qty))

    def rows(self, bars: ClosedBars) -> pa.Table:
        """Rows of `BOOK_BARS` at the closes of bars, which must follow those asked for before; at least one."""
        close_us = bars.column("ts_us")
        values = np.array(self._rows, dtype=np.float64).reshape(-1, len(_VALUES))
        quotes = pa.table(
            {"ts_us": stamps(np.array(self._ts_us, dtype=np.int64)), **dict(zip(_VALUES, values.T.copy(), strict=True))}
        )
        table, _ = book_bars(bars.column("open_ts_us"), close_us, quotes, before=self._before)
        self._decided_us = int(close_us[-1])
        self.forget(self._decided_us)
        return table

    def forget(self, until_us: int) -> None:
        """Keep only the newest of the quotes known by then: the bars still to come all begin then or later."""
        if seen := bisect_right(self._ts_us, until_us):
            self._before = QuoteState(self._ts_us[seen - 1], *self._rows[seen - 1])
            del self._ts_us[:seen], self._rows[:seen]

    @property
    def _last_us(self) -> int:
        if self._ts_us:
            return self._ts_us[-1]
        return -1 if self._before is None else self._before.ts_us

    def state(self) -> dict[str, Any]:
        """Everything carried, as plain values; JSON keeps every bit of them."""
        before = self._before
        standing = None if before is None else [before.ts_us, *(getattr(before, name) for name in _VALUES)]
        return {
            "before": standing,
            "decided_us": self._decided_us,
            "late": self.late,
            "quotes": [self._ts_us, self._rows],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        before, (self._ts_us, rows) = state["before"], (list(state["quotes"][0]), state["quotes"][1])
        self._rows = [tuple(row) for row in rows]
        self._before = None if before is None else QuoteState(int(before[0]), *before[1:])
        self._decided_us, self.late = int(state["decided_us"]), int(state["late"])
