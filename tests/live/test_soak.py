"""A day of trades through the bot, as fast as they can be sent: nothing lost, nothing missing, memory level."""

import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest
from liveproject import SYMBOL
from venueserver import Part, bot_until, message, venue

from scalper_ml.live.binance import BinanceVenue
from scalper_ml.project import Project
from scalper_ml.schema import us

MINUTE_US = 60_000_000
START_MS = 1_767_225_600_000  # a midnight


def day(hours: int) -> list[str]:
    """A trade a second, give or take, as the venue sends them; every minute has some."""
    rng, n = np.random.default_rng(5), hours * 3600
    price = 100 * np.exp(np.cumsum(1e-4 * rng.normal(size=n)))
    return [
        message(SYMBOL, 10 + k, START_MS + 1000 * k + int(ms), float(p), float(q), bool(maker))
        for k, (ms, p, q, maker) in enumerate(
            zip(rng.integers(0, 1000, n), price, rng.lognormal(size=n), rng.random(n) < 0.5, strict=True)
        )
    ]


def megabytes() -> float:
    """What this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


@pytest.mark.parametrize("hours", [2, pytest.param(24, marks=pytest.mark.verify)])
def test_a_day_is_taken_whole(project: Project, hours: int, tmp_path: Path) -> None:
    """The venue cuts off now and then: each trade is taken once, each minute is decided on, no more is kept."""
    shutil.copytree(project.folder, tmp_path / "mine")
    mine = Project(project.settings, tmp_path / "mine")
    messages = day(hours)
    cuts = np.linspace(0, len(messages), max(3, hours // 8 + 1)).astype(int).tolist()
    parts = [Part(begin, end, cut=end < len(messages)) for begin, end in itertools.pairwise(cuts)]
    held: dict[int, float] = {}
    with venue(messages, parts) as place:
        known = BinanceVenue(stream=place.stream, rest=place.rest, pause_s=0.01, grace_us=600_000_000)

        def watch(last_id: int) -> None:
            held.setdefault(4 * (last_id - 10) // len(messages), megabytes())

        bot = bot_until(mine, known, SYMBOL, 10 + len(messages) - 1, watch)
    counts = bot.loop.counts
    assert counts.trades == {SYMBOL: len(messages)}
    assert (counts.late, counts.interruptions, counts.missing) == ({}, 0, 0)
    decided = bot.journal.tables()[0]
    closes = np.unique(us(decided["ts_us"]))
    assert len(closes) == 60 * hours - 1  # the last minute has not ended
    assert set(np.diff(closes).tolist()) == {MINUTE_US}
    assert held[3] <= 1.02 * held[1] + 8, held
