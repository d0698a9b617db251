"""All ensemble kinds, found by looking: every module of this package that defines ``ENSEMBLE``."""

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

import scalper_ml.ensembles
from scalper_ml.ensembles.base import EnsembleKind
from scalper_ml.errors import SettingsError

__all__ = ["ensemble_kind", "ensemble_kinds"]


@cache
def ensemble_kinds() -> Mapping[str, EnsembleKind]:
    """Ensemble kinds by name, in alphabetical order.

    Examples
    --------
    >>> list(ensemble_kinds())
    ['majority_vote', 'stacking', 'weighted_average']
    """
    modules = (
        importlib.import_module(f"scalper_ml.ensembles.{info.name}")
        for info in pkgutil.iter_modules(scalper_ml.ensembles.__path__)
    )
    found = [module.ENSEMBLE for module in modules if isinstance(getattr(module, "ENSEMBLE", None), EnsembleKind)]
    return MappingProxyType({kind.name: kind for kind in sorted(found, key=lambda kind: kind.name)})


def ensemble_kind(name: str) -> EnsembleKind:
    """The ensemble kind called `name`.

    Raises
    ------
    SettingsError
        There is none; the message lists those that exist.
    """
    kinds = ensemble_kinds()
    if name not in kinds:
        raise SettingsError(f"ensemble kind {name!r} is unknown; expected one of {', '.join(kinds)}")
    return kinds[name]
