"""What every layer of the warehouse is: keys, inputs and one build.

A layer's `inputs` are everything its content depends on: the content hashes of what it reads, its
settings and a digest of its code. When they equal the recorded ones, nothing has to be recomputed.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from scalper_ml.errors import SettingsError
from scalper_ml.project import Project
from scalper_ml.settings import Settings
from scalper_ml.warehouse import Manifest, settled

__all__ = ["Keys", "Layer", "Shape", "asked_keys", "code_digest", "keys_of"]

Shape = Literal["symbol", "none", "symbol_horizon"]
Keys = Mapping[str, str | int]

PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: its name, partition shape, upstream layers, the checks it reports and its two functions."""

    name: str
    shape: Shape
    upstream: tuple[str, ...]
    checks: tuple[str, ...]
    inputs: Callable[[Project, Keys], dict[str, Any]]
    build: Callable[[Project, Keys], Manifest]

    def run(self, project: Project, keys: Keys) -> Manifest:
        """Build the partition; once more, of the newer state, where something it reads was replaced meanwhile.

        Raises
        ------
        SupersededError
            If that happened three times.
        """
        return settled(lambda: self.build(project, keys))

    def fresh(self, project: Project, keys: Keys) -> bool:
        """Whether the partition is there and nothing it depends on has changed."""
        return project.warehouse.fresh(self.name, keys, self.inputs(project, keys))


@cache
def code_digest(*parts: str) -> str:
    """First 12 hex digits over the sources of modules and subpackages of ``scalper_ml``."""
    digest = hashlib.sha256()
    for part in sorted(parts):
        target = PACKAGE / part
        for path in sorted(target.rglob("*.py")) if target.is_dir() else [target.with_suffix(".py")]:
            digest.update(path.relative_to(PACKAGE).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def asked_keys(settings: Settings, symbol: str | None, horizon: int | None) -> list[dict[str, str | int]]:
    """Keys of one symbol and horizon, or of all where None is given; refused as by `keys_of`."""
    return [
        keys_of(settings, symbol=one, horizon=bars)
        for one in ([symbol] if symbol is not None else settings.symbols)
        for bars in ([horizon] if horizon is not None else settings.horizons)
    ]


def keys_of(settings: Settings, *, symbol: str | None = None, horizon: int | str | None = None) -> dict[str, str | int]:
    """Partition keys, refused if they are not configured.

    Raises
    ------
    SettingsError
        The symbol or horizon is not in the settings; names the ones that are.
    """
    keys: dict[str, str | int] = {}
    if symbol is not None:
        if symbol not in settings.symbols:
            raise SettingsError(
                f"symbol {symbol!r} is not configured in profile {settings.profile!r}; symbols: {settings.symbols}"
            )
        keys["symbol"] = symbol
    if horizon is not None:
        if int(horizon) not in settings.horizons:
            raise SettingsError(
                f"horizon {horizon} is not configured in profile {settings.profile!r}; horizons: {settings.horizons}"
            )
        keys["horizon"] = int(horizon)
    return keys
