"""Small plots for asset metadata: PNG bytes, the same bytes for the same numbers.

Every function draws on its own matplotlib figure (no pyplot, no global state) of 640 x 280 pixels.
"""

import base64
import io
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from scalper_ml.errors import ContractError
from scalper_ml.schema import CLASSES, us

__all__ = [
    "class_balance",
    "confusion",
    "equity",
    "importance",
    "png_markdown",
    "price",
    "price_with_signals",
    "score_components",
    "shares_over_time",
]

DPI: Final = 80
SIZE: Final = (8.0, 3.5)  # inches
POINTS: Final = 600  # per line; more would only blacken pixels
INK: Final = "#1f2933"
ENTRIES: Final = 120  # arrows a side
GRID: Final = "#d9dee4"
BLUE: Final = "#2563a8"
GREEN: Final = "#1a8a5a"
RED: Final = "#c0392b"
GREY: Final = "#9aa5b1"
CLASS_COLOURS: Final = dict(zip(CLASSES, (RED, GREY, GREEN), strict=True))
FONT: Final = 8


def png_markdown(png: bytes, alt: str) -> str:
    """A PNG as a markdown image with its data inline.

    Examples
    --------
    >>> png_markdown(b"PNG", "equity")
    '![equity](data:image/png;base64,UE5H)'
    """
    return f"![{alt}](data:image/png;base64,{base64.b64encode(png).decode('ascii')})"


def price(bars: pa.Table, *, title: str = "closing price") -> bytes:
    """Close of every bar over time."""
    figure, axes = _canvas(title)
    _draw_close(axes, us(bars.column("ts_us")), bars.column("close").to_numpy())
    return _png(figure)


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
    figure, axes = _canvas(title)
    _draw_close(axes, ts_us, close)
    for sign, marker, colour, name in ((1, "^", GREEN, "LONG"), (-1, "v", RED, "SHORT")):
        mine = np.flatnonzero(side == sign)
        at = mine[np.unique(np.linspace(0, max(mine.size - 1, 0), min(mine.size, ENTRIES)).astype(int))]
        label = f"{name} ({mine.size})"
        axes.scatter(_dates(entry_ts_us[at]), entry_price[at], s=14, marker=marker, c=colour, label=label, zorder=3)
    axes.legend(fontsize=FONT, frameon=False, loc="best", ncols=2)
    return _png(figure)


def class_balance(counts: Mapping[str, Sequence[int]], *, title: str = "class balance by role") -> bytes:
    """Stacked bars of class shares; `counts` gives rows SHORT, NEUTRAL, LONG by role, in the order drawn."""
    figure, axes = _canvas(title)
    roles = list(counts)
    table = np.array([counts[role] for role in roles], dtype=float).reshape(len(roles), len(CLASSES))
    rows = table.sum(axis=1)
    shares = table / np.maximum(rows, 1)[:, None]
    left = np.zeros(len(roles))
    for k, name in enumerate(CLASSES):
        axes.barh(range(len(roles)), shares[:, k], left=left, color=CLASS_COLOURS[name], label=name, height=0.65)
        for i, share in enumerate(shares[:, k]):
            if share >= 0.06:
                axes.text(
                    left[i] + share / 2, i, f"{share:.0%}", ha="center", va="center", color="white", fontsize=FONT
                )
        left += shares[:, k]
    axes.set_yticks(range(len(roles)), [f"{role} ({int(n):,})" for role, n in zip(roles, rows, strict=True)])
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xticks([])
    axes.legend(fontsize=FONT, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.02), ncols=len(CLASSES))
    return _png(figure)


def shares_over_time(shares: Mapping[str, Sequence[float]], *, title: str = "shares over time") -> bytes:
    """A strip a row of shares in [0, 1], first to last stretch from left to right: white is 0, dark is 1."""
    figure, axes = _canvas(title)
    names = list(shares)
    if names:
        axes.imshow(np.array([list(shares[name]) for name in names]), aspect="auto", cmap="Blues", vmin=0, vmax=1)
    axes.set_yticks(range(len(names)), [f"{name} ({float(np.mean(shares[name])):.1%})" for name in names])
    axes.set_xticks([])
    axes.grid(visible=False)
    return _png(figure)


