"""Klines of several files of one symbol to one sorted, unique table of bars."""

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from scalper_ml.errors import InputError
from scalper_ml.ingest.base import Counts, KlineFile
from scalper_ml.schema import BARS, QUARANTINE, us

__all__ = ["merge_klines"]


def merge_klines(files: Sequence[KlineFile]) -> KlineFile:
    """Bars of files that may overlap, each interval once.

    Parameters
    ----------
    files : sequence of KlineFile
        At least one; all of one interval.

    Returns
    -------
    KlineFile
        Sorted by time with the gaps counted anew. An interval repeated with equal values is a duplicate;
        repeated with other values, the first file's row is kept and the other goes to quarantine.

    Raises
    ------
    InputError
        There is no file, or the files are of several intervals.
    """
    if not files:
        raise InputError("merge of klines: no files; expected at least one")
    intervals = sorted({file.interval_us for file in files})
    if len(intervals) > 1:
        raise InputError(
            f"merge of klines: files of several intervals {intervals} us; expected one - keep one interval a folder"
        )
    if len(files) == 1:
        return files[0]
    bars = pa.concat_tables([file.bars for file in files])
    opened = us(bars["open_ts_us"])
    order = np.argsort(opened, kind="stable")
    bars, opened = bars.take(order), opened[order]
    repeated = np.flatnonzero(np.diff(opened) == 0) + 1
    values = bars.select([name for name in BARS.names if name not in ("gap", "revision")])
    first = np.searchsorted(opened, opened)
    conflicts = [
        row
        for row in repeated.tolist()
        if values.slice(row, 1).to_pylist() != values.slice(int(first[row]), 1).to_pylist()
    ]
    quarantined = [
        {
            "file": "merged",
            "line": 0,
            "reason": "open_time: repeated in another file with other values",
            "raw": str(values.slice(row, 1).to_pylist()[0]),
        }
        for row in conflicts
    ]
    kept = np.setdiff1d(np.arange(len(opened)), repeated)
    gap = np.diff(opened[kept], prepend=opened[kept[:1]] - intervals[0]) // intervals[0] - 1
    bars = bars.take(kept)
    bars = bars.set_column(bars.schema.get_field_index("gap"), BARS.field("gap"), pa.array(gap.astype(np.int32)))
    counts = files[0].counts
    for file in files[1:]:
        counts += file.counts
    duplicates = len(repeated) - len(conflicts)
    counts = Counts(
        counts.read, counts.accepted - len(repeated), counts.duplicate + duplicates, counts.quarantined + len(conflicts)
    )
    quarantine = pa.concat_tables(
        [*(file.quarantine for file in files), pa.Table.from_pylist(quarantined, schema=QUARANTINE)]
    )
    digest = hashlib.sha256("".join(file.sha256 for file in files).encode()).hexdigest()
    return KlineFile(bars, quarantine, counts, files[0].format, digest, intervals[0])
