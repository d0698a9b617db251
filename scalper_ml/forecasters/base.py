"""What a forecaster kind is: one module with its parameters, how to fit it and how to read it back.

A module of this package that defines ``FORECASTER`` (a `ForecasterKind`) is a kind; nothing else has to be edited to
add one. Kinds see scaled inputs and a target as numbers or class codes; what is made of that - the documented answer,
intervals, confidence, sealing and verification - is the same for all of them (`training`, `bundle`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from scalper_ml.errors import SettingsError
from scalper_ml.models.base import Device, FitContext, Floats, ModelParams, Range

__all__ = ["ForecastParams", "Forecaster", "ForecasterKind", "Rows", "Sample"]

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows to learn from or to stop on.

    Parameters
    ----------
    X : (n, f)
        Scaled inputs in time order; rows between those of `at` may only be looked back at.
    at : (m,)
        Rows that have a target, ascending. A kind that looks back sees rows ``at - lookback + 1 .. at``, which are
        consecutive bars of one role.
    y : (m,)
        Numbers in units of the target, or class codes.
    weight : (m,)
    """

    X: Floats
    at: Rows
    y: Floats
    weight: Floats


@dataclass(frozen=True, slots=True)
class ForecastParams(ModelParams):
    """Base of every kind's parameters."""

    @property
    def lookback(self) -> int:
        """Rows that one forecast sees, its own the last."""
        return 1


class Forecaster(Protocol):
    """A fitted forecaster over scaled inputs."""

    @property
    def best_iteration(self) -> int | None:
        """Index of the round or epoch kept by early stopping; None for kinds without."""

    @property
    def curve(self) -> tuple[float, ...]:
        """Loss on the rows to stop on, by round or epoch; empty for kinds without and after loading."""

    def predict(self, X: Floats, at: Rows) -> Floats:
        """Numbers (m,), or probabilities (m, classes); a row's result does not depend on the other rows of `at`."""

    def files(self) -> dict[str, bytes]:
        """Weights by file name, never a pickle; equal fits give equal bytes."""

    def importance(self) -> Floats | None:
        """Share of each feature in the model (f,), >= 0, sums to 1 or is all 0; None: ask permutations."""

    def contributions(self, X: Floats, seen: Floats) -> Floats | None:
        """What each feature adds to what is said of rows of scaled inputs (n, f); None: ask permutations.

        Shape (n, f). A row's parts add up, but for a constant, to the number that `predict` gives, or to the log-odds
        of the second of two classes. `seen` (m, f) are the rows it learnt from: of them the parts of a kind that keeps
        no counts of its own are averages.
        """


@dataclass(frozen=True, slots=True)
class ForecasterKind:
    """One kind of forecaster.

    Parameters
    ----------
    name : str
        ``xgb_regressor``; also the asset's name.
    params : type
        A subclass of `ForecastParams`; ``params()`` are the defaults.
    fit : callable
        ``fit(learn, stop, params, context, classes)``: learns from one sample, stops early on the other; `classes` is
        their number, 0 for a number.
    load : callable
        Reads back what `Forecaster.files` wrote.
    targets : tuple of str
        Names of `targets` it can learn, the first by default.
    libraries : tuple of str
        Modules whose versions the manifest records.
    extra : str
        The optional extra of the installation that fitting needs; predicting never does.
    summary : str
        One sentence for the asset catalogue.
    space : tuple of Range
        What tuning would search.
    devices : tuple of str
        Where it can be fitted.
    """

    name: str
    params: type[ForecastParams]
    fit: Callable[[Sample, Sample, Any, FitContext, int], Forecaster]
    load: Callable[[Mapping[str, bytes]], Forecaster]
    targets: tuple[str, ...]
    libraries: tuple[str, ...] = ()
    extra: str = ""
    summary: str = ""
    space: tuple[Range, ...] = ()
    devices: tuple[Device, ...] = ("cpu",)

    def target(self, wanted: str | None) -> str:
        """The target it is to learn.

        Raises
        ------
        SettingsError
            It cannot; names those it can.
        """
        if wanted is None:
            return self.targets[0]
        if wanted not in self.targets:
            raise SettingsError(f"{self.name}: target {wanted!r} is none it learns; expected one of {self.targets}")
        return wanted
