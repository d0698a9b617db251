"""Small plots for asset metadata: SVG, the same bytes for the same numbers, 640 x 280."""

import base64
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from scalper_ml.errors import ContractError
from scalper_ml.reports.svg import (
    BLUE,
    GREEN,
    GREY,
    GRID,
    INK,
    RED,
    WHITE,
    Drawing,
    blend,
    nice_ticks,
    time_ticks,
)
from scalper_ml.schema import CLASSES, us

__all__ = [
    "as_markdown",
    "class_balance",
    "confusion",
    "drawdown",
    "equity",
    "importance",
    "learning_curve",
    "price",
    "price_with_signals",
    "reliability",
    "score_components",
    "shares_over_time",
]

POINTS: Final = 600  # per line; more would only blacken pixels
ENTRIES: Final = 120  # arrows a side
BLUES: Final = ("#f7fbff", "#6baed6", "#08306b")  # nothing, half, all
CLASS_COLOURS: Final = dict(zip(CLASSES, (RED, GREY, GREEN), strict=True))


def as_markdown(svg: bytes, alt: str) -> str:
    """A drawing as a markdown image with its data inline.

    Examples
    --------
    >>> as_markdown(b"<svg/>", "equity")
    '![equity](data:image/svg+xml;base64,PHN2Zy8+)'
    """
    return f"![{alt}](data:image/svg+xml;base64,{base64.b64encode(svg).decode('ascii')})"


def price(bars: pa.Table, *, title: str = "closing price") -> bytes:
    """Close of every bar over time."""
    return _closes(title, us(bars.column("ts_us")), bars.column("close").to_numpy()).svg()


def price_with_signals(bars: pa.Table, trades: pa.Table, *, title: str = "price and entries") -> bytes:
    """Close with an arrow at each entry (up and green LONG, down and red SHORT), over the time of the trades.

    Without trades all bars are shown. Of many entries an even selection is drawn; the legend counts all.
    """
    ts_us, close = us(bars.column("ts_us")), bars.column("close").to_numpy()
    entry_ts_us, entry_price = us(trades.column("entry_ts_us")), trades.column("entry_price").to_numpy()
    side = trades.column("side").to_numpy()
    if trades.num_rows:
        first, last = us(trades.column("signal_ts_us"))[0], us(trades.column("exit_ts_us"))[-1]
        traded = (ts_us >= first) & (ts_us <= last)
        ts_us, close = ts_us[traded], close[traded]
    drawing = _closes(title, ts_us, close)
    legend = []
    for sign, colour, name in ((1, GREEN, "LONG"), (-1, RED, "SHORT")):
        mine = np.flatnonzero(side == sign)
        at = mine[np.unique(np.linspace(0, max(mine.size - 1, 0), min(mine.size, ENTRIES)).astype(int))]
        for when, paid in zip(entry_ts_us[at].tolist(), entry_price[at].tolist(), strict=True):
            drawing.arrow(when, paid, up=sign > 0, colour=colour)
        legend.append((f"{name} ({mine.size})", colour))
    drawing.legend(legend)
    return drawing.svg()


def class_balance(counts: Mapping[str, Sequence[int]], *, title: str = "class balance by role") -> bytes:
    """Stacked bars of class shares; `counts` gives rows SHORT, NEUTRAL, LONG by role, in the order drawn."""
    names = [f"{role} ({sum(rows):,})" for role, rows in counts.items()]
    drawing = _rows(title, names, 1.0)
    for row, of_role in enumerate(counts.values()):
        left, total = 0.0, max(sum(of_role), 1)
        for name, count in zip(CLASSES, of_role, strict=True):
            share = count / total
            drawing.box((left, left + share), (row - 0.33, row + 0.33), CLASS_COLOURS[name])
            if share >= 0.06:
                drawing.label(left + share / 2, row, f"{share:.0%}", colour=WHITE)
            left += share
    drawing.legend(list(CLASS_COLOURS.items()))
    return drawing.svg()


