"""Small plots with the same bytes for the same numbers."""

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalper_ml.errors import ContractError
from scalper_ml.reports import plots
from scalper_ml.reports.svg import nice_ticks, time_ticks
from scalper_ml.schema import stamps

ROOT = Path(__file__).resolve().parents[2]
N = 20_000
TS = 1_704_067_200_000_000 + np.arange(N) * 60_000_000
WALK = np.random.default_rng(0).standard_normal(N).cumsum()
BARS = pa.table({"ts_us": stamps(TS), "close": 100 * np.exp(WALK * 1e-3)})
NOTHING = {"signal_ts_us": stamps(TS[:0]), "entry_ts_us": stamps(TS[:0]), "exit_ts_us": stamps(TS[:0])}
AT = np.arange(50, N - 50, 40)
TRADES = pa.table(
    {
        "signal_ts_us": stamps(TS[AT]),
        "entry_ts_us": stamps(TS[AT]),
        "exit_ts_us": stamps(TS[AT + 10]),
        "entry_price": BARS["close"].take(AT),
        "side": np.where(AT % 3 == 0, 1, -1).astype(np.int8),
    }
)
NO_TRADES = pa.table({**NOTHING, "entry_price": np.zeros(0), "side": np.zeros(0, np.int8)})
PLACES = ("x", "y", "x1", "x2", "y1", "y2", "width", "height")
COMPONENTS = [{"name": f"part_{i}", "weight": 0.1 * i, "points": 5.0 * i} for i in range(1, 5)]

PLOTS = {
    "shares_over_time": lambda: plots.shares_over_time({"trend": [1.0, 0.5, 0.0], "flow": [0.0, 0.0, 1.0]}),
    "shares_of_nothing": lambda: plots.shares_over_time({}),
    "price": lambda: plots.price(BARS),
    "price_with_signals": lambda: plots.price_with_signals(BARS, TRADES),
    "price_without_signals": lambda: plots.price_with_signals(BARS, NO_TRADES),
    "class_balance": lambda: plots.class_balance({"train": [10, 20, 30], "select": [0, 0, 0], "score": [5, 1, 1]}),
    "importance": lambda: plots.importance({f"feature_{i}_30s": float(i % 7) for i in range(60)}),
    "confusion": lambda: plots.confusion([[12_345, 3, 4], [0, 0, 0], [5, 6, 99_999]]),
    "reliability": lambda: plots.reliability(
        {"p": [0.3, 0.4, 0.5], "frequency": [0.31, 0.38, 0.55], "rows": [9, 9, 9]}
    ),
    "learning_curve": lambda: plots.learning_curve({"best": [0.4, 0.45, 0.45], "trial": [0.4, 0.45, 0.3]}),
    "learning_curve_of_one": lambda: plots.learning_curve({"best": [0.4]}),
    "equity": lambda: plots.equity(pa.table({"ts_us": stamps(TS), "r_cum": WALK})),
    "equity_flat": lambda: plots.equity(pa.table({"ts_us": stamps(TS[:2]), "r_cum": [0.0, 0.0]})),
    "drawdown": lambda: plots.drawdown(pa.table({"ts_us": stamps(TS), "equity": np.exp(WALK * 1e-2)})),
    "drawdown_of_none": lambda: plots.drawdown(pa.table({"ts_us": stamps(TS[:2]), "equity": [1.0, 1.0]})),
    "score_components": lambda: plots.score_components(COMPONENTS),
}


def loaded(module: str, *, after: str) -> str:
    """Whether a fresh interpreter has loaded `module` after importing plots and running a statement."""
    code = f"import sys\nfrom scalper_ml.reports import plots\n{after}\nprint({module!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout.strip()


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_is_a_small_svg_with_the_same_bytes_each_time(name):
    """640 x 280, well formed, under 40 kB, every mark a number within the picture, the same bytes when drawn again."""
    svg = PLOTS[name]()
    root = ElementTree.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert (root.get("width"), root.get("height")) == ("640", "280")
    assert len(svg) < 40_000
    assert svg == PLOTS[name]()
    for x, y in placed(root):
        assert -0.1 <= x <= 640.1
        assert -0.1 <= y <= 280.1


