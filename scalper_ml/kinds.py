"""Registries without lists: every module of a package that defines a certain name is one kind, called as its file."""

import importlib
import pkgutil
from collections.abc import Mapping
from types import MappingProxyType, ModuleType
from typing import Protocol, TypeVar

from scalper_ml.errors import SettingsError

__all__ = ["Named", "kind_called", "kinds_of"]


class Named(Protocol):
    """Whatever has a name."""

    @property
    def name(self) -> str:
        """What settings call it."""


Kind = TypeVar("Kind", bound=Named)


def kinds_of(package: ModuleType, attribute: str, of: type[Kind]) -> Mapping[str, Kind]:
    """All kinds of a package by name, in alphabetical order; imports every module of it."""
    modules = (importlib.import_module(f"{package.__name__}.{name}") for name in _modules(package))
    found = [getattr(module, attribute) for module in modules if isinstance(getattr(module, attribute, None), of)]
    return MappingProxyType({kind.name: kind for kind in sorted(found, key=lambda kind: kind.name)})


def kind_called(package: ModuleType, attribute: str, of: type[Kind], name: str, noun: str) -> Kind:
    """The kind called `name`; imports its module only, if it is called as its file.

    Raises
    ------
    SettingsError
        There is none; the message lists those that exist.
    """
    if name in _modules(package):
        found = getattr(importlib.import_module(f"{package.__name__}.{name}"), attribute, None)
        if isinstance(found, of) and found.name == name:
            return found
    kinds = kinds_of(package, attribute, of)
    if name not in kinds:
        raise SettingsError(f"{noun} {name!r} is unknown; expected one of {', '.join(kinds)}")
    return kinds[name]


def _modules(package: ModuleType) -> list[str]:
    return [info.name for info in pkgutil.iter_modules(package.__path__)]
