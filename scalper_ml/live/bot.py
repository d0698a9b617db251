"""The loop on a live feed: paper only, a journal in the warehouse, champions followed as they change."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from scalper_ml.errors import SettingsError
from scalper_ml.live.binance import BinanceFeed, BinanceVenue
from scalper_ml.live.champions import ChampionWatch
from scalper_ml.live.gate import Gate
from scalper_ml.live.journal import Journal
from scalper_ml.live.loop import Loop, Outcome
from scalper_ml.live.run import drive
from scalper_ml.live.start import lane_rules, open_loop
from scalper_ml.project import Project

__all__ = ["Bot", "open_bot", "run_bot"]


@dataclass(frozen=True, slots=True)
class Bot:
    """A loop with all it needs to run."""

    loop: Loop
    feed: BinanceFeed
    journal: Journal
    watch: ChampionWatch
    checkpoint_s: float
    resumed: bool


def open_bot(
    project: Project, gate: Gate, venue: BinanceVenue, *, symbols: Sequence[str], name: str = "bot", warm: bool = True
) -> Bot:
    """A bot that goes on where its journal ends, else where the saved features end, else from nothing.

    Parameters
    ----------
    name : str
        Its journal is ``live/<name>`` of the warehouse.

    Raises
    ------
    SettingsError
        The name is no folder name.
    WarehouseError
        The project has not been built, or the journal is of another bot.
    """
    if not name or Path(name).name != name:
        raise SettingsError(f"bot name {name!r}: expected a folder name")
    source = f"binance-{venue.market}"
    journal = Journal(project.warehouse.root / "live" / name, {"symbols": sorted(symbols), "source": source})
    loop = open_loop(project, symbols, lane_rules(project, gate, source), warm=warm)
    resumed = journal.resume(loop)
    lanes = loop.lanes
    feed = BinanceFeed(
        symbols,
        venue,
        after={symbol: lane.last_id for symbol, lane in lanes.items()},
        quotes=any(lane.quotes is not None for lane in lanes.values()),
    )
    live = project.settings.live
    return Bot(loop, feed, journal, ChampionWatch(project, loop, every_s=live.champions_s), live.checkpoint_s, resumed)


def run_bot(
    bot: Bot, *, told: Callable[[Outcome], None] = lambda outcome: None, now: Callable[[], float] = time.monotonic
) -> None:
    """Run until the feed is stopped; what was done is saved every so often and at the end."""
    saved = [now()]

    def due() -> bool:
        if now() - saved[0] < bot.checkpoint_s:
            return False
        saved[0] = now()
        return True

    drive(bot.loop, bot.feed, journal=bot.journal, due=due, between=bot.watch, told=told, finish=False)
