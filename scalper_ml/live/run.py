"""Drive a loop: messages one after the other, a checkpoint now and then, new champions between two messages."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from scalper_ml.ingest.order import Trades
from scalper_ml.live.decisions import Decided
from scalper_ml.live.feed import Interruption, Message
from scalper_ml.live.journal import Journal
from scalper_ml.live.loop import Loop, Outcome

__all__ = ["Ran", "drive", "rest_of"]


@dataclass(frozen=True, slots=True)
class Ran:
    """What a loop did while it was driven."""

    decided: list[Decided]
    trades: list[dict[str, Any]]


def rest_of(loop: Loop, tapes: dict[str, Trades]) -> dict[str, Trades]:
    """What of recorded trades a loop has not been given yet."""
    counts = loop.counts
    given = {symbol: counts.trades.get(symbol, 0) + counts.late.get(symbol, 0) for symbol in tapes}
    return {symbol: trades.take(slice(given[symbol], None)) for symbol, trades in tapes.items()}


def drive(
    loop: Loop,
    feed: Iterable[Message | Interruption],
    *,
    journal: Journal | None = None,
    due: Callable[[], bool] = lambda: False,
    between: Callable[[], None] = lambda: None,
    told: Callable[[Outcome], None] = lambda outcome: None,
    finish: bool = True,
) -> Ran:
    """Give a loop every message of a feed.

    Parameters
    ----------
    journal : Journal, optional
        Where decisions and trades are written, whenever `due` and at the end.
    due : callable
        Whether it is time for a checkpoint; asked after each message.
    between : callable
        Called before each message: champions are replaced there, never within a bar.
    told : callable
        Given what was done, after each message, or with each checkpoint where there is a journal.
    finish : bool
        Whether the end of the feed is the end of its last bars, as of a file; not of a bot that is stopped.

    Returns
    -------
    Ran
        All of it without a journal; nothing with one, whose tables hold it.
    """
    kept = Ran([], [])

    def pass_on(outcome: Outcome) -> None:
        if journal is None:
            kept.decided.extend(outcome.decided)
            kept.trades.extend(outcome.trades)
        told(outcome)

    for message in feed:
        between()
        loop.push(message)
        if journal is None:
            pass_on(loop.take())
        elif due():
            pass_on(journal.save(loop))
    if finish:
        loop.finish()
    pass_on(loop.take() if journal is None else journal.save(loop))
    return kept
