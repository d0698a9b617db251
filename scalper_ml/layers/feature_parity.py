"""Proof on a partition's own data that the live builder gives what was stored: zero differing bits."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from scalper_ml.features.online import FeatureRow, OnlineFeatureBuilder
from scalper_ml.features.registry import FeatureSet
from scalper_ml.features.series import BAR_COLUMNS, INPUT_COLUMNS
from scalper_ml.layers.base import Keys
from scalper_ml.layers.feature_file import Rows, read_rows
from scalper_ml.layers.feature_inputs import EngineInputs
from scalper_ml.project import Project
from scalper_ml.schema import TICKS, us
from scalper_ml.warehouse import Check, Manifest

__all__ = ["Replay", "parity_check"]

MOST_TICKS = 50_000
MOST_BARS = 500
_BESIDE_AT = len(BAR_COLUMNS)


@dataclass(frozen=True, slots=True)
class Replay:
    """What is replayed: from bar `begin` on, out of what, and from which state of the bar builder."""

    begin: int
    source: str
    day: str | None
    bar_state: bytes | None

    @classmethod
    def drawn(cls, project: Project, keys: Keys, bars: Manifest, fs: FeatureSet, n: int, kept: int) -> "Replay":
        """Drawn by the seed of the splits among the rows after the warm-up and after the `kept` ones.

        Where bars were made of ticks, it is a day of ticks. Kept rows were replayed when they were new, and the state
        of the features before them would have to be computed from the beginning.
        """
        rng = np.random.default_rng(project.settings.splits.seed)
        days = _days(project, keys, bars)
        if not days:
            late = max(kept, min(fs.warmup, max(n - MOST_BARS, 0)))
            return cls(int(rng.integers(late, max(n - MOST_BARS, late) + 1)), "bars", None, None)
        begin, starts = 0, []
        for day, one in days.items():
            if one["bars"]:
                starts.append((day, begin))
            begin += one["bars"]
        warm = [start for start in starts if start[1] >= max(fs.warmup, kept)] or starts[-1:]
        day, begin = warm[int(rng.integers(len(warm)))]
        return cls(begin, f"ticks of {day}", day, bytes.fromhex(days[day]["before"]))


def parity_check(
    project: Project,
    keys: Keys,
    table: pa.Table,
    inputs: EngineInputs,
    fs: FeatureSet,
    replay: Replay,
    state: bytes | None,
    stored: Path,
) -> Check:
    """Replay a part of the partition through `OnlineFeatureBuilder` and compare with the stored rows bit by bit.

    At most 50,000 ticks or 500 bars, from `state`, that of the features before them: the check costs the same on any
    history.
    """
    n = len(inputs.ts_us)
    if n == 0:
        return Check("online_parity", True, "no bars to replay")
    builder = OnlineFeatureBuilder(
        fs, project.settings.interval_us, bar_state=replay.bar_state, feature_state=state or None
    )
    beside = None
    if {"market", "quotes", "book", "derivatives"} & set(fs.groups):
        beside = _Beside(inputs.rows(replay.begin, min(replay.begin + MOST_TICKS, n))[0])
    if replay.day is None:
        rows, fed = _from_bars(builder, table, beside, replay.begin)
    else:
        rows, fed = _from_ticks(builder, project, keys, replay.day, beside)
    wrong = _differing(rows, fs, read_rows(stored, replay.begin, len(rows)))
    shown = ", ".join(f"{name} ({count})" for name, count in list(wrong.items())[:5])
    return Check(
        "online_parity",
        not wrong and bool(rows),
        f"{len(rows)} bars out of {fed:,} {replay.source}: {len(rows) * len(fs.names):,} values, "
        f"{f'differing: {shown}' if wrong else 'no bit differs' if rows else 'no bar closed'}",
        values={"source": replay.source, "fed": fed, "bars": len(rows), "first_row": replay.begin,
                "differing_values": sum(wrong.values())},
    )  # fmt: skip


def _days(project: Project, keys: Keys, bars: Manifest) -> dict[str, Any]:
    """The record of the days the bars were made of, where their ticks are still those; none for klines."""
    if "days.json" not in bars.beside:
        return {}
    days: dict[str, Any] = json.loads(project.warehouse.read_bytes(bars, "days.json"))["days"]
    ticks = project.warehouse.require("ticks", keys)
    held = {name: entry["sha256"] for name, entry in ticks.files.items()}
    same = all(held.get(f"date={day}/data.parquet") == one["ticks"] for day, one in days.items())
    return days if same and any(one["bars"] for one in days.values()) else {}


class _Beside:
    """What was known beside a bar, market and feeds, by the row of the bar that closes next."""

    def __init__(self, X: np.ndarray) -> None:
        self._X, self._row = X, 0

    def now(self) -> dict[str, float]:
        row = self._X[min(self._row, len(self._X) - 1), _BESIDE_AT:]
        return dict(zip(INPUT_COLUMNS[_BESIDE_AT : self._X.shape[1]], row.tolist(), strict=True))

    def next(self) -> None:
        self._row += 1


def _from_ticks(
    builder: OnlineFeatureBuilder, project: Project, keys: Keys, day: str, beside: _Beside | None
) -> tuple[list[FeatureRow], int]:
    ticks = project.warehouse.read_table(project.warehouse.require("ticks", keys), f"date={day}/data.parquet")
    ticks = ticks.cast(TICKS).slice(0, MOST_TICKS)
    rows: list[FeatureRow] = []
    now = beside.now() if beside else None
    for trade in _trades(ticks):
        row = builder.push_tick(*trade, market=now, context=now)
        if row is not None:
            rows.append(row)
            if beside is not None:
                beside.next()
                now = beside.now()
    return rows, ticks.num_rows


def _trades(ticks: pa.Table) -> Iterator[tuple[int, float, float, int, int]]:
    price, qty, side = (ticks[name].to_numpy().tolist() for name in ("price", "qty", "side"))
    ids = [-1 if one is None else one for one in ticks["trade_id"].to_pylist()]
    return zip(us(ticks["ts_us"]).tolist(), price, qty, side, ids, strict=True)


def _from_bars(
    builder: OnlineFeatureBuilder, table: pa.Table, beside: _Beside | None, begin: int
) -> tuple[list[FeatureRow], int]:
    part = table.slice(begin, MOST_BARS)
    names = [name for name in part.column_names if not name.endswith("ts_us")]
    columns = [part[name].to_pylist() for name in names]
    rows = []
    for ts, *cells in zip(us(part["ts_us"]).tolist(), *columns, strict=True):
        bar = dict(zip(names, cells, strict=True)) | {"ts_us": ts}
        now = beside.now() if beside else None
        rows.append(builder.push_bar(bar, now, now))
        if beside is not None:
            beside.next()
    return rows, part.num_rows


def _differing(rows: list[FeatureRow], fs: FeatureSet, stored: Rows) -> dict[str, int]:
    """Values that differ in a bit, by feature; stamps and warm flags count as features of those names."""
    if not rows:
        return {}
    live = np.stack([row.values for row in rows])
    off = np.count_nonzero(live.view(np.int64) != np.ascontiguousarray(stored.values).view(np.int64), axis=0)
    found = {name: int(count) for name, count in zip(fs.names, off.tolist(), strict=True) if count}
    both = ("ts_us", [r.ts_us for r in rows], stored.ts_us), ("warm", [r.warm for r in rows], stored.warm)
    for name, mine, theirs in both:
        if count := int(np.count_nonzero(np.array(mine) != theirs)):
            found[name] = count
    return found
