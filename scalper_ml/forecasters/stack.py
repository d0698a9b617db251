"""Stacking of forecasters of one number: a ridge regression learns from out-of-fold forecasts how far to trust each.

The members lie whole inside the stack's bundle as ``<member>.<file>``, byte for byte, each verified as it would be
alone.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scalper_ml.datasets.scaling import Scaler
from scalper_ml.durable import canonical_json
from scalper_ml.errors import BundleError, ContractError, InsufficientDataError
from scalper_ml.forecasters.base import Rows
from scalper_ml.forecasters.bundle import Forecast, load_forecast
from scalper_ml.forecasters.data import ForecastData, forecast_data
from scalper_ml.forecasters.sealing import OutOfFold, Trained, TrainedForecast, seal_trained
from scalper_ml.forecasters.training import ForecastOptions
from scalper_ml.models.base import FitContext, Floats, ModelParams
from scalper_ml.schema import us

__all__ = ["RidgeParams", "RidgeStack", "load_stack", "train_stack"]

_FILE: Final = "stack.json"


@dataclass(frozen=True, slots=True)
class RidgeParams(ModelParams):
    """Parameters of the regression.

    Parameters
    ----------
    reg_lambda : float
        Penalty of a member's share departing from an even one, in standardised forecasts, against rows that each count
        as one part in ``horizon``.
    """

    reg_lambda: float = 100.0

    def __post_init__(self) -> None:
        self._number("reg_lambda", 0.0, 1e9, above=True)


@dataclass(frozen=True, slots=True)
class RidgeStack:
    """``intercept + shares @ forecasts`` over members that scale for themselves; inputs are unscaled.

    Parameters
    ----------
    members : mapping of name to Forecast
    shares : tuple of float
        A member each, in their order; they need not sum to 1: forecasts of noise are drawn towards nothing.
    intercept : float
    """

    members: Mapping[str, Forecast]
    shares: tuple[float, ...]
    intercept: float

    @property
    def best_iteration(self) -> None:
        """None: the rounds are the members'."""
        return None

    @property
    def curve(self) -> tuple[float, ...]:
        """Empty: the rounds are the members'."""
        return ()

    def predict(self, X: Floats, at: Rows) -> Floats:
        """Numbers (m,) in units of the target."""
        said = np.column_stack([member.predict(X, at) for member in self.members.values()])
        return np.asarray(self.intercept + np.add.reduce(said * np.array(self.shares), axis=1), dtype=np.float64)

    def files(self) -> dict[str, bytes]:
        """Who the members are and how much each counts."""
        said = {"members": list(self.members), "shares": list(self.shares), "intercept": self.intercept}
        return {_FILE: canonical_json(said)}

    def importance(self) -> Floats | None:
        """Mean over the members that have shares of features, weighted by how much they count; None where none has."""
        sizes = np.abs(self.shares) if np.any(self.shares) else np.ones(len(self.shares))
        found = [(size, one.forecaster.importance()) for size, one in zip(sizes, self.members.values(), strict=True)]
        known = [(size, own) for size, own in found if own is not None]
        if not known:
            return None
        total = np.sum([size * own for size, own in known], axis=0)
        return np.asarray(total / total.sum() if total.sum() > 0 else total, dtype=np.float64)

    def contributions(self, X: Floats, seen: Floats) -> None:
        """None: permutations tell."""
        return None


def train_stack(
    members: Mapping[str, Mapping[str, bytes]],
    X: Floats,
    table: pa.Table,
    targets: pa.Table,
    names: Sequence[str],
    params: RidgeParams | None = None,
    *,
    seed: int,
    interval_us: int,
    past: Floats | None = None,
    lineage: Mapping[str, Any],
    options: ForecastOptions | None = None,
) -> TrainedForecast:
    """Combine trained forecasters of one target into one.

    Parameters
    ----------
    members : mapping of name to bundle
        The files of each member's bundle, trained on this dataset; at least two.
    X, table, targets, names, past, interval_us, seed, lineage, options
        As for `train_forecaster`.

    Raises
    ------
    ContractError
        Fewer than two members, or members of other features, another target or classes; they are named.
    InsufficientDataError
        No row of train was forecast by all members out of fold, in two folds or more.
    """
    options, params = options or ForecastOptions(), params or RidgeParams()
    if len(members) < 2:
        raise ContractError(f"ridge stack: found members {sorted(members)}; expected at least two to combine")
    models = {name: load_forecast(files, names=names) for name, files in members.items()}
    first = next(iter(models.values()))
    if other := [name for name, one in models.items() if one.target.column != first.target.column]:
        raise ContractError(f"ridge stack: {other} forecast another target than {first.target.name}; leave them out")
    if not first.target.number:
        raise ContractError(f"ridge stack: {first.target.name} is no number; stack classifiers with ensembles.kinds")
    data = forecast_data(X, table, targets, names, first.target, interval_us=interval_us, past=past)
    context = FitContext(horizon=int(lineage["horizon"]), seed=seed)
    rows, fold, said = _past(data, members)
    shares, intercept = _ridge(said, data.y[rows], data.weight[rows], context.horizon, params.reg_lambda)
    stack = RidgeStack(models, tuple(shares.tolist()), intercept)
    oof = _own_past(data, rows, fold, said, context.horizon, params.reg_lambda, first)
    trained = Trained(
        kind="ridge_stack",
        aim=first.target,
        libraries=(),
        forecaster=stack,
        files=stack.files()
        | {f"{name}.{file}": content for name, of in members.items() for file, content in of.items()},
        scaler=Scaler("none").fit(data.X[:1], names),
        normaliser=first.normaliser,
        center=0.0,
        scale=1.0,
        lookback=max(one.lookback for one in models.values()),
        oof=oof,
        manifest={
            "params": params.to_dict(),
            "options": asdict(options),
            "feature_set": dict(first.manifest["feature_set"]),
            "best_iteration": None,
            "learning_curve": [],
            "members": {name: one.bundle_id for name, one in models.items()},
            "shares": dict(zip(models, shares.tolist(), strict=True)),
        },
    )
    return seal_trained(
        trained, data, lineage, context, golden_rows=options.golden_rows, permuted_rows=options.permuted_rows
    )


