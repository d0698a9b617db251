"""Files of trades and klines to ticks and bars."""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from scalper_ml.ingest.base import ColumnMapping, Contract, Counts, KlineFile, TickFile
    from scalper_ml.ingest.batches import read_ticks
    from scalper_ml.ingest.sniff import find_sources, read_klines

__all__ = [
    "ColumnMapping",
    "Contract",
    "Counts",
    "KlineFile",
    "TickFile",
    "find_sources",
    "read_klines",
    "read_ticks",
]

_HOME: Final = {"read_ticks": "batches", "find_sources": "sniff", "read_klines": "sniff"}


def __getattr__(name: str) -> Any:
    """Readers are imported when they are asked for: a look at which files are new needs no compiled kernels."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME.get(name, 'base')}"), name)
