"""Small plots with the same bytes for the same numbers."""

import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from scalper_ml.errors import ContractError
from scalper_ml.reports import plots
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
    "equity": lambda: plots.equity(pa.table({"ts_us": stamps(TS), "r_cum": WALK})),
    "equity_flat": lambda: plots.equity(pa.table({"ts_us": stamps(TS[:2]), "r_cum": [0.0, 0.0]})),
    "score_components": lambda: plots.score_components(COMPONENTS),
}


def loaded(module: str, *, after: str) -> str:
    """Whether a fresh interpreter has loaded `module` after importing plots and running a statement."""
    code = f"import sys\nfrom scalper_ml.reports import plots\n{after}\nprint({module!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout.strip()


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_is_a_small_png_with_the_same_bytes_each_time(name):
    """640 x 280 pixels, under 40 kB, no time or version inside, bit-identical when drawn again."""
    png = PLOTS[name]()
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", png[16:24]) == (640, 280)
    assert len(png) < 40_000
    assert b"matplotlib" not in png.lower()
    assert png == PLOTS[name]()


def test_plots_leave_no_figure_behind():
    """No pyplot state is touched: it is not even imported."""
    assert loaded("matplotlib.pyplot", after="plots.importance({'a': 1.0})") == "False"


def test_importing_plots_does_not_import_matplotlib():
    """Hot paths stay light: matplotlib is loaded when something is drawn."""
    assert loaded("matplotlib", after="pass") == "False"


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
