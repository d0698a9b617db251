"""Does any of the models that were compared earn anything on select, or is the best only the luckiest of many?"""

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa

from scalper_ml.backtest.labelled import AsLabelled, exits_of
from scalper_ml.backtest.rows import join_rows, of_role
from scalper_ml.backtest.signals import decide
from scalper_ml.schema import us
from scalper_ml.validation.forecasts import superior_ability

__all__ = ["SHARES", "superiority"]

SHARES: Final = (1.0, 0.5, 0.2, 0.1, 0.05)
"""Of the surest rows of a model, each traded as an alternative of its own."""

DRAWS: Final = 1_000


def superiority(
    predictions: Mapping[str, pa.Table],
    dataset: pa.Table,
    *,
    horizon: int,
    rule: AsLabelled | None = None,
    seed: int = 0,
    draws: int = DRAWS,
) -> dict[str, Any]:
    """Hansen's test of all models, each on its surest rows, against staying flat, on the select role.

    Parameters
    ----------
    predictions : mapping of kind to pyarrow.Table of PREDICTIONS
    dataset : pyarrow.Table of DATASET
    horizon : int
        Bars held.
    rule : AsLabelled, optional
        As for `run_backtest`.
    seed, draws : int
        Of the bootstrap.

    Returns
    -------
    dict
        ``p``: of "none earns anything"; ``alternatives``, ``rows``, ``mean_block``, ``draws``; ``best``: kind and share
        of the largest studentised gain, with its expectancy in R a row traded, None where no alternative trades
        outcomes that differ.

    Raises
    ------
    ContractError
        Predictions are not of the dataset's select rows.

    Notes
    -----
    A row that is traded gains its R: entered and left as labelled, less the round trip of its row. Every row counts,
    also those that a position still open would pass over, so that what is compared is the same for all; the blocks of
    the stationary bootstrap, the root of the rows and two holds at least, cover the overlap.
    """
    tried: list[tuple[str, float, float]] = []
    gains: list[np.ndarray] = []
    for kind, table in sorted(predictions.items()):
        rows = join_rows(us(dataset["ts_us"]), dataset, of_role(table, "select"), "select")
        n = rows.ts.size
        signals, every = decide(rows.P, 0.0), np.arange(n)
        side = signals.side.astype(np.float64)
        move = exits_of(rows, every, side, rule, horizon) / rows.entry_price - 1.0
        r = (side * move - rows.cost) / (rows.sigma * math.sqrt(horizon))
        surest = np.argsort(-signals.confidence, kind="stable")
        for share in SHARES:
            taken = surest[: max(1, round(share * n))]
            gain = np.zeros(n)
            gain[taken] = r[taken]
            tried.append((kind, share, float(r[taken].mean())))
            gains.append(gain)
    mean_block = max(math.sqrt(len(gains[0])), 2.0 * (horizon + 1))
    found = superior_ability(np.column_stack(gains), mean_block=mean_block, B=draws, seed=seed)
    known = np.flatnonzero(np.isfinite(found.statistics))
    best = tried[known[np.argmax(found.statistics[known])]] if known.size else None
    return {
        "p": found.p_value,
        "alternatives": len(gains),
        "rows": len(gains[0]),
        "mean_block": mean_block,
        "draws": draws,
        "best": None if best is None else dict(zip(("kind", "share", "expectancy_r"), best, strict=True)),
    }
