"""The bot on a venue of this machine: cut off, stopped and started again, it decides what a replay decides."""

import shutil
from pathlib import Path

import pytest
from liveproject import SYMBOL, tape
from venueserver import Part, bot_until, message, venue

from scalper_ml.ingest.order import Trades
from scalper_ml.layers.decisions import DECISIONS_LAYER
from scalper_ml.live.binance import BinanceVenue
from scalper_ml.live.decisions import decisions_table
from scalper_ml.live.feed import Message
from scalper_ml.live.replay import gate_of
from scalper_ml.live.run import drive
from scalper_ml.live.start import lane_rules, open_loop
from scalper_ml.project import Project

N = 1500


@pytest.fixture
def mine(project: Project, tmp_path: Path) -> Project:
    """The project in a folder that may be changed."""
    shutil.copytree(project.folder, tmp_path / "mine")
    return Project(project.settings, tmp_path / "mine")


def messages_of(trades: Trades) -> list[str]:
    """Trades as the venue sends them, which says milliseconds."""
    columns = (trades.ts_us // 1000, trades.price, trades.qty, trades.side < 0)
    return [message(SYMBOL, 10 + k, int(ts), float(p), float(q), bool(m))
            for k, (ts, p, q, m) in enumerate(zip(*columns, strict=True))]  # fmt: skip


def test_a_bot_decides_what_a_replay_decides(mine: Project) -> None:
    """Cut off twice and started again in between, a bot decides and trades as a replay of the same trades."""
    trades = tape(mine).take(slice(0, N))
    messages = messages_of(trades)
    parts = [Part(0, N // 4), Part(N // 4 - 50, N // 2, cut=False), Part(N // 2 + 60, 2 * N // 3),
             Part(2 * N // 3 - 1, N, cut=False)]  # fmt: skip
    with venue(messages, parts) as place:
        known = BinanceVenue(stream=place.stream, rest=place.rest, pause_s=0.01, grace_us=600_000_000)
        bot_until(mine, known, SYMBOL, 10 + N // 2 - 1)
        last = bot_until(mine, known, SYMBOL, 10 + N - 1)
    live = last.journal.tables()
    rounded = Trades(trades.ts_us // 1000 * 1000, trades.price, trades.qty, trades.side, trades.trade_id)
    loop = open_loop(mine, [SYMBOL], lane_rules(mine, gate_of(mine), "binance-spot"), warm=False)
    ran = drive(loop, [Message(SYMBOL, rounded)], finish=False)
    offline = decisions_table(ran.decided)
    assert live[0].drop(["latency_us"]).equals(offline.drop(["latency_us"]))
    assert live[0].num_rows > 150
    assert last.loop.counts.trades == {SYMBOL: N}
    known_latency = live[0]["latency_us"].drop_null().to_pylist()
    assert known_latency
    assert min(known_latency) >= 0
    manifest = DECISIONS_LAYER.build(mine, {"symbol": SYMBOL})
    assert manifest.summary["rows"] == offline.num_rows
    assert manifest.summary["loops"] == ["bot"]
    assert DECISIONS_LAYER.fresh(mine, {"symbol": SYMBOL})


def test_decisions_of_nobody_are_empty(project: Project) -> None:
    """Before any loop has run the layer is an empty table, and its check holds."""
    other = Project(project.settings, project.folder)
    manifest = DECISIONS_LAYER.build(other, {"symbol": SYMBOL})
    assert manifest.summary["rows"] == 0
    assert all(check["passed"] for check in manifest.checks)