def shares_over_time(shares: Mapping[str, Sequence[float]], *, title: str = "shares over time") -> bytes:
    """A strip a row of shares in [0, 1], first to last stretch from left to right: white is 0, dark is 1."""
    names = [f"{name} ({float(np.mean(of)):.1%})" for name, of in shares.items()]
    drawing = _rows(title, names, max((len(of) for of in shares.values()), default=1))
    for row, of_name in enumerate(shares.values()):
        for column, share in enumerate(of_name):
            drawing.box((column, column + 1), (row - 0.5, row + 0.5), blend(share, BLUES))
    return drawing.svg()


def importance(values: Mapping[str, float], *, top: int = 15, title: str = "feature importance") -> bytes:
    """Horizontal bars of the `top` largest importances, largest on top; equal ones by name."""
    ranked = sorted(values.items(), key=lambda item: (-item[1], item[0]))[:top]
    most = max((value for _, value in ranked), default=1.0)
    drawing = _rows(title, [name for name, _ in ranked], most, below=22)
    drawing.grid(nice_ticks(0.0, most), upright=True)
    for row, (_, value) in enumerate(ranked):
        drawing.box((0.0, value), (row - 0.35, row + 0.35), BLUE)
    return drawing.svg()


def confusion(matrix: Sequence[Sequence[int]], *, title: str = "decisions against labels") -> bytes:
    """Confusion matrix (3, 3), labels in rows and decisions in columns: counts, shaded by share of the row."""
    counts = np.asarray(matrix, dtype=float)
    if counts.shape != (len(CLASSES), len(CLASSES)):
        raise ContractError(f"confusion plot: shape {counts.shape}; expected {(len(CLASSES), len(CLASSES))}")
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    drawing = _rows(title, [f"labelled {name}" for name in CLASSES], len(CLASSES), below=22)
    drawing.columns([(k + 0.5, f"decided {name}") for k, name in enumerate(CLASSES)])
    for i, j in itertools.product(range(len(CLASSES)), repeat=2):
        drawing.box((j, j + 1), (i - 0.5, i + 0.5), blend(share[i, j], BLUES))
        text = f"{int(counts[i, j]):,} ({share[i, j]:.0%})"
        drawing.label(j + 0.5, i, text, colour=WHITE if share[i, j] > 0.4 else INK)
    return drawing.svg()


def reliability(curve: Mapping[str, Sequence[float]], *, title: str = "said and seen") -> bytes:
    """Observed frequency (blue) over mean probability of each bin, as `calibration_error.reliability` gives them.

    On the grey line a probability means what it says.
    """
    said, seen = np.asarray(curve["p"], dtype=float), np.asarray(curve["frequency"], dtype=float)
    both = np.concatenate([said, seen]) if said.size else np.array([0.0, 1.0])
    margin = 0.02 + 0.02 * float(np.ptp(both))
    low, high = float(both.min()) - margin, float(both.max()) + margin
    levels = nice_ticks(low, high)
    drawing = Drawing(title, (low, high), (low, high), labels=[name for _, name in levels], below=22)
    drawing.grid(levels)
    drawing.grid(levels, upright=True)
    drawing.line(np.array([low, high]), np.array([low, high]), colour=GREY)
    drawing.line(said, seen, width=1.6)
    drawing.legend([("seen", BLUE), ("as said", GREY)])
    return drawing.svg()


def learning_curve(curves: Mapping[str, Sequence[float]], *, title: str = "best score by trial") -> bytes:
    """Lines of values by their number, each running from 0; the first blue, further ones grey."""
    values = [value for curve in curves.values() for value in curve]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    margin = 0.04 * (high - low) or 0.01
    levels = nice_ticks(low - margin, high + margin)
    last = float(max((len(curve) for curve in curves.values()), default=2) - 1) or 1.0
    drawing = Drawing(title, (0.0, last), (low - margin, high + margin), labels=[name for _, name in levels], below=22)
    drawing.grid(levels)
    drawing.grid(nice_ticks(0.0, last), upright=True)
    for place, curve in reversed(list(enumerate(curves.values()))):
        drawing.line(np.arange(len(curve), dtype=float), np.asarray(curve, dtype=float), colour=(BLUE, GREY)[place > 0])
    drawing.legend([(name, (BLUE, GREY)[place > 0]) for place, name in enumerate(curves)])
    return drawing.svg()


