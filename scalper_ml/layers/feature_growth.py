"""Features of a history that has grown: what was published is kept, only the new bars are computed."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from scalper_ml.durable import canonical_json
from scalper_ml.features.engine import compute
from scalper_ml.features.registry import FeatureSet
from scalper_ml.layers.base import Keys
from scalper_ml.project import Project
from scalper_ml.schema import us

__all__ = ["Grown", "feature_matrix", "grown_features"]

DAY = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Grown:
    """Features of all bars.

    `values` (n, f) and `warm` (n,) hold the bits that one call over all bars gives; `state` carries the stream on;
    `kept` rows were not computed anew; `beside` are the files by which the next build goes on.
    """

    values: np.ndarray
    warm: np.ndarray
    state: bytes
    kept: int
    beside: dict[str, bytes]


def feature_matrix(table: pa.Table) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[str, ...]]:
    """Stamps (n,), warm flags (n,), values (n, f) and names of a table of features."""
    names = tuple(table.column_names[2:])
    values = np.empty((table.num_rows, len(names)))
    for j, name in enumerate(names):
        values[:, j] = table[name].to_numpy()
    return us(table["ts_us"]), table["warm"].to_numpy(), values, names


def grown_features(project: Project, keys: Keys, fs: FeatureSet, X: np.ndarray, ts_us: np.ndarray, code: str) -> Grown:
    """Features of n bars, going on from the published ones where these are of the same bars, set and code.

    The last UTC day is always computed anew: it may have been incomplete. A bar or market row that changed before it
    changes the digest of the inputs, and everything is computed.

    Parameters
    ----------
    X, ts_us : arrays (n, k), (n,)
        Inputs of the engine, as for `compute`.
    code : str
        Digest of the code that computes features.
    """
    version = [code, fs.id]
    kept, values, warm, state = _published(project, keys, version, len(fs.names), X, ts_us)
    last_day = int(np.searchsorted(ts_us, (int(ts_us[-1]) - 1) // DAY * DAY, side="right"))
    parts, warms = [values], [warm]
    for begin, end in ((kept, max(kept, last_day)), (max(kept, last_day), len(ts_us))):
        before = state
        block = compute(fs, X[begin:end], ts_us[begin:end], state)
        parts.append(block.values)
        warms.append(block.warm)
        state = block.state
    record = {"version": version, "rows": max(kept, last_day), "inputs": _digest(X, ts_us, max(kept, last_day))}
    beside = {"resume.json": canonical_json(record), "resume.bin": before or b""}
    return Grown(np.concatenate(parts), np.concatenate(warms), state or b"", kept, beside)


def _published(
    project: Project, keys: Keys, version: list[str], columns: int, X: np.ndarray, ts_us: np.ndarray
) -> tuple[int, np.ndarray, np.ndarray, bytes | None]:
    """Rows that can be kept, their values and warm flags, and the state after them."""
    nothing = 0, np.empty((0, columns)), np.empty(0, dtype=np.bool_), None
    warehouse = project.warehouse
    manifest = warehouse.manifest("features", keys)
    if manifest is None or "resume.json" not in manifest.beside or not warehouse.fresh_files(manifest):
        return nothing
    record: dict[str, Any] = json.loads(warehouse.read_bytes(manifest, "resume.json"))
    rows = int(record["rows"])
    if record["version"] != version or rows > len(ts_us) or record["inputs"] != _digest(X, ts_us, rows):
        return nothing
    _, warm, values, _ = feature_matrix(warehouse.read_table(manifest).slice(0, rows))
    return rows, values, warm, warehouse.read_bytes(manifest, "resume.bin") or None


def _digest(X: np.ndarray, ts_us: np.ndarray, rows: int) -> str:
    found = hashlib.blake2b(np.ascontiguousarray(ts_us[:rows]).tobytes(), digest_size=16)
    found.update(np.ascontiguousarray(X[:rows]).tobytes())
    return found.hexdigest()
