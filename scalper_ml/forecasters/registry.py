"""All forecaster kinds, found by looking: every module of this package that defines ``FORECASTER``."""

from collections.abc import Mapping
from functools import cache

import scalper_ml.forecasters
from scalper_ml.forecasters.base import ForecasterKind
from scalper_ml.kinds import kind_called, kinds_of

__all__ = ["forecaster_kind", "forecaster_kinds"]


@cache
def forecaster_kinds() -> Mapping[str, ForecasterKind]:
    """Forecaster kinds by name, in alphabetical order.

    Examples
    --------
    >>> "xgb_regressor" in forecaster_kinds()
    True
    """
    return kinds_of(scalper_ml.forecasters, "FORECASTER", ForecasterKind)


def forecaster_kind(name: str) -> ForecasterKind:
    """The forecaster kind called `name`.

    Raises
    ------
    SettingsError
        There is none; the message lists those that exist.
    """
    return kind_called(scalper_ml.forecasters, "FORECASTER", ForecasterKind, name, "forecaster kind")
