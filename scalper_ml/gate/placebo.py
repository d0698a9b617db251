"""Markets in which nothing can be known, made of a coin's own returns: what the score accepts there is its error."""

from typing import Final

import numpy as np
from scipy.signal import lfilter

from scalper_ml.errors import InsufficientDataError
from scalper_ml.gate.estimates import Sample
from scalper_ml.gate.score import DRAWS, Score, quality_score
from scalper_ml.schema import LONG, NEUTRAL, SHORT

__all__ = ["placebo_sample", "placebo_scores", "resampled"]

BLOCK: Final = 240  # bars that stay together: volatility keeps its clusters
PERSISTENCE: Final = 0.97  # of the random signal, per bar
DEADBAND: Final = 0.5  # of the horizon's standard deviation
DECAY: Final = 0.97  # of the volatility the risk is taken from
LEAST_ROWS: Final = 1_000


def resampled(returns: np.ndarray, rows: int, seed: int, block: int = BLOCK) -> np.ndarray:
    """Blocks of demeaned `returns` (n,), drawn with replacement and put one after the other, shape (rows,).

    Examples
    --------
    >>> resampled(np.array([1.0, 2.0, 3.0]), 5, seed=0, block=2).size
    5
    """
    rng = np.random.default_rng(seed)
    n = min(block, returns.size)
    starts = rng.integers(returns.size - n + 1, size=-(-rows // n))
    drawn = (returns - returns.mean())[(starts[:, None] + np.arange(n)).ravel()]
    return np.asarray(drawn[:rows])


def placebo_sample(returns: np.ndarray, horizon: int, seed: int) -> Sample:
    """Decisions of a persistent random signal on a market resampled from `returns` (n,), traded without costs.

    Parameters
    ----------
    returns : ndarray (n,)
        Log returns of a coin's bars.
    horizon : int
        Bars held.
    seed : int

    Raises
    ------
    InsufficientDataError
        Fewer than 1,000 returns.

    Notes
    -----
    Without costs, for costs only make it easier to see that there is nothing. The row decided at bar i is held from
    bar i + 1 on; its risk is the volatility known at bar i.
    """
    rows = returns.size - horizon - 1
    if rows < LEAST_ROWS:
        raise InsufficientDataError(f"placebo: {returns.size} returns; expected at least {LEAST_ROWS + horizon + 1}")
    drawn = resampled(returns, returns.size, seed)
    variance = lfilter([1 - DECAY], [1, -DECAY], drawn**2, zi=[DECAY * float((drawn**2).mean())])[0]
    sigma = np.sqrt(np.maximum(variance[:rows], 1e-18))
    path = np.concatenate([[0.0], np.cumsum(drawn)])
    now = np.arange(rows) + 1
    move = (path[now + horizon] - path[now]) / (sigma * np.sqrt(horizon))
    rng = np.random.default_rng([seed, 1])
    signal = lfilter([np.sqrt(1 - PERSISTENCE**2)], [1, -PERSISTENCE], rng.standard_normal(rows))
    side = np.where(signal >= 0, 1, -1)
    y = np.select([move > DEADBAND, move < -DEADBAND], [LONG, SHORT], NEUTRAL).astype(np.int8)
    taken = np.arange(0, rows, horizon + 1)
    r = side[taken] * move[taken]
    return Sample(
        y=y,
        y_pred=np.where(side > 0, LONG, SHORT).astype(np.int8),
        trade_rows=taken,
        side=side[taken],
        r=r,
        net=r * sigma[taken] * np.sqrt(horizon),
        horizon=horizon,
        p_long=np.full(rows, 0.5),
    )


def placebo_scores(returns: np.ndarray, horizon: int, *, seed: int, replicates: int, draws: int = DRAWS) -> list[Score]:
    """Scores of so many placebos of one coin and horizon."""
    return [
        quality_score(placebo_sample(returns, horizon, seed + k), seed=seed + k, draws=draws) for k in range(replicates)
    ]
