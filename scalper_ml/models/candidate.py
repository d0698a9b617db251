"""Choose the model or ensemble to be scored, on the select role and nowhere else."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scalper_ml.errors import ContractError, InsufficientDataError
from scalper_ml.labels.horizon import learned_classes
from scalper_ml.models.sealing import TrainedModel
from scalper_ml.schema import us
from scalper_ml.validation.bootstrap import (
    block_ids,
    block_sums,
    blocks,
    bootstrap,
    draw_weights,
    lcb,
    standard_error,
    ucb,
)
from scalper_ml.validation.metrics import (
    balanced_accuracy,
    base_rates,
    brier,
    confusion_matrix,
    directional_accuracy,
    log_loss,
)

__all__ = ["choose_candidate"]

_DRAWS = 1_000
_TINY = 1e-15


def choose_candidate(
    models: Mapping[str, TrainedModel | pa.Table],
    table: pa.Table,
    *,
    horizon: int = 1,
    seed: int = 0,
    complexity: Mapping[str, int] | None = None,
) -> tuple[str, list[dict[str, Any]]]:
    """The simplest kind within a standard error of the least log loss on the select role, and the comparison.

    Parameters
    ----------
    models : mapping of kind to TrainedModel or PREDICTIONS table
        Only rows of role select with fold -1 are looked at.
    table : pyarrow.Table
        DATASET; base rates come from its train role.
    horizon : int
        Label length in rows: sets the time blocks of the intervals.
    seed : int
        Of the bootstrap.
    complexity : mapping of kind to int, optional
        The larger the less simple; kinds that are not named are as simple as any, and then the least loss decides.

    Returns
    -------
    kind : str
    comparison : list of dict
        One row a kind, best first: ``kind``, ``rows``, ``log_loss`` beside ``log_loss_base``, ``log_loss_skill``,
        ``brier_skill``, ``balanced_accuracy``, ``directional_accuracy`` of the sides taken, ``behind``: how much more
        log loss a row than the best has, its standard error ``behind_se`` and a 95 % ``behind_ci`` of time blocks
        (None for the best and where blocks are too few), ``as_good``: behind by no more than its standard error,
        ``beats_base``, ``chosen``. Equal losses are ordered by name.

    Notes
    -----
    The least of several noisy losses is no better than the next within its error, and would be another one a week
    later. Among kinds that cannot be told apart the simplest is chosen, of equally simple ones that of least loss: it
    changes less often, answers sooner and is easier to explain. The error is that of the difference, row by row.

    A chosen model that does not beat the base rates is still returned, with ``beats_base`` false: the gate
    judges it, and a refusal there comes with its reasons.

    References
    ----------
    Breiman, Friedman, Olshen, Stone (1984), Classification and regression trees, 3.4.3: the one-standard-error rule.

    Raises
    ------
    InsufficientDataError
        There is no model.
    ContractError
        A model's select rows are not exactly those of the dataset.
    """
    if not models:
        raise InsufficientDataError("candidate: no model to choose from; train at least one kind first")
    role = np.asarray(table.column("role").to_pylist(), dtype=np.str_)
    y = table.column("y").to_numpy().astype(np.int64)
    known = np.isin(y, learned_classes(y, table.column("y_binary").to_numpy()))
    rates, select = base_rates(y[known & (role == "train")]), role == "select"
    ts, judged = us(table.column("ts_us"))[select], known[select]
    ret, outcome = table.column("ret").to_numpy()[select][judged], y[select][judged]
    said = {kind: _select(kind, model, ts)[judged] for kind, model in sorted(models.items())}
    rows = [{"kind": kind} | _compare(P, outcome, ret, rates) for kind, P in said.items()]
    rows.sort(key=lambda row: row["log_loss"])
    least = _losses(said[str(rows[0]["kind"])], outcome)
    for place, row in enumerate(rows):
        more = _losses(said[str(row["kind"])], outcome) - least
        row["behind"] = float(more.mean())
        row["behind_se"], row["behind_ci"] = (None, None) if place == 0 else _uncertainty(more, horizon, seed)
        row["as_good"] = row["behind"] <= (row["behind_se"] or 0.0)
    simple = complexity or {}
    alike = [row for row in rows if row["as_good"]]
    best = str(min(alike, key=lambda row: simple.get(str(row["kind"]), 0))["kind"])  # the first of equals: least loss
    for row in rows:
        row["chosen"] = row["kind"] == best
    return best, rows


def _losses(P: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.asarray(-np.log(np.maximum(P[np.arange(y.size), y], _TINY)))


def _uncertainty(values: np.ndarray, horizon: int, seed: int) -> tuple[float | None, list[float] | None]:
    """Standard error and 95 % interval of a mean over rows in time order, by a bootstrap of time blocks."""
    n = blocks(values.size, horizon)
    sums = block_sums(np.column_stack([values, np.ones(values.size)]), block_ids(values.size, n), n)
    mean, draws = bootstrap(sums, lambda totals: totals[..., 0] / totals[..., 1], draw_weights(n, _DRAWS, seed))
    error, bounds = standard_error(draws), [lcb(mean, draws, 0.025, n), ucb(mean, draws, 0.025, n)]
    return (
        error if math.isfinite(error) else None,
        bounds if all(math.isfinite(bound) for bound in bounds) else None,
    )


def _select(kind: str, model: TrainedModel | pa.Table, ts: np.ndarray) -> np.ndarray:
    predictions = model.predictions if isinstance(model, TrainedModel) else model
    own = predictions.filter(pc.and_(pc.equal(predictions["role"], "select"), pc.equal(predictions["fold"], -1)))
    if not np.array_equal(us(own.column("ts_us")), ts):
        raise ContractError(
            f"candidate {kind!r}: found {own.num_rows} select predictions; expected the {ts.size} select rows of the "
            "dataset, in time order - train the model on this dataset again"
        )
    return np.column_stack([own.column(name).to_numpy() for name in ("p_short", "p_neutral", "p_long")])


def _compare(P: np.ndarray, y: np.ndarray, ret: np.ndarray, rates: np.ndarray) -> dict[str, Any]:
    loss, base = log_loss(y, P), log_loss(y, rates)
    return {
        "rows": int(y.size),
        "log_loss": loss,
        "log_loss_base": base,
        "log_loss_skill": 1.0 - loss / base,
        "brier_skill": 1.0 - brier(y, P) / brier(y, rates),
        "balanced_accuracy": float(balanced_accuracy(confusion_matrix(y, P.argmax(axis=1)))),
        "directional_accuracy": directional_accuracy(P.argmax(axis=1), ret)["da_traded"],
        "beats_base": bool(loss < base),
    }