def equity(curve: pa.Table, *, title: str = "cumulative R, marked every bar") -> bytes:
    """Cumulative R (columns ``ts_us``, ``r_cum``) with the drawdown below its running maximum shaded."""
    r_cum = curve.column("r_cum").to_numpy()
    peak = np.maximum.accumulate(np.maximum(r_cum, 0.0))
    keep = _thin(r_cum)
    ts_us = us(curve.column("ts_us"))[keep]
    drawing = _over_time(title, ts_us, min(r_cum.min(initial=0.0), 0.0), max(r_cum.max(initial=0.0), 0.0))
    drawing.area(ts_us, r_cum[keep], peak[keep], colour=RED)
    drawing.level(0.0)
    drawing.line(ts_us, r_cum[keep])
    drawing.legend([("R", BLUE), ("drawdown", "#f0cfcb")])
    return drawing.svg()


def drawdown(curve: pa.Table, *, title: str = "fall of the compounded equity below its peak, %") -> bytes:
    """How far the compounded equity (columns ``ts_us``, ``equity``) lies below its running maximum, per cent."""
    equity_ = curve.column("equity").to_numpy()
    fall = 100.0 * (equity_ / np.maximum.accumulate(np.maximum(equity_, 1.0)) - 1.0)
    keep = _thin(fall)
    ts_us = us(curve.column("ts_us"))[keep]
    drawing = _over_time(title, ts_us, fall.min(initial=-0.1), 0.0)
    drawing.area(ts_us, fall[keep], np.zeros(keep.size), colour=RED)
    drawing.line(ts_us, fall[keep], colour=RED)
    return drawing.svg()


def score_components(components: Sequence[Mapping[str, Any]], *, title: str = "quality score") -> bytes:
    """Points of each component (as in ``report["score"]["components"]``) within the most it can give."""
    most = [100.0 * one["weight"] for one in components]
    names = [str(one["name"]).replace("_", " ") for one in components]
    drawing = _rows(title, names, max(most, default=1.0) * 1.18)
    for row, (one, limit) in enumerate(zip(components, most, strict=True)):
        drawing.box((0.0, limit), (row - 0.35, row + 0.35), GRID)
        drawing.box((0.0, one["points"]), (row - 0.35, row + 0.35), GREEN if one["points"] >= 0.5 * limit else BLUE)
        drawing.label(limit, row, f" {one['points']:.1f} / {limit:.0f}", anchor="start")
    return drawing.svg()


def _rows(title: str, names: Sequence[str], last: float, *, below: int = 8) -> Drawing:
    """A drawing of named rows, the first on top, whose x runs from 0."""
    drawing = Drawing(title, (0.0, last), (max(len(names), 1) - 0.5, -0.5), labels=names, below=below)
    drawing.rows(names)
    return drawing


def _over_time(title: str, ts_us: np.ndarray, low: float, high: float) -> Drawing:
    """A drawing of values over time, with its grid."""
    margin = 0.04 * (high - low)
    span = (int(ts_us[0]), int(ts_us[-1])) if ts_us.size else (0, 1)
    levels = nice_ticks(low - margin, high + margin)
    drawing = Drawing(title, span, (low - margin, high + margin), labels=[name for _, name in levels])
    drawing.grid(levels)
    drawing.grid(time_ticks(*span) if ts_us.size else [], upright=True)
    return drawing


def _closes(title: str, ts_us: np.ndarray, close: np.ndarray) -> Drawing:
    keep = _thin(close)
    drawing = _over_time(title, ts_us[keep], *((close.min(), close.max()) if close.size else (0.0, 1.0)))
    drawing.line(ts_us[keep], close[keep], width=0.9)
    return drawing


def _thin(values: np.ndarray) -> np.ndarray:
    """Indices of at most about `POINTS` rows that keep the lowest and highest value of every stretch.

    Examples
    --------
    >>> _thin(np.array([1.0, 3.0, 2.0])).tolist()
    [0, 1, 2]
    """
    n = values.size
    if n <= POINTS:
        return np.arange(n)
    edges = np.linspace(0, n, POINTS // 2 + 1).astype(int)
    kept = {0, n - 1}
    for start, stop in itertools.pairwise(edges.tolist()):
        kept.update((start + int(values[start:stop].argmin()), start + int(values[start:stop].argmax())))
    return np.array(sorted(kept))
