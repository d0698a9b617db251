"""A backtest as one HTML page, and all coins as another: no script, no font, no address."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, Final

import pyarrow as pa

from scalper_ml.reports import plots

__all__ = ["summary_page", "tear_sheet"]

_STYLE: Final = """
body{font:14px/1.45 system-ui,sans-serif;color:#1f2933;margin:2rem auto;max-width:84rem;padding:0 1rem}
h1{font-size:1.5rem;margin:0 0 .3rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}
p{margin:.3rem 0}.quiet{color:#616e7c}.verdict{font-size:1.1rem;margin:.6rem 0}
.no{color:#c0392b}.yes{color:#1a8a5a}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .7rem;border-bottom:1px solid #d9dee4;text-align:right;white-space:nowrap}
th:first-child,td:first-child{text-align:left}th{border-bottom:2px solid #9aa5b1;font-weight:600}
tr.bad td{background:#fdecea}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(36rem,1fr));gap:1rem}.plots svg{width:100%;height:auto}
.tables{display:flex;flex-wrap:wrap;gap:2.5rem;align-items:flex-start}.scroll{overflow-x:auto}
"""

_HEADLINES: Final = (
    ("trades_taken", "trades", "d"),
    ("win_rate", "win rate", ".3f"),
    ("breakeven_win_rate", "break-even win rate", ".3f"),
    ("expectancy_r", "expectancy, R", "+.4f"),
    ("profit_factor", "profit factor", ".3f"),
    ("balanced_accuracy", "balanced accuracy (chance .333)", ".4f"),
    ("f1_long", "F1 LONG", ".3f"),
    ("f1_short", "F1 SHORT", ".3f"),
    ("coverage", "share of time in a trade", ".3f"),
    ("avg_cost_r", "cost of a trade, R", ".4f"),
)


def tear_sheet(report: Mapping[str, Any], bars: pa.Table, trades: pa.Table, equity: pa.Table) -> str:
    """The page of one backtest; equal inputs give equal text.

    Parameters
    ----------
    report : mapping
        As `scalper_ml.backtest.report.build_report` makes it.
    bars, trades, equity : pyarrow.Table
        The coin's bars, and what the run did on them.
    """
    metrics, robustness, period = report["metrics"], report["robustness"], report["period"]
    title = f"{report['symbol']}, horizon {report['horizon']} bars of {report['timeframe']}"
    drawings = [
        plots.equity(equity),
        plots.drawdown(equity),
        plots.price_with_signals(bars, trades),
        plots.reliability(report["calibration"]["curve"], title="confidence: said and seen on score"),
        plots.score_components(report["score"]["components"]),
        plots.confusion(metrics["confusion_matrix"]),
    ]
    months = [
        (row["month"], f"{row['trades']:,}", f"{row['win_rate']:.3f}", f"{row['expectancy_r']:+.4f}",
         f"{row['total_r']:+.1f}")
        for row in metrics["by_month"]
    ]  # fmt: skip
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p class='quiet'>version {escape(report['version'])}, report {report['report_id']}, score role "
        f"{escape(period['start'])} to {escape(period['end'])}, {period['rows']:,} decisions; results in R, net of "
        "costs, at fixed size</p>",
        _verdict(report["decision"], report["suspicious"]),
        f"<div class='plots'>{''.join(drawing.decode() for drawing in drawings)}</div>",
        "<div class='tables'>",
        _block("Result", _table(("", ""), [(escape(n), _number(metrics[k], f)) for k, n, f in _HEADLINES])),
        _block("Costs", _table(("costs", "expectancy, R"), _ladder(metrics))),
        _block("Robustness", _table(("", ""), _robustness(metrics, robustness))),
        _block("What accuracy would pay?", _pays(report["what_pays"])),
        _block("Gates", _gates(report["score"]["gates"])),
        _block("By month", _table(("month", "trades", "win rate", "expectancy, R", "total R"), months)),
        "</div>",
    ]
    return _page(title, parts)


def summary_page(document: Mapping[str, Any]) -> str:
    """All coins and horizons of a thresholds document, the best first."""
    rows = [
        (symbol, horizon, verdict)
        for symbol, coin in document["coins"].items()
        for horizon, verdict in coin["horizons"].items()
    ]
    rows.sort(key=lambda row: (row[2]["action"] == "NO_TRADE", -(row[2]["score_0_100"] or -1.0), row[0], int(row[1])))
    cells = [
        (escape(symbol), horizon, v["action"], v["quality_tier"], _number(v["score_0_100"], ".1f"),
         _number(v["min_confidence"], ".3f"), _number(v["trades_taken"], ",d"), _number(v["expectancy_r"], "+.3f"),
         _number(v["balanced_accuracy"], ".3f"), _number(v["q_value"], ".2g"),
         escape(", ".join([*v["reasons"], *v["notes"], *v["suspicious"]])))
        for symbol, horizon, v in rows
    ]  # fmt: skip
    summary = document["summary"]
    heads = ("coin", "h", "action", "tier", "score", "min. confidence", "trades", "E[R]", "BA", "q", "reasons")
    said = (
        f"{summary['active_coins']} active, {summary['warmup_coins']} on paper, {summary['no_trade_coins']} not traded "
        f"of {summary['coins']} coins; coverage {summary['coverage']:.2f}"
    )
    title = f"Thresholds {document['version']} on {document['timeframe']} bars"
    bad = [row[2]["action"] == "NO_TRADE" for row in rows]
    return _page(title, [f"<h1>{escape(title)}</h1>", f"<p>{said}</p>", _table(heads, cells, bad)])


def _verdict(decision: Mapping[str, Any], suspicious: Sequence[str]) -> str:
    kind = "no" if decision["action"] == "NO_TRADE" else "yes"
    doubts = f"; suspicious: {', '.join(suspicious)}" if suspicious else ""
    reasons = ", ".join([*decision["reasons"], *decision["notes"]])
    return (
        f"<p class='verdict {kind}'>{decision['action']} - {decision['quality_tier']}, score "
        f"{decision['score_0_100']:.1f} (raw {decision['raw_score']:.1f}), least confidence "
        f"{decision['min_confidence']:.3f}: {escape(reasons + doubts)}</p>"
    )


def _ladder(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    ladder = metrics["expectancy_r_at_cost"] or {}
    rows = [(f"x {name[1:]}", f"{value:+.4f}") for name, value in ladder.items()]
    return [*rows, ("a bar later", _number(metrics["expectancy_r_latency_1"], "+.4f"))]


def _robustness(metrics: Mapping[str, Any], found: Mapping[str, Any]) -> list[tuple[str, str]]:
    deflated, days = found["deflated"], found["leave_best_day_out"] or {}
    fall, guard, gaps = found["drawdown"] or {}, found["volatility_guard"], found["held_over_gaps"]
    depth, tried = metrics["max_drawdown"] or {}, found["superiority"] or {"alternatives": 0, "p": None}
    return [
        ("expectancy, 95 %", _pair(found["intervals_95"]["expectancy_r"], "+.3f")),
        ("profit factor, 95 %", _pair(found["intervals_95"]["profit_factor"], ".2f")),
        ("probabilistic Sharpe ratio", _number(metrics["psr"], ".4f")),
        (f"deflated Sharpe ratio, {deflated['trials']} trials", _number(deflated["dsr"], ".4f")),
        (f"p that none of {tried['alternatives']} alternatives earns on select (SPA)", _number(tried["p"], ".3f")),
        ("trades needed for PSR .95", _number(found["min_trl_95"], ",.0f")),
        (f"without the best day {days.get('day', '')}", _number(days.get("expectancy_r"), "+.4f")),
        ("drawdown, R", _number(depth.get("r"), ".1f")),
        ("drawdown of equity, %", _number(depth.get("pct"), ".1f")),
        ("drawdown, R, 95 % of reordered", _number(fall.get("r_95"), ".1f")),
        ("longest under water, days", _number(fall.get("longest_days"), ".1f")),
        ("ulcer index, %", _number(fall.get("ulcer_index_pct"), ".2f")),
        (f"in the wildest bars ({guard['trades']} trades)", _number(guard["expectancy_r"], "+.4f")),
        (f"held while bars were missing ({gaps['trades']} trades)", _number(gaps["expectancy_r"], "+.4f")),
        (f"correlation with {found['correlation']['with'] or '-'}", _number(found["correlation"]["value"], "+.3f")),
    ]


def _pays(found: Mapping[str, Any]) -> str:
    said = (
        f"<p class='quiet'>a bar moves {1e4 * found['sigma']:.1f} bp, a round trip costs {1e4 * found['cost']:.1f} bp"
        "</p>"
    )
    share = found["break_even_accuracy"]
    rows = [("trading every bar", "-", "none" if share is None else f"{share:.3f}")]
    rows += [
        (f"the surest {row['traded']:.0%}", _number(row["correlation"], ".3f"),
         "none" if row["accuracy_over_all_bars"] is None else f"{row['accuracy_over_all_bars']:.3f}")
        for row in found["selective"]
        if row["traded"] < 1
    ]  # fmt: skip
    return said + _table(("traded", "correlation", "accuracy"), rows)


def _gates(gates: Sequence[Mapping[str, Any]]) -> str:
    rows = [(escape(g["name"]), _number(g["observed"], ".4g"), escape(g["limit"]), "holds" if g["passed"] else "fails")
            for g in gates]  # fmt: skip
    return _table(("a failure would read", "found", "needed", ""), rows, [not gate["passed"] for gate in gates])


def _block(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def _page(title: str, parts: Iterable[str]) -> str:
    head = f"<meta charset='utf-8'><title>{escape(title)}</title><style>{_STYLE}</style>"
    return f"<!doctype html><html lang='en'><head>{head}</head><body>{''.join(parts)}</body></html>\n"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], bad: Sequence[bool] | None = None) -> str:
    body = "".join(
        f"<tr{' class=bad' if bad and bad[place] else ''}>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>"
        for place, row in enumerate(rows)
    )
    head = "".join(f"<th>{name}</th>" for name in heads) if any(heads) else ""
    return f"<div class='scroll'><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _pair(pair: Sequence[float] | None, form: str) -> str:
    return "-" if pair is None else " to ".join(format(value, form) for value in pair)


def _number(value: float | int | None, form: str) -> str:
    return "-" if value is None else format(value, form)
