"""Choose the model to be scored, on the select role and nowhere else."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scalper_ml.errors import ContractError, InsufficientDataError
from scalper_ml.models.train import TrainedModel
from scalper_ml.schema import us
from scalper_ml.validation.metrics import balanced_accuracy, base_rates, brier, confusion_matrix, log_loss

__all__ = ["choose_candidate"]


def choose_candidate(
    models: Mapping[str, TrainedModel | pa.Table], table: pa.Table
) -> tuple[str, list[dict[str, Any]]]:
    """The kind of least log loss on the select role, and the comparison that chose it.

    Parameters
    ----------
    models : mapping of kind to TrainedModel or PREDICTIONS table
        Only rows of role select with fold -1 are looked at.
    table : pyarrow.Table
        DATASET; base rates come from its train role.

    Returns
    -------
    kind : str
    comparison : list of dict
        One row a kind, best first: ``kind``, ``rows``, ``log_loss`` beside ``log_loss_base``, ``log_loss_skill``,
        ``brier_skill``, ``balanced_accuracy``, ``beats_base``, ``chosen``. Equal losses are ordered by name.

    Notes
    -----
    A best model that does not beat the base rates is still returned, with ``beats_base`` false: the gate
    judges it, and a refusal there comes with its reasons.

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
    rates, select = base_rates(y[role == "train"]), role == "select"
    ts = us(table.column("ts_us"))[select]
    rows = [
        {"kind": kind} | _compare(_select(kind, model, ts), y[select], rates) for kind, model in sorted(models.items())
    ]
    rows.sort(key=lambda row: row["log_loss"])
    for place, row in enumerate(rows):
        row["chosen"] = place == 0
    return str(rows[0]["kind"]), rows


def _select(kind: str, model: TrainedModel | pa.Table, ts: np.ndarray) -> np.ndarray:
    predictions = model.predictions if isinstance(model, TrainedModel) else model
    own = predictions.filter(pc.and_(pc.equal(predictions["role"], "select"), pc.equal(predictions["fold"], -1)))
    if not np.array_equal(us(own.column("ts_us")), ts):
        raise ContractError(
            f"candidate {kind!r}: found {own.num_rows} select predictions; expected the {ts.size} select rows of the "
            "dataset, in time order - train the model on this dataset again"
        )
    return np.column_stack([own.column(name).to_numpy() for name in ("p_short", "p_neutral", "p_long")])


def _compare(P: np.ndarray, y: np.ndarray, rates: np.ndarray) -> dict[str, Any]:
    loss, base = log_loss(y, P), log_loss(y, rates)
    return {
        "rows": int(y.size),
        "log_loss": loss,
        "log_loss_base": base,
        "log_loss_skill": 1.0 - loss / base,
        "brier_skill": 1.0 - brier(y, P) / brier(y, rates),
        "balanced_accuracy": float(balanced_accuracy(confusion_matrix(y, P.argmax(axis=1)))),
        "beats_base": bool(loss < base),
    }
