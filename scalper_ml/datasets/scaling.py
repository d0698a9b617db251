"""Column scaling and winsor limits fitted on train rows only, exact to the last bit through JSON."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from scalper_ml.errors import ContractError, FeatureSetError, SettingsError

__all__ = ["SCALERS", "Scaler", "ScalerKind"]

F64 = NDArray[np.float64]
ScalerKind = Literal["zscore", "minmax", "robust", "ewma", "none"]
SCALERS: Final[tuple[str, ...]] = get_args(ScalerKind)
_ROUNDING: Final = 8 * np.finfo(np.float64).eps
_IDENTITIES: Final = ("none", "ewma")
_NUMBERS: Final = ("center", "scale", "low", "high")
_TURNED: Final = 256  # rows: what the cache holds
_KEYS: Final = {"kind", "names", "winsor", *_NUMBERS}


@dataclass(frozen=True, slots=True, eq=False)
class Scaler:
    """``(clip(x, low, high) - center) / scale`` by column; a value, so `fit` returns a new one.

    Parameters
    ----------
    kind : {"zscore", "minmax", "robust", "ewma", "none"}
        Centre and scale: mean and population st. dev.; minimum and range; median and interquartile range (st. dev.
        where that is 0); nothing for rows that `EwmaNormaliser` has normalised; nothing.
    names : sequence of str
        Column names, in order; set by `fit`.
    center, scale : ndarray, shape (f,), optional
        Set by `fit`. A scale of 0 marks a column that was constant on the fitted rows; it is always mapped to 0.
    winsor : float
        Share of the fitted rows beyond each limit, in [0, 0.25]: values are clipped to the quantiles ``winsor`` and
        ``1 - winsor`` of the fitted rows, before anything else is fitted. 0: no limits.
    low, high : ndarray, shape (f,), optional
        The limits, set by `fit`.

    Examples
    --------
    >>> scaler = Scaler("zscore").fit(np.array([[1.0, 5.0], [3.0, 5.0]]), names=["a", "b"])
    >>> scaler.transform(np.array([[4.0, 9.0]]))
    array([[2., 0.]])
    """

    kind: ScalerKind = "zscore"
    names: tuple[str, ...] = ()
    center: F64 | None = None
    scale: F64 | None = None
    winsor: float = 0.0
    low: F64 | None = None
    high: F64 | None = None
    _divisor: F64 = field(init=False, repr=False)
    _flat: NDArray[np.int64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.kind not in SCALERS:
            raise SettingsError(f"scaler: unknown kind {self.kind!r}; expected one of {', '.join(SCALERS)}")
        if not 0 <= self.winsor <= 0.25:
            raise SettingsError(f"scaler: winsor is {self.winsor!r}; expected a share from 0 to 0.25 a side")
        scale = np.empty(0) if self.scale is None else self.scale
        object.__setattr__(self, "_divisor", np.where(scale == 0, 1.0, scale))
        object.__setattr__(self, "_flat", np.flatnonzero(scale == 0))

    @property
    def constant(self) -> tuple[str, ...]:
        """Names of the columns that were constant on the fitted rows."""
        _, scale = self._fitted()
        return tuple(name for name, value in zip(self.names, scale, strict=True) if value == 0)

    def unfitted(self) -> "Scaler":
        """The same choice of kind and winsor share, to be fitted on other rows, e.g. those of a fold."""
        return Scaler(self.kind, winsor=self.winsor)

    def take(self, columns: NDArray[np.int64]) -> "Scaler":
        """The fitted scaler of some of the columns, in the given order."""
        center, scale = self._fitted()
        low, high = _limits(self.low, -np.inf, scale.size), _limits(self.high, np.inf, scale.size)
        names = tuple(self.names[j] for j in columns.tolist())
        return Scaler(self.kind, names, center[columns], scale[columns], self.winsor, low[columns], high[columns])

    def fit(self, X: F64, names: Sequence[str] | None = None, *, rows: NDArray[np.int64] | None = None) -> "Scaler":
        """A scaler of the same kind and winsor share, fitted on `rows` of `X` (all by default).

        Parameters
        ----------
        X : ndarray, shape (n, f)
        names : sequence of str, optional
            Column names; ``column 0`` and so on by default.
        rows : ndarray of int, optional
            Rows to fit on: those of the train role, and no others.

        Raises
        ------
        ContractError
            No rows, or a value that is not finite on the rows used; the column is named. Nothing is ever filled.
        """
        values = _matrix(X)
        labels = tuple(names) if names is not None else tuple(f"column {j}" for j in range(values.shape[1]))
        if len(labels) != values.shape[1]:
            raise ContractError(f"scaler: {len(labels)} names for {values.shape[1]} columns; expected one a column")
        center, scale = np.zeros(len(labels)), np.ones(len(labels))
        low, high = np.full(len(labels), -np.inf), np.full(len(labels), np.inf)
        for j, (name, column) in enumerate(zip(labels, _columns(values, rows), strict=True)):
            if not (column.size and math.isfinite(column.min()) and math.isfinite(column.max())):
                _refuse_unknown(column[:, None], (name,))
            if self.winsor > 0:
                low[j], high[j] = np.quantile(column, (self.winsor, 1 - self.winsor))
                column = np.clip(column, low[j], high[j])
            if self.kind not in _IDENTITIES:
                with np.errstate(over="ignore"):  # a spread too wide to hold is refused by name
                    center[j], scale[j] = _center_and_scale(self.kind, column, name)
        return Scaler(self.kind, labels, center, scale, self.winsor, low, high)

    def transform(self, X: F64) -> F64:
        """Scaled copy of `X`, shape (n, f), float64; a row gives the same bits alone or in a batch.

        Raises
        ------
        FeatureSetError
            `X` has another number of columns than the scaler was fitted on.
        ContractError
            The scaler is not fitted, or `X` holds values that are not finite; the column is named.
        """
        center, _ = self._fitted()
        values = _matrix(X)
        if values.shape[1] != center.size:
            raise FeatureSetError(f"scaler: {values.shape[1]} columns; expected {center.size}: {list(self.names)}")
        _refuse_unknown(values, self.names)
        clipped = values if self.winsor == 0 else np.clip(values, self.low, self.high)
        if self.kind in _IDENTITIES:
            return clipped.copy()
        out = clipped - center
        out /= self._divisor
        out[:, self._flat] = 0.0
        return out

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; floats as hexadecimal strings, which lose nothing."""
        center, scale = self._fitted()
        return {
            "kind": self.kind,
            "names": list(self.names),
            "center": [float(value).hex() for value in center],
            "scale": [float(value).hex() for value in scale],
            "winsor": float(self.winsor),
            "low": [float(value).hex() for value in _limits(self.low, -np.inf, scale.size)],
            "high": [float(value).hex() for value in _limits(self.high, np.inf, scale.size)],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Scaler":
        """The scaler that `to_dict` described, bit for bit.

        Raises
        ------
        ContractError
            A key is missing or unknown, the lists differ in length, or a number is not one that `to_dict` writes.
        """
        if set(data) != _KEYS:
            raise ContractError(f"scaler: keys {sorted(data)} found; expected {', '.join(sorted(_KEYS))}")
        if len({len(data[key]) for key in ("names", *_NUMBERS)}) != 1:
            raise ContractError(
                f"scaler: names and {', '.join(_NUMBERS)} differ in length; expected one of each a column"
            )
        try:
            center, scale, low, high = (np.array([float.fromhex(text) for text in data[key]]) for key in _NUMBERS)
        except (TypeError, ValueError) as error:
            raise ContractError(f"scaler: a number is not in hexadecimal notation - {error}") from error
        if not (np.isfinite(center).all() and np.isfinite(scale).all() and (scale >= 0).all() and (low <= high).all()):
            raise ContractError(
                "scaler: a centre is not finite, a scale is negative or limits are crossed; expected what to_dict wrote"
            )
        return cls(data["kind"], tuple(data["names"]), center, scale, float(data["winsor"]), low, high)

    def _fitted(self) -> tuple[F64, F64]:
        if self.center is None or self.scale is None:
            raise ContractError(f"scaler {self.kind!r}: not fitted; call fit on the train rows first")
        return self.center, self.scale


def _columns(values: F64, rows: NDArray[np.int64] | None) -> F64:
    """The columns of those rows, each in one piece (f, n): same bits for every memory layout of `values`.

    Turned some rows at a time: a column of a matrix by rows is a miss of the cache for every value.
    """
    n = values.shape[0] if rows is None else rows.size
    columns = np.empty((values.shape[1], n))
    for begin in range(0, n, _TURNED):
        some = slice(begin, begin + _TURNED)
        columns[:, some] = (values[some] if rows is None else values[rows[some]]).T
    return columns


def _center_and_scale(kind: str, column: F64, name: str) -> tuple[float, float]:
    low, high = float(column.min()), float(column.max())
    if high - low <= _ROUNDING * max(abs(low), abs(high)):
        return low, 0.0
    mean = column.mean()
    distance = column - mean
    deviation = math.sqrt(float((distance * distance).mean()))  # `std`, with the mean at hand
    if kind == "minmax":
        center, scale = low, high - low
    elif kind == "robust":
        first, center, third = (float(value) for value in np.quantile(column, (0.25, 0.5, 0.75)))
        scale = third - first if third > first else deviation
    else:
        center, scale = float(mean), deviation
    if not (np.isfinite(center) and np.isfinite(scale)):
        raise ContractError(f"scaler: column {name!r} runs from {low} to {high}; expected a spread a float can hold")
    return center, scale


def _limits(values: F64 | None, default: float, size: int) -> F64:
    return np.full(size, default) if values is None else values


def _matrix(X: F64) -> F64:
    values = np.asarray(X, dtype=np.float64)
    if values.ndim != 2:
        raise ContractError(f"scaler: X has shape {values.shape}; expected (n, f)")
    return values


def _refuse_unknown(values: F64, names: Sequence[str]) -> None:
    if values.shape[0] == 0:
        raise ContractError("scaler: no rows found; expected at least one")
    if not (finite := np.isfinite(values)).all():
        unknown = np.count_nonzero(~finite, axis=0)
        worst = int(np.argmax(unknown > 0))
        raise ContractError(
            f"feature {names[worst]!r}: {unknown[worst]:,} of {values.shape[0]:,} rows are not finite; expected none - "
            "use rows after warm-up, values are never filled in"
        )
