"""All model kinds, found by looking: every module of this package that defines ``MODEL``."""

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

import scalper_ml.models
from scalper_ml.errors import SettingsError
from scalper_ml.models.base import ModelKind

__all__ = ["model_kind", "model_kinds"]


@cache
def model_kinds() -> Mapping[str, ModelKind]:
    """Model kinds by name, in alphabetical order.

    Examples
    --------
    >>> "xgb_classifier" in model_kinds()
    True
    """
    modules = (
        importlib.import_module(f"scalper_ml.models.{info.name}")
        for info in pkgutil.iter_modules(scalper_ml.models.__path__)
    )
    found = [module.MODEL for module in modules if isinstance(getattr(module, "MODEL", None), ModelKind)]
    return MappingProxyType({kind.name: kind for kind in sorted(found, key=lambda kind: kind.name)})


def model_kind(name: str) -> ModelKind:
    """The model kind called `name`.

    Raises
    ------
    SettingsError
        There is none; the message lists those that exist.

    Examples
    --------
    >>> model_kind("xgb_classifier").params().learning_rate
    0.04
    """
    if name in {info.name for info in pkgutil.iter_modules(scalper_ml.models.__path__)}:
        found = getattr(importlib.import_module(f"scalper_ml.models.{name}"), "MODEL", None)
        if isinstance(found, ModelKind) and found.name == name:  # as a rule, and then no other has to be imported
            return found
    kinds = model_kinds()
    if name not in kinds:
        raise SettingsError(f"model kind {name!r} is unknown; expected one of {', '.join(kinds)}")
    return kinds[name]
