"""Causal normalisation: each row by the exponentially weighted mean and deviation of the rows up to it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from scalper_ml.errors import ContractError, FeatureSetError, SettingsError

__all__ = ["EwmaNormaliser"]

F64 = NDArray[np.float64]
_KEYS: Final = {"names", "halflife", "seen", "weight", "mean", "squares"}
_ROUNDING: Final = 8 * np.finfo(np.float64).eps


class EwmaNormaliser:
    """``(x - mean) / deviation`` by column, over the rows seen so far with weights that halve every `halflife` rows.

    Nothing is fitted: what it does to a row depends on that row and those before it, in batch and live alike.

    Parameters
    ----------
    names : sequence of str
        Column names, in order.
    halflife : float
        Rows after which a row counts half.

    Notes
    -----
    With decay ``d = 2^(-1/halflife)`` and ``w`` the sum of weights: ``w' = d w + 1``, ``m' = m + (x - m) / w'``,
    ``q' = d q + (x - m)(x - m')``, ``z = (x - m') / sqrt(q' / w')``: West's update, so that a mean far from zero costs
    no digits. A row is part of its own mean, so that ``|z| <= sqrt(w')`` however wild it is; a column that has not
    moved is 0.

    References
    ----------
    D. H. D. West (1979), Updating mean and variance estimates: an improved method.

    Examples
    --------
    >>> live = EwmaNormaliser(["a"], halflife=100)
    >>> [round(float(live.update(np.array([x]))[0]), 3) for x in (1.0, 3.0, 2.0)]
    [0.0, 0.997, -0.003]
    """

    def __init__(self, names: Sequence[str], halflife: float) -> None:
        if not (np.isfinite(halflife) and halflife >= 1):
            raise SettingsError(f"ewma normaliser: halflife is {halflife!r}; expected a number of rows from 1 on")
        self.names = tuple(names)
        self.halflife = float(halflife)
        self._decay = 2.0 ** (-1.0 / self.halflife)
        self._seen = 0
        self._weight = 0.0
        self._mean = np.zeros(len(self.names))
        self._squares = np.zeros(len(self.names))

    @property
    def seen(self) -> int:
        """Rows seen so far."""
        return self._seen

    @property
    def settled(self) -> bool:
        """As many rows as the half-life have been seen: before, means are those of too few rows to learn from."""
        return self._seen >= self.halflife

    def update(self, row: F64) -> F64:
        """Take in the next row and return it normalised, shape (f,), finite.

        Raises
        ------
        FeatureSetError
            Another number of columns.
        ContractError
            A value is not finite; the column is named and nothing is taken in.
        """
        if row.shape != self._mean.shape:
            raise FeatureSetError(f"ewma normaliser: found a row of shape {row.shape}; expected ({len(self.names)},)")
        if not np.isfinite(row).all():
            name = self.names[int(np.argmin(np.isfinite(row)))]
            raise ContractError(f"feature {name!r}: a value is not finite; expected none - use rows after warm-up")
        self._seen += 1
        self._weight = self._decay * self._weight + 1.0
        before = row - self._mean
        self._mean += before / self._weight
        after = row - self._mean
        self._squares *= self._decay
        self._squares += before * after
        deviation = np.sqrt(self._squares / self._weight)
        flat = deviation <= _ROUNDING * np.abs(self._mean)
        return np.asarray(np.where(flat, 0.0, after / np.where(flat, 1.0, deviation)))

    def run(self, values: F64, use: NDArray[np.bool_]) -> tuple[F64, NDArray[np.bool_]]:
        """Take in the rows marked in `use`, one by one.

        Parameters
        ----------
        values : (n, f)
        use : bool (n,)
            Warm rows; the others are passed over as a live builder passes them over.

        Returns
        -------
        (n, f) and bool (n,)
            Normalised rows, NaN where not used; whether the normaliser had settled before the row was taken in.
        """
        out = np.full(values.shape, np.nan)
        settled = np.zeros(len(values), dtype=np.bool_)
        for i in np.flatnonzero(use).tolist():
            settled[i] = self.settled
            out[i] = self.update(values[i])
        return out, settled

    def to_dict(self) -> dict[str, Any]:
        """What it is and its state, as plain values for JSON; floats as hexadecimal strings, which lose nothing."""
        return {
            "names": list(self.names),
            "halflife": self.halflife.hex(),
            "seen": self._seen,
            "weight": self._weight.hex(),
            "mean": [float(value).hex() for value in self._mean],
            "squares": [float(value).hex() for value in self._squares],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "EwmaNormaliser":
        """The normaliser that `to_dict` described, in the same state bit for bit.

        Raises
        ------
        ContractError
            A key is missing or unknown, or a number is not one that `to_dict` writes.
        """
        if set(data) != _KEYS or not len(data["names"]) == len(data["mean"]) == len(data["squares"]):
            raise ContractError(f"ewma normaliser: found {sorted(data)}; expected {sorted(_KEYS)}, one number a column")
        try:
            found = cls(data["names"], float.fromhex(data["halflife"]))
            found._seen, found._weight = int(data["seen"]), float.fromhex(data["weight"])
            found._mean = np.array([float.fromhex(text) for text in data["mean"]])
            found._squares = np.array([float.fromhex(text) for text in data["squares"]])
        except (TypeError, ValueError) as error:
            raise ContractError(f"ewma normaliser: a number is not in hexadecimal notation - {error}") from error
        numbers = np.r_[found._mean, found._squares, found._weight]
        if not np.isfinite(numbers).all() or (found._squares < 0).any() or found._seen < 0:
            raise ContractError("ewma normaliser: a number is not finite or negative; expected what to_dict wrote")
        return found

    def take(self, columns: NDArray[np.int64]) -> "EwmaNormaliser":
        """One for some of the columns, in the given order, in the same state."""
        found = EwmaNormaliser([self.names[j] for j in columns.tolist()], self.halflife)
        found._seen, found._weight = self._seen, self._weight
        found._mean, found._squares = self._mean[columns], self._squares[columns]
        return found

    def copy(self) -> "EwmaNormaliser":
        """Another one in the same state, which goes its own way."""
        return EwmaNormaliser.from_dict(self.to_dict())
