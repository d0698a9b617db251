"""Features of a history that has grown: what was published is kept, only the new bars are computed.

Rows come in groups of one size, so that a history of any length is computed in the memory of one group.
"""

import hashlib
import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from scalper_ml.durable import canonical_json
from scalper_ml.features.engine import compute
from scalper_ml.features.registry import FeatureSet
from scalper_ml.layers.base import Keys
from scalper_ml.layers.feature_file import ROW_GROUP, Rows, feature_matrix
from scalper_ml.layers.feature_inputs import EngineInputs
from scalper_ml.project import Project
from scalper_ml.warehouse import Manifest

__all__ = ["Growth"]

DAY = 86_400_000_000


class _Digest:
    """Running digest of the inputs of rows, the same however the rows are cut."""

    def __init__(self) -> None:
        self._stamps, self._inputs = hashlib.blake2b(digest_size=16), hashlib.blake2b(digest_size=16)

    def add(self, X: np.ndarray, ts_us: np.ndarray) -> None:
        self._stamps.update(np.ascontiguousarray(ts_us).tobytes())
        self._inputs.update(np.ascontiguousarray(X).tobytes())

    def now(self) -> str:
        return self._stamps.hexdigest() + self._inputs.hexdigest()


class Growth:
    """Features of all bars of a symbol, going on from published ones where these are of the same bars, set and code.

    The last UTC day, with the bar that was open when it began, is always computed anew: it may have been incomplete.
    A bar or market row that changed before it changes the digest of the inputs, and everything is computed.

    Parameters
    ----------
    source : EngineInputs
        What the features are computed from.
    code : str
        Digest of the code that computes features.

    Attributes
    ----------
    kept : int
        Rows that are not computed anew.
    """

    def __init__(self, project: Project, keys: Keys, fs: FeatureSet, source: EngineInputs, code: str) -> None:
        self._project, self._fs, self._source = project, fs, source
        self._version = [code, fs.id]
        ts_us = source.ts_us
        midnight = (int(ts_us[-1]) - 1) // DAY * DAY
        self._last_day = max(int(np.searchsorted(ts_us, midnight, side="right")) - 1, 0)
        self._digest, self._digested = _Digest(), 0
        self._states: dict[int, bytes] = {}
        self._published: Manifest | None = None
        self.kept = self._keep(keys)

    def rows(self, mark: int = 0) -> Iterator[Rows]:
        """All rows in order, in groups of `ROW_GROUP`, the last one shorter; the state before row `mark` is kept."""
        n, state = len(self._source.ts_us), self._states.pop(self.kept, None)
        marks = {one for one in (mark, self._last_day, n) if one >= self.kept}
        published = self._kept_groups()
        for begin in range(0, n, ROW_GROUP):
            end = min(begin + ROW_GROUP, n)
            parts = [next(published)] if begin < self.kept else []
            cuts = sorted({max(begin, self.kept), end, *(one for one in marks if begin < one < end)})
            for first, last in pairwise(cuts) if end > self.kept else ():
                if first in marks and state is not None:
                    self._states[first] = state
                X, ts_us = self._source.rows(first, last)
                self._digest_until(first, last, X, ts_us)
                block = compute(self._fs, X, ts_us, state)
                parts.append(Rows(ts_us, block.warm, block.values))
                state = block.state
            yield parts[0] if len(parts) == 1 else _joined(parts)
        self._states[n] = state or b""

    def state(self, row: int | None = None) -> bytes | None:
        """The state before a row that `rows` was told to mark; by default the one after all rows."""
        return self._states.get(len(self._source.ts_us) if row is None else row)

    def beside(self) -> dict[str, bytes]:
        """The files by which the next build goes on, once `rows` has come to its end."""
        rows = max(self.kept, self._last_day)
        record = {"version": self._version, "rows": rows, "inputs": self._digest.now()}
        return {"resume.json": canonical_json(record), "resume.bin": self._states.get(rows, b"")}

    def _keep(self, keys: Keys) -> int:
        warehouse = self._project.warehouse
        manifest = warehouse.manifest("features", keys)
        if manifest is None or "resume.json" not in manifest.beside or not warehouse.fresh_files(manifest):
            return 0
        record: dict[str, Any] = json.loads(warehouse.read_bytes(manifest, "resume.json"))
        rows, n = int(record["rows"]), len(self._source.ts_us)
        if record["version"] != self._version or not 0 < rows <= n:
            return 0
        for begin in range(0, rows, ROW_GROUP):
            self._digest.add(*self._source.rows(begin, min(begin + ROW_GROUP, rows)))
        if record["inputs"] != self._digest.now():
            self._digest = _Digest()
            return 0
        self._digested, self._published = rows, manifest
        self._states[rows] = warehouse.read_bytes(manifest, "resume.bin")
        return rows

    def _digest_until(self, first: int, last: int, X: np.ndarray, ts_us: np.ndarray) -> None:
        """Add the inputs of rows before the last day that have not been added."""
        if first >= self._digested and last <= max(self.kept, self._last_day):
            self._digest.add(X, ts_us)
            self._digested = last

    def _kept_groups(self) -> Iterator[Rows]:
        """The published rows that are kept, in groups as they will be written."""
        if self._published is None:
            return
        left = self.kept
        for batch in self._project.warehouse.read_batches(self._published, "data.parquet", ROW_GROUP):
            ts_us, warm, values, _ = feature_matrix(pa.table(batch).slice(0, left))
            yield Rows(ts_us, warm, values)
            left -= len(ts_us)


def _joined(parts: list[Rows]) -> Rows:
    columns = np.concatenate([one.values.T for one in parts], axis=1)
    return Rows(np.concatenate([one.ts_us for one in parts]), np.concatenate([one.warm for one in parts]), columns.T)