def _past(data: ForecastData, members: Mapping[str, Mapping[str, bytes]]) -> tuple[Rows, Rows, Floats]:
    """Rows that all members forecast out of fold, their folds, and what was said (rows, members)."""
    found: dict[str, tuple[Rows, Rows, Floats]] = {}
    for name, files in members.items():
        table = pq.read_table(pa.BufferReader(files["predictions.parquet"]))
        fold = table["fold"].to_numpy().astype(np.int64)
        rows = np.searchsorted(data.ts, us(table["ts_us"])[fold >= 0])
        if not np.array_equal(data.ts[np.minimum(rows, data.ts.size - 1)], us(table["ts_us"])[fold >= 0]):
            raise ContractError(f"ridge stack: {name} forecast rows that the dataset has not; train it again")
        found[name] = rows, fold[fold >= 0], table["forecast"].to_numpy()[fold >= 0]
    common = np.array(sorted(set.intersection(*(set(rows.tolist()) for rows, _, _ in found.values()))), dtype=np.int64)
    if common.size == 0:
        raise InsufficientDataError(f"ridge stack: no row of train was forecast out of fold by all of {list(found)}")
    places = {name: np.searchsorted(rows, common) for name, (rows, _, _) in found.items()}
    folds = [found[name][1][at] for name, at in places.items()]
    if any(not np.array_equal(folds[0], other) for other in folds[1:]):
        raise ContractError(f"ridge stack: members {list(found)} were trained in different folds; train them again")
    return common, folds[0], np.column_stack([found[name][2][at] for name, at in places.items()])


def _ridge(said: Floats, y: Floats, weight: Floats, horizon: int, reg_lambda: float) -> tuple[Floats, float]:
    """Shares of the members and an intercept: weighted least squares, drawn towards even shares that sum to 1."""
    w = weight / horizon
    middle, aim = np.average(said, axis=0, weights=w), np.average(y, weights=w)
    away, rest = said - middle, y - aim
    scale = np.sqrt(np.average(away**2, axis=0, weights=w))
    scale[scale == 0] = 1.0
    Z, even = away / scale, np.full(said.shape[1], 1.0 / said.shape[1])
    left = (Z * w[:, None]).T @ Z + reg_lambda * np.eye(said.shape[1])
    right = (Z * w[:, None]).T @ rest + reg_lambda * (even * scale)
    shares = np.linalg.solve(left, right) / scale
    return shares, float(aim - middle @ shares)


def _own_past(
    data: ForecastData, rows: Rows, fold: Rows, said: Floats, horizon: int, reg_lambda: float, first: Forecast
) -> OutOfFold:
    """Out-of-fold forecasts of the stack itself: for each fold it learns anew from earlier ones."""
    kept, values, base = [], [], []
    for number in np.unique(fold)[1:]:
        block = fold == number
        known = (fold < number) & (data.t1[rows] < data.t0[rows[block]].min())
        shares, intercept = _ridge(said[known], data.y[rows[known]], data.weight[rows[known]], horizon, reg_lambda)
        kept.append(block)
        values.append(intercept + said[block] @ shares)
        before = data.rows("train")
        before = before[data.t1[before] < data.t0[rows[block]].min()]
        base.append(data.baseline(first.target, before)[rows[block]])
    if not kept:
        raise InsufficientDataError("ridge stack: one fold of out-of-fold forecasts; expected two - raise splits.folds")
    chosen = np.logical_or.reduce(kept)
    return OutOfFold(rows[chosen], fold[chosen], np.concatenate(values), np.concatenate(base), ())


def load_stack(files: Mapping[str, bytes], manifest: Mapping[str, Any]) -> RidgeStack:
    """The stack in a bundle, each member verified.

    Raises
    ------
    BundleError
        ``stack.json`` cannot be read, or a member's bundle is not what it was; the member is named.
    """
    try:
        said = json.loads(files[_FILE])
        ids = {str(name): manifest["members"][name] for name in said["members"]}
        shares, intercept = tuple(map(float, said["shares"])), float(said["intercept"])
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{_FILE}: missing or not what was sealed ({error!r}); train the stack again") from error
    models = {}
    for name, bundle_id in ids.items():
        own = {file.removeprefix(f"{name}."): data for file, data in files.items() if file.startswith(f"{name}.")}
        try:
            models[name] = load_forecast(own, names=manifest["feature_set"]["names"], bundle_id=bundle_id)
        except BundleError as error:
            raise BundleError(f"{name}.{error}") from error
    return RidgeStack(models, shares, intercept)
