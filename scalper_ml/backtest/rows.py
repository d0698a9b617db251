"""The rows a backtest may use: of one role, out of sample, matched to their bars."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scalper_ml.errors import ContractError
from scalper_ml.schema import Role, us

__all__ = ["Rows", "floats", "join_rows", "of_role"]

_OUT_OF_SAMPLE: Final = ("select", "score")


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one role joined to their bars; every array has shape (n,)."""

    ts: np.ndarray
    bar: np.ndarray
    y: np.ndarray
    sigma: np.ndarray
    entry_price: np.ndarray
    exit_price: np.ndarray
    t1: np.ndarray
    P: np.ndarray
    y_binary: np.ndarray
    cost: np.ndarray


def of_role(predictions: pa.Table, role: Role) -> pa.Table:
    """The out-of-sample rows of one role: what `run_backtest` accepts.

    For ``train`` these are the out-of-fold rows (``fold >= 0``); for the later roles the final
    model's rows (``fold == -1``).
    """
    out_of_fold = predictions.column("fold").to_numpy() >= 0
    return predictions.filter(pa.array(_equals(predictions, "role", role) & (out_of_fold == (role == "train"))))


def floats(table: pa.Table, name: str) -> np.ndarray:
    """One column as float64, shape (n,), NaN where null."""
    return np.asarray(table.column(name).to_numpy(), dtype=np.float64)


def _equals(table: pa.Table, name: str, value: str) -> np.ndarray:
    return np.asarray(pc.equal(table.column(name), value).to_numpy(zero_copy_only=False), dtype=bool)


def join_rows(close_ts: np.ndarray, dataset: pa.Table, predictions: pa.Table, role: Role) -> Rows:
    """Match predictions to dataset rows and bars; refuse whatever is not out of sample."""
    ts = _check_predictions(predictions, role)
    data_ts = us(dataset.column("ts_us"))
    _sorted(data_ts, "dataset")
    _sorted(close_ts, "bars")
    row = _positions(data_ts, ts, "dataset rows")
    bar = _positions(close_ts, ts, "bars")
    of_this_role = _equals(dataset, "role", role)
    if (strange := ~of_this_role[row]).any():
        where = int(np.flatnonzero(strange)[0])
        found = dataset.column("role")[int(row[where])].as_py()
        raise ContractError(
            f"backtest of role {role!r}: {int(strange.sum())} of {ts.size} predictions are rows of another role in the "
            f"dataset, first {ts[where]} us is {found!r}; pass predictions made from this dataset"
        )
    if role != "train" and ts.size != (expected := int(of_this_role.sum())):
        raise ContractError(
            f"backtest of role {role!r}: {ts.size} predictions for {expected} rows of the dataset; "
            "expected one each - a backtest on chosen rows is no backtest"
        )
    sigma = floats(dataset, "sigma")[row]
    if (flat := ~(np.isfinite(sigma) & (sigma > 0))).any():
        raise ContractError(
            f"backtest of role {role!r}: sigma is not positive on {int(flat.sum())} of {ts.size} rows, first at "
            f"{ts[np.flatnonzero(flat)[0]]} us; risk = sigma * sqrt(horizon) is undefined there"
        )
    return Rows(
        ts=ts,
        bar=bar,
        y=dataset.column("y").to_numpy()[row],
        sigma=sigma,
        entry_price=floats(dataset, "entry_price")[row],
        exit_price=floats(dataset, "exit_price")[row],
        t1=us(dataset.column("t1_us"))[row],
        P=np.column_stack([floats(predictions, name) for name in ("p_short", "p_neutral", "p_long")]),
        y_binary=dataset.column("y_binary").to_numpy()[row],
        cost=floats(dataset, "cost")[row],
    )


def _check_predictions(predictions: pa.Table, role: Role) -> np.ndarray:
    """The stamps of predictions that are all of `role` and out of sample."""
    if role not in (*_OUT_OF_SAMPLE, "train"):
        raise ContractError(
            f"backtest: role {role!r} was used for fitting; expected one of {[*_OUT_OF_SAMPLE, 'train']}"
        )
    found = sorted(predictions.column("role").unique().to_pylist())
    if found != [role]:
        raise ContractError(
            f"backtest of role {role!r}: found predictions of {found or 'no role (no rows)'}; use of_role()"
        )
    fold = predictions.column("fold").to_numpy()
    in_sample = (fold < 0) if role == "train" else (fold >= 0)
    if in_sample.any():
        raise ContractError(
            f"backtest of role {role!r}: {int(in_sample.sum())} of {fold.size} predictions have fold "
            f"{np.unique(fold[in_sample]).tolist()}, in sample or of another model; expected fold >= 0 on train, "
            "-1 elsewhere: use of_role()"
        )
    ts = us(predictions.column("ts_us"))
    _sorted(ts, "predictions")
    return ts


def _sorted(ts: np.ndarray, what: str) -> None:
    if (np.diff(ts) <= 0).any():
        raise ContractError(f"backtest: {what} are not strictly increasing in ts_us; sort them and drop duplicates")


def _positions(sorted_ts: np.ndarray, wanted: np.ndarray, what: str) -> np.ndarray:
    """Index of each wanted stamp in `sorted_ts`."""
    where = np.minimum(np.searchsorted(sorted_ts, wanted), max(sorted_ts.size - 1, 0))
    missing = sorted_ts[where] != wanted if sorted_ts.size else np.ones(wanted.size, bool)
    if missing.any():
        raise ContractError(
            f"backtest: {int(missing.sum())} of {wanted.size} predictions have no counterpart among the {what}, "
            f"first at {wanted[np.flatnonzero(missing)[0]]} us; they were made from other data"
        )
    return where
