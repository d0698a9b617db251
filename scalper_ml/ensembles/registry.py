"""All ensemble kinds, found by looking: every module of this package that defines ``ENSEMBLE``."""

from collections.abc import Mapping
from functools import cache

import scalper_ml.ensembles
from scalper_ml.ensembles.base import EnsembleKind
from scalper_ml.kinds import kind_called, kinds_of

__all__ = ["ensemble_kind", "ensemble_kinds"]


@cache
def ensemble_kinds() -> Mapping[str, EnsembleKind]:
    """Ensemble kinds by name, in alphabetical order.

    Examples
    --------
    >>> list(ensemble_kinds())
    ['majority_vote', 'stacking', 'weighted_average']
    """
    return kinds_of(scalper_ml.ensembles, "ENSEMBLE", EnsembleKind)


def ensemble_kind(name: str) -> EnsembleKind:
    """The ensemble kind called `name`.

    Raises
    ------
    SettingsError
        There is none; the message lists those that exist.
    """
    return kind_called(scalper_ml.ensembles, "ENSEMBLE", EnsembleKind, name, "ensemble kind")
