"""Time-block multinomial bootstrap of ratio metrics.

Cut the rows into blocks (`blocks`, `block_ids`), sum whatever a metric needs within each block
(`block_sums`), draw block multiplicities once (`draw_weights`) and evaluate any number of ratio
metrics on the same draws (`bootstrap`); then `lcb` and `p_value` use Student's t with one degree of
freedom fewer than blocks.

Examples
--------
The mean of 4,000 independent values, its 95 % lower bound and the p-value of "at most 0":

>>> x = np.random.default_rng(0).normal(0.05, 1.0, 4_000)
>>> n = blocks(len(x), horizon=1)
>>> sums = block_sums(np.c_[x, np.ones_like(x)], block_ids(len(x), n), n)
>>> theta, draws = bootstrap(sums, lambda t: t[..., 0] / t[..., 1], draw_weights(n, 1_000, seed=7))
>>> round(theta, 3), round(lcb(theta, draws, 0.05, n), 3), p_value(theta, 0.0, draws, n) < 0.05
(0.035, 0.009, True)
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr, stdtrit

from scalper_ml.errors import ContractError

__all__ = [
    "MAX_BLOCKS",
    "MIN_BLOCKS",
    "block_ids",
    "block_sums",
    "blocks",
    "bootstrap",
    "draw_weights",
    "lcb",
    "p_value",
    "standard_error",
    "ucb",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MIN_BLOCKS = 40
MAX_BLOCKS = 240
_DUST = 1e-12  # spread below which a statistic counts as constant over the draws


def blocks(n_rows: int, horizon: int) -> int:
    """Number of time blocks for `n_rows` bars and labels `horizon` bars long: n / (16 h), within 40..240.

    Examples
    --------
    >>> blocks(43_200, 15), blocks(1_000, 15), blocks(43_200, 1)
    (180, 40, 240)
    """
    if n_rows < 1 or horizon < 1:
        raise ContractError(f"time blocks: found {n_rows} rows and horizon {horizon}; expected at least 1 of each")
    return int(min(MAX_BLOCKS, max(MIN_BLOCKS, n_rows // (16 * horizon))))


def block_ids(n_rows: int, n_blocks: int) -> Ints:
    """Block of each row (n_rows,), 0..n_blocks-1: consecutive rows, sizes that differ by at most one.

    With fewer rows than blocks some blocks are empty.

    Examples
    --------
    >>> block_ids(7, 3).tolist()
    [0, 0, 0, 1, 1, 2, 2]
    """
    return np.arange(n_rows, dtype=np.int64) * n_blocks // max(n_rows, 1)


def block_sums(values: npt.ArrayLike, ids: npt.ArrayLike, n_blocks: int) -> Floats:
    """Column sums of `values` (n, k) or (n,) within each block: (n_blocks, k).

    Examples
    --------
    >>> block_sums([1.0, 2.0, 4.0], [0, 0, 1], 2).tolist()
    [[3.0], [4.0]]
    """
    rows = np.asarray(values, dtype=np.float64)
    columns = rows.reshape(rows.shape[0], -1)
    where = np.asarray(ids, dtype=np.int64)
    return np.column_stack([np.bincount(where, weights=column, minlength=n_blocks) for column in columns.T])


@lru_cache(maxsize=2)
def draw_weights(n_blocks: int, B: int, seed: int) -> Ints:
    """`B` multinomial draws of how often each block is taken: (B, n_blocks), rows sum to `n_blocks`; read only."""
    if n_blocks < 2 or B < 2:
        raise ContractError(f"bootstrap: found {n_blocks} blocks and {B} draws; expected at least 2 of each")
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(n_blocks, np.full(n_blocks, 1.0 / n_blocks), size=B).astype(np.int64)
    weights.flags.writeable = False
    return weights


def bootstrap(sums: Floats, statistic: Callable[[Floats], Any], weights: Ints) -> tuple[float, Floats]:
    """The statistic on all rows and on every draw: ``(theta_hat, draws (B,))``.

    Parameters
    ----------
    sums : (n_blocks, k)
        Per-block sums, from `block_sums`.
    statistic : callable
        Maps totals (..., k) to values (...): must work on the last axis, so that one call does all draws.
    weights : (B, n_blocks)
        From `draw_weights`; share them between statistics to keep their joint distribution.

    Notes
    -----
    Totals are summed in a fixed order (no BLAS), so the bits do not depend on a thread count.

    Examples
    --------
    >>> sums = block_sums(np.c_[np.arange(80.0), np.ones(80)], block_ids(80, 40), 40)
    >>> mean, draws = bootstrap(sums, lambda t: t[..., 0] / t[..., 1], draw_weights(40, 500, seed=1))
    >>> mean, draws.shape, bool(abs(standard_error(draws) - 23.1 / 40**0.5) < 0.3)
    (39.5, (500,), True)
    """
    totals = np.einsum("bn,nk->bk", weights.astype(np.float64), sums)
    return float(statistic(sums.sum(axis=0))), np.asarray(statistic(totals), dtype=np.float64)


def standard_error(draws: npt.ArrayLike) -> float:
    """Standard deviation over the draws; NaN if the statistic is undefined on any of them."""
    values = np.asarray(draws, dtype=np.float64)
    return float(np.std(values, ddof=1)) if np.isfinite(values).all() else math.nan


def lcb(theta_hat: float, draws: npt.ArrayLike, alpha: float, n_blocks: int) -> float:
    """One-sided lower confidence bound ``theta - t_{1-alpha, n_blocks-1} * SE``.

    A statistic that is undefined (not finite) on the sample or on any draw gives no evidence: -inf.

    Examples
    --------
    >>> round(lcb(0.1, [0.05, 0.15, 0.1], 0.05, 40), 6)
    0.015756
    """
    se = standard_error(draws)
    return theta_hat - float(stdtrit(n_blocks - 1, 1.0 - alpha)) * se if math.isfinite(theta_hat + se) else -math.inf


def ucb(theta_hat: float, draws: npt.ArrayLike, alpha: float, n_blocks: int) -> float:
    """One-sided upper confidence bound, +inf where the statistic is undefined: the mirror of `lcb`."""
    return -lcb(-theta_hat, -np.asarray(draws, dtype=np.float64), alpha, n_blocks)


def p_value(theta_hat: float, null: float, draws: npt.ArrayLike, n_blocks: int) -> float:
    """One-sided p-value of H0: theta <= `null`, by Student's t with ``n_blocks - 1`` degrees of freedom.

    1 where the statistic is undefined (not finite) on the sample or on any draw. A statistic that is
    constant over the draws gives 0 if it exceeds `null` by more than rounding dust, else 1.

    Examples
    --------
    >>> round(p_value(0.1, 0.0, [0.05, 0.15, 0.1], 40), 6)
    0.02625
    """
    se = standard_error(draws)
    if not math.isfinite(theta_hat + se):
        return 1.0
    scale = max(1.0, abs(theta_hat), abs(null))
    if se <= _DUST * scale:
        return 0.0 if theta_hat - null > _DUST * scale else 1.0
    return float(stdtr(n_blocks - 1, -(theta_hat - null) / se))
