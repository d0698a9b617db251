"""What a model kind is: one module with its parameters, how to fit it and how to read it back.

A module of this package that defines ``MODEL`` (a `ModelKind`) is a model kind; nothing else has to
be edited to add one. Kinds see scaled inputs and return raw probabilities: scaling, calibration,
sealing and verification are the same for all of them (`train`, `bundle`).
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from scalper_ml.errors import SettingsError

__all__ = ["Batch", "Classifier", "Device", "FitContext", "Floats", "ModelKind", "ModelParams", "Range", "Watch"]

Floats = npt.NDArray[np.float64]
Device = Literal["cpu", "cuda"]
Watch = Callable[[int, float], None]
"""Told after a round its number and the log loss on the rows to stop on; what it raises ends the fit."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows to learn from or to stop on: scaled inputs X (n, f), class codes y (n,), weights (n,)."""

    X: Floats
    y: npt.NDArray[np.int64]
    weight: Floats


@dataclass(frozen=True, slots=True)
class FitContext:
    """What a fit may depend on beside data and parameters.

    `threads` must not change the result; `device` may, in the last bits. `watch` sees the rounds, where there are some.
    """

    horizon: int
    seed: int
    threads: int = 1
    device: Device = "cpu"
    watch: Watch | None = None


@dataclass(frozen=True, slots=True)
class ModelParams:
    """Base of every kind's parameters: fields with defaults, validated on construction."""

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> "ModelParams":
        """Parameters from plain values; missing ones take their defaults.

        Raises
        ------
        SettingsError
            A name is unknown or a value is not allowed.
        """
        allowed = [field.name for field in dataclasses.fields(cls)]
        if unknown := sorted(set(values) - set(allowed)):
            raise SettingsError(f"{cls.__name__}: unknown parameters {unknown}; allowed are {allowed}")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as `parse` reads them."""
        return dataclasses.asdict(self)

    def _whole(self, name: str, low: int, high: int) -> None:
        value = getattr(self, name)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise SettingsError(
                f"{type(self).__name__}.{name}: found {value!r}; expected a whole number from {low} to {high}"
            )

    def _number(self, name: str, low: float, high: float, *, above: bool = False) -> None:
        """Refuse a value outside [low, high], or (low, high] with `above`."""
        value = getattr(self, name)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not low <= value <= high or (above and value == low):
            edge = "above" if above else "from"
            raise SettingsError(
                f"{type(self).__name__}.{name}: found {value!r}; expected a number {edge} {low} to {high}"
            )


class Classifier(Protocol):
    """A fitted three-class model over scaled inputs."""

    @property
    def best_iteration(self) -> int | None:
        """Index of the last round kept by early stopping; None for kinds without rounds."""

    def predict_proba(self, X: Floats) -> Floats:
        """Raw probabilities (n, 3), float64, SHORT NEUTRAL LONG; a row's result does not depend on other rows."""

    def files(self) -> dict[str, bytes]:
        """Native weights by file name; equal fits give equal bytes."""

    def importance(self) -> Floats:
        """Share of each feature in the model (f,), >= 0, sums to 1 or is all 0."""

    def contributions(self, X: Floats) -> Floats:
        """Additive contribution of each feature to each class's log-odds: (n, 3, f)."""


@dataclass(frozen=True, slots=True)
class Range:
    """Values of one parameter that tuning tries: from `low` to `high`, whole numbers unless one of them is not.

    Parameters
    ----------
    name : str
        A field of the kind's parameters.
    log : bool
        Try orders of magnitude evenly.
    """

    name: str
    low: float
    high: float
    log: bool = False

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are tried."""
        return isinstance(self.low, int) and isinstance(self.high, int)


@dataclass(frozen=True, slots=True)
class ModelKind:
    """One kind of model.

    Parameters
    ----------
    name : str
        ``xgb_classifier``; also the asset's name.
    params : type
        A subclass of `ModelParams`; ``params()`` are the defaults.
    fit : callable
        ``fit(rows, stop, params, context)``: learns from `rows`, stops early on `stop`.
    load : callable
        Reads back what `Classifier.files` wrote.
    libraries : tuple of str
        Modules whose versions the manifest records.
    summary : str
        One sentence for the asset catalogue.
    space : tuple of Range
        What tuning searches; all other parameters keep what the settings say.
    devices : tuple of str
        Where it can be fitted.
    complexity : int
        0: lines; 1: trees; more for what is less simple still. Among kinds that cannot be told apart on select the
        simplest is chosen.
    """

    name: str
    params: type[ModelParams]
    fit: Callable[[Batch, Batch, Any, FitContext], Classifier]
    load: Callable[[Mapping[str, bytes]], Classifier]
    libraries: tuple[str, ...] = ()
    summary: str = ""
    space: tuple[Range, ...] = ()
    devices: tuple[Device, ...] = ("cpu",)
    complexity: int = 1
