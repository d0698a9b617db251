"""The confidence a coin is traded at, chosen on the select role."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.special import stdtrit

from scalper_ml.backtest.costs import Costs
from scalper_ml.backtest.engine import Backtest, run_backtest
from scalper_ml.backtest.events import Tape
from scalper_ml.backtest.execution import Execution, Funding
from scalper_ml.backtest.labelled import AsLabelled
from scalper_ml.backtest.rows import floats

__all__ = ["ThresholdChoice", "ThresholdTrial", "choose_threshold", "threshold_grid"]

FLOOR: Final = 0.45  # confidence is never below 0.5, so this trades every row
FIXED_GRID: Final = tuple(round(0.50 + 0.02 * step, 2) for step in range(25))  # .50 ... .98
QUANTILES: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
EXPECTED_TRADES: Final = 130.0  # on score, so that 100 are reached when it is a little thinner than select
EXPECTED_TRADES_PER_SIDE: Final = 39.0  # the same margin over the gate's 30


@dataclass(frozen=True, slots=True)
class ThresholdTrial:
    """One threshold tried on select; `expectancy_r` and `lower` (95 % lower bound) are None below 2 trades."""

    threshold: float
    trades: int
    long_trades: int
    short_trades: int
    expected_trades_on_score: float
    expectancy_r: float | None
    lower: float | None
    eligible: bool


@dataclass(frozen=True, slots=True)
class ThresholdChoice:
    """The threshold chosen on select and everything that was tried.

    Attributes
    ----------
    threshold : float
        Least confidence traded, >= 0.45.
    rule : str
        ``best_lower_bound``, or why the most permissive was taken: ``too_few_trades`` (none is
        expected to leave enough trades on score) or ``nothing_pays`` (no lower bound is positive).
    trials : int
        Distinct thresholds tried; they count as trials wherever results are deflated.
    """

    threshold: float
    rule: str
    trials: int
    table: tuple[ThresholdTrial, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and text for reports."""
        return {**asdict(self), "table": [asdict(trial) for trial in self.table]}


def threshold_grid(confidence: np.ndarray) -> list[float]:
    """Thresholds that trade different sets of rows: 0.45, .50 ... .98 and quantiles of `confidence` (n,), increasing.

    Examples
    --------
    >>> [round(threshold, 2) for threshold in threshold_grid(np.array([0.51, 0.55, 0.55, 0.61]))]
    [0.45, 0.52, 0.56]
    """
    observed = np.sort(confidence)
    grid = sorted({FLOOR, *FIXED_GRID, *np.quantile(observed, QUANTILES).tolist()})
    kept: dict[int, float] = {}
    for threshold in grid:
        kept.setdefault(observed.size - int(np.searchsorted(observed, threshold)), threshold)
    return [threshold for rows, threshold in kept.items() if rows > 0]


def choose_threshold(
    bars: pa.Table,
    dataset: pa.Table,
    predictions: pa.Table,
    *,
    costs: Costs,
    horizon: int,
    interval_us: int,
    rule: AsLabelled | None = None,
    execution: Execution | None = None,
    tape: Tape | None = None,
    funding: Funding | None = None,
) -> ThresholdChoice:
    """The confidence threshold with the best lower bound of expectancy on the select role.

    Every threshold of the grid is backtested on select. Eligible are those that promise at least
    130 trades on score, at least 39 of them on each side (``trades * n_score / n_select``). Of the
    eligible the one with the largest lower bound ``mean(R) - t(0.95, n - 1) * SE`` is chosen, if
    that is positive: the bound the score is made of; ties go to the lower threshold. Otherwise
    nothing on select speaks for being choosy, and the most permissive threshold is taken: the model
    is judged on every decision it makes, with the most evidence.

    Parameters
    ----------
    bars, dataset, predictions : pyarrow.Table
        As for `run_backtest`; predictions of role select only.
    costs : Costs
    horizon, interval_us : int
    rule, execution, tape, funding
        As for `run_backtest`.

    Returns
    -------
    ThresholdChoice

    Raises
    ------
    ContractError
        As `run_backtest`.

    Notes
    -----
    Of the score role only the number of rows is used. What is chosen here is never reported as
    performance: every figure published is computed on score, and the number of thresholds tried is
    recorded with it.
    """
    n_score = int(pc.sum(pc.equal(dataset.column("role"), "score")).as_py() or 0)

    def trades_at(threshold: float) -> Backtest:
        return run_backtest(
            bars,
            dataset,
            predictions,
            role="select",
            threshold=threshold,
            costs=costs,
            horizon=horizon,
            interval_us=interval_us,
            rule=rule,
            execution=execution,
            tape=tape,
            funding=funding,
        )

    signals = trades_at(FLOOR).signals
    scale = n_score / signals.num_rows
    table = tuple(_trial(trades_at(t).trades, t, scale) for t in threshold_grid(floats(signals, "confidence")))
    threshold, reason = _choose([trial for trial in table if trial.eligible])
    return ThresholdChoice(threshold=threshold, rule=reason, trials=len(table), table=table)


def _trial(trades: pa.Table, threshold: float, scale: float) -> ThresholdTrial:
    r, side = floats(trades, "r"), trades.column("side").to_numpy()
    longs, shorts = int((side > 0).sum()), int((side < 0).sum())
    measured = r.size >= 2
    return ThresholdTrial(
        threshold=threshold,
        trades=r.size,
        long_trades=longs,
        short_trades=shorts,
        expected_trades_on_score=r.size * scale,
        expectancy_r=float(r.mean()) if measured else None,
        lower=_lower_bound(r) if measured else None,
        eligible=measured
        and r.size * scale >= EXPECTED_TRADES
        and min(longs, shorts) * scale >= EXPECTED_TRADES_PER_SIDE,
    )


def _lower_bound(r: np.ndarray) -> float:
    """95 % one-sided lower bound of the mean; trades do not overlap."""
    return float(r.mean() - stdtrit(r.size - 1, 0.95) * r.std(ddof=1) / math.sqrt(r.size))


def _choose(eligible: Sequence[ThresholdTrial]) -> tuple[float, str]:
    if not eligible:
        return FLOOR, "too_few_trades"
    lower, threshold = max((trial.lower or 0.0, -trial.threshold) for trial in eligible)
    return (max(FLOOR, -threshold), "best_lower_bound") if lower > 0 else (FLOOR, "nothing_pays")
