"""Datasets: labels, roles, weights and a train-only scaler over the rows of a feature set."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from scalper_ml.datasets.causal import EwmaNormaliser
from scalper_ml.datasets.labelling import Tape, in_flight_until, label_bars
from scalper_ml.datasets.scaling import SCALERS, Scaler, ScalerKind
from scalper_ml.datasets.splits import assign_roles, role_counts
from scalper_ml.datasets.summary import summarise
from scalper_ml.datasets.weighting import row_weights, straightness, uniqueness_by_role
from scalper_ml.errors import ContractError, FeatureSetError, InsufficientDataError, SettingsError
from scalper_ml.labels.horizon import (
    Barriers,
    LabelKind,
    LabelParams,
    Labels,
    PriceRule,
    label_version,
    learned_classes,
)
from scalper_ml.schema import CLASSES, DATASET, conform, stamps, us

__all__ = ["SIGMA_COLUMN", "Dataset", "DatasetParams", "build_dataset"]

F64 = NDArray[np.float64]
SIGMA_COLUMN: Final = "ewma_vol_97"
"""Feature that measures volatility for deadbands and risk units; a plain fraction, in every feature set."""


@dataclass(frozen=True, slots=True)
class DatasetParams:
    """How bars and features become a dataset.

    Parameters
    ----------
    horizon : int
        Bars between signal and exit.
    interval_us : int
        Length of a bar, microseconds.
    k_vol, kappa : float
        Deadband in units of the horizon's volatility and of the round-trip cost.
    cost : float
        Round-trip cost, a fraction of notional.
    max_gap_bars : int
        Intervals by which the entry or exit bar may come late.
    min_rows : int
        Fewest label rows, over all roles.
    calibrate_size, select_size, test_size : float
        Shares of the label rows for the later roles; `test_size` is the score role's.
    scaler : {"zscore", "minmax", "robust", "ewma", "none"}
    winsor : float
        Share of the train rows beyond each winsor limit; 0: no limits.
    ewma_halflife : float
        Bars; of the scaler ``ewma``, whose first so many warm bars are not labelled.
    seed : int
        Recorded for the training that follows; nothing here is random.
    max_class_share : float
        Largest share of one class in train that a check should accept; recorded, not enforced.
    cost_schedule : tuple of (str, float)
        The numbers behind a cost given by row, by name; part of the label version.
    kind, price, latency_us, barriers
        As in `LabelParams`.
    attribution, decay
        As in `sample_weights`; of the train rows.
    class_balance : float
        Beta of `class_weights`, measured on train; 0 leaves the weights as they are.
    trend : float
        Power, >= 0, of the ``|t|`` of the straightest line of `trend_labels` that ends with the label, in the weight of
        train rows; 0 leaves the weights as they are. Labels on opens alone.
    """

    horizon: int
    interval_us: int
    k_vol: float = 0.43
    kappa: float = 1.0
    cost: float = 0.0
    max_gap_bars: int = 0
    min_rows: int = 1000
    calibrate_size: float = 0.1
    select_size: float = 0.15
    test_size: float = 0.2
    scaler: ScalerKind = "none"
    winsor: float = 0.0
    ewma_halflife: float = 1440.0
    seed: int = 0
    max_class_share: float = 0.9
    cost_schedule: tuple[tuple[str, float], ...] = ()
    kind: LabelKind = "fixed"
    price: PriceRule = "open"
    latency_us: int = 0
    barriers: Barriers = field(default_factory=Barriers)
    attribution: float = 0.0
    decay: float = 1.0
    class_balance: float = 0.0
    trend: float = 0.0

    def __post_init__(self) -> None:
        if self.scaler not in SCALERS:
            raise SettingsError(f"dataset: unknown scaler {self.scaler!r}; expected one of {', '.join(SCALERS)}")
        if not (np.isfinite(self.cost) and self.cost >= 0):
            raise SettingsError(f"dataset: cost is {self.cost!r}; expected a finite fraction >= 0")
        straight = self.kind != "triple_barrier" and self.price == "open" and self.horizon >= 2
        if not (np.isfinite(self.trend) and self.trend >= 0) or (self.trend and not straight):
            raise SettingsError(
                f"dataset: trend is {self.trend!r} with {self.kind} on {self.price}, horizon {self.horizon}; expected "
                "0, or a power above it for a fixed horizon of 2 bars or more on opens"
            )

    @property
    def labels(self) -> LabelParams:
        """The part that decides labels."""
        schedule = dict(self.cost_schedule) or {"round_trip": self.cost}
        return LabelParams(
            self.horizon,
            self.interval_us,
            self.k_vol,
            self.kappa,
            schedule,
            self.max_gap_bars,
            self.kind,
            self.price,
            self.latency_us,
            self.barriers,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what a fixed horizon on opens with plain weights does not use is left out."""
        unused = set()
        if self.kind != "triple_barrier":
            unused |= {"barriers"}
        if self.price == "open":
            unused |= {"latency_us"}
        plain = ("kind", "price", "attribution", "decay", "class_balance", "trend")
        unused |= {one.name for one in fields(self) if one.name in plain and getattr(self, one.name) == one.default}
        values = {**asdict(self), "cost_schedule": dict(self.cost_schedule)}
        return {name: value for name, value in values.items() if name not in unused}


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Label rows in time order and what belongs to them.

    ``table`` is a DATASET table of m rows; ``rows`` (m,) their positions in the bars and features; ``scaler`` is
    fitted on the train rows; ``normaliser``, of the scaler ``ewma`` alone, stands after the last warm bar;
    ``summary`` holds plain values: see `build_dataset`; ``labels`` are those of the rows.
    """

    table: pa.Table
    rows: NDArray[np.int64]
    scaler: Scaler
    summary: dict[str, Any]
    labels: Labels
    normaliser: EwmaNormaliser | None = None


def build_dataset(
    bars: pa.Table,
    values: F64,
    warm: NDArray[np.bool_],
    names: Sequence[str],
    fs_id: str,
    params: DatasetParams,
    *,
    cost: ArrayLike | None = None,
    tape: Tape | None = None,
) -> Dataset:
    """Label the warm rows of one symbol, split them into purged roles, weight them and fit the scaler on train.

    Parameters
    ----------
    bars : pyarrow.Table
        BARS of one symbol, n rows in time order.
    values : ndarray, shape (n, f)
        Features of the same bars.
    warm : ndarray of bool, shape (n,)
        Rows past warm-up; no others are labelled.
    names : sequence of str
        Feature names, in the order of the columns; ``ewma_vol_97`` among them.
    fs_id : str
        Feature set id.
    params : DatasetParams
    cost : array_like, shape (n,), optional
        Round-trip cost by row, in place of ``params.cost``; ``params.cost_schedule`` must say what made it.
    tape : Tape, optional
        Trades or quotes, where ``params.price`` asks for them.

    Returns
    -------
    Dataset
        ``weight`` is the uniqueness of the label among those of its role, divided by the mean over train; 0 for purged
        rows. Attribution, decay and class balance, where asked for, change it, and the mean over train stays 1.
        ``summary`` has: label_version, feature_set_id, data_hash, params; bars, warm, label_rows, min_rows; classes
        that are learned, and flat, the rows whose exit equals their entry;
        dropped by reason; all of `summarise`; weights (factor of each class in use, factors that would balance them,
        effective size of the train weights); nan_after_warmup, zero_sigma_rows, constant_features; shapes.

    Raises
    ------
    InsufficientDataError
        Fewer than ``min_rows`` label rows, an empty role, or train labels of one class only.
    FeatureSetError
        The columns are not those named, ``ewma_vol_97`` is missing, or a label column is among the features.
    ContractError
        Shapes differ, or a warm row holds a value that is not finite (the feature is named).

    Notes
    -----
    Row i uses features of bars <= i and the outcome up to ``t1``. Same input, same bytes.
    """
    columns = _check_features(bars, values, warm, names)
    sigma = np.where(warm, values[:, columns[SIGMA_COLUMN]], np.nan)
    normaliser = None
    if params.scaler == "ewma":
        normaliser = EwmaNormaliser(names, params.ewma_halflife)
        values, settled = normaliser.run(values, warm)
        sigma = np.where(settled, sigma, np.nan)
    labels = label_bars(bars, sigma, _cost(cost, params), params.labels, tape)
    if labels.row.size < params.min_rows:
        raise InsufficientDataError(
            f"dataset: {labels.row.size:,} label rows from {bars.num_rows:,} bars (dropped {labels.dropped}); expected "
            f"min_rows = {params.min_rows:,} - bring a longer history or lower splits.min_rows"
        )
    shares = {
        "calibrate_size": params.calibrate_size,
        "select_size": params.select_size,
        "test_size": params.test_size,
    }
    roles = assign_roles(labels.t0, labels.t1, **shares)
    train = np.flatnonzero(roles == "train")
    classes = learned_classes(labels.y, labels.y_binary)
    _refuse_one_class(labels.y[train], classes)
    until = in_flight_until(labels, params.price)
    own = uniqueness_by_role(labels.t0, until, roles, us(bars.column("ts_us")))
    straight = straightness(bars, labels, params.labels) if params.trend else None
    weight, weights = row_weights(
        labels, own, roles == "train", straight,
        attribution=params.attribution, decay=params.decay, trend=params.trend, class_balance=params.class_balance,
        classes=classes,
    )  # fmt: skip
    table = _table(labels, weight, roles)
    scaler = Scaler(params.scaler, winsor=params.winsor).fit(values, names, rows=labels.row[train])
    summary: dict[str, Any] = {
        "label_version": label_version(params.labels),
        "feature_set_id": fs_id,
        "data_hash": _data_hash(labels, roles),
        "params": params.to_dict(),
        "bars": bars.num_rows,
        "warm": int(np.count_nonzero(warm)),
        "classes": [CLASSES[code] for code in classes],
        "flat": int(np.count_nonzero(labels.y_binary == -1)),
        "label_rows": int(labels.row.size),
        "min_rows": params.min_rows,
        "dropped": labels.dropped,
        **summarise(labels, roles, own, role_counts(labels.row.size, **shares)),
        "weights": weights,
        "nan_after_warmup": 0,  # anything else was refused above
        "zero_sigma_rows": int(np.count_nonzero(labels.sigma == 0)),
        "constant_features": list(scaler.constant),
        "shapes": {"features": list(values.shape), "dataset": [table.num_rows, table.num_columns]},
    }
    return Dataset(table, labels.row, scaler, summary, labels, normaliser)


def _check_features(bars: pa.Table, values: F64, warm: NDArray[np.bool_], names: Sequence[str]) -> dict[str, int]:
    """Position of every feature; refuse anything that does not belong to these bars."""
    n, f = bars.num_rows, len(names)
    if values.shape != (n, f) or warm.shape != (n,):
        raise ContractError(
            f"dataset: features {values.shape} and warm {warm.shape} found for {n} bars and {f} names; expected "
            f"({n}, {f}) and ({n},) - compute the features of exactly these bars"
        )
    columns = {name: j for j, name in enumerate(names)}
    if len(columns) != f:
        repeated = sorted({name for name in names if list(names).count(name) > 1})
        raise FeatureSetError(f"dataset: feature names repeat: {repeated}; expected each name once")
    if leaked := sorted(set(columns) & (set(DATASET.names) | {"target", "label"})):
        raise FeatureSetError(f"dataset: label columns {leaked} are among the features; expected features only")
    if SIGMA_COLUMN not in columns:
        raise FeatureSetError(f"dataset: feature {SIGMA_COLUMN!r} is missing, labels need it; found {list(names)}")
    total = int(np.count_nonzero(warm))
    for name, j in columns.items():
        if bad := int(np.count_nonzero(~np.isfinite(values[:, j]) & warm)):
            raise ContractError(
                f"feature {name!r}: {bad:,} of {total:,} rows are NaN or infinite after warm-up; expected none - "
                "check gaps in the bars and the declared warm-up; values are never filled in"
            )
    return columns


def _cost(cost: ArrayLike | None, params: DatasetParams) -> ArrayLike:
    if cost is None and params.cost_schedule:
        raise SettingsError("dataset: cost_schedule is given without a cost by row; pass both or neither")
    if cost is not None and not params.cost_schedule:
        raise SettingsError("dataset: cost by row without cost_schedule; name the numbers that made it for the version")
    return params.cost if cost is None else cost


def _refuse_one_class(y: NDArray[np.int8], classes: tuple[int, ...]) -> None:
    counts = {CLASSES[code]: int(np.count_nonzero(y == code)) for code in classes}
    if sum(count > 0 for count in counts.values()) < 2:
        raise InsufficientDataError(
            f"dataset: all {y.size:,} train labels are of one class: {counts}; expected at least two - lower "
            "labels.k_vol or labels.kappa (or the costs behind it), lengthen the horizon, or check that prices move"
        )


def _table(labels: Labels, weight: F64, roles: NDArray[np.str_]) -> pa.Table:
    table = pa.table(
        {
            "ts_us": stamps(labels.t0),
            "t0_us": stamps(labels.t0),
            "t1_us": stamps(labels.t1),
            "y": labels.y,
            "y_binary": labels.y_binary,
            "ret": labels.ret,
            "entry_price": labels.entry,
            "exit_price": labels.exit,
            "deadband": labels.deadband,
            "cost": labels.cost,
            "sigma": labels.sigma,
            "weight": weight,
            "role": pa.array(roles, type=pa.string()),
        }
    )
    return conform(table, DATASET, "dataset")


def _data_hash(labels: Labels, roles: NDArray[np.str_]) -> str:
    """sha256 over the labelled rows, independent of how they are stored."""
    digest = hashlib.sha256()
    for values in (labels.row, labels.t0, labels.t1, labels.y, labels.y_binary, labels.ret, labels.entry, labels.exit,
                   labels.deadband, labels.cost, labels.sigma, roles.astype("<U9")):  # fmt: skip
        digest.update(values.tobytes())
    return digest.hexdigest()
