"""What is wrong with quotes that read well: crossed, locked, stale, out of order, late."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

import numpy as np
import pyarrow as pa

from scalper_ml.clock import iso
from scalper_ml.schema import us

__all__ = ["RULES", "QuoteFinding", "QuoteRule", "quote_quality"]

QuoteRule = Literal["crossed", "locked", "stale", "event_back", "late"]

RULES: Final[Mapping[QuoteRule, tuple[Literal["error", "warn"], str]]] = MappingProxyType(
    {
        "locked": ("warn", "No quote has its bid at its ask."),
        "event_back": ("warn", "Event times do not go back."),
        "late": ("warn", "Quotes are known soon after they happened."),
    }
)
"""How bad it is to break a rule, and what it asks; ``crossed`` and ``stale`` are `scalper_ml.quality`'s to judge."""

_EXAMPLES: Final = 5


@dataclass(frozen=True, slots=True)
class QuoteFinding:
    """One rule and how often it was broken.

    Attributes
    ----------
    rule : str
        ``crossed``: bid above ask. ``locked``: bid equal to ask. ``stale``: no change of the top for longer than the
        limit while trades went on. ``event_back``: event time before that of a quote known earlier. ``late``: known
        later than the limit after the event.
    count : int
        Quotes, or stale spells.
    checked : int
        What could have broken the rule.
    examples : tuple of str
        The first five.
    """

    rule: QuoteRule
    count: int
    checked: int
    examples: tuple[str, ...]


def quote_quality(
    quotes: pa.Table,
    trades_ts_us: np.ndarray | None = None,
    *,
    stale_us: int = 5_000_000,
    late_us: int = 1_000_000,
) -> list[QuoteFinding]:
    """Findings on a table of quotes, one a rule, with those that found nothing.

    Parameters
    ----------
    quotes : pyarrow.Table
        Schema `QUOTES`, of one source, sorted by known time.
    trades_ts_us : ndarray of int64, shape (m,), optional
        Stamps of the trades of the same time, sorted; without them no quote is stale: the market may be closed.
    stale_us : int
        Longest time without a change of price or quantity at the top while trades go on.
    late_us : int
        Longest time from event to known time.

    Returns
    -------
    list of QuoteFinding
        In the order crossed, locked, stale, event_back, late.

    Examples
    --------
    >>> from scalper_ml.schema import QUOTES
    >>> rows = [(10**15 + i, 10**15 + i, bid, 1.0, 100.0, 1.0, None, "x") for i, bid in enumerate((99.0, 100.0, 101.0))]
    >>> table = pa.table([pa.array(column) for column in zip(*rows)], names=QUOTES.names).cast(QUOTES)
    >>> [(finding.rule, finding.count) for finding in quote_quality(table)]
    [('crossed', 1), ('locked', 1), ('stale', 0), ('event_back', 0), ('late', 0)]
    """
    ts_us, event_us = us(quotes["ts_us"]), us(quotes["event_ts_us"])
    bid, ask = quotes["bid"].to_numpy(), quotes["ask"].to_numpy()

    def shown(rows: np.ndarray) -> tuple[str, ...]:
        return tuple(f"{iso(int(ts_us[i]))} bid {bid[i]:g} ask {ask[i]:g}" for i in rows[:_EXAMPLES])

    n = len(ts_us)
    crossed, locked = np.flatnonzero(bid > ask), np.flatnonzero(bid == ask)
    back = np.flatnonzero(event_us < np.maximum.accumulate(event_us)) if n else np.array([], dtype=np.int64)
    late = np.flatnonzero(ts_us - event_us > late_us)
    return [
        QuoteFinding("crossed", len(crossed), n, shown(crossed)),
        QuoteFinding("locked", len(locked), n, shown(locked)),
        _stale(quotes, ts_us, trades_ts_us, stale_us),
        QuoteFinding("event_back", len(back), n, shown(back)),
        QuoteFinding("late", len(late), n, shown(late)),
    ]


def _stale(quotes: pa.Table, ts_us: np.ndarray, trades_us: np.ndarray | None, limit_us: int) -> QuoteFinding:
    """Spells from one change of the top to the next that are too long, and have a trade after the limit ran out.

    The spell after the last change ends with the last trade.
    """
    if trades_us is None or not len(trades_us) or not len(ts_us):
        return QuoteFinding("stale", 0, 0, ())
    top = np.column_stack([quotes[name].to_numpy() for name in ("bid", "bid_qty", "ask", "ask_qty")])
    changed = ts_us[np.concatenate(([True], np.any(top[1:] != top[:-1], axis=1)))]
    ends = np.append(changed[1:], max(int(trades_us[-1]), int(changed[-1])))
    last_trade = np.searchsorted(trades_us, ends, side="right")
    since_limit = np.searchsorted(trades_us, changed + limit_us, side="right")
    spells = np.flatnonzero((ends - changed > limit_us) & (last_trade > since_limit))
    examples = tuple(
        f"{iso(int(changed[i]))} for {(ends[i] - changed[i]) / 1e6:.3f} s, {last_trade[i] - since_limit[i]} trades"
        for i in spells[:_EXAMPLES]
    )
    return QuoteFinding("stale", len(spells), len(changed), examples)