def importance(values: Mapping[str, float], *, top: int = 15, title: str = "feature importance") -> bytes:
    """Horizontal bars of the `top` largest importances, largest on top; equal ones by name."""
    ranked = sorted(values.items(), key=lambda item: (-item[1], item[0]))[:top]
    figure, axes = _canvas(title)
    axes.barh(range(len(ranked)), [value for _, value in ranked], color=BLUE, height=0.7)
    axes.set_yticks(range(len(ranked)), [name for name, _ in ranked])
    axes.invert_yaxis()
    axes.grid(axis="x", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    return _png(figure)


def confusion(matrix: Sequence[Sequence[int]], *, title: str = "decisions against labels") -> bytes:
    """Confusion matrix (3, 3), labels in rows and decisions in columns: counts, shaded by share of the row."""
    counts = np.asarray(matrix, dtype=float)
    if counts.shape != (len(CLASSES), len(CLASSES)):
        raise ContractError(f"confusion plot: shape {counts.shape}; expected {(len(CLASSES), len(CLASSES))}")
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axes = _canvas(title)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for i in range(len(CLASSES)):
        for j in range(len(CLASSES)):
            text = f"{int(counts[i, j]):,}\n{share[i, j]:.0%}"
            colour = "white" if share[i, j] > 0.55 else INK
            axes.text(j, i, text, ha="center", va="center", fontsize=FONT + 1, color=colour)
    axes.set_xticks(range(len(CLASSES)), CLASSES)
    axes.set_yticks(range(len(CLASSES)), CLASSES)
    axes.set_xlabel("decided", fontsize=FONT)
    axes.set_ylabel("labelled", fontsize=FONT)
    return _png(figure)


def equity(curve: pa.Table, *, title: str = "cumulative R, marked every bar") -> bytes:
    """Cumulative R (columns ``ts_us``, ``r_cum``) with the drawdown below its running maximum shaded."""
    r_cum = curve.column("r_cum").to_numpy()
    figure, axes = _canvas(title)
    peak = np.maximum.accumulate(np.maximum(r_cum, 0.0))
    keep = _thin(r_cum)
    dates = _dates(us(curve.column("ts_us"))[keep])
    axes.fill_between(dates, r_cum[keep], peak[keep], color=RED, alpha=0.22, linewidth=0, label="drawdown")
    axes.plot(dates, r_cum[keep], color=BLUE, linewidth=1.1)
    axes.axhline(0.0, color=INK, linewidth=0.7)
    axes.set_ylabel("R", fontsize=FONT)
    axes.legend(fontsize=FONT, frameon=False, loc="best")
    _time_axis(axes)
    return _png(figure)


def score_components(components: Sequence[Mapping[str, Any]], *, title: str = "quality score") -> bytes:
    """Points of each component (as in ``report["score"]["components"]``) within the most it can give."""
    figure, axes = _canvas(title)
    at = range(len(components))
    most = [100.0 * one["weight"] for one in components]
    points = [one["points"] for one in components]
    axes.barh(at, most, color=GRID, height=0.7)
    axes.barh(
        at, points, color=[GREEN if p >= 0.5 * m else BLUE for p, m in zip(points, most, strict=True)], height=0.7
    )
    for i, (p, m) in enumerate(zip(points, most, strict=True)):
        axes.text(m + 0.4, i, f"{p:.1f} / {m:.0f}", va="center", fontsize=FONT, color=INK)
    axes.set_yticks(at, [str(one["name"]).replace("_", " ") for one in components])
    axes.invert_yaxis()
    axes.set_xlim(0, max(most, default=1.0) * 1.18)
    axes.set_xticks([])
    return _png(figure)


def _canvas(title: str) -> tuple[Any, Any]:
    """A figure with one plain axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE, dpi=DPI, layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=FONT + 2, loc="left", color=INK)
    axes.tick_params(labelsize=FONT, colors=INK, length=2)
    for edge in ("top", "right"):
        axes.spines[edge].set_visible(False)
    for edge in ("left", "bottom"):
        axes.spines[edge].set_color(GREY)
    return figure, axes


def _draw_close(axes: Any, ts_us: np.ndarray, close: np.ndarray) -> None:
    keep = _thin(close)
    axes.plot(_dates(ts_us[keep]), close[keep], color=BLUE, linewidth=0.9)
    _time_axis(axes)


def _png(figure: Any) -> bytes:
    from matplotlib.backends import backend_agg

    buffer = io.BytesIO()
    canvas: Any = backend_agg.FigureCanvasAgg(figure)
    canvas.print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()


def _dates(ts_us: np.ndarray) -> np.ndarray:
    return np.asarray(ts_us, dtype=np.int64).astype("datetime64[us]")


def _time_axis(axes: Any) -> None:
    from matplotlib import dates

    untyped: Any = dates
    locator = untyped.AutoDateLocator(maxticks=8)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(untyped.ConciseDateFormatter(locator))
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)


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
