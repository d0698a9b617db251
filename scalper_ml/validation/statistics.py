"""Statistics of the gate in one place: Sharpe inference, proportions, multiplicity, time-block bootstrap.

Everything is a pure function of numbers; randomness enters only through an explicit seed.
"""

from scalper_ml.validation.bootstrap import (
    MAX_BLOCKS,
    MIN_BLOCKS,
    block_ids,
    block_sums,
    blocks,
    bootstrap,
    draw_weights,
    lcb,
    p_value,
    standard_error,
    ucb,
)
from scalper_ml.validation.multiplicity import bh, by, holm
from scalper_ml.validation.proportions import clopper_pearson, jeffreys, shrunk_expectancy, shrunk_rate, wilson
from scalper_ml.validation.sharpe import (
    dsr,
    effective_trials,
    expected_max_sharpe,
    min_trl,
    pbo,
    psr,
    sharpe_moments,
    trades_needed,
)

__all__ = [
    "MAX_BLOCKS",
    "MIN_BLOCKS",
    "bh",
    "block_ids",
    "block_sums",
    "blocks",
    "bootstrap",
    "by",
    "clopper_pearson",
    "draw_weights",
    "dsr",
    "effective_trials",
    "expected_max_sharpe",
    "holm",
    "jeffreys",
    "lcb",
    "min_trl",
    "p_value",
    "pbo",
    "psr",
    "sharpe_moments",
    "shrunk_expectancy",
    "shrunk_rate",
    "standard_error",
    "trades_needed",
    "ucb",
    "wilson",
]
