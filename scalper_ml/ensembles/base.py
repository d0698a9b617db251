"""What an ensemble kind is: one module with its parameters, how it learns to combine members and how it does.

A module of this package that defines ``ENSEMBLE`` (an `EnsembleKind`) is an ensemble kind. Members are models of any
kind over the same features; a kind sees their probabilities only.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from scalper_ml.models.base import FitContext, Floats, ModelParams

__all__ = ["Combiner", "EnsembleKind", "Opinions", "Past"]


@dataclass(frozen=True, slots=True)
class Opinions:
    """What the members say of n rows.

    Parameters
    ----------
    raw : (m, n, 3)
        Probabilities as the members' classifiers give them, SHORT NEUTRAL LONG.
    calibrated : (m, n, 3)
        The same after each member's own calibration.
    """

    raw: Floats
    calibrated: Floats


@dataclass(frozen=True, slots=True)
class Past:
    """Out-of-fold rows of train that every member predicted without having seen them, in time order.

    Parameters
    ----------
    raw : (m, n, 3)
        Raw probabilities; there is no calibration that these rows could have known.
    y : (n,)
        Class codes.
    weight : (n,)
    fold : (n,)
        Number of the walk-forward fold.
    """

    raw: Floats
    y: npt.NDArray[np.int64]
    weight: Floats
    fold: npt.NDArray[np.int64]

    def where(self, keep: npt.NDArray[np.bool_]) -> "Past":
        """Some of the rows."""
        return Past(self.raw[:, keep], self.y[keep], self.weight[keep], self.fold[keep])


class Combiner(Protocol):
    """A fitted way of making one opinion of several."""

    def combine(self, opinions: Opinions) -> Floats:
        """Probabilities (n, 3); a row's result does not depend on other rows."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values; JSON keeps every bit of them."""

    def shares(self) -> Floats:
        """How much each member counts (m,), >= 0, sums to 1."""


@dataclass(frozen=True, slots=True)
class EnsembleKind:
    """One way of combining models.

    Parameters
    ----------
    name : str
        ``stacking``; also the asset's name.
    params : type
        A subclass of `ModelParams`; ``params()`` are the defaults.
    fit : callable
        ``fit(past, members, prior, params, context)``: `members` are names in the order of the opinions, `prior` the
        class shares of train.
    load : callable
        Reads back what `Combiner.to_dict` wrote.
    learns : bool
        Whether the past changes it: then its own out-of-fold predictions need fits of their own.
    summary : str
        One sentence for the asset catalogue.
    """

    name: str
    params: type[ModelParams]
    fit: Callable[[Past, tuple[str, ...], Floats, Any, FitContext], Combiner]
    load: Callable[[Mapping[str, Any]], Combiner]
    learns: bool = False
    summary: str = ""
