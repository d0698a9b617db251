"""Put a column of one's own beside the features of a partition, audited as the features are."""

from collections.abc import Callable
from typing import Final

import numpy as np
import pyarrow as pa

from scalper_ml.durable import parquet_bytes, sha256_of
from scalper_ml.features.audit import look_ahead_audit
from scalper_ml.features.registry import FeatureSet
from scalper_ml.layers.base import Keys
from scalper_ml.layers.feature_inputs import engine_inputs
from scalper_ml.project import Project
from scalper_ml.schema import us
from scalper_ml.warehouse import Check, Manifest

__all__ = ["Column", "plant_column"]

Column = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""``f(inputs (n, k), ts_us (n,)) -> values (n,)``."""

_CUTS: Final = 6


def plant_column(project: Project, keys: Keys, name: str, column: Column) -> Manifest:
    """Write the features of a symbol anew, with one more column; blocked where the look-ahead audit finds it.

    Parameters
    ----------
    project : Project
        With a features partition of the symbol.
    keys : mapping
        ``symbol``.
    name : str
        Of the column.
    column : callable
        Makes it out of the inputs of the feature engine and the closes.

    Returns
    -------
    Manifest
        As published, or as it would have been: then readers refuse the partition, and nothing is trained on it.
    """
    warehouse, symbol = project.warehouse, {"symbol": keys["symbol"]}
    features = warehouse.require("features", symbol)
    bars = warehouse.read_table(warehouse.require("bars", symbol))
    fs = FeatureSet.from_json(warehouse.read_bytes(features, "feature_set.json").decode())
    X, ts = engine_inputs(project, bars, str(keys["symbol"]), fs), us(bars["ts_us"])
    table = warehouse.read_table(features)
    audit = look_ahead_audit(lambda X, ts: column(X, ts)[:, None], [name], X, ts, cuts=_CUTS, erase=False)
    changed = ", ".join(f"{one.feature} row {one.row} ({one.kind})" for one in audit.violations[:5])
    said = f"{audit.values_compared:,} values compared with altered futures; changed: {changed or 'none'}"
    files = {file: warehouse.read_bytes(features, file) for file in features.files if file != "data.parquet"}
    data = table.append_column(name, pa.array(column(X, ts), type=pa.float64()))
    return warehouse.write(
        "features",
        symbol,
        {**files, "data.parquet": parquet_bytes(data)},
        inputs=features.inputs | {"planted": name},
        summary=features.summary | {"feature_set_id": sha256_of(f"{fs.id} {name}".encode())[:12]},
        checks=[Check("no_future", audit.ok, said)],
    )
