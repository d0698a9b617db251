"""``scalper backtest``, ``thresholds`` and ``gate``: what was earned, what that allows, and one signal's answer."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from scalper_ml.clock import stamp_us
from scalper_ml.commands.console import console, print_json, table_of
from scalper_ml.project import Project, open_project

__all__ = ["backtest", "gate", "thresholds", "thresholds_table"]

Profile = Annotated[str | None, typer.Option(help="A profile of config/settings.yaml.")]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="section.key=value; may be repeated.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]
Force = Annotated[bool, typer.Option("--force", help="Also what is fresh.")]


def _opened(profile: str | None, overrides: list[str] | None) -> Project:
    return open_project(os.environ, Path.cwd(), profile=profile, overrides=overrides or [])


def backtest(
    symbol: Annotated[str | None, typer.Option(help="A configured symbol; default: all of them.")] = None,
    horizon: Annotated[int | None, typer.Option(help="A configured horizon, in bars; default: all of them.")] = None,
    html: Annotated[Path | None, typer.Option(help="A folder for a tear sheet of each.")] = None,
    force: Force = False,
    profile: Profile = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Backtest the candidates of today on the score role, where that is not done; nothing is trained."""
    from scalper_ml.layers.backtests import backtest_report, tear_sheet_of
    from scalper_ml.layers.base import asked_keys

    project = _opened(profile, overrides)
    reports = []
    for keys in asked_keys(project.settings, symbol, horizon):
        reports.append(backtest_report(project, keys, force=force))
        if html is not None:
            from scalper_ml.durable import atomic_write

            name = f"{keys['symbol']}_{project.settings.bars.interval}_h{keys['horizon']}.html"
            atomic_write(html / name, tear_sheet_of(project, keys))
    if as_json:
        print_json(reports)
        return
    heads = {"coin": "left", "h": "right", "trades": "right", "E[R]": "right", "95 % interval": "right", "PF": "right"}
    heads |= {"win": "right", "cost x2": "right", "a bar later": "right", "DSR": "right", "score": "right"}
    console().print(table_of("On score, net of costs", heads | {"reason": "left"}, map(_backtest_row, reports)))


def _backtest_row(report: dict[str, Any]) -> tuple[object, ...]:
    metrics, robustness, decision = report["metrics"], report["robustness"], report["decision"]
    interval, ladder = robustness["intervals_95"]["expectancy_r"], metrics["expectancy_r_at_cost"]
    return (
        report["symbol"],
        report["horizon"],
        metrics["trades_taken"],
        _number(metrics["expectancy_r"], "+.3f"),
        "-" if interval is None else "{:+.3f} {:+.3f}".format(*interval),
        _number(metrics["profit_factor"], ".2f"),
        _number(metrics["win_rate"], ".3f"),
        _number(ladder and ladder["x2"], "+.3f"),
        _number(metrics["expectancy_r_latency_1"], "+.3f"),
        _number(robustness["deflated"]["dsr"], ".3f"),
        _number(decision["score_0_100"], ".1f"),
        decision["reason"],
    )


def thresholds(
    min_score: Annotated[
        float | None, typer.Option(help="Published scores below it do not trade; it can only tighten.")
    ] = None,
    force: Force = False,
    profile: Profile = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Publish the verdicts on the backtests that are there, where that is not done, and show them."""
    from scalper_ml.layers.thresholds import published_thresholds

    own = [*(overrides or []), *([] if min_score is None else [f"gate.min_score={min_score}"])]
    project = _opened(profile, own)
    document, changes = published_thresholds(project, force=force)
    if as_json:
        print_json([document])
        return
    out, summary = console(), document["summary"]
    out.print(thresholds_table(document))
    out.print(
        f"{summary['active_coins']} active, {summary['warmup_coins']} warm-up, {summary['no_trade_coins']} no-trade "
        f"coins; coverage {summary['coverage']:.2f}; {len(changes)} verdicts changed"
    )
    out.print(f"thresholds   {project.path(project.settings.gate.file)}", soft_wrap=True, highlight=False)


def gate(
    symbol: Annotated[str, typer.Argument(help="A coin.")],
    confidence: Annotated[float, typer.Argument(help="Calibrated P(side) / (P(LONG) + P(SHORT)).")],
    horizon: Annotated[int | None, typer.Option(help="In bars; default: the coin's best accepted one.")] = None,
    paper: Annotated[bool, typer.Option("--paper", help="As a loop that trades on paper asks.")] = False,
    at: Annotated[str | None, typer.Option(help="Ask as of this moment, UTC; default: now.")] = None,
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """May this signal be traded? Ends with 0 if it may, with 1 if not, and says why."""
    from scalper_ml.gate.entry import get_quality_gate

    at_us = 0 if at is None else stamp_us(at, "--at")
    found = get_quality_gate(
        paper=paper, environment=os.environ, profile=profile, now_us=None if at is None else lambda: at_us
    )
    answer = found.should_trade(symbol, confidence, horizon)
    if as_json:
        print_json([dict(answer)])
    else:
        rows = [(name, _shown(value)) for name, value in answer.items()]
        console().print(table_of(f"{symbol} at {confidence:g}", {"": "left", "answer": "left"}, rows))
    if not answer["should_trade"]:
        raise typer.Exit(1)


def thresholds_table(document: dict[str, Any]) -> Table:
    """The published verdicts, a row a coin and horizon."""
    heads = {"coin": "left", "h": "left", "action": "left", "tier": "left", "score": "right", "conf.": "right"}
    heads |= {"trades": "right", "E[R]": "right", "BA": "right", "reason": "left"}
    rows = [
        (
            symbol,
            horizon,
            row["action"],
            row["quality_tier"],
            _number(row.get("score_0_100"), ".1f"),
            _number(row.get("min_confidence"), ".3f"),
            _number(row.get("trades_taken"), "d"),
            _number(row.get("expectancy_r"), "+.3f"),
            _number(row.get("balanced_accuracy"), ".3f"),
            ", ".join([row["reason"], *row["notes"]]),
        )
        for symbol, coin in document["coins"].items()
        for horizon, row in sorted(coin["horizons"].items(), key=lambda item: int(item[0]))
    ]
    return table_of(f"Thresholds {document['version']} on {document['timeframe']} bars", heads, rows)


def _shown(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _number(value: float | int | None, form: str) -> str:
    return "-" if value is None else format(value, form)
