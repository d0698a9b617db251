"""Files of trades and klines to ticks and bars."""

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
