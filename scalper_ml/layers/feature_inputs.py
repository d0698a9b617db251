"""What the feature engine reads of one symbol, some rows at a time."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scalper_ml.features.engine import columns_read
from scalper_ml.features.inputs import inputs_from_bars
from scalper_ml.features.registry import FeatureSet
from scalper_ml.project import Project
from scalper_ml.schema import us

__all__ = ["EngineInputs", "beside_tables", "engine_inputs", "feeds_of"]


def feeds_of(fs: FeatureSet) -> list[str]:
    """Layers of the feeds a set is fed by."""
    layers = {"quotes": "book", "book": "book", "derivatives": "context_bars"}
    return sorted({layers[group] for group in fs.groups if group in layers})


def beside_tables(project: Project, symbol: str, fs: FeatureSet) -> dict[str, pa.Table]:
    """What a set is fed beside the bars, by layer: rows of the symbol, in order of their closes."""
    warehouse = project.warehouse
    tables = {name: warehouse.read_table(warehouse.require(name, {"symbol": symbol})) for name in feeds_of(fs)}
    if "market" in fs.groups:
        market = warehouse.read_table(warehouse.require("market", {}))
        tables["market"] = market.filter(pc.equal(market["symbol"], symbol))
    return tables


class EngineInputs:
    """The engine's input matrix of a symbol: its bars and, where the set needs them, its market and its feeds.

    The tables are held as they are; the matrix, which is several times as large, is made of the rows asked for.

    Parameters
    ----------
    project : Project
    bars : pyarrow.Table
        Schema BARS, all bars of the symbol.
    symbol : str
    fs : FeatureSet
    """

    def __init__(self, project: Project, bars: pa.Table, symbol: str, fs: FeatureSet) -> None:
        self._bars, self._columns = bars, columns_read(fs)
        self.ts_us = us(bars["ts_us"])
        self._beside = beside_tables(project, symbol, fs)

    def rows(self, begin: int, end: int) -> tuple[np.ndarray, np.ndarray]:
        """Inputs (n, k), as wide as `columns_read` of the set, and stamps (n,) of the bars ``begin <= i < end``."""
        bars, ts_us = self._bars.slice(begin, end - begin), self.ts_us[begin:end]
        if len(ts_us) == 0:
            return inputs_from_bars(bars, columns=self._columns), ts_us
        first, last = bars["ts_us"][0], bars["ts_us"][-1]
        near = {
            name: table.filter(pc.and_(pc.greater_equal(table["ts_us"], first), pc.less_equal(table["ts_us"], last)))
            for name, table in self._beside.items()
        }
        beside = (near.get(name) for name in ("market", "context_bars", "book"))
        return inputs_from_bars(bars, *beside, columns=self._columns), ts_us


def engine_inputs(project: Project, bars_table: pa.Table, symbol: str, fs: FeatureSet) -> np.ndarray:
    """The engine's input matrix (n, k) of all bars of a symbol."""
    return EngineInputs(project, bars_table, symbol, fs).rows(0, bars_table.num_rows)[0]
