"""Metrics of trades, and the defects of earlier systems they must not repeat."""

import numpy as np
import pyarrow as pa
import pytest

from scalper_ml.backtest.costs import CostLegs
from scalper_ml.backtest.engine import EQUITY, SIGNALS, Backtest
from scalper_ml.backtest.log import Entries
from scalper_ml.backtest.metrics import breakeven_win_rate, max_drawdown, trade_metrics
from scalper_ml.backtest.report import decision_metrics
from scalper_ml.schema import TRADES, stamps

DAY = 86_400_000_000
JAN = 1_704_067_200_000_000


def run_of(r, *, risk=0.01, cost=0.001, days=1, y=(0, 1, 2), y_pred=(0, 1, 2), side=None, marks=None) -> Backtest:
    """A backtest whose trades have these R, `days` apart from 1 January 2024."""
    r = np.asarray(r, float)
    n = r.size
    net = r * np.broadcast_to(risk, n)
    at = JAN + np.arange(n) * days * DAY
    values = {
        "signal_ts_us": stamps(at),
        "entry_ts_us": stamps(at),
        "exit_ts_us": stamps(at + DAY // 2),
        "side": np.array([1] * n if side is None else side, np.int8),
        "confidence": np.full(n, 0.6),
        "entry_price": np.full(n, 100.0),
        "exit_price": np.full(n, 100.0),
        "gross": net + cost,
        "fees": np.full(n, cost),
        "spread": np.zeros(n),
        "slippage": np.zeros(n),
        "funding": np.zeros(n),
        "net": net,
        "risk": np.broadcast_to(risk, n),
        "r": r,
        "qty": np.ones(n),
        "exit_reason": ["time"] * n,
    }
    curve = np.cumsum(r) if marks is None else np.asarray(marks, float)
    equity = np.cumprod(1 + 0.005 * np.diff(curve, prepend=0.0))
    stopped = CostLegs(np.full(n, cost / 2), np.zeros(n), np.zeros(n))
    entries = Entries(
        at, at, at + DAY // 2, np.ones(n), np.full(n, 0.6), np.full(n, 100.0), np.full(n, 100.0), stopped, stopped,
        np.zeros(n), np.broadcast_to(risk, n), np.ones(n), np.full(n, "time"),
    )  # fmt: skip
    codes = {"y": np.array(y, np.int8), "y_pred": np.array(y_pred, np.int8)}
    rows = codes["y"].size
    return Backtest(
        trades=pa.table(values, schema=TRADES),
        equity=pa.table(
            {"ts_us": stamps(JAN + np.arange(curve.size) * DAY), "r_cum": curve, "equity": equity}, schema=EQUITY
        ),
        signals=pa.table(
            {
                "ts_us": stamps(JAN + np.arange(rows) * DAY),
                **codes,
                "side": np.ones(rows, np.int8),
                "confidence": np.full(rows, 0.6),
            },
            schema=SIGNALS,
        ),
        trade_rows=np.arange(n),
        unfillable=0,
        entries=entries,
        gaps=np.zeros(n, np.int64),
    )


def test_metrics_worked_by_hand():
    """Five trades: win rate 3/5, E = 0.2, break-even from average win and loss, coverage from holding time."""
    run = run_of([2.0, -1.0, 1.0, -2.0, 1.0], side=[1, 1, -1, -1, 1], days=10, y=[0, 1, 2] * 10, y_pred=[0, 1, 2] * 10)
    values = trade_metrics(run, horizon=3).values
    assert values["trades_taken"] == 5
    assert (values["long_trades"], values["short_trades"]) == (3, 2)
    assert values["win_rate"] == 0.6
    assert values["expectancy_r"] == pytest.approx(0.2)
    assert values["total_r"] == pytest.approx(1.0)
    assert (values["avg_win_r"], values["avg_loss_r"]) == pytest.approx((4 / 3, -1.5))
    assert values["breakeven_win_rate"] == pytest.approx(1.5 / (4 / 3 + 1.5))
    assert values["coverage"] == pytest.approx(5 * 4 / 30)
    assert values["max_drawdown"]["r"] == pytest.approx(2.0)
    assert values["expectancy_r_at_cost"] == pytest.approx({"x0": 0.3, "x1": 0.2, "x1.5": 0.15, "x2": 0.1})
    assert [(row["month"], row["trades"], row["total_r"]) for row in values["by_month"]] == [
        ("2024-01", 4, 0.0),
        ("2024-02", 1, 1.0),
    ]


def test_profit_factor_is_money_not_a_count_of_trades():
    """One win of 10 against four losses of 1 is 2.5, not 1/4 (earlier system: wins over losses counted)."""
    assert trade_metrics(run_of([10.0, -1, -1, -1, -1]), 1).values["profit_factor"] == pytest.approx(2.5)


def test_profit_factor_weighs_trades_by_money_not_by_risk():
    """A win on a calm bar and a loss on a wild bar of equal R are unequal money."""
    run = run_of([1.0, -1.0], risk=np.array([0.01, 0.02]))
    assert trade_metrics(run, 1).values["profit_factor"] == pytest.approx(0.5)


def test_expectancy_is_not_twice_the_win_rate_minus_one():
    """Half the trades win twice what the others lose: E = 0.5 R, not 2 * 0.5 - 1 = 0."""
    values = trade_metrics(run_of([2.0, -1.0] * 10), 1).values
    assert values["win_rate"] == 0.5
    assert values["expectancy_r"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("r", "drawdown"), [([1, 1, 1], 0.0), ([1, -3, 1], 3.0), ([-1, -1, 5], 2.0), ([5, -1, -1, 3, -4], 4.0)]
)
def test_drawdown_is_computed_from_the_path(r, drawdown):
    """Deepest fall below the running peak, from zero (earlier system: always 0.15)."""
    assert trade_metrics(run_of(r), 1).values["max_drawdown"]["r"] == drawdown
    assert max_drawdown(np.cumsum(r)) == drawdown


def test_drawdown_marked_every_bar_sees_what_closed_trades_hide():
    """A trade that was 3 R down before it closed 1 R up has no closed drawdown but a marked one."""
    drawdown = trade_metrics(run_of([1.0], marks=[0.0, -3.0, 1.0]), 1).values["max_drawdown"]
    assert (drawdown["r"], drawdown["r_marked"]) == (0.0, 3.0)
    assert drawdown["pct"] == pytest.approx(1.5)


def test_f1_short_is_not_one_minus_a_prediction():
    """F1 of SHORT counts true shorts: 2 TP / (labelled + decided), here 2*1/(2+3), and it differs from 1 - f1_long."""
    y, y_pred = [0, 0, 1, 1, 2, 2], [0, 1, 0, 0, 2, 2]
    values, undefined = decision_metrics(run_of([], y=y, y_pred=y_pred))
    assert values["f1_short"] == pytest.approx(0.4)
    assert values["f1_long"] == 1.0
    assert values["balanced_accuracy"] == pytest.approx((0.5 + 0 + 1) / 3)
    assert values["confusion_matrix"] == [[1, 1, 0], [2, 0, 0], [0, 0, 2]]
    assert undefined == {}


def test_a_label_that_never_occurs_is_undefined_not_zero():
    """Without SHORT labels balanced accuracy and f1_short are null with the reason."""
    values, undefined = decision_metrics(run_of([], y=[1, 2], y_pred=[0, 2]))
    assert values["balanced_accuracy"] is None
    assert values["f1_short"] is None
    assert set(undefined) == {"balanced_accuracy", "f1_short"}
    assert undefined["f1_short"] == "no rows labelled SHORT"


def test_no_trades_and_no_losers_are_null_with_the_reason():
    """What is undefined is None beside its reason; never 0, never infinite."""
    none = trade_metrics(run_of([]), 1)
    assert none.values["expectancy_r"] is None
    assert none.undefined["profit_factor"] == "no trades"
    assert none.values["trades_taken"] == 0
    winners = trade_metrics(run_of([1.0, 2.0, 0.5]), 1)
    assert winners.values["profit_factor"] is None
    assert winners.undefined == {
        "profit_factor": "no losing trade",
        "avg_loss_r": "no losing trade",
        "breakeven_win_rate": "needs a winning and a losing trade",
    }


def test_win_rate_and_breakeven_give_back_expectancy():
    """E = W * win - (1 - W) * loss, zero results counting as losses."""
    r = np.array([1.5, -0.5, 0.0, 2.0, -1.0])
    win = r > 0
    mean_win, mean_loss = r[win].mean(), -r[~win].mean()
    edge = win.mean() - breakeven_win_rate(r)
    assert edge * (mean_win + mean_loss) == pytest.approx(r.mean())
