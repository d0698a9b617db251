"""Fit a kind on the rows of a dataset: once for good, and once a walk-forward fold."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from scalper_ml.datasets.scaling import Scaler
from scalper_ml.datasets.splits import inner_tail, walk_forward
from scalper_ml.errors import ContractError, InsufficientDataError
from scalper_ml.labels.horizon import learned_classes
from scalper_ml.models.base import Batch, Classifier, FitContext, Floats, ModelKind, ModelParams
from scalper_ml.schema import CLASSES, DATASET, ROLES, conform, us

__all__ = ["OutOfFold", "TrainingData", "among", "fit_rows", "out_of_fold", "training_data"]

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TrainingData:
    """The columns of a dataset that training reads, as arrays of n rows in time order; X is unscaled.

    `classes` are the codes that are learned, as `learned_classes` has them. Rows of none of them (flat ones, where
    there is no NEUTRAL) are predicted and traded like all others; nothing is fitted to them or measured on them.
    """

    X: Floats
    y: Rows
    weight: Floats
    ret: Floats
    ts: Rows
    t0: Rows
    t1: Rows
    role: npt.NDArray[np.str_]
    classes: tuple[int, ...]

    def rows(self, role: str) -> Rows:
        """Row numbers of a role whose outcome is one of the classes, ascending."""
        return self.known(self.every(role))

    def every(self, role: str) -> Rows:
        """Row numbers of a role, ascending, whatever their outcome."""
        return np.flatnonzero(self.role == role)

    def known(self, rows: Rows) -> Rows:
        """Those of the rows whose outcome is one of the classes."""
        return rows[np.isin(self.y[rows], self.classes)]


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """Raw predictions of train rows by models that saw only earlier ones."""

    rows: Rows
    fold: Rows
    P: Floats
    skipped: tuple[str, ...]


def training_data(X: Floats, table: pa.Table, names: Sequence[str]) -> TrainingData:
    """Features and dataset side by side.

    Raises
    ------
    ContractError
        Rows, columns or names do not agree.
    InsufficientDataError
        A role has no rows.
    """
    table = conform(table, DATASET, "dataset")
    values = np.asarray(X, dtype=np.float64)
    if values.shape != (table.num_rows, len(names)):
        raise ContractError(
            f"training: found X of shape {values.shape}; expected ({table.num_rows}, {len(names)}), "
            "a row a label and a column a feature name"
        )
    column = {name: table.column(name).to_numpy() for name in ("y", "weight", "ret", "role")}
    data = TrainingData(
        X=values,
        y=column["y"].astype(np.int64),
        weight=column["weight"].astype(np.float64),
        ret=column["ret"].astype(np.float64),
        ts=us(table.column("ts_us")),
        t0=us(table.column("t0_us")),
        t1=us(table.column("t1_us")),
        role=column["role"].astype(np.str_),
        classes=learned_classes(column["y"], table.column("y_binary").to_numpy()),
    )
    for role in ROLES:
        if data.rows(role).size == 0:
            raise InsufficientDataError(f"training: role {role!r} has no rows of {table.num_rows}; bring more bars")
    return data


def fit_rows(
    kind: ModelKind,
    data: TrainingData,
    rows: Rows,
    scaler: Scaler,
    params: ModelParams,
    context: FitContext,
    stop_share: float,
) -> Classifier:
    """Fit on `rows`, stopping early on their inner purged tail.

    Raises
    ------
    InsufficientDataError
        A class of the dataset does not occur among the rows left to fit on.
    """
    rows = data.known(rows)
    learn, stop = inner_tail(data.t0[rows], data.t1[rows], stop_share)
    found = np.bincount(data.y[rows[learn]], minlength=len(CLASSES))
    if missing := [CLASSES[code] for code in data.classes if found[code] == 0]:
        counts = {CLASSES[code]: int(found[code]) for code in data.classes}
        raise InsufficientDataError(
            f"training {kind.name}: class {' and '.join(missing)} does not occur in the {learn.size} rows to fit on "
            f"({counts}); expected all {len(data.classes)} - bring more bars or a smaller deadband"
        )
    return kind.fit(_batch(data, rows[learn], scaler), _batch(data, rows[stop], scaler), params, context)


def out_of_fold(
    kind: ModelKind,
    data: TrainingData,
    scaler: Scaler,
    params: ModelParams,
    context: FitContext,
    *,
    n_folds: int,
    stop_share: float,
    choose: Callable[[Rows, FitContext], Rows] | None = None,
) -> OutOfFold:
    """Predict every block of train but the first by a model fitted on what was known before it.

    The scaler is fitted anew in each fold, and so are the columns chosen, if there is `choose`: called with the rows
    the fold may know, it gives the columns the fold's model sees. A fold that cannot be fitted is left out and named.

    Raises
    ------
    InsufficientDataError
        No fold could be fitted.
    """
    train = data.every("train")
    rows, fold, P, skipped = [], [], [], []
    for number, (seen, unseen) in enumerate(walk_forward(data.t0[train], data.t1[train], n_folds=n_folds)):
        own = dataclasses.replace(context, seed=context.seed + 1 + number)
        try:
            columns = np.arange(data.X.shape[1]) if choose is None else choose(data.known(train[seen]), own)
            mine = data if choose is None else dataclasses.replace(data, X=data.X[:, columns])
            named = [scaler.names[j] for j in columns.tolist()]
            scaling = scaler.unfitted().fit(mine.X, named, rows=train[seen])
            model = fit_rows(kind, mine, train[seen], scaling, params, own, stop_share)
        except InsufficientDataError as error:
            skipped.append(f"fold {number} left out: {error}")
            continue
        rows.append(train[unseen])
        fold.append(np.full(unseen.size, number))
        P.append(among(model.predict_proba(scaling.transform(mine.X[train[unseen]])), data.classes))
    if not rows:
        raise InsufficientDataError(
            f"training {kind.name}: none of {n_folds} folds could be fitted - {'; '.join(skipped)}"
        )
    return OutOfFold(np.concatenate(rows), np.concatenate(fold), np.concatenate(P), tuple(skipped))


def among(P: Floats, classes: Sequence[int]) -> Floats:
    """Probabilities (n, 3) with nothing left on other classes, rows summing to 1; the same array where there are none.

    Examples
    --------
    >>> among(np.array([[0.3, 0.4, 0.3]]), (0, 2)).tolist()
    [[0.5, 0.0, 0.5]]
    """
    if len(classes) == P.shape[1]:
        return P
    kept = np.zeros_like(P)
    kept[:, list(classes)] = P[:, list(classes)]
    return np.asarray(kept / kept.sum(axis=1, keepdims=True), dtype=np.float64)


def _batch(data: TrainingData, rows: Rows, scaler: Scaler) -> Batch:
    return Batch(scaler.transform(data.X[rows]), data.y[rows], data.weight[rows])
