"""``scalper bot``: the loop on Binance's live trades, on paper."""

import os
import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from scalper_ml.commands.console import console
from scalper_ml.errors import SettingsError
from scalper_ml.project import open_project

__all__ = ["bot"]


def bot(
    symbol: Annotated[list[str] | None, typer.Option(help="A configured symbol; default: all of them.")] = None,
    market: Annotated[str, typer.Option(help="spot or usdm.")] = "spot",
    stream: Annotated[str | None, typer.Option(help="Another websocket address, such as a mirror's.")] = None,
    rest: Annotated[str | None, typer.Option(help="Another address for old trades.")] = None,
    name: Annotated[str, typer.Option(help="Of its journal, live/NAME in the warehouse.")] = "bot",
    cold: Annotated[bool, typer.Option("--cold", help="Warm up on live trades, not from the saved features.")] = False,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="Stop after so long; default: when told to.")] = None,
    profile: Annotated[str | None, typer.Option(help="A profile of config/settings.yaml.")] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="section.key=value; may be repeated.")] = None,
) -> None:
    """Trade live trades ON PAPER: no order leaves this machine, and there is no key it could be sent with.

    A line a decision that orders, a line a finished trade; everything else is in the journal, which the asset
    `decisions` brings into the warehouse. Ctrl-C saves and ends; started again it goes on where it stopped.
    """
    from scalper_ml.gate.environment import gate_environment
    from scalper_ml.live.binance import BinanceVenue
    from scalper_ml.live.bot import open_bot, run_bot
    from scalper_ml.live.loop import Outcome
    from scalper_ml.live.replay import gate_of

    if market not in ("spot", "usdm"):
        raise SettingsError(f"--market {market!r}: expected spot or usdm")
    project = open_project(os.environ, Path.cwd(), profile=profile, overrides=overrides or [])
    grace_us = round(project.settings.live.grace_ms * 1000)
    venue = BinanceVenue(
        market="usdm" if market == "usdm" else "spot", stream=stream, rest=rest, grace_us=grace_us,
        api_key=os.environ.get("BINANCE_API_KEY"),
    )  # fmt: skip
    symbols = list(symbol or project.settings.symbols)
    running = open_bot(
        project, gate_of(project, gate_environment(os.environ)), venue, symbols=symbols, name=name, warm=not cold
    )
    out = console()
    start = "its journal" if running.resumed else "nothing" if cold else "the saved features"
    out.print(f"paper only: {', '.join(symbols)} on Binance {market}, going on from {start}; no order is sent anywhere")

    def told(outcome: Outcome) -> None:
        for one in outcome.decided:
            for row in one.ordered.nonzero()[0].tolist():
                side = "LONG" if one.side[row] > 0 else "SHORT"
                out.print(
                    f"{one.symbol} x {one.horizon}: {side} at {one.confidence[row]:.4f}, price {one.price[row]:g}"
                )
        for trade in outcome.trades:
            out.print(f"{trade['symbol']} x {trade['horizon']}: out at {trade['exit_price']:g}, {trade['r']:+.3f} R")

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: running.feed.stop())
    if seconds is not None:
        timer = threading.Timer(seconds, running.feed.stop)
        timer.daemon = True
        timer.start()
    run_bot(running, told=told)
    health, counts = running.feed.health, running.loop.counts
    out.print(
        f"stopped: {sum(counts.trades.values()):,} trades, {sum(counts.bars.values()):,} bars, {health.connections} "
        f"connections, {health.filled:,} trades filled in, {counts.missing:,} missing, "
        f"{sum(counts.late.values()):,} late" + (f"; last error: {health.last_error}" if health.last_error else "")
    )