def placed(root: ElementTree.Element) -> list[tuple[float, float]]:
    """Corners, ends and points of every mark."""
    found = []
    for one in root.iter():
        kind, at = one.tag.split("}")[1], {k: float(v) for k, v in one.items() if k in PLACES}
        if kind in ("text", "rect"):
            found.append((at.get("x", 0.0), at.get("y", 0.0)))
        if kind == "path" and "H" in one.get("d"):
            numbers = re.findall(r"M([-\d.]+) ([-\d.]+)H([-\d.]+)V([-\d.]+)H", one.get("d"))
            found += [(float(x), float(y)) for left, top, right, low in numbers for x, y in ((left, top), (right, low))]
        if kind == "rect":
            found.append((at.get("x", 0.0) + at["width"], at.get("y", 0.0) + at["height"]))
        if kind == "line":
            found += [(at["x1"], at["y1"]), (at["x2"], at["y2"])]
        if kind in ("polyline", "polygon"):
            found += [tuple(map(float, point.split(","))) for point in one.get("points").split()]
    return found


def test_a_line_goes_through_its_data():
    """The highest close is the highest point of the line, the lowest the lowest, first and last at the frame's ends."""
    root = ElementTree.fromstring(plots.price(BARS))
    line = next(one for one in root.iter() if one.tag.endswith("polyline"))
    x, y = np.array([tuple(map(float, point.split(","))) for point in line.get("points").split()]).T
    close = BARS["close"].to_numpy()
    kept = plots._thin(close)
    assert np.corrcoef(close[kept], y)[0, 1] < -0.999_99
    assert np.corrcoef(TS[kept], x)[0, 1] > 0.999_99


def test_arrows_and_legend_count_the_trades():
    """Every side is named with its number of trades, drawn or not."""
    svg = plots.price_with_signals(BARS, TRADES).decode()
    longs = int((TRADES["side"].to_numpy() == 1).sum())
    assert f"LONG ({longs})" in svg
    assert f"SHORT ({TRADES.num_rows - longs})" in svg
    assert svg.count("l-3.5") == 2 * plots.ENTRIES


def test_names_are_escaped():
    """A symbol with markup in its name stays text."""
    assert "<b>" not in plots.importance({"<b>&": 1.0}).decode()


@given(st.floats(-1e12, 1e12), st.floats(1e-9, 1e12))
def test_ticks_lie_inside_and_are_few(low, width):
    """At most seven ticks, within the span, ascending, no two of one name."""
    high = low + width
    ticks = nice_ticks(low, high)
    if high > low and width > 1e-6 * max(abs(low), 1e-300):
        assert 1 <= len(ticks) <= 7
        assert all(low - 1e-6 * width <= at <= high + 1e-6 * width for at, _ in ticks)
        assert len({name for _, name in ticks}) == len(ticks)


@given(st.integers(0, 4_000_000_000_000_000), st.integers(0, 2_000_000_000_000_000))
def test_time_ticks_lie_inside_and_are_few(first_us, width_us):
    """At most eight round times of the span, each with a name."""
    ticks = time_ticks(first_us, first_us + width_us)
    assert len(ticks) <= 8
    assert all(first_us <= at <= first_us + width_us for at, _ in ticks)
    assert all(name for _, name in ticks)


def test_importing_and_drawing_imports_no_plotting_library():
    """A run of the whole graph draws some fifty plots: none of them waits for matplotlib."""
    assert loaded("matplotlib", after="plots.importance({'a': 1.0})") == "False"


def test_thinning_keeps_extremes():
    """However long the curve, its lowest and highest point are drawn."""
    keep = plots._thin(WALK)
    assert keep.size < 700
    assert WALK[keep].min() == WALK.min()
    assert WALK[keep].max() == WALK.max()


def test_a_confusion_matrix_of_another_size_is_refused():
    """Two classes are not three."""
    with pytest.raises(ContractError, match="confusion"):
        plots.confusion([[1, 2], [3, 4]])
