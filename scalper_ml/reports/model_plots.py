"""Plots of models: what they listen to, how well they rank, how far forecasts are off."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from scalper_ml.models.base import Floats
from scalper_ml.models.explain import RowExplanation
from scalper_ml.reports.svg import BLUE, FONT, GREEN, GREY, INK, RED, Drawing, blend, nice_ticks
from scalper_ml.vocabulary import CLASSES

__all__ = ["beeswarm", "residuals", "roc_curves", "scatter", "waterfall"]

_HEAT: Final = ("#2563a8", "#b8c2cc", "#c0392b")  # low, middle and high values of a feature
_COLOURS: Final = dict(zip(CLASSES, (RED, GREY, GREEN), strict=True))
_DOTS: Final = 240  # a row of the swarm, or a scatter


def beeswarm(
    names: Sequence[str], parts: Floats, values: Floats, *, top: int = 12, title: str = "contributions by row"
) -> bytes:
    """A dot a row of each of the `top` features: across, what it added; in colour, whether its value was low or high.

    Parameters
    ----------
    names : sequence of str
    parts, values : (n, f)
        Contributions and the features' values.
    """
    order = np.argsort(-np.abs(parts).mean(axis=0), kind="stable")[:top]
    some = np.unique(np.linspace(0, len(parts) - 1, min(len(parts), _DOTS)).astype(int))
    most = float(np.abs(parts[:, order]).max(initial=1e-12)) * 1.05
    shown = [names[j] for j in order]
    drawing = Drawing(title, (-most, most), (max(len(shown), 1) - 0.5, -0.5), labels=shown, below=22)
    drawing.grid(nice_ticks(-most, most), upright=True)
    for row, j in enumerate(order.tolist()):
        rank = np.argsort(np.argsort(values[some, j], kind="stable"), kind="stable") / max(some.size - 1, 1)
        dots = [(float(parts[i, j]), row + at, blend(float(rank[k]), _HEAT)) for k, (i, at) in
                enumerate(zip(some.tolist(), _spread(parts[some, j], most), strict=True))]  # fmt: skip
        for x, y, colour in dots:
            drawing.dot(x, y, colour)
    drawing.rows(shown, size=FONT - 1)
    drawing.legend([("low value", _HEAT[0]), ("high", _HEAT[2])])
    return drawing.svg()


def _spread(values: Floats, most: float) -> list[float]:
    """Heights within a row: dots that would lie on one another are moved apart, first up, then down."""
    taken: dict[int, int] = {}
    heights = []
    for value in values.tolist():
        place = int(value / most * 90)
        count = taken[place] = taken.get(place, -1) + 1
        step = (count + 1) // 2 * 0.09 * (1 if count % 2 else -1)
        heights.append(max(-0.42, min(0.42, step)))
    return heights


def waterfall(row: RowExplanation, *, top: int = 10, title: str = "one prediction taken apart") -> bytes:
    """From the base to the log-odds of LONG against SHORT, a step a feature, the largest first, the others as one."""
    steps = [(f"{name} = {value:.4g}", part) for name, value, part in row.contributions[:top]]
    rest = sum(part for _, _, part in row.contributions[top:])
    steps = [("before any feature", row.base), *steps, ("all others", rest)]
    edges = np.cumsum([0.0, *(part for _, part in steps)])
    low, high = float(edges.min()), float(edges.max())
    margin = 0.06 * (high - low) or 0.1
    names = [name for name, _ in steps]
    drawing = Drawing(title, (low - margin, high + margin), (len(names) - 0.5, -0.5), labels=names, below=22)
    drawing.grid(nice_ticks(low - margin, high + margin), upright=True)
    drawing.rows(names, size=FONT - 1)
    for place, (_, part) in enumerate(steps):
        left, right = sorted((float(edges[place]), float(edges[place + 1])))
        drawing.box((left, right), (place - 0.33, place + 0.33), GREY if place == 0 else GREEN if part > 0 else RED)
        drawing.label(right, place, f" {part:+.3f}", anchor="start")
    return drawing.svg()


def roc_curves(P: Floats, y: np.ndarray, *, title: str = "ROC of each class against the rest") -> bytes:
    """Share of a class found over share of the others taken for it; on the grey line the ranking knows nothing."""
    ticks = [(share, f"{share:g}") for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    drawing = Drawing(title, (0.0, 1.0), (0.0, 1.0), labels=["0.75"], below=22)
    drawing.grid(ticks)
    drawing.grid(ticks, upright=True)
    drawing.line(np.array([0.0, 1.0]), np.array([0.0, 1.0]), colour=GREY)
    legend = []
    for code, name in enumerate(CLASSES):
        hit = (y == code)[np.argsort(-P[:, code], kind="stable")]
        if 0 < hit.sum() < hit.size:
            found, false = (np.concatenate([[0.0], np.cumsum(side) / side.sum()]) for side in (hit, ~hit))
            keep = np.unique(np.linspace(0, hit.size, min(hit.size + 1, 300)).astype(int))
            drawing.line(false[keep], found[keep], colour=_COLOURS[name] if name != "NEUTRAL" else INK, width=1.4)
            legend.append((name, _COLOURS[name] if name != "NEUTRAL" else INK))
    drawing.legend(legend)
    return drawing.svg()


def scatter(forecast: Floats, outcome: Floats, *, title: str = "outcome over forecast") -> bytes:
    """A dot a row; on the grey line an outcome is what was forecast. Frames hold all but the outermost percent."""
    some = np.unique(np.linspace(0, forecast.size - 1, min(forecast.size, 3 * _DOTS)).astype(int))
    x, y = _frame(forecast), _frame(outcome)
    levels = nice_ticks(*y)
    drawing = Drawing(title, x, y, labels=[name for _, name in levels], below=22)
    drawing.grid(levels)
    drawing.grid(nice_ticks(*x), upright=True)
    both = np.array([max(x[0], y[0]), min(x[1], y[1])])
    if both[0] < both[1]:
        drawing.line(both, both, colour=GREY, width=1.6)
    for i in some.tolist():
        if x[0] <= forecast[i] <= x[1] and y[0] <= outcome[i] <= y[1]:
            drawing.dot(float(forecast[i]), float(outcome[i]), BLUE)
    return drawing.svg()


def residuals(forecast: Floats, outcome: Floats, *, title: str = "outcome minus forecast") -> bytes:
    """How many rows are off by how much, in 40 steps between the outermost half percents."""
    off = outcome - forecast
    low, high = _frame(off)
    counts, edges = np.histogram(off, bins=40, range=(low, high))
    levels = nice_ticks(0.0, float(counts.max(initial=1)) * 1.05)
    drawing = Drawing(title, (low, high), (0.0, float(counts.max(initial=1)) * 1.05),
                      labels=[name for _, name in levels], below=22)  # fmt: skip
    drawing.grid(levels)
    drawing.grid(nice_ticks(low, high), upright=True)
    drawing.boxes(
        [(float(a), float(b), 0.0, float(n)) for a, b, n in zip(edges, edges[1:], counts, strict=False)], BLUE
    )
    drawing.line(np.zeros(2), np.array([0.0, float(counts.max(initial=1))]), colour=INK)
    return drawing.svg()


def _frame(values: Floats) -> tuple[float, float]:
    low, high = (float(one) for one in np.quantile(values, (0.005, 0.995)))
    margin = 0.05 * (high - low) or 0.5 * abs(high) or 1.0
    return low - margin, high + margin
