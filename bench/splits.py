"""A million label rows split every way there is."""

import numpy as np

from bench.measure import Figure, cpu_seconds
from scalper_ml.datasets.axis import one_time_axis
from scalper_ml.datasets.crossval import combinatorial_purged, purged_kfold
from scalper_ml.datasets.splits import assign_roles, walk_forward, walk_forward_steps

__all__ = ["run"]

ROWS, COINS, MINUTE = 1_000_000, 32, 60_000_000
DAY = 1440 * MINUTE


def run() -> list[Figure]:
    """Roles and all folds of every split of 1 M rows with outcomes of 1 to 60 minutes, indices made."""
    rng = np.random.default_rng(1)
    t0 = MINUTE * np.arange(ROWS, dtype=np.int64)
    t1 = t0 + MINUTE * rng.integers(1, 61, ROWS)
    n = ROWS // COINS
    coins = [(t0[:n], t0[:n] + MINUTE * rng.integers(1, 61, n)) for _ in range(COINS)]
    span = ROWS * MINUTE

    def pooled() -> None:
        axis = one_time_axis(coins)
        list(purged_kfold(axis.t0, axis.t1, n_folds=10, embargo_us=DAY))

    calls = {
        "roles": lambda: assign_roles(t0, t1, calibrate_size=0.1, select_size=0.15, test_size=0.3),
        "walk-forward, expanding, 20 folds": lambda: list(walk_forward(t0, t1, n_folds=20)),
        "walk-forward, rolling, 20 folds": lambda: list(walk_forward(t0, t1, n_folds=20, train_us=span // 5)),
        "walk-forward by weeks, rolling": lambda: list(
            walk_forward_steps(t0, t1, train_us=span // 5, step_us=7 * DAY, rolling=True)
        ),
        "purged K-fold, 10 folds, embargo": lambda: list(purged_kfold(t0, t1, n_folds=10, embargo_us=DAY)),
        "combinatorial purged, 45 folds, embargo": lambda: [
            fold.train.size for fold in combinatorial_purged(t0, t1, n_blocks=10, n_test=2, embargo_us=DAY)
        ],
        "purged K-fold of 32 coins on one axis": pooled,
    }
    seconds = cpu_seconds(calls, repeats=3)
    return [Figure(f"1 M rows: {name}", value, "CPU s", goal="at most 2 s") for name, value in seconds.items()]
