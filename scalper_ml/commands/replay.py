"""``scalper replay``: run recorded trades through the loop that runs live, on paper."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from scalper_ml.commands.console import console, print_json, table_of
from scalper_ml.project import Project, open_project

__all__ = ["replay"]


def replay(
    ticks: Annotated[Path, typer.Option(help="A file of trades, in any format that `scalper ingest` reads.")],
    symbol: Annotated[str, typer.Option(help="A configured symbol, whose trades these are.")],
    horizon: Annotated[list[int] | None, typer.Option(help="Only this horizon; may be repeated.")] = None,
    since: Annotated[str | None, typer.Option(help="Trade from this stamp on, UTC; bars before it warm up.")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Trade the score period and compare with its backtest, trade by trade.")
    ] = False,
    warm: Annotated[bool, typer.Option("--warm", help="Go on where the saved bars and features end.")] = False,
    speed: Annotated[
        float | None, typer.Option(min=0.001, help="Seconds of trades a second; default: as fast as possible.")
    ] = None,
    open_gate: Annotated[
        float | None, typer.Option("--open-gate", help="Research: let everything through at this confidence.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for decisions, trades and checkpoints; a killed replay goes on there.")
    ] = None,
    every: Annotated[int, typer.Option(min=1, help="Trades between checkpoints.")] = 500_000,
    last: Annotated[int, typer.Option(min=0, help="Trades to print, the last ones.")] = 20,
    profile: Annotated[str | None, typer.Option(help="A profile of config/settings.yaml.")] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="section.key=value; may be repeated.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Trades and counts as JSON.")] = False,
) -> None:
    """Replay a file of trades through bars, features, champions, gate and paper broker, and print the trades.

    It is the loop of `scalper bot`; nothing is sent anywhere. With --check the exit code is 1 where a trade differs,
    or where there was none to compare.
    """
    from scalper_ml.clock import stamp_us
    from scalper_ml.gate.environment import gate_environment
    from scalper_ml.live.replay import Request, replay_file

    project = open_project(os.environ, Path.cwd(), profile=profile, overrides=overrides or [])
    since_us = 0 if since is None else stamp_us(since, "--since")
    request = Request(
        ticks=ticks, symbol=symbol, horizons=tuple(horizon or ()), since_us=since_us, check=check, warm=warm,
        speed=speed, open_gate=open_gate, out=out, every=every, environment=gate_environment(os.environ),
    )  # fmt: skip
    found = replay_file(project, request)
    if as_json:
        print_json([found.to_dict()])
    else:
        _print(project, symbol, found, last)
    if check and not found.agrees:
        raise SystemExit(1)


def _print(project: Project, symbol: str, found: Any, last: int) -> None:
    from scalper_ml.clock import iso

    out = console()
    heads = {"decided": "left", "h": "right", "side": "left", "confidence": "right", "entry": "right", "exit": "right"}
    heads |= {"left": "left", "net bps": "right", "R": "right"}
    rows = [
        (iso(one["signal_ts_us"]), one["horizon"], "LONG" if one["side"] > 0 else "SHORT", f"{one['confidence']:.4f}",
         f"{one['entry_price']:.8g}", f"{one['exit_price']:.8g}", iso(one["exit_ts_us"]), f"{one['net'] * 1e4:+.2f}",
         f"{one['r']:+.3f}")
        for one in found.trades[-last:]
    ] if last else []  # fmt: skip
    out.print(table_of(f"{symbol}: the last {len(rows)} of {len(found.trades):,} paper trades", heads, rows))
    heads = {"h": "right", "decisions": "right", "ordered": "right", "trades": "right", "mean R": "right"}
    out.print(
        table_of("By horizon", heads | {"why not, mostly": "left"}, [tuple(row.values()) for row in found.summary])
    )
    for one in found.agreements:
        verdict = "agree trade by trade" if one.complete else f"DIFFER, first at {one.first}"
        verdict = f"nothing to compare ({one.nothing})" if one.nothing else verdict
        out.print(f"horizon {one.horizon}: {one.replayed} replayed, {one.backtested} backtested: {verdict}")
    if found.agreements and all(one.nothing for one in found.agreements):
        out.print("NOTHING WAS COMPARED: no horizon has a trade, here or in the backtest")
    for one in found.first_rejected:
        out.print(
            f"{sum(found.rejected.values()):,} rows rejected, the first on line {one['line']}: {one['raw']}",
            soft_wrap=True, highlight=False, markup=False,
        )  # fmt: skip
    for reason, count in found.rejected.items():
        out.print(f"{count:,} x {reason}", soft_wrap=True, highlight=False, markup=False)
    if found.skipped:
        out.print(f"{found.skipped:,} trades skipped: the saved bars have them")
    if found.late:
        out.print(f"{found.late:,} trades late: their bar was closed, and they were not taken")
    pace = found.ticks / max(found.seconds, 1e-9)
    out.print(f"{found.ticks:,} trades in {found.seconds:.2f} s ({pace:,.0f} a second); paper only, no order was sent")
