"""Make one ensemble of any kind: combine the members, calibrate, measure and seal.

What is learned from the members is learned from their out-of-fold predictions in train, never from rows they were
fitted on; the ensemble's own calibration from the calibrate role, like any model's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scalper_ml.datasets.scaling import Scaler
from scalper_ml.ensembles.base import Combiner, EnsembleKind, Opinions, Past
from scalper_ml.ensembles.members import MembersClassifier, member_files
from scalper_ml.ensembles.registry import ensemble_kind
from scalper_ml.errors import ContractError, InsufficientDataError
from scalper_ml.models.base import FitContext, Floats, ModelParams
from scalper_ml.models.bundle import load_bundle
from scalper_ml.models.fitting import OutOfFold, Rows, TrainingData, among, training_data
from scalper_ml.models.sealing import Trained, TrainedModel, TrainOptions, seal_trained
from scalper_ml.schema import us
from scalper_ml.validation.metrics import base_rates

__all__ = ["train_ensemble"]


def train_ensemble(
    kind: str,
    members: Mapping[str, Mapping[str, bytes]],
    X: Floats,
    table: pa.Table,
    names: Sequence[str],
    params: ModelParams | None = None,
    *,
    seed: int,
    lineage: Mapping[str, Any],
    options: TrainOptions | None = None,
) -> TrainedModel:
    """Combine trained models into one.

    Parameters
    ----------
    kind : str
        A name of `ensemble_kinds`.
    members : mapping of name to bundle
        The files of each member's bundle, trained on this dataset; at least two.
    X : (n, f)
        Unscaled features of the dataset's rows; where members scale causally, as their normaliser gives them.
    table : pyarrow.Table
        DATASET, n rows in time order.
    names : sequence of str
        Of the columns of X; may hold more than the members use.
    params : ModelParams, optional
        Of the kind; its defaults otherwise.
    seed, lineage, options
        As for `train_model`.

    Raises
    ------
    ContractError
        Fewer than two members, or members of other features or of another dataset than the rest; they are named.
    InsufficientDataError
        No fold of train was predicted by all members.
    """
    spec, options = ensemble_kind(kind), options or TrainOptions()
    params = params or spec.params()
    if len(members) < 2:
        raise ContractError(f"{kind}: found members {sorted(members)}; expected at least two to combine")
    models = {member: load_bundle(files) for member, files in members.items()}
    own = _one_feature_set({member: model.names for member, model in models.items()}, kind)
    if absent := [name for name in own if name not in set(names)]:
        raise ContractError(f"{kind}: members use features {absent[:5]}, which are not among the columns of X")
    at = {name: place for place, name in enumerate(names)}
    data = training_data(np.asarray(X, dtype=np.float64)[:, [at[name] for name in own]], table, own)
    context = FitContext(horizon=int(lineage["horizon"]), seed=seed)
    past, rows, warnings = _past(data, members, kind)
    prior = base_rates(data.y[data.rows("train")])
    combiner = spec.fit(past.where(np.isin(past.y, data.classes)), tuple(models), prior, params, context)
    first = next(iter(models.values()))
    classifier = MembersClassifier(kind, models, combiner)
    trained = Trained(
        kind=kind,
        params=params.to_dict(),
        libraries=("numpy",),
        classifier=classifier,
        scaler=Scaler("none").fit(data.X[:1], own),
        normaliser=first.normaliser,
        feature_set=dict(first.manifest["feature_set"]),
        oof=_own_past(spec, data, past, rows, tuple(models), prior, params, context, combiner),
        files=classifier.files() | member_files(members),
        manifest={
            "members": {member: model.bundle_id for member, model in models.items()},
            "shares": dict(zip(models, combiner.shares().tolist(), strict=True)),
            "options": asdict(options),
            "selection": None,
        },
        warnings=tuple(warnings),
    )
    return seal_trained(trained, data, prior, lineage, context, options)


def _one_feature_set(names: Mapping[str, tuple[str, ...]], kind: str) -> tuple[str, ...]:
    first, *rest = names
    if other := [member for member in rest if names[member] != names[first]]:
        raise ContractError(
            f"{kind}: {', '.join(other)} use other features than {first}; expected one feature set for all members - "
            "train them again with the same settings"
        )
    return names[first]


def _past(data: TrainingData, members: Mapping[str, Mapping[str, bytes]], kind: str) -> tuple[Past, Rows, list[str]]:
    """What all members said out of fold, the dataset rows it is about, and what is missing from it."""
    found: dict[str, tuple[Rows, Rows, Floats]] = {}
    for member, files in members.items():
        table = pq.read_table(pa.BufferReader(files["predictions.parquet"]))
        fold = table["fold"].to_numpy().astype(np.int64)
        keep = fold >= 0
        P = np.column_stack([table[name].to_numpy() for name in ("p_short", "p_neutral", "p_long")])
        rows = np.searchsorted(data.ts, us(table["ts_us"])[keep])
        if not np.array_equal(data.ts[np.minimum(rows, data.ts.size - 1)], us(table["ts_us"])[keep]):
            raise ContractError(f"{kind}: member {member} predicted rows that the dataset has not; train it again")
        found[member] = rows, fold[keep], P[keep]
    common = np.array(sorted(set.intersection(*(set(rows.tolist()) for rows, _, _ in found.values()))), dtype=np.int64)
    if common.size == 0:
        raise InsufficientDataError(f"{kind}: no fold of train was predicted by all of {list(members)}")
    warnings = [
        f"{rows.size - common.size} out-of-fold rows of {member} are not used: other members have none there"
        for member, (rows, _, _) in found.items()
        if rows.size > common.size
    ]
    raw, folds = [], []
    for rows, fold, P in found.values():
        at = np.searchsorted(rows, common)
        raw.append(P[at])
        folds.append(fold[at])
    if any(not np.array_equal(folds[0], fold) for fold in folds[1:]):
        raise ContractError(f"{kind}: members {list(members)} were trained in different folds; train them again")
    return Past(np.stack(raw), data.y[common], data.weight[common], folds[0]), common, warnings


def _own_past(
    spec: EnsembleKind,
    data: TrainingData,
    past: Past,
    rows: Rows,
    members: tuple[str, ...],
    prior: Floats,
    params: ModelParams,
    context: FitContext,
    combiner: Combiner,
) -> OutOfFold:
    """Out-of-fold predictions of the ensemble itself; one that learns learns anew from earlier folds for each."""
    if not spec.learns:
        return OutOfFold(rows, past.fold, among(combiner.combine(Opinions(past.raw, past.raw)), data.classes), ())
    kept, P = [], []
    for number in np.unique(past.fold)[1:]:
        block = past.fold == number
        known = (past.fold < number) & (data.t1[rows] < data.t0[rows[block]].min()) & np.isin(past.y, data.classes)
        fitted = spec.fit(past.where(known), members, prior, params, context)
        said = past.where(block).raw
        kept.append(block)
        P.append(among(fitted.combine(Opinions(said, said)), data.classes))
    if not kept:
        raise InsufficientDataError(
            f"{spec.name}: one fold of out-of-fold predictions; expected two or more - raise splits.folds"
        )
    chosen = np.logical_or.reduce(kept)
    return OutOfFold(rows[chosen], past.fold[chosen], np.concatenate(P), ())
