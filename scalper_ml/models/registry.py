"""All model kinds, found by looking: every module of this package that defines ``MODEL``."""

from collections.abc import Mapping
from functools import cache

import scalper_ml.models
from scalper_ml.kinds import kind_called, kinds_of
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
    return kinds_of(scalper_ml.models, "MODEL", ModelKind)


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
    return kind_called(scalper_ml.models, "MODEL", ModelKind, name, "model kind")
