"""Column scaling fitted on train rows only, exact to the last bit through JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from scalper_ml.errors import ContractError, FeatureSetError, SettingsError

__all__ = ["SCALERS", "Scaler", "ScalerKind"]

F64 = NDArray[np.float64]
ScalerKind = Literal["zscore", "minmax", "robust", "none"]
SCALERS: Final[tuple[str, ...]] = get_args(ScalerKind)
_ROUNDING: Final = 8 * np.finfo(np.float64).eps


@dataclass(frozen=True, slots=True, eq=False)
class Scaler:
    """``(x - center) / scale`` by column; a value, so `fit` returns a new one.

    Parameters
    ----------
    kind : {"zscore", "minmax", "robust", "none"}
        Centre and scale: mean and population st. dev.; minimum and range; median and interquartile range (st. dev.
        where that is 0); nothing.
    names : sequence of str
        Column names, in order; set by `fit`.
    center, scale : ndarray, shape (f,), optional
        Set by `fit`. A scale of 0 marks a column that was constant on the fitted rows; it is always mapped to 0.

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
    _divisor: F64 = field(init=False, repr=False)
    _flat: NDArray[np.int64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.kind not in SCALERS:
            raise SettingsError(f"scaler: unknown kind {self.kind!r}; expected one of {', '.join(SCALERS)}")
        scale = np.empty(0) if self.scale is None else self.scale
        object.__setattr__(self, "_divisor", np.where(scale == 0, 1.0, scale))
        object.__setattr__(self, "_flat", np.flatnonzero(scale == 0))

    @property
    def constant(self) -> tuple[str, ...]:
        """Names of the columns that were constant on the fitted rows."""
        _, scale = self._fitted()
        return tuple(name for name, value in zip(self.names, scale, strict=True) if value == 0)

    def fit(self, X: F64, names: Sequence[str] | None = None, *, rows: NDArray[np.int64] | None = None) -> "Scaler":
        """A scaler of the same kind, fitted on `rows` of `X` (all by default).

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
        for j, name in enumerate(labels):
            # one contiguous column at a time: same bits for every memory layout, no copy of the whole matrix
            column = np.ascontiguousarray(values[:, j] if rows is None else values[rows, j])
            _refuse_unknown(column[:, None], (name,))
            if self.kind != "none":
                with np.errstate(over="ignore"):  # a spread too wide to hold is refused by name
                    center[j], scale[j] = _center_and_scale(self.kind, column, name)
        return Scaler(self.kind, labels, center, scale)

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
        if self.kind == "none":
            return values.copy()
        out = values - center
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
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Scaler":
        """The scaler that `to_dict` described, bit for bit.

        Raises
        ------
        ContractError
            A key is missing or unknown, the lists differ in length, or a number is not one that `to_dict` writes.
        """
        if set(data) != {"kind", "names", "center", "scale"}:
            raise ContractError(f"scaler: keys {sorted(data)} found; expected center, kind, names, scale")
        if not len(data["names"]) == len(data["center"]) == len(data["scale"]):
            raise ContractError("scaler: names, center and scale differ in length; expected one of each a column")
        try:
            center, scale = (np.array([float.fromhex(text) for text in data[key]]) for key in ("center", "scale"))
        except (TypeError, ValueError) as error:
            raise ContractError(f"scaler: a number is not in hexadecimal notation - {error}") from error
        if not (np.isfinite(center).all() and np.isfinite(scale).all() and (scale >= 0).all()):
            raise ContractError("scaler: a centre is not finite or a scale is negative; expected what to_dict wrote")
        return cls(data["kind"], tuple(data["names"]), center, scale)

    def _fitted(self) -> tuple[F64, F64]:
        if self.center is None or self.scale is None:
            raise ContractError(f"scaler {self.kind!r}: not fitted; call fit on the train rows first")
        return self.center, self.scale


def _center_and_scale(kind: str, column: F64, name: str) -> tuple[float, float]:
    low, high = float(column.min()), float(column.max())
    if high - low <= _ROUNDING * max(abs(low), abs(high)):
        return low, 0.0
    deviation = float(column.std())
    if kind == "minmax":
        center, scale = low, high - low
    elif kind == "robust":
        first, center, third = (float(value) for value in np.quantile(column, (0.25, 0.5, 0.75)))
        scale = third - first if third > first else deviation
    else:
        center, scale = float(column.mean()), deviation
    if not (np.isfinite(center) and np.isfinite(scale)):
        raise ContractError(f"scaler: column {name!r} runs from {low} to {high}; expected a spread a float can hold")
    return center, scale


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
